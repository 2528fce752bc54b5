"""Convolutions: every combination of parameters against their definition, layouts, batches, derivatives, errors."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

import conv_rows

RNG = np.random.default_rng(7)


def draw(shape, name="float64"):
    x = RNG.standard_normal(shape)
    return (x + 1j * RNG.standard_normal(shape) if name.startswith("complex") else x).astype(name)


def given(x):
    return mx.array(x, dtype=getattr(mx, x.dtype.name))


def close(got, expected, by=1e-12):
    assert got.shape == expected.shape
    np.testing.assert_allclose(np.array(got), expected, rtol=by, atol=by * max(1.0, np.abs(expected).max(initial=0)))


COMBINATIONS = list(itertools.product((1, 2, 3), (0, 2, (1, 3), (-1, 2)), (1, 2), (1, 2, 3), (1, 2), (False, True)))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_combination(axes):
    """stride, padding, kernel dilation, input dilation, groups, flip; one kernel for all where it fits."""
    for number, (stride, padding, kd, d, groups, flip) in enumerate(COMBINATIONS):
        n, k = [(9,), (7, 5), (5, 4, 6)][axes - 1], [(3,), (2, 3), (2, 1, 3)][axes - 1]
        channels, outputs = ((4, 6), (2, 2), (1, 1), (3, 3))[number % 4]
        if channels % groups or outputs % groups:
            groups = channels if number % 4 == 3 else 1
        x, w = draw((2, *n, channels)), draw((outputs, *k, channels // groups))
        pair = padding if isinstance(padding, tuple) else (padding, padding)
        pad = ([pair[0]] * axes, [pair[1]] * axes)
        args = dict(stride=stride, padding=pad, kernel_dilation=kd, input_dilation=d, groups=groups, flip=flip)
        if any(d * (ni - 1) + 1 + sum(pair) < kd * (ki - 1) + 1 for ni, ki in zip(n, k)):
            with pytest.raises(ValueError, match="kernel is larger"):
                mx.conv_general(given(x), given(w), **args)
            continue
        close(mx.conv_general(given(x), given(w), **args), conv_rows.general(x, w, **args))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_transposed_combination(axes):
    for number, (stride, padding, dilation, more, groups) in enumerate(itertools.product((1, 2, 3), (0, 1, 2), (1, 2), (0, 1, 4), (1, 2))):
        n, k = [(5,), (4, 3), (3, 2, 4)][axes - 1], [(3,), (2, 3), (2, 3, 3)][axes - 1]
        channels, outputs = ((4, 6), (2, 2), (2, 4))[number % 3]
        x, w = draw((2, *n, channels)), draw((outputs, *k, channels // groups))
        args = dict(stride=stride, padding=padding, dilation=dilation, output_padding=more, groups=groups)
        if any(stride * (ni - 1) + dilation * (ki - 1) + more + 1 - 2 * padding < 1 for ni, ki in zip(n, k)):
            continue
        close(getattr(mx, f"conv_transpose{axes}d")(given(x), given(w), **args), conv_rows.back(x, w, **args))


SHAPES = [((2, 16, 16, 64), (32, 3, 3, 64), dict(padding=1)), ((1, 23, 19, 3), (20, 7, 7, 3), dict(stride=2, padding=3)),
          ((3, 8, 8, 40), (70, 1, 1, 40), {}), ((2, 12, 10, 48), (48, 3, 3, 1), dict(groups=48, padding=1)),
          ((2, 9, 9, 24), (48, 3, 3, 1), dict(groups=24)), ((1, 7, 7, 100), (600, 3, 3, 100), dict(padding=1)),
          ((1, 9, 3000, 1), (3, 5, 9, 1), dict(padding=(2, 4))), ((4, 6, 5, 12), (18, 2, 2, 4), dict(groups=3, stride=(1, 2)))]


@pytest.mark.parametrize("shape_x, shape_w, args", SHAPES, ids=str)
def test_larger_ones(shape_x, shape_w, args):
    x, w = draw(shape_x), draw(shape_w)
    named = {"kernel_dilation" if k == "dilation" else k: v for k, v in args.items()}
    expected, size = conv_rows.general(x, w, **named), conv_rows.general(np.abs(x), np.abs(w), **named)
    for dtype, eps in (("float32", 2.0**-24), ("float64", 2.0**-53), ("float16", 2.0**-11), ("bfloat16", 2.0**-8)):
        a, b = (mx.array(v, dtype=getattr(mx, dtype)) for v in (x, w))
        exact = conv_rows.general(*(np.array(v.astype(mx.float64)) for v in (a, b)), **named) if dtype != "float64" else expected
        got = mx.conv2d(a, b, **args)
        assert got.dtype == a.dtype and got.shape == expected.shape
        error = np.abs(np.array(got.astype(mx.float64)) - exact)
        # Halves: one rounding of the result, and sums as exact as those of float32.
        bound = eps * np.abs(exact) + 2.0**-20 * size if eps > 2.0**-20 else 8 * eps * size
        assert (error <= bound).all()
        # The same bits wherever the elements lie, and for each image alone.
        turned = mx.contiguous(mx.transpose(a, (3, 2, 1, 0))).transpose(3, 2, 1, 0)
        assert mx.array_equal(got, mx.conv2d(turned, mx.contiguous(mx.transpose(b, (1, 3, 0, 2))).transpose(2, 0, 3, 1), **args))
        assert mx.array_equal(got[:1], mx.conv2d(a[:1], b, **args))


def test_complex_and_integers():
    x, w = draw((2, 9, 4), "complex128"), draw((6, 3, 2), "complex128")
    close(mx.conv1d(given(x), given(w), groups=2), conv_rows.general(x, w, groups=2))
    close(mx.conv1d(given(x.real.copy()), given(w), groups=2), conv_rows.general(x.real, w, groups=2))
    for name in ("int8", "uint8", "int16", "int32", "uint64", "int64"):
        x, w = (RNG.integers(0, 100, s).astype(name) for s in ((1, 40, 3), (2, 5, 3)))
        got = mx.conv1d(given(x), given(w), padding=2)
        assert got.dtype == getattr(mx, name)
        np.testing.assert_array_equal(np.array(got), conv_rows.general(x.astype(np.int64), w.astype(np.int64), padding=2).astype(name))
    assert mx.conv1d(mx.ones((1, 3, 1), mx.int32), mx.ones((1, 2, 1), mx.float16)).dtype == mx.float16


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_is_numpys(mode):
    for n, m in ((1, 1), (5, 1), (1, 5), (4, 2), (2, 4), (7, 7), (300, 64), (65, 300), (3000, 1200)):
        a, v = draw((n,)), draw((m,))
        close(mx.convolve(given(a), given(v), mode=mode), np.convolve(a, v, mode))
        i, j = RNG.integers(-9, 9, n), RNG.integers(-9, 9, m)
        np.testing.assert_array_equal(np.array(mx.convolve(mx.array(i), mx.array(j), mode)), np.convolve(i, j, mode))
    np.testing.assert_array_equal(np.array(mx.convolve(mx.array([1.0, 2.0, 3.0]), mx.array([np.inf, 1.0]), mode)),
                                  np.convolve([1.0, 2.0, 3.0], [np.inf, 1.0], mode))


def test_what_lies_beyond_the_input_is_no_zero():
    """An infinite weight spoils only what it is multiplied with."""
    w = mx.array([1.0, 1.0, np.inf]).reshape(1, 3, 1)
    for channels in (1, 4):
        x = mx.ones((1, 4, channels))
        got = mx.conv1d(x, mx.broadcast_to(w, (1, 3, channels)), padding=1)[0, :, 0]
        assert got.tolist() == [np.inf, np.inf, np.inf, 2.0 * channels]
    depthwise = mx.conv1d(mx.ones((1, 4, 4)), mx.broadcast_to(w, (4, 3, 1)), padding=1, groups=4)[0, :, 2]
    assert depthwise.tolist() == [np.inf, np.inf, np.inf, 2.0]
    assert np.isnan(mx.conv1d(mx.zeros((1, 4, 1)), w)).all()


# --- batches ---

CASES = [dict(), dict(stride=2, padding=1), dict(groups=2), dict(groups=4, padding=2, kernel_dilation=2), dict(input_dilation=2, flip=True, groups=2)]


@pytest.mark.parametrize("args", CASES, ids=str)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_vmap_over_input_weight_and_both(axes, args):
    n, k = (6, 5, 4)[:axes], (3, 2, 2)[:axes]
    groups = args.get("groups", 1)
    f = lambda x, w: mx.conv_general(x, w, **args)
    x, w = given(draw((3, 2, *n, 4))), given(draw((3, 8, *k, 4 // groups)))
    loop = lambda f, xs, ws: np.stack([np.array(f(a, b)) for a, b in zip(xs, ws)])
    both, of_x, of_w = loop(f, x, w), loop(f, x, [w[0]] * 3), loop(f, [x[0]] * 3, w)
    for at in range(axes + 3):
        a, b = mx.moveaxis(x, 0, at), mx.moveaxis(w, 0, at)
        close(mx.vmap(f, in_axes=(at, None))(a, w[0]), of_x)
        close(mx.vmap(f, in_axes=(None, at))(x[0], b), of_w)
        close(mx.vmap(f, in_axes=(at, axes + 2 - at))(a, mx.moveaxis(w, 0, axes + 2 - at)), both)
    close(mx.vmap(mx.vmap(f, in_axes=(None, 0)), in_axes=(0, None))(x, w)[1], loop(f, [x[1]] * 3, w))
    gradient = lambda x, w: mx.grad(lambda x, w: (f(x, w) ** 2).sum(), argnums=(0, 1))(x, w)
    for got, i in zip(mx.vmap(gradient)(x, w), (0, 1)):
        close(got, loop(lambda a, b: gradient(a, b)[i], x, w))
    linear = lambda x, w: mx.grad(lambda x, w: f(x, w).sum(), argnums=1)(x, w)  # its cotangent is every lane's
    close(mx.vmap(linear, in_axes=(None, 0))(x[0], w), loop(linear, [x[0]] * 3, w))
    assert mx.vmap(f)(x[:0], w[:0]).shape[0] == 0 and mx.vmap(f, in_axes=(None, 0))(x[0], w[:0]).shape[0] == 0


# --- derivatives ---

@pytest.mark.parametrize("args", CASES + [dict(stride=3, padding=([2, 0], [1, 3]), kernel_dilation=(1, 2), input_dilation=(2, 1), groups=2)], ids=str)
def test_derivatives_twice(args):
    groups = args.get("groups", 1)
    x, w = given(draw((2, 5, 4, 4))), given(draw((4, 2, 2, 4 // groups)))
    f = lambda x, w: (mx.sin(mx.conv_general(x, w, **args))).sum()
    mx.check_grads(f, (x, w), order=2)
    # A convolution is linear in each: the Hessian of x and w is symmetric in its blocks.
    hx = mx.grad(lambda x: (mx.grad(f, argnums=1)(x, w) * w).sum())(x)
    hw = mx.grad(lambda w: (mx.grad(f, argnums=0)(x, w) * x).sum())(w)
    assert abs(float((hx * x).sum() - (hw * w).sum())) < 1e-9 * (1 + abs(float((hx * x).sum())))


def test_derivatives_of_transposes_and_sequences():
    x, w = given(draw((1, 4, 3, 2))), given(draw((4, 2, 3, 1)))
    mx.check_grads(lambda x, w: (mx.conv_transpose2d(x, w, stride=(2, 1), padding=1, dilation=(1, 2), output_padding=(1, 0), groups=2) ** 3).sum(), (x, w),
        order=2)
    for mode in ("full", "same", "valid"):
        mx.check_grads(lambda a, v: (mx.convolve(a, v, mode) ** 2).sum(), (given(draw((7,))), given(draw((4,)))), order=2)
    z, v = given(draw((1, 6, 2), "complex128")), given(draw((3, 2, 2), "complex128"))
    mx.check_grads(lambda z, v: (mx.abs(mx.conv1d(z, v, padding=1)) ** 2).sum(), (z, v), order=2)


def test_masked_out_terms_do_not_spoil_gradients():
    x = mx.array([0.0, 1.0, 2.0, 3.0]).reshape(1, 4, 1)
    w = mx.array([1.0, np.inf]).reshape(1, 2, 1)
    pulled = mx.vjp(lambda x: mx.conv1d(x, w), [x], [mx.zeros((1, 3, 1))])[1][0]
    assert mx.array_equal(pulled, mx.zeros_like(x))
    pushed = mx.jvp(lambda x: mx.conv1d(x, w), [x], [mx.array([0.0, 0.0, 0.0, 1.0]).reshape(1, 4, 1)])[1][0]
    assert pushed.flatten().tolist() == [0.0, 0.0, np.inf]


def test_compiled_for_any_size():
    w = given(draw((4, 3, 3, 2)))
    f = mx.compile(lambda x, w: mx.conv2d(x, w, stride=2, padding=1), shapeless=True)
    g = mx.compile(mx.grad(lambda x, w: (mx.conv2d(x, w, stride=2, padding=1) ** 2).sum(), argnums=(0, 1)), shapeless=True)
    for n in ((1, 5, 5), (3, 8, 6), (2, 9, 4)):
        x = given(draw((*n, 2)))
        assert mx.array_equal(f(x, w), mx.conv2d(x, w, stride=2, padding=1))
        expected = mx.grad(lambda x, w: (mx.conv2d(x, w, stride=2, padding=1) ** 2).sum(), argnums=(0, 1))(x, w)
        for a, b in zip(g(x, w), expected):
            assert mx.allclose(a, b, rtol=1e-12)
    h = mx.compile(lambda a, v: mx.convolve(a, v, "same"), shapeless=True)
    for n in (4, 9, 30):
        a, v = draw((n,)), draw((3,))
        close(h(given(a), given(v)), np.convolve(a, v, "same"))


def test_empty_ones():
    w = mx.ones((3, 2, 4))
    assert mx.conv1d(mx.zeros((0, 5, 4)), w).shape == (0, 4, 3)
    assert mx.conv1d(mx.zeros((2, 5, 4)), w[:0]).shape == (2, 4, 0)
    assert mx.array_equal(mx.conv1d(mx.zeros((2, 5, 0)), mx.zeros((3, 2, 0))), mx.zeros((2, 4, 3)))
    assert mx.array_equal(mx.conv1d(mx.zeros((2, 0, 4)), w, padding=2), mx.zeros((2, 3, 3)))
    for g in mx.grad(lambda x, w: mx.conv1d(x, w).sum(), argnums=(0, 1))(mx.zeros((0, 5, 4)), w):
        assert not np.array(g).any()


X, W = mx.ones((2, 8, 4)), mx.ones((6, 3, 4))
IMAGE = mx.ones((1, 4, 4, 2))


@pytest.mark.parametrize("call, text", [
    (lambda: mx.conv1d(X, W, groups=2), r"\[conv1d\] input with shape \(2,8,4\) has 4 channels.*groups=2"),
    (lambda: mx.conv1d(X, mx.ones((5, 3, 2)), groups=2), r"\[conv1d\] weight with shape \(5,3,2\) has 5 outputs"),
    (lambda: mx.conv1d(X, W, groups=0), r"\[conv1d\] groups is 0"), (lambda: mx.conv1d(X, W, stride=-1), r"\[conv1d\] stride is -1"),
    (lambda: mx.conv1d(X, W, stride=0), r"\[conv1d\] stride is 0"), (lambda: mx.conv1d(X, W, dilation=0), r"\[conv1d\] dilation is 0"),
    (lambda: mx.conv1d(X, W, dilation=4), r"\[conv1d\] the kernel is larger"), (lambda: mx.conv1d(X[:, :2], W), r"\[conv1d\] the kernel is larger"),
    (lambda: mx.conv1d(X, W, padding=-3), r"\[conv1d\] the kernel is larger"), (lambda: mx.conv1d(X, W[:, :0]), r"\[conv1d\] weight with shape \(6,0,4\)"),
    (lambda: mx.conv1d(X[0], W), r"\[conv1d\] input has shape \(8,4\).*\(N, W, C_in\)"), (lambda: mx.conv2d(X, W), r"\[conv2d\] input has shape"),
    (lambda: mx.conv1d(X, W[0]), r"\[conv1d\] weight has shape"),
    (lambda: mx.conv2d(IMAGE, mx.ones((1, 2, 2, 2)), stride=(1, 2, 3)), r"\[conv2d\] stride \(1,2,3\)"),
    (lambda: mx.conv_general(mx.ones((2, 3)), W), r"\[conv_general\] input has shape"),
    (lambda: mx.conv_general(IMAGE, mx.ones((1, 2, 2, 2)), padding=([1, 1, 1], [0, 0])), r"\[conv_general\] padding"),
    (lambda: mx.conv_transpose1d(X, W, padding=6), r"\[conv_transpose1d\] nothing is left"),
    (lambda: mx.conv_transpose1d(X, W, output_padding=-1), r"\[conv_transpose1d\] output_padding is -1"),
    (lambda: mx.conv_transpose2d(IMAGE, mx.ones((1, 2, 2, 3))), r"\[conv_transpose2d\] input with shape"),
    (lambda: mx.convolve(mx.ones((2, 2)), mx.ones(3)), r"\[convolve\] a has shape"),
    (lambda: mx.convolve(mx.ones(3), mx.ones(0)), r"\[convolve\] a has 3 elements"),
    (lambda: mx.convolve(mx.ones(3), mx.ones(2), "both"), r'\[convolve\] mode is "both"'),
    (lambda: mx.conv1d(X, W, padding=2**62), r"\[conv1d\]"), (lambda: mx.conv1d(X, W, dilation=2**62), r"\[conv1d\]"),
    (lambda: mx.conv1d(X, W, stride=2**63 - 1), r"\[conv1d\]"),
    (lambda: mx.conv_transpose1d(X, W, stride=2**62), r"\[conv_transpose1d\]"),
    (lambda: mx.conv_general(X, W, padding=([2**59], [-2**59 - 7])), r"\[conv_general\]"),
])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_wrong_types():
    for call in (lambda: mx.conv1d(X, W, stride=1.5), lambda: mx.conv_general(X, W, padding="1"), lambda: mx.conv_general(X, W, padding=([1], "x")),
                 lambda: mx.conv_general(X, W, padding=[[1], [1], [1]]), lambda: mx.conv1d(X, None)):
        with pytest.raises(TypeError):
            call()


# Few outputs of long windows: what derivatives by weights are.
LONG = [
    dict(n=(40,), k=(32,), batch=4, channels=3, outputs=37, padding=1),
    dict(n=(300,), k=(290,), batch=3, channels=2, outputs=130, padding=3),
    dict(n=(23, 18), k=(20, 16), batch=5, channels=2, outputs=6, padding=2, groups=2),
    dict(n=(9, 7, 12), k=(8, 6, 10), batch=3, channels=2, outputs=32, padding=(0, 2)),
    dict(n=(50,), k=(20,), batch=9, channels=2, outputs=5, stride=2, kernel_dilation=2, padding=1),
    dict(n=(24, 40), k=(16, 16), batch=8, channels=1, outputs=64, kernel_dilation=(1, 2), stride=(3, 1), padding=(-1, 2)),
    dict(n=(12,), k=(16,), batch=8, channels=2, outputs=4, padding=4, flip=True),
    dict(n=(20,), k=(16,), batch=8, channels=2, outputs=8, input_dilation=2, padding=(3, 0)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "float16"])
@pytest.mark.parametrize("case", LONG, ids=str)
def test_long_windows(case, dtype):
    args = {"stride": 1, "groups": 1, **case}
    n, k, batch, channels, outputs = (args.pop(name) for name in ("n", "k", "batch", "channels", "outputs"))
    pair = args["padding"] if isinstance(args["padding"], tuple) else (args["padding"],) * 2
    args["padding"] = ([pair[0]] * len(n), [pair[1]] * len(n))
    x, w = draw((batch, *n, channels * args["groups"]), dtype), draw((outputs, *k, channels), dtype)
    wide = "complex128" if dtype.startswith("complex") else "float64"
    expected = conv_rows.general(x.astype(wide), w.astype(wide), **args)
    by = {"float32": 2e-6, "complex64": 2e-6, "float16": 1e-3}.get(dtype, 1e-12)
    close(mx.conv_general(given(x), given(w), **args).astype(getattr(mx, wide)), expected, by)


@pytest.mark.parametrize("stride, dilation, groups, padding", [(1, 1, 1, 1), (2, 1, 1, 0), (1, 2, 1, 2), (1, 1, 2, 1)])
def test_gradients_by_weights_of_images(stride, dilation, groups, padding):
    """Against the product of what differentiation along one weight after another gives."""
    x, w = draw((3, 19, 17, 6)), draw((8, 3, 3, 6 // groups))
    f = lambda w: mx.conv2d(given(x), w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    ct = draw(f(given(w)).shape)
    (got,) = mx.vjp(f, [given(w)], [given(ct)])[1]
    expected = np.zeros_like(w)
    for at in itertools.product(range(8), range(3), range(3), range(6 // groups)):
        one = np.zeros_like(w)
        one[at] = 1
        expected[at] = np.sum(np.array(f(given(one))) * ct)
    close(got, expected)


def test_long_windows_leave_out_what_is_not_there():
    """Padding meets no infinity, and in a derivative a zero none either."""
    x, w = draw((8, 20, 2)), draw((4, 16, 2))
    w[1, 0, 0], w[2, 15, 1] = np.inf, np.nan
    with np.errstate(all="ignore"):
        expected = conv_rows.general(x, w, padding=3)
    np.testing.assert_allclose(np.array(mx.conv1d(given(x), given(w), padding=3)), expected, rtol=1e-12, atol=1e-12)
    x[0], ct = 0, draw((8, 20, 4))
    ct[0, 5, 1] = np.inf
    f = lambda w: mx.conv1d(given(x), w, padding=1)
    (got,) = mx.vjp(f, [given(draw((4, 3, 2)))], [given(ct)])[1]
    assert np.isfinite(np.array(got)).all()
