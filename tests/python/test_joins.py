"""Joined and stacked arrays are NumPy's, whatever the layouts of the operands; cotangents of parts that leave nothing out
are put together."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["uint8", "int16", "float32", "int64", "complex128"]


def drawn(generator, shape, dtype):
    """An array and NumPy's: whole, a part of a larger one, every other element, reversed, transposed or broadcast."""
    kind = generator.choice(["whole", "part", "every", "reversed", "transposed", "broadcast"])
    if kind == "transposed":
        shape = shape[::-1]
    large = generator.integers(0, 100, [2 * n + 3 for n in shape] if kind in ("part", "every") else shape).astype(dtype)
    index = {"part": [slice(1, n + 1) for n in shape], "every": [slice(1, 2 * n + 1, 2) for n in shape],
             "reversed": [slice(None, None, -1)] * len(shape)}.get(kind, [slice(None)] * len(shape))
    if kind == "broadcast":
        large = large[tuple(slice(0, 1) if i % 2 == 0 else slice(None) for i in range(len(shape)))]
        return mx.broadcast_to(mx.array(large), shape), np.broadcast_to(large, shape)
    ours, theirs = mx.array(large)[tuple(index)], large[tuple(index)]
    return (ours.T, theirs.T) if kind == "transposed" else (ours, theirs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_single_elements_of_parts(count, dtype):
    """Interleaved in each slice of the first axes, which lie apart."""
    generator = np.random.default_rng(count)
    for shape in [(7, 300), (200, 299), (3, 4, 700), (5, 60), (2, 9000)]:
        large = [generator.integers(0, 100, [n + 2 for n in shape]).astype(dtype) for _ in range(count)]
        index = tuple(slice(1, n + 1) for n in shape)
        found = mx.stack([mx.array(x)[index] for x in large], axis=-1)
        assert np.array_equal(np.array(found), np.stack([x[index] for x in large], axis=-1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(12))
def test_operands_of_any_layout(seed, dtype):
    generator = np.random.default_rng([seed, DTYPES.index(dtype)])
    for _ in range(12):
        rank = int(generator.integers(1, 4))
        shape = [int(generator.choice([1, 2, 3, 5, 17, 40, 300])) for _ in range(rank)]
        axis, count = int(generator.integers(rank)), int(generator.integers(1, 10))
        lengths = [int(generator.choice([0, 1, 1, 2, 3, 8, 33])) for _ in range(count)]
        pairs = [drawn(generator, [*shape[:axis], n, *shape[axis + 1 :]], dtype) for n in lengths]
        found = mx.concatenate([a for a, _ in pairs], axis)
        assert np.array_equal(np.array(found), np.concatenate([b for _, b in pairs], axis))
        pairs, axis = [drawn(generator, shape, dtype) for _ in range(count)], int(generator.integers(rank + 1))
        assert np.array_equal(np.array(mx.stack([a for a, _ in pairs], axis)), np.stack([b for _, b in pairs], axis))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("length", [1, 15, 16, 63, 1000, 100_003])
def test_planes_made_into_channels(length, count):
    planes = [np.arange(length, dtype="float32") + 1000 * k for k in range(count)]
    assert np.array_equal(np.array(mx.stack([mx.array(p) for p in planes], -1)), np.stack(planes, -1))


def parted(generator, shape, axis=0):
    """Indices of parts that leave no element out: along each axis in blocks or in turn, some of them backwards."""
    if axis == len(shape):
        return [()]
    n, kind = shape[axis], generator.choice(["all", "blocks", "turns"])
    if kind == "all":
        ranges = [(0, n, 1)]
    elif kind == "blocks":
        cuts = sorted({0, n, *(int(c) for c in generator.integers(0, n + 1, 2))})
        ranges = [(low, high, 1) for low, high in zip(cuts, cuts[1:])]
    else:
        step = int(generator.choice([s for s in (1, 2, 3) if n % s == 0]))
        ranges = [(k, n, step) for k in range(step)]
    found = []
    for low, high, step in ranges:
        last = low + (high - low - 1) // step * step
        index = slice(last, low - 1 if low else None, -step) if generator.random() < 0.3 else slice(low, high, step)
        found += [(index, *rest) for rest in parted(generator, shape, axis + 1)]
    return found


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_parts(seed):
    """Of parts in any order; one left out, one more, and the whole beside them: what is added up is whole numbers."""
    generator = np.random.default_rng(seed)
    shape = [int(generator.choice([1, 2, 6, 12])) for _ in range(int(generator.integers(1, 4)))]
    parts = parted(generator, shape)
    generator.shuffle(parts)
    change = generator.choice(["none", "none", "fewer", "more", "beside"])
    if change == "fewer":
        parts = parts[1:]
    elif change == "more":
        parts.append(parts[0])
    x = generator.integers(-9, 10, shape).astype("float32")
    weights = [generator.integers(-9, 10, x[index].shape).astype("float32") for index in parts]
    expected = np.full(shape, 3.0 if change == "beside" else 0.0, "float32")
    for index, weight in zip(parts, weights):
        expected[index] += 2 * weight * x[index]

    def loss(z):
        terms = [(mx.array(w) * mx.square(z[index])).sum() for index, w in zip(parts, weights)]
        beside = [3 * z.sum()] if change == "beside" else []
        return sum(beside + terms if seed % 2 else terms + beside, mx.array(0.0))

    assert np.array_equal(np.array(mx.grad(loss)(mx.array(x))), expected)
    assert np.array_equal(np.array(mx.compile(mx.grad(loss))(mx.array(x))), expected)
    ones = mx.ones(shape)
    slope = mx.grad(lambda z: (mx.grad(loss)(z) * ones).sum())(mx.array(x))  # of second order
    expected = np.zeros(shape, "float32")
    for index, weight in zip(parts, weights):
        expected[index] += 2 * weight
    assert np.array_equal(np.array(slope), expected)


@pytest.mark.parametrize("seed", range(12))
def test_gradients_of_parts_that_are_read_again(seed):
    """Each part's terms are added up, and then the sums put together, none of them written into an array of zeros."""
    generator = np.random.default_rng(seed)
    shape = [int(generator.choice([1, 2, 6, 12])) for _ in range(int(generator.integers(1, 3)))]
    shape.insert(int(generator.integers(0, len(shape) + 1)), 600)
    parts = [part for part in parted(generator, shape) for _ in range(int(generator.integers(1, 4)))]
    generator.shuffle(parts)
    x = generator.integers(-9, 10, shape).astype("float32")
    weights = [generator.integers(-9, 10, x[index].shape).astype("float32") for index in parts]
    expected = np.zeros(shape, "float32")
    for index, weight in zip(parts, weights):
        expected[index] += 2 * weight * x[index]
    weights = [mx.array(weight) for weight in weights]
    slope = mx.grad(lambda z: sum((w * mx.square(z[index])).sum() for index, w in zip(parts, weights)))
    for gradient in (slope, mx.compile(slope)):
        assert np.array_equal(np.array(gradient(mx.array(x))), expected)
    with mx.profile() as profile:
        mx.eval(slope(mx.array(x)))
    assert not any("SliceUpdate" in event["name"] for event in profile.events)


def test_gradients_of_components():
    """The same terms in the same order as where each component is an array of its own; of second order, too."""
    generator = np.random.default_rng(0)
    x = mx.array(generator.standard_normal((300, 4)).astype("float32"))
    formula = lambda a, b, c, d: (a * b - mx.sin(c) * d + a * a * d - b * c + a * a * a).sum()
    together = lambda z: formula(*(z[:, k] for k in range(4)))
    parts = [x[:, k] * 1 for k in range(4)]
    for loss in (together, lambda z: (mx.grad(together)(z) ** 2).sum()):
        by_part = lambda *p, loss=loss: loss(mx.stack(p, axis=-1))
        apart = mx.stack(mx.grad(by_part, argnums=(0, 1, 2, 3))(*parts), axis=-1)
        assert np.array_equal(np.array(mx.grad(loss)(x)), np.array(apart))
    double = x.astype(mx.float64)
    second = mx.grad(lambda z: (mx.grad(together)(z) ** 2).sum())
    assert np.allclose(np.array(second(x)), np.array(second(double)), rtol=1e-4, atol=1e-4)
