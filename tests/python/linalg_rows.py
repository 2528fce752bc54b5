"""Samples of linear algebra: see sample_rows.py. References are NumPy's and SciPy's in float64. What is defined only up to a phase
or a choice of basis is compared, and differentiated, in combinations that do not depend on it."""

import mlx.core as mx
import mpmath
import numpy as np
import scipy.linalg

from arrays import HALVES
from samples import Real
from sample_rows import row

LA = ("float32", "float64", "complex64", "complex128")
REAL = ("float32", "float64")
S = Real((3, 3), -1, 1)  # made regular, or definite, by what a row adds
T, W = Real((4, 2)), Real((2, 4))


def narrow(*arrays):
    """LAPACK has no type wider than float64."""
    return [a.astype(complex if np.iscomplexobj(a) else float) for a in map(np.asarray, arrays)]


def adjoint(a):
    return mx.conjugate(mx.swapaxes(a, -2, -1)) if isinstance(a, mx.array) else np.conj(np.swapaxes(a, -2, -1))


def eye(like, n=3):
    return mx.eye(n, dtype=like.dtype) if isinstance(like, mx.array) else np.eye(n)


def regular(x):
    return x + 4 * eye(x, x.shape[-1])


def definite(x):
    return x @ adjoint(x) + eye(x, x.shape[-1])


def hermitian(x):
    return x + adjoint(x)


def scaled(result):
    """What rounding errors of a matrix are relative to."""
    return lambda *args: np.max([np.abs(y).max() for y in _listed(result(*narrow(*args)))]) + 0.0


def _listed(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def la(label, *args, call, ref, ulp=64, dtypes=LA, **facts):
    reference = lambda *a: ref(*narrow(*a))
    return row(label, *args, call=call, ref=reference, ulp=ulp, magnitude=scaled(ref), dtypes=dtypes, **facts)


def through(label, arg, prepare, function, reference, **facts):
    """function(prepare(x))."""
    return la(label, arg, call=lambda x: function(prepare(x)), ref=lambda x: reference(prepare(x)), **facts)


def diagonal_times(u, s, vh):
    return (u * s[..., None, :].astype(u.dtype)) @ vh if isinstance(u, mx.array) else (u * s[..., None, :]) @ vh


L = mx.linalg
N = np.linalg


# --- norms ---

def _norms(name, shape, orders, **facts):
    call, ref = getattr(L, name), N.norm
    found = []
    for ord, axis, keepdims in orders:
        label = f"{'x'.join(map(str, shape))} {ord} axis={axis}" + (" keepdims" if keepdims else "")
        found.append(la(label, Real(shape), ulp=8, **facts,
                        call=lambda x, o=ord, a=axis, k=keepdims: call(x, o, a, k),
                        ref=lambda x, o=ord, a=axis, k=keepdims: ref(x, o, a, k)))
    return found


INF = float("inf")
NORMS = {
    "linalg.norm": _norms("norm", (2, 3), [(None, None, False), (1, None, False), (-1, None, True), (INF, (0, 1), False),
                                           (-INF, (1, 0), False), ("fro", None, True), ("nuc", None, False), (2, (1, 0), True),
                                           (-2, None, False), (2, 1, False), (3, 0, True), (0.5, -1, False), (INF, 0, False)])
    + _norms("norm", (2, 3, 2), [("nuc", (2, 0), False), (2, (0, 1), True), (None, 1, False), (1, (0, -1), False)])
    + [la("0", Real((3, 4)), call=lambda x: L.norm(x, 0, axis=1), ref=lambda x: N.norm(x, 0, axis=1), smooth=False),
       la("halves", Real((3, 4)), call=lambda x: L.norm(x, axis=0), ref=lambda x: N.norm(x, axis=0), dtypes=HALVES, ulp=2),
       la("integers", Real((3, 4)), call=L.norm, ref=N.norm, dtypes=("int32", "uint8"), result=lambda d: "float32", ulp=8)],
    "linalg.vector_norm": [la("", Real((2, 3)), call=L.vector_norm, ref=lambda x: N.norm(x.ravel()), ulp=8),
                           la("two axes", Real((2, 3, 2)), call=lambda x: L.vector_norm(x, axis=(2, 0), keepdims=True, ord=3),
                              ref=lambda x: (np.abs(x) ** 3).sum((0, 2), keepdims=True) ** (1 / 3), ulp=8)],
    "linalg.matrix_norm": [la("", Real((2, 3, 2)), call=L.matrix_norm, ref=lambda x: N.norm(x, axis=(-2, -1)), ulp=8),
                           la("2", Real((2, 3, 2)), call=lambda x: L.matrix_norm(x, keepdims=True, ord=2), ulp=32,
                              ref=lambda x: N.norm(x, 2, axis=(-2, -1), keepdims=True))],
}

# --- factors ---


def _svd(full):
    def call(x):
        u, s, vh = L.svd(x, full_matrices=full)
        k = s.shape[-1]
        rest = [u[..., k:] @ adjoint(u[..., k:])] if u.shape[-1] > k else []
        rest += [adjoint(vh[..., k:, :]) @ vh[..., k:, :]] if vh.shape[-2] > k else []
        return [s, diagonal_times(u[..., :k], s ** 1.5, vh[..., :k, :]), u[..., :1] @ adjoint(u[..., :1]), *rest]

    def ref(x):
        u, s, vh = N.svd(x, full_matrices=full)
        k = s.shape[-1]
        rest = [u[..., k:] @ adjoint(u[..., k:])] if u.shape[-1] > k else []
        rest += [adjoint(vh[..., k:, :]) @ vh[..., k:, :]] if vh.shape[-2] > k else []
        return [s, (u[..., :k] * s[..., None, :] ** 1.5) @ vh[..., :k, :], u[..., :1] @ adjoint(u[..., :1]), *rest]

    return dict(call=call, ref=ref, ulp=200)


def _eigh(library, uplo):
    def function(x):
        w, v = library.linalg.eigh(x, uplo)
        power = library.exp(w / 4)
        return [w, diagonal_times(v, power, adjoint(v)), v[..., :1] @ adjoint(v[..., :1])]
    return function


def _eig(library, take):
    """Of one eigenvalue the projector, of all the square."""
    def function(x):
        w, v = library.linalg.eig(x)
        one = v[..., :1] @ adjoint(v[..., :1])
        return [w, one, v @ (w[..., :, None] * library.linalg.inv(v))][take]
    return function


def _complete(library):
    def function(x):
        q, r = library.linalg.qr(x, mode="complete")
        k = min(x.shape[-2:])
        return [q[..., :k], r, q[..., k:] @ adjoint(q[..., k:])]
    return function


def _as_complex(dtype):
    return {"float32": "complex64", "float64": "complex128"}.get(dtype, dtype)


def _lu(x):
    """SciPy's, one matrix after another: places, l, u."""
    flat = x.reshape(-1, *x.shape[-2:])
    parts = [scipy.linalg.lu(m, p_indices=True) for m in flat]
    return [np.stack(p).reshape(*x.shape[:-2], *p[0].shape) for p in zip(*parts)]


def _both(x):
    p, l, u = _lu(x)
    k = l.shape[-1]
    both = np.zeros_like(x)
    both[..., :, :k] += np.tril(l, -1)
    both[..., :k, :] += u
    return both


ROTATING = np.array([[1.0, 2.0, 0.5], [-2.0, 1.5, 0.25], [0.0, 0.5, -1.0]])


def rotating(x):
    """Near a matrix with a complex pair of eigenvalues."""
    return 0.1 * x + (mx.array(ROTATING).astype(x.dtype) if isinstance(x, mx.array) else ROTATING)


FACTORS = {
    "linalg.cholesky": [through("", S, definite, L.cholesky, N.cholesky),
                        through("upper batch", Real((2, 3, 3), -1, 1), definite, lambda a: L.cholesky(a, upper=True),
                                lambda a: adjoint(N.cholesky(a)))],
    "linalg.cholesky_inv": [la("", S, call=lambda x: L.cholesky_inv(regular(x)), ref=lambda x: (lambda l: N.inv(l @ adjoint(l)))(np.tril(regular(x)))),
                            la("upper", S, call=lambda x: L.cholesky_inv(regular(x), True),
                               ref=lambda x: (lambda u: N.inv(adjoint(u) @ u))(np.triu(regular(x))))],
    "linalg.lu": [la(label, arg, call=lambda x: L.lu(x)[1:], ref=lambda x: _lu(x)[1:])
                  for label, arg in (("square", S), ("tall", T), ("wide", W), ("batch", Real((2, 3, 3))))]
    + [la("places", Real((2, 4, 3)), call=lambda x: L.lu(x)[0], ref=lambda x: _lu(x)[0], result=lambda d: "uint32", smooth=False)],
    "linalg.lu_factor": [la(label, arg, call=lambda x: L.lu_factor(x)[0], ref=_both) for label, arg in (("", S), ("wide", W))]
    + [la("swaps", S, call=lambda x: L.lu_factor(x)[1], ref=lambda x: scipy.linalg.lu_factor(x)[1], result=lambda d: "uint32", smooth=False)],
    "linalg.qr": [la(label, arg, call=lambda x: L.qr(x), ref=lambda x: N.qr(x), ulp=100)
                  for label, arg in (("square", S), ("tall", T), ("wide", W), ("batch", Real((2, 3, 2))))]
    + [la(f"complete {label}", arg, call=_complete(mx), ref=_complete(np), ulp=100)
       for label, arg in (("tall", T), ("wide", W))],
    "linalg.svd": [la(f"{label} {'full' if full else 'reduced'}", arg, **_svd(full)) for full in (True, False)
                   for label, arg in (("square", S), ("tall", T), ("wide", W))]
    + [la("batch", Real((2, 3, 2)), **_svd(False)),
       la("values", T, call=lambda x: L.svd(x, compute_uv=False), ref=lambda x: N.svd(x, compute_uv=False))],
    "linalg.svdvals": [la("", T, call=L.svdvals, ref=N.svdvals if hasattr(N, "svdvals") else lambda x: N.svd(x, compute_uv=False)),
                       la("batch", Real((2, 2, 3)), call=L.svdvals, ref=lambda x: N.svd(x, compute_uv=False))],
    "linalg.eigh": [through("", S, hermitian, _eigh(mx, "L"), _eigh(np, "L"), ulp=200),
                    through("U batch", Real((2, 3, 3), -1, 1), hermitian, _eigh(mx, "U"), _eigh(np, "U"), ulp=200)],
    "linalg.eigvalsh": [through("", S, hermitian, L.eigvalsh, N.eigvalsh),
                        through("U batch", Real((2, 2, 2)), hermitian, lambda a: L.eigvalsh(a, UPLO="U"), N.eigvalsh)],
    "linalg.eig": [through(label, S, rotating, _eig(mx, take), _eig(np, take), ulp=400, result=_as_complex)
                   for take, label in enumerate(("values", "first vector", "whole"))],
    "linalg.eigvals": [through("", S, rotating, L.eigvals, N.eigvals, ulp=400, result=_as_complex)],
}

# --- systems ---


def _vectors(a, b):
    """NumPy's solve of one vector for each matrix."""
    return N.solve(a, np.broadcast_to(b, a.shape[:-1])[..., None])[..., 0]


def _deficient(x, y):
    return x[:, None] * y


def _exponentials(x):
    """mpmath's: SciPy's are off by a hundred units."""
    flat = x.reshape(-1, *x.shape[-2:])
    with mpmath.workdps(30):
        found = [np.array(mpmath.expm(mpmath.matrix(m.tolist())).tolist()).astype(complex) for m in flat]
    return (np.stack(found) if np.iscomplexobj(x) else np.stack(found).real).reshape(x.shape)


def _lstsq(a, b):
    x, _, _, s = N.lstsq(a, b, rcond=None)
    return [x, (np.abs(b - a @ x) ** 2).sum(0), s]


SYSTEMS = {
    "linalg.inv": [through("", S, regular, L.inv, N.inv), through("batch", Real((2, 2, 2), -1, 1), regular, L.inv, N.inv),
                   la("integers", Real((1, 1), 1, 4), call=L.inv, ref=N.inv, dtypes=("int32",), result=lambda d: "float32")],
    "linalg.tri_inv": [la("", S, call=lambda x: L.tri_inv(regular(x)), ref=lambda x: N.inv(np.tril(regular(x)))),
                       la("upper", Real((2, 3, 3), -1, 1), call=lambda x: L.tri_inv(regular(x), upper=True),
                          ref=lambda x: N.inv(np.triu(regular(x))))],
    "linalg.solve": [la("vector", S, Real((3,)), call=lambda a, b: L.solve(regular(a), b), ref=lambda a, b: N.solve(regular(a), b)),
                     la("matrix", S, Real((3, 2)), call=lambda a, b: L.solve(regular(a), b), ref=lambda a, b: N.solve(regular(a), b)),
                     la("one vector", Real((2, 3, 3), -1, 1), Real((3,)), call=lambda a, b: L.solve(regular(a), b),
                        ref=lambda a, b: _vectors(regular(a), b)),
                     la("one matrix", S, Real((2, 3, 2)), call=lambda a, b: L.solve(regular(a), b), ref=lambda a, b: N.solve(regular(a), b))],
    "linalg.solve_triangular": [
        la("", S, Real((3,)), call=lambda a, b: L.solve_triangular(regular(a), b), ref=lambda a, b: N.solve(np.tril(regular(a)), b)),
        la("upper", S, Real((2, 3, 2)), call=lambda a, b: L.solve_triangular(regular(a), b, upper=True),
           ref=lambda a, b: N.solve(np.triu(regular(a)), b))],
    "linalg.pinv": [la("tall", T, call=L.pinv, ref=N.pinv, ulp=200), la("wide batch", Real((2, 2, 3)), call=L.pinv, ref=N.pinv, ulp=200),
                    la("deficient", Real((3,), 0.5, 2), Real((4,), 0.5, 2), call=lambda x, y: L.pinv(_deficient(x, y)),
                       ref=lambda x, y: N.pinv(_deficient(x, y)), ulp=200),
                    la("rtol", S, call=lambda x: L.pinv(regular(x), rtol=1e-3), ref=lambda x: N.pinv(regular(x)), ulp=200)],
    "linalg.lstsq": [la("matrix", T, Real((4, 3)), call=lambda a, b: [L.lstsq(a, b)[i] for i in (0, 1, 3)], ref=_lstsq, ulp=200),
                     la("vector", W, Real((2,)), call=lambda a, b: L.lstsq(a, b)[0], ref=lambda a, b: _lstsq(a, b)[0], ulp=200)],
    "linalg.matrix_rank": [la("", T, call=L.matrix_rank, ref=N.matrix_rank, result=lambda d: "int32", smooth=False),
                           la("deficient batch", Real((2, 3, 1), 1, 2), call=lambda x: L.matrix_rank(x @ adjoint(x)),
                              ref=lambda x: N.matrix_rank(x @ adjoint(x)), result=lambda d: "int32", smooth=False)],
}

# --- determinants, powers, products ---

POWERS = {
    "linalg.det": [la("", S, call=L.det, ref=N.det), la("batch", Real((2, 2, 2)), call=L.det, ref=N.det),
                   la("one", Real((1, 1)), call=L.det, ref=N.det)],
    "linalg.slogdet": [through("", S, regular, lambda a: list(L.slogdet(a)), lambda a: list(N.slogdet(a))),
                       la("batch", Real((2, 2, 2)), call=lambda x: list(L.slogdet(x)), ref=lambda x: list(N.slogdet(x)))],
    "linalg.matrix_power": [la(f"{n}", arg, call=lambda x, n=n: L.matrix_power(regular(x), n),
                               ref=lambda x, n=n: N.matrix_power(regular(x), n), ulp=200)
                            for n, arg in ((1, S), (5, S), (-2, Real((2, 3, 3), -1, 1)))]
    + [row("0", S, call=lambda x: L.matrix_power(x, 0), ref=lambda x: np.eye(3, dtype=x.dtype), dtypes=LA),
       row("integers", Real((3, 3)), call=lambda x: L.matrix_power(x, 3), ref=lambda x: N.matrix_power(x, 3), dtypes=("int32", "int64"))],
    "linalg.expm": [la("", S, call=L.expm, ref=_exponentials, ulp=8), la("batch", Real((2, 2, 2), -4, 4), call=L.expm, ref=_exponentials, ulp=8),
                    la("small", Real((2, 2), -0.01, 0.01), call=L.expm, ref=_exponentials, ulp=8)],
    "linalg.cross": [la("", Real((3,)), Real((2, 3)), call=L.cross, ref=np.cross, ulp=8),
                     la("axis=0", Real((3, 2)), Real((3, 2)), call=lambda a, b: L.cross(a, b, axis=0), ref=lambda a, b: np.cross(a, b, axis=0), ulp=8),
                     la("plane", Real((2,)), Real((4, 3)), call=L.cross, ref=lambda a, b: np.cross(np.append(a, 0), b), ulp=8),
                     row("integers", Real((2, 3)), Real((2, 3)), call=L.cross, ref=np.cross, dtypes=("int32", "int64"))],
}

ROWS = NORMS | FACTORS | SYSTEMS | POWERS
