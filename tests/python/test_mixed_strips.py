"""Chains of floats, integers and bools that run in registers together: drawn programs with casts between any of them have the bits of one
operation at a time; so have casts of what is out of range and NaN."""

import mlx.core as mx
import numpy as np
import pytest

from bits import evaluated

WIDE = [("float32", "int32", "uint32", "bfloat16"), ("float64", "int64", "uint64", "float64"), ("float16", "int32", "float32", "int32")]
NARROW = ["int8", "uint8", "int16", "uint16"]
SHAPES = [(1, 2048), (1, 5017), (3, 1100), (40, 256), (33, 96), (4, 1024), (300, 500)]
COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)
BINARY = (mx.add, mx.subtract, mx.multiply, mx.maximum, mx.minimum)


def numbers(generator, dtype, shape):
    """Any size of number, the ends of ranges of integers, NaN and infinities."""
    x = generator.standard_normal(shape) * 10.0 ** generator.integers(-2, 6, shape)
    ends = np.array([0, 1, -1, 0.5, 127, 128, -128.5, -129, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, -(2**31), 2**31, 2**32])
    x = np.where(generator.random(shape) < 0.3, generator.choice(ends, shape), x)
    if "int" in dtype:
        return mx.array(x.astype(np.int64)).astype(getattr(mx, dtype))
    x = np.where(generator.random(shape) < 0.05, generator.choice(np.array([np.nan, np.inf, -np.inf, -0.0]), shape), x)
    return mx.array(x.astype(np.float32)).astype(getattr(mx, dtype))


def drawn(generator, kinds, count):
    """Steps as (kind, op, places, dtype of the result)."""
    steps = []
    dtypes = list(kinds)
    for _ in range(int(generator.integers(4, 20))):
        recent = lambda: max(0, len(dtypes) - int(generator.integers(1, 6)))
        kind = str(generator.choice(["binary", "binary", "cast", "narrow", "count", "choose", "connect"]))
        to = str(generator.choice(kinds))
        steps.append((kind, int(generator.integers(64)), [recent() for _ in range(4)], to, str(generator.choice(NARROW))))
        dtypes.append(to)
    return steps


def run(steps, values, each):
    values, bools = list(values), []
    for kind, op, places, to, narrow in steps:
        kind_of = getattr(mx, to)
        x, y, p, q = (values[k] for k in places)
        y = y if y.dtype == x.dtype else each(y.astype(x.dtype))
        compared = each(COMPARISONS[op % 6](x, y))
        if kind == "binary":
            value = each(each(BINARY[op % 5](x, y)).astype(kind_of))
        elif kind == "cast":
            value = each(x.astype(kind_of))
        elif kind == "narrow":
            value = each(each(x.astype(getattr(mx, narrow))).astype(kind_of))
        elif kind == "count":
            value = each(each(compared.astype(kind_of)) + each(p.astype(kind_of)))
        elif kind == "choose":
            value = each(mx.where(compared, each(p.astype(kind_of)), each(q.astype(kind_of))))
        else:
            bools.append(each(compared & each(p.astype(x.dtype) > x)))
            value = each(each(bools[-1] | compared).astype(kind_of))
        values.append(value)
    last = each(values[-1] + each(values[0].astype(values[-1].dtype)))
    narrowed = [each(v.astype(getattr(mx, n))) for v, n in zip([last, *values[-3:]], NARROW)]
    return [last, values[-2], each(mx.sum(last, axis=-1)), each(mx.max(each(narrowed[0].astype(mx.int32)), axis=-1)), *narrowed, *bools[-1:]]


def as_bytes(x):
    if x.dtype in (mx.float16, mx.bfloat16):
        x = x.view(mx.uint16)
    mx.eval(x)
    return np.array(x).tobytes()


@pytest.mark.parametrize("kinds", WIDE, ids=lambda kinds: kinds[0])
@pytest.mark.parametrize("seed", range(84))
def test_the_bits_of_one_operation_at_a_time(seed, kinds):
    generator = np.random.default_rng(seed)
    n, m = SHAPES[seed % len(SHAPES)]
    values = []
    for dtype in (*kinds, str(generator.choice(NARROW))):
        wide = numbers(generator, dtype, (n, 2 * m))
        views = [wide[:, :m], wide[:, m:] + 0, wide[:, ::2], wide[:, ::-1][:, :m], wide[0, :m], wide[:, 3:4], wide[0, 0]]
        values += [wide[:, :m], views[generator.integers(len(views))]]
    mx.eval(values)
    steps = drawn(generator, kinds, len(values))
    stepwise = [as_bytes(x) for x in evaluated(run(steps, values, evaluated))]
    assert [as_bytes(x) for x in run(steps, values, lambda x: x)] == stepwise, steps
    compiled = mx.compile(lambda *values: run(steps, values, lambda x: x))
    assert [as_bytes(x) for x in compiled(*values)] == stepwise, steps


@pytest.mark.parametrize("size", [2048, 10_001])
def test_counts_of_thresholds(size):
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    x[::7] = np.nan
    marks = (-2.0, -0.5, 0.0, 1.0)

    def counted(x, of, whole):
        above = [of(x > t) for t in marks]
        return [sum(above), above[0] - above[1], x.astype(whole) * 5 - above[2], of(x < 0) * x.astype(whole), (above[3] + above[0]) << above[1]]

    got = counted(mx.array(x), lambda m: m.astype(mx.int32), mx.int32)
    expected = counted(np.nan_to_num(x, nan=-0.0), lambda m: (m & ~np.isnan(x)).astype(np.int32), np.int32)
    for a, b in zip(got, expected):
        assert np.array_equal(np.array(a), b)


@pytest.mark.parametrize("dtype", NARROW + ["int32"])
def test_casts_of_floats_saturate(dtype):
    info = np.iinfo(dtype)
    x = np.array([np.nan, np.inf, -np.inf, -0.9, 0.9, info.max, info.max + 0.7, info.max + 1.0, 1e30, info.min, info.min - 1.0, -1e30, 77.9])
    x = np.tile(x.astype(np.float32), 300)
    expected = np.where(np.isnan(x), 0, np.clip(np.trunc(x.astype(np.float64)), info.min, info.max)).astype(dtype)
    alone = mx.array(x).astype(getattr(mx, dtype))
    after_others = (mx.array(x) * 1.0 + 0.0).astype(getattr(mx, dtype))
    assert np.array_equal(np.array(alone), expected) and np.array_equal(np.array(after_others), expected)
