"""linearize and hvp: against jvp, differences and closed forms; trees, errors, composition."""

import gc
import weakref

import mlx.core as mx
import numpy as np
import pytest

import differences

RNG = np.random.default_rng(3)


def random(*shape):
    return mx.array(RNG.uniform(0.5, 1.5, shape), mx.float64)


def close(x, y, tolerance=1e-12):
    np.testing.assert_allclose(np.array(x), np.array(y), rtol=tolerance, atol=tolerance)


def f(x, y):
    return mx.sin(x) * mx.cumsum(y), mx.sum(x * y)


def test_value_and_map():
    x, y = random(4), random(4)
    value, push = mx.linearize(f, x, y)
    assert isinstance(value, tuple)
    for a, b in zip(value, f(x, y)):
        close(a, b)
    for _ in range(3):
        tangents = [random(4), random(4)]
        for a, b, c in zip(push(*tangents), mx.jvp(f, [x, y], tangents)[1],
                           differences.central(lambda *args: list(f(*args)), [x, y], tangents)):
            close(a, b)
            close(a, c, 1e-8)


def test_the_function_runs_once_and_nothing_is_computed_again():
    calls = []

    def g(x):
        calls.append(1)
        return mx.random.uniform(shape=x.shape) * x

    x = mx.ones((3,))
    value, push = mx.linearize(g, x)
    # The map has the draw that the value has.
    np.testing.assert_array_equal(np.array(push(x)), np.array(value))
    np.testing.assert_array_equal(np.array(push(x)), np.array(value))
    assert calls == [1]


def test_trees_none_and_numbers():
    p = {"w": random(2, 3), "b": [random(2)]}
    value, push = mx.linearize(lambda p, x: {"y": p["w"] @ x + p["b"][0]}, p, random(3))
    t = {"w": random(2, 3), "b": None}
    x = random(3)
    assert value["y"].shape == (2,)
    close(push(t, None)["y"], push({"w": t["w"], "b": [mx.zeros(2)]}, mx.zeros(3))["y"])
    close(push(None, x)["y"], np.array(p["w"]) @ np.array(x))
    close(push(None, None)["y"], np.zeros(2))
    value, push = mx.linearize(lambda x: x * x, 3.0)
    assert (value.item(), push(1.0).item(), push(mx.array(2.0)).item()) == (9, 6, 12)


def test_outputs_without_derivative():
    value, push = mx.linearize(lambda x: (x > 1, mx.ones(2), "text", x * 2), random(2))
    flags, ones, text, doubled = push(mx.ones(2))
    assert not np.array(flags).any() and not np.array(ones).any() and text == "text"
    close(doubled, [2, 2])


def test_the_map_is_linear_and_transforms_see_through_it():
    x = random(3)
    g = lambda x: mx.sin(x) * x[::-1]  # noqa: E731
    _, push = mx.linearize(g, x)
    jacobian = mx.jacfwd(g)(x)
    close(mx.vmap(push, out_axes=1)(mx.eye(3, dtype=mx.float64)), jacobian)
    close(mx.jacrev(push)(random(3)), jacobian)
    close(mx.hessian(push)(random(3)), np.zeros((3, 3, 3)))
    # Inside another transform: d/dx (J(x) v)
    v = random(3)
    close(mx.jacfwd(lambda x: mx.linearize(g, x)[1](v))(x), mx.jacfwd(lambda x: mx.jvp(g, [x], [v])[1][0])(x))
    xs = random(4, 3)
    close(mx.vmap(lambda x: mx.linearize(g, x)[1](v))(xs), mx.stack([mx.jvp(g, [xs[i]], [v])[1][0] for i in range(4)]))


def test_errors():
    _, push = mx.linearize(lambda p: p["a"] * 2, {"a": mx.ones(3)})
    with pytest.raises(ValueError, match=r"called with 2 tangents but there are 1"):
        push(mx.ones(3), mx.ones(3))
    with pytest.raises(ValueError, match=r"tangents\[0\]\['a'\] has shape \(2,\) but primals\[0\]\['a'\] has shape \(3,\)"):
        push({"a": mx.ones(2)})
    with pytest.raises(ValueError, match="does not fit"):
        push({"b": mx.ones(3)})
    with pytest.raises(TypeError, match="is a str"):
        push({"a": "text"})
    with pytest.raises(TypeError, match=r"primals\[0\] has dtype int32"):
        mx.linearize(lambda x: x, mx.array([1, 2]))
    with pytest.raises(TypeError, match="should be a callable"):
        mx.linearize(3, mx.ones(3))


def test_the_map_lets_the_function_go():
    def g(x):
        return x * 2

    _, push = mx.linearize(g, mx.ones(2))
    seen = weakref.ref(g)
    del g, push
    gc.collect()
    assert seen() is None


# --- hvp ---


def loss(x):
    return mx.sum(mx.sin(x) * x[::-1] ** 2)


def test_hvp():
    x, v = random(4), random(4)
    close(mx.hvp(loss, x, v), np.array(mx.hessian(loss)(x)) @ np.array(v))
    assert isinstance(mx.hvp(loss, [x], [v]), list) and isinstance(mx.hvp(loss, (x,), (v,)), tuple)
    xs, vs = random(3, 4), random(3, 4)
    close(mx.vmap(lambda x, v: mx.hvp(loss, x, v))(xs, vs), mx.stack([mx.hvp(loss, xs[i], vs[i]) for i in range(3)]))
    close(mx.grad(lambda x: mx.sum(mx.hvp(loss, x, v)))(x), mx.jacrev(lambda x: mx.hvp(loss, x, v))(x).sum(0))


def test_hvp_of_trees():
    p = {"a": random(2), "b": (random(3),)}
    y = random()
    product, by_y = mx.hvp(lambda p, y: y * mx.sum(mx.outer(p["a"], p["b"][0])), (p, y), ({"a": mx.ones(2), "b": None}, None))
    close(product["a"], np.zeros(2))
    close(product["b"][0], np.full(3, 2 * y.item()))
    close(by_y, 2 * np.array(p["b"][0]).sum())


def test_hvp_errors():
    with pytest.raises(ValueError, match=r"\[hvp\] the function must return one scalar; it returned shape \(3,\)"):
        mx.hvp(lambda x: x, mx.ones(3), mx.ones(3))
    with pytest.raises(TypeError, match="returned a float"):
        mx.hvp(lambda x: 1.0, mx.ones(3), mx.ones(3))
    with pytest.raises(ValueError, match=r"tangents has shape \(2,\) but primals has shape \(3,\)"):
        mx.hvp(loss, mx.ones(3), mx.ones(2))
    with pytest.raises(TypeError, match=r"primals\['n'\] has dtype int32"):
        mx.hvp(lambda p: p["n"].sum(), {"n": mx.array([1])}, None)


@pytest.mark.peers
def test_like_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    g = lambda lib: lambda p, x: lib.sin(p["w"] @ x) * lib.sum(x)  # noqa: E731
    p, x = {"w": RNG.uniform(-1, 1, (3, 4))}, RNG.uniform(-1, 1, 4)
    t, v = {"w": RNG.uniform(-1, 1, (3, 4))}, RNG.uniform(-1, 1, 4)
    to_mx = lambda tree: {k: mx.array(a, mx.float64) for k, a in tree.items()}  # noqa: E731
    ours, push = mx.linearize(g(mx), to_mx(p), mx.array(x, mx.float64))
    theirs, jax_push = jax.linearize(g(jax.numpy), p, x)
    close(ours, theirs)
    close(push(to_mx(t), mx.array(v, mx.float64)), jax_push(t, v))
    h = lambda lib: lambda p, x: lib.sum(g(lib)(p, x) ** 2)  # noqa: E731
    expected = jax.jvp(jax.grad(h(jax.numpy), argnums=(0, 1)), (p, x), (t, v))[1]
    found = mx.hvp(h(mx), (to_mx(p), mx.array(x, mx.float64)), (to_mx(t), mx.array(v, mx.float64)))
    close(found[0]["w"], expected[0]["w"])
    close(found[1], expected[1])


def test_a_recording_of_one_use_leaves_the_rules_to_the_others():
    inner = mx.custom_function(lambda t: 3 * t)
    inner.vjp(lambda t, ct, y: 7 * ct)
    f = mx.custom_function(lambda x: x * x).jvp(lambda x, t: inner(t) * x)
    _, push = mx.linearize(f, mx.array(2.0))
    recorded = mx.compile(lambda t: push(t))
    one = mx.array(1.0)
    assert recorded(one).item() == 6
    for g in (mx.grad(push), mx.grad(recorded), mx.compile(mx.grad(push)), mx.grad(push)):
        assert g(one).item() == 14
        assert mx.vmap(g)(mx.ones((2,))).tolist() == [14, 14]

    def within(x):
        _, push = mx.linearize(f, mx.array(2.0))
        return mx.compile(lambda t: push(t))(x) + push(x)

    assert mx.grad(within)(one).item() == mx.compile(mx.grad(within))(one).item() == 28
