"""Samples of writing with a reduction where indices repeat, of masks, slices at computed places, and views of bits and strides:
see sample_rows.py."""

import copy

import mlx.core as mx
import numpy as np

import arrays
from arrays import BOOL, FLOATS, INEXACT, INTEGERS
from samples import Distinct, Index, Real
from sample_rows import row

D = Real((4, 5, 3))
MASK = np.array([True, False, True, True])
MASKS = np.array([[True, False, True, False, True], [False, True, True, False, False], [False] * 5, [True] * 5])

# --- x.at[index].method(v) ---

UFUNCS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
          "minimum": np.minimum}


def _at(label, method, index, value, arg=D, indices=(), dtypes=INTEGERS + INEXACT):
    """index is made of the index arguments by a function, or is fixed."""
    def where(given):
        return index(*given) if callable(index) else index

    def call(x, *rest):
        return getattr(x.at[where(rest[:-1])], method)(rest[-1])

    def ref(x, *rest):
        y = np.array(x)
        UFUNCS[method].at(y, where(rest[:-1]), rest[-1])
        return y

    def magnitude(x, *rest):
        return 9 * np.max(np.abs(ref(np.abs(x), *rest[:-1], np.abs(rest[-1])))) + 0 * np.abs(x)

    args = (arg, *indices, value if isinstance(value, Real) else Real(value))
    rounds = {} if method in ("maximum", "minimum") else {"ulp": 4, "magnitude": magnitude}
    return row(label, *args, call=call, ref=ref, dtypes=dtypes, **rounds)


def _each(method, arg=Real, value=Real, dtypes=INTEGERS + INEXACT):
    """The forms that have code of their own: repeated rows, several index arrays, ranges beside them, slices, masks."""
    one, two = Index((6,), -4, 4), Index((6,), 0, 5)
    return [
        _at(f"{method} rows", method, lambda i: i, value((6, 5, 3)), arg((4, 5, 3)), (one,), dtypes),
        _at(f"{method} two indices", method, lambda i, j: (i, j), value((6, 3)), arg((4, 5, 3)), (one, two), dtypes),
        _at(f"{method} beside a range", method, lambda i: (slice(1, 4, 2), slice(None), i), value((2, 5, 4)), arg((4, 5, 3)),
            (Index((4,), 0, 3),), dtypes),
        _at(f"{method} vector", method, lambda i: i, value((9,)), arg((4,)), (Index((9,), 0, 4),), dtypes),
        _at(f"{method} broadcast", method, lambda i: i, value((3,)), arg((4, 5, 3)), (Index((3, 2), 0, 4),), dtypes),
        _at(f"{method} once", method, lambda i: i, value((5, 3)), arg((4, 5, 3)), (Index((), 0, 4),), dtypes),
    ]


def _on_slices(method, arg=Real, value=Real, dtypes=FLOATS):
    return [_at(f"{method} slice", method, (slice(1, 4, 2), slice(None, None, -1)), value((3,)), arg((4, 5, 3)), (), dtypes),
            _at(f"{method} int", method, (2, Ellipsis, 1), value((5,)), arg((4, 5, 3)), (), dtypes),
            _at(f"{method} all", method, Ellipsis, value((5, 1)), arg((4, 5, 3)), (), dtypes),
            _at(f"{method} mask", method, MASK, value((5, 3)), arg((4, 5, 3)), (), dtypes)]


def _away(shape):
    """Dividers."""
    return Real(shape, 0.5, 2)


def _near_one(shape):
    return Real(shape, -1.5, 1.5)


class Between(Distinct):
    """Values near none of Distinct's, where there are values between."""

    def draw(self, rng, dtype):
        values = super().draw(rng, dtype)
        return arrays.rounded(values + 0.1875, dtype) if dtype in INEXACT else values


SCATTERS = {
    "scatter_add": _each("add") + _each("subtract"),
    "scatter_prod": _each("multiply", value=_near_one) + _each("divide", value=_away, dtypes=INEXACT),
    "scatter_max": _each("maximum", Distinct, Between, BOOL + INTEGERS + FLOATS),
    "scatter_min": _each("minimum", Distinct, Between, BOOL + INTEGERS + FLOATS),
    "slice_update": [r for method in ("add", "subtract", "multiply") for r in _on_slices(method)] +
    _on_slices("divide", value=_away) + _on_slices("maximum") + _on_slices("minimum"),
}

# --- masks ---


def _masked(label, index, arg=D):
    return row(label, arg, call=lambda x: x[index], ref=lambda x: x[index])


def _written(label, index, value, arg=D):
    def write(x, v):
        y = copy.copy(x)
        y[index] = v
        return y
    return row(label, arg, Real(value), call=write, ref=lambda x, v: write(np.array(x), v))


def _by_own_mask(x, v):
    """A mask of the values themselves, which under vmap differs from lane to lane."""
    y = copy.copy(x)
    y[y > 0] = v
    return y


GATHERS = [_masked("mask of rows", MASK), _masked("mask of both", MASKS), _masked("mask behind", (slice(None), MASKS[0])),
           _masked("mask beside int", (MASK, 1)), _masked("mask beside range", (MASKS, slice(None, None, -2))),
           _masked("mask beside indices", (MASK, np.array([0, 4, 2]))), _masked("mask between", (1, None, MASKS[3], Ellipsis, None)),
           _masked("masks apart", (MASK, slice(None), np.array([True, True, True]))), _masked("no true", MASKS & False),
           _masked("list mask", [False, True, True, False]), _masked("true", True), _masked("false", False),
           _masked("true beside int", (slice(None), 0, True)), _masked("true apart from indices", (np.array([0, 2]), None, True))]
WRITES = [_written("mask behind", (slice(None), MASKS[0]), (4, 3, 3)), _written("mask beside int", (MASK, 1), (3, 3)),
          _written("mask beside indices", (MASK, np.array([0, 4, 2])), (3,)),
          _written("true beside indices", (True, np.array([0, 3])), (2, 5, 3)), _written("false beside range", (False, slice(2)), (5, 3))]
WHERES = [_written("mask scalar", MASKS, ()), _written("mask broadcast", MASK, (5, 1)), _written("mask each", MASKS, (10, 3)),
          _written("mask each row", MASK, (3, 1, 3)), _written("mask more", MASK, (3, 5, 3)),
          _written("true", True, (4, 1, 3)), _written("false", False, ()),
          row("own mask", Real((2, 3)), Real(()), call=_by_own_mask, ref=lambda x, v: _by_own_mask(np.array(x), v),
              dtypes=("int32",) + FLOATS)]

# --- slices at computed places ---


def _np_slice(x, start, axes, size):
    first = [0] * x.ndim
    for axis, at in zip(axes, np.atleast_1d(start)):
        first[axis] = at
    return tuple(slice(f, f + n) for f, n in zip(first, size))


def _np_slice_update(x, v, start, axes):
    y = np.array(x)
    place = y[_np_slice(x, start, axes, x.shape[:x.ndim - v.ndim] + v.shape)]
    place[...] = v
    return y


SLICES = [row("starts", D, Index((2,), 0, 3), call=lambda x, i: mx.slice(x, i, (0, 1), (2, 3, 3)),
              ref=lambda x, i: x[_np_slice(x, i, (0, 1), (2, 3, 3))]),
          row("start", D, Index((), 0, 2), call=lambda x, i: mx.slice(x, i, (-1,), (4, 5, 2)),
              ref=lambda x, i: x[_np_slice(x, i, (-1,), (4, 5, 2))])]
UPDATES = [row("starts", D, Real((2, 3, 3)), Index((2,), 0, 3), call=lambda x, v, i: mx.slice_update(x, v, i, (0, 1)),
               ref=lambda x, v, i: _np_slice_update(x, v, i, (0, 1))),
           row("start", D, Real((5, 2)), Index((), 0, 2), call=lambda x, v, i: mx.slice_update(x, v, i, (2,)),
               ref=lambda x, v, i: _np_slice_update(x, v, i, (2,)))]

# --- along an axis ---


def _np_put(x, i, v):
    y = np.array(x)
    for r in range(y.shape[0]):
        for k, at in enumerate(i[r]):
            y[r, at] = v[r, k]
    return y


PUTS = [row("duplicates", Real((2, 4)), Index((2, 9), -4, 4), Real((2, 9)),
            call=lambda x, i, v: mx.put_along_axis(x, i, v, axis=1), ref=_np_put)]

# --- indices out of bounds: mode="clip", "wrap" and "fill" ---


def _read_outside(mode, x, i, axis, fill):
    """x at i along an axis, after NumPy's rules; with fill negative ones count from the end."""
    if mode != "fill":
        return np.take(x, i, axis, mode=mode)
    n = x.shape[axis]
    inside = (i >= -n) & (i < n)
    y = np.take(x, np.where(inside, i, 0), axis)
    return np.where(inside.reshape(inside.shape + (1,) * (x.ndim - 1 - axis)), y, np.asarray(fill, y.dtype))


def _write_outside(mode, x, i, v, method="add"):
    y, n = np.array(x), len(x)
    if mode == "fill":
        inside = (i >= -n) & (i < n)
        i, v = i[inside], np.broadcast_to(v, i.shape + x.shape[1:])[inside]
    else:
        i = i % n if mode == "wrap" else np.clip(i, 0, n - 1)
    if method == "set":
        for k, at in enumerate(i):
            y[at] = np.broadcast_to(v, i.shape + x.shape[1:])[k]
        return y
    UFUNCS[method].at(y, i, v)
    return y


def _filling(mode):
    return {"fill_value": 2} if mode == "fill" else {}


def _taken(mode, axis):
    return row(f"{mode} axis={axis}", D, Index((2, 4), -9, 9),
               call=lambda x, i: mx.take(x, i, axis=axis, mode=mode, **_filling(mode)),
               ref=lambda x, i: _read_outside(mode, x, i, axis, 2))


def _taken_along(mode):
    def ref(x, i):
        return np.stack([_read_outside(mode, x[r], i[r], 0, 2) for r in range(len(x))])
    return row(mode, Real((3, 5)), Index((3, 7), -9, 9),
               call=lambda x, i: mx.take_along_axis(x, i, axis=1, mode=mode, **_filling(mode)), ref=ref)


def _put_along(mode):
    def ref(x, i, v):
        return np.stack([_write_outside(mode, x[r], i[r], v[r], "set") for r in range(len(x))])
    return row(mode, Real((3, 5)), Index((3, 7), -9, 9), Real((3, 7)),
               call=lambda x, i, v: mx.put_along_axis(x, i, v, axis=1, mode=mode), ref=ref)


def _at_outside(mode, method, value=Real, **facts):
    return row(f"{method} {mode}", D, Index((7,), -9, 9), value((7, 5, 3)), ref=lambda x, i, v: _write_outside(mode, x, i, v, method),
               call=lambda x, i, v: getattr(x.at[i], method)(v, mode=mode), **facts)


def _got(mode):
    def ref(x, i, j):
        if mode == "fill":
            inside = (i >= -4) & (i < 4) & (j >= -3) & (j < 3)
            return np.where(inside[..., None], x[np.where(inside, i, 0), :, np.where(inside, j, 0)], np.asarray(2, x.dtype))
        bring = (lambda k, n: k % n) if mode == "wrap" else (lambda k, n: np.clip(k, 0, n - 1))
        return x[bring(i, 4), :, bring(j, 3)]
    return row(f"get {mode}", D, Index((6,), -7, 7), Index((2, 6), -7, 7), ref=ref,
               call=lambda x, i, j: x.at[i, :, j].get(mode=mode, **_filling(mode)))


OUTSIDE = {
    "take": [_taken(mode, axis) for mode in ("clip", "wrap", "fill") for axis in (0, 1, 2)],
    "take_along_axis": [_taken_along(mode) for mode in ("clip", "wrap", "fill")],
    "put_along_axis": [_put_along(mode) for mode in ("clip", "fill")],
    "gather": [_got(mode) for mode in ("clip", "wrap", "fill")],
    "scatter": [_at_outside(mode, "set") for mode in ("clip", "fill")],
    "scatter_add": [_at_outside(mode, "add", dtypes=INEXACT, ulp=4, magnitude=lambda x, i, v: 18 + 0 * np.abs(x))
                    for mode in ("clip", "wrap", "fill")],
    "scatter_max": [_at_outside(mode, "maximum", Between, dtypes=INTEGERS + FLOATS) for mode in ("clip", "fill")],
}

# --- strides and bits ---


def _strided(label, shape, strides, offset, arg=D):
    def ref(x):
        flat, place = x.ravel(), np.full(shape, offset)
        for axis, stride in enumerate(strides):
            place = place + stride * np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
        return flat[place]
    return row(label, arg, call=lambda x: mx.as_strided(x, shape, strides, offset), ref=ref)


def _viewed(to, dtypes, low=-3, **facts):
    def bits(x):
        return np.ascontiguousarray(x).view(arrays.NUMPY[to])
    return [row(f"{name} as {to}", Real((3, 4), low), call=lambda x: mx.view(x, getattr(mx, to)), dtypes=(name,),
                ref=lambda x, name=name: bits(arrays.rounded(x, name)), result=lambda d: to, **facts) for name in dtypes]


def _real_parts(x):
    return mx.view(x, {mx.float32: mx.complex64, mx.float64: mx.complex128, mx.complex64: mx.float32,
                       mx.complex128: mx.float64}[x.dtype])


def _np_parts(x):
    if np.iscomplexobj(x):
        return np.stack([x.real, x.imag], -1).reshape(x.shape[:-1] + (-1,))
    return x[..., ::2] + 1j * x[..., 1::2]


PAIR = {"float32": "complex64", "complex64": "float32", "float64": "complex128", "complex128": "float64"}
VIEWS = {
    "as_strided": [_strided("windows", (3, 4), (2, 1), 1), _strided("backwards", (5,), (-3,), 50),
                   _strided("repeated", (2, 3, 2), (0, 7, 3), 4),
                   _strided("scalar", (), (), 5), _strided("nothing", (0, 2), (9, 9), 100),
                   row("shape", D, call=lambda x: mx.as_strided(x, (2, 6)), ref=lambda x: x.ravel()[:12].reshape(2, 6)),
                   row("itself", D, call=lambda x: mx.as_strided(x), ref=lambda x: x)],
    "view": _viewed("int32", ("float32", "uint32", "int16", "int8", "float64", "float16", "int64")) +
    _viewed("float32", ("int32",), low=0) + _viewed("uint8", ("float32", "int16", "bool_", "complex64", "int8", "float16")) +
    _viewed("int64", ("float32", "int16")) + _viewed("bool_", ("bool_",)) +
    [row("parts", Real((3, 4)), call=_real_parts, ref=_np_parts, dtypes=tuple(PAIR), result=PAIR.get, smooth=True)],
}

ROWS = VIEWS | SCATTERS | {"gather": GATHERS, "scatter": WRITES, "where": WHERES, "slice": SLICES, "put_along_axis": PUTS}
ROWS["slice_update"] = SCATTERS["slice_update"] + UPDATES
ROWS |= {op: ROWS.get(op, []) + rows for op, rows in OUTSIDE.items()}
