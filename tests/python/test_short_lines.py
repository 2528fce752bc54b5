"""Boxes of larger arrays, the neighbours of a stencil, have lines of their own that strips read where they lie: drawn sums of them have
the bits that copies of the boxes have."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16]


def bits(x):
    return bytes(memoryview(mx.view(mx.contiguous(x).reshape(-1), mx.uint8)))


def drawn_boxes(rng, shape, margin, count):
    """Boxes of `shape` in an array that is larger by `margin` along each axis."""
    for _ in range(count):
        starts = [int(rng.integers(0, m + 1)) for m in margin]
        yield tuple(slice(start, start + n) for start, n in zip(starts, shape))


def combined(rng, parts, others):
    """A drawn program over the parts, with numbers, values of lines and whole arrays between."""
    y = parts[0] * 0.5
    for part in parts[1:]:
        op = int(rng.integers(7))
        y = [
            lambda: y + part,
            lambda: y - part * part,
            lambda: mx.maximum(y, part) / 3,
            lambda: mx.where(part > y, part, y * 0.25),
            lambda: y * others[0] + part,
            lambda: (y + others[1]) - part,
            lambda: mx.abs(y) + mx.sqrt(mx.abs(part)) * others[2],
        ][op]()
    return y


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_drawn_boxes(seed, dtype):
    rng = np.random.default_rng(seed)
    # Some are shorter than a strip: those strips go beyond them, where enough lines follow.
    line = int(rng.choice([31, 48, 50, 57, 62, 63, 64, 65, 100, 126, 127, 128, 192, 200, 254, 300, 511]))
    outer = [(40,), (6, 9), (3, 4, 5), (2, 3, 2, 4), (31, 70)][rng.integers(5)]
    shape = (*outer, line)
    margin = [int(rng.integers(0, 3)) for _ in outer] + [int(rng.integers(1, 70))]
    whole = mx.array(rng.standard_normal([n + m for n, m in zip(shape, margin)]).astype(np.float32)).astype(dtype)
    boxes = list(drawn_boxes(rng, shape, margin, int(rng.integers(1, 8))))
    others = [
        mx.array(rng.standard_normal(s).astype(np.float32)).astype(dtype) for s in (shape, (*outer, 1), (line,))
    ]
    mx.eval(whole, others)
    turned = [slice(None, None, int(rng.choice([1, 1, 1, -1]))) for _ in boxes]  # lines one before the other
    copies = [mx.contiguous(whole[box][turn]) for box, turn in zip(boxes, turned)]
    spread = [mx.contiguous(mx.broadcast_to(other, shape)) for other in others]
    mx.eval(copies, spread)
    state = rng.bit_generator.state

    def once(parts, others):
        rng.bit_generator.state = state
        return combined(rng, parts, others)

    expected = bits(once(copies, spread))
    assert bits(once([whole[box][turn] for box, turn in zip(boxes, turned)], others)) == expected
    compiled = mx.compile(lambda whole, *others: once([whole[box][turn] for box, turn in zip(boxes, turned)], others))
    assert bits(compiled(whole, *others)) == expected
    # Into the memory of an operand that nobody else reads
    fresh = spread[0] + 0
    mx.eval(fresh)
    given = fresh + whole[boxes[0]][turned[0]] * 2 + whole[boxes[-1]][turned[-1]]
    del fresh
    assert bits(given) == bits(spread[0] + 0 + copies[0] * 2 + copies[-1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed, line", list(enumerate([64, 64, 64, 72, 96, 127, 200])))
def test_many_values_of_boxes(seed, line, dtype):
    """More values at once than registers, in scratch, where the last strip of a line has to have room."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        rows, count = int(rng.integers(17, 60)), 5
        whole = mx.array(rng.standard_normal((rows + 2, line + 9)).astype(np.float32)).astype(dtype)
        starts = zip(rng.integers(0, 3, count), rng.integers(0, 10, count))
        boxes = [whole[i : i + rows, j : j + line] for i, j in starts]
        steps = [(int(rng.integers(3)), int(rng.integers(count + k)), int(rng.integers(count + k))) for k in range(24)]

        def program(parts):
            values = list(parts)
            for op, a, b in steps:
                a, b = values[a], values[b]
                values.append([lambda: a * b, lambda: a - b, lambda: mx.maximum(a, b)][op]() * 0.5)
            return values[-1], values[-2] + values[-5], values[-9]

        copies = [mx.contiguous(box) for box in boxes]
        mx.eval(boxes, copies)
        assert [bits(y) for y in program(boxes)] == [bits(y) for y in program(copies)]


@pytest.mark.parametrize("seed", range(20))
def test_sums_of_boxes(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(20, 60)), int(rng.choice([64, 126, 190, 256, 320])))
    whole = mx.array(rng.standard_normal((shape[0] + 2, shape[1] + 2)).astype(np.float32))
    boxes = [whole[1:-1, 1:-1], whole[:-2, 1:-1], whole[1:-1, 2:]]
    copies = [mx.contiguous(box) for box in boxes]
    mx.eval(copies)
    for axis in (None, 0, 1):
        assert bits(mx.sum(boxes[0] * boxes[1] - boxes[2], axis=axis)) == bits(mx.sum(copies[0] * copies[1] - copies[2], axis=axis))


VIEWS = {
    "turned round": lambda x, rng: x[::-1],
    "box": lambda x, rng: mx.concatenate([x, x], 1)[:, 3 : 3 + x.shape[1]],
    "one line for all": lambda x, rng: mx.broadcast_to(x[:1], x.shape),
    "one number for a line": lambda x, rng: mx.broadcast_to(x[:, :1], x.shape),
    "every other": lambda x, rng: mx.repeat(x, 2, 1)[:, ::2],
    "as it is": lambda x, rng: x,
}
FOLDS = [mx.sum, mx.max, mx.min, mx.mean, mx.prod]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.uint8, mx.bool_, mx.int32], ids=str)
@pytest.mark.parametrize("seed", range(40))
def test_short_rows_of_lines(seed, dtype):
    """Rows of one element or few, which are reduced, of arrays whose lines lie apart: such a row is no line to go by."""
    rng = np.random.default_rng(seed)
    line, row = int(rng.choice([70, 128, 300, 300, 511, 600, 1500])), int(rng.choice([1, 1, 1, 2, 3, 16]))
    shape = (int(rng.integers(2, 12)), line, row)
    views = [
        list(VIEWS.values())[rng.integers(len(VIEWS))](mx.array(rng.integers(0, 3, shape)).astype(dtype), rng) for _ in range(3)
    ]
    copies = [mx.contiguous(view) for view in views]
    mx.eval(views, copies)
    folds = [FOLDS[k] for k in rng.integers(0, len(FOLDS), 2)]
    wide = [mx.float32, mx.float64, mx.float16][rng.integers(3)] if dtype != mx.float64 else dtype

    def program(a, b, c):
        a, b = a.astype(wide), b.astype(wide)
        m = folds[0](a * a + 1, axis=-1, keepdims=True) * 0.5
        d = (a - m) * b
        return d / (mx.abs(folds[1](d + c, axis=-1, keepdims=True)) + 1), m

    for got, want in zip(program(*views), program(*copies)):
        assert bits(got) == bits(want)
