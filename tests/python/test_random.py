"""Random numbers: MLX's own from the same key (tests/golden/random.json), the implicit sequence and its lanes under vmap,
derivatives, distributions, errors."""

import json
import pathlib

import mlx.core as mx
import numpy as np
import pytest
import scipy.stats

import arrays
from precision import spacing

GOLDEN = json.loads((pathlib.Path(__file__).resolve().parents[1] / "golden" / "random.json").read_text())
KEY = mx.random.key(20240229)


def parsed(name, shape, elements):
    values = np.array([float.fromhex(v) if isinstance(v, str) else v for v in elements])
    if name == "complex64":
        values = values.reshape(-1, 2) @ np.array([1, 1j])
    return values.reshape(shape)


@pytest.mark.parametrize("expression", GOLDEN)
def test_is_what_mlx_draws(expression):
    """To the bit; normal, which goes through erfinv, within 8 ulp."""
    name, shape, elements = GOLDEN[expression]
    got = eval(expression, {"mx": mx, "k": KEY})
    assert str(got.dtype) == f"mlx.core.{name}"
    expected, values = parsed(name, shape, elements), arrays.to_np(got)
    assert values.shape == expected.shape
    if "normal" in expression and name in arrays.INEXACT:
        size = np.maximum(np.abs(expected), 1) if "scale" in expression or "1.5" in expression else np.abs(expected)
        assert np.all(np.abs(values - expected) <= 8 * spacing(size, name))
    else:
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("width, dtype, expected", [
    (1, mx.uint8, {1: [155], 5: [75, 52, 5, 116, 142], 7: [75, 52, 5, 116, 142, 14, 47]}),
    (2, mx.uint16, {1: [25499], 3: [13387, 29701, 3726], 5: [52786, 15632, 46739, 1376, 49900]}),
    (4, mx.uint32, {1: [3716834203], 2: [1946498123, 2217676430], 3: [1024511538, 90224275, 2603795180],
                    5: [877192987, 1614509672, 4140764773, 3448417067, 2823528474]}),
])
def test_bits(width, dtype, expected):
    """As MLX's C++ function gives them for key(3)."""
    for count, words in expected.items():
        got = mx.random.bits((count,), width, mx.random.key(3))
        assert got.dtype == dtype
        assert np.array(got)[:len(words)].tolist()[:3] == words[:3]


def test_a_seed_restarts_the_sequence():
    mx.random.seed(5)
    first = [mx.random.uniform(shape=(3,)).tolist() for _ in range(4)]
    mx.random.seed(5)
    assert first == [mx.random.uniform(shape=(3,)).tolist() for _ in range(4)]
    assert len({tuple(draw) for draw in first}) == 4


def test_the_state_is_the_key_that_comes_next():
    mx.random.seed(9)
    mx.random.uniform()
    (state,) = mx.random.state
    expected = mx.random.uniform(shape=(4,), key=mx.random.split(state)[1])
    assert mx.random.uniform(shape=(4,)).tolist() == expected.tolist()


def test_drawing_without_reading_does_not_pile_up():
    mx.random.seed(1)
    for _ in range(100_000):
        mx.random.bernoulli(0.5)
    assert len(mx.random.state) == 1 and mx.random.uniform().item() < 1


# --- vmap ---

def test_an_implicit_key_differs_in_every_lane():
    x = mx.zeros((4, 3))
    draws = np.array(mx.vmap(lambda row: row + mx.random.uniform(shape=(3,)))(x))
    assert len({tuple(row) for row in draws.tolist()}) == 4


def test_nested_lanes_all_differ():
    x = mx.zeros((3, 4, 2))
    draws = np.array(mx.vmap(mx.vmap(lambda row: row + mx.random.normal((2,))))(x))
    assert len({tuple(row) for row in draws.reshape(-1, 2).tolist()}) == 12


def test_an_explicit_key_is_the_same_in_every_lane():
    draws = np.array(mx.vmap(lambda row: row + mx.random.uniform(shape=(3,), key=KEY))(mx.zeros((4, 3))))
    assert (draws == draws[0]).all()


def test_lanes_of_a_gradient_differ():
    grad = mx.grad(lambda x: (x * mx.random.uniform(shape=x.shape)).sum())
    draws = np.array(mx.vmap(grad)(mx.zeros((4, 3))))
    assert len({tuple(row) for row in draws.tolist()}) == 4


# --- derivatives flow through the parameters ---

def test_uniform_is_differentiable_in_its_bounds():
    u = mx.random.uniform(shape=(5,), key=KEY)
    low, high = mx.grad(lambda a, b: mx.random.uniform(a, b, (5,), key=KEY).sum(), argnums=(0, 1))(mx.array(1.0), mx.array(3.0))
    np.testing.assert_allclose([low.item(), high.item()], [(1 - u).sum().item(), u.sum().item()], rtol=1e-6)


def test_normal_is_differentiable_in_loc_and_scale():
    z = mx.random.normal((5,), key=KEY)
    draw = lambda loc, scale: mx.random.normal((5,), loc=loc, scale=scale, key=KEY).sum()
    loc, scale = mx.grad(draw, argnums=(0, 1))(mx.array(1.0), mx.array(3.0))
    np.testing.assert_allclose([loc.item(), scale.item()], [5, z.sum().item()], rtol=1e-6)


# --- distributions ---

def test_float64_has_all_its_bits():
    u = np.array(mx.random.uniform(shape=(1000,), dtype=mx.float64, key=KEY))
    assert ((u >= 0) & (u < 1)).all()
    assert (u * 2.0**53 == np.floor(u * 2.0**53)).all() and (u * 2.0**40 != np.floor(u * 2.0**40)).sum() > 990
    z = np.array(mx.random.normal((1000,), mx.float64, key=KEY))
    assert len(set((z * 2.0**20 % 1).tolist())) == 1000


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_stays_below_its_upper_bound(dtype):
    u = mx.random.uniform(shape=(200_000,), dtype=getattr(mx, dtype), key=KEY)
    assert u.min().item() >= 0 and u.max().item() < 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    kind = getattr(mx, dtype)
    u, z = mx.random.uniform(shape=(20_000,), dtype=kind, key=KEY), mx.random.normal((20_000,), kind, key=KEY)
    assert scipy.stats.kstest(np.array(u), "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(np.array(z), "norm").pvalue > 1e-3


def test_categorical_follows_the_logits():
    logits = mx.array([0.0, 1.0, 2.0, -1.0])
    counts = np.bincount(np.array(mx.random.categorical(logits, num_samples=20_000, key=KEY)), minlength=4)
    assert scipy.stats.chisquare(counts, 20_000 * np.array(mx.softmax(logits.astype(mx.float64)))).pvalue > 1e-3


def test_permutation_permutes():
    assert sorted(mx.random.permutation(100, key=KEY).tolist()) == list(range(100))


# --- errors ---

@pytest.mark.parametrize("call, text", [
    (lambda: mx.random.uniform(dtype=mx.int32), r"\[random.uniform\] dtype is int32"),
    (lambda: mx.random.uniform(dtype=mx.complex64), r"dtype is complex64"),
    (lambda: mx.random.uniform(mx.zeros((2, 3)), 1, (3,)), r"\(2,3\).*shape=\(3,\)"),
    (lambda: mx.random.uniform(shape=(-1,)), r"shape \(-1,\) has a negative length"),
    (lambda: mx.random.uniform(key=mx.array([1, 2])), r"key has dtype int32"),
    (lambda: mx.random.uniform(key=mx.zeros((3,), mx.uint32)), r"key has shape \(3,\)"),
    (lambda: mx.random.split(KEY, -1), r"num is -1"),
    (lambda: mx.random.bits((2,), 3), r"width is 3"),
    (lambda: mx.random.normal((2,), mx.int32), r"dtype is int32"),
    (lambda: mx.random.randint(0, 3, (2,), mx.float32), r"dtype is float32"),
    (lambda: mx.random.bernoulli(mx.array(2)), r"p has dtype int32"),
    (lambda: mx.random.bernoulli(mx.array([0.5, 0.5]), ()), r"\(2,\).*shape=\(\)"),
    (lambda: mx.random.permutation(-1), r"x is -1"),
    (lambda: mx.random.categorical(mx.zeros((3,)), shape=(2,), num_samples=2), r"at most one"),
    (lambda: mx.random.categorical(mx.zeros((3, 4)), shape=(3, 1)), r"\(3,\).*shape=\(3,1\)"),
    (lambda: mx.random.categorical(mx.zeros((3, 0))), r"nothing to choose"),
])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("call", [
    lambda: mx.random.permutation(mx.arange(5), axis=1), lambda: mx.random.categorical(mx.array(3.0)),
])
def test_bad_axes_are_both_kinds_of_error(call):
    for kind in (ValueError, IndexError):
        with pytest.raises(kind):
            call()
