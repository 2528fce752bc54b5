"""Results that are only joined to others are written where they will lie: whatever the parts are computed from, whoever else reads them,
along whichever axis and however long their lines are, the bits are those of parts that are computed first and joined then."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, bytes_moved, check_as_step_by_step

SHAPES = [(70, 100), (9, 33, 40), (64, 8, 16), (3, 5000), (20_000,), (40, 2100), (6000, 2)]
UNARY = [mx.negative, mx.square, mx.sigmoid, lambda x: x * 0.5, lambda x: 1 - x, lambda x: mx.where(x > 0, x, 0.25)]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum]


def normalised(x):
    return mx.softmax(x, axis=-1)


def of_rows(x):
    return x - mx.mean(x, axis=-1, keepdims=True)


def of_columns(x):
    return x * mx.sum(x, axis=0)


def slices(rng, x, axis):
    """Parts of an array that leave out nothing, or overlap."""
    n = x.shape[axis]
    at = int(rng.integers(1, n))
    take = lambda a, b: mx.take(x, mx.arange(a, b), axis=axis) if rng.integers(4) == 0 else cut(x, axis, a, b)
    return [take(0, at), take(at, n)] if rng.integers(2) else [take(0, n - 1), take(1, n), x]


def cut(x, axis, first, last):
    return x[(slice(None),) * axis + (slice(first, last),)]


def drawn(seed, shape, given, each):
    """Values of a program in which some are parts of others, all evaluated one by one if `each`."""
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(len(shape)))
    values = list(given)
    parts = [part for x in given for part in slices(rng, x, axis)]
    for _ in range(int(rng.integers(2, 8))):
        x = parts[rng.integers(len(parts))]
        same = [y for y in parts if y.shape == x.shape]
        kind = rng.integers(8)
        if kind == 0:
            x = [normalised, of_rows, of_columns][rng.integers(3)](x)
        elif kind < 4:
            x = UNARY[rng.integers(len(UNARY))](x)
        else:
            x = BINARY[rng.integers(len(BINARY))](x, same[rng.integers(len(same))])
        if each:
            mx.eval(x)
        parts.append(x)
        values.append(x)
    for _ in range(int(rng.integers(1, 3))):
        chosen = [parts[i] for i in rng.choice(len(parts), size=int(rng.integers(2, 5)))]
        whole = mx.concatenate(chosen, axis=axis)
        if each:
            mx.eval(whole)
        values += [whole, UNARY[rng.integers(len(UNARY))](whole)]
    return values


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bool_", "int32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_joined_as_parts_computed_first(shape, dtype, run_all):
    for seed in range(60 if run_all else 8):
        rng = np.random.default_rng([seed, 1])
        given = [mx.array(rng.uniform(-2, 2, shape)).astype(getattr(mx, dtype)) for _ in range(2)]
        given = [x.astype(mx.float32) if dtype == "bool_" else x for x in given]
        mx.eval(given)
        check_as_step_by_step(lambda each: drawn(seed, shape, given, each), rng)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("width", [40, 200, 2000])
def test_parts_are_written_once(axis, width):
    rng = np.random.default_rng(0)
    x, y = (mx.array(rng.standard_normal((300_000 // width, width)).astype(np.float32)) for _ in range(2))

    def joined(x, y):
        return mx.concatenate([x * y, x - y], axis=axis)

    def gated(x):
        a, b = mx.split(x, 2, axis=axis)
        return mx.sum(a * mx.sigmoid(b))

    def turned(x):
        a, b = mx.split(x, 2, axis=axis)
        return mx.concatenate([a * 0.5 - b, b * 0.5 + a], axis=axis)

    for compiled in (lambda f: f, mx.compile):
        assert bytes_moved(compiled(joined), x, y) == 4 * x.nbytes
        assert bytes_moved(compiled(mx.grad(gated)), x) < 2.6 * x.nbytes
        assert bytes_moved(compiled(turned), x) < 2.1 * x.nbytes


def test_parts_of_longer_rows_than_are_kept():
    x = mx.array(np.random.default_rng(0).standard_normal((4, 6, 3000)).astype(np.float32))

    def f(x):  # rows of several lines, gone through twice
        y = x.reshape(4, 18_000)
        y = (y - mx.mean(y, axis=1, keepdims=True)).reshape(x.shape)
        return mx.concatenate([y, y * 2], axis=-1)

    y = x.reshape(4, 18_000)
    y = (y - mx.mean(y, axis=1, keepdims=True)).reshape(x.shape)
    mx.eval(y)
    assert bits(f(x)) == bits(mx.concatenate([y, mx.array(np.array(y) * 2)], axis=-1))


def test_a_part_that_fails_leaves_the_others():
    x = mx.array(np.ones((200, 100), np.float32))
    bad = mx.linalg.cholesky(mx.array(-np.eye(100, dtype=np.float32)))
    part = x * 2
    whole = mx.concatenate([part, bad * 3], axis=0)
    try:
        mx.eval(whole)
    except Exception:
        pass
    assert bits(part) == bits(mx.array(np.full((200, 100), 2, np.float32)))


def test_what_is_computed_from_it_may_overwrite_it():
    a = np.random.default_rng(0).standard_normal((300, 100)).astype(np.float32)
    x = mx.array(a)
    y = mx.concatenate([x + 1, x * 2], axis=1)
    mx.eval(y)
    y[3, 5] = 7.0
    z = mx.concatenate([x + 1, x * 2], axis=1) * 3 + 1
    want = np.concatenate([a + 1, a * 2], axis=1)
    assert np.array_equal(np.array(z), want * 3 + 1)
    want[3, 5] = 7
    assert np.array_equal(np.array(y), want)
