"""Batches of products of tiny matrices, which vectors hold several of, have the bits of the same products in batches too small for that."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

from bits import bits


def drawn(rng, dtype, batch, rows, columns):
    """Matrices in a drawn layout: with gaps, transposed, one for all."""
    way = int(rng.integers(5))
    shape = [batch, rows, columns] if way < 3 else [1, rows, columns] if way == 3 else [batch, columns, rows]
    gaps = [int(rng.integers(1, 3)) if way == 1 else 1 for _ in shape]
    x = rng.standard_normal([n * g for n, g in zip(shape, gaps)])
    for value, share in ((0.0, 0.1), (np.inf, 0.003), (np.nan, 0.003), (1e-40 if dtype == mx.float32 else 1e-310, 0.05)):
        x[rng.random(x.shape) < share * rng.integers(2)] = value
    x = mx.array(x, mx.float64).astype(dtype)[tuple(slice(None, None, g) for g in gaps)]
    mx.eval(x)
    return mx.broadcast_to(x, (batch, rows, columns)) if way == 3 else x.swapaxes(1, 2) if way == 4 else x


def check(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dtype = [mx.float32, mx.float64][rng.integers(2)]
        m, k, n = (int(i) for i in rng.choice([1, 2, 3, 4, 5, 8, 16], size=3, p=[0.2, 0.2, 0.2, 0.15, 0.1, 0.1, 0.05]))
        batch = int(rng.choice([128, 129, 131, 200, 255, 4096, 4100, 9000] if seed % 10 == 0 else [128, 129, 130, 133, 200, 255]))
        a, b = drawn(rng, dtype, batch, m, k), drawn(rng, dtype, batch, k, n)
        few = mx.concatenate([a[i : i + 100] @ b[i : i + 100] for i in range(0, batch, 100)])
        assert bits(a @ b) == bits(few), (seed, dtype, batch, m, k, n)


def test_drawn_ones():
    check(range(400))


def test_exact_ones():
    """Of integers, against NumPy."""
    rng = np.random.default_rng(0)
    for m, k, n in ((2, 2, 2), (3, 3, 3), (3, 3, 1), (1, 4, 2), (4, 4, 4), (2, 8, 2)):
        a, b = rng.integers(-9, 9, (333, m, k)).astype(np.float32), rng.integers(-9, 9, (333, k, n)).astype(np.float32)
        np.testing.assert_array_equal(np.array(mx.array(a) @ mx.array(b)), a @ b)


@pytest.mark.parametrize("target", mx._cpu_targets()[:-1])
def test_other_instruction_sets(target):
    ended = subprocess.run([sys.executable, __file__], env={**os.environ, "MLX_CPU_TARGETS": target}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


if __name__ == "__main__":
    check(range(400, 520))
