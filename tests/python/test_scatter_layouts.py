"""Scatters of rows, columns, stacks and single elements, and along each axis: what NumPy's `ufunc.at` gives, one update
after the other; 16-bit floats are combined in float32 and rounded once."""

import numpy as np
import pytest

import mlx.core as mx

DTYPES = ["bool_", "int8", "uint16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
MODES = {"set": None, "add": np.add, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
# The shape of what is written, the axis of the index, and how many indices. Those of few rows and many updates are met
# often, those of many rows seldom.
LAYOUTS = {
    "rows": ((40, 70), 0, 300),
    "few rows": ((3, 600), 0, 900),
    "rows seldom met": ((2000, 33), 0, 50),
    "short rows": ((50, 3), 0, 400),
    "columns": ((150, 31), 1, 130),
    "middle": ((5, 12, 64), 1, 70),
    "last of three": ((6, 20, 9), 2, 150),
    "elements": ((90,), 0, 800),
}


def wide(name):
    """The dtype to compute in, which is exact for what the test gives it."""
    return {"float16": np.float32, "bfloat16": np.float32, "bool_": np.bool_}.get(name, name)


def numbers(rng, shape, name):
    if name == "bool_":
        return rng.random(shape) > 0.5
    if name == "complex64":
        return np.array([1, 1j, -1, -1j], name)[rng.integers(0, 4, shape)]
    low = 0 if name.startswith("u") else -1
    return rng.integers(low, 2, shape).astype(wide(name))


def equal(got, want, name):
    want = mx.array(want).astype(getattr(mx, name))
    return bool(mx.array_equal(got, want, equal_nan=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", DTYPES)
def test_scatters(name, mode, layout):
    shape, axis, count = LAYOUTS[layout]
    rng = np.random.default_rng(count)
    dtype = getattr(mx, name)
    x, index = numbers(rng, shape, name), rng.integers(-shape[axis], shape[axis], count)
    updates = numbers(rng, shape[:axis] + (count,) + shape[axis + 1 :], name)
    if mode in ("maximum", "minimum") and np.issubdtype(updates.dtype, np.floating):
        updates[rng.random(updates.shape) < 0.01] = np.nan
    want = x.copy()
    places = (slice(None),) * axis + (index,)
    if mode == "set":
        want[places] = updates
    else:
        with np.errstate(invalid="ignore"):
            MODES[mode].at(want, places, updates)
    for index_dtype in (mx.int32, mx.int64, mx.int8) if shape[axis] < 100 else (mx.int32, mx.int64):
        a, b = mx.array(x).astype(dtype), mx.array(updates).astype(dtype)
        at = a.at[(slice(None),) * axis + (mx.array(index).astype(index_dtype),)]
        if mode == "set":
            got = a + mx.zeros_like(a) if name != "bool_" else mx.logical_or(a, False)
            got[(slice(None),) * axis + (mx.array(index).astype(index_dtype),)] = b
        else:
            got = getattr(at, mode)(b)
        assert equal(got, want, name), index_dtype


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(9, 40, 60), (1, 300, 2), (70, 1, 90)])
@pytest.mark.parametrize("name", DTYPES)
def test_along_axis(name, shape, axis):
    rng = np.random.default_rng(axis)
    dtype = getattr(mx, name)
    length = shape[axis]
    wanted = list(shape)
    wanted[axis] = 2 * length + 3
    x, updates = numbers(rng, shape, name), numbers(rng, wanted, name)
    index = rng.integers(-length, length, wanted)
    grid = list(np.indices(wanted))
    grid[axis] = index
    for index_dtype in (mx.int32, mx.int64, mx.int16):
        got = mx.put_along_axis(mx.array(x).astype(dtype), mx.array(index).astype(index_dtype), mx.array(updates), axis)
        put = x.copy()
        np.put_along_axis(put, index, updates, axis)
        assert equal(got, put, name)
        read = lambda a: mx.take_along_axis(a, mx.array(index).astype(index_dtype), axis)
        if name in ("float16", "bfloat16", "float32", "float64"):
            _, (sums,) = mx.vjp(read, [mx.zeros(shape, dtype)], [mx.array(updates).astype(dtype)])
            added = np.zeros_like(x)
            np.add.at(added, tuple(grid), updates)
            assert equal(sums, added, name)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("width", [8, 100, 700])
@pytest.mark.parametrize("rows, count", [(1, 900), (7, 10), (400, 200), (400, 3000)])
def test_halves_are_rounded_once(name, rows, count, width):
    rng = np.random.default_rng(count)
    dtype = getattr(mx, name)
    x, updates = (mx.array(rng.standard_normal((n, width)).astype("f4")).astype(dtype) for n in (rows, count))
    index = rng.integers(0, rows, count)
    for mode, op in ("add", np.add), ("multiply", np.multiply):
        want = np.array(x.astype(mx.float32))
        op.at(want, index, np.array(updates.astype(mx.float32)))
        assert equal(getattr(x.at[mx.array(index)], mode)(updates), want, name)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["float16", "float32"])
def test_an_index_out_of_bounds_among_many(name, axis):
    x = mx.zeros((200, 200), getattr(mx, name))
    index = mx.zeros((500,), mx.int32) + mx.where(mx.arange(500) == 499, 200, 3)
    updates = mx.ones((500, 200) if axis == 0 else (200, 500), x.dtype)
    with pytest.raises(IndexError, match=f"200.*axis {axis}|axis {axis}.*200"):
        mx.eval(x.at[(slice(None),) * axis + (index,)].add(updates))
    whole = mx.broadcast_to(mx.expand_dims(index, 1 - axis), updates.shape)
    with pytest.raises(IndexError, match=f"200.*axis {axis}|axis {axis}.*200"):
        mx.eval(mx.put_along_axis(x, whole, updates, axis))
