"""Gradients of as_strided, whose places may share elements: sliding windows and pools, and places of no such kind."""

import mlx.core as mx
import numpy as np
import pytest


def places(shape, strides, offset):
    at = np.full(shape, offset)
    for axis, (length, stride) in enumerate(zip(shape, strides)):
        at = at + np.arange(length).reshape([-1 if d == axis else 1 for d in range(len(shape))]) * stride
    return at


def any_places(rng):
    rank = rng.integers(1, 5)
    return [int(n) for n in rng.integers(1, 6, rank)], [int(s) for s in rng.integers(-6, 9, rank)]


def windows(rng):
    """Of some lengths, in some steps, along some axes of channels-last arrays, in any order of axes, some backwards."""
    lengths, channels = rng.integers(3, 9, rng.integers(1, 4)), int(rng.integers(1, 4))
    inner = [channels]
    for length in lengths[:0:-1]:
        inner.insert(0, inner[0] * int(length))
    size, step = [int(rng.integers(1, n + 1)) for n in lengths], rng.integers(1, 4, len(lengths))
    shape = [(int(n) - k) // int(s) + 1 for n, k, s in zip(lengths, size, step)] + size + [channels]
    strides = [int(i * s) for i, s in zip(inner, step)] + inner + [1]
    order = rng.permutation(len(shape))
    turned = [1, 1, -1][rng.integers(3)]
    return [shape[i] for i in order], [strides[i] * (turned if rng.random() < 0.5 else 1) for i in order]


def images(rng):
    """Windows of images with their channels first, of a batch of them or of some."""
    batch, channels, height, width = (int(rng.integers(1, n)) for n in (4, 5, 12, 12))
    rows, columns = (int(rng.integers(1, min(4, n) + 1)) for n in (height, width))
    down, across = (int(n) for n in rng.integers(1, 4, 2))
    shape = [batch, channels, (height - rows) // down + 1, (width - columns) // across + 1, rows, columns]
    strides = [channels * height * width, height * width, down * width, across, width, 1]
    order = rng.permutation(6) if rng.random() < 0.5 else range(6)
    order = [i for i in order if rng.random() < 0.9]
    return [shape[i] for i in order], [strides[i] for i in order]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("draw", [any_places, windows, images])
def test_gradients_are_sums_over_places(draw, seed):
    rng = np.random.default_rng(seed)
    shape, strides = draw(rng)
    ends = [(n - 1) * s for n, s in zip(shape, strides)]
    offset = int(rng.integers(0, 4)) - sum(min(0, e) for e in ends)
    size = offset + sum(max(0, e) for e in ends) + 1 + int(rng.integers(0, 5))
    x = mx.array(rng.integers(-9, 9, size), dtype=mx.float32)
    weights, weights_of_two = (rng.integers(-9, 9, (*extra, *shape)).astype(np.float32) for extra in ((), (2,)))
    view = lambda x: mx.as_strided(x, tuple(shape), tuple(strides), offset)
    pulled = lambda w: mx.vjp(view, [x], [w])[1][0]

    def expected(w):
        sums = np.zeros(size, np.float32)
        np.add.at(sums, places(shape, strides, offset).ravel(), w.ravel())
        return sums

    np.testing.assert_array_equal(np.array(pulled(mx.array(weights))), expected(weights))
    np.testing.assert_array_equal(np.array(mx.compile(pulled)(mx.array(weights))), expected(weights))
    np.testing.assert_array_equal(np.array(mx.vmap(pulled)(mx.array(weights_of_two))), [expected(w) for w in weights_of_two])
    twice = mx.vjp(pulled, [mx.array(weights)], [x])[1][0]  # the adjoint of the adjoint
    np.testing.assert_array_equal(np.array(twice), np.array(view(x)))


@pytest.mark.parametrize("kernel, step", [(3, 1), (3, 2), (2, 2), (5, 3)])
def test_pools_scatter_nothing(kernel, step):
    """Sums of overlapping windows are passes over the array, and no scatter of as many elements as all windows have."""
    x = mx.random.normal((2, 17, 17, 4))
    count = (17 - kernel) // step + 1
    windows = lambda x: mx.as_strided(x, (2, count, count, kernel, kernel, 4), (17 * 17 * 4, 17 * 4 * step, 4 * step, 17 * 4, 4, 1))
    got = mx.grad(lambda x: (windows(x).mean(axis=(3, 4)) ** 2).sum())(x)
    assert "ScatterAdd" not in mx._node_counts(got)
    rows = np.lib.stride_tricks.sliding_window_view(np.array(x), (kernel, kernel), axis=(1, 2))[:, ::step, ::step]
    means, expected = rows.mean(axis=(-2, -1)), np.zeros(x.shape, np.float32)
    for i in range(kernel):
        for j in range(kernel):
            expected[:, i : i + step * count : step, j : j + step * count : step] += 2 * means / kernel**2
    np.testing.assert_allclose(np.array(got), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize("kernel, step", [(3, 1), (3, 2), (5, 3)])
def test_pools_of_channels_in_front_are_as_many_parts_as_a_window_has_places(kernel, step, side):
    x = mx.zeros((2, 4, side, side))
    count = (side - kernel) // step + 1
    shape, strides = (2, 4, count, count, kernel, kernel), (4 * side**2, side**2, step * side, step, side, 1)
    got = mx.grad(lambda x: (mx.as_strided(x, shape, strides).mean(axis=(4, 5)) ** 2).sum())(x)
    assert mx._node_counts(got).get("Slice", 0) <= kernel**2 + 9  # one for each window would be 81 or more
