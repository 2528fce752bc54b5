"""Batches of products of tiny matrices, which vectors hold several of, have the bits of the same products in batches too small for that."""

import mlx.core as mx
import numpy as np

from again import again, lesser_instruction_sets
from bits import bits


def drawn(rng, dtype, batch, rows, columns):
    """Matrices in a drawn layout: with gaps, transposed, one for all."""
    way = int(rng.integers(5))
    shape = [batch, rows, columns] if way < 3 else [1, rows, columns] if way == 3 else [batch, columns, rows]
    gaps = [int(rng.integers(1, 3)) if way == 1 else 1 for _ in shape]
    x = rng.standard_normal([n * g for n, g in zip(shape, gaps)])
    if dtype in (mx.complex64, mx.complex128):
        x = x + 1j * rng.standard_normal(x.shape)
    for part in (x.real, x.imag) if np.iscomplexobj(x) else (x,):
        small = 1e-40 if dtype in (mx.float32, mx.complex64) else 1e-310
        for value, share in ((0.0, 0.1), (np.inf, 0.003), (np.nan, 0.003), (small, 0.05)):
            part[rng.random(x.shape) < share * rng.integers(2)] = value
    x = mx.array(x, mx.complex128 if np.iscomplexobj(x) else mx.float64).astype(dtype)[tuple(slice(None, None, g) for g in gaps)]
    mx.eval(x)
    return mx.broadcast_to(x, (batch, rows, columns)) if way == 3 else x.swapaxes(1, 2) if way == 4 else x


def check(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dtype = [mx.float32, mx.float64, mx.complex64, mx.complex128][rng.integers(4)]
        m, k, n = (int(i) for i in rng.choice([1, 2, 3, 4, 5, 8, 16], size=3, p=[0.2, 0.2, 0.2, 0.15, 0.1, 0.1, 0.05]))
        batch = int(rng.choice([32, 37, 131, 255, 4096, 4100, 9000] if seed % 10 == 0 else [32, 33, 34, 37, 128, 200]))
        a, b = drawn(rng, dtype, batch, m, k), drawn(rng, dtype, batch, k, n)
        few = mx.concatenate([a[i : i + 31] @ b[i : i + 31] for i in range(0, batch, 31)])
        assert bits(a @ b) == bits(few), (seed, dtype, batch, m, k, n)


def test_drawn_ones():
    check(range(400))


def test_terms_with_a_zero_are_left_out_of_each():
    """Of many products that are looked through together, those are mended that an infinity is in, and as one alone is."""
    rng = np.random.default_rng(1)
    for m, k, n in ((4, 4, 4), (2, 2, 2), (3, 3, 1), (3, 1, 3), (9, 1, 9), (70, 1, 600)):
        for batch, swapped in ((2, False), (300, False), (300, True), (5000, False)):
            if batch * m * n > 1e6:
                continue
            a, b, zeros = (rng.standard_normal((batch, *s)).astype(np.float32) for s in ((m, k), (k, n), (m, n)))
            a[batch // 2, -1, -1], b[-1, 0, 0] = np.inf, np.nan
            zeros[:, rng.random(m) < 0.5] = 0
            a, b, ct = mx.array(a), mx.array(b), mx.array(zeros)
            if swapped:
                a = mx.array(np.ascontiguousarray(np.array(a).swapaxes(1, 2))).swapaxes(1, 2)
            _, cotangents = mx.vjp(mx.matmul, [a, b], [ct])
            _, tangents = mx.jvp(mx.matmul, [a, b], [mx.zeros_like(a), mx.ones_like(b)])
            for i in {0, batch // 2, batch - 1}:
                _, one = mx.vjp(mx.matmul, [a[i], b[i]], [ct[i]])
                np.testing.assert_allclose(tangents[0][i], mx.jvp(mx.matmul, [a[i], b[i]], [mx.zeros_like(a[i]), mx.ones_like(b[i])])[1][0], 1e-5)
                for whole, alone in zip(cotangents, one):
                    assert np.array(whole[i]).tobytes() == np.array(alone).tobytes(), (m, k, n, batch, i)


def test_exact_ones():
    """Of integers, against NumPy."""
    rng = np.random.default_rng(0)
    for m, k, n in ((2, 2, 2), (3, 3, 3), (3, 3, 1), (1, 4, 2), (4, 4, 4), (2, 8, 2)):
        a, b = rng.integers(-9, 9, (333, m, k)).astype(np.float32), rng.integers(-9, 9, (333, k, n)).astype(np.float32)
        np.testing.assert_array_equal(np.array(mx.array(a) @ mx.array(b)), a @ b)


@lesser_instruction_sets
def test_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    check(range(400, 520))
