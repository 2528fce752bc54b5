"""Arrays that lie otherwise than by rows, of sizes that have ways of their own: parts of permuted ones, copies to rows that share places in a
cache, and every other element or all of them backwards under long chains. The bits are those of copies that lie by rows."""

import random

import mlx.core as mx
import numpy as np
import pytest

STEPS = [lambda v, x, y: v * 1.5 + 0.25, lambda v, x, y: mx.maximum(v, y), lambda v, x, y: v * x, lambda v, x, y: v - y,
         lambda v, x, y: mx.minimum(v, 0.75), lambda v, x, y: mx.abs(v) + x, lambda v, x, y: mx.tanh(v), lambda v, x, y: -v * y]


def chain(rng, steps):
    """A drawn function of two arrays of one shape."""
    drawn = [rng.choice(steps) for _ in range(rng.randint(2, 9))]

    def f(x, y):
        v = x
        for step in drawn:
            v = step(v, x, y)
        return v + x * y

    return f


def by_rows(x):
    return mx.array(np.ascontiguousarray(np.array(x)))


def check(f, arrays):
    expected = np.array(f(*map(by_rows, arrays))).tobytes()
    for way in (f, mx.compile(f)):
        assert np.ascontiguousarray(np.array(way(*arrays))).tobytes() == expected


@pytest.mark.parametrize("seed", range(80))
def test_parts_of_permuted_arrays(seed):
    rng, values = random.Random(seed), np.random.default_rng(seed)
    shape = rng.choice([(66, 70), (40, 300), (300, 5), (3, 200), (9, 20, 65), (6, 5, 4, 50), (34, 33), (1, 90), (130, 1, 40)])
    axes = rng.sample(range(len(shape)), len(shape))
    whole = mx.array(values.standard_normal(shape).astype(rng.choice(["f4", "f8"]))).transpose(axes)
    cut = [min(n - 1, rng.randint(0, 3)) for n in whole.shape]
    places = [[rng.randint(0, c) for c in cut] for _ in range(2)]
    x, y = (whole[tuple(slice(a, n - c + a) for a, c, n in zip(at, cut, whole.shape))] for at in places)
    f = chain(rng, STEPS)
    check(f, [x, y])
    check(lambda x, y: mx.sum(f(x, y).T, axis=0) * 2, [x, y])
    check(lambda x, y: f(f(x, y), y).swapaxes(0, -1)[1:], [x, y])
    row = mx.array(values.standard_normal(whole.shape[-1:]).astype("f4")).astype(whole.dtype)
    check(lambda x, y: f(x + row[:x.shape[-1]], y), [x, y])  # with what is broadcast


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("rows", [128, 132, 200, 515, 1024])
def test_transposes_to_rows_that_share_places(rows, dtype):
    size = np.dtype(dtype).itemsize
    for columns in (2048 // size, 4096 // size, 2048 // size + 64 // size, 3 * 2048 // size):
        a = (np.arange(columns * rows) % 251).astype(dtype).reshape(columns, rows)
        x = mx.array(a, dtype=getattr(mx, dtype))
        got = np.array(mx.contiguous(x.T))
        assert got.tobytes() == np.ascontiguousarray(a.T).tobytes(), (rows, columns)


@pytest.mark.parametrize("seed", range(120))
def test_chains_over_every_other_element_and_backwards(seed):
    rng, values = random.Random(seed), np.random.default_rng(seed)
    n, rows = rng.choice([64, 100, 127, 128, 129, 256, 1024, 1280, 3000, 4096, 70000]), rng.choice([None, None, 1, 3, 17])
    dtype = rng.choice(["f4", "f8"])

    def drawn(way):
        length = {"plain": n, "backwards": n, "every other": 2 * n - rng.randint(0, 1)}[way]
        a = mx.array(values.standard_normal((length,) if rows is None else (rows, length)).astype(dtype))
        return {"plain": a, "backwards": a[..., ::-1], "every other": a[..., ::2]}[way]

    cheap = STEPS[:6] + STEPS[7:]
    check(chain(rng, cheap), [drawn(rng.choice(["every other", "backwards"])), drawn(rng.choice(["plain", "every other", "backwards"]))])
