"""jacfwd, jacrev, jacobian, value_and_jacobian and hessian: against central differences and closed forms; trees, chunks, complex
arrays, and composition with the other transforms."""

import doctest

import mlx.core as mx
import numpy as np
import pytest

import differences

MODES = [mx.jacfwd, mx.jacrev, mx.jacobian]
RNG = np.random.default_rng(7)


def random(*shape):
    return mx.array(RNG.uniform(0.5, 1.5, shape), mx.float64)


def close(x, y, tolerance=1e-11):
    np.testing.assert_allclose(np.array(x), np.array(y), rtol=tolerance, atol=tolerance)


def by_differences(f, x):
    """The Jacobian of a function of one real array, column by column."""
    columns = []
    for i in range(x.size):
        unit = np.zeros(x.size)
        unit[i] = 1
        columns.append(differences.central(lambda v: [f(v)], [x], [mx.array(unit.reshape(x.shape), mx.float64)])[0])
    return np.stack(columns, -1).reshape(columns[0].shape + x.shape)


WEIGHTS = random(4, 3)
FUNCTIONS = {
    "elementwise": (lambda x: mx.sin(x) * x, (5,)),
    "matrix": (lambda x: mx.tanh(WEIGHTS @ x), (3,)),
    "to matrix": (lambda x: mx.outer(x, x[:2]), (3,)),
    "from matrix": (lambda x: mx.logsumexp(x, axis=1), (2, 3)),
    "to scalar": (lambda x: mx.sum(mx.exp(x) * x[::-1]), (4,)),
    "from scalar": (lambda x: mx.stack([x, x * x, mx.log(x)]), ()),
    "scalar": (lambda x: x ** 3, ()),
    "scan and sort": (lambda x: mx.cumsum(mx.sort(x)) * x, (4,)),
    "pieces": (lambda x: mx.concatenate([x[1:], x[:1] * x[2:]]), (3,)),
    "single element": (lambda x: x * mx.ones((3, 1), mx.float64), (1, 1)),
    "constant": (lambda x: mx.ones((2, 2), mx.float64), (3,)),
    "checkpointed": (mx.checkpoint(lambda x: mx.sin(x) @ WEIGHTS), (4,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_against_differences(mode, name):
    f, shape = FUNCTIONS[name]
    x = random(*shape)
    jacobian = mode(f)(x)
    assert jacobian.shape == f(x).shape + x.shape and jacobian.dtype == mx.float64
    close(jacobian, by_differences(f, x), 1e-8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [1, 2, 3, 4, 100, "auto"])
def test_chunks_change_nothing(mode, chunk_size):
    x = random(4)
    f = FUNCTIONS["to scalar"][0] if mode is mx.jacfwd else FUNCTIONS["elementwise"][0]
    np.testing.assert_array_equal(np.array(mode(f, chunk_size=chunk_size)(x)), np.array(mode(f)(x)))


@pytest.mark.parametrize("mode", MODES + [mx.hessian])
def test_the_function_runs_once(mode):
    calls = []

    def f(x):
        calls.append(x.shape)
        return x * x * mx.random.uniform(shape=x.shape)

    mx.eval(mode(f, chunk_size=2)(mx.ones((5,))))
    assert calls == [(5,)]


def test_automatic_mode_picks_the_shorter_side():
    seen = []
    f = mx.custom_function(lambda x: x * 2)
    f.vjp(lambda p, ct, out: (seen.append("reverse"), ct * 2)[1])
    f.jvp(lambda p, t: (seen.append("forward"), t * 2)[1])
    x = random(3)
    for function, mode in [(lambda x: mx.tile(f(x), (2,)), "forward"), (lambda x: mx.sum(f(x)), "reverse"), (f, "forward")]:
        seen.clear()
        mx.eval(mx.jacobian(function)(x))
        assert set(seen) == {mode}


def test_sides_without_elements():
    empty = mx.zeros((0, 2))
    for mode in MODES:
        assert mode(lambda x: x.sum(1))(empty).shape == (0, 0, 2)
        assert mode(lambda x: x.sum())(empty).shape == (0, 2)
        assert mode(lambda x: x[:0])(mx.ones((3,))).shape == (0, 3)
    assert mx.hessian(lambda x: x.sum())(empty).shape == (0, 2, 0, 2)


# --- trees and arguments ---


@pytest.mark.parametrize("mode", MODES)
def test_trees(mode):
    params = {"w": random(2, 3), "b": [random(2)]}
    x = random(3)

    def f(params, x):
        y = params["w"] @ x + params["b"][0]
        return {"y": y, "parts": (mx.sum(y * y), params["w"] * 2)}

    jacobian = mode(f)(params, x)
    close(jacobian["y"]["w"], np.einsum("ij,k->ijk", np.eye(2), np.array(x)))
    close(jacobian["y"]["b"][0], np.eye(2))
    y = np.array(f(params, x)["y"])
    close(jacobian["parts"][0]["w"], 2 * np.outer(y, np.array(x)))
    close(jacobian["parts"][0]["b"][0], 2 * y)
    close(jacobian["parts"][1]["w"], 2 * np.eye(6).reshape(2, 3, 2, 3))
    close(jacobian["parts"][1]["b"][0], np.zeros((2, 3, 2)))


@pytest.mark.parametrize("mode", MODES)
def test_which_arguments(mode):
    def f(x, y, scale=1.0):
        return x * y * scale

    x, y = random(2), random(2)
    dx, dy = np.diag(np.array(y)), np.diag(np.array(x))
    close(mode(f)(x, y), dx)
    close(mode(f, argnums=-1)(x, y), dy)
    both = mode(f, argnums=(0, 1))(x, y)
    assert isinstance(both, tuple)
    close(both[0], dx), close(both[1], dy)
    close(mode(f, 1)(x, y), dy)
    positional, named = mode(f, argnames="scale")(x, y, scale=mx.array(2.0, mx.float64))
    assert positional is None
    close(named["scale"], np.array(x) * np.array(y))
    close(mode(lambda x: x * y)(3.0), np.array(y), 1e-6)  # a number is a float32


def test_auxiliary_values():
    x = random(3)
    jacobian, aux = mx.jacobian(lambda x: (x * x, {"sum": x.sum(), "text": "t"}), has_aux=True)(x)
    close(jacobian, np.diag(2 * np.array(x)))
    close(aux["sum"], np.array(x).sum())
    assert aux["text"] == "t"
    (value, aux), jacobian = mx.value_and_jacobian(lambda x: ([x * x], 5), has_aux=True)(x)
    close(value[0], np.array(x) ** 2), close(jacobian[0], np.diag(2 * np.array(x)))
    assert aux == 5
    hessian, aux = mx.hessian(lambda x: (mx.sum(x ** 3), "aux"), has_aux=True)(x)
    close(hessian, np.diag(6 * np.array(x)))
    assert aux == "aux"
    value, jacobian = mx.value_and_jacobian(lambda x: x * x)(x)
    close(value, np.array(x) ** 2), close(jacobian, np.diag(2 * np.array(x)))


@pytest.mark.parametrize("mode", [*MODES, mx.hessian, mx.value_and_jacobian])
def test_errors(mode):
    with pytest.raises(TypeError, match=r"\[\w+\] params\['n'\] has dtype int32; gradients exist"):
        mode(lambda params: params["x"])({"x": mx.ones(3), "n": mx.array([1])})
    with pytest.raises(TypeError, match=r"output\['flag'\] of dtype bool"):
        mode(lambda x: {"y": x, "flag": x > 0})(mx.ones(3))
    with pytest.raises(TypeError, match=r"output\[1\], a str"):
        mode(lambda x: (x, "aux"))(mx.ones(3))
    with pytest.raises(TypeError, match="should return a pair"):
        mode(lambda x: x, has_aux=True)(mx.ones(3))
    with pytest.raises(ValueError, match="argument 1, but the function was called with 1"):
        mode(lambda x: x, argnums=1)(mx.ones(3))
    with pytest.raises(ValueError, match="chunk_size is 0"):
        mode(lambda x: x, chunk_size=0)
    with pytest.raises(TypeError, match="chunk_size is 'all'"):
        mode(lambda x: x, chunk_size="all")
    with pytest.raises(TypeError, match="should be a callable"):
        mode(3)
    with pytest.raises(ZeroDivisionError):
        mode(lambda x: 1 / 0)(mx.ones(3))


# --- complex arrays ---


def complex_random(*shape):
    return mx.array(RNG.uniform(0.5, 1.5, shape) + 1j * RNG.uniform(0.5, 1.5, shape), mx.complex128)


@pytest.mark.parametrize("mode", MODES)
def test_holomorphic(mode):
    z = complex_random(3)
    n = np.array(z)
    close(mode(lambda z: z * z)(z), np.diag(2 * n))
    close(mode(lambda z: mx.sum(mx.exp(z)))(z), np.exp(n))
    matrix = complex_random(2, 3)
    close(mode(lambda z: matrix @ z)(z), np.array(matrix))


@pytest.mark.parametrize("mode", MODES)
def test_real_function_of_complex_arguments(mode):
    # |z|^2 = x^2 + y^2: df/dx - i df/dy = 2 (x - i y)
    z = complex_random(3)
    jacobian = mode(lambda z: mx.real(z * mx.conjugate(z)))(z)
    close(jacobian, np.diag(2 * np.conj(np.array(z))))
    gradient = mx.grad(lambda z: mx.sum(mx.real(z * mx.conjugate(z))))(z)
    close(mode(lambda z: mx.sum(mx.real(z * mx.conjugate(z))))(z), np.conj(np.array(gradient)))
    real, imaginary = mode(lambda z: (mx.real(z), mx.imag(z)))(z)
    close(real, np.eye(3)), close(imaginary, -1j * np.eye(3))


@pytest.mark.parametrize("mode", MODES)
def test_complex_function_of_real_arguments(mode):
    x = random(3)
    jacobian = mode(lambda x: mx.exp(x * mx.array(1j, mx.complex128)))(x)
    assert jacobian.dtype == mx.complex128
    close(jacobian, np.diag(1j * np.exp(1j * np.array(x))))
    z = complex_random(3)
    by_x, by_z = mode(lambda x, z: x * z, argnums=(0, 1))(x, z)
    close(by_x, np.diag(np.array(z))), close(by_z, np.diag(np.array(x)))


# --- second order and composition ---


def loss(x):
    return mx.sum(mx.sin(x) * x[::-1] ** 2)


def hessian_by_differences(f, x):
    return by_differences(mx.grad(f), x)


def test_hessian():
    x = random(4)
    expected = hessian_by_differences(loss, x)
    close(mx.hessian(loss)(x), expected, 1e-8)
    for outer in MODES:
        for inner in MODES:
            close(outer(inner(loss))(x), expected, 1e-8)
    for chunk_size in [1, 3, "auto"]:
        np.testing.assert_array_equal(np.array(mx.hessian(loss, chunk_size=chunk_size)(x)), np.array(mx.hessian(loss)(x)))
    close(mx.hessian(lambda x: x * x * x[::-1])(x), by_differences(mx.jacfwd(lambda x: x * x * x[::-1]), x), 1e-8)


def test_hessian_of_trees():
    p = {"a": random(2), "b": random(3)}

    def f(p, c):
        return c * mx.sum(mx.outer(p["a"], p["b"]) ** 2)

    h = mx.hessian(f, argnums=(0, 1))(p, mx.array(2.0, mx.float64))
    a, b = np.array(p["a"]), np.array(p["b"])
    close(h[0]["a"][0]["a"], 4 * np.eye(2) * (b ** 2).sum())
    close(h[0]["a"][0]["b"], 8 * np.outer(a, b))
    close(h[0]["b"][0]["a"], 8 * np.outer(b, a))
    close(h[0]["a"][1], 2 * a * (b ** 2).sum())
    close(h[1][0]["b"], 2 * b * (a ** 2).sum())
    close(h[1][1], 0)


def test_third_derivatives():
    x = random(3)
    expected = by_differences(mx.hessian(loss), x)
    close(mx.jacfwd(mx.hessian(loss))(x), expected, 1e-7)
    close(mx.jacrev(mx.hessian(loss))(x), expected, 1e-7)
    close(mx.hessian(mx.grad(loss))(x), expected, 1e-7)


@pytest.mark.parametrize("inner", [*MODES, mx.hessian])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_under_vmap(inner, chunk_size):
    xs = random(5, 3)
    each = mx.stack([inner(loss)(xs[i]) for i in range(5)])
    close(mx.vmap(inner(loss, chunk_size=chunk_size), chunk_size=chunk_size)(xs), each)
    close(mx.vmap(inner(loss), in_axes=1, out_axes=-1)(xs.T), np.moveaxis(np.array(each), 0, -1))


@pytest.mark.parametrize("mode", MODES)
def test_under_grad_and_jvp(mode):
    x, t = random(3), random(3)

    def penalty(x):
        return mx.sum(mode(lambda y: mx.sin(y) * y[::-1])(x) ** 2)

    gradient = mx.grad(penalty)(x)
    close(gradient, by_differences(penalty, x), 1e-8)
    close(mx.jvp(penalty, [x], [t])[1][0], np.dot(np.array(gradient), np.array(t)))
    close(mode(mx.vmap(lambda v: v * v * v))(x), np.diag(3 * np.array(x) ** 2))


@pytest.mark.parametrize("mode", MODES)
def test_a_captured_argument_is_constant(mode):
    x = random(2)
    close(mode(lambda y: y * x)(x), np.diag(np.array(x)))
    # d/dx sum_ij (d(y x)/dy)_ij = 1
    close(mx.grad(lambda x: mx.sum(mode(lambda y: y * x)(x)))(x), np.ones(2))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_dtypes(dtype):
    for mode in MODES:
        jacobian = mode(lambda x: x * x)(mx.array([1.0, 2.0], dtype))
        assert jacobian.dtype == dtype
        np.testing.assert_array_equal(np.array(jacobian.astype(mx.float32)), np.diag([2.0, 4.0]))


def test_chunks_save_memory():
    n = 600
    x = mx.array(RNG.standard_normal(n), mx.float32)

    def f(x):
        for _ in range(3):
            x = mx.sin(mx.concatenate([x, mx.cumsum(x) / n]))
        return x[:4]

    def peak(chunk_size):
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(mx.jacfwd(f, chunk_size=chunk_size)(x))
        return mx.get_peak_memory() - before

    assert peak(20) < 0.5 * peak(None)


@pytest.mark.parametrize("name", ["jacobian", "jacfwd", "jacrev", "value_and_jacobian", "hessian", "linearize", "hvp"])
def test_examples(name):
    test = doctest.DocTestParser().get_doctest(getattr(mx, name).__doc__, {"mx": mx}, name, None, None)
    assert test.examples
    said = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(said)


@pytest.mark.peers
def test_like_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    w = RNG.uniform(-1, 1, (3, 4))
    p, x = {"w": w, "b": RNG.uniform(-1, 1, 3)}, RNG.uniform(-1, 1, 4)

    def f(np_like):
        return lambda p, x: {"y": np_like.tanh(p["w"] @ x + p["b"]), "z": (np_like.sum(x * x),)}

    q = {k: mx.array(v, mx.float64) for k, v in p.items()}
    y = mx.array(x, mx.float64)
    for ours, theirs in [(mx.jacfwd, jax.jacfwd), (mx.jacrev, jax.jacrev), (mx.hessian, jax.hessian)]:
        a = ours(f(mx), argnums=(0, 1))(q, y)
        b = theirs(f(jnp), argnums=(0, 1))(p, x)
        a_leaves, b_leaves = jax.tree.leaves(jax.tree.map(np.array, a)), jax.tree.leaves(b)
        assert len(a_leaves) == len(b_leaves)
        for u, v in zip(a_leaves, b_leaves):
            assert u.shape == v.shape
            close(u, v)
