"""Reductions of rows of any length up to some vectors: what lies behind a row, and in lanes without a value, counts for nothing."""

import mlx.core as mx
import numpy as np
import pytest

import arrays

LENGTHS = [1, 2, 15, 16, 17, 20, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 79, 127, 128, 129, 200]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int16", "int32"])
@pytest.mark.parametrize("length", LENGTHS)
def test_rows(length, dtype):
    rng = np.random.default_rng(length)
    whole = rng.integers(-60, 60, (70, length + 3)).astype(np.float64)
    whole[:, length:] = 100 # behind a row
    x = arrays.to_mx(whole, dtype)[:, :length]
    rows = whole[:, :length]
    for f, want in ((mx.max, rows.max(1)), (mx.min, rows.min(1)), (mx.sum, rows.sum(1))):
        for y in (f(x, axis=1), mx.compile(f)(x, axis=1), f(mx.contiguous(x), axis=1)):
            assert np.array_equal(arrays.to_np(y).astype(np.float64), arrays.to_np(arrays.to_mx(want, dtype)).astype(np.float64))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("length", LENGTHS)
def test_infinities_zeros_and_nans_in_every_place(length, dtype):
    rows = np.full((length, length), -np.inf)
    x = arrays.to_mx(rows, dtype)
    assert mx.all(mx.max(x, axis=1) == -np.inf).item() and mx.all(mx.min(-x, axis=1) == np.inf).item()
    np.fill_diagonal(rows, -3)
    assert mx.all(mx.max(arrays.to_mx(rows, dtype), axis=1) == -3).item()
    assert mx.all(mx.min(arrays.to_mx(-rows, dtype), axis=1) == 3).item()
    rows = np.ones((length, length))
    np.fill_diagonal(rows, np.nan)
    x = arrays.to_mx(rows, dtype)
    for f in (mx.max, mx.min, mx.sum):
        assert mx.all(mx.isnan(f(x, axis=1))).item()
    zeros = arrays.to_mx(np.full((3, length), -0.0), dtype)
    for f in (mx.max, mx.min, mx.sum):
        assert np.signbit(arrays.to_np(f(zeros, axis=1)).astype(np.float64)).all()
