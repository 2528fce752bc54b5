"""Elementwise steps on arrays of which some are one number for each line: the bits of the same steps on copies that have all
elements, one by one and at once, for lines of every length about those of vectors, and where results take the place of operands."""

import numpy as np
import pytest

import mlx.core as mx
from bits import bits, check_as_step_by_step

LENGTHS = [2, 7, 16, 31, 48, 63, 64, 65, 95, 96, 97, 127, 128, 129, 150, 192, 199, 200, 255, 256, 257, 300, 383, 384, 385, 511, 512]
LENGTHS += [600, 1000, 1023, 1024, 1025, 2100]
DTYPES = ["float32", "float64", "bfloat16", "float16", "int32", "int64", "uint8", "complex64"]
STEPS = {
    "add": mx.add, "subtract": mx.subtract, "multiply": mx.multiply, "divide": mx.divide, "less": lambda x, y: (x < y).astype(x.dtype),
    "maximum": mx.maximum, "minimum": mx.minimum, "where": lambda x, y: mx.where(x < y, x, y), "greater": lambda x, y: x * (x > y),
    "exp": lambda x, y: mx.exp(x - mx.maximum(x, y)), "square": lambda x, y: mx.square(x) - y, "power": lambda x, y: mx.where(x >= y, x - y, -x),
}
OF_NUMBERS = ("add", "subtract", "multiply", "square")
OF_INTEGERS = (*OF_NUMBERS, "maximum", "minimum", "where", "less", "greater")


def drawn_operands(rng, name, length):
    """Of all elements, of lines, of rows, of every other axis, and of one."""
    outer = int(rng.integers(1, 5)), int(rng.integers(1, max(2, 5000 // length)))
    shapes = [(*outer, length), (*outer, 1), (1, 1, length), (1, outer[1], 1), (outer[0], 1, length), (outer[0], 1, 1), (1, 1, 1)]
    operands = []
    for shape in shapes:
        x = rng.standard_normal(shape) * 4
        x[rng.random(shape) < 0.05] = 0
        if name.startswith("u"):
            x = np.abs(x)
        operands.append(mx.array(x.astype(np.float32)).astype(getattr(mx, name)))
    strided = mx.array(rng.standard_normal((*outer, 3)).astype(np.float32)).astype(operands[0].dtype)[:, :, 1:2]
    return [*operands, strided], (*outer, length)


def steps_of(name):
    if name == "complex64":
        return list(OF_NUMBERS)
    return list(STEPS if name.startswith(("float", "bfloat")) else OF_INTEGERS)


@pytest.mark.parametrize("name", DTYPES)
def test_steps_have_the_bits_of_copies(name):
    rng = np.random.default_rng(DTYPES.index(name))
    for length in LENGTHS:
        operands, shape = drawn_operands(rng, name, length)
        whole = [mx.contiguous(mx.broadcast_to(x, shape)) for x in operands]
        for step in steps_of(name):
            i, j = rng.choice(len(operands), 2, replace=False)
            for a, b in (0, j), (j, 0), (i, 0):  # the first one has all elements
                want = STEPS[step](whole[a], whole[b])
                got = STEPS[step](operands[a], operands[b])
                assert got.shape == want.shape and bits(got) == bits(want), (length, step, a, b)


@pytest.mark.parametrize("name", DTYPES)
def test_programs_have_the_bits_of_their_steps(name):
    rng = np.random.default_rng(100 + DTYPES.index(name))
    for length in LENGTHS:
        operands, _ = drawn_operands(rng, name, length)
        count = int(rng.integers(2, 7))
        choices = [(str(rng.choice(steps_of(name))), int(rng.integers(0, 4)), int(rng.integers(0, len(operands)))) for _ in range(count)]
        folds = rng.random() < 0.4

        def program(each):
            values = [operands[0] + operands[1]]  # memory that the next ones may take
            for step, kept, other in choices:
                before = values[-1 - kept % len(values)]
                values.append(STEPS[step](before, operands[other]))
                if folds and step == "multiply" and name != "complex64":
                    values.append(values[-1] - values[-1].max(axis=2, keepdims=True))
                if each:
                    mx.eval(values[-1])
            return values

        check_as_step_by_step(program, rng)
        assert bits(mx.compile(lambda: program(False)[-1])()) == bits(program(True)[-1]), length
