"""mx.export_function: the jvp and vjp rules of custom functions come back from the file."""

import mlx.core as mx
import pytest
from test_export import assert_same, round_trip


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "f.mlxfn")

W2 = mx.array([3.0, 5.0])


def ruled(*kinds):
    """sin with rules that say cos * 10 (vjp), cos * 7 (jvp)."""

    @mx.custom_function
    def f(x):
        return mx.sin(x)

    if "vjp" in kinds:
        f.vjp(lambda x, ct, out: ct * mx.cos(x) * 10 + 0 * out)
    if "jvp" in kinds:
        f.jvp(lambda x, t: t * mx.cos(x) * 7)
    return f


def closing_over(kind):
    """A rule that uses an array around it: a constant, or an argument of the exported function."""

    def outer(x, w):
        @mx.custom_function
        def f(x):
            return x * w

        f.vjp(lambda x, ct, out: ct * (W2 if kind == "constant" else w * W2) * out)
        return f(x)

    return outer


@pytest.mark.parametrize("wrap", [lambda f: f, mx.checkpoint, mx.compile, lambda f: lambda x: mx.vmap(f)(x[None])[0],
                                  lambda f: lambda x: mx.cond(x.sum() > -9, f, mx.cos, x),
                                  lambda f: lambda x: mx.scan(lambda c, v: (f(c) * v, v), x, mx.array([1.0, 2.0]))[0]],
                         ids=["plain", "checkpoint", "compile", "vmap", "cond", "scan"])
@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")])
def test_rules_come_back(kinds, wrap, path):
    f, x = wrap(ruled(*kinds)), mx.array([0.3, 0.7])
    assert_same(round_trip(path, f, x), [f(x)])
    g = lambda x: mx.import_function(path)(x)[0]  # noqa: E731
    total = lambda f: lambda x: f(x).sum()  # noqa: E731
    assert_same([mx.grad(total(g))(x)], [mx.grad(total(f))(x)])
    assert_same([mx.jvp(g, [x], [x])[1][0]], [mx.jvp(f, [x], [x])[1][0]])
    assert_same([mx.grad(lambda x: mx.grad(total(g))(x).sum())(x)], [mx.grad(lambda x: mx.grad(total(f))(x).sum())(x)])
    assert_same([mx.vmap(mx.grad(total(g)))(x[None])], [mx.vmap(mx.grad(total(f)))(x[None])])
    assert_same([mx.compile(mx.grad(total(g)))(x)], [mx.compile(mx.grad(total(f)))(x)])
    # Once more into a file and out of it.
    mx.export_function(path + "2", lambda x: [g(x)], x)
    h = mx.import_function(path + "2")
    assert_same([mx.grad(lambda x: h(x)[0].sum())(x)], [mx.grad(total(f))(x)])


@pytest.mark.parametrize("kind", ["constant", "argument"])
def test_rules_that_use_arrays_from_around_them_come_back(kind, path):
    f, args = closing_over(kind), (mx.array([0.3, 0.7]), mx.array([2.0, 4.0]))
    mx.export_function(path, lambda x, w: [f(x, w)], *args)
    g = mx.import_function(path)
    for i in (0, 1):
        assert_same([mx.grad(lambda *a: g(*a)[0].sum(), argnums=i)(*args)],
                    [mx.grad(lambda *a: f(*a).sum(), argnums=i)(*args)])


def test_rules_come_back_for_other_sizes(path):
    f = ruled("vjp")
    mx.export_function(path, lambda x: [f(x)], mx.zeros((2,)), shapeless=True)
    g = mx.import_function(path)
    x = mx.array([0.1, 0.2, 0.3])
    assert_same([mx.grad(lambda x: g(x)[0].sum())(x)], [mx.grad(lambda x: f(x).sum())(x)])


def test_a_rule_that_needs_values_is_left_out(path):
    @mx.custom_function
    def f(x):
        return x * x

    f.vjp(lambda x, ct, out: ct * (1 if ct.sum().item() > 0 else 2))
    x = mx.array([1.0, 2.0])
    mx.export_function(path, lambda x: [f(x)], x)
    assert mx.grad(lambda x: mx.import_function(path)(x)[0].sum())(x).tolist() == [2, 4]
