"""pullback, and vjp and jvp of trees: against each other and against lists; composition, errors."""

import dataclasses
import gc
import itertools
import typing
import weakref

import mlx.core as mx
import numpy as np
import pytest

RNG = np.random.default_rng(7)


class Point(typing.NamedTuple):
    x: typing.Any
    y: typing.Any


@dataclasses.dataclass
class Layer:
    weight: typing.Any
    bias: typing.Any = None
    act: typing.Any = "relu"


class Pair:
    def __init__(self, a, b, unit="m"):
        self.a, self.b, self.unit = a, b, unit


mx.register_tree_node(Pair, lambda p: ((p.a, p.b), p.unit), lambda unit, ab: Pair(*ab, unit))


def random(*shape):
    return mx.array(RNG.uniform(0.5, 1.5, shape), mx.float64)


def close(x, y, tolerance=1e-12):
    np.testing.assert_allclose(np.array(x), np.array(y), rtol=tolerance, atol=tolerance)


# For each container: it around two arrays, and the two arrays in it.
CONTAINERS = {
    "list": (lambda a, b: [a, b], lambda t: (t[0], t[1])),
    "tuple": (lambda a, b: (a, b), lambda t: (t[0], t[1])),
    "dict": (lambda a, b: {"b": b, "a": a}, lambda t: (t["a"], t["b"])),
    "nested": (lambda a, b: {"p": [(a, None)], "q": {"r": b}}, lambda t: (t["p"][0][0], t["q"]["r"])),
    "named": (Point, lambda t: (t.x, t.y)),
    "dataclass": (Layer, lambda t: (t.weight, t.bias)),
    "registered": (Pair, lambda t: (t.a, t.b)),
}
PAIRS = list(itertools.product(CONTAINERS, repeat=2))


def flat(a, b):
    return mx.sin(a) * b, (a * b).sum()


def over_trees(given, returned):
    """flat with its arguments in one kind of container, and its outputs in another."""
    return lambda t: CONTAINERS[returned][0](*flat(*CONTAINERS[given][1](t)))


@pytest.mark.parametrize("given, returned", PAIRS)
def test_trees(given, returned):
    (wrap, unwrap), (wrap_out, unwrap_out) = CONTAINERS[given], CONTAINERS[returned]
    a, b, ta, tb, ca, cb = random(3), random(3), random(3), random(3), random(3), random()
    f, tree = over_trees(given, returned), wrap(a, b)
    outputs, products = mx.vjp(flat, [a, b], [ca, cb])
    tangents = mx.jvp(flat, [a, b], [ta, tb])[1]
    for primals, back in ((tree, lambda t: t), ([tree], lambda t: t[0]), ((tree,), lambda t: t[0])):
        if given in ("list", "tuple", "named") and primals is tree:
            continue  # they are the arguments
        out, pulled = mx.vjp(f, primals, wrap_out(ca, cb))
        assert type(out) is type(wrap_out(1, 2)) and type(pulled) is type(primals)
        for got, expected in zip([*unwrap_out(out), *unwrap(back(pulled))], [*outputs, *products]):
            close(got, expected)
        out, pushed = mx.jvp(f, primals, type(primals)([wrap(ta, tb)]) if primals is not tree else wrap(ta, tb))
        assert type(pushed) is type(out) is type(wrap_out(1, 2))
        for got, expected in zip([*unwrap_out(out), *unwrap_out(pushed)], [*outputs, *tangents]):
            close(got, expected)
    out, pull = mx.pullback(f, tree)
    for scale in (1.0, 2.0):
        (pulled,) = pull(wrap_out(ca * scale, cb * scale))
        assert type(pulled) is type(tree)
        for got, expected in zip([*unwrap_out(out), *unwrap(pulled)], [*outputs, *(p * scale for p in products)]):
            close(got, expected)


def test_several_arguments():
    a, b = random(2), random(2)
    out, pull = mx.pullback(lambda p, b: p["w"] * b, {"w": a}, b)
    close(out, a * b)
    ga, gb = pull(mx.ones((2,), mx.float64))
    close(ga["w"], b)
    close(gb, a)
    out, (ga, gb) = mx.vjp(lambda p, b: p["w"] * b, ({"w": a}, b), mx.ones((2,), mx.float64))
    close(ga["w"], b)
    out, (ga, gb) = mx.vjp(lambda p, b: p["w"] * b, [{"w": a}, b], [mx.ones((2,), mx.float64)])  # in order
    close(out, a * b)
    close(gb, a)
    out, tangent = mx.jvp(lambda p, b: p["w"] * b, ({"w": a}, b), ({"w": None}, a))
    close(tangent, a * a)


def test_lists_are_lists():
    a, b = random(2), random(2)
    for primals in ([a, b], (a, b)):
        out, products = mx.vjp(lambda a, b: {"y": a * b}, primals, [a])
        assert type(out) is list and type(products) is list
        out, tangents = mx.jvp(lambda a, b: {"y": a * b}, primals, (a, None))
        assert type(out) is list and type(tangents) is list
    out, products = mx.vjp(lambda a, b: (a * b, a), [a, b], [None, b])
    close(products[0], b)
    close(products[1], np.zeros(2))


def test_none_is_zero():
    a, b = random(3), random(3)
    f = over_trees("dict", "dict")
    _, pull = mx.pullback(f, {"a": a, "b": b})
    one = mx.ones((), mx.float64)
    close(pull({"a": None, "b": one})[0]["a"], b)
    close(pull(None)[0]["b"], np.zeros(3))
    close(mx.vjp(f, {"a": a, "b": b}, {"a": None, "b": one})[1]["a"], b)
    close(mx.jvp(f, {"a": a, "b": b}, None)[1]["b"], 0)


def test_integers_numbers_and_static_leaves():
    tree = {"w": random(2), "n": mx.array([1, 2]), "name": "x", "flag": True, "f": mx.sin, "scale": 2.0}
    f = lambda t: t["f"](t["w"]) * t["n"] * t["scale"] if t["flag"] is True and t["name"] == "x" else None  # noqa: E731
    _, pull = mx.pullback(f, tree)
    for got in (pull(mx.ones((2,)))[0], mx.vjp(f, tree, mx.ones((2,)))[1]):
        close(got["w"], mx.cos(tree["w"]) * tree["n"] * 2)
        assert got["n"].dtype == mx.int32 and got["n"].tolist() == [0, 0]
        assert (got["name"], got["flag"], got["f"]) == ("x", True, mx.sin)
        assert got["scale"].dtype == mx.float32
    out, tangent = mx.jvp(f, tree, {**tree, "n": None, "scale": 0.0})
    close(tangent, mx.cos(tree["w"]) * tree["n"] * 2 * tree["w"])


def test_outputs_that_are_no_arrays():
    out, pull = mx.pullback(lambda x: (x * x, "text", 3, x > 0), mx.array(3.0))
    assert out[1:3] == ("text", 3)
    assert pull((mx.array(2.0), None, None, None))[0].item() == 12
    out, tangent = mx.jvp(lambda x: {"y": x * x, "s": "text"}, {"x": mx.array(3.0)}["x"], mx.array(1.0))
    assert tangent["s"] == "text" and tangent["y"].item() == 6


def test_the_function_runs_once():
    calls = []

    def g(x):
        calls.append(1)
        return mx.random.uniform(shape=x.shape) * x

    x = mx.ones((3,))
    value, pull = mx.pullback(g, x)
    for _ in range(2):
        np.testing.assert_array_equal(np.array(pull(x)[0]), np.array(value))
    assert calls == [1]


def pulled(f):
    def back(x):
        y, pull = mx.pullback(f, x)
        return pull(mx.cos(y))[0] + pull(mx.sin(y))[0]
    return back


def by_vjp(f):
    def back(x):
        y = f(x)
        return mx.vjp(f, [x], [mx.cos(y) + mx.sin(y)])[1][0]
    return back


def total(f):
    return lambda x: f(x).sum()


NESTED = {
    "compile": mx.compile, "checkpoint": mx.checkpoint, "grad": lambda f: mx.grad(total(f)),
    "vmap": lambda f: lambda x: mx.vmap(f)(mx.stack([x, x * x])).sum(0), "jvp": lambda f: lambda x: mx.jvp(f, [x], [x * x])[1][0],
    "shapeless": lambda f: mx.compile(f, shapeless=True), "pullback": pulled,
    "scan": lambda f: lambda x: mx.scan(lambda c, k: (c + f(x * k), None), mx.zeros_like(x), mx.array([0.5, 1.0], mx.float64))[0],
}


@pytest.mark.parametrize("outer, inner", list(itertools.product(NESTED, repeat=2)))
def test_nested(outer, inner):
    """pullback between and around other transforms is vjp there."""
    x = random(3)
    f = lambda x: mx.sin(x) * mx.exp(x * 0.3)  # noqa: E731
    own = NESTED[outer](pulled(NESTED[inner](f)))
    other = NESTED[outer](by_vjp(NESTED[inner](f)))
    close(own(x), other(x), 1e-9)
    own = NESTED[outer](NESTED[inner](pulled(f)))
    other = NESTED[outer](NESTED[inner](by_vjp(f)))
    close(own(x), other(x), 1e-9)


def test_the_pullback_is_linear_and_transforms_see_through_it():
    x = random(3)
    g = lambda x: mx.sin(x) * x[::-1]  # noqa: E731
    _, pull = mx.pullback(g, x)
    jacobian = mx.jacrev(g)(x)
    close(mx.vmap(lambda ct: pull(ct)[0])(mx.eye(3, dtype=mx.float64)), jacobian)
    close(mx.compile(lambda ct: pull(ct)[0])(x), np.array(x) @ np.array(jacobian))
    close(mx.grad(lambda ct: (pull(ct)[0] * x).sum())(x), np.array(jacobian) @ np.array(x))


def test_gradients_reach_the_primals_through_the_pullback():
    x, ct = random(3), random(3)
    own = mx.grad(lambda x: mx.pullback(lambda x: x**3, x)[1](ct)[0].sum())(x)
    close(own, 6 * np.array(x) * np.array(ct))


def test_custom_rules_are_asked():
    f = mx.custom_function(lambda x: x)
    f.vjp(lambda x, ct, y: 5 * ct)
    _, pull = mx.pullback(f, mx.array(1.0))
    assert pull(mx.array(2.0))[0].item() == 10
    assert mx.grad(lambda ct: pull(ct)[0])(mx.array(2.0)).item() == 5


def test_rules_inside_of_rules_are_kept():
    """The pullback applies a custom function to the cotangent; later transforms ask for its rules."""
    inner = mx.custom_function(lambda t: 3 * t)
    inner.vjp(lambda t, ct, y: 7 * ct)
    f = mx.custom_function(lambda x: x * x)
    f.vjp(lambda x, ct, y: inner(ct) * x)
    _, pull = mx.pullback(f, mx.array(2.0))
    assert pull(mx.array(1.0))[0].item() == 6
    for call in (lambda c: pull(c)[0], mx.compile(lambda c: pull(c)[0])):
        for _ in range(2):
            assert mx.grad(call)(mx.array(1.0)).item() == 14
            assert mx.vmap(mx.grad(call))(mx.ones((2,))).tolist() == [14, 14]
    g = mx.grad(lambda c: mx.pullback(f, mx.array(2.0))[1](c)[0])
    assert g(mx.array(1.0)).item() == mx.compile(g)(mx.array(1.0)).item() == 14


def test_complex():
    z = mx.array([1 + 2j, 3 - 1j])
    f = lambda z: z * z * 1j  # noqa: E731
    ct = mx.array([2 - 1j, 1j])
    close(mx.pullback(f, z)[1](ct)[0], mx.vjp(f, [z], [ct])[1][0], 1e-6)


def test_loops_keep_what_the_pullback_needs():
    f = lambda x: mx.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, mx.sin(s[1])), (mx.array(0), x))[1]  # noqa: E731
    x = random(3)
    _, pull = mx.pullback(f, x)
    close(pull(x)[0], mx.vjp(f, [x], [x])[1][0])


X = mx.array(2.0)


@pytest.mark.parametrize("call, error, said", [
    (lambda: mx.pullback(3, X), TypeError, "fun is a int"),
    (lambda: mx.pullback(lambda x: x, X)[1](), TypeError, "takes one argument"),
    (lambda: mx.pullback(lambda x: x, X)[1](X, X), TypeError, "takes one argument"),
    (lambda: mx.pullback(lambda x: x, X)[1](ct=X), TypeError, "takes one argument"),
    (lambda: mx.pullback(lambda x: x, X)[1](mx.ones((2,))), ValueError, r"cotangents has shape \(2,\) but output has shape \(\)"),
    (lambda: mx.pullback(lambda x: {"y": x}, X)[1]({"y": mx.ones((2,))}), ValueError, r"cotangents\['y'\] has shape \(2,\)"),
    (lambda: mx.pullback(lambda x: {"y": x}, X)[1]({"z": X}), ValueError, r"output\['y'\]"),
    (lambda: mx.pullback(lambda x: [x, x], X)[1]([X]), ValueError, "container of 2"),
    (lambda: mx.pullback(lambda x: [x, x], X)[1](X), ValueError, "1 arrays where output has 2"),
    (lambda: mx.pullback(lambda x: x, X)[1]("s"), TypeError, "cotangents is a str"),
    (lambda: mx.vjp(lambda p: p["w"], {"w": X}, {"w": X}), ValueError, "single value"),
    (lambda: mx.vjp(lambda p: p["w"], {"w": X}, mx.ones((3,))), ValueError, r"cotangents has shape \(3,\)"),
    (lambda: mx.jvp(lambda p: p["w"], {"w": X}, {"v": X}), ValueError, r"primals\['w'\]"),
    (lambda: mx.jvp(lambda p: p["w"], {"w": X}, {"w": "s"}), TypeError, r"tangents\['w'\] is a str"),
    (lambda: mx.jvp(lambda p: p["w"], {"w": X}, {"w": mx.ones((3,))}), ValueError, r"tangents\['w'\] has shape \(3,\)"),
])
def test_errors(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_collected():
    class Marker:
        pass

    marker = Marker()
    seen = weakref.ref(marker)
    holder = {}

    def f(x, m=marker):
        return x * x

    holder["pull"] = mx.pullback(f, X)[1]
    f.pull = holder["pull"]
    del f, marker, holder
    gc.collect()
    assert seen() is None
