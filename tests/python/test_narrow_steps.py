"""Steps on values that are broadcast along the same axes are done before these are broadcast, and reductions along such axes alone by
the tree of equal elements: drawn programs on repeated, tiled, enlarged and broadcast arrays give the bits that they give when each
operand is put together in memory and each step computed by itself, on every instruction set."""

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets
from bits import bits, evaluated

UNARY = [mx.sin, mx.exp, mx.abs, mx.negative, mx.square, lambda x: x * 0.5, lambda x: x + 1, mx.sqrt]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum]
REDUCTIONS = [mx.sum, mx.max, mx.min, mx.prod, mx.mean, mx.any]

# Shapes and axes along which operands are broadcast: counts around those of lanes and blocks; inner, outer and separate axes.
SPACES = [((700, 30, 2), (2,)), ((300, 70, 3), (2,)), ((40, 4, 128), (1,)), ((3, 200, 40), (0,)), ((2, 64, 2, 80), (0, 2)),
          ((33, 2, 65, 4), (1, 3)), ((90, 200), (0,)), ((2100, 9), (0,)), ((9, 2100), (1,)), ((1025, 17), (0,)), ((5, 64, 65), (1,)),
          ((17, 1024), (1,)), ((20, 5, 7, 31), (1, 3)), ((30_000,), (0,)), ((6, 3, 5, 7, 31), (0, 2, 4)), ((8, 8, 2, 16, 2, 5), (2, 4)), ((40, 3, 30, 7), (1,))]
DTYPES = ["float32", "bfloat16", "float16", "float64", "int32", "int8", "complex64"]


def values(generator, shape, dtype):
    x = generator.standard_normal(shape)
    if dtype.startswith("int"):
        return mx.array(generator.integers(-9, 9, shape)).astype(getattr(mx, dtype))
    if dtype == "complex64":
        return mx.array((x + 1j * generator.standard_normal(shape)).astype(np.complex64))
    x.reshape(-1)[generator.integers(x.size)] = [np.nan, -0.0, np.inf, -np.inf][generator.integers(4)]
    return mx.array(x).astype(getattr(mx, dtype))


def operands(generator, shape, axes, dtype):
    """Broadcast along the axes, twice; along some of them; of all elements; one element."""
    sizes = [[1 if d in broadcast else n for d, n in enumerate(shape)] for broadcast in (axes, axes, axes[:1], ())] + [[1] * len(shape)]
    given = [values(generator, size, dtype) for size in sizes]
    if generator.integers(3) == 0:  # of another layout
        given[0] = mx.contiguous(given[0][::-1])[::-1]
    return given


def drawn(generator, shape, axes):
    """A program of the operands, each broadcast to the shape by `spread`; the first value of each step is likely a narrow one."""
    flat = bool(generator.integers(2))  # under one shape with the broadcast axes merged into their neighbours
    steps, count = [], 5
    for _ in range(generator.integers(2, 8)):
        places = [int(generator.choice([count - 1, int(generator.integers(count)), int(generator.integers(2))])) for _ in range(2)]
        if generator.integers(2):
            steps.append((UNARY[generator.integers(len(UNARY))], places[:1]))
        else:
            steps.append((BINARY[generator.integers(len(BINARY))], places))
        count += 1
    folds = []
    for _ in range(generator.integers(1, 4)):
        reduced = axes if generator.integers(3) else tuple(sorted(generator.choice(len(shape), generator.integers(1, len(shape) + 1), False).tolist()))
        folds.append((REDUCTIONS[generator.integers(len(REDUCTIONS))], int(generator.integers(5, count)), reduced))
    kept = [int(i) for i in generator.integers(5, count, size=generator.integers(3))]

    def program(given, spread, each):
        all_values = [spread(mx.broadcast_to(x, shape), flat) for x in given]
        for function, places in steps:
            all_values.append(each(function(*(all_values[i] for i in places))))
        results = [each(reduce(each(all_values[i].reshape(shape)), axis=reduced)) for reduce, i, reduced in folds]
        return results + [all_values[i] for i in kept]

    return program


def as_given(x, flat):
    return x.reshape(-1) if flat else x


def put_together(x, flat):
    return evaluated(mx.contiguous(x).reshape((-1,) if flat else x.shape))


def check(space, dtype, seed):
    shape, axes = space
    generator = np.random.default_rng([seed, len(dtype), *shape])
    given = operands(generator, shape, axes, dtype)
    program = drawn(generator, shape, axes)
    expected = [bits(x) for x in program(given, put_together, evaluated)]
    assert [bits(x) for x in program(given, as_given, lambda x: x)] == expected, (space, dtype, seed)
    compiled = mx.compile(lambda *xs: program(xs, as_given, lambda x: x))(*given)
    assert [bits(x) for x in compiled] == expected, (space, dtype, seed, "compiled")


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_before_broadcasting_as_after(space, dtype, run_all):
    for seed in range(60 if run_all else 6):
        check(space, dtype, seed)


@lesser_instruction_sets
def test_on_each_instruction_set(target):
    code = "import test_narrow_steps as t\nfor space in t.SPACES:\n for dtype in t.DTYPES[:5]: t.check(space, dtype, 100)"
    again("-c", code, MLX_CPU_TARGETS=target)


def drawn_counts(seed):
    generator = np.random.default_rng(seed)
    for n in [*range(1, 70), 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 2048, 2049, 3100, 70_001]:
        yield generator, n


def test_sums_of_equal_elements():
    """A reduction along broadcast axes has the bits of the same elements in memory."""
    for generator, n in drawn_counts(1):
        for dtype in DTYPES:
            x = values(generator, (int(generator.integers(1, 12)), 1, int(generator.integers(1, 5))), dtype)
            wide = mx.broadcast_to(x, (x.shape[0], n, x.shape[2]))
            x = mx.swapaxes(wide, 1, 2) if generator.integers(2) else wide
            axis = 2 if x is not wide else 1
            for reduce in REDUCTIONS:
                assert bits(reduce(x, axis=axis)) == bits(reduce(put_together(x, False), axis=axis)), (n, dtype, reduce)


@pytest.mark.parametrize("made", ["repeat", "tile", "enlarged", "rows"])
def test_gradients_of_what_is_repeated(made):
    """Against sums of the gradient by the elements that were repeated."""
    x = mx.array(np.random.default_rng(5).standard_normal((60, 128)).astype(np.float64), dtype=mx.float64)
    make, gather = {
        "repeat": (lambda x: mx.repeat(x, 3, axis=1), lambda g: g.reshape(60, 128, 3).sum(2)),
        "tile": (lambda x: mx.tile(x, (2, 3)), lambda g: g.reshape(2, 60, 3, 128).sum((0, 2))),
        "enlarged": (lambda x: mx.broadcast_to(x[:, None, :, None], (60, 2, 128, 2)).reshape(120, 256),
                     lambda g: g.reshape(60, 2, 128, 2).sum((1, 3))),
        "rows": (lambda x: mx.broadcast_to(x[:1], (50, 60, 128)), lambda g: np.concatenate([g.sum((0, 1))[None], np.zeros((59, 128))])),
    }[made]
    found = np.array(mx.grad(lambda x: mx.sum(mx.sin(make(x)) ** 2 * 3))(x))
    wide = np.array(make(x))
    assert np.allclose(found, gather(6 * np.sin(wide) * np.cos(wide)), rtol=1e-12, atol=1e-12)
