"""Powers with one whole exponent for all are other steps in programs (a square, a cube, a reciprocal): the bits are those of a power alone, with
an exponent for each element."""

import mlx.core as mx
import numpy as np
import pytest
from test_loop_calls import bits

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38, 2.0**-30, 2.0**40, 2.0**41, 6.9e12, -7e12, 4.6e-13, 2.0**-50]


def numbers(n, dtype):
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-14, 13, n)
    at = rng.permutation(n)[: len(EDGES)]
    x[at] = EDGES[: len(at)]
    return mx.array(x.astype(np.float64)).astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("exponent", [1, 2, 3, -1, 0.5, -2, 4])
@pytest.mark.parametrize("n", [40, 3001, 70001])
def test_powers_between_other_steps(n, exponent, dtype):
    x = numbers(n, dtype)
    exponents = mx.contiguous(mx.broadcast_to(mx.array(exponent, dtype=dtype), (n,)))
    a = x * 0.5
    mx.eval(x, exponents, a)
    b = mx.power(a, exponents)
    mx.eval(b)
    expected = b * 0.25 + x
    mx.eval(expected)
    expected = mx.where(mx.isnan(expected), 1, expected)  # which NaN is not said
    f = lambda x: (lambda y: mx.where(mx.isnan(y), 1, y))((x * 0.5) ** exponent * 0.25 + x)  # noqa: E731
    assert bits([f(x)]) == bits([expected])
    compiled = mx.compile(f)
    for _ in range(3):
        assert bits([compiled(x)]) == bits([expected])
    sums = mx.sum(mx.reshape(x[: n // 8 * 8], (8, -1)) ** exponent, axis=1)
    assert bits([sums]) == bits([mx.sum(mx.reshape(mx.contiguous(mx.power(x, exponents)[: n // 8 * 8]), (8, -1)), axis=1)])
