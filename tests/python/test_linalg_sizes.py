"""Factors, systems and singular vectors at the sizes at which the way changes: small matrices in the lanes of vectors, LAPACK, large
matrices cut into strips, matrices that are far from square. The bits do not depend on the batch or on the number of threads."""

import hashlib
import json

import mlx.core as mx
import numpy as np
import pytest

from again import again

DTYPES = ["float32", "float64", "complex64", "complex128"]


def tolerance(dtype):
    return 2e-3 if dtype in ("float32", "complex64") else 1e-9


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if "complex" in dtype else x).astype(dtype)


def positive(shape, dtype):
    x = values(shape, dtype)
    return (x @ np.swapaxes(x.conj(), -1, -2) + shape[-1] * np.eye(shape[-1])).astype(dtype)


def array(x):
    return mx.array(x, dtype=getattr(mx, str(x.dtype)))


def close(a, b, dtype):
    np.testing.assert_allclose(np.array(a), b, rtol=0, atol=tolerance(dtype) * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 15, 16, 17])
@pytest.mark.parametrize("dtype", DTYPES)
def test_small(n, dtype):
    for batch in (1, 2, 7, 33):
        p, b = positive((batch, n, n), dtype), values((batch, n, 3), dtype, seed=1)
        wide, i = array(p), batch // 2
        low = mx.linalg.cholesky(wide)
        close(low, np.linalg.cholesky(p), dtype)
        close(mx.linalg.cholesky(wide, upper=True), np.swapaxes(np.linalg.cholesky(p).conj(), -1, -2), dtype)
        inverse = mx.linalg.inv(wide)
        close(inverse, np.linalg.inv(p), dtype)
        close(mx.linalg.inv(mx.swapaxes(wide, -1, -2)), np.linalg.inv(np.swapaxes(p, -1, -2)), dtype)
        x = mx.linalg.solve(wide, array(b))
        close(x, np.linalg.solve(p, b), dtype)
        assert mx.array_equal(mx.linalg.cholesky(wide[i]), low[i])
        assert mx.array_equal(mx.linalg.inv(wide[i]), inverse[i])
        assert mx.array_equal(mx.linalg.solve(wide[i], array(b[i])), x[i])
        m = values((batch, n, n), dtype, seed=2)
        places, l, u = (np.array(part) for part in mx.linalg.lu(array(m)))
        close(np.take_along_axis(l, places[..., None].astype(int), -2) @ u, m, dtype)
        close(mx.linalg.det(array(m)), np.linalg.det(m), dtype)
        sign, size = mx.linalg.slogdet(array(m))
        close(sign * mx.exp(size), np.linalg.det(m), dtype)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 17])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("upper", [False, True])
def test_small_triangles(n, dtype, upper):
    """What is on the other side of the diagonal is not read; cotangents are solved for with the adjoint."""
    eps = float(np.finfo(dtype).eps)
    for batch, columns in [(1, 1), (7, 3), (33, 16), (5, 17)]:
        whole, b = values((batch, n, n), dtype, seed=3), values((batch, n, columns), dtype, seed=4)
        whole[:, range(n), range(n)] += np.sign(whole[:, range(n), range(n)].real) * 2
        a = np.triu(whole) if upper else np.tril(whole)
        whole[(np.tril if upper else np.triu)(np.ones((batch, n, n)), -1 if upper else 1) != 0] = np.nan
        solved = lambda b: mx.linalg.solve_triangular(array(whole), b, upper=upper)
        x, (pulled,) = mx.vjp(solved, [array(b)], [array(b)])
        for y, m in ((x[0], a), (pulled, np.swapaxes(a.conj(), -1, -2))):
            m, y = m.astype("complex128"), np.array(y).astype("complex128")
            assert (np.abs(m @ y - b) <= 4 * n * eps * (np.abs(m) @ np.abs(y))).all()
        i = batch // 2
        assert mx.array_equal(mx.linalg.solve_triangular(array(whole[i]), array(b[i]), upper=upper), x[0][i])


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (8, 5), (5, 8), (20, 4), (4, 20), (16, 16), (17, 15), (1, 7), (256, 1), (2, 129)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_small_qr(shape, dtype, mode):
    """With LAPACK's signs, whatever the size of the numbers; columns of zeros, triangles and what is not finite."""
    eps, far = float(np.finfo(dtype).eps), 1e30 if dtype == "float32" else 1e250
    a = values((21, *shape), dtype, seed=6)
    a[1] *= far
    a[2] /= far
    a[3, :, 0] *= far
    a[4] = np.triu(a[4])
    a[5, :, shape[1] // 2] = 0
    a[6] = 0
    a[7, 0] = -0.0
    a[8, -1, -1] = np.inf
    q, r = mx.linalg.qr(array(a), mode=mode)
    for i in range(21):
        for y, z in zip((q[i], r[i]), mx.linalg.qr(array(a[i]), mode=mode)):
            assert mx.array_equal(y, z, equal_nan=True)
    got_q, got_r = (np.delete(np.array(y).astype("float64"), 8, 0) for y in (q, r))
    assert np.isnan(q[8]).all() and np.isnan(r[8]).all()
    a = np.delete(a, 8, 0).astype("float64")
    size, bound = np.abs(a).max(-2, keepdims=True), 10 * max(shape) ** 0.5 * eps
    assert (np.abs(got_q @ got_r - a) <= bound * size * shape[0] ** 0.5 + np.finfo(dtype).tiny).all()
    assert (np.abs(np.swapaxes(got_q, -1, -2) @ got_q - np.eye(got_q.shape[-1])) <= bound).all()
    assert (got_r == np.triu(got_r)).all()
    of_lapack = np.linalg.qr(a, mode=mode)[1]
    diagonal = np.arange(min(shape))
    for i in (0, 1, 2, 3, 4, 10, 19):
        assert (np.sign(got_r[i, diagonal, diagonal]) == np.sign(of_lapack[i, diagonal, diagonal])).all(), i


@pytest.mark.parametrize("shape", [(200, 20), (20, 200), (30, 30), (5, 3), (1, 4), (4, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pseudo_inverses_of_any_rank(shape, dtype):
    """Where all singular values are sure to be kept, where one is near the bound, where one or all are 0."""
    eps, k = float(np.finfo(dtype).eps), min(shape)
    smallest = [1.0, 1e-3, 4 * max(shape) * eps, 0.25 * max(shape) * eps, 0.0]
    a, want = values((len(smallest) + 1, *shape), dtype, seed=8).astype("complex128"), []
    for i, least in enumerate(smallest):
        u, s, vh = np.linalg.svd(a[i], full_matrices=False)
        s = np.append(np.linspace(2, 1, k - 1), least if k > 1 else 1.0)
        a[i] = (u * s) @ vh
        kept = s > max(shape) * eps * s[0]
        want.append((vh.conj().T[:, kept] / s[kept]) @ u[:, kept].conj().T)
    a[-1], want = 0, [*want, np.zeros(shape[::-1])]
    a = a.astype(dtype) if "complex" in dtype else a.real.astype(dtype)
    got = mx.linalg.pinv(array(a))
    for i, least in enumerate([*smallest, 1.0]):
        size = max(1.0, np.abs(want[i]).max())
        assert np.abs(np.array(got[i]) - want[i]).max() <= 30 * k**0.5 * eps * size * (size if least < 1e-2 else 10), i
        assert mx.array_equal(mx.linalg.pinv(array(a[i])), got[i])
    exact = mx.linalg.pinv(array(a[-1]), rtol=0.0)  # no bound at all
    assert (np.array(exact) == 0).all()
    coarse = np.array(mx.linalg.pinv(array(a[1]), rtol=0.5))
    assert k == 1 or np.abs(coarse).max() < 1.5


def cofactors(a):
    n = a.shape[-1]
    without = [[np.delete(np.delete(a, i, -2), j, -1) for j in range(n)] for i in range(n)]
    return np.moveaxis(np.linalg.det(np.array(without)), -1, 0) * (-1.0) ** np.add.outer(range(n), range(n))


@pytest.mark.parametrize("n", [4, 5, 16, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_gradients_of_determinants(n, dtype):
    """Where the inverse gives them, and where it does not: any condition, any rank, side by side."""
    a = values((30, n, n), "float64", seed=5)
    for i, smallest in enumerate([1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0]):
        u, s, vh = np.linalg.svd(a[i])
        a[i] = u * np.append(np.ones(n - 1), smallest) @ vh
    a[6, :, 1] = a[6, :, 2]
    a[7] = np.outer(a[7, 0], a[7, 1]) + np.outer(a[7, 2], a[7, 3])  # no cofactors
    a[8] = 0
    a = a.astype(dtype)
    got = mx.grad(lambda x: mx.linalg.det(x).sum())(array(a))
    want = cofactors(a.astype("float64"))
    scale = np.where(np.arange(30) == 7, np.linalg.norm(a[7]) ** (n - 1), np.abs(want).max((-1, -2)))
    assert (np.abs(np.array(got) - want).max((-1, -2)) <= scale * (1e-7 if dtype == "float32" else 1e-13)).all()
    for i in (0, 3, 8, 29):
        assert mx.array_equal(mx.grad(mx.linalg.det)(array(a[i])), got[i])
    a[11, 1, 1] = np.nan
    some = np.array(mx.grad(lambda x: mx.linalg.det(x).sum())(array(a)))
    assert np.isnan(some[11]).all() and (np.delete(some, 11, 0) == np.delete(np.array(got), 11, 0)).all()


def test_small_without_a_result():
    good, nan = np.eye(3, dtype=np.float32) * 2, np.full((3, 3), np.nan, np.float32)
    bad, singular = np.diag([1.0, -1.0, 1.0]).astype(np.float32), np.diag([1.0, 0.0, 1.0]).astype(np.float32)
    with pytest.raises(mx.linalg.LinAlgError, match="Matrix 1 of 3 .* order 2"):
        mx.eval(mx.linalg.cholesky(mx.array(np.stack([good, bad, bad]))))
    with pytest.raises(mx.linalg.LinAlgError, match="Matrix 20 of 40 .*pivot 1"):
        mx.eval(mx.linalg.inv(mx.array(np.stack([good] * 20 + [singular] * 20))))
    with pytest.raises(mx.linalg.LinAlgError, match="The matrix .*pivot 1"):
        mx.eval(mx.linalg.solve(mx.array(singular), mx.ones((3,))))
    with pytest.raises(mx.linalg.LinAlgError, match="Matrix 20 of 40 .*element 1 of its diagonal is 0"):
        mx.eval(mx.linalg.solve_triangular(mx.array(np.stack([good] * 20 + [singular] * 20)), mx.ones((40, 3, 1))))
    y = np.array(mx.linalg.solve_triangular(mx.array(np.stack([good, nan, good])), mx.ones((3, 3, 1))))
    assert np.isnan(y[1]).all() and (y[[0, 2]] == 0.5).all()
    for f in (mx.linalg.cholesky, mx.linalg.inv, mx.linalg.det):
        y = np.array(f(mx.array(np.stack([good, nan, good]))))
        assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
    assert mx.linalg.det(mx.array(singular)).item() == 0
    assert [part.item() for part in mx.linalg.slogdet(mx.array(singular))] == [0, -np.inf]


@pytest.mark.parametrize("n", [127, 128, 129, 200, 321])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large(n, dtype):
    a, b = values((n, n), dtype), values((n, 70), dtype, seed=1)
    a = (a + n * np.eye(n)).astype(dtype)
    close(mx.linalg.inv(array(a)) @ array(a), np.eye(n), dtype)
    close(array(a) @ mx.linalg.solve(array(a), array(b)), b, dtype)
    _, (pulled,) = mx.vjp(lambda b: mx.linalg.solve(array(a), b), [array(b)], [array(b)])
    close(array(np.swapaxes(a.conj(), 0, 1)) @ pulled, b, dtype)
    p = positive((n, n), dtype)
    low, up = mx.linalg.cholesky(array(p)), mx.linalg.cholesky(array(p), upper=True)
    close(low @ mx.conj(low).T, p, dtype)
    close(mx.conj(up).T @ up, p, dtype)
    assert mx.array_equal(low, mx.tril(low)) and mx.array_equal(up, mx.triu(up))
    p[n - 2, n - 2] = -1
    with pytest.raises(mx.linalg.LinAlgError, match=f"order {n - 1}"):
        mx.eval(mx.linalg.cholesky(array(p)))
    a[:, n - 2] = 0
    with pytest.raises(mx.linalg.LinAlgError, match=f"pivot {n - 2}"):
        mx.eval(mx.linalg.inv(array(a)))


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (400, 50), (50, 400), (40, 30), (200, 1), (1, 2000), (2, 130, 150)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes(shape, dtype):
    a = values(shape, dtype)
    x, k = array(a), min(shape[-2:])
    for mode in ("reduced", "complete"):
        q, r = mx.linalg.qr(x, mode=mode)
        close(q @ r, a, dtype)
        close(mx.swapaxes(mx.conj(q), -1, -2) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*a.shape[:-2], q.shape[-1], q.shape[-1])), dtype)
        assert mx.array_equal(r, mx.triu(r))
    for full in (False, True):
        u, s, vh = mx.linalg.svd(x, full_matrices=full)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, dtype)
        close(s, np.linalg.svd(a, compute_uv=False), dtype)
        for y in (mx.swapaxes(mx.conj(u), -1, -2) @ u, vh @ mx.swapaxes(mx.conj(vh), -1, -2)):
            close(y, np.broadcast_to(np.eye(y.shape[-1]), y.shape), dtype)
    places, l, u = (np.array(part) for part in mx.linalg.lu(x))
    close(np.take_along_axis(l, places[..., None].astype(int), -2) @ u, a, dtype)


def fingerprints():
    found = {}
    for n, batch in ((8, 50), (200, 1), (200, 3), (300, 1)):
        a = array(positive((batch, n, n), "float32"))
        tall = array(values((batch, 2 * n, n), "float32"))
        for name, y in (("cholesky", mx.linalg.cholesky(a)), ("inv", mx.linalg.inv(a)), ("solve", mx.linalg.solve(a, tall[:, :n])),
                        ("qr", mx.linalg.qr(tall)[0]), ("svd", mx.linalg.svd(tall)[0]), ("lu", mx.linalg.lu_factor(a)[0])):
            found[f"{name} {n} {batch}"] = hashlib.sha256(np.array(y).tobytes()).hexdigest()
    print(json.dumps(found))


def run_with(**environment):
    return json.loads(again("-c", "import test_linalg_sizes; test_linalg_sizes.fingerprints()", **environment).splitlines()[-1])


def test_bits_do_not_depend_on_the_threads():
    one = run_with(MLX_NUM_THREADS="1")
    assert run_with(MLX_NUM_THREADS="2") == one
    assert run_with(MLX_NUM_THREADS="5") == one


def test_bits_do_not_depend_on_the_batch():
    for n in (8, 100, 200):
        a = array(positive((3, n, n), "float32"))
        for f in (mx.linalg.cholesky, mx.linalg.inv, lambda x: mx.linalg.qr(x)[0], lambda x: mx.linalg.svd(x)[0]):
            assert mx.array_equal(f(a)[1], f(a[1]))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64])
def test_bits_do_not_depend_on_the_layout(dtype):
    """Nor on what the matrices beside one in the lanes of a vector are: some are singular or not finite."""
    for n in (1, 2, 3, 4, 7, 16):
        x = np.random.default_rng(n).standard_normal((5, 7, 2 * n, 2 * n))
        x[1, 2], x[3, 3, 0, 0], x[4, 4, -2, -2] = 0, np.inf, np.nan
        x = mx.array(x, mx.float64).astype(dtype)
        for a in (x[..., ::2, ::2], x[1:, ::3, :n, :n], x[..., :n, n:].swapaxes(-2, -1), x[:, 4, ::2, ::2], x[::-1, 0, :n, :n]):
            dense = mx.contiguous(a)
            for f in (mx.linalg.det, mx.linalg.slogdet, mx.linalg.lu_factor):
                for part, other in zip(tuple(f(a)), tuple(f(dense))):
                    assert np.array(part).tobytes() == np.array(other).tobytes(), (n, a.shape)
            flat = dense.reshape(-1, n, n)
            alone = mx.stack([mx.linalg.det(m) for m in flat])
            assert np.array(mx.linalg.det(a)).tobytes() == np.array(alone).tobytes()
