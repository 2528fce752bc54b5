"""Products of a long matrix and few columns, and of few rows and columns with many terms, which run by kernels of their own: the bits are
those of wider products, whatever lies how in memory, and of products with vectors the same for any number of threads."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

FLOATS = [mx.float32, mx.float64, mx.bfloat16, mx.float16]
LONG, FEW, TERMS = [64, 65, 100, 127, 300, 1000, 4099], [1, 2, 3, 4, 5, 8, 11, 32], [1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 70, 257, 600]


def bits(x):
    return np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x).tobytes()


def laid_out(x, how):
    """The same numbers: row by row, column by column, as part of something larger, every other one, or backwards."""
    if how == "columns":
        return mx.contiguous(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    if how == "part":
        around = mx.full((*x.shape[:-2], x.shape[-2] + 3, x.shape[-1] + 2), float("nan"), dtype=x.dtype)
        around[..., 1:-2, 1:-1] = x
        return around[..., 1:-2, 1:-1]
    if how == "gaps":
        return mx.repeat(x, 2, axis=-1)[..., ::2]
    if how == "backwards":
        return mx.contiguous(x[..., ::-1])[..., ::-1]
    return x


def wider_product(a, b):
    """Of as many terms in the same order, with more columns; of 16-bit floats as float32, rounded once."""
    wide = mx.float32 if a.dtype.size == 2 else a.dtype
    more = mx.ones((*b.shape[:-1], 5), dtype=wide)
    return (a.astype(wide) @ mx.concatenate([b.astype(wide), more], axis=-1))[..., : b.shape[-1]].astype(a.dtype)


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("seed", range(400))
def test_bits_are_those_of_a_wider_product(seed):
    rng = np.random.default_rng(seed)
    long, few, k = (int(rng.choice(s)) for s in (LONG, FEW, TERMS))
    dtype, batch = FLOATS[rng.integers(4)], [(), (), (3,), (2, 2)][rng.integers(4)]
    adds_otherwise = dtype.size == 2 and k >= 16  # more columns on some processors, and few rows
    if adds_otherwise:
        few = min(few, 3)
    if few == 1:
        k = min(k, 16)  # of more terms it is a product with a vector
    scale = rng.choice([1, 1, 1e-20, 1e-39], (*batch, long, k)) if rng.random() < 0.3 else 1
    a = mx.array(rng.standard_normal((*batch, long, k)) * scale).astype(dtype)
    b = mx.array(rng.standard_normal((*(batch if rng.random() < 0.7 else ()), k, few))).astype(dtype)
    expected = bits(mx.contiguous(wider_product(a, b)))
    for how in ("rows", "columns", "part", "gaps"):
        x, y = laid_out(a, how), laid_out(b, str(rng.choice(["rows", "columns", "part", "gaps"])))
        assert bits(x @ y) == expected, how
        if not adds_otherwise:
            across = y.swapaxes(-1, -2) @ x.swapaxes(-1, -2)
            assert bits(mx.contiguous(across.swapaxes(-1, -2))) == expected, how


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("seed", range(200))
def test_bits_of_few_rows_and_columns_are_those_of_a_wider_product(seed):
    rng = np.random.default_rng(seed)
    rows, columns = (int(rng.integers(2, 8)) for _ in range(2))
    k = int(rng.choice([1023, 1024, 2047, 2048, 4095, 4096, 4097, 4352, 5000, 8191, 8192, 20_000]))
    dtype, batch = FLOATS[rng.integers(2)], [(), (), (3,)][rng.integers(3)]
    scale = rng.choice([1, 1, 1e-20, 1e-39], (*batch, rows, k)) if rng.random() < 0.3 else 1
    a = mx.array(rng.standard_normal((*batch, rows, k)) * scale).astype(dtype)
    b = mx.array(rng.standard_normal((*(batch if rng.random() < 0.7 else ()), k, columns))).astype(dtype)
    expected = bits(mx.contiguous(wider_product(a, b)))
    for how in ("rows", "columns", "part", "gaps"):
        for other in ("rows", "columns", "part", "gaps"):
            assert bits(laid_out(a, how) @ laid_out(b, other)) == expected, (how, other)
        x = laid_out(a, how)
        assert bits(x @ x.swapaxes(-1, -2)) == bits(x @ mx.contiguous(x + 0).swapaxes(-1, -2)), how


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_lies_beyond_is_not_taken(dtype):
    a = mx.full((100, 7), float("nan"), dtype=dtype)
    a[20:90, 1:6] = mx.ones((70, 5), dtype=dtype)
    for columns in (1, 2, 4, 8):
        b = mx.ones((5, columns), dtype=dtype)
        part = a[20:90, 1:6]
        assert mx.all(part @ b == 5) and mx.all(b.T @ part.T == 5)
        assert mx.all(mx.contiguous(part) @ b == 5) and mx.all(b.T @ mx.contiguous(part).T == 5)


PRODUCTS_WITH_VECTORS = """
import hashlib
import mlx.core as mx
found = hashlib.md5()
for dtype in (mx.float32, mx.float64, mx.bfloat16, mx.complex64):
    for rows, k in ((1, 100_003), (1, 1_000_000), (3, 50_000), (10, 30_000), (50, 20_000), (200, 9_001), (17, 5_000)):
        mx.random.seed(k)
        a = mx.random.normal((rows, k)).astype(dtype)
        x = mx.random.normal((k,)).astype(dtype)
        for y in (a @ x, x @ mx.contiguous(a.T), a[:, ::2] @ x[::2]):
            found.update(bytes(memoryview(y.astype(mx.float32) if dtype == mx.bfloat16 else y)))
print(found.hexdigest())
"""


def test_products_with_vectors_are_the_same_for_any_number_of_threads():
    found = set()
    for threads in (1, 2, 3, 7):
        run = subprocess.run([sys.executable, "-c", PRODUCTS_WITH_VECTORS], env={**os.environ, "MLX_NUM_THREADS": str(threads)}, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rows", [1, 3, 50, 300])
def test_long_products_with_vectors(rows, dtype):
    rng = np.random.default_rng(rows)
    a, x = (mx.array(rng.integers(-4, 5, shape)).astype(dtype) for shape in ((rows, 12_345), (12_345,)))
    expected = np.array(a.astype(mx.float64)) @ np.array(x.astype(mx.float64))  # whole numbers below 2^18: no sum is rounded
    for found in (a @ x, x @ a.T, x @ mx.contiguous(a.T)):
        assert np.array_equal(np.array(found.astype(mx.float64)), np.array(mx.array(expected).astype(dtype).astype(mx.float64)))
