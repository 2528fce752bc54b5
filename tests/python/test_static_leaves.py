"""Leaves that are neither arrays nor numbers: every transform takes them, hands them on and leaves them where they are."""

import collections
import dataclasses
import enum
import itertools
import typing

import mlx.core as mx
import numpy as np
import pytest


class Mode(enum.Enum):
    FAST = 1


class Level(enum.IntEnum):
    LOW = 1


class Config:
    """No container: a leaf."""


CONFIG = Config()
STATIC = {
    "str": "relu", "empty": "", "bytes": b"x", "flag": True, "none": None, "function": mx.sin, "lambda": lambda x: x, "class": Config,
    "object": CONFIG, "enum": Mode.FAST, "int enum": Level.LOW, "dtype": mx.float32, "ellipsis": ..., "slice": slice(1, 2),
    "range": range(3), "frozenset": frozenset({1}), "numpy flag": np.bool_(True), "numpy str": np.str_("s"), "device": mx.cpu,
    "numpy dtype": np.dtype("float32"),
}


class Named(typing.NamedTuple):
    w: typing.Any
    s: typing.Any


@dataclasses.dataclass
class Data:
    w: typing.Any
    s: typing.Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    w: typing.Any
    s: typing.Any


class Registered:
    def __init__(self, w, s):
        self.w, self.s = w, s


mx.register_tree_node(Registered, lambda r: ((r.w, r.s), None), lambda _, c: Registered(*c))

BUILD = {
    "dict": (lambda w, s: {"s": s, "w": w}, lambda t: (t["w"], t["s"])),
    "ordered": (lambda w, s: collections.OrderedDict(s=s, w=w), lambda t: (t["w"], t["s"])),
    "list": (lambda w, s: [w, s], tuple), "tuple": (lambda w, s: (w, s), tuple),
    "named": (Named, tuple), "dataclass": (Data, lambda t: (t.w, t.s)), "frozen": (Frozen, lambda t: (t.w, t.s)),
    "registered": (Registered, lambda t: (t.w, t.s)),
    "deep": (lambda w, s: {"a": [s, (w,)]}, lambda t: (t["a"][1][0], t["a"][0])),
}
W = mx.array([1.0, 2.0])


def same(a, b):
    return a is b or (type(a) is type(b) and a == b)


# Each: what it makes of loss at a tree, as an array; and trees in its result that have the tree's form.
def _pull(f, t):
    return mx.pullback(f, t)[1](mx.array(1.0))


TRANSFORMS = {
    "grad": (lambda f, t: mx.grad(f)(t), lambda r: [r]),
    "value_and_grad": (lambda f, t: mx.value_and_grad(f)(t), lambda r: [r[1]]),
    "has_aux": (lambda f, t: mx.grad(lambda t: (f(t), t), has_aux=True)(t), lambda r: list(r)),
    "vjp": (lambda f, t: mx.vjp(f, [t], mx.array(1.0)), lambda r: r[1]),
    "jvp": (lambda f, t: mx.jvp(lambda t: (f(t), t), [t], [t]), lambda r: [r[0][1], r[1][1]]),
    "pullback": (_pull, list),
    "linearize": (lambda f, t: mx.linearize(lambda t: (f(t), t), t)[1](t), lambda r: [r[1]]),
    "hvp": (lambda f, t: mx.hvp(f, (t,), (t,)), list),
    "jacrev": (lambda f, t: mx.jacrev(f)(t), lambda r: [r]), "jacfwd": (lambda f, t: mx.jacfwd(f)(t), lambda r: [r]),
    "hessian": (lambda f, t: mx.hessian(f)(t), lambda r: [r]),
    "compile": (lambda f, t: mx.compile(lambda t: (f(t), t))(t), lambda r: [r[1]]),
    "checkpoint": (lambda f, t: mx.checkpoint(lambda t: (f(t), t))(t), lambda r: [r[1]]),
    "custom": (lambda f, t: mx.grad(lambda t: mx.custom_function(f).vmap(len)(t))(t), lambda r: [r]),
    "vmap": (lambda f, t: mx.vmap(lambda t: (f(t), t), out_axes=(0, None))(t), lambda r: []),
    "grad of compile": (lambda f, t: mx.grad(mx.compile(f))(t), lambda r: [r]),
    "compile of grad": (lambda f, t: mx.compile(mx.grad(f))(t), lambda r: [r]),
    "grad of checkpoint": (lambda f, t: mx.grad(mx.checkpoint(f))(t), lambda r: [r]),
    "grad of grad": (lambda f, t: mx.grad(lambda t: sum_of(mx.grad(f)(t)))(t), lambda r: [r]),
    "check_grads": (lambda f, t: mx.check_grads(f, (t,)), lambda r: []),
}


def sum_of(tree):
    found = []

    def walk(t):
        if isinstance(t, mx.array):
            found.append(t.sum())
        elif isinstance(t, dict):
            [walk(v) for v in t.values()]
        elif isinstance(t, (list, tuple)):
            [walk(v) for v in t]
        elif hasattr(t, "w"):
            walk(t.w)
    walk(tree)
    return sum(found)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("container", BUILD)
def test_every_transform_hands_them_on(container, transform):
    build, parts = BUILD[container]
    run, trees = TRANSFORMS[transform]
    for name, leaf in STATIC.items():
        seen = []

        def f(t, seen=seen):
            w, s = parts(t)
            seen.append(s)
            return (w * w * w).sum()

        if transform == "vmap":
            f = lambda t, seen=seen: (seen.append(parts(t)[1]), (parts(t)[0] ** 3).sum())[1]  # noqa: E731
            mx.vmap(f)(build(mx.stack([W, W]), leaf))
        else:
            result = run(f, build(W, leaf))
            for tree in trees(result):
                assert same(parts(tree)[1], leaf), (name, tree)
        assert seen and all(same(s, leaf) for s in seen), (name, seen)


@pytest.mark.parametrize("first, second", [("a", "b"), (mx.sin, mx.cos), (True, False), (None, "a"), (Level.LOW, True), (Mode.FAST, "a")])
def test_another_leaf_is_another_recording(first, second):
    f = mx.compile(lambda t: (t["w"] * (2 if t["s"] is first else 3)).sum())
    for leaf, factor in ((first, 2), (second, 3), (first, 2)):
        assert f({"w": W, "s": leaf}).item() == 3 * factor
        assert mx.grad(f)({"w": W, "s": leaf})["w"].tolist() == [factor] * 2


def test_an_argument_that_is_nothing_else_is_a_mistake():
    for leaf in ("text", True, mx.sin, CONFIG):
        with pytest.raises(TypeError, match="gradients exist with respect to arrays and numbers only"):
            mx.grad(lambda x: mx.array(1.0))(leaf)


def test_integer_arrays_are_still_refused():
    for n in (mx.array([1, 2]), np.array([1, 2]), mx.array(True)):
        with pytest.raises(TypeError, match=r"t\['n'\] has dtype"):
            mx.grad(lambda t: t["w"].sum())({"w": W, "n": n})


def test_forms_of_several_arguments():
    f = lambda p, q, *, r: (p["w"] * q[0] * r.w).sum()  # noqa: E731
    p, q, r = {"w": W, "s": "p"}, [W, "q"], Data(W, "r")
    (gp, gq), named = mx.grad(f, argnums=(0, 1), argnames="r")(p, q, r=r)
    assert (gp["s"], gq[1], named["r"].s) == ("p", "q", "r")
    assert gp["w"].tolist() == gq[0].tolist() == named["r"].w.tolist() == [1, 4]
    hessian = mx.hessian(f, argnums=(0, 1))(p, q, r=r)
    assert hessian[0]["s"] == "p" and hessian[0]["w"][1][1] == "q"


def test_numpy_numbers_are_numbers():
    g = mx.grad(lambda t: t["a"] * t["b"] * t["c"])({"a": np.float32(2), "b": np.int64(3), "c": np.float64(4)})
    assert [g[k].item() for k in "abc"] == [12, 8, 6]
    for transform, pair in itertools.product((mx.grad, mx.jacrev), [(np.float64(2), 2.0), (np.ones(2), mx.ones((2,)))]):
        assert transform(lambda x: (x * x).sum())(pair[0]).tolist() == transform(lambda x: (x * x).sum())(mx.array(pair[1])).tolist()
