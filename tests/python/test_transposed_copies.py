"""Copies whose axes change places, of elements of all sizes: every bit arrives, whatever the shape and where it begins."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["uint8", "int16", "uint32", "float32", "uint64", "float64", "complex64", "complex128"]


def patterns(dtype, shape, seed=0):
    """Arbitrary bits, NaNs of all kinds among them."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(np.random.default_rng(seed).bytes(size), dtype=dtype).reshape(shape)


def array_of(values):
    same_bits = {"float32": np.uint32, "float64": np.uint64}.get(values.dtype.name)
    if same_bits:
        return mx.array(values.view(same_bits)).view(getattr(mx, values.dtype.name))
    if values.dtype.name.startswith("complex"):  # as pairs of numbers, so that NaNs stay what they are
        half = np.uint32 if values.dtype.itemsize == 8 else np.uint64
        pairs = mx.array(np.ascontiguousarray(values)[..., None].view(half))
        return pairs.view(getattr(mx, values.dtype.name)).squeeze(-1)
    return mx.array(values)


def bytes_of(a):
    return bytes(memoryview(mx.contiguous(a)).cast("B")) if a.size else b""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 7, 8, 15, 16, 17, 33, 64, 130])
def test_matrices(dtype, rows):
    for columns in (1, 5, 8, 16, 31, 48, 65, 200):
        values = patterns(dtype, (rows, columns), rows)
        assert bytes_of(array_of(values).T) == values.T.tobytes(), columns


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
def test_parts_of_matrices(dtype):
    values = patterns(dtype, (150, 170))
    x = array_of(values)
    for rows, columns in itertools.product([slice(0, 144), slice(3, 150), slice(5, 101, 2), slice(140, 2, -1)], repeat=2):
        assert bytes_of(x[rows, columns].T) == values[rows, columns].T.tobytes(), (rows, columns)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("shape", [(16, 32, 48), (17, 40, 9), (128, 128, 64), (3, 200, 130)])
def test_three_axes(axes, shape):
    for dtype in ("int16", "float32", "float64"):
        values = patterns(dtype, shape)
        assert bytes_of(mx.transpose(array_of(values), axes)) == values.transpose(axes).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_beyond_the_caches(dtype):
    for shape in ((2112, 2048), (1100, 4000)):
        values = patterns(dtype, shape)
        assert bytes_of(array_of(values).T) == values.T.tobytes()


def test_into_a_part_of_something_else():
    for rows, columns in ((64, 48), (80, 112)):
        values, frame = patterns("float32", (rows, columns)), patterns("float32", (columns + 9, rows + 7))
        x = array_of(frame)
        x[4 : 4 + columns, 3 : 3 + rows] = array_of(values).T
        expected = frame.view(np.uint32).copy()
        expected[4 : 4 + columns, 3 : 3 + rows] = values.view(np.uint32).T
        assert bytes_of(x) == expected.tobytes()


@pytest.mark.parametrize("seed", range(400))
@pytest.mark.grid(0.25)
def test_short_axes_in_any_order(seed):
    """Three to seven short axes of a part of something, some from the last element to the first or repeated, that
    have changed places: blocks of few elements, and from all over the source."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(3, 8))
    sides = [2, 3, 4, 5, 7, 8, 12, 16, 24, 40]
    while not 4096 <= np.prod(shape := [int(rng.choice(sides)) for _ in range(ndim)]) <= 200_000:
        pass
    values = patterns(str(rng.choice(DTYPES)), [n + int(rng.integers(0, 2)) for n in shape], seed)
    x = array_of(values)
    part = tuple(slice(0, n) if rng.random() < 0.8 else slice(n - 1, None, -1) for n in shape)
    axes = tuple(int(axis) for axis in rng.permutation(ndim))
    x, values = mx.transpose(x[part], axes), values[part].transpose(axes)
    if rng.random() < 0.2:
        at = int(rng.integers(0, ndim + 1))
        again = (*values.shape[:at], 3, *values.shape[at:])
        x = mx.broadcast_to(mx.expand_dims(x, at), again)
        values = np.broadcast_to(np.expand_dims(values, at), again)
    assert bytes_of(x) == values.tobytes(), (values.dtype, values.shape, axes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_channels(dtype):
    """One channel of several, from the first element to the last and back, and one element for each of a row, of lines of any length."""
    rng = np.random.default_rng(0)
    for n in (1, 7, 16, 17, 31, 33, 64, 65, 100, 257, 1000):
        for channels in (*range(1, 20), 33):
            values = patterns(dtype, (n + 1, channels), n)
            x, first, k = array_of(values), int(rng.integers(2)), int(rng.integers(channels))
            assert bytes_of(x[first:, k]) == values[first:, k].tobytes(), (n, channels)
            assert bytes_of(x[::-1, k]) == values[::-1, k].tobytes(), (n, channels)
            spread = np.broadcast_to(values[first:, k : k + 1], (n + 1 - first, channels + first))
            assert bytes_of(mx.broadcast_to(x[first:, k : k + 1], spread.shape)) == spread.tobytes(), (n, channels)
