"""vmap as Python sees it: axes as trees, numbers, keyword arguments, errors, updates in place, escapes."""

import dataclasses
import typing

import mlx.core as mx
import numpy as np
import pytest


class Point(typing.NamedTuple):
    x: typing.Any
    y: typing.Any


@dataclasses.dataclass
class Layer:
    weight: typing.Any
    bias: typing.Any


def numbers(*shape):
    return mx.array(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


M = numbers(3, 4)
N = numbers(4, 3)


def same(x, y):
    np.testing.assert_array_equal(np.array(x), np.array(y))


@pytest.mark.parametrize("in_axes, expected", [(0, lambda m: m.sum(1)), (1, lambda m: m.sum(0)), (-1, lambda m: m.sum(0)),
                                               (-2, lambda m: m.sum(1)), ((1,), lambda m: m.sum(0)), ([0], lambda m: m.sum(1))])
def test_one_argument(in_axes, expected):
    seen = []

    def f(x):
        seen.append((x.shape, x.ndim, x.size))
        return x.sum()

    same(mx.vmap(f, in_axes=in_axes)(M), expected(np.array(M)))
    assert seen in ([((4,), 1, 4)], [((3,), 1, 3)])


@pytest.mark.parametrize("in_axes", [(0, 1), [0, 1], (-2, -1)])
def test_an_axis_for_each_argument(in_axes):
    same(mx.vmap(lambda x, y: x + y, in_axes=in_axes)(M, N), np.array(M) + np.array(N).T)


def test_shared_arguments():
    row = numbers(4)
    same(mx.vmap(lambda x, y: x * y, in_axes=(0, None))(M, row), np.array(M) * np.array(row))
    same(mx.vmap(lambda x, y: x * y, in_axes=(None, 0))(row, M), np.array(M) * np.array(row))
    with pytest.raises(ValueError, match="no argument is mapped"):
        mx.vmap(lambda x: x, in_axes=None)(M)
    with pytest.raises(ValueError, match="no argument is mapped"):
        mx.vmap(lambda x: x)(1.0)


@pytest.mark.parametrize("in_axes", [
    ({"a": 0, "b": 1},), {"a": 0, "b": 1}, ({"a": 0, "b": [1, None]},), ({"a": 0, "b": (1, None)},),
])
def test_axes_as_a_prefix_of_a_dict(in_axes):
    f = lambda t: t["a"] + t["b"][0] * t["b"][1]
    tree = {"a": M, "b": [N, 2.0]}
    same(mx.vmap(f, in_axes=in_axes)(tree), np.array(M) + 2 * np.array(N).T)


def test_axes_as_a_prefix_of_other_containers():
    expected = np.array(M) + np.array(N).T
    for axes in Point(0, 1), (0, 1), [0, 1]:
        same(mx.vmap(lambda p: p.x + p.y, in_axes=(axes,))(Point(M, N)), expected)
    for axes in Layer(0, 1), {"weight": 0, "bias": 1}:
        same(mx.vmap(lambda l: l.weight + l.bias, in_axes=(axes,))(Layer(M, N)), expected)
    same(mx.vmap(lambda p, s: p[0] + p[1] * s, in_axes=((0, 1), None))((M, N), mx.array(1.0)), expected)
    same(mx.vmap(lambda p: p[0] + p[1], in_axes=(0, 1))((M, N)), expected)  # of a single argument, without a tuple


@pytest.mark.parametrize("in_axes, args, said", [
    ((0,), (M, M), "in_axes has 1 entries.*2 positional"),
    ((0, 0, 0), (M, M), "in_axes has 3 entries.*2 positional"),
    ({"a": 0}, (M, M), r"in_axes is a dict with an entry for 'a', but.* tree, args\[0\]"),
    ({"tree": [0]}, (M, M), r"in_axes\['tree'\] has \[0\] where tree is a single value"),
    (({"a": 0},), ({"a": M, "b": M},), r"in_axes\[0\] does not fit.*tree\['b'\]|in_axes\[0\] does not fit.*tree\['a'\]"),
    (({"a": 0, "c": 0},), ({"a": M, "b": M},), r"in_axes\[0\] does not fit.*tree\['b'\]"),
    (({"a": (0, 0)},), ({"a": [M]},), r"in_axes\[0\] does not fit.*tree\['a'\]\[0\]"),
    (([0],), (M,), r"in_axes\[0\] has \[0\] where tree is a single value"),
])
def test_axes_that_do_not_fit(in_axes, args, said):
    def f(tree, *more):
        return mx.array(0.0)

    with pytest.raises(ValueError, match=said):
        mx.vmap(f, in_axes=in_axes)(*args)


@pytest.mark.parametrize("axes", ["0", 1.5, (0, "x"), {"a": 0.0}, True])
def test_axes_of_the_wrong_type(axes):
    with pytest.raises(TypeError, match="in_axes holds a"):
        mx.vmap(lambda x: x, in_axes=axes)
    with pytest.raises(TypeError, match="out_axes holds a"):
        mx.vmap(lambda x: x, out_axes=axes)


def test_lengths_that_differ():
    def f(xs, ys):
        return xs["a"][0] + ys

    with pytest.raises(ValueError) as error:
        mx.vmap(f, in_axes=(0, 1))({"a": [M]}, M)
    assert "xs['a'][0] has 3 lanes (axis 0 of shape (3,4)) but ys has 4 (axis 1 of shape (3,4))" in str(error.value)


@pytest.mark.parametrize("in_axes, value, said", [
    (2, M, r"axis 2 of x\['k'\], which has shape \(3,4\)"), (-3, M, r"axis -3 of x\['k'\]"),
    (0, mx.array(1.0), r"x\['k'\], which has shape \(\).*scalar"),
])
def test_axes_out_of_range(in_axes, value, said):
    def f(x):
        return x["k"]

    for kind in ValueError, IndexError:
        with pytest.raises(kind, match=said):
            mx.vmap(f, in_axes=in_axes)({"k": value})


def test_numbers_and_other_objects_are_shared():
    seen = []

    def f(x, scale, label, flag, nothing):
        seen.append((type(scale), label, flag, nothing))
        return x * scale

    same(mx.vmap(f)(M, 2.0, "label", True, None), 2 * np.array(M))
    assert seen == [(float, "label", True, None)]
    same(mx.vmap(f, in_axes=(0, None, None, None, None))(M, 2.0, "label", True, None), 2 * np.array(M))


def test_numpy_arguments():
    same(mx.vmap(lambda x, y: x + y)(np.array(M), M), 2 * np.array(M))


def test_keyword_arguments_are_mapped_over_axis_0():
    same(mx.vmap(lambda x, *, y: x + y["k"], in_axes=1)(N, y={"k": M}), np.array(N).T + np.array(M))
    same(mx.vmap(lambda x, power=1: x**power)(M, power=2), np.array(M) ** 2)
    with pytest.raises(ValueError, match=r"x has 3 lanes.*y has 4"):
        mx.vmap(lambda x, y: x)(M, y=N)


def test_axes_by_name():
    f = lambda x, y, *, z=0.0: x + y + z
    m, n, row = np.array(M), np.array(N), numbers(4)
    same(mx.vmap(f, in_axes={"y": 1})(M, N), m + n.T)
    same(mx.vmap(f, in_axes={"y": 1})(M, y=N), m + n.T)
    same(mx.vmap(f, in_axes={"x": 0, "y": None})(M, row), m + np.array(row))
    same(mx.vmap(f, in_axes={"y": None, "z": -1})(M, row, z=N), m + np.array(row) + n.T)
    same(mx.vmap(f, in_axes={"x": None, "y": None})(x=row, y=row, z=M), m + 2 * np.array(row))
    same(mx.vmap(f, in_axes={})(M, M), 2 * m)
    g = lambda params, x: params["w"] * x + params["b"]
    same(mx.vmap(g, in_axes={"params": {"w": None, "b": 1}})({"w": row, "b": N}, M), np.array(row) * m + n.T)
    same(mx.vmap(g, in_axes={"params": None, "x": 0})(x=M, params={"w": row, "b": row}), np.array(row) * m + np.array(row))


def test_names_and_a_dict_with_such_keys():
    """A single argument's own container may stand alone, whatever the argument is called."""
    f = lambda params, scale=1.0: params["w"] * scale + params["b"]
    tree = {"w": M, "b": N}
    expected = np.array(M) + np.array(N).T
    same(mx.vmap(f, in_axes={"w": 0, "b": 1})(tree), expected)
    same(mx.vmap(f, in_axes={"params": {"w": 0, "b": 1}})(tree), expected)
    same(mx.vmap(f, in_axes={"params": {"w": 0, "b": 1}, "scale": None})(tree, scale=mx.array(1.0)), expected)


# --- outputs ---


@pytest.mark.parametrize("out_axes, axis", [(0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0)])
def test_out_axes(out_axes, axis):
    x = numbers(2, 3, 4)
    same(mx.vmap(lambda x: x, out_axes=out_axes)(x), np.moveaxis(np.array(x), 0, axis))
    same(mx.vmap(lambda x: mx.zeros((3, 4)), out_axes=out_axes)(x), np.moveaxis(np.zeros((2, 3, 4)), 0, axis))


def test_outputs_are_trees():
    out = mx.vmap(lambda x: {"a": x, "b": (x, [Point(x, None)]), "c": Layer(x, 1)})(M)
    assert list(out) == ["a", "b", "c"] and type(out["b"]) is tuple and type(out["b"][1][0]) is Point
    same(out["b"][1][0].x, M)
    assert out["b"][1][0].y is None
    assert type(out["c"]) is Layer and out["c"].bias.tolist() == [1, 1, 1]


def test_out_axes_as_a_prefix():
    out = mx.vmap(lambda x: {"a": x, "b": (x, x)}, out_axes={"a": 0, "b": 1})(M)
    same(out["a"], M)
    same(out["b"][0], np.array(M).T)
    out = mx.vmap(lambda x: (x, [x, mx.array(1.0)]), out_axes=(1, (0, None)))(M)
    same(out[0], np.array(M).T)
    assert out[1][1].item() == 1 and type(out[1]) is list
    with pytest.raises(ValueError, match=r"out_axes does not fit.*output"):
        mx.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(M)
    with pytest.raises(ValueError, match=r"out_axes has \[0\] where output is a single value"):
        mx.vmap(lambda x: x, out_axes=[0])(M)
    same(mx.vmap(lambda x: x, out_axes=(1,))(M), np.array(M).T)


def test_outputs_without_an_axis():
    marker = object()
    out = mx.vmap(lambda x: (x, mx.array(1.0), "text", marker, 3), out_axes=(0, None, None, None, None))(M)
    assert out[1].shape == () and out[2] == "text" and out[3] is marker and out[4] == 3
    with pytest.raises(ValueError, match="differs between lanes"):
        mx.vmap(lambda x: x, out_axes=None)(M)
    assert mx.vmap(lambda x: mx.array(2.0), out_axes=None)(M).item() == 2


def test_constant_outputs_are_repeated():
    same(mx.vmap(lambda x: mx.array([1.0, 2.0]))(M), [[1, 2]] * 3)
    assert mx.vmap(lambda x: 3)(M).tolist() == [3, 3, 3]
    assert mx.vmap(lambda x: 2.5)(M).dtype == mx.float32


@pytest.mark.parametrize("out_axes", [2, -3])
def test_out_axes_out_of_range(out_axes):
    for kind in ValueError, IndexError:
        with pytest.raises(kind, match=r"axis -?\d of output\['k'\], which has 2 axes"):
            mx.vmap(lambda x: {"k": x}, out_axes=out_axes)(M)


def test_outputs_that_cannot_be_stacked():
    with pytest.raises(TypeError, match=r"output\[1\], a str"):
        mx.vmap(lambda x: (x, "text"))(M)


def test_no_lanes():
    assert mx.vmap(lambda x: x.sum())(mx.ones((0, 4))).shape == (0,)
    assert mx.vmap(lambda x: x, out_axes=1)(mx.ones((0, 4))).shape == (4, 0)


# --- inside ---


def test_updates_in_place():
    def f(x, y):
        out = mx.zeros((4,))
        out[0] = x[1]
        out[1:3] = y[:2] + x[0]
        x[3] = -1.0
        return out + x

    x, y = M[:, :], numbers(4)
    expected = np.array(M)
    expected[:, 3] = -1
    expected[:, 0] += np.array(M)[:, 1]
    expected[:, 1:3] += np.array(y)[:2] + np.array(M)[:, :1]
    same(mx.vmap(f, in_axes=(0, None))(x, y), expected)
    same(x, M)


def test_updates_of_shared_arguments_stay_inside():
    def f(x, shared):
        shared[0] = x[0]
        return shared

    shared = mx.zeros((2,))
    same(mx.vmap(f, in_axes=(0, None))(M, shared), [[0, 0], [4, 0], [8, 0]])
    assert shared.tolist() == [0, 0]


def test_escaping_lanes():
    kept = []

    def f(x):
        kept.append(x)
        return x

    with pytest.raises(ValueError, match="still referenced"):
        mx.vmap(f)(M)
    kept.clear()
    same(mx.vmap(lambda x: x)(M), M)


def test_garbage_is_no_escape():
    def f(x):
        cycle = [x]
        cycle.append(cycle)
        return x

    same(mx.vmap(f)(M), M)


def test_nested():
    same(mx.vmap(mx.vmap(lambda x, y: x * y, in_axes=(0, None)), in_axes=(None, 0))(numbers(3), numbers(4)),
         np.outer(np.arange(4), np.arange(3)))
    same(mx.vmap(lambda x: mx.vmap(lambda y: x * y)(numbers(4)))(numbers(3)), np.outer(np.arange(3), np.arange(4)))
    same(mx.vmap(mx.vmap(lambda x: x.sum(), in_axes=1), in_axes=2, out_axes=1)(numbers(2, 3, 4)), np.arange(24).reshape(2, 3, 4).sum(0))


def test_gradients_of_and_in():
    loss = lambda x: mx.sum(mx.sin(x) * x)
    expected = np.cos(np.array(M)) * np.array(M) + np.sin(np.array(M))
    np.testing.assert_allclose(np.array(mx.vmap(mx.grad(loss))(M)), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.array(mx.grad(lambda m: mx.sum(mx.vmap(loss)(m)))(M)), expected, rtol=1e-5, atol=1e-5)
    value, grads = mx.vmap(mx.value_and_grad(lambda p: (mx.sum(p["w"]), p["w"] * 2)))({"w": M})
    assert value[0].shape == (3,) and value[1].shape == (3, 4) and grads["w"].shape == (3, 4)
