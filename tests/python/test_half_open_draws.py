"""Draws keep their promises at the ends: uniform is in [low, high), whatever rounding does; others have theirs."""

import math

import mlx.core as mx
import numpy as np
import pytest
import scipy.stats

import arrays

KEY = mx.random.key(11)
FLOATS = arrays.FLOATS
INTERVALS = [
    (100, 101), (0, 1), (1, 2), (-1, 0), (-101, -100), (0.1, 0.7), (-3, 7.3), (255, 256), (1, 1.125), (0, 1e-7), (-1e-7, 0), (3, 1000),
    (1024, 1024.5), (-0.001, 0.001), (60000, 60100), (-65000, 65000), (1e30, 1e38), (-3e38, 3e38), (-1.7e308, 1.7e308), (1e-320, 3e-320)]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("low, high", INTERVALS)
def test_uniform_is_below_its_upper_bound(low, high, name):
    dtype = getattr(mx, name)
    a, b = mx.array(low, mx.float64).astype(dtype), mx.array(high, mx.float64).astype(dtype)
    if not (mx.isfinite(a) & mx.isfinite(b) & (a < b)).item():
        pytest.skip("no interval of this dtype")
    draws = {
        "numbers": mx.random.uniform(low, high, (50_000,), dtype, KEY), "arrays": mx.random.uniform(a, b, (50_000,), dtype, KEY),
        "lazy": mx.random.uniform(a + 0, b + 0, (50_000,), dtype, KEY),
        "compiled": mx.compile(lambda p, q: mx.random.uniform(p, q, (50_000,), dtype, KEY))(a, b)}
    for what, u in draws.items():
        assert u.dtype == dtype and mx.all(u >= a).item() and mx.all(u < b).item(), what
        assert mx.array_equal(u, draws["arrays"]).item(), what
    u = arrays.to_np(draws["arrays"]).astype(np.longdouble)
    a, b = np.longdouble(a.item()), np.longdouble(b.item())
    gap = np.longdouble(2.0) ** (math.frexp(float(max(abs(a), abs(b))))[1] - {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}[name])
    gap = max(gap, {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}.get(name, np.longdouble(2.0) ** -1074))
    assert abs(u.mean() - (a + b) / 2) <= 0.01 * (b - a) + gap
    if gap < (b - a) / 1000:
        assert scipy.stats.kstest(((u - a) / (b - a)).astype(float), "uniform").statistic < 0.01


@pytest.mark.parametrize("name", FLOATS)
def test_uniform_between_other_bounds(name):
    dtype = getattr(mx, name)
    assert mx.random.uniform(2, 2, (3,), dtype, KEY).tolist() == [2, 2, 2]
    u = mx.random.uniform(5, 2, (1000,), dtype, KEY)  # as MLX has it: downwards
    assert mx.all(u <= 5).item() and mx.all(u >= 2).item()
    rows = mx.random.uniform(mx.array([[100.0], [0.0]]), mx.array([[101.0], [3e38]]), (2, 10_000), dtype, KEY)
    assert rows[0].max().item() < 101 and mx.all(rows[1] >= 0).item()


@pytest.mark.parametrize("name", FLOATS)
def test_the_derivative_of_a_draw_at_its_bound(name):
    """What was rounded down from high still moves with it."""
    dtype = getattr(mx, name)
    u = mx.random.uniform(shape=(200,), dtype=dtype, key=KEY)
    for f in (lambda a, b: mx.random.uniform(a, b, (200,), dtype, KEY).sum(),):
        by_low, by_high = mx.grad(f, argnums=(0, 1))(mx.array(100.0, dtype), mx.array(101.0, dtype))
        np.testing.assert_allclose(by_high.item(), u.sum().item(), rtol=1e-2)
        np.testing.assert_allclose(by_low.item(), (1 - u).sum().item(), rtol=1e-2)


def test_bounds_keep_their_64_bits():
    u = np.array(mx.random.uniform(0.1, 0.1 + 1e-12, (1000,), mx.float64, KEY))
    assert (u >= 0.1).all() and (u < 0.1 + 1e-12).all() and len(set(u.tolist())) > 900
    z = np.array(mx.random.truncated_normal(0.1, 0.1 + 1e-12, (1000,), mx.float64, KEY))
    assert (z >= 0.1).all() and (z <= 0.1 + 1e-12).all()
    x = np.array(mx.random.normal((1000,), mx.float64, 0.1, 1e-12, KEY))
    assert abs(x.mean() - 0.1) < 1e-12 and np.array(mx.random.laplace((1000,), mx.float64, 0.1, 1e-12, KEY)).mean() - 0.1 < 1e-12


@pytest.mark.parametrize("name", FLOATS)
def test_the_others(name):
    dtype = getattr(mx, name)
    assert mx.all(mx.isfinite(mx.random.normal((100_000,), dtype, key=KEY))).item()
    assert mx.all(mx.isfinite(mx.random.gumbel((100_000,), dtype, KEY))).item()
    assert mx.all(mx.isfinite(mx.random.laplace((100_000,), dtype, key=KEY))).item()
    z = mx.random.truncated_normal(-0.5, 1.5, (100_000,), dtype, KEY)
    assert mx.all(z >= -0.5).item() and mx.all(z <= 1.5).item()
    p = mx.array([0.0, 1.0], dtype)
    assert mx.random.bernoulli(p, (100_000, 2), KEY).sum(axis=0).tolist() == [0, 100_000]


def test_categorical_chooses_nothing_impossible():
    logits = mx.array([-math.inf, 0.0, 0.1, -math.inf])
    draws = mx.random.categorical(logits, num_samples=200_000, key=KEY)
    assert set(draws.tolist()) == {1, 2}
    rows = mx.random.categorical(mx.broadcast_to(logits, (50_000, 4)), key=KEY)
    assert set(rows.tolist()) == {1, 2}


@pytest.mark.slow
def test_categorical_of_more_choices_than_float32_counts():
    draws = np.array(mx.random.categorical(mx.zeros((2**24 + 2**22,)), num_samples=4000, key=KEY)).astype(float)
    assert scipy.stats.kstest(draws / (2**24 + 2**22), "uniform").pvalue > 1e-3
