"""Values that are quicker to compute again than to store: programs over columns, rows and all elements, of which one value is read in
several passes, give the bits they give when each step is computed by itself, whatever somebody keeps, overwrites or reads elsewhere."""

import threading

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, bytes_moved, check_as_step_by_step

SPACES = [(512, 256), (300, 500), (64, 40, 60), (5, 30_000), (40_000, 4), (150_000,)]  # as large as they have to be
UNARY = [mx.negative, mx.square, mx.abs, mx.sigmoid, lambda x: x * 0.5, lambda x: 1 - x]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum]
REDUCTIONS = [mx.sum, mx.max, mx.mean]
UNDER_ANOTHER_SHAPE = [
    lambda x: mx.sort(x.reshape(-1)).reshape(x.shape),
    lambda x: mx.roll(x.reshape(-1), 3).reshape(x.shape),
    lambda x: mx.cummax(x.reshape(x.shape[0], -1), axis=1).reshape(x.shape),
    lambda x: mx.stack([x, x * 0.5], axis=-1)[..., 1],
]


def drawn(rng, shape):
    """Steps (function, numbers of operands): values 0 and 1 are given, of this shape."""
    steps, large, small = [], [0, 1], []

    def add(function, operands, to):
        steps.append((function, operands))
        to.append(len(steps) + 1)

    for _ in range(rng.integers(6, 18)):
        kind = rng.integers(7)
        x = int(rng.choice(large[-4:]))
        if kind == 0 or not small:
            axes = tuple(int(a) for a in np.flatnonzero(rng.integers(2, size=len(shape)))) or tuple(range(len(shape)))
            reduce = REDUCTIONS[rng.integers(len(REDUCTIONS))]
            add(lambda x, reduce=reduce, axes=axes: reduce(x, axis=axes, keepdims=True), [x], small)
        elif kind == 1:
            add(UNARY[rng.integers(len(UNARY))], [x], large)
        elif kind == 2:
            add(BINARY[rng.integers(len(BINARY))], [x, int(rng.choice(large))], large)
        elif kind == 3:
            add(UNDER_ANOTHER_SHAPE[rng.integers(len(UNDER_ANOTHER_SHAPE))], [x], large)
        elif kind == 4:
            add(mx.sigmoid, [int(rng.choice(small))], small)
        else:
            add(BINARY[rng.integers(len(BINARY))], [x, int(rng.choice(small))], large)
    return steps


def run(steps, given, each):
    values = list(given)
    for function, operands in steps:
        values.append(function(*[values[i] for i in operands]))
        if each:
            mx.eval(values[-1])
    return values


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("shape", SPACES, ids=str)
def test_in_several_passes_as_step_by_step(shape, dtype, run_all):
    for seed in range(40 if run_all else 6):
        rng = np.random.default_rng([seed, len(dtype), *shape])
        steps = drawn(rng, shape)
        given = [mx.array(rng.uniform(-1, 1, shape)).astype(getattr(mx, dtype)) for _ in range(2)]
        mx.eval(given)
        overwritten = lambda each: run(steps, [x * 1 for x in given], each)  # as these may be
        check_as_step_by_step(lambda each: run(steps, given, each), rng, again=overwritten)


def test_differences_from_the_mean_of_columns_are_not_stored():
    x = mx.array(np.random.default_rng(0).standard_normal((1000, 300)).astype(np.float32))
    moved = bytes_moved(lambda x: mx.sum((x - mx.mean(x, axis=0)) ** 2, axis=0) + mx.max(mx.abs(x - mx.mean(x, axis=0)), axis=0), x)
    assert moved < 4.1 * x.nbytes  # each of four reductions reads x
    normalised = bytes_moved(lambda x: (x - mx.mean(x, axis=0)) * mx.rsqrt(mx.var(x, axis=0)), x)
    assert normalised < 5.1 * x.nbytes  # mean, mean, variance, and the last reads and writes


def test_what_is_read_under_another_shape_is_stored():
    def f(x, done):
        y = done(x * 2)
        flat = done(mx.sort(done(y.reshape(-1))))
        mean = done(mx.mean(done(mx.exp(y * 0.1)), axis=1, keepdims=True))
        return y * mean + flat.reshape(x.shape)

    x = mx.array(np.random.default_rng(0).standard_normal((400, 700)).astype(np.float32))
    want = bits(f(x, lambda value: mx.eval(value) or value))
    assert bits(f(x, lambda value: value)) == want
    assert bits(mx.compile(lambda x: f(x, lambda value: value))(x)) == want


def test_a_function_is_stored():
    x = mx.array(np.random.default_rng(0).standard_normal((1000, 300)).astype(np.float32))

    def two_passes(f):
        y = f(x)
        return y - mx.sum(y)

    assert bytes_moved(lambda: two_passes(mx.sin)) == 4 * x.nbytes + 8
    assert bytes_moved(lambda: two_passes(mx.negative)) == 3 * x.nbytes + 8  # the sum, written and read


def test_what_its_reader_reads_in_a_pass_of_its_own_is_stored():
    x = mx.array(np.random.default_rng(0).integers(0, 9, (2048, 2, 64)).astype(np.int32))

    def both(reduce):
        y = -x
        return y - mx.sum(y), reduce(y)

    apart = bytes_moved(lambda: both(lambda y: mx.sum(y, axis=1)))
    assert apart < 5.6 * x.nbytes  # -x is not computed once more for a pass that only stores it


def test_what_it_is_computed_from_stays_until_then():
    rng = np.random.default_rng(0)
    x0 = rng.standard_normal((700, 300)).astype(np.float32)
    for late in range(3):
        x = mx.array(x0) * 1
        d = x - mx.mean(x, axis=0)
        s = mx.sum(d * d, axis=0)
        x[0] = 5.0
        y = d / s if late else d * s
        x = x * 2 if late == 2 else x
        mx.eval(x, y)
        want = x0 - np.array(mx.mean(mx.array(x0), axis=0))
        total = np.array(mx.sum(mx.array(want) * mx.array(want), axis=0))
        assert np.array_equal(np.array(y), want / total if late else want * total)
        x0[0], first = 5.0, x0[0].copy()
        assert np.array_equal(np.array(x), x0 * 2 if late == 2 else x0)
        x0[0] = first


def test_two_threads_read_it_in_graphs_of_their_own():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((600, 300)).astype(np.float32)
    for _ in range(20):
        x = mx.array(a)
        d = x - mx.mean(x, axis=0)
        results = [mx.sum(d * d, axis=0) * d, mx.max(mx.abs(d), axis=0) + d]
        threads = [threading.Thread(target=mx.eval, args=(r,)) for r in results]
        del d
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        m = np.array(mx.array(a) - mx.mean(mx.array(a), axis=0))
        assert np.array_equal(np.array(results[0]), np.array(mx.sum(mx.array(m) * mx.array(m), axis=0)) * m)
        assert np.array_equal(np.array(results[1]), np.abs(m).max(0) + m)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_gradients_eager_and_compiled(axis):
    rng = np.random.default_rng(0)
    x, w = (mx.array(rng.standard_normal((600, 300)).astype(np.float32)) for _ in range(2))

    def normalised(x):
        d = x - mx.mean(x, axis=axis, keepdims=True)
        return mx.sum(d * mx.rsqrt(mx.var(x, axis=axis, keepdims=True) + 1e-5) * w)

    def attention(x):
        return mx.sum(mx.softmax(x, axis=axis) * w)

    for f in (normalised, attention):
        gradient = mx.grad(f)
        got = gradient(x)
        assert bits(got) == bits(mx.compile(gradient)(x))
        v = mx.array(rng.standard_normal(x.shape).astype(np.float32))
        exact = mx.jvp(f, [x.astype(mx.float64)], [v.astype(mx.float64)])[1][0].item()
        assert np.isclose(mx.sum(got * v).item(), exact, rtol=1e-3, atol=1e-3)
