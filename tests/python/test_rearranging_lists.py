"""moveaxis of several axes and repeat with a count for each entry, as NumPy has them."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

X = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("source, destination", [
    *[(list(s), list(d)) for s in itertools.permutations(range(4), 2) for d in ((0, 1), (-1, 1), (2, -4), (3, 2))],
    ((), ()), ((0, 1, 2, 3), (3, 2, 1, 0)), ((-1,), (0,)), (1, -1), (-2, 0), ((2, -3, 0), (0, 1, -1)),
])
def test_moveaxis(source, destination):
    expected = np.moveaxis(X, source, destination)
    for got in (mx.moveaxis(mx.array(X), source, destination), mx.array(X).moveaxis(source, destination),
                mx.compile(lambda x: mx.moveaxis(x, source, destination))(mx.array(X)),
                mx.vmap(lambda x: mx.moveaxis(x, source, destination))(mx.array(X[None]))[0]):
        np.testing.assert_array_equal(np.array(got), expected)


@pytest.mark.parametrize("source, destination, said", [
    ((0, 0), (1, 2), "source .* axis 0 twice"), ((0, -4), (1, 2), "axis -4 twice"), ((0, 1), (2, 2), "destination .* axis 2 twice"),
    ((0, 1), (2,), "different lengths"), (0, (1, 2), "different lengths"), ((0, 4), (1, 2), "4"), ((0, 1), (-5, 2), "-5"),
])
def test_moveaxis_errors(source, destination, said):
    with pytest.raises(ValueError, match=said):
        mx.moveaxis(mx.array(X), source, destination)


COUNTS = [([2, 0, 1], 1), ([1, 1, 1], 1), ([0, 0, 0], 1), ([3, 1], 0), ([1, 2, 3, 4], -2), ([4], 1), (3, 1), ([0, 5, 0, 0, 1], 3)]
KINDS = {"list": lambda c: c, "tuple": lambda c: tuple(c) if isinstance(c, list) else c, "array": mx.array, "numpy": np.array,
         "int64": lambda c: mx.array(c, mx.int64), "uint8": lambda c: mx.array(c, mx.uint8), "numpy int8": lambda c: np.array(c, np.int8)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts, axis", COUNTS)
def test_repeat(counts, axis, kind):
    given = KINDS[kind](counts)
    expected = np.repeat(X, counts, axis)
    f = lambda x: mx.repeat(x, given, axis)  # noqa: E731
    weights = mx.array(np.random.default_rng(0).uniform(size=expected.shape))
    for own in (f, mx.compile(f), mx.checkpoint(f), lambda x: mx.vmap(f)(x[None])[0]):
        np.testing.assert_array_equal(np.array(own(mx.array(X))), expected)
        slopes = np.zeros_like(X)
        at = np.repeat(np.arange(X.shape[axis]), counts)
        np.add.at(np.moveaxis(slopes, axis, 0), at, np.moveaxis(np.array(weights), axis, 0))
        got = mx.grad(lambda x: (own(x) * weights).sum())(mx.array(X))
        np.testing.assert_allclose(np.array(got), slopes, rtol=1e-5, atol=1e-6)


def test_repeat_flattened():
    for counts in ([1, 2, 0, 1], mx.array([1, 2, 0, 1]), np.int64(2), mx.array(2), [3], True):
        x = np.array([[1, 2], [3, 4]])
        np.testing.assert_array_equal(np.array(mx.repeat(mx.array(x), counts)), np.repeat(x, np.array(counts)))
    assert mx.repeat(mx.zeros((0, 2)), [], axis=0).shape == (0, 2)
    assert mx.repeat(mx.array(3.0), 2).shape == (2,)
    assert mx.repeat(mx.array(3.0), [2]).shape == (2,)


X4 = mx.arange(4)


@pytest.mark.parametrize("call, error, said", [
    (lambda: mx.repeat(X4, [1, 2]), ValueError, "2 counts for the 4 entries"), (lambda: mx.repeat(X4, []), ValueError, "0 counts"),
    (lambda: mx.repeat(X4, [1, -1, 2, 0]), ValueError, "count of -1"), (lambda: mx.repeat(X4, [1.0] * 4), TypeError, "dtype float32"),
    (lambda: mx.repeat(X4, "a"), TypeError, "str"), (lambda: mx.repeat(X4, [[1] * 4]), ValueError, r"shape \(1,4\)"),
    (lambda: mx.repeat(X4, [1, 2], axis=1), ValueError, "1"), (lambda: mx.repeat(X4, [2**62, 2**62, 2**62, 0]), ValueError, "repeat"),
    (lambda: mx.compile(mx.repeat)(X4, X4), ValueError, "not known while the function is recorded, but they decide the shape"),
    (lambda: mx.vmap(mx.repeat)(X4[None], X4[None]), ValueError, "differ from lane to lane, but they decide the shape"),
    (lambda: mx.vmap(mx.repeat, in_axes=(None, 0))(X4, X4), ValueError, "differ from lane to lane, but they decide the shape"),
    (lambda: mx.scan(lambda c, x: (c, mx.repeat(c, x)), X4, X4), ValueError, "not known"),
])
def test_repeat_errors(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_counts_that_are_shared_by_the_lanes_or_read_while_recording():
    counts = mx.array([2, 0, 1, 1])
    assert mx.vmap(lambda x: mx.repeat(x, counts))(X4[None]).tolist() == [[0, 0, 2, 3]]
    assert mx.vmap(mx.repeat, in_axes=(0, None))(X4[None], counts).tolist() == [[0, 0, 2, 3]]
    assert mx.grad(lambda x, c: (mx.repeat(x, c) * x).sum())(mx.array([1.0, 2.0, 3.0, 4.0]), counts).shape == (4,)
    f = mx.compile(lambda x: mx.repeat(x, counts))
    assert f(X4).tolist() == [0, 0, 2, 3]
    counts[1] = 3
    assert f(X4).tolist() == [0, 0, 1, 1, 1, 2, 3]
