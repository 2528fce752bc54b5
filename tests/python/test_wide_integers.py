"""64-bit integers pass through no double: ranges, comparisons, bounds and draws over all of int64 and uint64."""

import itertools
import operator

import mlx.core as mx
import numpy as np
import pytest
import scipy.stats

import arrays

LOW, HIGH, TOP = -(2**63), 2**63 - 1, 2**64 - 1
KEY = mx.random.key(5)


def truncated(numerator, denominator):
    whole = abs(numerator) // abs(denominator)
    return whole if (numerator < 0) == (denominator < 0) else -whole


# --- arange and linspace ---

@pytest.mark.parametrize("start, stop, step, name", [
    (1700000000000000001, 1700000000000000005, 1, "int64"), (2**53 - 2, 2**53 + 5, 1, "int64"), (LOW, LOW + 5, 1, "int64"),
    (HIGH - 4, HIGH, 1, "int64"), (HIGH - 4, HIGH + 1, 1, "int64"), (HIGH, HIGH - 7, -2, "int64"), (LOW, HIGH, 2**61 + 1, "int64"),
    (HIGH, LOW, -(2**62) - 1, "int64"), (0, TOP, 2**61 + 3, "uint64"), (TOP - 3, TOP, 1, "uint64"), (TOP - 3, TOP + 1, 1, "uint64"),
    (TOP, TOP - 10, -3, "uint64"), (2**63 - 2, 2**63 + 2, 1, "uint64"), (5, 5, 1, "int64"), (5, 3, 1, "int64"), (3, -4, -1, "int8"),
    (250, 256, 1, "uint8"), (2**62, 2**62 + 2**40, 2**38 + 1, "float64"), (10, 0, -3, "float32"), (-5, 5, 2, "float16")])
def test_arange(start, stop, step, name):
    got = mx.arange(start, stop, step, dtype=getattr(mx, name))
    expected = np.array(list(range(start, stop, step)), arrays.NUMPY[name])
    assert arrays.to_np(got).tolist() == expected.tolist() and got.dtype == getattr(mx, name)
    compiled = mx.compile(lambda: mx.arange(start, stop, step, dtype=getattr(mx, name)))()
    assert arrays.to_np(compiled).tolist() == expected.tolist()


@pytest.mark.parametrize("args, name", [
    ((3,), "int32"), ((0, 2**31 - 1, 2**30), "int32"), ((2**40, 2**40 + 2), "int64"), ((0, 2**31, 2**30), "int64"),
    ((2**63 - 2, 2**63), "int64"), ((2**63, 2**63 + 3), "uint64"), ((0, 2.0), "float32")])
def test_the_default_dtype_of_arange(args, name):
    got = mx.arange(*args)
    assert got.dtype == getattr(mx, name) and got.tolist() == list(range(*(int(a) for a in args)))


@pytest.mark.parametrize("args, name", [
    ((2**63, 2**63 + 3), "int64"), ((-1, 3), "uint64"), ((0, 257), "uint8"), ((-129, 0), "int8"), ((TOP, TOP + 2), "uint64"),
    ((LOW - 1, LOW + 3), "int64"), ((0, 2.0**65, 2.0**63), "uint64")])
def test_arange_beyond_its_dtype(args, name):
    with pytest.raises(ValueError, match=r"\[arange\].*cannot hold"):
        mx.arange(*args, dtype=getattr(mx, name))


@pytest.mark.parametrize("name, pairs", [
    ("int64", [(2**53 - 1, 2**53 + 9), (LOW, HIGH), (HIGH, LOW), (HIGH - 3, HIGH), (-7, 12), (1700000000000000001, 1700000000000000007)]),
    ("uint64", [(0, TOP), (TOP, TOP - 12), (2**63 - 2, 2**63 + 2), (3, 3)])])
@pytest.mark.parametrize("num", [1, 2, 5, 7, 50])
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(name, pairs, num, endpoint):
    n = num - 1 if endpoint else num
    for start, stop in pairs:
        got = mx.linspace(start, stop, num, dtype=getattr(mx, name), endpoint=endpoint)
        expected = [truncated(start * (n - i) + stop * i, n) if n else start for i in range(num)]
        assert got.tolist() == expected


# --- comparisons ---

EDGES = [LOW, LOW + 1, -(2**53) - 1, -1, 0, 1, 2**24 + 1, 2**31, 2**53, 2**53 + 1, HIGH - 1, HIGH, 2**63, 2**63 + 1, TOP - 1, TOP]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def held_by(name):
    info = np.iinfo(name)
    return [v for v in EDGES if info.min <= v <= info.max]


@pytest.mark.parametrize("first, second", list(itertools.product(["int64", "uint64", "int32", "int8"], repeat=2)))
def test_comparisons_are_exact(first, second):
    pairs = list(itertools.product(held_by(first), held_by(second)))
    a = mx.array([p[0] for p in pairs], getattr(mx, first))
    b = mx.array([p[1] for p in pairs], getattr(mx, second))
    for name in COMPARISONS:
        compare = getattr(operator, name)
        assert compare(a, b).tolist() == [compare(*p) for p in pairs], name
    assert mx.array_equal(a, b).item() == all(p == q for p, q in pairs)


def test_isclose_of_integers():
    a, b = mx.array([2**53, 2**62, LOW, HIGH], mx.int64), mx.array([2**53 + 1, 2**62 + 1000, HIGH, HIGH], mx.int64)
    assert mx.isclose(a, b, rtol=0, atol=0).tolist() == [False, False, False, True]
    assert mx.isclose(a, b, rtol=0, atol=1000).tolist() == [True, True, False, True]
    assert mx.allclose(mx.array([TOP], mx.uint64), mx.array([TOP - 3], mx.uint64), rtol=0, atol=3).item()
    assert not mx.allclose(mx.array([TOP], mx.uint64), mx.array([TOP - 3], mx.uint64), rtol=0, atol=2).item()


# --- everything else that takes or makes 64 bits ---

@pytest.mark.parametrize("name", ["int64", "uint64"])
def test_ops_keep_every_bit(name):
    dtype = getattr(mx, name)
    values = [v for v in held_by(name) if v != LOW]
    x = mx.array(values, dtype)
    wrap = (lambda v: (v + 2**63) % 2**64 - 2**63) if name == "int64" else (lambda v: v % 2**64)
    odd = 2**61 + 1
    assert x.tolist() == values and [v.item() for v in x] == values
    assert (x + odd).tolist() == [wrap(v + odd) for v in values]
    assert (odd - x).tolist() == [wrap(odd - v) for v in values]
    assert (x * 3).tolist() == [wrap(v * 3) for v in values]
    assert (x // 7).tolist() == [v // 7 for v in values] and (x % odd).tolist() == [v % odd for v in values]
    assert mx.maximum(x, odd).tolist() == [max(v, odd) for v in values]
    assert mx.minimum(odd, x).tolist() == [min(v, odd) for v in values]
    assert mx.clip(x, 5, odd).tolist() == [min(max(v, 5), odd) for v in values]
    assert mx.where(x > odd, x, odd).tolist() == [max(v, odd) for v in values]
    assert mx.sum(x).item() == wrap(sum(values)) and mx.prod(x[x != 0]).item() == wrap(int(np.prod([v for v in values if v], dtype=object)))
    assert mx.cumsum(x).tolist() == [wrap(int(v)) for v in np.cumsum(np.array(values, object))]
    assert mx.sort(x).tolist() == sorted(values) and mx.max(x).item() == max(values) and mx.min(x).item() == min(values)
    assert mx.array(values[0], dtype).item() == values[0] and mx.full((2,), values[-1], dtype=dtype).tolist() == [values[-1]] * 2
    assert mx.full_like(x, odd).tolist() == [odd] * len(values)
    assert mx.pad(x, 1, constant_values=odd).tolist() == [odd, *values, odd]
    assert mx.searchsorted(mx.sort(x), mx.array([odd], dtype)).item() == sum(v < odd for v in values)
    y = mx.array(values, dtype)
    y[0] = odd
    assert y.tolist() == [odd, *values[1:]]
    assert x.at[mx.array([1, 1])].add(odd).tolist() == [values[0], wrap(values[1] + 2 * odd), *values[2:]]
    assert mx.put_along_axis(x, mx.array([2]), mx.array(odd, dtype), axis=0).tolist() == [*values[:2], odd, *values[3:]]
    assert mx.round(x, -2).tolist() == [wrap(round(v, -2)) for v in values]


def test_round_to_the_largest_power_of_ten():
    values = [TOP, 10**19, 10**19 - 1, 5 * 10**18, 4999999999999999999, 0]
    expected = [round(v, -19) % 2**64 for v in values]
    assert mx.round(mx.array(values, mx.uint64), -19).tolist() == expected


def test_indices_of_64_bits():
    x = mx.arange(5)
    assert mx.take(x, mx.array([4, -5, 0], mx.int64)).tolist() == [4, 0, 0] and x[mx.array([4], mx.uint64)].item() == 4
    for far in (2**40, 2**32 + 1, HIGH, LOW):
        with pytest.raises(IndexError):
            mx.eval(mx.take(x, mx.array([far], mx.int64)))
    for far in (2**63, TOP, 2**32 + 1):
        with pytest.raises(IndexError):
            mx.eval(mx.take(x, mx.array([far], mx.uint64)))


# --- random integers ---

INTERVALS = [
    (0, 10, "int32"), (2**24, 2**24 + 3, "int32"), (1_700_000_000, 1_700_000_010, "int32"), (-(2**31), -(2**31) + 4, "int32"),
    (2**53, 2**53 + 5, "int64"), (HIGH - 6, HIGH, "int64"), (LOW, LOW + 6, "int64"), (TOP - 7, TOP, "uint64"), (TOP - 7, TOP + 1, "uint64"),
    (2**63 - 3, 2**63 + 3, "uint64"), (250, 256, "uint8"), (-128, -120, "int8"), (65530, 65536, "uint16"), (HIGH - 5, HIGH + 1, "int64")]


@pytest.mark.parametrize("low, high, name", INTERVALS)
def test_short_intervals_are_drawn_from_evenly(low, high, name):
    draws = mx.random.randint(low, high, (20_000,), getattr(mx, name), KEY).tolist()
    counts = [draws.count(v) for v in range(low, high)]
    assert sum(counts) == 20_000 and scipy.stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("low, high, name", [
    (0, 2**40, "int64"), (-(2**40), 2**40 + 1, "int64"), (0, 2**63 - 1, "int64"), (0, 2**63, "int64"), (LOW, HIGH, "int64"),
    (LOW, 2**63, "int64"), (0, TOP, "uint64"), (0, TOP + 1, "uint64"), (2**62, 2**63 + 2**62, "uint64"), (3, 2**33, "int64")])
def test_wide_intervals_reach_every_bit(low, high, name):
    draws = mx.random.randint(low, high, (20_000,), getattr(mx, name), KEY).tolist()
    assert all(low <= v < high for v in draws)
    assert scipy.stats.kstest([(v - low) / (high - low) for v in draws], "uniform").pvalue > 1e-4
    assert scipy.stats.chisquare(np.bincount([(v - low) % 16 for v in draws], minlength=16)).pvalue > 1e-4
    assert len(set(draws)) > 19_900


@pytest.mark.parametrize("low, high, name", [
    (0, 300, "uint8"), (-1, 5, "uint8"), (-129, 0, "int8"), (0, 2**40, "int32"), (0, 2**63 + 1, "int64"), (-1, 5, "uint64"), (0, 3, "bool_"),
    (0.0, 1e30, "int64"), (mx.array([0, 0]), mx.array([5, 500]), "uint8"), (LOW, 5, "int32")])
def test_bounds_outside_the_dtype(low, high, name):
    with pytest.raises(ValueError, match=r"low=.* and high=.* reach outside of dtype"):
        mx.random.randint(low, high, (2,), getattr(mx, name), KEY)


def test_arrays_of_bounds_are_drawn_between_one_by_one():
    low = mx.array([0, 2**53, LOW, -(2**40), 7], mx.int64)
    high = mx.array([10, 2**53 + 3, LOW + 2, 2**40, 7], mx.int64)
    eager = mx.random.randint(low, high, (2000, 5), mx.int64, KEY)
    compiled = mx.compile(lambda a, b: mx.random.randint(a, b, (2000, 5), mx.int64, KEY))(low, high)
    assert eager.tolist() == compiled.tolist()
    for column, (a, b) in enumerate(zip(low.tolist(), high.tolist())):
        seen = set(eager[:, column].tolist())
        assert seen == {a} if a == b else all(a <= v < b for v in seen) and len(seen) == min(b - a, 2000)
    alone = mx.random.randint(0, 10, (2000, 5), mx.int64, KEY)
    assert eager[:, 0].tolist() == alone[:, 0].tolist()  # MLX's numbers, beside any others
    lanes = mx.vmap(lambda a, b: mx.random.randint(a, b, (3,), mx.int64))(low, high)
    assert all(a <= v < b or a == v for row, a, b in zip(lanes.tolist(), low.tolist(), high.tolist()) for v in row)


def test_an_empty_interval_is_its_lower_bound():
    assert mx.random.randint(5, 2, (3,), key=KEY).tolist() == [5, 5, 5]
    assert mx.random.randint(2**60, 2**60, (2,), mx.int64, KEY).tolist() == [2**60] * 2
