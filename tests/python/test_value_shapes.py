"""Shapes that depend on values: nonzero and its kin, compress and extract, the unique_ functions. What they find, with and without a
size; what they say where values are not known; their derivatives."""

import math

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

A = np.array([[3, 0, 0], [0, 4, 0], [5, 6, 0]])
CASES = [A, A > 3, A * 1.5, A * 1j, np.zeros((2, 3)), np.ones(4), np.zeros((0, 3)), np.zeros((3, 0)), np.array([0.0, -0.0, np.nan, np.inf])]


@pytest.mark.parametrize("x", CASES, ids=str)
def test_finding(x):
    a = mx.array(x.astype(np.float32) if x.dtype == np.float64 else x)
    found = mx.nonzero(a)
    assert isinstance(found, tuple) and all(i.dtype == mx.int32 for i in found)
    assert [i.tolist() for i in found] == [i.tolist() for i in np.nonzero(x)]
    assert mx.flatnonzero(a).tolist() == np.flatnonzero(x).tolist() and mx.argwhere(a).tolist() == np.argwhere(x).tolist()
    count = len(found[0])
    for size in (0, 1, count, count + 3):
        sized = mx.nonzero(a, size=size, fill_value=-1)
        for s, i in zip(sized, np.nonzero(x)):
            assert s.tolist() == [*i[:size], *[-1] * (size - count)]
        assert mx.argwhere(a, size=size).shape == (size, x.ndim)


def test_finding_in_a_scalar():
    with pytest.raises(ValueError, match="no axes"):
        mx.nonzero(mx.array(3))
    assert mx.flatnonzero(mx.array(3)).tolist() == [0] and mx.argwhere(mx.array(3)).shape == (1, 0)
    with pytest.raises(ValueError, match="size"):
        mx.nonzero(mx.array([1]), size=-1)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_taking(axis):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    condition = np.array([True, False, True])
    a, c = mx.array(x), mx.array(condition)
    assert mx.compress(c, a, axis).tolist() == np.compress(condition, x, axis).tolist()
    wanted = np.compress(condition, x, axis)
    sized = mx.compress(c, a, axis, size=3, fill_value=9)
    along = 0 if axis is None else axis
    assert sized.tolist() == np.concatenate([wanted, np.full_like(np.take(wanted, [0], along), 9)], along).tolist()
    assert mx.extract(a % 3 == 0, a).tolist() == np.extract(x % 3 == 0, x).tolist()
    assert mx.extract(a > 9, a, size=4, fill_value=-1).tolist() == [10, 11, -1, -1]
    assert mx.compress(mx.array([True]), mx.zeros((0, 2)), axis=1).shape == (0, 1)


def test_taking_has_a_gradient():
    x, weights = mx.array([1.0, 2.0, 3.0, 4.0]), mx.array([1.0, 10.0])
    for take in (lambda x: x[x > 2], lambda x: mx.extract(x > 2, x), lambda x: mx.compress(x > 2, x, size=2)):
        assert mx.grad(lambda x: (take(x) * weights).sum())(x).tolist() == [0, 0, 1, 10]
    assert mx.grad(lambda x: mx.compress(x > 2, x, size=5, fill_value=3).sum())(x).tolist() == [0, 0, 1, 1]
    mask = mx.array([[True, False], [True, True]])
    y = mx.array([[1.0, 2.0], [3.0, 4.0]])
    assert mx.grad(lambda y: (y[mask] ** 2).sum())(y).tolist() == [[2, 0], [6, 8]]
    assert mx.jvp(lambda y: y[mask], [y], [y * 10])[1][0].tolist() == [10, 30, 40]
    assert mx.vmap(lambda y: y[mask])(mx.stack([y, -y])).tolist() == [[1, 3, 4], [-1, -3, -4]]


SIZED = {
    "nonzero": lambda x: mx.nonzero(x > 1, size=3)[0], "flatnonzero": lambda x: mx.flatnonzero(x > 1, size=3),
    "argwhere": lambda x: mx.argwhere(x > 1, size=3), "compress": lambda x: mx.compress(x > 1, x, size=3),
    "extract": lambda x: mx.extract(x > 1, x, size=3), "unique": lambda x: mx.unique(x, 3),
}
UNSIZED = {
    "nonzero": lambda x: mx.nonzero(x > 1)[0], "flatnonzero": lambda x: mx.flatnonzero(x > 1), "argwhere": lambda x: mx.argwhere(x > 1),
    "compress": lambda x: mx.compress(mx.flatten(x) > 1, x), "extract": lambda x: mx.extract(x > 1, x), "getitem": lambda x: x[x > 1],
    **{name: getattr(mx, name) for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")},
    "where": lambda x: mx.where(x > 1)[0], "repeat": lambda x: mx.repeat(mx.flatten(x), mx.flatten(x).astype(mx.int32)),
    "bincount": lambda x: mx.bincount(x.astype(mx.int32)), "bincount weights": lambda x: mx.bincount(x.astype(mx.int32), x, minlength=5),
    "argwhere of a scalar": lambda x: mx.argwhere(x.sum()), "getitem rows": lambda x: mx.flatten(x)[mx.flatten(x) > 1, None],
}
WAYS = {"vmap": mx.vmap, "compile": mx.compile, "shapeless": lambda f: mx.compile(f, shapeless=True), "compile vmap": lambda f: mx.compile(mx.vmap(f))}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SIZED)
def test_with_a_size_every_transform_serves(name, way):
    rows = mx.array([[1.0, 2.0, 0.0, 4.0], [5.0, 1.0, 3.0, 2.0]])
    function = SIZED[name]
    if "vmap" in way:
        assert WAYS[way](function)(rows).tolist() == [function(row).tolist() for row in rows]
    else:
        again = WAYS[way](function)
        for x in (rows[0], rows[1], rows[0, :3], rows.flatten()):
            assert again(x).tolist() == function(x).tolist()


def first(function):
    def one(x):
        found = function(x)
        return found if isinstance(found, mx.array) else found[0]
    return one


ROWS = mx.array([[1.0, 2.0], [3.0, 1.0]])
# Where values are not known: in a function that is recorded, or in one lane of many.
RECORDED = {
    "compile": lambda f: mx.compile(f)(ROWS), "shapeless": lambda f: mx.compile(f, shapeless=True)(ROWS),
    "compiled gradient": lambda f: mx.compile(mx.grad(lambda x: f(x).astype(mx.float32).sum()))(ROWS),
    "scan": lambda f: mx.scan(lambda c, row: (c, f(row)), mx.array(0), ROWS),
    "while_loop": lambda f: mx.while_loop(lambda s: s.sum() < 9, lambda s: s + f(s).sum(), ROWS),
    "fori_loop": lambda f: mx.fori_loop(0, 2, lambda i, s: s + f(s).sum(), ROWS), "cond": lambda f: mx.cond(ROWS.sum() > 0, f, f, ROWS),
}
LANES = {
    "vmap": lambda f: mx.vmap(f)(ROWS), "compile vmap": lambda f: mx.compile(mx.vmap(f))(ROWS),
    "vmap grad": lambda f: mx.vmap(mx.grad(lambda x: f(x).astype(mx.float32).sum()))(ROWS),
    "grad vmap": lambda f: mx.grad(lambda x: mx.vmap(lambda row: f(row).astype(mx.float32).sum())(x).sum())(ROWS),
    "jvp vmap": lambda f: mx.jvp(mx.vmap(f), [ROWS], [ROWS]), "vmap scan": lambda f: mx.vmap(lambda x: mx.scan(lambda c, e: (c, f(x * e)), x, x))(ROWS),
}
VALUES = {"eager": lambda f: f(ROWS), "grad": lambda f: mx.grad(lambda x: f(x).astype(mx.float32).sum())(ROWS),
          "jvp": lambda f: mx.jvp(f, [ROWS], [ROWS]), "checkpoint": lambda f: mx.checkpoint(f)(ROWS)}


@pytest.mark.parametrize("way", [*RECORDED, *LANES])
@pytest.mark.parametrize("name", UNSIZED)
def test_without_one_they_say_what_is_wrong_and_name_the_way_out(name, way):
    with pytest.raises(ValueError, match=r"size|length=|mx\.where|list of ints") as error:
        {**RECORDED, **LANES}[way](first(UNSIZED[name]))
    text = str(error.value)
    assert text.startswith(f"[{name.split()[0]}] ") and "the shape of the result; " in text
    assert ("not known while the function is recorded" if way in RECORDED else "differ from lane to lane") in text


@pytest.mark.parametrize("way", VALUES)
@pytest.mark.parametrize("name", UNSIZED)
def test_where_values_are_known_they_run(name, way):
    VALUES[way](first(UNSIZED[name]))


NUMBERS = st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, math.inf, -math.inf, math.nan]), max_size=12)


@given(NUMBERS, st.sampled_from(["float32", "float64", "complex64", "int32", "uint8", "bool", "float16"]), st.sampled_from([(-1,), (2, -1)]))
def test_different_elements(values, dtype, shape):
    if dtype in ("int32", "uint8", "bool"):
        values = [v if math.isfinite(v) and v >= 0 else 3 for v in values]
    if dtype == "complex64":
        values = [complex(v, w) for v, w in zip(values, reversed(values))]
    values = values[: len(values) // 2 * 2]
    flat = np.array(values, np.dtype(dtype))
    x = mx.array(flat).reshape(shape if values else (0,))
    unique = mx.unique_all(x)
    different, first, inverse, counts = unique
    n = different.size
    assert unique._fields == ("values", "indices", "inverse_indices", "counts") and different.dtype == x.dtype
    assert different.shape == first.shape == counts.shape == (n,) and inverse.shape == x.shape
    assert first.dtype == inverse.dtype == counts.dtype == mx.int32
    # By equality, NaN being equal to nothing.
    seen = []
    for value in flat.tolist():
        if not any(value == other for other in seen):
            seen.append(value)
    assert n == len(seen)
    got = different.tolist()
    for value, at, count in zip(got, first.tolist(), counts.tolist()):
        same = [i for i, other in enumerate(flat.tolist()) if other == value]
        assert (count, at) == (len(same), same[0]) if same else count == 1 and str(flat[at]) == str(flat.dtype.type(value))
    restored = np.array(different)[np.array(inverse)] if n else np.zeros(x.shape)
    np.testing.assert_array_equal(restored, np.array(x))
    assert sum(counts.tolist()) == flat.size
    for part, whole in [(mx.unique_values(x), different), (mx.unique_counts(x).counts, counts), (mx.unique_inverse(x).inverse_indices, inverse)]:
        np.testing.assert_array_equal(np.array(part), np.array(whole))


def test_different_elements_of_masks_and_scalars():
    assert mx.unique_values(mx.array(3.0)).tolist() == [3.0] and mx.unique_inverse(mx.array(3)).inverse_indices.shape == ()
    assert mx.unique_counts(mx.array([True, False, True])).counts.tolist() == [1, 2]
    assert mx.unique_all(mx.array([0.0, -0.0])).indices.tolist() == [0] and mx.unique_all(mx.array([-0.0, 0.0])).counts.tolist() == [2]
    assert mx.grad(lambda x: (mx.unique_values(x) * mx.array([1.0, 10.0])).sum())(mx.array([2.0, 1.0, 2.0])).tolist() == [10, 1, 0]


def test_many():
    x = np.random.default_rng(3).integers(0, 50_000, 300_000)
    values, index, inverse, counts = mx.unique_all(mx.array(x))
    for got, wanted in zip((values, index, inverse, counts), np.unique(x, return_index=True, return_inverse=True, return_counts=True)):
        np.testing.assert_array_equal(np.array(got), wanted)
    np.testing.assert_array_equal(np.array(mx.flatnonzero(mx.array(x % 3))), np.flatnonzero(x % 3))
    count = np.count_nonzero(x % 3)
    sized = np.array(mx.flatnonzero(mx.array(x % 3), size=count + 5, fill_value=-5))
    np.testing.assert_array_equal(sized, [*np.flatnonzero(x % 3), *[-5] * 5])
