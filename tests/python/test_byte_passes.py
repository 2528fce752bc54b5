"""Passes over bytes (8-bit integers and truth values), which become machine code when they are run again: the values are NumPy's, on lines
of any length, in place, on parts of images, and again on other memory."""

import random

import mlx.core as mx
import numpy as np
import pytest
from again import chosen_again, lesser_instruction_sets

SHAPES = [(601, 511), (3, 70, 1300), (300_001,), (700, 64), (64, 63), (5000, 37), (40,), (2, 131_072)]
BINARY = ["minimum", "maximum", "add", "subtract", "bitwise_and", "bitwise_or", "bitwise_xor"]
COMPARE = ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]


def program(seed, dtype):
    """Steps that mix operations of bytes with a few that are none, on two arrays; for either module."""
    rng = random.Random(seed)
    steps = []
    for _ in range(rng.choice([3, 6, 15, 60])):
        steps.append((rng.randrange(9), rng.choice(BINARY), rng.choice(COMPARE), rng.randrange(100), rng.randrange(100), rng.randrange(100)))
    outputs = [rng.randrange(100) for _ in range(rng.choice([1, 1, 3]))]

    def run(xp, x, y):
        numbers, truths = [x, y], [x > y]
        for kind, binary, compare, i, j, k in steps:
            a, b = numbers[-1 - i % min(len(numbers), 9)], numbers[-1 - j % min(len(numbers), 30)]
            p, q = truths[-1 - i % len(truths)], truths[-1 - k % len(truths)]
            if kind < 4:
                numbers.append(getattr(xp, binary)(a, b))
            elif kind == 4:
                truths.append(getattr(xp, compare)(a, b))
            elif kind == 5:
                numbers.append(xp.where(p, a, b))
            elif kind == 6:
                truths.append(xp.logical_not(p) if j % 3 == 0 else [xp.logical_and, xp.logical_or, xp.bitwise_xor][j % 3](p, q))
            elif kind == 7:
                numbers.append(~a if i % 2 else xp.maximum(a, b[:1]))  # and what is broadcast
            elif k % 4 == 0:  # no bytes between
                numbers.append(((a.astype(xp.int32) * 3 + b.astype(xp.int32)) & 127).astype(x.dtype))
        picked = [numbers[-1], truths[-1], *(numbers[k % len(numbers)] for k in outputs)]
        return [*picked, numbers[-1].astype(xp.int32).sum()]

    return run


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("seed", range(40))
def test_the_values_are_numpys(seed, dtype):
    run, values = program(seed, dtype), np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    parts = seed % 3 == 0 and len(shape) > 1
    whole = tuple(n + 2 for n in shape) if parts else shape
    compiled = mx.compile(lambda x, y: run(mx, x, y))
    for turn in range(4):
        x, y = (values.integers(*((0, 256) if dtype == "uint8" else (-128, 128)), whole).astype(dtype) for _ in range(2))
        ours = [mx.array(x), mx.array(y)]
        cut = (lambda a, k: a[tuple(slice(k, k + n) for n in shape)]) if parts else (lambda a, k: a)
        given = [cut(a, turn % 3) for a in (x, y)]
        expected = run(np, *given)
        for f in (lambda x, y: run(mx, x, y), compiled):
            for a, b in zip(f(cut(ours[0], turn % 3), cut(ours[1], turn % 3)), expected):
                assert a.shape == b.shape
                np.testing.assert_array_equal(np.array(a), b)
        del ours


@pytest.mark.parametrize("shape", [(300_001,), (601, 511)], ids=str)
def test_in_place(shape):
    """What a pass overwrites is read before; ends of lines are not done twice then."""
    values = np.random.default_rng(5)
    x, y = (values.integers(0, 256, shape).astype(np.uint8) for _ in range(2))
    mine, other = mx.array(x), mx.array(y)
    mx.eval(mine, other)
    for _ in range(6):
        x = ((np.maximum(x, y) + y) ^ np.minimum(x, 77)) + (x - y)
        mine = ((mx.maximum(mine, other) + other) ^ mx.minimum(mine, 77)) + (mine - other)
        mx.eval(mine)
        np.testing.assert_array_equal(np.array(mine), x)


def test_loops_over_images():
    values = np.random.default_rng(6)
    image = values.integers(0, 256, (300, 333)).astype(np.uint8)

    def turn(xp, a):
        inner = a[1:-1, 1:-1]
        low = xp.minimum(xp.minimum(a[:-2, 1:-1], a[2:, 1:-1]), xp.minimum(a[1:-1, :-2], a[1:-1, 2:]))
        high = xp.maximum(xp.maximum(a[:-2, 1:-1], a[2:, 1:-1]), xp.maximum(a[1:-1, :-2], a[1:-1, 2:]))
        return xp.where(inner > low, inner - 1, xp.where(inner < high, inner + 1, inner))

    expected = image
    for _ in range(20):
        expected = np.pad(turn(np, expected), 1, constant_values=9)
    scheme = lambda i, a: mx.pad(turn(mx, a), 1, constant_values=9)
    np.testing.assert_array_equal(np.array(mx.fori_loop(0, 20, scheme, mx.array(image))), expected)
    unrolled = mx.array(image)
    for i in range(20):
        unrolled = scheme(i, unrolled)
    np.testing.assert_array_equal(np.array(unrolled), expected)


@lesser_instruction_sets
def test_on_lesser_instruction_sets(target):
    chosen_again(__file__, "in_place or loops_over", MLX_CPU_TARGETS=target)
