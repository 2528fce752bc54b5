"""Elementwise steps between a permutation of axes and its inverse: compiled, they are done where the elements lie, with the same bits."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits


def drawn(*shape, seed=0):
    return mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def shuffled(x):
    """Pixels of blocks of 2 by 2, out of channels."""
    n, c, h, w = x.shape
    return x.reshape(n, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


def blocks(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def heads(x):
    return x.reshape(*x.shape[:2], 4, x.shape[2] // 4).transpose(0, 2, 1, 3)


def merged(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])


X, W, IMAGE = drawn(2, 8, 6, 10), drawn(2, 2, 12, 20, seed=1), drawn(2, 3, 8, 12, seed=2)
TOKENS = drawn(3, 10, 24, seed=3)
PROGRAMS = {  # function, arguments, how many permutations are left where steps are moved: those of other operands
    "shuffled": (mx.grad(lambda x: mx.sum(mx.tanh(shuffled(x)))), (X,), 0),
    "shuffled, with a target": (mx.grad(lambda x, w: mx.mean(mx.square(shuffled(x) - w))), (X, W), 1),
    "shuffled, and the value": (mx.value_and_grad(lambda x: mx.sum(mx.sin(shuffled(x)))), (X,), None),
    "there and back": (lambda x: blocks(mx.exp(shuffled(x)) * 2), (X,), 0),
    "there and back by other blocks": (lambda x: blocks(mx.abs(shuffled(x)).swapaxes(2, 3)), (X,), None),
    "blocks": (mx.grad(lambda x: mx.sum(mx.sin(blocks(x)) ** 2)), (IMAGE,), 0),
    "heads": (mx.grad(lambda x: mx.sum(mx.square(merged(mx.tanh(heads(x)))))), (TOKENS,), 0),
    "also reduced": (lambda x: (blocks(mx.exp(shuffled(x))), mx.sum(mx.exp(shuffled(x)), axis=1)), (X,), None),
    "also returned": (lambda x: (blocks(y := mx.exp(shuffled(x))), y), (X,), None),
    "two of them": (lambda x, y: merged(mx.where(heads(x) > heads(y), heads(x), 2 * heads(y))), (TOKENS, TOKENS[::-1]), 0),
    "two kinds": (lambda x, y: merged(heads(x) + heads(y).transpose(0, 1, 2, 3) * heads(x)), (TOKENS, TOKENS + 1), 0),
    "other permutations": (lambda x: (x.T + x.transpose(1, 2, 0).T.transpose(2, 0, 1)).T, (drawn(6, 6, 6),), None),
    "casts": (lambda x: merged(heads(x).astype(mx.float16) + 1), (TOKENS,), 0),
    "rows": (lambda x, b: merged(mx.tanh(heads(x) + b)), (TOKENS, drawn(6)), None),
    "numbers": (lambda x, s: merged(heads(x) * s.sum() + mx.broadcast_to(s[0], heads(x).shape)), (TOKENS, drawn(5)), 0),
    "a second gradient": (mx.grad(lambda x: mx.sum(mx.grad(lambda x: mx.sum(mx.sin(shuffled(x))))(x) ** 2)), (X,), 0),
    "not at all": (lambda x: mx.softmax(heads(x), axis=-1), (TOKENS,), None),
    "empty": (lambda x: merged(heads(x) + 1), (TOKENS[:0],), None),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_bits(name):
    function, args, left = PROGRAMS[name]
    flat = lambda tree: [y for x in tree for y in flat(x)] if isinstance(tree, (tuple, list)) else [bits(tree)]
    compiled = mx.compile(function)
    counts = mx._node_counts(compiled(*args)) if left is not None else {}
    assert counts.get("Transpose", 0) == (left or 0)
    for _ in range(3):
        assert flat(compiled(*args)) == flat(function(*args))


@pytest.mark.parametrize("name", ["shuffled", "shuffled, with a target", "heads", "blocks", "also returned"])
def test_transforms(name):
    function, args, _ = PROGRAMS[name]
    only = lambda y: y[0] if isinstance(y, (tuple, list)) else y
    first = lambda *x: only(function(*x))
    many = [mx.stack([a, a * 0.5, -a]) for a in args]
    assert bits(mx.compile(mx.vmap(first))(*many)) == bits(mx.vmap(first)(*many))
    assert bits(mx.vmap(mx.compile(first))(*many)) == bits(mx.vmap(first)(*many))
    tangents = [mx.cos(a) for a in args]
    tangent = lambda *x: only(mx.jvp(first, x, tangents)[1])
    assert bits(mx.compile(tangent)(*args)) == bits(tangent(*args))
    assert bits(mx.compile(first, shapeless=True)(*args)) == bits(first(*args))
    loop = lambda x: mx.fori_loop(0, 3, lambda i, x: first(x, *args[1:]) * 0.1, x)
    if first(*args).shape == args[0].shape:
        unrolled = args[0]
        for _ in range(3):
            unrolled = first(unrolled, *args[1:]) * 0.1
        assert bits(loop(args[0])) == bits(unrolled)


def test_long_chains_before_a_sum():
    """Nothing moves, and finding that out takes no longer for it."""
    def f(x):
        y = shuffled(x)
        for _ in range(400):
            y = mx.sin(y) * 0.9
        return y.sum(axis=-1)
    assert bits(mx.compile(f)(X)) == bits(f(X))
