"""argmin and argmax along short rows, long ones and columns, of drawn shapes and layouts, against NumPy: the first of equal extrema, and
of NaNs."""

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets

DTYPES = ["bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64", "complex64", "complex128"]


def drawn(rng, dtype):
    """An array of few different values, with NaNs now and then, its axes in any order and some of them backwards or in steps; and the same
    for NumPy."""
    length = int(rng.choice([1, 2, 3, 7, 10, 16, 17, 24, 31, 48, 63, 64, 65, 100, 127, 257, 1024, 1030]))
    others = [int(n) for n in rng.choice([1, 2, 3, 15, 16, 17, 33, 70], size=int(rng.integers(0, 3)))]
    shape = [length, *(others if length < 300 else others[:1])]
    rng.shuffle(shape)
    steps = [int(rng.choice([1, 1, 1, 2])) for _ in shape]
    x = rng.integers(0, int(rng.choice([2, 5, 100])), [n * s for n, s in zip(shape, steps)]).astype(np.float64)
    if dtype.startswith("complex"):
        x = x + 1j * rng.integers(0, 3, x.shape)
    if dtype.startswith(("float", "bfloat", "complex")) and rng.random() < 0.4:
        x[rng.random(x.shape) < 0.02] = np.nan
        x[rng.random(x.shape) < 0.02] = -np.inf
    order = rng.permutation(x.ndim)
    cut = tuple(slice(None, None, steps[i] * int(rng.choice([1, 1, -1]))) for i in order)
    ours = mx.array(x).astype(getattr(mx, dtype)).transpose([int(i) for i in order])[cut]
    if dtype == "bool_":
        x = x != 0
    return ours, x.transpose(order)[cut]


def expected(name, x, axis):
    """NumPy compares complex numbers with NaN in other ways: the first that has one is the extremum here."""
    if not np.iscomplexobj(x):
        return getattr(np, name)(x, axis=axis)
    nan = np.isnan(x)
    return np.where(nan.any(axis=axis), nan.argmax(axis=axis), getattr(np, name)(np.where(nan, 0, x), axis=axis))


def check(dtype, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ours, x = drawn(rng, dtype)
        axis = int(rng.integers(x.ndim))
        for name in ("argmin", "argmax"):
            np.testing.assert_array_equal(
                np.array(getattr(mx, name)(ours, axis=axis)), expected(name, x, axis), err_msg=f"{name} {dtype} {seed} {x.shape} {axis}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_against_numpy(dtype):
    check(dtype, range(100))


@lesser_instruction_sets
def test_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    for dtype in DTYPES:
        check(dtype, range(150, 165))
