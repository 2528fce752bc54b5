"""floor_divide, remainder and divmod of floats: against exact fractions and Python's own, signed zeros included."""

import itertools
import math
from fractions import Fraction

import mlx.core as mx
import numpy as np
import pytest

import arrays

FLOATS = arrays.FLOATS
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
EXPONENTS = {"float16": (-24, 15), "bfloat16": (-133, 127), "float32": (-149, 127), "float64": (-1074, 1023)}


def rounded(value, name):
    """A fraction, rounded once to the dtype, half to even; overflow to infinity."""
    lowest, highest = EXPONENTS[name]
    if value == 0:
        return 0.0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > magnitude
    gap = Fraction(2) ** max(exponent - DIGITS[name] + 1, lowest)
    result = round(magnitude / gap) * gap
    if result >= Fraction(2) ** (highest + 1):
        return math.inf if value > 0 else -math.inf
    return float(result) if value > 0 else -float(result)


def expected(a, b, name):
    """(floor_divide, remainder) of two floats of the dtype."""
    quotient_sign = math.copysign(1, a) * math.copysign(1, b)
    if math.isnan(a) or math.isnan(b):
        return math.nan, math.nan
    if b == 0:
        return (math.nan if a == 0 else math.copysign(math.inf, quotient_sign)), math.nan
    if math.isinf(a):
        return math.nan if math.isinf(b) else math.copysign(math.inf, quotient_sign), math.nan
    if math.isinf(b):
        rest = math.copysign(0, b) if a == 0 else a if quotient_sign > 0 else b
        return math.copysign(0, quotient_sign), rest
    quotient = Fraction(a) // Fraction(b)
    rest = Fraction(a) - quotient * Fraction(b)
    return (rounded(quotient, name) if quotient else math.copysign(0, quotient_sign),
            rounded(rest, name) if rest else math.copysign(0, b))


def check(a, b, name):
    x, y = arrays.to_mx(a, name), arrays.to_mx(b, name)
    a, b = arrays.to_np(x).astype(float), arrays.to_np(y).astype(float)
    pairs = mx.divmod(x, y)
    for got, op in ((mx.floor_divide(x, y), 0), (mx.remainder(x, y), 1), (pairs[0], 0), (pairs[1], 1), (x // y, 0), (x % y, 1)):
        got = arrays.to_np(got).astype(float)
        for p, q, g in zip(a.tolist(), b.tolist(), got.tolist()):
            e = expected(p, q, name)[op]
            assert (math.isnan(e) and math.isnan(g)) or (e == g and math.copysign(1, e) == math.copysign(1, g)), (
                f"{p!r} {'//%'[2 * op:2] or '%' if op else '//'} {q!r} in {name}: {g!r}, expected {e!r}")


SPECIAL = [0.0, 1.0, 3.0, 0.1, 0.3, 2.5, 7.0, 1e-3, 1000.0, math.inf, math.nan]


@pytest.mark.parametrize("name", FLOATS)
def test_special_values(name):
    lowest, highest = EXPONENTS[name]
    values = SPECIAL + [2.0**lowest, 2.0 ** (lowest + 5) * 1.5, 2.0**highest, 2.0**highest * 1.5]
    values += [2.0 ** DIGITS[name] + k for k in (-1, 0, 2)]
    values = [v for v in values if math.isnan(v) or math.isinf(v) or abs(v) / 2 < 2.0**highest]
    both = list(itertools.product([*values, *[-v for v in values]], repeat=2))
    check(np.array([p[0] for p in both]), np.array([p[1] for p in both]), name)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("spread", ["near", "about the last digit", "all"])
def test_random_values(name, spread):
    rng = np.random.default_rng(7)
    lowest, highest = EXPONENTS[name]
    digits, n = DIGITS[name], 1500
    a = rng.integers(1, 2**digits, n).astype(float)
    b = rng.integers(1, 2**digits, n).astype(float)
    if spread == "all":
        a = np.ldexp(a, rng.integers(lowest, highest - digits, n))
        b = np.ldexp(b, rng.integers(lowest, highest - digits, n))
    elif spread == "near":
        b = np.ldexp(b, -rng.integers(0, 6, n))
    else:  # quotients with one digit more or less than the dtype has
        shift = np.minimum(rng.integers(digits - 3, digits + 4, n), highest - digits)
        a, b = np.ldexp(a, shift // 2), np.ldexp(b, -(shift - shift // 2))
    exact = rng.random(n) < 0.2  # multiples, or what is next to one
    a = np.where(exact, b * rng.integers(0, 5, n), a)
    check(a * rng.choice([-1, 1], n), b * rng.choice([-1, 1], n), name)


def test_one_decimal():
    a = np.arange(1, 10_001) / 10
    got = np.array(mx.array(a, mx.float64) // mx.array(0.1, mx.float64)).tolist()
    assert got == [x // 0.1 for x in a.tolist()]
    assert (mx.array(1.0) // 0.1).item() == 9  # 0.1 in float32 is above 1/10
    assert mx.array(1.0, mx.float64).__floordiv__(0.1).item() == 9


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_python_agrees(name):
    """Where Python's quotient has digits to spare."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=4000) * 100, rng.normal(size=4000)
    a, b = a.astype(np.float32).astype(float), b.astype(np.float32).astype(float)
    quotient, rest = (arrays.to_np(z) for z in mx.divmod(arrays.to_mx(a, name), arrays.to_mx(b, name)))
    python = [divmod(p, q) for p, q in zip(a.tolist(), b.tolist())]
    assert quotient.tolist() == [p[0] for p in python]
    np.testing.assert_array_equal(rest, np.array([p[1] for p in python]).astype(rest.dtype))


@pytest.mark.parametrize("name", FLOATS)
def test_any_place_in_a_vector(name):
    """A lane with a huge quotient changes no other lane, at any length."""
    for n in (1, 3, 8, 17, 33):
        a, b = np.linspace(1, 20, n), np.full(n, 0.7)
        a[n // 2], b[n // 2] = 2.0**14, 2.0**-12
        check(a, b, name)


def test_the_derivative_by_the_divisor():
    x, y = mx.array([1.0, 7.5, -7.5, 1.0], mx.float64), mx.array([0.1, 2.0, 2.0, -math.inf], mx.float64)
    by_x, by_y = mx.grad(lambda a, b: mx.remainder(a, b).sum(), argnums=(0, 1))(x, y)
    assert by_x.tolist() == [1, 1, 1, 1] and by_y.tolist() == [-9, -3, 4, 1]
    tangent = mx.jvp(lambda b: mx.remainder(x, b), [y], [mx.ones_like(y)])[1][0]
    assert tangent.tolist() == by_y.tolist()


def test_compiled_and_fused_alike():
    rng = np.random.default_rng(0)
    x, y = mx.array(rng.normal(size=1000).astype(np.float32)), mx.array(rng.normal(size=1000).astype(np.float32) * 1e-8)
    f = lambda a, b: (a // b) + (a % b) * 2
    np.testing.assert_array_equal(np.array(mx.compile(f)(x, y)), np.array(f(x, y)))
    np.testing.assert_array_equal(np.array(mx.vmap(f)(x, y)), np.array(f(x, y)))
