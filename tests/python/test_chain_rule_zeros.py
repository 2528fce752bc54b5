"""In the chain rule 0 times anything is 0, whichever factor is 0: forward and reverse mode agree where slopes are 0, infinite or NaN.
Elementwise ops one by one and in pairs, products of matrices against sums of elementwise products, and compositions whose
derivative is known exactly. Zeros are compared by value, whatever their sign."""

import itertools
import os
import pathlib
import re

import mlx.core as mx
import numpy as np
import pytest

import arrays
import samples

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/gradients.md"
INF, NAN = np.inf, np.nan
BAD = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, INF, -INF, NAN])
FACTORS = [0.0, 1.0, -1.0, INF, -INF, NAN]
ELEMENTWISE = [s for s in samples.samples() if s.elementwise and not s.label and s.differentiable and "float64" in s.dtypes]
UNARY = [s for s in ELEMENTWISE if len(s.args) == 1]


def same(a, b, rtol=1e-12):
    """Equal as numbers: NaN to NaN, 0 to -0."""
    a, b = (arrays.to_np(v) if isinstance(v, mx.array) else np.asarray(v) for v in (a, b))
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-300, equal_nan=True)


def pushed(function, args, tangents):
    return mx.jvp(lambda *a: [function(*a)], list(args), list(tangents))[1][0]


def pulled(function, args, cotangent):
    return mx.vjp(lambda *a: [function(*a)], list(args), [cotangent])[1]


# --- elementwise ops ---

@pytest.mark.parametrize("sample", ELEMENTWISE, ids=lambda s: s.id)
def test_one_op_is_the_same_map_in_both_modes(sample):
    """c (d t) = (c d) t for tangents t and cotangents c of every kind, at every combination of bad arguments."""
    points = np.array(list(itertools.product(BAD, repeat=len(sample.args)))).T
    for k in range(len(sample.args)):
        if k not in sample.real_args:
            continue
        for t, c in itertools.product(FACTORS, repeat=2):
            args = [mx.array(p, mx.float64) for p in points]
            of_one = lambda x, k=k, args=args: sample.call(*args[:k], x, *args[k + 1:])
            t, c = (mx.full(args[0].shape, v, mx.float64) for v in (t, c))
            y = pushed(of_one, [args[k]], [t])
            if y.dtype == mx.complex128:
                continue  # cotangents of both parts meet
            same(mx.zero_times(c, y), mx.zero_times(pulled(of_one, [args[k]], c)[0], t))


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("outer", UNARY, ids=lambda s: s.id)
def test_pairs_of_ops_agree(outer):
    x = mx.array(BAD, mx.float64)
    one = mx.ones_like(x)
    for inner in UNARY:
        both = lambda x, inner=inner: outer.call(inner.call(x))
        if not arrays.name_of(both(x).dtype).startswith("float"):
            continue
        same(pushed(both, [x], [one]), pulled(both, [x], one)[0])


def test_threes_of_ops_agree():
    """Where all three slopes are moderate, 0, infinite or NaN: their product cannot overflow on one way only."""
    x = mx.array(BAD, mx.float64)
    one = mx.ones_like(x)
    names = {"sqrt", "cos", "exp", "log", "reciprocal", "square", "abs", "arctan", "tanh", "sin", "rsqrt", "log1p"}
    chosen = [s for s in UNARY if s.id in names]
    assert len(chosen) == len(names)
    for three in itertools.product(chosen, repeat=3):
        f = lambda x, three=three: three[2].call(three[1].call(three[0].call(x)))
        forward, reverse = arrays.to_np(pushed(f, [x], [one])), arrays.to_np(pulled(f, [x], one)[0])
        extreme = (np.abs(forward) > 1e200) | (np.abs(reverse) > 1e200) | (np.abs(forward) < 1e-200) | (np.abs(reverse) < 1e-200)
        extreme &= np.isfinite(forward) & np.isfinite(reverse)
        np.testing.assert_allclose(forward[~extreme], reverse[~extreme], rtol=1e-9, err_msg=str([s.id for s in three]))


NAMED = {
    "cos(sqrt(x))": (lambda x: mx.cos(mx.sqrt(x)), 0.0, 0.0),
    "sqrt(x * x)": (lambda x: mx.sqrt(x * x), 0.0, 0.0),
    "sqrt(square(x))": (lambda x: mx.sqrt(mx.square(x)), 0.0, 0.0),
    "sqrt(x) ** 2": (lambda x: mx.sqrt(x) ** 2, 0.0, 0.0),
    "exp(-1 / x^2)": (lambda x: mx.exp(-1 / (x * x)), 0.0, 0.0),
    "sigmoid by hand": (lambda x: 1 / (1 + mx.exp(-x)), -1000.0, 0.0),
    "a constant 0 times a root": (lambda x: mx.sqrt(x) * 0, 0.0, 0.0),
    "sqrt": (mx.sqrt, 0.0, INF),
    "x / x": (lambda x: x / x, 0.0, NAN),
    "a root under a sum": (lambda x: mx.sqrt(mx.sum(mx.stack([x, x]) ** 2)), 0.0, 0.0),
    "a root under a product": (lambda x: mx.sqrt(mx.prod(mx.stack([x, x]))), 0.0, 0.0),
    "a root of a dot product": (lambda x: mx.sqrt(x[None] @ x[None]), 0.0, 0.0),
    "a root of an inner product": (lambda x: mx.sqrt(mx.inner(x[None], x[None])), 0.0, 0.0),
    "a root of an einsum": (lambda x: mx.sqrt(mx.einsum("i,i->", x[None], x[None])), 0.0, 0.0),
    "a cosine of a root of cumulative products": (lambda x: mx.cos(mx.cumprod(mx.sqrt(mx.stack([x, x])))).sum(), 0.0, 0.0),
    "a maximum of roots": (lambda x: mx.cos(mx.maximum(mx.sqrt(x), -1)), 0.0, 0.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", NAMED)
def test_named(name, dtype):
    f, at, slope = NAMED[name]
    x = mx.array(at, getattr(mx, dtype))
    forward = lambda x: pushed(f, [x], [mx.ones_like(x)])
    for gradient in (mx.grad(f), forward, mx.compile(mx.grad(f)), mx.compile(forward), mx.grad(mx.checkpoint(f)),
                     lambda x: mx.vmap(mx.grad(f))(mx.stack([x, x]))[1], lambda x: mx.vmap(forward)(mx.stack([x, x]))[1],
                     lambda x: mx.grad(lambda x: mx.vmap(f)(mx.stack([x, x])).sum())(x) / 2):
        same(gradient(x), slope)


def test_the_rule_holds_in_every_order():
    """x ** 2 sqrt(x) after a cosine of the root: finite in every order, though a factor is infinite in each."""
    f = lambda x: mx.cos(mx.sqrt(x)) * 0
    g = f
    x = mx.array(0.0, mx.float64)
    for _ in range(3):
        h = g
        same(pushed(h, [x], [mx.ones_like(x)]), 0.0)
        g = mx.grad(h)
        same(g(x), 0.0)


# --- every other op: Jacobians of both modes, at zeros, infinities and NaN ---

# Of what has elements to put zeros and infinities at. A covariance has to be finite: its square root is one of the whole. So
# are the results of linear algebra, but for those that are sums of elements; and a Fourier transform adds all of a line.
ELEMENT_BY_ELEMENT = ("linalg.cross", "linalg.vector_norm")
# In sums of what sums are in it depends on which is summed first whether infinities of both signs meet. Coordinates are drawn as
# sums of distances, and the distances between them taken again.
NESTED_SUMS = ("fast.layer_norm", "fast.scaled_dot_product_attention", "fast.gated_delta_update", "gradient[coordinates")
OTHERS = [s for s in samples.samples() if not s.elementwise and s.differentiable and "float64" in s.dtypes
          and not s.id.endswith("multivariate_normal") and not s.id.startswith(NESTED_SUMS)
          and (s.op["family"] not in ("linalg", "fft") or s.op["name"] in ELEMENT_BY_ELEMENT)]


def roots(results):
    return [mx.sqrt(mx.abs(y)) for y in results]


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("around", ["alone", "between roots"])
@pytest.mark.parametrize("sample", OTHERS, ids=lambda s: s.id)
def test_jacobians_of_both_modes_agree(sample, around):
    """Each entry by itself: a tangent and a cotangent with one element that is not 0."""
    rng = np.random.default_rng(sum(sample.id.encode()))
    for pool in ([0.0, -0.0], [0.0, 1.0, -1.0, INF, -INF, NAN]):
        args = sample.draw("float64")
        for i in sample.real_args:
            wild = rng.random(args[i].shape) < 0.3
            args[i] = np.where(wild, rng.choice(pool, args[i].shape), args[i])
        args = [arrays.to_mx(a) if isinstance(a, np.ndarray) else a for a in args]
        for k in sample.real_args:
            def function(x, k=k, args=args):
                x = mx.sqrt(mx.abs(x)) if around != "alone" else x
                y = sample.call(*args[:k], x, *args[k + 1:])
                results = [r for r in ([y] if isinstance(y, mx.array) else y) if r.dtype == mx.float64]
                return results if around == "alone" else roots(results)

            if args[k].size > 100 or not function(args[k]):
                continue
            for forward, reverse in zip(mx.jacfwd(function)(args[k]), mx.jacrev(function)(args[k])):
                np.testing.assert_allclose(arrays.to_np(forward), arrays.to_np(reverse), rtol=1e-9, atol=1e-12)


# --- products: as the same sums of elementwise products ---

def draw(rng, shape, dtype, zeros, wild):
    """Numbers of which some are 0 and some, where wild, infinite or NaN."""
    values = rng.integers(1, 4, shape) * rng.choice([-1.0, 1.0], shape)
    if dtype.startswith("complex"):
        values = values + 1j * rng.integers(-2, 3, shape)
    values = np.where(rng.random(shape) < zeros, 0, values)
    if wild:
        values = np.where(rng.random(shape) < 0.15, rng.choice([INF, -INF, NAN], shape, p=[0.45, 0.45, 0.1]), values)
    return arrays.to_mx(values, dtype)


def plain_matmul(a, b):
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


PRODUCTS = {
    "matmul": ((4, 5), (5, 3), lambda a, b: a @ b, plain_matmul),
    "large": ((70, 40), (40, 50), lambda a, b: a @ b, plain_matmul),
    "rows of a stack": ((3, 4, 5), (5, 2), lambda a, b: a @ b, lambda a, b: plain_matmul(a, b[None])),
    "stacks": ((2, 1, 3, 4), (3, 4, 2), lambda a, b: a @ b, plain_matmul),
    "dot": ((6,), (6,), lambda a, b: a @ b, lambda a, b: (a * b).sum()),
    "matrix times vector": ((5, 6), (6,), lambda a, b: a @ b, lambda a, b: (a * b).sum(-1)),
    "vector times matrix": ((6,), (6, 5), lambda a, b: a @ b, lambda a, b: (a[:, None] * b).sum(0)),
    "column times row": ((40, 1), (1, 60), lambda a, b: a @ b, lambda a, b: a * b),
    "transposed": ((5, 4), (3, 5), lambda a, b: a.T @ b.T, lambda a, b: plain_matmul(a.T, b.T)),
    "addmm": ((4, 5), (5, 3), lambda a, b: mx.addmm(mx.ones((4, 3), a.dtype), a, b, 2, 3), lambda a, b: 2 * plain_matmul(a, b) + 3),
    "inner": ((4, 5), (3, 5), mx.inner, lambda a, b: (a[:, None] * b).sum(-1)),
    "outer": ((4,), (3,), mx.outer, lambda a, b: a[:, None] * b),
    "vecdot": ((4, 5), (4, 5), mx.vecdot, lambda a, b: (mx.conjugate(a) * b).sum(-1)),
    "tensordot": ((2, 3, 4), (4, 3, 2), lambda a, b: mx.tensordot(a, b, [[2, 1], [0, 1]]),
                  lambda a, b: (a.reshape(2, 12)[:, :, None] * b.transpose(1, 0, 2).reshape(12, 2)).sum(1)),
    "kron": ((2, 3), (3, 2), mx.kron, lambda a, b: (a[:, None, :, None] * b[None, :, None]).reshape(6, 6)),
    "einsum": ((4, 5), (5, 3), lambda a, b: mx.einsum("ij,jk->ik", a, b), plain_matmul),
    "einsum of a batch": ((3, 4, 5), (3, 5, 2), lambda a, b: mx.einsum("bij,bjk->bki", a, b), lambda a, b: plain_matmul(a, b).swapaxes(1, 2)),
}


def plain_convolution(x, w):
    """(n, c) with (o, k, c): tap by tap."""
    size = x.shape[1] - w.shape[1] + 1
    return sum((x[:, i:i + size, None] * w[:, i]).sum(-1) for i in range(w.shape[1]))


PRODUCTS |= {
    "convolution": ((2, 5, 2), (3, 2, 2), lambda x, w: mx.conv1d(x, w), plain_convolution),
    "padded": ((2, 3, 2), (3, 2, 2), lambda x, w: mx.conv1d(x, w, padding=1), lambda x, w: plain_convolution(mx.pad(x, [(0, 0), (1, 1), (0, 0)]), w)),
    "depthwise": ((2, 5, 3), (3, 2, 1), lambda x, w: mx.conv1d(x, w, groups=3),
                  lambda x, w: mx.concatenate([plain_convolution(x[..., c:c + 1], w[c:c + 1]) for c in range(3)], -1)),
}


def derivatives(f, a, b, ta, tb, c):
    """First and second derivatives in both modes."""
    first = [pushed(f, [a, b], [ta, tb]), *pulled(f, [a, b], c)]
    mixed = lambda a, b: pulled(f, [a, b], c)[0]
    return first + [pushed(mixed, [a, b], [ta, tb]), *pulled(mixed, [a, b], ta)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_leave_out_zero_terms(name, dtype):
    shape_a, shape_b, function, plain = PRODUCTS[name]
    rng = np.random.default_rng(len(name))
    if dtype in ("float16", "bfloat16") and name == "large":
        pytest.skip("sums of 16-bit floats round at other places")
    for wild in ("operands", "tangents", "both", "nothing"):
        a, b = (draw(rng, s, dtype, 0.4, wild in ("operands", "both")) for s in (shape_a, shape_b))
        ta, tb = (draw(rng, s, dtype, 0.4, wild in ("tangents", "both")) for s in (shape_a, shape_b))
        c = draw(rng, function(a, b).shape, dtype, 0.4, wild in ("tangents", "both"))
        got, expected = derivatives(function, a, b, ta, tb, c), derivatives(plain, a, b, ta, tb, c)
        for g, e in zip(got, expected):
            # A complex product with an infinity is NaN in parts that depend on the order of terms.
            g, e = (np.where(np.isfinite(v), v, NAN) if dtype.startswith("complex") else v for v in map(arrays.to_np, (g, e)))
            np.testing.assert_allclose(g, e, rtol=0.05 if dtype == "bfloat16" else 1e-2 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_under_transforms(name):
    shape_a, shape_b, function, _ = PRODUCTS[name]
    rng = np.random.default_rng(len(name))
    lanes = 3
    a, b, ta, tb = (draw(rng, (lanes, *s), "float64", 0.4, w) for s, w in ((shape_a, False), (shape_b, False), (shape_a, True), (shape_b, True)))
    c = draw(rng, (lanes, *function(a[0], b[0]).shape), "float64", 0.4, True)
    each = lambda a, b, ta, tb, c: derivatives(function, a, b, ta, tb, c)
    expected = [each(*(v[k] for v in (a, b, ta, tb, c))) for k in range(lanes)]
    for got in (mx.vmap(each)(a, b, ta, tb, c), mx.compile(mx.vmap(each))(a, b, ta, tb, c)):
        for i, g in enumerate(got):
            same(g, np.stack([arrays.to_np(e[i]) for e in expected]))
    shared = mx.vmap(each, in_axes=(None, None, 0, 0, 0))(a[0], b[0], ta, tb, c)
    for k in range(lanes):
        for g, e in zip(shared, each(a[0], b[0], ta[k], tb[k], c[k])):
            same(g[k], e)
    for g, e in zip(mx.compile(each)(*(v[1] for v in (a, b, ta, tb, c))), expected[1]):
        assert np.array_equal(arrays.to_np(g), arrays.to_np(e), equal_nan=True)


def test_products_in_files_and_loops(tmp_path):
    norm = lambda x: mx.sqrt(x @ x)
    x = mx.zeros((3,))
    path = os.fspath(tmp_path / "gradient.mlxfn")
    mx.export_function(path, mx.grad(norm), x)
    same(mx.import_function(path)(x)[0], [0, 0, 0])

    def scanned(x):
        return mx.scan(lambda carry, row: (carry + mx.sqrt(row @ row), carry), mx.array(0.0), mx.stack([x, x]))[0]

    same(mx.grad(scanned)(x), [0, 0, 0])
    same(mx.hessian(norm)(x), mx.hessian(lambda x: mx.sqrt((x * x).sum()))(x))


def test_rows_that_a_mask_takes_out_may_be_infinite():
    x = mx.array([[1.0, 2.0], [INF, 0.0], [NAN, -INF]])
    w = mx.array([[1.0, 0.0], [INF, 3.0]])
    mask = mx.array([[True], [False], [False]])
    f = lambda x, w: mx.where(mask, x @ w, 0).sum()
    dx, dw = mx.grad(f, argnums=(0, 1))(x, w)
    same(dx, [[1, INF], [0, 0], [0, 0]])
    same(dw, [[1, 1], [2, 2]])


# --- compositions whose derivative is known ---

# name: (composition, point, slope, second derivative)
EXACT = {
    "log1p(exp(x))": (lambda x: mx.log1p(mx.exp(x)), 1000.0, 1.0, 0.0),
    "log(1 + exp(x))": (lambda x: mx.log(1 + mx.exp(x)), 1000.0, 1.0, 0.0),
    "log(exp(x) + 1)": (lambda x: mx.log(mx.exp(x) + 1), 1000.0, 1.0, 0.0),
    "log(exp(x) + exp(-x))": (lambda x: mx.log(mx.exp(x) + mx.exp(-x)), -1000.0, -1.0, 0.0),
    "log(cosh(x))": (lambda x: mx.log(mx.cosh(x)), 1000.0, 1.0, 0.0),
    "log(exp(x))": (lambda x: mx.log(mx.exp(x)), 1000.0, 1.0, 0.0),
    "log(exp(x)) far below": (lambda x: mx.log(mx.exp(x)), -1000.0, 1.0, 0.0),
    "log(sigmoid(x))": (lambda x: mx.log(mx.sigmoid(x)), -1000.0, 1.0, 0.0),
    "log(1 - sigmoid(x))": (lambda x: mx.log(1 - mx.sigmoid(x)), 1000.0, -1.0, 0.0),
    "log1p(-sigmoid(x))": (lambda x: mx.log1p(-mx.sigmoid(x)), 1000.0, -1.0, 0.0),
    "log of a sigmoid by hand": (lambda x: mx.log(1 / (1 + mx.exp(-x))), -1000.0, 1.0, 0.0),
    "log of a reciprocal": (lambda x: mx.log(mx.reciprocal(mx.exp(-x) + 1)), -1000.0, 1.0, 0.0),
    "log2 of a power": (lambda x: mx.log2(1 + mx.exp(x)), 1000.0, np.log2(np.e), 0.0),
    "log10 of a power": (lambda x: mx.log10(mx.exp(x)), 1000.0, np.log10(np.e), 0.0),
    "log(ones + exp(x))": (lambda x: mx.log(mx.ones_like(x) + mx.exp(x)), 1000.0, 1.0, 0.0),
    "log of softmax": (lambda x: mx.log(mx.softmax(mx.stack([x, x * 0]), axis=0))[0], -1000.0, 1.0, 0.0),
    "exp(log(x))": (lambda x: mx.exp(mx.log(x)), 0.0, 1.0, 0.0),
    "arctan(1 / x)": (lambda x: mx.arctan(1 / x), 0.0, -1.0, 0.0),
    "arctan(reciprocal(x))": (lambda x: mx.arctan(mx.reciprocal(x)), 0.0, -1.0, 0.0),
    "arctan(2 / x)": (lambda x: mx.arctan(2 / x), 0.0, -0.5, 0.0),
    "logaddexp": (lambda x: mx.logaddexp(x, mx.zeros_like(x)), 1000.0, 1.0, 0.0),
    "logaddexp of infinities": (lambda x: mx.logaddexp(x, mx.array(1.0, x.dtype)), INF, 1.0, 0.0),
    "logsumexp": (lambda x: mx.logsumexp(mx.stack([x, x * 0])), 1000.0, 1.0, 0.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_exact_compositions(name, dtype):
    f, at, slope, curvature = EXACT[name]
    x = mx.array(at, getattr(mx, dtype))
    forward = lambda f: lambda x: pushed(f, [x], [mx.ones_like(x)])
    for d in (mx.grad, forward, lambda f: mx.grad(mx.checkpoint(f)), lambda f: mx.grad(mx.compile(f)), lambda f: mx.compile(mx.grad(f)),
              lambda f: lambda x: mx.vmap(mx.grad(f))(x[None])[0], lambda f: mx.grad(lambda x: mx.vmap(f)(x[None])[0])):
        same(d(f)(x), slope, rtol=1e-6)
        for again in (mx.grad, forward):
            same(again(d(f))(x), curvature)


@pytest.mark.parametrize("name", EXACT)
def test_exact_compositions_are_the_plain_derivatives_elsewhere(name):
    f = EXACT[name][0]
    x = mx.array([0.25, 0.5, 1.0, 2.5], mx.float64)
    apart = lambda x, h: (f(x + h) - f(x - h)) / (2 * h)
    slopes = pushed(f, [x], [mx.ones_like(x)]) if f(x).shape else mx.stack([mx.grad(f)(v) for v in x])
    if not f(x).shape:
        return
    same(slopes, (4 * apart(x, 1e-3) - apart(x, 2e-3)) / 3, rtol=1e-9)
    same(pulled(f, [x], mx.ones_like(x))[0], slopes)


def test_exact_compositions_of_two_variables():
    a, b = mx.array([1.0, 2.0, 1e30, 0.0, 3.0]), mx.array([2.0, 0.0, 1e30, 4.0, INF])
    da, db = mx.grad(lambda a, b: mx.arctan(a / b).sum(), argnums=(0, 1))(a, b)
    same(da, [0.4, 0.0, 5e-31, 0.25, 0.0], rtol=1e-6)
    same(db, [-0.2, -0.5, -5e-31, 0.0, 0.0], rtol=1e-6)
    rows = mx.grad(lambda a: mx.arctan(a[:, None] / mx.ones((1, 3))).sum())(mx.array([0.0, 1.0]))
    same(rows, [3.0, 1.5])
    a, b = mx.array([1000.0, -1000.0]), mx.array([999.0, INF])
    da, db = mx.grad(lambda a, b: mx.log(mx.exp(a) + mx.exp(b)).sum(), argnums=(0, 1))(a, b)
    same(da, [1 / (1 + np.exp(-1)), 0.0], rtol=1e-6)
    same(db, [1 / (1 + np.exp(1)), 1.0], rtol=1e-6)


def test_values_and_masks_stay():
    x = mx.array([1000.0, 1.0])
    assert mx.log1p(mx.exp(x)).tolist()[0] == INF
    same(mx.grad(lambda x: mx.where(x < 30, mx.log1p(mx.exp(x)), 0).sum())(x), [0, 1 / (1 + np.exp(-1.0))], rtol=1e-6)
    assert np.isnan(mx.grad(lambda x: mx.exp(mx.log(x)))(mx.array(-1.0)).item())
    same(mx.grad(lambda x: mx.where(x > 0, mx.exp(mx.log(x)), 0).sum())(mx.array([-1.0, 2.0])), [0, 1])


def test_ones_of_every_make():
    x = mx.array([1000.0, 0.0])
    made = mx.ones(2)
    mx.eval(made)
    for one in (1, 1.0, mx.array(1.0), mx.ones(2), made, mx.ones((1,)), np.float32(1), mx.array([[1.0]])):
        same(mx.grad(lambda x: mx.log(one + mx.exp(x)).sum())(x), [1, 0.5])
    same(mx.grad(lambda x: mx.log(mx.ones((3, 1)) + mx.exp(x)).sum())(x), [3, 1.5])
    varied = mx.array([1.0, 3.0])
    same(mx.grad(lambda x: mx.log(varied + mx.exp(x)).sum())(x * 0), [0.5, 0.25])


def test_a_one_that_varies_is_not_a_constant():
    numbers = mx.compile(lambda x, one: mx.grad(lambda x: mx.log(one + mx.exp(x)))(x))
    same([numbers(mx.array(0.0), v).item() for v in (1.0, 3.0, 1.0, 4.0)], [0.5, 0.25, 0.5, 0.2], rtol=1e-6)
    f = lambda x, c: mx.log(c + mx.exp(x))
    x, one = mx.array(0.5, mx.float64), mx.array(1.0, mx.float64)
    inner = lambda c: mx.grad(f)(x, c)
    e = np.exp(0.5)
    same(mx.grad(inner)(one), -e / (1 + e) ** 2)
    same(mx.grad(f, argnums=1)(x, one), 1 / (1 + e))
    same(mx.vmap(lambda c: mx.grad(f)(x, c))(mx.array([1.0, 3.0], mx.float64)), [e / (1 + e), e / (3 + e)])


# --- outputs that have no gradient ---

@pytest.mark.parametrize("make, dtype, way_out", [
    (lambda x: x * (1 + 2j), "complex64", "mx.real"),
    (lambda x: mx.argmax(x).astype(mx.int32), "int32", "astype"),
    (lambda x: (x > 0).all(), "bool", "astype"),
])
def test_outputs_without_a_gradient(make, dtype, way_out):
    function = lambda x: make(x).sum() if dtype == "complex64" else make(x)
    x = mx.array([1.0, 2.0])
    for transform, name in ((mx.grad, "grad"), (mx.value_and_grad, "value_and_grad")):
        with pytest.raises(TypeError, match=rf"\[{name}\].*{dtype}.*({way_out}).*mx\.vjp"):
            transform(function)(x)
        with pytest.raises(TypeError, match=dtype):
            mx.compile(transform(function))(x)
    with pytest.raises(TypeError, match=rf"{dtype}.*{way_out}"):
        mx.value_and_grad(lambda x: (function(x), x))(x)
    with pytest.raises(TypeError, match=dtype):
        mx.vmap(mx.grad(function))(x[None])
    with pytest.raises(TypeError, match=dtype):
        mx.hvp(function, [x], [x])
    assert mx.value_and_grad(lambda x: (x.sum(), make(x)))(x)[1].tolist() == [1, 1]  # beside the loss it may be anything


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("steps", [(1, 1), (-1, 1), (1, -1), (-1, -1), (1, 2), (2, -2), (-2, 1)], ids=str)
def test_an_infinity_is_found_in_any_layout(steps, dtype):
    """Whether a product can have terms 0 * infinity is seen from its operands' own elements, not from those around them."""
    whole = np.ones((80, 20))
    part = lambda a: a[30:62, 8:12][:: steps[0], :: steps[1]][:16, :2]
    part(whole)[3, 1] = np.inf
    dtype = getattr(mx, dtype)
    b = part(mx.array(whole, dtype=dtype))
    cotangent = mx.array(np.array([[1.0, 0.0]] * 16), dtype=dtype)
    (by_left,) = mx.vjp(lambda a: a @ b, [mx.zeros((16, 16), dtype=dtype)], [cotangent])[1]
    assert mx.array_equal(by_left, mx.ones((16, 16), dtype=dtype))
    (by_right,) = mx.vjp(lambda a: b.T @ a, [mx.zeros((16, 16), dtype=dtype)], [cotangent.T])[1]
    assert mx.array_equal(by_right, mx.ones((16, 16), dtype=dtype))


# --- what the page on gradients says ---

ROWS = re.findall(r"^\| `(.*?)` \| (\S+) \| (\S+) \| (\S+) \| (.*?) \| `(.*?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def of_formula(text, namespace):
    return lambda x: eval(text, {**namespace, "x": x})  # of a page of this repository


def test_the_page_has_its_tables():
    assert len(ROWS) >= 20


@pytest.mark.parametrize("formula, at, ours, jax, truth, safe", ROWS, ids=[r[0] for r in ROWS])
def test_formulas_of_the_page(formula, at, ours, jax, truth, safe):
    f, better = (of_formula(text, vars(mx)) for text in (formula, safe))
    x = mx.array(float(at))
    same(mx.grad(f)(x), float(ours))
    same(pushed(f, [x], [mx.array(1.0)]), float(ours))
    if not truth.startswith("none"):
        same(mx.grad(better)(x), float(truth), rtol=1e-6)
        same(pushed(better, [x], [mx.array(1.0)]), float(truth), rtol=1e-6)


@pytest.mark.peers
@pytest.mark.parametrize("formula, at, ours, jax, truth, safe", ROWS, ids=[r[0] for r in ROWS])
def test_formulas_of_the_page_in_jax(formula, at, ours, jax, truth, safe):
    module = pytest.importorskip("jax")
    names = {**vars(module.numpy), "sigmoid": module.nn.sigmoid}
    same(np.asarray(module.grad(of_formula(formula, names))(np.float32(at))), float(jax))
