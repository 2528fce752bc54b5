"""Integer and bool arrays have no tangents: giving one is an error, None and zeros are none, and their tangents are float zeros."""

import mlx.core as mx
import numpy as np
import pytest

import arrays

X, I = mx.array([1.0, 2.0]), mx.array([1, 2])


@pytest.mark.parametrize("name", arrays.BOOL + arrays.INTEGERS)
@pytest.mark.parametrize("tangent", ["float32", "same"])
def test_a_tangent_of_an_integer(name, tangent):
    primal = I.astype(getattr(mx, name))
    given = mx.ones((2,), primal.dtype if tangent == "same" else mx.float32)
    with pytest.raises(TypeError, match=r"\[jvp\] primals\[1\] has dtype .*tangents\[1\] is given"):
        mx.jvp(lambda x, i: x * i, [X, primal], [X, given])
    with pytest.raises(TypeError, match=r"primals\[0\]"):
        mx.jvp(lambda i: i * 2.0, [primal], [given])
    values, tangents = mx.jvp(lambda x, i: x * i, [X, primal], [X, None])
    assert tangents[0].tolist() == values[0].tolist()


@pytest.mark.parametrize("zeros", [mx.zeros_like, lambda i: mx.zeros((2,)), lambda i: mx.array([0, 0]), lambda i: None])
def test_zeros_are_welcome(zeros):
    _, tangents = mx.jvp(lambda x, i: x * i, [X, I], [X, zeros(I)])
    assert tangents[0].tolist() == [1, 4]
    compiled = mx.compile(lambda x, i: mx.jvp(lambda a, k: a * k, [x, i], [x, zeros(i)])[1][0])
    assert compiled(X, I).tolist() == [1, 4]


def test_none_is_zero():
    _, tangents = mx.jvp(lambda x, y: (x * y, x), [X, X], [None, mx.ones((2,))])
    assert [t.tolist() for t in tangents] == [[1, 2], [0, 0]]
    _, tangents = mx.jvp(lambda x: x * x, [X], [None])
    assert tangents[0].tolist() == [0, 0] and tangents[0].dtype == mx.float32


def test_a_complex_tangent_of_a_real_primal():
    with pytest.raises(TypeError, match=r"tangents\[0\] has dtype complex64"):
        mx.jvp(lambda x: x * x, [X], [mx.array([1j, 1])])


@pytest.mark.parametrize("name", arrays.INEXACT)
@pytest.mark.parametrize("f", [lambda x: x > 1, lambda x: x.astype(mx.int32), lambda x: mx.argmax(mx.abs(x)), lambda x: mx.isnan(x)])
def test_the_tangent_of_an_integer_output(name, f):
    x = mx.ones((3,), getattr(mx, name))
    values, tangents = mx.jvp(f, [x], [mx.ones_like(x)])
    assert tangents[0].dtype == x.dtype and tangents[0].shape == values[0].shape and not np.any(arrays.to_np(tangents[0]))
    _, linear = mx.linearize(f, x)
    assert linear(mx.ones_like(x)).dtype == x.dtype
    compiled = mx.jvp(mx.compile(f), [x], [mx.ones_like(x)])[1][0]
    assert compiled.dtype == x.dtype


def test_the_dtype_is_that_of_all_tangents():
    _, tangents = mx.jvp(lambda x, y, i: x > y, [X.astype(mx.float16), X.astype(mx.float64), I], [X.astype(mx.float16), X.astype(mx.float64), None])
    assert tangents[0].dtype == mx.float64
    assert mx.jvp(lambda i: i > 1, [I], [None])[1][0].dtype == mx.float32


def test_integers_inside_of_functions_with_several_outputs():
    """An integer that a checkpoint, branch or loop hands on is no tangent for what follows."""
    @mx.checkpoint
    def f(x):
        return x * x, (x > 1).astype(mx.int32), mx.argmax(x)

    def g(x):
        y, mask, at = f(x)
        return (y * mask).sum() + x[at], mask

    (value, mask), (tangent, zero) = mx.jvp(g, [X], [mx.ones((2,))])
    assert tangent.item() == 5 and zero.dtype == mx.float32 and mask.dtype == mx.int32
    assert mx.grad(lambda x: g(x)[0])(X).tolist() == [0, 5]
    looped = lambda x: mx.fori_loop(0, 3, lambda i, c: (c[0] * 2.0, c[1] + 1), (x, mx.array(0)))
    (_, count), (t, z) = mx.jvp(looped, [X], [mx.ones((2,))])
    assert t.tolist() == [8, 8] and count.item() == 3 and z.item() == 0


def test_a_jvp_of_a_jvp():
    inner = lambda x: mx.jvp(lambda a, i: a * a * i, [x, I], [mx.ones((2,)), None])[1][0]
    assert mx.jvp(inner, [X], [mx.ones((2,))])[1][0].tolist() == [2, 4]
    nested = lambda x: mx.jvp(lambda a: (a > 1), [x], [mx.ones((2,))])[1][0] + x
    assert mx.grad(lambda x: nested(x).sum())(X).tolist() == [1, 1]
