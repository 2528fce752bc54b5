"""logsumexp, logaddexp and logcumsumexp where elements are infinite or there are none: values, and both modes."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

import arrays

INF = float("inf")
ROWS = list(itertools.product([INF, -INF, 1.0, 2.0], repeat=3))
DTYPES = ["float16", "bfloat16", "float32", "float64"]


def shares(row):
    """The derivative: softmax; what is inf shares it, and it is 0 where all are -inf."""
    row = np.array(row)
    if (row == -INF).all():
        return np.zeros(len(row))
    if (row == INF).any():
        return (row == INF) / (row == INF).sum()
    e = np.exp(row - row.max())
    return e / e.sum()


def value(row):
    with np.errstate(all="ignore"):
        return np.logaddexp.reduce(np.array(row))


def forward(f, x):
    """The Jacobian of f by jvp, column by column."""
    return np.stack([arrays.to_np(mx.jvp(f, [x], [mx.array(unit, x.dtype)])[1][0]) for unit in np.eye(x.size).tolist()], -1)


def reverse(f, x):
    y = f(x)
    if y.ndim == 0:
        return arrays.to_np(mx.vjp(f, [x], [mx.array(1.0, y.dtype)])[1][0])
    return np.stack([arrays.to_np(mx.vjp(f, [x], [mx.array(unit, y.dtype)])[1][0]) for unit in np.eye(y.size).tolist()])


@pytest.mark.parametrize("name", DTYPES)
def test_logsumexp(name):
    tolerance = {"float16": 1e-3, "bfloat16": 8e-3}.get(name, 1e-6)
    for row in ROWS:
        x = arrays.to_mx(np.array(row), name)
        np.testing.assert_allclose(arrays.to_np(mx.logsumexp(x)), value(row), rtol=tolerance)
        for jacobian in (forward(mx.logsumexp, x), reverse(mx.logsumexp, x), arrays.to_np(mx.grad(mx.logsumexp)(x))):
            np.testing.assert_allclose(jacobian, shares(row), atol=tolerance)


def test_logsumexp_over_an_axis_compiled_and_in_lanes():
    x = mx.array(ROWS)
    want, slopes = [value(row) for row in ROWS], np.array([shares(row) for row in ROWS])
    for f in (lambda a: mx.logsumexp(a, axis=1), mx.compile(lambda a: mx.logsumexp(a, axis=1)), mx.vmap(mx.logsumexp),
              lambda a: mx.logsumexp(a.T, axis=0, keepdims=True)[0], lambda a: mx.log(mx.softmax(a, axis=1)[:, :0].sum(1) * 0 + 1) + mx.logsumexp(a, axis=1)):
        np.testing.assert_allclose(np.array(f(x)), want, rtol=1e-6)
        np.testing.assert_allclose(np.array(mx.grad(lambda a: f(a).sum())(x)), slopes, atol=1e-6)


@pytest.mark.parametrize("row", [(INF, 1.0, 2.0), (INF, INF, -INF), (-INF, 1.0, 2.0), (0.5, 1.0, 2.0)])
def test_second_derivatives(row):
    p = shares(row)
    hessian = np.array(mx.hessian(mx.logsumexp)(mx.array(row)))
    np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-6)


@pytest.mark.parametrize("name", DTYPES + ["complex64"])
def test_of_nothing(name):
    dtype = getattr(mx, name)
    assert mx.logsumexp(mx.zeros((0,), dtype)).item() == -INF
    assert mx.logsumexp(mx.zeros((2, 0, 3), dtype), axis=1).tolist() == [[-INF] * 3] * 2
    assert mx.logsumexp(mx.zeros((2, 0), dtype), axis=1, keepdims=True).shape == (2, 1)
    assert mx.logsumexp(mx.zeros((2, 0), dtype), axis=0).shape == (0,)
    if name != "complex64":
        assert mx.grad(lambda a: mx.logsumexp(a, axis=1).sum())(mx.zeros((2, 0), dtype)).shape == (2, 0)


def test_nan_is_kept():
    assert np.isnan(mx.logsumexp(mx.array([np.nan, 1.0, INF])).item())
    assert np.isnan(np.array(mx.logcumsumexp(mx.array([1.0, np.nan, INF])))[1:]).all()


@pytest.mark.parametrize("reverse_scan", [False, True])
def test_logcumsumexp(reverse_scan):
    f = lambda a: mx.logcumsumexp(a, reverse=reverse_scan)
    for row in ROWS:
        parts = [row[k:] if reverse_scan else row[:k + 1] for k in range(3)]
        jacobian = np.array([np.pad(shares(p), (3 - len(p), 0) if reverse_scan else (0, 3 - len(p))) for p in parts])
        x = mx.array(row)
        np.testing.assert_allclose(np.array(f(x)), [value(p) for p in parts], rtol=1e-6)
        np.testing.assert_allclose(forward(f, x), jacobian, atol=1e-6)
        np.testing.assert_allclose(reverse(f, x), jacobian, atol=1e-6)


def test_logaddexp():
    for a, b in itertools.product([INF, -INF, 1.0, 2.0], repeat=2):
        x, y = mx.array(a), mx.array(b)
        want = np.full(2, 0.5) if a == b else shares((a, b))
        assert mx.logaddexp(x, y).item() == pytest.approx(value((a, b)))
        by = mx.grad(mx.logaddexp, argnums=(0, 1))(x, y)
        np.testing.assert_allclose([g.item() for g in by], want, atol=1e-6)
        along = [mx.jvp(mx.logaddexp, [x, y], [mx.array(float(s)), mx.array(float(1 - s))])[1][0].item() for s in (1, 0)]
        np.testing.assert_allclose(along, want, atol=1e-6)


@pytest.mark.parametrize("row", [(INF, 1.0), (INF, INF), (-INF, 1.0), (-INF, -INF)])
def test_both_modes_of_softmax_agree(row):
    x = mx.array(row)
    np.testing.assert_array_equal(forward(mx.softmax, x), reverse(mx.softmax, x))
