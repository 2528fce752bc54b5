"""Special values of elementwise functions: NaN, infinities, signed zeros, row by row as the Array API standard lists them
(special_cases.py); and identities it asks for everywhere."""

import itertools
import math

import mlx.core as mx
import numpy as np
import pytest

import special_cases as cases

REAL = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 4e-7, "float64": 1e-15}
COMPLEX = {"complex64": 4e-7, "complex128": 1e-15}
ANY = cases.CLASSES["any"]


def real(values, name):
    return mx.array(values, dtype=mx.float64).astype(getattr(mx, name))


def complex_of(pairs, name):
    z = np.empty(len(pairs), name)
    z.real, z.imag = [p[0] for p in pairs], [p[1] for p in pairs]
    return mx.array(z, dtype=getattr(mx, name))


def numbers(a):
    return a.astype(mx.complex128 if mx.issubdtype(a.dtype, mx.complexfloating) else mx.float64).tolist()


def equal(p, q, tolerance=0.0):
    if math.isnan(p) or math.isnan(q):
        return math.isnan(p) and math.isnan(q)
    return abs(p - q) <= tolerance * abs(q) if math.isfinite(p) and p != 0 else p == q and math.copysign(1, p) == math.copysign(1, q)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("function", cases.UNARY)
def test_unary(function, name):
    for (operand,), (result,) in cases.rows(cases.UNARY[function]):
        values = cases.CLASSES[operand]
        for n in (len(values), 37):  # the ends of vectors, and their insides
            x = real((values * 37)[:n], name)
            y = getattr(mx, function)(x)
            assert y.dtype == x.dtype
            for v, got in zip(numbers(x), numbers(y)):
                assert cases.is_same(got, result, REAL[name], v), f"{function}({v}) is {got}, expected {result}"


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("function", cases.BINARY)
def test_binary(function, name):
    for (first, second), (result,) in cases.rows(cases.BINARY[function]):
        pairs = list(itertools.product(cases.CLASSES[first], cases.CLASSES[second]))
        a, b = real([p[0] for p in pairs], name), real([p[1] for p in pairs], name)
        y = getattr(mx, function)(a, b)
        assert y.dtype == a.dtype
        for p, q, got in zip(numbers(a), numbers(b), numbers(y)):
            assert cases.is_same(got, result, REAL[name], p, q), f"{function}({p}, {q}) is {got}, expected {result}"


def is_expected(z, result, tolerance, a, b):
    """cis words: that real factor times cos(b) + sin(b)j."""
    if not result[0].startswith(("infcis", "0cis")):
        parts = (z.real, z.imag) if len(result) == 2 else (z,)
        return all(cases.is_same(got, word, tolerance, a, b) for got, word in zip(parts, result))
    factor = math.inf if result[0].startswith("inf") else 0.0
    imag = b if b == 0 else factor * math.sin(b)
    return equal(z.real, -1.0 if result[0].endswith("-1") else factor * math.cos(b)) and equal(z.imag, imag)


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("function", cases.COMPLEX)
def test_complex(function, name):
    for operands, result in cases.rows(cases.COMPLEX[function]):
        pairs = list(itertools.product(*[cases.CLASSES[c] for c in operands]))
        y = getattr(mx, function)(complex_of(pairs, name))
        for (a, b), got in zip(pairs, numbers(y)):
            assert is_expected(got, result, COMPLEX[name], a, b), f"{function}({a} + {b}j) is {got}, expected {' '.join(result)}"


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("function", [f for f in cases.COMPLEX if f not in ("abs", "conj", "negative", "round", "sign")] + [*cases.ROTATED])
def test_conjugates(function, name):
    """f(conj z) = conj f(z), and f(-z) = -f(z) of the odd ones, to the sign of zeros."""
    pairs = [p for p in itertools.product(ANY, ANY) if not any(map(math.isnan, p))]
    z = complex_of(pairs, name)
    ways = [(mx.conj(z), lambda w: w.conjugate())] + ([(-z, lambda w: complex(-w.real, -w.imag))] if function in cases.ODD else [])
    for changed, back in ways:
        for p, u, v in zip(pairs, numbers(getattr(mx, function)(z)), numbers(getattr(mx, function)(changed))):
            v = back(v)
            open_sign = math.isnan(u.real) or math.isnan(u.imag)  # of the other part, as C leaves it
            for s, t in ((u.real, v.real), (u.imag, v.imag)):
                assert equal(s, t) or open_sign and abs(s) == abs(t), (function, p, u, v)


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("function", cases.ROTATED)
def test_rotated(function, name):
    """Circular functions are hyperbolic ones along the imaginary axis, special values too."""
    other, turn_back = cases.ROTATED[function]
    pairs = list(itertools.product(ANY, ANY))
    got = numbers(getattr(mx, function)(complex_of(pairs, name)))
    turned = numbers(getattr(mx, other)(complex_of([(-b, a) for a, b in pairs], name)))
    for p, u, w in zip(pairs, got, turned):
        v = complex(w.imag, -w.real) if turn_back else w
        for s, t in ((u.real, v.real), (u.imag, v.imag)):
            open_sign = math.isnan(w.real) or math.isnan(w.imag)
            assert equal(s, t, 8 * COMPLEX[name]) or open_sign and abs(s) == abs(t), (function, p, u, v)


@pytest.mark.parametrize("name", REAL)
def test_signs(name):
    """Sign bits of NaN count, and are made, by copysign and signbit."""
    nans = mx.copysign(real([math.nan] * 4, name), real([1.0, -1.0, 0.0, -0.0], name))
    assert mx.isnan(nans).all() and mx.signbit(nans).tolist() == [False, True, False, True]
    ones = mx.copysign(real([1.0] * 4, name), nans)
    assert ones.tolist() == [1, -1, 1, -1]
    x = real([0.0, -0.0, math.inf, -math.inf, 1.0, -1.0], name)
    assert mx.signbit(x).tolist() == [False, True, False, True, False, True]


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "complex128"])
def test_round_half_to_even(name):
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.4999, 1e10, 2.0**52 + 1], "float64")
    x = halves.astype(name) * (1 - 1j if name.startswith("complex") else 1)
    got = np.array(mx.round(mx.array(x, dtype=getattr(mx, name))))
    want = np.rint(x.real) + (1j * np.rint(x.imag) if name.startswith("complex") else 0)
    assert got.dtype == name and (got == want).all()


def test_floor_divide_is_the_floor_of_the_quotient():
    inf = math.inf
    a, b = mx.array([inf, -inf, inf, 1.0, -1.0, inf]), mx.array([2.0, 2.0, -2.0, -inf, inf, inf])
    got = (a // b).tolist()
    assert got[:3] == [inf, -inf, -inf] and math.isnan(got[5])
    assert got[3] == got[4] == 0 and [math.copysign(1, v) for v in got[3:5]] == [-1, -1]


def test_clip():
    x = mx.array([1.0, 5.0, math.nan])
    assert np.array_equal(np.array(mx.clip(x, None, None)), np.array(x), equal_nan=True)
    for limits in ((math.nan, None), (None, math.nan), (mx.array([math.nan]), 3.0)):
        assert mx.isnan(mx.clip(x, *limits)).all()
    assert mx.clip(x, 2.0, 4.0)[:2].tolist() == mx.clip(x, min=2.0, max=4.0)[:2].tolist() == [2, 4]
    assert mx.clip(x, 2.0)[:2].tolist() == mx.clip(x, min=2.0)[:2].tolist() == [2, 5] and mx.clip(x, max=4.0)[:2].tolist() == [1, 4]
    assert mx.clip(mx.array([1, 200], dtype=mx.uint8), 2, 100).dtype == mx.uint8
