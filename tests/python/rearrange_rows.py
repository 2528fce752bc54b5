"""Samples of padding, repetition, order, diagonals, grids, windows, products over axes, einsum, and the distributions drawn by
inversion: see sample_rows.py."""

import mlx.core as mx
import numpy as np

from arrays import INEXACT
from samples import Key, Real
from sample_rows import _as_widened, _widened, row

C, D, V = Real((2, 3, 4)), Real((3, 4)), Real((4,))


def _both(label, arg, call, **facts):
    """A call that reads the same in MLX and NumPy: call(module, x)."""
    return row(label, arg, call=lambda x: call(mx, x), ref=lambda x: call(np, x), **facts)


# --- padding ---

def _pad(label, arg, width, mode="constant", **facts):
    return row(f"{mode} {label}".strip(), arg, call=lambda x: mx.pad(x, width, mode=mode),
               ref=lambda x: np.pad(x, width, mode=mode), **facts)


PADDING = {
    "pad": [_pad("all", D, 1, any_shape=True), _pad("pair", D, (2, 0)), _pad("each", C, [(0, 1), (2, 0), (1, 1)]),
            row("value", D, Real(()), call=lambda x, v: mx.pad(x, [(0, 2), (1, 0)], constant_values=v),
                ref=lambda x, v: np.pad(x, [(0, 2), (1, 0)], constant_values=v)),
            row("value of one element", V, Real((1,)), call=lambda x, v: mx.pad(x, (1, 2), "constant", v),
                ref=lambda x, v: np.pad(x, (1, 2), constant_values=v[0])),
            row("value alone", Real((1,)), call=lambda v: mx.pad(mx.zeros((0,), v.dtype), 2, constant_values=v),
                ref=lambda v: np.repeat(v, 4)),
            *[_pad(label, D, width, mode) for mode in ("edge", "reflect", "symmetric")
              for label, width in (("", 2), ("each", [(0, 1), (3, 2)]), ("often", [(7, 0), (5, 11)]))],
            _pad("one element", Real((1, 2)), (2, 3), "reflect")],
}

# --- repetition and order ---


def _roll(label, shift, axis):
    return _both(label, C, lambda m, x: m.roll(x, shift, axis))


REARRANGING = {
    "tile": [_both("2", D, lambda m, x: m.tile(x, 2), any_shape=True), _both("(2,1)", D, lambda m, x: m.tile(x, (2, 1))),
             _both("more reps", V, lambda m, x: m.tile(x, (3, 1, 2))), _both("none", D, lambda m, x: m.tile(x, (2, 0))),
             _both("scalar", Real(()), lambda m, x: m.tile(x, (2, 2)))],
    "repeat": [_both("flat", D, lambda m, x: m.repeat(x, 2), any_shape=True), _both("axis=0", D, lambda m, x: m.repeat(x, 3, axis=0)),
               _both("axis=-1", D, lambda m, x: m.repeat(x, 2, axis=-1)), _both("none", D, lambda m, x: m.repeat(x, 0, axis=1)),
               _both("once", D, lambda m, x: m.repeat(x, 1, axis=1)),
               _both("counts", C, lambda m, x: m.repeat(x, [2, 0, 1], axis=1)), _both("one count", D, lambda m, x: m.repeat(x, [2], axis=0))],
    "roll": [_both("flat", D, lambda m, x: m.roll(x, 5), any_shape=True), _roll("axis=1", 1, 1), _roll("backwards", -2, -1),
             _roll("around", 7, 0), _roll("axes", (1, -1), (0, 2)), _roll("one shift", 1, (1, 2)), _roll("twice", (1, 1), (1, 1)),
             _roll("nowhere", 6, 1)],
    "flip": [_both("all", C, lambda m, x: m.flip(x), any_shape=True), _both("axis=1", C, lambda m, x: m.flip(x, 1)),
             _both("(0,-1)", C, lambda m, x: m.flip(x, (0, -1)))],
    "diagonal": [_both("", D, lambda m, x: m.diagonal(x)), _both("1 of (1,2)", C, lambda m, x: m.diagonal(x, 1, 1, 2)),
                 _both("-1 of (2,0)", C, lambda m, x: m.diagonal(x, -1, 2, 0)), _both("outside", D, lambda m, x: m.diagonal(x, 9)),
                 row("method", D, call=lambda x: x.diagonal(-2), ref=lambda x: x.diagonal(-2))],
    "diag": [_both("read", D, lambda m, x: m.diag(x)), _both("read k=2", D, lambda m, x: m.diag(x, 2)),
             _both("write", V, lambda m, x: m.diag(x)), _both("write k=2", V, lambda m, x: m.diag(x, 2)),
             _both("write k=-1", V, lambda m, x: m.diag(x, k=-1)), _both("write none", Real((0,)), lambda m, x: m.diag(x, 1))],
    "trace": [row("", D, ref=lambda x: np.trace(_as_widened(x), dtype=_as_widened(x).dtype), ulp=4, result=_widened,
                  magnitude=lambda x: np.trace(np.abs(x))),
              row("-1 of (2,0)", C, call=lambda x: mx.trace(x, -1, 2, 0), ulp=4, result=_widened,
                  ref=lambda x: np.trace(_as_widened(x), -1, 2, 0, dtype=_as_widened(x).dtype),
                  magnitude=lambda x: np.trace(np.abs(x), -1, 2, 0)),
              row("dtype", Real((3, 3), 0, 9), call=lambda x: mx.trace(x, dtype=mx.int8), ref=lambda x: np.trace(x).astype(np.int8),
                  dtypes=("int8", "int32", "uint8"), result=lambda d: "int8")],
    "meshgrid": [row("xy", Real((2,)), Real((3,)), Real((2,)), ref=lambda *a: list(np.meshgrid(*a))),
                 row("ij", Real((2,)), Real((3,)), call=lambda *a: mx.meshgrid(*a, indexing="ij"),
                     ref=lambda *a: list(np.meshgrid(*a, indexing="ij"))),
                 row("sparse", Real((2,)), Real((3,)), call=lambda *a: mx.meshgrid(*a, sparse=True),
                     ref=lambda *a: list(np.meshgrid(*a, sparse=True)))],
    **{f"atleast_{n}d": [row(f"{len(shape)}", Real(shape), ref=getattr(np, f"atleast_{n}d")) for shape in
                         ((), (3,), (2, 3), (2, 2, 3))] +
       [row("several", Real(()), Real((2, 3)), ref=lambda *a, n=n: list(getattr(np, f"atleast_{n}d")(*a)))] for n in (1, 2, 3)},
}

# --- windows ---


def _window(name):
    # NumPy computes in float64 from cosines: its values are off by what float64 rounds, and not symmetric.
    return [row(f"M={m}", call=lambda m=m: getattr(mx, name)(m), ref=lambda m=m: getattr(np, name)(m), dtypes=("float32",),
                ulp=1, magnitude=lambda m=m: np.maximum(getattr(np, name)(m), 1e-6)) for m in (-1, 0, 1, 2, 5, 8, 1001)]


WINDOWS = {name: _window(name) for name in ("bartlett", "hanning", "hamming", "blackman")}

# --- products ---


def _product(label, *args, call, magnitude=None, **facts):
    """call(module, *arrays); integers are summed in 32 bits."""
    return row(label, *args, call=lambda *a: call(mx, *a), ref=lambda *a: call(np, *[_as_widened(x) for x in a]),
               magnitude=lambda *a: (magnitude or call)(np, *[np.abs(x) for x in a]), ulp=4, result=_widened, **facts)


def _kept_product(label, *args, call, **facts):
    """As _product, but integers keep their dtype and wrap around; bools are counted."""
    def ref(*a):
        exact = call(np, *[_as_widened(x) for x in a])
        return exact if a[0].dtype == bool else np.asarray(exact).astype(a[0].dtype)
    return row(label, *args, call=lambda *a: call(mx, *a), ref=ref, magnitude=lambda *a: call(np, *[np.abs(x) for x in a]), ulp=4,
               result=lambda d: "int32" if d == "bool_" else d, **facts)


def _outer_product(label, *args, call, **facts):
    return row(label, *args, call=lambda *a: call(mx, *a), ref=lambda *a: call(np, *a), ulp=1, **facts)


def _vecdot(label, a, b, axis=-1):
    def ref(a, b):
        kept = a.dtype
        a, b = (np.moveaxis(_as_widened(x), axis, -1) for x in (a, b))
        sums = (np.conj(a) * b).sum(-1, dtype=a.dtype)
        return sums if kept == np.dtype(bool) else sums.astype(kept)
    return row(label, Real(a), Real(b), call=lambda a, b: mx.vecdot(a, b, axis=axis), ref=ref, ulp=4,
               result=lambda d: "int32" if d == "bool_" else d,
               magnitude=lambda a, b: ref(np.abs(a), np.abs(b)))


def _einsum(text, *shapes, label=None, **facts):
    return _product(label or text, *[Real(s) for s in shapes], call=lambda m, *a: m.einsum(text, *a), **facts)


def _moves(text, *shapes):
    return row(text, *[Real(s) for s in shapes], call=lambda *a: mx.einsum(text, *a), ref=lambda *a: np.einsum(text, *a), ulp=1)


PRODUCTS = {
    "dot": [_kept_product("vectors", V, V, call=lambda m, a, b: m.dot(a, b)), _kept_product("matrices", D, Real((4, 2)), call=lambda m, a, b: m.dot(a, b)),
            _kept_product("ranks", C, Real((2, 4, 3)), call=lambda m, a, b: m.dot(a, b)), _kept_product("vector last", D, V, call=lambda m, a, b: m.dot(a, b)),
            row("scalar", D, Real(()), ref=np.multiply, ulp=1)],
    "inner": [_product("vectors", V, V, call=lambda m, a, b: m.inner(a, b)),
              _product("matrices", D, Real((2, 4)), call=lambda m, a, b: m.inner(a, b)),
              _product("ranks", C, V, call=lambda m, a, b: m.inner(a, b)),
              row("scalar", D, Real(()), ref=np.multiply, ulp=1)],
    "outer": [_outer_product("", V, Real((3,)), call=lambda m, a, b: m.outer(a, b)),
              _outer_product("matrices", Real((2, 2)), Real((3, 1)), call=lambda m, a, b: m.outer(a, b))],
    "vecdot": [_vecdot("", (3, 4), (3, 4)), _vecdot("broadcast", (2, 1, 4), (3, 4)), _vecdot("vector", (3, 4), (4,)),
               _vecdot("axis=0", (3, 4), (3, 4), 0), _vecdot("axis=-2", (2, 3, 4), (3, 1), -2)],
    "tensordot": [_kept_product("2", C, Real((3, 4, 2)), call=lambda m, a, b: m.tensordot(a, b)),
                  _kept_product("1", D, Real((4, 2)), call=lambda m, a, b: m.tensordot(a, b, 1)),
                  _kept_product("lists", C, Real((4, 2, 3)), call=lambda m, a, b: m.tensordot(a, b, [[0, -1], [1, 0]])),
                  _kept_product("ints", C, Real((5, 3)), call=lambda m, a, b: m.tensordot(a, b, (1, 1))),
                  _outer_product("0", Real((2,)), Real((2, 2)), call=lambda m, a, b: m.tensordot(a, b, 0))],
    "kron": [_outer_product("vectors", V, Real((2,)), call=lambda m, a, b: m.kron(a, b)),
             _outer_product("matrices", Real((2, 3)), Real((3, 2)), call=lambda m, a, b: m.kron(a, b)),
             _outer_product("ranks", Real((2,)), Real((2, 1, 2)), call=lambda m, a, b: m.kron(a, b)),
             _outer_product("scalar", Real(()), Real((2, 2)), call=lambda m, a, b: m.kron(a, b))],
    "einsum": [_einsum("ij,jk", (2, 3), (3, 4)), _einsum("ij,jk->ki", (2, 3), (3, 4)), _einsum("ii", (3, 3)), _einsum("ij->", (2, 3)),
               _einsum("ij->j", (2, 3)), _einsum("i,i", (4,), (4,)), _einsum("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
               _einsum("...i,...i->...", (2, 3, 4), (3, 4)), _einsum("ij...,jk->ik...", (2, 3, 4), (3, 2)),
               _einsum("...ij->...j", (2, 3, 4)), _einsum("iij,j", (3, 3, 2), (2,)), _einsum("ij,jk", (2, 1), (3, 4), label="length 1"),
               _einsum("abc,abd->dc", (2, 3, 2), (2, 3, 4)), _einsum("ab,cd->ad", (2, 3), (3, 2)),
               _einsum("ab,bc,cd->ad", (2, 3), (3, 2), (2, 3)), _einsum("ij,j,i", (2, 3), (3,), (2,)),
               _einsum("ab,ab,ab->a", (2, 3), (2, 3), (2, 3)), _einsum("bij,bjk,bkl->bil", (2, 2, 2), (2, 2, 2), (2, 2, 2), dtypes=INEXACT),
               _moves("ii->i", (3, 3)), _moves("ij->ji", (2, 3)), _moves("...ii->...i", (2, 3, 3)), _moves("i,j", (2,), (3,)),
               _moves("ij,j->ij", (2, 3), (3,)), _moves(",ij", (), (2, 3)), _moves("bA,aB->AaBb", (2, 3), (2, 2)),
               _moves("ijii->ji", (2, 3, 2, 2))],
}

# --- random: in float64, as other widths draw other bits from the same key ---

R = mx.random
DISTRIBUTIONS = {
    "random.gumbel": [row("", Key(), call=lambda k: R.gumbel((2, 3), key=k), dtypes=("float32",))],
    "random.laplace": [row("", Real((3,)), Real((2, 1)), Key(), dtypes=("float64",),
                           call=lambda m, s, k: R.laplace((2, 3), m.dtype, m, s, k))],
    "random.truncated_normal": [row("", Real((3,), -2, -1), Real((2, 1), 1, 2), Key(), dtypes=("float64",),
                                    call=lambda a, b, k: R.truncated_normal(a, b, None, a.dtype, k)),
                                row("shape", Real((), -2, -1), Real((3,), 1, 2), Key(), dtypes=("float64",),
                                    call=lambda a, b, k: R.truncated_normal(a, b, (2, 3), a.dtype, k))],
    "random.multivariate_normal": [row("", Real((3,)), Real((3, 3)), Key(), dtypes=("float64",),
                                       call=lambda m, b, k: R.multivariate_normal(m, b @ b.T + mx.eye(3), (2,), m.dtype, k)),
                                   row("batch", Real((2, 1, 2)), Real((2, 2)), Key(), dtypes=("float64",),
                                       call=lambda m, b, k: R.multivariate_normal(m, mx.stack([b @ b.T, 2 * mx.eye(2)]), (), m.dtype, k))],
}

ROWS = PADDING | REARRANGING | WINDOWS | PRODUCTS | DISTRIBUTIONS
