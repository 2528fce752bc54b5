"""Compiled functions of few values are run as lists of kernel calls: the bits are those of eager code, whatever moves, aliases or is held."""

import io
import random
import threading

import mlx.core as mx
import numpy as np
import pytest
from test_loop_calls import SHAPES, bits, combined, draw, laid_out, unary

LARGE = (3000, 4)  # more than is copied into a list


def moved(rng, values):
    """A result of slices, joins and updates in place of some of the values."""
    a = rng.choice([v for v in values if v.ndim] or [mx.zeros((3,), dtype=values[0].dtype)])
    n, k = a.shape[0], rng.randrange(6)
    i, step = rng.randrange(n), rng.choice([1, 2, -1])
    if k == 0:
        return a[i]
    if k == 1:
        return a[i::step]
    if k == 2:
        return mx.concatenate([a[:2], a, a[::-1]], axis=0)
    if k == 3:
        return mx.stack([a, a * 2], axis=rng.randrange(a.ndim + 1))
    b = a * 1.5 if k == 4 else mx.array(a)
    b[i] = a[n - 1 - i] if rng.random() < 0.5 else b[0]
    if rng.random() < 0.5:
        b[::2] = b[::2] + 1 if rng.random() < 0.5 else 0.25
    return b


def program(seed, dtype, large):
    rng = random.Random(seed)
    args = [laid_out(rng, draw(rng, rng.choice(SHAPES), dtype)) for _ in range(rng.randrange(1, 4))]
    if large:
        args.append(draw(rng, LARGE, dtype))
    steps, body_seed = rng.randrange(1, 10), rng.random()

    def f(*args):
        rng = random.Random(body_seed)
        values, big = list(args), None
        if large:
            big = values.pop()
        for _ in range(steps):
            a, b = rng.choice(values), rng.choice(values)
            if large and rng.random() < 0.5:
                i = rng.randrange(LARGE[0])
                if rng.random() < 0.5:
                    big[i] = big[rng.randrange(LARGE[0])] * 2 + mx.mean(a)
                values.append(big[i] + big[0] if rng.random() < 0.7 else mx.array(big)[i : i + 7])
            else:
                values.append(moved(rng, values) if rng.random() < 0.4 else unary(rng, a) if rng.random() < 0.5 else combined(rng, a, b))
        outputs = [values[-1], rng.choice(values), rng.choice(values), values[-1]]
        return outputs + ([big, rng.choice([big[5:9], big.reshape(4, -1)[:, :3]])] if large else [])

    return f, args


def fresh(args):
    """Other handles of the same arrays: what a function writes to its arguments is not seen by the next one."""
    return [mx.stop_gradient(a) for a in args]


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.complex64, mx.float64], ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_same_bits_as_eager(seed, dtype, large):
    f, args = program(seed, dtype, large)
    mx.eval(args)
    given = fresh(args)
    expected = bits([*f(*given), *given])
    before = bits(list(args))
    compiled = mx.compile(f)
    for _ in range(4):
        given = fresh(args)
        assert bits([*compiled(*given), *given]) == expected
        assert bits(list(args)) == before  # nobody's memory was written


def operations(outputs):
    """How many operations the graph behind some arrays has."""
    text = io.StringIO()
    mx.export_to_dot(text, *outputs)
    return text.getvalue().count("shape=box")


def prepared(f, *args):
    compiled = mx.compile(f)
    for _ in range(3):
        mx.eval(compiled(*args))
    return operations([compiled(*args)]) <= 1  # none where the call has computed it


def test_what_is_prepared():
    x, v = mx.arange(8.0), mx.ones((4,))
    rows = mx.zeros((2000, 64))
    mx.eval(x, v, rows)

    def loop(x):
        for _ in range(50):
            x = mx.sin(x) * 1.5
        return x

    assert prepared(loop, x)
    assert prepared(mx.grad(lambda x: loop(x).sum()), x)
    assert prepared(lambda x: mx.stack([x[i] * 2 for i in range(2000)]), rows)
    assert prepared(mx.grad(neighbours), rows + mx.arange(64.0))
    assert prepared(lambda x: mx.sort(mx.sin(x)) + 1, x)
    assert not prepared(lambda x: mx.abs(mx.fft.fft(mx.sin(x))) + 1, x)
    assert prepared(lambda x: mx.sin(x) + 1, rows)


def neighbours(x):
    return sum(mx.sum(x[i] * x[i + 1]) for i in range(0, 300, 2))


@pytest.mark.parametrize("fill", [0, 1.5])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.int32], ids=str)
def test_arrays_of_one_number_made_inside(fill, dtype):
    """They are recorded as a number that is broadcast, whatever reads them."""
    filled = mx.full((2000, 3), fill).astype(dtype)
    mx.eval(filled)

    def f(x):
        a, b = mx.full((2000, 3), fill).astype(dtype), mx.broadcast_to(mx.ones((1, 3), dtype), (2000, 3))
        a[5:7] = x[:2]
        return a, a + b, filled[::2] * 2, filled, mx.sum(filled * x[0]), mx.concatenate([a[:4], filled]), b @ filled.T[:, :3]

    x = mx.arange(12).reshape(4, 3).astype(dtype)
    g = mx.compile(f)
    expected = bits(list(f(x)))
    for _ in range(3):
        assert bits(list(g(x))) == expected
    wide = mx.random.normal((400, 40), key=mx.random.key(0))
    h = mx.compile(mx.grad(neighbours))
    for _ in range(3):
        assert bits([h(wide)]) == bits([mx.grad(neighbours)(wide)])


def recurrence(x, v):
    for i in range(100):
        x[i + 1] = x[i] * 0.5 + v
    return x


def test_updates_in_place_leave_other_holders_alone():
    rows, v = mx.array(np.random.default_rng(0).standard_normal((2000, 64)).astype("f4")), mx.ones((64,))
    kept = np.array(rows)
    compiled = mx.compile(recurrence)
    expected = np.array(recurrence(mx.array(kept), v))
    for _ in range(3):
        x = mx.stop_gradient(rows)
        assert np.array_equal(np.array(compiled(x, v)), expected)
        assert np.array_equal(np.array(rows), kept)
        assert np.array_equal(np.array(x), expected)
    view = rows[3:7]
    mx.eval(view)
    compiled(rows, v)
    mx.eval(rows)
    assert np.array_equal(np.array(rows), expected) and np.array_equal(np.array(view), kept[3:7])


def test_an_update_of_what_nobody_else_holds_takes_its_memory():
    step = mx.compile(lambda x, v: recurrence(x, v))
    x, v = mx.zeros((20_000, 64)), mx.ones((64,))
    mx.eval(x, v)
    for _ in range(3):
        x = step(x, v)
        mx.eval(x)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    for _ in range(5):
        x = step(x, v)
        mx.eval(x)
    assert mx.get_peak_memory() - before < x.nbytes / 2


@pytest.mark.parametrize("seed", range(60))
def test_parts_of_an_array_written_over_other_parts_of_it(seed):
    """They may overlap and lie in another order; the array may be held, or given away so that its memory is taken over."""
    rng = random.Random(seed)
    n = rng.choice([12, 70, 210])  # less than what a list keeps, and more

    def part(rows, columns):
        """Rows and columns from somewhere on, some of them every other one, in either direction."""
        slices = []
        for length in (rows, columns):
            step = rng.choice([1, 1, -1]) if 2 * length > n else rng.choice([1, 2, -1, -2])
            first = rng.randrange(n - (length - 1) * abs(step))
            last = first + (length - 1) * abs(step)
            slices.append(slice(first, last + 1, step) if step > 0 else slice(last, first - 1 if first else None, step))
        return tuple(slices)

    moves = []
    for _ in range(rng.randrange(1, 4)):
        rows, columns = rng.randrange(1, n + 1), rng.randrange(1, n + 1)
        turned = rng.random() < 0.5
        moves.append((part(rows, columns), part(columns, rows) if turned else part(rows, columns), turned))

    def f(x):
        for to, of, turned in moves:
            x[to] = x[of].T if turned else x[of]
        return x

    values = np.random.default_rng(seed).standard_normal((n, n)).astype("f4")
    expected = values.copy()
    for to, of, turned in moves:
        expected[to] = (expected[of].T if turned else expected[of]).copy()
    compiled, held = mx.compile(f), mx.array(values)
    for g in (f, compiled, compiled, compiled):
        assert np.array_equal(np.array(g(mx.array(values) * 1)), expected)
        assert np.array_equal(np.array(g(mx.stop_gradient(held))), expected)
        assert np.array_equal(np.array(held), values)


def test_two_large_updates_take_both_memories():
    def step(k, v, x):
        k[3], v[5] = x, x * 2
        return k, v

    step = mx.compile(step)
    k, v, x = mx.zeros((20_000, 64)), mx.zeros((20_000, 64)), mx.ones((64,))
    mx.eval(k, v, x)
    for i in range(6):
        if i == 3:
            mx.reset_peak_memory()
            before = mx.get_active_memory()
        k, v = step(k, v, x)
        mx.eval(k, v)
    assert mx.get_peak_memory() - before < k.nbytes / 2
    assert k[3].tolist() == [1.0] * 64 and v[5].tolist() == [2.0] * 64


def test_transforms_around_see_the_steps():
    f = mx.compile(lambda x: mx.sin(x) * x + 1)
    x = mx.array([0.1, 0.7])
    for _ in range(3):
        mx.eval(f(x))
    assert np.array_equal(np.array(mx.grad(lambda x: f(x).sum())(x)), np.array(mx.grad(lambda x: (mx.sin(x) * x + 1).sum())(x)))
    assert np.array_equal(np.array(mx.vmap(f)(x)), np.array(f(x)))
    later = f(x)  # of a list of calls, evaluated while a transform is open
    gradient = mx.grad(lambda y: (y * later).sum())(x)
    assert np.array_equal(np.array(gradient), np.array(mx.sin(x) * x + 1))


def test_results_pass_through_and_repeat():
    f = mx.compile(lambda x, y: (x, x + y, y, x + y, [x]))
    x, y = mx.array([1.0, 2.0]), mx.array(3.0)
    for _ in range(4):
        a, b, c, d, (e,) = f(x, y)
        assert [t.tolist() for t in (a, b, c, d, e)] == [[1, 2], [4, 5], 3, [4, 5], [1, 2]]


def test_many_threads_and_other_streams():
    x = mx.arange(8.0)
    mx.eval(x)

    def steps(x):
        for _ in range(40):
            x = mx.cos(x) * 0.9 + x[::-1]
        return x

    expected = bits([steps(x)])
    f = mx.compile(steps)
    for _ in range(3):
        mx.eval(f(x))
    wrong = []

    def work():
        for _ in range(200):
            if bits([f(x)]) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    with mx.stream(mx.new_stream(mx.cpu)):
        assert bits([f(x)]) == expected
    y = f(x)
    mx.async_eval(y)
    assert bits([y]) == expected


@pytest.mark.parametrize("shape", [(100, 64), (1500, 40), (70, 3, 30), (9000,)], ids=str)
def test_a_larger_value_among_many_small_ones(shape):
    """It is computed in the list, too, and its rows are written there."""
    rng = np.random.default_rng(0)
    x, y = (mx.array(rng.standard_normal(shape).astype(np.float32)) for _ in range(2))
    mx.eval(x, y)

    def f(x, y):
        z = x * 0.5 + y
        for i in range(1, 60):
            z[i] = z[i - 1] * 0.9 + mx.sin(z[i]) - y[-i]
        return z, mx.abs(z[:3]) - 1

    expected = bits(list(f(x, y)))
    g = mx.compile(f)
    for _ in range(4):
        assert bits(list(g(x, y))) == expected
    assert bits([x, y]) == bits([x + 0, y + 0])


def test_observers_see_the_steps():
    f = mx.compile(lambda x: mx.log(x) * 2)
    x = mx.array([1.0, -1.0])
    for _ in range(3):
        mx.eval(f(x))
    with pytest.raises(Exception, match="(?i)nan"), mx.debug_nans():
        mx.eval(f(x))


def test_most_of_the_programs_above_are_prepared():
    def is_prepared(f, args):
        mx.eval(args)
        compiled = mx.compile(f)
        for _ in range(3):
            mx.eval(compiled(*fresh(args)))
        given = fresh(args)
        mx.eval(given)
        return operations(compiled(*given)) <= 1 < operations(f(*fresh(args)))  # none where the call has computed it

    for large, least in ((False, 35), (True, 20)):
        assert sum(is_prepared(*program(seed, mx.float32, large)) for seed in range(60)) > least
