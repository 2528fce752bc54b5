"""Scans, and the ops that order and search, where they are easy to get wrong: zeros, ties, infinities and NaNs in the derivatives,
long arrays, what is mapped beside what is not, and the errors. The grids test the same ops at ordinary arguments."""

import functools
import itertools

import mlx.core as mx
import numpy as np
import pytest

import arrays
from test_structural_rules import INF, NAN, as_differences_say, close, equal, f64, jvp, random

SCANS = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
WAYS = list(itertools.product((0, 1), (False, True), (False, True)))  # axis, reverse, inclusive


def scan(name, axis=None, reverse=False, inclusive=True):
    return lambda x: getattr(mx, name)(x, axis, reverse=reverse, inclusive=inclusive)


def both_modes(f, x):
    """The Jacobian by columns and by rows: they must be the same numbers."""
    count = x.size
    unit = mx.eye(count, dtype=x.dtype).reshape(count, *x.shape)
    columns = [np.array(jvp(f, [x], [e])).ravel() for e in unit]
    y = f(x)
    rows = [np.array(mx.vjp(f, [x], [e])[1][0]).ravel() for e in mx.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)]
    np.testing.assert_allclose(np.array(columns).T, np.array(rows), rtol=1e-14, atol=1e-14)
    return np.array(rows)


# --- running products ---

@pytest.mark.parametrize("axis, reverse, inclusive", WAYS)
def test_cumprod_with_zeros_to_every_order(axis, reverse, inclusive):
    x = f64([[2, 0, 3, 0.5, 1.5], [0, 0, 1, -2, 0], [1, 2, 3, 4, 0]])
    f = scan("cumprod", axis, reverse, inclusive)
    as_differences_say(f, x)
    slope = lambda v: mx.grad(lambda w: (f(w) * f(w)).sum())(v)
    as_differences_say(lambda v: slope(v) * v, x, 1e-5)  # third derivatives


def test_second_gradient_of_cumprod_at_zero():
    x = mx.array([2.0, 0.0, 3.0])
    first = mx.grad(lambda x: mx.cumprod(x).sum())
    equal(first(x), [1, 8, 0])
    equal(mx.grad(lambda x: first(x)[0])(x), [0, 4, 0])
    equal(mx.grad(lambda x: first(x)[1])(x), [4, 0, 2])


def test_a_zero_ends_a_long_product():
    # The products of later blocks alone would overflow, and 0 * inf is not a number.
    x = mx.concatenate([mx.zeros((1,)), mx.full((5000,), mx.array(1e30))])
    equal(mx.cumprod(x), np.zeros(5001))
    equal(mx.cumprod(mx.concatenate([x[1:], x[:1]]), reverse=True), np.zeros(5001))
    small_then_large = mx.array([1e-30] * 1 + [1e10] * 3)
    close(mx.cumprod(small_then_large), [1e-30, 1e-20, 1e-10, 1], 1e-5)


def test_products_of_infinities_in_the_derivative():
    # A masked branch contributes nothing, even where the product is infinite.
    x = f64([1e200, 1e200, 2.0])
    equal(mx.grad(lambda v: mx.cumprod(v)[0])(x), [1, 0, 0])
    equal(jvp(lambda v: mx.cumprod(v), [x], [f64([0, 0, 0])]), [0, 0, 0])


# --- running extrema ---

def test_cummax_shares_a_tie_among_those_met_so_far():
    x = f64([3, 1, 3, 3, 2])
    expected = [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1 / 2, 0, 1 / 2, 0, 0], [1 / 3, 0, 1 / 3, 1 / 3, 0]]
    close(both_modes(mx.cummax, x), expected + expected[-1:], 1e-15)
    close(both_modes(scan("cummax", reverse=True), x)[1], [0, 0, 1 / 2, 1 / 2, 0], 1e-15)
    close(both_modes(scan("cummax", inclusive=False), x), [[0] * 5] + expected, 1e-15)
    close(both_modes(mx.cummin, -x), both_modes(mx.cummax, x))


def test_the_last_of_cummax_is_max():
    x = f64([[1, 4, 4, 2, 4], [0, 0, 0, 0, 0]])
    close(mx.grad(lambda v: mx.cummax(v, 1)[:, -1].sum())(x), mx.grad(lambda v: mx.max(v, 1).sum())(x))
    close(mx.grad(lambda v: mx.cummin(v, 1, reverse=True)[:, 0].sum())(x), mx.grad(lambda v: mx.min(v, 1).sum())(x))


@pytest.mark.parametrize("dtype", arrays.FLOATS)
def test_many_equal_maxima_share(dtype):
    x = mx.zeros((70_000,), getattr(mx, dtype))
    gradient = mx.grad(lambda v: mx.cummax(v)[-1].astype(mx.float32))(x)
    close(arrays.to_np(gradient).astype(np.float64) * 70_000, 1, 0.01)
    close(arrays.to_np(jvp(lambda v: mx.cummax(v)[-1], [x], [mx.ones_like(x)])), 1)


@pytest.mark.parametrize("axis, reverse, inclusive", WAYS)
def test_extrema_of_distinct_numbers_differentiate(axis, reverse, inclusive):
    x = f64(np.random.default_rng(3).permutation(20).reshape(4, 5))
    for name in ("cummax", "cummin"):
        f = lambda v: scan(name, axis, reverse, inclusive)(v)
        inner = (lambda y: y) if inclusive else (lambda y: mx.where(mx.isinf(y), mx.array(0, y.dtype), y))
        as_differences_say(lambda v: inner(f(v)) ** 3, x, 1e-5)


def test_nan_stays_in_running_extrema():
    x = mx.array([1, NAN, 2.0, -1])
    equal(mx.cummax(x), [1, NAN, NAN, NAN])
    equal(mx.cummin(x, reverse=True), [NAN, NAN, -1, -1])
    z = mx.array([1 + 2j, 1 + 1j, complex(NAN, 1), 3])
    assert np.isnan(np.array(mx.cummax(z))).tolist() == [False, False, True, True]
    equal(mx.grad(lambda v: mx.cummax(v)[0])(x), [1, 0, 0, 0])
    equal(mx.grad(lambda v: mx.cummax(v, reverse=True)[2:].sum())(x), [0, 0, 1, 1])


@pytest.mark.parametrize("dtype", arrays.ALL)
def test_what_exclusive_scans_begin_with(dtype):
    x = arrays.to_mx(np.array([1, 0, 1]), dtype)
    kind = np.dtype(arrays.NUMPY[dtype])
    if dtype in arrays.BOOL:
        low, high = False, True
    elif dtype in arrays.INTEGERS:
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
    else:
        low, high = (complex(-INF, -INF), complex(INF, INF)) if dtype in arrays.COMPLEX else (-INF, INF)
    for name, first in (("cumsum", 0), ("cumprod", 1), ("cummax", low), ("cummin", high), ("logcumsumexp", -INF)):
        assert arrays.to_np(scan(name, inclusive=False)(x))[0] == first
        assert arrays.to_np(scan(name, inclusive=False, reverse=True)(x))[-1] == first


# --- running sums ---

def test_dtypes_of_running_sums_and_products():
    assert mx.cumsum(mx.array([True, True])).dtype == mx.int32
    assert mx.cumprod(mx.array([True, False])).dtype == mx.bool_
    equal(mx.cumsum(mx.array([100, 100], mx.int8)), [100, -56])
    equal(mx.cumsum(mx.array([100, 100], mx.int8), dtype=mx.int32), [100, 200])
    equal(mx.cumsum(mx.array([1.7, 1.7]), dtype=mx.int32), [1, 2])
    equal(mx.cumprod(mx.array([2, 300]), dtype=mx.uint8), [2, 88])
    equal(mx.cumprod(mx.array([65535, 65535], mx.uint16)), [65535, 1])
    assert str(mx.cumsum(mx.array([-0.0, -0.0]))) == "array([-0, -0], dtype=float32)"
    assert str(mx.cumsum(mx.array([-0.0, -0.0]), inclusive=False)) == "array([0, 0], dtype=float32)"
    equal(mx.grad(lambda x: mx.cumsum(x, dtype=mx.float64)[1].astype(mx.float32))(mx.array([1.0, 2.0, 3.0])), [1, 1, 0])


def test_long_sums_are_accurate():
    x = np.random.default_rng(5).uniform(0, 1, 1_000_000).astype(np.float32)
    truth = np.cumsum(x.astype(np.float64))
    assert np.abs(np.array(mx.cumsum(mx.array(x))) / truth - 1).max() < 2e-5
    ones = mx.ones((5000,), mx.float16)
    equal(mx.cumsum(ones), np.arange(1, 5001).astype(np.float16))
    equal(mx.cumsum(mx.ones((300_000,), mx.int64), reverse=True), np.arange(300_000, 0, -1))


@pytest.mark.parametrize("name", SCANS)
def test_bits_do_not_depend_on_layout_or_neighbours(name):
    # One lane alone, in rows, in columns, in both strided, and backwards.
    lanes = np.random.default_rng(6).uniform(-1.5, 1.5, (37, 2500)).astype(np.float32)
    alone = np.stack([np.array(scan(name)(mx.array(lane))) for lane in lanes])
    x = mx.array(lanes)
    bits = lambda y: np.ascontiguousarray(np.array(y)).view(np.uint32)
    same = lambda y: np.testing.assert_array_equal(bits(y), bits(alone))
    same(scan(name, 1)(x))
    same(scan(name, 0)(mx.contiguous(x.T)).T)
    same(scan(name, 0)(x.T).T)
    same(scan(name, 1)(mx.contiguous(x.T).T))
    same(scan(name, 1, reverse=True)(x[:, ::-1])[:, ::-1])
    same(mx.vmap(scan(name))(x))
    same(mx.vmap(scan(name), in_axes=1, out_axes=1)(x.T).T)
    same(scan(name, 2)(x.reshape(37, 1, 2500, 1))[:, 0, :, 0])


@pytest.mark.parametrize("name", SCANS)
def test_bits_of_a_long_lane_cut_into_blocks(name):
    # Alone a lane is cut into blocks that several threads share; among many it is not.
    lanes = np.random.default_rng(10).uniform(-1.5, 1.5, (32, 20_003)).astype(np.float32)
    whole = np.round(lanes * 40).astype(np.int32)
    for values, (_, reverse, inclusive) in itertools.product((lanes, whole), WAYS):
        together = np.array(scan(name, 1, reverse, inclusive)(mx.array(values)))
        for k in (0, 31):
            equal(scan(name, 0, reverse, inclusive)(mx.array(values[k])), together[k])
        pair = scan(name, 0, reverse, inclusive)(mx.contiguous(mx.array(values[:2]).T))
        equal(pair.T, together[:2])


@pytest.mark.parametrize("name", SCANS)
def test_small_and_empty_arrays_and_methods(name):
    f = getattr(mx, name)
    assert f(mx.array(3.0)).shape == (1,)
    assert f(mx.zeros((0, 3))).shape == (0,)
    assert f(mx.zeros((0, 3)), 0).shape == f(mx.zeros((0, 3)), 1, inclusive=False).shape == (0, 3)
    assert mx.grad(lambda x: f(x, 0, reverse=True).sum())(mx.zeros((0, 3))).shape == (0, 3)
    x = random((3, 4))
    equal(getattr(x, name)(1, reverse=True, inclusive=False), f(x, 1, reverse=True, inclusive=False))
    equal(getattr(x, name)(), f(x))
    equal(f(x, -2), f(x, 0))


# --- logcumsumexp ---

def test_logcumsumexp_at_infinities():
    equal(mx.logcumsumexp(mx.array([-INF, -INF, 2, -INF])), [-INF, -INF, 2, 2])
    equal(mx.logcumsumexp(mx.array([1, INF, 2, -INF])), [1, INF, INF, INF])
    equal(mx.logcumsumexp(mx.array([1, NAN, 2])), [1, NAN, NAN])
    close(mx.logcumsumexp(mx.array([1000.0, 1000.0, -1000.0])), [1000, 1000 + np.log(2), 1000 + np.log(2)])
    # A step from -inf to a number, however small, and from a number to inf
    for x in ([-INF, -1000.0, -999.0], [-INF, 1000.0, 0], [-INF, -INF, -5.0]):
        gradient = mx.grad(lambda v: mx.logcumsumexp(v)[-1])(f64(x))
        expected = np.exp(np.array(x) - np.logaddexp.reduce(x))
        close(gradient, expected)
        close(jvp(lambda v: mx.logcumsumexp(v)[-1], [f64(x)], [f64([1, 2, 3])]), (expected * [1, 2, 3]).sum())
    equal(mx.grad(lambda v: mx.logcumsumexp(v)[:2].sum())(mx.array([-INF, -INF, 1])), [0, 0, 0])
    equal(mx.grad(lambda v: mx.logcumsumexp(v)[0])(mx.array([3, INF, 1])), [1, 0, 0])


@pytest.mark.parametrize("axis, reverse, inclusive", WAYS)
def test_logcumsumexp_differentiates(axis, reverse, inclusive):
    x = random((4, 5)) * 5
    inner = (lambda y: y) if inclusive else (lambda y: mx.where(mx.isinf(y), mx.array(0, y.dtype), y))
    as_differences_say(lambda v: inner(scan("logcumsumexp", axis, reverse, inclusive)(v)), x, 1e-5)


def test_logcumsumexp_is_stable_over_long_arrays():
    x = np.random.default_rng(7).normal(size=20_000) * 30
    truth = np.logaddexp.accumulate(x)
    assert np.abs(np.array(mx.logcumsumexp(f64(x))) - truth).max() < 1e-11
    weights = mx.grad(lambda v: mx.logcumsumexp(v)[-1])(f64(x))
    close(weights, np.exp(x - truth[-1]), 1e-12)


# --- differences ---

def test_differences():
    equal(mx.diff(mx.array([True, False, False])), [True, False])
    equal(mx.diff(mx.array([5, 1], mx.uint8)), [252])
    assert mx.diff(mx.array([1, 4, 9]), n=10**9).shape == (0,)
    as_differences_say(lambda x: mx.diff(x ** 3, 2, 0), random((5, 2)))
    equal(mx.diff(mx.cumsum(mx.array([[3, 1, 4], [1, 5, 9]]), 1), axis=1), [[1, 4], [5, 9]])


# --- partitions ---

@pytest.mark.parametrize("axis", [0, 1, 2, None])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "uint64", "bool_", "complex64"])
def test_partition_parts(dtype, axis):
    values = arrays.draw(np.random.default_rng(8), (5, 7, 6), dtype)  # with many ties in the narrow types
    x = arrays.to_mx(values, dtype)
    flat, along = (values.ravel(), 0) if axis is None else (values, axis)
    length = flat.shape[along]
    for kth in (0, length // 2, length - 1, -1, -length):
        order = mx.argpartition(x, kth, axis=axis)
        parted = mx.partition(x, kth, axis=axis)
        assert order.dtype == mx.int32
        picked = np.take_along_axis(flat, np.array(order).astype(np.int64), along)
        equal(parted.astype(mx.float32) if dtype == "bfloat16" else parted, picked)
        ordered = np.sort(flat, axis=along)
        equal(picked.take(kth, along), ordered.take(kth, along))
        k = kth % length
        equal(np.sort(picked.take(range(k), along), along), ordered.take(range(k), along))
        equal(np.sort(picked, along), ordered)


def test_partition_takes_nan_for_the_largest():
    x = mx.array([NAN, 2, -INF, NAN, INF, 0])
    equal(mx.sort(mx.partition(x, 3)[:4]), [-INF, 0, 2, INF])
    equal(mx.topk(x, 2), [NAN, NAN])
    equal(mx.sort(mx.topk(mx.array([1, INF, 0]), 2)), [1, INF])


def test_topk_of_all_and_of_none():
    x = mx.array([3, 1, 2])
    equal(mx.topk(x, 3), [3, 1, 2])
    assert mx.topk(x, 0).shape == (0,)
    assert mx.topk(mx.zeros((2, 5, 3)), 2, axis=1).shape == (2, 2, 3)
    equal(mx.sort(mx.topk(mx.array([[3, 1], [2, 9]]), 3, axis=None)), [2, 3, 9])


def test_derivatives_follow_the_elements():
    x = random((4, 6))
    for f in (lambda v: mx.sort(mx.partition(v, 2, 1), 1), lambda v: mx.sort(mx.topk(v, 3, 0), 0), lambda v: mx.median(v, 1),
              lambda v: mx.median(v, 0, True), mx.median, lambda v: mx.minmax(v, 1)[1], lambda v: mx.unique(v, 30),
              lambda v: mx.take_along_axis(v, mx.argsort(v, 1), 1)):
        as_differences_say(lambda v: f(v) ** 3, x, 1e-5)
    tied = f64([2, 2, 1, 2])
    both_modes(lambda v: mx.partition(v, 1), tied)
    both_modes(lambda v: mx.topk(v, 2), tied)
    close(both_modes(mx.median, tied).sum(), 1)


def test_vmap_of_parts_with_an_axis_of_each_lane():
    x = random((3, 4, 5))
    values = np.array(x)
    for in_axis in range(3):
        lanes = np.moveaxis(values, in_axis, 0)
        for axis in (0, 1):
            equal(mx.vmap(lambda v: mx.sort(mx.partition(v, 2, axis), axis), in_axes=in_axis)(x), np.sort(lanes, axis + 1))
            equal(mx.vmap(lambda v: mx.median(v, axis), in_axes=in_axis)(x), np.median(lanes, axis + 1))


# --- medians ---

def test_medians():
    assert mx.median(mx.array([True, False])).item() == 0.5
    assert np.isnan(mx.median(mx.array([1, NAN, 2])).item())
    equal(mx.median(mx.array([[1, NAN, 2], [3, 1, 2]]), axis=1), [NAN, 2])
    equal(mx.grad(lambda x: mx.median(x, axis=1)[1])(mx.array([[1, NAN, 2], [3, 1, 2]])), [[0, 0, 0], [0, 0, 1]])
    equal(mx.median(mx.array([60000, 60000], mx.float16)), 60000)
    assert mx.median(mx.array([2**40 + 1, 2**40 + 1, 0])).item() == 2.0**40
    equal(mx.median(mx.array([[1.0, 2], [3, 4]]), axis=()), [[1, 2], [3, 4]])
    assert mx.median(mx.zeros((0, 3)), axis=1).shape == (0,)
    assert mx.median(mx.zeros((2, 3, 4)), axis=(0, 2), keepdims=True).shape == (1, 3, 1)
    close(mx.grad(mx.median)(mx.array([4.0, 1.0, 3.0, 2.0])), [0, 0, 0.5, 0.5])


# --- searching ---

def test_vmap_over_sorted_sequences():
    rng = np.random.default_rng(9)
    rows, values = np.sort(rng.integers(0, 9, (3, 6)), -1), rng.integers(0, 9, (3, 4, 2))
    for side in ("left", "right"):
        find = functools.partial(mx.searchsorted, side=side)
        each = [np.searchsorted(r, v, side) for r, v in zip(rows, values)]
        equal(mx.vmap(find)(mx.array(rows), mx.array(values)), each)
        equal(mx.vmap(find, in_axes=(1, 2))(mx.array(rows.T), mx.array(np.moveaxis(values, 0, 2))), each)
        equal(mx.vmap(find, in_axes=(0, None))(mx.array(rows), mx.array(values[0])),
              [np.searchsorted(r, values[0], side) for r in rows])
        equal(mx.vmap(find, in_axes=(None, 1))(mx.array(rows[0]), mx.array(values[0])),
              np.searchsorted(rows[0], values[0].T, side))
        equal(mx.vmap(find, in_axes=(0, None))(mx.array(rows), mx.array(4)), [np.searchsorted(r, 4, side) for r in rows])
        # An outer level for the values, an inner one for the sequences, and the other way round
        both = mx.vmap(mx.vmap(find, in_axes=(0, None)), in_axes=(None, 0))(mx.array(rows), mx.array(values))
        equal(both, [[np.searchsorted(r, v, side) for r in rows] for v in values])
        both = mx.vmap(mx.vmap(find, in_axes=(None, 0)), in_axes=(0, None))(mx.array(rows), mx.array(values))
        equal(both, [[np.searchsorted(r, v, side) for v in values] for r in rows])


def test_searchsorted_at_the_ends():
    ends = mx.array([1.0, INF, NAN])
    equal(mx.searchsorted(ends, mx.array([0, 1, INF, NAN])), [0, 0, 1, 2])
    equal(mx.searchsorted(ends, mx.array([0, 1, INF, NAN]), side="right"), [0, 1, 2, 3])
    equal(mx.searchsorted(mx.zeros((0,)), mx.array([1.0, 2.0])), [0, 0])
    assert mx.searchsorted(mx.array([1.0]), mx.zeros((0, 2))).shape == (0, 2)
    equal(mx.searchsorted(mx.array([1, 3]), mx.array([2.5])), [1])  # not truncated to 2
    equal(mx.searchsorted(mx.array([5, 3, 1])[::-1], mx.array([[2, 4]]).T), [[1], [2]])
    f = lambda s, v: (mx.searchsorted(s, v).astype(mx.float32) * v).sum()
    s, v = mx.array([1.0, 2.0]), mx.array([1.5, 3.0])
    equal(mx.grad(f)(s, v), [0, 0])
    equal(mx.grad(f, 1)(s, v), [1, 2])


# --- unique ---

def test_unique_returns_what_is_asked_for():
    x = mx.array([2, 1, 2, 3, 1])
    values, index, inverse, counts = mx.unique(x, 4, True, True, True, fill_value=0)
    equal(values, [1, 2, 3, 0])
    equal(index, [1, 0, 3, 1])
    equal(inverse, [1, 0, 1, 2, 0])
    equal(counts, [2, 2, 1, 0])
    assert (index.dtype, inverse.dtype, counts.dtype) == (mx.int32, mx.int32, mx.int32)
    equal(mx.unique(x, 2, return_inverse=True)[1], [1, 0, 1, 1, 0])
    equal(mx.unique(x, 5), [1, 2, 3, 1, 1])
    equal(mx.unique(x, 4, fill_value=mx.array([7.9])), [1, 2, 3, 7])
    assert isinstance(mx.unique(x, 3), mx.array) and isinstance(mx.unique(x, 3, True), tuple)
    equal(mx.unique(mx.array([[3, 1], [1, 2]]), 4, return_inverse=True)[1], [[2, 0], [0, 1]])
    assert mx.unique(mx.array(5), 2, False, True)[1].shape == ()


def test_unique_of_nothing_and_of_nans():
    values, index, inverse, counts = mx.unique(mx.zeros((0, 2)), 2, True, True, True, fill_value=3)
    equal(values, [3, 3])
    equal(index, [0, 0])
    equal(counts, [0, 0])
    assert inverse.shape == (0, 2) and mx.unique(mx.zeros((0,)), 0).shape == (0,)
    equal(mx.unique(mx.array([3, NAN, NAN]), 4, fill_value=0), [3, NAN, NAN, 0])
    equal(mx.unique(mx.array([0.0, -0.0]), 2, return_counts=True)[1], [2, 0])
    equal(mx.unique(mx.array([1j, 2, 1j]), 2), [1j, 2])


def test_unique_under_transforms():
    x = f64([3, 1, 3])
    weights = f64([1, 10, 100, 1000])
    equal(mx.grad(lambda v: (mx.unique(v, 4) * weights).sum())(x), [10, 1101, 0])
    close(both_modes(lambda v: mx.unique(v, 4), x), [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    equal(mx.grad(lambda f: mx.unique(x, 4, fill_value=f).sum())(f64(7)), 2)
    rows = mx.array([[1, 1, 2], [5, 4, 4]])
    for got, expected in zip(mx.vmap(lambda v: mx.unique(v, 3, True, True, True, fill_value=-1))(rows),
                             ([[1, 2, -1], [4, 5, -1]], [[0, 2, 0], [1, 0, 1]], [[0, 0, 1], [1, 0, 0]], [[2, 1, 0], [2, 1, 0]])):
        equal(got, expected)
    equal(mx.vmap(lambda v, f: mx.unique(v, 3, fill_value=f), in_axes=(None, 0))(rows[0], mx.array([8, 9])), [[1, 2, 8], [1, 2, 9]])


# --- counting ---

def test_counting():
    x = mx.array([[1, 0], [NAN, 4.0]])
    assert mx.count_nonzero(x).item() == 3
    equal(mx.count_nonzero(x, axis=0, keepdims=True), [[2, 1]])
    equal(mx.count_nonzero(x, axis=()), [[1, 0], [1, 1]])
    low, high = mx.minmax(x, axis=1)
    equal(low, [0, NAN])
    equal(high, [1, NAN])


# --- errors ---

X = mx.array([[3, 1, 2]])


@pytest.mark.parametrize("call, error, says", [
    *[(lambda f=f: getattr(mx, f)(X, axis=2), IndexError, rf"\[{f}\] axis 2 .* 2 dimensions") for f in SCANS],
    (lambda: mx.diff(X, n=-1), ValueError, r"\[diff\] n is -1"),
    (lambda: mx.diff(X, axis=-3), IndexError, r"\[diff\] axis -3"),
    (lambda: mx.partition(X, 3), ValueError, r"\[partition\] kth is 3 .*\(1,3\).* -3 to 2"),
    (lambda: mx.argpartition(X, -4), ValueError, r"\[argpartition\] kth is -4"),
    (lambda: mx.partition(X, 0, axis=2), IndexError, r"\[partition\] axis 2"),
    (lambda: mx.topk(X, 4), ValueError, r"\[topk\] k is 4 .* 0 to 3"),
    (lambda: mx.topk(X, -1), ValueError, r"\[topk\] k is -1"),
    (lambda: mx.topk(mx.array(1), 1), IndexError, r"\[topk\] axis -1"),
    (lambda: mx.searchsorted(X, X), ValueError, r"\[searchsorted\] sorted_sequence has shape \(1,3\)"),
    (lambda: mx.searchsorted(X[0], X, side="middle"), ValueError, r'side is "middle"'),
    (lambda: mx.unique(X, -1), ValueError, r"\[unique\] size is -1"),
    (lambda: mx.unique(X, 3, fill_value=X), ValueError, r"\[unique\] fill_value has shape \(1,3\)"),
    (lambda: mx.unique(mx.zeros((0,)), 1), ValueError, r"\[unique\] a has no elements but size is 1"),
    (lambda: mx.median(mx.zeros((0, 2)), axis=0), ValueError, r"\[median\] .* no elements"),
    (lambda: mx.median(X, axis=(0, 5)), IndexError, r"\[median\] axis 5"),
    (lambda: mx.minmax(mx.zeros((0, 2)), axis=0), ValueError, r"\[minmax\] axis 0 of shape \(0,2\)"),
    (lambda: mx.count_nonzero(X, axis=3), IndexError, r"\[count_nonzero\] axis 3"),
])
def test_errors_name_the_op_and_the_values(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("shape, axis", [((131072,), 0), ((2, 131072), 1), ((131072, 9), 0)])
@pytest.mark.parametrize("dtype, many", [("float32", 3e-6), ("complex64", 1e-5)])
def test_small_terms_of_a_long_sum_count(shape, axis, dtype, many):
    """Most terms are less than half a unit in the last place of the sum: of float32 they would all be lost, but for their number."""
    x = mx.array(3 * np.random.default_rng(8).normal(size=shape)).astype(getattr(mx, dtype))
    got = np.array(mx.logcumsumexp(x, axis))
    truth = np.logaddexp.accumulate(np.array(x).real.astype(np.float64), axis)
    assert np.abs(got - truth).max() < many
