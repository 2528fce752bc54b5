"""Every other element, each third or fourth, and backwards: lines of every length about those of vectors, of items of
each size, at each place of a line that they can begin at."""

import numpy as np
import pytest

import mlx.core as mx

DTYPES = ["bool_", "uint8", "int8", "int16", "float16", "int32", "float64", "complex64"]
LENGTHS = [*range(1, 20), 31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 191, 255, 256, 257, 300]


@pytest.mark.parametrize("step", [-1, 2, 3, 4, -2, 5])
@pytest.mark.parametrize("name", DTYPES)
def test_stepped_copies(name, step):
    rng = np.random.default_rng(step + 9)
    for length in LENGTHS:
        for spare in 0, 1, 3:
            bits = rng.integers(0, 256, (3, length * abs(step) + spare)).astype(np.uint8)
            # Numbers that every dtype has.
            x = (bits % 2 > 0) if name == "bool_" else bits.view(np.int8).astype(name)
            a = mx.array(x)
            for begin in range(min(spare + 1, 2)):
                places = slice(begin, None, step) if step > 0 else slice(-1 - begin, None, step)
                assert np.array_equal(np.array(mx.contiguous(a[:, places])), x[:, places]), (length, begin)
                assert np.array_equal(np.array(mx.contiguous(a[::-1, places])), x[::-1, places]), (length, begin)
