"""mx.fft.stft and istft against SciPy, round trips, sizes, errors and derivatives."""

import mlx.core as mx
import numpy as np
import pytest
import scipy.signal

RNG = np.random.default_rng(11)


def signal(*shape, name="float64"):
    x = RNG.standard_normal(shape)
    if name.startswith("complex"):
        x = x + 1j * RNG.standard_normal(shape)
    return x.astype(name)


def given(x):
    return mx.array(x, dtype=getattr(mx, x.dtype.name))


@pytest.mark.parametrize("n, hop, length", [(16, 4, 100), (16, 16, 96), (15, 5, 61), (32, 6, 200), (64, 1, 80), (10, 7, 55), (97, 10, 300)])
def test_against_scipy(n, hop, length):
    x, w = signal(2, length), scipy.signal.get_window("hann", n)
    got = np.array(mx.fft.stft(given(x), n_fft=n, hop_length=hop, window=given(w), center=False))
    frames = (length - n) // hop + 1
    # SciPy's slice p has its window's middle at p hop.
    expected = np.stack([np.fft.rfft(x[:, f * hop:f * hop + n] * w) for f in range(frames)], -1)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    if n // 2 % hop == 0:
        first = n // 2 // hop
        by_scipy = scipy.signal.ShortTimeFFT(w, hop, fs=1, mfft=n).stft(x, first, first + frames)
        np.testing.assert_allclose(np.abs(by_scipy), np.abs(got), atol=1e-12)  # its phases count from the middle


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("n, hop, window", [(16, 4, "hann"), (16, 5, "hann"), (15, 3, None), (12, 12, None), (64, 1, "hamming"), (8, 2, "short")])
def test_round_trip(n, hop, window, dtype, norm):
    x = signal(2, 150, name=dtype)
    w = None if window is None else mx.array(scipy.signal.get_window("hann" if window == "short" else window, n - 2 if window == "short" else n))
    is_complex = dtype.startswith("complex")
    spectra = mx.fft.stft(given(x), n_fft=n, hop_length=hop, window=w, norm=norm)
    assert spectra.dtype == (mx.complex128 if "64" in dtype and dtype != "complex64" or dtype == "complex128" else mx.complex64)
    back = mx.fft.istft(spectra, n_fft=n, hop_length=hop, window=w, norm=norm, length=150, onesided=not is_complex, return_complex=is_complex)
    assert back.dtype == getattr(mx, dtype)
    np.testing.assert_allclose(np.array(back), x, atol=1e-5 if dtype in ("float32", "complex64") else 1e-12)


def test_defaults_and_shapes():
    x = mx.array(signal(3, 3000, name="float32"))
    assert mx.fft.stft(x).shape == (3, 1025, 6)
    assert mx.fft.stft(x, n_fft=64).shape == (3, 33, 188)
    assert mx.fft.stft(x, n_fft=64, onesided=False).shape == (3, 64, 188)
    assert mx.fft.stft(x.astype(mx.complex64), n_fft=64).shape == (3, 64, 188)
    assert mx.fft.stft(x[0], n_fft=64, center=False).shape == (33, 184)
    for mode in ("reflect", "constant", "edge"):
        padded = np.pad(np.array(x), [(0, 0), (32, 32)], mode=mode)
        assert mx.allclose(mx.fft.stft(x, n_fft=64, pad_mode=mode), mx.fft.stft(mx.array(padded), n_fft=64, center=False), atol=1e-4)
    spectra = mx.fft.stft(x, n_fft=64)
    assert mx.fft.istft(spectra).shape == (3, 2992) and mx.fft.istft(spectra, length=5000).shape == (3, 5000)
    assert mx.fft.istft(spectra, length=7).shape == (3, 7) and mx.fft.istft(spectra, center=False).shape == (3, 3056)
    assert mx.fft.istft(mx.fft.stft(x, n_fft=64, onesided=False), onesided=False).dtype == mx.float32


def test_a_shorter_window_stands_in_the_middle():
    x, w = signal(60), signal(6)
    got = mx.fft.stft(given(x), n_fft=16, window=given(w), hop_length=4)
    assert mx.allclose(got, mx.fft.stft(given(x), n_fft=16, window=given(np.pad(w, 5)), hop_length=4))
    ones = mx.fft.stft(given(x), n_fft=16, win_length=6, hop_length=4)
    assert mx.allclose(ones, mx.fft.stft(given(x), n_fft=16, window=given(np.pad(np.ones(6), 5)), hop_length=4))


def test_gaps_between_windows_stay_zero():
    x = signal(100)
    spectra = mx.fft.stft(given(x), n_fft=10, hop_length=20, center=False)
    back = np.array(mx.fft.istft(spectra, hop_length=20, center=False))
    for start in range(0, 81, 20):
        np.testing.assert_allclose(back[start:start + 10], x[start:start + 10], atol=1e-12)
        assert not back[start + 10:start + 20].any()


X = mx.ones((2, 40))


@pytest.mark.parametrize("call, text", [
    (lambda: mx.fft.stft(mx.array(1.0)), r"\[fft.stft\] x is a scalar"), (lambda: mx.fft.stft(X, n_fft=0), r"\[fft.stft\] n_fft is 0"),
    (lambda: mx.fft.stft(X, n_fft=8, hop_length=0), r"\[fft.stft\] hop_length is 0"),
    (lambda: mx.fft.stft(X, n_fft=8, win_length=9), r"\[fft.stft\] win_length is 9"),
    (lambda: mx.fft.stft(X, n_fft=8, win_length=0), r"\[fft.stft\] win_length is 0"),
    (lambda: mx.fft.stft(X, n_fft=8, window=mx.ones((2, 4))), r"\[fft.stft\] window has shape"),
    (lambda: mx.fft.stft(X, n_fft=8, window=mx.ones(9)), r"\[fft.stft\] window has 9"),
    (lambda: mx.fft.stft(X, n_fft=8, window=mx.ones(6), win_length=7), r"\[fft.stft\] window has 6"),
    (lambda: mx.fft.stft(X, n_fft=64, center=False), r"\[fft.stft\] x has 40"),
    (lambda: mx.fft.stft(X, n_fft=8, norm="x"), r"\[fft.stft\] norm"), (lambda: mx.fft.stft(X, n_fft=8, pad_mode="x"), r"mode"),
    (lambda: mx.fft.stft(X.astype(mx.complex64), n_fft=8, onesided=True), r"\[fft.stft\] onesided"),
    (lambda: mx.fft.istft(X[0]), r"\[fft.istft\] stft_matrix"), (lambda: mx.fft.istft(mx.zeros((0, 3))), r"\[fft.istft\] stft_matrix"),
    (lambda: mx.fft.istft(mx.ones((5, 3)), n_fft=16), r"\[fft.istft\] stft_matrix has 5"),
    (lambda: mx.fft.istft(mx.ones((5, 3)), length=-1), r"\[fft.istft\] length"),
    (lambda: mx.fft.istft(mx.ones((1, 3))), r"\[fft.istft\] n_fft is 0"),
    (lambda: mx.fft.istft(mx.ones((5, 3)), return_complex=True), r"\[fft.istft\] return_complex"),
])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("hop", [2, 3, 4])
def test_derivatives(hop):
    x, w = given(signal(20)), given(signal(8))

    def loss(x, w):
        spectra = mx.fft.stft(x, n_fft=8, hop_length=hop, window=w)
        return (mx.abs(spectra) ** 2).sum() + (mx.fft.istft(spectra * spectra, hop_length=hop, length=20) ** 2).sum() / 100

    mx.check_grads(loss, (x, w), order=2)
    batch = given(signal(3, 20))
    assert mx.allclose(mx.vmap(lambda t: mx.grad(loss)(t, w))(batch)[1], mx.grad(loss)(batch[1], w))
    assert mx.allclose(mx.compile(loss)(x, w), loss(x, w))
