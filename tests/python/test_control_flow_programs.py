"""Random nests of branches and loops under random stacks of transforms, against plain Python, which reads values and unrolls."""

import math
import random

import mlx.core as mx
import pytest

F64 = mx.float64


def expression(rng, depth):
    """A random smooth function of (c, x, w)."""
    kind = rng.randrange(7 if depth else 3)
    if kind < 3:
        return lambda *args: args[kind]
    a = expression(rng, depth - 1)
    if kind == 3:
        return lambda *args: mx.sin(a(*args))
    if kind == 4:
        return lambda *args: mx.tanh(a(*args) * args[2])
    b = expression(rng, depth - 1)
    return (lambda *args: a(*args) * b(*args) * 0.7) if kind == 5 else (lambda *args: a(*args) + 0.5 * b(*args))


def scanned(rng, inner, plain_inner):
    n, reverse, y = rng.randrange(4), rng.random() < 0.5, expression(rng, 2)

    def with_scan(c, x, w):
        xs = mx.stack([x * (i + 1) * 0.3 for i in range(n)]) if n else mx.zeros((0,), dtype=F64)
        c, ys = mx.scan(lambda c, u: (inner(c, u, w), y(c, u, w)), c, xs, reverse=reverse)
        return c + 0.2 * (ys * mx.arange(1, n + 1)).sum()

    def plain(c, x, w):
        total = 0
        for i in sorted(range(n), reverse=reverse):
            u = x * (i + 1) * 0.3
            total = total + 0.2 * y(c, u, w) * (i + 1)
            c = plain_inner(c, u, w)
        return c + total

    return with_scan, plain


def counted(rng, inner, plain_inner):
    n = rng.choice([0, 1, 2, 3, None])

    def with_fori_loop(c, x, w):
        upper = mx.floor(3 * mx.abs(mx.sin(5 * x))).astype(mx.int32) if n is None else n
        return mx.fori_loop(0, upper, lambda i, c: inner(c, x * (0.5 + i), w), c)

    def plain(c, x, w):
        for i in range(math.floor(3 * abs(math.sin(5 * x.item()))) if n is None else n):
            c = plain_inner(c, x * (0.5 + i), w)
        return c

    return with_fori_loop, plain


def repeated(rng, inner, plain_inner):
    def step(inner, s, x, w):
        return inner(s[0], x, w), s[1] + 0.4 + 0.3 * mx.sin(s[0] * 7) ** 2

    def with_while_loop(c, x, w):
        c, t = mx.while_loop(lambda s: s[1] < 1.3, lambda s: step(inner, s, x, w), (c, mx.abs(mx.sin(3 * c))))
        return c + 0.1 * t

    def plain(c, x, w):
        s = c, mx.abs(mx.sin(3 * c))
        while s[1].item() < 1.3:
            s = step(plain_inner, s, x, w)
        return s[0] + 0.1 * s[1]

    return with_while_loop, plain


def branched(rng, inner, plain_inner):
    other, plain_other = program(rng, 1)
    passed = rng.random() < 0.5

    def with_cond(c, x, w):
        pred = mx.sin(9 * c + 4 * x) > 0
        if passed:
            return mx.cond(pred, lambda c: inner(c, x, w), lambda c: other(c, x, w), c)
        return mx.cond(pred, lambda: inner(c, x, w), lambda: other(c, x, w))

    def plain(c, x, w):
        return plain_inner(c, x, w) if mx.sin(9 * c + 4 * x).item() > 0 else plain_other(c, x, w)

    return with_cond, plain


def program(rng, depth):
    """A random function of three scalars with control flow as primitives, and in plain Python."""
    if depth == 0:
        e = expression(rng, 2)
        return (lambda *args: mx.tanh(e(*args)),) * 2
    return rng.choice([scanned, counted, repeated, branched])(rng, *program(rng, depth - 1))


def over_lanes(f, axes, vmap):
    """A function of scalars again: f over three lanes made of them, summed with weights."""
    def summed(*args):
        batches = [mx.stack([a * (1 + 0.4 * k) + 0.1 * k * (i + 1) for k in range(3)]) if axis == 0 else a
                   for i, (a, axis) in enumerate(zip(args, axes))]
        if vmap:
            ys = mx.vmap(f, in_axes=axes)(*batches)
        else:
            ys = mx.stack([f(*(b[k] if axis == 0 else b for b, axis in zip(batches, axes))) for k in range(3)])
        return (ys * mx.array([1.0, -2.0, 0.5])).sum()
    return summed


def transformed(rng, f, plain):
    kind = rng.choice(["grad", "jvp", "vmap", "checkpoint"])
    if kind == "grad":
        k = rng.randrange(3)
        return tuple(lambda *args, g=g: g(*args) * 0.5 + mx.grad(g, argnums=k)(*args) for g in (f, plain))
    if kind == "jvp":
        return tuple(lambda *args, g=g: mx.jvp(g, list(args), [mx.ones_like(a) * (0.3 + i) for i, a in enumerate(args)])[1][0] for g in (f, plain))
    if kind == "vmap":
        axes = rng.choice([(0, None, None), (None, 0, None), (None, None, 0), (0, 0, None), (0, None, 0), (0, 0, 0)])
        return over_lanes(f, axes, True), over_lanes(plain, axes, False)
    return mx.checkpoint(f), mx.checkpoint(plain)


@pytest.mark.parametrize("seed", range(80))
def test_random_programs_under_random_transforms(seed):
    rng = random.Random(seed)
    f, plain = program(rng, rng.randrange(1, 4))
    for _ in range(rng.randrange(1, 4)):
        f, plain = transformed(rng, f, plain)
    args = [mx.array(rng.uniform(-1, 1), F64) for _ in range(3)]
    assert f(*args).item() == pytest.approx(plain(*args).item(), rel=1e-7, abs=1e-9)
