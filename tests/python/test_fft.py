"""mx.fft against NumPy: every length, axes, norms, layouts, dtypes, accuracy, special values, errors, and derivatives."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
from again import again, lesser_instruction_sets

RNG = np.random.default_rng(5)
LENGTHS = [*range(1, 131), 169, 243, 256, 289, 343, 509, 512, 625, 961, 997, 1000, 1024, 1155, 2048, 2053, 2310, 3125, 4093,
           4096, 6561, 8192, 9973, 10000, 16384, 30030, 65536, 65537, 100003]
EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}
NORMS = ("backward", "ortho", "forward")


def draw(shape, name):
    x = RNG.standard_normal(shape)
    if name.startswith("complex"):
        x = x + 1j * RNG.standard_normal(shape)
    return x.astype(name)


def wide(x):
    return x.astype(np.clongdouble if np.iscomplexobj(x) else np.longdouble)


def error(got, truth):
    """In the sense of least squares, relative."""
    got = np.asarray(got)
    assert got.shape == truth.shape
    size = np.sqrt((np.abs(truth) ** 2).sum())
    return float(np.sqrt((np.abs(got - truth) ** 2).sum()) / size) if size else float(np.abs(got).max(initial=0))


def bound(n, name):
    """A transform rounds log2(n) times; a convolution is three of them, of twice the length."""
    smooth = n
    for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31):
        while smooth % p == 0:
            smooth //= p
    steps = 2 + np.log2(n) if smooth == 1 else 3 * (2 + np.log2(n))
    return 0.8 * steps * EPSILON[arrays.real_of(name)]


def check(name, x, *args, **kwargs):
    got = getattr(mx.fft, name)(mx.array(x, dtype=getattr(mx, x.dtype.name)), *args, **kwargs)
    truth = getattr(np.fft, name)(wide(x), *args, **kwargs)
    n = max(x.shape[kwargs.get("axis", -1)], truth.shape[kwargs.get("axis", -1)])
    assert error(got, truth) <= bound(n, x.dtype.name), (name, x.shape, error(got, truth) / EPSILON[arrays.real_of(x.dtype.name)])
    return np.array(got)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("n", LENGTHS)
def test_complex(n, dtype):
    for shape in ((n,), (3, n)) if n > 200 else ((n,), (3, n), (19, n), (2, 9, n)):
        x = draw(shape, dtype)
        check("fft", x)
        check("ifft", x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", LENGTHS)
def test_real(n, dtype):
    for shape in ((n,), (3, n)) if n > 200 else ((n,), (3, n), (19, n)):
        x = draw(shape, dtype)
        half = check("rfft", x)
        check("irfft", half, n)
        assert np.array_equal(half[..., 0].imag, 0 * half[..., 0].imag)
        back = np.array(mx.fft.irfft(mx.fft.rfft(mx.array(x, dtype=getattr(mx, dtype))), n))
        assert error(back, wide(x)) <= 2 * bound(n, dtype)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 24, 37, 64, 65, 81, 96, 97, 128, 250, 256, 1000, 1024, 4096])
def test_along_the_first_axis(n):
    for width in (1, 3, 8, 16, 21):
        x = draw((n, width), "complex64")
        check("fft", x, axis=0)
        check("rfft", x.real.copy(), axis=0)
        check("irfft", x[:n // 2 + 1].copy(), n, axis=0)
        check("ifft", draw((2, n, width), "complex128"), axis=1)


@pytest.mark.parametrize("layout", list(arrays.LAYOUTS))
@pytest.mark.parametrize("n", [5, 16, 47, 60, 128, 210])
def test_bits_do_not_depend_on_where_elements_lie(n, layout):
    for shape, axis in (((7, n), -1), ((n, 7), 0), ((3, n, 17), 1), ((2, 3, n), 2)):
        x = draw(shape, "complex64")
        laid_out = arrays.LAYOUTS[layout](mx.array(x))
        for name in ("fft", "ifft", "rfft", "irfft"):
            got = np.array(getattr(mx.fft, name)(laid_out, axis=axis))
            rows = np.moveaxis(x, axis, -1).reshape(-1, n)
            alone = np.stack([np.array(getattr(mx.fft, name)(mx.array(r))) for r in rows])
            assert np.array_equal(np.moveaxis(got, axis, -1).reshape(alone.shape), alone)


@pytest.mark.parametrize("n", [3, 4, 12, 37, 100, 257])
@pytest.mark.parametrize("norm", NORMS)
def test_norms_and_lengths(n, norm):
    for length in (n, n - 1, n + 1, 2 * n, max(n // 2, 1)):
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
            x = draw((2, n), "float64" if name in ("rfft", "ihfft") else "complex128")
            check(name, x, length, norm=norm)
            check(name, x.T.copy(), length, axis=0, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
def test_several_axes(norm):
    x = draw((4, 6, 5, 3), "complex128")
    for axes in (None, (0,), (1, 3), (3, 1), (-1, 0, 2), (0, 1, 2, 3)):
        for s in (None, tuple(range(4, 4 + len(axes or x.shape)))):
            if axes is None and s:
                continue
            for name in ("fftn", "ifftn", "rfftn", "irfftn"):
                y = x.real.copy() if name == "rfftn" else x
                got = np.array(getattr(mx.fft, name)(mx.array(y, dtype=getattr(mx, y.dtype.name)), s, axes, norm))
                truth = getattr(np.fft, name)(y, s, axes, norm)
                assert got.dtype == truth.dtype and error(got, truth) < 2e-15
    for name in ("fft2", "ifft2", "rfft2", "irfft2"):
        y = x.real.copy() if name == "rfft2" else x
        given = mx.array(y, dtype=getattr(mx, y.dtype.name))
        assert error(np.array(getattr(mx.fft, name)(given, norm=norm)), getattr(np.fft, name)(y, norm=norm)) < 2e-15
        assert error(np.array(getattr(mx.fft, name)(given, (7, 2), (1, 0), norm)), getattr(np.fft, name)(y, (7, 2), (1, 0), norm)) < 2e-15


def test_the_last_axes_when_only_lengths_are_given():
    x = draw((3, 4, 5), "complex64")
    got = mx.fft.fftn(mx.array(x), s=(4, 6))
    assert error(got, np.fft.fftn(x, (4, 6), (1, 2))) < 1e-6
    got = mx.fft.irfftn(mx.array(x), s=(-1, 7), axes=(0, 2))
    assert error(got, np.fft.irfftn(x, (3, 7), (0, 2))) < 1e-6


def test_dtypes():
    for name in arrays.ALL:
        x = arrays.to_mx(arrays.draw(RNG, (2, 6), name), name)
        double = name in ("float64", "complex128")
        complex_, real = (mx.complex128, mx.float64) if double else (mx.complex64, mx.float32)
        for f, dtype in (("fft", complex_), ("ifft", complex_), ("rfft", complex_), ("ihfft", complex_), ("irfft", real), ("hfft", real)):
            assert getattr(mx.fft, f)(x).dtype == dtype, (f, name)
        assert mx.fft.fftn(x).dtype == complex_ and mx.fft.fftn(x, axes=()).dtype == complex_
        assert mx.fft.fftshift(x).dtype == x.dtype
    whole = mx.array([1, 2, 3, 4])
    assert mx.array_equal(mx.fft.fft(whole), mx.fft.fft(whole.astype(mx.float32)))
    # Of complex elements the real parts count.
    x = draw((7,), "complex64")
    assert mx.array_equal(mx.fft.rfft(mx.array(x)), mx.fft.rfft(mx.array(x.real.copy())))


def test_symmetries():
    for n in (6, 7, 64, 96, 97, 1000):
        x = draw((n,), "float64")
        full, half = np.array(mx.fft.fft(mx.array(x, dtype=mx.float64))), np.array(mx.fft.rfft(mx.array(x, dtype=mx.float64)))
        np.testing.assert_allclose(full[1:], np.conj(full[:0:-1]), atol=1e-12)
        np.testing.assert_allclose(full[:n // 2 + 1], half, atol=1e-12)
        if n % 2 == 0:
            assert half[-1].imag == 0
        # What has no place in a real signal is not read.
        odd = half.copy()
        odd[0] += complex(0, np.nan)
        if n % 2 == 0:
            odd[-1] += complex(0, np.inf)
        read = np.array(mx.fft.irfft(mx.array(odd, dtype=mx.complex128), n))
        np.testing.assert_allclose(read, x, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 16, 37, 64, 128, 1000])
def test_nan_spreads_over_its_own_transform_alone(n):
    for axis in (0, 1):
        x = np.ones((20, n), np.complex64)
        x[3, n // 2] = np.nan
        given = mx.array(x if axis == 1 else x.T.copy())
        for name in ("fft", "rfft", "irfft"):
            if name == "irfft" and n < 3:
                continue
            got = np.array(getattr(mx.fft, name)(given, axis=axis))
            got = got if axis == 1 else got.T
            assert np.isnan(got[3].real).all() and np.isfinite(np.delete(got, 3, 0)).all()


def test_empty_batches():
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        x = np.zeros((0, 6), np.complex64)
        expected = getattr(np.fft, name)(x.real if name in ("rfft", "ihfft") else x)
        assert getattr(mx.fft, name)(mx.array(x)).shape == expected.shape
        assert getattr(mx.fft, name)(mx.array(x), axis=1, n=3).shape[0] == 0
    assert mx.array_equal(mx.fft.fft(mx.zeros((2, 0)), n=3), mx.zeros((2, 3)))
    assert mx.fft.fftn(mx.zeros((0, 3))[:, :2], s=(2, 2)).shape == (2, 2)
    assert mx.fft.fftshift(mx.zeros((0, 3))).shape == (0, 3)
    assert mx.fft.fftn(mx.array(2.0)).shape == ()


X = mx.ones((3, 4))


@pytest.mark.parametrize("call, text", [
    (lambda: mx.fft.fft(X, n=0), r"\[fft.fft\] n is 0"), (lambda: mx.fft.irfft(X, n=-2), r"\[fft.irfft\] n is -2"),
    (lambda: mx.fft.fft(X, norm="both"), r'\[fft.fft\] norm is "both"'),
    (lambda: mx.fft.rfftn(X, norm=""), r'\[fft.rfftn\] norm is ""'),
    (lambda: mx.fft.fft(X, axis=2), r"\[fft.fft\]"), (lambda: mx.fft.fftn(X, axes=(0, 0)), r"\[fft.fftn\]"),
    (lambda: mx.fft.fftn(X, axes=(1, -1)), r"\[fft.fftn\]"), (lambda: mx.fft.fftn(X, s=(3,), axes=(0, 1)), r"\[fft.fftn\] s"),
    (lambda: mx.fft.fftn(X, s=(3, 4, 5)), r"\[fft.fftn\] s"), (lambda: mx.fft.fft2(mx.ones(3)), r"\[fft.fft2\]"),
    (lambda: mx.fft.fft(mx.array(1.0)), r"\[fft.fft\]"), (lambda: mx.fft.fft(mx.zeros((3, 0))), r"\[fft.fft\] axis 1"),
    (lambda: mx.fft.irfft(mx.ones(1)), r"\[fft.irfft\] axis 0"), (lambda: mx.fft.rfftn(X, axes=()), r"\[fft.rfftn\]"),
    (lambda: mx.fft.fftn(X, s=(2, 0)), r"\[fft.fftn\] n is 0"), (lambda: mx.fft.fftfreq(0), r"\[fft.fftfreq\] n is 0"),
    (lambda: mx.fft.rfftfreq(4, 0.0), r"\[fft.rfftfreq\] d is 0"), (lambda: mx.fft.fftfreq(4, dtype=mx.int32), r"\[fft.fftfreq\] dtype"),
    (lambda: mx.fft.fftshift(X, 2), r"\[fft.fftshift\]"), (lambda: mx.fft.ifftshift(X, (0, 0)), r"\[fft.ifftshift\]"),
    (lambda: mx.fft.fft(X, n=2**62), r"\[fft.fft\]"), (lambda: mx.fft.irfft(X, n=2**62), r"\[fft.irfft\]"),
])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_frequencies_and_shifts():
    for n in (1, 2, 5, 8, 1001):
        for d in (1.0, 0.1, -3):
            for name in ("fftfreq", "rfftfreq"):
                got, truth = np.array(getattr(mx.fft, name)(n, d)), getattr(np.fft, name)(n, d)
                assert got.dtype == np.float32
                np.testing.assert_array_equal(got, truth.astype(np.float32))
        x = np.arange(2 * n).reshape(2, n)
        for axes in (None, 0, 1, (0, 1), (-1,)):
            for name in ("fftshift", "ifftshift"):
                np.testing.assert_array_equal(np.array(getattr(mx.fft, name)(mx.array(x), axes)), getattr(np.fft, name)(x, axes))
            assert mx.array_equal(mx.fft.ifftshift(mx.fft.fftshift(mx.array(x), axes), axes), mx.array(x))


# --- derivatives: the transform is linear, so differences are exact but for rounding ---

def inner(a, b):
    return float((mx.real(a) * mx.real(b) + mx.imag(a) * mx.imag(b)).sum()) if a.dtype == mx.complex128 else float((a * b).sum())


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 37, 80])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_the_transpose_is_the_adjoint(name, n):
    for norm in NORMS:
        def f(x, name=name, norm=norm):
            return getattr(mx.fft, name)(x, n, norm=norm)

        dtype = "float64" if name in ("rfft", "ihfft") else "complex128"
        x, t = (mx.array(draw((2, n), dtype), dtype=getattr(mx, dtype)) for _ in range(2))
        y = f(x)
        out = "complex128" if y.dtype == mx.complex128 else "float64"
        ct = mx.array(draw(y.shape, out), dtype=y.dtype)
        (tangent,), (cotangent,) = mx.jvp(f, [x], [t])[1], mx.vjp(f, [x], [ct])[1]
        assert cotangent.dtype == x.dtype
        assert abs(inner(tangent, ct) - inner(t, cotangent)) < 1e-11 * n
        # And the adjoint's adjoint is the transform again.
        again = mx.vjp(lambda c: mx.vjp(f, [x], [c])[1][0], [ct], [t])[1][0]
        np.testing.assert_allclose(np.array(again), np.array(tangent), atol=1e-12 * n)


def test_gradients_twice_through_a_spectrum():
    x = mx.array(draw((12,), "float64"), dtype=mx.float64)

    def energy(x):
        return (mx.abs(mx.fft.rfft(x)) ** 3).sum()

    mx.check_grads(energy, (x,), order=2)
    mx.check_grads(lambda x: (mx.fft.irfft(mx.fft.rfft(x) ** 2, 12) ** 2).sum(), (x,), order=2)


def test_vmap_over_any_axis():
    x = draw((3, 4, 5), "complex64")
    for batch in range(3):
        got = mx.vmap(lambda t: mx.fft.fft2(t), in_axes=batch, out_axes=batch)(mx.array(x))
        rest = [a for a in range(3) if a != batch]
        assert error(got, np.fft.fftn(x, axes=rest)) < 1e-6
    got = mx.vmap(lambda t: mx.fft.irfft(mx.fft.rfft(t, 8), axis=0))(mx.array(x.real.copy()))
    assert got.shape == (3, 4, 5) or got.shape[0] == 3


def test_compiled_has_the_same_bits():
    for shape in ((4, 12), (130,), (37, 3)):
        x = mx.array(draw(shape, "float32"))

        def f(x):
            return mx.fft.irfft(mx.fft.rfft(x * 2, axis=0) * mx.fft.fft(x, axis=0)[:x.shape[0] // 2 + 1], axis=0)

        assert mx.array_equal(mx.compile(f)(x), f(x))
        assert mx.array_equal(mx.compile(f, shapeless=True)(x), f(x))


def test_plans_are_bounded():
    """Many lengths, one after the other and again."""
    for _ in range(2):
        for n in range(500, 700):
            x = np.ones(n, np.complex64)
            assert abs(float(mx.abs(mx.fft.fft(mx.array(x))[0])) - n) < 1e-3 * n


BITS = """
import hashlib
import mlx.core as mx
digest = hashlib.sha256()
for shape, axis in (((70000,), 0), ((65536,), 0), ((3, 16384), 1), ((40, 300), 1), ((300, 40), 0), ((100003,), 0), ((9, 97), 1)):
    x = mx.random.normal(shape, key=mx.random.key(3))
    for f in (mx.fft.fft, mx.fft.ifft, mx.fft.rfft, mx.fft.irfft):
        digest.update(bytes(f(x, axis=axis)))
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads():
    assert len({again("-c", BITS, MLX_NUM_THREADS=threads) for threads in ("1", "2", "5")}) == 1


EACH_WAY = """
import mlx.core as mx
import numpy as np
rng = np.random.default_rng(1)
for name, bound in (("complex64", 1e-6), ("complex128", 2e-15)):
    for n in (1, 3, 4, 7, 8, 16, 17, 32, 48, 64, 97, 100, 128, 250, 256, 509, 1000, 1024, 4096, 65536):
        for count in (1, 19) if n < 5000 else (1,):
            x = (rng.standard_normal((count, n)) + 1j * rng.standard_normal((count, n))).astype(name)
            y = np.fft.fft(x)
            for got, truth in ((mx.fft.fft(mx.array(x, dtype=getattr(mx, name))), y),
                               (mx.fft.fft(mx.array(x.T.copy(), dtype=getattr(mx, name)), axis=0), y.T),
                               (mx.fft.ifft(mx.array(y, dtype=getattr(mx, name))), x),
                               (mx.fft.rfft(mx.array(x.real.copy(), dtype=mx.float64)), np.fft.rfft(x.real)),
                               (mx.fft.irfft(mx.fft.rfft(mx.array(x.real.copy(), dtype=mx.float64)), n), x.real)):
                assert np.linalg.norm(np.array(got) - truth) <= bound * np.linalg.norm(truth), (n, count)
print("good")
"""


@lesser_instruction_sets
def test_other_instruction_sets(target):
    assert again("-c", EACH_WAY, MLX_CPU_TARGETS=target) == "good\n"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("n", [4, 8, 16, 32, 64, 128, 256, 512])
def test_rows_are_as_columns_to_the_bit(n, dtype):
    """However many rows are done at once, with numbers that are none and zeros of both signs among them."""
    for count in (1, 2, 5, 16, 35):
        x = draw((count, n), dtype)
        x[0, ::3] = -0.0
        x[-1, n // 2] = np.inf
        x[count // 2, 3] = complex(1, np.nan)
        real = x.real.copy()
        for name, values in (("fft", x), ("ifft", x), ("rfft", real), ("irfft", x[:, :n // 2 + 1].copy())):
            f = getattr(mx.fft, name)
            a = mx.array(values, dtype=getattr(mx, values.dtype.name))
            rows = np.array(f(a))
            columns = np.array(mx.contiguous(f(mx.contiguous(a.T), axis=0).T))
            kind = f"u{rows.dtype.type(0).real.itemsize}"
            part = rows.real.dtype
            nan = np.isnan(rows.view(part))
            assert np.array_equal(nan, np.isnan(columns.view(part))), (name, count)
            assert np.array_equal(rows.view(kind)[~nan], columns.view(kind)[~nan]), (name, count)
