"""Running sums, products and extrema of many rows at once: the bits of each row by itself, for rows and columns of every number
about those of vectors, and about those after which sums begin anew."""

import itertools

import numpy as np
import pytest

import mlx.core as mx
from bits import bits

LENGTHS = [*range(1, 20), 31, 32, 33, 51, 52, 53, 63, 64, 65, 67, 68, 69, 100, 104, 105, 157, 300]
COUNTS = [4, 7, 8, 9, 15, 16, 17, 19, 20, 32, 37]


def drawn(rng, shape, name):
    if name.startswith("int"):
        return mx.array(rng.integers(-(2**31), 2**31, shape), dtype=getattr(mx, name))
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
    x[rng.random(shape) < 0.05] = -0.0
    for special in np.nan, np.inf, -np.inf:
        x[rng.random(shape) < 0.002] = special
    return mx.array(x, dtype=getattr(mx, name))


@pytest.mark.parametrize("name", ["float32", "float64", "int32", "int64", "float16", "int16", "complex64"])
@pytest.mark.parametrize("op", ["cumsum", "cumprod", "cummax", "cummin"])
def test_rows_have_the_bits_of_each_by_itself(op, name):
    rng = np.random.default_rng(11)
    scan = getattr(mx, op)
    for length in LENGTHS:
        for reverse, inclusive in itertools.product((False, True), repeat=2):
            count = int(rng.choice(COUNTS))
            x = drawn(rng, (2, count, length), name)
            alone = mx.stack([mx.stack([scan(row, reverse=reverse, inclusive=inclusive) for row in block]) for block in x])
            for way, got in {
                "rows": scan(x, axis=2, reverse=reverse, inclusive=inclusive),
                "columns": scan(x.swapaxes(1, 2), axis=1, reverse=reverse, inclusive=inclusive).swapaxes(1, 2),
                "cut from others": scan(mx.pad(x, [(0, 0), (0, 0), (3, 2)])[:, :, 3:-2], axis=2, reverse=reverse, inclusive=inclusive),
                "backwards": scan(x[:, :, ::-1], axis=2, reverse=not reverse, inclusive=inclusive)[:, :, ::-1],
            }.items():
                assert bits(got) == bits(alone), (way, count, length, reverse, inclusive)
