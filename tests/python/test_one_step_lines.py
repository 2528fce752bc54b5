"""Single steps on operands that are broadcast, have gaps or lie in another order, at sizes where lines are done one by one: the bits are those of
the same step on copies without gaps."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = [mx.float32, mx.float64, mx.int32, mx.int8, mx.uint64, mx.float16, mx.bfloat16, mx.complex64, mx.bool_]
LENGTHS = [31, 64, 95, 96, 97, 128, 200, 255, 256, 257, 300, 1000, 2048, 2049, 5000]
STEPS = [mx.add, mx.multiply, mx.maximum, mx.equal, mx.subtract, mx.divide, mx.greater]


def bits(x):
    return np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x).tobytes()


def drawn(rng, shape, dtype):
    """Of this shape, or one that is broadcast to it: along some axes one element, part of something larger, or every other one."""
    around, index = [], []
    for length in shape:
        how = rng.choice(["one", "part", "other", "all", "all"])
        around.append({"one": 1, "part": length + 3, "other": 2 * length, "all": length}[how])
        index.append({"part": slice(1, 1 + length), "other": slice(0, 2 * length, 2)}.get(how, slice(None)))
    x = mx.array(rng.integers(-5, 6, around).astype(np.int32)).astype(dtype)[tuple(index)]
    if rng.random() < 0.15:
        x = x[::-1]
    return mx.broadcast_to(x, shape) if rng.random() < 0.5 else x


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("seed", range(2000))
def test_bits_are_those_of_copies_without_gaps(seed):
    rng = np.random.default_rng(seed)
    shape = [*(int(n) for n in rng.integers(1, 9, rng.integers(0, 4))), int(rng.choice(LENGTHS))]
    if rng.random() < 0.2:
        rng.shuffle(shape)
    dtype = DTYPES[rng.integers(len(DTYPES))]
    steps = STEPS[:4] if dtype == mx.bool_ else STEPS
    step = [steps[rng.integers(len(steps))], mx.where, "cast"][rng.choice(3, p=[0.6, 0.25, 0.15])]
    if step == "cast":
        operands, step = [drawn(rng, shape, dtype)], lambda x: x.astype(mx.int32 if dtype == mx.float32 else mx.float32)
    else:
        operands = [*([drawn(rng, shape, mx.bool_)] if step is mx.where else []), drawn(rng, shape, dtype), drawn(rng, shape, dtype)]
    found = mx.broadcast_to(step(*operands), shape)
    expected = mx.broadcast_to(step(*(mx.contiguous(mx.broadcast_to(x, shape)) for x in operands)), shape)
    assert bits(found) == bits(expected)


@pytest.mark.parametrize("rows, length", [(300, 300), (7, 5000), (2000, 130), (1, 400_000)])
def test_shared_out_among_threads(rows, length):
    a = mx.array(np.arange(rows * length, dtype=np.float32).reshape(rows, length) % 1000)
    column, row = a[:, :1] + 1, a[:1] + 2
    for x, y in ((a, column), (row, a), (column, row), (a, a), (a, mx.array(3.0))):
        assert np.array_equal(np.array(x * y), np.array(x) * np.array(y))


def test_in_place():
    a = mx.ones((500, 300)) * 2.0
    for turn in range(3):  # its memory is taken over
        a = (a + mx.arange(300)) * (mx.arange(500)[:, None] + turn)
    expected = np.full((500, 300), 2.0, np.float32)
    for turn in range(3):
        expected = (expected + np.arange(300, dtype=np.float32)) * (np.arange(500, dtype=np.float32)[:, None] + turn)
    assert np.array_equal(np.array(a), expected)


def test_square_roots_are_rounded_correctly():
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2**32, 2_000_000, dtype=np.uint64).astype(np.uint32)
    patterns[:64] = [s << 31 | e << 23 | m for s in (0, 1) for e in (0, 1, 26, 27, 28, 127, 254, 255) for m in (0, 1, 2, (1 << 23) - 1)]
    x = patterns.view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = np.sqrt(x)
    for found in (mx.sqrt(mx.array(x)), mx.sqrt(mx.array(x) * 1.0)):
        assert np.array_equal(np.array(found), expected, equal_nan=True)
        assert np.array_equal(np.signbit(np.array(found))[~np.isnan(expected)], np.signbit(expected)[~np.isnan(expected)])
