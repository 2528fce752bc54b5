"""Reductions of a middle axis, where rows follow one another: what is reduced a level of the tree at a time, together with other results', has
the bits of what lies otherwise in memory, and those of its steps."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, check_at_once

ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130, 200, 256]
COLUMNS = [1, 2, 3, 4, 5, 8, 11, 16, 17, 24, 30, 32, 33, 64, 100, 256]
DTYPES = ["float32", "float64", "float16", "bfloat16", "complex64", "int32", "int8", "uint64", "bool"]
OPS = [mx.sum, mx.max, mx.min, mx.prod, mx.all, mx.any]


def drawn(rng):
    while True:
        rows, columns = int(rng.choice(ROWS)), int(rng.choice(COLUMNS))
        if rows * columns <= 5000:
            break
    outer = int(rng.integers(1, max(2, 20000 // (rows * columns))))
    dtype = getattr(mx, str(rng.choice(DTYPES)))
    x = mx.array(rng.standard_normal((outer, rows, columns)) * 3)
    if dtype == mx.bool_:
        return x > 1
    if rng.random() < 0.2 and dtype.size > 1:
        x = mx.where(mx.array(rng.random(x.shape) < 0.002), mx.array(float("nan")), x) if mx.issubdtype(dtype, mx.floating) else x
    return x.astype(dtype)


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("seed", range(300))
def test_bits_are_those_of_another_layout(seed):
    rng = np.random.default_rng(seed)
    x = drawn(rng)
    op = OPS[rng.integers(len(OPS))]
    across = mx.contiguous(x.swapaxes(1, 2)).swapaxes(1, 2)  # each result's elements side by side
    apart = mx.repeat(x, 2, axis=2)[:, :, ::2]
    want = bits(op(across, axis=1))
    assert bits(op(x, axis=1)) == want
    assert bits(op(apart, axis=1)) == want
    assert bits(op(x[::-1], axis=1)[::-1]) == want


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("seed", range(300))
def test_fused_bits_are_those_of_the_steps(seed):
    rng = np.random.default_rng([seed, 1])
    x = drawn(rng)
    if x.dtype == mx.bool_:
        x = x.astype(mx.float32)
    row = x[:1, :, :1] + 1
    op, other = (OPS[i] for i in rng.choice(4, size=2))

    def at_once(x, row):
        y = x * row
        return [op(y, axis=1), other(y, axis=1), y]

    def by_steps(x, row):
        y = x * row
        mx.eval(y)
        return [op(y, axis=1), other(y, axis=1), y]

    check_at_once(by_steps, at_once, [x, row], 1)
    check_at_once(lambda x, row: by_steps(x, row)[:1], lambda x, row: at_once(x, row)[:1], [x, row], 1)
