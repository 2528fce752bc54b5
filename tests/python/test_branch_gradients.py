"""Cotangents that come back from both branches of a selection: against forward mode, the same bits eager and compiled, zero where a mask took
something out, whatever it was."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16]


def leaky_chain(x, y):
    for slope in (0.1, -0.5, 0.0, 2.0):
        x = mx.where(x > slope, x, slope * x) * 1.1 - 0.05
    return x * y


def escapes(x, y):
    z = x * 0
    for _ in range(4):
        q = z * z + x
        z = mx.where(mx.abs(q) < 2, q, z)
    return z - y


FUNCTIONS = {
    "leaky": lambda x, y: mx.where(x > 0, x, 0.1 * x) * y,
    "negated branch": lambda x, y: mx.where(x > y, x - y, y - x),
    "quantiles": lambda x, y: mx.where(x < y, 0.9 * (y - x), 0.1 * (x - y)),
    "three": lambda x, y: mx.where(x > y, x * y, mx.where(x < 0, x * x, y)),
    "four": lambda x, y: mx.where(x < -1, -x, mx.where(x < 0, x * x, mx.where(x < 1, x * x * x, 2 * x - 1))) * y,
    "huber": lambda x, y: mx.where(mx.abs(x - y) < 1, 0.5 * (x - y) * (x - y), mx.abs(x - y) - 0.5),
    "shrunk": lambda x, y: mx.where(x > 0.5, x - 0.5, mx.where(x < -0.5, x + 0.5, x * 0)) * y,
    "same branches": lambda x, y: mx.where(x > y, x, x) + mx.where(x > y, y * 3, -y),
    "one condition twice": lambda x, y: (lambda c: mx.where(c, x, -x) * mx.where(c, 2 * y, x))(x > y),
    "nested in itself": lambda x, y: (lambda c: mx.where(c, mx.where(c, x, y), mx.where(c, y, 3 * x)))(x < y),
    "number under": lambda x, y: mx.where((x > 0) & (y > 0), x, y[:1]) + mx.where(x[:1] > 0, x, 2 * x),
    "leaky chain": leaky_chain,
    "escapes": escapes,
}


def given(dtype, size):
    generator = np.random.default_rng(size)
    x, y = generator.standard_normal((2, size)).astype(np.float32)
    x[::17], y[::13], x[5::29] = 0, -0.0, y[5::29]
    return [mx.array(v).astype(dtype) for v in (x, y)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [37, 5017, 300_001])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_both_arguments(dtype, size, name):
    x, y = given(dtype, size)
    pull = mx.grad(lambda x, y: (FUNCTIONS[name](x, y)).sum(), argnums=(0, 1))
    eager, compiled = pull(x, y), mx.compile(pull)(x, y)
    assert [bits(g) for g in evaluated(eager)] == [bits(g) for g in evaluated(compiled)]
    if dtype == mx.float64:
        moves = [mx.array(np.cos(np.arange(size) + k), dtype) for k in range(2)]
        pushed = mx.jvp(lambda x, y: [FUNCTIONS[name](x, y)], [x, y], moves)[1][0].sum()
        np.testing.assert_allclose(sum((g * m).sum() for g, m in zip(eager, moves)).item(), pushed.item(), rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_element(name):
    """Also of the second derivative, and with weights that no number repeats."""
    x, y = given(mx.float64, 37)
    loss = lambda x: (FUNCTIONS[name](x, y) * mx.cos(mx.arange(37, dtype=mx.float64))).sum()
    np.testing.assert_allclose(mx.grad(loss)(x), mx.jacfwd(loss)(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mx.hessian(loss)(x), mx.jacfwd(mx.jacfwd(loss))(x), rtol=1e-12, atol=1e-12)


def test_what_is_masked_does_not_count():
    """Of branches that are not finite where they are not taken, and factors that are not."""
    x = mx.array([-2.0, 0.0, 3.0], mx.float32)
    nothing = mx.where(x > 0, x, mx.log(x) * 0.1)
    assert mx.grad(lambda x: mx.where(x > 0, x, 0.1 * mx.where(x > 0, 1.0, x)).sum())(x).tolist() == pytest.approx([0.1, 0.1, 1])
    assert mx.grad(lambda x: mx.where(x > 0, mx.log(x), 2 * x).sum())(x).tolist() == pytest.approx([2, 2, 1 / 3])
    assert mx.grad(lambda x: mx.where(x > 0, x, mx.sqrt(x) * mx.inf).sum())(mx.array([1.0, 2.0])).tolist() == [1, 1]
    for factor in (mx.inf, mx.nan):
        for function in (lambda x, k: mx.where(x > 0, x, k * x), lambda x, k: mx.where(x > 0, -x, -(x * k))):
            gradient = mx.grad(lambda x: function(x, mx.array(factor)).sum())(mx.array([1.0, 2.0]))
            assert mx.abs(gradient).tolist() == [1, 1]
            assert mx.abs(mx.compile(mx.grad(lambda x, k: function(x, k).sum()))(mx.array([1.0, 2.0]), mx.array(factor))).tolist() == [1, 1]
    assert mx.isnan(nothing[0]).item()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cotangents_that_are_one_number(dtype):
    """A sum's, with factors, are one number in all places: as that number times each."""
    x = mx.array(np.random.default_rng(2).standard_normal((40, 130)).astype(np.float32)).astype(dtype)
    k = mx.array(0.3, dtype)
    scaled = lambda x, k: ((x * 3 - 1) * k / 7 * mx.cos(x)).sum() + (-x * 1.7 * k).sum() - (x * k).mean()
    for of in (0, 1, (0, 1)):
        pull = mx.grad(scaled, argnums=of)
        eager, compiled = pull(x, k), mx.compile(pull)(x, k)
        both = zip(eager, compiled) if isinstance(of, tuple) else [(eager, compiled)]
        assert all(bits(a) == bits(b) for a, b in both)
    plain = mx.grad(lambda x: (-(x * k) * 1.7).sum())(x)
    one = mx.grad(lambda x: -(x * k) * 1.7)(x[0, 0])
    assert bits(plain) == bits(mx.broadcast_to(one, x.shape))


def test_numbers_that_a_compiled_function_finds_repeated():
    """And arithmetic on them, shared and in chains."""
    x = mx.array(np.random.default_rng(2).standard_normal(70_001).astype(np.float32))
    once, doubled = mx.broadcast_to(mx.array(0.3), x.shape), mx.ones(x.shape)
    for _ in range(40):
        doubled = doubled + doubled
    function = lambda x: x * (once * 3 + 0.1) + doubled * (1 / 2**40) + mx.sqrt(mx.maximum(x, once * once))
    pull = mx.grad(lambda x: mx.sqrt(function(x) ** 2 + 1).sum())
    for f in (function, pull):
        compiled = mx.compile(f)
        assert bits(f(x)) == bits(compiled(x)) == bits(compiled(x))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.complex64], ids=str)
def test_powers_one_in_a_group(dtype):
    """Copies, of results that are read again and that are not."""
    x = mx.array(np.random.default_rng(2).standard_normal(5017).astype(np.float32)).astype(dtype)
    functions = (lambda x: (x + 1) ** 1 * (x - 1), lambda x: ((x + 1) ** 1, (x * x) ** 1 - x), lambda x: x**1 + (x + x) ** 1 * (x + x))
    for function in functions:
        results, stepwise = function(x), mx.compile(function)(x)
        results, stepwise = ([r] if isinstance(r, mx.array) else list(r) for r in (results, stepwise))
        alone = [(x + 1) * (x - 1)] if function is functions[0] else [x + 1, x * x - x] if function is functions[1] else [x + evaluated(x + x) * (x + x)]
        assert [bits(r) for r in results] == [bits(r) for r in stepwise] == [bits(evaluated(r)) for r in alone]
