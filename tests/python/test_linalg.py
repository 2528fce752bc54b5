"""Linear algebra beyond the grids: results by name, matrices without a result, values that are not finite, empty arrays, dtypes,
batches and threads."""

import threading

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg

L = mx.linalg
F64 = mx.float64
RNG = np.random.default_rng(7)
DTYPES = {"float32": 2e-5, "float64": 1e-12, "complex64": 2e-5, "complex128": 1e-12}


def drawn(shape, dtype="float64"):
    x = RNG.normal(size=shape) + (1j * RNG.normal(size=shape) if dtype.startswith("complex") else 0)
    return mx.array(x.astype(dtype), getattr(mx, dtype))


def np_of(a):
    return np.array(a)


def adjoint(a):
    return mx.conjugate(mx.swapaxes(a, -2, -1))


def near(got, expected, tolerance=1e-12):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    scale = 1 + (np.abs(expected).max() if expected.size else 0)
    assert not expected.size or np.abs(got - expected).max() <= tolerance * scale, (got, expected)


# --- larger matrices, every dtype ---

@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 40), (60, 35), (35, 60), (3, 20, 12)])
def test_factors_make_the_matrix(shape, dtype):
    a = drawn(shape, dtype)
    tolerance = DTYPES[dtype]
    k = min(shape[-2:])
    for full in (True, False):
        u, s, vh = L.svd(a, full_matrices=full)
        assert s.dtype == {"float32": mx.float32, "complex64": mx.float32}.get(dtype, mx.float64)
        near((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, tolerance)
        near(adjoint(u) @ u, np.broadcast_to(np.eye(u.shape[-1]), adjoint(u).shape[:-1] + (u.shape[-1],)), tolerance)
        near(s, np.linalg.svd(np_of(a), compute_uv=False), tolerance)
    for mode in ("reduced", "complete"):
        q, r = L.qr(a, mode=mode)
        inner = k if mode == "reduced" else shape[-2]
        assert q.shape == (*shape[:-1], inner) and r.shape == (*shape[:-2], inner, shape[-1])
        near(q @ r, a, tolerance)
        near(mx.tril(r, -1), np.zeros(r.shape), tolerance)
        near(adjoint(q) @ q, np.broadcast_to(np.eye(inner), (*shape[:-2], inner, inner)), tolerance)
    p, l, u = L.lu(a)
    near(mx.take_along_axis(l, p[..., None], axis=-2) @ u, a, tolerance)
    near(L.pinv(a), np.linalg.pinv(np_of(a)), 10 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_square_matrices(dtype):
    a, b, tolerance = drawn((4, 30, 30), dtype), drawn((4, 30, 3), dtype), 20 * DTYPES[dtype]
    near(a @ L.solve(a, b), b, tolerance)
    near(a @ L.inv(a), np.broadcast_to(np.eye(30), (4, 30, 30)), tolerance)
    h = a @ adjoint(a) + mx.eye(30, dtype=a.dtype)
    c = L.cholesky(h)
    near(c @ adjoint(c), h, tolerance)
    near(L.cholesky_inv(c) @ h, np.broadcast_to(np.eye(30), (4, 30, 30)), 10 * tolerance)
    w, v = L.eigh(h)
    near(v * w[..., None, :].astype(v.dtype) @ adjoint(v), h, tolerance)
    near(L.eigvalsh(h, "U"), w, tolerance)
    w, v = L.eig(a)
    near(a @ v, v * w[..., None, :], tolerance)
    sign, logabsdet = L.slogdet(a)
    expected = np.linalg.slogdet(np_of(a))
    near(sign, expected[0], tolerance)
    near(logabsdet, expected[1], tolerance)
    near(L.expm(a / 10), scipy.linalg.expm(np_of(a) / 10), tolerance)


def test_results_have_names():
    a = drawn((3, 3))
    assert L.svd(a)._fields == ("U", "S", "Vh")
    assert L.qr(a)._fields == ("Q", "R")
    assert L.eigh(a)._fields == L.eig(a)._fields == ("eigenvalues", "eigenvectors")
    assert L.slogdet(a)._fields == ("sign", "logabsdet")
    assert L.lstsq(a, a)._fields == ("x", "residuals", "rank", "singular_values")
    u, s, vh = L.svd(a)
    assert isinstance(L.svd(a), tuple) and u.shape == (3, 3)
    assert mx.compile(L.slogdet)(a).sign.shape == ()
    near(mx.vmap(lambda x: L.slogdet(x).logabsdet)(mx.stack([a, 2 * a])), [np.linalg.slogdet(np_of(x))[1] for x in (a, 2 * a)])


def test_import():
    import mlx.core.linalg as imported
    from mlx.core.linalg import norm

    assert imported.norm is norm is L.norm


def test_the_standard_has_these_names():
    names = """cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank matrix_transpose outer pinv
               qr slogdet solve svd svdvals tensordot trace vecdot vector_norm"""
    assert not [name for name in names.split() if not callable(getattr(L, name, None))]
    x = drawn((2, 3, 4))
    near(L.diagonal(x, offset=1), np.diagonal(np_of(x), 1, -2, -1))
    near(L.trace(x), np.trace(np_of(x), axis1=-2, axis2=-1))


# --- matrices without a result ---

ZERO = mx.zeros((2, 2))
SINGULAR = {
    "inv": (lambda: L.inv(ZERO), "linalg.inv.*singular"),
    "inv in a batch": (lambda: L.inv(mx.stack([mx.eye(2), mx.eye(2), ZERO, ZERO])), r"linalg.inv\] Matrix 2 of 4 is singular"),
    "solve": (lambda: L.solve(mx.ones((2, 2)), mx.ones(2)), "linalg.solve.*singular"),
    "tri_inv": (lambda: L.tri_inv(mx.array([[1.0, 2.0], [0.0, 0.0]]), upper=True), "element 1 of its diagonal is 0"),
    "solve_triangular": (lambda: L.solve_triangular(ZERO, mx.ones(2)), "diagonal is 0"),
    "cholesky": (lambda: L.cholesky(mx.array([[1.0, 2.0], [2.0, 1.0]])), "linalg.cholesky.*not positive definite.*order 2"),
    "matrix_power": (lambda: L.matrix_power(ZERO, -1), "singular"),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_matrix_without_result_is_an_error_when_it_is_computed(name):
    make, text = SINGULAR[name]
    y = make()
    for error in (L.LinAlgError, ValueError, RuntimeError):
        with pytest.raises(error, match=text):
            mx.eval(y)
    near(L.inv(2 * mx.eye(2)), np.eye(2) / 2)  # and the library goes on


WRONG = {
    "inv": lambda: L.inv(mx.zeros((2, 3))), "det": lambda: L.det(mx.zeros(3)), "eigh": lambda: L.eigh(mx.zeros((2, 3))),
    "eigh UPLO": lambda: L.eigh(mx.eye(2), UPLO="X"), "cholesky": lambda: L.cholesky(mx.zeros(())), "qr": lambda: L.qr(mx.zeros(3)),
    "qr mode": lambda: L.qr(mx.eye(2), mode="raw"), "solve": lambda: L.solve(mx.eye(2), mx.ones(3)),
    "solve a scalar": lambda: L.solve(mx.eye(2), mx.array(1.0)), "solve stacks": lambda: L.solve(mx.ones((3, 2, 2)), mx.ones((2, 2, 1))),
    "solve_triangular": lambda: L.solve_triangular(mx.ones((3, 2)), mx.ones(3)), "norm order": lambda: L.norm(mx.eye(2), 3),
    "norm word": lambda: L.norm(mx.eye(2), "two"), "norm of a vector": lambda: L.norm(mx.ones(3), "nuc"),
    "norm axes": lambda: L.norm(mx.ones((2, 2, 2)), 2), "norm axis": lambda: L.norm(mx.ones(3), axis=1), "norm type": lambda: L.norm(mx.ones(3), [1]),
    "norm same axes": lambda: L.norm(mx.ones((2, 2)), "fro", axis=(0, 0)), "cross": lambda: L.cross(mx.ones(4), mx.ones(4)),
    "cross scalar": lambda: L.cross(mx.array(1.0), mx.ones(3)), "cross bool": lambda: L.cross(mx.ones(3) > 0, mx.ones(3) > 0),
    "lstsq": lambda: L.lstsq(mx.ones((3, 2)), mx.ones(2)), "matrix_power": lambda: L.matrix_power(mx.ones((2, 3)), 2),
    "expm": lambda: L.expm(mx.ones((2, 3))), "pinv": lambda: L.pinv(mx.ones(3)), "svd": lambda: L.svd(mx.ones(3)),
    "matrix_norm": lambda: L.matrix_norm(mx.ones(3)), "matrix_rank": lambda: L.matrix_rank(mx.ones(3)), "lu": lambda: L.lu(mx.ones(3)),
    "rtol": lambda: L.pinv(mx.ones((2, 2, 2)), rtol=mx.ones(3)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_errors_at_the_call(name):
    with pytest.raises(ValueError, match=r"\[.*\]"):
        WRONG[name]()


SQUARE = {"inv": L.inv, "det": L.det, "slogdet": L.slogdet, "eigh": L.eigh, "eigvalsh": L.eigvalsh, "eig": L.eig, "eigvals": L.eigvals,
          "svd": L.svd, "svdvals": L.svdvals, "qr": L.qr, "lu": lambda a: L.lu(a)[1:], "cholesky": L.cholesky, "pinv": L.pinv,
          "expm": L.expm, "solve": lambda a: L.solve(a, mx.ones(3, a.dtype)), "norm nuc": lambda a: L.norm(a, "nuc"),
          "matrix_power": lambda a: L.matrix_power(a, 2), "lstsq": lambda a: L.lstsq(a, mx.ones(3, a.dtype))[0]}  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SQUARE)
def test_what_is_not_finite_gives_nan_and_does_not_hang(name, dtype, value):
    a = np.eye(3)
    a[0, 0] = value
    batch = mx.array(np.stack([np.eye(3), a]).astype(dtype), getattr(mx, dtype))
    function = SQUARE[name]
    if name.startswith("norm"):
        function = lambda a: L.norm(a, "nuc", axis=(-2, -1))
    results = function(batch) if name not in ("solve", "lstsq") else function(batch[1])
    for y in results if isinstance(results, (tuple, list)) else [results]:
        bad = np_of(y) if name in ("solve", "lstsq") else np_of(y)[1]
        assert not np.isfinite(bad).all()
        if name not in ("solve", "lstsq"):
            assert np.isfinite(np_of(y)[0]).all(), "the matrix beside it has its result"


# --- nothing in a matrix, or no matrix ---

@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_empty(shape, dtype):
    a = mx.zeros(shape, getattr(mx, dtype))
    for name, function in SQUARE.items():
        if name in ("solve", "lstsq", "norm nuc"):
            continue
        expected = {"det": 1.0, "slogdet": 1.0}.get(name, 0)
        for y in (r if isinstance(r := function(a), (tuple, list)) else [r]):
            assert 0 in y.shape or name in ("det", "slogdet")
            mx.eval(y)
            if name == "det":
                near(y, np.full(shape[:-2], expected))
    assert L.solve(a, a).shape == shape
    assert L.norm(a, "nuc", axis=(-2, -1)).shape == shape[:-2]
    assert L.matrix_rank(a).shape == shape[:-2]
    gradient = mx.grad(lambda a: mx.real(L.det(a)).sum() + mx.real(L.expm(a)).sum() + mx.real(L.inv(a + 1 * mx.eye(shape[-1], dtype=a.dtype))).sum())(a)
    assert gradient.shape == shape


def test_empty_sides():
    a = mx.zeros((3, 0))
    u, s, vh = L.svd(a)
    near(u, np.eye(3))
    assert s.shape == (0,) and vh.shape == (0, 0)
    q, r = L.qr(a, mode="complete")
    near(q, np.eye(3))
    assert r.shape == (3, 0) and L.pinv(a).shape == (0, 3) and L.matrix_rank(a).item() == 0
    p, l, u = L.lu(a)
    assert p.tolist() == [0, 1, 2] and l.shape == (3, 0) and u.shape == (0, 0)
    assert L.solve(mx.eye(3), mx.zeros((3, 0))).shape == (3, 0)


# --- dtypes ---

def test_integers_become_float32_and_halves_stay():
    a = mx.array([[2, 1], [1, 2]])
    for function in (L.inv, L.det, L.cholesky, L.expm, L.pinv, L.svdvals, L.norm, L.eigvalsh):
        assert function(a).dtype == mx.float32
        for half in (mx.float16, mx.bfloat16):
            y = function(a.astype(half))
            assert y.dtype == half
            near(y.astype(mx.float32), function(a), 1e-2)
    assert L.eigvals(a.astype(mx.float16)).dtype == mx.complex64
    assert L.norm(a.astype(mx.complex128)).dtype == F64
    assert L.solve(a, mx.ones(2, mx.float16)).dtype == mx.result_type(a, mx.ones(2, mx.float16))
    assert L.solve(a, mx.ones(2, F64)).dtype == F64


# --- batches, views, threads ---

def test_views_are_read_where_they_lie():
    a = drawn((5, 4, 6, 4))
    for view in (a[:, :, ::2][:, :, :3, :3], a.transpose(2, 1, 0, 3)[:, :, ::-1][..., :4, :], mx.broadcast_to(a[0, 0, :4], (3, 4, 4))):
        square = view[..., :3, :3]
        near(L.inv(square + 9 * mx.eye(3, dtype=F64)), np.linalg.inv(np_of(square) + 9 * np.eye(3)))
        near(L.svdvals(view), np.linalg.svd(np_of(view), compute_uv=False))


def test_a_large_batch_of_small_matrices():
    a = drawn((20000, 3, 3)) + 5 * mx.eye(3, dtype=F64)
    near(L.inv(a), np.linalg.inv(np_of(a)))
    near(L.det(a), np.linalg.det(np_of(a)))


def test_solutions_of_shared_matrices():
    """One factorisation serves every lane and derivative."""
    a, b = drawn((6, 6)), drawn((5, 6))
    near(mx.vmap(lambda v: L.solve(a, v))(b), np.linalg.solve(np_of(a), np_of(b).T).T)
    near(mx.jacrev(lambda v: L.solve(a, v))(b[0]), np.linalg.inv(np_of(a)))
    near(mx.vmap(lambda v: L.solve_triangular(a, v), in_axes=1, out_axes=1)(b.T), np.linalg.solve(np.tril(np_of(a)), np_of(b).T))


def test_threads_at_once():
    matrices = [drawn((20, 12, 12)) for _ in range(6)]
    expected = [np.linalg.svd(np_of(a), compute_uv=False) for a in matrices]
    failures = []

    def work(a, e):
        try:
            for _ in range(5):
                with mx.stream(mx.cpu):
                    near(L.svdvals(a), e)
                    with pytest.raises(L.LinAlgError):
                        mx.eval(L.inv(a * 0))
                    near(L.inv(a) @ a, np.broadcast_to(np.eye(12), (20, 12, 12)), 1e-9)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(matrices, expected)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[0]


def test_the_matrix_named_is_the_first_whatever_the_threads():
    a = np.tile(np.eye(2), (5000, 1, 1))
    a[[1234, 1300, 4999]] = 0
    for _ in range(5):
        with pytest.raises(L.LinAlgError, match="Matrix 1234 of 5000"):
            mx.eval(L.inv(mx.array(a)))


# --- values ---

def test_least_squares():
    a, b = drawn((7, 3)), drawn((7, 2))
    x, residuals, rank, s = L.lstsq(a, b)
    expected = np.linalg.lstsq(np_of(a), np_of(b), rcond=None)
    near(x, expected[0])
    near(residuals, expected[1])
    assert rank.item() == 3
    near(s, expected[3])
    wide = drawn((3, 7))
    near(L.lstsq(wide, drawn((3,)) * 0 + 1).x, np.linalg.lstsq(np_of(wide), np.ones(3), rcond=None)[0])


def test_exponentials_of_every_size():
    for scale in (0, 1e-8, 0.01, 0.1, 0.5, 1.5, 4, 30):
        a = drawn((5, 5)) * scale
        near(L.expm(a), scipy.linalg.expm(np_of(a)), 1e-11)
    near(L.expm(mx.array([[0.0, 1e6], [0.0, 0.0]], F64)), [[1, 1e6], [0, 1]])
    assert np.isinf(np_of(L.expm(mx.array([[800.0]], F64)))).all()
    assert not np.isfinite(np_of(L.expm(mx.full((2, 2), 1e300, dtype=F64)))).all()


def test_ranks_and_tolerances():
    a = mx.array(np.diag([1.0, 1e-3, 1e-9, 0.0]), F64)
    assert L.matrix_rank(a).item() == 3
    assert L.matrix_rank(a, rtol=1e-6).item() == 2
    assert L.matrix_rank(mx.stack([a, a]), rtol=mx.array([1e-2, 1e-10], F64)).tolist() == [1, 3]
    near(L.pinv(a, rtol=1e-6), np.diag([1, 1e3, 0, 0]))
    near(L.pinv(mx.stack([a, a]), rtol=mx.array([1e-2, 1e-6], F64)), [np.diag([1.0, 0, 0, 0]), np.diag([1, 1e3, 0, 0])])


def test_norms_of_nothing_and_of_a_number():
    near(L.norm(mx.array(-3.0)), 3.0)
    near(L.norm(mx.zeros((0, 3)), axis=0), np.zeros(3))
    near(L.norm(mx.zeros(0)), 0.0)
    assert L.norm(mx.ones((2, 3, 4)), keepdims=True).shape == (1, 1, 1)
    assert L.norm(mx.ones((2, 3, 4)), "fro", axis=(0, 2), keepdims=True).shape == (1, 3, 1)


def test_norms_of_nothing_are_zero():
    assert mx.linalg.vector_norm(mx.zeros((0,)), ord=mx.inf).item() == 0 and mx.linalg.vector_norm(mx.zeros((2, 0)), axis=1, ord=mx.inf).tolist() == [0, 0]
    for shape in ((3, 0), (0, 3), (2, 0, 0)):
        for order in (1, 2, mx.inf, "fro", "nuc"):
            norms = mx.linalg.matrix_norm(mx.zeros(shape), ord=order, keepdims=True)
            assert norms.shape == (*shape[:-2], 1, 1) and not norms.any().item()
    for wrong in (lambda: mx.linalg.vector_norm(mx.zeros((0,)), ord=-mx.inf), lambda: mx.linalg.matrix_norm(mx.zeros((3, 0)), ord=-2)):
        with pytest.raises(ValueError):
            wrong()


@pytest.mark.parametrize("size", [1e-3, 0.3, 3, 30])
@pytest.mark.parametrize("levels", [0, 1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_exponentials_of_nested_blocks(rows, levels, size):
    """[[a, e], [0, a]] of such blocks, as derivatives of exponentials make them, is not multiplied out."""
    rng = np.random.default_rng(levels)

    def nested(level):
        if level == 0:
            return rng.normal(size=(rows, rows)) + 1j * rng.normal(size=(rows, rows)) * (rows == 2)
        a, e = nested(level - 1), nested(level - 1)
        return np.block([[a, e], [0 * a, a]])

    a = size * nested(levels)
    t = scipy.linalg.expm(a)
    batch = np.stack([a, size * rng.normal(size=a.shape), a.T])  # one of them has the form
    got = np.array(mx.linalg.expm(mx.array(batch, mx.complex128)))
    for g, e in zip(got, [t, scipy.linalg.expm(batch[1]), t.T]):
        assert np.abs(g - e).max() <= 1e-12 * max(1, size) * np.abs(e).max()
