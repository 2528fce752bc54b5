"""Elementwise steps on arrays whose axes are permuted go in the order of memory, and give results that lie so, too: the elements and
their bits are those of row-major copies."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits


def copied(x):
    """Row-major."""
    return mx.array(np.ascontiguousarray(np.array(x)))


def drawn(shape, seed=0):
    return mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def steps(x, y):
    z = mx.tanh(x) * 1.5 + y
    return z, mx.where(z > 0, z, x)


PERMUTATIONS = [(1, 0), (0, 2, 1, 3), (0, 2, 3, 1), (3, 2, 1, 0), (2, 0, 1)]
SIZES = {2: (150, 70), 3: (20, 33, 17), 4: (4, 30, 3, 50)}


@pytest.mark.parametrize("axes", PERMUTATIONS, ids=str)
@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile], ids=["eager", "compiled"])
def test_bits_are_those_of_copies(axes, wrap):
    x, y = (mx.transpose(drawn(SIZES[len(axes)], seed), axes) for seed in (1, 2))
    inner, outer, one = drawn(x.shape[-1:], 3), drawn((x.shape[0],) + (1,) * (x.ndim - 1), 4), mx.array(0.25)
    whole = mx.broadcast_to(inner, x.shape)
    for other in (x, y, inner, outer, one, whole, copied(y), mx.transpose(drawn(x.shape, 5), tuple(range(x.ndim))[::-1])
                  if x.shape == x.shape[::-1] else y):
        want = steps(copied(x), copied(other))
        got = wrap(steps)(x, other)
        assert [bits(g) for g in got] == [bits(w) for w in want]
        for g, w in zip(got, want):  # all that may be done with it
            assert bits(g.sum(axis=-1)) == bits(w.sum(axis=-1)) and bits(g.sum()) == bits(w.sum()) and bits(g.sum(axis=0)) == bits(w.sum(axis=0))
            assert bits(g + w) == bits(w + w) and bits(g.reshape(-1)) == bits(w.reshape(-1)) and g.tolist() == w.tolist()
            assert np.array_equal(np.array(g), np.array(w)) and bits(mx.sort(g, axis=0)) == bits(mx.sort(w, axis=0))
            assert bits(mx.cumsum(g, axis=-1)) == bits(mx.cumsum(w, axis=-1))


def test_nothing_is_copied_there_and_back():
    """Heads, split and merged: the result is row-major again."""
    x = drawn((3, 40, 64))
    heads = mx.tanh(x.reshape(3, 40, 4, 16).transpose(0, 2, 1, 3))
    merged = heads.transpose(0, 2, 1, 3).reshape(3, 40, 64)
    mx.eval(heads)
    assert memoryview(heads).strides == (40 * 64 * 4, 16 * 4, 64 * 4, 4)
    assert bits(merged) == bits(mx.tanh(x))


def test_memory_that_is_taken_over():
    def f(x):
        y = mx.transpose(x * 2, (1, 0))
        return mx.exp(y) + 1
    x = drawn((300, 200))
    assert bits(f(x)) == bits(mx.exp(copied((x * 2).T)) + 1)
    row = drawn((200,))
    z = mx.broadcast_to(row + 1, (300, 200)).T  # has no memory for each element
    assert bits(mx.exp(z) + mx.tanh(x.T)) == bits(mx.exp(copied(z)) + mx.tanh(copied(x.T)))


def test_writing_into_results():
    x = drawn((120, 90)).T
    y = mx.tanh(x)
    mx.eval(y)
    want = np.tanh(np.array(x)) * 0 + np.array(y)
    y[3, 5:9] = 7
    want[3, 5:9] = 7
    assert np.array_equal(np.array(y), want)
    y += 1
    assert np.array_equal(np.array(y), want + 1)


@pytest.mark.parametrize("axes", [(0, 2, 1, 3), (0, 3, 1, 2)], ids=str)
def test_gradients(axes):
    x, w = drawn((4, 30, 3, 50)), drawn((50,), 1)
    back = tuple(int(i) for i in np.argsort(axes))
    def f(x, w, hold):
        y = mx.tanh(hold(mx.transpose(x * w, axes)))
        return mx.sum(mx.sin(hold(mx.transpose(y, back))) * w)
    for transform in (lambda f: f, mx.compile):
        got = transform(mx.grad(lambda x, w: f(x, w, lambda a: a), argnums=(0, 1)))(x, w)
        want = mx.grad(lambda x, w: f(x, w, lambda a: mx.contiguous(a)), argnums=(0, 1))(x, w)
        assert [bits(g) for g in got] == [bits(v) for v in want]
