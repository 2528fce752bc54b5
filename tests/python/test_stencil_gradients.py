"""Cotangents of overlapping parts of one array, as differences and stencils read it: against forward mode, in the same bits eager and
compiled, with signs and factors of every kind."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.complex64]

STENCILS = {
    "difference": lambda x: (x[1:] - x[:-1]) ** 2,
    "sum": lambda x: (x[1:] + x[:-1]) ** 2,
    "all subtracted": lambda x: (-x[1:] - x[:-1] - 0.5) ** 2,
    "second difference": lambda x: (x[2:] - 2 * x[1:-1] + x[:-2]) ** 2,
    "scaled twice": lambda x: (3 * (x[2:] * -0.5) - 2 * (x[:-2] - -x[1:-1])) ** 2,
    "read twice": lambda x: x[1:-1] * (x[2:] - x[:-2]) - 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2]) ** 2,
    "beside the whole": lambda x: (x[1:] - x[:-1]) * x[1:] + (x * x)[:-1] - x[:-1],
    "far apart": lambda x: (x[40:] - x[:-40]) * 2 - x[20:-20],
    "small parts": lambda x: (x[:3] - x[3:6]) * (x[-3:] - x[1:4]),
    "steps": lambda x: (x[2::2] - x[:-2:2]) ** 2 - x[::-1][1 : 1 + x[2::2].size] * x[2::2],
    "one subtracted": lambda x: 1 - x[1:] * 2,
    "a number subtracted": lambda x: x[1:] * x[:1] - x[:-1],
}


def in_bits(arrays):
    return [bits(a) for a in evaluated(arrays)]


@pytest.mark.parametrize("name", STENCILS)
@pytest.mark.parametrize("size", [98, 5017, 300_001])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_lines(dtype, size, name):
    generator = np.random.default_rng(size)
    x = mx.array(generator.standard_normal(size).astype(np.float32)).astype(dtype)
    weights = mx.array(generator.standard_normal(STENCILS[name](x).size).astype(np.float32)).astype(dtype)
    pull = lambda x, w: mx.vjp(lambda x: [STENCILS[name](x)], [x], [w])[1]
    eager, compiled = pull(x, weights), mx.compile(pull)(x, weights)
    assert in_bits(eager) == in_bits(compiled)
    if dtype == mx.float64:
        move = mx.array(generator.standard_normal(size), dtype)
        pushed = mx.jvp(lambda x: [STENCILS[name](x)], [x], [move])[1][0]
        np.testing.assert_allclose((eager[0] * move).sum().item(), (pushed * weights).sum().item(), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", STENCILS)
def test_each_element(name):
    """Also of the second derivative, and of a batch."""
    x = mx.array(np.random.default_rng(3).standard_normal((2, 98)), mx.float64)
    loss = lambda x: (STENCILS[name](x) ** 2).sum()
    np.testing.assert_allclose(mx.grad(loss)(x[0]), mx.jacfwd(loss)(x[0]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mx.hessian(loss)(x[0]), mx.jacfwd(mx.jacfwd(loss))(x[0]), rtol=1e-12, atol=1e-11)
    alone = mx.stack([mx.grad(loss)(row) for row in x])
    assert in_bits([mx.vmap(mx.grad(loss))(x)]) == in_bits([alone])


def test_of_planes():
    def loss(x):
        inner = 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
        return (inner**2).sum() + mx.sqrt((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2 + 0.1).sum()

    x = mx.array(np.random.default_rng(5).standard_normal((70, 90)), mx.float64)
    gradient = mx.grad(loss)
    assert in_bits([gradient(x)]) == in_bits([mx.compile(gradient)(x)])
    move = mx.array(np.random.default_rng(6).standard_normal(x.shape), mx.float64)
    np.testing.assert_allclose((gradient(x) * move).sum().item(), mx.jvp(loss, [x], [move])[1][0].item(), rtol=1e-10)


def test_zeros_outside_are_not_negative():
    x = mx.array(np.random.default_rng(5).standard_normal(100), mx.float32)
    for function in (lambda x: -(x[1:] * 2), lambda x: 3 - x[1:], lambda x: -2 * x[1:] - x[1:]):
        gradient = mx.grad(lambda x: function(x).sum())(x)
        assert gradient[0].item() == 0 and not mx.signbit(gradient[0]).item()


def test_what_is_not_finite_stays_where_it_was_read():
    """A factor that is infinite meets zeros around the part."""
    x = mx.array(np.random.default_rng(5).standard_normal(100), mx.float32)
    gradient = mx.grad(lambda x, k: ((x[1:] * x[1:] - x[:-1]) * k).sum())(x, mx.array(mx.inf))
    assert gradient[0].item() == -mx.inf and gradient[-1].item() in (mx.inf, -mx.inf)
    gradient = mx.grad(lambda x, k: (x[1:] * k).sum())(x, mx.array(mx.nan))
    assert gradient[0].item() == 0 and mx.all(mx.isnan(gradient[1:])).item()
