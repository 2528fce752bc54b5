"""Quotients by one divisor, a number or that of a row: the bits of NumPy's, hard dividends and edges among them."""

import mlx.core as mx
import numpy as np
import pytest

EDGES = [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.2e-38, 3e38, -3e38, 2.0**-76, -(2.0**-77), 2.0**-110, 2.0**90]
DIGITS = {"float32": 24, "float64": 53}
TYPES = list(DIGITS)


def hard_dividends(divisor, digits):
    """X 2^(digits + 1) = k modulo D: quotients as near as can be to half way between two numbers, for small k."""
    d = int(divisor * 2 ** (digits - 1))
    if d % 2 == 0:
        return []
    inverse = pow(2, -(digits + 1), d)
    found = [k * inverse % d for k in (1, -1, 2, -2, 3, -3)]
    return [x / 2 ** (digits - 1) for x in found if x >= 2 ** (digits - 1)]


def with_hard_dividends(rng, dtype, rows, length):
    """Rows and a divisor for each in [1, 2): odd ones, so that there are hard dividends, and scaled ones."""
    digits = DIGITS[dtype]
    whole = rng.integers(2 ** (digits - 1), 2**digits, rows) | (rng.random(rows) < 0.9)
    divisors = whole.astype(np.float64) / 2 ** (digits - 1)
    x = rng.standard_normal((rows, length)).astype(dtype)
    for row, divisor in zip(x, divisors):
        hard = np.array(hard_dividends(divisor, digits))
        row[rng.integers(0, length, 6 * len(hard))] = np.tile(hard, 6) * rng.choice([-1, 1], 6 * len(hard))
    scale = 2.0 ** rng.integers(-45, 45, (rows, 1))
    signs = np.where(rng.random((rows, 1)) < 0.2, -1, 1)
    return (x * (scale * 2.0 ** rng.integers(-20, 20, (rows, 1)))).astype(dtype), (divisors[:, None] * scale * signs).astype(dtype)


def as_mx(x):
    return mx.array(x, getattr(mx, str(x.dtype)))


def quotients(x, y):
    with np.errstate(all="ignore"):
        return x / y


def assert_same_bits(found, expected):
    found, numbers = np.array(found), ~np.isnan(expected)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rows,length", [(600, 256), (300, 1000), (200, 64), (40, 4096), (9, 10_000)])
def test_divisors_of_rows(dtype, rows, length):
    rng = np.random.default_rng(rows)
    x, y = with_hard_dividends(rng, dtype, rows, length)
    x[:, ::17] *= rng.random(x[:, ::17].shape) < 0.5
    assert_same_bits(as_mx(x) / as_mx(y), quotients(x, y))
    assert_same_bits(mx.negative(as_mx(x)) / as_mx(y) + 0, quotients(-x, y) + 0)
    assert_same_bits(mx.compile(lambda x, y: mx.abs(x) / y)(as_mx(x), as_mx(y)), quotients(np.abs(x), y))


@pytest.mark.parametrize("dtype", TYPES)
def test_divisors_that_rows_give(dtype):
    """A row's last element is its largest, and its divisor."""
    rng = np.random.default_rng(1)
    x, y = with_hard_dividends(rng, dtype, 300, 1024)
    x, y = np.minimum(x / y, 1).astype(dtype), np.abs(y)
    x = np.concatenate([x * y, y], axis=1)[:, -1024:]
    rows = as_mx(x)
    largest = np.max(x, axis=1, keepdims=True)
    assert_same_bits(rows / mx.max(rows, axis=1, keepdims=True), quotients(x, largest))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("seed", range(60))
def test_numbers(dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = with_hard_dividends(rng, dtype, 1, 2048 + int(rng.integers(0, 200)))
    assert_same_bits(as_mx(x[0]) / as_mx(y[0, 0]), quotients(x[0], y[0, 0]))
    assert_same_bits(as_mx(x[0]) * 2 / as_mx(y[0, 0]), quotients(x[0] * 2, y[0, 0]))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("divisor", [*EDGES, 3, -3, 0.1, -0.7, 2.0**40, 1.1 * 2.0**40, 1.7 * 2.0**-40, 2.0**-41, 8, -0.25])
def test_edges(dtype, divisor):
    rng = np.random.default_rng(5)
    with np.errstate(over="ignore"):
        few = np.concatenate([EDGES, np.nextafter(np.array(EDGES, dtype), 0)])
        each = np.concatenate([np.tile(few, 100), np.repeat(few, 64), rng.standard_normal(1000) * 10.0 ** rng.uniform(-40, 38, 1000)])
        x, y = each.astype(dtype), np.array(divisor, dtype)
    assert_same_bits(as_mx(x) / as_mx(y), quotients(x, y))
    rows = np.stack([x, x[::-1]])
    column = np.array([[divisor], [3]]).astype(dtype)
    assert_same_bits(as_mx(rows) / as_mx(column), quotients(rows, column))
