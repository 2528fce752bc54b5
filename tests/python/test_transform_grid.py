"""Every op under every transform: jvp against differences, vjp against jvp by inner products, second order against differences of
the first, vmap over every axis and choice of arguments against a loop, and the transforms in each other."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
import differences
import samples
from cases import LANES, SAMPLES, Case, batch_of, each_sample, each_smooth, lanes_of
from differences import central, direction, inner, scalar_loss
from precision import assert_near, epsilon, near_or_equal

TOLERANCE = 1e-7  # of five-point differences with float64 values


@pytest.mark.grid(0.5)
@each_smooth
def test_jvp_is_the_derivative(sample, dtype):
    case = Case(sample, dtype)
    outputs, tangents = mx.jvp(case.function, case.primals, case.tangents)
    expected = central(case.function, case.primals, case.tangents)
    assert len(outputs) == len(tangents) == len(expected)
    for y, plain, t, e in zip(outputs, case.outputs, tangents, expected):
        np.testing.assert_array_equal(arrays.to_np(y), arrays.to_np(plain))
        assert t.dtype == y.dtype
        assert_near(arrays.to_np(t), e, TOLERANCE, "jvp")


@pytest.mark.grid(0.5)
@each_smooth
def test_vjp_is_the_adjoint(sample, dtype):
    """<ct, J t> = <J^H ct, t>, for complex arguments in the real inner product."""
    case = Case(sample, dtype)
    _, tangents = mx.jvp(case.function, case.primals, case.tangents)
    outputs, cotangents = mx.vjp(case.function, case.primals, case.weights)
    for y, plain in zip(outputs, case.outputs):
        np.testing.assert_array_equal(arrays.to_np(y), arrays.to_np(plain))
    for p, c in zip(case.primals, cotangents):
        assert (c.dtype, c.shape) == (p.dtype, p.shape)
    left, right = inner(case.weights, tangents), inner(cotangents, case.tangents)
    size = sum(np.abs(arrays.to_np(c)).sum() for c in cotangents)
    assert abs(left - right) <= 1e-12 * (1 + abs(left) + size), (left, right)


@pytest.mark.grid(0.5)
@each_smooth
def test_grad_of_one_argument_at_a_time(sample, dtype):
    """What grad gives for one argument does not depend on which others it is asked for."""
    case = Case(sample, dtype)
    together = case.grad(*case.primals)
    for i, expected in enumerate(together):
        alone = mx.grad(case.loss, argnums=i)(*case.primals)
        assert_near(arrays.to_np(alone), arrays.to_np(expected), 1e-14, f"argnums={i}")


def second_order(case):
    """H t by differences of the gradient."""
    return central(case.grad, case.primals, case.tangents)


@pytest.mark.grid(0.4)
@each_smooth
def test_jvp_of_grad(sample, dtype):
    case = Case(sample, dtype)
    _, tangents = mx.jvp(case.grad, case.primals, case.tangents)
    for t, e in zip(tangents, second_order(case)):
        assert_near(arrays.to_np(t), e, TOLERANCE, "jvp of grad")


@pytest.mark.grid(0.4)
@each_smooth
def test_grad_of_grad(sample, dtype):
    """The gradient of <t, grad f> is H t: second derivatives commute."""
    case = Case(sample, dtype)
    along = scalar_loss(case.grad, case.tangents)
    gradients = samples.listed(mx.grad(along, argnums=list(range(len(case.primals))))(*case.primals))
    for g, e in zip(gradients, second_order(case)):
        assert_near(arrays.to_np(g), e, TOLERANCE, "grad of grad")


@pytest.mark.grid(0.4)
@each_smooth
def test_grad_of_jvp(sample, dtype):
    """The gradient of <w, J t> is H t as well."""
    case = Case(sample, dtype)

    def along(*primals):
        _, tangents = mx.jvp(case.function, list(primals), case.tangents)
        return scalar_loss(lambda: tangents, case.weights)()

    gradients = samples.listed(mx.grad(along, argnums=list(range(len(case.primals))))(*case.primals))
    for g, e in zip(gradients, second_order(case)):
        assert_near(arrays.to_np(g), e, TOLERANCE, "grad of jvp")


@pytest.mark.grid(0.4)
@each_smooth
def test_jvp_of_jvp(sample, dtype):
    case = Case(sample, dtype)
    others = [direction(case.rng, p) for p in case.primals]

    def first(*primals):
        return mx.jvp(case.function, list(primals), case.tangents)[1]

    _, tangents = mx.jvp(first, case.primals, others)
    for t, e in zip(tangents, central(first, case.primals, others)):
        assert_near(arrays.to_np(t), e, TOLERANCE, "jvp of jvp")


# --- vmap ---

@pytest.mark.grid(0.5)
@each_sample
def test_vmap_over_every_in_axis(sample, dtype):
    lanes = lanes_of(sample, dtype)
    convert = lambda values: sample.to_mx(values, dtype)
    ranks = [np.ndim(v) for v in lanes[0]]
    for in_axes in differences.axis_choices(ranks):
        batched, each = differences.batches(lanes, in_axes)
        counted = differences.from_either_end(in_axes, ranks)
        got = samples.listed(mx.vmap(sample.call, in_axes=counted)(*convert(batched)))
        expected = differences.looped(sample.call, each, convert)
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            near_or_equal(arrays.to_np(g), e, f"in_axes={counted}")


@pytest.mark.grid(0.3)
@each_sample
def test_vmap_over_every_out_axis(sample, dtype):
    lanes = lanes_of(sample, dtype)
    convert = lambda values: sample.to_mx(values, dtype)
    in_axes = (-1,) * len(sample.args)
    batched, each = differences.batches(lanes, in_axes)
    one = [arrays.to_np(y).ndim for y in sample.outputs(*convert(each[0]))]
    for out_axis in range(-min(one) - 1, min(one) + 1):
        got = samples.listed(mx.vmap(sample.call, in_axes=in_axes, out_axes=out_axis)(*convert(batched)))
        for g, e in zip(got, differences.looped(sample.call, each, convert, out_axis)):
            near_or_equal(arrays.to_np(g), e, f"out_axes={out_axis}")


@pytest.mark.grid(0.3)
@each_sample
def test_vmap_of_vmap(sample, dtype):
    """Two levels that both map every argument; and an outer one for the first argument, an inner one for the others."""
    convert = lambda values: sample.to_mx(values, dtype)
    count = len(sample.args)
    grid = [[sample.draw(dtype, salt=f"lane {i} {j}") for j in range(LANES)] for i in range(2)]
    both = [np.stack([np.stack([cell[k] for cell in row]) for row in grid]) for k in range(count)]
    got = samples.listed(mx.vmap(mx.vmap(sample.call))(*convert(both)))
    expected = [differences.looped(sample.call, row, convert) for row in grid]
    for k, g in enumerate(got):
        near_or_equal(arrays.to_np(g), np.stack([row[k] for row in expected]), "both levels map all")
    if count > 1:
        outer, inner_axes = (0,) + (None,) * (count - 1), (None,) + (0,) * (count - 1)
        lanes = grid[0]
        got = samples.listed(mx.vmap(mx.vmap(sample.call, in_axes=inner_axes), in_axes=outer)(
            *convert([np.stack([lane[k] for lane in lanes]) for k in range(count)])))
        expected = [differences.looped(sample.call, [[a[0], *b[1:]] for b in lanes], convert) for a in lanes]
        for k, g in enumerate(got):
            near_or_equal(arrays.to_np(g), np.stack([row[k] for row in expected]), "each level maps its own")


@pytest.mark.grid(0.4)
@each_smooth
def test_vmap_of_grad(sample, dtype):
    case = Case(sample, dtype)
    batch = batch_of(case)
    got = samples.listed(mx.vmap(case.grad)(*batch))
    for k in range(LANES):
        for g, e in zip(got, case.grad(*[b[k] for b in batch])):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, f"lane {k}")


@pytest.mark.grid(0.4)
@each_smooth
def test_grad_of_vmap(sample, dtype):
    case = Case(sample, dtype)
    batch = batch_of(case)
    total = lambda *primals: mx.vmap(case.loss)(*primals).sum()
    got = samples.listed(mx.grad(total, argnums=list(range(len(batch))))(*batch))
    for k in range(LANES):
        for g, e in zip(got, case.grad(*[b[k] for b in batch])):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, f"lane {k}")


@pytest.mark.grid(0.4)
@each_smooth
def test_vmap_of_jvp(sample, dtype):
    """Points and tangents both mapped."""
    case = Case(sample, dtype)
    batch = batch_of(case)
    moves = [direction(case.rng, b) for b in batch]
    count = len(batch)

    def one(*given):
        return mx.jvp(case.function, list(given[:count]), list(given[count:]))[1]

    got = mx.vmap(one)(*batch, *moves)
    for k in range(LANES):
        for g, e in zip(got, one(*[b[k] for b in batch], *[m[k] for m in moves])):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, f"lane {k}")


@pytest.mark.grid(0.4)
@each_smooth
def test_jvp_of_vmap(sample, dtype):
    case = Case(sample, dtype)
    batch = batch_of(case)
    moves = [direction(case.rng, b) for b in batch]
    _, got = mx.jvp(lambda *primals: mx.vmap(case.function)(*primals), batch, moves)
    for k in range(LANES):
        _, expected = mx.jvp(case.function, [b[k] for b in batch], [m[k] for m in moves])
        for g, e in zip(got, expected):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, f"lane {k}")


@pytest.mark.grid(0.4)
@each_smooth
def test_vmap_over_cotangents_and_tangents(sample, dtype):
    """Rows of a Jacobian by vmap of vjp, columns by vmap of jvp, at one shared point."""
    case = Case(sample, dtype)
    weights = [[direction(case.rng, y) for y in case.outputs] for _ in range(LANES)]
    stacked = [mx.stack(list(column)) for column in zip(*weights)]
    got = mx.vmap(lambda *cts: mx.vjp(case.function, case.primals, list(cts))[1])(*stacked)
    for k, one in enumerate(weights):
        for g, e in zip(got, mx.vjp(case.function, case.primals, one)[1]):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, "vmap of vjp")
    moves = [[direction(case.rng, p) for p in case.primals] for _ in range(LANES)]
    stacked = [mx.stack(list(column)) for column in zip(*moves)]
    got = mx.vmap(lambda *ts: mx.jvp(case.function, case.primals, list(ts))[1])(*stacked)
    for k, one in enumerate(moves):
        for g, e in zip(got, mx.jvp(case.function, case.primals, one)[1]):
            assert_near(arrays.to_np(g[k]), arrays.to_np(e), 1e-12, "vmap of jvp")


# --- dtypes of derivatives, and ops without derivatives ---

def widened(case):
    """A case with the same values in float64 or complex128."""
    wide = Case(case.sample, "complex128" if case.dtype in arrays.COMPLEX else "float64")
    for name in ("args", "primals", "tangents", "weights"):
        narrow = getattr(case, name)
        setattr(wide, name, [a.astype(wide.primals[0].dtype) if a is not None and differences.is_inexact(a) and (
            arrays.name_of(a.dtype) == case.dtype) else a for a in narrow])
    wide.weights = [w.astype(y.dtype) for w, y in zip(case.weights, wide.function(*wide.primals))]
    return wide


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("sample, dtype", [
    pytest.param(s, d, id=f"{s.id}-{d}") for s in SAMPLES if s.differentiable
    for d in ("float16", "bfloat16", "float32", "complex64") if d in s.dtypes])
def test_derivatives_keep_the_dtype(sample, dtype):
    """Tangents have the dtype of the output, cotangents that of the argument; values are those of float64, less precise."""
    case = Case(sample, dtype)
    wide = widened(case)
    outputs, tangents = mx.jvp(case.function, case.primals, case.tangents)
    _, cotangents = mx.vjp(case.function, case.primals, case.weights)
    for y, t in zip(outputs, tangents):
        assert t.dtype == y.dtype and t.shape == y.shape
    for p, c in zip(case.primals, cotangents):
        assert c.dtype == p.dtype and c.shape == p.shape
    if sample.reference is None:
        return  # random numbers of different widths are different numbers
    tolerance = 100 * epsilon(dtype)
    for t, e in zip(tangents, mx.jvp(wide.function, wide.primals, wide.tangents)[1]):
        assert_near(arrays.to_np(t), arrays.to_np(e), tolerance, "jvp")
    for c, e in zip(cotangents, mx.vjp(wide.function, wide.primals, wide.weights)[1]):
        assert_near(arrays.to_np(c), arrays.to_np(e), tolerance, "vjp")


@pytest.mark.parametrize("sample", [
    pytest.param(s, id=s.id) for s in SAMPLES
    if not s.differentiable and s.real_args and "float32" in s.dtypes and s.smooth is None])
def test_without_derivative_is_zero(sample):
    """An op without a derivative contributes zero to that of a function it is part of, in both modes and under vmap."""
    args = sample.to_mx(sample.draw("float32"), "float32")
    which = sample.real_args

    def function(*primals):
        full = list(args)
        for i, p in zip(which, primals):
            full[i] = p
        parts = [mx.real(y).astype(mx.float32).sum() for y in sample.outputs(*full)]
        return sum(parts) * 3 + sum((p * p).sum() for p in primals)

    primals = [args[i] for i in which]
    tangents = [mx.ones_like(p) for p in primals]
    gradients = samples.listed(mx.grad(function, argnums=list(range(len(primals))))(*primals))
    for p, g in zip(primals, gradients):
        np.testing.assert_array_equal(arrays.to_np(g), arrays.to_np(2 * p))
    _, (tangent,) = mx.jvp(function, primals, tangents)
    np.testing.assert_allclose(arrays.to_np(tangent), sum(float((2 * p).sum()) for p in primals), rtol=1e-5, atol=1e-5)
    mapped = mx.vmap(mx.grad(function), in_axes=(0,) + (None,) * (len(primals) - 1))
    for row in mapped(mx.stack([primals[0]] * 2), *primals[1:]):
        np.testing.assert_array_equal(arrays.to_np(row), arrays.to_np(2 * primals[0]))


def test_wrong_rules_are_seen():
    """Half a derivative, and a function that changes from call to call, fail the cells above."""
    (sine,) = [s for s in SAMPLES if s.id == "sin"]
    half = samples.replace(sine, call=lambda x: mx.sin(0.5 * x + 0.5 * mx.stop_gradient(x)))
    for test in (test_jvp_is_the_derivative, test_jvp_of_grad, test_grad_of_grad, test_grad_of_jvp):
        with pytest.raises(AssertionError):
            test(half, "float64")
    calls = iter(range(1000))
    uneven = samples.replace(sine, call=lambda x: x * float(next(calls)))
    for test in (test_vmap_over_every_in_axis, test_vmap_of_vmap):
        with pytest.raises(AssertionError):
            test(uneven, "float64")


def test_the_grid_covers_the_registry():
    sampled = {s.op["name"] for s in SAMPLES if s.args or s.op["reason"] == "it has no array argument" or s.op["family"] in ("creation", "random")}
    assert {op["name"] for op in samples.registry()} <= sampled
    unproven = {op["name"] for op in samples.registry() if op["differentiable"] == "yes"} - {
        s.op["name"] for s in SAMPLES if s.differentiable}
    assert not unproven, "differentiable ops whose derivatives nothing compares"
