"""Samples of mx.special: see sample_rows.py. The references are mpmath's; where a function has a zero, or a large condition
number, errors are measured by the function's size and what an ULP of its arguments makes."""

import mlx.core as mx
import mpmath
import numpy as np

from arrays import FLOATS, INTEGERS
from samples import Real
from sample_rows import row

mp = mpmath


def inexact(dtype):
    return dtype if dtype in FLOATS else "float32"


def by_mpmath(function):
    """Of NumPy arrays, one by one, to the precision of a long double."""
    def one(*values):
        if any(np.isnan(v) for v in values):
            return np.longdouble(np.nan)
        with mp.workprec(160):
            # A long double that is not a float64 comes from a wider argument than any that is tested.
            value = function(*(mp.mpf(float(v)) + mp.mpf(float(v - type(v)(float(v)))) for v in values))
            return np.longdouble(mp.nstr(value, 30)) if mp.isfinite(value) else np.longdouble(float(value))

    def of_arrays(*arrays):
        wide = [np.asarray(a, np.longdouble if np.asarray(a).dtype == np.longdouble else np.float64) for a in arrays]
        return np.asarray(np.frompyfunc(one, len(wide), 1)(*np.broadcast_arrays(*wide))).astype(np.result_type(*wide))
    return of_arrays


def erfcinv(q):
    return mp.erfinv(1 - q)


def ndtri(p):
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


def beta(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def size_of(function):
    """|f| and, for each argument, |x df/dx|."""
    def size(*x):
        def one(*values):
            values = [mp.mpf(float(v)) for v in values]
            total = abs(function(*values))
            for k, v in enumerate(values):
                total += abs(v * mp.diff(lambda t: function(*values[:k], t, *values[k + 1:]), v))
            return float(total)
        return np.asarray(np.frompyfunc(one, len(x), 1)(*np.broadcast_arrays(*x))).astype(np.float64)
    return size


def kl_div(x, y):
    return x * mp.log(x / y) - x + y


POSITIVE, INSIDE, ANY = (0.2, 6.0), (0.05, 0.95), (-4.0, 4.0)
# Name: reference, domains; a size where it is not the result.
FUNCTIONS = {
    "gamma": (mp.gamma, [POSITIVE]),
    "lgamma": (mp.loggamma, [POSITIVE]),
    "digamma": (mp.digamma, [POSITIVE]),
    "erfc": (mp.erfc, [ANY]),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [(-2.0, 6.0)]),
    "erfcinv": (erfcinv, [(0.05, 1.95)]),
    "ndtr": (mp.ncdf, [ANY]),
    "ndtri": (ndtri, [INSIDE]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [ANY]),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), [ANY]),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), [ANY]),
    "logit": (lambda p: mp.log(p / (1 - p)), [INSIDE]),
    "entr": (lambda x: -x * mp.log(x), [POSITIVE]),
    "j0": (lambda x: mp.besselj(0, x), [(-9.0, 9.0)], lambda x: 1 + 0 * x),
    "j1": (lambda x: mp.besselj(1, x), [(-9.0, 9.0)], lambda x: 1 + 0 * x),
    "y0": (lambda x: mp.bessely(0, x), [(0.2, 9.0)], lambda x: 1 + 0 * x),
    "y1": (lambda x: mp.bessely(1, x), [(0.2, 9.0)], lambda x: 4 + 0 * x),
    "i0": (lambda x: mp.besseli(0, x), [ANY]),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), [(0.2, 9.0)]),
    "i1": (lambda x: mp.besseli(1, x), [ANY]),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), [(0.2, 9.0)]),
    "exp1": (mp.e1, [POSITIVE]),
    "expi": (mp.ei, [(0.5, 6.0)]),
    "betaln": (lambda a, b: mp.log(mp.beta(a, b)), [POSITIVE, (1.2, 3.0)], size_of(lambda a, b: mp.log(mp.beta(a, b)))),
    "xlogy": (lambda x, y: x * mp.log(y) if x else x, [ANY, POSITIVE]),
    "xlog1py": (lambda x, y: x * mp.log1p(y) if x else x, [ANY, POSITIVE]),
    "rel_entr": (lambda x, y: x * mp.log(x / y), [POSITIVE, POSITIVE]),
    "kl_div": (kl_div, [POSITIVE, POSITIVE]),
    "gammainc": (lower, [POSITIVE, POSITIVE], size_of(lower)),
    "gammaincc": (upper, [POSITIVE, POSITIVE], size_of(upper)),
    "betainc": (beta, [POSITIVE, POSITIVE, INSIDE], size_of(beta)),
}


def _rows(name):
    function, domains, *rest = FUNCTIONS[name]
    facts = dict(magnitude=rest[0]) if rest else {}
    inside = any(low > 0 and high < 1 for low, high in domains)
    whole = {} if inside else dict(dtypes=INTEGERS + FLOATS)
    shapes = {1: {"": [(2, 3)]}, 2: {"": [(2, 3)] * 2, "broadcast": [(2, 1), (3,)]},
              3: {"": [(2, 3)] * 3, "broadcast": [(2, 1), (), (3,)]}}[len(domains)]
    return [row(label, *(Real(shape, *domain) for shape, domain in zip(found, domains)), ref=by_mpmath(function), ulp=4, result=inexact,
                **(whole or dict(dtypes=FLOATS)), **facts) for label, found in shapes.items()]


def _polygamma(n):
    return row(f"n={n}", Real((2, 3), *POSITIVE), call=lambda x: mx.special.polygamma(n, x),
               ref=by_mpmath(lambda x: mp.polygamma(n, x)), ulp=4, dtypes=INTEGERS + FLOATS, result=inexact,
               magnitude=size_of(lambda x: mp.polygamma(n, x)))


def _multigammaln(d):
    def function(a):
        return mp.mpf(d * (d - 1)) / 4 * mp.log(mp.pi) + mp.fsum(mp.loggamma(a - mp.mpf(j) / 2) for j in range(d))
    return row(f"d={d}", Real((2, 3), 2.5, 9.0), call=lambda x: mx.special.multigammaln(x, d), ref=by_mpmath(function), ulp=4, result=inexact,
               dtypes=INTEGERS + FLOATS, magnitude=size_of(function))


ROWS = {
    **{f"special.{name}": _rows(name) for name in FUNCTIONS},
    "special.polygamma": [_polygamma(n) for n in (0, 1, 3)],
    "special.multigammaln": [_multigammaln(d) for d in (1, 3)],
    "special.zeta": [
        row("q", Real((2, 3), 1.3, 6.0), Real((2, 3), *POSITIVE), ref=by_mpmath(mp.zeta), ulp=4, dtypes=INTEGERS + FLOATS, result=inexact,
            magnitude=size_of(mp.zeta)),
        row("q broadcast", Real((2, 1), 1.3, 6.0), Real((3,), *POSITIVE), ref=by_mpmath(mp.zeta), ulp=4, result=inexact,
            dtypes=INTEGERS + FLOATS, magnitude=size_of(mp.zeta)),
        row("Riemann", Real((2, 3), 1.5, 6.0), ref=by_mpmath(mp.zeta), ulp=4, dtypes=INTEGERS + FLOATS, result=inexact),
        row("Riemann below 1", Real((2, 3), -3.5, 0.5), ref=by_mpmath(mp.zeta), ulp=4, dtypes=FLOATS,
            magnitude=size_of(mp.zeta)),
    ],
}
