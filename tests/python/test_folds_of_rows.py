"""Reductions of rows of memory, and what is done with their results: the bits of the steps one by one, for rows of one
block and of several, few and many of them, by one thread and by all."""

import numpy as np
import pytest

import mlx.core as mx
from bits import bits, evaluated

SHAPES = [(8, 2), (9, 63), (8, 1024), (8, 1025), (31, 2049), (300, 100), (77, 1500), (2000, 7), (40, 5000), (7, 3000)]
PROGRAMS = {
    "mean": lambda x, reduced: reduced(x, "sum") / x.shape[1],
    "of two": lambda x, reduced: reduced(x, "max") - reduced(x, "min") * 3,
    "longer": lambda x, reduced: mx.abs(reduced(x, "sum") * 0.5 + 1) - reduced(x, "max"),
    "both given": lambda x, reduced: [reduced(x, "sum"), reduced(x, "sum") * 2],
    "product": lambda x, reduced: 1 - reduced(x, "prod"),
    "logic": lambda x, reduced: mx.logical_and(reduced(x, "any"), mx.logical_not(reduced(x, "all"))),
}


def at_once(x, op):
    return getattr(mx, op)(x, axis=1)


def one_by_one(x, op):
    return evaluated(at_once(x, op))


def all_bits(values):
    return [bits(value) for value in ([values] if isinstance(values, mx.array) else values)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64", "int32", "int8", "complex64"])
def test_folds_of_rows(name, shape):
    rng = np.random.default_rng(shape[1])
    x = mx.array(rng.standard_normal(shape).astype("f4") * 3).astype(getattr(mx, name))
    mx.eval(x)
    for what, program in PROGRAMS.items():
        if name == "complex64" and what == "longer":
            continue
        want, got = program(x, one_by_one), program(x, at_once)
        assert all_bits(got) == all_bits(want), what
        compiled = mx.compile(lambda a, program=program: program(a, at_once))(x)
        assert all_bits(compiled) == all_bits(want), what


@pytest.mark.parametrize("shape", [(40, 64), (9, 300), (40, 1024), (5, 1500), (30, 4000), (3, 2, 700)], ids=str)
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64"])
def test_gradients_of_extrema(name, shape):
    """Elements that equal the extremum share its cotangent; where it is NaN, those that are NaN do."""
    rng = np.random.default_rng(shape[-1])
    x = rng.integers(-20, 20, shape).astype("f4")
    x[rng.random(shape) < 0.001] = np.nan
    x[..., 0, :] = np.nan if len(shape) > 2 else x[..., 0, :]
    scale = rng.integers(1, 4, shape[:-1]).astype("f4") * 64
    for op, best in (mx.max, np.max(x, -1)), (mx.min, np.min(x, -1)):
        f = mx.grad(lambda a, op=op: (op(a, axis=-1) * mx.array(scale).astype(a.dtype)).sum())
        wins = (x == best[..., None]) | (np.isnan(x) & np.isnan(best)[..., None])
        share = mx.array(scale[..., None]).astype(getattr(mx, name)) / mx.array(wins.sum(-1, keepdims=True))
        want = mx.where(mx.array(wins), share.astype(getattr(mx, name)), 0)
        a = mx.array(x).astype(getattr(mx, name))
        assert bits(f(a)) == bits(want) == bits(mx.compile(f)(a))
