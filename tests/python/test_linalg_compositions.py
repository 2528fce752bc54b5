"""Decompositions of what other decompositions have made, alone and inside of loops, branches, checkpoints, vmap and compile: first and
second derivatives, in each nesting of the modes, against differences."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

from differences import central

L = mx.linalg
F64 = mx.float64
RNG = np.random.default_rng(11)
EYE = mx.eye(3, dtype=F64)


def drawn():
    return mx.array(RNG.normal(size=(3, 3)), F64)


WEIGHTS, RIGHT, X = drawn(), drawn(), drawn() * 0.3 + mx.diag(mx.array([1.0, 2.5, 4.5], F64))
LINES = [drawn(), drawn()]


def symmetric(a):
    return (a + a.T) / 2


def eigh(a):
    w, v = L.eigh(symmetric(a))
    return (v * mx.sin(w)) @ v.T


def qr(a):
    q, r = L.qr(a)
    signs = mx.sign(mx.diag(r))
    return q * signs + r * signs[:, None]


def svd(a):
    u, s, vh = L.svd(a)
    return (u * mx.log1p(s)) @ vh


def eig(a):
    w, v = L.eig(a)
    return mx.real((v * mx.exp(0.2 * w)) @ L.inv(v))


def lu(a):
    return L.lu(a + 9 * EYE)[1] + L.lu(a + 9 * EYE)[2] / 9


def positive(a):
    return a @ a.T * 0.1 + EYE


MADE = {"eigh": eigh, "qr": qr, "svd": svd, "eig": eig, "lu": lu, "cholesky": lambda a: L.cholesky(positive(a)),
        "solve": lambda a: L.solve(positive(a), RIGHT) + 3 * EYE, "expm": lambda a: L.expm(0.2 * a), "pinv": lambda a: L.pinv(a + 5 * EYE) * 9}
PLACES = {
    "plain": lambda f: f, "compile": mx.compile, "checkpoint": mx.checkpoint, "custom": mx.custom_function,
    "fori_loop": lambda f: lambda a: mx.fori_loop(0, 2, lambda i, s: 0.5 * s + 0.3 * f(s), a),
    "while_loop": lambda f: lambda a: mx.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, f(s[1])), (mx.array(0), a))[1],
    "scan": lambda f: lambda a: mx.scan(lambda s, x: (f(s) * x, s.sum()), a, mx.ones((1,), F64))[0],
    "cond": lambda f: lambda a: mx.cond(mx.trace(a) > 0, f, lambda a: a, a),
    "vmap": lambda f: lambda a: mx.vmap(f)(mx.stack([a, a + EYE])).sum(0),
}
MODES = {"grad": lambda f, t: lambda x: (mx.grad(f)(x) * t).sum(), "jvp": lambda f, t: lambda x: mx.jvp(f, [x], [t])[1][0]}


def check(function, x=X):
    loss = lambda a: (function(a) * WEIGHTS).sum()
    first, second = LINES
    slope, = central(lambda x: [loss(x)], [x], [first])
    for mode in MODES.values():
        lower = mode(loss, first)
        assert np.array(lower(x)) == pytest.approx(slope, rel=1e-6, abs=1e-6)
        bend, = central(lambda x, lower=lower: [lower(x)], [x], [second])
        for upper in MODES.values():
            assert np.array(upper(lower, second)(x)) == pytest.approx(bend, rel=1e-5, abs=1e-5)


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("outer, inner", list(itertools.product(MADE, repeat=2)))
def test_one_after_another(outer, inner):
    check(lambda a: MADE[outer](MADE[inner](a)))


@pytest.mark.grid(0.4)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MADE)
def test_in_a_body(name, place):
    check(PLACES[place](MADE[name]))


@pytest.mark.grid(0.4)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("outer, inner", [("eigh", "qr"), ("svd", "cholesky"), ("cholesky", "svd"), ("eig", "solve"), ("pinv", "eigh")])
def test_one_after_another_in_a_body(outer, inner, place):
    check(PLACES[place](lambda a: MADE[outer](MADE[inner](a))))
