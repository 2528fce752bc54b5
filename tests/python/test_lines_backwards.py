"""Lines from the last element to the first, and every other element, of every length around a vector's and each width of elements."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits

DTYPES = ["bool", "int8", "uint16", "int32", "float32", "complex64", "float64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130, 1003])
def test_backwards_and_every_other(dtype, length):
    rows = np.random.default_rng(length).integers(0, 100, (3, 2 * length + 1)).astype(dtype)
    x = mx.array(rows, getattr(mx, dtype))
    parts = [np.s_[::-1, ::-1], np.s_[:, length - 1::-1], np.s_[:, :length:-1], np.s_[:, :2 * length - 1:2], np.s_[:, 1::2], np.s_[:, ::-2]]
    for part in parts:
        wanted = np.ascontiguousarray(rows[part])
        assert bits(mx.contiguous(x[part])) == wanted.tobytes(), part
        if dtype != "bool":
            assert bits(x[part] + x[part]) == (wanted + wanted).tobytes(), part


def test_what_is_in_front_of_a_line_is_not_read_into_it():
    """The first elements of memory are the last of the line: no vector begins before them."""
    for length in range(1, 70):
        x = mx.arange(length, dtype=mx.float32)
        assert bits(mx.contiguous(x[::-1])) == np.arange(length, dtype=np.float32)[::-1].tobytes()
