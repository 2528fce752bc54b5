"""Cotangents of overlapping parts of one array, as differences and stencils read it: against forward mode, in the same bits eager and
compiled, with signs and factors of every kind."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.complex64]

STENCILS = {
    "difference": lambda x: (x[1:] - x[:-1]) ** 2,
    "sum": lambda x: (x[1:] + x[:-1]) ** 2,
    "all subtracted": lambda x: (-x[1:] - x[:-1] - 0.5) ** 2,
    "second difference": lambda x: (x[2:] - 2 * x[1:-1] + x[:-2]) ** 2,
    "scaled twice": lambda x: (3 * (x[2:] * -0.5) - 2 * (x[:-2] - -x[1:-1])) ** 2,
    "read twice": lambda x: x[1:-1] * (x[2:] - x[:-2]) - 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2]) ** 2,
    "beside the whole": lambda x: (x[1:] - x[:-1]) * x[1:] + (x * x)[:-1] - x[:-1],
    "far apart": lambda x: (x[40:] - x[:-40]) * 2 - x[20:-20],
    "small parts": lambda x: (x[:3] - x[3:6]) * (x[-3:] - x[1:4]),
    "steps": lambda x: (x[2::2] - x[:-2:2]) ** 2 - x[::-1][1 : 1 + x[2::2].size] * x[2::2],
    "one subtracted": lambda x: 1 - x[1:] * 2,
    "a number subtracted": lambda x: x[1:] * x[:1] - x[:-1],
}


def in_bits(arrays):
    return [bits(a) for a in evaluated(arrays)]


@pytest.mark.parametrize("name", STENCILS)
@pytest.mark.parametrize("size", [98, 5017, 300_001])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_lines(dtype, size, name):
    generator = np.random.default_rng(size)
    x = mx.array(generator.standard_normal(size).astype(np.float32)).astype(dtype)
    weights = mx.array(generator.standard_normal(STENCILS[name](x).size).astype(np.float32)).astype(dtype)
    pull = lambda x, w: mx.vjp(lambda x: [STENCILS[name](x)], [x], [w])[1]
    eager, compiled = pull(x, weights), mx.compile(pull)(x, weights)
    assert in_bits(eager) == in_bits(compiled)
    if dtype == mx.float64:
        move = mx.array(generator.standard_normal(size), dtype)
        pushed = mx.jvp(lambda x: [STENCILS[name](x)], [x], [move])[1][0]
        np.testing.assert_allclose((eager[0] * move).sum().item(), (pushed * weights).sum().item(), rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", STENCILS)
def test_each_element(name):
    """Also of the second derivative, and of a batch."""
    x = mx.array(np.random.default_rng(3).standard_normal((2, 98)), mx.float64)
    loss = lambda x: (STENCILS[name](x) ** 2).sum()
    np.testing.assert_allclose(mx.grad(loss)(x[0]), mx.jacfwd(loss)(x[0]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mx.hessian(loss)(x[0]), mx.jacfwd(mx.jacfwd(loss))(x[0]), rtol=1e-12, atol=1e-11)
    alone = mx.stack([mx.grad(loss)(row) for row in x])
    assert in_bits([mx.vmap(mx.grad(loss))(x)]) == in_bits([alone])


def test_of_planes():
    def loss(x):
        inner = 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
        return (inner**2).sum() + mx.sqrt((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2 + 0.1).sum()

    x = mx.array(np.random.default_rng(5).standard_normal((70, 90)), mx.float64)
    gradient = mx.grad(loss)
    assert in_bits([gradient(x)]) == in_bits([mx.compile(gradient)(x)])
    move = mx.array(np.random.default_rng(6).standard_normal(x.shape), mx.float64)
    np.testing.assert_allclose((gradient(x) * move).sum().item(), mx.jvp(loss, [x], [move])[1][0].item(), rtol=1e-10)


def test_zeros_outside_are_not_negative():
    x = mx.array(np.random.default_rng(5).standard_normal(100), mx.float32)
    for function in (lambda x: -(x[1:] * 2), lambda x: 3 - x[1:], lambda x: -2 * x[1:] - x[1:]):
        gradient = mx.grad(lambda x: function(x).sum())(x)
        assert gradient[0].item() == 0 and not mx.signbit(gradient[0]).item()


def test_what_is_not_finite_stays_where_it_was_read():
    """A factor that is infinite meets zeros around the part."""
    x = mx.array(np.random.default_rng(5).standard_normal(100), mx.float32)
    gradient = mx.grad(lambda x, k: ((x[1:] * x[1:] - x[:-1]) * k).sum())(x, mx.array(mx.inf))
    assert gradient[0].item() == -mx.inf and gradient[-1].item() in (mx.inf, -mx.inf)
    gradient = mx.grad(lambda x, k: (x[1:] * k).sum())(x, mx.array(mx.nan))
    assert gradient[0].item() == 0 and mx.all(mx.isnan(gradient[1:])).item()


def windows(shape, size, count, along):
    """Overlapping boxes of one array, as slices."""
    room = [n - m for n, m in zip(shape, size)]
    starts = [[room[d] * k // (count - 1) if d in along else room[d] // 2 for d in range(len(shape))] for k in range(count)]
    return [tuple(slice(s, s + m) for s, m in zip(start, size)) for start in starts]


WINDOWS = {
    "lines": windows((6000,), (5900,), 5, [0]),
    "lines of several pieces": windows((3, 2500), (2, 2300), 4, [0, 1]),
    "columns": windows((70, 90), (70, 60), 20, [1]),
    "rows": windows((90, 70), (60, 70), 7, [0]),
    "short lines": windows((20, 20, 20), (18, 16, 17), 4, [0, 1, 2]),
    "tiny lines": windows((40, 60, 3), (30, 50, 3), 4, [0, 1]),
    "narrow": windows((50, 120), (45, 50), 9, [0, 1]),
}


@pytest.mark.parametrize("kind", ["number", "one array", "its own"])
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_windows_are_added_up_in_order(dtype, name, kind):
    parts = WINDOWS[name]
    whole = [max(part[d].stop for part in parts) + 1 for d in range(len(parts[0]))]
    size = [part.stop - part.start for part in parts[0]]
    generator = np.random.default_rng(len(size))

    def drawn(shape):
        values = generator.standard_normal(shape) * (generator.random(shape) < 0.7) * generator.choice([-1.0, 1.0], shape)
        values.flat[[3, 7]] = [np.nan, 1e-40]
        return mx.array(values.astype(np.float32)).astype(dtype)

    given = {"number": [mx.broadcast_to(mx.array(-0.0).astype(dtype), size)] * len(parts), "one array": [drawn(size)] * len(parts)}
    weights = given.get(kind) or [drawn(size) for _ in parts]
    x = drawn(whole)
    pull = lambda x, w: mx.vjp(lambda x: [x[part] for part in parts], [x], w)[1]
    expected = mx.zeros(whole, dtype)
    for k, (part, weight) in enumerate(zip(parts[::-1], weights[::-1])):  # as the pass meets them
        padded = mx.zeros(whole, dtype)
        padded[part] = weight
        expected = expected + padded if k else padded
    number = lambda a: mx.where(a == 0, mx.zeros([], dtype), a)  # of either sign: not all of the zeros around are added
    first, again = pull(x, weights)[0], mx.compile(pull)(x, weights)[0]
    assert in_bits([first]) == in_bits([again])
    assert in_bits([number(first)]) == in_bits([number(expected)])


def test_windows_with_factors():
    """Factors that come of the argument, signs, a batch of factors; derivatives of the derivative, and its sparsity."""
    parts = WINDOWS["columns"][::4]
    x = mx.array(np.random.default_rng(5).standard_normal((70, 90)), mx.float64)
    factors = mx.array([2.0, -0.5, 0.0, 3.0, 1.0], mx.float64)

    def loss(x, factors):
        terms = [x[part] * factors[k] * (1 if k % 2 else x[0, 0]) for k, part in enumerate(parts)]
        return ((terms[1] - terms[0] - terms[3] + terms[2] - terms[4]) ** 3).sum()

    gradient = mx.grad(loss)
    assert in_bits([gradient(x, factors)]) == in_bits([mx.compile(gradient)(x, factors)])
    move = mx.array(np.random.default_rng(6).standard_normal(x.shape), mx.float64)
    np.testing.assert_allclose((gradient(x, factors) * move).sum(), mx.jvp(lambda x: loss(x, factors), [x], [move])[1][0], rtol=1e-10)
    mx.check_grads(lambda x, factors: (gradient(x, factors) * move).sum(), (x, factors), order=2, rtol=1e-4)
    batch = mx.stack([factors, factors[::-1]])
    np.testing.assert_allclose(mx.vmap(gradient, (None, 0))(x, batch), mx.stack([gradient(x, row) for row in batch]), rtol=1e-12)


def test_windows_in_a_file_and_a_sparse_hessian(tmp_path):
    loss = lambda x: ((x[2:] * 3 - x[1:-1] * 2 + x[:-2]) ** 2).sum()
    x = mx.array(np.random.default_rng(5).standard_normal(4100), mx.float64)
    mx.export_function(str(tmp_path / "windows.mlxfn"), mx.grad(loss), x)
    loaded = mx.import_function(str(tmp_path / "windows.mlxfn"))
    assert in_bits(loaded(x)) == in_bits([mx.grad(loss)(x)])
    assert mx.sparse_hessian(loss)(x).values.size <= 5 * x.size


@pytest.mark.parametrize("seed", range(30))
def test_drawn_boxes(seed):
    """Of whole numbers, so that every order adds up to the same: lines that some parts lack, ends of lines, long and short ones."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        length = int(rng.choice([5, 63, 64, 70, 100, 130, 200, 519, 2047, 2100, 5000]))
        lines = int(rng.integers(4096, 12000)) // length + 4
        shape = [[length * 3], [lines, length], [4, lines // 3 + 1, length]][rng.integers(3)]  # as many as are added in one go
        boxes, factors, weights = [], [], []
        for _ in range(int(rng.integers(3, 9))):
            near = [int(rng.integers(0, min(n, 4))) for n in shape]
            far = [n - int(rng.integers(0, min(n - low, 4))) for n, low in zip(shape, near)]
            if rng.random() < 0.2:  # anywhere
                near, far = zip(*(sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in shape))
            boxes.append(tuple(map(slice, near, far)))
            factors.append(float(rng.choice([1, 1, -1, 2, -3, 0.5])))
            weights.append(rng.integers(-8, 9, [high - low for low, high in zip(near, far)]))
        want = np.zeros(shape)
        for box, factor, weight in zip(boxes, factors, weights):
            want[box] += factor * weight
        for dtype in mx.float32, mx.float64, mx.float16:
            arrays = [mx.array(weight, dtype) for weight in weights]
            loss = lambda x: sum((x[box] * factor * weight).sum() for box, factor, weight in zip(boxes, factors, arrays))
            got = mx.grad(loss)(mx.zeros(shape, dtype))
            np.testing.assert_array_equal(np.array(got.astype(mx.float64)), want)
