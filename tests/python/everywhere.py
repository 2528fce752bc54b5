"""One elementwise or indexed computation in every surrounding where its answer must be the same: lengths around the vector
widths, memory layouts, eager, compiled and under vmap."""

import mlx.core as mx
import numpy as np

import arrays

LENGTHS = (1, 2, 3, 8, 17, 67)


def _gapped(x):
    return mx.stack([x, x[::-1]], axis=1)[:, 0]


def _reversed(x):
    return mx.contiguous(x[::-1])[::-1]


def _inside(x):
    return mx.concatenate([x[:1], x, x[:1]])[1:-1]


LAYOUTS = {"contiguous": lambda x: x, "gapped": _gapped, "reversed": _reversed, "inside": _inside}


def tiled(values, length):
    values = np.asarray(values)
    return np.tile(values, -(-length // len(values)))[:length]


def same(got, wanted, where):
    """Equal values, NaN where NaN; and the signs of zeros."""
    got = arrays.to_np(got)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape, f"{where}: {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}"
    np.testing.assert_array_equal(got, wanted, err_msg=where)
    if got.dtype.kind == "f":
        zero = wanted == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]), err_msg=where)


def check(f, operands, wanted, names, lengths=LENGTHS):
    """f of arrays of these dtypes and values gives `wanted`, element by element."""
    for length in lengths:
        out = tiled(wanted, length)
        made = [arrays.to_mx(tiled(v, length), name) for v, name in zip(operands, names, strict=True)]
        for layout, laid_out in LAYOUTS.items():
            x = [laid_out(a) for a in made]
            where = f"{names} length {length} {layout}"
            same(f(*x), out, where + " eager")
            same(mx.compile(f)(*x), out, where + " compiled")
            lanes = mx.vmap(f)(*[mx.stack([a, a[::-1]], axis=0) for a in x])
            same(lanes[0], out, where + " vmap")
            same(lanes[1], out[::-1], where + " vmap")
        if length == 1:
            same(f(*[a[0] for a in made]), out[0], f"{names} without axes")
            wide = [mx.broadcast_to(a, (3, 5)) for a in made]
            same(f(*wide), np.full((3, 5), out[0]), f"{names} broadcast")
