"""Random programs over the whole registry: evaluation step by step changes no bit, vmap is a loop, reverse mode is the adjoint of
forward mode, and forward mode is the derivative. A few hundred programs by default, ten thousand with --all; --programs N and
--seed S choose others. A failure prints the seed and the shortest program that still fails."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
import differences
import random_programs as rp
import samples
from bits import evaluated
from differences import direction, inner
from test_determinism import fingerprint

BATCH = 20  # programs per test
MANY, FEW = 10_000, 60


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        config = metafunc.config
        default = metafunc.module.MANY if config.getoption("--all") else metafunc.module.FEW
        count = config.getoption("--programs") or default
        first = config.getoption("--seed")
        metafunc.parametrize("seed, count", [(s, min(BATCH, first + count - s)) for s in range(first, first + count, BATCH)])


def check_all(seed, count, make, check):
    """check(steps, seed) for the programs of these seeds."""
    for one in range(seed, seed + count):
        steps = make(one)
        try:
            with np.errstate(all="ignore"):
                check(steps, one)
        except Exception as e:
            kind = type(e)

            def fails(shorter):
                try:
                    check(shorter, one)
                except Exception as other:
                    return type(other) is kind
                return False

            raise AssertionError(f"--seed {one} --programs 1: {e}\n{rp.shrunk(steps, fails)}") from e


def any_dtype(seed):
    return ("float32", "float64", "float16", "bfloat16", "complex64", "int32")[seed % 6]


# Ways to run a function that give the same bits; one joins when the library has it.
SAME_BITS = {"step by step": lambda f, xs: f(xs, evaluated),
             "checkpoint": lambda f, xs: mx.checkpoint(lambda *xs: f(list(xs)))(*xs)}
if hasattr(mx, "compile"):
    SAME_BITS["compile"] = lambda f, xs: mx.compile(lambda *xs: f(list(xs)))(*xs)
if hasattr(mx, "cond"):
    SAME_BITS["cond"] = lambda f, xs: mx.cond(mx.array(True), lambda *xs: f(list(xs)), lambda *xs: f(list(xs)), *xs)


@pytest.mark.parametrize("way", SAME_BITS)
def test_same_bits(way, seed, count):
    def check(steps, one):
        function = lambda xs, each=lambda v: v: rp.run(steps, xs, each)[2:]
        xs = rp.inputs(one, any_dtype(one))
        assert fingerprint(SAME_BITS[way](function, xs)) == fingerprint(function(xs)), "bits differ"

    check_all(seed, count, lambda one: rp.program(one, dtype=any_dtype(one), inexact=arrays.INEXACT), check)


@pytest.mark.parametrize("way", SAME_BITS)
def test_same_bits_of_gradients(way, seed, count):
    """What is kept for the backward pass, and fused with it, changes no bit."""
    def check(steps, one):
        def gradients(xs, each=lambda v: v):
            loss = lambda *xs: sum(y.sum() for y in rp.results(steps, xs, each))
            return samples.listed(mx.grad(loss, argnums=list(range(len(xs))))(*xs))

        xs = rp.inputs(one, ("float32", "float64", "bfloat16")[one % 3])
        assert fingerprint(SAME_BITS[way](gradients, xs)) == fingerprint(gradients(xs)), "bits differ"

    check_all(seed, count, lambda one: rp.program(one, longest=60, smooth=True, inexact=arrays.INEXACT), check)


def close(got, expected, doubt, what):
    """Equal up to rounding, which the program may amplify: doubt is how far a change in the last place moves the result."""
    got, expected = arrays.to_np(got), arrays.to_np(expected)
    assert got.shape == expected.shape, what
    finite = np.isfinite(expected) & np.isfinite(doubt)
    error = np.abs(np.where(finite, got, 0) - np.where(finite, expected, 0))
    assert np.all(error <= 1e-10 * (1 + np.abs(expected)) + 1e3 * np.where(finite, doubt, 0), where=finite), f"{what}: {error.max()}"
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=what)


def test_vmap_is_a_loop(seed, count):
    def check(steps, one):
        lanes = [[x + 0.01 * k for x in rp.inputs(one, "float64")] for k in range(3)]
        rng = np.random.default_rng(one)
        in_axes = [int(rng.integers(-x.ndim - 1, x.ndim + 1)) if i == 0 or rng.random() < 0.7 else None for i, x in enumerate(lanes[0])]
        lanes = [[x if axis is not None else shared for x, axis, shared in zip(lane, in_axes, lanes[0])] for lane in lanes]
        batched = [mx.stack([lane[i] for lane in lanes], axis=a) if a is not None else lanes[0][i] for i, a in enumerate(in_axes)]
        got = mx.vmap(lambda *xs: rp.results(steps, xs), in_axes=tuple(in_axes))(*batched)
        for k, lane in enumerate(lanes):
            expected = rp.results(steps, lane)
            moved = rp.results(steps, [x * (1 + 1e-15) + 1e-16 for x in lane])
            for g, e, m in zip(got, expected, moved):
                close(g[k], e, np.abs(arrays.to_np(m) - arrays.to_np(e)), f"lane {k}, in_axes {in_axes}")

    check_all(seed, count, lambda one: rp.program(one, longest=30), check)


def test_reverse_is_the_adjoint_of_forward(seed, count):
    def check(steps, one):
        xs = rp.inputs(one, ("float64", "complex128")[one % 2])
        function = lambda *xs: rp.results(steps, xs)
        rng = np.random.default_rng(one)
        moves = [direction(rng, x) for x in xs]
        outputs, tangents = mx.jvp(function, xs, moves)
        weights = [direction(rng, y) for y in outputs]
        _, cotangents = mx.vjp(function, xs, weights)
        size = sum(float(np.abs(arrays.to_np(a)).sum()) for a in [*tangents, *cotangents])
        left, right = inner(weights, tangents), inner(cotangents, moves)
        if np.isfinite([left, right, size]).all() and size < 1e12:
            allowed = 1e-9 * (1 + size)
            if abs(left - right) > allowed:  # by what the program amplifies rounding, as near a singular matrix
                nearby = [inner(weights, mx.jvp(function, [x * (1 + e) for x in xs], moves)[1]) for e in (2e-16, 1e-15, -1e-15)]
                allowed += 1e3 * np.nanmax(np.abs(np.array(nearby) - left))
            assert abs(left - right) <= allowed, (left, right, size)

    check_all(seed, count, lambda one: rp.program(one, longest=60, smooth=bool(one % 3)), check)


def factors_without_full_rank(steps, xs):
    """Whether an LU or QR factorization of the program is of a matrix whose columns, as many as it has rows, depend on each other, or the
    sample of svd, which has singular values to the power 1.5, of one without full rank: it has no derivative there, or no second one, though
    quotients along one direction may settle."""
    found = []

    def call(step, args):
        if step.sample.op["name"] in ("linalg.lu", "linalg.lu_factor", "linalg.qr", "linalg.svd"):
            a = arrays.to_np(args[0])
            a = a[..., : min(a.shape[-2:])]
            found.append(np.isfinite(a).all() and np.any(np.linalg.matrix_rank(a) < a.shape[-1]))
        return step.sample.call(*args)

    rp.run(steps, xs, call=call)
    return any(found)


def test_forward_is_the_derivative(seed, count):
    def check(steps, one):
        xs = rp.inputs(one, "float64")
        function = lambda *xs: rp.results(steps, xs)
        moves = [direction(np.random.default_rng(one), x) for x in xs]
        _, tangents = mx.jvp(function, xs, moves)
        quotients = [differences.central(function, xs, moves, step) for step in (1e-4, 2e-4, 0.5e-4)]
        sides = [differences.one_sided(function, xs, moves, step) for step in (1e-4, -1e-4)]
        for t, best, wide, narrow, right, left in zip(tangents, *quotients, *sides):
            got = arrays.to_np(t)
            smooth = np.abs(right - left) <= 1e-2 * (1 + np.abs(best))  # not where a kink is nearer than the step
            doubt = np.abs(best - wide) + np.abs(best - narrow)  # large near kinks, and where derivatives grow fast
            allowed = 1e-6 * (1 + np.abs(best).max(initial=0)) + 20 * doubt
            wrong = ~(np.abs(got - best) <= allowed) & np.isfinite(best) & smooth
            if np.isnan(got[wrong]).any() and factors_without_full_rank(steps, xs):
                wrong &= ~np.isnan(got)
            assert not wrong.any(), np.abs(got - best).max()

    check_all(seed, count, lambda one: rp.program(one, longest=8, smooth=True), check)


def test_programs_use_the_registry():
    """In ten thousand programs every op with arguments occurs, and the default ones contain most."""
    names = lambda count, smooth: {s.sample.op["name"] for seed in range(count) for s in rp.program(seed, smooth=smooth)}
    assert names(600, False) == set(rp.by_op(False))
    assert names(300, True) == set(rp.by_op(True))


def test_a_wrong_program_is_seen_and_shrunk():
    steps = rp.program(3, shortest=10, longest=12)

    def check(steps, one):
        assert not any(s is bad for s in steps), "found"

    bad = steps[4]
    with pytest.raises(AssertionError, match="--seed 3") as e:
        check_all(3, 1, lambda one: steps, check)
    assert str(e.value).count(":") < 6, "one step is left"
