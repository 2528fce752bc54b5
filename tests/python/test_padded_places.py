"""Results that are only padded are written where they will lie in the padded array: drawn steps of a stencil, padded
along some axes by some widths, have the bits of the steps evaluated one by one."""

import numpy as np
import pytest

import mlx.core as mx
from bits import check_at_once, evaluated

SHAPES = [(70, 70), (130, 64), (64, 333), (20, 512), (33, 1030), (9, 40, 66), (3, 5, 7, 80), (5000,), (16, 257)]


def widths(rng, ndim, axes):
    pairs = [(0, 0)] * ndim
    for axis in axes:
        pairs[axis] = (int(rng.integers(0, 4)), int(rng.integers(0, 4)))
    return pairs


def program(seed, step):
    def run(a, b):
        rng = np.random.default_rng(seed)
        x, others = a, []
        for _ in range(int(rng.integers(1, 5))):
            inner = tuple(slice(1, n - 1) for n in x.shape)
            shifted = lambda by: x[tuple(slice(1 + d, n - 1 + d) for d, n in zip(by, x.shape))]
            y = step(x[inner] * 0.5)
            for _ in range(int(rng.integers(0, 4))):
                y = step(y + shifted([int(d) for d in rng.integers(-1, 2, x.ndim)]))
            if rng.integers(3) == 0:
                y = step(mx.maximum(y, b[tuple(slice(0, n) for n in y.shape)] - 1))
            if rng.integers(4) == 0:
                y = step(mx.tanh(y))
            if rng.integers(5) == 0:
                others.append(y)  # read elsewhere, too
            axes = [axis for axis in range(x.ndim) if rng.integers(3) or axis == x.ndim - 1]
            value = float(rng.integers(-1, 2))
            pairs = [(1, 1)] * x.ndim if rng.integers(2) else widths(rng, x.ndim, axes)
            x = step(mx.pad(y, pairs, constant_values=value))
            if rng.integers(4) == 0:
                x = step(x * 0.9)
        return [*others, x]

    return run


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("name", ["float32", "float16", "float64", "int32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_padded_stencils(seed, shape, name):
    rng = np.random.default_rng(seed)
    dtype = getattr(mx, name)
    a, b = (mx.array(rng.integers(-9, 9, [n + m for n in shape]).astype("f4")).astype(dtype) for m in (0, 40))
    check_at_once(program(seed, evaluated), program(seed, lambda x: x), [a, b], lazy=1)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_against_numpy(axes):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (12, 30, 100)).astype("f4")
    for before in 0, 1, 5:
        for after in 0, 2, 64:
            pairs = [(before, after) if axis in axes else (0, 0) for axis in range(3)]
            got = mx.pad(mx.array(x) * 2 + 1, pairs, constant_values=3)
            assert np.array_equal(np.array(got), np.pad(x * 2 + 1, pairs, constant_values=3))
