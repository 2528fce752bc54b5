"""Random programs of nested loops and branches that change arrays around them in place, against the same ones in Python."""

import functools
import random

import mlx.core as mx
import numpy as np


class Python:
    """What a program means."""

    @staticmethod
    def fori(n, body, c):
        for i in range(n):
            c = body(mx.array(i), c)
        return c

    @staticmethod
    def loop(proceeds, body, c):
        while proceeds(c).item():
            c = body(c)
        return c

    @staticmethod
    def scan(body, c, xs):
        ys = []
        for t in range(xs.shape[0]):
            c, y = body(c, xs[t])
            ys.append(y)
        return c, mx.stack(ys)

    @staticmethod
    def cond(pred, yes, no, c):
        return yes(c) if pred.item() else no(c)

    @staticmethod
    def checkpoint(f, c):
        return f(c)


class Recorded:
    fori = staticmethod(lambda n, body, c: mx.fori_loop(0, n, body, c))
    loop = staticmethod(mx.while_loop)
    scan = staticmethod(mx.scan)
    cond = staticmethod(mx.cond)
    checkpoint = staticmethod(lambda f, c: mx.checkpoint(f)(c))


class Store:
    """The arrays around the bodies: variables, elements of containers, attributes, handles that share a value."""

    def __init__(self, x):
        self.v = mx.array([0.5, -1.0, 2.0, 0.25]) * x
        self.s = x * 1
        self.k = mx.array(0)
        self.d = {"x": mx.zeros(3) + x, "l": [self.s * 1, mx.array(1.5)]}
        self.alike = mx.array(0.0)
        self.alike = self.v * 1
        self.w = mx.array(self.v)

    def arrays(self):
        return [self.v, self.s, self.k, self.d["x"], *self.d["l"], self.alike, self.w]

    def sum(self):
        return sum(a.sum() for a in self.arrays() if a.dtype != mx.int32)


def value(rng, depth=1):
    """A random expression of (store, c, i), a float scalar, bounded."""
    leaves = [
        lambda o, c, i: c, lambda o, c, i: o.s * 0.5, lambda o, c, i: o.v[i % 4], lambda o, c, i: o.d["x"].sum() * 0.2,
        lambda o, c, i: o.d["l"][0], lambda o, c, i: o.w[0] + o.alike[1], lambda o, c, i: o.k * 0.125 + 0.5, lambda o, c, i: mx.array(0.7),
    ]  # fmt: skip
    if not depth:
        return rng.choice(leaves)
    a, b = value(rng, depth - 1), value(rng, depth - 1)
    return rng.choice([lambda *at: mx.sin(a(*at)), lambda *at: mx.tanh(a(*at) * b(*at)), lambda *at: mx.tanh(a(*at) + 0.5 * b(*at))])


def write(rng, binds):
    """A change in place; with `binds`, perhaps another array by the same name."""
    e, j = value(rng), rng.randrange(3)

    def number(o, c, i):
        o.k += 1

    def scalar(o, c, i):
        o.s *= 0.5
        o.s += e(o, c, i)

    def element(o, c, i):
        o.v[j] = e(o, c, i)

    def at_index(o, c, i):
        o.v[i % 4] += e(o, c, i)

    def part(o, c, i):
        o.d["x"][1:] = e(o, c, i)

    def key(o, c, i):
        o.d["x"] -= 0.3 * e(o, c, i)

    def item(o, c, i):
        o.d["l"][j % 2] *= e(o, c, i)

    def shared(o, c, i):
        o.w[j] = e(o, c, i)

    def whole(o, c, i):
        o.alike[:] = e(o, c, i)

    def masked(o, c, i):
        o.alike[o.alike > 0.4] = 0.25

    def name(o, c, i):
        o.s = mx.tanh(o.s + e(o, c, i))

    def other_key(o, c, i):
        o.d["x"] = o.d["x"] * 0.5 + e(o, c, i)

    def other_item(o, c, i):
        o.d["l"][j % 2] = e(o, c, i) + 0.5

    others = [name, other_key, other_item] if binds else []
    return rng.choice([*others, number, scalar, element, at_index, part, key, item, shared, whole, masked])


def block(rng, depth, binds=True):
    """A function (run, store, c, i) -> c of a few statements."""
    statements = [statement(rng, depth, binds) for _ in range(rng.randrange(1, 4))]

    def run(by, o, c, i):
        for s in statements:
            c = s(by, o, c, i)
        return c

    return run


def statement(rng, depth, binds):
    kind = rng.randrange(8 if depth else 3)
    if kind < 2:
        change = write(rng, binds)
        return lambda by, o, c, i: (change(o, c, i), c)[1]
    if kind == 2:
        e = value(rng)
        return lambda by, o, c, i: mx.tanh(c * 0.5 + e(o, c, i))
    inner, n = block(rng, depth - 1, binds), rng.randrange(4)
    if kind == 3:
        return lambda by, o, c, i: by.fori(n, lambda j, c: inner(by, o, c, j), c)
    if kind == 4:  # a state that the body changes in place

        def in_place(by, o, c, i):
            def body(j, state):
                state += inner(by, o, state * 0.5, j) * 0.1
                return state

            return by.fori(n, body, c * 1)

        return in_place
    if kind == 5:
        counts = rng.random() < 0.5

        def loop(by, o, c, i):
            def proceeds(state):
                if counts:
                    o.k += 1
                return state[1] < n

            return by.loop(proceeds, lambda state: (inner(by, o, state[0], i), state[1] + 1), (c, mx.array(0)))[0]

        return loop
    if kind == 6:
        pred, other = value(rng), block(rng, depth - 1, binds)
        return lambda by, o, c, i: by.cond(
            pred(o, c, i) > 0.2, lambda c: inner(by, o, c, i), lambda c: other(by, o, c, i), c)
    if rng.random() < 0.5:
        return lambda by, o, c, i: by.checkpoint(lambda c: inner(by, o, c, i), c)
    y = value(rng)

    def scanned(by, o, c, i):
        def body(c, x):
            c = inner(by, o, c * x, i)
            return c, y(o, c, i)

        c, ys = by.scan(body, c, mx.array([0.5, 1.0, -0.25]))
        return c + 0.1 * ys.sum()

    return scanned


def program(rng):
    body = block(rng, 3)

    def run(by, x):
        o = Store(x)
        c = body(by, o, mx.tanh(x), mx.array(1))
        return o, c

    return run


def seeds(request, few, many):
    count = many if request.config.getoption("--all") else few
    first = request.config.getoption("--seed") or 0
    return range(first, first + count)


def same(a, b, seed):
    for u, v in zip(a, b, strict=True):
        assert u.dtype == v.dtype and u.shape == v.shape, seed
        assert np.allclose(np.array(u), np.array(v), rtol=2e-5, atol=2e-6), (seed, u, v)


def test_programs_as_in_python(request):
    for seed in seeds(request, 60, 2000):
        run = program(random.Random(seed))
        for x in (0.8, -0.6):
            o, c = run(Python, mx.array(x))
            p, d = run(Recorded, mx.array(x))
            same([*o.arrays(), c], [*p.arrays(), d], seed)


def test_programs_under_transforms(request):
    """Buffers that belong to the function: derivatives go through them, and lanes have their own."""
    for seed in seeds(request, 25, 800):
        run = program(random.Random(seed))

        def loss(by, x):
            o, c = run(by, x)
            return o.sum() + c

        x = mx.array(0.7)
        plain, recorded = functools.partial(loss, Python), functools.partial(loss, Recorded)
        value, slope = mx.value_and_grad(plain)(x)
        same([value, slope], mx.value_and_grad(recorded)(x), seed)
        (value,), (push,) = mx.jvp(recorded, [x], [mx.array(1.0)])
        same([slope], [push], seed)
        xs = mx.array([0.7, -0.4, 1.1])
        same([mx.stack([plain(x) for x in xs])], [mx.vmap(recorded)(xs)], seed)
        same([mx.stack([mx.grad(plain)(x) for x in xs])], [mx.vmap(mx.grad(recorded))(xs)], seed)
        f = mx.compile(mx.value_and_grad(recorded))
        for x in (x, mx.array(-0.3)):
            same(mx.value_and_grad(plain)(x), f(x), seed)


def test_compiled_programs_change_what_is_around_them(request):
    for seed in seeds(request, 25, 800):
        body = block(random.Random(seed), 3, binds=False)
        stores = Store(mx.array(0.6)), Store(mx.array(0.6))
        f = mx.compile(lambda x: body(Recorded, stores[1], x, mx.array(2)))
        for x in (0.5, -0.2, 0.9):
            c, d = body(Python, stores[0], mx.array(x), mx.array(2)), f(mx.array(x))
            same([*stores[0].arrays(), c], [*stores[1].arrays(), d], seed)
