"""Gathers of single elements and of slices, by indices of every integer dtype and layout, against NumPy."""

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
LENGTH = 100


def drawn(dtype, shape, seed):
    low = 0 if dtype.startswith("u") else -LENGTH
    return np.random.default_rng(seed).integers(low, LENGTH, shape).astype(dtype)


@pytest.mark.parametrize("item", ["bool_", "int16", "float32", "float64", "complex128" if hasattr(mx, "complex128") else "complex64"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements(dtype, item):
    values = (np.arange(LENGTH) % 7).astype("bool" if item == "bool_" else item)
    x = mx.array(values)
    wide = drawn(dtype, (70, 90), 1)
    for count in (0, 1, 5, 1023, 1025, 6300):
        i = wide.reshape(-1)[:count]
        assert np.array_equal(np.array(x[mx.array(i)]), values[i.astype(np.int64)])
    i = mx.array(wide)
    for index, numpys in ((i.T, wide.T), (i[::2, 1:], wide[::2, 1:]), (i[:, :1], wide[:, :1]), (i[::-1], wide[::-1])):
        assert np.array_equal(np.array(x[index]), values[numpys.astype(np.int64)])
    backwards = mx.array(values)[::-1][::3]
    near = np.abs(wide.astype(np.int64)) % 30
    assert np.array_equal(np.array(backwards[mx.array(near.astype(dtype))]), values[::-1][::3][near])


@pytest.mark.parametrize("dtype", DTYPES)
def test_points_columns_and_rows(dtype):
    values = np.arange(LENGTH * LENGTH, dtype=np.float32).reshape(LENGTH, LENGTH)
    x, i, j = mx.array(values), drawn(dtype, 3000, 2), drawn(dtype, 3000, 3)
    a, b = i.astype(np.int64), j.astype(np.int64)
    assert np.array_equal(np.array(x[mx.array(i), mx.array(j)]), values[a, b])
    assert np.array_equal(np.array(x[mx.array(i[:40])[:, None], mx.array(j[:50])[None]]), values[a[:40, None], b[None, :50]])
    assert np.array_equal(np.array(x[:, mx.array(j[:50])]), values[:, b[:50]])
    assert np.array_equal(np.array(x.T[mx.array(i[:50])]), values.T[a[:50]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", [0, 1500, 2999])
def test_an_index_out_of_bounds_is_named(dtype, place):
    x = mx.zeros((LENGTH, LENGTH))
    i, bad = drawn(dtype, 3000, 4), 101
    i[place] = bad
    for make in (lambda: x[0][mx.array(i)], lambda: x[mx.array(i), mx.array(i * 0)], lambda: x[mx.array(i * 0), mx.array(i)], lambda: x[mx.array(i)]):
        with pytest.raises(IndexError, match=str(bad)):
            mx.eval(make())


@pytest.mark.parametrize("item", ["bool_", "int16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [3, 16, 90])
def test_along_an_axis(item, dtype, width):
    values = (np.arange(LENGTH * LENGTH).reshape(LENGTH, LENGTH) % 97 % 11).astype("bool" if item == "bool_" else item)
    x, index = mx.array(values), drawn(dtype, (LENGTH, width), 5)
    places = index.astype(np.int64) % LENGTH
    assert np.array_equal(np.array(mx.take_along_axis(x, mx.array(index), axis=1)), np.take_along_axis(values, places, axis=1))
    assert np.array_equal(np.array(mx.take_along_axis(x.T, mx.array(index), axis=1)), np.take_along_axis(values.T, places, axis=1))
    assert np.array_equal(np.array(mx.take(x, mx.array(index[7]), axis=1)), values[:, places[7]])
    index[70, width - 1] = bad = 101
    for make in (lambda: mx.take_along_axis(x, mx.array(index), axis=1), lambda: mx.take(x, mx.array(index[70]), axis=1)):
        with pytest.raises(IndexError, match=str(bad)):
            mx.eval(make())


@pytest.mark.parametrize("seed", range(25))
def test_axes_before_the_indexed_ones(seed):
    """Drawn arrays, one or two indexed axes behind others, values, what is computed of them, gradients and maps, against NumPy."""
    draw = np.random.default_rng(seed)
    rank, many = draw.integers(2, 5), draw.integers(1, 3)
    first = int(draw.integers(1, max(2, rank - many + 1)))
    many = min(many, rank - first)
    shape = [int(draw.choice((1, 2, 3, 17, 64) if d not in range(first, first + many) else (5, 33))) for d in range(rank)]
    values = draw.standard_normal(shape).astype(draw.choice(("float32", "float64", "float16", "complex64")))
    positions = [int(n) for n in draw.choice((1, 4, 70, 300), draw.integers(1, 3))]
    indices = [draw.integers(-shape[first + k], shape[first + k], positions).astype(draw.choice(("int32", "int64", "uint8")) if k else "int32")
               for k in range(many)]
    indices = [np.abs(i) % shape[first + k] if i.dtype == np.uint8 else i for k, i in enumerate(indices)]
    at = (slice(None),) * first + tuple(indices)
    source, ours = mx.array(values, getattr(mx, values.dtype.name)), (slice(None),) * first + tuple(map(mx.array, indices))
    if draw.integers(2):  # another order in memory
        source = mx.contiguous(source.T).T
    assert np.array_equal(np.array(source[ours]), values[at])
    assert np.array_equal(np.array(source[ours].reshape(-1) * 2), values[at].reshape(-1) * 2)
    assert np.array_equal(np.array(mx.compile(lambda x: x[ours].sum(axis=0))(source)), np.array(mx.array(values[at], source.dtype).sum(axis=0)))
    assert np.array_equal(np.array(mx.vmap(lambda x: x[ours[1:]])(source)), values[at])
    if many == 1:
        assert np.array_equal(np.array(mx.take(source, ours[-1], axis=first)), np.take(values, indices[0], axis=first))
    if values.dtype == np.float64:
        expected = np.zeros_like(values)
        np.add.at(expected, at, values[at] * 2)
        gradient = mx.grad(lambda x: (x[ours] ** 2).sum())(source)
        np.testing.assert_allclose(np.array(gradient), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("item", ["uint8", "float16", "float32", "complex64", "complex128"])
def test_lines_along_an_axis(item):
    """Axes of drawn lengths, short lines among them, of arrays in any order of their axes; and outside, an error."""
    generator = np.random.default_rng(5)
    for _ in range(150):
        shape = [int(n) for n in generator.choice([1, 2, 3, 7, 16, 33, 130], generator.integers(1, 4))]
        order, axis = [int(d) for d in generator.permutation(len(shape))], int(generator.integers(len(shape)))
        values = (generator.standard_normal(shape) * 50).astype(item).transpose(order)
        x = mx.transpose(mx.array(np.ascontiguousarray(values.transpose(np.argsort(order))), dtype=getattr(mx, item)), order)
        length, wanted = values.shape[axis], list(values.shape)
        wanted[axis] = int(generator.choice([1, 4, 16, 65, 1500]))
        dtype = DTYPES[generator.integers(len(DTYPES))]
        index = generator.integers(0 if dtype.startswith("u") else max(-length, -128), min(length, 127), wanted).astype(dtype)
        expected = np.take_along_axis(values, index.astype(np.int64), axis)
        assert np.array_equal(np.array(mx.take_along_axis(x, mx.array(index), axis)), expected)
        index.flat[generator.integers(index.size)] = 127 if length < 127 else 0
        if length < 127:
            with pytest.raises(IndexError):
                mx.eval(mx.take_along_axis(x, mx.array(index), axis))


@pytest.mark.parametrize("item", ["uint8", "int16", "float32", "float64", "complex128"])
def test_rows_of_any_length(item):
    generator = np.random.default_rng(6)
    for length in [*range(1, 36), 63, 64, 65, 127, 129, 300, 1025]:
        values = (generator.standard_normal((50, length)) * 50).astype(item)
        index = generator.integers(-50, 50, int(generator.choice([1, 40, 1100]))).astype("int32")
        x = mx.array(values, dtype=getattr(mx, item))
        assert np.array_equal(np.array(x[mx.array(index)]), values[index])


@pytest.mark.parametrize("dtype", ["int32", "int8", "float32", "float64", "complex64", "float16"])
def test_narrow_rows_that_meet(dtype):
    """Rows of a few elements, some of them updated many times, in the order of the updates; also into columns, and into a part."""
    rng = np.random.default_rng(0)
    for width in (1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 16, 17):
        for method, combine in (("add", np.add), ("multiply", np.multiply), ("maximum", np.maximum)):
            if dtype == "complex64" and method == "maximum":
                continue
            x, u = (rng.integers(-3, 4, (n, width)).astype(dtype) for n in (20, 150))
            at = rng.integers(-20, 20, 150)
            expected = x.astype(np.float64 if dtype == "float16" else dtype)
            with np.errstate(all="ignore"):
                combine.at(expected, at, u)
                expected = expected.astype(dtype)
            got = getattr(mx.array(x).at[mx.array(at)], method)(mx.array(u))
            np.testing.assert_array_equal(np.array(got), expected, f"{width} {method}")
            wide = getattr(mx.array(np.pad(x, ((0, 0), (1, 2)))).at[mx.array(at), 1 : 1 + width], method)(mx.array(u))
            np.testing.assert_array_equal(np.array(wide)[:, 1:-2], expected, f"{width} {method} of a part")


@pytest.mark.parametrize("dtype", ["int32", "float32", "complex64", "bfloat16"])
def test_updates_with_any_stride(dtype):
    """A number for all, every third element, backwards, and a column; few updates and many, which are added in twice the digits."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 100, 30000):
        at = rng.integers(-9, 9, count)
        u = rng.integers(-3, 4, 3 * count).astype("float32")
        whole = mx.array(u).astype(getattr(mx, dtype))
        for part, updates in (
            (u[1::3], whole[1::3]), (u[count - 1 :: -1], whole[:count][::-1]), (np.full(count, 2), 2),
            (u.reshape(count, 3)[:, 2], whole.reshape(count, 3)[:, 2]),
        ):
            expected = np.zeros(9)
            np.add.at(expected, at, part)
            for index in (mx.array(at), mx.array(at.astype(np.int32))):
                got = mx.zeros((9,), getattr(mx, dtype)).at[index].add(updates)
                assert mx.array_equal(got, mx.array(expected.astype(np.float32)).astype(got.dtype)), count


def check_points(seeds):
    """Elements at 32-bit indices of one to three axes, of arrays that run either way; then one index is out of bounds, anywhere."""
    for seed in seeds:
        draw = np.random.default_rng(seed)
        lengths = [int(n) for n in draw.choice([1, 2, 9, 40], draw.integers(1, 4))]
        values = (draw.standard_normal(lengths) * 99).astype(draw.choice(["float32", "int32", "float64", "int64", "complex64"]))
        turned = tuple(slice(None, None, int(draw.choice([1, -1]))) for _ in lengths)
        dtype, count = str(draw.choice(["int32", "uint32"])), int(draw.choice([1, 7, 15, 16, 33, 1024, 2060]))
        indices = [draw.integers(0 if dtype == "uint32" else -n, n, count).astype(dtype) for n in lengths]
        x = mx.array(values, getattr(mx, values.dtype.name))[turned]
        assert np.array_equal(np.array(x[tuple(map(mx.array, indices))]), values[turned][tuple(i.astype(np.int64) for i in indices)]), seed
        axis = int(draw.integers(len(lengths)))
        bad = int(draw.choice([lengths[axis], 2**31 - 1] + ([2**32 - 1] if dtype == "uint32" else [-lengths[axis] - 1, -(2**31)])))
        indices[axis][draw.integers(count)] = bad
        with pytest.raises(IndexError, match=f"{bad}.*axis {axis}"):
            mx.eval(x[tuple(map(mx.array, indices))])


def check_grids(seeds):
    """Indices of several axes that are spread over one another, and rows of few bytes that begin anywhere; then one is out of bounds."""
    for seed in seeds:
        draw = np.random.default_rng(seed)
        many, width = int(draw.integers(1, 4)), int(draw.choice([1, 1, 2, 3, 4, 8]))
        lengths = [int(n) for n in draw.choice([1, 2, 9, 40], many)]
        values = draw.integers(0, 100, (*lengths, width + int(draw.choice([0, 0, width, 1])))).astype(draw.choice(["uint8", "float16", "int32", "float64"]))
        first = int(draw.integers(values.shape[-1] - width + 1))
        x = mx.array(values, getattr(mx, values.dtype.name))[..., first : first + width]
        values = values[..., first : first + width]
        dtype, shape = str(draw.choice(["int32", "uint32", "int64"])), [int(n) for n in draw.choice([1, 3, 16, 50], draw.integers(1, 4))]
        indices = []
        for n in lengths:
            own = [side if draw.integers(2) else 1 for side in shape]
            indices.append(draw.integers(0 if dtype == "uint32" else -n, n, own).astype(dtype))
        if draw.integers(2):
            x, values = x[..., 0], values[..., 0]
        at = tuple(mx.array(i) for i in indices)
        assert np.array_equal(np.array(x[at]), values[tuple(i.astype(np.int64) for i in indices)]), seed
        axis = int(draw.integers(many))
        bads = {"int32": [-lengths[axis] - 1, -(2**31)], "uint32": [2**32 - 1], "int64": [2**31, 2**40, -(2**40), -(2**31) - 1]}
        bad = int(draw.choice([lengths[axis], 2**31 - 1] + bads[dtype]))
        indices[axis].flat[draw.integers(indices[axis].size)] = bad
        with pytest.raises(IndexError, match=f"{bad}.*axis {axis}"):
            mx.eval(x[tuple(map(mx.array, indices))])


def test_points_at_indices_of_32_bits():
    check_points(range(300))


def test_points_of_grids():
    check_grids(range(400))


@lesser_instruction_sets
def test_points_with_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    check_points(range(300, 400))
    check_grids(range(400, 500))


@pytest.mark.parametrize("axes", [(1, 0), (0, 2, 1), (2, 0, 1), (0, 2, 3, 1), (3, 1, 0, 2)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "complex64"])
def test_slices_whose_elements_lie_apart(axes, dtype):
    """Of so many slices the array is brought in order first."""
    rng = np.random.default_rng(len(axes))
    x = rng.integers(0, 100, (31, 40, 29, 33)[: len(axes)]).astype(dtype).transpose(axes)
    for count in range(1, x.ndim + 1):
        for number in (3, min(4000, 10**6 // int(np.prod(x.shape[count:])))):
            places = [rng.integers(-n, n, (number,)) for n in x.shape[:count]]
            got = mx.array(x.transpose(np.argsort(axes))).transpose(axes)[tuple(mx.array(p.astype(np.int32)) for p in places)]
            np.testing.assert_array_equal(np.array(got), x[tuple(places)])
