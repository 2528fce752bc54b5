"""What maximum, minimum and clip pass on of a gradient, in one step: the bits are those of the comparisons and selections that say it."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
from bits import bits

NAMES = ["float16", "bfloat16", "float32", "float64"]
LENGTHS = [1, 15, 64, 65, 129, 1000, 4100]
floats = pytest.mark.parametrize("name", NAMES)


def spelt(g, a, b):
    return mx.where(mx.equal(a, b), g * 0.5, mx.where(mx.greater(a, b), g, mx.array(0, g.dtype)))


def operands(name, n):
    """g, a and b: pairs of all that is special, equal and neighbouring elements, and others."""
    rng = np.random.default_rng(n)
    def drawn():
        return np.where(rng.random(n) < 0.5, rng.choice(arrays.special(name).astype(np.float64), n), rng.normal(size=n))
    g, a, b = (arrays.to_mx(drawn(), name) for _ in range(3))
    return g, a, mx.where(mx.array(rng.random(n) < 0.3), a, b)


def pulled(f, args, g):
    return mx.vjp(lambda *x: [f(*x)], list(args), [g])[1]


@floats
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile], ids=["eager", "compiled"])
def test_bits_of_comparisons(name, n, wrap):
    g, a, b = operands(name, n)
    limit = a[n // 2]
    for f, wanted in [(mx.maximum, (spelt(g, a, b), spelt(g, b, a))), (mx.minimum, (spelt(g, b, a), spelt(g, a, b)))]:
        got = wrap(lambda g, a, b: pulled(f, (a, b), g))(g, a, b)
        assert [bits(x) for x in got] == [bits(x) for x in wanted], f.__name__
        # beside other steps, in and out of registers
        def chained(g, a, b):
            (x,) = pulled(lambda a: f(f(a, limit) * 2, b), (a,), g * 3)
            return x, x + g
        inner = f(a, limit) * 2
        outer = spelt(g * 3, inner, b) if f is mx.maximum else spelt(g * 3, b, inner)
        through = mx.zero_times(outer, mx.array(2, g.dtype))
        want = spelt(through, a, limit) if f is mx.maximum else spelt(through, limit, a)
        assert [bits(x) for x in wrap(chained)(g, a, b)] == [bits(want), bits(want + g)], f.__name__


@floats
def test_clips(name):
    g, a, _ = operands(name, 1000)
    low, high = mx.array(-0.5, g.dtype), mx.array(0.75, g.dtype)
    (got,) = pulled(lambda a: mx.clip(a, low, high), (a,), g)
    assert bits(got) == bits(spelt(spelt(g, high, mx.maximum(a, low)), a, low))


def test_broadcast_and_views():
    rng = np.random.default_rng(0)
    x, row, g = (mx.array(rng.integers(-2, 3, s).astype(np.float32)) for s in [(70, 130), (130,), (130, 70)])
    got = pulled(mx.maximum, (x, row), g.T)
    assert bits(got[0]) == bits(spelt(g.T, x, row))
    assert bits(got[1]) == bits(mx.sum(spelt(g.T, row, x), axis=0))
    every = x[::-1, ::2]
    assert bits(pulled(mx.minimum, (every, row[::2]), every)[0]) == bits(spelt(every, row[::2], every))


def test_transforms():
    g, a, b = operands("float32", 96)
    f = lambda a, b: mx.maximum(a, b)
    assert bits(mx.jvp(f, (a, b), (g, g))[1][0]) == bits(spelt(g, a, b) + spelt(g, b, a))
    one = lambda a, b, g: pulled(f, (a, b), g)[0]
    rows = [x.reshape(12, 8) for x in (a, b, g)]
    assert bits(mx.vmap(one)(*rows)) == bits(spelt(g, a, b).reshape(12, 8))
    assert bits(mx.vmap(one, in_axes=(None, 1, 0))(rows[0][0], rows[1][:8], rows[2][:8])) == bits(spelt(rows[2][:8], rows[0][0], rows[1][:8].T))
    # linear in g: forward and back again
    share = lambda g: pulled(f, (a, b), g)[0]
    assert bits(mx.jvp(share, (g,), (b,))[1][0]) == bits(spelt(b, a, b)) and bits(pulled(share, (g,), b)[0]) == bits(spelt(b, a, b))
    numbers = mx.array([-1.0, 0.5, 2.0])
    cubes = lambda x: mx.sum(mx.maximum(x * x * x, 0.125))
    assert mx.grad(lambda x: mx.sum(mx.grad(cubes)(x)))(numbers).tolist() == [0, 1.5, 12]


def test_numbers_in_order_of_their_parts():
    z, w = mx.array([1 + 2j, 3 - 1j, 2 + 2j]), mx.array([1 + 2j, 3 + 1j, 1 + 5j])
    got = pulled(mx.maximum, (z, w), mx.array([2 + 0j, 4j, 1 + 1j]))
    assert got[0].tolist() == [1, 0, 1 + 1j] and got[1].tolist() == [1, 4j, 0]
