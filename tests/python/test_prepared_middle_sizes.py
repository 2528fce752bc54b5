"""Compiled functions of some thousand elements: lists of kernel calls, or passes of several steps. The bits are those of eager code."""

import random
import threading

import mlx.core as mx
import pytest
import test_loop_calls
from test_prepared_calls import prepared



def bits(arrays):
    """All NaNs are alike: which one comes out of a sum of two is told by the order in registers."""
    return test_loop_calls.bits([mx.where(a != a, mx.array(float("nan")).astype(a.dtype), a) if a.dtype != mx.int32 else a for a in arrays])


DTYPES = [mx.float32, mx.float32, mx.float64, mx.bfloat16, mx.int32, mx.complex64]
SOME = [(40, 150), (6000,), (7, 30, 31), (128, 128), (5, 1000), (3000, 3), (16, 16, 17)]
MORE = [(100, 130), (180, 190), (300, 200), (1000, 120), (70_000,), (20, 40, 50)]


def drawn(seed, shapes):
    """A function of two arrays whose values grow, shrink and lie in memory in many ways, and arrays for it."""
    rng = random.Random(seed)
    dtype = rng.choice(DTYPES)
    shape = rng.choice(shapes)
    key = mx.random.key(seed)
    args = [
        (mx.random.normal((2, *shape), key=k) * 3).astype(dtype)[j]  # where the second begins is no multiple of 64 bytes
        for j, k in enumerate(mx.random.split(key, 2))
    ]
    if rng.random() < 0.4:  # not in order
        args[0] = mx.swapaxes(mx.contiguous(mx.swapaxes(args[0], 0, -1)), 0, -1)
    steps, body_seed = rng.randrange(4, 40), rng.random()

    def change(rng, a):
        axis, k = rng.randrange(a.ndim), rng.randrange(18)
        n = a.shape[axis]
        part = lambda start, stop, step=1: a[(slice(None),) * axis + (slice(start, stop, step),)]
        if k < 3 and n > 2:  # a neighbour's part of a line
            i = rng.randrange(2)
            return part(i, n - 1 + i) * 0.5 - part(1 - i, n - i)
        if k == 3:
            return mx.pad(a, [(rng.randrange(3), rng.randrange(3)) if i == axis else (0, 0) for i in range(a.ndim)], constant_values=rng.choice([0, 2]))
        if k == 4:
            return a - mx.mean(a, axis=axis, keepdims=True) if a.dtype != mx.int32 else a - mx.max(a, axis=axis, keepdims=True)
        if k == 5:
            return mx.concatenate([part(1, n), part(0, 1)], axis=axis)
        if k == 6 and a.dtype != mx.complex64:
            return mx.where(a > 0, a, mx.minimum(a, mx.roll(a, 1, axis)))
        if k == 7:
            return mx.swapaxes(a, 0, -1)
        if k == 8 and n > 3:
            b = mx.array(a)
            b[(slice(None),) * axis + (slice(1, n - 1),)] = part(2, n) * 0.25
            return b
        if k == 9 and a.dtype != mx.int32:
            return mx.tanh(a)
        places = (mx.arange(n) * 7 + 3) % n if rng.random() < 0.5 else mx.argmax(mx.real(a), axis=axis).reshape(-1)[:9] % n
        if k == 11:
            return mx.take(a, places, axis=axis) * 0.5
        if k == 12:
            return a.at[(slice(None),) * axis + (places,)].add(mx.take(a, (places + 1) % n, axis=axis)) * 0.5
        if a.dtype == mx.complex64:
            return a * 0.5
        if k == 13:
            return mx.take_along_axis(a, mx.argsort(-a, axis=axis), axis=axis)
        if k == 14:
            return mx.cumsum(a, axis=axis, reverse=rng.random() < 0.5) * (1 if a.dtype == mx.int32 else 0.125)
        if k == 15:
            return mx.sort(a, axis=axis) + a
        if k == 16:
            index = mx.broadcast_to(mx.min(mx.abs(a).astype(mx.int32) % n, axis=axis, keepdims=True), a.shape)
            return mx.put_along_axis(a, index, a * 2, axis=axis) if rng.random() < 0.5 else mx.take_along_axis(a, index, axis=axis) - a
        return a * a.reshape(-1)[:1] + 1

    def f(x, y):
        rng, values = random.Random(body_seed), [x, y]
        for _ in range(steps):
            a = rng.choice(values[-3:])
            same = [b for b in values if b.shape == a.shape]
            values.append(change(rng, a) if rng.random() < 0.7 else a * rng.choice(same) - rng.choice(same))
        last = values[-1]
        return last, last[..., -1], mx.swapaxes(rng.choice(values), 0, -1), rng.choice(values)[::2], mx.sum(last, axis=0)

    return f, args


def has_the_bits_of_eager(f, args):
    mx.eval(args)
    compiled = mx.compile(f)
    for scale in (1, 1, -2, 1):  # other values at other places in memory
        given = [a * scale for a in args]
        mx.eval(given)
        expected, before = bits(list(f(*given))), bits(given)
        assert bits(list(compiled(*given))) == expected
        assert bits(given) == before
    expected = bits(list(f(args[0], args[0])))
    assert bits(list(compiled(args[0], args[0]))) == expected


@pytest.mark.grid(0.25)
@pytest.mark.parametrize("seed", range(1200))
def test_same_bits_as_eager(seed):
    has_the_bits_of_eager(*drawn(seed, SOME))


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("seed", range(500))
def test_same_bits_as_eager_with_more_elements(seed):
    has_the_bits_of_eager(*drawn(seed, MORE))


def waves(shape, turns=6):
    """Stencils that write into the middle of what they have, and powers whose exponent is known when they run; several results."""

    def f(x, v, p):
        middle = tuple(slice(1, n - 1) for n in shape)
        before, sides = mx.zeros(shape), mx.ones((*shape[:-1], 1))
        for k in range(turns):
            around = sum(mx.roll(x, s, d) for s in (1, -1) for d in range(len(shape)))
            v = v * 0.99 + (around - 2 * len(shape) * x) * 0.1
            x = mx.array(x)
            x[middle] += v[middle] * sides[middle[:-1]]
            before = before * 0.5 + mx.power(mx.abs(x), p)
        return x, v, before

    return f


@pytest.mark.parametrize("shape", [(50, 60), (130, 128), (240, 250), (30_000,), (20, 30, 40)], ids=str)
def test_passes_that_are_bound_once(shape):
    f = waves(shape)
    compiled, keys = mx.compile(f), mx.random.split(mx.random.key(7), 8)
    for k, p in zip(keys, [2.0, 2.0, 2.0, 3.0, 2.0, 0.5, 1.0, 2.0]):
        x, v = mx.random.normal((2, *shape), key=k)
        given = (x, v, mx.array(p))
        if p == 3.0:  # in another order
            given = (mx.swapaxes(mx.contiguous(mx.swapaxes(x, 0, -1)), 0, -1), v, mx.array(p))
        mx.eval(given)
        assert bits(list(compiled(*given))) == bits(list(f(*given)))
    if shape in [(50, 60), (130, 128)]:
        assert prepared(f, *given)


def test_passes_of_several_threads():
    """Each call has memory of its own."""
    f = waves((100, 110))
    compiled, failed = mx.compile(f), []
    args = [(*mx.random.normal((2, 100, 110), key=k), mx.array(2.0)) for k in mx.random.split(mx.random.key(3), 4)]
    mx.eval(args)
    expected = [bits(list(f(*a))) for a in args]
    for a in args[:3]:
        mx.eval(compiled(*a))

    def calls(k):
        for _ in range(30):
            if bits(list(compiled(*args[k]))) != expected[k]:
                failed.append(k)

    threads = [threading.Thread(target=calls, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


def test_arguments_that_are_taken_over():
    """What nobody else holds is written into, and read by passes that were bound to other memory."""

    def f(x, y):
        x = mx.array(x)
        x[3:60] = x[3:60] * 0.5 + y[3:60]
        z = x * y + 1
        x[::2] += z[::2] * 0.25 - y[::2]
        return x, z - x

    compiled, reference = mx.compile(f), None
    y = mx.random.normal((200, 150), key=mx.random.key(1))
    for _ in range(6):
        x = mx.random.normal((200, 150), key=mx.random.key(2))
        mx.eval(x, y)
        results = compiled(x, y)
        del x
        mx.eval(results)
        reference = reference or bits(list(f(mx.random.normal((200, 150), key=mx.random.key(2)), y)))
        assert bits(list(results)) == reference


def aligned(x, y):
    """Costs of aligning sequences, a diagonal at a time: parts of lines, which grow and shrink."""
    n = x.shape[1]
    before = last = mx.full((x.shape[0], n + 1), 1e9)
    for k in range(2 * n - 1):
        lo, hi = max(0, k - n + 1), min(n, k + 1)
        cost = (x[:, lo:hi] - y[:, n - 1 - k + lo : n - 1 - k + hi]) ** 2
        if k:
            cost = cost + mx.minimum(mx.minimum(last[:, lo + 1 : hi + 1], last[:, lo:hi]), before[:, lo:hi])
        before, last = last, mx.pad(cost, [(0, 0), (lo + 1, n - hi)], constant_values=1e9)
    return last[:, n]


def folded(x):
    """A tree's values, a level at a time: each is smaller than the one before."""
    for _ in range(x.shape[1] - 1):
        x = mx.maximum(x[:, 1:] * 0.7 + x[:, :-1] * 0.4, 0.1)
    return x[:, 0]


def test_what_is_prepared():
    x, y = mx.random.normal((40, 32)), mx.random.normal((40, 32))
    assert prepared(aligned, x, y)  # a column of what lies in the list's memory
    for rows in (16, 64, 200):
        assert prepared(folded, mx.random.normal((rows, 65)))
    wide = mx.random.normal((100, 100))
    assert prepared(lambda x: mx.concatenate([x[:1], x[2:] - x[:-2], x[-1:]]) * 0.5, wide)
    rows = lambda x: x - mx.mean(x, axis=1, keepdims=True)
    assert not prepared(lambda x: rows(mx.tanh(rows(x) * 2)) * 3, mx.random.normal((160, 100)))  # one pass over each row


def unrolled(seed):
    """Steps of a recurrence, which are joined along a drawn axis, and maybe used again; and arguments."""
    rng = random.Random(seed)
    shape, turns = rng.choice([(200,), (32, 8), (16, 64), (5, 3, 33)]), rng.choice([12, 60, 130])
    axis, kind = rng.randrange(len(shape) + 1), rng.randrange(4)
    dtype = rng.choice([mx.float32, mx.float32, mx.float64, mx.float16])
    x = (mx.random.normal((turns, *shape), key=mx.random.key(seed)) * 2).astype(dtype)
    if rng.random() < 0.5:
        x = mx.moveaxis(mx.contiguous(mx.moveaxis(x, 0, -1)), -1, 0)

    def f(x):
        h, out = mx.zeros(shape, dtype), []
        for t in range(turns):
            h = mx.tanh(x[t] + h * 0.5)
            out.append(mx.broadcast_to(h[:1], h.shape) if kind == 3 and t % 5 == 0 else h)
        if kind == 0 and axis < len(shape):
            return mx.concatenate(out, axis), h
        joined = mx.stack(out, axis)
        return (joined, h) if kind != 2 else (joined * 2, mx.sum(joined, axis=axis), mx.swapaxes(joined, 0, -1))

    return f, x


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("seed", range(150))
def test_steps_that_are_joined(seed):
    f, x = unrolled(seed)
    mx.eval(x)
    compiled = mx.compile(f)
    for scale in (1, 1, -2, 1):
        given = x * scale
        mx.eval(given)
        expected = bits(list(f(given)))
        assert bits(list(compiled(given))) == expected


def test_what_is_prepared_though_it_is_joined():
    def steps(x, axis):
        h, out = mx.zeros(x.shape[1:]), []
        for t in range(x.shape[0]):
            h = mx.tanh(x[t] + h * 0.5)
            out.append(h)
        return mx.stack(out, axis)

    assert prepared(lambda x: steps(x, 1), mx.random.normal((100, 300)))
    assert prepared(lambda x: steps(x, 1), mx.random.normal((100, 16, 64)))
    assert not prepared(lambda x: steps(x, 2), mx.random.normal((100, 16, 64)))  # short runs of a large array


def test_what_is_prepared_though_it_has_indices():
    x, i = mx.random.normal((40, 30)), mx.arange(20) * 2
    for f in (
        lambda x, i: mx.tanh(x)[i] * 2, lambda x, i: mx.take_along_axis(x, i[:, None] % 30, axis=1) + 1 if x.shape[0] == 20 else x[i] + 1,
        lambda x, i: mx.zeros_like(x).at[i].add(x[i] * 2) + x, lambda x, i: mx.sort(x * 2, axis=1)[:, :3] - x[:, :3],
        lambda x, i: mx.cumsum(x * 2, axis=0)[i], lambda x, i: mx.argsort(x * 2, axis=1)[i] + 1,
    ):  # fmt: skip
        assert prepared(f, x, i)
    update = lambda x, i: (x.at[3:5].add(1.0), (x * 2)[i[:2]])
    written = lambda x, i: ((y := mx.slice_update(x, mx.ones((2, x.shape[1])), mx.array([3, 0]), (0, 1))), y[i[:2]])
    assert prepared(update, x, i)
    assert not prepared(written, mx.zeros((300, 300)), i)  # which is updated in place


def test_an_index_that_is_outside():
    """The error is that of eager code, nothing is lost, and the next call is right."""

    def f(x, i):
        x = mx.array(x)
        x[1:3] = 0.5
        y = x * 2
        return y[i] + x[0], x

    compiled, x = mx.compile(f), mx.arange(6000.0).reshape(60, 100)
    for i in ([0, 1], [2, 59], [-60, 3], [4, 5]):
        assert bits(list(compiled(x, mx.array(i)))) == bits(list(f(mx.array(x), mx.array(i))))
    for bad in (60, -61):
        alone = x * 1  # which nobody else holds
        mx.eval(alone)
        lazy = compiled(alone, mx.array([0, bad]))
        del alone
        for _ in range(2):  # and it is there yet
            with pytest.raises(IndexError, match=f"{bad}.*axis 0"):
                mx.eval(lazy)
        assert bits(list(compiled(x, mx.array([7, 8])))) == bits(list(f(mx.array(x), mx.array([7, 8]))))
    assert mx.array_equal(x, mx.arange(6000.0).reshape(60, 100))
