"""Samples of scans, and of what puts elements in order or looks them up in it: see sample_rows.py."""

import mlx.core as mx
import numpy as np

from arrays import BOOL, FLOATS, INEXACT, INTEGERS
from samples import Distinct, Index, Real
from sample_rows import _as_widened, _widened, row

C, D = Real((2, 3, 4)), Distinct((4, 5))

# --- scans ---

# (label, axis, reverse, inclusive)
WAYS = [("", None, False, True), ("axis=0", 0, False, True), ("axis=1 reverse", 1, True, True),
        ("axis=-1 exclusive", -1, False, False), ("axis=1 reverse exclusive", 1, True, False)]


def scanned(step, first):
    """NumPy's accumulation of a ufunc, from either end, with or without each element's own."""
    def reference(x, axis, reverse, inclusive):
        if axis is None:
            x, axis = x.ravel(), 0
        x = np.moveaxis(x, axis, -1)
        x = x[..., ::-1] if reverse else x
        y = step(x) if x.shape[-1] else x
        if not inclusive and y.shape[-1]:
            y = np.concatenate([np.full_like(y[..., :1], first(y.dtype)), y[..., :-1]], -1)
        return np.moveaxis(y[..., ::-1] if reverse else y, -1, axis)
    return reference


def _scan(name, ref, arg=Real, low=-3.0, high=3.0, magnitude=None, ulp=0.0, long=("int32", "float32", "float64"), cut=False,
          **facts):
    """With cut, exclusive scans lose the infinity that they begin with: differences cannot be taken of it."""
    def cell(label, shape, axis, reverse, inclusive, **more):
        def kept(y):
            return y[(slice(None),) * axis + (slice(-1) if reverse else slice(1, None),)] if cut and not inclusive else y
        axis = axis if axis is None else axis % len(shape)
        return row(label, arg(shape, low, high),
                   call=lambda x: kept(getattr(mx, name)(x, axis, reverse=reverse, inclusive=inclusive)),
                   ref=lambda x: kept(ref(x, axis, reverse, inclusive)), ulp=more.pop("ulp", ulp),
                   magnitude=magnitude and (lambda x: kept(magnitude(x, axis, reverse, inclusive))), **facts | more)
    found = [cell(label, (2, 3, 4), axis, reverse, inclusive, any_shape=axis in (0, None))
             for label, axis, reverse, inclusive in WAYS]
    for shape in ((1,), (2, 0), (5, 1), (1025,), (3, 4100), (1030, 19)):
        for axis in range(len(shape)):
            wide = max(shape) > 100
            found.append(cell(f"{'x'.join(map(str, shape))} axis={axis}", shape, axis, axis == 1, len(shape) == 1,
                              smooth=False, **(dict(dtypes=long, ulp=16 * ulp) if wide else {})))
    return found


def _wrapped(ufunc):
    """Integers keep their dtype and wrap around; bool counts in int32."""
    def step(x):
        return ufunc.accumulate(x, axis=-1, dtype=x.dtype)
    return step


def _sums(x):
    return _wrapped(np.add)(x.astype(np.int32) if x.dtype == bool else x)


def _extremum(ufunc):
    def step(x):
        if x.dtype.kind != "c":
            return ufunc.accumulate(x, axis=-1)
        y = x.copy()
        for j in range(1, x.shape[-1]):
            pair = np.sort(np.stack([y[..., j - 1], y[..., j]]), 0)  # by real, then imaginary part
            y[..., j] = pair[1 if ufunc is np.maximum else 0]
        return y
    return step


def _lowest(dtype):
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf - 1j * np.inf if dtype.kind == "c" else -np.inf


def _highest(dtype):
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind in "iu" else complex(np.inf, np.inf) if dtype.kind == "c" else np.inf


def _log_sums(x):
    x = x.astype(np.float64) if x.dtype.kind in "biu" else x
    top = x.real.max(-1, keepdims=True)
    return np.log(np.add.accumulate(np.exp(x - top), axis=-1)) + top


def _zero(dtype):
    return 0


def _one(dtype):
    return 1


def _cumulative(name, ufunc, initial, ulp):
    """Scans in the dtype of sums, with the value they begin with."""
    def scan(x, axis, with_initial, reverse=False):
        x = _as_widened(x) if axis is not None else _as_widened(x).ravel()
        at = axis or 0
        x = np.flip(x, at) if reverse else x
        if with_initial:
            x = np.concatenate([np.full_like(np.take(x, [0], at), initial), x], at)
        y = ufunc.accumulate(x, axis=at, dtype=x.dtype)
        return np.flip(y, at) if reverse else y

    def cell(label, axis, with_initial, reverse=False):
        return row(label, Real((2, 3, 4), 0.5, 1.5),
                   call=lambda x: getattr(mx, name)(x, axis, include_initial=with_initial, reverse=reverse),
                   ref=lambda x: scan(x, axis, with_initial, reverse), magnitude=lambda x: 1 + np.abs(scan(x, axis, with_initial, reverse)),
                   ulp=ulp, result=_widened)
    return [cell("", None, False), cell("axis=1 initial", 1, True), cell("axis=-1 initial reverse", 2, True, True), cell("axis=0", 0, False)]


_float_of = dict(result=lambda dtype: dtype if dtype in INEXACT else "float32")
SCANS = {
    "cumsum": _scan("cumsum", scanned(_sums, _zero), ulp=4, result=lambda d: "int32" if d in BOOL else d,
                    magnitude=lambda x, *way: 1 + scanned(_sums, _zero)(np.abs(x), *way))
    + [row("dtype", C, call=lambda x: mx.cumsum(x, 1, dtype=mx.float64), ref=lambda x: np.cumsum(x, 1, dtype=np.float64),
           dtypes=BOOL + INTEGERS + FLOATS, ulp=4, magnitude=lambda x: 12, result=lambda d: "float64")],
    "cumprod": _scan("cumprod", scanned(_wrapped(np.multiply), _one), low=0.5, high=1.5, ulp=16)
    + [row("zeros", Real((4, 5)), call=lambda x: mx.cumprod(x * mx.array([1, 0, 1, 0, 1], x.dtype), 1),
           ref=lambda x: np.cumprod(x * np.array([1, 0, 1, 0, 1]), 1), dtypes=("float32", "float64", "complex128"), ulp=16)],
    "cumulative_sum": _cumulative("cumulative_sum", np.add, 0, 4), "cumulative_prod": _cumulative("cumulative_prod", np.multiply, 1, 16),
    "cummax": _scan("cummax", scanned(_extremum(np.maximum), _lowest), arg=Distinct, cut=True),
    "cummin": _scan("cummin", scanned(_extremum(np.minimum), _highest), arg=Distinct, cut=True),
    "logcumsumexp": _scan("logcumsumexp", scanned(_log_sums, lambda dtype: -np.inf), ulp=8, dtypes=BOOL + INTEGERS + FLOATS, cut=True,
                          long=("float32", "float64"),
                          magnitude=lambda x, *way: 3 + np.abs(scanned(_log_sums, _zero)(x, *way)),
                          **_float_of)
    + [row("complex", Real((3, 4), -1, 1), call=lambda x: mx.logcumsumexp(x, -1), ref=_log_sums, dtypes=("complex64", "complex128"),
           ulp=8, magnitude=lambda x: 3)],
    "diff": [row("", C, ref=lambda x: np.diff(x), any_shape=True),
             row("n=2 axis=1", C, call=lambda x: mx.diff(x, 2, 1), ref=lambda x: np.diff(x, 2, 1), ulp=2,
                 magnitude=lambda x: 12),
             row("n=0", C, call=lambda x: mx.diff(x, n=0), ref=lambda x: x),
             row("n too large", C, call=lambda x: mx.diff(x, 7, axis=0), ref=lambda x: np.diff(x, 7, axis=0))],
}

# --- order ---


# The orders before and behind the kth element are not specified, so the samples sort them.

def _partitioned(kth, axis):
    def call(x):
        y = mx.partition(x, kth, axis=axis)
        axis_of_y = 0 if axis is None else axis
        k = kth % y.shape[axis_of_y]
        low, middle, high = mx.split(y, [k, k + 1], axis=axis_of_y)
        return mx.concatenate([mx.sort(low, axis=axis_of_y), middle, mx.sort(high, axis=axis_of_y)], axis=axis_of_y)
    return call


def _argpartitioned(kth, axis):
    def call(x):
        order = mx.argpartition(x, kth, axis=axis)
        flat = x.flatten() if axis is None else x
        y = mx.take_along_axis(flat, order, axis=0 if axis is None else axis)
        # The kth element's value, and every index once.
        return mx.take(y, kth, axis=0 if axis is None else axis), mx.sort(order, axis=0 if axis is None else axis)
    return call


def _np_argpartitioned(kth, axis):
    def reference(x):
        flat = x.ravel() if axis is None else x
        along = 0 if axis is None else axis
        shape = [1] * flat.ndim
        shape[along] = flat.shape[along]
        return [np.take(np.sort(flat, axis=along), kth, axis=along),
                np.broadcast_to(np.arange(flat.shape[along], dtype=np.int32).reshape(shape), flat.shape)]
    return reference


def _topk(k, axis):
    along = 0 if axis is None else axis

    def reference(x):
        y = np.sort(x, axis=axis)
        return y.take(range(y.shape[along] - k, y.shape[along]), along)
    return lambda x: mx.sort(mx.topk(x, k, axis=axis), axis=along), reference


def _median(x, axis=None, keepdims=False):
    """NumPy's, which orders complex numbers as we do but takes a wider mean."""
    x = x.astype(np.float64) if x.dtype.kind in "biu" else x
    return np.median(x, axis=axis, keepdims=keepdims)


def _unique(x, size, fill=None):
    values, index, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    first = values[0] if fill is None else np.asarray(fill).astype(x.dtype)
    more = max(0, size - len(values))
    return [np.concatenate([values[:size], np.full(more, first, x.dtype)]),
            np.concatenate([index[:size], np.full(more, index[0])]).astype(np.int32),
            np.minimum(inverse.reshape(x.shape), max(size - 1, 0)).astype(np.int32),
            np.concatenate([counts[:size], np.zeros(more)]).astype(np.int32)]


PLACES = [(2, -1), (0, 0), (-1, 1), (7, None)]
ORDER = {
    "partition": [row(f"kth={k} axis={a}", D, call=_partitioned(k, a), ref=lambda x, a=a: np.sort(x, axis=a)) for k, a in PLACES]
    + [row("1025", Distinct((2, 1025)), call=_partitioned(300, -1), ref=lambda x: np.sort(x, -1),
           dtypes=("int16", "int32", "float32", "float64"), smooth=False)],
    "argpartition": [row(f"kth={k} axis={a}", D, call=lambda x, f=_argpartitioned(k, a): f(x)[1],
                         ref=lambda x, f=_np_argpartitioned(k, a): f(x)[1], result=lambda d: "int32") for k, a in PLACES]
    + [row("1025", Distinct((2, 1025)), call=lambda x: _argpartitioned(300, -1)(x)[0], smooth=False,
           ref=lambda x: _np_argpartitioned(300, -1)(x)[0], dtypes=("int16", "int32", "float32", "float64"))],
    "topk": [row(f"k={k} axis={a}", D, call=_topk(k, a)[0], ref=_topk(k, a)[1])
             for k, a in ((1, -1), (3, -1), (4, 0), (0, 1), (7, None))],
    "searchsorted": [row(f"{side}", Real((7,)), Real((2, 3)), call=lambda s, v, side=side: mx.searchsorted(mx.sort(s), v, side),
                         ref=lambda s, v, side=side: np.searchsorted(np.sort(s), v, side).astype(np.int32),
                         result=lambda d: "int32") for side in ("left", "right")]
    + [row("scalar", Real((5,)), Real(()), call=lambda s, v: mx.searchsorted(mx.sort(s), v), result=lambda d: "int32",
           ref=lambda s, v: np.int32(np.searchsorted(np.sort(s), v))),
       row("sequence only", Real((6,)), call=lambda s: mx.searchsorted(mx.sort(s), mx.arange(3).astype(s.dtype), "right"),
           ref=lambda s: np.searchsorted(np.sort(s), np.arange(3).astype(s.dtype), "right").astype(np.int32),
           result=lambda d: "int32", dtypes=INTEGERS + FLOATS),
       row("long", Real((1025,)), Real((3, 2000)), call=lambda s, v: mx.searchsorted(mx.sort(s), v), smooth=False,
           ref=lambda s, v: np.searchsorted(np.sort(s), v).astype(np.int32), result=lambda d: "int32",
           dtypes=("int16", "float32", "float64"))],
    "unique": [row(f"size={size}", Distinct((3, 2)), call=lambda x, n=size: mx.unique(x, n), ref=lambda x, n=size: _unique(x, n)[0])
               for size in (2, 6, 8)]
    + [row("fill_value", Distinct((4,)), Real((1,)), call=lambda x, v: mx.unique(x, 6, fill_value=v),
           ref=lambda x, v: _unique(x, 6, v[0])[0]),
       row("values again", Index((4, 3), 0, 5), Distinct((5,)), call=lambda i, x: mx.unique(x[i], 4),
           ref=lambda i, x: _unique(x[i], 4)[0]),
       *[row(name, Index((4, 3), 0, 5), call=lambda i, k=k: mx.unique(i, 7, True, True, True)[k], dtypes=("int32",),
             ref=lambda i, k=k: _unique(i, 7)[k], result=lambda d: "int32")
         for k, name in ((1, "index"), (2, "inverse"), (3, "counts"))]],
    "median": [row(label, Distinct((3, 4, 5)), call=lambda x, w=way: mx.median(x, **w), ref=lambda x, w=way: _median(x, **w),
                   dtypes=BOOL + INTEGERS + FLOATS, ulp=1, magnitude=lambda x: 1 + np.abs(x).max(), any_shape=not way, **_float_of)
               for label, way in (("", {}), ("axis=0", dict(axis=0)), ("axis=-1 keepdims", dict(axis=-1, keepdims=True)),
                                  ("axis=1", dict(axis=1)), ("axes=(0,2)", dict(axis=(0, 2), keepdims=True)))]
    + [row("complex", Distinct((3,)), ref=lambda x: np.sort(x)[1], dtypes=("complex64", "complex128"))],
    "count_nonzero": [row(label, Real((2, 3, 4), -2, 2), call=lambda x, w=way: mx.count_nonzero(x, **w),
                          ref=lambda x, w=way: np.asarray(np.count_nonzero(x, **w), np.int32), result=lambda d: "int32")
                      for label, way in (("", {}), ("axis=1", dict(axis=1)), ("axes", dict(axis=(0, -1), keepdims=True)))],
    "minmax": [row(label, Distinct((2, 3, 4)), call=lambda x, w=way: mx.minmax(x, **w),
                   ref=lambda x, w=way: [np.min(x, **w), np.max(x, **w)])
               for label, way in (("", {}), ("axis=1", dict(axis=1)), ("axes", dict(axis=(0, -1), keepdims=True)))],
}

ROWS = SCANS | ORDER
