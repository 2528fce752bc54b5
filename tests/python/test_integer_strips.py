"""Chains of integers that run in registers: drawn programs over every body that has a strip, on the ends of the dtypes' ranges and counts of
shifts beyond the width, have the bits of one operation at a time; and hashes are NumPy's."""

import mlx.core as mx
import numpy as np
import pytest

from bits import evaluated

DTYPES = ["int32", "uint32", "int64", "uint64"]
UNARY = (mx.negative, mx.abs, mx.square, mx.bitwise_invert)
BINARY = (mx.add, mx.subtract, mx.multiply, mx.maximum, mx.minimum, mx.bitwise_and, mx.bitwise_or, mx.bitwise_xor)
SHIFTS = (mx.left_shift, mx.right_shift)
COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)
SHAPES = [(1, 2048), (1, 5017), (3, 1100), (40, 256), (33, 96), (4, 1024)]


def integers(generator, dtype, shape):
    """Any there are, with the ends of the range and small ones in every place of a strip."""
    info = np.iinfo(dtype)
    x = generator.integers(info.min, info.max, shape, dtype, endpoint=True)
    ends = np.array([info.min, info.min + 1, info.max, info.max - 1, 0, 1, 5, info.bits - 1, info.bits, info.bits + 1], dtype)
    return np.where(generator.random(shape) < 0.4, generator.choice(ends, shape), x)


def drawn(generator, numbers, bools):
    """Steps as (op, places among the numbers, places among the bools, whether it gives a bool)."""
    steps = []
    recent = lambda count: max(0, count - int(generator.integers(1, 5)))
    for _ in range(int(generator.integers(3, 18))):
        kind = generator.choice(["unary", "binary", "binary", "binary", "shift", "shift", "compare", "connect", "select", "count"])
        ops = {"unary": UNARY, "binary": BINARY, "shift": SHIFTS, "compare": COMPARISONS}.get(kind, (None,))
        op = {"connect": mx.logical_xor, "select": mx.where, "count": None}.get(kind, ops[generator.integers(len(ops))])
        of_bools = {"connect": 2, "select": 1, "count": 1}.get(kind, 0)
        of_numbers = {"unary": 1, "connect": 0, "count": 0}.get(kind, 2)
        gives_bool = kind in ("compare", "connect")
        steps.append((op, [recent(numbers) for _ in range(of_numbers)], [recent(bools) for _ in range(of_bools)], gives_bool))
        bools, numbers = bools + gives_bool, numbers + (not gives_bool)
    return steps


def run(steps, numbers, bools, each):
    numbers, bools = list(numbers), list(bools)
    for op, some, others, gives_bool in steps:
        picked = [bools[p] for p in others] + [numbers[p] for p in some]
        value = each(op(*picked) if op else picked[0].astype(numbers[0].dtype))
        (bools if gives_bool else numbers).append(value)
    return [numbers[-1], numbers[-2], bools[-1], each(mx.sum(each(numbers[-1] + numbers[0]), axis=-1))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(120))
def test_the_bits_of_one_operation_at_a_time(seed, dtype):
    generator = np.random.default_rng(seed)
    n, m = SHAPES[seed % len(SHAPES)]
    wide = mx.array(integers(generator, dtype, (n, 2 * m)))
    views = [wide[:, ::2], wide[:, ::-1][:, :m], wide[:, m:], wide[0, :m], wide[:, 3:4]]
    numbers = [mx.array(integers(generator, dtype, (n, m))) for _ in range(2)] + [views[i] for i in generator.integers(0, 5, 2)]
    numbers += [mx.array(v) for v in integers(generator, dtype, 2)]
    bools = [mx.array(generator.random((n, m)) < 0.5)]
    mx.eval(numbers, bools)
    steps = drawn(generator, len(numbers), len(bools))

    def all_of(each, *arrays):
        return [np.array(x).tobytes() for x in evaluated(run(steps, arrays[:-1], arrays[-1:], each))]

    stepwise = all_of(evaluated, *numbers, *bools)
    assert all_of(lambda x: x, *numbers, *bools) == stepwise, steps
    compiled = mx.compile(lambda *arrays: run(steps, arrays[:-1], arrays[-1:], lambda x: x))
    assert [np.array(x).tobytes() for x in evaluated(compiled(*numbers, *bools))] == stepwise, steps


@pytest.mark.parametrize("signs", [("int32", "uint32"), ("int64", "uint64")])
def test_casts_of_the_sign_and_back(signs):
    generator = np.random.default_rng(1)
    x = integers(generator, signs[0], 10_001)
    signed, unsigned = (getattr(mx, name) for name in signs)
    got = ((mx.array(x).astype(unsigned) >> 3).astype(signed) * 5 >> 2).astype(unsigned) > 7
    expected = ((x.astype(signs[1]) >> 3).astype(signs[0]) * x.dtype.type(5) >> 2).astype(signs[1]) > 7
    assert np.array_equal(np.array(got), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2048, 2049, 100_003])
def test_hashes_are_numpys(size, dtype):
    x = integers(np.random.default_rng(size), dtype, size)

    def hashed(x, of):
        for k in range(3):
            x = x ^ (x << of(13))
            x = x ^ (x >> of(7))
            x = (x * of(0x5BD1E995 >> k)) + of(12345)
            x = x - ((x >> of(1)) & of(0x55555555)) | ~x
        return x

    assert np.array_equal(np.array(hashed(mx.array(x), lambda v: v)), hashed(x, x.dtype.type))
