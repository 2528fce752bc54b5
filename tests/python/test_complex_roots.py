"""Roots and logarithms of complex64 are those of complex128, rounded once: near 1, on the axes, at zeros, at infinities and NaN."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

PARTS = np.array([0.0, -0.0, 1, -1, 0.6, -0.8, 2, 3, -4, 1e-45, -1e-45, 1e-20, 3e38, -3e38, np.inf, -np.inf, np.nan], np.float32)


def drawn():
    rng = np.random.default_rng(3)
    angle, scale = rng.uniform(-np.pi, np.pi, 3000), np.repeat([1e-30, 1.0, 1.0, 1e25], 750)
    modulus = np.exp(rng.normal(0, 1, 3000) * np.tile([1e-3, 1.0, 0.1], 1000)) * scale
    z = np.empty(3000 + len(PARTS) ** 2, np.complex64)
    z[:3000] = modulus * np.exp(1j * angle)
    z.real[3000:], z.imag[3000:] = zip(*itertools.product(PARTS, PARTS))
    return z


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "log", "log2", "log10"])
def test_as_those_of_complex128(name):
    z, op = drawn(), getattr(mx, name)
    got = np.array(op(mx.array(z))).view(np.float32)
    with np.errstate(all="ignore"):
        wanted = np.array(op(mx.array(z, mx.complex128))).view(np.float64).astype(np.float32)
    if name == "rsqrt":  # complex128 scales before it divides
        np.testing.assert_allclose(got[:6000], wanted[:6000], rtol=2e-7)
        return
    same = (got.view(np.int32) == wanted.view(np.int32)) | (np.isnan(got) & np.isnan(wanted))
    assert same.all(), z[np.flatnonzero(~same)[:5] // 2]
    for count in (1, 5, 127, 128, 129):  # the same bits for an element wherever it lies
        np.testing.assert_array_equal(np.array(op(mx.array(z[:count]))).view(np.int32), got[:2 * count].view(np.int32))
