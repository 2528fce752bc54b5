"""Dtypes and values over all dtypes of the Array API standard: promotion, Python's numbers on either side, reductions, scans,
products; against NumPy 2, which follows the standard in these."""

import itertools
import math

import mlx.core as mx
import numpy as np
import pytest

BOOL, SIGNED, UNSIGNED = ["bool"], ["int8", "int16", "int32", "int64"], ["uint8", "uint16", "uint32", "uint64"]
FLOATS, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
INTEGERS = SIGNED + UNSIGNED
REAL, INEXACT = INTEGERS + FLOATS, FLOATS + COMPLEX
NUMERIC, ALL = REAL + COMPLEX, BOOL + REAL + COMPLEX

UNARY = {
    **dict.fromkeys("acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal sin sinh sqrt tan tanh".split(), INEXACT),
    **dict.fromkeys("abs conj isfinite isinf isnan negative positive real round sign square".split(), NUMERIC),
    **dict.fromkeys("ceil floor trunc".split(), REAL), "bitwise_invert": BOOL + INTEGERS, "imag": COMPLEX, "logical_not": BOOL, "signbit": FLOATS,
}
BINARY = {
    **dict.fromkeys("add multiply subtract pow".split(), NUMERIC), "divide": INEXACT,
    **dict.fromkeys("floor_divide remainder maximum minimum less less_equal greater greater_equal".split(), REAL),
    **dict.fromkeys("equal not_equal".split(), ALL), **dict.fromkeys("atan2 copysign hypot logaddexp nextafter".split(), FLOATS),
    **dict.fromkeys("bitwise_and bitwise_or bitwise_xor".split(), BOOL + INTEGERS),
    **dict.fromkeys("bitwise_left_shift bitwise_right_shift".split(), INTEGERS), **dict.fromkeys("logical_and logical_or logical_xor".split(), BOOL),
}
UNCHANGED = {"ceil", "floor", "trunc", "round"}  # integers, which NumPy gives other dtypes


def dtype(name):
    return mx.bool_ if name == "bool" else getattr(mx, name)


def kind(name):
    return "b" if name == "bool" else "i" if name in INTEGERS else "f"


def common(a, b):
    """The standard's promotion; None where it leaves it open."""
    if kind(a) != kind(b):
        return None
    found = np.result_type(a, b).name
    return found if kind(found) == kind(a) else None


def data(name, shape=(3, 4), seed=0, low=-7, high=8):
    rng = np.random.default_rng(seed)
    if name == "bool":
        return rng.random(shape) > 0.5
    if name in INTEGERS:
        return rng.integers(max(low, np.iinfo(name).min), high, shape).astype(name)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if name in COMPLEX else x).astype(name)


def check(got, want, *what):
    want = np.asarray(want)
    assert got.dtype == dtype(want.dtype.name), (*what, got.dtype, want.dtype)
    assert got.shape == want.shape, what
    close = 4e-5 if want.dtype.name in ("float32", "complex64") else 1e-11
    if want.dtype.kind in "fc":
        np.testing.assert_allclose(np.array(got), want, rtol=close, atol=close, equal_nan=True, err_msg=str(what))
    else:
        assert np.array_equal(np.array(got), want), (*what, got, want)


def operands(function, name, seed):
    x = data(name, seed=seed)
    if name in INTEGERS and function in ("floor_divide", "remainder"):
        x[x == 0] = 3
    if name in INTEGERS and (function == "pow" or "shift" in function):
        x = np.where(x < 0, 2, x) % 6
    return x.astype(name)


@pytest.mark.parametrize("function", UNARY)
def test_unary(function):
    with np.errstate(all="ignore"):
        for name in UNARY[function]:
            x = data(name)
            if name in INTEGERS:
                x[0, 0], x[0, 1] = np.iinfo(name).max, np.iinfo(name).min
            want = x if function in UNCHANGED and name in INTEGERS else getattr(np, function)(x)
            check(getattr(mx, function)(mx.array(x, dtype=dtype(name))), want, function, name)


@pytest.mark.parametrize("function", BINARY)
def test_binary(function):
    with np.errstate(all="ignore"):
        for first, second in itertools.product(BINARY[function], repeat=2):
            if common(first, second) is None:
                continue
            x, y = operands(function, first, 0), operands(function, second, 1)
            got = getattr(mx, function)(mx.array(x, dtype=dtype(first)), mx.array(y, dtype=dtype(second)))
            check(got, getattr(np, function)(x, y), function, first, second)


NUMBERS = {"b": [True, False], "i": [3, 0, 5], "f": [1.5, math.inf, math.nan], "c": [1 + 2j]}


@pytest.mark.parametrize("function", BINARY)
def test_python_numbers_on_either_side(function):
    """A number takes the array's dtype."""
    with np.errstate(all="ignore"):
        for name in BINARY[function]:
            kinds = {"bool": "b"}.get(name) or ("i" if name in INTEGERS else "if" if name in FLOATS else "ifc")
            for number, left in itertools.product([n for k in kinds for n in NUMBERS[k]], (True, False)):
                if function in ("floor_divide", "remainder") and (name in INTEGERS and not left and number == 0 or number == math.inf):
                    continue  # the standard leaves the first open; in the second NumPy departs from it
                x = operands(function, name, 0)
                m = mx.array(x, dtype=dtype(name))
                got = getattr(mx, function)(*((number, m) if left else (m, number)))
                check(got, getattr(np, function)(*((number, x) if left else (x, number))), function, name, number, left)


@pytest.mark.parametrize("name", SIGNED + UNSIGNED[:3])
def test_numbers_out_of_range(name):
    x = mx.zeros((2,), dtype=dtype(name))
    for number in (np.iinfo(name).max + 1, np.iinfo(name).min - 1):
        for call in (lambda: x + int(number), lambda: int(number) - x, lambda: mx.maximum(x, int(number)), lambda: x == int(number)):
            with pytest.raises(ValueError, match="does not fit|too large"):
                call()


@pytest.mark.parametrize("name", ALL)
def test_numbers_beside_where(name):
    x, chosen = data(name), data("bool", seed=3)
    m, c = mx.array(x, dtype=dtype(name)), mx.array(chosen)
    for number in NUMBERS["b"] if name == "bool" else NUMBERS["i"] if name in INTEGERS else NUMBERS["i"] + NUMBERS["f"]:
        check(mx.where(c, m, number), np.where(chosen, x, number).astype(name), name, number)
        check(mx.where(c, number, m), np.where(chosen, number, x).astype(name), name, number)


def test_promotion_table():
    for first, second in itertools.product(ALL, repeat=2):
        if (want := common(first, second)) is not None:
            assert mx.result_type(dtype(first), dtype(second)) == dtype(want), (first, second)


@pytest.mark.parametrize("name", NUMERIC)
def test_in_place_operators_keep_the_dtype(name):
    x = mx.array(operands("pow", name, 0), dtype=dtype(name))
    before = np.array(x)
    for text in ("+= 2", "-= 1", "*= 2", "**= 2") + (("//= 2", "%= 3") if name in REAL else ()) + (("/= 2",) if name in INEXACT else ()):
        y = mx.array(before, dtype=dtype(name))
        want = before.copy()
        space = {"y": y, "want": want}
        exec(f"y {text}\nwant {text}", space)
        check(space["y"], space["want"], text, name)


# --- reductions and scans ---

SUMMED = {**{n: "int32" for n in SIGNED[:2]}, **{n: "uint32" for n in UNSIGNED[:2]}}
SHAPES = [(3, 4), (2, 3, 4), (), (0,), (0, 3), (3, 0, 2), (5,)]
REDUCTIONS = {
    **dict.fromkeys(("sum", "prod"), NUMERIC), **dict.fromkeys(("max", "min"), REAL), **dict.fromkeys(("all", "any"), ALL),
    "mean": INEXACT, **dict.fromkeys(("var", "std"), FLOATS), "count_nonzero": ALL,
}


def outcome(function, *args, **kwargs):
    try:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)
    except ValueError:
        return None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("function", REDUCTIONS)
def test_reductions(function):
    for name, shape, keepdims in itertools.product(REDUCTIONS[function], SHAPES, (False, True)):
        x = data(name, shape, low=-3, high=4)
        m = mx.array(x, dtype=dtype(name))
        for axis in [None, *range(-len(shape), len(shape)), (), *([(0, 1), (-1, 0)] if len(shape) > 1 else [])]:
            ways = [{"correction": c} for c in (0, 1, 0.5, 10.0)] if function in ("var", "std") else [{}]
            for more in ways:
                plain = {"dtype": SUMMED.get(name, name)} if function in ("sum", "prod") else {}
                want = outcome(getattr(np, function), x, axis=axis, keepdims=keepdims, **more, **plain)
                got = outcome(getattr(mx, function), m, axis=axis, keepdims=keepdims, **more)
                assert (want is None) == (got is None), (function, name, shape, axis)
                if want is not None:
                    want = np.asarray(want, "int32") if function == "count_nonzero" else want
                    check(got, want, function, name, shape, axis, more)


@pytest.mark.parametrize("function", ["argmax", "argmin"])
def test_places_of_extrema(function):
    for name, shape, keepdims in itertools.product(REAL, SHAPES, (False, True)):
        x = data(name, shape, low=-3, high=4)
        for axis in [None, *range(-len(shape), len(shape))]:
            want = outcome(getattr(np, function), x, axis=axis, keepdims=keepdims)
            got = outcome(getattr(mx, function), mx.array(x, dtype=dtype(name)), axis=axis, keepdims=keepdims)
            assert (want is None) == (got is None), (function, name, shape, axis)
            if want is not None:
                check(got.astype(mx.int64), np.asarray(want), function, name, shape, axis)


@pytest.mark.parametrize("function", ["cumulative_sum", "cumulative_prod"])
def test_scans(function):
    for name, shape, initial in itertools.product(NUMERIC, [s for s in SHAPES if s], (False, True)):
        x = data(name, shape, low=-3, high=4)
        m = mx.array(x, dtype=dtype(name))
        for axis in range(-len(shape), len(shape)):
            want = getattr(np, function)(x, axis=axis, dtype=SUMMED.get(name, name), include_initial=initial)
            check(getattr(mx, function)(m, axis=axis, include_initial=initial), want, function, name, shape, axis, initial)
        check(getattr(mx, function)(m, axis=0, dtype=mx.float64), getattr(np, function)(x.real, axis=0, dtype="float64")) if name in REAL else None
    with pytest.raises(ValueError, match="inclusive"):
        getattr(mx, function)(mx.ones((3,)), include_initial=True, inclusive=False)


@pytest.mark.parametrize("function", ["sum", "prod"])
def test_dtype_of_sums(function):
    x = mx.array([100, 100, 3], dtype=mx.int8)
    for name in ("int8", "int64", "float32", "float64", "complex64"):
        check(getattr(mx, function)(x, dtype=dtype(name)), getattr(np, function)(np.array(x), dtype=name), name)
        check(getattr(x, function)(dtype=dtype(name)), getattr(np, function)(np.array(x), dtype=name), name)
    assert getattr(mx, function)(mx.array([True, True])).dtype == mx.int32


def test_nan_goes_through():
    x = np.array([[1, np.nan, 3], [4, 5, 6]], "float32")
    for function, axis in itertools.product("sum prod max min mean var std argmax argmin".split(), (None, 0, 1)):
        got, want = getattr(mx, function)(mx.array(x), axis=axis), np.asarray(getattr(np, function)(x, axis=axis))
        check(got.astype(mx.int64) if "arg" in function else got, want, function, axis)


# --- products ---

MATRICES = [((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (6, 4, 2)), ((4,), (2, 4, 3)),
            ((0, 4), (4, 3)), ((3, 0), (0, 4)), ((0,), (0,)), ((2, 3, 0), (0, 2)), ((2, 0, 3, 4), (4, 3)), ((3, 4), (3, 4)), ((), (3,))]
VECTORS = [((3, 4), (3, 4), -1), ((3, 4), (4,), -1), ((2, 3, 4), (3, 4), -2), ((3, 0), (3, 0), -1), ((3, 1, 4), (2, 4), -1), ((3, 4), (3, 5), -1)]
TENSORS = [((3, 4), (4, 5), 1), ((3, 4), (3, 4), 2), ((3, 4), (5,), 0), ((2, 3, 4), (4, 3, 2), ([1, 2], [1, 0])), ((0, 3), (3, 2), 1),
           ((2, 0), (0, 3), 1), ((2, 3, 4), (4, 3, 2), ((-1,), (0,))), ((2, 3), (3, 2), ((), ())), ((2, 3), (4, 5), 1)]


def both(call, reference, first, second, shapes):
    x, y = data(first, shapes[0], low=-9, high=12), data(second, shapes[1], 1, low=-9, high=12)
    want = outcome(reference, x, y)
    got = outcome(call, mx.array(x, dtype=dtype(first)), mx.array(y, dtype=dtype(second)))
    assert (want is None) == (got is None), (first, second, shapes)
    return got, want


@pytest.mark.parametrize("first", NUMERIC)
def test_products(first):
    for second in NUMERIC:
        if common(first, second) is None:
            continue
        for shapes in MATRICES:
            for call in (mx.matmul, lambda a, b: a @ b):
                got, want = both(call, np.matmul, first, second, shapes)
                if want is not None:
                    check(got, want, "matmul", first, second, shapes)
        for *shapes, axis in VECTORS:
            got, want = both(lambda a, b: mx.vecdot(a, b, axis=axis), lambda a, b: np.linalg.vecdot(a, b, axis=axis), first, second, shapes)
            if want is not None:
                check(got, want, "vecdot", first, second, shapes)
        for *shapes, axes in TENSORS:
            got, want = both(lambda a, b: mx.tensordot(a, b, axes=axes), lambda a, b: np.tensordot(a, b, axes=axes), first, second, shapes)
            if want is not None:
                check(got, want, "tensordot", first, second, shapes)
