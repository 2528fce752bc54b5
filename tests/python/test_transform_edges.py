"""Every op's transforms where arguments are unusual: laid out in strides, of length 1 or 0, mapped over 1 or 0 lanes, full of
equal values and zeros, at the ends of the range. What holds everywhere is checked: layouts change nothing, vmap is a loop, and
reverse mode is the adjoint of forward mode."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
import differences
import samples
from arrays import LAYOUTS
from cases import SAMPLES, Case, batch_of, each_sample, each_smooth, lanes_of
from differences import direction, inner
from precision import assert_near, near_or_equal

STRIDED = [name for name in LAYOUTS if name != "contiguous"] + ["broadcast"]


def laid_out(x, layout):
    """An equal array behind other strides. Broadcast: every row is the first, with stride 0."""
    if layout == "broadcast":
        return mx.broadcast_to(x[:1], x.shape) if x.ndim and x.size else x
    return LAYOUTS[layout](x)


def plain(x):
    """The same values in a buffer of their own."""
    return arrays.to_mx(np.array(arrays.to_np(x), order="C"), arrays.name_of(x.dtype))


def assert_same(got, expected, what):
    for g, e in zip(got, expected):
        assert (g.shape, g.dtype) == (e.shape, e.dtype), what
        g, e = arrays.to_np(g), arrays.to_np(e)
        # What is beside the singular vectors of a matrix without full rank, and what grows without bound there.
        both = (np.isnan(g) & np.isnan(e)) | (np.isinf(e) & (g == e))
        assert_near(np.where(both, 0, g), np.where(both, 0, e), 1e-13, what)


@pytest.mark.grid(0.04)
@pytest.mark.parametrize("layout", STRIDED)
@each_smooth
def test_layouts_of_derivatives(sample, dtype, layout):
    """Strided primals, tangents and cotangents."""
    case = Case(sample, dtype)
    strided = [[laid_out(a, layout) for a in given] for given in (case.primals, case.tangents, case.weights)]
    (primals, tangents, weights), (p, t, w) = strided, [[plain(a) for a in given] for given in strided]
    assert_same(mx.jvp(case.function, primals, tangents)[1], mx.jvp(case.function, p, t)[1], "jvp")
    assert_same(mx.vjp(case.function, primals, weights)[1], mx.vjp(case.function, p, w)[1], "vjp")


@pytest.mark.grid(0.04)
@pytest.mark.parametrize("layout", STRIDED)
@each_sample
def test_layouts_of_batches(sample, dtype, layout):
    if any(not isinstance(a, samples.Real) for a in sample.args) and layout == "broadcast":
        return  # unique indices would be so no more
    batched, _ = differences.batches(lanes_of(sample, dtype), (0,) * len(sample.args))
    batched = [laid_out(b, layout) for b in sample.to_mx(batched, dtype)]
    got, expected = (samples.listed(mx.vmap(sample.call)(*given)) for given in (batched, [plain(b) for b in batched]))
    for g, e in zip(got, expected):
        near_or_equal(arrays.to_np(g), arrays.to_np(e))


@pytest.mark.grid(0.12)
@pytest.mark.parametrize("count", [1, 0])
@each_sample
def test_one_lane_and_none(sample, dtype, count):
    """One lane is the call with an axis of length 1; no lanes are results without elements."""
    one = sample.outputs(*sample.to_mx(lanes_of(sample, dtype, 1)[0], dtype))
    for axis in (0, -1):
        batched = [differences.stacked([v] * count, np.shape(v), axis if axis == 0 else np.ndim(v)).astype(np.asarray(v).dtype)
                   for v in lanes_of(sample, dtype, 1)[0]]
        got = samples.listed(mx.vmap(sample.call, in_axes=axis)(*sample.to_mx(batched, dtype)))
        assert len(got) == len(one)
        for g, e in zip(got, one):
            assert g.dtype == e.dtype and g.shape == (count, *e.shape)
            if count:
                near_or_equal(arrays.to_np(g[0]), arrays.to_np(e))


@pytest.mark.grid(0.12)
@pytest.mark.parametrize("count", [1, 0])
@each_smooth
def test_derivatives_over_one_lane_and_none(sample, dtype, count):
    case = Case(sample, dtype)
    batch = batch_of(case, count)
    for got in (samples.listed(mx.vmap(case.grad)(*batch)),
                samples.listed(mx.grad(lambda *b: mx.vmap(case.loss)(*b).sum(), argnums=list(range(len(batch))))(*batch)),
                mx.vmap(lambda *p: mx.jvp(case.grad, list(p), case.tangents)[1])(*batch)):
        for g, b in zip(got, batch):
            assert g.shape == b.shape and g.dtype == b.dtype
            assert np.all(np.isfinite(arrays.to_np(g)))


# --- shapes with axes of length 1 and 0 ---

SHAPES = [(1,), (0,), (1, 3), (3, 1), (0, 3), (3, 0, 2), (1, 1, 1)]


def reshaped(sample, shape):
    return samples.replace(sample, args=tuple(samples.replace(a, shape=shape) for a in sample.args))


SHAPED = [pytest.param(s, shape, id=f"{s.id}-{shape}") for s in SAMPLES for shape in SHAPES
          if s.differentiable and (s.elementwise and not s.label or s.any_shape and len(s.args) == 1)]


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("sample, shape", SHAPED)
def test_short_axes(sample, shape):
    """Shapes of derivatives, their adjointness, and vmap over each axis, also the empty one."""
    sample = reshaped(sample, shape)
    try:
        case = Case(sample, "float64")
    except ValueError:
        assert 0 in shape, "only what is empty may be refused"
        return
    _, tangents = mx.jvp(case.function, case.primals, case.tangents)
    _, cotangents = mx.vjp(case.function, case.primals, case.weights)
    assert [t.shape for t in tangents] == [y.shape for y in case.outputs]
    assert [c.shape for c in cotangents] == [p.shape for p in case.primals]
    assert inner(case.weights, tangents) == pytest.approx(inner(cotangents, case.tangents), rel=1e-12, abs=1e-12)
    _, second = mx.jvp(case.grad, case.primals, case.tangents)
    assert [h.shape for h in second] == [p.shape for p in case.primals]
    for axis in range(len(shape) + 1):
        batched = [mx.stack([a, a], axis=axis) if isinstance(arg, samples.Real) else a for a, arg in zip(case.args, sample.args)]
        in_axes = tuple(axis if isinstance(arg, samples.Real) else None for arg in sample.args)
        got = samples.listed(mx.vmap(sample.call, in_axes=in_axes)(*batched))
        for g, e in zip(got, sample.outputs(*case.args)):
            np.testing.assert_array_equal(arrays.to_np(g), np.stack([arrays.to_np(e)] * 2))


# --- ties, zeros, and the ends of the range ---

def constant_draws():
    return {"ties": lambda rng, shape, dtype: rng.integers(0, 2, shape).astype(float) + 0.5,
            "equal": lambda rng, shape, dtype: np.full(shape, 0.75),
            "zeros": lambda rng, shape, dtype: np.zeros(shape),
            "ones": lambda rng, shape, dtype: np.ones(shape),
            "large": lambda rng, shape, dtype: rng.choice([1e154, -1e154, 700.0], shape),
            "small": lambda rng, shape, dtype: rng.choice([1e-200, -1e-200, 0.0], shape)}


@pytest.mark.grid(0.1)
@pytest.mark.parametrize("values", constant_draws())
@each_smooth
def test_modes_agree_on_special_values(sample, dtype, values):
    """<ct, J t> = <J^H ct, t> and <u, H t> = <H u, t> hold at kinks and ties, too, wherever the derivatives are finite."""
    linear_algebra = sample.op["name"].startswith("linalg.")
    case = Case(sample, dtype)
    draw = constant_draws()[values]
    case.primals = [arrays.to_mx(draw(case.rng, p.shape, dtype).astype(arrays.NUMPY[dtype]), dtype) for p in case.primals]
    if sample.op["name"] == "linalg.eig" and values == "large":
        pytest.skip("eigenvectors of nearly dependent columns: their derivatives have no correct digit")
    try:
        mx.eval(case.function(*case.primals))
    except mx.linalg.LinAlgError:
        assert linear_algebra  # a singular matrix has no result to differentiate
        return
    _, tangents = mx.jvp(case.function, case.primals, case.tangents)
    _, cotangents = mx.vjp(case.function, case.primals, case.weights)
    assert_adjoint(case.weights, tangents, cotangents, case.tangents, "vjp")
    if sample.op["name"] in ("linalg.pinv", "linalg.lstsq") and values in ("ties", "equal", "ones"):
        return  # derivatives among matrices of one rank: no Hessian in directions that leave them
    others = [direction(case.rng, p) for p in case.primals]
    _, first = mx.jvp(case.grad, case.primals, case.tangents)
    _, second = mx.jvp(case.grad, case.primals, others)
    assert_adjoint(others, first, second, case.tangents, "jvp of grad")
    along = differences.scalar_loss(case.grad, case.tangents)
    reverse = samples.listed(mx.grad(along, argnums=list(range(len(case.primals))))(*case.primals))
    assert_adjoint(others, reverse, second, case.tangents, "grad of grad")


def assert_adjoint(a, b, c, d, what):
    """<a, b> = <c, d>, where everything is finite."""
    with np.errstate(all="ignore"):
        left, right = inner(a, b), inner(c, d)
        size = 1 + sum(float(np.abs(arrays.to_np(x)).sum()) for x in [*b, *c] if x is not None)
    if np.isfinite([left, right, size]).all():
        assert abs(left - right) <= 1e-11 * size, (what, left, right)
