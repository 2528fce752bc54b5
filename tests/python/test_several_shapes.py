"""Steps on the same elements under several shapes, as of group norms and of heads side by side, are computed together in the bits that
each gives by itself."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, check_as_step_by_step

SHAPES = [(40, 6, 30), (30, 4, 64), (3, 2, 1500), (500, 4, 4), (16, 3, 256)]  # of groups side by side
UNARY = [mx.negative, mx.square, mx.sigmoid, lambda x: x * 0.5, lambda x: 1 - x]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum]
OF_ROWS = [mx.sum, mx.max, mx.mean]


def drawn(seed, given, shape, each):
    """Values of any of three shapes of as many elements, and values of rows under two of them."""
    rng = np.random.default_rng(seed)
    n, groups, length = shape
    shapes = [(n, groups, length), (n, groups * length), (n * groups, length)]
    whole, rows, values = list(given), [], []
    for _ in range(int(rng.integers(6, 20))):
        kind = rng.integers(7)
        x = whole[int(rng.integers(max(0, len(whole) - 4), len(whole)))]
        if kind < 2:
            y = x.reshape(shapes[rng.integers(3)])
        elif kind == 2:
            y = UNARY[rng.integers(len(UNARY))](x)
        elif kind == 3 or not rows:
            same = [z for z in whole if z.shape == x.shape]
            y = BINARY[rng.integers(len(BINARY))](x, same[rng.integers(len(same))])
        elif kind == 4:
            fits = [z for z in rows if z.ndim == x.ndim and z.shape[0] == x.shape[0] and z.size * length == x.size]
            y = BINARY[rng.integers(len(BINARY))](x, fits[rng.integers(len(fits))]) if fits else x * 2
        else:
            y = OF_ROWS[rng.integers(3)](x, axis=-1, keepdims=True)
        (rows if y.shape[-1] == 1 else whole).append(y)
        if kind == 3 and not (y.shape[-1] == 1):
            rows.append(OF_ROWS[rng.integers(3)](y, axis=-1, keepdims=True))
            values.append(rows[-1])
        values.append(y)
        if each:
            mx.eval(values)
    return values


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_step_by_step(shape, dtype, run_all):
    for seed in range(100 if run_all else 15):
        rng = np.random.default_rng([seed, 3])
        n, groups, length = shape
        given = [mx.array(rng.uniform(-1, 1, s)).astype(getattr(mx, dtype)) for s in [shape, (n, groups * length)]]
        mx.eval(given)
        check_as_step_by_step(lambda each: drawn(seed, given, shape, each), rng)


def normalised(z):
    return (z - mx.mean(z, axis=-1, keepdims=True)) * mx.rsqrt(mx.var(z, axis=-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("function, most", [(normalised, 3), (lambda z: mx.softmax(z, axis=-1), 2)])
def test_gradients_of_groups_side_by_side(function, most):
    rng = np.random.default_rng(0)
    x, w = (mx.array(rng.standard_normal((1000, 512)).astype(np.float32)) for _ in range(2))
    gradient = mx.grad(lambda x: mx.sum(function(x.reshape(1000, 8, 64)).reshape(1000, 512) * w))
    got = gradient(x)
    mx.eval(got)
    for f in (gradient, mx.compile(gradient)):
        mx.eval(f(x))
        with mx.profile() as p:
            assert bits(f(x)) == bits(got)
        views = ("Reshape", "Broadcast", "ExpandDims")
        assert sum(e["bytes"] >= x.nbytes and e["name"] not in views for e in p.events) <= most
    v = mx.array(rng.standard_normal(x.shape).astype(np.float32))
    exact = lambda x: mx.sum(function(x.reshape(1000, 8, 64)).reshape(1000, 512) * w.astype(mx.float64))
    want = mx.jvp(exact, [x.astype(mx.float64)], [v.astype(mx.float64)])[1][0].item()
    assert np.isclose(mx.sum(got * v).item(), want, rtol=1e-3, atol=1e-3)
