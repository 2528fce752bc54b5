"""Parts of arrays computed over what was there: x[::2] += y. Drawn programs of updates whose parts read the part itself, other parts,
the whole, and views and copies that are kept: with nothing computed on the way, the bits are those of the same steps one by one."""

import numpy as np
import pytest

import mlx.core as mx
from bits import bits, evaluated

DTYPES = ["float32", "float64", "bfloat16", "float16", "int32", "uint8", "complex64"]


def drawn_shape(rng):
    while True:
        shape = tuple(int(rng.choice([1, 2, 3, 5, 16, 33, 64, 100, 128, 130, 257, 600, 1100, 5000])) for _ in range(int(rng.integers(1, 5))))
        if 2000 <= np.prod(shape) <= 60000:
            return shape


def drawn_slice(rng, n):
    kind = rng.integers(0, 6)
    if kind == 0 or n == 1:
        return slice(None)
    if kind == 1:
        return slice(int(rng.integers(0, 2)), None, 2)
    if kind == 2:
        return slice(1, max(n - 1, 2))
    if kind == 3:
        return slice(None, None, int(rng.choice([-1, 3, -2, 4])))
    first = int(rng.integers(0, n))
    return slice(first, int(rng.integers(first + 1, n + 1)))


def shifted(rng, s, n):
    """Another slice of so many elements, near or far; all of `range` kind."""
    r = range(*s.indices(n))
    low, high = min(r), max(r)
    by = int(rng.integers(-low, n - high)) if rng.random() < 0.5 else int(np.clip(rng.integers(-2, 3), -low, n - 1 - high))
    r = range(r.start + by, r.stop + by, r.step)
    if rng.random() < 0.2:
        r = r[::-1]
    return slice(r.start, r.stop if r.stop >= 0 else None, r.step)


def drawn_update(rng, shape, of_numbers):
    """A part, and f(x, y, each) that gives x with that changed."""
    part = tuple(drawn_slice(rng, n) for n in shape)
    reads = [tuple(shifted(rng, s, n) for s, n in zip(part, shape)) for _ in range(int(rng.integers(0, 3)))]
    reads += [part] * int(rng.integers(0, 3)) + ([part] if not reads else [])
    rng.shuffle(reads)
    steps = rng.choice(["add", "subtract", "multiply", "maximum", "exp", "row", "column", "rest"], size=len(reads) + int(rng.integers(0, 2)))
    ends = rng.random() < 0.25

    def update(x, y, each):
        value = each(y[part])
        for k, step in enumerate(steps):
            other = each(x[reads[k % len(reads)]])
            if step in ("subtract", "multiply"):
                value = getattr(mx, step)(value, other)
            elif step == "maximum" and of_numbers:
                value = mx.maximum(value, other)
            elif step == "exp" and of_numbers:
                value = each(mx.abs(value) * mx.array(0.5, value.dtype)) - other
            elif step == "row" and value.ndim > 1:
                value = value + each(other[:1])
            elif step == "column":
                value = value * each(other[..., :1])
            elif step == "rest" and of_numbers:
                value = value - each(each(other.max(-1, keepdims=True)) if ends else other)
            else:
                value = value + other
            value = each(value)
        x[part] = value
        return each(x)

    return part, update


def programs_of(rng, name):
    shape = drawn_shape(rng)
    x, y = (mx.array((rng.standard_normal(shape) * 4).astype(np.float32)).astype(getattr(mx, name)) for _ in range(2))
    updates = [drawn_update(rng, shape, name != "complex64") for _ in range(int(rng.integers(1, 5)))]
    keeps = [str(rng.choice(["nothing", "view", "copy", "result", "read", "part", "part before"], p=[0.4, *[0.1] * 6])) for _ in updates]
    computed = rng.random(len(updates)) < 0.3
    return x, y, updates, keeps, computed


def run(x, y, updates, keeps, computed, each):
    x, y = evaluated(x * 1), evaluated(y * 1)
    kept = []
    for (part, update), keep, now in zip(updates, keeps, computed):
        if keep == "view":
            kept.append(each(x[..., ::2]))
        elif keep == "copy":
            kept.append(each(mx.array(x)))
        elif keep == "read":
            kept.append(each(x[:1] * 2))
        elif keep.startswith("part"):
            kept.append(each(x[part] - y[part]))
            if keep == "part before":
                mx.eval(kept[-1])
        x = update(x, y, each)
        if keep == "result":
            kept.append(each(x * 2))
        if now:
            mx.eval(x)
    return [x, y, *kept]


@pytest.mark.parametrize("seed", range(70))
def test_updates_have_the_bits_of_their_steps(seed):
    rng = np.random.default_rng(seed)
    name = DTYPES[seed % len(DTYPES)]
    for _ in range(50):
        program = programs_of(rng, name)
        want = [bits(a) for a in run(*program, evaluated)]
        got = run(*program, lambda a: a)
        mx.eval(got)
        assert [bits(a) for a in got] == want
        last = run(*program, lambda a: a)[0]
        assert bits(last) == want[0]
        x, y, updates, *_ = program
        want = bits(updated(evaluated(x * 1), y, updates))
        assert bits(mx.compile(lambda x, y: updated(x * 1, y, updates))(x, y)) == want


def updated(x, y, updates):
    for _, update in updates:
        x = update(x, y, lambda a: a)
    return x


PARTS = {
    "rows": (slice(100, 300),), "every other row": (slice(None, None, 2),), "columns": (slice(None), slice(64, 384)),
    "inside": (slice(1, -1), slice(1, -1)),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_what_nobody_else_needs_is_not_copied(part):
    part = PARTS[part]
    x, y = mx.ones((512, 512)) * 1, mx.ones((512, 512))[part] * 1
    mx.eval(x, y)
    before = np.array(x).copy()
    kept = evaluated(x * 2)
    for _ in range(3):
        mx.reset_peak_memory()
        least = mx.get_active_memory()
        x[part] += y
        mx.eval(x)
        assert mx.get_peak_memory() - least < 1 << 16  # neither the part nor the whole
        before[part] += 1
    np.testing.assert_array_equal(np.array(x), before)
    np.testing.assert_array_equal(np.array(kept), 2.0)
