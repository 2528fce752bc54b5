"""Scatters of whole rows give the bits of the same steps one after the other: rows of any length, shared out among threads
or not, updates that lie apart or are one for many positions."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

from bits import bits

MODES = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b,
         "maximum": lambda a, b: np.where((a < b) | (b != b) & (a == a), b, a),
         "minimum": lambda a, b: np.where((b < a) | (b != b) & (a == a), b, a)}
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-45]
# Rows, updates, and elements of a row: up to the ends of vectors, for threads by their places and by columns.
SIZES = [(40, 300, width) for width in (1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100)] + [(60, 1500, 100), (300, 300, 520)]


def one_by_one(mode, x, index, updates):
    y = x.copy()
    with np.errstate(all="ignore"):
        for i, update in zip(index, updates):
            y[i] = MODES[mode](y[i], update)
    return y


def random(rng, shape, dtype, mode):
    if np.dtype(dtype).kind == "i":
        return rng.integers(-9, 9, shape).astype(dtype)
    x = rng.standard_normal(shape).astype(dtype)
    special = rng.random(shape) < 0.02
    x[special] = rng.choice(SPECIAL if mode != "multiply" else SPECIAL[3:], special.sum())
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "int16"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length, count, width", SIZES)
def test_rows(length, count, width, mode, dtype):
    rng = np.random.default_rng(width)
    x, updates = random(rng, (length, width), dtype, mode), random(rng, (count, width), dtype, mode)
    index = rng.integers(-length, length, count)
    own = getattr(mx, dtype)
    start, places = mx.array(x, dtype=own), mx.array(index)
    combined = lambda at, new: getattr(start.at[at], mode)(new)
    want = bits(one_by_one(mode, x, index, updates))
    assert np.array_equal(bits(combined(places, mx.array(updates, dtype=own))), want)
    assert np.array_equal(bits(combined(places, mx.array(updates[:, ::-1].copy(), dtype=own)[:, ::-1])), want)
    wider = mx.array(np.concatenate([updates, updates], 1), dtype=own)[:, width:] # rows of updates with room between them
    assert np.array_equal(bits(combined(places, wider)), want)
    few = count // 6
    sums = mx.array(updates[:few], dtype=own)[:, None] # one for several positions, as the gradient of sums of rows has
    want = bits(one_by_one(mode, x, index[: few * 6], np.repeat(updates[:few], 6, 0)))
    assert np.array_equal(bits(combined(places[: few * 6].reshape(few, 6), mx.broadcast_to(sums, (few, 6, width)))), want)
    want = bits(one_by_one(mode, x, index, np.broadcast_to(updates[0], (count, width))))
    assert np.array_equal(bits(combined(places, mx.array(updates[0], dtype=own))), want)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("mode", ["maximum", "minimum"])
def test_extrema_of_elements_with_nans(mode, dtype):
    rng = np.random.default_rng(0)
    own = getattr(mx, dtype)

    def values(n):
        x = random(rng, n, "float32", mode)
        return x if dtype != "complex64" else x + np.complex64(1j) * random(rng, n, "float32", mode)

    def less(a, b):
        return (a.real, a.imag) < (b.real, b.imag)
    with np.errstate(all="ignore"):
        x, updates, index = values(60), values(3000), rng.integers(0, 60, 3000)
    want = x.copy()
    for i, update in zip(index, updates):
        better = less(want[i], update) if mode == "maximum" else less(update, want[i])
        if not np.isnan(want[i]) and (np.isnan(update) or better):
            want[i] = update
    y = getattr(mx.array(x, dtype=own).at[mx.array(index)], mode)(mx.array(updates, dtype=own))
    assert np.array_equal(np.isnan(np.array(y)), np.isnan(want)) and np.isnan(want).any() and not np.isnan(want).all()
    known = ~np.isnan(want)
    assert np.array_equal(np.array(y)[known], want[known].astype(np.array(y).dtype))


def test_an_index_out_of_bounds_among_many_rows():
    for width in (8, 100, 600):
        places = np.arange(3000) % 50
        places[2900] = 50
        with pytest.raises(IndexError, match="index 50"):
            mx.eval(mx.zeros((50, width)).at[mx.array(places)].add(mx.ones((3000, width))))


THREADS = """
import mlx.core as mx, numpy as np, hashlib
rng = np.random.default_rng(0)
for length, count, width in ((60, 4000, 100), (7, 3000, 33), (300, 300, 1100), (3, 40, 5000)):
    y = mx.array(rng.standard_normal((length, width)), dtype=mx.float32).at[mx.array(rng.integers(0, length, count))].add(
        mx.array(rng.standard_normal((count, width)), dtype=mx.float32))
    print(hashlib.sha256(np.array(y).tobytes()).hexdigest())
"""


def test_any_number_of_threads():
    def run(threads):
        return subprocess.run([sys.executable, "-c", THREADS], env={**os.environ, "MLX_NUM_THREADS": threads}, check=True,
                              capture_output=True, text=True).stdout
    assert len({run(threads) for threads in ("1", "2", "7")}) == 1
