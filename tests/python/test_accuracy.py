"""Elementwise functions are as accurate as docs/accuracy.md says, on every instruction set of this machine; long sums, too."""

import pathlib
import pickle

import mlx.core as mx
import numpy as np
import pytest

import accuracy
import arrays
from again import again

ROOT = pathlib.Path(__file__).resolve().parents[2]
# How many points of each kind: thresholds, hard angles and the ends of the range are always among them.
EACH = 1
TARGETS = mx._cpu_targets()


def hold(cases, each, values_of, spot):
    """The largest error of every case is within its bound."""
    off = []
    for case in cases:
        points = accuracy.arguments(case, each)
        found = accuracy.measure(case, points, values_of(case, points), spot=spot)
        if found.error > accuracy.bound(case) + accuracy.SLACK:
            off.append(f"{case.id}: {found.error:.4g} ULP at {found.arguments}, bound {accuracy.bound(case)}; got {found.got}, "
                       f"not {found.truth}")
    assert not off, "\n".join(off)


def of_family(*dtypes):
    return [case for case in accuracy.cases() if case.dtype in dtypes]


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
def test_errors_are_within_the_bounds(dtype):
    hold(of_family(dtype), EACH, accuracy.evaluate, spot=4)


EVALUATE = f"import sys; sys.path.append({str(ROOT / 'tools')!r}); import measure_accuracy as m; m.evaluate_file(*sys.argv[1:])"


def evaluate_in(target, points, folder):
    """The values in a process that is limited to an instruction set."""
    given, found = folder / "given", folder / "found"
    given.write_bytes(pickle.dumps(points))
    again("-c", EVALUATE, given, found, MLX_CPU_TARGETS=target)
    return pickle.loads(found.read_bytes())


@pytest.mark.parametrize("target", [pytest.param(t, marks=[pytest.mark.everything] if i else []) for i, t in enumerate(TARGETS[:-1])])
def test_errors_on_lesser_instruction_sets(target, tmp_path):
    """By default the float32 and float64 kernels: the others are made of them, or are the same on all."""
    cases = of_family("float32", "float64")
    values = evaluate_in(target, {case: accuracy.arguments(case, EACH) for case in cases}, tmp_path)
    hold(cases, EACH, lambda case, _: values[case], spot=0)


@pytest.mark.skipif("AVX2" not in TARGETS, reason="the baseline has the best one's fused products, or there is no other")
def test_the_variable_chooses_the_kernels(tmp_path):
    """Not only what is reported: without fused products some last places are others."""
    case = accuracy.Case("expm1", "float32", 1)
    points = accuracy.arguments(case, EACH)
    values = evaluate_in("baseline", {case: points}, tmp_path)[case]
    assert (values != accuracy.evaluate(case, points)).any()
    same = evaluate_in(TARGETS[-1], {case: points}, tmp_path)[case]
    np.testing.assert_array_equal(same, accuracy.evaluate(case, points))


@pytest.mark.everything
@pytest.mark.slow
@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_errors_at_all_points(target, dtype, tmp_path):
    """As tools/measure_accuracy.py measures."""
    cases = of_family(dtype)
    values = evaluate_in(target, {case: accuracy.arguments(case) for case in cases}, tmp_path)
    hold(cases, 24, lambda case, _: values[case], spot=100)


def test_every_function_is_measured():
    """A new elementwise function has a line in accuracy_truths.py, and in the table."""
    assert not set(accuracy.functions()) - set(accuracy.truth_functions())
    page = (ROOT / "docs/accuracy.md").read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    missing = [case.id for case in accuracy.cases() if f"| `{case.op}` |" not in sections[case.dtype]]
    assert not missing, "run: python tools/measure_accuracy.py > docs/accuracy.md"


def test_hard_angles():
    """The float64 that lies nearest to a multiple of pi/2, and sin(1e22), to the last digit."""
    x = 6381956970095103.0 * 2.0**797
    angles = mx.array(np.array([x, -x, 1e22, 1e300]), dtype=mx.float64)
    np.testing.assert_array_max_ulp(np.array(mx.cos(angles))[:2], np.array([-4.6871659242546276e-19] * 2), 2)
    np.testing.assert_array_max_ulp(np.array(mx.tan(angles))[:2], np.array([-2.1334853857537038e18, 2.1334853857537038e18]), 2)
    np.testing.assert_array_max_ulp(np.array(mx.sin(angles))[2:], np.array([-0.8522008497671888, -0.8178819121159085]), 2)
    assert mx.isnan(mx.sin(mx.array([np.inf, -np.inf, np.nan], dtype=mx.float64))).all().item()
    np.testing.assert_array_max_ulp(np.array(mx.sin(mx.array([1e22], dtype=mx.float32))),
                                    np.sin(np.float64(np.float32(1e22))).astype(np.float32)[None], 2)


def test_compiled_functions_give_the_same_bits():
    """At special arguments as at others, which runs of whole vectors and rests of them meet."""
    for case in of_family("float32", "float64", "complex128"):
        points = [p[::7] for p in accuracy.arguments(case, 1)]
        function = getattr(mx, case.op)
        args = [arrays.to_mx(p, case.dtype) for p in points]
        eager, compiled = arrays.to_np(function(*args)), arrays.to_np(mx.compile(function)(*args))
        np.testing.assert_array_equal(eager, compiled, case.id)
        shifted = arrays.to_np(function(*(a[3:] for a in args)))
        np.testing.assert_array_equal(eager[3:], shifted, case.id)



# --- sums ---

def sums_of(x, columns):
    """(what, value, truth, magnitude) of float32 values."""
    n = x.size
    wide = x.astype(np.float64)
    total, magnitude = float(np.sum(x, dtype=np.longdouble)), float(np.sum(np.abs(x), dtype=np.longdouble))
    a = mx.array(x)
    rows = x.reshape(-1, columns)
    truths = rows.sum(0, dtype=np.longdouble).astype(np.float64)
    sizes = np.abs(rows).sum(0, dtype=np.longdouble).astype(np.float64)
    yield "sum", mx.sum(a), total, magnitude
    yield "compiled", mx.compile(lambda v: mx.sum(v * 1.0))(a), total, magnitude
    yield "axis 0", mx.sum(a.reshape(-1, columns), axis=0), truths, sizes
    yield "axis -1", mx.sum(a.reshape(-1, columns).T, axis=-1), truths, sizes
    whole = x.reshape(columns, -1)
    yield "rows", mx.sum(a.reshape(columns, -1), axis=-1), whole.sum(1, dtype=np.longdouble).astype(np.float64), (
        np.abs(whole).sum(1, dtype=np.longdouble).astype(np.float64))
    yield "mean", mx.mean(a), total / n, magnitude / n
    yield "var", mx.var(a), float(np.var(wide)), float(np.mean(wide**2))
    top = wide.max()
    yield "logsumexp", mx.logsumexp(a), top + np.log(np.exp(wide - top).sum()), 1.0
    running, sizes = np.cumsum(wide), np.cumsum(np.abs(wide))
    yield "cumsum", mx.cumsum(a), running, sizes
    yield "cumsum of columns", mx.cumsum(a.reshape(-1, columns), axis=0)[-1], truths, np.abs(rows).sum(0, dtype=np.float64)
    yield "at.add", mx.zeros((2,)).at[mx.zeros((n,), mx.int32)].add(a)[0], total, magnitude
    yield "put_along_axis", mx.vjp(lambda v: mx.take_along_axis(v, mx.zeros((n,), mx.int32), axis=0), [mx.zeros((2,))], [a])[1][0][0], (
        total), magnitude


def kinds_of_values(n):
    rng = np.random.default_rng(2)
    yield "uniform", rng.random(n, dtype=np.float32)
    yield "constant", np.full(n, 0.1, np.float32)
    yield "falling", np.sort(np.exp(2 * rng.standard_normal(n, dtype=np.float32)))[::-1].copy()
    yield "of both signs", rng.standard_normal(n, dtype=np.float32)


def check_sums(n, columns):
    for kind, x in kinds_of_values(n):
        for what, value, truth, magnitude in sums_of(x, columns):
            error = np.abs(np.array(value).astype(np.float64) - truth) / magnitude
            assert error.max() <= 1e-6, f"{what} of {n} {kind} values is off by {error.max():.3g} of their magnitude"


def test_sums_of_a_million():
    check_sums(10**6, 10)


@pytest.mark.slow
@pytest.mark.everything
def test_sums_of_a_hundred_million():
    """Some 5 GB."""
    check_sums(10**8, 10)


@pytest.mark.parametrize("name", arrays.HALVES)
def test_sums_of_halves_are_carried_in_float32(name):
    x = arrays.rounded(np.random.default_rng(3).random(10**6) * 0.01, name)
    a = arrays.to_mx(x, name)
    truth = float(x.astype(np.float64).sum())
    pairs = mx.sum(a.reshape(-1, 2), axis=0).astype(mx.float32).sum()
    for value in (mx.sum(a).item(), pairs.item(), mx.mean(a).item() * 1e6, mx.cumsum(a)[-1].item()):
        assert abs(value - truth) <= truth * 2.0 ** -(10 if name == "float16" else 7)
