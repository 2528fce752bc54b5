"""What a recorded function finds around it and uses, of every kind: another one of that kind is seen, in loops, in loops that
are differentiated, and in compiled functions."""

import enum
import functools
import operator

import mlx.core as mx
import numpy as np
import pytest


def power(a, b):
    return (a * a * b).sum()


def half(x):
    return x * 0.5


def twice(x):
    return x * 2.0 + 1.0


def ruled(**rules):
    f = mx.custom_function(lambda x: x * x)
    for kind, rule in rules.items():
        getattr(f, kind)(rule)
    return f


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x * self.by


class Slotted:
    __slots__ = ("by",)

    def __init__(self, by):
        self.by = by

    def apply(self, x):
        return x * self.by


class Way(enum.Enum):
    UP = 1
    DOWN = 2


def closing(by):
    return lambda x: x * by


def defaulted(by):
    return lambda x, by=by: x * by


def linear(at):
    return mx.linearize(lambda x: mx.sin(x), mx.array([at, at]))[1]


def tree(value):
    return value[0] if isinstance(value, (tuple, list)) else value


both = lambda f: lambda x: f(x, x + 1.0)  # noqa: E731
one = lambda f: f  # noqa: E731
axis = lambda f: lambda x: mx.broadcast_to(f(mx.stack([x, x * 3.0])), (2,))  # noqa: E731
# The things, and how a function of one array of two elements comes of each.
KINDS = {
    "functions of the library": ([mx.sin, mx.cos], one),
    "functions": ([half, twice], one),
    "closures": ([closing(2.0), closing(3.0)], one),
    "defaults": ([defaulted(2.0), defaulted(3.0)], one),
    "partial": ([functools.partial(mx.sum, axis=0), functools.partial(mx.sum, axis=1)], axis),
    "operators": ([operator.add, operator.mul], both),
    "argnums of grad": ([mx.grad(power), mx.grad(power, argnums=1), mx.grad(power, argnums=(1, 0))], lambda f: lambda x: tree(both(f)(x))),
    "argnames of grad": ([mx.grad(power, argnames=n) for n in ("a", "b")], lambda f: lambda x: next(iter(f(a=x, b=x + 1.0)[1].values()))),
    "transforms": ([mx.grad(power), mx.vmap(power), mx.checkpoint(power)], lambda f: lambda x: mx.broadcast_to(both(f)(x), (2,))),
    "in_axes of vmap": ([mx.vmap(lambda a, m: a * m.sum(), in_axes=(0, i)) for i in (0, 1)],
                        lambda f: lambda x: f(x, mx.array([[1.0, 2.0], [3.0, 5.0]]))),
    "out_axes of vmap": ([mx.vmap(lambda a: a * mx.array([1.0, 2.0]), out_axes=i) for i in (0, 1)], lambda f: lambda x: f(x)[0]),
    "jacobians": ([mx.jacfwd(power), mx.jacfwd(power, argnums=1), mx.hessian(power)], lambda f: lambda x: both(f)(x).reshape(-1)[:2]),
    "checkpoints": ([mx.checkpoint(half), mx.checkpoint(twice)], one),
    "compiled": ([mx.compile(half), mx.compile(twice)], one),
    "custom functions": ([ruled(), ruled(vjp=lambda x, ct, out: ct * 3.0), ruled(vjp=lambda x, ct, out: ct * 5.0),
                          ruled(jvp=lambda x, t: t * 5.0)], one),
    "linear maps": ([linear(0.5), linear(1.0)], one),
    "pullbacks": ([mx.pullback(mx.sin, mx.array([a, a]))[1] for a in (0.5, 1.0)], lambda f: lambda x: tree(f(x))),
    "objects": ([Scale(2.0), Scale(3.0)], one),
    "slots": ([Slotted(2.0), Slotted(3.0)], lambda s: lambda x: s.apply(x)),
    "bound methods": ([Slotted(2.0).apply, Slotted(3.0).apply], one),
    "methods of arrays": ([mx.array([1.0, 2.0]).__add__, mx.array([1.0, 2.0]).__mul__, mx.array([3.0, 2.0]).__mul__], one),
    "dtypes": ([mx.float16, mx.float32, mx.int32], lambda d: lambda x: x.astype(d).astype(mx.float32) * 1.125),
    "members of an enumeration": ([Way.UP, Way.DOWN], lambda w: lambda x: x + 1.0 if w is Way.UP else x - 1.0),
    "numbers": ([2, 3, 2.5, True], lambda n: lambda x: x * n),
    "strings": (["a", "b"], lambda s: lambda x: {"a": x * 2.0, "b": x * 3.0}[s]),
    "slices": ([slice(0, 1), slice(1, 2)], lambda s: lambda x: mx.broadcast_to(x[s], (2,))),
    "tuples": ([(2.0, 1.0), (3.0, 1.0), (2.0, 4.0)], lambda t: lambda x: x * t[0] + t[1]),
    "dicts": ([{"w": 2.0}, {"w": 3.0}, {"w": mx.array([1.0, 4.0])}], lambda d: lambda x: x * d["w"]),
    "places to update": ([mx.array([1.0, 2.0]).at[0], mx.array([1.0, 2.0]).at[1], mx.array([5.0, 2.0]).at[0]],
                         lambda at: lambda x: at.add(x[1]) + x),
    "arrays": ([mx.array(2.0), mx.array([3.0, 1.0]), mx.array([5.0, 1.0])], lambda a: lambda x: x * a),
    "None": ([None, 1.5], lambda n: lambda x: x if n is None else x * n),
    "arrays of NumPy": ([np.array([2.0, 3.0], np.float32), np.array([3.0, 3.0], np.float32)], lambda a: lambda x: x * mx.array(a)),
    "classes": ([Scale, Slotted], lambda c: lambda x: c(2.0)(x) if c is Scale else c(3.0).apply(x)),
}  # fmt: skip


def looped(thing, use):
    return lambda x: mx.fori_loop(0, 2, lambda i, c: use(thing)(c) * 0.5, x)


def scanned(thing, use):
    return lambda x: mx.scan(lambda c, t: (use(thing)(c) * t, c), x, mx.array([0.5, 0.25]))[0]


found = None  # by the functions below, as a global


def differentiated(f):
    return lambda x: mx.vjp(f, [x], [mx.ones_like(x)])[1][0]


def by_global(x):
    thing, use = found
    return use(thing)(x) * 0.5


WAYS = {
    "loop": lambda thing, use: looped(thing, use),
    "gradient of a loop": lambda thing, use: differentiated(looped(thing, use)),
    "scan": lambda thing, use: scanned(thing, use),
    "tangents of a scan": lambda thing, use: lambda x: mx.jvp(scanned(thing, use), [x], [x])[1][0],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [*WAYS, "compiled", "gradient of compiled"])
def test_another_one_is_seen(kind, way):
    global found
    things, use = KINDS[kind]
    x = mx.array([0.75, 1.5])
    compiled = mx.compile(by_global)
    order = [things[0], things[0], things[0], *things[1:], *things]
    for thing in order:
        found = (thing, use)
        if way in WAYS:
            f = WAYS[way](thing, use)
        else:
            f = compiled if way == "compiled" else differentiated(compiled)
        got = f(x).tolist()
        mx.disable_compile()
        try:
            expected = (f if way in WAYS else by_global if way == "compiled" else differentiated(by_global))(x).tolist()
        finally:
            mx.enable_compile()
        assert got == expected, thing
