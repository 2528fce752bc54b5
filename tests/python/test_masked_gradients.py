"""A zero cotangent yields zero: what a mask takes out of a result adds nothing to a derivative of any order in any mode, whatever
value and slope were taken out. Every differentiable elementwise op at poles, infinities and NaN; then idioms by name."""

import doctest
import pathlib

import mlx.core as mx
import numpy as np
import pytest

import arrays
import samples

# --- every elementwise op, at points that no derivative survives ---

BAD = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e300, -1e300, np.inf, -np.inf, np.nan])
GOOD = 4
ELEMENTWISE = [s for s in samples.samples() if s.elementwise and not s.label and s.differentiable]

# How good lanes are kept: each a function of (results on all lanes, mask) with the good ones first.
WAYS = {
    "where": lambda y, mask: mx.where(mask, y, 0),
    "zero_times": lambda y, mask: mx.zero_times(mask.astype(y.dtype), y),
    "slice": lambda y, mask: y[:GOOD],
    "gather": lambda y, mask: y[mx.arange(GOOD)],
    "take_along_axis": lambda y, mask: mx.take_along_axis(y, mx.arange(GOOD), axis=0),
    "mask": lambda y, mask: y[mask],
    "split": lambda y, mask: mx.split(y, [GOOD])[0],
    "overwritten": lambda y, mask: mx.put_along_axis(y, mx.arange(GOOD, y.size), mx.zeros(y.size - GOOD, y.dtype), axis=0),
}

# function, args, tangents, weights of the results -> arrays. Inner sums are over lanes, so that a lane is independent.
def gradient(function, weights):
    def grad(*args):
        return mx.vjp(lambda *a: [function(*a)], list(args), [weights])[1]
    return grad


def tangent(function, moves):
    return lambda *args: mx.jvp(lambda *a: [function(*a)], list(args), moves)[1][0]


def directional(function, weights, moves):
    """<gradient, moves>, summed over the arguments, lane by lane."""
    return lambda *args: sum(g * m for g, m in zip(gradient(function, weights)(*args), moves))


MODES = {
    "vjp": lambda f, a, t, w: gradient(f, w)(*a),
    "jvp": lambda f, a, t, w: [tangent(f, t)(*a)],
    "vjp of vjp": lambda f, a, t, w: gradient(directional(f, w, t), mx.ones_like(a[0]))(*a),
    "jvp of vjp": lambda f, a, t, w: [tangent(directional(f, w, t), t)(*a)],
    "vjp of jvp": lambda f, a, t, w: gradient(tangent(f, t), w)(*a),
    "jvp of jvp": lambda f, a, t, w: [tangent(tangent(f, t), t)(*a)],
    "vjp of vjp of vjp": lambda f, a, t, w: gradient(directional(directional(f, w, t), mx.ones_like(a[0]), t), mx.ones_like(a[0]))(*a),
}


def lanes_of(sample, dtype):
    """Arguments with the good lanes first, then every combination of bad values."""
    bad = [b.ravel() for b in np.meshgrid(*[BAD] * len(sample.args))]
    draw = samples.replace(sample, args=tuple(samples.replace(a, shape=(GOOD,)) for a in sample.args)).draw(dtype)
    return [arrays.to_mx(np.concatenate([good, b]).astype(good.dtype), dtype) for good, b in zip(draw, bad)]


def real_arguments(sample, args):
    """The function of the arguments that have derivatives, and those."""
    which = sample.real_args

    def function(*primals):
        full = list(args)
        for i, p in zip(which, primals):
            full[i] = p
        return sample.call(*full)

    return function, [args[i] for i in which]


def waves(n, dtype, phase):
    return arrays.to_mx(np.cos(np.arange(n) * 1.7 + phase), dtype)


def good_part(sample, args):
    return real_arguments(sample, [a[:GOOD] if isinstance(a, mx.array) else a for a in args])


CELLS = [pytest.param(s, dtype, id=f"{s.id}-{dtype}") for s in ELEMENTWISE if len(s.real_args) == len(s.args)
         for dtype in ("float64", "complex128") if dtype in s.dtypes]


@pytest.mark.grid(0.06)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sample, dtype", CELLS)
def test_bad_lanes_do_not_count(sample, dtype, way, mode):
    args = lanes_of(sample, dtype)
    count = args[0].size
    mask = mx.arange(count) < GOOD
    alone, good = good_part(sample, args)
    kept = lambda *a: WAYS[way](sample.call(*a), mask)
    moves = [waves(count, dtype, k) for k in range(len(args))]
    result = kept(*args)
    weights = waves(result.size, arrays.name_of(result.dtype), 9)
    got = MODES[mode](kept, args, moves, weights)
    expected = MODES[mode](alone, good, [m[:GOOD] for m in moves], weights[:GOOD])
    for g, e in zip(got, expected):
        g, e = arrays.to_np(g), arrays.to_np(e)
        np.testing.assert_allclose(g[:GOOD], e, rtol=1e-12, atol=1e-12)
        assert not np.any(g[GOOD:]), f"masked lanes {g[GOOD:]}"


# --- idioms ---

INF = mx.inf


def where_positive(function):
    return lambda x: mx.where(x > 0, function(x), 0)


def softmax_rows(x):
    """Attention's mask: rows without any element left are 0."""
    shown = x > 0
    return mx.where(shown.any(axis=1, keepdims=True), mx.softmax(mx.where(shown, x, -INF), axis=1), 0)


def softmax_rows_safe(x):
    shown = x > 0
    e = mx.where(shown, mx.exp(mx.where(shown, x, 0)), 0)
    total = e.sum(axis=1, keepdims=True)
    return e / mx.where(total == 0, 1, total)


def attention(x):
    return mx.softmax(mx.where(mx.tri(3, 3) > 0, x[:, None] * x[None], -INF), axis=-1) @ x


def attention_safe(x):
    return mx.stack([mx.softmax(x[k] * x[:k + 1]) @ x[:k + 1] for k in range(3)])


def overwritten(x):
    y = mx.log(x)
    y[1] = 0
    return y


def length(x):
    return mx.sqrt((x * x).sum(axis=-1, keepdims=True))


def long_rows(function):
    return lambda x: mx.where((x * x).sum(axis=-1, keepdims=True) > 0, function(x), 0)


def first_row(function):
    """Zero but for the first row."""
    return lambda x: mx.concatenate([function(x[:1]), mx.zeros_like(function(x[1:] * 0 + 1))])


def only(places, function):
    """The result at these places; zeros elsewhere."""
    def picked(x):
        good = function(x[mx.array(places)])
        return mx.stack([good[places.index(i)] if i in places else x[i] * 0 for i in range(x.size)])
    return picked


# name: (function, the same one written so that nothing bad is computed, point)
IDIOMS = {
    "log": (where_positive(mx.log), only([0, 2], mx.log), [2.0, 0.0, 0.5, -1.0]),
    "sqrt": (where_positive(mx.sqrt), only([0, 2], mx.sqrt), [2.0, 0.0, 0.5, -1.0]),
    "rsqrt": (where_positive(mx.rsqrt), only([0, 2], mx.rsqrt), [2.0, 0.0, 0.5, -1.0]),
    "square root as a power": (where_positive(lambda x: x ** 0.5), only([0], lambda x: x ** 0.5), [2.0, 0.0, -1.0]),
    "negative power": (where_positive(lambda x: x ** -1.5), only([0], lambda x: x ** -1.5), [2.0, 0.0, -1.0]),
    "x ** x": (where_positive(lambda x: x ** x), only([0], lambda x: x ** x), [2.0, 0.0, -1.0]),
    "x log x": (where_positive(lambda x: x * mx.log(x)), only([0], lambda x: x * mx.log(x)), [2.0, 0.0, -1.0]),
    "entropy": (lambda p: -mx.where(p > 0, p * mx.log(p), 0).sum(), lambda p: -(p[:2] * mx.log(p[:2])).sum(), [0.25, 0.75, 0.0]),
    "1 / x": (lambda x: mx.where(x != 0, 1 / x, 0), only([0, 2], mx.reciprocal), [2.0, 0.0, -1.0]),
    "1 / x / x": (lambda x: mx.where(x != 0, 1 / x / x, 0), only([0, 2], lambda x: mx.reciprocal(x * x)), [2.0, 0.0, -1.0]),
    "guarded divisor": (lambda x: x / mx.where(x == 0, 1, x), lambda x: mx.where(x == 0, x, 1), [2.0, 0.0, -1.0]),
    "softplus": (lambda x: mx.where(x < 30, mx.log1p(mx.exp(x)), x), lambda x: mx.where(x < 30, mx.logaddexp(x, x * 0), x),
                 [0.5, 1e4, 40.0, -2.0]),
    "exp of the large": (lambda x: mx.where(x < 10, x * mx.exp(x), 0), only([0], lambda x: x * mx.exp(x)), [1.0, 1e4, INF]),
    "norm": (long_rows(length), first_row(length), [[3.0, 4.0], [0.0, 0.0]]),
    "unit vector": (long_rows(lambda x: x / length(x)), first_row(lambda x: x / length(x)), [[3.0, 4.0], [0.0, 0.0]]),
    "std of equal elements": (lambda x: mx.std(x, axis=-1), lambda x: mx.concatenate([mx.std(x[:1], axis=-1), x[1:, 0] * 0]),
                              [[3.0, 5.0], [1.0, 1.0]]),
    "relu at infinities": (lambda x: mx.maximum(x, 0), lambda x: mx.where(mx.array([True, False, True, False]), x, 0), [1.0, -1.0, INF, -INF]),
    "clip": (lambda x: mx.clip(x, -1, 1), lambda x: mx.where(mx.array([True, False, False, False]), x, 1), [0.5, 2.0, INF, -INF]),
    "clip between infinities": (lambda x: mx.clip(x, -INF, INF), lambda x: x * 1, [0.5, -2.0]),
    "clip of a log": (lambda x: mx.clip(mx.log(x), -3, 3), only([0], mx.log), [0.5, 0.0, INF]),
    "log of a maximum": (lambda x: mx.log(mx.maximum(x, 1e-6)), only([0], mx.log), [0.5, 0.0, -1.0]),
    "sqrt of a maximum": (where_positive(lambda x: mx.sqrt(mx.maximum(x, 0))), only([0], mx.sqrt), [0.5, 0.0, -1.0]),
    "gather": (lambda x: mx.log(x)[mx.array([0, 2])], lambda x: mx.log(x[mx.array([0, 2])]), [0.5, 0.0, 1.0]),
    "sort": (lambda x: mx.sort(mx.sqrt(x))[1:], lambda x: mx.sqrt(x[1:]), [0.0, 0.5, 1.0]),
    "topk": (lambda x: mx.sort(mx.topk(mx.sqrt(x), 2)), lambda x: mx.sqrt(x[1:]), [0.0, 0.5, 1.0]),
    "max": (lambda x: mx.max(mx.sqrt(x)), lambda x: mx.sqrt(x[2]), [0.0, 0.5, 1.0]),
    "min": (lambda x: mx.min(1 / x), lambda x: 1 / x[2], [0.0, 0.5, 1.0]),
    "median": (lambda x: mx.median(mx.sqrt(x)), lambda x: mx.sqrt(x[1]), [0.0, 0.5, 1.0]),
    "cummax": (lambda x: mx.cummax(mx.sqrt(x))[1:], lambda x: mx.sqrt(x[1:]), [0.0, 0.5, 1.0]),
    "cumsum": (lambda x: mx.cumsum(mx.where(x > 0, mx.log(x), 0)), lambda x: mx.cumsum(mx.concatenate([x[:1] * 0, mx.log(x[1:])])),
               [0.0, 0.5, 1.0]),
    "prod of the finite": (lambda x: mx.where(mx.isfinite(x), x, 1).prod(), lambda x: x[1:].prod(), [INF, 0.5, 0.0, 2.0]),
    "logsumexp": (mx.logsumexp, lambda x: mx.logsumexp(x[1:]), [-INF, 0.5, 1.0]),
    "logsumexp of a mask": (lambda x: mx.logsumexp(mx.where(x > 0, x, -INF)), lambda x: mx.logsumexp(x[1:]), [-1.0, 0.5, 1.0]),
    "logsumexp of nothing": (mx.logsumexp, lambda x: mx.where(mx.isfinite(x), x, 0).sum() * 0, [-INF, -INF]),
    "logcumsumexp": (lambda x: mx.logcumsumexp(x)[2:], lambda x: mx.logcumsumexp(x[2:]), [-INF, -INF, 0.5, 1.0]),
    "softmax": (lambda x: mx.softmax(x)[1:], lambda x: mx.softmax(x[1:]), [-INF, 0.5, 1.0]),
    "softmax of rows": (softmax_rows, softmax_rows_safe, [[0.5, 1.0], [-1.0, 2.0], [-1.0, -2.0]]),
    "causal attention": (attention, attention_safe, [0.3, 0.1, 2.0]),
    "nan_to_num": (lambda x: mx.nan_to_num(mx.log(x), neginf=0), only([0], mx.log), [0.5, 0.0, -2.0]),
    "overwritten": (overwritten, only([0, 2], mx.log), [0.5, 0.0, 2.0]),
    "pad": (lambda x: mx.pad(mx.log(x)[1:], 1), lambda x: mx.pad(mx.log(x[1:]), 1), [0.0, 0.5, 2.0]),
    "product with a matrix": (lambda x: where_positive(mx.log)(x) @ mx.array([1.0, 2.0, 3.0], mx.float64),
                              lambda x: mx.log(x[:1]).sum(), [0.5, 0.0, -1.0]),
}


def point_of(name):
    return mx.array(IDIOMS[name][2], dtype=mx.float64)


def moves_and_weights(function, x):
    y = function(x)
    return waves(x.size, "float64", 0).reshape(x.shape), waves(y.size, "float64", 9).reshape(y.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", IDIOMS)
def test_idiom(name, mode):
    function, safe, _ = IDIOMS[name]
    x = point_of(name)
    t, w = moves_and_weights(function, x)
    got, expected = (MODES[mode](f, [x], [t], w)[0] for f in (function, safe))
    np.testing.assert_allclose(arrays.to_np(got), arrays.to_np(expected), rtol=1e-9, atol=1e-12)
    assert np.all(np.isfinite(arrays.to_np(got)))


@pytest.mark.parametrize("name", IDIOMS)
def test_idiom_under_vmap(name):
    """Gradient, Jacobian and Hessian with lanes of points and of directions."""
    function, _, _ = IDIOMS[name]
    x = point_of(name)
    t, w = moves_and_weights(function, x)
    points = mx.stack([x, x[::-1], x])
    for mode in ("vjp", "jvp", "jvp of vjp", "vjp of vjp"):
        one = lambda x, t, mode=mode: MODES[mode](function, [x], [t], w)[0]
        expected = [arrays.to_np(one(points[k], t)) for k in range(3)]
        got = mx.vmap(one, in_axes=(0, None))(points, t)
        np.testing.assert_allclose(arrays.to_np(got), np.stack(expected), rtol=1e-9, atol=1e-12)
        directions = mx.stack([t, -t, 2 * t])
        got = mx.vmap(one, in_axes=(None, 0))(x, directions)
        for k in range(3):
            np.testing.assert_allclose(arrays.to_np(got[k]), arrays.to_np(one(x, directions[k])), rtol=1e-9, atol=1e-12)


def test_infinite_slope_is_told():
    """Only a zero hides a slope: what a result does depend on shows."""
    assert mx.grad(mx.sqrt)(mx.array(0.0)).item() == np.inf
    assert np.isnan(mx.grad(lambda x: x / x)(mx.array(0.0)).item())


@pytest.mark.parametrize("dtype", arrays.INEXACT)
def test_products_and_quotients_of_tangents(dtype):
    """Where a factor is 0 so is the product, where the dividend is 0 or the divisor infinite so is the quotient; elsewhere they are
    what the plain ops give, to the bit."""
    values = np.array([0.0, -0.0, 1.5, -2.0, np.inf, np.nan, 0.25] * 3)
    if dtype in arrays.COMPLEX:
        values = values + 1j * np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -3.0] * 3)
    a, b = (arrays.to_mx(v.ravel(), dtype) for v in np.meshgrid(values, values))
    either = arrays.to_np(a == 0) | arrays.to_np(b == 0)
    over = arrays.to_np(a == 0) | arrays.to_np(mx.isinf(b))
    quotient = mx.vjp(lambda x: [x / mx.conjugate(b)], [mx.ones_like(b)], [a])[1][0]
    product = mx.jvp(lambda x: [mx.zero_times(a, x)], [mx.ones_like(b)], [b])[1][0]
    for got, hidden, plain in ((quotient, over, a / b), (product, either, b * a), (mx.zero_times(a, b), either, a * b)):
        got = arrays.to_np(got)
        np.testing.assert_array_equal(got, np.where(hidden, 0, arrays.to_np(plain)).astype(got.dtype))


def test_the_page_on_gradients():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/gradients.md").read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(page.replace("```", ""), {}, "gradients.md", None, None)
    assert len(test.examples) >= 3
    said = []
    result = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
