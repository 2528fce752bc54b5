"""Gradients of scans by matrices are one product of what all iterations multiply: they are those of the same loop written out."""

import random

import mlx.core as mx
import numpy as np
import pytest


def values(rng, *shape):
    return rng.standard_normal(shape) * 0.4


def forms(w, v):
    """Ways in which a body may use a square matrix."""
    return [
        lambda h, x: h @ w,
        lambda h, x: h @ w.T,
        lambda h, x: h @ w + x @ w,
        lambda h, x: (x @ w.T) * h + h @ w,
        lambda h, x: (w @ h.T).T if h.ndim == 2 else w @ h,
        lambda h, x: h @ (w @ v) + x @ w,
        lambda h, x: h @ w @ w.T,
        lambda h, x: (h * 0.5) @ (w * 1.5) + v[0],
        lambda h, x: mx.concatenate([h, x], -1) @ mx.concatenate([w, v.T], 0),
        lambda h, x: v[:1] @ w + h,  # a factor that does not change
        lambda h, x: h + mx.sum(w) * x,
    ]


def unrolled(body, h, xs, reverse):
    ys = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        h, ys[t] = body(h, xs[t])
    return h, mx.stack(ys)


def losses(seed, dtype):
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    n, length = draw.choice([1, 3, 8]), draw.choice([1, 2, 7, 20])
    batch = draw.choice([(), (1,), (4,), (40,)])
    w, v, h = (mx.array(values(rng, *s)).astype(dtype) for s in ((n, n), (n, n), (*batch, n)))
    xs = mx.array(values(rng, length, *batch, n)).astype(dtype)
    if draw.random() < 0.3:
        xs = mx.contiguous(xs.swapaxes(0, -1)).swapaxes(0, -1)
    which, reverse = draw.randrange(11), draw.random() < 0.5

    def loss(loop):
        def f(w, v, h, xs):
            body = lambda h, x: (mx.tanh(forms(w, v)[which](h, x) + x), h * 2)
            last, ys = loop(body, h, xs)
            return mx.sum(last * last) + mx.sum(mx.sin(ys))

        return f

    scanned = loss(lambda body, h, xs: mx.scan(body, h, xs, reverse=reverse))
    return scanned, loss(lambda body, h, xs: unrolled(body, h, xs, reverse)), (w, v, h, xs)


@pytest.mark.parametrize("seed", range(80))
def test_gradients_are_those_of_the_loop_written_out(seed):
    scanned, loop, args = losses(seed, mx.float64)
    for wanted in ((0,), (0, 1), (0, 1, 2, 3)):
        for got, expected in zip(mx.grad(scanned, wanted)(*args), mx.grad(loop, wanted)(*args)):
            np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("seed", range(80, 100))
def test_derivatives_of_gradients(seed):
    scanned, loop, args = losses(seed, mx.float64)
    second = lambda f: mx.grad(lambda *a: sum(mx.sum(mx.sin(g)) for g in mx.grad(f, (0, 1))(*a)), (0, 2))
    tangent = lambda f: mx.jvp(lambda w: mx.grad(f)(w, *args[1:]), [args[0]], [args[0] * args[0]])[1]
    lanes = lambda f: [mx.vmap(lambda w: mx.grad(f)(w, *args[1:]))(mx.stack([args[0], -args[0]]))]
    for transform in (lambda f: second(f)(*args), tangent, lanes):
        for got, expected in zip(transform(scanned), transform(loop)):
            np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16, mx.complex64], ids=str)
def test_other_dtypes_and_compiled_functions(dtype):
    for seed in range(20):
        scanned, _, args = losses(seed, mx.float64)
        real = lambda *a: scanned(*a).real.astype(mx.float64)
        expected = mx.grad(real, (0, 1))(*[a.astype(dtype).astype(mx.complex128 if dtype == mx.complex64 else mx.float64) for a in args])
        narrow = [a.astype(dtype) for a in args]
        real = lambda *a: scanned(*a).real.astype(mx.float32)
        got = mx.grad(real, (0, 1))(*narrow)
        compiled = mx.compile(mx.grad(real, (0, 1)))(*narrow)
        for a, b, c in zip(got, compiled, expected):
            assert np.array_equal(np.array(a.astype(mx.complex64)), np.array(b.astype(mx.complex64)), equal_nan=True)
            wide = np.array(c)
            tolerance = {mx.bfloat16: 0.2, mx.float16: 0.02}.get(dtype, 2e-5)
            np.testing.assert_allclose(np.array(a.astype(mx.complex64)), wide, rtol=0, atol=tolerance * (1 + np.abs(wide).max()))


def test_no_iterations():
    w, h, xs = mx.ones((3, 3)), mx.ones((2, 3)), mx.zeros((0, 2, 3))
    f = lambda w: mx.sum(mx.scan(lambda h, x: (mx.tanh(h @ w + x), h), h, xs)[0])
    assert np.array_equal(np.array(mx.grad(f)(w)), np.zeros((3, 3)))


def test_a_zero_hides_what_is_not_finite():
    # In the chain rule a factor 0 makes a term 0, whatever it is multiplied with.
    xs = mx.array([[[1.0, 2.0]], [[np.inf, 1.0]], [[0.5, np.nan]]])
    scale = mx.array([[1.0], [0.0], [0.0]])

    def f(w):
        body = lambda c, xs: (c, mx.where(xs[1] == 0, 0.0, xs[0] @ w))
        return mx.sum(mx.scan(body, mx.array(0.0), (xs, scale))[1])

    assert np.array_equal(np.array(mx.grad(f)(mx.ones((2, 2)))), [[1.0, 1.0], [2.0, 2.0]])


def test_factors_that_are_larger_than_the_sum_stay_inside():
    w, h, xs = mx.random.normal((2, 2)), mx.random.normal((500, 2)), mx.random.normal((30, 500, 2))
    f = lambda w: mx.sum(mx.scan(lambda h, x: (mx.tanh(h @ w * x), None), h, xs)[0])
    wide = [np.array(a).astype("f8") for a in (w, h, xs)]
    e = 1e-6
    step = lambda w: _last(w, *wide[1:])
    expected = [[(step(wide[0] + e * d) - step(wide[0] - e * d)) / (2 * e) for d in row] for row in _units()]
    np.testing.assert_allclose(np.array(mx.grad(f)(w)), expected, rtol=1e-3, atol=1e-3)


def _units():
    return [[np.eye(4)[2 * i + j].reshape(2, 2) for j in range(2)] for i in range(2)]


def _last(w, h, xs):
    for x in xs:
        h = np.tanh(h @ w * x)
    return h.sum()
