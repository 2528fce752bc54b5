"""Reductions of rows of memory, and what is done with their results: the bits of the steps one by one, for rows of one
block and of several, few and many of them, by one thread and by all."""

import numpy as np
import pytest

import mlx.core as mx

SHAPES = [(8, 2), (9, 63), (8, 1024), (8, 1025), (31, 2049), (300, 100), (77, 1500), (2000, 7), (40, 5000), (7, 3000)]
PROGRAMS = {
    "mean": lambda x, reduced: reduced(x, "sum") / x.shape[1],
    "of two": lambda x, reduced: reduced(x, "max") - reduced(x, "min") * 3,
    "longer": lambda x, reduced: mx.abs(reduced(x, "sum") * 0.5 + 1) - reduced(x, "max"),
    "both given": lambda x, reduced: [reduced(x, "sum"), reduced(x, "sum") * 2],
    "product": lambda x, reduced: 1 - reduced(x, "prod"),
    "logic": lambda x, reduced: mx.logical_and(reduced(x, "any"), mx.logical_not(reduced(x, "all"))),
}


def bits(values):
    return [bytes(memoryview(mx.view(mx.contiguous(v).reshape(-1), mx.uint8))) for v in values]


def at_once(x, op):
    return getattr(mx, op)(x, axis=1)


def one_by_one(x, op):
    y = at_once(x, op)
    mx.eval(y)
    return y


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
        want, got = ([v] if isinstance(v, mx.array) else v for v in (want, got))
        assert bits(got) == bits(want), what
        compiled = mx.compile(lambda a, program=program: program(a, at_once))(x)
        assert bits([compiled] if isinstance(compiled, mx.array) else compiled) == bits(want), what
