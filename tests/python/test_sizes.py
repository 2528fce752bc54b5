"""Sizes at the ends of int64. No call with any size may end the process or return another shape than Python's integers say:
drawn calls of every op (size_programs.py), and the named ways in which a size once wrapped."""

import os
import pathlib
import pickle
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

import size_programs

PROGRAM = pathlib.Path(__file__).with_name("size_programs.py")
ROUNDS = 40  # calls of each op


def run_program(seed, first, count):
    """(output, how the process ended)."""
    path = os.pathsep.join([*(p for p in sys.path if p), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run([sys.executable, str(PROGRAM), str(seed), str(first), str(count)], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": path}, timeout=3600)
    return ended.stdout, ended.returncode, ended.stderr


@pytest.mark.parametrize("part", range(8))
def test_extreme_sizes(part, run_all):
    each = len(size_programs.ops()) * (ROUNDS * 20 if run_all else ROUNDS) // 8
    out, code, err = run_program(0, part * each, each)
    lines = out.splitlines()
    assert code == 0, f"ended with {code} in {lines[-1:]}\n{err[-2000:]}"
    assert not [line for line in lines if line.startswith("wrong")]
    assert sum(line[:1].isdigit() for line in lines) == each


def test_the_draws_reach_every_op():
    names = {name for name, _, _ in size_programs.ops()}
    only_by_index = {"gather", "scatter", "scatter_add", "scatter_prod", "scatter_max", "scatter_min"}
    assert names == {op["name"] for op in mx._registry()} - only_by_index


one = mx.array(1.0)


def ones(*shape):
    return mx.broadcast_to(one, shape)


TOO_LARGE = {
    "uniform": lambda: mx.random.uniform(shape=(2**31, 2**31)),
    "normal": lambda: mx.random.normal((2**61,), dtype=mx.complex64),
    "bits": lambda: mx.random.bits((2**32, 2**32)),
    "reshape": lambda: mx.reshape(mx.ones((1,)), (2**63 - 1, 2**63 - 1)),
    "unflatten": lambda: mx.unflatten(mx.ones((4,)), 0, (2**33, 2**33)),
    "ones": lambda: mx.ones((2**31,) * 3),
    "zeros": lambda: mx.zeros((2**32, 0, 2**32)),
    "full": lambda: mx.full((2**32, 2**32), 7),
    "tile": lambda: mx.tile(mx.ones((4,)), (2**62,)),
    "broadcast_to": lambda: mx.broadcast_to(one, (2**32, 2**32)),
    "repeat": lambda: mx.repeat(ones(2**33), 2**31 - 1),
    "concatenate": lambda: mx.concatenate([ones(2**62), ones(2**62)]),
    "stack": lambda: mx.stack([ones(2**62)] * 2),
    "pad": lambda: mx.pad(ones(2**62, 1), [(0, 0), (0, 2)]),
    "take": lambda: mx.take(ones(2**32, 3), mx.broadcast_to(mx.array(0), (2**32,)), axis=1),
    "matmul": lambda: mx.matmul(mx.ones((2**32, 0)), mx.ones((0, 2**32)))[5, 5],
    "outer": lambda: mx.outer(ones(2**32), ones(2**32)),
    "inner": lambda: mx.inner(ones(2**32, 1), ones(2**32, 1)),
    "kron": lambda: mx.kron(ones(2**32), ones(2**32)),
    "tensordot": lambda: mx.tensordot(ones(2**32), ones(2**32), 0),
    "einsum": lambda: mx.einsum("i,j->ij", ones(2**32), ones(2**32)),
    "multiply": lambda: ones(2**32, 1) * ones(2**32),
    "where": lambda: mx.where(ones(2**32, 1) > 0, ones(2**32), 0),
    "meshgrid": lambda: mx.meshgrid(ones(2**32), ones(2**32)),
    "as_strided": lambda: mx.as_strided(one, (2**32, 2**32), (0, 0)),
    "slice": lambda: mx.slice(mx.ones((3,)), mx.array([0]), (0,), (-1,)),
    "diag": lambda: mx.diag(ones(2**32)),
    "tril": lambda: mx.tril(ones(2**32, 1)[:, [0]].reshape(2**32, 1) * 0 + ones(1, 2**32)),
    "vmap": lambda: mx.vmap(lambda x: ones(2**32))(ones(2**32)),
    "scan": lambda: mx.scan(lambda c, x: (c, ones(2**32)), one, length=2**32),
    "jacobian": lambda: mx.jacrev(lambda x: ones(2**32) * x[0])(ones(2**32)),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_error_where_the_shape_is_made(name):
    with pytest.raises(ValueError) as caught:
        TOO_LARGE[name]()
    op = {"normal": "random.normal", "uniform": "random.uniform", "bits": "random.bits", "tril": "multiply|add|reshape|tril"}
    assert any(f"[{n}]" in str(caught.value) for n in op.get(name, name).split("|")), caught.value
    assert any(c.isdigit() for c in str(caught.value))


NEGATIVE = {
    "zeros": lambda: mx.zeros((-1,)), "ones": lambda: mx.ones((2, -2)), "full": lambda: mx.full((-1,), 3),
    "broadcast_to": lambda: mx.broadcast_to(one, (-1,)), "broadcast_to a row": lambda: mx.broadcast_to(mx.ones((3,)), (-1, 3)),
    "broadcast_shapes": lambda: mx.broadcast_shapes((-1,), (1,)),
    "reshape": lambda: mx.reshape(mx.ones((4,)), (-2, -2)), "unflatten": lambda: mx.unflatten(mx.ones((4,)), 0, (-2, -2)),
    "slice": lambda: mx.slice(mx.ones((3,)), mx.array([0]), (0,), (-1,)), "tile": lambda: mx.tile(one, -1),
    "repeat": lambda: mx.repeat(mx.ones((3,)), -1), "pad": lambda: mx.pad(mx.ones((3,)), -1),
    "as_strided": lambda: mx.as_strided(mx.ones((3,)), (-1,), (1,)), "uniform": lambda: mx.random.uniform(shape=(-1,)),
    "split": lambda: mx.random.split(mx.random.key(0), -1), "categorical": lambda: mx.random.categorical(mx.ones((3,)), num_samples=-1),
    "permutation": lambda: mx.random.permutation(-1), "eye": lambda: mx.eye(-1), "linspace": lambda: mx.linspace(0, 1, -1),
    "scan": lambda: mx.scan(lambda c, x: (c, x), one, length=-1), "unique": lambda: mx.unique(mx.ones((3,)), -1),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_negative_sizes_are_refused(name):
    with pytest.raises(ValueError):
        NEGATIVE[name]()


def test_broadcast_data_may_be_larger_than_memory():
    a = mx.broadcast_to(one, (2**31, 2**31))
    assert a.shape == (2**31, 2**31) and a.size == 2**62 and a.nbytes == 2**64
    assert a[2**31 - 1, 5].item() == 1 and a[::2**30, -1].tolist() == [1, 1]
    assert mx.sum(a[:, :2][:1000]).item() == 2000
    assert a.reshape(2**62)[2**62 - 1].item() == 1 and a.T[0, :3].tolist() == [1, 1, 1]
    assert mx.zeros((0, 2**62)).shape == (0, 2**62) and mx.zeros((0, 2**62)).tolist() == []
    assert mx.flip(ones(2**62 + 5))[0].item() == 1


@pytest.mark.parametrize("make", [
    lambda: ones(2**31, 2**31) + 1, lambda: mx.contiguous(ones(2**62)), lambda: mx.diag(mx.array([1]), k=2**31 - 1),
    lambda: mx.matmul(ones(2**31, 1), ones(1, 2**31)),
    lambda: mx.random.uniform(shape=(2**47,)), lambda: mx.concatenate([ones(2**60), ones(2**60)]), lambda: mx.sort(ones(2**61), axis=0),
    lambda: mx.take(mx.ones((3,)), mx.broadcast_to(mx.array(0), (2**61,))), lambda: mx.cumsum(ones(2**61)),
    lambda: mx.sum(mx.broadcast_to(mx.arange(4.0)[:, None], (4, 2**48))), lambda: mx.var(ones(2**50)), lambda: ones(2**31, 4) @ ones(4, 2**31),
    lambda: mx.linalg.qr(mx.broadcast_to(mx.eye(2), (2**45, 2, 2)))[0], lambda: mx.sum(mx.sort(ones(2**61), axis=0)),
    lambda: mx.compile(lambda x: mx.sum(mx.sin(x) * 2))(mx.broadcast_to(mx.arange(4.0)[:, None], (4, 2**48)))])
def test_memory_that_cannot_be_had_is_an_error(make):
    lazy = make()
    with pytest.raises(MemoryError, match=r"^\[eval\] There is no memory to compute \w+\(.*\) of shape \(.*\) and dtype \w+\. "):
        mx.eval(lazy)
    assert mx.sum(mx.ones((3,))).item() == 3


def test_exports_of_what_memory_does_not_hold():
    with pytest.raises(BufferError):
        memoryview(ones(2**62))
    with pytest.raises((BufferError, ValueError)):
        np.asarray(ones(2**62))
    with pytest.raises(MemoryError, match=r"^\[tolist\] There is no memory for a list of the \d+ entries along axis 0"):
        ones(2**60).tolist()
    with pytest.raises((MemoryError, RuntimeError)):
        pickle.dumps(ones(2**62))
    assert memoryview(mx.zeros((0, 2**62))).shape == (0, 2**62)


@pytest.mark.parametrize("k", [2**31 - 1, -2**31, -2**31 + 1])
def test_diagonals_far_outside(k):
    a = mx.ones((2, 3))
    assert mx.diagonal(a, k).shape == mx.diag(a, k).shape == (0,) and mx.trace(a, k).item() == 0
    for name in ("tril", "triu"):
        assert np.array_equal(getattr(mx, name)(a, k), getattr(np, name)(np.ones((2, 3)), k))
    assert np.array_equal(mx.tri(2, 3, k), np.tri(2, 3, k)) and np.array_equal(mx.eye(2, 3, k), np.eye(2, 3, k))


def test_slices_with_steps_that_cannot_be_multiplied():
    a = mx.arange(12).reshape(3, 4)
    for step in (2**62, -2**62, 2**61 + 1):
        assert np.array_equal(a[::step], np.arange(12).reshape(3, 4)[::step])
        row = list(range(3))[1::step]  # the one that is read
        grad = mx.grad(lambda x: x[1::step].sum())(mx.ones((3, 4)))
        assert grad.tolist() == [[float(i in row)] * 4 for i in range(3)]


def test_indices_that_uint32_cannot_hold():
    for f in (mx.argmax, mx.argmin, mx.argsort, lambda x: mx.argpartition(x, 3), lambda x: mx.searchsorted(x, one)):
        with pytest.raises(ValueError, match="uint32"):
            f(ones(2**32 + 1))


def test_far_mirrors_are_indexed():
    rng = np.random.default_rng(0)
    for mode in ("reflect", "symmetric", "edge"):
        for n, width in [(1, 70), (2, (90, 3)), (3, (0, 200)), (5, (333, 1))]:
            a = rng.standard_normal((2, n)).astype(np.float32)
            widths = [(0, 0), width if isinstance(width, tuple) else (width, width)]
            assert np.array_equal(mx.pad(mx.array(a), widths, mode=mode), np.pad(a, widths, mode=mode))
    grad = mx.grad(lambda x: mx.pad(x, (100, 0), mode="symmetric").sum())(mx.ones((2,)))
    assert grad.tolist() == [51, 51]
    assert mx.pad(mx.ones((2,)), (2**31 - 1, 0), mode="reflect").shape == (2**31 + 1,)


def test_cutting_into_too_many_arrays():
    for f in (lambda: mx.split(mx.zeros((0,)), 2**31 - 1), lambda: mx.unstack(ones(2**62))):
        with pytest.raises(ValueError, match="cut into"):
            f()


def test_reductions_over_more_elements_than_int32():
    n = 2**32 + 7
    a = mx.broadcast_to(mx.array(1, dtype=mx.int64), (n,))
    assert mx.sum(a).item() == n and mx.max(a).item() == 1
    assert mx.sum(mx.broadcast_to(mx.array(True), (2, n)), axis=1, keepdims=True).shape == (2, 1)
    assert mx.all(mx.broadcast_to(mx.array(True), (n,))).item() is True
