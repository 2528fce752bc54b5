"""Elementwise work and the reductions of it over leading or separate axes run in one pass: drawn programs give the bits they give when
each step is computed by itself, whatever the layout of what they read, and whichever of the values somebody keeps."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

REDUCTIONS = [mx.sum, mx.max, mx.min, mx.prod, mx.mean, mx.any]
UNARY = [mx.exp, mx.abs, mx.negative, mx.square, lambda x: x * 0.5]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum]

# Shapes and reduced axes: rows that are joined, single, cut into strips; one block of rows and many, lanes not all used; groups of
# rows; rows that do not follow one another; neighbours that are reduced, of every power of two; and of lengths that stay by
# themselves, of several results at once.
SPACES = [((1000, 7), (0,)), ((5000, 64), (0,)), ((33, 129), (0,)), ((2500, 256), (0,)), ((70, 257), (0,)), ((1025, 300), (0,)),
          ((2, 3000), (0,)), ((130, 1025), (0,)), ((3, 40_000), (0,)), ((2049, 2), (0,)), ((9, 28, 28, 16), (0, 1, 2)),
          ((5, 200, 30), (1,)), ((7, 3, 9, 300), (0, 2)), ((40, 5, 30, 20), (0, 2)), ((11, 1, 500), (0,)), ((3, 4, 5, 6, 70), (0, 2, 3)),
          ((2, 784, 8, 8), (1, 3)), ((64, 2, 40, 2), (1, 3)), ((300, 60, 16), (0, 2)), ((1100, 30, 4), (0, 2)), ((5, 2500, 3, 2), (1, 3)),
          ((90, 600, 2), (0, 2)), ((50, 3, 49), (0, 2)), ((40, 3, 32, 8), (0, 2, 3)),
          ((9, 5, 28, 28), (0, 2, 3)), ((3, 70, 500), (0, 2)), ((2, 3, 5, 7, 300), (0, 2, 4)), ((70, 2, 1025), (0, 2)),
          ((9, 41, 50), (0, 2)), ((3, 1001, 17), (0, 2)), ((6, 9, 33, 40), (1, 3)), ((40, 103, 100), (0, 2)), ((2, 23, 300), (0, 2))]


def values(generator, shape, dtype):
    if dtype == "bool":
        return mx.array(generator.random(shape) < 0.9)
    if dtype.startswith("int"):
        return mx.array(generator.integers(-9, 9, shape)).astype(getattr(mx, dtype))
    x = generator.standard_normal(shape)
    x = x + 1j * generator.standard_normal(shape) if dtype == "complex64" else x
    x[tuple(int(generator.integers(n)) for n in shape)] = [np.nan, -0.0, np.inf, -np.inf][generator.integers(4)]
    return mx.array(x.astype(np.complex64 if dtype == "complex64" else np.float64)).astype(getattr(mx, dtype))


def laid_out(generator, x):
    """The same values: as they are, broadcast along some axes, transposed in memory, or a slice of more."""
    way = generator.integers(5)
    if way == 1:
        kept = tuple(slice(None) if generator.integers(2) else slice(0, 1) for _ in x.shape)
        return mx.broadcast_to(mx.contiguous(x[kept]), x.shape)
    if way == 2:
        return mx.swapaxes(mx.contiguous(mx.swapaxes(x, 0, -1)), 0, -1)
    if way == 3:
        return mx.concatenate([x, x], axis=-1)[..., : x.shape[-1]]
    if way == 4:
        return mx.contiguous(x[::-1])[::-1]
    return x


def drawn(generator, axes):
    """A list of (function, places of its operands among the values before); the first three are given, folds come among the steps."""
    elements, steps = [0, 1, 2], []
    for _ in range(generator.integers(3, 9)):
        recent = [elements[-1], elements[generator.integers(len(elements))]]
        at = 3 + len(steps)
        kind = generator.integers(3)
        if kind == 0:
            reduce, keep = REDUCTIONS[generator.integers(len(REDUCTIONS))], bool(generator.integers(2))
            steps.append((lambda x, reduce=reduce, keep=keep: reduce(x, axis=axes, keepdims=keep), recent[:1]))
        else:
            steps.append((UNARY[generator.integers(len(UNARY))], recent[:1]) if kind == 1 else (BINARY[generator.integers(len(BINARY))], recent))
            elements.append(at)
    steps.append((lambda x: mx.sum(x, axis=axes, keepdims=True), elements[-1:]))
    steps.append((lambda x, s: x - s, [elements[-1], 2 + len(steps)]))
    return steps


def run(steps, given, each=lambda x: x):
    results = list(given)
    for function, operands in steps:
        results.append(each(function(*(results[i] for i in operands))))
    return results


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64", "int32", "int8", "complex64"])
def test_in_one_pass_as_step_by_step(space, dtype, run_all):
    shape, axes = space
    for seed in range(60 if run_all else 6):
        generator = np.random.default_rng([seed, len(dtype), *shape])
        given = [laid_out(generator, values(generator, shape, dtype)) for _ in range(3)]
        steps = drawn(generator, axes)
        expected = [bits(x) for x in run(steps, given, evaluated)]
        kept = sorted({3 + int(i) for i in generator.integers(len(steps), size=3)} | {2 + len(steps)})
        results = run(steps, given)
        chosen = [results[i] for i in kept]
        del results
        mx.eval(chosen)
        assert [bits(x) for x in chosen] == [expected[i] for i in kept], (seed, kept)
        compiled = mx.compile(lambda *xs: [run(steps, xs)[i] for i in kept])(*given)
        assert [bits(x) for x in compiled] == [expected[i] for i in kept], (seed, kept, "compiled")
