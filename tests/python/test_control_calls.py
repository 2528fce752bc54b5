"""Loops and branches outside of every transform: their functions run again only when something that they see has changed."""

import gc

import mlx.core as mx
import numpy as np
import pytest

runs = []
factor = 1.0


def body(i, x):
    runs.append(1)
    return x * factor + i


def step(carry, x):
    runs.append(1)
    return carry + x * factor, carry


def halved(x):
    runs.append(1)
    return x / 2 * factor


def raised(x):
    runs.append(1)
    return x * 3 * factor


def is_small(x):
    runs.append(1)
    return x.sum() < 100


KINDS = {
    "fori_loop": (lambda x: mx.fori_loop(0, 5, body, x), 1),
    "fori_loop of arrays": (lambda x: mx.fori_loop(mx.array(0), mx.array(4), body, {"x": x}["x"]), 1),
    "scan": (lambda x: mx.scan(step, x, mx.stack([x, x, 2 * x])), 1),
    "scan of nothing": (lambda x: mx.scan(lambda c, _: (runs.append(1) or c * factor + 1, c), x, None, length=3), 1),
    "while_loop": (lambda x: mx.while_loop(is_small, raised, x), 2),
    "cond": (lambda x: mx.cond(x.sum() > 3, halved, raised, x), 2),
}


def listed(result):
    return [np.array(a).tolist() for a in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("kind", KINDS)
def test_functions_run_twice_and_then_no_more(kind):
    """Once to run, once to be recorded."""
    global factor
    call, functions = KINDS[kind]
    factor = 1.5
    runs.clear()
    for i in range(6):
        x = mx.array([1.0, 2.0]) * (i + 1)
        got = listed(call(x))
        mx.disable_compile()
        seen = len(runs)
        assert got == listed(call(x))
        mx.enable_compile()
        del runs[seen:]
        assert len(runs) <= min(i + 1, 2) * functions


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_around_them_is_seen(kind):
    global factor
    call, _ = KINDS[kind]
    x = mx.array([1.0, 2.0])
    for value in (1.25, 1.25, mx.array(1.5), mx.array(1.75), 2, 2.5, mx.array([1.5, 1.25]), mx.array(1.0), mx.array(1.0)):
        factor = value
        got = listed(call(x))
        mx.disable_compile()
        assert got == listed(call(x))
        mx.enable_compile()
    factor = 1.5


def test_closures_made_anew_at_each_call_share_recordings():
    count = []

    def total(x, w):
        return mx.fori_loop(0, 4, lambda i, c: count.append(1) or c + x * w[i], mx.zeros_like(x))

    for n in range(1, 6):
        w = mx.arange(4).astype(mx.float32) * n
        assert total(mx.array([1.0, 2.0]), w).tolist() == [6 * n, 12 * n]
    assert len(count) == 2


def test_nothing_around_them_is_kept():
    def run(big):
        return mx.fori_loop(0, 3, lambda i, c: c + big.sum(), mx.array(0.0)).item()

    gc.collect()
    first = mx.get_active_memory()  # what other tests have left
    for _ in range(4):
        run(mx.ones((1 << 20,)))
    gc.collect()
    before = mx.get_active_memory()
    for _ in range(4):
        run(mx.ones((1 << 20,)))
    gc.collect()
    assert mx.get_active_memory() <= before
    assert before - first < 1 << 22


def test_in_place_changes_and_draws_go_on():
    count, buffer = mx.array(0), mx.zeros((3,))

    def turn(i, x):
        nonlocal count
        count += 1
        buffer[i] = x.sum()
        return x + mx.random.uniform(shape=(2,))

    def call():
        return mx.fori_loop(0, 3, turn, mx.zeros((2,))).tolist(), count.item(), buffer.tolist()

    mx.random.seed(4)
    got = [call() for _ in range(4)]
    mx.random.seed(4)
    count, buffer = mx.array(0), mx.zeros((3,))
    mx.disable_compile()
    assert got == [call() for _ in range(4)]
    mx.enable_compile()


def test_transforms_around_them_see_the_functions():
    f = lambda x: mx.fori_loop(0, 3, lambda i, c: c * x, mx.array(1.0))  # noqa: E731
    for _ in range(3):
        assert f(mx.array(2.0)).item() == 8
        assert mx.grad(f)(mx.array(2.0)).item() == 12
        assert mx.vmap(f)(mx.array([1.0, 2.0])).tolist() == [1, 8]


def test_errors_are_those_of_the_function():
    fails = False

    def turn(i, x):
        if fails:
            raise KeyError("mine")
        return x + 1

    for _ in range(3):
        assert mx.fori_loop(0, 3, turn, mx.array(0.0)).item() == 3
    fails = True
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            mx.fori_loop(0, 3, turn, mx.array(0.0))
    fails = False
    assert mx.fori_loop(0, 3, turn, mx.array(0.0)).item() == 3
    for _ in range(3):
        with pytest.raises(ValueError, match=r"\[while_loop\]"):
            mx.while_loop(lambda s: s.sum() < 3, lambda s: s[None], mx.zeros((2,)))


def test_bounds_that_always_differ():
    for n in range(1, 30):
        assert mx.fori_loop(0, n, lambda i, c: c + i, mx.array(0)).item() == n * (n - 1) // 2


def test_functions_that_read_values_around_them():
    w = mx.array(2.0)
    for value in (2.0, 2.0, 3.0, 3.0, 4.0):
        w = mx.array(value)
        assert mx.fori_loop(0, 2, lambda i, c: c + float(w), mx.array(0.0)).item() == 2 * value


def test_numbers_of_calls_may_change_each_time():
    """Lengths and bounds are numbers, too: what was recorded for some serves no others."""
    def by_hand(n, start):
        c = start
        for i in range(n):
            c = c * 0.5 + i
        return c

    for n in (4, 7, 5, 16, 0, 1, 7, 4):
        def turn(c, _):
            return (c[0] * 0.5 + c[1], c[1] + 1), c[0]

        last, all_of_them = mx.scan(turn, (mx.array(1.0), mx.array(0.0)), None, length=n)
        assert last[0].item() == by_hand(n, 1.0) and all_of_them.shape == (n,)
        loop = mx.fori_loop(0, n, lambda i, c: c * 0.5 + i, mx.array(1.0))
        assert loop.item() == by_hand(n, 1.0)
        assert mx.fori_loop(0, 3, lambda i, c: c * 0.5 + n, mx.array(1.0)).item() == 0.125 + 1.75 * n
        assert mx.cond(mx.array(True), lambda x, k: x * k, lambda x, k: x - k, mx.array(2.0), n).item() == 2.0 * n
        assert mx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 2), (mx.array(0), mx.array(1.0)))[1].item() == 2.0**n
