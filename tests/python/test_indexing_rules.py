"""Indexing where it is easy to get wrong: repeated indices, zeros and ties in their derivatives, masks, what is mapped beside what
is not, computed starts, strides, bits, and the errors. The grids test the same ops at ordinary arguments."""

import copy
import itertools
import math

import mlx.core as mx
import numpy as np
import pytest

from test_structural_rules import INF, NAN, close, equal, f64, jvp

METHODS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
           "minimum": np.minimum, "power": np.power}
I = mx.array([0, 2, 0, 0])


def at(method, index=I):
    return lambda x, v: getattr(x.at[index], method)(v)


def jacobian(f, primals, which):
    """In one argument: by columns and by rows, which must agree."""
    alone = lambda p: f(*[p if i == which else q for i, q in enumerate(primals)])
    x = primals[which]
    y = alone(x)
    columns = [np.array(jvp(alone, [x], [e.reshape(x.shape)])).ravel() for e in mx.eye(x.size, dtype=x.dtype)]
    rows = [np.array(mx.vjp(alone, [x], [e.reshape(y.shape)])[1][0]).ravel() for e in mx.eye(y.size, dtype=y.dtype)]
    np.testing.assert_allclose(np.array(columns).T, np.array(rows), rtol=1e-14, atol=1e-14)
    return np.array(rows)


# --- the measured failures of others: numbers 1 and 2, and the rows of the table ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("index", [slice(0, 2), 1, (Ellipsis,), mx.array([0, 1, 0]), [True, False, True], slice(None, None, -2)])
@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0), (1, None), (1, 0)])
def test_updates_under_vmap_reach_every_lane(method, index, in_axes):
    f = lambda x, v: getattr(x.at[index], method)(v)
    x, v = f64(np.arange(9.0).reshape(3, 3) + 1), f64([2.0, 3.0, 0.5])
    v = v if in_axes[1] == 0 else v[0]
    x = x if in_axes[0] is not None else x[0]
    got = mx.vmap(f, in_axes=in_axes)(x, v)
    for k in range(3):
        lane = x if in_axes[0] is None else x[k] if in_axes[0] == 0 else x[:, k]
        equal(got[k], np.array(f(lane, v[k] if in_axes[1] == 0 else v)))


@pytest.mark.parametrize("index", [slice(0, 2), 1, mx.array([0, 2]), mx.array([True, False, True])])
def test_assignments_under_vmap_reach_every_lane(index):
    def f(x, v):
        y = copy.copy(x)
        y[index] = v
        return y
    x, v = f64(np.arange(9.0).reshape(3, 3)), f64([10.0, 20.0, 30.0])
    for in_axes in ((0, None), (None, 0), (0, 0)):
        got = mx.vmap(f, in_axes=in_axes)(x if in_axes[0] == 0 else x[0], v if in_axes[1] == 0 else v[0])
        for k in range(3):
            equal(got[k], np.array(f(x[k] if in_axes[0] == 0 else x[0], v[k] if in_axes[1] == 0 else v[0])))
    equal(mx.vmap(lambda x: f(x, 7.0))(x), np.stack([np.array(f(row, 7.0)) for row in x]))


def test_indices_that_depend_on_the_argument_carry_no_derivative():
    x = f64([3.0, 1.0, 2.0])
    equal(mx.grad(lambda x: x[mx.argmax(x)])(x), [1, 0, 0])
    equal(jvp(lambda x: x[mx.argmax(x)], [x], [f64([5.0, 6.0, 7.0])]), 5.0)
    equal(mx.grad(lambda x: mx.take_along_axis(x, mx.argsort(x), 0)[0])(x), [0, 1, 0])
    equal(mx.grad(lambda x: x.at[mx.argmin(x)].multiply(4.0).sum())(x), [1, 4, 1])
    equal(mx.grad(lambda x: mx.slice(x, mx.argmin(x), (0,), (2,)).sum())(x), [0, 1, 1])


# --- reductions where indices repeat ---


@pytest.mark.parametrize("method", METHODS)
def test_every_value_counts_where_indices_repeat(method):
    x, v = np.array([8.0, 5.0, 6.0]), np.array([2.0, 4.0, 3.0, 0.5])
    expected = x.copy()
    METHODS[method].at(expected, np.array(I), v)
    close(at(method)(f64(x), f64(v)), expected)
    equal(x, [8, 5, 6])


@pytest.mark.parametrize("zeros", list(itertools.product((False, True), repeat=4)))
def test_derivatives_of_products_are_right_at_zeros(zeros):
    x, v = np.array([2.0, 5.0, 3.0]), np.array([3.0, 7.0, 4.0, 0.5])
    if zeros[0]:
        x[0] = 0
    v[[0, 2, 3]] = np.where(zeros[1:], 0, v[[0, 2, 3]])
    f = at("multiply")
    expected = np.zeros((3, 4))
    for k, place in enumerate(np.array(I)):
        others = [j for j in range(4) if j != k and int(I[j]) == place]
        expected[place, k] = x[place] * np.prod(v[others])
    close(jacobian(f, [f64(x), f64(v)], 1), expected)
    close(jacobian(f, [f64(x), f64(v)], 0), np.diag([v[0] * v[2] * v[3], 1, v[1]]))
    # The mixed second derivative in two values of one place is the product of what is left.
    second = mx.grad(lambda v: mx.grad(lambda v: f(f64(x), v).sum())(v)[0])(f64(v))
    close(second, [0, 0, x[0] * v[3], x[0] * v[2]])
    third = mx.grad(lambda v: mx.grad(lambda v: mx.grad(lambda v: f(f64(x), v).sum())(v)[0])(v)[2])(f64(v))
    close(third, [0, 0, 0, x[0]])


def test_an_infinity_stays_in_its_place():
    x, v = f64([1.0, 1.0, 1.0]), f64([INF, 2.0, 3.0, 4.0])
    g = mx.grad(lambda v: (at("multiply")(x, v) * f64([0.0, 1.0, 1.0])).sum())(v)
    equal(g, [0, 1, 0, 0])


@pytest.mark.parametrize("method, best", [("maximum", 7.0), ("minimum", -7.0)])
def test_ties_share_equally_in_both_modes(method, best):
    f = at(method)
    x, v = f64([best, 5.0 * np.sign(best), 0.0]), f64([best, 4 * best, best, 0.0])
    close(jacobian(f, [x, v], 0), np.diag([1 / 3, 1, 0]))
    expected = np.zeros((3, 4))
    expected[0, [0, 2]] = 1 / 3
    expected[2, 1] = 1
    close(jacobian(f, [x, v], 1), expected)
    # A NaN wins, alone or with others.
    v = f64([NAN, 0.0, NAN, best])
    close(jacobian(f, [x, v], 1)[0], [0.5, 0, 0.5, 0])
    assert np.isnan(np.array(f(x, v))[0])


INDICES = {"slice": np.s_[0:2], "int": 1, "ints": mx.array([0, 2]), "repeated": mx.array([0, 2, 0, 0]), "mask": mx.array([True, False, True]),
           "backwards": np.s_[::-2], "all": Ellipsis, "list": [2, 1], "two": (slice(None), mx.array([1, 0])), "rows of a mask": [False, True, False]}


@pytest.mark.parametrize("name", INDICES)
def test_setting(name):
    """As an assignment, of values and of derivatives; of repeated indices the last wins."""
    index = INDICES[name]
    x = f64([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    n = np.array(index) if isinstance(index, mx.array) else tuple(np.array(i) if isinstance(i, mx.array) else i for i in index) \
        if isinstance(index, tuple) else index
    v = mx.array(np.arange(np.array(x)[n].size, dtype=np.float64).reshape(np.array(x)[n].shape) + 10)
    expected = np.array(x)
    expected[n] = np.array(v)

    def assigned(x, v):
        x = mx.array(x)
        x[index] = v
        return x

    for f in (lambda x, v: x.at[index].set(v), mx.compile(lambda x, v: x.at[index].set(v))):
        equal(f(x, v), expected)
        for own, other in zip(mx.grad(lambda *a: (f(*a) ** 3).sum(), argnums=(0, 1))(x, v),
                              mx.grad(lambda *a: (assigned(*a) ** 3).sum(), argnums=(0, 1))(x, v)):
            equal(own, other)
        equal(mx.vmap(f)(mx.stack([x, x + 1]), mx.stack([v, -v])), np.stack([expected, np.array(assigned(x + 1, -v))]))
    equal(x.at[index].set(0), np.where(np.array(assigned(x * 0 + 1, 0)) == 0, 0, np.array(x)))


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("fun", [mx.sqrt, lambda e: e * e - 1, mx.negative, lambda e: 7.0])
def test_applying(fun, name):
    index = INDICES[name]
    x = f64([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    selected = np.array(mx.zeros_like(x).at[index].set(1)) == 1
    expected = np.where(selected, np.array(fun(x)), np.array(x))
    f = lambda x: x.at[index].apply(fun)  # noqa: E731
    for own in (f, mx.compile(f), mx.checkpoint(f)):
        equal(own(x), expected)  # once, where indices repeat, too
    slopes = np.where(selected, np.array(mx.grad(lambda x: (fun(x) + 0 * x).sum())(x)), 1)
    equal(mx.grad(lambda x: f(x).sum())(x), slopes)
    close(jvp(f, [x], [x]), slopes * np.array(x))
    equal(mx.vmap(f)(mx.stack([x, x + 1]))[0], expected)


def test_a_mask_that_differs_between_lanes_or_is_not_known():
    x = f64([[4.0, -1.0, 9.0], [-2.0, 16.0, 0.0]])
    f = lambda x: x.at[x > 0].apply(mx.sqrt)  # noqa: E731
    expected = [[2, -1, 3], [-2, 4, 0]]
    for own in (f, mx.vmap(f), mx.compile(f), mx.compile(f, shapeless=True)):
        equal(own(x), expected)
    equal(mx.grad(lambda x: f(x).sum())(x), [[0.25, 1, 1 / 6], [1, 0.125, 1]])


def test_applying_to_what_is_not_elementwise():
    x = f64([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"shape \(\) of elements of shape \(2,\)"):
        x.at[1:].apply(mx.sum)
    for wrong, said in ((3, "fun is a int"), (lambda e: "s", "returned a str")):
        with pytest.raises(TypeError, match=said):
            x.at[1:].apply(wrong)
    with pytest.raises(ValueError, match="no index yet"):
        x.at.apply(mx.sin)
    assert mx.array([1, 2]).at[0].apply(lambda e: e / 2 + 3).dtype == mx.int32


def test_powers():
    x = f64([2.0, 0.0, -3.0, NAN])
    equal(x.at[mx.array([0, 0])].power(f64([2.0, 3.0])), [64, 0, -3, NAN])
    # Where nothing is selected, nothing happens, to values and to derivatives.
    equal(mx.grad(lambda x: x.at[mx.array([0, 0])].power(f64([2.0, 3.0])).sum())(x), [192, 1, 1, 1])
    close(mx.grad(lambda v: x.at[mx.array([0, 0])].power(v)[0])(f64([2.0, 3.0])), [64 * np.log(2) * 3, 64 * np.log(2) * 2])
    equal(mx.array([2, 3]).at[mx.array([0])].power(mx.array([5])), [32, 3])
    equal(x.at[:2].power(2), [4, 0, -3, NAN])
    equal(x.at[x > 1].power(3), [8, 0, -3, NAN])


def test_divisions():
    n = mx.array([7, -7, 6]).at[mx.array([0, 1, 2, 2])].divide(mx.array([2, 2, 2, 3]))
    assert n.tolist() == [3, -4, 1] and n.dtype == mx.int32
    x = mx.array([1.0, 3.0], mx.float32).at[mx.array([1])].divide(10)
    assert np.array(x)[1] == np.float32(3) / np.float32(10)  # rounded once
    equal(mx.array([0.0, INF]).at[mx.array([0])].divide(0.5), [0, INF])


def test_the_array_itself_does_not_change():
    x = mx.array([1, 2, 3])
    place = x.at[0]
    x[0] = 9
    assert place.add(1).tolist() == [2, 2, 3] and x.tolist() == [9, 2, 3]
    assert x.at[0].add(1.7).tolist() == [10, 2, 3]  # converted to int32 first


# --- masks ---


def test_masks_read_as_numpy_does():
    n = np.arange(24).reshape(2, 3, 4)
    x = mx.array(n)
    m1, m2, m3 = n[:, 0, 0] > 5, n[0] % 3 > 0, n % 5 == 0
    for index in (m1, (m1,), m3, (m1, 2), (m1, slice(None), [1]), (slice(None), m2), (0, m2), (Ellipsis, n[0, 0] > 1),
                  (None, m1, None), (m1, m2[:, 0][:1].repeat(3)), (slice(0, 1), m2[:, 0], slice(None, None, -2)),
                  (1, m2[:, 1], m2[0])):
        items = index if isinstance(index, tuple) else (index,)
        as_mx = tuple(mx.array(i) if isinstance(i, np.ndarray) else i for i in items)
        as_mx = as_mx if isinstance(index, tuple) else as_mx[0]
        np.testing.assert_array_equal(np.array(x[as_mx]), n[index])
        y, o = mx.array(n), n.copy()
        y[as_mx] = o[index] = -n[index]
        np.testing.assert_array_equal(np.array(y), o)
        y, o = mx.array(n), n.copy()
        y[as_mx] = o[index] = 5
        np.testing.assert_array_equal(np.array(y), o)
    assert x[mx.zeros((2,), mx.bool_)].shape == (0, 3, 4)


def test_gradients_through_masks():
    x = f64([3.0, -1.0, 2.0])
    equal(mx.grad(lambda x: (x[x > 0] ** 2).sum())(x), [6, 0, 4])
    equal(jvp(lambda x: x[x > 0] ** 2, [x], [f64([1.0, 1.0, 10.0])]), [6, 40])
    equal(mx.grad(lambda x: mx.grad(lambda x: (x[x > 0] ** 3).sum())(x).sum())(x), [18, 0, 12])

    def write(x, v):
        y = x * 1
        y[x > 0] = v
        return y
    for v in (f64(5.0), f64([5.0]), f64([5.0, 6.0]), f64([5.0, 6.0, 7.0])):
        y = write(x, v)
        values = np.broadcast_to(np.array(v), (2,)) if v.size < 2 else np.array(v)
        equal(y, [values[0], -1, values[1]])
        gx, gv = mx.grad(lambda x, v: (write(x, v) * f64([1.0, 10.0, 100.0])).sum(), (0, 1))(x, v)
        equal(gx, [0, 10, 0])
        equal(gv, np.array([101.0, 1, 100, 0])[[0]].reshape(v.shape) if v.size < 2 else np.array([1.0, 100, 0])[:v.size])
        equal(jvp(lambda v: write(x, v), [v], [mx.ones_like(v)]), [1, 0, 1])


def test_masks_that_differ_between_lanes_can_be_written():
    def f(x, v):
        y = x * 1
        y[y > 0] = v
        return y.at[y > 25].multiply(2.0)
    x, v = f64([[1.0, -1, 2], [-1, -1, 1]]), f64([[10.0, 20, 0], [30, 0, 0]])
    equal(mx.vmap(f)(x, v), [[10, -1, 20], [-1, -1, 60]])
    equal(mx.vmap(mx.grad(lambda x, v: f(x, v).sum(), 1))(x, v), [[1, 1, 0], [2, 0, 0]])
    with pytest.raises(ValueError, match=r"\[getitem\] inside vmap the values of the mask.*mx\.where"):
        mx.vmap(lambda x: x[x > 0])(x)
    with pytest.raises(ValueError, match=r"vmap"):
        mx.vmap(lambda x: x.at[x > 0, None].add(1))(x)


def test_a_masked_branch_cannot_spoil_a_gradient():
    x = f64([0.0, 4.0])
    equal(mx.grad(lambda x: mx.sqrt(x).at[mx.array([True, False])].multiply(0.0)[1])(x), [0, 0.25])


def test_errors_about_masks_and_places():
    x = mx.arange(6).reshape(2, 3)
    for bad, message in [
        (lambda: x[mx.array([True])], r"a mask of shape \(1,\).*\(2,3\)"),
        (lambda: x[:, [True, False]], r"mask of shape \(2,\) does not match the axes from 1"),
        (lambda: x[mx.ones((2, 3, 1), mx.bool_)], "3 axes is too large"),
        (lambda: x[mx.ones((2, 3), mx.bool_), 0], "3 indices"),
        (lambda: x[True, mx.array([True])], r"a mask of shape \(1,\) does not match the axes from 0 on of shape \(2,3\)"),
        (lambda: x.at.add(1), r"\[at\] there is no index"),
        (lambda: x.at[0].add(mx.ones((2, 3))), r"\[at.add\] a value of shape \(2,3\)"),
        (lambda: x.at[x > 1].multiply(mx.ones((2, 3))), r"at.multiply"),
        (lambda: mx.eval(x.at[mx.array([7])].maximum(1)), "index 7 is out of bounds for axis 0"),
    ]:
        with pytest.raises((ValueError, IndexError), match=message):
            bad()
    with pytest.raises(TypeError, match=r"\[at.add\] a str"):
        x.at[0].add("a")


# --- along an axis, and slices at computed places ---


def test_put_along_axis_keeps_the_last_of_duplicates():
    i = mx.array([[0, 1, 0], [2, 2, 2]])
    f = lambda x, v: mx.put_along_axis(x, i, v, axis=1)
    x, v = f64(np.zeros((2, 3))), f64([[1.0, 2, 3], [4, 5, 6]])
    equal(f(x, v), [[3, 2, 0], [0, 0, 6]])
    gx, gv = mx.grad(lambda x, v: f(x, v).sum(), (0, 1))(x, v)
    equal(gx, [[0, 0, 1], [1, 1, 0]])
    equal(gv, [[0, 1, 1], [0, 0, 1]])
    jacobian(f, [x, v], 1)


def test_slices_start_at_traced_and_mapped_places():
    x, starts = f64(np.arange(20.0).reshape(4, 5)), mx.array([[0, 0], [2, 1], [1, 3]])
    read = lambda x, s: mx.slice(x, s, (0, 1), (2, 2))
    write = lambda x, v, s: mx.slice_update(x, v, s, (0, 1))
    n = np.array(x)
    for k, got in enumerate(mx.vmap(read, in_axes=(None, 0))(x, starts)):
        i, j = starts[k].tolist()
        equal(got, n[i:i + 2, j:j + 2])
    v = f64(np.ones((2, 2)) * 7)
    for in_axes in ((None, None, 0), (None, 0, 0), (0, None, 0), (0, 0, None)):
        args = [mx.stack([a * (k + 1) for k in range(3)]) if axis == 0 and a is not starts else a
                for a, axis in zip((x, v, starts), in_axes)]
        args[2] = starts if in_axes[2] == 0 else starts[1]
        for k, got in enumerate(mx.vmap(write, in_axes=in_axes)(*args)):
            each = [a[k] if axis == 0 else a for a, axis in zip(args, in_axes)]
            expected, (i, j) = np.array(each[0]), each[2].tolist()
            expected[i:i + 2, j:j + 2] = np.array(each[1])
            equal(got, expected)
    g = mx.vmap(mx.grad(lambda x, s: (read(x, s) ** 2).sum()), in_axes=(None, 0))(x, starts)
    for k in range(3):
        i, j = starts[k].tolist()
        expected = np.zeros((4, 5))
        expected[i:i + 2, j:j + 2] = 2 * n[i:i + 2, j:j + 2]
        equal(g[k], expected)
    equal(mx.grad(lambda x: read(x, mx.argmin(x, axis=None) + mx.array([1, 2])).sum())(x).sum(), 4)
    equal(mx.slice_update(mx.zeros((2, 3)), mx.array([7.0, 8.0]), mx.array([1]), (1,)), [[0, 7, 8], [0, 7, 8]])
    with pytest.raises(ValueError, match=r"start_indices has shape \(2,\) but axes has 1"):
        mx.slice(x, starts[0], (0,), (2, 2))
    with pytest.raises(IndexError):
        mx.eval(mx.slice(x, mx.array([3]), (0,), (2, 5)))


# --- strides and bits ---


def test_as_strided_reads_row_major_order_whatever_the_layout():
    n = np.arange(12.0).reshape(3, 4)
    for x, flat in ((mx.array(n).T, n.T.ravel()), (mx.array(n)[:, ::-2], n[:, ::-2].ravel()),
                    (mx.broadcast_to(mx.array(2.0), (8,)), np.full(8, 2.0))):
        equal(mx.as_strided(x, (2, 3), (2, 1), 1), [flat[1:4], flat[3:6]])
    equal(mx.as_strided(mx.array([1.0, 2, 3])[::-1], (2, 2), (1, 1)), [[3, 2], [2, 1]])
    equal(mx.as_strided(mx.array(5.0), (3,), (0,)), [5, 5, 5])
    windows = mx.as_strided(mx.array([1.0, 2, 3, 4]), (3, 2), (1, 1))
    equal(windows * 10 + windows, np.array([[1, 2], [2, 3], [3, 4]]) * 11)


def test_as_strided_adds_up_shared_gradients():
    f = lambda x: (mx.as_strided(x, (3, 2), (1, 1)) ** 2).sum()
    x = f64([1.0, 2, 3, 4])
    equal(mx.grad(f)(x), [2, 8, 12, 8])
    equal(mx.vmap(mx.grad(f), in_axes=1)(mx.stack([x, 2 * x], axis=1)), [[2, 8, 12, 8], [4, 16, 24, 16]])
    equal(mx.grad(lambda x: mx.grad(f)(x).sum())(x), [2, 4, 4, 2])


@pytest.mark.parametrize("shape, strides, offset", [
    ((2, 2), (1, 1), 2), ((2,), (-1,), 0), ((5,), (1,), 0), ((1,), (1,), -1), ((2,), (2**62,), 0), ((2, 2), (1,), 0), ((-1,), (1,), 0)])
def test_as_strided_stays_inside(shape, strides, offset):
    with pytest.raises(ValueError, match=r"\[as_strided\].*(offset|negative)"):
        mx.as_strided(mx.zeros((4,)), shape, strides, offset)


def test_views_of_bits():
    x = mx.array([1.0, -2.0])
    assert x.view(mx.int32).tolist() == [0x3F800000, -0x40000000]
    assert x.view(mx.int16).tolist() == [0, 0x3F80, 0, -0x4000]
    assert mx.view(1.0, mx.uint32).item() == 0x3F800000
    equal(x.view(mx.uint8).view(mx.float32), [1, -2])
    equal(mx.concatenate([mx.zeros((1,), mx.uint8), x.view(mx.uint8)])[1:].view(mx.float32), [1, -2])  # not aligned
    equal(mx.array([[1.0, 2], [3, 4]]).T.view(mx.int32).view(mx.float32), [[1, 3], [2, 4]])
    equal(mx.array([[1.0, 2], [3, 4]]).T.view(mx.uint8).view(mx.float32), [[1, 3], [2, 4]])
    assert mx.array([0, 3, 1], mx.uint8).view(mx.bool_).tolist() == [False, True, True]
    assert mx.zeros((3, 0)).view(mx.int8).shape == (3, 0)
    with pytest.raises(ValueError, match=r"\[view\].*scalar.*4 bytes.*int16"):
        mx.array(1.0).view(mx.int16)
    with pytest.raises(ValueError, match=r"\[view\].*\(3,\).*12 bytes.*8 bytes"):
        mx.zeros((3,)).view(mx.int64)


def test_views_of_bits_carry_no_derivative_but_between_parts():
    x = f64([1.5, 2.0])
    for dtype in (mx.int64, mx.int32, mx.float32, mx.uint8):
        f = lambda x: x.view(dtype).astype(mx.float64).sum() * 0 + (x * x).sum()
        equal(mx.grad(f)(x), [3, 4])
        equal(jvp(f, [x], [f64([1.0, 1.0])]), 7)
        equal(mx.vmap(mx.grad(f))(mx.stack([x, x])), [[3, 4]] * 2)
    equal(mx.grad(lambda x: (mx.abs(x.view(mx.complex128)) ** 2).sum())(x), [3, 4])
    z = mx.array([1 + 2j], mx.complex64)
    equal(mx.vjp(lambda z: z.view(mx.float32), [z], [mx.array([3.0, 4.0])])[1][0], [3 + 4j])


def many_parts(x):
    """Overlapping parts of one array, whose cotangents are added up in place."""
    i = mx.array([2, 0, 2, -1])
    parts = [x[k] * (k + 1) for k in range(4)] + [x[1:, ::2] ** 2, x[::-1], x[-1], x[i] * x[i], x[i, 1]]
    parts += [mx.take_along_axis(x, mx.array([[0, 3, 3, 1, 2]]), axis=0), x[2:2], x]
    return sum(mx.sum(mx.sin(p) * (n + 1)) for n, p in enumerate(parts))


def test_cotangents_of_parts_are_added_up():
    x = mx.array([[math.sin(3 * r + c) for c in range(5)] for r in range(4)], mx.float64)
    gradient = mx.grad(many_parts)(x)
    h = 1e-6
    for r in range(4):
        for c in range(5):
            e = mx.zeros((4, 5), mx.float64).at[r, c].add(h)
            assert gradient[r, c].item() == pytest.approx((many_parts(x + e) - many_parts(x - e)).item() / (2 * h), abs=1e-8)
    v = mx.cos(x)
    product = mx.jvp(mx.grad(many_parts), [x], [v])[1][0]
    reverse = mx.grad(lambda x: mx.sum(mx.grad(many_parts)(x) * v))(x)
    assert mx.allclose(product, reverse, 1e-13, 1e-13)
    lanes = mx.stack([x, x * 2])
    assert mx.array_equal(mx.vmap(mx.grad(many_parts))(lanes), mx.stack([mx.grad(many_parts)(a) for a in lanes]))
    assert mx.array_equal(mx.compile(mx.grad(many_parts))(x), gradient)


@pytest.mark.parametrize("rows", [range(40), [*range(50), 7]], ids=["some", "one twice"])
def test_cotangents_of_many_slices_are_not_whole_arrays(rows):
    sums = sums_for_slices(rows)
    assert sums and "float32 (50, 64)" not in sums


def test_cotangents_of_slices_that_cover_an_array_are_not_added():
    assert not sums_for_slices(range(50))


def sums_for_slices(rows):
    """The arrays that are sums of others, when these rows of a (50, 64) array are read one by one and it gets its cotangent."""
    x = mx.zeros((50, 64))
    with mx.profile() as p:
        mx.eval(mx.grad(lambda x: mx.sum(mx.stack([x[i] * 2 for i in rows])))(x))
    return [e["result"] for e in p.events if "Add" in e["ops"]]


# --- parts that may be outside ---

def part_of(x, starts, axes, size, mode, fill=-7.0):
    """What slice reads, element by element."""
    out = np.full(size, fill, x.dtype)
    starts = dict(zip(axes, starts))
    for place in np.ndindex(*size):
        at = []
        for axis, (p, n) in enumerate(zip(place, x.shape)):
            first = starts.get(axis, 0)
            if mode == "clip":
                at.append(min(max(first, 0), n - size[axis]) + p)
            elif mode == "wrap":
                at.append((first + p) % n)
            else:
                at.append((first + n if first < 0 else first) + p)
        if all(0 <= i < n for i, n in zip(at, x.shape)):
            out[place] = x[tuple(at)]
    return out


@pytest.mark.parametrize("mode", ["clip", "wrap", "fill"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "uint64"])
def test_slices_outside(mode, dtype):
    x = np.arange(1, 31, dtype=np.float32).reshape(5, 6)
    more = {"fill_value": -7.0} if mode == "fill" else {}
    cases = [((0, 1), (2, 3)), ((1,), (5, 3)), ((1, 0), (3, 6)), ((0,), (2, 4))]
    for axes, size in cases:
        for start in itertools.product([-9, -5, -1, 0, 3, 4, 5, 40, 2**62], repeat=len(axes)):
            if max(start) > np.iinfo(dtype).max or min(start) < np.iinfo(dtype).min:
                continue
            at = mx.array(np.array(start, dtype))
            want = part_of(x, start, axes, size, mode)
            equal(mx.slice(mx.array(x), at, axes, size, mode=mode, **more), want)
            # written: ones, added up where wrap writes a place twice is not asked for (sizes fit the axes)
            equal(mx.slice_update(mx.zeros(x.shape), mx.ones(size), at, axes, mode=mode),
                  np.isin(x, want[want != -7]).astype(np.float32))


@pytest.mark.parametrize("mode", ["clip", "wrap", "fill"])
def test_slices_outside_under_transforms(mode):
    x, update = mx.array(np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)), mx.ones((2, 3)) * 2
    more = {"fill_value": 1.5} if mode == "fill" else {}
    read = lambda x, s: mx.slice(x, s, (1, 0), (2, 3), mode=mode, **more)
    write = lambda x, u, s: mx.slice_update(x, u, s, (1, 0), mode=mode)
    starts = mx.array([[4, 3], [-2, 0], [9, -9]])
    for f, args, axes in ((read, (x,), (None, 0)), (write, (x, update), (None, None, 0))):
        each = [f(*args, s) for s in starts]
        equal(mx.vmap(f, in_axes=axes)(*args, starts), mx.stack(each))
        equal(mx.compile(f)(*args, starts[0]), each[0])
        equal(mx.compile(f, shapeless=True)(*args, starts[0]), each[0])
        mx.check_grads(lambda *a: f(*a, starts[0]), args)
    g = mx.grad(lambda x: read(x, starts[0]).sum())(x)
    assert g.sum().item() == (6 if mode != "fill" else 1)


def test_modes_of_slices_are_checked():
    x, start = mx.arange(4), mx.array([1])
    for wrong in (lambda: mx.slice(x, start, (0,), (2,), mode="nearest"), lambda: mx.slice_update(x, x[:2], start, (0,), mode=""),
                  lambda: mx.slice(x, start, (0,), (2,), fill_value=3), lambda: mx.slice(x, start, (0,), (9,), mode="clip"),
                  lambda: mx.slice(x, start, (0,), (2, 2), mode="fill"), lambda: mx.slice(x, mx.array([1.0]), (0,), (2,), mode="wrap")):
        with pytest.raises((ValueError, TypeError), match="slice"):
            wrong()
    equal(mx.slice(x, mx.array([3]), (0,), (6,), mode="fill", fill_value=-1), [3, -1, -1, -1, -1, -1])
    equal(mx.slice(x, mx.array([3]), (0,), (6,), mode="wrap"), [3, 0, 1, 2, 3, 0])
    equal(mx.slice(mx.zeros((0,), mx.int32), mx.array([3]), (0,), (2,), mode="fill", fill_value=8), [8, 8])
