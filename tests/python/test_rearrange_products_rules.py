"""Padding, rearranging, products over axes and the distributions of random_inverse.cpp where they are easy to get wrong: what is
mapped beside what is not, mirrors that reach around more than once, empty arrays, singular covariances, and errors."""

import math
import string

import mlx.core as mx
import numpy as np
import pytest

import differences
import samples
from test_structural_rules import close, equal, f64, random as uniform

R = mx.random
EPS32 = 2.0**-23


def as_differences_say(f, args, tolerance=1e-6):
    """Both modes and the second derivative, of f with respect to float64 arrays."""
    rng = np.random.default_rng(1)
    moves, others = ([differences.direction(rng, a) for a in args] for _ in range(2))
    w = differences.direction(rng, f(*args))
    loss = lambda *a: (w * f(*a)).sum()
    which = list(range(len(args)))
    gradient = lambda *a: samples.listed(mx.grad(loss, argnums=which)(*a))
    along = lambda g, t: sum((x * y).sum() for x, y in zip(samples.listed(g), t))
    slope = differences.central(lambda *a: [f(*a)], args, moves)[0]
    close(mx.jvp(f, args, moves)[1][0], slope, tolerance)
    close(along(gradient(*args), moves), (np.array(w) * slope).sum(), tolerance)
    directional = lambda *a: along(gradient(*a), others)
    curvature = differences.central(lambda *a: [directional(*a)], args, moves)[0]
    close(mx.jvp(directional, args, moves)[1][0], curvature, tolerance)
    close(along(mx.grad(directional, argnums=which)(*args), moves), curvature, tolerance)
    forward = lambda *a: mx.jvp(loss, list(a), others)[1][0]
    close(along(mx.grad(forward, argnums=which)(*args), moves), curvature, tolerance)


# --- padding ---

def test_gradient_of_pad_with_respect_to_the_value():
    assert mx.grad(lambda v: mx.pad(mx.zeros(3), (1, 1), constant_values=v).sum())(mx.array(2.0)).item() == 2
    gx, gv = mx.grad(lambda x, v: (mx.pad(x, (1, 2), constant_values=v) * mx.arange(6.0)).sum(), (0, 1))(mx.zeros(3), mx.array(2.0))
    equal(gx, [1, 2, 3])
    assert gv.shape == () and gv.item() == 0 + 4 + 5
    gv = mx.grad(lambda v: mx.pad(mx.zeros(3), 1, constant_values=v).sum())(mx.array([2.0]))
    assert gv.shape == (1,) and gv.item() == 2


def test_jvp_of_pad_with_respect_to_array_and_value():
    f = lambda x, v: mx.pad(x, (1, 1), constant_values=v)
    equal(mx.jvp(f, [mx.zeros(3), mx.array(2.0)], [mx.zeros(3), mx.array(1.0)])[1][0], [1, 0, 0, 0, 1])
    equal(mx.jvp(f, [mx.zeros(3), mx.array(2.0)], [mx.array([4.0, 5.0, 6.0]), mx.array(1.0)])[1][0], [1, 4, 5, 6, 1])
    as_differences_say(lambda x, v: mx.pad(x, [(0, 1), (2, 0)], constant_values=v) ** 3, [uniform((2, 3)), uniform(())])


def test_vmap_of_pad_over_array_value_and_both():
    f = lambda x, v: mx.pad(x, (1, 0), constant_values=v)
    x, v = mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([8.0, 9.0])
    equal(mx.vmap(f)(x, v), [[8, 1, 2], [9, 3, 4]])
    equal(mx.vmap(f, in_axes=(None, 0))(x[0], v), [[8, 1, 2], [9, 1, 2]])
    equal(mx.vmap(f, in_axes=(1, None))(x, v[0]), [[8, 1, 3], [8, 2, 4]])
    equal(mx.vmap(mx.grad(lambda v: f(x[0], v).sum()))(v), [1, 1])


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_mirrors_reach_as_far_as_asked(mode, n):
    x = np.arange(1.0, n + 1)
    for low in range(9):
        for high in (0, 1, n, 2 * n + 1):
            equal(mx.pad(mx.array(x), (low, high), mode=mode), np.pad(x, (low, high), mode=mode))
    as_differences_say(lambda v: mx.pad(v, (n + 1, 2 * n), mode=mode) ** 2, [f64(x)])


@pytest.mark.parametrize("shape", [(20_000,), (150, 151), (25, 26, 27), (11, 12, 13, 14)])
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.complex64])
def test_what_lies_around_larger_arrays(shape, dtype):
    """Only there is written what they are padded with; widths of 0, and one side only, among them."""
    rng = np.random.default_rng(len(shape))
    for turned in (False, True):
        a = (rng.standard_normal(shape) * 9).astype(dtype)
        x = mx.array(a).T if turned else mx.array(a)
        for most in (0, 1, 3):
            widths = [tuple(int(n) for n in rng.integers(0, most + 1, 2)) for _ in shape]
            got = mx.pad(x, widths, constant_values=2)
            np.testing.assert_array_equal(np.array(got), np.pad(a.T if turned else a, widths, constant_values=2))


def test_pad_widths_and_dtypes():
    a = mx.arange(6).reshape(2, 3)
    assert mx.pad(a, [(1, 2)]).shape == mx.pad(a, (1, 2)).shape == (5, 6)
    assert mx.pad(a, ((1, 2), (0, 1))).shape == (5, 4)
    assert mx.pad(a, (1,)).shape == mx.pad(a, 1).shape == (4, 5)
    assert mx.pad(mx.array(3.0), []).shape == mx.pad(mx.array(3.0), 1).shape == ()
    assert mx.pad(a, 1, constant_values=1.5).dtype == mx.int32
    equal(mx.pad(mx.zeros((0,)), (1, 1), constant_values=4), [4, 4])
    equal(mx.pad(mx.zeros((0, 2)), ((0, 0), (1, 1)), mode="edge"), np.zeros((0, 4)))


# --- rearranging ---

def test_flip_and_diagonal_are_views_of_any_layout():
    x = np.arange(60.0).reshape(3, 4, 5)
    a = mx.array(x)
    for axes in [(0, 1, 2), (2, 0, 1), (1, 2, 0)]:
        for offset in (-6, -2, 0, 1, 3, 9):
            for one, two in [(0, 1), (2, 0), (1, 2), (-1, 0)]:
                equal(mx.diagonal(a.transpose(axes), offset, one, two), x.transpose(axes).diagonal(offset, one, two))
                equal(mx.diagonal(a.transpose(axes)[:, ::-1, ::2], offset, one, two),
                      x.transpose(axes)[:, ::-1, ::2].diagonal(offset, one, two))
        equal(mx.flip(a.transpose(axes), (0, 2)), np.flip(x.transpose(axes), (0, 2)))


@pytest.mark.parametrize("in_axis", [0, 1, 2, 3])
def test_vmap_of_diagonals(in_axis):
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    for offset, one, two in [(0, 0, 1), (1, 2, 0), (-1, 1, 2)]:
        f = lambda t: mx.diagonal(t, offset, one, two)
        equal(mx.vmap(f, in_axes=in_axis)(mx.array(x)),
              np.stack([lane.diagonal(offset, one, two) for lane in np.moveaxis(x, in_axis, 0)]))


def test_diag_and_trace_to_second_order():
    for k in (-2, 0, 1, 4):
        as_differences_say(lambda v: mx.diag(v, k) ** 3, [uniform((3, 4))])
        as_differences_say(lambda v: mx.diag(v, k) ** 3, [uniform((3,))])
        as_differences_say(lambda v: mx.trace(v, k, 2, 0) ** 2, [uniform((3, 4, 2))])
    assert mx.trace(mx.ones((300, 300), mx.int8)).item() == 300
    assert mx.trace(mx.ones((3, 3), mx.int8), dtype=mx.int8).dtype == mx.int8


def test_shifts_add_up():
    x = np.arange(12).reshape(3, 4)
    a = mx.array(x)
    equal(mx.roll(a, (1, 2)), np.roll(x, 3))
    equal(mx.roll(a, (1, 1), (0, 0)), np.roll(x, 2, 0))
    equal(mx.roll(a, (1, 2), 0), np.roll(x, 3, 0))
    equal(mx.roll(a, -2**31, 1), x)
    equal(mx.roll(mx.array(3), 1), 3)
    assert mx.roll(mx.zeros((0, 3)), 1, 0).shape == (0, 3)


def test_scalars_and_lists_of_arrays():
    assert mx.atleast_2d(1.0).shape == (1, 1)
    assert [a.shape for a in mx.atleast_3d(mx.array(1), mx.arange(2))] == [(1, 1, 1), (1, 2, 1)]
    assert mx.atleast_1d() == [] and mx.meshgrid() == ()
    x, y = mx.meshgrid(mx.array(1), mx.ones((2, 3)))
    assert x.shape == y.shape == (6, 1)
    assert mx.tile(mx.arange(3), (2, 0)).shape == (2, 0)
    assert mx.repeat(mx.zeros((0, 3)), 2, axis=1).shape == (0, 6)
    assert mx.kron(mx.zeros((0, 2)), mx.ones((3, 3))).shape == (0, 6)


# --- products ---

def test_products_of_integers_are_exact():
    a = np.random.default_rng(0).integers(-100, 100, (7, 40)).astype(np.int8)
    wide = a.astype(np.int32)
    narrow = mx.tensordot(mx.array(a), mx.array(a), [[1], [1]])
    assert narrow.dtype == mx.int8
    equal(narrow, (wide @ wide.T).astype(np.int8))
    vectors = mx.vecdot(mx.array(a), mx.array(a))
    assert vectors.dtype == mx.int8 and mx.vecdot(mx.array(wide), mx.array(a)).dtype == mx.int32
    equal(vectors, (wide * wide).sum(1).astype(np.int8))
    for got, expected in [(mx.inner(mx.array(a), mx.array(a)), wide @ wide.T),
                          (mx.einsum("ij,kj", mx.array(a), mx.array(a)), wide @ wide.T),
                          (mx.einsum("ij->i", mx.array(a)), wide.sum(1))]:
        assert got.dtype == mx.int32
        equal(got, expected)
    masks = mx.array([[True, True, False], [True, True, True]])
    equal(mx.inner(masks, masks), [[2, 2], [2, 3]])


def test_vecdot_conjugates_the_first():
    a, b = mx.array([1 + 2j, 3j]), mx.array([2 - 1j, 1 + 1j])
    close(mx.vecdot(a, b), np.vdot(np.array(a), np.array(b)))
    close(mx.inner(a, b), np.inner(np.array(a), np.array(b)))


@pytest.mark.parametrize("mapped", [(0, None), (None, 0), (0, 0), (1, 0), (-1, 1)])
@pytest.mark.parametrize("f", [mx.inner, mx.outer, mx.vecdot, mx.kron, lambda a, b: mx.tensordot(a, b, [[1, 0], [1, 0]]),
                               lambda a, b: mx.einsum("ij,ij->j", a, b), lambda a, b: mx.einsum("ij,kj", a, b)])
def test_vmap_of_products(f, mapped):
    lanes = [[uniform((2, 3), 7 * i + k) for k in range(2)] for i in range(4)]
    args = [mx.stack([lane[k] for lane in lanes], axis=m) if m is not None else lanes[0][k] for k, m in enumerate(mapped)]
    got = mx.vmap(f, in_axes=mapped)(*args)
    for i, lane in enumerate(lanes):
        close(got[i], f(*[lane[k] if m is not None else lanes[0][k] for k, m in enumerate(mapped)]), 1e-13)


# --- einsum ---

def random_subscripts(rng):
    """Operands of up to four letters of five, with diagonals, lengths 1 and an ellipsis now and then."""
    sizes = dict(zip("abcde", rng.integers(1, 5, 5).tolist()))
    inputs, shapes = [], []
    for _ in range(rng.integers(1, 5)):
        letters = "".join(rng.choice(list("abcde"), rng.integers(0, 4)))
        shape = [sizes[c] if letters.count(c) > 1 or rng.random() < 0.9 else 1 for c in letters]
        if rng.random() < 0.3:
            letters, shape = "..." + letters, [2, 3][rng.integers(0, 3):] + shape
        inputs.append(letters)
        shapes.append(tuple(shape))
    used = sorted(set("".join(inputs)) - {"."})
    output = "".join(rng.permutation(used)[:rng.integers(0, len(used) + 1)])
    text = ",".join(inputs)
    if rng.random() < 0.7:
        text += "->" + ("..." if "..." in text else "") + output
    return text, shapes


@pytest.mark.parametrize("seed", range(150))
def test_einsum_of_random_subscripts(seed):
    rng = np.random.default_rng(seed)
    text, shapes = random_subscripts(rng)
    values = [rng.uniform(-1, 1, s) for s in shapes]
    close(mx.einsum(text, *map(f64, values)), np.einsum(text, *values), 1e-11)
    if seed % 5 == 0:
        integers = [rng.integers(-3, 4, s) for s in shapes]
        equal(mx.einsum(text, *map(mx.array, integers)), np.einsum(text, *integers))
    if seed % 3 == 0:
        as_differences_say(lambda *a: mx.einsum(text, *a), [f64(v) for v in values])


def test_einsum_contracts_in_a_good_order():
    a = mx.ones((200, 2), mx.float64)
    chain = ",".join(x + y for x, y in zip(string.ascii_letters, string.ascii_letters[1:15]))
    operands = [a if i % 2 == 0 else a.T for i in range(14)]
    assert mx.einsum(chain + "->ao", *operands).shape == (200, 200)  # 200**8 elements in one step
    path, text = mx.einsum_path("ab,bc,cd->ad", mx.ones((10, 5)), mx.ones((5, 20)), mx.ones((20, 3)))
    assert path == [(1, 2), (0, 1)]
    assert text == ("  Complete contraction:  ab,bc,cd->ad\n         Naive scaling:  4\n     Optimized scaling:  3\n"
                    "      Naive FLOP count:  9000\n  Optimized FLOP count:  900\n")


@pytest.mark.parametrize("text, shapes, path, scaling, cost", [
    ("ij,jk", [(2, 3), (3, 2)], [(0, 1)], 3, 24),
    ("ijk,ilm,njm,nlk,abc->", [(2, 2, 2)] * 5, [(0, 4), (0, 1, 2, 3)], 6, 384),
    ("ab,bc,cd,de->ae", [(2, 30), (30, 4), (4, 50), (50, 6)], [(2, 3), (0, 1), (0, 1)], 3, 2976),
    ("a,b,c->abc", [(2,), (3,), (4,)], [(0, 1), (0, 1)], 3, 30),
    ("ea,fb,abcd,gc,hd->efgh", [(5, 5), (5, 5), (5, 5, 5, 5), (5, 5), (5, 5)], [(0, 2), (0, 3), (0, 2), (0, 1)], 5, 25000),
    ("a,a,a,a", [(4,)] * 4, [(0, 1)] * 3, 1, 16),
    ("ab,cd,ac,bd", [(2, 3), (4, 5), (2, 4), (3, 5)], [(1, 3), (1, 2), (0, 1)], 3, 180),
    ("...a,ab,b->...", [(7, 3), (3, 4), (4,)], [(1, 2), (0, 1)], 2, 66),
    ("ii", [(3, 3)], [(0,)], 1, 6), ("", [()], [(0,)], 0, 1), (",a", [(), (3,)], [(0, 1)], 1, 3),
])
def test_einsum_path_is_that_of_mlx(text, shapes, path, scaling, cost):
    got, info = mx.einsum_path(text, *[mx.ones(s) for s in shapes])
    assert got == path
    assert f"Optimized scaling:  {scaling}\n" in info and f"Optimized FLOP count:  {cost}\n" in info


@pytest.mark.parametrize("seed", range(40))
def test_einsum_of_few_operands_takes_at_most_twice_the_least_operations(seed):
    """Drawn subscripts: the path against NumPy's optimal one under the same limit, and the value."""
    draw = np.random.default_rng(seed)
    sizes = dict(zip("abcdef", draw.integers(2, 9, 6) * draw.choice((1, 4), 6), strict=True))
    terms = ["".join(draw.choice(list(sizes), draw.integers(1, 4), replace=False)) for _ in range(draw.integers(3, 6))]
    used = sorted(set("".join(terms)))
    text = ",".join(terms) + "->" + "".join(draw.permutation(used)[: draw.integers(0, 3)])
    operands = [draw.standard_normal([sizes[c] for c in term]) for term in terms]
    largest = max(int(np.prod([sizes[c] for c in term])) for term in [*terms, text.partition("->")[2]])
    flops = [float(info.partition("Optimized FLOP count:")[2].split()[0]) for info in (
        mx.einsum_path(text, *map(mx.array, operands))[1], np.einsum_path(text, *operands, optimize=("optimal", largest))[1])]
    assert flops[0] <= max(2.001 * flops[1], 1e5), text
    expected = np.einsum(text, *operands, optimize=True)
    got = np.array(mx.einsum(text, *[mx.array(a, mx.float64) for a in operands]))
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_einsum_halves_are_summed_in_float32():
    a = mx.full((4096,), 1 + 2**-10, mx.float16)
    expected = np.einsum("i,i", *[np.array(a, np.float64)] * 2)
    assert abs(mx.einsum("i,i", a, a).item() - expected) <= 2
    assert abs(mx.vecdot(a, a).item() - expected) <= 2
    assert abs(mx.inner(a, a).item() - expected) <= 2


# --- windows ---

@pytest.mark.parametrize("name", ["bartlett", "hanning", "hamming", "blackman"])
def test_windows_are_symmetric_and_end_where_they_should(name):
    for m in (2, 3, 64, 65):
        w = np.array(getattr(mx, name)(m))
        equal(w, w[::-1])
        assert w[0] == (np.float32(0.08) if name == "hamming" else 0)
        close(w, getattr(np, name)(m), 1e-7)


# --- random ---

# From MLX with the key 0: what it prints, as float32.
MLX_NUMBERS = {
    "gumbel": (lambda k: R.gumbel((3,), key=k), [3.3440396785736084, -0.14513324201107025, 0.7825523614883423]),
    "laplace": (lambda k: R.laplace((3,), key=k), [-2.6684885025024414, 0.4630463123321533, -0.3093280792236328]),
    "laplace loc scale": (lambda k: R.laplace((3,), loc=1.0, scale=2.0, key=k), [-4.336977005004883, 1.9260926246643066, 0.3813438415527344]),
    "truncated_normal": (lambda k: R.truncated_normal(-1.0, 2.0, (3,), key=k), [1.633920669555664, -0.21149109303951263, 0.4589090943336487]),
    "truncated_normal bounds": (lambda k: R.truncated_normal(mx.array([-1.0, 0.0]), mx.array([[1.0], [2.0]]), key=k),
                                [[0.9065213799476624, 0.19385895133018494], [0.4589090943336487, 0.3623324930667877]]),
    "multivariate_normal": (lambda k: R.multivariate_normal(mx.array([1.0, 2.0]), mx.array([[2.0, 0.5], [0.5, 1.0]]), [3], key=k),
                            [[0.9926396608352661, 0.7849218845367432], [2.1710329055786133, 3.3577494621276855],
                             [1.3171690702438354, 1.9366244077682495]]),
    "multivariate_normal singular": (lambda k: R.multivariate_normal(mx.array([1.0, 2.0]), mx.ones((2, 2)), [3], key=k),
                                     [[0.22536587715148926, 1.2253658771514893], [2.3424267768859863, 3.3424267768859863],
                                      [1.0898171663284302, 2.0898170471191406]]),
    "multivariate_normal batch": (lambda k: R.multivariate_normal(mx.zeros((4, 2)), mx.array([[2.0, 0.5], [0.5, 1.0]]), [4], key=k),
                                  [[0.03181321173906326, -0.3605812191963196], [-0.17413926124572754, 1.5525544881820679],
                                   [-1.338249921798706, 1.8032771348953247], [-0.962272047996521, 0.924683690071106]]),
}


@pytest.mark.parametrize("name", MLX_NUMBERS)
def test_the_same_key_gives_the_numbers_of_mlx(name):
    draw, expected = MLX_NUMBERS[name]
    np.testing.assert_allclose(np.array(draw(R.key(0))), expected, rtol=8 * EPS32, atol=8 * EPS32)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
def test_distributions_have_their_moments(dtype):
    n, key = 200_000, R.key(3)
    x = np.array(R.gumbel((n,), dtype, key).astype(mx.float32))
    assert abs(x.mean() - 0.5772) < 0.02 and abs(x.var() - math.pi**2 / 6) < 0.05 and np.isfinite(x).all()
    x = np.array(R.laplace((n,), dtype, 1.0, 0.5, key).astype(mx.float32))
    assert abs(x.mean() - 1) < 0.01 and abs(x.var() - 0.5) < 0.02
    x = np.array(R.truncated_normal(-1.0, 2.0, (n,), dtype, key).astype(mx.float32))
    assert abs(x.mean() - 0.2296) < 0.01 and abs(x.var() - 0.5196) < 0.01 and x.min() >= -1 and x.max() <= 2
    cov = np.array([[2.0, -0.5, 0.3], [-0.5, 1.0, 0.2], [0.3, 0.2, 0.5]])
    x = np.array(R.multivariate_normal(mx.array([1.0, 2.0, 3.0]), mx.array(cov, mx.float32), (n,), dtype, key).astype(mx.float32))
    close(x.mean(0), [1, 2, 3], 0.02)
    close(np.cov(x.T), cov, 0.03)


def test_truncated_normal_stays_within_its_bounds_and_is_differentiable_in_them():
    key = R.key(1)
    x = R.truncated_normal(-0.5, 0.25, (1000,), key=key)
    assert (x >= -0.5).all().item() and (x <= 0.25).all().item()
    equal(R.truncated_normal(2.0, 2.0, (3,), key=key), [2, 2, 2])
    as_differences_say(lambda a, b: R.truncated_normal(a, b, (5,), mx.float64, key), [f64(-0.7), f64(1.1)], 1e-5)
    g = mx.grad(lambda b: R.truncated_normal(-1.0, b, (50,), key=key).sum())(mx.array(20.0))
    assert np.isfinite(g.item())


def test_multivariate_normal_is_differentiable_in_mean_and_covariance():
    key = R.key(2)
    b = uniform((3, 3), 4)
    cov = b @ b.T + 0.3 * mx.eye(3)
    f = lambda m, c: R.multivariate_normal(m, c, (4,), mx.float64, key)
    as_differences_say(f, [uniform((3,), 5), cov], 1e-5)
    # In one component the sample is mean + sqrt(variance) z.
    z = R.normal((4, 1), mx.float64, key=key)
    g = mx.grad(lambda c: f(mx.zeros((1,), mx.float64), c).sum())(f64([[4.0]]))
    close(g, [[z.sum().item() / 4]])


def test_covariances_may_be_singular():
    key = R.key(2)
    f = lambda c: R.multivariate_normal(mx.zeros((3,), mx.float64), c, (5,), mx.float64, key)
    v = uniform((3, 1), 6)
    x = f(v @ v.T)
    close(np.linalg.norm(x, axis=-1), np.abs(np.array(x @ v)[:, 0]) / np.linalg.norm(np.array(v)))  # on the line of v
    # Along covariances of the same rank the derivative is the samples' own; at 0 it is 0, not infinite.
    along, move = lambda u: f(u @ u.T), uniform((3, 1), 7)
    close(mx.jvp(along, [v], [move])[1][0], differences.central(lambda u: [along(u)], [v], [move])[0], 1e-5)
    equal(mx.grad(lambda c: f(c).sum())(mx.zeros((3, 3), mx.float64)), np.zeros((3, 3)))
    assert np.isnan(np.array(f(f64(np.full((3, 3), np.nan))))).all()


def test_vmap_of_multivariate_normal_over_every_subset():
    key = R.key(5)
    f = lambda m, c: R.multivariate_normal(m, c, (2,), mx.float64, key)
    means = [uniform((3,), i) for i in range(4)]
    covs = [uniform((3, 3), 10 + i) for i in range(4)]
    covs = [c @ c.T for c in covs]
    for am, ac in [(0, None), (None, 0), (0, 0), (1, 2), (None, 1)]:
        args = [mx.stack(means, am) if am is not None else means[0], mx.stack(covs, ac) if ac is not None else covs[0]]
        got = mx.vmap(f, in_axes=(am, ac))(*args)
        for i in range(4):
            close(got[i], f(means[i if am is not None else 0], covs[i if ac is not None else 0]), 1e-12)
    loss = lambda m, c: (f(m, c) ** 2).sum()
    got = mx.vmap(mx.grad(loss, 1))(mx.stack(means), mx.stack(covs))
    for i in range(4):
        close(got[i], mx.grad(loss, 1)(means[i], covs[i]), 1e-8)


# --- errors ---

@pytest.mark.parametrize("call, error, says", [
    (lambda: mx.pad(mx.ones((2, 3)), [(1, 1)] * 3), ValueError, r"\[pad\].*3 pairs.*\(2,3\)"),
    (lambda: mx.pad(mx.ones((2, 3)), (1, -2)), ValueError, r"\[pad\].*\(1,-2\) of axis 0 is negative"),
    (lambda: mx.pad(mx.ones((2, 3)), (1, 2, 3)), ValueError, r"\[pad\].*\(1, 2, 3\)"),
    (lambda: mx.pad(mx.ones((2, 3)), "1"), TypeError, r"\[pad\].*'1'"),
    (lambda: mx.pad(mx.ones(3), 1, mode="wrap"), ValueError, r"\[pad\].*\"wrap\".*\"reflect\""),
    (lambda: mx.pad(mx.ones((0, 3)), 1, mode="edge"), ValueError, r"\[pad\] axis 0 of shape \(0,3\)"),
    (lambda: mx.pad(mx.ones(3), 1, constant_values=mx.ones(2)), ValueError, r"\[pad\].*\(2,\)"),
    (lambda: mx.tile(mx.ones(3), (2, -1)), ValueError, r"\[tile\].*-1"),
    (lambda: mx.repeat(mx.ones(3), -1, 0), ValueError, r"\[repeat\].*-1"),
    (lambda: mx.repeat(mx.ones(3), 2, 1), IndexError, r"\[repeat\] axis 1"),
    (lambda: mx.roll(mx.ones((2, 3)), 1, 5), IndexError, r"\[roll\] axis 5"),
    (lambda: mx.roll(mx.ones((2, 3)), (1, 2, 3), (0, 1)), ValueError, r"\[roll\].*\(1,2,3\).*\(0,1\)"),
    (lambda: mx.flip(mx.ones((2, 3)), 2), IndexError, r"\[flip\] axis 2"),
    (lambda: mx.flip(mx.ones((2, 3)), (0, 0)), ValueError, r"\[flip\].*twice"),
    (lambda: mx.diag(mx.ones((2, 2, 2))), ValueError, r"\[diag\].*\(2,2,2\)"),
    (lambda: mx.diagonal(mx.ones(2)), ValueError, r"\[diagonal\].*\(2,\)"),
    (lambda: mx.diagonal(mx.ones((2, 2)), 0, 1, -1), ValueError, r"\[diagonal\].*same axis"),
    (lambda: mx.trace(mx.ones(2)), ValueError, r"\[trace\].*\(2,\)"),
    (lambda: mx.trace(mx.ones((2, 2)), 0, 0, 7), IndexError, r"axis 7"),
    (lambda: mx.meshgrid(mx.ones(2), indexing="yx"), ValueError, r"\[meshgrid\].*\"yx\""),
    (lambda: mx.inner(mx.ones(2), mx.ones(3)), ValueError, r"\[inner\].*\(2,\).*\(3,\)"),
    (lambda: mx.vecdot(mx.ones(2), mx.ones(3)), ValueError, r"\[vecdot\].*2.*3"),
    (lambda: mx.vecdot(mx.array(2.0), mx.ones(3)), ValueError, r"\[vecdot\].*dimension"),
    (lambda: mx.vecdot(mx.ones(2), mx.ones(2), axis=1), IndexError, r"\[vecdot\] axis 1"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3))[:1]), ValueError, r"\[tensordot\] axis 0.*2.*1"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones(3), 2), ValueError, r"\[tensordot\] axes is 2"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [[0], [0, 1]]), ValueError, r"\[tensordot\].*as many"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [[0, 0], [0, 1]]), ValueError, r"\[tensordot\].*twice"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [[7], [0]]), IndexError, r"\[tensordot\] axis 7"),
    (lambda: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [[0]]), ValueError, r"\[tensordot\].*\[\[0\]\]"),
    (lambda: mx.einsum("ij,jk", mx.ones((2, 3)), mx.ones((2, 3))), ValueError, r"\[einsum\] 'j'.*2.*operand 1.*3"),
    (lambda: mx.einsum("ij", mx.ones(3)), ValueError, r"\[einsum\] operand 0 has 1 dimensions"),
    (lambda: mx.einsum("...ij", mx.ones(3)), ValueError, r"\[einsum\] operand 0 has 1 dimensions"),
    (lambda: mx.einsum("ij,k", mx.ones((2, 3))), ValueError, r"\[einsum\].*2 operands.*1"),
    (lambda: mx.einsum("i"), ValueError, r"\[einsum\] No operands"),
    (lambda: mx.einsum("i->ii", mx.ones(3)), ValueError, r"\[einsum\].*'i' twice"),
    (lambda: mx.einsum("i->j", mx.ones(3)), ValueError, r"\[einsum\].*'j'"),
    (lambda: mx.einsum("ii", mx.ones((2, 3))), ValueError, r"\[einsum\] 'i'.*2 and 3"),
    (lambda: mx.einsum("i1", mx.ones((2, 3))), ValueError, r"\[einsum\].*'1'"),
    (lambda: mx.einsum("i..j", mx.ones((2, 3))), ValueError, r"\[einsum\].*'\.'"),
    (lambda: mx.einsum("...i...", mx.ones((2, 3))), ValueError, r"\[einsum\].*more than one ellipsis"),
    (lambda: mx.einsum_path("ij", mx.ones(3)), ValueError, r"\[einsum_path\] operand 0"),
    (lambda: R.gumbel((2,), mx.int32), ValueError, r"\[random.gumbel\].*int32"),
    (lambda: R.laplace((2,), mx.complex64), ValueError, r"\[random.laplace\].*complex64"),
    (lambda: R.laplace((2,), loc=mx.ones(3)), ValueError, r"\[random.laplace\].*\(3,\).*\(2,\)"),
    (lambda: R.truncated_normal(mx.ones(2), 3.0, (3,)), ValueError, r"\[random.truncated_normal\].*\(2,\).*\(3,\)"),
    (lambda: R.multivariate_normal(mx.array(1.0), mx.eye(2)), ValueError, r"\[random.multivariate_normal\].*\(2,2\)"),
    (lambda: R.multivariate_normal(mx.ones(2), mx.eye(3)), ValueError, r"\[random.multivariate_normal\].*\(3,3\).*\(2,\)"),
    (lambda: R.multivariate_normal(mx.ones(2), mx.ones((3, 2))), ValueError, r"\[random.multivariate_normal\].*\(3,2\)"),
    (lambda: R.multivariate_normal(mx.ones((4, 2)), mx.eye(2), (3,)), ValueError, r"\[random.multivariate_normal\]"),
])
def test_errors_name_the_op_and_the_values(call, error, says):
    with pytest.raises(error, match=says):
        call()
