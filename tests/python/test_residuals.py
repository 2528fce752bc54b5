"""Rules of reverse mode that keep values of the forward pass: the same derivatives as without, under every transform."""

import gc
import itertools
import weakref

import mlx.core as mx
import numpy as np
import pytest

X = mx.array(np.linspace(-1.5, 2.0, 4), mx.float64)
W = mx.array(np.linspace(0.5, 1.25, 4), mx.float64)


def plain(x, w):
    return mx.log1p(mx.exp(x)) * w, {"sum": (mx.sin(x) * w).sum()}


def with_residuals(log=None, vmap_rule=False):
    """The same function; its rule uses nothing but what it kept."""

    @mx.custom_function
    def f(x, w):
        return plain(x, w)

    @f.forward
    def forward(x, w):
        if log is not None:
            log.append("forward")
        e = mx.exp(x)
        s = mx.log1p(e)
        return (s * w, {"sum": (mx.sin(x) * w).sum()}), {"e": e, "rest": [s, (x, w), "name", None, 3]}

    @f.vjp
    def vjp(primals, cotangents, outputs, kept):
        if log is not None:
            log.append("vjp")
        assert kept["rest"][2:] == ["name", None, 3] and isinstance(kept["rest"][1], tuple)
        e, (s, (x, w), *_) = kept["e"], kept["rest"]
        first, second = cotangents[0], cotangents[1]["sum"]
        return first * w * e / (1 + e) + second * mx.cos(x) * w, first * s + second * mx.sin(x)

    if vmap_rule:
        @f.vmap
        def batched(inputs, axes):
            x, w = (mx.moveaxis(a, axis, 0) if axis is not None else a[None] for a, axis in zip(inputs, axes))
            s = mx.log1p(mx.exp(x)) * w
            total = (mx.sin(x) * w).sum(axis=-1)
            return (s, {"sum": mx.broadcast_to(total, s.shape[:1])}), (0, {"sum": 0})

    return f


def scalar(f):
    def loss(x, w):
        y, rest = f(x, w)
        return (y * mx.cos(y)).sum() + rest["sum"] ** 2
    return loss


def lanes(f):
    """f over lanes, summed: x and w have no lanes of their own."""
    return lambda x, w: mx.vmap(lambda k: f(x * k, w))(mx.array([0.5, 1.0, 1.5], mx.float64)).sum()


# Each takes a function of (x, w) to a scalar, and gives another.
NESTED = {
    "compile": mx.compile,
    "checkpoint": mx.checkpoint,
    "vmap": lanes,
    "grad": lambda f: lambda x, w: (mx.grad(f)(x, w) * w).sum(),
    "grad both": lambda f: lambda x, w: sum((g * g).sum() for g in mx.grad(f, argnums=(0, 1))(x, w)),
    "jvp": lambda f: lambda x, w: mx.jvp(f, [x, w], [w, x])[1][0],
    "linearize": lambda f: lambda x, w: mx.linearize(f, x, w)[1](w, x),
    "pullback": lambda f: lambda x, w: mx.pullback(f, x, w)[1](mx.array(2.0, mx.float64))[0].sum(),
    "scan": lambda f: lambda x, w: mx.scan(lambda c, k: (c + f(x * k, w), c), mx.array(0.0, mx.float64),
                                           mx.array([0.5, 1.0], mx.float64))[0],
    "cond": lambda f: lambda x, w: mx.cond(x.sum() > -1e9, f, lambda x, w: x.sum(), x, w),
}


@pytest.mark.parametrize("rule", ["without vmap rule", "with vmap rule"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_nesting(depth, rule):
    """Values under all nestings are those of the plain function."""
    forms = list(itertools.product(NESTED, repeat=depth))
    if depth == 3:
        forms = forms[::7]
    for names in forms:
        expected, got = scalar(plain), scalar(with_residuals(vmap_rule=rule == "with vmap rule"))
        for name in names:
            expected, got = NESTED[name](expected), NESTED[name](got)
        np.testing.assert_allclose(np.array(got(X, W)), np.array(expected(X, W)), rtol=1e-9, atol=1e-9, err_msg=str(names))


def test_the_forward_rule_runs_only_where_it_is_needed():
    log = []
    f = with_residuals(log)
    f(X, W)
    assert log == [], "nobody can ask for a derivative"
    mx.grad(scalar(f))(X, W)
    assert log == ["forward", "vjp"]


def test_values_are_kept_and_not_computed_again():
    """The rule gets the very draw that the forward pass made."""

    @mx.custom_function
    def noisy(x):
        return x * mx.random.uniform(shape=x.shape)

    @noisy.forward
    def forward(x):
        draw = mx.random.uniform(shape=x.shape)
        return x * draw, draw

    @noisy.vjp
    def vjp(x, cotangent, output, draw):
        return cotangent * draw

    x = mx.ones((5,))
    (_, out), g = mx.value_and_grad(lambda x: (lambda y: (y.sum(), y))(noisy(x)))(x)
    np.testing.assert_array_equal(np.array(out), np.array(g))


def test_residuals_of_trees_and_keywords():
    @mx.custom_function
    def f(p, *, scale):
        return p["a"] * p["b"] * scale

    @f.forward
    def forward(p, *, scale):
        return p["a"] * p["b"] * scale, dict(p)

    @f.vjp
    def vjp(p, cotangent, output, kept, *, scale):
        return {"a": cotangent * kept["b"] * scale, "b": None}

    g = mx.grad(lambda p: f(p, scale=mx.array(3.0)).sum())({"a": mx.array(2.0), "b": mx.array(5.0)})
    assert (g["a"].item(), g["b"].item()) == (15, 0)


@pytest.mark.parametrize("answer, said", [
    (lambda x: x, "returned a array"), (lambda x: (x,), "tuple of 1"), (lambda x: (x, x, x), "tuple of 3"), (lambda x: None, "NoneType"),
])
def test_a_forward_rule_returns_a_pair(answer, said):
    f = mx.custom_function(lambda x: x).forward(answer).vjp(lambda x, ct, y, kept: ct)
    with pytest.raises(TypeError, match=said):
        mx.grad(lambda x: f(x))(mx.array(1.0))


def test_no_callable():
    with pytest.raises(TypeError, match="forward rule is a int"):
        mx.custom_function(lambda x: x).forward(3)


def test_a_closure_of_an_argument_in_the_rules():
    """Captured arrays get their gradient from the forward rule."""
    def loss(x, w):
        f = mx.custom_function(lambda x: mx.sin(x) * w)
        f.forward(lambda x: (mx.sin(x) * w, mx.cos(x)))
        f.vjp(lambda x, ct, y, c: ct * c * w)
        return f(x).sum()

    plain_loss = lambda x, w: (mx.sin(x) * w).sum()  # noqa: E731
    for wrap in (lambda f: f, mx.compile, mx.checkpoint, lanes):
        for got, expected in zip(mx.grad(wrap(loss), argnums=(0, 1))(X, W), mx.grad(wrap(plain_loss), argnums=(0, 1))(X, W)):
            np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-12)


def test_exported(tmp_path):
    f = with_residuals()
    path = str(tmp_path / "f.mlxfn")
    for own, expected in ((lambda x, w: mx.grad(scalar(f))(x, w), mx.grad(scalar(plain))),
                          (lambda x, w: f(x, w)[0], lambda x, w: plain(x, w)[0])):
        mx.export_function(path, own, X, W)
        (got,) = mx.import_function(path)(X, W)
        np.testing.assert_allclose(np.array(got), np.array(expected(X, W)), rtol=1e-12)


def test_collected():
    class Marker:
        pass

    def keep(marker):
        g = mx.custom_function(lambda x: x)
        g.forward(lambda x: (x, [g, marker] and x))
        g.vjp(lambda x, ct, y, kept: ct * kept)
        mx.eval(mx.grad(lambda x: g(x))(mx.array(1.0)), mx.compile(mx.grad(lambda x: g(x)))(mx.array(1.0)))
        return weakref.ref(marker)

    seen = keep(Marker())
    gc.collect()
    assert seen() is None
