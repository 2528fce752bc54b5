"""Floor division and remainder of integers by one number, and by an array of it: what Python's integers give, for
divisors of every size and dividends at the ends of the dtype and about multiples of the divisor."""

import numpy as np
import pytest

import mlx.core as mx

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def divisors(rng, info):
    powers = [1 << k for k in range(info.bits)]
    near = [p + k for p in powers for k in (-1, 0, 1)]
    drawn = [int(rng.integers(0, 1 << 62)) >> int(rng.integers(0, 62)) for _ in range(60)]
    signs = (1, -1) if info.min < 0 else (1,)
    given = {sign * number for number in [*near, *drawn, 3, 5, 7, 10, 100, 1000, info.max, info.max - 1] for sign in signs}
    return sorted(number for number in given | {info.min} if info.min <= number <= info.max and number != 0)


@pytest.mark.parametrize("name", DTYPES)
def test_by_one_number(name):
    info = np.iinfo(name)
    rng = np.random.default_rng(info.bits)
    drawn = [int(rng.integers(0, 1 << 63)) >> int(rng.integers(0, 63)) for _ in range(40)]
    ends = [info.min + k for k in range(4)] + [info.max - k for k in range(4)]
    for divisor in divisors(rng, info):
        multiples = [k * divisor + off for k in (-3, -2, -1, 1, 2, 3, info.max // divisor) for off in (-1, 0, 1)]
        numbers = [n for n in [*drawn, *(-n for n in drawn), *ends, *multiples, 0, 1] if info.min <= n <= info.max]
        a, b = mx.array(np.array(numbers, name)), mx.array(np.full(len(numbers), divisor, name))
        wrap = lambda values: np.array([(v - info.min) % (1 << info.bits) + info.min for v in values], name)
        quotients, rests = wrap([n // divisor for n in numbers]), wrap([n % divisor for n in numbers])
        assert np.array_equal(np.array(mx.floor_divide(a, b)), quotients), divisor
        assert np.array_equal(np.array(mx.remainder(a, b)), rests), divisor
        one = b[0]  # an array of no axes, which is broadcast
        assert np.array_equal(np.array(mx.floor_divide(a, one)), quotients), divisor
        assert np.array_equal(np.array(mx.remainder(a, one)), rests), divisor
