"""Products of 16-bit floats that are computed with further, in addmm and in attention, keep the float32 sums that they are made of: whatever
kernel makes them, they are what a product of the same numbers is before it is rounded."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits
from test_thin_products import laid_out

SIZES, FEW, TERMS = [1, 2, 3, 5, 16, 17, 33, 64, 100, 257], [1, 2, 4, 11], [0, 1, 2, 7, 16, 17, 32, 33, 70, 300, 1500]
DTYPES = {"float16": 11, "bfloat16": 8}  # bits of a significand


def in_double(x):
    return np.array(x.astype(mx.float64))


def drawn(rng, dtype):
    batch = [(), (), (), (3,), (40,), (2, 2)][rng.integers(6)]
    m, n, k = int(rng.choice(SIZES)), int(rng.choice(SIZES)), int(rng.choice(TERMS))
    if rng.random() < 0.3:
        m, n = (int(x) for x in rng.permutation([m, rng.choice(FEW)]))
    if rng.random() < 0.1:
        m, n, k, batch = min(m, 16), min(n, 16), 20000, ()  # some of the terms on each thread
    if batch:
        m, n, k = min(m, 64), min(n, 64), min(k, 300)
    a, b = rng.standard_normal((*batch, m, k)), rng.standard_normal((*(batch if rng.random() < 0.7 else ()), k, n))
    return tuple(laid_out(mx.array(x).astype(dtype), str(rng.choice(["rows", "columns", "part", "gaps", "backwards"]))) for x in (a, b))


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(150))
def test_sums_are_those_that_are_rounded(dtype, seed):
    rng = np.random.default_rng([seed, DTYPES[dtype]])
    a, b = drawn(rng, getattr(mx, dtype))
    rounded = mx.matmul(a, b)
    assert bits(mx.addmm(mx.zeros((1,), a.dtype), a, b)) == bits(rounded + 0)  # a sum with 0 is never -0
    lost = in_double(mx.addmm(rounded, a, b, alpha=-1))  # what rounding took away
    sizes = np.abs(in_double(a)) @ np.abs(in_double(b))
    room = sizes * 2.0**-23 * max(1, a.shape[-1]) ** 0.5
    near = in_double(rounded)
    assert (np.abs(lost) <= np.abs(near) * 2.0 ** -DTYPES[dtype] * 1.001 + room).all()
    error = near - lost - in_double(a) @ in_double(b)
    assert (np.abs(error) <= np.abs(lost) * 2.0 ** -DTYPES[dtype] + room + 2.0**-24).all()  # the least number of float16


def test_sums_that_do_not_fit_come_back():
    """Larger than all numbers of float16, in every kernel; what is infinite stays so."""
    large = 256.0
    for m, n, k in [(1, 1, 40), (1, 70, 40), (70, 1, 40), (3, 300, 5), (300, 3, 5), (8, 8, 8), (40, 40, 64), (64, 64, 1100), (4, 4, 20000)]:
        a, b = mx.full((m, k), large, mx.float16), mx.full((k, n), large, mx.float16)
        c = mx.full((m, n), 1, a.dtype)
        got = mx.addmm(c, a, b, alpha=1 / (large * large * k), beta=2)
        assert in_double(got).tolist() == np.full((m, n), 3.0).tolist()
        a[0, 0] = float("inf")
        row = in_double(mx.addmm(c, a, b, alpha=1 / (large * large * k)))
        assert np.isinf(row[0]).all() and (row[1:] == 2).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_transform(dtype):
    rng = np.random.default_rng(5)
    kind = getattr(mx, dtype)
    c, a, b, w = (mx.array(rng.standard_normal(s)).astype(kind) for s in ((3, 1, 6), (3, 5, 40), (40, 6), (3, 5, 6)))

    def f(c, a, b):
        return mx.addmm(c, a, b, alpha=0.5, beta=3.0)

    def near(x, y):
        np.testing.assert_allclose(in_double(x), in_double(y), rtol=0, atol=float(mx.max(mx.abs(y))) * 2.0 ** (2 - DTYPES[dtype]))

    wide = [x.astype(mx.float64) for x in (c, a, b, w)]
    got = f(c, a, b)
    assert bits(mx.compile(f)(c, a, b)) == bits(got)
    assert bits(mx.vmap(f, in_axes=(0, 0, None))(c, a, b)) == bits(got)
    assert bits(mx.compile(mx.vmap(f, in_axes=(0, None, None)))(c, a[0], b)) == bits(mx.stack([f(row, a[0], b) for row in c]))
    for argument in range(3):
        def loss(*args):
            return mx.sum(f(*args[:3]).astype(mx.float32) * args[3].astype(mx.float32))

        grads = mx.grad(loss, argument)(c, a, b, w)
        assert grads.dtype == kind
        near(grads, mx.grad(lambda *args: mx.sum(f(*args[:3]) * args[3]), argument)(*wide))
        assert bits(mx.compile(mx.grad(loss, argument))(c, a, b, w)) == bits(grads)
    tangents = (c * 2, a + 1, b - 1)
    near(mx.jvp(f, (c, a, b), tangents)[1][0], mx.jvp(f, wide[:3], [t.astype(mx.float64) for t in tangents])[1][0])


def test_steps_of_a_loop():
    """A recurrent layer of 16-bit floats, recorded as one step and step by step."""
    rng = np.random.default_rng(6)
    x, w, u, bias = (mx.array(rng.standard_normal(s) * 0.3).astype(mx.bfloat16) for s in ((20, 4, 8), (8, 8), (8, 8), (8,)))

    def step(h, x):
        h = mx.tanh(mx.addmm(mx.addmm(bias, x, w), h, u))
        return h, h

    h, want = mx.zeros((4, 8), mx.bfloat16), []
    for row in x:
        h, y = step(h, row)
        want.append(y)
    for run in (mx.scan, mx.compile(lambda *args: mx.scan(step, *args[1:]))):
        assert bits(run(step, mx.zeros((4, 8), mx.bfloat16), x)[1]) == bits(mx.stack(want))
