"""Kernels that find one exponent, or one divisor, for all elements take shorter ways: to the same bits as beside others."""

import mlx.core as mx
import numpy as np
import pytest

EXPONENTS = [3, 2, 1, 0, -1, 0.5, -0.5, 1.5, -3, 4, 10, 64, -64, 63.5, 64.5, 65, 1.7, 0.3, 7, -7.5, np.nan, np.inf, -np.inf]
EDGES = [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.2e-38, 3e38, -3e38, 2.0**40, 2.0**-30]


def bases(dtype):
    rng = np.random.default_rng(3)
    spread = rng.standard_normal(2000) * 10.0 ** rng.uniform(-40, 38, 2000)
    with np.errstate(over="ignore"):
        return np.concatenate([EDGES, rng.standard_normal(2000), spread]).astype(dtype)


def same_bits(x, y):
    """Also of zeros' signs; any NaN is a NaN."""
    return np.array_equal(x, y, equal_nan=True) and np.array_equal(np.signbit(x[x == 0]), np.signbit(y[y == 0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_do_not_depend_on_their_neighbours(dtype):
    x, y = bases(dtype), np.array(EXPONENTS, dtype)
    beside_others = np.array(mx.power(mx.array(x)[:, None], mx.array(y)))
    for i, exponent in enumerate(y):
        alone = np.array(mx.power(mx.array(x), mx.array(exponent)))
        assert same_bits(alone, beside_others[:, i]), exponent


@pytest.mark.parametrize("exponent", [e for e in EXPONENTS if e != 0.5])  # NumPy takes the square root then, of -0 and -inf as well
def test_powers_of_float32_are_those_of_float64_rounded(exponent):
    x = bases("float32")
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), np.float64(np.float32(exponent))).astype(np.float32)
    found = np.array(mx.array(x) ** exponent)
    off = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
    # Where the logarithm's last bit decides, one in some thousands is the neighbour.
    assert np.all(np.abs(found[off] - expected[off]) <= np.spacing(np.abs(expected[off]))) and np.mean(off) < 0.002
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_square_roots_as_powers_have_the_edges_of_c():
    found = np.array(mx.array(np.array([0.0, -0.0, -np.inf, np.inf, -1, 4], np.float32)) ** 0.5)
    assert same_bits(found, np.array([0, 0, np.inf, np.inf, np.nan, 2], np.float32))


DIVISORS = {
    "int32": [1, 2, 3, 7, 10, 65536, 46341, 10**9, 2**31 - 1, -1, -2, -3, -7, -(2**30), -(2**31) + 1, -(2**31), 0],
    "uint32": [1, 2, 3, 7, 65537, 10**9, 2**31, 2**31 + 1, 2**32 - 1, 0],
}


@pytest.mark.parametrize("dtype,divisor", [(dtype, d) for dtype, found in DIVISORS.items() for d in found])
def test_integers_by_one_divisor(dtype, divisor):
    info, rng = np.iinfo(dtype), np.random.default_rng(4)
    multiples = np.arange(-2000, 2000) * divisor  # where a quotient is whole, and beside
    numbers = np.concatenate([[info.min, info.min + 1, info.max, info.max - 1, 0, 1], multiples, multiples + 1, multiples - 1,
                              rng.integers(info.min, info.max, 5000, endpoint=True)])
    numbers = numbers[(numbers >= info.min) & (numbers <= info.max)]
    x, d = mx.array(numbers.astype(dtype)), mx.array(np.array(divisor, dtype))
    quotients, rests = (0, 0) if divisor == 0 else (numbers // divisor, numbers % divisor)
    wrapped = lambda values: np.broadcast_to(np.asarray(values).astype(np.int64).astype(dtype), numbers.shape)
    assert np.array_equal(np.array(x // d), wrapped(quotients))
    assert np.array_equal(np.array(x % d), wrapped(rests))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_by_powers_of_two(dtype):
    info, rng = np.iinfo(dtype), np.random.default_rng(5)
    for n in (15, 16, 17, 1003):
        x = rng.integers(info.min, info.max, n, dtype, endpoint=True)
        x[:5] = [info.min, info.min + 1, info.max, 0, 1]
        for power in range(info.bits - (info.min < 0)):
            divisor = np.array(1 << power, dtype)
            assert np.array_equal(np.array(mx.array(x) // mx.array(divisor)), x // divisor)
            assert np.array_equal(np.array(mx.array(x) % mx.array(divisor)), x % divisor)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_integers_by_any_small_divisor(dtype):
    info = np.iinfo(dtype)
    x = np.arange(max(info.min, -(1 << 15)), min(info.max, 65535) + 1).astype(dtype)
    divisors = range(info.min, info.max + 1) if info.bits == 8 else [*range(-20, 20), 127, 641, 1000, 9999, 32767, info.max - 1, info.max, info.min + 1]
    for number in divisors:
        divisor = np.array(number).astype(dtype)
        if divisor not in (0, np.array(-1).astype(dtype)):
            assert np.array_equal(np.array(mx.array(x) // mx.array(divisor)), x // divisor), number
            assert np.array_equal(np.array(mx.array(x) % mx.array(divisor)), x % divisor), number


def test_numbers_beside_multiples_of_many_divisors():
    rng = np.random.default_rng(6)
    for divisor in np.exp2(rng.uniform(1.5, 31, 300)).astype(np.int64):
        multiples = rng.integers(-(1 << 31), 1 << 31, 300) // divisor * divisor
        x = np.concatenate([multiples, multiples + 1, multiples - 1, [-(1 << 31), (1 << 31) - 1]]).clip(-(1 << 31), (1 << 31) - 1)
        found = mx.array(x.astype(np.int32)) // mx.array(divisor.astype(np.int32))
        assert np.array_equal(np.array(found), x // divisor), divisor
