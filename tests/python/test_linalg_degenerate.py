"""Derivatives of smooth functions that are made by eigh and svd, at matrices whose eigenvalues or singular values are equal, nearly
equal, or zero. What to compare with are the same functions made of products, inverses and exponentials."""

import functools

import mlx.core as mx
import numpy as np
import pytest

from differences import central

L = mx.linalg
RNG = np.random.default_rng(11)
DTYPES = {"real": mx.float64, "complex": mx.complex128}


def drawn(dtype, *shape):
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if dtype == mx.complex128 else x


def adjoint(a):
    return mx.conjugate(mx.swapaxes(a, -2, -1))


def unitary(dtype, n):
    return np.linalg.qr(drawn(dtype, n, n))[0]


def hermitian(a):
    return (a + adjoint(a)) / 2


def scaled(v, f):
    return v * f[..., None, :].astype(v.dtype)


def near(got, expected, tolerance):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * (1 + np.abs(expected).max()), (got, expected)


def moves_to(shape, dtype, n):
    return [mx.array(drawn(dtype, *shape), dtype) for _ in range(n)]


def compare(made, known, a, dtype, first=1e-12, second=1e-10, symmetric=False):
    """First and second derivatives of a matrix-valued function, by every nesting of the modes, compiled, and over a batch."""
    x = mx.array(a, dtype)
    out = known(x)
    t, u = moves_to(x.shape, dtype, 2)
    (weights,) = moves_to(out.shape, out.dtype, 1)
    loss = lambda f: lambda x: mx.real(mx.conjugate(weights) * f(x)).sum()
    near(made(x), out, 1e-12)
    ours, theirs = mx.grad(loss(made)), mx.grad(loss(known))
    expected = theirs(x)
    for gradient in (ours, mx.compile(ours), lambda x: mx.vmap(ours)(mx.stack([x, x + 0.5 * t, x]))[2]):
        near(gradient(x), expected, first)
    along = lambda f: lambda x: mx.jvp(f, [x], [t])[1][0]
    slope = along(known)(x)
    for pushed in (along(made), mx.compile(along(made)), lambda x: mx.linearize(made, x)[1](t), lambda x: mx.vmap(along(made))(x[None])[0]):
        near(pushed(x), slope, first)
    if second is None:
        return
    expected = along(theirs)(x)
    inner = lambda g: lambda x: mx.real(mx.conjugate(t) * g(x)).sum()
    for curved in (along(ours), mx.grad(inner(ours)), mx.grad(along(loss(made))), mx.compile(along(ours))):
        near(curved(x), expected, second)
    near(mx.jvp(along(made), [x], [u])[1][0], mx.jvp(along(known), [x], [u])[1][0], second)


# --- eigh ---

def spectrum(*w):
    return lambda dtype: (lambda q: (q * np.array(w)) @ q.conj().T)(unitary(dtype, len(w)))


HERMITIAN = {"identity": lambda d: np.eye(3), "zero": lambda d: np.zeros((3, 3)), "projection": spectrum(1, 1, 0, 0), "one": lambda d: 0.5 * np.eye(1),
             "pair": spectrum(1, 2, 2, 3), "triple": spectrum(-1, -1, -1, 0.5), "pairs": spectrum(1, 1, 2, 2, 0.25), "diagonal": lambda d: np.diag([2.0, 1, 2]),
             "distinct": spectrum(1, 2, 3), "rounding": spectrum(1, 2, 2 + 1e-15, 3)}  # fmt: skip


def by_eigh(f):
    def made(a):
        w, v = L.eigh(hermitian(a))
        return scaled(v, f(w)) @ adjoint(v)
    return made


def eye_of(a):
    return mx.eye(a.shape[-1], dtype=a.dtype)


FUNCTIONS = {"exp": (mx.exp, lambda a: L.expm(hermitian(a))),
             "cube": (lambda w: w ** 3, lambda a: hermitian(a) @ hermitian(a) @ hermitian(a)),
             "resolvent": (lambda w: 1 / (1 + w ** 2), lambda a: L.inv(eye_of(a) + hermitian(a) @ hermitian(a)))}  # fmt: skip


@pytest.mark.grid(0.4)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HERMITIAN)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_hermitian_matrices(function, name, dtype):
    f, known = FUNCTIONS[function]
    compare(by_eigh(f), known, HERMITIAN[name](DTYPES[dtype]), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gap, first, second", [(1e-13, 1e-11, 1e-9), (1e-10, 1e-11, 1e-8), (1e-8, 1e-11, 1e-6), (1e-6, 1e-10, 1e-5),
                                                (1e-5, 1e-10, 2e-5), (1e-4, 5e-11, 1e-6), (1e-2, 1e-11, 1e-8)])  # fmt: skip
def test_nearly_equal_eigenvalues(gap, first, second, dtype):
    """How many digits remain: the worst is in between, where neither the limit nor the quotient is good."""
    f, known = FUNCTIONS["exp"]
    compare(by_eigh(f), known, spectrum(1, 2, 2 + gap, 3)(DTYPES[dtype]), DTYPES[dtype], first, second)


@pytest.mark.parametrize("name", ["identity", "pair", "pairs", "diagonal"])
def test_values_and_vectors_of_separate_calls(name):
    """Of one matrix, whoever asks for them."""
    f, known = FUNCTIONS["exp"]

    def made(a):
        a = hermitian(a)
        w, v = L.eigvalsh(a), L.eigh(a)[1]
        return scaled(v, f(w)) @ adjoint(v)

    compare(made, known, HERMITIAN[name](mx.float64), mx.float64)


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HERMITIAN)
def test_second_derivatives_of_sums_of_eigenvalues(name, dtype):
    trace = lambda f: lambda a: mx.real(mx.trace(f(a)))
    a = HERMITIAN[name](DTYPES[dtype])
    compare(lambda a: mx.exp(L.eigvalsh(hermitian(a))).sum(), trace(FUNCTIONS["exp"][1]), a, DTYPES[dtype])
    compare(lambda a: (L.eigh(hermitian(a))[0] ** 3).sum(), trace(FUNCTIONS["cube"][1]), a, DTYPES[dtype])


def test_third_derivatives_of_functions_of_hermitian_matrices():
    """One more term is taken for each derivative that is open."""
    for name in ("identity", "pair", "zero"):
        x = mx.array(HERMITIAN[name](mx.float64), mx.float64)
        n = x.shape[0]
        t, weights = moves_to((n, n), mx.float64, 2)
        along = lambda f: lambda x: mx.jvp(f, [x], [t])[1][0]
        loss = lambda f: lambda x: (f(x) * weights).sum()
        for of in (lambda f: along(along(mx.grad(f))), lambda f: mx.grad(along(along(f)))):
            near(of(loss(by_eigh(mx.exp)))(x), of(loss(FUNCTIONS["exp"][1]))(x), 1e-9)


def divided(f, slope, w):
    same = np.abs(w[:, None] - w) < 1e-9
    return np.where(same, slope((w[:, None] + w) / 2), (f(w)[:, None] - f(w)) / np.where(same, 1, w[:, None] - w))


@pytest.mark.parametrize("function", ["sqrt", "log", "power"])
@pytest.mark.parametrize("name", ["identity", "pair", "pairs", "diagonal"])
def test_roots_logarithms_and_powers(function, name):
    """Divided differences between eigenvalues are the derivative (Daleckii and Krein)."""
    f, slope = {"sqrt": (np.sqrt, lambda w: 0.5 / np.sqrt(w)), "log": (np.log, lambda w: 1 / w),
                "power": (lambda w: w ** -1.5, lambda w: -1.5 * w ** -2.5)}[function]  # fmt: skip
    ours = {"sqrt": mx.sqrt, "log": mx.log, "power": lambda w: w ** -1.5}[function]
    a = HERMITIAN[name](mx.float64)
    w, v = np.linalg.eigh(a)
    weights = drawn(mx.float64, *a.shape)
    expected = v @ (divided(f, slope, w) * (v.T @ (weights + weights.T) / 2 @ v)) @ v.T
    loss = lambda x: (by_eigh(ours)(x) * mx.array(weights, mx.float64)).sum()
    near(mx.grad(loss)(mx.array(a, mx.float64)), expected, 1e-12)


def test_float32_has_its_digits():
    a = np.float32(spectrum(1, 2, 2, 3)(mx.float64))
    weights = mx.array(RNG.normal(size=(4, 4)), mx.float32)
    gradient = lambda f, dtype: mx.grad(lambda x: (f(x) * weights.astype(dtype)).sum())(mx.array(a).astype(dtype))
    near(gradient(by_eigh(mx.exp), mx.float32), gradient(FUNCTIONS["exp"][1], mx.float64), 2e-5)


def test_two_decompositions_in_a_row():
    """As between normal distributions: the root of root(a) b root(a), at a = b = 1."""
    root = by_eigh(mx.sqrt)
    fourth = lambda a: root(root(a))
    n = 3
    weights = mx.array(RNG.normal(size=(n, n)), mx.float64)
    expected = np.array(weights + weights.T) / 2
    eye = mx.eye(n, dtype=mx.float64)
    near(mx.grad(lambda a: (fourth(a) * weights).sum())(eye), expected / 4, 1e-12)
    near(mx.grad(lambda a: (fourth(a) * weights).sum())(16 * eye), expected / 4 / 8, 1e-12)
    near(mx.jvp(fourth, [eye], [weights])[1][0], expected / 4, 1e-12)

    def between(a, b):
        r = root(a)
        return (root(r @ b @ r) * weights).sum()

    for g in mx.grad(between, argnums=(0, 1))(eye, eye):
        near(g, expected / 2, 1e-12)


def test_whitening():
    """x times the inverse root of its covariance, which is the identity: ZCA."""
    x = np.linalg.qr(RNG.normal(size=(8, 3)))[0]
    x = mx.array(x - 0.0, mx.float64)
    known = lambda x: (lambda u, s, vh: u @ vh)(*np.linalg.svd(np.array(x), full_matrices=False))
    made = lambda x: x @ by_eigh(lambda w: 1 / mx.sqrt(w))(adjoint(x) @ x)
    near(made(x), known(x), 1e-12)
    (t,) = moves_to(x.shape, mx.float64, 1)
    # With orthonormal columns the derivative of x (x^T x)^(-1/2) is t - x (x^T t + t^T x) / 2.
    expected = t - x @ (adjoint(x) @ t + adjoint(t) @ x) / 2
    near(mx.jvp(made, [x], [t])[1][0], expected, 1e-12)
    near(mx.grad(lambda x: (made(x) * t).sum())(x), expected, 1e-12)


# --- eig ---

def conjugated(*w):
    """Not normal, but with all its eigenvectors."""
    def made(dtype):
        s = np.eye(len(w)) + 0.3 * drawn(dtype, len(w), len(w))
        return (s * np.array(w)) @ np.linalg.inv(s)
    return made


SQUARE = {"identity": lambda d: np.eye(3), "zero": lambda d: np.zeros((2, 2)), "diagonal": lambda d: np.diag([2.0, 1, 2]), "pair": spectrum(1, 2, 2),
          "distinct": conjugated(1, 2, -1), "not normal": conjugated(2, 2, 1)}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SQUARE)
def test_functions_of_square_matrices(name, dtype):
    def made(a):
        w, v = L.eig(a)
        out = (v * mx.exp(w)) @ L.inv(v)
        return out if dtype == "complex" else mx.real(out)

    loose = 100 if name == "not normal" else 1  # eigenvectors of equal values need not be at right angles
    compare(made, L.expm, SQUARE[name](DTYPES[dtype]), DTYPES[dtype], 1e-12 * loose, 1e-10 * loose)


# --- svd ---

def singular(m, n, *s):
    k = min(m, n)
    return lambda dtype: (unitary(dtype, m)[:, :k] * np.array(s)) @ unitary(dtype, n)[:k]


GENERAL = {"identity": lambda d: np.eye(3), "unitary": lambda d: unitary(d, 3), "zero": lambda d: np.zeros((3, 3)), "tall zero": lambda d: np.zeros((4, 2)),
           "pair": singular(3, 3, 2, 2, 1), "tall": singular(5, 3, 2, 2, 2), "wide": singular(2, 4, 1, 1), "null": singular(3, 3, 2, 1, 0),
           "two null": singular(4, 4, 1, 1, 0, 0), "tall null": singular(5, 3, 2, 0, 0), "wide null": singular(3, 4, 1, 1, 0),
           "distinct": singular(4, 3, 3, 2, 1), "nearly null": singular(4, 3, 2, 1, 1e-14)}  # fmt: skip


def by_svd(f, full=False):
    def made(a):
        u, s, vh = L.svd(a, full_matrices=full)
        k = s.shape[-1]
        return scaled(u[..., :k], f(s)) @ vh[..., :k, :]
    return made


ODD = {"itself": (lambda s: s, lambda a: a),
       "resolvent": (lambda s: s / (1 + s ** 2), lambda a: a @ L.inv(mx.eye(a.shape[-1], dtype=a.dtype) + adjoint(a) @ a)),
       "cube": (lambda s: s ** 3, lambda a: a @ adjoint(a) @ a)}  # fmt: skip


@pytest.mark.grid(0.25)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("function", ODD)
@pytest.mark.parametrize("full", [False, True])
def test_odd_functions_of_singular_values(full, function, name, dtype):
    """Smooth everywhere, also where singular values are 0."""
    f, known = ODD[function]
    compare(by_svd(f, full), known, GENERAL[name](DTYPES[dtype]), DTYPES[dtype])


@pytest.mark.grid(0.5)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GENERAL)
def test_even_functions_of_singular_values(name, dtype):
    def made(a):
        _, s, vh = L.svd(a, full_matrices=False)
        return scaled(adjoint(vh), s ** 2) @ vh

    compare(made, lambda a: adjoint(a) @ a, GENERAL[name](DTYPES[dtype]), DTYPES[dtype])
    compare(lambda a: (L.svdvals(a) ** 2).sum(), lambda a: mx.real(a * mx.conjugate(a)).sum(), GENERAL[name](DTYPES[dtype]), DTYPES[dtype])


def newton_polar(a):
    """The polar factor of a matrix of full rank by Newton's iteration, which has no vectors in it."""
    for _ in range(60):
        a = (a + L.inv(adjoint(a))) / 2
    return a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["identity", "unitary", "pair"])
def test_the_polar_factor(name, dtype):
    compare(by_svd(lambda s: mx.ones_like(s)), newton_polar, GENERAL[name](DTYPES[dtype]), DTYPES[dtype], second=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kept, values", [(2, (3, 3, 1)), (1, (3, 1, 1)), (2, (3, 3, 0)), (1, (2, 0, 0)), (2, (3, 2, 2e-15))])
def test_what_is_kept_is_apart_from_the_rest(kept, values, dtype):
    """Low-rank approximations and projectors, though values among the kept or among the rest are equal."""
    a = mx.array(singular(4, 3, *values)(DTYPES[dtype]), DTYPES[dtype])
    (weights, others) = moves_to((4, 3), DTYPES[dtype], 2)
    (square,) = moves_to((4, 4), DTYPES[dtype], 1)

    def loss(a):
        u, s, vh = L.svd(a, full_matrices=False)
        low = scaled(u[:, :kept], s[:kept]) @ vh[:kept]
        return mx.real(mx.conjugate(weights) * low).sum() + mx.real(square * (u[:, :kept] @ adjoint(u[:, :kept]))).sum()

    slope = central(lambda x: [loss(x)], [a], [others])[0]
    near(mx.jvp(loss, [a], [others])[1][0], slope, 1e-7)
    near(mx.real(mx.conjugate(others) * mx.grad(loss)(a)).sum(), slope, 1e-7)
    expected = central(lambda x: [mx.grad(loss)(x)], [a], [others])[0]
    near(mx.jvp(mx.grad(loss), [a], [others])[1][0], expected, 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["identity", "unitary", "pair", "tall", "wide", "distinct"])
def test_norms_by_singular_values(name, dtype):
    a = GENERAL[name](DTYPES[dtype])
    compare(lambda a: mx.sqrt((L.svd(a, full_matrices=False)[1] ** 2).sum()), lambda a: L.norm(a), a, DTYPES[dtype])
    tall = a if a.shape[0] >= a.shape[1] else a.T
    root = lambda a: mx.real(mx.trace(by_eigh(mx.sqrt)(adjoint(a) @ a)))
    compare(lambda a: L.norm(a, "nuc"), root, tall, DTYPES[dtype])


def test_the_spectral_norm_where_the_largest_is_alone():
    x = mx.array(singular(4, 4, 3, 1, 1, 0)(mx.float64), mx.float64)
    largest = lambda a: mx.sqrt(L.eigvalsh(adjoint(a) @ a)[-1])
    compare(lambda a: L.norm(a, 2), largest, np.array(x), mx.float64)


# --- other functions at singular matrices ---

def test_least_squares_without_full_rank():
    """The shortest solution, while the rank stays."""
    left, right, b = (mx.array(RNG.normal(size=shape), mx.float64) for shape in ((5, 2), (2, 4), (5, 3)))
    x, _, rank, s = L.lstsq(left @ right, b)
    assert rank.item() == 2 and L.matrix_rank(mx.zeros((3, 4))).item() == 0
    near(x, np.linalg.pinv(np.array(left @ right)) @ np.array(b), 1e-12)
    loss = lambda l: (L.lstsq(l @ right, b)[0] ** 3).sum()
    # The same by full-rank factors: (l r)^+ = r^T (r r^T)^-1 (l^T l)^-1 l^T.
    known = lambda l: ((right.T @ L.inv(right @ right.T) @ L.inv(l.T @ l) @ l.T @ b) ** 3).sum()
    (t,) = moves_to((5, 2), mx.float64, 1)
    near(mx.grad(loss)(left), mx.grad(known)(left), 1e-9)
    near(mx.jvp(mx.grad(loss), [left], [t])[1][0], mx.jvp(mx.grad(known), [left], [t])[1][0], 1e-8)
    near(mx.grad(lambda l: mx.jvp(loss, [l], [t])[1][0])(left), mx.jvp(mx.grad(known), [left], [t])[1][0], 1e-8)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_determinants_through_products(rank):
    """det(x y) = det(x) det(y), whatever rank y has: no division by what is 0."""
    y = mx.array(drawn(mx.float64, 4, rank) @ drawn(mx.float64, rank, 4), mx.float64)
    x = mx.array(drawn(mx.float64, 4, 4), mx.float64)
    t, u = moves_to((4, 4), mx.float64, 2)
    minors = lambda y: sum((-1) ** j * y[0, j] * L.det(y[1:][:, [k for k in range(4) if k != j]]) for j in range(4))
    for f, g in ((L.det, minors), (lambda y: L.det(x @ y), lambda y: L.det(x) * minors(y))):
        near(mx.grad(f)(y), mx.grad(g)(y), 1e-11)
        near(mx.jvp(mx.grad(f), [y], [t])[1][0], mx.jvp(mx.grad(g), [y], [t])[1][0], 1e-11)
        third = lambda h: mx.jvp(lambda y: mx.jvp(mx.grad(h), [y], [t])[1][0], [y], [u])[1][0]
        near(third(f), third(g), 1e-11)


def test_powers_of_nilpotent_matrices():
    a = mx.array(np.diag([1.0, 1.0], 1), mx.float64)
    compare(lambda a: L.matrix_power(a, 3), lambda a: a @ a @ a, np.array(a), mx.float64)


# --- what has no derivative ---

def test_a_vector_among_equals_has_no_derivative():
    """It is NaN where a direction mixes the vectors, and nothing is spoilt by directions that do not."""
    eye = mx.eye(3, dtype=mx.float64)
    first = lambda a: L.eigh(a)[1][:, 0]
    assert np.isnan(np.array(mx.grad(lambda a: (first(a) ** 4).sum() + first(a)[1])(eye))).any()
    mixing = mx.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]], mx.float64)
    assert np.isnan(np.array(mx.jvp(first, [eye], [mixing])[1][0])).any()
    near(mx.jvp(first, [eye], [eye])[1][0], np.zeros(3), 1e-15)
    pair = mx.array(np.diag([1.0, 2.0, 2.0]), mx.float64)
    near(mx.jvp(first, [pair], [mixing])[1][0] * first(pair)[0], [0, -1, 0], 1e-15)


def test_decompositions_in_a_row_that_find_no_limit():
    """Before the last two, the part between equal values counts as 0: as in docs/linalg.md."""
    root = by_eigh(mx.sqrt)
    eye, weights = mx.eye(2, dtype=mx.float64), mx.array([[1.0, 0.5], [0.5, 2.0]], mx.float64)
    of = lambda times: np.array(mx.grad(lambda a: (functools.reduce(lambda a, _: root(a), range(times), a) * weights).sum())(eye))
    near(of(1), weights / 2, 1e-12)
    near(of(2), weights / 4, 1e-12)
    near(np.diag(of(4)), np.diag(weights) / 16, 1e-12)


def test_values_and_vectors_that_leave_a_loop_are_seen_apart():
    """What is made of them belongs inside of it: as in docs/linalg.md."""
    eye, weights = mx.eye(2, dtype=mx.float64), mx.array([[1.0, 0.5], [0.5, 2.0]], mx.float64)
    inside = mx.checkpoint(by_eigh(mx.exp))
    near(mx.grad(lambda a: (inside(a) * weights).sum())(eye), np.e * weights, 1e-12)
    apart = mx.checkpoint(lambda a: L.eigh(a))

    def loss(a):
        w, v = apart(a)
        return (scaled(v, mx.exp(w)) @ v.T * weights).sum()

    near(np.diag(mx.grad(loss)(eye)), np.e * np.diag(weights), 1e-12)


def test_others_of_a_batch_are_not_disturbed():
    eye, apart = mx.eye(2, dtype=mx.float64), mx.array([[1.0, 0.5], [0.5, 3.0]], mx.float64)
    loss = lambda a: (L.eigh(a)[1][..., 0] ** 4).sum()
    both = mx.grad(lambda a: loss(a) + L.eigh(a)[1][..., 0, 0].sum())(mx.stack([eye, apart]))
    assert np.isfinite(np.array(both[1])).all()


def test_what_follows_may_lack_a_second_derivative():
    """Then the part that needs it stays out, and the rest is as ever."""
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f(primal, cotangent, output):
        return mx.array(2 * np.array(cotangent), mx.float64)

    weights = mx.array(np.arange(9.0).reshape(3, 3), mx.float64)
    a = mx.array(np.diag([1.0, 2.0, 3.0]), mx.float64)
    near(mx.grad(lambda a: (f(by_eigh(mx.exp)(a)) * weights).sum())(a), 2 * mx.grad(lambda a: (L.expm(a) * (weights + weights.T) / 2).sum())(a), 1e-12)


def test_long_chains_stay_small():
    """Each decomposition takes derivatives of what follows: of ten in a row that must not be thousands of millions of nodes."""
    root = by_eigh(mx.sqrt)
    a = mx.array(spectrum(1, 2, 3)(mx.float64), mx.float64)
    (weights,) = moves_to((3, 3), mx.float64, 1)
    loss = lambda a: (functools.reduce(lambda a, _: root(a), range(10), a) * weights).sum()
    tenth = lambda a: (by_eigh(lambda w: w ** (1 / 1024))(a) * weights).sum()
    near(mx.grad(loss)(a), mx.grad(tenth)(a), 1e-12)
    near(mx.jvp(loss, [a], [weights])[1][0], mx.jvp(tenth, [a], [weights])[1][0], 1e-12)
    near(mx.jvp(mx.grad(loss), [a], [weights])[1][0], mx.jvp(mx.grad(tenth), [a], [weights])[1][0], 1e-9)
