"""Sums and products of 16-bit floats are carried in float32, wherever many of them meet in one place."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
from bits import bits

N = 20_000
DIGITS = {"float16": 11, "bfloat16": 8}
halves = pytest.mark.parametrize("name", arrays.HALVES)


def once(value, name):
    """The number rounded to the dtype."""
    return arrays.to_mx(np.float32(value), name).item()


@halves
@pytest.mark.parametrize("size", [4, 40, 200_000])  # a small array, and one that few updates reach
def test_scatters_of_ones(name, size):
    dtype = getattr(mx, name)
    zero, one, places = mx.zeros((size,), dtype), mx.ones((N,), dtype), mx.zeros((N,), mx.int32) + 3
    want = once(N, name)
    got = {
        "at.add": zero.at[places].add(one), "at.add of a number": zero.at[places].add(1), "at.subtract": -zero.at[places].subtract(one),
        "take": mx.grad(lambda x: mx.take(x, places).sum())(zero), "[]": mx.grad(lambda x: x[places].sum())(zero),
        "take_along_axis": mx.grad(lambda x: mx.take_along_axis(x, places, axis=0).sum())(zero),
        "compiled": mx.compile(lambda x: x.at[places].add(one))(zero),
        "vmap": mx.vmap(lambda x, u: x.at[places].add(u))(zero[None], one[None])[0]}
    for what, y in got.items():
        assert y.dtype == dtype and y[3].item() == want and mx.abs(y).sum().item() == want, what


@halves
@pytest.mark.parametrize("rows", [5, 60_000])
def test_scatters_of_rows(name, rows):
    """An embedding's gradient: rows that are met once, often, or never."""
    rng = np.random.default_rng(1)
    dtype, width, count = getattr(mx, name), 3, 2000
    places = rng.integers(0, 4, count) * (rows // 5)
    updates = arrays.to_mx(rng.normal(size=(count, width)), name)
    start = arrays.to_mx(rng.normal(size=(rows, width)), name)
    truth = arrays.to_np(start).astype(np.float64)
    np.add.at(truth, places, arrays.to_np(updates).astype(np.float64))
    for y in (start.at[mx.array(places)].add(updates), start.at[mx.array(places)].add(mx.array(updates.T.tolist()).astype(dtype).T)):
        error = np.abs(arrays.to_np(y).astype(np.float64) - truth)
        assert (error <= np.abs(truth) * 2.0 ** -DIGITS[name] + 1e-3).all()
    columns = mx.grad(lambda x: (mx.take(x, mx.array(places), axis=1) * updates.T).sum())(mx.zeros((width, rows), dtype))
    want = np.zeros((rows, width))
    np.add.at(want, places, arrays.to_np(updates).astype(np.float64))
    assert (np.abs(arrays.to_np(columns).astype(np.float64).T - want) <= np.abs(want) * 2.0 ** -DIGITS[name] + 1e-3).all()


@halves
def test_scatters_of_windows_that_overlap(name):
    dtype = getattr(mx, name)
    y = mx.grad(lambda x: mx.as_strided(x, (300, 300), (0, 1)).sum())(mx.zeros((300,), dtype))
    assert y.tolist() == [once(300, name)] * 300
    y = mx.grad(lambda x: mx.as_strided(x, (3000, 8), (1, 1)).sum())(mx.zeros((3007,), dtype))
    assert y[100].item() == 8


@halves
def test_products_are_carried_too(name):
    dtype = getattr(mx, name)
    factors = arrays.to_mx(np.exp(np.random.default_rng(2).normal(size=2000) * 0.05), name)
    wide = arrays.to_np(factors).astype(np.float64)
    y = mx.ones((2,), dtype).at[mx.zeros((2000,), mx.int32)].multiply(factors)
    np.testing.assert_allclose(y[0].item(), wide.prod(), rtol=2.0 ** -DIGITS[name] * 1.1)
    np.testing.assert_allclose(mx.prod(factors).item(), wide.prod(), rtol=2.0 ** -DIGITS[name] * 1.1)
    np.testing.assert_allclose(mx.cumprod(factors)[-1].item(), wide.prod(), rtol=2.0 ** -DIGITS[name] * 1.1)
    gradient = arrays.to_np(mx.grad(lambda x: mx.prod(x))(factors)).astype(np.float64)
    np.testing.assert_allclose(gradient, wide.prod() / wide, rtol=2.0 ** -DIGITS[name] * 1.1)


@halves
def test_sums_and_scans_of_ones(name):
    dtype = getattr(mx, name)
    one, want = mx.ones((N,), dtype), once(N, name)
    assert mx.sum(one).item() == want and mx.cumsum(one)[-1].item() == want
    assert mx.sum(mx.ones((N, 3), dtype), axis=0).tolist() == [want] * 3 and mx.cumsum(mx.ones((N, 3), dtype), axis=0)[-1].tolist() == [want] * 3
    assert mx.cumsum(one, reverse=True)[0].item() == want and mx.cumsum(one, inclusive=False)[-1].item() == once(N - 1, name)
    assert mx.grad(lambda x: (mx.cumsum(x) * one).sum())(one)[0].item() == want
    assert mx.mean(one).item() == 1 and mx.var(mx.concatenate([one, -one])).item() == 1
    assert mx.logsumexp(mx.zeros((N,), dtype)).item() == once(np.log(N), name)
    assert mx.logcumsumexp(mx.zeros((N,), dtype))[-1].item() == once(np.log(N), name)
    assert mx.grad(lambda b: mx.broadcast_to(b, (N,)).sum())(mx.array(1.0, dtype)).item() == want
    assert mx.softmax(mx.zeros((N,), dtype))[0].item() == once(1 / N, name)


@halves
@pytest.mark.parametrize("scan", [mx.cumsum, mx.cumprod, mx.cummax, mx.cummin], ids=["sum", "prod", "max", "min"])
def test_scans_have_the_bits_of_float32(name, scan):
    """Whole vectors, tails, blocks of 52, pieces of 40 blocks, few and many lanes, with and without gaps between them."""
    rng = np.random.default_rng(4)
    for shape in [(1,), (15,), (53,), (2081,), (9000,), (5, 7), (4, 521), (1100, 5), (600, 17), (3, 130, 33), (40, 30, 3), (2, 3, 0)]:
        values = (rng.normal(size=shape) * 0.3 + 1).astype(np.float32)
        flat = values.reshape(-1)
        flat[rng.integers(0, max(1, flat.size), flat.size // 40)] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-7, 6e4])
        x = arrays.to_mx(values, name)
        views = [x, x[::-1], x[..., ::2]] + ([mx.swapaxes(x, 0, -1), mx.broadcast_to(x[:1], shape)] if len(shape) > 1 else [])
        for at, view in enumerate(views):
            for axis in range(len(shape)):
                for reverse, inclusive in [(False, True), (True, True), (False, False), (True, False)]:
                    kept = {"axis": axis, "reverse": reverse, "inclusive": inclusive}
                    want = scan(view.astype(mx.float32), **kept).astype(x.dtype)
                    assert bits(scan(view, **kept)) == bits(want), (shape, at, kept)


@halves
def test_ties_beyond_what_a_half_counts(name):
    """Each of 70,000 equal maxima gets its share."""
    x = mx.zeros((70_000,), getattr(mx, name))
    share = once(1 / 70_000, name)
    assert share > 0 and mx.grad(lambda a: mx.max(a))(x)[5].item() == share
    assert mx.jvp(lambda a: mx.min(a), [x], [mx.ones_like(x)])[1][0].item() == once(share * 70_000, name)
    grad = mx.grad(lambda u: mx.zeros((1,), x.dtype).at[mx.zeros((70_000,), mx.int32)].maximum(u).sum())(x)
    assert grad[5].item() == once(1 / 70_001, name)


@halves
@pytest.mark.parametrize("reduce", [mx.sum, mx.max, mx.min, mx.prod], ids=["sum", "max", "min", "prod"])
def test_many_short_rows_have_the_bits_of_few(name, reduce):
    """Sixteen rows and more are turned round first."""
    rng = np.random.default_rng(3)
    for length in (2, 15, 16, 17, 24, 31, 32, 33, 40, 63, 65):
        for rows in (16, 17, 127, 128, 129, 300):
            x = rng.standard_normal((rows, length)).astype(np.float32)
            x[rng.random(x.shape) < 0.01] = rng.choice([np.inf, -np.inf, 0.0, -0.0])
            x[rows // 3, length // 2] = np.nan
            a = arrays.to_mx(x, name)
            few = mx.concatenate([reduce(a[i : i + 5], axis=1) for i in range(0, rows, 5)])
            for many in (reduce(a, axis=1), mx.compile(lambda a: reduce(a, axis=1))(a), reduce(mx.stack([a, a])[1], axis=-1)):
                assert bits(many) == bits(few), (length, rows)
