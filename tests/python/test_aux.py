"""has_aux of grad and value_and_grad: what the function returns beside the loss is passed through."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

X = mx.array([1.0, 2.0])


def loss(x, y=None):
    return (x * x).sum(), {"twice": 2 * x, "name": "text", "n": [3, None, (x > 1,)]}


def check(aux):
    assert aux["twice"].tolist() == [2, 4] and aux["name"] == "text" and aux["n"][:2] == [3, None]
    assert aux["n"][2][0].tolist() == [False, True]


def test_grad():
    grads, aux = mx.grad(loss, has_aux=True)(X)
    assert grads.tolist() == [2, 4]
    check(aux)


def test_value_and_grad():
    for f in (loss, lambda x: list(loss(x))):
        result = mx.value_and_grad(f, has_aux=True)(X)
        (value, aux), grads = result
        assert type(result[0]) is tuple and value.item() == 5 and grads.tolist() == [2, 4]
        check(aux)


def test_with_argnums_and_names():
    f = lambda a, b, *, c: ((a * b * c).sum(), a)  # noqa: E731
    (ga, gb), aux = mx.grad(f, argnums=(0, 1), has_aux=True)(X, X, c=X)
    assert ga.tolist() == gb.tolist() == [1, 4] and aux.tolist() == [1, 2]
    (_, named), aux = mx.grad(f, argnames="c", has_aux=True)(X, X, c=X)
    assert named["c"].tolist() == [1, 4] and aux.tolist() == [1, 2]


@pytest.mark.parametrize("aux", ["s", None, 3.5, (), mx.sin, [None]])
def test_any_aux(aux):
    assert mx.grad(lambda x: (x, aux), has_aux=True)(mx.array(1.0))[1] == aux
    assert mx.value_and_grad(lambda x: (x, aux), has_aux=True)(mx.array(1.0))[0][1] == aux


WRAPS = {"plain": lambda f: f, "compile": mx.compile, "checkpoint": mx.checkpoint, "vmap": lambda f: mx.vmap(f)}


@pytest.mark.parametrize("outer, inner", list(itertools.product(WRAPS, repeat=2)))
def test_nested(outer, inner):
    f = WRAPS[inner](lambda x: ((x * x * x), {"sq": x * x})) if inner != "vmap" else lambda x: (x * x * x, {"sq": x * x})
    x = X if outer == "vmap" else mx.array(2.0)
    grads, aux = WRAPS[outer](mx.grad(f, has_aux=True))(x)
    np.testing.assert_allclose(np.array(grads), 3 * np.array(x) ** 2)
    np.testing.assert_allclose(np.array(aux["sq"]), np.array(x) ** 2)
    second, aux = WRAPS[outer](mx.grad(lambda x: mx.grad(f, has_aux=True)(x), has_aux=True))(x)
    np.testing.assert_allclose(np.array(second), 6 * np.array(x))


@pytest.mark.parametrize("value, error, said", [
    (lambda x: x.sum(), TypeError, "pair .loss, aux.; it returned a array"), (lambda x: (x.sum(),), TypeError, "tuple of 1"),
    (lambda x: (x.sum(), 1, 2), TypeError, "tuple of 3"), (lambda x: None, TypeError, "NoneType"),
    (lambda x: {"loss": x.sum(), "aux": 1}, TypeError, "dict"), (lambda x: ("s", 1), ValueError, "which is a str"),
    (lambda x: (x, 1), ValueError, r"shape \(2,\)"), (lambda x: ((x > 1).sum(), 1), TypeError, "int32"),
])
def test_errors(value, error, said):
    for transform in (mx.grad, mx.value_and_grad):
        with pytest.raises(error, match=said):
            transform(value, has_aux=True)(X)
