"""Copies that bring a few planes together, element by element, and take them apart again: of any length and type, the layout before and
after it counted by NumPy."""

import mlx.core as mx
import numpy as np
import pytest


@pytest.mark.parametrize("item", ["uint8", "int16", "float32", "complex64", "complex128"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_few_channels(channels, item):
    generator = np.random.default_rng(channels)
    for length in [*range(1, 70), 127, 128, 129, 1000, 4097, 70001]:
        planes = (generator.standard_normal((2, channels, length)) * 50).astype(item)
        first = mx.array(planes, dtype=getattr(mx, item))
        last = mx.contiguous(mx.transpose(first, (0, 2, 1)))
        assert np.array_equal(np.array(last), planes.transpose(0, 2, 1))
        assert np.array_equal(np.array(mx.contiguous(mx.transpose(last, (0, 2, 1)))), planes)
        part = mx.contiguous(mx.transpose(first[:, :, length // 3 :], (0, 2, 1)))
        assert np.array_equal(np.array(part), planes[:, :, length // 3 :].transpose(0, 2, 1))


@pytest.mark.parametrize("item", ["uint8", "int16", "float32", "float64"])
def test_few_rows_turned(item):
    """Blocks with fewer rows or columns than a cache line has elements."""
    for rows in (1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33):
        for columns in (1, 4, 7, 8, 9, 16, 17, 63, 65, 200):
            x = np.arange((rows + 2) * columns).reshape(rows + 2, columns).astype(item)
            y = mx.array(x, dtype=getattr(mx, item))
            assert np.array_equal(np.array(mx.contiguous(y.T)), x.T)
            assert np.array_equal(np.array(mx.contiguous(y[1:-1, ::-1].T)), x[1:-1, ::-1].T)
