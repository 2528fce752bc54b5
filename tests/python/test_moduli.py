"""abs of complex64: whole vectors, what is left of them, and parts that are zero, infinite or no numbers."""

import mlx.core as mx
import numpy as np
import pytest

EDGES = [0, -0.0, 1, -2.5, np.inf, -np.inf, np.nan, 3e38, 1e-45]


@pytest.mark.parametrize("n", [1, 3, 16, 17, 63, 81, 1000])
def test_moduli_are_those_of_float64_rounded(n):
    rng = np.random.default_rng(n)
    drawn = [rng.standard_normal(1000) * 10.0 ** rng.uniform(-30, 30, 1000) for _ in range(2)]
    z = np.concatenate([[complex(a, b) for a in EDGES for b in EDGES], drawn[0] + 1j * drawn[1]]).astype(np.complex64)
    for first in (0, 40, 81):
        part = z[first : first + n]
        with np.errstate(all="ignore"):
            expected = np.hypot(part.real.astype(np.float64), part.imag.astype(np.float64)).astype(np.float32)
        assert np.array_equal(np.array(mx.abs(mx.array(part))), expected, equal_nan=True)
