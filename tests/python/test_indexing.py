# x[index] and x[index] = value, with NumPy as the oracle.
import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def both(shape):
    n = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    return mx.array(n), n


def ours(index):
    # NumPy integer arrays in an index become mx arrays.
    if isinstance(index, tuple):
        return tuple(ours(i) for i in index)
    return mx.array(index) if isinstance(index, np.ndarray) else index


def same(x, n):
    assert x.shape == n.shape
    assert x.tolist() == n.tolist()


I2 = np.array([[0, 1], [1, 0]])
READS = [
    0, -1, np.int64(1), (0, 1), (0, 0, 0), (1, -1), None, ..., (), slice(None), (..., None), (None, ..., None), (0, ..., 0),
    slice(1, None), slice(None, None, -1), slice(-100, 100), slice(10, None), slice(2, 0, -1), slice(None, None, 2),
    (slice(None), 1), (slice(None), slice(None, None, -2), slice(1, 3)), (slice(None), slice(5, 2)), (0, None, slice(1), None),
    [0, 1], [[0, 1]], [-1], [], ([0, 1], [0, 1]), ([0, 1], slice(None), [0, 1]), (slice(None), [0, 1], [0, 1]),
    (slice(None), [0, 1], 0), ([0, 1], 0, slice(None)), (0, slice(None), [0, 1]), (0, slice(None), I2), I2, np.array(1),
    (I2[0], None, I2[0]), (None, I2[0], slice(None), I2[0]), (I2[0], ..., I2[0]), (I2, I2[0], 0), (1, [0], slice(None, None, 2)),
    ([0], 1, None, slice(None, None, 2)), (slice(None), None, [0, 1], slice(None)), (slice(None), I2, None, [0, 1]),
    (..., [0, 1], [0, 1]), ([0, 1], ..., 0), (slice(None), [0, 1], ..., [1, 2]), (slice(None), 1, ..., [1, 2]),
    (np.array([0, 1], np.uint8), np.array([-1, 0], np.int8)), (np.array(1), slice(None), np.array(0)),
    (slice(None, None, -1), [0, 2], slice(1, 3)), (0, [0, 2], 1), (None, None, 1), (slice(0, 0), [0, 1]), range(2),
]  # fmt: skip


@pytest.mark.parametrize("index", READS, ids=str)
def test_read(index):
    x, n = both((2, 3, 4))
    same(x[ours(index)], n[list(index) if isinstance(index, range) else index])


@pytest.mark.parametrize("index", READS, ids=str)
def test_write(index):
    index_of_numpy = list(index) if isinstance(index, range) else index
    for whole_value in (False, True):
        x, n = both((2, 3, 4))
        value = -1
        if whole_value:
            shape = n[index_of_numpy].shape
            value = -1 - np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
        x[ours(index)] = mx.array(value)
        n[index_of_numpy] = value
        same(x, n)


def index_items(length):
    bound = st.one_of(st.none(), st.integers(-length - 2, length + 2))
    step = st.one_of(st.none(), st.integers(-3, 3).filter(bool))
    in_range = st.integers(-length, length - 1)
    return st.one_of(
        st.builds(slice, bound, bound, step),
        st.just(slice(None)),
        in_range,
        st.lists(in_range, min_size=3, max_size=3).map(np.array),
        st.lists(in_range, min_size=2, max_size=2).map(lambda v: np.array([[v[0]], [v[1]]])),
        in_range.map(lambda i: np.array([i])),
        in_range.map(np.array),
    )


@st.composite
def indexed(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    used = draw(st.integers(0, len(shape)))
    ellipsis_at = draw(st.one_of(st.none(), st.integers(0, used)))
    items = []
    for i in range(used):
        axis = i if ellipsis_at is None or i < ellipsis_at else len(shape) - used + i
        if ellipsis_at == i:
            items.append(...)
        items.append(draw(index_items(shape[axis])))
        if draw(st.integers(0, 5)) == 0:
            items.append(None)
    if ellipsis_at == used:
        items.append(...)
    if draw(st.booleans()) and len(items) == 1:
        return shape, items[0]
    return shape, tuple(items)


@given(indexed())
@settings(max_examples=400, deadline=None)
def test_random_read(case):
    shape, index = case
    x, n = both(shape)
    same(x[ours(index)], n[index])


@given(indexed(), st.data())
@settings(max_examples=400, deadline=None)
def test_random_write(case, data):
    shape, index = case
    x, n = both(shape)
    selected = n[index].shape
    keep = data.draw(st.integers(0, len(selected)))
    value_shape = tuple(1 if data.draw(st.integers(0, 3)) == 0 else s for s in selected[keep:])
    value = -1 - np.arange(int(np.prod(value_shape)), dtype=np.int32).reshape(value_shape)
    x[ours(index)] = mx.array(value)
    n[index] = value
    same(x, n)


# --- errors ---


def test_out_of_range():
    x = mx.zeros((2, 3))
    for bad, message in [
        (lambda: x[2], "index 2 is out of range for axis 0 with length 2"),
        (lambda: x[-3], "index -3 .* axis 0"),
        (lambda: x[0, 3], "index 3 is out of range for axis 1 with length 3"),
        (lambda: x[:, [0, 5]], "index 5 .* axis 1"),
        (lambda: x[10**30], "out of range"),
        (lambda: x[0, 0, 0], "3 indices for an array with 2 axes"),
        (lambda: mx.array(1)[0], "0-dimensional"),
        (lambda: x.__setitem__(2, 1), "index 2"),
    ]:
        for kind in (IndexError, ValueError, mx.AxisError):
            with pytest.raises(kind, match=message):
                bad()


def test_array_indices_out_of_range_are_errors_when_evaluated():
    x = mx.arange(5)
    for bad in ([7], [-6]):
        with pytest.raises((IndexError, ValueError, RuntimeError)):
            mx.eval(x[mx.array(bad)])
    assert x[mx.array([-1, 4])].tolist() == [4, 4]


@pytest.mark.parametrize("index", ["a", 1.5, [1.5], {}, (0, "a"), slice(0, 1.5), np.array([0.5])])
def test_bad_indices(index):
    with pytest.raises(TypeError):
        mx.zeros((2, 3))[index]
    with pytest.raises(TypeError):
        mx.zeros((2, 3))[index] = 1


def test_other_errors():
    x = mx.zeros((2, 3))
    with pytest.raises(ValueError, match="Ellipsis"):
        x[..., ...]
    with pytest.raises(ValueError, match="zero"):
        x[::0]
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        x[mx.array([0, 1, 1]), mx.array([0, 1])]
    with pytest.raises(ValueError, match=r"shape \(4,\).*shape \(3,\)"):
        x[0] = mx.zeros(4)
    with pytest.raises(ValueError, match=r"shape \(2, ?2\)"):
        x[0, 0:2] = mx.zeros((2, 2))
    with pytest.raises(TypeError, match="str"):
        x[0] = "a"
    with pytest.raises(TypeError):
        x[0] = None
    with pytest.raises(TypeError):
        del x[0]
    with pytest.raises(ValueError, match="vmap.*mask"):
        mx.vmap(lambda x: x[x > 0])(x)


# --- assignment ---


def test_assigned_values_are_converted():
    v = mx.arange(5)
    v[1:3] = mx.array([10.5, 11.5])
    assert v.tolist() == [0, 10, 11, 3, 4] and v.dtype == mx.int32
    v[0] = 2.7
    v[1] = True
    v[2] = np.array([7.0])
    v[3:] = [8, 9]
    assert v.tolist() == [2, 1, 7, 8, 9]
    i8 = mx.zeros(3, mx.int8)
    with pytest.raises(ValueError, match="does not fit"):
        i8[0] = 300
    h = mx.zeros(2, mx.float16)
    h[0] = 1.5
    assert h.dtype == mx.float16 and h.tolist() == [1.5, 0]


def test_leading_axes_of_length_one_are_dropped():
    v = mx.arange(5)
    v[1:3] = mx.array([[7, 8]])
    v[0] = mx.array([[9]])
    assert v.tolist() == [9, 7, 8, 3, 4]


def test_whole_assignment_keeps_shape_and_identity():
    for index in (slice(None), ..., (), None, (slice(None), slice(None))):
        x = mx.zeros((2, 3))
        alias = x
        x[index] = 5
        assert alias is x and x.shape == (2, 3) and alias.tolist() == [[5] * 3] * 2


def test_last_duplicate_wins():
    v = mx.zeros(3, mx.int32)
    v[mx.array([0, 0, 1])] = mx.array([1, 2, 3])
    assert v.tolist() == [2, 3, 0]


def test_masks():
    v = mx.arange(5)
    v[v > 2] = 0
    assert v.tolist() == [0, 1, 2, 0, 0]
    v[[True, False, True, False, True]] = 9
    assert v.tolist() == [9, 1, 9, 0, 9]
    x, n = both((2, 3, 2))
    mask = np.array([[True, False, True], [False, True, False]])
    x[mx.array(mask)] = mx.array([-1, -2])
    n[mask] = np.array([-1, -2])
    same(x, n)
    x[mx.array(mask)] = n[mask] = np.arange(6).reshape(3, 2)
    same(x, n)
    same(x[mx.array(mask)], n[mask])
    with pytest.raises(ValueError, match="2 entries for the 3 true"):
        x[mx.array(mask)] = mx.zeros((2, 2))
    with pytest.raises(ValueError, match="does not match"):
        x[mx.array([True, False, True])] = 1


# One bool is a mask without axes: it adds an axis, of length 1 or 0.
TRUTHS = [
    True, False, np.True_, np.array(False), (True,), (None, True), (True, None), (0, True), (slice(None), False), (0, slice(None), True),
    (True, slice(None), 0), (True, True), (True, False), (True, [0, 1, 1]), ([0, 1], True), (False, [0]), (True, ...), (..., True),
    (..., False, 0), (None, False, None), (slice(1, 2), True, 1), (1, np.array(True), slice(None, None, 2)),
    (True, np.array([True, False])), ([0, 1], slice(None), True), (0, True, 1, 2), (np.array(True), np.array([[0], [1]])),
]  # fmt: skip


@pytest.mark.parametrize("index", TRUTHS, ids=str)
def test_single_bools(index):
    for shape in [(2, 3, 4), (2, 0, 4), ()]:
        x, n = both(shape)
        try:
            want = n[index]
        except IndexError:
            with pytest.raises(IndexError):
                x[ours(index)]
            with pytest.raises(IndexError):
                x[ours(index)] = 1
            continue
        same(x[ours(index)], want)
        for value in (-1, -1 - np.arange(want.size, dtype=np.int32).reshape(want.shape)):
            y, m = mx.array(x), n.copy()
            y[ours(index)] = mx.array(value)
            m[index] = value
            same(y, m)
        same(x.at[ours(index)].add(5), n + 5 * _times_written(n, index))


def _times_written(n, index):
    times = np.zeros(n.shape, n.dtype)
    np.add.at(times, index, 1)
    return times


def test_single_bools_in_transforms():
    x = mx.array([1.0, 2.0])
    for bit in (True, False):
        assert mx.grad(lambda x: mx.sum(x[bit] ** 2))(x).tolist() == [2 * bit, 4 * bit]
        assert mx.grad(lambda x: mx.sum(x[:, mx.array(bit)] ** 2))(x).tolist() == [2 * bit, 4 * bit]
        assert mx.vmap(lambda r: r[bit])(mx.ones((3, 2))).shape == (3, int(bit), 2)

    def written(x, bit, value):
        y = mx.array(x)
        y[bit] = value
        return y

    rows, bits = mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([True, False])
    assert mx.vmap(written, in_axes=(0, 0, None))(rows, bits, mx.array([7.0, 8.0])).tolist() == [[7, 8], [3, 4]]
    gradient = mx.vmap(mx.grad(lambda x, bit: mx.sum(written(x, bit, 0.0))))(rows, bits)
    assert gradient.tolist() == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match="mx.where"):
        mx.vmap(lambda x, bit: x[bit])(rows, bits)


def test_errors_beside_a_single_bool_name_the_axis_of_the_array():
    x = mx.zeros((2, 3))
    with pytest.raises(IndexError, match="index 5 is out of range for axis 1 with length 3"):
        x[True, :, 5]
    with pytest.raises(IndexError, match="there are 3 indices for an array with 2 axes"):
        x[True, 0, 0, 0]
    with pytest.raises(IndexError, match="0-dimensional"):
        mx.array(1)[0]
    with pytest.raises(ValueError, match=r"value of shape \(3,2,3\)"):
        x[True, :] = mx.zeros((3, 2, 3))


def test_assignment_does_not_change_what_was_computed_before():
    x = mx.arange(3)
    y, z = x + 1, x[0]
    x[0] = 100
    assert y.tolist() == [1, 2, 3] and z.item() == 0 and x.tolist() == [100, 1, 2]


# --- in transforms ---


def test_gradients():
    def f(x):
        y = x[1:] * 2 + x[:-1]
        y[0] = y[0] * 10
        return (y * mx.array([1.0, 2.0])).sum() + x[mx.array([0, 0, 2])].sum()

    assert mx.grad(f)(mx.array([1.0, 2.0, 3.0])).tolist() == [12, 22, 5]


def test_vmap():
    x = mx.arange(12).reshape(3, 4)
    out = mx.vmap(lambda v: v[1:3])(x)
    assert out.tolist() == [[1, 2], [5, 6], [9, 10]]

    def g(v, i):
        v[i] = -1
        return v[::-1]

    out = mx.vmap(g)(x, mx.array([0, 1, 3]))
    assert out.tolist() == [[3, 2, 1, -1], [7, 6, -1, 4], [-1, 10, 9, 8]]
