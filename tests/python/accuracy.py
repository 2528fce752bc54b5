"""The error of elementwise functions in units in the last place: which functions and dtypes, what they are held to, and the
measurement. tools/measure_accuracy.py and test_accuracy.py are loops over this."""

import functools
import warnings
import zlib
from dataclasses import dataclass

import numpy as np

import accuracy_points
import accuracy_truths
import arrays
import precision
import samples

DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
# Ops that are elementwise functions of one or two numbers, and have no arity in the registry: compositions.
COMPOSED = {"sinc": 1, "logaddexp2": 2, "round": 1}
# Results that are a choice or a rearrangement of bits are exact in every dtype: the grids compare them bit by bit.
EXACT = {
    "maximum", "minimum", "fmax", "fmin", "where", "copysign", "signbit", "make_complex", "real", "imag", "conjugate",
    "positive", "negative"}
CORRECTLY_ROUNDED = {
    "add", "subtract", "multiply", "zero_times", "divide", "floor_divide", "remainder", "abs", "sign", "square", "sqrt",
    "reciprocal", "floor", "ceil", "trunc", "round"}

SLACK = 1e-3  # what long doubles leave open, in ULP of a float64


@dataclass(frozen=True)
class Case:
    op: str
    dtype: str
    arity: int

    @property
    def id(self):
        return f"{self.op}-{self.dtype}"


def functions():
    """name: arity, of every registered function that rounds."""
    found = {}
    for name, op in samples.registry_by_name().items():
        arity = op["arity"] or COMPOSED.get(name, 0)
        if arity in (1, 2) and op["accepts"] in ("all", "numeric", "inexact", "floating", "real") and name not in EXACT:
            if op["family"] != "comparison" and "." not in name:
                found[name] = arity
    return found


def cases():
    found = []
    for name, arity in functions().items():
        accepted = arrays.ACCEPTED[samples.registry_by_name()[name]["accepts"]]
        found += [Case(name, dtype, arity) for dtype in DTYPES if dtype in accepted]
    return found


# --- bounds ---

def _of_logaddexp(a, b):
    """|a| e^a + |b| e^b over e^a + e^b and the result: near 0 the sum of exponentials is near 1, and each is rounded."""
    with np.errstate(all="ignore"):
        a, b = a.astype(np.longdouble), b.astype(np.longdouble)
        share = 1 / (1 + np.exp(b - a))
        return (np.abs(a) * share + np.abs(b) * (1 - share)) / np.abs(np.logaddexp(a, b))


def _of_logaddexp2(a, b):
    scale = np.log(np.longdouble(2))
    return _of_logaddexp(a * scale, b * scale)


def _of_complex_logaddexp(a, b):
    """|a e^a| + |b e^b| over |e^a + e^b| and the result, as for real numbers."""
    a, b = a.astype(np.clongdouble), b.astype(np.clongdouble)
    a, b = np.where(a.real < b.real, b, a), np.where(a.real < b.real, a, b)
    gap = np.exp(b - a)
    sum_over_first = 1 + gap
    result = a + np.log(sum_over_first)
    return (np.abs(a) + np.abs(b * gap)) / (np.abs(sum_over_first) * np.abs(result))


def _of_complex_power(z, w):
    """z^w changes by |w| times what z does, and by |w log z| times what w does, relatively."""
    return np.abs(w) * np.maximum(1, np.abs(np.log(z.astype(np.clongdouble))))


# The ops that are held to 4 ULP times the condition number of their arguments, with that number. Their results have
# zeros away from 0 where both arguments are inexact, and no formula of their own dtype finds those.
CONDITIONS = {"logaddexp": _of_logaddexp, "logaddexp2": _of_logaddexp2}
COMPLEX_CONDITIONS = {"logaddexp": _of_complex_logaddexp, "power": _of_complex_power}


def condition_of(case, points):
    """At least 1, and infinite where no digit of the result is determined by the arguments."""
    function = (COMPLEX_CONDITIONS if case.dtype in arrays.COMPLEX else CONDITIONS).get(case.op)
    if function is None:
        return np.ones(points[0].shape)
    condition = np.maximum(1, np.nan_to_num(function(*points), nan=np.inf, posinf=np.inf)).astype(np.float64)
    return np.where(condition > 0.05 / precision.epsilon(case.dtype), np.inf, condition)


def bound(case):
    """In ULP of the result; a complex one's by modulus."""
    if case.dtype in arrays.COMPLEX:
        return 4.0
    if case.op in CORRECTLY_ROUNDED:
        return 0.5
    return 1.0 if case.dtype in arrays.HALVES else 4.0


# --- the measurement ---

@dataclass(frozen=True)
class Worst:
    error: float     # in ULP, over the condition number where one is listed
    arguments: tuple
    got: object
    truth: object
    points: int


def arguments(case, each=24):
    """The points of a case: always the same ones."""
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    with np.errstate(all="ignore"):
        if case.dtype in arrays.COMPLEX:
            count = 60 * each
            if case.arity == 1:
                return [accuracy_points.complex_(case.dtype, rng, count)]
            return accuracy_points.complex_pairs(case.op, case.dtype, rng, count)
        if case.arity == 1:
            if case.op in ("erf", "erfinv") and case.dtype == "float64":
                each = max(1, each // 8)  # mpmath alone
            return [accuracy_points.real(case.dtype, rng, each)]
        return accuracy_points.pairs(case.op, case.dtype, rng, 160 * each)


def evaluate(case, points):
    """The op's values on this process's instruction set, as NumPy's."""
    function = samples.public(case.op)
    return arrays.to_np(function(*(arrays.to_mx(p, case.dtype) for p in points)))


def errors_of(got, truth, name):
    """In ULP. Infinities and NaN have to be met."""
    if name in arrays.COMPLEX and np.iscomplexobj(truth):
        return _complex_errors(np.asarray(got), truth, name)
    return precision.ulp_errors(got, truth.real, arrays.real_of(name))


def _complex_errors(got, truth, name):
    """By modulus, in ULP of the modulus. Where a part overflows, that is what should be met, or a number next to it."""
    real = arrays.real_of(name)
    wide = np.where(np.isfinite(truth), got.astype(np.clongdouble), np.nan)
    modulus = np.abs(truth)
    error = np.abs(wide - truth) / precision.spacing(modulus, name)
    limit = np.longdouble(precision.HIGHEST[real])
    over = np.isfinite(truth) & (np.maximum(np.abs(truth.real), np.abs(truth.imag)) > limit * (1 - 8 * precision.epsilon(real)))
    error = np.where(over & ~np.isfinite(wide), 0.0, error)
    error = np.where(np.isfinite(truth), error, 0.0)  # points where the screen overflows too
    return np.where(np.isnan(error), np.inf, error).astype(np.float64)


@functools.cache
def truth_functions():
    return {**accuracy_truths.UNARY, **accuracy_truths.BINARY}


def reference(case):
    """mpmath's function, and the screen or None."""
    exact, screen = truth_functions()[case.op]
    if case.dtype in arrays.COMPLEX:
        screen = accuracy_truths.COMPLEX_SCREENS.get(case.op, screen)
    if case.dtype != "float64" and case.op in accuracy_truths.NARROW_SCREENS:
        narrow = accuracy_truths.NARROW_SCREENS[case.op]
        return exact, lambda x: narrow(x.astype(np.float64)).astype(np.longdouble)
    return exact, screen


def widened(points):
    return [p.astype(np.clongdouble if np.iscomplexobj(p) else np.longdouble) for p in points]


def over(errors, condition):
    return np.where(np.isinf(condition), 0.0, errors / condition)


def measure(case, points, got, looks=400, spot=100):
    """The largest error. The screen's worst arguments are looked at by mpmath until none it leaves can be worse."""
    exact, screen = reference(case)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        condition = condition_of(case, points)
        plain = np.logical_and.reduce([np.isfinite(p) & (p != 0) for p in points])
        if screen is None:
            points, got, condition = [p[plain] for p in points], got[plain], condition[plain]
            truth = accuracy_truths.by_mpmath(exact, points)
            errors = over(errors_of(got, truth, case.dtype), condition)
            return _worst(int(np.argmax(errors)), errors, points, got, truth)
        truth = np.asarray(screen(*widened(points)))
        errors = over(errors_of(got, truth, case.dtype), condition)
        order = np.argsort(-errors, kind="stable")
        looked = np.zeros(got.shape, bool)
        truth = truth.copy()

        def look(at):
            at = at[plain[at] & ~looked[at]]
            looked[at] = True
            if at.size:
                truth[at] = accuracy_truths.by_mpmath(exact, [p[at] for p in points])
                errors[at] = over(errors_of(got[at], truth[at], case.dtype), condition[at])
        look(np.linspace(0, got.size - 1, spot).astype(int))
        start, step = 0, 8
        while start < min(got.size, looks):
            look(order[start:start + step])
            start += step
            rest = order[start:]
            known = errors[order[:start]].max()
            if not rest.size or errors[rest].max() <= known:
                break
            step = min(64, step * 2)
        return _worst(int(np.argmax(errors)), errors, points, got, truth)


def _worst(at, errors, points, got, truth):
    return Worst(float(errors[at]), tuple(p[at] for p in points), got[at], truth[at], errors.size)
