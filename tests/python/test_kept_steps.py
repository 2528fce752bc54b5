"""Elementwise steps of compiled functions, on values of middle size, run with plans that are kept: the bits are those of eager code, however
the arguments lie in memory and whatever comes between the steps."""

import io
import random
import threading

import mlx.core as mx
import numpy as np
import pytest
from test_loop_calls import bits

SHAPES = [(2048,), (2500,), (40, 70), (64, 64), (3, 1000, 2), (131, 129)]
DTYPES = [mx.float32, mx.float16, mx.bfloat16, mx.float64, mx.int32, mx.complex64]


def drawn(rng, shape, dtype):
    """An array of this shape, or of one that broadcasts to it, in some layout."""
    kind = rng.randrange(6)
    if kind == 0:
        shape = ()
    elif kind == 1:
        shape = shape[-1:]
    elif kind == 2:
        shape = (*shape[:-1], 1)
    values = np.random.default_rng(rng.randrange(1 << 30)).uniform(-2, 2, shape)
    a = mx.array(values.astype(np.float32)).astype(dtype)
    if kind == 3:
        a = mx.contiguous(a.T).T
    elif kind == 4:
        a = mx.stack([a, a + 1], axis=-1)[..., 0]
    elif kind == 5:
        a = mx.broadcast_to(a[:1], shape)
    return a


def step(rng, values, small, dtype):
    a, b, k = rng.choice(values[-6:]), rng.choice([*values[-6:], small]), rng.randrange(16)
    if k < 7:
        return [a + b, a - b, a * b, a * 0.5 + b, b * 0.25, mx.where(mx.equal(a, b), a, b * 2), -a][k]
    if k == 7:
        return (a * 3).astype(mx.float32).astype(dtype)
    if k == 8:
        return mx.where(mx.logical_or(a == b, b == 0), a, a * 0.5) if dtype == mx.complex64 else mx.where(a > b, a, b) + mx.minimum(a, b)
    if k == 9:
        return mx.sin(a) if dtype != mx.int32 else a // 3
    if k == 10:
        return (a * 0.5) ** 2
    if k == 11:
        return a - mx.mean(a, axis=-1, keepdims=True).astype(dtype)
    if k == 12:
        return a + mx.sum(b)
    if k == 13:
        return a * mx.sum(a * 0.25, axis=0).astype(dtype)
    if k == 14:
        return mx.concatenate([a[1:], a[:1]]) + b
    return a + (a * 0.5).reshape(-1)[::-1].reshape(a.shape)


def program(seed, dtype):
    rng = random.Random(seed)
    shape = rng.choice(SHAPES)
    args = [mx.contiguous(mx.broadcast_to(drawn(rng, shape, dtype), shape)), *(drawn(rng, shape, dtype) for _ in range(3))]
    length, body_seed, calm = rng.choice([10, 30, 120, 400]), rng.random(), rng.random() < 0.5

    def f(*args):
        rng = random.Random(body_seed)
        values = [args[0]]
        for i in range(length):
            a = step(rng, values, rng.choice(args[1:]), dtype) if not calm or i % 20 == 0 else rng.choice(values[-4:]) + rng.choice(args) * 0.125
            values.append(mx.broadcast_to(a, shape).astype(dtype) if a.shape != shape or a.dtype != dtype else a)
            if i % 4 == 0 and dtype != mx.int32:
                values[-1] = values[-1] * 0.25
        return [values[-1], rng.choice(values), rng.choice(values), values[-1][:7]]

    return f, args, rng, shape


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_same_bits_as_eager(seed, dtype):
    f, args, rng, shape = program(seed, dtype)
    compiled = mx.compile(f)
    for _ in range(4):
        assert bits(compiled(*args)) == bits(f(*args))
    for _ in range(3):  # other layouts of the same shapes, for which the plan is another one
        args = [mx.contiguous(a.T).T if rng.random() < 0.5 else mx.broadcast_to(a[:1], a.shape) if a.ndim and rng.random() < 0.5 else a for a in args]
        for _ in range(2):
            assert bits(compiled(*args)) == bits(f(*args))


def orbit(x, y, n=12):
    for _ in range(n):
        x, y = x + y * 0.125 - x * 0.25, y - x * 0.125 + 0.5
    return x, y


def test_exponents_that_change():
    def f(x, p):
        for _ in range(6):
            x = (x * 0.75) ** p + 0.125
        return x

    compiled, x = mx.compile(f), mx.random.uniform(shape=(3000,))
    for p in [2.0, 2.0, 2.0, 3.0, 1.0, 2.0, 0.5, 0.5]:
        assert bits(compiled(x, mx.array(p))) == bits(f(x, mx.array(p)))


def test_arguments_stay_and_results_are_apart():
    x, y = mx.random.normal((2, 5000))
    before, compiled = bits([x, y]), mx.compile(orbit)
    results = [compiled(x, y) for _ in range(5)]
    mx.eval(results)
    results[3][0][:] = 7.0
    assert all(bits(r) == bits(results[0]) for r in (results[1], results[2], results[4]))
    assert bits([x, y]) == before


def test_results_that_feed_the_next_call():
    compiled, a, b = mx.compile(orbit), mx.random.normal((2, 4500)), None
    x, y = a
    b = (x, y)
    for _ in range(20):
        x, y = compiled(x, y)
        b = orbit(*b)
        mx.eval(x, y)
    assert bits([x, y]) == bits(b)


def test_several_threads_call_it():
    compiled, found = mx.compile(orbit), [None] * 4
    inputs = [mx.random.normal((2, 6000)) + i for i in range(4)]
    expected = [bits(orbit(*x)) for x in inputs]

    def work(i):
        found[i] = all(bits(compiled(*inputs[i])) == expected[i] for _ in range(30))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert all(found)


def test_transforms_see_the_steps():
    compiled, x, y = mx.compile(orbit), *mx.random.normal((2, 3000))
    for _ in range(3):
        compiled(x, y)

    def loss(f):
        return lambda x, y: mx.sum(f(x, y)[0] * f(y, x)[1])

    for _ in range(2):
        assert bits(mx.grad(loss(compiled), (0, 1))(x, y)) == bits(mx.grad(loss(orbit), (0, 1))(x, y))
        assert bits(mx.vmap(compiled)(x.reshape(10, -1), y.reshape(10, -1))) == bits(mx.vmap(orbit)(x.reshape(10, -1), y.reshape(10, -1)))


def test_steps_are_few_nodes():
    """A call's own work is small against that of nodes for each step."""
    compiled, x, y = mx.compile(lambda x, y: orbit(x, y, 60)), *mx.random.normal((2, 2048))
    for _ in range(3):
        mx.eval(compiled(x, y))
    picture = io.StringIO()
    mx.export_to_dot(picture, *compiled(x, y))
    assert picture.getvalue().count("->") < 20


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float64], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_bodies_of_loops(seed, dtype):
    f, args, _, _ = program(seed, dtype)
    x, rest = args[0], args[1:]

    def body(x):
        return f(x, *rest)[0] * 0.5

    expected = x
    for _ in range(40):
        expected = body(expected)
    looped = mx.fori_loop(0, 40, lambda i, c: body(c), x)
    last, each = mx.scan(lambda c, _: (body(c), c[:3]), x, None, length=40)
    assert bits([looped, last]) == bits([expected, expected])
    assert each.shape == (40, *x[:3].shape)


def counted(f):
    """Its result, and how many iterations were lists of calls."""
    before = mx._control_flow_stats()["called_iterations"]
    result = f()
    mx.eval(result)
    return result, mx._control_flow_stats()["called_iterations"] - before


def runge_kutta(slope, y, h):
    a = slope(y)
    b = slope(y + h / 2 * a)
    c = slope(y + h / 2 * b)
    d = slope(y + h * c)
    return y + h / 6 * (a + 2 * b + 2 * c + d)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float64], ids=str)
@pytest.mark.parametrize("size", [2049, 4000, 5003, 6000])
@pytest.mark.parametrize("length", [21, 40])
def test_lists_of_calls_hold_kept_steps(size, dtype, length):
    """Too much for a call for each step; with several outputs, more operands than a call has, constants, and NaN."""
    y, weight, large = mx.random.normal((2, size)).astype(dtype), mx.random.uniform(shape=(size, 2)).astype(dtype).T, mx.random.normal((2, size)).astype(dtype)
    y[0, :3] = mx.array([float("nan"), 1e-40, -0.0])

    def slope(y):
        return mx.stack([y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0] * weight[1]], 0)

    def body(y, z):
        y = runge_kutta(slope, y, 0.01)
        return y, (z * 0.5 + y * weight - large) * 0.25 + y[::-1]

    expected = (y, large)
    for _ in range(length):
        expected = body(*expected)
    for _ in range(2):
        looped, called = counted(lambda: mx.fori_loop(0, length, lambda i, c: body(*c), (y, large)))
        assert bits(list(looped)) == bits(list(expected))
        assert called == length
    last, each = mx.scan(lambda c, x: (body(*c), c[0][1, -3:] + x), (y, large), mx.zeros((length, 3), dtype), length=length)
    assert bits(list(last)) == bits(list(expected))
    assert bool(mx.all(each[0] == y[1, -3:]))
