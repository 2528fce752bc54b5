"""Factorizations and solutions of linear systems, one large matrix and many small ones; Fourier transforms."""

import numpy

from frameworks import values
from rows import grid, workload


def positive(fw, shape):
    x = values(shape)
    return fw.array(x @ numpy.swapaxes(x, -1, -2) + shape[-1] * numpy.eye(shape[-1], dtype=numpy.float32))


@workload("Cholesky, {n} x {n}", [{"n": 512}], modes=("eager",))
def cholesky(fw, n):
    return lambda a: fw.np.linalg.cholesky(a), (positive(fw, (n, n)),)


@workload("Cholesky of {batch} matrices {n} x {n}", [dict(batch=1000, n=8)], modes=("eager",))
def small_cholesky(fw, batch, n):
    return lambda a: fw.np.linalg.cholesky(a), (positive(fw, (batch, n, n)),)


@workload("solve, {n} x {n}, {k} right-hand sides", [dict(n=512, k=16)], modes=("eager",), tolerance=1e-2)
def solve(fw, n, k):
    return lambda a, b: fw.solve(a, b), (positive(fw, (n, n)), fw.array(values((n, k))))


@workload("gradient of solve, {n} x {n}", [{"n": 256}], tolerance=1e-2)
def solve_gradient(fw, n):
    return fw.grad(lambda a, b: (fw.solve(a, b) ** 2).sum(), argnums=(0, 1)), (positive(fw, (n, n)), fw.array(values((n, 4))))


@workload("solve of {batch} systems {n} x {n}", [dict(batch=1000, n=8)], modes=("eager",), tolerance=1e-2)
def small_solve(fw, batch, n):
    return lambda a, b: fw.solve(a, b), (positive(fw, (batch, n, n)), fw.array(values((batch, n, 1))))


@workload("SVD, {m} x {n}", [dict(m=256, n=256), dict(m=1000, n=50)], modes=("eager",), checked=lambda fw, usv: fw.numpy(usv[1]))
def svd(fw, m, n):
    return lambda a: fw.svd(a), (fw.array(values((m, n))),)


@workload("eigh, {n} x {n}", [{"n": 256}], modes=("eager",), checked=lambda fw, pair: fw.numpy(pair[0]))
def eigh(fw, n):
    return lambda a: list(fw.np.linalg.eigh(a)), (positive(fw, (n, n)),)


@workload("QR, {m} x {n}", [dict(m=512, n=512)], modes=("eager",), checked=lambda fw, qr: abs(fw.numpy(qr[1])))
def qr(fw, m, n):
    return lambda a: list(fw.np.linalg.qr(a)), (fw.array(values((m, n))),)


@workload("inverse, {n} x {n}", [{"n": 512}], modes=("eager",), tolerance=1e-2)
def inverse(fw, n):
    return lambda a: fw.np.linalg.inv(a), (positive(fw, (n, n)),)


def complex_values(shape):
    return (values(shape) + 1j * values(shape, seed=1)).astype(numpy.complex64)


@workload("FFT of {batch} rows of {n}", [dict(batch=b, n=n) for b, n in ((1000, 64), (512, 1024), (1, 1_048_576), (100, 1009))], modes=("eager",))
def fft(fw, batch, n):
    return lambda x: fw.np.fft.fft(x), (fw.array(complex_values((batch, n))),)


@workload("real FFT of {batch} rows of {n}", [dict(batch=512, n=1024)], modes=("eager",))
def rfft(fw, batch, n):
    return lambda x: fw.np.fft.rfft(x), (fw.array(values((batch, n))),)


@workload("2-D FFT, {n} x {n}", grid(n=[512]), modes=("eager",))
def fft2(fw, n):
    return lambda x: fw.np.fft.fft2(x), (fw.array(complex_values((n, n))),)


@workload("gradient of a spectrum's energy, {n}", [{"n": 65_536}], tolerance=1e-3)
def spectrum(fw, n):
    return fw.grad(lambda x: (abs(fw.np.fft.rfft(x)) ** 2).sum()), (fw.array(values(n)),)
