"""Loops over grids: stencils of what a loop carries, put into the middle, at an edge or on all sides of a constant, of one number or of several,
that stays around it from turn to turn. The bits are those of the steps, one by one."""

import random

import mlx.core as mx
import numpy as np
import pytest
from test_loop_calls import bits, called

SHAPES = [(50, 60), (64, 64), (66, 66), (48, 130), (126, 100), (2100,), (5000,), (4, 30, 50), (9, 20), (130, 128), (40_000,), (180, 190)]
DTYPES = [mx.float32, mx.float64, mx.bfloat16, mx.float16]


def inner(x, low, high, along, axis):
    """The elements but for so many at either end of each axis, moved along one of them."""
    at = [slice(a, n - b) for a, b, n in zip(low, high, x.shape)]
    start, stop = at[axis].start + along, at[axis].stop + along
    at[axis] = slice(start, stop)
    return x[tuple(at)]


def turn(rng, border):
    """One step of a drawn scheme. What is drawn is the same in each turn."""
    kind, axis = rng.randrange(6), rng.random()
    low, high = rng.choice([(1, 1), (1, 0), (0, 1), (2, 1)])
    rate, value = rng.uniform(0.1, 0.3), rng.choice([0.0, 0.0, 0.25])
    power, plus = rng.choice([1.0, 2.0, 3.0]), rng.random() < 0.5

    def scheme(i, x):
        d = int(axis * x.ndim)
        if kind == 5:
            return x * 0.5 + (mx.roll(x, low, d) - mx.roll(x, -high, d)) * rate
        lows, highs = [low] * x.ndim, [high] * x.ndim
        if kind == 0:  # only along one axis
            lows, highs = ([n * (k == d) for k in range(x.ndim)] for n in (low, high))
        reach = [k for k in range(-lows[d], highs[d] + 1)]
        y = inner(x, lows, highs, reach[0], d) * rate
        for k in reach[1:]:
            y = y + mx.sin(inner(x, lows, highs, k, d)) * rate
        if kind == 1:
            y = y - mx.power(mx.minimum(mx.abs(y), 1) + 0.5, power) * 0.1
        if kind == 2:
            y = y * mx.power(mx.minimum(mx.abs(y), 1) + 0.5, (i % 3).astype(x.dtype)) * 0.5  # another power in each turn
        padded = mx.pad(y, list(zip(lows, highs)), constant_values=value)
        if kind == 3:  # around it is no number but an array
            around = mx.array(border)
            around[tuple(slice(a, n - b) for a, b, n in zip(lows, highs, x.shape))] = y
            padded = around
        return x * 0.9 + padded if plus else padded

    return scheme


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(36))
def test_same_bits_as_step_by_step(seed, dtype):
    rng = random.Random(seed)
    shape = SHAPES[seed % len(SHAPES)]
    values = np.random.default_rng(seed)
    x, border = (mx.array(values.uniform(-1, 1, shape)).astype(dtype) for _ in range(2))
    mx.eval(x, border)
    scheme = turn(rng, border)
    turns = rng.choice([17, 20, 33])
    expected, along = x, []
    for i in range(turns):
        expected = scheme(mx.array(i), expected)
        mx.eval(expected)
        along.append(expected)
    f = lambda x: mx.fori_loop(0, turns, scheme, x)  # noqa: E731
    kept = mx.array(x)
    assert bits([f(x)]) == bits([expected])
    compiled = mx.compile(f)
    for _ in range(2):
        assert bits([compiled(x)]) == bits([expected])
    assert bits([compiled(expected), x]) == bits([f(expected), kept])  # what is around it is that of no other call
    # Each turn's grid as an output, and two grids in turn
    _, all_of_them = mx.scan(lambda c, i: ((c := scheme(i, c)), c), x, mx.arange(turns))
    assert bits([all_of_them]) == bits([mx.stack(along)])
    pair = lambda i, c: (c[1], scheme(i, c[0]))  # noqa: E731
    a, b = x, x * 0.5
    for i in range(turns):
        a, b = pair(mx.array(i), (a, b))
        mx.eval(a, b)
    assert bits(mx.fori_loop(0, turns, pair, (x, x * 0.5))) == bits([a, b])
    condition = lambda c: c[0] < turns  # noqa: E731
    assert bits([mx.while_loop(condition, lambda c: (c[0] + 1, scheme(c[0], c[1])), (mx.array(0), x))[1]]) == bits([expected])


def beside(rng, values, part, whole):
    """A drawn operand that a scheme reads with a part of the grid or with all of it: of that shape, of some of its axes, permuted."""
    shape = list(rng.choice([part, whole]))
    of_part, kind = tuple(shape) == tuple(part), rng.choice(["as it is", "one axis", "stretched", "permuted", "reversed", "every other"])
    if kind == "stretched":
        shape = [n if rng.random() < 0.5 else 1 for n in shape]
    drawn = lambda shape: mx.array(values.uniform(0.5, 1, shape).astype(np.float32))  # noqa: E731
    if kind == "one axis":
        return of_part, drawn(shape[-1:])
    if kind == "permuted":
        return of_part, drawn(shape[::-1]).T
    if kind == "reversed":
        return of_part, drawn(shape)[::-1]
    return of_part, drawn([2 * n for n in shape])[tuple(slice(0, None, 2) for _ in shape)] if kind == "every other" else drawn(shape)


@pytest.mark.parametrize("seed", range(40))
def test_operands_that_lie_otherwise(seed):
    """With what a part is put into go arrays that do not lie as the grid does, and a second part, of the result of the first."""
    rng, values = random.Random(seed), np.random.default_rng(seed)
    shape = rng.choice(SHAPES[:-1])
    low, high = ([rng.choice([0, 1, 2]) for _ in shape] for _ in range(2))
    high[-1] += low == high == [0] * len(shape)
    part = tuple(n - a - b for n, a, b in zip(shape, low, high))
    operands = [beside(rng, values, part, shape) for _ in range(3)]
    around, twice, keeps = rng.choice([0.0, 0.5, None]), rng.random() < 0.5, rng.random() < 0.3
    middle = tuple(slice(a, n - b) for a, b, n in zip(low, high, shape))

    def put(x, y):
        if around is not None:
            return mx.pad(y, list(zip(low, high)), constant_values=around)
        x = mx.array(x)
        x[middle] = y
        return x

    def scheme(i, x):
        y = mx.sin(inner(x, low, high, -low[-1], len(shape) - 1)) + x[middle] * 0.25
        for of_part, operand in operands:
            y = y * operand if of_part else y
        z = put(x, y) * 0.5 + x * 0.25
        for of_part, operand in operands:
            z = z if of_part else z + operand * 0.125
        if twice:
            z = put(z, mx.cos(z[middle]) * y if keeps else mx.cos(z[middle]) * 0.5) - z * 0.25
        return z

    x = mx.array(values.uniform(-1, 1, shape).astype(np.float32))
    expected = x
    for i in range(20):
        expected = scheme(mx.array(i), expected)
        mx.eval(expected)
    f = lambda x: mx.fori_loop(0, 20, scheme, x)  # noqa: E731
    assert bits([f(x)]) == bits([expected])
    assert bits([mx.compile(f)(x)]) == bits([expected])
    once = mx.compile(lambda x: [g := scheme(0, x), scheme(1, g)][1])
    by_steps = scheme(mx.array(0), x)
    mx.eval(by_steps)
    for _ in range(3):
        assert bits([once(x)]) == bits([scheme(mx.array(1), by_steps)])


@pytest.mark.parametrize("n", [40, 64, 100, 120, 140, 250])
def test_such_loops_are_lists_of_calls(n):
    def heat(i, u):
        return u + 0.1 * mx.pad(u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1], 1)

    assert called(lambda: mx.fori_loop(0, 20, heat, mx.ones((n, n)))) == 20
