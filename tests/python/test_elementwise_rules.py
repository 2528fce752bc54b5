"""Derivatives of elementwise ops where they are easy to get wrong: ties, poles, removable points, complex arguments, higher
orders, large arguments; and the dtype rules that no grid over equal dtypes sees."""

import math

import mlx.core as mx
import numpy as np
import pytest

F64, C128 = mx.float64, mx.complex128
INF, NAN = math.inf, math.nan


def f64(x):
    return mx.array(x, dtype=F64)


def c128(z):
    return mx.array(z, dtype=C128)


def jvp(f, x, t):
    return mx.jvp(f, [x], [t])[1][0]


def close(got, expected, tolerance=1e-9):
    np.testing.assert_allclose(np.array(got), expected, rtol=tolerance, atol=tolerance)


def same_in_both_modes(f, x, expected, tolerance=1e-6):
    """The derivative of an elementwise f, by reverse and by forward mode."""
    x = mx.array(x)
    close(mx.grad(lambda v: f(v).sum())(x), expected, tolerance)
    close(jvp(f, x, mx.ones_like(x)), expected, tolerance)


# --- every differentiable op: both modes against differences, first and second order ---

UNARY = [op for op in mx._registry() if op["arity"] == 1 and op["differentiable"] == "yes"]
BINARY = [op for op in mx._registry() if op["arity"] == 2 and op["differentiable"] == "yes"]


def named(op):
    return op["name"]


def points(domain, count=7):
    low, high = domain
    return np.linspace(low, high, count + 2)[1:-1]


def derivative(f, h=1e-4):
    """Richardson's extrapolation of central differences."""
    def difference(x, step):
        return (np.array(f(f64(x + step))) - np.array(f(f64(x - step)))) / (2 * step)
    return lambda x: (4 * difference(x, h / 2) - difference(x, h)) / 3


@pytest.mark.parametrize("op", UNARY, ids=named)
def test_unary_first_and_second_order(op):
    f = getattr(mx, op["name"])
    if mx.array(0.5, dtype=F64).dtype != f(f64(0.5)).dtype:
        pytest.skip("not a function between real numbers")
    x = points(op["domain"])
    first = lambda v: mx.grad(lambda u: f(u).sum())(v)
    close(first(f64(x)), derivative(f)(x), 1e-7)
    close(jvp(f, f64(x), mx.ones_like(f64(x))), derivative(f)(x), 1e-7)
    close(mx.grad(lambda u: first(u).sum())(f64(x)), derivative(first)(x), 1e-7)
    close(jvp(first, f64(x), mx.ones_like(f64(x))), derivative(first)(x), 1e-7)


@pytest.mark.parametrize("op", BINARY, ids=named)
@pytest.mark.parametrize("argument", [0, 1])
def test_binary_first_and_second_order(op, argument):
    if op["name"] == "make_complex":
        pytest.skip("not a function between real numbers")
    f = getattr(mx, op["name"])
    fixed = f64(points(op["domain"])[::-1] + 0.01) if argument else f64(points(op["second_domain"])[::-1] + 0.01)
    g = (lambda v: f(fixed, v)) if argument else (lambda v: f(v, fixed))
    x = points(op["second_domain"] if argument else op["domain"])
    first = lambda v: mx.grad(lambda u: g(u).sum())(v)
    close(first(f64(x)), derivative(g)(x), 1e-7)
    close(jvp(g, f64(x), mx.ones_like(f64(x))), derivative(g)(x), 1e-7)
    close(mx.grad(lambda u: first(u).sum())(f64(x)), derivative(first)(x), 1e-7)
    close(jvp(first, f64(x), mx.ones_like(f64(x))), derivative(first)(x), 1e-7)


def complex_ops(ops):
    return [op for op in ops if op["accepts"] in ("all", "inexact", "numeric", "complex")]


def check_complex(f, zs, rng):
    """f of complex arrays. jvp against differences in each direction, and vjp as its transpose, at two orders: the vjp of
    first order, a real-linear map of (z, cotangent), is itself put through jvp."""
    def directional(g, at, directions, h=1e-4):
        def difference(step):
            plus = np.array(g(*[c128(z + step * t) for z, t in zip(at, directions)]))
            minus = np.array(g(*[c128(z - step * t) for z, t in zip(at, directions)]))
            return (plus - minus) / (2 * step)
        return (4 * difference(h / 2) - difference(h)) / 3

    def random():
        return [rng.standard_normal(z.shape) + 1j * rng.standard_normal(z.shape) for z in zs]

    def inner(a, b):
        return np.sum(np.conj(np.array(a)) * np.array(b)).real

    primals, t = [c128(z) for z in zs], random()
    out, tangent = mx.jvp(f, primals, [c128(v) for v in t])
    close(tangent[0], directional(f, zs, t), 1e-7)
    ct = rng.standard_normal(out[0].shape)
    ct = mx.array(ct + 1j * rng.standard_normal(ct.shape), dtype=C128) if out[0].dtype == C128 else f64(ct)
    cotangents = mx.vjp(f, primals, [ct])[1]
    assert inner(ct, tangent[0]) == pytest.approx(sum(inner(c, v) for c, v in zip(cotangents, t)), rel=1e-9, abs=1e-9)
    for k in range(len(zs)):
        pullback = lambda *z, k=k: mx.vjp(f, list(z), [ct])[1][k]
        second = mx.jvp(pullback, primals, [c128(v) for v in t])[1][0]
        close(second, directional(pullback, zs, t), 1e-6)


@pytest.mark.parametrize("op", complex_ops(UNARY), ids=named)
def test_unary_complex(op):
    x = points(op["domain"])
    z = x + 0.5j * points(op["domain"])[::-1] + 0.05j
    check_complex(getattr(mx, op["name"]), [z], np.random.default_rng(0))


@pytest.mark.parametrize("op", complex_ops(BINARY), ids=named)
def test_binary_complex(op):
    a = points(op["domain"]) + 0.5j * points(op["domain"])[::-1] + 0.05j
    b = points(op["second_domain"])[::-1] + 0.3j * points(op["second_domain"]) + 0.01
    check_complex(getattr(mx, op["name"]), [a, b], np.random.default_rng(1))


# --- ties ---

@pytest.mark.parametrize("f", [mx.maximum, mx.minimum], ids=["maximum", "minimum"])
def test_equal_elements_share_the_gradient(f):
    a, b = mx.array([1.0, 2.0, 3.0]), mx.array([1.0, 3.0, 2.0])
    ga, gb = mx.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))(a, b)
    assert (ga + gb).tolist() == [1, 1, 1] and ga[0].item() == 0.5
    assert mx.jvp(f, [a, b], [mx.ones(3), mx.zeros(3)])[1][0].tolist() == ga.tolist()
    assert mx.jvp(f, [a, b], [mx.zeros(3), mx.ones(3)])[1][0].tolist() == gb.tolist()


def test_maximum_of_an_array_with_itself():
    same_in_both_modes(lambda x: mx.maximum(x, x), [1.0, -2.0], [1, 1])


def test_clip_shares_at_its_limits():
    same_in_both_modes(lambda x: mx.clip(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0], [0, 0.5, 1, 0.5, 0])
    low = mx.grad(lambda low: mx.clip(mx.array([-1.0, 0.0, 2.0]), low, None).sum())(mx.array(0.0))
    assert low.item() == 1.5


def test_relu_at_zero():
    same_in_both_modes(lambda x: mx.maximum(x, 0.0), [-1.0, 0.0, 1.0], [0, 0.5, 1])


def test_abs_at_zero():
    same_in_both_modes(mx.abs, [-2.0, 0.0, 3.0], [-1, 0, 1])


# --- removable points and poles ---

def test_zeroth_power_is_constant():
    same_in_both_modes(lambda x: x**0, [0.0, 2.0, -1.0], [0, 0, 0])
    same_in_both_modes(lambda x: mx.power(x, mx.array(0.0)), [0.0], [0])


def test_powers_of_zero():
    same_in_both_modes(lambda x: x**1, [0.0], [1])
    same_in_both_modes(lambda x: x**2, [0.0], [0])
    assert mx.grad(mx.grad(lambda x: x**2))(mx.array(0.0)).item() == 2
    assert mx.grad(mx.grad(lambda x: x**1))(mx.array(0.0)).item() == 0
    assert mx.grad(mx.grad(mx.grad(lambda x: x**3)))(mx.array(0.0)).item() == 6


def test_power_of_zero_with_respect_to_the_exponent():
    same_in_both_modes(lambda b: mx.power(mx.array(0.0), b), [2.0, 0.5, 0.0], [0, 0, 0])


def test_integer_powers_of_negative_numbers():
    same_in_both_modes(lambda x: mx.power(x, mx.array(3.0)), [-2.0], [12])
    same_in_both_modes(lambda x: x**-2, [-2.0], [0.25])
    assert mx.grad(mx.grad(lambda x: x**3))(mx.array(-2.0)).item() == -12


def test_a_branch_not_taken_does_not_leak_nan():
    def f(x):
        return mx.where(x > 0, mx.sqrt(x) + mx.log(x) + 1 / x, 0.0)
    same_in_both_modes(f, [0.0, -1.0], [0, 0])
    second = mx.grad(lambda x: mx.grad(lambda x: f(x).sum())(x).sum())(mx.array([0.0, 1.0]))
    close(second, [0, -0.25 - 1 + 2])


@pytest.mark.parametrize("f, expected", [(mx.sqrt, INF), (mx.log, INF), (mx.rsqrt, -INF), (mx.reciprocal, -INF)])
def test_poles_are_infinite(f, expected):
    assert mx.grad(f)(mx.array(0.0)).item() == expected


def test_logaddexp_of_infinities():
    a = mx.array([-INF, INF, -INF, INF, 0.0, 1000.0])
    b = mx.array([-INF, INF, 0.0, -INF, INF, 1000.0])
    ga, gb = mx.grad(lambda a, b: mx.logaddexp(a, b).sum(), argnums=(0, 1))(a, b)
    assert ga.tolist() == [0.5, 0.5, 0, 1, 0, 0.5]
    assert gb.tolist() == [0.5, 0.5, 1, 0, 1, 0.5]


def test_second_derivative_of_logaddexp_where_equal():
    f = lambda a: mx.logaddexp(a, mx.array(1.0))
    close(mx.grad(mx.grad(f))(mx.array(1.0)), 0.25)


def test_arctan2_at_the_origin():
    f = lambda a, b: mx.arctan2(a, b)
    assert [g.item() for g in mx.grad(f, argnums=(0, 1))(mx.array(0.0), mx.array(0.0))] == [0, 0]


# --- large arguments ---

def test_tanh_far_out():
    for x in (50.0, 100.0, -100.0, 1e30, INF):
        assert mx.grad(mx.tanh)(mx.array(x)).item() == 0
        assert mx.grad(mx.grad(mx.tanh))(mx.array(x)).item() == 0
        assert jvp(mx.grad(mx.tanh), mx.array(x), mx.array(1.0)).item() == 0
        assert mx.grad(mx.grad(mx.grad(mx.tanh)))(mx.array(x)).item() == 0


def test_sigmoid_keeps_its_small_derivatives():
    for x in (40.0, -40.0):
        close(mx.grad(mx.sigmoid)(f64(x)) * math.exp(40), 1, 1e-12)
        close(mx.grad(mx.sigmoid)(mx.array(x)) * math.exp(40), 1, 1e-5)
    for x in (1000.0, -1000.0):
        assert mx.grad(mx.sigmoid)(mx.array(x)).item() == 0
        assert mx.grad(mx.grad(mx.sigmoid))(mx.array(x)).item() == 0


@pytest.mark.parametrize("dtype, first, last", [(mx.float32, -105, -84), (mx.float64, -747, -704)])
def test_sigmoid_is_the_exponential_far_out(dtype, first, last):
    """To the bit, also where both are subnormal, with numbers on the other side of 0 and NaN in the same vectors."""
    x = np.linspace(first, last, 1001)
    x[::7], x[3::50], x[5] = -x[::7], 0.5, np.nan
    x = mx.array(x, mx.float64).astype(dtype)
    y, e = np.array(mx.sigmoid(x)), np.array(mx.exp(x))
    far = np.array(x) < -50
    assert (y[far] == e[far]).all() and (y[far] == 0).any() and (y[np.array(x) > 50] == 1).all() and np.isnan(y[5])


@pytest.mark.parametrize("others", [0.3, 0.9999])  # whether its vector's other elements lie in the middle
def test_erfinv_at_its_ends(others):
    """Zeros keep their signs, 1 and -1 are poles, and there is nothing beyond."""
    special = np.array([0.0, -0.0, 1.0, -1.0, 1.5, -2.0, np.inf, -np.inf, np.nan, np.nextafter(np.float32(1), 0), 1e-45], "float32")
    want = [0.0, -0.0, np.inf, -np.inf, np.nan, np.nan, np.nan, np.nan, np.nan, 3.8325069, 1e-45]
    for at, (x, y) in enumerate(zip(special, want)):
        values = np.full(37, others, "float32")
        values[3 * at] = x
        got = np.array(mx.erfinv(mx.array(values)))
        np.testing.assert_allclose(got[3 * at], np.float32(y), rtol=1e-6)
        assert np.signbit(got[3 * at]) == np.signbit(x) or np.isnan(y)
        assert (np.delete(got, 3 * at) == mx.erfinv(mx.array(others)).item()).all()


def test_expm1_keeps_its_small_derivatives():
    close(mx.grad(mx.expm1)(f64(-50.0)) * math.exp(50), 1, 1e-12)


def test_erf_derivatives_vanish_far_out():
    assert mx.grad(mx.erf)(mx.array(100.0)).item() == 0
    assert mx.grad(mx.grad(mx.erf))(mx.array(100.0)).item() == 0


# --- complex numbers ---

def test_second_derivative_of_complex_abs():
    f = lambda x: mx.abs(x + c128(2j))
    close(mx.grad(mx.grad(f))(f64(1.0)), 4 / 5**1.5)
    close(jvp(mx.grad(f), f64(1.0), f64(1.0)), 4 / 5**1.5)


def test_complex_abs_and_sign_at_zero():
    z = c128([0j, 3 + 4j])
    assert mx.vjp(mx.abs, [z], [f64([1.0, 1.0])])[1][0].tolist() == [0, 0.6 + 0.8j]
    assert jvp(mx.abs, z, c128([1 + 1j, 1j])).tolist() == [0, 0.8]
    assert jvp(mx.sign, z, c128([1 + 1j, 3 + 4j]))[0].item() == 0
    close(jvp(mx.sign, z, c128([0, 3 + 4j])), [0, 0])  # along z the sign is constant


def test_complex_power_along_the_imaginary_axis():
    f = lambda y: mx.real(mx.power(1 + c128(1j) * y, c128(2 + 1j)))
    close(mx.grad(f)(f64(1.0)), -1.4413587712813758, 1e-8)
    close(jvp(f, f64(1.0), f64(1.0)), -1.4413587712813758, 1e-8)


def test_gradients_of_real_arguments_are_real():
    g = mx.grad(lambda x: mx.real(c128(3 + 4j) * x))(f64(2.0))
    assert g.dtype == F64 and g.item() == 3
    g = mx.grad(lambda x: mx.imag(x.astype(mx.complex64) * mx.array(3 + 4j)))(mx.array(2.0))
    assert g.dtype == mx.float32 and g.item() == 4


def test_vjp_is_the_conjugate_convention():
    """ct * conj(d), as in MLX and PyTorch."""
    z, ct = c128(1 + 2j), c128(0.5 - 1j)
    d = 2 * (1 + 2j)
    close(mx.vjp(mx.square, [z], [ct])[1][0], (0.5 - 1j) * d.conjugate())


@pytest.mark.parametrize("f, reference", [
    (mx.expm1, np.expm1), (mx.sigmoid, lambda z: 1 / (1 + np.exp(-z)))], ids=["expm1", "sigmoid"])
def test_complex_arguments_that_mlx_refuses(f, reference):
    z = np.array([0.3 + 0.4j, -2 + 1j])
    close(f(c128(z)), reference(z), 1e-14)
    close(f(mx.array(z.astype(np.complex64))), reference(z), 1e-6)


# --- integers and bool inside a differentiated function ---

def test_casts_to_integers_have_no_derivative():
    same_in_both_modes(lambda x: x.astype(mx.int32).astype(mx.float32), [2.7, -0.2], [0, 0])
    same_in_both_modes(lambda x: (x > 0).astype(mx.float32) * x, [2.0, -2.0], [1, 0])


def test_cast_between_real_and_complex():
    z = mx.vjp(lambda x: x.astype(mx.complex64), [mx.array(2.0)], [mx.array(3 + 4j)])[1][0]
    assert z.dtype == mx.float32 and z.item() == 3
    x = mx.vjp(lambda z: z.astype(mx.float32), [mx.array(1 + 2j)], [mx.array(3.0)])[1][0]
    assert x.dtype == mx.complex64 and x.item() == 3
    assert jvp(lambda z: z.astype(mx.float32), mx.array(1 + 2j), mx.array(3 + 4j)).item() == 3


def test_cast_to_its_own_dtype_is_the_array():
    x = mx.array([1.0])
    assert jvp(lambda v: v.astype(mx.float32), x, x).item() == 1


@pytest.mark.parametrize("name", [op["name"] for op in mx._registry()
                                  if op["arity"] and op["differentiable"] != "yes" and op["accepts"] != "integral"])
def test_piecewise_constant_ops_have_zero_derivatives(name):
    f = getattr(mx, name)
    op = next(op for op in mx._registry() if op["name"] == name)
    args = [mx.array([1.3, 2.6]), mx.array([1.7, 0.8])][:op["arity"]]
    g = mx.grad(lambda a: (f(a, *args[1:]).astype(mx.float32) * a).sum())(args[0])
    assert g.tolist() == f(*args).astype(mx.float32).tolist()
    tangent = mx.jvp(lambda a: f(a, *args[1:]).astype(mx.float32) * a, args[:1], [mx.ones(2)])[1][0]
    assert tangent.tolist() == g.tolist()


def test_bitwise_ops_inside_a_differentiated_function():
    f = lambda x: x * mx.bitwise_invert(mx.bitwise_and(x.astype(mx.int32), mx.array(6))).astype(mx.float32)
    same_in_both_modes(f, [5.0], [-5])


def test_logical_ops_inside_a_differentiated_function():
    f = lambda x: mx.where(mx.logical_and(x > 0, mx.array([True, False])[:, None]), x * x, x)
    close(mx.grad(lambda x: f(x).sum())(mx.array([3.0, -1.0])), [6 + 1, 2])


def test_rounding_to_decimals_has_zero_derivative():
    same_in_both_modes(lambda x: mx.round(x, 1) + x, [1.26, INF], [1, 1])


def test_remainder_and_divmod():
    for f in (mx.remainder, lambda a, b: mx.divmod(a, b)[1]):
        ga, gb = mx.grad(f, argnums=(0, 1))(mx.array(7.3), mx.array(2.0))
        assert (ga.item(), gb.item()) == (1, -3)
        assert mx.jvp(f, [mx.array(-7.3), mx.array(2.0)], [mx.array(0.0), mx.array(1.0)])[1][0].item() == 4
    q = mx.grad(lambda a: mx.divmod(a, mx.array(2.0))[0] + mx.floor_divide(a, mx.array(2.0)))(mx.array(7.3))
    assert q.item() == 0


def test_nan_to_num_passes_the_gradient_where_it_changes_nothing():
    same_in_both_modes(mx.nan_to_num, [1.0, INF, NAN, -INF], [1, 0, 0, 0])


def test_zero_times_hides_infinities_at_every_order():
    f = lambda x: mx.zero_times(mx.array(0.0), 1 / x)
    for g in (f, mx.grad(f), mx.grad(mx.grad(f))):
        assert g(mx.array(0.0)).item() == 0


# --- broadcasting ---

def test_gradients_of_broadcast_arguments_are_summed():
    a, b = mx.ones((3, 1)), mx.ones((4,))
    for f in (mx.add, mx.multiply, mx.divide, mx.maximum, mx.power, mx.arctan2, mx.logaddexp):
        ga, gb = mx.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))(a, b)
        assert ga.shape == (3, 1) and gb.shape == (4,)
    gx, gy = mx.grad(lambda x, y: mx.where(mx.array([[True], [False]]), x, y).sum(), argnums=(0, 1))(a[:2], b)
    assert gx.tolist() == [[4], [0]] and gy.tolist() == [1, 1, 1, 1]


# --- dtypes ---

@pytest.mark.parametrize("name", [d for d in (
    "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128").split()])
def test_result_dtypes(name):
    dtype = getattr(mx, name)
    x = mx.array([1, 1]).astype(dtype)
    inexact = dtype if name.startswith(("float", "bfloat", "complex")) else mx.float32
    for f in (mx.sin, mx.exp, mx.sqrt, mx.degrees, mx.sigmoid, mx.reciprocal):
        assert f(x).dtype == inexact
    assert mx.divide(x, x).dtype == inexact
    for f in (mx.add, mx.subtract, mx.multiply, mx.power, mx.maximum):
        assert f(x, x).dtype == dtype
    for f in (mx.square, mx.sign, mx.conjugate, mx.nan_to_num, mx.positive):
        assert f(x).dtype == dtype
    real = {"complex64": mx.float32, "complex128": mx.float64}.get(name, dtype)
    for f in (mx.abs, mx.real, mx.imag):
        assert f(x).dtype == real
    for f in (mx.isnan, mx.isinf, mx.isfinite, mx.isposinf, mx.isneginf, mx.logical_not):
        assert f(x).dtype == mx.bool_
    for f in (mx.equal, mx.less, mx.logical_and, mx.logical_xor, mx.isclose):
        assert f(x, x).dtype == mx.bool_


def test_arithmetic_on_bool():
    a, b = mx.array([True, True, False, False]), mx.array([True, False, True, False])
    assert (a + b).tolist() == [True, True, True, False]
    assert (a - b).tolist() == [False, True, True, False]
    assert (a * b).tolist() == [True, False, False, False]
    assert mx.power(a, b).tolist() == [True, True, False, True]
    assert mx.maximum(a, b).tolist() == [True, True, True, False]
    assert mx.abs(a).tolist() == mx.sign(a).tolist() == mx.square(a).tolist() == a.tolist()
    assert mx.left_shift(a, b).dtype == mx.uint8 and mx.left_shift(a, b).tolist() == [2, 1, 0, 0]


def test_logic_reads_each_operand_in_its_own_dtype():
    tiny = mx.array([1e-300], dtype=F64)
    assert mx.logical_and(tiny, mx.array([1j])).tolist() == [True]


@pytest.mark.parametrize("call, message", [
    (lambda: mx.negative(mx.array([True])), r"\[negative\] a has dtype bool.*logical_not"),
    (lambda: mx.bitwise_and(mx.array([1.0]), mx.array([1])), r"\[bitwise_and\] a has dtype float32 and b has dtype int32"),
    (lambda: mx.bitwise_invert(mx.array([1.0])), r"\[bitwise_invert\] a has dtype float32"),
    (lambda: mx.floor(mx.array([1j])), r"\[floor\] a has dtype complex64.*real\(a\)"),
    (lambda: mx.erf(mx.array([1j])), r"\[erf\] a has dtype complex64"),
    (lambda: mx.arctan2(mx.array([1j]), mx.array([1.0])), r"\[arctan2\] a has dtype complex64"),
    (lambda: mx.remainder(mx.array([1j]), mx.array([1.0])), r"\[remainder\] a has dtype complex64"),
    (lambda: mx.divmod(mx.array([1j]), mx.array([1.0])), r"\[divmod\] a has dtype complex64"),
    (lambda: mx.add(mx.ones(2), mx.ones(3)), r"\[add\]"),
    (lambda: mx.where(mx.ones(2), mx.ones(3), 0.0), r"\[where\]"),
])
def test_errors_name_the_op_and_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- composites ---

def test_round_to_decimals():
    assert mx.round(mx.array([12345, 15, 25, -15, -25, 5, -5]), -1).tolist() == [12340, 20, 20, -20, -20, 0, 0]
    assert mx.round(mx.array([123456789]), -2).tolist() == [123456800]  # float32 would lose the digits
    assert mx.round(mx.array([127, -128], dtype=mx.int8), -3).tolist() == [0, 0]
    assert mx.round(mx.array([12345.0, 15, 25]), -1).tolist() == [12340, 20, 20]
    assert mx.round(mx.array([True, False]), -1).tolist() == [False, False]
    assert mx.round(mx.array([3, 4]), 2).tolist() == [3, 4]
    close(mx.round(mx.array([1.25 + 2.35j]), 1), [1.2 + 2.4j], 1e-6)
    huge = mx.array([3e38, -INF, 1.5])
    assert mx.round(huge, 30).tolist() == huge.tolist()
    assert mx.round(mx.array([1.25, 300.0]).astype(mx.float16), 6).tolist() == [1.25, 300]


def test_nan_to_num_of_every_inexact_dtype():
    for name, top in (("float16", 65504.0), ("bfloat16", 2.0**127 * 1.9921875),
                      ("float32", float(np.finfo(np.float32).max)), ("float64", float(np.finfo(np.float64).max))):
        x = mx.array([NAN, INF, -INF, 1.0], dtype=getattr(mx, name))
        assert mx.nan_to_num(x).tolist() == [0, top, -top, 1]
    assert mx.nan_to_num(mx.array([complex(NAN, INF)]), posinf=2).tolist() == [2j]


def test_isclose():
    a, b = mx.array([1.0, INF, INF, NAN, 1.0, INF]), mx.array([1.000001, INF, -INF, NAN, INF, 1.0])
    assert mx.isclose(a, b).tolist() == [True, True, False, False, False, False]
    assert mx.isclose(a, b, equal_nan=True).tolist() == [True, True, False, True, False, False]
    assert not mx.isclose(f64(1.0), f64(1.0 + 1e-9), rtol=0.0, atol=1e-10).item()
    assert mx.allclose(f64([1.0]), f64([1.0 + 1e-9])).item()


def test_array_equal():
    x = mx.array([1.0, NAN])
    assert not mx.array_equal(x, x).item() and mx.array_equal(x, x, equal_nan=True).item()
    assert mx.array_equal(mx.array([1, 2]), mx.array([1.0, 2.0])).item()
    assert not mx.array_equal(mx.array([1, 2]), mx.array([1, 2, 3])).item()
