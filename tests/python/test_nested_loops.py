"""Loops and branches within the body of a loop that runs as a list of calls: the bits are those of the steps, one by one."""

import random

import mlx.core as mx
import numpy as np
import pytest
from test_loop_calls import bits, called, leaves

DTYPES = [mx.float32, mx.float64, mx.bfloat16, mx.float16]
SIZES = [(1, 20), (2, 17), (5, 19), (16, 18), (33, 21), (100, 16), (700, 17)]  # elements of a row, turns


def layout_of(xs, way):
    """The same elements, but for broadcast ones, in other places of memory."""
    if way == "strided":
        return mx.repeat(xs, 2, axis=1)[:, ::2]
    if way == "backwards":
        return mx.contiguous(xs[::-1])[::-1]
    if way == "transposed":
        return mx.contiguous(xs.T).T
    return mx.broadcast_to(xs[:1], xs.shape) if way == "one" else xs


def one_by_one(f, init, xs, reverse):
    """mx.scan in Python, each step evaluated before the next one."""
    carry, ys = init, []
    order = range(xs.shape[0])
    for t in reversed(order) if reverse else order:
        carry, y = f(carry, xs[t])
        mx.eval(carry, y)
        ys.append(y)
    return carry, tuple(mx.stack(y) for y in zip(*ys[::-1] if reverse else ys))


def scan(f, init, xs, reverse):
    return mx.scan(f, init, xs, reverse=reverse)


def taken(pred, if_true, if_false):
    return if_true() if pred.item() else if_false()


def proceeding(condition, body, state):
    while condition(state).item():
        state = body(state)
    return state


def nested(seed, scan, cond, while_loop):
    """A drawn loop whose body has an inner one, of constants, rows and a carry that come from what the outer one carries."""
    rng = random.Random(seed)
    inner, reverse = rng.choice([1, 2, 3, 8, 17, 30]), rng.random() < 0.5
    way = rng.choice(["plain", "strided", "backwards", "transposed", "one"])
    kind, twice, rate = rng.randrange(4), rng.random() < 0.4, rng.uniform(0.2, 0.8)
    goes = rng.choice([None, 0.0, 30.0])  # of a loop whose turns are not counted: at most so far; or none

    def body(carry, x):
        count, row = carry
        turns = mx.arange(inner).astype(row.dtype)
        rows = layout_of(row[None] * mx.cos(turns * 0.3)[:, None] + x, way)

        def step(state, v):
            total, y = state
            if kind == 0:
                y = mx.tanh(y * rate + v * row)
            elif kind == 1:
                y = mx.where(v > y, v, y * 0.5) + x[0]
            elif kind == 2:
                y = mx.softmax(y + v, axis=-1)
            else:  # a long branch: of short ones both are computed
                y = cond(mx.sum(v) > 0, lambda: mx.cumsum(y * rate + v) * 0.1, lambda: mx.sort(mx.sin(v - y)))
            return (total + mx.sum(y), y), (y * 2, total)

        (total, y), (ys, totals) = scan(step, (mx.zeros((), row.dtype), row), rows, reverse)
        if twice:
            (total, y), (ys, totals) = scan(step, (total, y), ys, not reverse)
        row = y + mx.mean(ys, axis=0) * 0.25
        if goes is not None:
            limit = mx.minimum(goes * mx.abs(row[0]), 30)
            row, size = while_loop(lambda s: s[1] < limit, lambda s: (s[0] * rate + x, s[1] + 1 + mx.max(mx.abs(s[0]))), (row, limit * 0))
            row = row + size * 0.01
        row = cond(count % 3 == 1, lambda: mx.sort(row) * 0.5 + totals[0], lambda: mx.cumsum(mx.minimum(row, 1)) / 9)
        return (count + 1, row), (row + totals[-1],)

    def loop(x, first):
        (_, row), ys = scan(body, (mx.array(0), first), x, False)
        return [row, *ys]

    return loop


def drawn_arrays(seed, dtype, sizes):
    n, turns = random.Random(seed).choice(sizes)
    values = np.random.default_rng(seed)
    return [mx.array(values.uniform(-1, 1, s)).astype(dtype) for s in ((turns, n), (n,))]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(30))
def test_same_bits_as_step_by_step(seed, dtype):
    x, first = drawn_arrays(seed, dtype, SIZES)
    f = nested(seed + 1, scan, mx.cond, mx.while_loop)
    expected = bits(nested(seed + 1, one_by_one, taken, proceeding)(x, first))
    assert bits(f(x, first)) == expected
    compiled = mx.compile(f)
    for _ in range(2):
        assert bits(compiled(x, first)) == expected
    assert bits(compiled(x * 0.5, first)) == bits(f(x * 0.5, first))


@pytest.mark.parametrize("seed", range(20))
def test_transforms_have_the_bits_of_nodes(seed):
    x, first = drawn_arrays(seed, mx.float32, SIZES[:4])
    f = nested(seed + 1, scan, mx.cond, mx.while_loop)
    total = lambda x, first: sum(mx.sum(mx.sin(y)) for y in f(x, first))  # noqa: E731
    ways = {
        "grad": lambda: mx.grad(total, argnums=(0, 1))(x, first),
        "vmap": lambda: mx.vmap(f, in_axes=(None, 0))(x, mx.stack([first, first * 2])),
        "jvp": lambda: mx.jvp(f, [x, first], [x, first])[1],
    }
    for name, way in ways.items():
        with mx.profile():  # which wants a node for each step
            expected = bits(leaves(way()))
        assert bits(leaves(way())) == expected, name


def test_iterations_of_all_depths_are_called():
    def body(carry, x):
        return mx.scan(lambda c, v: ((c := mx.minimum(c + 1, v)), c), carry, x)

    def outer(carry, x):
        carry, ys = mx.scan(body, carry, x)
        return carry, mx.sum(ys, axis=0)

    xs = mx.array(np.random.default_rng(0).uniform(0, 9, (18, 20, 100)).astype(np.float32))
    assert called(lambda: mx.scan(body, mx.array(3.0), xs[0])) == 20 + 20 * 100
    assert called(lambda: mx.scan(outer, mx.array(3.0), xs)) == 18 + 18 * 20 * 100  # 20 steps are steps


def test_a_branch_in_a_list_is_counted_and_alone_evaluated():
    def body(c, x):
        c = mx.cond(x > 0, lambda: mx.cumsum(mx.sort(c)) * 0.5, lambda: mx.sort(-c))
        return c, mx.sum(c)

    xs = mx.array(np.random.default_rng(1).standard_normal(40).astype(np.float32))
    before = mx._control_flow_stats()
    assert called(lambda: mx.scan(body, mx.arange(20.0), xs)) == 40
    after = mx._control_flow_stats()
    counts = [after[name] - before[name] for name in ("true_branches", "false_branches")]
    assert counts == [int(mx.sum(xs > 0).item()), int(mx.sum(xs <= 0).item())]
