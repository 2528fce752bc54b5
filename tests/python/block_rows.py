"""Samples of the Hadamard transform and of products of blocks, chosen matrices and segments: see sample_rows.py."""

import functools

import mlx.core as mx
import numpy as np

from arrays import INEXACT
from samples import Index, Mask, Real
from sample_rows import row

TWO = np.array([[1, 1], [1, -1]])


def circulant(signs):
    first = np.array([1 if c == "+" else -1 for c in signs])
    return np.stack([np.roll(first, k) for k in range(len(first))])


def williamson(*signs):
    a, b, c, d = map(circulant, signs)
    return np.block([[a, b, c, d], [-b, a, -d, c], [-c, d, a, -b], [-d, -c, b, a]])


def of_12():
    q = np.array([[[0, 1, -1, -1, 1][(j - i) % 5] for j in range(5)] for i in range(5)])
    conference = np.block([[np.zeros((1, 1), int), np.ones((1, 5), int)], [np.ones((5, 1), int), q]])
    return np.kron(conference, TWO) + np.kron(np.eye(6, dtype=int), [[1, -1], [-1, -1]])


@functools.cache
def hadamard(n):
    for m, matrix in ((12, of_12), (20, lambda: williamson("+----", "+----", "++--+", "+-++-")),
                      (28, lambda: williamson("+------", "++----+", "+-+--+-", "+--++--")), (1, lambda: np.ones((1, 1), int))):
        if n % m == 0 and (n // m) & (n // m - 1) == 0:
            out = matrix()
            while len(out) < n:
                out = np.kron(out, TWO)
            return out
    raise ValueError(n)


def transformed(x, scale=None):
    n = x.shape[-1]
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    return (x @ hadamard(n).T) * (1 / np.sqrt(n) if scale is None else scale)


def _hadamard(label, shape, **args):
    def size(x):
        return np.broadcast_to(np.abs(x).sum(-1, keepdims=True) * (args.get("scale") or 1), x.shape)
    return row(label, Real(shape), call=lambda x: mx.hadamard_transform(x, **args), ref=lambda x: transformed(x, **args), ulp=4,
               magnitude=size, dtypes=INEXACT)


def spread(mask, size, shape):
    return np.repeat(np.repeat(mask, size, -2), size, -1)[..., :shape[0], :shape[1]]


def masked(a, b, size, out=None, lhs=None, rhs=None):
    a = a if lhs is None else a * spread(lhs, size, a.shape[-2:])
    b = b if rhs is None else b * spread(rhs, size, b.shape[-2:])
    y = a @ b
    return y if out is None else y * spread(out, size, y.shape[-2:])


def positive(f):
    return lambda *args: f(*(np.abs(x) if x.dtype.kind in "fc" else x for x in args))


def _product(label, *args, call, ref, **facts):
    return row(label, *args, call=call, ref=ref, magnitude=positive(ref), ulp=6, **{"dtypes": INEXACT} | facts)


def segmented(a, b, segments):
    y = np.zeros((*segments.shape[:-1], a.shape[0], b.shape[1]), np.result_type(a, b))
    for place in np.ndindex(segments.shape[:-1]):
        first, last = segments[place]
        y[place] = a[:, first:last] @ b[first:last]
    return y


A, B = Real((3, 5)), Real((5, 4))
ROWS = {
    "hadamard_transform": [_hadamard("4", (2, 4)), _hadamard("1", (3, 1)), _hadamard("12", (12,)), _hadamard("40", (2, 40)),
                           _hadamard("28", (28,), scale=0.5), _hadamard("scale", (2, 3, 2), scale=3.0), _hadamard("512", (512,))],
    "block_masked_mm": [
        _product("", A, B, call=lambda a, b: mx.block_masked_mm(a, b, 2), ref=lambda a, b: a @ b),
        _product("bools", A, B, Mask((2, 2)), Mask((2, 3)), Mask((3, 2)), call=lambda a, b, *m: mx.block_masked_mm(a, b, 2, *m),
                 ref=lambda a, b, *m: masked(a, b, 2, *m)),
        _product("factors", A, B, Real((1, 2)), Real((1, 2)), Real((2, 2)), call=lambda a, b, *m: mx.block_masked_mm(a, b, 3, *m),
                 ref=lambda a, b, *m: masked(a, b, 3, *m), dtypes=("float32", "float64", "complex64", "complex128")),
        _product("batch", Real((2, 3, 5)), B, Mask((2, 1, 1)), call=lambda a, b, m: mx.block_masked_mm(a, b, 4, m),
                 ref=lambda a, b, m: masked(a, b, 4, m))],
    "gather_mm": [
        _product("", Real((3, 2, 3)), Real((4, 3, 2)), Index((2,), 0, 3), Index((3, 1), 0, 4), call=mx.gather_mm,
                 ref=lambda a, b, i, j: a[i] @ b[j]),
        _product("rhs", Real((3, 1, 3)), Real((2, 2, 3, 2)), Index((3,), 0, 4), call=lambda a, b, j: mx.gather_mm(a, b, rhs_indices=j, sorted_indices=True),
                 ref=lambda a, b, j: a @ b.reshape(4, 3, 2)[j]),
        _product("lhs", Real((2, 3)), Real((2, 3, 2)), Index((2,), 0, 1), call=lambda a, b, i: mx.gather_mm(a, b, i), ref=lambda a, b, i: a[None][i] @ b)],
    "segmented_mm": [_product("", A, B, Index((4, 2), 0, 6), call=mx.segmented_mm, ref=segmented),
                     _product("one", A, B, Index((2,), 0, 6), call=mx.segmented_mm, ref=segmented)],
}
