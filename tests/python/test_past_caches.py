"""Results of 16 MB and more are stored past the caches: the same bits as a part at a time, where lines of memory are
shared, rows end anywhere, and several threads write."""

import mlx.core as mx
import numpy as np
import pytest
from bits import bits

MB = 1 << 20
DTYPES = [mx.float32, mx.float16, mx.float64, mx.complex64, mx.int8]


def drawn(shape, dtype, seed=0):
    x = np.random.default_rng(seed).integers(-100, 100, shape, dtype=np.int8)
    return mx.array(x).astype(dtype)


def in_parts(f, arrays, axis=0, parts=7):
    """f of slices along an axis, joined by NumPy: each result is small."""
    cuts = [mx.split(a, [a.shape[axis] * i // parts for i in range(1, parts)], axis) for a in arrays]
    return [np.concatenate([np.array(r) for r in rs], axis) for rs in zip(*[f(*c) for c in zip(*cuts)])]


def check(f, arrays, **kwargs):
    for ours, expected in zip(f(*arrays), in_parts(f, arrays, **kwargs)):
        assert bits(np.array(ours)) == bits(expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_elements(dtype):
    n = 36 * MB // dtype.size + 5
    x, y = drawn(n, dtype), drawn(n, dtype, 1)
    check(lambda x, y: (x + y, x * y - x), [x, y])
    check(lambda x, y: [x[3:] + y[:-3]], [x, y], parts=1)  # sources that begin anywhere
    assert bits(np.array(x[3:] + y[:-3])) == bits(np.array(x)[3:] + np.array(y)[:-3])


def test_truth_and_numbers():
    x, y = drawn(36 * MB + 1, mx.int8), drawn(36 * MB + 1, mx.int8, 1)
    check(lambda x, y: (x > y, mx.where(x > y, x, -y)), [x, y])


@pytest.mark.parametrize("length", [7, 64, 300, 1000, 1024, 4096, 5001])
def test_rows(length):
    x = drawn((36 * MB // 4 // length + 1, length), mx.float32)
    check(lambda x: (mx.softmax(x / 50, -1), x - mx.mean(x, -1, keepdims=True)), [x])
    check(lambda x: [x / mx.sqrt(mx.sum(x * x, -1, keepdims=True) + 1) * mx.max(x, -1, keepdims=True)], [x])


def test_one_row():
    x = drawn(9 * MB + 3, mx.float32)
    y = mx.exp(x / 100)
    ours = np.array(y / mx.sum(y))
    assert bits(ours) == bits(np.array(y) / np.array(mx.sum(y)))


def test_overwritten_sources():
    x = drawn(9 * MB, mx.float32)
    y = mx.abs(x + 1)  # may take the sum's memory
    z = mx.sqrt(y)
    mx.eval(z)
    expected = np.abs(np.array(x) + 1)
    assert bits(np.array(z)) == bits(np.sqrt(expected)) and bits(np.array(y)) == bits(expected)
    x[1:] = x[:-1] * 2
    assert np.array_equal(np.array(x[1:5000]), np.array(drawn(9 * MB, mx.float32)[:4999]) * 2)


SHAPES = [(2048, 2560), (2049, 2563), (7, 96, 8000), (130, 64, 1024), (5, 1100, 1000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_transposed_copies(shape, dtype):
    shape = (*shape[:-1], shape[-1] * 4 // min(dtype.size, 4))
    x = drawn(shape, dtype)
    seen = np.array(x)
    for axes in {
        (*range(1, len(shape)), 0),
        (len(shape) - 1, *range(len(shape) - 1)),
        (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2),
    }:
        assert np.array_equal(np.array(mx.contiguous(mx.transpose(x, axes))), seen.transpose(axes)), axes


def test_rows_cut_and_joined():
    x = drawn((5000, 1027), mx.float32)
    seen = np.array(x)
    for ours, expected in [
        (mx.contiguous(x[:, 3:1011]), seen[:, 3:1011]),
        (mx.contiguous(x[1:, :]), seen[1:]),
        (mx.concatenate([x, x[:, :400]], 1), np.concatenate([seen, seen[:, :400]], 1)),
        (mx.concatenate([x, x[7:]], 0), np.concatenate([seen, seen[7:]], 0)),
        (mx.pad(x, ((1, 2), (3, 5))), np.pad(seen, ((1, 2), (3, 5)))),
        (mx.contiguous(x.reshape(5, 1000, 1027).swapaxes(0, 1)), seen.reshape(5, 1000, 1027).swapaxes(0, 1)),
    ]:
        assert np.array_equal(np.array(ours), expected)
