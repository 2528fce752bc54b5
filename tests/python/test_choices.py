"""Selections that do their comparison by themselves: every comparison, with numbers and values of rows on either side, of arrays and results,
in the order in which registers have them; also where the bools have other readers or what is compared is written over meanwhile."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)
DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.int32, mx.uint32, mx.int64, mx.uint64]


def given(generator, dtype, shape):
    x = generator.integers(-3, 4, shape).astype(np.float32)
    if mx.issubdtype(dtype, mx.floating):
        x[generator.random(shape) < 0.1] = np.nan
        x[generator.random(shape) < 0.1] = -0.0
    return mx.array(x.astype(np.int64) if mx.issubdtype(dtype, mx.integer) else x).astype(dtype)


def outcomes(function, *arrays):
    results = [function(lambda v: v, *arrays), mx.compile(lambda *a: function(lambda v: v, *a))(*arrays), function(evaluated, *arrays)]
    return [[np.array(v).tobytes() if v.dtype == mx.bool_ else bits(v) for v in evaluated(r)] for r in results]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_compared_and_chosen(dtype, compare, turned):
    """Chosen from what is compared, what was made of it, and others: all pairs."""
    generator = np.random.default_rng(7)
    x, y, row = given(generator, dtype, (3, 1100)), given(generator, dtype, (3, 1100)), given(generator, dtype, (3, 1))
    two = mx.array(2, dtype)
    mx.eval(x, y, row, two)

    def chosen(each, x, y, row, pair, with_value):
        a = each(x + y)
        b = each(a * two)
        c = each(y * two)
        d = each(c - x)
        some = {"a": a, "b": b, "d": d, "x": x, "two": two, "row": row}
        other = {"array": y, "number": two, "row": row}[with_value]
        condition = each(compare(other, a) if turned else compare(a, other))
        e = each(mx.where(condition, some[pair[0]], some[pair[1]]))
        f = each(mx.where(each(compare(e, two)), each(e * two), e))
        g = each(mx.where(each(compare(two, f)), f, each(f - two)))
        return [each(g + a)]

    for pair, with_value in itertools.product(itertools.permutations(["a", "b", "d", "x", "two", "row"], 2), ["array", "number", "row"]):
        eager, compiled, stepwise = outcomes(lambda each, *xs, p=pair, w=with_value: chosen(each, *xs, p, w), x, y, row)
        assert eager == stepwise and compiled == stepwise, (pair, with_value)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", range(6))
def test_bools_with_other_readers_and_operands_that_are_written_over(case, dtype):
    generator = np.random.default_rng(case)
    x, y = (given(generator, dtype, 5017) for _ in range(2))
    mx.eval(x, y)

    def function(each, x, y):
        x = each(x + y)
        condition = each(x > y)
        first = each(mx.where(condition, x, y))
        if case == 0:
            return [each(mx.where(condition, first, x)), condition]
        if case == 1:
            return [each(mx.where(condition, each(first + y), each(y - first))), each(mx.where(condition, y, first))]
        if case == 2:
            return [each(first + condition.astype(x.dtype))]
        if case == 3:
            return [each(mx.where(each(condition & each(y > first)), first, x)), first]
        if case == 4:  # an integer of the other kind is chosen by the same bools
            return [each(each(mx.where(condition, each(x.astype(mx.float32)), 2.0)) + 1), each(first - x)]
        return [first, each(mx.where(each(first == first), each(mx.where(condition, each(first - y), first)), y))]

    eager, compiled, stepwise = outcomes(function, x, y)
    assert eager == stepwise and compiled == stepwise


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [2048, 2049, 5017, 300_001])
def test_bools_that_are_results(size, dtype):
    """Also of bools in memory, before and after others, and with other readers."""
    generator = np.random.default_rng(size)
    x, y = given(generator, dtype, size), given(generator, dtype, size)
    wide = mx.array(generator.random(2 * size) < 0.5)
    c, d, e = wide[:size], wide[::2], wide[:1]
    mx.eval(x, y, c, d, e)

    def function(each, x, y, c, d, e):
        a, b = each(x > 0), each(each(x + y) < 1)
        first = each(each(a & b) | c)
        second = each(each(d ^ a) & each(~b))
        third = each(each(e | b) & each(c & each(x == y)))
        number = each(each(mx.where(each(c & a), x, y)) + each(mx.where(each(d | b), y, x)))
        return [first, second, third, number, each(a | d), each(number != x), each(x <= y)]

    eager, compiled, stepwise = outcomes(function, x, y, c, d, e)
    assert eager == stepwise and compiled == stepwise
    each_alone = [outcomes(lambda each, *xs, n=n: function(each, *xs)[n : n + 1], x, y, c, d, e)[0][0] for n in range(7)]
    assert each_alone == stepwise


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_derivatives_of_pieces(seed, dtype):
    generator = np.random.default_rng(seed)
    x, y = (mx.array(generator.standard_normal(3001).astype(np.float32)).astype(dtype) for _ in range(2))
    mx.eval(x, y)
    slopes = [float(s) for s in generator.choice([0.0, 0.1, -2.0, 1.0], 4)]

    def loss(x, y):
        for slope in slopes:
            x = mx.where(x > slope, x * slope - y, mx.where(y < x, y * x, x)) + slope
        return (mx.where(mx.abs(x) < 1, x * x, mx.abs(x))).sum()

    wanted = [bits(v) for v in evaluated(mx.compile(mx.grad(loss, argnums=(0, 1)))(x, y))]
    assert [bits(v) for v in evaluated(mx.grad(loss, argnums=(0, 1))(x, y))] == wanted
    with_one = [bits(v) for n in range(2) for v in [evaluated(mx.grad(loss, argnums=n)(x, y))]]
    assert with_one == wanted
