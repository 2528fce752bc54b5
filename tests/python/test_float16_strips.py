"""Runs of float16 that no function interrupts, which some processors compute without widening: drawn programs, special values and hard
cases among them, have the bits of one operation at a time, and those of float32 rounded."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

UNARY = (mx.negative, mx.abs, mx.square, mx.sqrt, mx.reciprocal)
BINARY = (mx.add, mx.subtract, mx.multiply, mx.divide, mx.maximum, mx.minimum)
COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)
CONNECTIVES = (mx.logical_and, mx.logical_or, mx.bitwise_xor)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 6e-8, -6e-8, 6.1e-5, -3e-5, 1.0, -1.0, 65504.0, -65504.0, 1e-4]


def values(rng, shape):
    x = np.asarray(rng.standard_normal(shape) * 10.0 ** rng.integers(-5, 4))
    at = np.asarray(rng.random(shape) < 0.1)
    x[at] = rng.choice(SPECIAL, at.sum())
    return mx.array(x.astype(np.float16))


@pytest.mark.parametrize("seed", range(200))
def test_drawn_programs(seed):
    rng = np.random.default_rng(seed)
    n, m = [(1, 2048), (1, 2049), (16, 128), (9, 256), (31, 320), (5, 1000), (3, 1100), (64, 64), (40, 100)][rng.integers(9)]
    numbers = [values(rng, (n, m)) for _ in range(3)]
    numbers += [values(rng, (m,)), values(rng, (n, 1)), values(rng, ()), values(rng, ()), values(rng, (n, 2 * m))[:, ::2], values(rng, (n, m + 3))[:, 2:-1]]
    masks = [numbers[0] > 0.3, values(rng, (m,)) > 0, values(rng, (n, 1)) < 0, numbers[1] == numbers[2]]
    mx.eval(numbers, masks)
    steps, counts = [], [len(numbers), len(masks)]
    for _ in range(int(rng.integers(3, 16))):
        kind = str(rng.choice(["unary", "binary", "binary", "compare", "connect", "not", "select", "select", "count", "float32"][: 9 + seed % 2]))
        recent = [[max(0, c - int(rng.integers(1, 5))) if rng.random() < 0.7 else int(rng.integers(c)) for _ in range(2)] for c in counts]
        steps.append((kind, int(rng.integers(60)), *recent))
        counts[kind in ("compare", "connect", "not")] += 1
    kept = rng.integers(0, 100, 2).tolist()

    def results(each):
        xs, ms = list(numbers), list(masks)
        for kind, which, (a, b), (c, d) in steps:
            pick = lambda ops: ops[which % len(ops)]
            if kind == "unary":
                xs.append(each(pick(UNARY)(xs[a])))
            elif kind == "binary":
                xs.append(each(pick(BINARY)(xs[a], xs[b])))
            elif kind == "select":
                xs.append(each(mx.where(ms[c], xs[a], xs[b])))
            elif kind == "count":
                xs.append(each(ms[c].astype(mx.float16)))
            elif kind == "float32":
                xs.append(each(each(each(xs[a].astype(mx.float32)) * 1.1).astype(mx.float16)))
            elif kind == "compare":
                ms.append(each(pick(COMPARISONS)(xs[a], xs[b])))
            else:
                ms.append(each(pick(CONNECTIVES)(ms[c], ms[d]) if kind == "connect" else mx.logical_not(ms[c])))
        last = each(xs[-1] + numbers[0])
        return [last, each(mx.where(ms[-1], last, numbers[5])), xs[kept[0] % len(xs)], ms[kept[1] % len(ms)]]

    stepwise = [bits(v) for v in results(evaluated)]
    assert [bits(v) for v in results(lambda v: v)] == stepwise, steps
    assert [bits(v) for v in mx.compile(lambda: results(lambda v: v))()] == stepwise, steps


@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "divide", "sqrt"])
def test_one_rounding(op):
    """All pairs of a few thousand numbers, subnormal ones and results among them, computed in float64 and rounded once."""
    rng = np.random.default_rng(2)
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = np.concatenate([every, rng.choice(every, 1 << 16), every[: 1 << 15]])
    y = np.concatenate([np.flip(every), rng.choice(every, 1 << 16), every[1 << 15 :]])
    with np.errstate(all="ignore"):
        wide = [v.astype(np.float64) for v in (x, y)]
        expected = (np.sqrt(wide[0]) if op == "sqrt" else getattr(np, op)(*wide)).astype(np.float16)
    xs = [mx.array(v) for v in ((x,) if op == "sqrt" else (x, y))]
    assert bits(-getattr(mx, op)(*xs)) == bits(mx.array(-expected))


@pytest.mark.parametrize("seed", range(10))
def test_gradients(seed):
    rng = np.random.default_rng(seed)
    x, y = (mx.array(rng.standard_normal((33, 128)).astype(np.float16)) for _ in range(2))

    def f(x, y):
        return mx.sum((mx.maximum(x, 0) * y + mx.where(x > y, x * 0.5, y / 3)).astype(mx.float32))

    given = mx.grad(f, argnums=(0, 1))(x, y)
    compiled = mx.compile(mx.grad(f, argnums=(0, 1)))(x, y)
    assert [bits(v) for v in given] == [bits(v) for v in compiled]
    above, more = np.array(x) > 0, np.array(x > y)
    expected = np.where(above, np.array(y), 0).astype(np.float16) + np.where(more, np.float16(0.5), np.float16(0))
    np.testing.assert_array_equal(np.array(given[0]), expected)
