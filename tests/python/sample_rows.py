"""Samples of the ops that take more than elementwise arguments: one row for each way of calling that has code of its own."""

import copy
import functools

import mlx.core as mx
import numpy as np

import arrays
from arrays import BOOL, FLOATS, INEXACT, INTEGERS
from samples import Distinct, Index, Key, Real, Sample


def row(label, *args, call=None, ref=None, dtypes=(), **facts):
    return Sample(None, label, args, call, ref, dtypes, **facts)


def rows():
    """Op name -> its rows."""
    import indexing_rows
    import linalg_rows
    import order_rows
    import rearrange_rows
    import block_rows
    import conv_rows
    import fast_rows
    import fft_rows
    import sampled_rows
    import special_rows
    found = (ELEMENTWISE_LIKE | CREATION | SHAPES | PARTS | REDUCTIONS | SORTING | PRODUCTS | RANDOM | rearrange_rows.ROWS
             | order_rows.ROWS | sampled_rows.ROWS | fft_rows.ROWS | linalg_rows.ROWS | conv_rows.ROWS | block_rows.ROWS
             | special_rows.ROWS | fast_rows.ROWS)
    return found | {name: found.get(name, []) + more for name, more in indexing_rows.ROWS.items()}


# --- composed of elementwise ops, or with parameters ---

def _clip(a, low, high):
    # NumPy's clip of a NaN keeps it, as does ours; the bounds are arrays of the same dtype.
    return np.minimum(np.maximum(a, low), high)


def _close(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return np.isclose(np.asarray(a, complex), np.asarray(b, complex), rtol, atol, equal_nan)


def _from_fp8(x):
    code = np.asarray(x).astype(np.int64) & 255
    exponent, fraction = code >> 3 & 15, code & 7
    value = np.where(exponent == 0, np.ldexp(fraction / 8.0, -6), np.ldexp(1 + fraction / 8.0, exponent - 7))
    return np.where(code & 127 == 127, np.nan, value) * np.where(code & 128, -1.0, 1.0)


def _to_fp8(x):
    """The nearest by search, the even one of two: numbers grow with their codes."""
    values = _from_fp8(np.arange(127))
    distance = np.abs(np.abs(np.asarray(x, np.float64))[..., None] - values)
    nearest = distance == distance.min(-1, keepdims=True)
    even = nearest & (np.arange(127) % 2 == 0)
    code = np.where(even.any(-1), even.argmax(-1), nearest.argmax(-1))
    return (code + 128 * np.signbit(x)).astype(np.uint8)


X, Y = Real((2, 3)), Real((3,))
CASTS = {
    f"to {to}": row(f"to {to}", Real((2, 3), 0.0, 3.0), call=lambda x, to=to: x.astype(getattr(mx, to)),
                    ref=lambda x, to=to: _cast(x, to), smooth=to in INEXACT and to in ("float64", "complex128"),
                    ulp=0.500001, result=lambda dtype, to=to: to)
    for to in arrays.ALL
}


def _cast(x, to):
    if np.iscomplexobj(x) and to not in arrays.COMPLEX:
        x = x if to == "bool_" else x.real
    return x if to in INEXACT and x.dtype.kind in "fc" else arrays.rounded(x, to)


ELEMENTWISE_LIKE = {
    "astype": list(CASTS.values()),
    "divmod": [row("", Real((2, 3), 0.5, 9), Real((2, 3), 0.5, 3), ref=lambda a, b: [np.floor_divide(a, b), np.remainder(a, b)],
                   any_shape=False, ulp=1),
               row("broadcast", Real((2, 1), -9, -0.5), Real((3,), 0.5, 3),
                   ref=lambda a, b: [np.floor_divide(a, b), np.remainder(a, b)], ulp=1)],
    "clip": [row("array bounds", Real((2, 3)), Real((3,), -2, -1), Real((2, 1), 1, 2), ref=_clip),
             row("numbers", Real((2, 3)), call=lambda x: mx.clip(x, 0, 1), ref=lambda x: _clip(x, 0, 1),
                 dtypes=INTEGERS + FLOATS, any_shape=True),
             row("low only", Real((2, 3)), Real(()), call=lambda x, b: mx.clip(x, b, None), ref=np.maximum),
             row("high only", Real((2, 3)), Real((3,)), call=lambda x, b: mx.clip(x, None, b), ref=np.minimum)],
    "nan_to_num": [row("finite", X, ref=lambda x: x, any_shape=True),
                   row("replaced", X, call=lambda x: mx.nan_to_num(x / mx.array([0, 1, 2], x.dtype), 7.0, 8.0, -9.0),
                       ref=lambda x: np.nan_to_num(x / np.array([0, 1, 2]), nan=7.0, posinf=8.0, neginf=-9.0),
                       dtypes=("float16", "float32", "float64"), ulp=1)],
    "round": [row("decimals=0", X, ref=lambda x: np.round(x)),
              row("decimals=2", X, call=lambda x: mx.round(x, 2), ref=lambda x: np.round(x, 2),
                  dtypes=("float32", "float64"), ulp=2, magnitude=lambda x: 3 + 0 * np.abs(x)),
              row("decimals=-1", Real((2, 3), -90, 90), call=lambda x: mx.round(x, -1), ref=lambda x: np.round(x, -1),
                  dtypes=("int32", "float32", "float64"))],
    "to_fp8": [row("", Real((2, 3), -500, 500), ref=_to_fp8, dtypes=FLOATS, result=lambda dtype: "uint8", any_shape=True),
               row("tiny", Real((2, 3), -0.03, 0.03), ref=_to_fp8, dtypes=FLOATS, result=lambda dtype: "uint8")],
    "from_fp8": [row(f"to {to}", Real((2, 3), 0, 126), call=lambda x, to=to: mx.from_fp8(x, getattr(mx, to)),
                     ref=_from_fp8, dtypes=("uint8",), result=lambda dtype, to=to: to) for to in FLOATS],
    "isclose": [row("", X, X, ref=_close), row("tolerances", X, Y, call=lambda a, b: mx.isclose(a, b, rtol=0.5, atol=0.25),
                                               ref=lambda a, b: _close(a, b, 0.5, 0.25))],
    "allclose": [row("", X, X, ref=lambda a, b: _close(a, b).all()),
                 row("itself", X, call=lambda a: mx.allclose(a, a), ref=lambda a: np.array(True))],
    "array_equal": [row("", X, X, ref=lambda a, b: np.array(np.array_equal(a, b))),
                    row("itself", X, call=lambda a: mx.array_equal(a, a), ref=lambda a: np.array(True)),
                    row("other shape", X, Y, ref=lambda a, b: np.array(False))],
    "stop_gradient": [row("", X, ref=lambda x: x)],
    "contiguous": [row("", X, ref=lambda x: x, any_shape=True)],
}

# --- creation ---


def _created(label, call, ref, dtypes=("int32", "float16", "float32", "float64", "complex64"), **facts):
    """Rows without arguments: one per dtype, each its only dtype."""
    return [row(f"{label} {name}".strip(), call=functools.partial(call, getattr(mx, name)),
                ref=functools.partial(ref, arrays.NUMPY[name]), dtypes=(name,), **facts) for name in dtypes]


CREATION = {
    "full": [row("array", Y, call=lambda v: mx.full((2, 3), v), ref=lambda v: np.broadcast_to(v, (2, 3))),
             row("scalar", Real(()), call=lambda v: mx.full((2, 3), v), ref=lambda v: np.broadcast_to(v, (2, 3)))],
    "full_like": [row("", X, Y, call=lambda a, v: mx.full_like(a, v), ref=lambda a, v: np.broadcast_to(v, a.shape))],
    "zeros": _created("", lambda d: mx.zeros((2, 3), d), lambda d: np.zeros((2, 3), d)),
    "ones": _created("", lambda d: mx.ones((2, 3), d), lambda d: np.ones((2, 3), d)),
    "zeros_like": [row("", X, ref=np.zeros_like, any_shape=True)],
    "ones_like": [row("", X, ref=np.ones_like, any_shape=True)],
    "arange": _created("stop", lambda d: mx.arange(7, dtype=d), lambda d: np.arange(7, dtype=d), ("int8", "int64", "float32"))
    + _created("step", lambda d: mx.arange(9, -3, -2, dtype=d), lambda d: np.arange(9, -3, -2, dtype=d), ("int32", "float64")),
    "linspace": _created("", lambda d: mx.linspace(-1, 2, 7, dtype=d), lambda d: np.linspace(-1, 2, 7, dtype=np.float64),
                         ("float16", "float32", "float64"), ulp=2, magnitude=lambda: 2.0),
    "eye": _created("k=1", lambda d: mx.eye(3, 4, 1, dtype=d), lambda d: np.eye(3, 4, 1, dtype=d)),
    "identity": _created("", lambda d: mx.identity(3, dtype=d), lambda d: np.identity(3, dtype=d)),
    "tri": _created("k=-1", lambda d: mx.tri(3, 4, -1, dtype=d), lambda d: np.tri(3, 4, -1, dtype=d)),
    "tril": [row("k=0", Real((3, 3)), ref=np.tril),
             row("k=1 batch", Real((2, 3, 4)), call=lambda x: mx.tril(x, 1), ref=lambda x: np.tril(x, 1))],
    "triu": [row("k=0", Real((3, 3)), ref=np.triu),
             row("k=-1 batch", Real((2, 3, 4)), call=lambda x: mx.triu(x, -1), ref=lambda x: np.triu(x, -1))],
}

# --- shapes ---

C = Real((2, 3, 4))


def _moves(label, arg, call, ref, **facts):
    return row(label, arg, call=call, ref=ref, **facts)


SHAPES = {
    "reshape": [_moves("", C, lambda x: mx.reshape(x, (4, 6)), lambda x: x.reshape(4, 6)),
                _moves("-1", C, lambda x: x.reshape(3, -1), lambda x: x.reshape(3, -1)),
                _moves("of transposed", C, lambda x: x.transpose(2, 0, 1).reshape(6, 4),
                       lambda x: x.transpose(2, 0, 1).reshape(6, 4))],
    "flatten": [_moves("", C, lambda x: mx.flatten(x), np.ravel, any_shape=True),
                _moves("1 to 2", C, lambda x: mx.flatten(x, 1, 2), lambda x: x.reshape(2, 12))],
    "unflatten": [_moves("", C, lambda x: mx.unflatten(x, 2, (2, 2)), lambda x: x.reshape(2, 3, 2, 2)),
                  _moves("-1", C, lambda x: mx.unflatten(x, -1, (-1, 2)), lambda x: x.reshape(2, 3, 2, 2))],
    "squeeze": [_moves("all", Real((1, 3, 1)), lambda x: mx.squeeze(x), np.squeeze),
                _moves("axis=-1", Real((1, 3, 1)), lambda x: mx.squeeze(x, -1), lambda x: x.squeeze(-1))],
    "expand_dims": [_moves("0", X, lambda x: mx.expand_dims(x, 0), lambda x: x[None], any_shape=True),
                    _moves("(0,2)", X, lambda x: mx.expand_dims(x, (0, 2)), lambda x: x[None, :, None]),
                    _moves("(-1,1)", X, lambda x: mx.expand_dims(x, (-1, 1)), lambda x: x[:, None, :, None])],
    "transpose": [_moves("", C, mx.transpose, np.transpose, any_shape=True),
                  _moves("(1,2,0)", C, lambda x: mx.transpose(x, (1, 2, 0)), lambda x: x.transpose(1, 2, 0)),
                  _moves("(0,-1,1)", C, lambda x: x.transpose(0, -1, 1), lambda x: x.transpose(0, 2, 1))],
    "matrix_transpose": [_moves("", C, lambda x: mx.matrix_transpose(x), lambda x: x.swapaxes(1, 2))],
    "moveaxis": [_moves("", C, lambda x: mx.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
                 _moves("(0,1)", C, lambda x: mx.moveaxis(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0)))],
    "swapaxes": [_moves("", C, lambda x: mx.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1))],
    "broadcast_to": [_moves("new axis", Real((2, 1)), lambda x: mx.broadcast_to(x, (3, 2, 4)),
                            lambda x: np.broadcast_to(x, (3, 2, 4))),
                     _moves("scalar", Real(()), lambda x: mx.broadcast_to(x, (2, 2)), lambda x: np.broadcast_to(x, (2, 2))),
                     _moves("itself", X, lambda x: mx.broadcast_to(x, (2, 3)), lambda x: x)],
    "depends": [row("", Real((2, 3)), Real((3,)), call=lambda a, b: mx.depends(a, b), ref=lambda a, b: a),
                row("lists", Real((2, 3)), Real((3,)), call=lambda a, b: mx.depends([a, b], [b]), ref=lambda a, b: [a, b])],
    "broadcast_arrays": [row("", Real((2, 1)), Real((3,)), call=lambda a, b: mx.broadcast_arrays(a, b),
                             ref=lambda a, b: list(np.broadcast_arrays(a, b)))],
    "concatenate": [row("axis=0", Real((2, 3)), Real((1, 3)), Real((3, 3)), call=lambda *a: mx.concatenate(list(a)),
                        ref=lambda *a: np.concatenate(a)),
                    row("axis=-1", Real((2, 3)), Real((2, 1)), call=lambda *a: mx.concatenate(list(a), axis=-1),
                        ref=lambda *a: np.concatenate(a, -1)),
                    row("itself", X, call=lambda x: mx.concatenate([x, x], axis=0), ref=lambda x: np.concatenate([x, x]),
                        any_shape=True)],
    "stack": [row("axis=0", X, X, call=lambda *a: mx.stack(list(a)), ref=lambda *a: np.stack(a)),
              row("axis=-1", X, X, call=lambda *a: mx.stack(list(a), axis=-1), ref=lambda *a: np.stack(a, -1))],
    "split": [_moves("3", Real((6, 2)), lambda x: mx.split(x, 3), lambda x: np.split(x, 3)),
              _moves("[1,3] axis=-1", Real((2, 5)), lambda x: mx.split(x, [1, 3], axis=-1), lambda x: np.split(x, [1, 3], -1))],
    "unstack": [_moves("", C, lambda x: mx.unstack(x, axis=1), lambda x: [x[:, i] for i in range(3)])],
}

# --- reading and writing parts ---

D = Real((4, 5, 3))


def _read(label, index, arg=D, **facts):
    return row(label, arg, call=lambda x: x[index], ref=lambda x: x[index], **facts)


def _assigned(index):
    def call(x, v):
        y = copy.copy(x)
        y[index] = v
        return y
    return call


def _np_assigned(index):
    def reference(x, v):
        y = np.array(x)
        y[index] = v
        return y
    return reference


def _write(label, index, value, arg=D):
    return row(label, arg, Real(value), call=_assigned(index), ref=_np_assigned(index))


def _mx_indexed(x, i):
    return x[i]


def _set_at(x, i, v):
    y = copy.copy(x)
    y[i] = v
    return y


def _added_at(x, i, v):
    """The transpose of reading at i adds to the places read."""
    return x + mx.vjp(lambda y: y[i], [x], [v])[1][0]


def _np_set_at(x, i, v):
    y = np.array(x)
    y[i] = v
    return y


def _np_add_at(x, i, v):
    y = np.array(x)
    np.add.at(y, i, v)
    return y


def _np_put(x, i, v, axis):
    y = np.array(x)
    np.put_along_axis(y, i, v, axis)
    return y


PARTS = {
    "slice": [_read("int", 1), _read("negative int", (slice(None), -2)), _read("range", (slice(1, 3), slice(None, -1))),
              _read("step", slice(None, None, 2)), _read("backwards", (slice(None, None, -1), slice(4, 0, -2))),
              _read("empty", slice(2, 2)), _read("none and ellipsis", (None, Ellipsis, slice(0, 2))),
              _read("generic", (slice(0, 1),), any_shape=True)],
    "slice_update": [_write("int", 1, (5, 3)), _write("broadcast value", (slice(1, 3), slice(None, None, 2)), (3,)),
                     _write("backwards", slice(None, None, -1), (4, 5, 3)), _write("scalar", (Ellipsis, 0), ()),
                     _write("all", slice(None), (4, 5, 3))],
    "gather": [row("rows", D, Index((3,), -4, 4), call=_mx_indexed, ref=_mx_indexed),
               row("matrix of rows", D, Index((2, 2), 0, 4), call=_mx_indexed, ref=_mx_indexed),
               row("two indices", D, Index((3,), 0, 4), Index((2, 1), 0, 5), call=lambda x, i, j: x[i, j],
                   ref=lambda x, i, j: x[i, j]),
               row("slice between", D, Index((2,), 0, 4), Index((2,), 0, 3), call=lambda x, i, j: x[i, :, j],
                   ref=lambda x, i, j: x[i, :, j]),
               row("uint8 index", D, Index((2,), 0, 5, name="uint8"), call=lambda x, i: x[1:3, i], ref=lambda x, i: x[1:3, i])],
    "scatter": [row("rows", D, Index((3,), 0, 4, unique=True), Real((3, 5, 3)), call=_set_at, ref=_np_set_at),
                row("broadcast value", D, Index((3,), 0, 4, unique=True), Real((3,)), call=_set_at, ref=_np_set_at),
                row("duplicates", Real((4,)), Index((9,), 0, 4), Real((9,)), call=_set_at, ref=_np_set_at)],
    "scatter_add": [row("rows", D, Index((6,), 0, 4), Real((6, 5, 3)), call=_added_at, ref=_np_add_at, dtypes=INEXACT, ulp=4,
                        magnitude=lambda x, i, v: 12 + 0 * np.abs(x)),
                    row("two indices", D, Index((6,), 0, 4), Index((6,), 0, 5), Real((6, 3)), dtypes=INEXACT, ulp=4,
                        call=lambda x, i, j, v: _added_at(x, (i, j), v), ref=lambda x, i, j, v: _np_add_at(x, (i, j), v),
                        magnitude=lambda x, i, j, v: 12 + 0 * np.abs(x))],
    "take": [row("axis=1", D, Index((3,), 0, 5), call=lambda x, i: mx.take(x, i, axis=1), ref=lambda x, i: x[:, i]),
             row("flat", D, Index((2, 2), 0, 60), call=lambda x, i: mx.take(x, i), ref=lambda x, i: x.ravel()[i]),
             row("int", D, call=lambda x: mx.take(x, 2, axis=-1), ref=lambda x: x[..., 2])],
    "take_along_axis": [row("axis=1", D, Index((4, 2, 3), 0, 5), call=lambda x, i: mx.take_along_axis(x, i, axis=1),
                            ref=lambda x, i: np.take_along_axis(x, i, 1)),
                        row("broadcast", D, Index((1, 2, 1), 0, 5), call=lambda x, i: mx.take_along_axis(x, i, axis=1),
                            ref=lambda x, i: np.take_along_axis(x, np.broadcast_to(i, (4, 2, 3)), 1))],
    "put_along_axis": [row("axis=-1", Real((2, 5)), Index((2, 3), 0, 5, unique=True), Real((2, 3)),
                           call=lambda x, i, v: mx.put_along_axis(x, i, v, axis=-1),
                           ref=lambda x, i, v: _np_put(x, i, v, -1))],
}

# --- reductions ---

# How a reduction is called: (label, axis, keepdims).
FORMS = [("", None, False), ("axis=0", 0, False), ("axis=-1 keepdims", -1, True), ("axes=(0,2)", (0, 2), False),
         ("keepdims", None, True)]
SIZES = [(1025,), (1, 7), (17, 33), (33, 17), (3, 1024)]


def _widened(dtype):
    """sum and prod of narrow integers are 32 bits wide."""
    return {"bool_": "int32", "uint8": "uint32", "uint16": "uint32", "int8": "int32", "int16": "int32"}.get(dtype, dtype)


def _as_widened(x):
    return x.astype(_widened(x.dtype.name if x.dtype != bool else "bool_")) if x.dtype.kind in "biu" else x


def _reduce(call, ref, arg=Real, forms=FORMS, sizes=SIZES, low=-3, high=3, magnitude=None, ulp=0.0, **facts):
    found = []
    for label, axis, keepdims in forms:
        found.append(row(
            label, arg((2, 3, 4), low, high), call=lambda x, a=axis, k=keepdims: call(x, axis=a, keepdims=k),
            ref=lambda x, a=axis, k=keepdims: ref(x, axis=a, keepdims=k), ulp=ulp,
            magnitude=magnitude and (lambda x, a=axis, k=keepdims: magnitude(x, axis=a, keepdims=k)),
            any_shape=axis in (0, None) and not keepdims, **facts))
    for shape in sizes:
        for axis in range(len(shape)):
            found.append(row(
                f"{'x'.join(map(str, shape))} axis={axis}", arg(shape, low, high),
                call=lambda x, a=axis: call(x, axis=a, keepdims=False), ref=lambda x, a=axis: ref(x, axis=a, keepdims=False),
                magnitude=magnitude and (lambda x, a=axis: magnitude(x, axis=a, keepdims=False)), ulp=4 * ulp,
                smooth=False, **facts))
    return found


def _sum_of_sizes(x, axis, keepdims):
    return np.sum(np.abs(x), axis=axis, keepdims=keepdims)


def _softmax(x, axis):
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _logsumexp(x, axis, keepdims):
    top = x.real.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    if keepdims:
        return total
    return total.squeeze() if axis is None else total.squeeze(axis)


def _var(x, axis, keepdims, ddof=0):
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _mean_square(x, axis, keepdims):
    return np.mean(np.abs(x) ** 2, axis=axis, keepdims=keepdims)


def _inexact(ref):
    """Integers in float64 first."""
    return lambda x, **k: ref(x.astype(np.float64) if x.dtype.kind in "biu" else x, **k)


INDEX_FORMS = FORMS[:3]
_widen = dict(result=_widened)
_index = dict(result=lambda dtype: "int32")
REDUCTIONS = {
    "sum": _reduce(mx.sum, lambda x, **k: np.sum(_as_widened(x), **k, dtype=_as_widened(x).dtype),
                   magnitude=_sum_of_sizes, ulp=4, **_widen)
    + [row("dtype", C, call=lambda x: mx.sum(x, axis=1, dtype=mx.int8), ref=lambda x: np.sum(x, 1, dtype=np.int64).astype(np.int8),
           dtypes=BOOL + INTEGERS, result=lambda d: "int8"),
       row("no axes", X, call=lambda x: mx.sum(x, axis=()), ref=lambda x: _as_widened(x), **_widen),
       row("empty", Real((0, 3)), call=lambda x: mx.sum(x, axis=0), ref=lambda x: np.sum(_as_widened(x), 0), **_widen)],
    "prod": _reduce(mx.prod, lambda x, **k: np.prod(_as_widened(x), **k, dtype=_as_widened(x).dtype), low=0.5, high=1.5, ulp=16,
                    **_widen)
    + [row("dtype", Real((2, 3), 0.5, 1.5), call=lambda x: mx.prod(x, axis=1, dtype=mx.float64), ref=lambda x: np.prod(x, 1, dtype=np.float64),
           dtypes=BOOL + INTEGERS + FLOATS, ulp=4, result=lambda d: "float64"),
       row("one zero", Real((3,)), call=lambda x: mx.prod(mx.concatenate([x, x[:1] * 0])), ref=lambda x: np.prod(x) * 0,
           dtypes=("float32", "float64"))],
    "max": _reduce(mx.max, np.max, arg=Distinct, **{}),
    "min": _reduce(mx.min, np.min, arg=Distinct, **{}),
    "all": _reduce(mx.all, np.all), "any": _reduce(mx.any, np.any),
    "mean": _reduce(mx.mean, _inexact(np.mean), ulp=4, magnitude=_inexact(lambda x, **k: np.mean(np.abs(x), **k)),
                    dtypes=arrays.ALL, result=lambda d: d if d in INEXACT else "float32"),
    "var": _reduce(mx.var, _inexact(_var), ulp=6, magnitude=_inexact(_mean_square), dtypes=BOOL + INTEGERS + FLOATS,
                   result=lambda d: d if d in INEXACT else "float32")
    + [row("ddof=1", C, call=lambda x: mx.var(x, axis=1, ddof=1), ref=lambda x: np.var(x, axis=1, ddof=1), dtypes=FLOATS,
           ulp=12, magnitude=lambda x: np.mean(np.abs(x) ** 2, 1)),
       row("correction=0.5", C, call=lambda x: mx.var(x, axis=1, correction=0.5), ref=lambda x: np.var(x, axis=1, ddof=0.5), dtypes=FLOATS,
           ulp=12, magnitude=lambda x: np.mean(np.abs(x) ** 2, 1))],
    "std": _reduce(mx.std, _inexact(lambda x, **k: np.sqrt(_var(x, **k))), ulp=8,
                   magnitude=_inexact(lambda x, **k: _mean_square(x, **k) / (np.sqrt(_var(x, **k)) + 1e-30)),
                   dtypes=FLOATS),
    "logsumexp": _reduce(mx.logsumexp, _inexact(_logsumexp), ulp=6,
                         magnitude=_inexact(lambda x, **k: 3 + np.abs(_logsumexp(x, **k))),
                         dtypes=BOOL + INTEGERS + FLOATS, result=lambda d: d if d in INEXACT else "float32"),
    "softmax": [row(f"axis={axis}", C, call=lambda x, a=axis: mx.softmax(x, axis=a), ref=lambda x, a=axis: _softmax(x, a), ulp=8,
                    dtypes=FLOATS, any_shape=axis == -1) for axis in (-1, 0, (1, 2))]
    + [row("precise", C, call=lambda x: mx.softmax(x, axis=-1, precise=True), ref=lambda x: _softmax(x, -1), ulp=4, dtypes=FLOATS),
       row("1025", Real((2, 1025)), call=lambda x: mx.softmax(x, axis=-1), ref=lambda x: _softmax(x, -1), ulp=12, dtypes=FLOATS,
           smooth=False)],
    "argmin": _reduce(mx.argmin, np.argmin, arg=Distinct, forms=INDEX_FORMS, **_index),
    "argmax": _reduce(mx.argmax, np.argmax, arg=Distinct, forms=INDEX_FORMS, **_index),
}

# --- sorting ---

SORTING = {
    "sort": [row(f"axis={a}", Distinct((4, 5)), call=lambda x, a=a: mx.sort(x, axis=a), ref=lambda x, a=a: np.sort(x, axis=a),
                 any_shape=a == -1) for a in (-1, 0, None)]
    + [row("1025", Distinct((2, 1025)), ref=lambda x: np.sort(x, -1), dtypes=("int16", "int32", "float32", "float64"),
           smooth=False)],
    "argsort": [row(f"axis={a}", Real((4, 5)), call=lambda x, a=a: mx.argsort(x, axis=a),
                    ref=lambda x, a=a: np.argsort(x, axis=a, kind="stable"), **_index) for a in (-1, 0, None)],
}

# --- products ---


def _product_size(*operands):
    return functools.reduce(np.matmul, [np.abs(o) for o in operands])


def _matmul(label, a, b, **facts):
    return row(label, Real(a), Real(b), ref=np.matmul, ulp=4, magnitude=_product_size, dtypes=INEXACT, **facts)


PRODUCTS = {
    "matmul": [_matmul("", (2, 3), (3, 4)), _matmul("batch", (5, 2, 3), (3, 4)), _matmul("broadcast", (2, 1, 2, 3), (4, 3, 2)),
               _matmul("vectors", (3,), (3,)), _matmul("row", (3,), (3, 4)), _matmul("column", (2, 3), (3,)),
               _matmul("empty inner", (2, 0), (0, 3)), _matmul("33", (33, 65), (65, 17), smooth=False),
               row("transposed", Real((3, 2)), Real((4, 3)), call=lambda a, b: a.T @ b.T, ref=lambda a, b: a.T @ b.T,
                   ulp=4, magnitude=lambda a, b: np.abs(a.T) @ np.abs(b.T), dtypes=INEXACT),
               row("itself", Real((3, 3)), call=lambda a: a @ a, ref=lambda a: a @ a, ulp=4,
                   magnitude=lambda a: np.abs(a) @ np.abs(a), dtypes=INEXACT),
               row("integers", Real((2, 3)), Real((3, 4)), ref=np.matmul, dtypes=BOOL + INTEGERS)],
    "addmm": [row("", Real((4,)), Real((2, 3)), Real((3, 4)), ref=lambda c, a, b: c + a @ b, ulp=4, dtypes=INEXACT,
                  magnitude=lambda c, a, b: np.abs(c) + np.abs(a) @ np.abs(b)),
              row("alpha beta", Real((2, 4)), Real((2, 3)), Real((3, 4)), dtypes=INEXACT, ulp=6,
                  call=lambda c, a, b: mx.addmm(c, a, b, alpha=0.5, beta=3.0), ref=lambda c, a, b: 3 * c + 0.5 * (a @ b),
                  magnitude=lambda c, a, b: 3 * np.abs(c) + np.abs(a) @ np.abs(b))],
}

# --- random: values are compared in test_random.py; here they pass through the transforms ---

R = mx.random
RANDOM = {
    "random.key": [row("", call=lambda: R.key(7), ref=lambda: np.array([0, 7], np.uint32), dtypes=("uint32",))],
    "random.seed": [row("", call=lambda: R.seed(3) or R.uniform(shape=(2,)), dtypes=("float32",))],
    "random.split": [row("", Key(), call=lambda k: R.split(k, 3), dtypes=("uint32",))],
    "random.bits": [row("", Key(), call=lambda k: R.bits((2, 3), key=k), dtypes=("uint32",)),
                    row("width=1", Key(), call=lambda k: R.bits((5,), 1, key=k), dtypes=("uint8",))],
    "random.uniform": [row("", Real((3,), -2, -1), Real((2, 1), 1, 2), Key(), dtypes=FLOATS,
                           call=lambda a, b, k: R.uniform(a, b, (2, 3), a.dtype, k))],
    "random.normal": [row("", Real((3,)), Real((2, 1)), Key(), dtypes=FLOATS + ("complex64",),
                          call=lambda m, s, k: R.normal((2, 3), m.dtype, m, s, k))],
    "random.randint": [row("", Index((3,), -5, 0), Key(), dtypes=("int32",), call=lambda a, k: R.randint(a, 9, (2, 3), key=k))],
    "random.bernoulli": [row("", Real((3,), 0.0, 1.0), Key(), call=lambda p, k: R.bernoulli(p, (2, 3), k), dtypes=FLOATS)],
    "random.permutation": [row("axis=1", Real((2, 5)), Key(), call=lambda x, k: R.permutation(x, 1, k)),
                           row("int", Key(), call=lambda k: R.permutation(6, key=k), dtypes=("uint32",))],
    "random.categorical": [row("", Real((3, 4)), Key(), call=lambda x, k: R.categorical(x, key=k), dtypes=FLOATS),
                           row("num_samples", Real((3, 4)), Key(), dtypes=FLOATS,
                               call=lambda x, k: R.categorical(x, 0, num_samples=5, key=k)),
                           row("shape", Real((1, 4)), Key(), call=lambda x, k: R.categorical(x, -1, (2, 3), key=k), dtypes=FLOATS)],
}
