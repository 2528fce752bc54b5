"""check_grads: right derivatives pass in every dtype, wrong ones are found and named."""

import doctest

import mlx.core as mx
import numpy as np
import pytest

RNG = np.random.default_rng(5)


def random(*shape, dtype=mx.float64):
    return mx.array(RNG.uniform(0.5, 1.5, shape), dtype)


def test_right_derivatives_pass():
    w = random(3, 4)
    mx.check_grads(lambda x: mx.tanh(w @ x), (random(4),), order=3)
    mx.check_grads(lambda x, y: (mx.sort(x) * y, {"s": mx.logsumexp(x * y)}), (random(4), random(4)))
    mx.check_grads(lambda p, n: p["a"][n] * p["b"][0] * 2, ({"a": random(3), "b": [1.5]}, 1))
    mx.check_grads(lambda x: mx.cumprod(x) / x, random(3))
    mx.check_grads(lambda x: (x * x, x > 1, mx.argmax(x), "text"), (random(3),))
    assert mx.check_grads(mx.sin, [random(2)], modes="rev") is None
    assert mx.check_grads(mx.sin, [random(2)], modes=["fwd"], order=1) is None


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
def test_dtypes(dtype):
    mx.check_grads(lambda x: mx.sin(x) * x, (random(5, dtype=dtype),))
    mx.check_grads(lambda x, y: mx.sum(x.astype(mx.float64) * y), (random(5, dtype=dtype), random(5)))


def test_complex():
    z = mx.array(RNG.uniform(0.5, 1.5, 3) + 1j * RNG.uniform(0.5, 1.5, 3), mx.complex128)
    mx.check_grads(lambda z: z * z, (z,))
    mx.check_grads(lambda z: mx.sum(mx.abs(z) ** 2), (z,))
    mx.check_grads(lambda z: mx.conjugate(z) * mx.exp(z), (z.astype(mx.complex64),))
    mx.check_grads(lambda x: mx.real(mx.exp(x * mx.array(1j, mx.complex128))), (random(3),))


def test_composed_transforms():
    mx.check_grads(mx.vmap(lambda x: mx.sum(x * x[::-1])), (random(3, 4),))
    mx.check_grads(mx.grad(lambda x: mx.sum(mx.sin(x) * x)), (random(3),))
    mx.check_grads(mx.jacobian(lambda x: x * x[::-1]), (random(3),))
    mx.check_grads(mx.checkpoint(lambda x: mx.sin(x) * x), (random(3),))


def test_random_functions_repeat_their_draws():
    mx.random.seed(1)
    mx.check_grads(lambda x: x * mx.random.uniform(shape=(3,), dtype=mx.float32), (random(3),), modes="fwd")


def wrong(**rules):
    f = mx.custom_function(lambda p: mx.sin(p["x"]) * p["y"][0])
    for name, rule in rules.items():
        getattr(f, name)(rule)
    return f


P = {"x": mx.array([0.5, 1.0, 1.5], mx.float64), "y": [mx.array([1.0, 2.0, 3.0], mx.float64)]}


def right_jvp(p, t):
    x, y = p["x"], p["y"][0]
    zero = mx.zeros_like(x)
    tx = zero if t["x"] is None else t["x"]
    ty = zero if t["y"][0] is None else t["y"][0]
    return mx.cos(x) * y * tx + mx.sin(x) * ty


def right_vjp(p, ct, out):
    return {"x": ct * mx.cos(p["x"]) * p["y"][0], "y": [ct * mx.sin(p["x"])]}


def test_right_rules_pass():
    mx.check_grads(wrong(jvp=right_jvp, vjp=right_vjp), (P,), order=2)


def test_a_wrong_jvp_is_named():
    f = wrong(jvp=lambda p, t: right_jvp(p, t) + (0 if t["x"] is None else t["x"] * mx.array([0.0, 0.0, 1.0], mx.float64)), vjp=right_vjp)
    with pytest.raises(AssertionError, match=r'mode "fwd", order 1: the jvp with respect to args\[0\]\[\'x\'\] is wrong: '
                       r'the tangent of output at index \(2,\) should be .* but is .*; 1 of 3 elements'):
        mx.check_grads(f, (P,), order=1)
    mx.check_grads(f, (P,), order=1, modes="rev")


def test_a_wrong_vjp_is_named():
    f = wrong(jvp=right_jvp, vjp=lambda p, ct, out: {**right_vjp(p, ct, out), "y": [ct * mx.cos(p["x"])]})
    with pytest.raises(AssertionError, match=r'mode "rev", order 1: the vjp with respect to args\[0\]\[\'y\'\]\[0\] is wrong: .*by the jvp'):
        mx.check_grads(f, (P,))
    with pytest.raises(AssertionError, match="by central differences"):
        mx.check_grads(f, (P,), modes=["rev"])
    mx.check_grads(f, (P,), order=1, modes="fwd")


@pytest.mark.parametrize("modes", ["fwd", "rev", ["fwd", "rev"]])
def test_where_nothing_can_be_measured_it_says_so(modes):
    with pytest.raises(AssertionError, match=r"should be nan .*choose args around which the function is finite"):
        mx.check_grads(lambda x: x * 2, (mx.array(float("inf")),), modes=modes)


def test_a_wrong_second_derivative_is_named():
    # Right values, wrong derivatives: the inner function's rule is off by a factor.
    cosine = mx.custom_function(mx.cos)
    cosine.vjp(lambda x, ct, out: ct * mx.sin(x))  # the sign
    cosine.jvp(lambda x, t: t * mx.sin(x))
    sine = mx.custom_function(mx.sin)
    sine.vjp(lambda x, ct, out: ct * cosine(x))
    sine.jvp(lambda x, t: t * cosine(x))
    x = random(3)
    mx.check_grads(sine, (x,), order=1)
    with pytest.raises(AssertionError, match=r'mode "fwd", order 2: the jvp of the jvp with respect to args\[0\]'):
        mx.check_grads(sine, (x,), order=2)
    with pytest.raises(AssertionError, match=r'mode "rev", order 2: the vjp of the vjp with respect to args\[0\]'):
        mx.check_grads(sine, (x,), order=2, modes="rev")


def test_a_nan_is_no_agreement():
    with pytest.raises(AssertionError, match="nan"):
        mx.check_grads(lambda x: mx.sqrt(x - 10), (random(3),))


def test_tolerances_and_step():
    f = wrong(jvp=lambda p, t: right_jvp(p, t) * 1.0001, vjp=lambda *a: {"x": right_vjp(*a)["x"] * 1.0001, "y": right_vjp(*a)["y"]})
    with pytest.raises(AssertionError):
        mx.check_grads(f, (P,), order=1)
    mx.check_grads(f, (P,), order=1, rtol=1e-2)
    mx.check_grads(f, (P,), order=1, atol=1e-2)
    with pytest.raises(AssertionError, match="eps 3"):
        mx.check_grads(mx.sin, (random(3),), eps=3)


def test_errors():
    x = random(2)
    with pytest.raises(ValueError, match="order is 0"):
        mx.check_grads(mx.sin, (x,), order=0)
    with pytest.raises(ValueError, match="modes holds 'forward'"):
        mx.check_grads(mx.sin, (x,), modes="forward")
    with pytest.raises(ValueError, match="modes is empty"):
        mx.check_grads(mx.sin, (x,), modes=())
    with pytest.raises(ValueError, match="nothing to differentiate"):
        mx.check_grads(lambda n: n, (mx.array([1]),))
    with pytest.raises(TypeError, match="should be a callable"):
        mx.check_grads(3, (x,))
    with pytest.raises(ZeroDivisionError):
        mx.check_grads(lambda x: 1 / 0, (x,))


def test_example():
    test = doctest.DocTestParser().get_doctest(mx.check_grads.__doc__, {"mx": mx}, "check_grads", None, None)
    said = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(said)
