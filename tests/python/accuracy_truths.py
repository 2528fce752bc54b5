"""What elementwise functions are, to more digits than any dtype has: by mpmath, and by NumPy's long doubles, which are quick
and good enough to find the arguments that mpmath should look at."""

import fractions
import math

import mpmath
import numpy as np
import scipy.special
from mpmath import mpc, mpf

import references

PRECISION = 160
ZERO = mpmath.ldexp(mpf(1), -40000)  # stands for a zero that has a sign: functions on a branch cut follow it


def to_mp(x):
    """Exactly. A NumPy number of any width."""
    if isinstance(x, (complex, np.complexfloating)):
        return mpc(*(math.copysign(1, part) * ZERO if part == 0 else to_mp(part) for part in (x.real, x.imag)))
    return mpf(float(x))


def to_long(value):
    """An mpf as a long double."""
    if not mpmath.isfinite(value):
        return np.longdouble(float(value))
    sign, man, exp, bits = mpf(value)._mpf_ if isinstance(value, mpf) else mpmath.mpmathify(value)._mpf_
    man = int(man)
    if bits > 64:
        shift = bits - 64
        man, exp = (man + (1 << (shift - 1))) >> shift, exp + shift
    wide = np.longdouble(man >> 32) * np.longdouble(2.0**32) + np.longdouble(man & 0xFFFFFFFF)
    with np.errstate(all="ignore"):
        return np.ldexp(-wide if sign else wide, max(-30000, min(30000, int(exp))))


def by_mpmath(function, arguments):
    """The values as long doubles, complex ones where the function's are."""
    values = []
    with mpmath.workprec(PRECISION):
        for point in zip(*arguments):
            try:
                value = function(*map(to_mp, point))
            except (ZeroDivisionError, ValueError):
                value = mpmath.nan
            values.append(value)
    if any(np.iscomplexobj(a) for a in arguments) and any(isinstance(v, mpc) for v in values):
        out = np.empty(len(values), np.clongdouble)
        out.real, out.imag = ([to_long(mpmath.mpmathify(part(v))) for v in values] for part in (_re, _im))
        return out
    return np.array([to_long(mpmath.nan if isinstance(v, mpc) else v) for v in values], np.longdouble)


def _re(v):
    return v.real if isinstance(v, mpc) else v


def _im(v):
    return v.imag if isinstance(v, mpc) else mpf(0)


def _wide(function, most=3000):
    """With the digits that a sum of 1 and a tiny number has."""
    def more(*args):
        small = [abs(mpmath.mag(part)) for a in args for part in ((a.real, a.imag) if isinstance(a, mpc) else (a,)) if part]
        needed = 2 * max([s for s in small if s < 1500], default=0)  # not those that stand for zeros
        with mpmath.workprec(PRECISION + min(most, needed)):
            return +function(*args)
    return more


def _log1p(z):
    return mpmath.log(1 + z) if isinstance(z, mpc) else mpmath.log1p(z)


def _expm1(z):
    return mpmath.exp(z) - 1 if isinstance(z, mpc) else mpmath.expm1(z)


def _real_or_nan(function, inside):
    return lambda x: function(x) if isinstance(x, mpc) or inside(x) else mpmath.nan


def _sigmoid(z):
    return 1 / (1 + mpmath.exp(-z)) if _re(z) > 0 else mpmath.exp(z) / (1 + mpmath.exp(z))


def _logaddexp(a, b):
    """log(exp(a) + exp(b)) by the larger one."""
    if _re(b) > _re(a):
        a, b = b, a
    return a + _wide(_log1p)(mpmath.exp(b - a)) if _re(b - a) > -60000 else a


def _logaddexp2(a, b):
    larger, smaller = max(a, b), min(a, b)
    return larger + mpmath.log1p(mpf(2) ** (smaller - larger)) / mpmath.log(2) if larger - smaller < 5000 else larger


def _exact(function):
    """Of fractions, which lose nothing; the quotient of floor_divide is rounded by 160 digits later."""
    def of_numbers(a, b):
        if b == 0:
            return mpmath.nan
        value = function(_fraction(a), _fraction(b))
        return mpf(value.numerator) / value.denominator
    return of_numbers


def _fraction(x):
    sign, man, exp, _ = x._mpf_
    return fractions.Fraction((-1) ** sign * int(man)) * fractions.Fraction(2) ** exp


def _power(x, y):
    if not isinstance(x, mpc):
        if x < 0 and y != mpmath.floor(y):
            return mpmath.nan
        if x == 0:
            return mpmath.nan
        exponent = y * mpmath.log(abs(x))
        if abs(exponent) > 20000:
            return (-1 if x < 0 and int(y) % 2 else 1) * (mpmath.inf if exponent > 0 else mpf(0))
        odd = x < 0 and int(mpmath.floor(y)) % 2 == 1
        return (-1 if odd else 1) * _wide_exponent(x, y)
    exponent = y * _wide(mpmath.log)(x)
    return mpmath.exp(exponent) if abs(exponent.real) < 20000 else mpmath.nan if exponent.real > 0 else mpc(0)


def _wide_exponent(x, y):
    with mpmath.workprec(PRECISION + 80):
        return mpmath.exp(y * mpmath.log(abs(x)))


def _sinc(x):
    return mpmath.sincpi(x) if x else mpf(1)


np_pi = by_mpmath(lambda _: +mpmath.pi, [np.zeros(1)])[0]


def _screen_sinc(x):
    whole = np.rint(x)
    turned = np.sin((x - whole) * np_pi) * np.where(np.fmod(np.abs(whole), 2) == 1, -1, 1)
    return np.where(x == 0, 1, turned / np.where(x == 0, 1, x * np_pi))


def _angle(z):
    return mpmath.arg(z) if isinstance(z, mpc) else (mpmath.pi if z < 0 else mpf(0))


def _arctan2(y, x):
    return mpmath.atan2(y, x)


def _sign(z):
    return z / abs(z) if isinstance(z, mpc) else mpf(mpmath.sign(z))


def _erfinv(x):
    return mpmath.erfinv(x) if abs(x) < 1 else mpmath.inf * x


def _in(low, high):
    return lambda x: low <= x <= high


# name: (mpmath, NumPy's screen or None for mpmath alone)
UNARY = {
    "exp": (mpmath.exp, np.exp),
    "exp2": (lambda x: mpf(2) ** x, np.exp2),
    "expm1": (_wide(_expm1), np.expm1),
    "log": (_real_or_nan(_wide(mpmath.log), lambda x: x > 0), np.log),
    "log2": (_real_or_nan(lambda x: mpmath.log(x) / mpmath.log(2), lambda x: x > 0), np.log2),
    "log10": (_real_or_nan(lambda x: mpmath.log(x) / mpmath.log(10), lambda x: x > 0), np.log10),
    "log1p": (_real_or_nan(_wide(_log1p), lambda x: x >= -1), np.log1p),
    "sigmoid": (_wide(_sigmoid), references.reference_of("sigmoid")),
    "erf": (mpmath.erf, None),
    "erfinv": (_real_or_nan(_erfinv, _in(-1, 1)), None),
    "sin": (_wide(mpmath.sin), np.sin),
    "cos": (_wide(mpmath.cos), np.cos),
    "tan": (_wide(mpmath.tan), np.tan),
    "arcsin": (_real_or_nan(_wide(mpmath.asin), _in(-1, 1)), np.arcsin),
    "arccos": (_real_or_nan(_wide(mpmath.acos), _in(-1, 1)), np.arccos),
    "arctan": (_wide(mpmath.atan), np.arctan),
    "sinh": (_wide(mpmath.sinh), np.sinh),
    "cosh": (_wide(mpmath.cosh), np.cosh),
    "tanh": (_wide(mpmath.tanh), np.tanh),
    "arcsinh": (_wide(mpmath.asinh), np.arcsinh),
    "arccosh": (_real_or_nan(_wide(mpmath.acosh), lambda x: x >= 1), np.arccosh),
    "arctanh": (_real_or_nan(_wide(mpmath.atanh), _in(-1, 1)), np.arctanh),
    "sinc": (_sinc, _screen_sinc),
    "degrees": (lambda x: x * 180 / mpmath.pi, lambda x: x * (180 / np_pi)),
    "radians": (lambda x: x * mpmath.pi / 180, lambda x: x * (np_pi / 180)),
    "sqrt": (_real_or_nan(mpmath.sqrt, lambda x: x >= 0), np.sqrt),
    "rsqrt": (_real_or_nan(lambda x: 1 / mpmath.sqrt(x), lambda x: x > 0), lambda x: 1 / np.sqrt(x)),
    "reciprocal": (lambda x: 1 / x, lambda x: 1 / x),
    "square": (lambda x: x * x, lambda x: x * x),
    "abs": (abs, np.abs),
    "sign": (_sign, np.sign),
    "negative": (lambda x: -x, np.negative),
    "angle": (_angle, np.angle),
    "floor": (mpmath.floor, np.floor),
    "ceil": (mpmath.ceil, np.ceil),
    "trunc": (lambda x: mpmath.floor(x) if x >= 0 else mpmath.ceil(x), np.trunc),
    "round": (mpmath.nint, np.rint),
}
BINARY = {
    "add": (lambda a, b: a + b, np.add),
    "subtract": (lambda a, b: a - b, np.subtract),
    "multiply": (lambda a, b: a * b, np.multiply),
    "zero_times": (lambda a, b: a * b, references.reference_of("zero_times")),
    "divide": (lambda a, b: a / b, np.divide),
    "floor_divide": (_exact(lambda a, b: fractions.Fraction(math.floor(a / b))), np.floor_divide),
    "remainder": (_exact(lambda a, b: a - b * math.floor(a / b)), np.remainder),
    "power": (_power, np.power),
    "hypot": (mpmath.hypot, np.hypot),
    "arctan2": (_arctan2, np.arctan2),
    "logaddexp": (_logaddexp, references.reference_of("logaddexp")),
    "logaddexp2": (_logaddexp2, np.logaddexp2),
}
# In float64, which is wide enough for what is narrower.
NARROW_SCREENS = {"erf": scipy.special.erf, "erfinv": scipy.special.erfinv}


def _screen_expm1(z):
    half = np.sin(z.imag / 2)
    return np.expm1(z.real) * np.cos(z.imag) - 2 * half * half + 1j * (np.exp(z.real) * np.sin(z.imag))


# Long doubles that lose digits themselves are no screen: then mpmath looks at every argument.
COMPLEX_SCREENS = {
    "sigmoid": lambda z: np.where(np.abs(z.real) < 1, (1 + np.tanh(z / 2)) / 2, references.reference_of("sigmoid")(z)),
    "square": lambda z: z * z, "log1p": references.reference_of("log1p"),
    "exp2": lambda z: np.exp(z * np.log(np.longdouble(2))), "expm1": _screen_expm1, "sign": lambda z: z / np.abs(z),
    "rsqrt": lambda z: 1 / np.sqrt(z), "degrees": lambda z: z * (180 / np_pi), "radians": lambda z: z * (np_pi / 180),
    "power": lambda z, w: np.exp(w * np.log(z)), "logaddexp": references.reference_of("logaddexp"),
}
