"""Every op, dtype and memory layout against NumPy, SciPy or mpmath in a wider type: the value within the op's bound, and the
result's dtype."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
import precision
import samples
from arrays import COMPLEX, HALVES, INEXACT, LAYOUTS, WIDER

SIZES = (1, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025)
SAMPLES = [s for s in samples.samples() if s.reference]
ELEMENTWISE = [s for s in SAMPLES if s.elementwise and not s.label]


def cells(chosen, *axes):
    """Parameters (sample, dtype, ...) with readable ids."""
    found = []
    for sample in chosen:
        for dtype in sample.dtypes:
            for rest in (axes[0] if axes else [None]):
                values = (sample, dtype) if rest is None else (sample, dtype, rest)
                found.append(pytest.param(*values, id="-".join([sample.id, dtype] + ([str(rest)] if rest is not None else []))))
    return found


def promoted(sample, dtype):
    """The dtype an op computes in."""
    return dtype if dtype in arrays.ACCEPTED[sample.op["accepts"]] or not sample.elementwise else "float32"


def expected_dtype(sample, dtype, reference):
    if sample.result:
        return sample.result(dtype)
    if reference.dtype == bool:
        return "bool_"
    computed = promoted(sample, dtype)
    return computed if reference.dtype.kind in "ciu" else arrays.real_of(computed)


def widened(sample, values, dtype):
    """Arguments as the reference gets them: the exact values, in a type wider than the result's."""
    return [_widen(v, promoted(sample, name) if name == dtype else name) for v, name in zip(values, sample.arg_dtypes(dtype))]


def _widen(values, computed):
    values = np.asarray(values)
    if computed not in WIDER:
        return values
    if values.dtype.kind in "biu":  # conversion comes first
        values = arrays.rounded(values, computed)
    wide = WIDER[computed]
    return values.astype(np.clongdouble if values.dtype.kind == "c" and wide == np.longdouble else wide)


def bound_for(sample, dtype):
    """In units of the result's last place. Half types compute in float32 and round once, so at most half a unit, and a little
    where the float32 value was off. Complex results are measured by modulus: exact where parts only move; else products and
    sums of parts cost up to four units on top of what the real functions in them do."""
    if dtype in HALVES:
        return 0.5 + (sample.ulp + 1) / 4096 if sample.elementwise else max(1.0, sample.ulp / 2)
    if dtype in COMPLEX:
        return 2 * sample.ulp + 4 if sample.elementwise or sample.ulp else 0.75
    return max(sample.ulp, 0.5)


def check(sample, dtype, values, mx_args):
    outputs = sample.outputs(*mx_args)
    with np.errstate(all="ignore"):
        wide = widened(sample, values, dtype)
        truths = [np.asarray(r) for r in samples.listed(sample.reference(*wide))]
        magnitude = sample.magnitude and np.asarray(sample.magnitude(*wide))
    assert len(outputs) == len(truths)
    for out, truth in zip(outputs, truths):
        name = arrays.name_of(out.dtype)
        assert name == expected_dtype(sample, dtype, truth), f"result dtype {name}"
        if name in INEXACT:
            precision.assert_ulp(arrays.to_np(out), truth, name, bound_for(sample, dtype), magnitude, sample.id,
                                 zeros=sample.elementwise)
        else:
            got = arrays.to_np(out)
            assert got.shape == truth.shape, f"shape {got.shape}, expected {truth.shape}"
            np.testing.assert_array_equal(got, truth.astype(got.dtype))


@pytest.mark.grid(0.12)
@pytest.mark.parametrize("sample, dtype, layout", cells(SAMPLES, list(LAYOUTS)))
def test_layout(sample, dtype, layout):
    values = sample.draw(dtype)
    check(sample, dtype, values, [LAYOUTS[layout](a) for a in sample.to_mx(values, dtype)])


def reshaped(sample, shape):
    """An elementwise sample with all arguments of one shape."""
    return samples.replace(sample, args=tuple(samples.replace(a, shape=shape) for a in sample.args))


@pytest.mark.grid(0.1)
@pytest.mark.parametrize("sample, dtype, size", cells(ELEMENTWISE, SIZES + ("empty", "empty rows", "scalar")))
def test_size(sample, dtype, size):
    shape = {"empty": (0,), "empty rows": (3, 0, 2), "scalar": ()}.get(size, (size,))
    sized = reshaped(sample, shape)
    values = sized.draw(dtype)
    check(sized, dtype, values, sized.to_mx(values, dtype))


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("sample, dtype", cells([s for s in ELEMENTWISE if len(s.args) == 2]))
def test_scalar_beside_a_vector(sample, dtype):
    for shapes in (((), (9,)), ((9,), ())):
        mixed = samples.replace(
            sample, args=tuple(samples.replace(a, shape=shape) for a, shape in zip(sample.args, shapes)))
        values = mixed.draw(dtype)
        check(mixed, dtype, values, mixed.to_mx(values, dtype))


@pytest.mark.grid(0.25)
@pytest.mark.parametrize("sample, dtype", cells([s for s in ELEMENTWISE if len(s.args) == 1]))
def test_special_values(sample, dtype):
    """Zeros of both signs, infinities, NaN and the ends of the range; of complex numbers in both parts."""
    values = [arrays.special(dtype)]
    check(sample, dtype, values, sample.to_mx(values, dtype))


@pytest.mark.grid(0.25)
@pytest.mark.parametrize("sample, dtype", cells([s for s in ELEMENTWISE if len(s.args) == 2]))
def test_special_pairs(sample, dtype):
    """Every pair of them."""
    values = arrays.special(dtype)
    pairs = [a.ravel() for a in np.meshgrid(values, values)]
    check(sample, dtype, pairs, sample.to_mx(pairs, dtype))


@pytest.mark.grid(0.25)
@pytest.mark.parametrize("sample, dtype", cells([s for s in ELEMENTWISE if len(s.args) == 1]))
def test_every_magnitude(sample, dtype):
    values = [arrays.wide(sample.rng(dtype), (257,), dtype)]
    if dtype in COMPLEX:
        values = [values[0][np.abs(values[0]) < 1e3]]
    check(sample, dtype, values, sample.to_mx(values, dtype))


# A dtype of each kind and width class: which pairs promote to what is mx.result_type's business, and its own tests'.
MIXED = ("bool_", "int8", "uint32", "float16", "bfloat16", "float32", "complex64", "float64")


def common_dtype(a, b):
    return arrays.name_of(mx.result_type(getattr(mx, a), getattr(mx, b)))


@pytest.mark.grid(0.1)
@pytest.mark.parametrize("sample, dtype, other", [
    cell for cell in cells([s for s in ELEMENTWISE if len(s.args) == 2], MIXED)
    if cell.values[1] in MIXED and common_dtype(*cell.values[1:]) in cell.values[0].dtypes])
def test_mixed_dtypes(sample, dtype, other):
    """Both arguments are converted to their common dtype first."""
    common = getattr(mx, common_dtype(dtype, other))
    a, b = arrays.to_mx(sample.draw(dtype)[0], dtype), arrays.to_mx(sample.draw(other)[1], other)
    mixed, same = sample.call(a, b), sample.call(a.astype(common), b.astype(common))
    assert mixed.dtype == same.dtype
    np.testing.assert_array_equal(arrays.to_np(mixed), arrays.to_np(same))


@pytest.mark.parametrize("sample, dtype", [
    pytest.param(s, dtype, id=f"{s.id}-{dtype}") for s in ELEMENTWISE for dtype in arrays.ALL
    if dtype not in s.dtypes and not (dtype == "bool_" and len(s.args) == 2)])  # beside a number, a boolean is one
def test_other_dtypes_are_refused(sample, dtype):
    """An op says so, by name, when it does not take a dtype."""
    args = sample.to_mx(sample.draw(dtype), dtype)
    with pytest.raises((ValueError, TypeError), match=rf"^\[{sample.op['name']}\]"):
        mx.eval(sample.call(*args))


def test_the_grid_covers_the_registry():
    covered = {s.op["name"] for s in SAMPLES}
    missing = {op["name"] for op in samples.registry()} - covered
    assert all(name.startswith("random.") for name in missing), missing
