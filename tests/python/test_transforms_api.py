"""grad, value_and_grad, vjp and jvp as Python sees them: structures of results, errors, side effects, composition."""

import functools
import inspect
import traceback

import mlx.core as mx
import numpy as np
import pytest


def a(value, dtype=mx.float32):
    return mx.array(value, dtype)


def f(x, y):
    return x * x * y


X, Y = a(2.0), a(3.0)  # df/dx = 12, df/dy = 4


def plain(tree):
    """Arrays replaced by Python values."""
    if isinstance(tree, mx.array):
        return tree.tolist()
    if isinstance(tree, dict):
        return {k: plain(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(plain, tree))
    return tree


# --- which arguments ---


@pytest.mark.parametrize("options, expected", [
    ({}, 12), ({"argnums": None}, 12), ({"argnums": 0}, 12), ({"argnums": 1}, 4), ({"argnums": -1}, 4), ({"argnums": -2}, 12),
    ({"argnums": [0]}, 12), ({"argnums": (1,)}, 4), ({"argnums": (0, 1)}, (12, 4)), ({"argnums": [1, 0]}, (12, 4)),
    ({"argnums": (-1, 0)}, (12, 4)),
])
def test_argnums(options, expected):
    assert plain(mx.grad(f, **options)(X, Y)) == expected
    value, grads = mx.value_and_grad(f, **options)(X, Y)
    assert value.item() == 12 and plain(grads) == expected


@pytest.mark.parametrize("options, args, kwargs, expected", [
    ({"argnames": "y"}, [X], {"y": Y}, (None, {"y": 4})),
    ({"argnames": ["y"]}, [X], {"y": Y}, (None, {"y": 4})),
    ({"argnames": ["y", "y"]}, [X], {"y": Y}, (None, {"y": 4})),
    ({"argnames": ["y"], "argnums": []}, [X], {"y": Y}, (None, {"y": 4})),
    ({"argnames": ["y"], "argnums": 0}, [X], {"y": Y}, (12, {"y": 4})),
    ({"argnames": "y", "argnums": [0]}, [X], {"y": Y}, (12, {"y": 4})),
    ({"argnames": ("x", "y")}, [], {"y": Y, "x": X}, (None, {"x": 12, "y": 4})),
    ({"argnums": 0}, [X], {"y": Y}, 12),
])
def test_argnames(options, args, kwargs, expected):
    assert plain(mx.grad(f, **options)(*args, **kwargs)) == expected
    value, grads = mx.value_and_grad(f, **options)(*args, **kwargs)
    assert value.item() == 12 and plain(grads) == expected


def test_several_positions_and_names():
    grads = mx.grad(lambda x, y, z, w: x * y * z * w, argnums=(0, -1), argnames=["w"])(a(2.0), a(3.0), a(5.0), w=a(7.0))
    assert plain(grads) == ((105, 42), {"w": 30})


def test_trees_for_several_arguments():
    grads = mx.grad(lambda p, q: p[0] * p[1] * q["x"], argnums=(0, 1))((X, Y), {"x": X})
    assert plain(grads) == ((6, 4), {"x": 6})


@pytest.mark.parametrize("options, args, kwargs, said", [
    ({"argnums": 2}, [X, Y], {}, "argument 2.*called with 2 positional"),
    ({"argnums": -3}, [X, Y], {}, "argument -3.*called with 2 positional"),
    ({}, [], {"x": X, "y": Y}, "called with 0 positional"),
    ({"argnums": (0, 0)}, [X, Y], {}, "names argument 0 twice"),
    ({"argnums": (1, -1)}, [X, Y], {}, "names argument 1 twice"),
    ({"argnames": "z"}, [X], {"y": Y}, "respect to 'z'.*keyword arguments y"),
    ({"argnames": "y"}, [X, Y], {}, "respect to 'y'.*no keyword arguments"),
])
def test_arguments_that_are_not_there(options, args, kwargs, said):
    for transform in mx.grad, mx.value_and_grad:
        with pytest.raises(ValueError, match=said):
            transform(f, **options)(*args, **kwargs)


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="nothing to differentiate"):
        mx.grad(f, argnums=[])
    with pytest.raises(TypeError, match="argnames"):
        mx.grad(f, argnames=[1])
    with pytest.raises(TypeError):
        mx.grad(f, argnums="x")
    with pytest.raises(TypeError):
        mx.grad(f, argnums=1.5)
    for make in mx.grad, mx.value_and_grad, mx.vmap:
        with pytest.raises(TypeError, match="callable"):
            make(3)
    for product in mx.vjp, mx.jvp:
        with pytest.raises(TypeError, match="callable"):
            product(3, [X], [X])


# --- what the function returns ---


def test_auxiliary_outputs_pass_through():
    marker = object()

    def loss(x):
        return x * x, {"x": x, "marker": marker}, [1, "text", None]

    (value, aux, rest), grads = mx.value_and_grad(loss)(X)
    assert value.item() == 4 and grads.item() == 4
    assert aux["marker"] is marker and aux["x"].item() == 2 and rest == [1, "text", None]


@pytest.mark.parametrize("make", [lambda l: (l,), lambda l: [l, 1], lambda l: (l, None)])
def test_auxiliary_containers_keep_their_type(make):
    value, grads = mx.value_and_grad(lambda x: make(x * x))(X)
    assert type(value) is type(make(X)) and len(value) == len(make(X)) and value[0].item() == 4


def test_auxiliary_named_tuple():
    from typing import NamedTuple

    class Result(NamedTuple):
        loss: object
        logits: object

    value, grads = mx.value_and_grad(lambda x: Result(x * x, x))(X)
    assert type(value) is Result and value.loss.item() == 4 and value.logits.item() == 2


@pytest.mark.parametrize("returned, said", [
    (3.0, "float"), (None, "NoneType"), ("x", "str"), ({"loss": X}, "dict"), ((), "tuple"), ((3.0, X), "tuple"), (np.float32(1), "float32"),
])
def test_returned_something_else(returned, said):
    for transform in mx.grad, mx.value_and_grad:
        with pytest.raises(ValueError, match=f"returned a .*{said}"):
            transform(lambda x: returned)(X)


def test_grad_takes_no_auxiliary_outputs():
    with pytest.raises(ValueError, match="value_and_grad"):
        mx.grad(lambda x: (x, x))(X)


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3), (0,)])
def test_returned_no_scalar(shape):
    with pytest.raises(ValueError) as error:
        mx.grad(lambda x: x)(mx.ones(shape))
    assert str(shape).replace(" ", "") in str(error.value) and "mx.sum" in str(error.value)


def test_integer_losses_have_no_gradient_and_constant_ones_zero():
    with pytest.raises(TypeError, match="int32"):
        mx.grad(lambda x: x.astype(mx.int32))(a(2.5))
    assert mx.grad(lambda x: a(1.0))(a(2.5)).item() == 0
    assert mx.grad(lambda t: t["x"])({"x": X, "unused": Y})["unused"].item() == 0


def test_no_leaves_at_all():
    value, grads = mx.value_and_grad(lambda t: a(5.0))({"a": []})
    assert value.item() == 5 and grads == {"a": []}


# --- what the function sees ---


def test_other_arguments_are_the_same_objects():
    other, seen = {"k": Y}, []

    def loss(x, other, *, flag, array):
        seen.extend([other, other["k"], flag, array])
        return x * array

    array = a(4.0)
    mx.grad(loss)(X, other, flag="on", array=array)
    assert seen[0] is other and seen[1] is Y and seen[2] == "on" and seen[3] is array


def test_default_arguments():
    assert mx.grad(lambda x, p=2: x**p)(a(3.0)).item() == 6
    assert mx.grad(lambda *args, **kw: args[0] * kw["s"])(a(3.0), s=2.0).item() == 2


def test_wrong_calls_raise_as_the_function_does():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        mx.grad(f)(X)


def test_concrete_values_steer_python():
    def loss(x, n):
        assert isinstance(x.item(), float)
        for _ in range(n):
            if x.item() > 1:
                x = x * x
            else:
                x = x + 1
        return x if float(x) > 0 else -x

    assert mx.grad(loss)(a(2.0), 2).item() == 32
    assert mx.grad(loss)(a(0.5), 2).item() == 3
    outputs, tangents = mx.jvp(lambda x: loss(x, 1), [a(3.0)], [a(1.0)])
    assert outputs[0].item() == 9 and tangents[0].item() == 6


def test_evaluating_inside_detaches_nothing():
    def loss(x):
        y = mx.sin(x)
        mx.eval(y)
        str(y)
        np.array(mx.stop_gradient(y))
        return mx.sum(y * y)

    x = a([0.5, 1.0])
    np.testing.assert_allclose(np.array(mx.grad(loss)(x)), np.sin(2 * np.array([0.5, 1.0])), rtol=1e-6)


def test_closures():
    scale = a(3.0)
    assert mx.grad(lambda x: x * scale)(X).item() == 3
    assert mx.grad(lambda x: x * X)(X).item() == 2, "a captured array is a constant, even when it is the argument"
    assert mx.grad(lambda x: mx.grad(lambda y: x * y)(X))(X).item() == 1


def test_escaping_arrays_are_the_primal_value():
    kept = []

    def loss(x):
        kept.append(x * 2)
        return mx.sum(x)

    mx.grad(loss)(a([1.0, 2.0]))
    assert kept[0].tolist() == [2, 4]


def test_updates_in_place():
    def loss(x):
        y = mx.zeros((3,))
        y[0] = x[0] * x[1]
        y[1:] = x[1:] ** 2
        y += x
        x[2] = 0.0  # rebinds the handle that this function got
        return mx.sum(y) + x[2]

    x = a([2.0, 3.0, 4.0])
    assert mx.grad(loss)(x).tolist() == [4, 9, 9]
    assert x.tolist() == [2, 3, 4]
    assert mx.grad(lambda x: (x.__setitem__(0, 5.0), mx.sum(x * x))[1])(x).tolist() == [0, 6, 8]


def test_updates_of_what_is_not_differentiated():
    other = a([1.0, 1.0])

    def loss(x):
        other[0] = 5.0
        return mx.sum(x * other)

    assert mx.grad(loss)(a([1.0, 1.0])).tolist() == [5, 1]
    assert other.tolist() == [5, 1]


def test_stop_gradient():
    assert mx.grad(lambda x: x * mx.stop_gradient(x))(X).item() == 2


# --- exceptions ---


class Unlucky(Exception):
    pass


@pytest.mark.parametrize("call", [
    lambda g: mx.grad(g)(X), lambda g: mx.value_and_grad(g)(X), lambda g: mx.vjp(g, [X], [X]), lambda g: mx.jvp(g, [X], [X]),
    lambda g: mx.vmap(g)(mx.ones(2)), lambda g: mx.grad(mx.grad(g))(X), lambda g: mx.vmap(mx.grad(g))(mx.ones(2)),
], ids=["grad", "value_and_grad", "vjp", "jvp", "vmap", "grad of grad", "vmap of grad"])
def test_exceptions_pass_unchanged(call):
    mine = Unlucky("today")

    def unlucky(x):
        raise mine

    with pytest.raises(Unlucky) as caught:
        call(unlucky)
    assert caught.value is mine
    assert "unlucky" in [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert mx.grad(f)(X, Y).item() == 12, "everything is usable afterwards"
    assert mx.vmap(lambda x: x + 1)(mx.ones(2)).tolist() == [2, 2]


def test_errors_of_ops_pass_through():
    with pytest.raises(ValueError, match=r"\[reshape\]"):
        mx.grad(lambda x: mx.sum(mx.reshape(x, (7,))))(mx.ones((3,)))


# --- vjp and jvp ---


def test_vjp():
    outputs, products = mx.vjp(f, (X, Y), [a(2.0)])
    assert type(outputs) is list and type(products) is list
    assert plain(outputs) == [12] and plain(products) == [24, 8]
    outputs, products = mx.vjp(lambda x, y: (x * y, x + y), [X, Y], [a(1.0), a(10.0)])
    assert plain(outputs) == [6, 5] and plain(products) == [13, 12]
    outputs, products = mx.vjp(lambda x: {"a": x, "b": [x * x, None]}, [X], [a(1.0), a(1.0)])
    assert plain(outputs) == [2, 4] and plain(products) == [5]


def test_jvp():
    outputs, products = mx.jvp(f, [X, Y], (a(1.0), a(10.0)))
    assert plain(outputs) == [12] and plain(products) == [52]
    outputs, products = mx.jvp(lambda x, y: [x * y, x], [X, Y], [a(1.0), a(0.0)])
    assert plain(outputs) == [6, 2] and plain(products) == [3, 1]


def test_integers_get_zeros():
    outputs, products = mx.vjp(lambda n, x: n * x, [mx.array(3), X], [a(1.0)])
    assert products[0].item() == 0 and products[1].item() == 3
    outputs, products = mx.jvp(lambda n, x: n * x, [mx.array(3), X], [None, a(1.0)])
    assert products[0].item() == 3


@pytest.mark.parametrize("call, error, said", [
    (lambda: mx.vjp(f, X, [X]), TypeError, "missing 1 required positional argument"),
    (lambda: mx.vjp(mx.sin, "text", [X]), TypeError, "primals is a str"),
    (lambda: mx.vjp(f, [X, Y], [X, X]), ValueError, "1 outputs but 2 cotangents"),
    (lambda: mx.vjp(f, [X, Y], [mx.ones((3,))]), ValueError, r"shape \(3,\)"),
    (lambda: mx.vjp(lambda x: (x, 3.0), [X], [X]), TypeError, r"output\[1\], a float"),
    (lambda: mx.jvp(f, [X, Y], [X]), ValueError, "2 primals but 1 tangents"),
    (lambda: mx.jvp(f, [X, Y], [X, mx.ones((3,))]), ValueError, r"tangent 1 has shape \(3,\)"),
    (lambda: mx.jvp(lambda x: {"k": "text"}, [X], [X]), TypeError, r"output\['k'\], a str"),
])
def test_vjp_and_jvp_errors(call, error, said):
    with pytest.raises(error, match=said):
        call()


# --- composition ---


def test_orders():
    g = mx.sin
    for expected in np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos:
        g = mx.grad(g)
        assert g(a(0.7)).item() == pytest.approx(float(expected(0.7)), abs=1e-6)


def test_hessian_every_way():
    def loss(x):
        return mx.sum(mx.sin(x) * x[0]) + mx.prod(x)

    x = a([0.3, 0.7, 1.1])
    eye = mx.eye(3)
    step = 1e-3
    expected = np.stack([
        (np.array(mx.grad(loss)(x + step * eye[i])) - np.array(mx.grad(loss)(x - step * eye[i]))) / (2 * step) for i in range(3)])
    reverse_reverse = mx.vmap(lambda v: mx.vjp(mx.grad(loss), [x], [v])[1][0])(eye)
    forward_reverse = mx.vmap(lambda v: mx.jvp(mx.grad(loss), [x], [v])[1][0])(eye)
    reverse_forward = mx.vmap(lambda v: mx.grad(lambda x: mx.jvp(loss, [x], [v])[1][0])(x))(eye)
    of_rows = mx.stack([mx.grad(lambda x: mx.grad(loss)(x)[i])(x) for i in range(3)])
    for hessian in reverse_reverse, forward_reverse, reverse_forward, of_rows:
        np.testing.assert_allclose(np.array(hessian), expected, atol=2e-3)


def test_nested_with_trees():
    def loss(p, x):
        return mx.sum((p["w"] @ x + p["b"]) ** 2)

    p = {"w": a([[1.0, 2.0], [3.0, 4.0]]), "b": a([0.5, -0.5])}
    xs = a([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    per_example = mx.vmap(mx.grad(loss), in_axes=(None, 0))(p, xs)
    assert per_example["w"].shape == (3, 2, 2) and per_example["b"].shape == (3, 2)
    for i in range(3):
        one = mx.grad(loss)(p, xs[i])
        for k in p:
            np.testing.assert_allclose(np.array(per_example[k][i]), np.array(one[k]), rtol=1e-6)
    total = mx.grad(lambda p: mx.sum(mx.vmap(loss, in_axes=(None, 0))(p, xs)))(p)
    for k in p:
        np.testing.assert_allclose(np.array(total[k]), np.array(mx.sum(per_example[k], axis=0)), rtol=1e-6)


# --- the returned callable ---


def test_it_looks_like_the_function():
    def documented(x, y=2):
        "Says what it does."
        return x

    for g in mx.grad(documented), mx.value_and_grad(documented), mx.vmap(documented), mx.grad(mx.vmap(documented)):
        assert g.__name__ == "documented" and g.__doc__ == "Says what it does."
        assert list(inspect.signature(g).parameters) == ["x", "y"]
        assert inspect.unwrap(g) is documented
    assert "grad of" in repr(mx.grad(documented))
    assert mx.grad(functools.partial(f, y=Y))(X).item() == 12


def test_it_decorates_methods():
    class Model:
        scale = 3.0

        @functools.partial(mx.grad, argnums=1)
        def slope(self, x):
            return x * self.scale

    assert Model().slope(X).item() == 3
    assert Model.slope(Model(), X).item() == 3


def test_calls_repeat():
    g = mx.value_and_grad(f)
    for _ in range(100):
        value, grads = g(X, Y)
    assert value.item() == 12 and grads.item() == 12
