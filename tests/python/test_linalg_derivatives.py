"""Derivatives of linear algebra where matrices are singular, lack rank, or have equal singular values or eigenvalues: what the
mathematics gives, in both modes and in second order."""

import mlx.core as mx
import numpy as np
import pytest

from differences import central, direction

L = mx.linalg
F64 = mx.float64
EYE = mx.eye(3, dtype=F64)
RNG = np.random.default_rng(3)


def drawn(*shape):
    return mx.array(RNG.normal(size=shape), F64)


def orthogonal(n):
    return mx.array(np.linalg.qr(RNG.normal(size=(n, n)))[0], F64)


def near(got, expected, tolerance=1e-9):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * (1 + np.abs(expected).max()), (got, expected)


def hessian_along(f, x, t):
    """By each nesting of the modes."""
    gradient = mx.grad(f)
    yield mx.jvp(gradient, [x], [t])[1][0]
    yield mx.grad(lambda x: (gradient(x) * t).sum())(x)
    yield mx.grad(lambda x: mx.jvp(f, [x], [t])[1][0])(x)


def check(f, x, gradient=None, second=True, tolerance=1e-6, directions=None):
    """First and second derivatives against differences, or a known gradient."""
    moves = directions or [direction(RNG, x) for _ in range(2)]
    for t in moves:
        slope = central(lambda x: [f(x)], [x], [t])[0]
        near(mx.jvp(f, [x], [t])[1][0], slope, tolerance)
        near((mx.grad(f)(x) * t).sum(), slope, tolerance)
        if second:
            expected = central(lambda x: [mx.grad(f)(x)], [x], [t])[0]
            for got in hessian_along(f, x, t):
                near(got, expected, tolerance)
    if gradient is not None:
        near(mx.grad(f)(x), gradient)


# --- determinants are polynomials ---

def permanent_free_cofactors(a):
    n = len(a)
    return np.array([[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) if n > 1 else 1.0 for j in range(n)]
                     for i in range(n)])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("lack", [0, 1, 2, 3])
def test_det_of_any_rank(n, lack):
    rank = max(0, n - lack)
    a = drawn(n, rank) @ drawn(rank, n) if rank < n else drawn(n, n)
    near(mx.grad(L.det)(a), permanent_free_cofactors(np.array(a)), 1e-9)
    check(L.det, a)


def test_third_and_fourth_derivatives_of_det():
    """Of the zero matrix only the derivative of order n is not 0: a sum over permutations."""
    zero = mx.zeros((3, 3), F64)
    along = lambda f, t: lambda x: mx.jvp(f, [x], [t])[1][0]
    a, b, c = drawn(3, 3), drawn(3, 3), drawn(3, 3)
    polar = lambda signs: np.linalg.det(sum(s * np.array(m) for s, m in zip(signs, (a, b, c))))
    expected = polar((1, 1, 1)) - polar((1, 1, 0)) - polar((1, 0, 1)) - polar((0, 1, 1)) + polar((1, 0, 0)) + polar((0, 1, 0)) + polar((0, 0, 1))
    near(along(along(along(L.det, a), b), c)(zero), expected)
    near((mx.grad(along(along(L.det, a), b))(zero) * c).sum(), expected)
    near((mx.grad(lambda x: (mx.grad(lambda y: (mx.grad(L.det)(y) * a).sum())(x) * b).sum())(zero) * c).sum(), expected)
    near(along(along(along(along(L.det, a), b), c), a)(zero), 0.0)
    x = drawn(3, 3)
    near(along(along(along(L.det, a), b), c)(x), expected)  # a cubic


def test_det_of_complex_and_narrow_matrices():
    x = mx.array(np.outer([1, 2j, 1 - 1j], [1j, 2, 3 + 1j]), mx.complex128)
    f = lambda a: mx.real(L.det(a) * (1 + 2j))
    near(mx.grad(f)(x), np.zeros((3, 3)))
    t = mx.array(RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3)), mx.complex128)
    expected = central(lambda x: [mx.grad(f)(x)], [x], [t])[0]
    near(mx.jvp(mx.grad(f), [x], [t])[1][0], expected, 1e-6)
    near(mx.grad(L.det)(mx.ones((2, 2))), [[1, -1], [-1, 1]], 1e-5)
    near(mx.vmap(mx.grad(L.det))(mx.stack([mx.ones((2, 2)), mx.eye(2)])), [[[1, -1], [-1, 1]], np.eye(2)], 1e-5)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.complex64, mx.complex128])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_cofactors_of_few_rows_are_exact(n, dtype):
    """They are polynomials of small whole numbers; beside them is a matrix that is not finite."""
    a, e = (np.random.default_rng(seed).integers(-9, 10, (40, n, n)).astype(float) for seed in (n, n + 5))
    a[7] = 0
    a[9] = np.inf
    cofactors = mx.vmap(mx.grad(lambda x: mx.real(L.det(x))))
    x, t = mx.array(a, dtype), mx.array(e, dtype)
    value, slope = (np.array(out[0]) for out in mx.jvp(cofactors, [x], [t]))
    rest = np.arange(40) != 9
    np.testing.assert_array_equal(value[rest], np.round([permanent_free_cofactors(m) for m in a[rest]]))
    both = [np.round([permanent_free_cofactors(m + sign * d) for m, d in zip(a[rest], e[rest])]) for sign in (1, -1)]
    np.testing.assert_array_equal(slope[rest], (both[0] - both[1]) / 2)  # of degree n - 1 <= 2
    assert np.isnan(value[9]).all() and np.isnan(slope[9]).all()


def test_slogdet():
    a = drawn(4, 4)
    check(lambda a: L.slogdet(a)[1], a, np.linalg.inv(np.array(a)).T)
    sign, logarithm = L.slogdet(mx.zeros((2, 2)))
    assert sign.item() == 0 and logarithm.item() == -np.inf


# --- pseudo-inverses of matrices that lack rank ---

@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_pinv_among_matrices_of_one_rank(shape, rank):
    m, n = shape
    left, right, weights = drawn(m, rank), drawn(rank, n), drawn(n, m)
    if rank == 0:
        near(mx.grad(lambda a: (L.pinv(a) * weights).sum())(mx.zeros(shape, F64)), np.zeros(shape))
        return
    f = lambda l: (L.pinv(l @ right) * weights).sum()
    check(f, left)
    near(L.pinv(left @ right), np.linalg.pinv(np.array(left @ right)))


# --- equal singular values and eigenvalues ---

SAME = {"identity": EYE, "twice": mx.array(np.diag([2.0, 2.0, 1.0]), F64), "turned": 2 * orthogonal(3),
        "pair": orthogonal(3) @ mx.array(np.diag([3.0, 3.0, 1.0]), F64) @ orthogonal(3)}
values = lambda a: L.svdvals(a)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("form", ["svdvals", "svd", "full"])
def test_sums_over_equal_singular_values(name, form):
    """Gradients of sums of functions of singular values: the function's slope between the vectors."""
    a = SAME[name]
    s_of = {"svdvals": L.svdvals, "svd": lambda a: L.svd(a, full_matrices=False)[1], "full": lambda a: L.svd(a)[1]}[form]
    near(mx.grad(lambda a: (s_of(a) ** 2).sum())(a), 2 * np.array(a))
    u, s, vh = np.linalg.svd(np.array(a))
    near(mx.grad(lambda a: s_of(a).sum())(a), u @ vh)
    near(mx.grad(lambda a: mx.log(s_of(a)).sum())(a), np.linalg.inv(np.array(a)).T)


@pytest.mark.parametrize("name", SAME)
def test_the_nuclear_norm_is_smooth_where_there_is_rank(name):
    check(lambda a: L.norm(a, "nuc"), SAME[name])


@pytest.mark.parametrize("name", SAME)
def test_the_nearest_orthogonal_matrix(name):
    """u vh, whose first derivative has no gap between singular values in it."""
    weights = drawn(3, 3)

    def f(a):
        u, _, vh = L.svd(a)
        return ((u @ vh) * weights).sum()

    check(f, SAME[name])


def symmetric(name):
    q = orthogonal(3)
    return {"identity": EYE, "twice": mx.array(np.diag([2.0, 2.0, 1.0]), F64), "zero": 0 * EYE,
            "turned": q @ mx.array(np.diag([1.0, 1.0, -2.0]), F64) @ q.T}[name]


SYMMETRIC = ["identity", "twice", "zero", "turned"]


@pytest.mark.parametrize("name", SYMMETRIC)
def test_traces_of_functions_of_symmetric_matrices(name):
    """The gradient of the trace of f(a) is f'(a), whatever eigenvalues coincide."""
    a = symmetric(name)
    w, v = np.linalg.eigh(np.array(a))
    expected = (v * np.exp(w)) @ v.T

    def rebuilt(a):
        w, v = L.eigh(a)
        return mx.trace(v @ mx.diag(mx.exp(w)) @ v.T)

    near(mx.grad(rebuilt)(a), expected)
    near(mx.grad(lambda a: mx.exp(L.eigvalsh(a)).sum())(a), expected)
    near(mx.grad(lambda a: (L.eigh(a)[0] ** 2).sum())(a), 2 * np.array(a))
    t = np.array(drawn(3, 3))
    t = mx.array(t + t.T, F64)
    near(mx.jvp(rebuilt, [a], [t])[1][0], (expected * np.array(t)).sum())


@pytest.mark.parametrize("name", SYMMETRIC)
def test_exponentials_have_every_derivative(name):
    """Of matrices with equal eigenvalues, and without a full set of eigenvectors."""
    weights = drawn(3, 3)
    f = lambda a: (L.expm(a) * weights).sum()
    check(f, symmetric(name))
    check(f, mx.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]], F64))
    check(lambda a: mx.trace(L.expm(a)), symmetric(name))


def test_derivatives_do_not_lose_digits_to_the_size_of_a_tangent():
    a = drawn(3, 3)
    for size in (1e-30, 1e30):
        near(mx.jvp(L.expm, [a], [size * EYE])[1][0] / size, L.expm(a))
    near(mx.jvp(L.expm, [a], [0 * EYE])[1][0], np.zeros((3, 3)))


def test_vectors_between_distinct_values():
    """Projectors do not depend on phases."""
    a = drawn(4, 3)

    def f(a):
        u, s, vh = L.svd(a)
        return ((u[:, :1] @ vh[:1]) * mx.array(np.arange(12.0).reshape(4, 3), F64)).sum()

    check(f, a)
    h = drawn(4, 4)

    def g(x):
        w, v = L.eigh(x + x.T)
        return ((v[:, :2] @ v[:, :2].T) * mx.array(np.arange(16.0).reshape(4, 4), F64)).sum()

    check(g, h)


# --- norms at their kinks ---

@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, "fro", "nuc", -2, mx.inf])
def test_at_zero_the_gradient_is_zero(ord):
    zero = mx.zeros((3, 2))
    f = lambda a: L.norm(a, ord) if ord not in (3, 1.5) else L.norm(a.reshape(-1), ord)
    near(mx.grad(f)(zero), np.zeros((3, 2)))
    near(mx.jvp(f, [zero], [mx.ones((3, 2))])[1][0], 0.0)
    rows = mx.array([[0.0, 0.0], [3.0, 4.0]])
    near(mx.grad(lambda a: L.norm(a, axis=1).sum())(rows), [[0, 0], [0.6, 0.8]], 1e-6)
    assert np.isfinite(np.array(mx.jvp(mx.grad(lambda a: L.norm(a, axis=1).sum()), [rows], [rows * 0 + 1])[1][0])[1]).all()


def test_the_nuclear_norm_of_a_matrix_that_lacks_rank():
    a = mx.array(np.outer([1.0, 2.0], [3.0, 1.0]), F64)
    u, s, vh = np.linalg.svd(np.array(a))
    near(mx.grad(lambda a: L.norm(a, "nuc"))(a), np.outer(u[:, 0], vh[0]))


# --- systems ---

def test_solve_with_vectors_and_matrices():
    a, b = drawn(3, 3), drawn(3, 2)
    for right in (b, b[:, 0]):
        f = lambda x: (L.solve(x, right) ** 2).sum()
        check(f, a, tolerance=1e-5)
        check(lambda b: (L.solve(a, b) ** 3).sum(), right, tolerance=1e-5)
    stack = drawn(4, 3, 3)
    near(mx.grad(lambda b: L.solve(stack, b).sum())(b[:, 0]), np.linalg.inv(np.array(stack)).sum((0, 1)))


def test_gradients_of_what_reads_one_triangle_are_symmetric():
    a = drawn(3, 3)
    h = a @ a.T + EYE
    for f in (lambda a: L.cholesky(a).sum(), lambda a: L.eigvalsh(a)[0], lambda a: (L.eigh(a)[1] ** 4).sum()):
        g = np.array(mx.grad(f)(h))
        near(g, g.T)
    for f in (lambda a: L.tri_inv(a).sum(), lambda a: L.solve_triangular(a, a[:, 0] * 0 + 1).sum()):
        g = np.array(mx.grad(f)(h))
        near(np.triu(g, 1), np.zeros((3, 3)))


def test_third_derivatives():
    """Rules are differentiable to any order."""
    t = drawn(3, 3)
    along = lambda f: lambda x: mx.jvp(f, [x], [t])[1][0]
    for f in (lambda a: L.inv(a + 4 * EYE).sum(), lambda a: L.cholesky(a @ a.T + EYE).sum(), lambda a: L.svdvals(a).sum(),
              lambda a: L.eigvalsh(a + a.T)[0], lambda a: L.slogdet(a + 4 * EYE)[1], lambda a: L.expm(a).sum(),
              lambda a: mx.real(L.eigvals(a + mx.diag(mx.array([1.0, 4.0, 9.0], F64)) * 3)).sum(), lambda a: L.qr(a + 4 * EYE)[1].sum(),
              lambda a: L.lu(a + 4 * EYE)[2].sum(), lambda a: L.pinv(a[:, :2]).sum()):  # fmt: skip
        second, x = along(along(f)), drawn(3, 3) / 3
        expected = central(lambda x: [second(x)], [x], [t], 1e-3)[0]
        near(along(second)(x), expected, 1e-5)
        near((mx.grad(second)(x) * t).sum(), expected, 1e-5)
