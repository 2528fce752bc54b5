"""Joined, padded, rolled, tiled and reshaped arrays that elementwise work or a sum reads: the bits of computing them
first."""

import numpy as np
import pytest

import mlx.core as mx

from bits import evaluated


def between(low, high, step):
    """The slice of every step-th element from low on, or down from high - 1."""
    return slice(low, high, step) if step > 0 else slice(high - 1, low - 1 if low else None, step)


def drawn_source(generator, shape, draw):
    """A function that makes an array of the shape out of others, and NumPy's array of it."""
    rows, columns = shape
    kind = generator.choice(["join", "pad", "spread", "roll"])
    axis = int(generator.integers(2))
    if kind == "join":
        cuts = np.sort(generator.integers(1, shape[axis], int(generator.integers(1, 5))))
        lengths = [n for n in np.diff([0, *cuts, shape[axis]]) if n]
        parts = [draw((n, columns) if axis == 0 else (rows, n)) for n in lengths]
        return (lambda: mx.concatenate([a for a, _ in parts], axis)), np.concatenate([b for _, b in parts], axis)
    if kind == "roll":
        a, b = draw(shape)
        shift = int(generator.integers(-5, 6))
        return (lambda: mx.roll(a, shift, axis)), np.roll(b, shift, axis)
    low, high = generator.integers(0, 3, (2, 2))
    steps = [1, 1] if kind == "pad" else [int(s) for s in generator.choice([1, 2, 3, -1, -2, -3], 2)]
    part = tuple(between(int(l), int(n - h), s) for l, h, n, s in zip(low, high, shape, steps))
    value = float(generator.choice([0.0, -0.0, 2.5, np.nan]))
    whole = np.full(shape, value, "float32")
    a, b = draw(whole[part].shape)
    whole = whole.astype(b.dtype)
    whole[part] = b

    def write():
        out = mx.full(shape, value, a.dtype)
        out[part] = a
        return out

    return write, whole


def drawing(generator, dtype):
    def draw(shape):
        """A whole array, or a part of a larger one: in lines, reversed, or one row for all."""
        rows, columns = (int(n) for n in shape)
        values = generator.standard_normal((rows + 1, columns + 3)).astype("float32")
        values[generator.random(values.shape) < 0.05] = -0.0
        large = mx.array(values).astype(dtype)
        host = np.array(large.astype(mx.float32)).astype("float64" if dtype == mx.float64 else "float32")
        which = generator.integers(4)
        if which == 0:
            a, b = mx.contiguous(large[:rows, :columns]), host[:rows, :columns]
        elif which == 1:
            a, b = large[1:, 2 : columns + 2], host[1:, 2 : columns + 2]
        elif which == 2:
            a, b = large[:rows, columns - 1 :: -1], host[:rows, columns - 1 :: -1]
        else:
            row, values = large[1, 1 : columns + 1], host[1, 1 : columns + 1]
            a, b = mx.broadcast_to(row, (rows, columns)), np.broadcast_to(values, (rows, columns))
        mx.eval(a)
        return a, b

    return draw


def bits(x):
    return np.array(x.astype(mx.float32)).view("uint32")


def same(a, b):
    return np.array_equal(bits(a), np.asarray(b, "float32").view("uint32"))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.float16], ids=str)
@pytest.mark.parametrize("seed", range(40))
def test_pieces_have_the_bits_of_the_whole(seed, dtype):
    generator = np.random.default_rng([seed, 7])
    shape = (int(generator.integers(5, 12)), int(generator.choice([512, 700, 1023, 1024, 1030, 2500])))
    draw = drawing(generator, dtype)
    (first, one), (second, other) = drawn_source(generator, shape, draw), drawn_source(generator, shape, draw)
    plain, _ = draw(shape)

    def results(first, second):
        a, b = first(), second()
        return [-mx.abs(a), (plain - a) * b + a, mx.sum(a, axis=1), mx.max(a - b, axis=1)]

    wholes = [first(), second()]
    mx.eval(wholes)
    assert same(-wholes[0], -one) and same(-wholes[1], -other)
    expected = [bits(x) for x in results(lambda: wholes[0], lambda: wholes[1])]
    for number, whole in enumerate(expected):  # each by itself, so that nobody else reads the pieces
        assert np.array_equal(bits(results(first, second)[number]), whole), number
    compiled = mx.compile(lambda: results(first, second))()
    together = results(first, second)
    mx.eval(together)
    for values in (compiled, together):
        assert all(np.array_equal(bits(x), whole) for x, whole in zip(values, expected))


def test_pieces_that_others_read_are_kept():
    a, b = mx.random.normal((20, 600)), mx.random.normal((20, 600))
    mx.eval(a, b)
    whole = mx.concatenate([a, b], 1)
    doubled = whole * 2
    product = whole @ mx.ones((1200, 3))
    mx.eval(doubled, product)
    expected = np.concatenate([np.array(a), np.array(b)], 1)
    assert np.array_equal(np.array(whole), expected) and np.array_equal(np.array(doubled), expected * 2)
    assert np.allclose(np.array(product), expected.sum(1)[:, None], atol=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_gradients_of_large_slices(seed):
    """A weighted sum of slices of small integers: its gradient is exact, in any order."""
    generator = np.random.default_rng([seed, 8])
    shape = (int(generator.integers(6, 20)), int(generator.choice([512, 600, 1025])))
    expected = np.zeros(shape, "float32")
    terms = []
    for _ in range(int(generator.integers(1, 7))):
        low, high = generator.integers(0, 4, (2, 2))
        steps = [int(s) for s in generator.choice([1, 1, 1, -1, 2], 2)]
        part = tuple(between(int(l), int(n - h), s) for l, h, n, s in zip(low, high, shape, steps))
        weights = generator.integers(-9, 10, expected[part].shape).astype("float32")
        expected[part] += weights
        terms.append((part, mx.array(weights)))
    loss = lambda x: sum((x[part] * weights).sum() for part, weights in terms)
    x = mx.array(generator.standard_normal(shape).astype("float32"))
    assert np.array_equal(np.array(mx.grad(loss)(x)), expected)
    assert np.array_equal(np.array(mx.compile(mx.grad(loss))(x)), expected)
    batch = mx.vmap(mx.grad(loss))(mx.stack([x, x + 1]))
    assert np.array_equal(np.array(batch), np.stack([expected, expected]))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.int8, mx.complex64, mx.bool_], ids=str)
@pytest.mark.parametrize("seed", range(25))
def test_padded_lines_of_any_length(seed, dtype):
    """Padded arrays of one to four axes, lines around the shortest that are read in place: bits of evaluating each by itself."""
    generator = np.random.default_rng([seed, 11])
    line = int(generator.choice([62, 64, 65, 100, 128, 300, 511, 1023]))
    inside = [*generator.integers(1, 5, int(generator.integers(3))).tolist(), int(generator.integers(1, 9)) + 9000 // line, line]
    inside = inside[-1:] if seed % 8 == 0 else inside
    inside[0] = 9000 if len(inside) == 1 else inside[0]
    around = generator.integers(0, 4, (len(inside), 2)).tolist()
    whole = tuple(n + low + high for n, (low, high) in zip(inside, around))
    number = lambda shape: mx.array(generator.integers(-99, 99, shape)).astype(dtype)
    x, y, value = number((*inside[:-1], 2 * inside[-1])), number(whole), number(())
    step = int(generator.choice([1, 1, 1, 2, -1]))
    x = (x[..., : step * inside[-1] : step] if step > 0 else x[..., inside[-1] - 1 :: -1])[..., : inside[-1]]
    mx.eval(x, y, value)

    def results(each):
        padded = each(mx.pad(x, around, constant_values=value))
        return [each(each(mx.where(padded == y, y, padded)) != value), mx.where(each(padded == y), y, padded)]

    expected = [np.array(v.astype(mx.complex64)).tobytes() for v in results(evaluated)]
    numbers = np.full(whole, np.array(value.astype(mx.complex64)))
    numbers[tuple(slice(low, low + n) for n, (low, _) in zip(inside, around))] = np.array(x.astype(mx.complex64))
    assert np.array_equal(np.array(mx.pad(x, around, constant_values=value).astype(mx.complex64)), numbers)
    for found in (results(lambda v: v), mx.compile(lambda: results(lambda v: v))()):
        assert [np.array(v.astype(mx.complex64)).tobytes() for v in found] == expected


@pytest.mark.parametrize("seed", range(30))
def test_gradients_of_stencils_with_short_lines(seed):
    """As of large slices, in up to three dimensions, and of lines around the shortest that are added in one pass."""
    generator = np.random.default_rng([seed, 12])
    line = int(generator.choice([63, 64, 66, 100, 257]))
    shape = (*generator.integers(4, 7, int(generator.integers(2))).tolist(), 8000 // line, line)
    expected = np.zeros(shape, "float32")
    terms = []
    for _ in range(int(generator.integers(2, 7))):
        low, high = generator.integers(0, 3, (2, len(shape)))
        part = tuple(slice(int(a), int(n - b)) for a, b, n in zip(low, high, shape))
        weights = generator.integers(-9, 10, expected[part].shape).astype("float32")
        expected[part] += weights
        terms.append((part, mx.array(weights)))
    loss = lambda x: sum((x[part] * weights).sum() for part, weights in terms)
    x = mx.array(generator.standard_normal(shape).astype("float32"))
    assert np.array_equal(np.array(mx.grad(loss)(x)), expected)
    assert np.array_equal(np.array(mx.compile(mx.grad(loss))(x)), expected)
    assert np.array_equal(np.array(mx.grad(lambda x: loss(x * 2) * 3)(x)), expected * 6)


def drawn_shape(generator, size):
    """A shape of so many elements."""
    shape = []
    for prime in (2, 3, 5, 7):
        while size % prime == 0:
            size //= prime
            if shape and generator.random() < 0.6:
                shape[int(generator.integers(len(shape)))] *= prime
            else:
                shape.insert(int(generator.integers(len(shape) + 1)), prime)
    if generator.random() < 0.3:
        shape.insert(int(generator.integers(len(shape) + 1)), 1)
    return tuple(shape)


def broadcastable(generator, shape):
    """The shape of an array that is broadcast to this one."""
    kept = [n if generator.random() < 0.6 else 1 for n in shape]
    return tuple(kept[int(generator.integers(len(kept))) :])


@pytest.mark.parametrize("seed", range(120))
def test_work_goes_on_under_other_shapes(seed):
    """Elementwise work, reshapes and reductions in turn: the bits of evaluating each by itself."""
    generator = np.random.default_rng([seed, 9])
    size = int(generator.choice([4096, 6720, 20160, 1 << 15]))
    dtype = generator.choice([mx.float32, mx.float32, mx.float64, mx.bfloat16])
    draw = lambda shape: mx.array(generator.standard_normal(shape).astype("float32")).astype(dtype)
    shape = drawn_shape(generator, size)
    start = draw(shape)
    plans = []
    for _ in range(int(generator.integers(3, 9))):
        kind = generator.choice(["reshape", "reshape", "unary", "binary", "twice", "rows", "reduce"])
        if kind == "reshape":
            shape = drawn_shape(generator, size)
        axes = tuple(i for i in range(len(shape)) if generator.random() < 0.5)
        operand = draw(broadcastable(generator, shape)) if kind == "binary" else None
        plans.append((kind, shape, operand, axes, int(generator.integers(1, len(shape) + 1))))

    def steps(x, look):
        kept = []
        for kind, shape, operand, axes, trailing in plans:
            if kind == "reshape":
                x = x.reshape(shape)
            elif kind == "unary":
                x = mx.abs(x) - 0.5
            elif kind == "binary":
                x = x * operand + operand
            elif kind == "twice":
                x = x * x.reshape(-1).reshape(shape) - x
            elif kind == "rows":
                x = x - mx.max(x, axis=tuple(range(len(shape) - trailing, len(shape))), keepdims=True)
            else:
                kept.append(mx.sum(x, axis=axes) if axes else x)
            look(x)
        return [*kept, x]

    expected = [bits(x) for x in steps(start, mx.eval)]
    for function in (lambda x: steps(x, lambda _: None), mx.compile(lambda x: steps(x, lambda _: None))):
        found = function(start)
        mx.eval(found)
        assert all(np.array_equal(bits(x), whole) for x, whole in zip(found, expected))


@pytest.mark.parametrize("seed", range(30))
def test_tiled_and_repeated_arrays(seed):
    generator = np.random.default_rng([seed, 10])
    shape = tuple(int(n) for n in generator.integers(20, 60, 2))
    x = generator.integers(-9, 10, shape).astype("float32")
    if seed % 2:
        reps = tuple(int(n) for n in generator.integers(1, 4, 2))
        f, whole = (lambda a: mx.tile(a, reps)), np.tile(x, reps)
    else:
        count, axis = int(generator.integers(2, 6)), int(generator.integers(2))
        f, whole = (lambda a: mx.repeat(a, count, axis)), np.repeat(x, count, axis)
    weights = generator.integers(-9, 10, whole.shape).astype("float32")
    a, w = mx.array(x), mx.array(weights)
    assert same(f(a) * w, whole * weights) and same(mx.sum(f(a) * 2, axis=-1), (whole * 2).sum(-1))
    both = f(a)
    doubled = both + both
    mx.eval(doubled, both)
    assert same(both, whole) and same(doubled, 2 * whole)
    gradient = mx.grad(lambda a: (f(a) * w * f(a)).sum())(a)
    _, pulled = mx.vjp(f, [a], [w])
    assert np.array_equal(np.array(gradient), 2 * x * np.array(pulled[0]))
    if seed % 2:
        apart = weights.reshape(reps[0], shape[0], reps[1], shape[1])
        assert np.array_equal(np.array(pulled[0]), apart.sum((0, 2)))


@pytest.mark.parametrize("row", [256, 512, 1024])
def test_pieces_beside_rows_that_are_read_where_they_lie(row):
    """Sources of several arrays, a vector for all rows, and values of rows, in units of several rows."""
    generator = np.random.default_rng(row)
    parts = [mx.array(generator.standard_normal((n, row)).astype(np.float32)) for n in (40, 56, 8, 24)]
    weight = mx.array(generator.standard_normal(row).astype(np.float32))
    mx.eval(parts, weight)

    def values(each):
        x = each(mx.concatenate(parts))
        y = each(each(x * weight) + each(mx.concatenate(parts[::-1])))
        return [each(y - each(mx.mean(y, axis=1, keepdims=True))), each(mx.sum(each(y * y), axis=1))]

    for fused, alone in zip(values(lambda v: v), values(evaluated)):
        assert np.array_equal(np.array(fused).view(np.uint32), np.array(alone).view(np.uint32))
