"""Loops over arrays of some thousand elements, whose elementwise steps run as machine code where the processor has the instructions: the bits
are those of the steps, each evaluated by itself, for drawn steps of all that such a run may have."""

import random

import mlx.core as mx
import numpy as np
import pytest
from test_native_loops import FLOATS, INTS, Body, bits, draw

from again import again, lesser_instruction_sets

TURNS, CALLS = 20, 3
SHAPES = [(2100,), (5003,), (50, 60), (64, 70), (130, 128), (3, 700, 2), (300, 9), (40_000,)]


class Grid(Body):
    """Steps on whole grids, on what is next to an element, and on a number for each row or column."""

    def __call__(self, pool):
        pool = list(pool)
        shape = pool[0].shape
        for which, first, second, third in self.steps:
            a = pool[int(first * len(pool))]
            alike = [b for b in pool if b.dtype == a.dtype]
            b = alike[int(second * len(alike))]
            if which < 0.08:
                a = mx.roll(a, 1 + int(second * 3), int(third * a.ndim))
            elif which < 0.14 and a.dtype in FLOATS:
                a = mx.pad(a, 1)[tuple(slice(int(third * 3), int(third * 3) + n) for n in shape)]
            elif which < 0.2:
                a = mx.where(a > b, a, b[:1]) if third < 0.5 else mx.where(a[..., :1] < b, a, b)
            elif which < 0.26 and a.dtype in FLOATS:
                a = [a * b[..., -1:], a[:1] - b, a / (mx.abs(b[..., :1]) + 0.5), b - a.reshape(-1)[7]][int(third * 4)]
            elif which < 0.3 and a.dtype in FLOATS:  # from the last element to the first, and every other one
                a = a[::-1] if third < 0.5 else mx.stack([a, b], axis=-1)[..., 1]
            else:
                a = self.step(pool, 0.18 + 0.82 * (which - 0.3) / 0.7, first, second, third)
            if a.shape == shape:
                pool.append(a)
        return pool


def check(seed):
    rng, values = random.Random(seed), np.random.default_rng(seed)
    shape = rng.choice(SHAPES)
    dtypes = [rng.choice([*FLOATS, mx.float32]), rng.choice(INTS), mx.bool_]
    kinds = [dtypes[0], *(rng.choice(dtypes) for _ in range(rng.randint(0, 2)))]
    carry = [draw(values, shape, dtype) for dtype in kinds]
    constants = [draw(values, shape, rng.choice(dtypes)) for _ in range(2)]
    drawn, choice = Grid(rng, rng.choice([2, 5, 12, 40, 90])), [rng.random() for _ in range(4)]

    def body(i, c):
        pool, new = drawn([*c, *constants]), []
        for k, dtype in enumerate(kinds):
            found = [a for a in pool[len(c) :] if a.dtype == dtype] or [c[k]]
            a = found[-1 - int(choice[k] * min(3, len(found)))]
            new.append(mx.clip(a, -1e3, 1e3).astype(dtype) if dtype in FLOATS and choice[-1] < 0.8 else a)
        return new

    expected = carry
    for i in range(TURNS):
        expected = body(i, expected)
        mx.eval(expected)
    loop = mx.compile(lambda c: mx.fori_loop(0, TURNS, body, c))
    for _ in range(CALLS):
        assert bits(loop(carry)) == bits(expected), seed


@pytest.mark.parametrize("seed", range(400))
@pytest.mark.grid(0.3)
def test_same_bits_as_step_by_step(seed):
    check(seed)


def test_special_numbers():
    """NaNs, infinities, zeros of both signs and subnormal numbers, through what has a rule for each of them."""
    numbers = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 1e-40, -1e-45, 3.4e38], np.float32)
    a, b = (mx.array(x) for x in (np.repeat(numbers, 300), np.tile(numbers, 300)))
    arithmetic = mx.maximum, mx.minimum, mx.add, mx.subtract, mx.multiply, mx.divide
    choices = lambda x, y: mx.where(x < y, x, y), lambda x, y: mx.where(x == y, x, -y), lambda x, y: mx.rsqrt(mx.abs(x)) + mx.sqrt(mx.abs(y))
    rules = lambda x, y: mx.vjp(mx.divide, [x, y], [x])[1][0], lambda x, y: mx.vjp(mx.multiply, [x, y], [y])[1][1]
    for f in (*arithmetic, *choices, *rules):
        step = lambda i, c, f=f: (f(c[0], c[1]), c[1], f(c[1], c[0]))  # noqa: E731
        c = (a, b, a)
        for i in range(TURNS):
            c = step(i, c)
            mx.eval(c)
        loop = mx.compile(lambda c, step=step: mx.fori_loop(0, TURNS, step, c))
        for _ in range(CALLS):
            assert bits(loop((a, b, a))) == bits(c)


@lesser_instruction_sets
def test_with_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    for seed in range(400, 440):
        check(seed)
