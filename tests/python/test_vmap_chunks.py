"""vmap in chunks: the values of all lanes at once, in less memory; random draws, nesting, derivatives, the automatic size."""

import mlx.core as mx
import numpy as np
import pytest

RNG = np.random.default_rng(11)


def random(*shape):
    return mx.array(RNG.standard_normal(shape), mx.float32)


def same(x, y):
    np.testing.assert_array_equal(np.array(x), np.array(y))


SIZES = [1, 2, 3, 6, 7, 100, 10**30, "auto"]
X = random(7, 3)
FUNCTIONS = {
    "elementwise": lambda x: mx.sin(x) * x,
    "reduction": lambda x: mx.sum(x),
    "sort": lambda x: mx.sort(x) + mx.argmax(x),
    "gather": lambda x: x[mx.argsort(x)],
    "shared by all lanes": lambda x: mx.ones((2,)),
    "constant sum": lambda x: x + mx.sum(mx.zeros(3)),
}


@pytest.mark.parametrize("chunk_size", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_values(name, chunk_size):
    f = FUNCTIONS[name]
    same(mx.vmap(f, chunk_size=chunk_size)(X), mx.vmap(f)(X))
    same(mx.vmap(f, in_axes=1, out_axes=-1, chunk_size=chunk_size)(X.T), mx.vmap(f, in_axes=1, out_axes=-1)(X.T))


@pytest.mark.parametrize("chunk_size", SIZES)
def test_same_random_draws(chunk_size):
    def f(x):
        return x + mx.random.normal((3,)) * mx.random.uniform()

    mx.random.seed(5)
    expected, after = mx.vmap(f)(X), mx.random.uniform()
    mx.random.seed(5)
    same(mx.vmap(f, chunk_size=chunk_size)(X), expected)
    same(mx.random.uniform(), after)


def test_the_function_runs_once():
    calls = []

    def f(x):
        calls.append(x.shape)
        return x

    mx.vmap(f, chunk_size=2)(X)
    assert calls == [(3,)]


def test_trees_and_shared_arguments():
    p = {"w": random(4, 3), "b": random(7, 4)}
    f = lambda p, x: {"y": p["w"] @ x + p["b"], "s": 2}  # noqa: E731
    axes = dict(in_axes=({"w": None, "b": 0}, 0))
    a, b = mx.vmap(f, **axes, chunk_size=3)(p, X), mx.vmap(f, **axes)(p, X)
    np.testing.assert_allclose(np.array(a["y"]), np.array(b["y"]), rtol=1e-5, atol=1e-6)  # a product's order of summation
    same(a["s"], b["s"])
    a, b = [mx.vmap(lambda x: (x, 5.0), out_axes=(0, None), chunk_size=c)(X) for c in (2, None)]
    same(a[0], b[0])
    assert a[1] == b[1] == 5.0


def test_under_other_transforms():
    f = lambda x: mx.sum(mx.sin(x) * x[::-1])  # noqa: E731
    total = lambda c: lambda x: mx.sum(mx.vmap(f, chunk_size=c)(x) ** 2)  # noqa: E731
    same(mx.grad(total(3))(X), mx.grad(total(None))(X))
    same(mx.grad(lambda x: mx.sum(mx.grad(total(2))(x) ** 2))(X), mx.grad(lambda x: mx.sum(mx.grad(total(None))(x) ** 2))(X))
    t = random(7, 3)
    same(mx.jvp(total(4), [X], [t])[1][0], mx.jvp(total(None), [X], [t])[1][0])
    same(mx.vmap(mx.grad(f), chunk_size=2)(X), mx.vmap(mx.grad(f))(X))
    batch = random(5, 7, 3)
    same(mx.vmap(mx.vmap(f, chunk_size=3), chunk_size=2)(batch), mx.vmap(mx.vmap(f))(batch))
    same(mx.vmap(mx.vmap(f, chunk_size=3), in_axes=1, chunk_size=2)(batch), mx.vmap(mx.vmap(f), in_axes=1)(batch))


def layers(x):
    for _ in range(5):
        x = mx.cumsum(mx.sin(x))
    return mx.sum(x)


def peak(chunk_size, x):
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.vmap(layers, chunk_size=chunk_size)(x))
    return mx.get_peak_memory() - before


def test_chunks_save_memory():
    x = random(500, 800)
    mx.eval(x)
    assert peak(20, x) < 0.2 * peak(None, x)


def test_the_automatic_size_follows_the_memory_limit():
    x = random(500, 800)
    mx.eval(x)
    everything = peak(None, x)
    assert peak("auto", x) == everything
    limit = mx.set_memory_limit(mx.get_active_memory() + everything // 4)
    try:
        assert peak("auto", x) <= everything // 3  # blocks are rounded up
        mx.set_memory_limit(1)  # less than there is: lane by lane
        expected = mx.vmap(layers)(x[:5])
        same(mx.vmap(layers, chunk_size="auto")(x[:5]), expected)
    finally:
        mx.set_memory_limit(limit)


def test_the_automatic_size_counts_the_lanes_around():
    x = random(50, 40, 200)
    mx.eval(x)
    nested = lambda c: mx.vmap(mx.vmap(layers, chunk_size=c))(x)  # noqa: E731
    results = [nested(None)]
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(nested(None))
    everything = mx.get_peak_memory() - before
    limit = mx.set_memory_limit(mx.get_active_memory() + everything // 3)
    try:
        mx.reset_peak_memory()
        results.append(nested("auto"))
        mx.eval(results[1])
        assert mx.get_peak_memory() - before < 0.4 * everything
    finally:
        mx.set_memory_limit(limit)
    same(*results)


def test_no_lanes():
    assert mx.vmap(lambda x: x * x, chunk_size=2)(mx.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("bad, error", [(0, ValueError), (-3, ValueError), (2.5, TypeError), ("all", TypeError), (True, TypeError)])
def test_errors(bad, error):
    with pytest.raises(error, match=r"\[vmap\] chunk_size is"):
        mx.vmap(lambda x: x, chunk_size=bad)


def test_an_escaped_lane_is_still_an_error():
    kept = []
    with pytest.raises(ValueError, match="still referenced"):
        mx.vmap(lambda x: (kept.append(x * 2), x)[1], chunk_size=2)(X)
