"""Random programs of elementwise ops and reductions beside JAX: values, gradients, and Hessians along a direction, in float64."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
import random_programs as rp

pytestmark = pytest.mark.peers
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "std")
COUNT, MOST = 50, 2000


@pytest.fixture(scope="module")
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


def steps_of(seed, jax):
    """The elementwise steps of a program that JAX has by the same name, with a reduction here and there."""
    known = lambda s: s.sample.elementwise and s.shape is not None and hasattr(jax.numpy, s.sample.op["name"])
    return [s for s in rp.program(seed, longest=60, smooth=True) if known(s) and s.dtype == "float64"][:10]


def value(steps, x, library, seed):
    """A scalar function of x: the same in both libraries."""
    values = [x]
    for i, step in enumerate(steps):
        args = []
        for argument, back in zip(step.sample.args, step.operands):
            half = min(0.9 * (argument.high - argument.low) / 2, 1.5)
            args.append(library.sin(values[-1 - back % len(values)]) * half + (argument.low + argument.high) / 2)
        y = getattr(library, step.sample.op["name"])(*args)
        if (seed + i) % 3 == 0:
            y = y - getattr(library, REDUCTIONS[(seed + i) % len(REDUCTIONS)])(y, axis=0) * 0.5
        values.append(y)
    return sum((v * (0.3 + 0.1 * k)).sum() for k, v in enumerate(values))


@pytest.mark.parametrize("seed", [
    pytest.param(s, marks=[pytest.mark.everything] if s >= 3 * COUNT else []) for s in range(0, MOST, COUNT)])
def test_as_in_jax(seed, jax):
    for one in range(seed, seed + COUNT):
        steps = steps_of(one, jax)
        x, t = np.random.default_rng(one).uniform(-1, 1, (2, 3, 2))
        ours, theirs = (lambda x, lib=lib: value(steps, x, lib, one) for lib in (mx, jax.numpy))
        a, b = arrays.to_mx(x, "float64"), arrays.to_mx(t, "float64")
        got = [ours(a), mx.grad(ours)(a), mx.jvp(mx.grad(ours), [a], [b])[1][0]]
        expected = [theirs(x), jax.grad(theirs)(x), jax.jvp(jax.grad(theirs), (x,), (t,))[1]]
        for g, e, what in zip(got, expected, ("value", "gradient", "Hessian")):
            g, e = arrays.to_np(g), np.asarray(e)
            finite = np.isfinite(e)
            scale = 1 + np.abs(e[finite]).max(initial=0)
            assert np.all(np.abs(g - e)[finite] <= 1e-8 * scale), f"{what} of {steps}, seed {one}: {g} {e}"
