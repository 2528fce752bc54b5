"""What a call of a compiled function costs, beside jax.jit, in one interleaved run.

    python benchmarks/compiled_calls.py [--rounds N]

Each row is the median over rounds of our time divided by JAX's; below 1 we are faster. Both wait for the result. The first two are the
cost of a call; the others compute.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

import mlx.core as mx


def tiny(np_like):
    return lambda x: np_like.sin(x) * 2 + 1


def tree(np_like):
    return lambda p, x: {"a": p["a"] + x, "b": p["b"] * np_like.tanh(x)}


def chain(np_like):
    def f(x):
        for _ in range(50):
            x = np_like.sin(x) * 1.0001 + 0.001
        return x

    return f


def mlp(np_like):
    def loss(params, x):
        for w, b in params:
            x = np_like.tanh(x @ w + b)
        return (x * x).mean()

    return loss


def values(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def cases():
    params = [(values((64, 64)) / 8, values((64,))) for _ in range(4)]
    yield "tiny", tiny(mx), tiny(jnp), (values(()),), 1000
    yield "tree", tree(mx), tree(jnp), ({"a": values((4,)), "b": values((4,))}, values((4,))), 1000
    yield "chain of 150, 1,000 floats", chain(mx), chain(jnp), (values((1000,)),), 20
    yield "chain of 150, 1,000,000 floats", chain(mx), chain(jnp), (values((1_000_000,)),), 1
    yield "gradient of an MLP, batch 32", mx.grad(mlp(mx)), jax.grad(mlp(jnp)), (params, values((32, 64))), 20


def seconds(f, args, times, wait):
    start = time.perf_counter()
    for _ in range(times):
        wait(f(*args))
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for name, ours, theirs, args, times in cases():
        f, g = mx.compile(ours), jax.jit(theirs)
        to_mx = functools.partial(jax.tree_util.tree_map, mx.array)
        mine, other = to_mx(args), jax.tree_util.tree_map(jnp.array, args)
        seconds(f, mine, 2, mx.eval), seconds(g, other, 2, jax.block_until_ready)
        pairs = [(seconds(f, mine, times, mx.eval), seconds(g, other, times, jax.block_until_ready)) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in pairs)
        each = statistics.median(a for a, _ in pairs) / times * 1e6
        print(f"{name:32} {ratio:6.2f}   {each:10.1f} us a call")


if __name__ == "__main__":
    main()
