"""What each elementwise op is, in NumPy: evaluated on wider types than the op's own, so that results can be told apart in
the last place. An op called as in NumPy needs no line here."""

import mpmath
import numpy as np
import scipy.special

mpmath.mp.prec = 120


def _by_mpmath(function):
    """Elementwise through mpmath, to the precision of a long double."""
    def one(x):
        x = float(x) if isinstance(x, np.floating) and x == np.float64(x) else x
        if np.isnan(x):
            return np.longdouble(np.nan)
        if x == 0:
            return np.longdouble(x)  # mpmath has one zero; these functions are odd
        value = function(mpmath.mpf(float(x)))
        return np.longdouble(mpmath.nstr(value, 30)) if mpmath.isfinite(value) else np.longdouble(float(value))
    return np.frompyfunc(one, 1, 1)


def _special(by_scipy, by_mpmath):
    """SciPy where its double precision is wider than what is tested, else mpmath."""
    def function(x):
        if np.asarray(x).dtype != np.longdouble:
            return np.where(x == 0, x, by_scipy(x))
        return np.asarray(_by_mpmath(by_mpmath)(x)).astype(np.longdouble)
    return function


def _erfinv(x):
    if abs(x) == 1:
        return mpmath.inf * x
    return mpmath.erfinv(x) if abs(x) < 1 else mpmath.nan


def _on_bool(for_bool, otherwise):
    """NumPy refuses these on booleans."""
    return lambda *a: for_bool(*a) if np.asarray(a[0]).dtype == bool else otherwise(*a)


def _identity(x):
    return x


def _power(a, b):
    """A negative power of an integer is the exact one, cut to an integer. NumPy's complex powers 1 and -1 lose what is beside
    an infinity, and the sign of 0."""
    if np.iscomplexobj(a):
        return np.where(b == 1, a, np.where((b == -1) & (a != 0), 1 / a, np.power(a, b)))
    if np.asarray(a).dtype.kind not in "iu":
        return np.power(a, b)
    ones = np.where(a == 1, 1, np.where(a.astype(np.int64) == -1, 1 - 2 * (b % 2), 0))
    return np.where(b < 0, ones, np.power(a, np.maximum(b, 0))).astype(a.dtype)


def _infinite_with(sign):
    """Equal to that infinity: of a complex number, with imaginary part 0."""
    return lambda x: x == sign * np.inf


def _scaled(factor):
    return lambda x: x * np.asarray(factor, np.longdouble).astype(x.real.dtype)


def _make_complex(re, im):
    """re + 1j * im loses the signs of zeros and what is beside an infinity."""
    re, im = np.broadcast_arrays(re, im)
    out = np.empty(re.shape, np.result_type(re, np.complex64))
    out.real, out.imag = re, im
    return out


def _extremum(of_numpy):
    """Of equal real numbers, which differ in the sign of a zero, the second: NumPy's own answer depends on the machine."""
    def function(a, b):
        found = of_numpy(a, b)
        return found if np.iscomplexobj(found) else np.where(a == b, b, found)
    return function


def _floor_divide(a, b):
    """The floor of a / b where one is infinite: NumPy's is Python's there."""
    if np.asarray(a).dtype.kind not in "f":
        return np.floor_divide(a, b)
    return np.where(np.isinf(a) | np.isinf(b), np.copysign(np.abs(a) / np.abs(b), np.copysign(1, a) * np.copysign(1, b)), np.floor_divide(a, b))


def _expm1(x):
    """Beside infinities and NaN as C has it for exp."""
    return np.where(np.isfinite(x), np.expm1(x), np.exp(x) - 1) if np.iscomplexobj(x) else np.expm1(x)


def _reciprocal(x):
    return 1 / np.asarray(x)


def _log1p(x):
    """NumPy's log1p of a complex number loses what 1 + x rounds away."""
    if not np.iscomplexobj(x):
        return np.log1p(x)

    def real_part(re, im):
        re, im = mpmath.mpf(float(re)), mpmath.mpf(float(im))
        square = re * (2 + re) + im * im  # |1 + z|^2 - 1
        return np.longdouble(mpmath.nstr(mpmath.log1p(square) / 2, 30)) if square > -1 else np.longdouble(-np.inf)

    finite = np.isfinite(x)
    inside = np.where(finite, x, 0)
    parts = np.asarray(np.frompyfunc(real_part, 2, 1)(inside.real, inside.imag)).astype(np.longdouble)
    plus_one = _make_complex(1 + x.real, x.imag)
    return np.where(finite, _make_complex(parts, np.arctan2(x.imag, 1 + x.real)), np.log(plus_one))


def _sigmoid(x):
    x = np.asarray(x)
    if np.iscomplexobj(x):
        right = 1 / (1 + np.exp(-x))
        value = np.where(x.real < 0, np.exp(x) / (1 + np.exp(x)), right)
        return np.where((x.imag == 0) & ~np.isnan(x), _make_complex(value.real, x.imag), value)  # as the derivative is positive
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, np.ones_like(small)) / (1 + small)


def _zero_times(a, b):
    a, b = np.broadcast_arrays(a, b)
    return np.where((a == 0) | (b == 0), np.zeros_like(a), a * b)


def _logaddexp(a, b):
    """Of complex numbers, at infinities the larger one alone, whatever the angle of the other."""
    if not np.iscomplexobj(a):
        return np.logaddexp(a, b)
    a, b = np.broadcast_arrays(a, b)
    first = (a.real > b.real) | ((a.real == b.real) & (a.imag > b.imag))
    larger, smaller = np.where(first, a, b), np.where(first, b, a)
    alone = (smaller.real == -np.inf) | (larger.real == np.inf)
    value = np.where(alone, _make_complex(larger.real + 0.0, larger.imag), larger + _log1p(np.exp(smaller - larger)))
    return np.where(np.isnan(a) | np.isnan(b), np.nan * (1 + 1j), value)


def _round_complex(function):
    """Rounding acts on the parts of a complex number."""
    def both(x):
        if np.iscomplexobj(x):
            return function(x.real) + 1j * function(x.imag)
        return x if x.dtype.kind in "biu" else function(x)
    return both


REFERENCES = {
    "zero_times": _zero_times,
    "sigmoid": _sigmoid,
    "log1p": _log1p,
    "reciprocal": _reciprocal,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": _special(scipy.special.erf, mpmath.erf),
    "erfinv": _special(scipy.special.erfinv, _erfinv),
    "sign": _on_bool(_identity, np.sign),
    "expm1": _expm1, "floor_divide": _floor_divide,
    "maximum": _extremum(np.maximum),
    "minimum": _extremum(np.minimum),
    "fmax": _extremum(np.fmax),
    "fmin": _extremum(np.fmin),
    "positive": _on_bool(_identity, np.positive),
    "subtract": _on_bool(np.logical_xor, np.subtract),
    "power": _on_bool(lambda a, b: a | ~b, _power),
    "isposinf": _infinite_with(1),
    "isneginf": _infinite_with(-1),
    "degrees": _scaled(180 / np.longdouble("3.14159265358979323846264338327950288")),
    "radians": _scaled(np.longdouble("3.14159265358979323846264338327950288") / 180),
    "logaddexp": _logaddexp,
    "make_complex": _make_complex,
    "floor": _round_complex(np.floor),
    "ceil": _round_complex(np.ceil),
    "trunc": _round_complex(np.trunc),
    "round": _round_complex(np.rint),
    "exp2": lambda x: np.exp2(x),
}
ALIASES = {"bitwise_invert": "invert"}


def reference_of(name):
    """A function of NumPy arrays, or None."""
    if name in REFERENCES:
        return REFERENCES[name]
    return getattr(np, ALIASES.get(name, name), None)


def elementwise(op, *arrays):
    """The op's value at NumPy arrays, without warnings."""
    with np.errstate(all="ignore"):
        return np.asarray(reference_of(op)(*arrays))
