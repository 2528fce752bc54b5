"""Drawn programs of elementwise steps and of reductions over any axes, of operands that are broadcast along any others and lie in
memory in any way: at once, compiled, and of operands not yet computed they have the bits that they have step by step."""

import numpy as np
import pytest

import mlx.core as mx
from bits import bits, check_as_step_by_step

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129, 192, 200, 255, 256, 257, 300, 384, 500]
LENGTHS += [512, 600, 1000, 1024, 1025]
DTYPES = ["float32"] * 6 + ["float64", "bfloat16", "float16", "int32", "int64", "uint8"]

OF_ONE = {"negative": mx.negative, "square": mx.square, "abs": mx.abs, "more": lambda x: x + 1, "times": lambda x: x * 3}
OF_ONE_FLOAT = {"exp": lambda x: mx.exp(mx.minimum(x, 3)), "tanh": mx.tanh, "sqrt": lambda x: mx.sqrt(mx.abs(x)), "sigmoid": mx.sigmoid}
OF_TWO = {
    "add": mx.add, "subtract": mx.subtract, "multiply": mx.multiply, "maximum": mx.maximum, "minimum": mx.minimum,
    "choose": lambda x, y: mx.where(x < y, x, y), "greater": lambda x, y: x * (x > y), "twice": lambda x, y: x * y + y,
}
OF_TWO_FLOATS = {"divide": mx.divide, "share": lambda x, y: x / (mx.abs(y) + 1), "below": lambda x, y: mx.exp(x - mx.maximum(x, y))}
OF_AXES = {"sum": mx.sum, "max": mx.max, "min": mx.min}
OF_AXES_FLOAT = {"mean": mx.mean, "var": mx.var, "logsumexp": mx.logsumexp}


def drawn_shape(rng, rank):
    """One axis of any length, and others within what is left of a number of elements."""
    most = int(rng.choice([2000, 6000, 20000, 60000]))
    shape = [int(rng.choice([n for n in LENGTHS if n <= most]))]
    while len(shape) < rank:
        left = most // int(np.prod(shape))
        shape.append(max(1, min(left, 400) if len(shape) == rank - 1 else int(rng.choice([n for n in LENGTHS if n <= max(1, left)]))))
    return shape[1:] + shape[:1] if rng.random() < 0.7 else [shape[i] for i in rng.permutation(rank)]


def drawn_array(rng, shape, name):
    """As it is, of other strides, backwards, every other element, or cut from a larger one."""
    way, axis, order = int(rng.integers(6)), int(rng.integers(len(shape))), rng.permutation(len(shape))
    base, cut = list(shape), [slice(None)] * len(shape)
    if way == 1:
        base = [shape[i] for i in order]
    elif way == 2:
        cut[axis] = slice(None, None, -1)
    elif way == 3:
        base[axis] *= 2
        cut[axis] = slice(None, None, 2)
    elif way == 4:
        base[axis] += 3
        cut[axis] = slice(1, -2)
    x = rng.standard_normal(base) * 3
    x[rng.random(base) < 0.03] = 0
    array = mx.array((np.abs(x) if name == "uint8" else x).astype(np.float32)).astype(getattr(mx, name))[tuple(cut)]
    return array.transpose(*np.argsort(order).tolist()) if way == 1 else array


def drawn_steps(rng, operands, rank, is_float):
    """Names of steps, with the numbers of the values that they read, or with axes."""
    often, rarely = (tuple(sorted(rng.choice(rank, int(rng.integers(1, rank + 1)), replace=False).tolist())) for _ in range(2))
    often = (rank - 1,) if rng.random() < 0.5 else often
    steps = []
    for number in range(operands, operands + int(rng.integers(1, 10))):
        lately = int(rng.integers(max(0, number - 3), number))
        kind, other = rng.random(), int(rng.integers(number))
        if kind < 0.25:
            steps.append((str(rng.choice([*OF_ONE, *(OF_ONE_FLOAT if is_float else [])])), lately, None))
        elif kind < 0.72:
            name = str(rng.choice([*OF_TWO, *(OF_TWO_FLOATS if is_float else [])]))
            steps.append((name, lately, other) if rng.random() < 0.6 else (name, other, lately))
        else:
            axes = rarely if rng.random() < 0.3 else often
            steps.append((str(rng.choice([*OF_AXES, *(OF_AXES_FLOAT if is_float else [])])), lately, axes))
    return steps


def run(steps, operands, each):
    values = list(operands)
    for name, first, second in steps:
        if second is None:
            values.append({**OF_ONE, **OF_ONE_FLOAT}[name](values[first]))
        elif isinstance(second, tuple):
            values.append({**OF_AXES, **OF_AXES_FLOAT}[name](values[first], axis=second, keepdims=True))
        else:
            values.append({**OF_TWO, **OF_TWO_FLOATS}[name](values[first], values[second]))
        if each:
            mx.eval(values[-1])
    return values[len(operands):]


@pytest.mark.parametrize("seed", range(12))
def test_programs_have_the_bits_of_their_steps(seed):
    for number in range(1000):
        rng = np.random.default_rng([seed, number])
        rank, name = int(rng.integers(1, 5)), str(rng.choice(DTYPES))
        shape = drawn_shape(rng, rank)
        others = [[n if rng.random() < 0.5 else 1 for n in shape] for _ in range(int(rng.integers(1, 5)))]
        operands = [drawn_array(rng, each, name) for each in (shape, *others)]
        steps = drawn_steps(rng, len(operands), rank, "float" in name)
        try:
            check_as_step_by_step(lambda each: run(steps, operands, each), rng, lambda each: run(steps, [x * 1 for x in operands], each))
            compiled = mx.compile(lambda *operands: run(steps, operands, False)[-1])(*operands)
            assert bits(compiled) == bits(run(steps, operands, True)[-1]), "compiled"
        except AssertionError as error:
            raise AssertionError(f"{name} {shape} {others} {steps}") from error
