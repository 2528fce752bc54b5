"""Arrays that are read only with one element around them, as cotangents of slices are, are computed again where they stand instead of
stored: programs over parts of arrays, however these lie in memory and whatever else is read of them, give the bits they give when each
step is computed by itself."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, check_as_step_by_step, events

SHAPES = [(140_000,), (1000, 140), (70, 2100), (30, 64, 90), (2, 3, 200, 128)]  # as large as they have to be
UNARY = [mx.negative, mx.square, mx.sign, lambda x: x * 0.5, lambda x: x**2, lambda x: mx.where(x > 0, x, 0.25)]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum, lambda x, y: mx.where(x > y, x, y * 0.5)]


def part(x, starts, counts):
    return x[tuple(slice(a, a + n) for a, n in zip(starts, counts))]


def sources(rng, shape, dtype):
    """Arrays of this shape that begin, end and lie in memory in different ways, and one that is broadcast."""
    def given(*size):
        return mx.array(rng.uniform(-1, 1, size)).astype(dtype)

    first = shape[0]
    inside = given(first + 2, *shape[1:])[1:-1]
    swapped = mx.swapaxes(given(*shape[:-2], shape[-1], shape[-2]), -1, -2) if len(shape) > 1 else given(2 * first)[::2]
    return [given(*shape), inside, swapped, given(shape[-1])]


def drawn(seed, shape, given, each):
    rng = np.random.default_rng(seed)
    values = []

    def done(x):
        if each:
            mx.eval(x)
        values.append(x)
        return x

    lost = [int(rng.integers(0, 3)) if rng.integers(2) else 0 for _ in shape]
    counts = [n - k for n, k in zip(shape, lost)]
    x = given[rng.integers(3)]
    parts = [part(x, [rng.integers(k + 1) for k in lost], counts) for _ in range(2)]
    parts.append(part(given[rng.integers(3)], [0] * len(shape), counts))
    parts.append(part(given[3], [0], counts[-1:]))
    c = parts[0]
    for _ in range(int(rng.integers(1, 5))):
        if rng.integers(2):
            c = done(UNARY[rng.integers(len(UNARY))](c))
        else:
            c = done(BINARY[rng.integers(len(BINARY))](c, parts[min(int(rng.integers(6)), 3)] if rng.integers(4) else parts[1]))
    if rng.integers(4) == 0:
        c = done(c > 0)
    around = 0 if c.dtype == mx.bool_ else [0, 1.5][rng.integers(2)]
    total = None
    for _ in range(int(rng.integers(1, 4))):
        before = [int(rng.integers(k + 1)) for k in lost]
        padded = done(mx.pad(c, [(b, k - b) for b, k in zip(before, lost)], constant_values=around))
        if total is None:
            total = done(padded * 2.0 if rng.integers(2) else mx.where(padded, x, 1))
        else:
            total = done(BINARY[rng.integers(len(BINARY))](total, padded * 1.0))
    if rng.integers(3) == 0:
        done(mx.sum(c, axis=-1))
    reduce = [lambda y: y, lambda y: mx.sum(y, axis=-1), lambda y: mx.sum(y, axis=0)][rng.integers(3)]
    done(reduce(total))
    return values


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_step_by_step(shape, dtype, run_all):
    for seed in range(100 if run_all else 12):
        rng = np.random.default_rng([seed, len(dtype), *shape])
        given = sources(rng, shape, getattr(mx, dtype))
        mx.eval(given)
        check_as_step_by_step(lambda each: drawn(seed, shape, given, each), rng)


@pytest.mark.parametrize("axis", [0, 1])
def test_cotangents_of_differences_are_not_stored(axis):
    x = mx.array(np.random.default_rng(0).standard_normal((500, 400)).astype(np.float32))

    def differences(x):
        d = x[1:] - x[:-1] if axis == 0 else x[:, 1:] - x[:, :-1]
        return mx.sum(d * d)

    gradient = mx.grad(differences)
    for f in (gradient, mx.compile(gradient)):
        assert sum(e["bytes"] > x.nbytes / 2 for e in events(f, x)) == 1
    assert bits(gradient(x)) == bits(mx.compile(gradient)(x))


def test_what_it_is_computed_from_may_change():
    a = np.random.default_rng(0).standard_normal((500, 400)).astype(np.float32)
    x = mx.array(a) + 0
    c = (x[1:] - x[:-1]) * 2
    y = mx.pad(c, [(1, 0), (0, 0)]) - mx.pad(c, [(0, 1), (0, 0)])
    del c
    x[0] = 7.0
    x = x * 2 + y
    c = (a[1:] - a[:-1]) * 2
    zeros = np.zeros((1, 400), np.float32)
    want = np.concatenate([zeros, c]) - np.concatenate([c, zeros])
    a[0] = 7
    assert np.array_equal(np.array(x), a * 2 + want)
    assert np.array_equal(np.array(y), want)


def test_what_is_not_finite_outside_of_a_part():
    a = np.full((300, 600), np.inf, np.float32)
    a[1:-1, 1:-1] = 2
    x = mx.array(a)
    c = (x[1:-1, 1:-1] - x[1:-1, 1:-1] * 0.5) * 3
    y = mx.pad(c, 1) + mx.pad(c, 1)
    del c
    assert np.array_equal(np.array(y), np.pad(np.full((298, 598), 6, np.float32), 1))
