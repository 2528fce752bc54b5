"""Samples of stacking, functions given by samples, and counting: see sample_rows.py."""

import mlx.core as mx
import numpy as np

from arrays import FLOATS, INEXACT
from sample_rows import row
from samples import Index, Real, listed

C, D, V, S = Real((2, 3, 4)), Real((3, 4)), Real((4,)), Real(())


def _both(label, *args, call, **facts):
    """A call that reads the same in MLX and NumPy: call(module, ...)."""
    return row(label, *args, call=lambda *a: call(mx, *a), ref=lambda *a: call(np, *a), **facts)


def _stacked(name, *groups):
    return [_both(label, *args, call=lambda m, *a: getattr(m, name)(list(a))) for label, args in groups]


def _sinc(x):
    pi = np.longdouble("3.14159265358979323846264338327950288").astype(x.dtype)
    whole = np.rint(x)
    return np.where(x == 0, 1, np.where(whole % 2 == 0, 1, -1) * np.sin((x - whole) * pi) / np.where(x == 0, 1, x * pi))


def _neighbours(dtype):
    """NumPy's, in the dtype itself."""
    return row(dtype, Real((2, 3)), Real((3,)), ref=lambda a, b: np.nextafter(a.astype(dtype), b.astype(dtype)), dtypes=(dtype,))


SCALARS = {
    "sinc": [row("", Real((2, 3)), ref=_sinc, any_shape=True, dtypes=FLOATS), row("near 0", Real((2, 3), -0.4, 0.4), ref=_sinc, dtypes=FLOATS)],
    "logaddexp2": [row("", Real((2, 3), 0.1, 3), Real((3,), 0.1, 3), ref=np.logaddexp2, dtypes=FLOATS)],
    "nextafter": [_neighbours(dtype) for dtype in ("float64",)]  # others: test_sampled.py,
}

STACKING = {
    "vstack": _stacked("vstack", ("vectors", (V, V)), ("scalars", (S, S, S)), ("matrices", (D, Real((2, 4)))), ("mixed", (V, D)), ("one", (V,))),
    "hstack": _stacked("hstack", ("vectors", (V, Real((2,)))), ("scalars", (S, S)), ("matrices", (D, Real((3, 2)))), ("three axes", (C, Real((2, 1, 4))))),
    "dstack": _stacked("dstack", ("vectors", (V, V)), ("scalars", (S, S)), ("matrices", (D, D)), ("three axes", (C, Real((2, 3, 1))))),
    "column_stack": _stacked("column_stack", ("vectors", (V, V)), ("mixed", (Real((3,)), D)), ("scalars", (S, S))),
    "ravel": [_both("", C, call=lambda m, x: m.ravel(x), any_shape=True), _both("scalar", S, call=lambda m, x: m.ravel(x))],
    "fliplr": [_both("", D, call=lambda m, x: m.fliplr(x)), _both("three axes", C, call=lambda m, x: m.fliplr(x))],
    "flipud": [_both("", C, call=lambda m, x: m.flipud(x), any_shape=True), _both("vector", V, call=lambda m, x: m.flipud(x))],
    "rot90": [_both(f"k={k}", D, call=lambda m, x, k=k: m.rot90(x, k)) for k in (1, 2, 3, 4, -1, 7)]
    + [_both("axes", C, call=lambda m, x: m.rot90(x, 1, (2, 0))), _both("twice in axes", C, call=lambda m, x: m.rot90(x, 2, (-1, 1)))],
}


# --- samples and coefficients ---

def _select(m, x, y):
    return m.select([x < -1, x > 1, x * 0 + 1 > 2], [x, y, x + y], m.zeros((), x.dtype) + 3)


def _gradient(label, arg, call, **facts):
    return _both(label, arg, call=call, dtypes=FLOATS, ulp=4, magnitude=lambda x: [10 + 0 * y for y in listed(call(np, x))], **facts)


def _interp(label, *args, call, **facts):
    """The points are apart, so that differences stay on one line. NumPy has it in float64 only."""
    def ref(*a):
        return call(np, *[np.asarray(x, np.float64) for x in a])
    return row(label, *args, call=lambda *a: call(mx, *a), ref=ref, dtypes=("float32", "float64"), ulp=8, magnitude=lambda *a: 20 + 0 * ref(*a), **facts)


def _points(m, p):
    return m.cumsum(m.abs(p) + 1, 0)


X = Real((2, 3), 0.1, 5)
SAMPLED = {
    "select": [_both("", Real((2, 3)), Real((3,)), call=_select, dtypes=FLOATS)],
    "polyval": [_both("", V, Real((2, 3), 0.5, 1.5), call=lambda m, p, x: m.polyval(p, x), dtypes=INEXACT, ulp=8,
                      magnitude=lambda p, x: np.polyval(np.abs(p), np.abs(x))),
                _both("constant", Real((1,)), Real((3,)), call=lambda m, p, x: m.polyval(p, x)),
                _both("of a scalar", Real((3,)), S, call=lambda m, p, x: m.polyval(p, x), dtypes=INEXACT, ulp=8,
                      magnitude=lambda p, x: np.polyval(np.abs(p), np.abs(x)))],
    "interp": [_interp("", X, Real((5,), 0.1, 1), Real((5,)), call=lambda m, x, p, f: m.interp(x, _points(m, p), f)),
               _interp("ends", X, Real((3,), 0.1, 1), Real((3,)), call=lambda m, x, p, f: m.interp(x, _points(m, p), f, left=-1.0, right=2.0)),
               _interp("period", X, Real((4,), 0.1, 1), Real((4,)), call=lambda m, x, p, f: m.interp(x, _points(m, p), f, period=7.3)),
               _interp("one point", S, Real((1,), 0.1, 1), Real((1,)), call=lambda m, x, p, f: m.interp(x, p, f))],
    "gradient": [_gradient("vector", V, lambda m, x: m.gradient(x)), _gradient("axes", D, lambda m, x: list(m.gradient(x))),
                 _gradient("distance", D, lambda m, x: m.gradient(x, 0.5, axis=1)), _gradient("two samples", Real((2, 3)), lambda m, x: m.gradient(x, axis=0)),
                 _gradient("distances", D, lambda m, x: list(m.gradient(x, 0.5, 2.0))),
                 _gradient("second order", Real((3, 5)), lambda m, x: list(m.gradient(x, 2.0, edge_order=2))),
                 _both("coordinates", V, Real((4,), 0.5, 1), call=lambda m, x, p: m.gradient(x, _points(m, p)), dtypes=("float32", "float64"), ulp=16,
                       magnitude=lambda x, p: 10 + 0 * x),
                 _both("coordinates, second order", V, Real((4,), 0.5, 1), call=lambda m, x, p: m.gradient(x, _points(m, p), edge_order=2),
                       dtypes=("float32", "float64"), ulp=32, magnitude=lambda x, p: 10 + 0 * x)],
    "unwrap": [_both("", Real((2, 6), -6, 6), call=lambda m, x: m.unwrap(x), dtypes=("float32", "float64"), ulp=4, magnitude=lambda x: 30 + 0 * x),
               _both("axis=0", Real((6, 2), -9, 9), call=lambda m, x: m.unwrap(x, axis=0, period=4.0), dtypes=("float32", "float64"), ulp=4,
                     magnitude=lambda x: 30 + 0 * x),
               _both("discont", Real((7,), -9, 9), call=lambda m, x: m.unwrap(x, 5.0), dtypes=("float32", "float64"), ulp=4, magnitude=lambda x: 30 + 0 * x)],
}

# --- counting ---

EDGES = [-2.0, -0.5, 0.5, 1.0]
COUNTING = {
    "bincount": [row("weights", Index((6,), 0, 4), Real((6,)), call=lambda i, w: mx.bincount(i, w, length=5), dtypes=FLOATS, ulp=4,
                     magnitude=lambda i, w: _bincount(i, np.abs(w), 5),
                     ref=lambda i, w: _bincount(i, w, 5)),
                 row("left out", Index((6,), 0, 4), Real((6,)), call=lambda i, w: mx.bincount(i, w, length=2), dtypes=FLOATS, ulp=4,
                     magnitude=lambda i, w: _bincount(i, np.abs(w), 2),
                     ref=lambda i, w: _bincount(i, w, 2))],
    "histogram": [row("weights", Real((9,)), Real((9,)), call=lambda x, w: mx.histogram(x, mx.array(EDGES, x.dtype), weights=w)[0],
                      ref=lambda x, w: np.histogram(x, np.array(EDGES), weights=w)[0], dtypes=("float32", "float64"), ulp=8,
                      magnitude=lambda x, w: np.full(3, np.abs(w).sum()))],
    "nonzero": [row(f"size={n}", Index((3, 2), -1, 2), call=lambda x, n=n: mx.nonzero(x, size=n, fill_value=7),
                    ref=lambda x, n=n: [_filled(i, n, 7) for i in np.nonzero(x)], result=lambda d: "int32") for n in (2, 7)],
    "flatnonzero": [row("", Index((3, 2), -1, 2), call=lambda x: mx.flatnonzero(x, size=4, fill_value=-1),
                        ref=lambda x: _filled(np.flatnonzero(x), 4, -1), result=lambda d: "int32")],
    "argwhere": [row("", Index((3, 2), -1, 2), call=lambda x: mx.argwhere(x, size=4), result=lambda d: "int32",
                     ref=lambda x: np.stack([_filled(i, 4) for i in np.nonzero(x)], 1))],
    "compress": [row(f"axis={axis}", Index((3,), 0, 2), Real((3, 3)), call=lambda c, x, axis=axis: mx.compress(c, x, axis, size=2),
                     ref=lambda c, x, axis=axis: _compressed(c, x, axis)) for axis in (0, -1, None)],
    "extract": [row("", Index((2, 3), 0, 2), Real((2, 3)), call=lambda c, x: mx.extract(c, x, size=4),
                    ref=lambda c, x: _filled(x[c != 0], 4, 0, x.dtype))],
}


def _filled(found, size, fill=0, dtype=np.int32):
    """The first of what was found, and fill behind."""
    return np.concatenate([found[:size], np.full(max(0, size - len(found)), fill)]).astype(dtype)


def _compressed(condition, x, axis):
    rows = np.moveaxis(x.reshape(-1) if axis is None else x, 0 if axis is None else axis, 0)
    taken = rows[: len(condition)][condition != 0][:2]
    filled = np.concatenate([taken, np.zeros((2 - len(taken), *rows.shape[1:]), x.dtype)])
    return np.moveaxis(filled, 0, 0 if axis is None else axis)


def _bincount(i, w, length):
    kept = i < length
    out = np.zeros(length, w.dtype)
    np.add.at(out, i[kept], w[kept])
    return out


ROWS = SCALARS | STACKING | SAMPLED | COUNTING
