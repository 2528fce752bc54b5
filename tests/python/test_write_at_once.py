"""Small updates of evaluated arrays that nobody else holds are written at once: nobody can tell, but from the time."""

import copy
import random

import mlx.core as mx
import numpy as np
import pytest


def drawn_index(rng, shape):
    def one(n):
        k = rng.randrange(4)
        if k < 2:
            return rng.randrange(-n, n)
        bounds = [rng.choice([None, rng.randrange(-n - 2, n + 3)]) for _ in range(2)]
        return slice(*bounds, rng.choice([None, 1, 2, -1, -2, 5]))

    if rng.random() < 0.3:
        rows = [rng.randrange(-shape[0], shape[0]) for _ in range(rng.randrange(1, 5))]
        return rng.choice([rows, mx.array(rows), mx.array(rows, dtype=mx.int64), mx.array([r % shape[0] for r in rows], dtype=mx.uint8)])
    items = tuple(one(n) for n in shape[: rng.randrange(1, len(shape) + 1)])
    return items[0] if len(items) == 1 and rng.random() < 0.5 else items


def drawn_value(rng, part, dtype):
    k = rng.randrange(5)
    if k == 0:
        return rng.choice([3, -2, 2.5, True])
    if k == 1:
        return mx.array(rng.random() * 9).astype(dtype)
    shape = part if k < 4 else tuple(n if rng.random() < 0.6 else 1 for n in part)
    value = mx.array(np.array([rng.randrange(9) for _ in range(int(np.prod(shape)))]).reshape(shape)).astype(dtype)
    return value if k != 3 else value.astype(rng.choice([mx.float32, mx.int32]))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.int32, mx.int8, mx.bfloat16, mx.complex64, mx.bool_], ids=str)
@pytest.mark.parametrize("seed", range(30))
def test_same_values_as_where_another_handle_is_held(seed, dtype):
    rng = random.Random(seed)
    shape = rng.choice([(7,), (4, 5), (3, 4, 2), (1, 6)])
    x = mx.array(np.array([rng.randrange(9) for _ in range(int(np.prod(shape)))]).reshape(shape)).astype(dtype)
    for _ in range(12):
        index = drawn_index(rng, shape)
        value = drawn_value(rng, x[index].shape, dtype)
        if rng.random() < 0.7:  # otherwise it is cheap, or part of a graph
            mx.eval(x, *([value] if isinstance(value, mx.array) else []))
        if rng.random() < 0.3 and dtype not in (mx.bool_, mx.int8):
            value = value * 2
        other, before = copy.copy(x), np.array(x.astype(mx.complex64))
        y = copy.copy(x)
        y[index] = value  # as a graph: x has the same memory
        del other
        assert np.array_equal(np.array(x.astype(mx.complex64)), before)
        expected = np.array(y.astype(mx.complex64))
        del y
        x[index] = value
        assert np.array_equal(np.array(x.astype(mx.complex64)), expected), (index, value)


def holders():
    def node(x):
        y = x + 1
        return lambda: np.array(y) - 1

    def view(x):
        y = x[2:4]
        mx.eval(y)
        return lambda: np.array(y)

    def same_node(x):
        y = copy.copy(x)
        return lambda: np.array(y)

    def exported(x):
        y = np.array(x, copy=False)
        return lambda: np.array(y)

    def buffer(x):
        y = memoryview(x)
        return lambda: np.array(y)

    def capsule(x):
        y = np.from_dlpack(x)
        return lambda: np.array(y)

    def list_of_rows(x):
        rows = list(x)
        return lambda: np.array([np.array(r) for r in rows])

    def at(x):
        y = x.at[1].add(1)
        return lambda: np.array(y)

    def closure(x):
        f = mx.compile(lambda a: a + x)
        y = f(mx.array(1.0))
        return lambda: np.array(y)

    return [node, view, same_node, exported, buffer, capsule, list_of_rows, at, closure]


@pytest.mark.parametrize("holder", holders(), ids=lambda h: h.__name__)
def test_who_else_holds_it_sees_what_was(holder):
    x = mx.array(np.arange(24.0, dtype="f4").reshape(6, 4))
    mx.eval(x)
    look = holder(x)
    other = holder(mx.array(np.arange(24.0, dtype="f4").reshape(6, 4)))
    x[2] = 100.0
    x[3, 1:] = mx.array(7.0)
    assert np.array_equal(look(), other())
    assert x[2].tolist() == [100.0] * 4 and x[3].tolist() == [12.0, 7.0, 7.0, 7.0]


def test_foreign_memory_is_not_written():
    source = np.arange(5, dtype="f4")
    x = mx.asarray(source, copy=False) if hasattr(mx, "asarray") else mx.array(source)
    mx.eval(x)
    x[1] = 9.0
    assert source.tolist() == [0, 1, 2, 3, 4] and x.tolist() == [0, 9, 2, 3, 4]


def test_views_are_what_slices_are():
    rng = random.Random(0)
    x = mx.array(np.arange(60, dtype="i4").reshape(3, 4, 5))
    mx.eval(x)
    y = x.swapaxes(0, 2)
    mx.eval(y)
    for _ in range(200):
        for a in (x, y):
            index = drawn_index(rng, a.shape)
            if isinstance(index, list | mx.array):
                continue
            got, lazy = a[index], (a + 0)[index]
            assert got.shape == lazy.shape == np.array(a)[index].shape and got.dtype == lazy.dtype
            assert np.array_equal(np.array(got), np.array(a)[index])
            assert np.array_equal(np.array(got * 2 + mx.sum(got)), np.array(lazy * 2 + mx.sum(lazy)))


def test_a_recurrence_in_place():
    x, v = mx.array(np.random.default_rng(0).standard_normal((50, 8)).astype("f4")), mx.ones((8,)) + 0
    mx.eval(x, v)
    y = np.array(x)
    for i in range(49):
        x[i + 1] = x[i] * 0.5 + v
        y[i + 1] = y[i] * np.float32(0.5) + 1
    assert np.array_equal(np.array(x), y)


def test_overlapping_parts():
    x = mx.arange(6.0)
    mx.eval(x)
    v = x[:-1]
    mx.eval(v)
    x[1:] = v
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


def test_under_transforms_it_is_an_operation():
    x = mx.zeros((4,))
    mx.eval(x)

    def f(a):
        y = mx.zeros((4,))
        mx.eval(y)
        y[1] = 2.0
        y[2] = a
        return (y * y).sum()

    assert mx.grad(f)(mx.array(3.0)).item() == 6.0
    assert mx.vmap(f)(mx.array([1.0, 3.0])).tolist() == [5.0, 13.0]
    g = mx.compile(f)
    assert [g(mx.array(k)).item() for k in (1.0, 3.0, 4.0)] == [5.0, 13.0, 20.0]
    h = mx.compile(lambda a: a + x)  # x is read again at each call
    for k in range(4):
        x[1] = float(k)
        assert h(mx.array(1.0)).tolist() == [1, 1.0 + k, 1, 1]


def test_what_is_wrong_is_said_as_ever():
    x = mx.zeros((3, 4))
    mx.eval(x)
    with pytest.raises(IndexError, match="index 3 is out of range for axis 0 with length 3"):
        x[3] = 1.0
    with pytest.raises(IndexError):
        x[0, 0, 0] = 1.0
    for index in ([0, 3], mx.array([0, -4])):
        with pytest.raises(IndexError):
            x[index] = mx.ones((4,))
            mx.eval(x)
        x = mx.zeros((3, 4)) * 1
        mx.eval(x)
    with pytest.raises(ValueError, match="cannot be broadcast"):
        x[[0, 1]] = mx.zeros((3,))
    with pytest.raises(ValueError, match="cannot be broadcast"):
        x[0] = mx.zeros((3,))
    with pytest.raises(ValueError, match="zero"):
        x[::0] = 1.0
    with pytest.raises(TypeError):
        x[0] = "a"
    assert x.tolist() == [[0.0] * 4] * 3


def test_memory_is_kept():
    x = mx.zeros((1000, 1000)) + 1
    mx.eval(x)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    for i in range(100):
        x[i] = float(i)
    mx.eval(x)
    assert mx.get_peak_memory() - before < 1 << 16
    assert x[99, 5].item() == 99
