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
