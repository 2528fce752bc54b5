"""How far a result is from the truth: errors in units in the last place, and the bounds that the grids hold ops to."""

import numpy as np

from arrays import COMPLEX, INEXACT, real_of

DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LOWEST = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}
HIGHEST = {"float16": 65504.0, "bfloat16": 2.0**127 * 1.9921875, "float32": float(np.finfo(np.float32).max),
           "float64": float(np.finfo(np.float64).max)}
EPSILON = {name: 2.0 ** (1 - digits) for name, digits in DIGITS.items()}


def epsilon(name):
    """The gap above 1 of a dtype, of its parts for a complex one; 0 for integers."""
    return EPSILON[real_of(name)] if name in INEXACT else 0.0


def spacing(values, name):
    """The gap between neighbours of a dtype at each magnitude, subnormal numbers included."""
    real = real_of(name)
    magnitude = np.abs(np.asarray(values)).astype(np.longdouble)
    with np.errstate(all="ignore"):
        exponent = np.where(magnitude > 0, np.floor(np.log2(magnitude)), LOWEST[real])
    exponent = np.clip(np.nan_to_num(exponent), LOWEST[real], None)
    return np.ldexp(np.longdouble(1), exponent.astype(np.int64) - (DIGITS[real] - 1))


def overflowing(truth, name):
    """Where the truth rounds to an infinity of the dtype."""
    real = real_of(name)
    limit = np.longdouble(HIGHEST[real]) + spacing(HIGHEST[real], name) / 2
    with np.errstate(all="ignore"):
        return np.abs(truth) >= limit


def ulp_errors(got, truth, name, magnitude=None, zeros=False):
    """|got - truth| in gaps of the dtype at the truth (or at `magnitude`, where cancellation makes that the measure).
    NaN and infinite truths must be met exactly, and with `zeros` the sign of a zero, too: a miss is infinitely far.
    Finite complex numbers are measured by modulus, others by part."""
    got = np.asarray(got)
    truth = np.asarray(truth)
    if got.shape != truth.shape:
        raise AssertionError(f"shape {got.shape}, expected {truth.shape}")
    if name in COMPLEX:
        return _complex_errors(got, truth, name, magnitude, zeros)
    wide = got.astype(np.longdouble)
    truth = truth.astype(np.longdouble)
    over = overflowing(truth, name)
    expected = np.where(over, np.copysign(np.inf, truth), truth)
    with np.errstate(all="ignore"):
        error = np.abs(wide - truth) / spacing(truth if magnitude is None else magnitude, name)
        # One step short of infinity, or over it, is an error of a gap or two, not an infinite one.
        edge = np.abs(truth) > 0.99 * HIGHEST[real_of(name)]
        step = np.abs(np.clip(wide, -HIGHEST[name], HIGHEST[name]) - np.clip(truth, -HIGHEST[name], HIGHEST[name]))
        finite_edge = edge & np.isfinite(truth) & (np.sign(wide) == np.sign(truth))
        error = np.where(finite_edge, step / spacing(HIGHEST[name], name), error)
    same = (np.isnan(wide) & np.isnan(expected)) | (wide == expected)
    error = np.where(same, 0.0, error)
    if zeros:
        error = np.where(_zero_of_the_other_sign(wide, truth, name), np.inf, error)
    return np.where(np.isnan(error), np.inf, error).astype(np.float64)


def _zero_of_the_other_sign(got, truth, name):
    """Where a zero has the other sign than the truth: a zero, or what rounds to one."""
    tiny = np.abs(truth) < np.ldexp(np.longdouble(1), LOWEST[real_of(name)] - DIGITS[real_of(name)])
    return (got == 0) & tiny & (np.signbit(got) != np.signbit(truth))


def _complex_errors(got, truth, name, magnitude, zeros):
    wide = got.astype(np.clongdouble)
    truth = truth.astype(np.clongdouble)
    real = real_of(name)
    with np.errstate(all="ignore"):
        modulus = np.abs(truth)
        error = np.abs(wide - truth) / spacing(modulus if magnitude is None else magnitude, name)
    finite = np.isfinite(wide)
    error = np.where(np.isfinite(error) & finite, error, np.inf)
    # Near the end of the range a finite value may overflow on its way.
    edge = np.isfinite(truth) & (modulus > 0.25 * HIGHEST[real])
    error = np.where(edge & ~finite, 0.0, error)
    parts = [(wide.real, truth.real), (wide.imag, truth.imag)]
    with np.errstate(all="ignore"):
        by_part = np.maximum(*(ulp_errors(g, t, real) for g, t in parts))
    # Where one part is infinite the number is, whatever the other: then a NaN there stands for any value.
    free = np.maximum(*(np.where(np.isinf(other) & np.isnan(t), 0.0, ulp_errors(g, t, real))
                        for (g, t), other in zip(parts, (truth.imag, truth.real))))
    error = np.where(np.isfinite(truth), error, np.minimum(by_part, free))
    if zeros:  # a part is a difference of products: what vanishes on the way leaves no sign
        for g, t in parts:
            error = np.where(_zero_of_the_other_sign(g, t, name) & (t == 0), np.inf, error)
    return error.astype(np.float64)


def assert_ulp(got, truth, name, bound, magnitude=None, what="", zeros=False):
    """Fails with the worst element when an error exceeds the bound."""
    errors = ulp_errors(got, truth, name, magnitude, zeros)
    if errors.size and errors.max() > bound:
        at = np.unravel_index(int(errors.argmax()), errors.shape)
        raise AssertionError(
            f"{what}: {errors.max():.4g} ulp at {at}, bound {bound}; got {np.asarray(got)[at]!r}, "
            f"expected {np.asarray(truth)[at]!r}; {int((errors > bound).sum())} of {errors.size} elements are off")


def assert_near(got, expected, tolerance, what=""):
    """Fails where |got - expected| exceeds tolerance times the scale of the expected values."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    scale = 1.0 + (np.abs(expected).max() if expected.size else 0.0)
    error = np.abs(got - expected).max() if expected.size else 0.0
    assert error <= tolerance * scale, f"{what}: off by {error:.3g}, scale {scale:.3g}\n got {got}\n expected {expected}"


def near_or_equal(got, expected, what=""):
    """Values of 64 bits to 13 digits, of fewer to all but the last few bits; others exactly."""
    if expected.dtype.kind in "fc":
        assert_near(got, expected, max(1e-13, 64 * np.finfo(expected.dtype).eps), what)
    else:
        np.testing.assert_array_equal(got, expected, what)
