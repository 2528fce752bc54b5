"""The Hadamard transform, and products of blocks, of chosen matrices and of segments."""

import mlx.core as mx
import numpy as np
import pytest

import block_rows

RNG = np.random.default_rng(5)


def draw(*shape):
    return mx.array(RNG.standard_normal(shape), dtype=mx.float64)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 12, 20, 24, 28, 40, 56, 64, 96, 128, 160, 224, 256, 640])
def test_hadamard_is_the_matrix(n):
    x = draw(3, n)
    matrix = block_rows.hadamard(n).astype(np.float64)
    assert np.array_equal(matrix @ matrix.T, n * np.eye(n))
    np.testing.assert_allclose(np.array(mx.hadamard_transform(x, 1.0)), np.array(x) @ matrix.T, rtol=1e-12, atol=1e-11 * n)
    np.testing.assert_allclose(np.array(mx.hadamard_transform(x)), np.array(x) @ matrix.T / np.sqrt(n), rtol=1e-12, atol=1e-12 * n)
    # Its adjoint is the transposed matrix, which for 20 and 28 is another one.
    y = draw(3, n)
    pulled = mx.vjp(lambda x: mx.hadamard_transform(x, 1.0), [x], [y])[1][0]
    np.testing.assert_allclose(np.array(pulled), np.array(y) @ matrix, rtol=1e-12, atol=1e-11 * n)
    half = x.astype(mx.float16)
    exact = np.array(half.astype(mx.float64)) @ matrix.T / np.sqrt(n)
    got = np.array(mx.hadamard_transform(half).astype(mx.float64))
    assert mx.hadamard_transform(half).dtype == mx.float16 and (np.abs(got - exact) <= 2.0**-11 * np.abs(exact) + 1e-5 * np.sqrt(n)).all()


def test_hadamard_under_transforms():
    x = draw(5, 2, 24)
    assert mx.allclose(mx.vmap(mx.hadamard_transform)(x), mx.hadamard_transform(x))
    assert mx.allclose(mx.vmap(mx.hadamard_transform, in_axes=2, out_axes=2)(x.swapaxes(1, 2)[:, :12]),
                       mx.stack([mx.hadamard_transform(x.swapaxes(1, 2)[:, :12, i]) for i in range(2)], 2))
    assert mx.hadamard_transform(mx.arange(4)).dtype == mx.float32
    assert mx.hadamard_transform(mx.ones((0, 4))).shape == (0, 4)
    mx.check_grads(lambda x: (mx.hadamard_transform(x) ** 3).sum(), (draw(2, 20),), order=2)


def test_masks_select_blocks():
    a, b = draw(70, 100), draw(100, 40)
    out, lhs, rhs = (mx.array(RNG.random(s) < 0.5) for s in ((3, 2), (3, 4), (4, 2)))
    full = lambda m, s: block_rows.spread(np.array(m), 32, s)
    expected = full(out, (70, 40)) * ((np.array(a) * full(lhs, a.shape)) @ (np.array(b) * full(rhs, b.shape)))
    np.testing.assert_allclose(np.array(mx.block_masked_mm(a, b, 32, out, lhs, rhs)), expected, atol=1e-12)
    factors = [m.astype(mx.float64) * 0.5 for m in (out, lhs, rhs)]
    np.testing.assert_allclose(np.array(mx.block_masked_mm(a, b, 32, *factors)), expected / 8, atol=1e-12)
    # What is masked out may be anything.
    bad = mx.where(mx.array(full(lhs, a.shape)), a, mx.nan)
    np.testing.assert_allclose(np.array(mx.block_masked_mm(bad, b, 32, out, lhs, rhs)), expected, atol=1e-12)
    f = lambda a, b, *m: (mx.block_masked_mm(a, b, 3, *m) ** 2).sum()
    mx.check_grads(f, (draw(5, 7), draw(7, 4), draw(2, 2), draw(2, 3), draw(3, 2)), order=2)


def test_chosen_matrices():
    a, b = draw(3, 2, 4, 5), draw(2, 2, 5, 3)
    i, j = mx.array([[0], [5], [3]]), mx.array([1, 3])
    expected = np.array(a).reshape(6, 4, 5)[np.array(i)] @ np.array(b).reshape(4, 5, 3)[np.array(j)]
    np.testing.assert_allclose(np.array(mx.gather_mm(a, b, i, j)), expected, atol=1e-12)
    np.testing.assert_allclose(np.array(mx.gather_mm(a, b[0, 0], i)), np.array(a).reshape(6, 4, 5)[np.array(i)] @ np.array(b[0, 0]), atol=1e-12)
    mx.check_grads(lambda a, b: (mx.gather_mm(a, b, i, j) ** 2).sum(), (a, b), order=2)
    with pytest.raises(IndexError):
        mx.eval(mx.gather_mm(a, b, mx.array([6]), mx.array([0])))


def test_segments():
    a, b = draw(3, 10), draw(10, 4)
    segments = mx.array([[0, 4], [4, 10], [7, 7], [8, 2], [5, 99], [2, 3]])
    np.testing.assert_allclose(np.array(mx.segmented_mm(a, b, segments)), block_rows.segmented(*map(np.array, (a, b, segments))), atol=1e-12)
    poisoned = mx.where(mx.arange(10) == 9, mx.inf, a)
    assert mx.isfinite(mx.segmented_mm(poisoned, b, segments[:1])).all()
    mx.check_grads(lambda a, b: (mx.segmented_mm(a, b, segments) ** 2).sum(), (a, b), order=2)
    assert mx.segmented_mm(a, b, segments[:0]).shape == (0, 3, 4)


A, B = mx.ones((2, 6)), mx.ones((6, 3))


@pytest.mark.parametrize("call, text", [
    (lambda: mx.hadamard_transform(mx.ones(6)), r"\[hadamard_transform\].* has 6"), (lambda: mx.hadamard_transform(mx.ones(14)), r"\[hadamard_transform\]"),
    (lambda: mx.hadamard_transform(mx.zeros((2, 0))), r"\[hadamard_transform\]"),
    (lambda: mx.hadamard_transform(mx.array(1.0)), r"\[hadamard_transform\] a is a scalar"),
    (lambda: mx.block_masked_mm(A, B, 0), r"\[block_masked_mm\] block_size is 0"), (lambda: mx.block_masked_mm(A, A), r"\[block_masked_mm\] inner dimensions"),
    (lambda: mx.block_masked_mm(A, B, 2, mx.ones((1, 1))), r"\[block_masked_mm\] mask_out has shape \(1,1\)"),
    (lambda: mx.block_masked_mm(A, B, 2, None, mx.ones(3)), r"\[block_masked_mm\] mask_lhs"),
    (lambda: mx.gather_mm(mx.ones(2), B), r"\[gather_mm\] a has shape"),
    (lambda: mx.segmented_mm(A[None], B, mx.array([0, 1])), r"\[segmented_mm\] a has shape"),
    (lambda: mx.segmented_mm(A, B, mx.array([0, 1, 2])), r"\[segmented_mm\] segments has shape"),
])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_indices_are_integers():
    for call in (lambda: mx.gather_mm(A, B, mx.array([0.0])), lambda: mx.segmented_mm(A, B, mx.array([[0.0, 1.0]]))):
        with pytest.raises(TypeError):
            call()
