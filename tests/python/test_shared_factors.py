"""Cotangents of a matrix that many others are multiplied by are products of all of these side by side. Small integers leave
no roundings, so that the same program without products gives the same numbers."""

import random

import mlx.core as mx
import numpy as np
import pytest


def product(a, b):
    return a @ b


def written_out(a, b):
    """The same without a product of matrices."""
    return (a[..., :, None] * b[..., None, :, :]).sum(-2)


def integers(rng, *shape):
    return mx.array(rng.integers(-2, 3, shape).astype(np.float64), dtype=mx.float64)


def program(seed, times):
    """What uses the factors w and v so many times, in drawn ways."""
    draw = random.Random(seed)
    n = draw.choice([4, 6])
    ways = [draw.randrange(12) for _ in range(times)]
    rows = [draw.choice([1, 2]) for _ in range(times)]

    def f(times, w, v, xs):
        total = 0.0
        even = w * 2.0
        for i, (way, m) in enumerate(zip(ways, rows, strict=True)):
            x = xs[i, :m]
            y = {
                0: lambda: times(x, w),
                1: lambda: times(x, w.T),
                2: lambda: times(w, x.T),
                3: lambda: times(w.T, x.T),
                4: lambda: times(x, v),
                5: lambda: times(x, even),
                6: lambda: times(times(x, w), v.T),
                7: lambda: times(x, mx.stop_gradient(w)),
                8: lambda: times(x, w) * w[0, 0] + w[1:2].sum(),
                9: lambda: times(x, mx.swapaxes(even, 0, 1)),
                10: lambda: times(x[:, :2], w[:2]),
                11: lambda: times(x * x, w) + (w * w).sum(),
            }[way]()
            total = total + (y * y if i % 2 else y).sum()
        return total

    rng = np.random.default_rng(seed)
    return f, (integers(rng, n, n), integers(rng, n, n), integers(rng, times, 2, n))


def values(tree):
    return [np.array(a).tolist() for a in tree]


@pytest.mark.parametrize("seed", range(60))
def test_gradients(seed):
    f, arguments = program(seed, times=[3, 4, 9, 30, 70, 140][seed % 6])
    f_of = lambda times: lambda *a: f(times, *a)  # noqa: E731
    argnums = (0, 1, 2) if seed % 2 else (0,)
    got, expected = (mx.grad(f_of(t), argnums)(*arguments) for t in (product, written_out))
    assert values(got) == values(expected)
    compiled = mx.compile(mx.grad(f_of(product), argnums))
    assert values(compiled(*arguments)) == values(expected)


@pytest.mark.parametrize("seed", range(100, 124))
def test_further_transforms(seed):
    f, arguments = program(seed, times=[5, 12, 68][seed % 3])
    f_of = lambda times: lambda *a: f(times, *a)  # noqa: E731
    tangents = [a * 2.0 - 1.0 for a in arguments]

    def second(times):
        return mx.grad(lambda *a: (mx.grad(f_of(times))(*a) * arguments[1]).sum(), argnums=(0, 1, 2))(*arguments)

    def forward_over_reverse(times):
        return mx.jvp(mx.grad(f_of(times)), list(arguments), tangents)[1]

    def lanes(times):
        batch = mx.stack([arguments[0], arguments[1], arguments[0] + 1.0])
        return [mx.vmap(mx.grad(f_of(times)), in_axes=(0, None, None))(batch, *arguments[1:])]

    for transform in (second, forward_over_reverse, lanes):
        assert values(transform(product)) == values(transform(written_out)), transform.__name__


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.complex64])
def test_dtypes(dtype):
    rng = np.random.default_rng(3)
    w, xs = (mx.array(rng.integers(-1, 2, s)).astype(dtype) for s in ((8, 8), (20, 1, 8)))

    def f(times):
        return lambda w: mx.real(sum(times(x, w).sum() for x in xs))

    assert values([mx.grad(f(product))(w).astype(mx.complex64)]) == values([mx.grad(f(written_out))(w).astype(mx.complex64)])


def test_products_are_few(tmp_path):
    """Forwards one for each, backwards one for each state, and of the factor three alone and three groups."""
    w, h, steps = mx.random.normal((16, 16)), mx.random.normal((2, 16)), 150

    def loss(w, h):
        for _ in range(steps):
            h = mx.tanh(h @ w)
        return h.sum()

    mx.export_to_dot(str(tmp_path / "graph.dot"), mx.grad(loss)(w, h))
    text = (tmp_path / "graph.dot").read_text()
    assert text.count('label="Matmul') == steps
    assert text.count('label="ZeroMatmul') == steps - 1 + 3 + 3


def test_many_in_little_memory():
    """No more than a group is kept for later."""
    steps, n = 2000, 32
    w, h = mx.random.normal((n, n)) * 0.1, mx.random.normal((4, n))

    def loss(w, h):
        for _ in range(steps):
            h = mx.tanh(h @ w) + 0.5
        return h.sum()

    mx.eval(mx.grad(loss)(w, h))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(loss)(w, h))
    kept = steps * 4 * n * 4  # of each step's result
    assert mx.get_peak_memory() - before < 3 * kept
