"""Long runs of additions, products, minima and the like pass through registers when they are fused: drawn runs give the bits of one
step after the other, and NumPy's where that rounds each step, too; at sizes that leave rests, on each instruction set."""

import mlx.core as mx
import numpy as np
import pytest

from again import chosen_again, lesser_instruction_sets
from bits import evaluated

UNARY = [(mx.negative, np.negative), (mx.abs, np.abs), (mx.square, np.square), (lambda x: mx.sqrt(mx.abs(x)), lambda x: np.sqrt(np.abs(x)))]
BINARY = [(mx.add, np.add), (mx.subtract, np.subtract), (mx.multiply, np.multiply), (mx.maximum, np.maximum), (mx.minimum, np.minimum),
          (mx.divide, np.divide)]
SIZES = [2048, 2049, 5000, 70_001, 300_000]


def divides(seed):
    """Then NumPy may have other results: which zero a maximum of both is it does not say, and 1 / 0 and 1 / -0 differ."""
    return seed % 2 == 1


def drawn(seed, steps):
    """A function of two arrays, for either library: steps whose operands are mostly the last values, some older; several results."""
    rng = np.random.default_rng(seed)
    binary = BINARY if divides(seed) else BINARY[:-1]
    plan = []
    for i in range(steps):
        near = lambda count=i + 2: int(count - 1 - min(count - 1, rng.geometric(0.6) - 1))
        if rng.random() < 0.2:
            plan.append((UNARY[rng.integers(len(UNARY))], [near()]))
        else:
            plan.append((binary[rng.integers(len(binary))], [near(), near() if rng.random() < 0.7 else int(rng.integers(i + 2))]))
    kept = [steps + 1] + [int(k) for k in rng.integers(2, steps + 2, size=2)]

    def function(which, x, y, evaluate=lambda v: v):
        values = [x, y]
        for functions, operands in plan:
            values.append(evaluate(functions[which](*(values[k] for k in operands))))
        return [values[k] for k in kept]

    return function


def operands(size, dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, size)).astype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3e38], dtype)
    x[rng.integers(size, size=40)] = rng.choice(special, 40)
    y[rng.integers(size, size=40)] = rng.choice(special, 40)
    return x, y


def as_bits(x):
    """Bits, where every NaN is the same one."""
    x = np.array(x)
    x = np.where(np.isnan(x), np.array(np.nan, x.dtype), x)
    return x.view(f"u{x.itemsize}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(6))
def test_fused_runs_have_the_bits_of_single_steps(seed, size, dtype):
    function = drawn(seed, 8 + 7 * seed)
    x, y = operands(size, dtype, seed)
    ours = [mx.array(v, dtype=mx.float32 if dtype == np.float32 else mx.float64) for v in (x, y)]
    fused = function(0, *ours)
    mx.eval(*fused)
    stepwise = function(0, *ours, evaluated)
    compiled = mx.compile(lambda a, b: function(0, a, b))(*ours)
    with np.errstate(all="ignore"):
        expected = function(1, x, y)
    for got, step, recorded, numpy in zip(fused, stepwise, compiled, expected):
        assert np.array_equal(as_bits(got), as_bits(step))
        assert np.array_equal(as_bits(got), as_bits(recorded))
        assert divides(seed) or np.array_equal(np.array(got), numpy, equal_nan=True)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64])
@pytest.mark.parametrize("seed", range(30))
def test_chains_that_need_one_register(seed, dtype):
    """Each step has the last value and one of an array's, of rows, of columns, or a number: in spaces with any rest, and the first operand's
    memory may be given away."""
    rng = np.random.default_rng(seed)
    rest = int(rng.choice([0, 1, 63, 64, 65, 127, 128, 129, 200]))
    shape = [(2048 + rest,), (3, 1024 + rest), (40, 64 + rest), (5000, 128), (300, 256 + rest)][rng.integers(5)]
    x, y = (mx.array(v.reshape(shape), dtype) for v in operands(int(np.prod(shape)), np.float32, seed))
    others = [y, y[..., :1], y[-1:], 0.75, -3.0, None]
    steps = [(rng.integers(len(BINARY) - 1), int(rng.integers(len(others))), rng.random() < 0.5) for _ in range(rng.integers(2, 25))]
    unary = [mx.negative, mx.abs, mx.square]

    def chain(x, evaluate=lambda v: v):
        values = [evaluate(x * 1.5)]
        for op, number, turned in steps:
            other, last = others[number], values[-1]
            result = unary[op % 3](last) if other is None else BINARY[op][0](*((other, last) if turned else (last, other)))
            values.append(evaluate(result))
        return [values[-1], values[len(values) // 2]]

    expected = chain(x, evaluated)
    for f in (chain, mx.compile(chain)):
        for got, step in zip(f(x * 1), expected):
            assert np.array_equal(as_bits(got), as_bits(step))


@pytest.mark.parametrize("columns", [511, 512, 1000, 1448, 5000])
def test_rows_that_are_broadcast_are_read_where_they_lie(columns):
    """One value a column for all rows: whatever the columns' number is to that of elements that are done at once."""
    rng = np.random.default_rng(columns)
    x, row, plane = (rng.standard_normal(s).astype(np.float32) for s in ((9, columns), (columns,), (3, 1, columns)))
    got = mx.array(x) * mx.array(row) + mx.array(row)[None] - mx.array(x)
    assert np.array_equal(np.array(got), x * row + row[None] - x)
    cube = np.repeat(x[None, :4], 3, 0)
    assert np.array_equal(np.array(mx.array(cube) * mx.array(plane) + 1), cube * plane + np.float32(1))


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.uint16, np.int32, np.float64, np.complex64])
def test_every_second_to_fifth_element(dtype, step):
    for n in (1, 2, 31, 32, 33, 64, 65, 100, 1000, 5001):
        for more in range(step):
            x = np.arange(step * n + more).astype(dtype)
            for first in range(step):
                assert np.array_equal(np.array(mx.contiguous(mx.array(x)[first::step])), x[first::step])
    x = np.arange(40 * 50 * step).reshape(40, 50, step).astype(dtype)
    channels = [mx.array(x)[:, :, k] for k in range(step)]
    assert np.array_equal(np.array(channels[0] + channels[-1]), x[:, :, 0] + x[:, :, -1])


@lesser_instruction_sets
def test_on_other_instruction_sets(target):
    chosen_again(__file__, "not instruction_sets and not 300000", MLX_CPU_TARGETS=target)
