"""Products of float32 and 16-bit floats over drawn shapes, on tiles where the CPU has them: close to sums in float64, and of the same bits
however the operands lie in memory."""

import random

import numpy as np
import pytest

import mlx.core as mx


def bits(x):
    return np.array(x.view(mx.uint32 if x.dtype == mx.float32 else mx.uint16))


def laid_out(x, kind):
    if kind == "transposed":
        return mx.swapaxes(mx.contiguous(mx.swapaxes(x, -1, -2)), -1, -2)
    if kind == "strided":
        return mx.repeat(x, 2, axis=-1)[..., ::2]
    if kind == "between":
        return mx.pad(x, [(0, 0)] * (x.ndim - 1) + [(3, 4)])[..., 3:-4]
    return x


@pytest.mark.parametrize("dtype, rounding", [("float32", 2.0**-24), ("bfloat16", 2.0**-8), ("float16", 2.0**-11)])
@pytest.mark.parametrize("seed", range(24))
def test_drawn_products(seed, dtype, rounding):
    draw = random.Random(seed)
    batch, m, n = draw.choice([1, 1, 3]), *(draw.choice([2, 3, 4, 16, 17, 31, 33, 48, 100, 290, 550]) for _ in range(2))
    k = draw.choice([32, 33, 63, 100, 512, 513, 600, 1100])
    if dtype == "float32" and seed % 2:  # of which only large ones are done on tiles
        m, n, k = m + 410, n + 410, k + 390
    generator = np.random.default_rng(seed)
    a, b = (mx.array(generator.normal(size=s).astype(np.float32)).astype(getattr(mx, dtype)) for s in ((batch, m, k), (batch, k, n)))
    product = a @ b
    left, right = (np.array(x.astype(mx.float32)).astype(np.float64) for x in (a, b))
    wanted, sizes = left @ right, np.abs(left) @ np.abs(right)
    error = np.abs(np.array(product.astype(mx.float32)) - wanted)
    assert np.all(error <= np.abs(wanted) * rounding + sizes * 2.0**-23 * k**0.5), (batch, m, n, k)
    layouts = ["plain", "transposed", "strided", "between"]
    for of_a in layouts:
        for of_b in layouts:
            other = laid_out(a, of_a) @ laid_out(b, of_b)
            assert np.array_equal(bits(other), bits(product)), (batch, m, n, k, of_a, of_b)


def test_float16_sums_as_float32_does():
    """Terms that cancel: what is left of them is as good as what sums in float32 leave."""
    generator = np.random.default_rng(1)
    a, b = (generator.normal(size=(256, 256)).astype(np.float16).astype(np.float64) for _ in range(2))
    left, right = np.hstack([a, a]), np.vstack([b, -b])
    left[:, 256:] = np.nextafter(left[:, 256:].astype(np.float16), np.float16(9)).astype(np.float64)
    wanted = left @ right
    got = np.array(mx.array(left.astype(np.float16)) @ mx.array(right.astype(np.float16))).astype(np.float64)
    assert np.abs(wanted).max() < 0.05
    assert np.all(np.abs(got - wanted) <= np.abs(wanted) * 2.0**-11 + (np.abs(left) @ np.abs(right)) * 2.0**-24 * 512**0.5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("batched", [False, True])
def test_bits_of_an_element_are_its_rows_and_columns(dtype, batched):
    """Rows cut off, batches taken apart, infinities elsewhere, and a compiled function change none."""
    generator = np.random.default_rng(2)
    a, b = (mx.array(generator.normal(size=s).astype(np.float32)).astype(getattr(mx, dtype)) for s in ((2, 400, 600), (2, 600, 390)))
    if not batched:
        b = b[0]
    product = a @ b
    for i in range(2):
        assert np.array_equal(bits(product[i]), bits(a[i] @ (b[i] if batched else b)))
    assert np.array_equal(bits(product[:, 11:391]), bits(a[:, 11:391] @ b))
    assert np.array_equal(bits(product), bits(mx.compile(lambda x, y: x @ y)(a, b)))
    a[1, 5, 7] = float("inf")
    odd = a @ b
    with np.errstate(invalid="ignore"):
        expected = np.array(a[1, 5].astype(mx.float32)) @ np.array((b[1] if batched else b).astype(mx.float32))
    assert not np.isfinite(expected).any()
    np.testing.assert_array_equal(np.array(odd[1, 5].astype(mx.float32)), expected)
    others = np.ones((2, 400), bool)
    others[1, 5] = False
    assert np.array_equal(bits(odd)[others], bits(product)[others])
