"""Kernels on few elements, where vectors are not full: the bits of another way to the same numbers."""

import random

import mlx.core as mx
import numpy as np
import pytest

DTYPES = [mx.float32, mx.float64, mx.bfloat16, mx.float16, mx.int32, mx.uint8, mx.complex64]


def bits(a):
    a = a.astype(mx.float32) if a.dtype in (mx.bfloat16, mx.float16) else a
    return np.array(a).tobytes()


def drawn(rng, shape, dtype, nan=True):
    values = np.random.default_rng(rng.randrange(1 << 30)).standard_normal(shape) * 5
    if dtype == mx.uint8:
        values = np.abs(values)
    elif nan and dtype != mx.int32 and rng.random() < 0.3:
        values[np.random.default_rng(0).random(shape) < 0.1] = np.nan
    return mx.array(values).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(25))
def test_reductions_of_few_columns_are_those_of_rows(seed, dtype):
    rng = random.Random(seed)
    outer, rows, columns = rng.choice([1, 3]), rng.choice([1, 2, 3, 5, 8, 12, 17, 40, 100]), rng.randrange(1, 40)
    x = drawn(rng, (outer, rows, columns), dtype)
    turned = mx.contiguous(mx.swapaxes(x, 1, 2)).swapaxes(1, 2)
    for op in (mx.sum, mx.prod, mx.max, mx.min, mx.any):
        assert bits(op(x, axis=1)) == bits(op(turned, axis=1)), (op, x.shape)
        assert bits(op(x[0], axis=0)) == bits(op(turned[0], axis=0)), (op, x.shape)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.complex64, mx.int32, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(25))
def test_small_products_are_those_of_other_layouts_and_of_batches(seed, dtype):
    rng = random.Random(seed)
    m, k, n = (rng.choice([1, 2, 3, 4, 7, 16, 17, 20, 33, 48]) for _ in range(3))
    m, n = (1 if rng.random() < 0.2 else m), (1 if rng.random() < 0.4 else n)
    a, b = drawn(rng, (m, k), dtype, nan=False), drawn(rng, (k, n), dtype, nan=False)
    expected = bits(a @ b)
    turned = lambda x: mx.contiguous(x.T).T
    assert bits(turned(a) @ b) == expected
    assert bits(a @ turned(b)) == expected
    assert bits(mx.repeat(a, 2, axis=1)[:, ::2] @ mx.repeat(b, 2, axis=0)[::2]) == expected
    many = mx.broadcast_to(a, (5, m, k)) @ mx.contiguous(mx.broadcast_to(b, (5, k, n)))
    assert all(bits(one) == expected for one in many)
    exact = np.array(a.astype(mx.complex64), "c16") @ np.array(b.astype(mx.complex64), "c16")
    got = np.array((a @ b).astype(mx.complex64), "c16")
    scale = np.abs(np.array(a.astype(mx.complex64), "c16")) @ np.abs(np.array(b.astype(mx.complex64), "c16"))
    assert np.all(np.abs(got - exact) <= (2.0**-8 if dtype == mx.bfloat16 else 2.0**-18) * scale + 1e-30)


COMBINED = {"set": lambda a, b: b, "add": lambda a, b: a + b, "maximum": np.maximum, "minimum": np.minimum}


@pytest.mark.parametrize("index_dtype", ["int32", "int64", "uint32", "int8"])
@pytest.mark.parametrize("mode", COMBINED)
@pytest.mark.parametrize("seed", range(8))
def test_scatters_of_elements_in_their_order(seed, mode, index_dtype):
    rng = np.random.default_rng(seed)
    length, count, width = rng.integers(1, 100), rng.integers(1, 3000), rng.integers(1, 3)
    for dtype, own in (("f4", mx.float32), ("f8", mx.float64), ("i4", mx.int32)):
        x = (rng.standard_normal((length, width)) * 9).astype(dtype)
        updates = (rng.standard_normal(count) * 9).astype(dtype)
        low = 0 if index_dtype == "uint32" else -length
        index = rng.integers(low, length, count).astype(index_dtype)
        # Sums of many float32 numbers are carried in twice the digits.
        expected = x[:, 0].astype("f8") if mode == "add" and dtype == "f4" and count // 64 >= length * width else x[:, 0].copy()
        for i, update in zip(index.astype("i8"), updates):
            expected[i] = COMBINED[mode](expected[i], update.astype(expected.dtype))
        y, new = mx.array(x, dtype=own), mx.array(updates, dtype=own)
        at = (mx.array(index), 0) if width > 1 else (mx.array(index),)
        new = new if width > 1 else new[:, None]
        if mode == "set":
            y[at] = new
        else:
            y = getattr(y.at[at], mode)(new)
        assert np.array_equal(np.array(y)[:, 0], expected.astype(dtype))
        assert np.array_equal(np.array(y)[:, 1:], x[:, 1:])
        bad = index.copy()
        bad[rng.integers(0, count)] = length if length < 128 else -1
        with pytest.raises(IndexError):
            mx.eval(mx.array(x[:, 0].copy(), dtype=own).at[mx.array(bad)].add(mx.array(updates, dtype=own)))
