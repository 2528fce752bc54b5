"""Numbers given beside float64, complex128 and 64-bit arrays reach them with all their digits."""

import math

import mlx.core as mx
import numpy as np
import pytest

T = 0.1  # of which float32 holds 8 digits
X = [1.0, -2.5, 0.3]
x64, z128 = mx.array(X, mx.float64), mx.array([1 + 2j, -0.5j, 3], mx.complex128)
tenth = mx.array(T, mx.float64)

# Each row: the call with a number, and with a float64 array of it.
ROWS = {
    "add": lambda t: x64 + t, "radd": lambda t: t + x64, "subtract": lambda t: t - x64, "multiply": lambda t: x64 * t,
    "divide": lambda t: x64 / t, "rdivide": lambda t: t / x64, "floor_divide": lambda t: x64 // t, "remainder": lambda t: x64 % t,
    "divmod": lambda t: mx.stack(divmod(x64, t)), "power": lambda t: mx.abs(x64) ** t, "rpower": lambda t: t ** x64,
    "maximum": lambda t: mx.maximum(x64, t), "minimum": lambda t: mx.minimum(t, x64), "clip": lambda t: mx.clip(x64, t, 2 * t),
    "where": lambda t: mx.where(x64 > 0, t, x64), "where2": lambda t: mx.where(x64 > 0, x64, t), "logaddexp": lambda t: mx.logaddexp(x64, t),
    "arctan2": lambda t: mx.arctan2(x64, t), "less": lambda t: mx.less(mx.array([T], mx.float64), t), "equal": lambda t: mx.equal(tenth, t),
    "full": lambda t: mx.full((2,), t, dtype=mx.float64), "full_like": lambda t: mx.full_like(x64, t), "pad": lambda t: mx.pad(x64, 1, constant_values=t),
    "at.add": lambda t: x64.at[mx.array([0, 0])].add(t), "at.multiply": lambda t: x64.at[0].multiply(t), "at.minimum": lambda t: x64.at[1].maximum(t),
    "array": lambda t: mx.array([t if not isinstance(t, mx.array) else T, 1], mx.float64), "complex": lambda t: z128 * t,
    "isclose": lambda t: mx.isclose(tenth, t, rtol=0, atol=0), "allclose": lambda t: mx.allclose(tenth, t, rtol=0, atol=0),
    "array_equal": lambda t: mx.array_equal(tenth, t), "divide in place": lambda t: in_place(t), "set": lambda t: set_item(t)}


def in_place(t):
    y = mx.array(X, mx.float64)
    y *= t
    y += t
    return y


def set_item(t):
    y = mx.array(X, mx.float64)
    y[1] = t
    y[2:] = t
    return y


@pytest.mark.parametrize("row", ROWS)
def test_a_number_is_its_float64_array(row):
    number, array = ROWS[row](T), ROWS[row](tenth)
    assert number.dtype == array.dtype and number.tolist() == array.tolist()


def test_addmm():
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.complex128):
        a, b, c = (mx.array(rng.normal(size=s).astype(dtype) * (1 + (1j if dtype == np.complex128 else 0)), getattr(mx, np.dtype(dtype).name))
                   for s in ((2, 3), (3, 4), (2, 4)))
        np.testing.assert_allclose(np.array(mx.addmm(c, a, b, alpha=T, beta=0.3)), T * (np.array(a) @ np.array(b)) + 0.3 * np.array(c), rtol=1e-15)
        real = lambda f: lambda *args: mx.real(f(*args)).sum()
        by_c, by_a = mx.grad(real(lambda p, q: mx.addmm(p, q, b, alpha=T, beta=0.3)), argnums=(0, 1))(c, a)
        np.testing.assert_allclose(np.array(by_c), np.full((2, 4), 0.3), rtol=1e-15)
        np.testing.assert_allclose(np.array(by_a), T * np.ones((2, 4)) @ np.conj(np.array(b)).T, rtol=1e-13)


@pytest.mark.parametrize("dtype", [mx.float64, mx.complex128])
def test_nan_to_num(dtype):
    y = mx.nan_to_num(mx.array([math.nan, math.inf, -math.inf, 1.0], dtype), T, 1e300, -0.3)
    assert mx.real(y).tolist() == [T, 1e300, -0.3, 1]


def test_tolerances_are_doubles():
    a = mx.array([1.0, 1.0], mx.float64)
    b = mx.array([1.0 + 1e-12, 1.0 + 3e-12], mx.float64)
    assert mx.isclose(a, b, rtol=0, atol=2e-12).tolist() == [True, False] == mx.isclose(a, b, rtol=2e-12, atol=0).tolist()


def test_ranges_are_doubles():
    assert mx.linspace(T, 0.7, 7, dtype=mx.float64).tolist()[0] == T and mx.linspace(T, 0.7, 7, dtype=mx.float64).tolist()[-1] == 0.7
    assert mx.arange(T, 1, T, dtype=mx.float64).tolist() == [T + i * T for i in range(9)]
    assert mx.round(mx.array(T + 1e-9, mx.float64), 8).item() == pytest.approx(T, abs=1e-12)


@pytest.mark.parametrize("number", [2**53 + 1, 2**62 + 3, -(2**62) - 1])
def test_an_int_beside_int64(number):
    x = mx.array([3, -(2**53) - 1, 5], mx.int64)
    values = x.tolist()
    wrap = lambda v: (v + 2**63) % 2**64 - 2**63
    for f in (lambda a, b: a + b, lambda a, b: b - a, lambda a, b: a * b):
        assert f(x, number).tolist() == [wrap(f(v, number)) for v in values]
    assert mx.where(x > 0, number, x).tolist() == [number if v > 0 else v for v in values]
    assert mx.array(number).item() == number == mx.array([number]).tolist()[0] == mx.full((1,), number).item()
    compiled = mx.compile(lambda a, k: a + k)
    assert compiled(x, number).tolist() == [wrap(v + number) for v in values] and compiled(x, number + 1).tolist() == [wrap(v + number + 1) for v in values]
