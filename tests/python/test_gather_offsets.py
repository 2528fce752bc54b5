"""Gathers of single elements and of slices, by indices of every integer dtype and layout, against NumPy."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
LENGTH = 100


def drawn(dtype, shape, seed):
    low = 0 if dtype.startswith("u") else -LENGTH
    return np.random.default_rng(seed).integers(low, LENGTH, shape).astype(dtype)


@pytest.mark.parametrize("item", ["bool_", "int16", "float32", "float64", "complex128" if hasattr(mx, "complex128") else "complex64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements(dtype, item):
    values = (np.arange(LENGTH) % 7).astype("bool" if item == "bool_" else item)
    x = mx.array(values)
    wide = drawn(dtype, (70, 90), 1)
    for count in (0, 1, 5, 1023, 1025, 6300):
        i = wide.reshape(-1)[:count]
        assert np.array_equal(np.array(x[mx.array(i)]), values[i.astype(np.int64)])
    i = mx.array(wide)
    for index, numpys in ((i.T, wide.T), (i[::2, 1:], wide[::2, 1:]), (i[:, :1], wide[:, :1]), (i[::-1], wide[::-1])):
        assert np.array_equal(np.array(x[index]), values[numpys.astype(np.int64)])
    backwards = mx.array(values)[::-1][::3]
    near = np.abs(wide.astype(np.int64)) % 30
    assert np.array_equal(np.array(backwards[mx.array(near.astype(dtype))]), values[::-1][::3][near])


@pytest.mark.parametrize("dtype", DTYPES)
def test_points_columns_and_rows(dtype):
    values = np.arange(LENGTH * LENGTH, dtype=np.float32).reshape(LENGTH, LENGTH)
    x, i, j = mx.array(values), drawn(dtype, 3000, 2), drawn(dtype, 3000, 3)
    a, b = i.astype(np.int64), j.astype(np.int64)
    assert np.array_equal(np.array(x[mx.array(i), mx.array(j)]), values[a, b])
    assert np.array_equal(np.array(x[mx.array(i[:40])[:, None], mx.array(j[:50])[None]]), values[a[:40, None], b[None, :50]])
    assert np.array_equal(np.array(x[:, mx.array(j[:50])]), values[:, b[:50]])
    assert np.array_equal(np.array(x.T[mx.array(i[:50])]), values.T[a[:50]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 1500, 2999])
def test_an_index_out_of_bounds_is_named(dtype, place):
    x = mx.zeros((LENGTH, LENGTH))
    i, bad = drawn(dtype, 3000, 4), 101
    i[place] = bad
    for make in (lambda: x[0][mx.array(i)], lambda: x[mx.array(i), mx.array(i * 0)], lambda: x[mx.array(i * 0), mx.array(i)], lambda: x[mx.array(i)]):
        with pytest.raises(IndexError, match=str(bad)):
            mx.eval(make())
