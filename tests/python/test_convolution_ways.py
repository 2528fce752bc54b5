"""Convolutions of drawn shapes: every way they are computed against the definition, for each instruction set; the same bits wherever the
operands lie, for each image alone and for any number of threads."""

import itertools
import sys

import mlx.core as mx
import numpy as np
import pytest

import conv_rows
from again import again, lesser_instruction_sets

EPS = {"float32": 2.0**-24, "float64": 2.0**-53, "complex64": 2.0**-24, "complex128": 2.0**-53, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def cases(seed, count):
    """(dtype, shape of x, shape of w, arguments): lines of a few positions to many, few channels to several panels, depthwise and grouped ones."""
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))]
    while count > 0:
        axes = pick(1, 2, 2, 3)
        longest = (pick(70, 200), pick(30, 30, 100), 14)[axes - 1]
        n = [int(rng.integers(3, longest)) for _ in range(axes)]
        k = [int(min(rng.integers(1, 6), ni)) for ni in n]
        groups = pick(1, 1, 1, 2, 3, 4, 17, 40)
        channels, outputs = (1, pick(1, 1, 2)) if groups > 2 else (pick(1, 3, 5, 16, 40), pick(1, 5, 16, 33, 70))
        args = dict(stride=[pick(1, 1, 2) for _ in n], kernel_dilation=[pick(1, 1, 2, 3) for _ in n],
                    input_dilation=[pick(1, 1, 1, 2) for _ in n], groups=groups, flip=bool(pick(0, 1)),
                    padding=([int(rng.integers(-1, ki + 1)) for ki in k], [int(rng.integers(-1, ki + 1)) for ki in k]))
        reach = [d * (ni - 1) + 1 + lo + hi - kd * (ki - 1) for d, ni, lo, hi, kd, ki in
                 zip(args["input_dilation"], n, *args["padding"], args["kernel_dilation"], k)]
        if min(reach) >= 1:
            count -= 1
            yield pick(*EPS), (pick(1, 2, 5), *n, groups * channels), (groups * outputs, *k, channels), args


def draw(rng, shape, name):
    x = rng.standard_normal(shape)
    return mx.array(x + 1j * rng.standard_normal(shape) if name.startswith("complex") else x, dtype=getattr(mx, name))


def laid_out_otherwise(x):
    order = tuple(reversed(range(x.ndim)))
    return mx.contiguous(x.transpose(order)).transpose(order)


def numbers(x):
    return np.array(x.astype(mx.complex128 if "complex" in str(x.dtype) else mx.float64))


def check(seed, count):
    rng = np.random.default_rng(seed)
    for name, x_shape, w_shape, args in cases(seed, count):
        x, w = draw(rng, x_shape, name), draw(rng, w_shape, name)
        f = lambda x, w: mx.conv_general(x, w, **args)
        y = f(x, w)
        wide = [numbers(v) for v in (x, w)]
        what = f"{name} {x_shape} {w_shape} {args}"
        close(y, conv_rows.general(*wide, **args), conv_rows.general(*map(np.abs, wide), **args), name, what)
        assert mx.array_equal(y, f(laid_out_otherwise(x), laid_out_otherwise(w))), what
        assert mx.array_equal(y[:1], f(x[:1], w)), what
        # <ct, dy> is linear in each operand: the derivatives' products with them are what y's with ct is.
        ct = draw(rng, y.shape, name)
        by_x, by_w = mx.vjp(f, [x, w], [ct])[1]
        size = np.sum(np.abs(numbers(ct)) * conv_rows.general(*map(np.abs, wide), **args))
        whole = np.sum(numbers(ct) * numbers(y) if "complex" not in name else numbers(ct).conj() * numbers(y))
        for gradient, operand in ((by_x, x), (by_w, w)):
            g = numbers(gradient)
            product = np.sum((g.conj() if "complex" in name else g) * numbers(operand))
            assert abs(product - whole) <= 4 * EPS[name] * size, what
        by_x2, by_w2 = mx.vjp(f, [laid_out_otherwise(x), laid_out_otherwise(w)], [laid_out_otherwise(ct)])[1]
        assert mx.array_equal(by_x, by_x2) and mx.array_equal(by_w, by_w2), what


def close(got, expected, size, name, what):
    error = np.abs(numbers(got) - expected)
    eps = EPS[name]
    # Halves: one rounding of the result, which may be subnormal, and sums as exact as those of float32.
    bound = eps * np.abs(expected) + 2.0**-21 * size + 2.0**-25 if name in ("float16", "bfloat16") else 12 * eps * size
    assert (error <= bound).all(), what


@pytest.mark.parametrize("seed", range(8))
def test_drawn_ones(seed):
    check(seed, 25)


@lesser_instruction_sets
def test_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


def test_bits_do_not_depend_on_the_number_of_threads():
    assert len({again(__file__, "bits", MLX_NUM_THREADS=threads) for threads in ("1", "2", "5")}) == 1


TILED = [("float32", (2, 31, 31, 32), (8, 3, 3, 32)), ("float32", (2, 28, 28, 128), (256, 3, 3, 128)), ("float32", (2, 1000, 16), (16, 9, 16)),
         ("bfloat16", (2, 9, 10, 11, 20), (24, 3, 2, 3, 20)), ("bfloat16", (3, 17, 18, 3), (40, 5, 5, 3))]


@pytest.mark.parametrize("name, x_shape, w_shape", TILED)
@pytest.mark.parametrize("odd", [0, 1e-33, 1e-38, 1e30, np.inf, np.nan])
def test_numbers_of_any_size_where_tiles_multiply(name, x_shape, w_shape, odd):
    """Of images and weights; what does not meet them is as exact as ever, and where they meet zeros around the image, too."""
    rng = np.random.default_rng(5)
    x, w = draw(rng, x_shape, name), draw(rng, w_shape, name)
    x = mx.where(mx.array(rng.random(x_shape) < 6 / x.size), mx.array(odd, x.dtype), x)
    f = lambda x, w: mx.conv_general(x, w, padding=1)
    y, wide = f(x, w), [mx.array(numbers(v), dtype=mx.float64) for v in (x, w)]
    exact, size = numbers(f(*wide)), numbers(f(*map(mx.abs, wide)))
    got, finite = numbers(y), np.isfinite(exact)
    assert np.array_equal(np.where(finite, 0, got), np.where(finite, 0, exact), equal_nan=True)
    # One rounding of the result, and those of sums in float32.
    bound = EPS[name] * np.abs(exact[finite]) + 6 * 2.0**-24 * size[finite] + 1e-35
    assert (np.abs(got[finite] - exact[finite]) <= bound).all()
    bits = lambda v: np.nan_to_num(numbers(v), nan=7e300)
    assert np.array_equal(bits(y), bits(f(laid_out_otherwise(x), laid_out_otherwise(w))))
    assert np.array_equal(bits(y), bits(mx.compile(f)(x, w)))
    assert np.array_equal(bits(y[1:2]), bits(f(x[1:2], w)))


SHIFTED = [((4, 15, 14, 32), (24, 3, 2, 32), 0), ((2, 9, 10, 11, 16), (32, 3, 3, 2, 16), 1), ((4, 200, 32), (48, 5, 32), 2),
           ((3, 20, 21, 17), (40, 3, 3, 17), 2), ((3, 17, 19, 130), (150, 2, 3, 130), 1)]


@pytest.mark.parametrize("x_shape, w_shape, padding", SHIFTED)
def test_derivatives_by_weights_of_bfloat16(x_shape, w_shape, padding):
    """Against those in float64; what is not finite reaches the taps and channels that meet it only."""
    rng = np.random.default_rng(6)
    f = lambda x, w: mx.conv_general(x, w, padding=padding)
    by_w = lambda x, w, ct: mx.vjp(f, [x, w], [ct])[1][1]
    for odd in (0, np.inf, np.nan):
        x, w = draw(rng, x_shape, "bfloat16"), draw(rng, w_shape, "bfloat16")
        x = mx.where(mx.array(rng.random(x_shape) < 3 / x.size), mx.array(odd, x.dtype), x)
        ct = draw(rng, f(x, w).shape, "bfloat16")
        wide = [mx.array(numbers(v), dtype=mx.float64) for v in (x, w, ct)]
        exact, size = numbers(by_w(*wide)), numbers(by_w(*map(mx.abs, wide)))
        got, finite = numbers(by_w(x, w, ct)), np.isfinite(exact)
        assert np.array_equal(np.where(finite, 0, got), np.where(finite, 0, exact), equal_nan=True)
        assert (np.abs(got[finite] - exact[finite]) <= 2.0**-8 * np.abs(exact[finite]) + 2.0**-21 * size[finite]).all()
        other = by_w(*map(laid_out_otherwise, (x, w, ct)))
        assert np.array_equal(got, numbers(other), equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_convolutions_of_their_own(seed):
    """Also where one holds what is no number: groups of few outputs share vectors, with zeros for the weights between them."""
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))]
    for _ in range(12):
        name, axes, groups = pick("float32", "float64", "float16", "bfloat16"), pick(1, 2, 3), pick(2, 3, 4, 8, 12, 32)
        n, k = [int(rng.integers(3, (60, 20, 9)[axes - 1])) for _ in range(axes)], [pick(1, 2, 3) for _ in range(axes)]
        channels, outputs = pick((2, 1), (1, 2), (4, 4), (8, 8), (3, 5), (20, 2))
        x, w = draw(rng, (2, *n, groups * channels), name), draw(rng, (groups * outputs, *k, channels), name)
        for odd in (None, np.inf, np.nan):
            if odd is not None:
                x = mx.where(mx.array(rng.random(x.shape) < 2 / x.size), mx.array(odd, x.dtype), x)
            args = dict(stride=pick(1, 2), padding=pick(0, 1))
            got = numbers(mx.conv_general(x, w, groups=groups, **args))
            parts = [(x[..., g * channels:(g + 1) * channels], w[g * outputs:(g + 1) * outputs]) for g in range(groups)]
            alone = np.concatenate([numbers(mx.conv_general(a, b, **args)) for a, b in parts], -1)
            np.testing.assert_array_equal(np.where(np.isfinite(got), 0, got), np.where(np.isfinite(alone), 0, alone))
            size = np.concatenate([numbers(mx.conv_general(*map(mx.abs, pair), **args)) for pair in parts], -1)
            there = np.isfinite(alone)
            bound = 8 * EPS[name] * size[there] + 2.0**-24 * (name == "float16")
            assert (np.abs(got[there] - alone[there]) <= bound).all(), (name, n, k, groups)


@pytest.mark.parametrize("n, k, groups", [((40,), (3,), 17), ((13, 20), (3, 2), 16), ((9, 9), (1, 4), 48), ((6, 5, 9), (2, 3, 2), 20)])
def test_gradients_of_depthwise_ones_by_weights(n, k, groups):
    """Against the sum over places of the product of what meets there."""
    rng = np.random.default_rng(len(n))
    x, w = draw(rng, (3, *n, groups), "float64"), draw(rng, (groups, *k, 1), "float64")
    for stride, dilation, flip in ((1, 1, False), (2, 1, True), (1, 2, False)):
        f = lambda w: mx.conv_general(x, w, stride=stride, padding=1, kernel_dilation=dilation, groups=groups, flip=flip)
        ct = draw(rng, f(w).shape, "float64")
        got, padded, expected = np.array(mx.vjp(f, [w], [ct])[1][0]), np.pad(np.array(x), [(0, 0), *[(1, 1)] * len(n), (0, 0)]), np.zeros(w.shape)
        for tap in itertools.product(*map(range, k)):
            at = tuple(slice(t * dilation, t * dilation + stride * (m - 1) + 1, stride) for t, m in zip(tap, ct.shape[1:-1]))
            to = tuple(ki - 1 - t for ki, t in zip(k, tap)) if flip else tap
            expected[(slice(None), *to, 0)] = np.sum(padded[(slice(None), *at)] * np.array(ct), axis=tuple(range(len(n) + 1)))
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


if __name__ == "__main__":
    if sys.argv[1:] == ["bits"]:
        import hashlib

        digest, rng = hashlib.sha256(), np.random.default_rng(0)
        for name, x_shape, w_shape, args in cases(0, 20):
            x, w = draw(rng, x_shape, name), draw(rng, w_shape, name)
            y = mx.conv_general(x, w, **args)
            for part in (y, *mx.vjp(lambda x, w: mx.conv_general(x, w, **args), [x, w], [draw(rng, y.shape, name)])[1]):
                digest.update(numbers(part).tobytes())
        print(digest.hexdigest())
    else:
        check(1, 60)
        test_groups_are_convolutions_of_their_own(1)
