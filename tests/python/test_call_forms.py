"""The ways in which MLX lets an op be called: by position or name, with numbers, with None, with ints for sequences."""

import mlx.core as mx
import numpy as np
import pytest

A = mx.array(np.arange(6, dtype=np.float32).reshape(2, 3))
I = mx.array([1, 2])


@pytest.mark.parametrize("call, expected", [
    (lambda: mx.arange(5), [0, 1, 2, 3, 4]), (lambda: mx.arange(stop=3), [0, 1, 2]), (lambda: mx.arange(1, 5, 2), [1, 3]),
    (lambda: mx.arange(5, step=2), [0, 2, 4]), (lambda: mx.arange(start=0, stop=4, step=2), [0, 2]),
    (lambda: mx.arange(5, None, None), [0, 1, 2, 3, 4]), (lambda: mx.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75]),
    (lambda: mx.full(2, 7), [7, 7]), (lambda: mx.full((2,), True), [True, True]), (lambda: mx.zeros(2, None), [0, 0]),
    (lambda: mx.full((2, 2), I), [[1, 2], [1, 2]]), (lambda: mx.eye(2, 3, 1), [[0, 1, 0], [0, 0, 1]]),
    (lambda: mx.linspace(0, 1, 3, dtype=None), [0, 0.5, 1]),
    (lambda: mx.sum(A, 0, True), [[3, 5, 7]]), (lambda: mx.sum(A, axis=(0, 1)), 15), (lambda: mx.sum(A, axis=[]), A.tolist()),
    (lambda: mx.max(A, -1), [2, 5]), (lambda: mx.var(I, ddof=1), 0.5), (lambda: mx.argmax(A, None, True), [[5]]),
    (lambda: mx.take(A, 1), 1), (lambda: mx.take(A, I), [1, 2]), (lambda: mx.take(A, 0, axis=0), [0, 1, 2]),
    (lambda: mx.take_along_axis(A, I, None), [1, 2]), (lambda: mx.take_along_axis(A, mx.array([[0], [1]])), [[0], [4]]),
    (lambda: mx.put_along_axis(A, I, mx.array(9.0)), [[0, 9, 9], [3, 4, 5]]),
    (lambda: mx.clip(A, a_min=1, a_max=None), [[1, 1, 2], [3, 4, 5]]), (lambda: mx.clip(I, 1.5, None), [1.5, 2]),
    (lambda: mx.where(A > 2, A, 0), [[0, 0, 0], [3, 4, 5]]), (lambda: mx.where(True, 1, 2.0), 1),
    (lambda: mx.sort(A, axis=None), [0, 1, 2, 3, 4, 5]), (lambda: mx.round(A, 1), A.tolist()),
    (lambda: mx.concatenate([I, I]), [1, 2, 1, 2]), (lambda: mx.concat((A, A), axis=None), A.flatten().tolist() * 2),
    (lambda: mx.stack([I, I], axis=None), [[1, 2], [1, 2]]), (lambda: mx.stack([I, I], -1), [[1, 1], [2, 2]]),
    (lambda: mx.reshape(A, [-1]), [0, 1, 2, 3, 4, 5]), (lambda: mx.squeeze(mx.zeros((1, 2, 1)), axis=[0, -1]), [0, 0]),
    (lambda: mx.permute_dims(A), A.T.tolist()), (lambda: mx.matrix_transpose(A), A.T.tolist()),
    (lambda: mx.broadcast_to(1, (2,)), [1, 1]), (lambda: mx.conj(mx.array(1j)), -1j),
    (lambda: mx.addmm(mx.array(1.0), A, A.T, alpha=2.0, beta=3), [[13, 31], [31, 103]]),
    (lambda: mx.slice(A, mx.array([1, 1]), (0, 1), (1, 2)), [[4, 5]]), (lambda: mx.slice(A, mx.array(1), (1,), (2, 1)), [[1], [4]]),
    (lambda: mx.slice_update(A, mx.array([[7.0]]), mx.array([1, 1]), (0, 1)), [[0, 1, 2], [3, 7, 5]]),
    (lambda: mx.sin(0.0), 0), (lambda: mx.sin(A * 0, stream=mx.cpu), [[0] * 3] * 2), (lambda: mx.add(1, 2, mx.cpu), 3),
    (lambda: mx.array(mx.random.state[0].shape), [2]),
])
def test_values(call, expected):
    assert call().tolist() == expected


@pytest.mark.parametrize("call, kinds", [
    (lambda: mx.split(A, 3, 1), list), (lambda: mx.split(A, [1], axis=1), list), (lambda: mx.unstack(A), tuple),
    (lambda: mx.divmod(7, 2), list), (lambda: mx.broadcast_arrays(A, I[:1]), list),
])
def test_several_outputs(call, kinds):
    outputs = call()
    assert type(outputs) is kinds and all(isinstance(x, mx.array) for x in outputs)


@pytest.mark.parametrize("call, dtype", [
    (lambda: mx.add(1, 2), mx.int32), (lambda: mx.add(1.0, 2), mx.float32), (lambda: mx.add(True, True), mx.bool_),
    (lambda: mx.add(2**40, 1), mx.int64), (lambda: mx.add(I, 2.5), mx.float32), (lambda: mx.add(I.astype(mx.int8), 3), mx.int8),
    (lambda: mx.arange(5), mx.int32), (lambda: mx.arange(5.0), mx.float32), (lambda: mx.arange(2**40, 2**40 + 1), mx.int64),
    (lambda: mx.full(2, 1j), mx.complex64), (lambda: mx.where(A > 2, 1, mx.array(0, mx.int8)), mx.int8),
    (lambda: mx.full_like(A, True), mx.float32), (lambda: mx.zeros_like(A, dtype=mx.int8), mx.int8),
])
def test_dtypes(call, dtype):
    assert call().dtype == dtype


@pytest.mark.parametrize("call, error", [
    (lambda: mx.sin(A, stream=3), TypeError), (lambda: mx.sum(3), TypeError),
    (lambda: mx.sin("x"), TypeError), (lambda: mx.add([1], 2), TypeError), (lambda: mx.matmul(A, 2), TypeError),
    (lambda: mx.arange(True), ValueError), (lambda: mx.arange(0, 5, 0), ValueError), (lambda: mx.arange(), TypeError),
    (lambda: mx.arange(float("nan")), ValueError),
    (lambda: mx.concatenate([]), ValueError), (lambda: mx.concatenate([A, 1]), TypeError), (lambda: mx.split(A, 2, 1), ValueError),
    (lambda: mx.split(A, "ab"), TypeError), (lambda: mx.broadcast_shapes((2,), (3,)), ValueError),
    (lambda: mx.random.key(-1), TypeError), (lambda: mx.random.permutation("x"), TypeError),
    (lambda: mx.random.state[1], IndexError), (lambda: mx.slice(A, I, (0,), (1, 1)), ValueError),
])
def test_refused(call, error):
    with pytest.raises(error):
        call()
