"""What a function does to the arrays it is given (x[0] = 5, x += 1) reaches the caller, as in a plain call."""

import dataclasses
import itertools

import mlx.core as mx
import numpy as np
import pytest


@dataclasses.dataclass
class Holder:
    x: object
    note: str = "text"


def with_rule(f):
    """f with a rule of its own, which nobody asks for."""
    return mx.custom_function(f).vmap(lambda inputs, axes: (inputs, axes))


def inside_grad(f):
    """f called while a gradient is taken, of something else."""
    def call(*args, **kwargs):
        out = []
        mx.grad(lambda one: (out.append(f(*args, **kwargs)), one)[1])(mx.array(1.0))
        return out[0]
    return call


TRANSFORMS = {
    "compile": mx.compile, "checkpoint": mx.checkpoint, "custom": with_rule, "shapeless": lambda f: mx.compile(f, shapeless=True),
    "in grad": inside_grad,
}
PAIRS = [(a,) for a in TRANSFORMS] + list(itertools.product(TRANSFORMS, repeat=2))


def top(x, other):
    x[0] = 5.0
    return x.sum() * other.sum()


def twice(x, other):
    x += 1
    other[1] = x[0]
    x[1] = other[0] * 2
    return x, other


def in_list(x, other):
    items = [x, other]
    return deeper(items)


def deeper(items):
    items[0][0] = 7.0
    items[1] *= 3
    return {"sum": items[0].sum()}


def moved(x, other):
    x[0] = 4.0
    x *= 2
    return [x[0], other]


def at_end(x, other):
    x[...] = other
    return None


FUNCTIONS = [top, twice, moved, at_end]
CONTAINERS = {
    "arguments": lambda f: f,
    "list": lambda f: lambda items: f(*items),
    "dict": lambda f: lambda d: f(d["x"], d["deep"][0]),
    "object": lambda f: lambda h, other: f(h.x, other),
    "keyword": lambda f: lambda *, x, other: f(x, other),
}


def call(name, f, x, other):
    if name == "list":
        return f([x, other])
    if name == "dict":
        return f({"x": x, "deep": (other, "text", None)})
    if name == "object":
        return f(Holder(x), other)
    return f(x=x, other=other) if name == "keyword" else f(x, other)


def values(tree):
    if isinstance(tree, mx.array):
        return tree.tolist()
    if isinstance(tree, dict):
        return {k: values(v) for k, v in tree.items()}
    return [values(t) for t in tree] if isinstance(tree, (list, tuple)) else tree


def arrays():
    return mx.array([1.0, 2.0]), mx.array([3.0, 4.0])


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_caller_sees_them(function, container, names):
    x, other = arrays()
    expected = values(call(container, CONTAINERS[container](function), x, other))
    f = CONTAINERS[container](function)
    for name in reversed(names):
        f = TRANSFORMS[name](f)
    for _ in range(2):  # recorded, and replayed
        u, v = arrays()
        assert values(call(container, f, u, v)) == expected
        assert (u.tolist(), v.tolist()) == (x.tolist(), other.tolist())


@pytest.mark.parametrize("name", TRANSFORMS)
def test_gradients_go_through_what_was_changed(name):
    def loss(g):
        def of(y):
            buffer, factor = y * 2, y + 1
            out = g(buffer, factor)
            return (buffer * buffer).sum() + (factor * out[0]).sum()
        return of

    y = mx.array([0.5, 1.5])
    expected = mx.grad(loss(twice))(y)
    np.testing.assert_allclose(np.array(mx.grad(loss(TRANSFORMS[name](twice)))(y)), np.array(expected))
    np.testing.assert_allclose(np.array(mx.compile(mx.grad(loss(TRANSFORMS[name](twice))))(y)), np.array(expected))
    if name == "custom":
        return  # with_rule has none that could be used
    batch = mx.stack([y, 2 * y])
    np.testing.assert_allclose(np.array(mx.vmap(mx.grad(loss(TRANSFORMS[name](twice))))(batch)),
                               np.array(mx.vmap(mx.grad(loss(twice)))(batch)))


def test_gradients_of_changes_beside_a_rule():
    """A rule answers for what the function returns; what it changed has the derivative of the function."""
    def f(x):
        x[0] = x[1] * 3
        return x.sum()

    g = mx.custom_function(f).vjp(lambda x, ct, y: 10 * ct * mx.ones((2,)))

    def loss(y):
        x = y * 1
        return g(x) + (x * mx.array([1.0, 2.0])).sum()

    assert mx.grad(loss)(mx.array([1.0, 1.0])).tolist() == [10, 15]


def test_nothing_changes_after_an_error():
    def f(x):
        x[0] = 5.0
        raise KeyError("k")

    for transform in (mx.checkpoint, mx.compile):
        x = mx.array([1.0, 2.0])
        with pytest.raises(KeyError):
            transform(f)(x)
        assert x.tolist() == [1, 2]


def test_a_handle_that_did_not_change_is_left_alone():
    x, y = arrays()
    d = {"x": x}
    mx.checkpoint(lambda d, y: d["x"].sum() + y.sum())(d, y)
    assert d["x"] is x
    mx.checkpoint(lambda d: d["x"].__setitem__(0, 9.0))(d)
    assert d["x"] is x and x.tolist() == [9, 2]
