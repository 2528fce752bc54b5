"""Products of bfloat16 over drawn shapes, on tiles where the CPU has them: close to sums in float64, and of the same bits
however the operands lie in memory."""

import random

import numpy as np
import pytest

import mlx.core as mx


def laid_out(x, kind):
    if kind == "transposed":
        return mx.swapaxes(mx.contiguous(mx.swapaxes(x, -1, -2)), -1, -2)
    if kind == "strided":
        return mx.repeat(x, 2, axis=-1)[..., ::2]
    if kind == "between":
        return mx.pad(x, [(0, 0)] * (x.ndim - 1) + [(3, 4)])[..., 3:-4]
    return x


@pytest.mark.parametrize("seed", range(12))
def test_drawn_products(seed):
    draw = random.Random(seed)
    batch, m, n = draw.choice([1, 1, 3]), *(draw.choice([4, 16, 17, 31, 33, 48, 100, 290, 550]) for _ in range(2))
    k = draw.choice([32, 33, 63, 100, 512, 513, 600, 1100])
    generator = np.random.default_rng(seed)
    a, b = (mx.array(generator.normal(size=s).astype(np.float32)).astype(mx.bfloat16) for s in ((batch, m, k), (batch, k, n)))
    product = a @ b
    left, right = (np.array(x.astype(mx.float32)).astype(np.float64) for x in (a, b))
    wanted, sizes = left @ right, np.abs(left) @ np.abs(right)
    error = np.abs(np.array(product.astype(mx.float32)) - wanted)
    assert np.all(error <= np.abs(wanted) * 2.0**-8 + sizes * 2.0**-23 * k**0.5), (batch, m, n, k)
    layouts = ["plain", "transposed", "strided", "between"]
    for of_a in layouts:
        for of_b in layouts:
            other = laid_out(a, of_a) @ laid_out(b, of_b)
            assert mx.array_equal(other.view(mx.uint16), product.view(mx.uint16)), (batch, m, n, k, of_a, of_b)
