"""Floats become narrow integers toward zero, as NumPy truncates them, the nearest one where there is none, and NaN 0."""

import mlx.core as mx
import numpy as np
import pytest


@pytest.mark.parametrize("to", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_floats_become_narrow_integers_toward_zero_and_saturate(dtype, to):
    info = np.iinfo(to)
    edges = [0.0, -0.0, 0.5, -0.5, 0.999, -0.999, 1e-45, np.nan, -np.nan, np.inf, -np.inf, 3e38, -3e38, 2.0**31, -(2.0**31), 2.0**32]
    near = [limit + d for limit in (info.min, info.max) for d in (-2, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 2)]
    rng = np.random.default_rng(0)
    values = np.array([*edges, *near, *rng.uniform(2 * info.min - 9, 2 * info.max, 9000)])
    rng.shuffle(values)
    x = mx.array(values.astype(np.float32)).astype(getattr(mx, dtype))
    if dtype == "float64":
        x = mx.array(values)
    exact = np.array(x.astype(mx.float64))
    expected = np.clip(np.trunc(np.nan_to_num(exact, nan=0.0)), info.min, info.max).astype(to)
    for first, n in ((0, None), (1, None), (3, 2047), *((first, first + n) for n in range(1, 70) for first in (0, 5))):
        assert np.array_equal(np.array(x[first:n].astype(getattr(mx, to))), expected[first:n])
    assert np.array_equal(np.array(mx.compile(lambda x: x.astype(getattr(mx, to)))(x)), expected)
