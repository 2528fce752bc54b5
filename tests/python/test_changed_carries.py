"""Loops that change parts of what they carry, in place where nothing needs it as it was, have the bits of evaluation step by step."""

import random

import mlx.core as mx
import numpy as np
import pytest

SHAPES = [(7,), (6, 5), (4, 3, 2), (300, 20), (70, 64, 3)]
LENGTH = 20


def bits(arrays):
    mx.eval(arrays)
    return [(a.shape, str(a.dtype), np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a).tobytes()) for a in arrays]


def changed(rng, a, i, part):
    """a with a row, element or slice set, added to or replaced, at a place that may depend on the iteration."""
    place = (i * rng.choice([1, 3]) + rng.randrange(4)) % a.shape[0]
    kind = rng.randrange(9)
    if kind < 2:
        return a.at[place].add(part)
    if kind == 2:
        return a.at[rng.randrange(a.shape[0])].add(part)
    if kind == 3:
        return a.at[mx.stack([place, (place + 2) % a.shape[0], place])].add(part)
    if kind == 4:
        return a.at[place].maximum(part)
    if kind == 5:
        return mx.sort(a, axis=-1)
    b = a[...]
    if kind == 6:
        b[place] = part
    elif kind == 7:
        b[rng.randrange(a.shape[0] - 1):] = part
    else:
        b[:2] = a[1:3]  # reads what it overwrites
    return b


def loop(seed, dtype):
    rng = random.Random(seed)
    shapes = [rng.choice(SHAPES) for _ in range(rng.randrange(1, 4))]
    carry = [mx.array(np.random.default_rng(seed + k).standard_normal(s)).astype(dtype) for k, s in enumerate(shapes)]
    steps, swaps, reverse, body_seed = rng.randrange(1, 5), rng.random() < 0.3, rng.random() < 0.5, rng.random()

    def body(c, i):
        rng = random.Random(body_seed)
        new, seen = list(c), []
        for _ in range(steps):
            k = rng.randrange(len(new))
            a = new[k]
            seen.append(mx.sum(a[i % a.shape[0]]))
            part = a[(i * 2) % a.shape[0]] * 0.5 + 0.25 if rng.random() < 0.7 else mx.tanh(a[rng.randrange(a.shape[0])])
            new[k] = changed(rng, a, i, part.astype(a.dtype))
            if rng.random() < 0.2:
                seen.append(mx.sum(a))  # as it was
            if rng.random() < 0.2:
                seen.append(new[k][:2])
            if rng.random() < 0.1:
                new[k] = (new[k] * 0.5).astype(a.dtype)
        if rng.random() < 0.2:
            seen.append(c[0])
        if swaps and len(new) > 1 and new[0].shape == new[1].shape:
            new[:2] = new[1], new[0]
        return tuple(new), tuple(seen)

    def run(carry):
        last, seen = mx.scan(body, tuple(carry), mx.arange(LENGTH), reverse=reverse)
        return [*last, *seen]

    return run, carry


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.int32], ids=str)
@pytest.mark.parametrize("seed", range(80))
def test_same_bits_as_step_by_step(seed, dtype):
    run, carry = loop(seed, dtype)
    before = bits(carry)
    transformed = {
        "plain": lambda: run(carry),
        "compiled": lambda: mx.compile(run)(carry),
        "vmap": lambda: mx.vmap(run)([mx.stack([a, a + a]) for a in carry]),
    }
    if dtype in (mx.float32, mx.float64) and sum(a.size for a in carry) < 500:
        transformed["grad"] = lambda: mx.grad(lambda c: sum(mx.sum(y * (k + 1)) for k, y in enumerate(run(c))))(carry)
    for name, f in transformed.items():
        with mx.profile():
            expected = bits(f())
        assert bits(f()) == expected, name
    assert bits(carry) == before  # what the loop began with is as it was


def called(f):
    before = mx._control_flow_stats()["called_iterations"]
    mx.eval(f())
    return mx._control_flow_stats()["called_iterations"] - before


@pytest.mark.parametrize("rows", [10, 300, 4000])
def test_parts_of_large_carries_are_changed_in_lists_of_calls(rows):
    def body(c, k):
        return c.at[k].add(c[k - 1] * 0.5), mx.sum(c[k])  # the sum is of what it was

    def other(c, k):
        old = c[k]
        c = c[...]
        c[k] = old * 0.5
        return c.at[0].add(old), mx.sum(old)

    x = mx.random.normal((rows, 32))
    assert called(lambda: mx.scan(other, x, mx.arange(40) % 10)) == 40
    for f in (body, other):
        with mx.profile():
            expected = bits([*mx.scan(f, x, mx.arange(40) % 10)])
        assert bits([*mx.scan(f, x, mx.arange(40) % 10)]) == expected


def test_an_index_outside_is_an_error_and_leaves_what_was_given():
    x = mx.zeros((10, 4))
    with pytest.raises(IndexError):
        mx.eval(mx.scan(lambda c, k: (c.at[k].add(1.0), k), x, mx.arange(40)))
    assert mx.all(x == 0).item()
