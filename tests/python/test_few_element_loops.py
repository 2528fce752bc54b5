"""Bodies of loops on few elements, whose views, reductions, products and slices are prepared calls, have the bits of each iteration on its own."""

import random

import mlx.core as mx
import numpy as np
import pytest

LENGTH = 20
DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.complex64, mx.complex128, mx.int32, mx.int64, mx.int8, mx.uint16, mx.bool_]


def draw(rng, shape, dtype, special=0.0):
    values = np.array(rng.choices([-2.5, -1.0, -0.3, 0.0, 0.7, 1.0, 3.0], k=int(np.prod(shape))), "f8").reshape(shape)
    values += np.array([rng.random() * 0.1 for _ in range(values.size)]).reshape(shape)
    if special and dtype in (mx.float32, mx.float64):
        values = np.where(np.array([rng.random() < special for _ in range(values.size)]).reshape(shape),
                          np.array(rng.choices([np.nan, np.inf, -np.inf, -0.0, 1e-40, 1e-310], k=values.size)).reshape(shape), values)
    return mx.array(values > 0.5) if dtype == mx.bool_ else mx.array(values, mx.float64).astype(dtype)


def bits(a):
    """Its bytes, all NaN the same."""
    mx.eval(a)
    n = np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a)
    if n.dtype.kind == "c":
        n = np.stack([n.real, n.imag])
    if n.dtype.kind == "f":
        n = np.where(np.isnan(n), np.array(np.nan, n.dtype), n)
    return a.shape, str(a.dtype), n.tobytes()


def check(f, *rows, called=True):
    """f in a loop over rows of all operands, as one list of calls, against f of each row."""
    before = mx._control_flow_stats()["called_iterations"]
    outputs = mx.scan(lambda c, x: (c, f(*x)), mx.array(0), list(rows))[1]
    mx.eval(outputs)
    if called:
        assert mx._control_flow_stats()["called_iterations"] - before == LENGTH
    expected = mx.stack([f(*(mx.contiguous(row[i]) for row in rows)) for i in range(LENGTH)])
    assert bits(outputs) == bits(expected)


def shape_of(rng, most=400):
    while True:
        shape = tuple(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33]) for _ in range(rng.randrange(1, 5)))
        if np.prod(shape) <= most:
            return shape


def viewed(rng, x):
    """Some view of x that does not lie in order."""
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(4)
        if kind == 0:
            x = mx.transpose(x, rng.sample(range(x.ndim), x.ndim))
        elif kind == 1:
            x = x[tuple(slice(None, None, rng.choice([1, 1, 2, -1, -2])) for _ in range(x.ndim))]
        elif kind == 2:
            x = x[tuple(slice(rng.randrange(n), None) for n in x.shape)]
        elif x.size <= 100:
            x = mx.broadcast_to(x[..., None], (*x.shape, 3))
    return x


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_views(dtype):
    rng = random.Random(str(dtype))
    for _ in range(40):
        shape, seed = shape_of(rng), rng.random()
        def f(x, seed=seed):
            y = viewed(random.Random(seed), x)
            return mx.where(y == y, y, y)  # which reads it in order
        check(f, draw(rng, (LENGTH, *shape), dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_reductions(dtype):
    rng = random.Random(str(dtype))
    for _ in range(60):
        shape = shape_of(rng, 1500)
        axes = tuple(sorted(rng.sample(range(len(shape)), rng.randrange(1, len(shape) + 1))))
        op = rng.choice([mx.sum, mx.prod, mx.max, mx.min, mx.all, mx.any])
        order, keepdims = rng.sample(range(len(shape)), len(shape)), rng.random() < 0.5
        turns = rng.random() < 0.5
        f = lambda x: op(mx.transpose(x, order) if turns else x, axis=axes, keepdims=keepdims)
        check(f, draw(rng, (LENGTH, *shape), dtype, 0.02))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_places_of_extremes(dtype):
    rng = random.Random(str(dtype))
    for _ in range(30):
        shape = shape_of(rng)
        axis, order, op, keepdims = rng.randrange(len(shape)), rng.sample(range(len(shape)), len(shape)), rng.choice([mx.argmax, mx.argmin]), rng.random() < 0.5
        check(lambda x: op(mx.transpose(x, order), axis=axis, keepdims=keepdims), draw(rng, (LENGTH, *shape), dtype, 0.05))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != mx.bool_], ids=str)
def test_products(dtype):
    rng = random.Random(str(dtype))
    for _ in range(60):
        m, k, n = (rng.choice([1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 20]) for _ in range(3))
        turn_a, turn_b, vector = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.3
        a = draw(rng, (LENGTH, *((k, m) if turn_a else (m, k))), dtype, 0.03)
        b = draw(rng, (LENGTH, *((k,) if vector else (n, k) if turn_b else (k, n))), dtype, 0.03)
        f = lambda a, b: (a.T if turn_a else a) @ (b.T if turn_b and not vector else b)
        check(f, a, b)
        constant = mx.contiguous(b[0])
        check(lambda a: f(a, constant), a)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.complex64, mx.int32], ids=str)
def test_batches_of_products(dtype):
    rng = random.Random(str(dtype))
    for _ in range(40):
        batch, m, k, n = (rng.choice([1, 2, 3, 4, 5, 8, 10]) for _ in range(4))
        turn_a, turn_b, same = rng.random() < 0.4, rng.random() < 0.4, rng.random() < 0.2
        a = draw(rng, (LENGTH, batch, *((k, m) if turn_a else (m, k))), dtype, 0.03)
        b = draw(rng, (LENGTH, *(() if same else (batch,)), *((n, k) if turn_b else (k, n))), dtype, 0.03)
        f = lambda a, b: (a.swapaxes(-1, -2) if turn_a else a) @ (b.swapaxes(-1, -2) if turn_b else b)
        check(f, a, b)
        if dtype == mx.float32:
            check(lambda a, b: mx.grad(lambda a: mx.sum(f(a, b) * (f(a, b) > 1)))(a), a, b)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64], ids=str)
def test_products_about_the_least_normal_number(dtype):
    rng = np.random.default_rng(9)
    least = float(np.sqrt(np.finfo("f4" if dtype == mx.float32 else "f8").tiny))
    for _ in range(60):
        m, k, n = rng.integers(1, 6, 3)
        a, b = (mx.array(least * rng.choice([-1, 1], (LENGTH, *s)) * 2.0 ** rng.integers(-3, 3, (LENGTH, *s)) * rng.choice([1.0, 1.0, 1.3], (LENGTH, *s)),
                         mx.float64).astype(dtype) for s in ((m, k), (k, n)))
        check(lambda a, b: a @ b, a, b)
        check(lambda a, b: b.T @ a.T, a, b)
        if dtype == mx.float32:  # just below it before rounding
            almost = mx.full((LENGTH, m, k), np.float32(2.0**-63) * np.float32(1 - 2.0**-24)), mx.full((LENGTH, k, n), np.float32(2.0**-63))
            check(lambda a, b: a @ b, *almost)


def test_products_of_the_chain_rule_leave_out_zeros():
    rng = random.Random(5)
    for _ in range(40):
        m, k, n = (rng.choice([1, 2, 3, 4, 5, 8]) for _ in range(3))
        a, b = draw(rng, (LENGTH, m, k), mx.float32, 0.2), draw(rng, (LENGTH, k, n), mx.float32, 0.2)
        weights = draw(rng, (m, n), mx.float32)
        weights = mx.where(weights > 0.5, weights, mx.zeros_like(weights))
        for argnum in (0, 1):
            check(lambda a, b: mx.grad(lambda *ab: mx.sum((ab[0] @ ab[1]) * weights), argnum)(a, b), a, b)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_slices_at_indices(dtype):
    rng = random.Random(str(dtype))
    for _ in range(40):
        shape = shape_of(rng, 200)
        axes = rng.randrange(1, min(3, len(shape)) + 1)
        count = rng.choice([(), (1,), (3,), (8,), (2, 3)])
        index = [mx.array(np.array([rng.randrange(-shape[i], shape[i]) for _ in range(LENGTH * int(np.prod(count)))], rng.choice(["i4", "i8", "i2"]))
                          .reshape(LENGTH, *count)) for i in range(axes)]
        x = draw(rng, (LENGTH, *shape), dtype)
        check(lambda x, *at: x[at] if len(at) > 1 else x[at[0]], x, *index, called=axes < 3)
        updates = draw(rng, (LENGTH, *count, *shape[axes:]), dtype)
        check(lambda x, u, *at: x.at[at].add(u), x, updates, *index, called=False)
        def put(x, u, *at):
            x = mx.array(x)
            x[at] = u
            return x
        check(put, x, updates, *index, called=False)


@pytest.mark.parametrize("count", [1, 5])
def test_an_index_out_of_bounds_is_an_error(count):
    for write in (False, True):
        index = mx.array(np.r_[np.zeros((LENGTH - 1, count)), np.full((1, count), 7)].astype("i4"))
        body = (lambda c, i: (c.at[i].add(1.0), c[0])) if write else (lambda c, i: (c, c[i]))
        with pytest.raises(IndexError, match="7"):
            mx.eval(mx.scan(body, mx.zeros((7,)), index))


def test_cotangents_of_a_table_are_those_of_a_python_loop():
    rng = np.random.default_rng(3)
    for rows, width in ((1, 1), (5, 3), (50, 8), (400, 64)):
        table = mx.array(rng.standard_normal((rows, width)).astype("f4"))
        first, second = (mx.array(rng.integers(0, rows, (LENGTH, n))) for n in (1, 3))
        def step(t, c, i, j):
            return mx.tanh(c + t[i[0]] * t[j].sum(axis=0))
        def by_scan(t):
            return mx.sum(mx.scan(lambda c, x: (step(t, c, *x), None), t[0], [first, second])[0])
        def by_hand(t):
            c = t[0]
            for i in range(LENGTH):
                c = step(t, c, first[i], second[i])
            return mx.sum(c)
        got, expected = mx.grad(by_scan)(table), mx.grad(by_hand)(table)
        assert np.allclose(got, expected, rtol=1e-5, atol=1e-5)
        assert bits(mx.compile(mx.grad(by_scan))(table)) == bits(got)


def test_a_counter_that_is_not_read_is_not_carried():
    x = mx.array([1.0, 2.0])
    kept = []
    for body, result in ((lambda i, x: x * 2, x * 1024), (lambda i, x: x + i, x + 45), (lambda i, x: kept.append(i) or x + 1, x + 10)):
        assert np.array_equal(mx.fori_loop(0, 10, body, x), result)
        assert np.array_equal(mx.compile(lambda x, body=body: mx.fori_loop(0, 10, body, x))(x), result)
