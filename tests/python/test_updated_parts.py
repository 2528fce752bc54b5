"""Gradients through parts that are read and written again, as in x[i] += v, against the same program on single elements."""

import random

import mlx.core as mx
import numpy as np
import pytest

N = 9


def program(seed, elements):
    """A drawn loss of (x, v); on an array, or on a list of its elements."""
    rng = random.Random(seed)

    def part():
        start, stop = rng.randrange(N), rng.randrange(1, N + 1)
        return slice(min(start, stop - 1), max(start + 1, stop), rng.choice([1, 1, 1, 2]))

    steps = [(rng.randrange(5), part(), part(), rng.random() < 0.5) for _ in range(rng.randrange(1, 6))]
    weights = [rng.uniform(-2, 2) for _ in range(N)]

    def loss(x, v):
        x, v = ([a[i] for i in range(N)] if elements else a * 1.0 for a in (x, v))
        kept = []
        for kind, at, other, read_again in steps:
            index = list(range(N))[at]
            if elements:
                before = list(x)
                for i in index:
                    x[i] = {0: lambda: x[i] + v[i], 1: lambda: v[i] * 2, 2: lambda: mx.sin(x[i]) * v[i], 3: lambda: x[i], 4: lambda: x[i] - x[i]}[kind]()
                if read_again:
                    kept += [before[i] * 0.3 for i in list(range(N))[other]]
            else:
                before = x
                if kind == 0:
                    x = x.at[at].add(v[at])
                else:
                    x = mx.array(x)
                    x[at] = {1: lambda: v[at] * 2, 2: lambda: mx.sin(x[at]) * v[at], 3: lambda: x[at], 4: lambda: x[at] - x[at]}[kind]()
                if read_again:
                    kept.append(before[other] * 0.3)
        if elements:
            return sum(w * e * e for w, e in zip(weights, x)) + sum(kept, mx.array(0.0, x[0].dtype))
        return mx.sum(mx.array(weights, x.dtype) * x * x) + sum((mx.sum(k) for k in kept), mx.array(0.0, x.dtype))

    return loss


@pytest.mark.parametrize("seed", range(120))
def test_same_gradients_as_element_by_element(seed):
    rng = np.random.default_rng(seed)
    x, v = (mx.array(rng.standard_normal(N)).astype(mx.float64) for _ in range(2))
    expected = mx.grad(program(seed, True), (0, 1))(x, v)
    f = mx.grad(program(seed, False), (0, 1))
    for got in (f(x, v), mx.compile(f)(x, v)):
        for a, b in zip(got, expected):
            np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-12, atol=1e-13)
    second = lambda p: mx.grad(lambda x, v: mx.sum(mx.sin(mx.grad(p)(x, v))), (0, 1))(x, v)
    for a, b in zip(second(program(seed, False)), second(program(seed, True))):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("way", ["add", "iadd", "set"])
def test_no_update_costs_the_whole_array(way):
    def f(x, v):
        x = x * 1.0
        for i in range(50):
            if way == "add":
                x = x.at[i].add(v)
            elif way == "iadd":
                x[i] += v
            else:
                x[i] = v
        return mx.sum(x * x)

    x, v = mx.random.normal((64, 4096)), mx.random.normal((4096,))
    with mx.profile() as p:
        mx.eval(mx.grad(f, (0, 1))(x, v))
    whole = [event for event in p.events if "Add" in event["name"] and event["bytes"] >= x.nbytes]
    assert len(whole) <= 3, [event["name"] for event in whole]
