"""Exponentials that are subnormal, or vanish: rounded as those of float64 are, on every instruction set."""

import mlx.core as mx
import numpy as np

from again import again, lesser_instruction_sets


def units(got, exact, least):
    """The largest error, in units of the least subnormal number."""
    return np.max(np.abs(np.array(got).astype(np.float64) - exact) / least)


def check():
    least = 2.0**-149
    x = np.concatenate([np.linspace(-104.5, -87.4, 200_001), np.full(40, -103.5)]).astype(np.float32)
    assert units(mx.exp(mx.array(x)), np.exp(x.astype(np.float64)), least) <= 1.01
    assert units(mx.sigmoid(mx.array(x)), np.exp(x.astype(np.float64)), least) <= 1.01
    y = np.linspace(-151, -126, 200_001).astype(np.float32)
    assert units(mx.exp2(mx.array(y)), np.exp2(y.astype(np.float64)), least) <= 1.01
    # Between ordinary ones, in every lane; also by steps of a fused program
    for lane in range(33):
        row = np.zeros(40, np.float32)
        row[lane], row[39] = -100, -np.inf
        expected = np.exp(row.astype(np.float64))
        for exp in (mx.exp, lambda x: mx.exp(x * 0.5 + x * 0.5), lambda x: mx.exp2(x / np.float32(np.log(2)))):
            np.testing.assert_allclose(np.array(exp(mx.array(row))), expected, rtol=1e-5, atol=3 * least)
    powers = np.arange(-1090, -1010).astype(np.float64)
    np.testing.assert_array_equal(np.array(mx.exp2(mx.array(powers, mx.float64))), np.ldexp(1.0, powers.astype(int)))
    z = np.linspace(-746, -708, 100_001)
    with np.errstate(under="ignore"):
        exact = np.exp(np.longdouble(z))
    error = np.abs(np.longdouble(np.array(mx.exp(mx.array(z, mx.float64)))) - exact)
    assert np.all(error <= 1.01 * np.spacing(np.float64(exact)))
    vanishing = mx.array([-105.0, -150, -1e3, -1e9, -3e38, -np.inf, np.nan, 0])
    for dtype in (mx.float32, mx.float64, mx.bfloat16):
        v = mx.concatenate([vanishing] * 9).astype(dtype) * (8 if dtype == mx.float64 else 1)
        for exp in (mx.exp, mx.exp2):
            got = np.array(exp(v if exp is mx.exp else v * 2).astype(mx.float64)).reshape(9, 8)
            np.testing.assert_array_equal(got, [[0, 0, 0, 0, 0, 0, np.nan, 1]] * 9)
        np.testing.assert_array_equal(np.array(mx.logaddexp(v, mx.zeros_like(v)).astype(mx.float64)).reshape(9, 8)[:, :6], np.zeros((9, 6)))


def test_this_instruction_set():
    check()


@lesser_instruction_sets
def test_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    check()
