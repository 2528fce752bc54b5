"""The cost of the core, as ratios to PyTorch on the same work in one interleaved run.

    python benchmarks/core_budgets.py [--rounds N]

Each row is the median over rounds of our time divided by PyTorch's; below 1 we are faster.
"""

import argparse
import statistics
import time

import torch

import mlx.core as mx


def small_expression():
    """sin(x) * 2 + x on 8 floats, evaluated."""
    x, t = mx.ones((8,)), torch.ones(8)
    mx.eval(x)

    def ours():
        for _ in range(1000):
            mx.eval(mx.sin(x) * 2.0 + x)

    def theirs():
        for _ in range(1000):
            torch.sin(t) * 2.0 + t

    return ours, theirs, 1.0


def long_chain():
    """Builds, differentiates and evaluates a Python loop of 20,000 ops on 8 floats."""
    x, t = mx.ones((8,)), torch.ones(8, requires_grad=True)
    mx.eval(x)

    def f(v):
        for _ in range(10000):
            v = mx.sin(v) * 1.0001
        return mx.sum(v)

    gradient = mx.grad(f)

    def ours():
        mx.eval(gradient(x))

    def theirs():
        v = t
        for _ in range(10000):
            v = torch.sin(v) * 1.0001
        torch.autograd.grad(v.sum(), t)

    return ours, theirs, 0.3


def slices():
    """4,096 slice-and-add pairs, evaluated at once."""
    xs, ys = mx.random.uniform(shape=(4096, 100)), mx.random.uniform(shape=(100, 4096))
    mx.eval(xs, ys)
    a, b = torch.rand(4096, 100), torch.rand(100, 4096)

    def ours():
        mx.eval([xs[i] + ys[:, i] for i in range(4096)])

    def theirs():
        [a[i] + b[:, i] for i in range(4096)]

    return ours, theirs, 1.0


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {rounds} rounds")
    print(f"{'work':<20}{'ours ms':>10}{'torch ms':>10}{'ratio':>8}{'budget':>8}")
    for case in (small_expression, long_chain, slices):
        ours, theirs, budget = case()
        for f in (ours, theirs):
            f()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in pairs)
        ms = [1e3 * statistics.median(column) for column in zip(*pairs)]
        print(f"{case.__name__:<20}{ms[0]:>10.3f}{ms[1]:>10.3f}{ratio:>8.2f}{budget:>8.1f}")


if __name__ == "__main__":
    main()
