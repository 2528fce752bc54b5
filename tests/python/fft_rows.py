"""Samples of mx.fft: see sample_rows.py. The reference is the matrix of the transform, in a wider type."""

import functools

import mlx.core as mx
import numpy as np

from samples import Real
from sample_rows import row


def powers(n, m, sign, like):
    """exp(sign 2 pi i j k / n) for j < n, k < m, in a real type like the array's."""
    wide = like.real.dtype if like.dtype.kind in "fc" else np.float64
    steps = np.outer(np.arange(n), np.arange(m)) % n
    angle = sign * 2 * np.arccos(wide.type(-1) if hasattr(wide, "type") else wide(-1)) * steps.astype(wide) / n
    return np.cos(angle) + 1j * np.sin(angle)


def fitted(x, n, axis):
    x = np.moveaxis(x, axis, -1)
    out = np.zeros((*x.shape[:-1], n), x.dtype)
    m = min(n, x.shape[-1])
    out[..., :m] = x[..., :m]
    return np.moveaxis(out, -1, axis)


def divisor(n, norm, inverse):
    """Where the inverse divides, the forward direction does not."""
    root = np.sqrt(np.longdouble(n))
    return root if norm == "ortho" else np.longdouble(n) if (norm == "backward") == inverse else np.longdouble(1)


def times(x, matrix, axis, by):
    out = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix, -1, axis)
    return out / by.astype(out.real.dtype)


def dft(x, n=None, axis=-1, norm="backward", inverse=False):
    n = x.shape[axis] if n is None else n
    return times(fitted(x, n, axis), powers(n, n, 1 if inverse else -1, x), axis, divisor(n, norm, inverse))


def rdft(x, n=None, axis=-1, norm="backward"):
    x = x.real
    n = x.shape[axis] if n is None else n
    return times(fitted(x, n, axis), powers(n, n // 2 + 1, -1, x), axis, divisor(n, norm, False))


def irdft(x, n=None, axis=-1, norm="backward"):
    n = 2 * (x.shape[axis] - 1) if n is None else n
    half = fitted(x + 0j * x.real, n // 2 + 1, axis)
    matrix = powers(n, n // 2 + 1, 1, half).T.copy()
    weights = np.full(n // 2 + 1, 2, half.real.dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    half = np.moveaxis(half, axis, -1) * weights
    return np.moveaxis((half @ matrix).real, -1, axis) / divisor(n, norm, True).astype(half.real.dtype)


def hdft(x, n=None, axis=-1, norm="backward"):
    return irdft(np.conj(x), n, axis, {"backward": "forward", "forward": "backward"}.get(norm, norm))


def ihdft(x, n=None, axis=-1, norm="backward"):
    return np.conj(rdft(x, n, axis, {"backward": "forward", "forward": "backward"}.get(norm, norm)))


def along(x, s, axes, norm, one, last=None, last_first=False):
    """One transform after the other; the last axis's may be another one."""
    axes = list(axes if axes is not None else range(x.ndim - (len(s) if s else x.ndim), x.ndim))
    sizes = [None if n == -1 else n for n in (s or [None] * len(axes))]
    steps = [(one, n, a) for n, a in zip(sizes, axes)]
    if last:
        steps[-1] = (last, *steps[-1][1:])
    for function, n, a in (steps[::-1] if last_first else steps):
        x = function(x, n, a, norm)
    return x


idft = functools.partial(dft, inverse=True)
ONE = {"fft": dft, "ifft": idft, "rfft": rdft, "irfft": irdft, "hfft": hdft, "ihfft": ihdft}
MANY = {"fft": dict(one=dft), "ifft": dict(one=idft), "rfft": dict(one=dft, last=rdft, last_first=True),
        "irfft": dict(one=idft, last=irdft)}


def is_double(dtype):
    return dtype in ("float64", "complex128")


def complex_result(dtype):
    return "complex128" if is_double(dtype) else "complex64"


def real_result(dtype):
    return "float64" if is_double(dtype) else "float32"


def _row(name, label, shape, ref, args, real):
    """Errors are measured by the sum of magnitudes that a transform adds up, at frequency 0."""
    def size(x):
        everything = ref(np.abs(x) + 0 * x, **args)
        return np.full(everything.shape, np.abs(everything).max())
    return row(label, Real(shape), call=lambda x: getattr(mx.fft, name)(x, **args), ref=lambda x: ref(x, **args), ulp=4,
               magnitude=size, result=real_result if real else complex_result)


def _one(name):
    real = name in ("irfft", "hfft")
    rows = [_row(name, label, shape, ONE[name], args, real) for label, shape, args in (
        ("4", (2, 4), {}), ("5", (5,), {}), ("n=3", (2, 5), dict(n=3)), ("n=8", (5,), dict(n=8)),
        ("axis=0", (6, 3), dict(axis=0)), ("ortho", (2, 6), dict(norm="ortho")), ("forward axis=1", (2, 3, 2), dict(norm="forward", axis=1)),
        ("n=9 axis=0", (5, 2), dict(n=9, axis=0)))]
    return rows + [_row(name, "37", (37,), ONE[name], {}, real), _row(name, "96", (96,), ONE[name], {}, real)]


def _many(name, ref):
    def reference(x, s=None, axes=(-2, -1) if name.endswith("2") else None, norm="backward"):
        return along(x, s, axes, norm, **MANY[ref])
    return [_row(name, label, shape, reference, args, ref == "irfft") for label, shape, args in (
        ("", (2, 3, 4), {}), ("s", (3, 5), dict(s=(4, 6))), ("s=-1", (3, 4), dict(s=(2, -1), axes=(0, 1))),
        ("axes", (3, 2, 4), dict(axes=(2, 0))), ("ortho", (4, 3), dict(norm="ortho")),
        ("forward one axis", (3, 4), dict(norm="forward", axes=(0,))))]


def _shift(name):
    call = getattr(np.fft, name)
    return [row(label, Real(shape), call=lambda x, a=args: getattr(mx.fft, name)(x, *a), ref=lambda x, a=args: call(x, *a))
            for label, shape, args in (("", (4, 3), ()), ("axes=0", (3, 4), (0,)), ("axes=(0,-1)", (2, 5, 3), ((0, -1),)))]


def _frequencies(name):
    return [row(f"n={n} d={d} {dtype}", call=lambda n=n, d=d, t=dtype: getattr(mx.fft, name)(n, d, dtype=getattr(mx, t)),
                ref=lambda n=n, d=d: getattr(np.fft, name)(n, d), dtypes=(dtype,), ulp=2)
            for n, d in ((1, 1.0), (8, 0.5), (9, -3.0)) for dtype in ("float32", "float64")]


def _stft(x, n, hop, window=None, center=True):
    """The definition, frame by frame."""
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n // 2, n // 2)], mode="reflect")
    frames = np.stack([x[..., at:at + n] for at in range(0, x.shape[-1] - n + 1, hop)], -1)
    if window is not None:
        frames = frames * window.astype(x.real.dtype)[:, None]
    return (dft if np.iscomplexobj(x) else rdft)(frames, axis=-2)


WINDOW = np.array([0.25, 1.0, 0.75, 0.5])


def _short(label, shape, n, hop, window=None, center=True):
    def call(x):
        w = None if window is None else mx.array(window)
        return mx.fft.stft(x, n_fft=n, hop_length=hop, window=w, center=center)

    def size(x):
        return np.full(_stft(x, n, hop, window, center).shape, 3.0 * n)
    return row(label, Real(shape), call=call, ref=lambda x: _stft(x, n, hop, window, center), ulp=4, magnitude=size,
               result=complex_result)


def _back(label, shape, n, hop, window=None):
    """From a transform back to what it is of, which the reference knows without one."""
    def call(x):
        w = None if window is None else mx.array(window)
        complex_ = x.dtype in (mx.complex64, mx.complex128)
        spectra = mx.fft.stft(x, n_fft=n, hop_length=hop, window=w)
        more = dict(onesided=False, return_complex=True) if complex_ else {}
        return mx.fft.istft(spectra, hop_length=hop, window=w, length=shape[-1], **more)

    def result(dtype):
        return complex_result(dtype) if dtype.startswith("complex") else real_result(dtype)
    return row(label, Real(shape), call=call, ref=lambda x: x.astype(np.float64) if x.dtype.kind in "biu" else x, ulp=8,
               magnitude=lambda x: np.full(x.shape, 3.0), result=result)


ROWS = {
    **{f"fft.{name}": _one(name) for name in ONE},
    **{f"fft.{name}{suffix}": _many(f"{name}{suffix}", name) for name in MANY for suffix in ("n", "2")},
    "fft.fftfreq": _frequencies("fftfreq"), "fft.rfftfreq": _frequencies("rfftfreq"),
    "fft.fftshift": _shift("fftshift"), "fft.ifftshift": _shift("ifftshift"),
    "fft.stft": [_short("", (2, 12), 4, 1), _short("window", (12,), 4, 2, WINDOW), _short("no center", (9,), 4, 3, None, False),
                 _short("hop=6", (20,), 4, 6)],
    "fft.istft": [_back("", (2, 12), 4, 1), _back("window", (11,), 4, 2, WINDOW), _back("hop=3", (9,), 4, 3)],
}
for rows_of_op in ROWS.values():
    assert rows_of_op
