"""Indices that sort many narrow numbers are found by placing them by their digits: equal ones in their order, NaNs last, both zeros
alike, for lanes of any layout, below and above the lengths from which that is done and threads share one lane."""

import numpy as np
import pytest

import mlx.core as mx


@pytest.mark.parametrize("length", [511, 512, 700, 8191, 8192, 16384, 32767, 32768, 40001, 70000])
@pytest.mark.parametrize("name", ["bool_", "uint8", "int8", "int16", "uint16", "float16", "bfloat16"])
def test_as_a_stable_sort_says(name, length):
    rng = np.random.default_rng(length)
    bits = rng.integers(0, 65536, (3, length)).astype(np.uint16)
    bits[1] = rng.integers(0, 7, length)  # many equal ones
    if name == "bool_":
        x, order = mx.array(bits % 2 > 0), bits % 2
    elif name.endswith("int8"):
        narrow = bits.astype(np.uint8).view(name)
        x, order = mx.array(narrow), narrow
    elif "float" in name:
        bits[2, ::5] = 0x8000  # -0
        x = mx.array(bits).view(getattr(mx, name))
        order = np.array(x.astype(mx.float64))
        order = np.where(np.isnan(order), np.inf, np.where(np.isinf(order), np.sign(order) * 1e300, order))  # NaNs last
    else:
        x, order = mx.array(bits.view(name)), bits.view(name)
    want = np.argsort(order, axis=1, kind="stable")
    assert np.array_equal(np.array(mx.argsort(x, 1)), want)
    assert np.array_equal(np.array(mx.argsort(mx.contiguous(x.T), 0)), want.T)
    assert np.array_equal(np.array(mx.argsort(x[:, ::-1], 1)), np.argsort(order[:, ::-1], axis=1, kind="stable"))
    assert np.array_equal(np.array(mx.argsort(x[1])), want[1])


@pytest.mark.parametrize("name", ["float32", "int32", "float64", "int64"])
def test_lanes_that_threads_share(name):
    rng = np.random.default_rng(3)
    for length in 65535, 65536, 65537, 131072, 140001:
        x = np.round(rng.standard_normal(length) * 1000).astype(name)
        assert np.array_equal(np.array(mx.argsort(mx.array(x))), np.argsort(x, kind="stable"))
        assert np.array_equal(np.array(mx.sort(mx.array(x))), np.sort(x))
