"""Structural ops where they are easy to get wrong: shared beside mapped operands, duplicates, ties, zeros, infinities, empty
arrays, and the errors that a user sees. The grids test the same ops at ordinary arguments."""

import math

import mlx.core as mx
import numpy as np
import pytest

import differences

INF, NAN = math.inf, math.nan


def f64(x):
    return mx.array(np.asarray(x, np.float64), mx.float64)


def close(got, expected, tolerance=1e-6):
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=tolerance, atol=tolerance)


def equal(got, expected):
    np.testing.assert_array_equal(np.array(got), np.array(expected))


def jvp(f, primals, tangents):
    return mx.jvp(f, primals, tangents)[1][0]


def random(shape, seed=0):
    return f64(np.random.default_rng(seed).uniform(-2, 2, shape))


def as_differences_say(f, x, tolerance=1e-6):
    """Both modes, and the second derivative in every combination of modes, of f with respect to a float64 array."""
    rng = np.random.default_rng(1)
    t, u = differences.direction(rng, x), differences.direction(rng, x)
    y = f(x)
    w = differences.direction(rng, y)
    loss = lambda v: (w * f(v)).sum()
    gradient = mx.grad(loss)
    slope = differences.central(lambda v: [f(v)], [x], [t])[0]
    close(jvp(f, [x], [t]), slope, tolerance)
    close((gradient(x) * t).sum(), (np.array(w) * slope).sum(), tolerance)
    curvature = differences.central(lambda v: [(gradient(v) * u).sum()], [x], [t])[0]
    close(jvp(lambda v: (gradient(v) * u).sum(), [x], [t]), curvature, tolerance)
    close((mx.grad(lambda v: (gradient(v) * u).sum())(x) * t).sum(), curvature, tolerance)
    close((mx.grad(lambda v: jvp(loss, [v], [u]))(x) * t).sum(), curvature, tolerance)


def added(x, i, v):
    """x with v added at the rows i: what reading rows is the transpose of."""
    return x + mx.vjp(lambda z: z[i], [mx.zeros_like(x)], [v])[1][0]


# --- writing parts, with only one side mapped ---

def test_vmap_of_a_constant_written_into_a_mapped_array():
    def f(x):
        x[1:] = mx.array([8.0, 9.0])
        return x
    equal(mx.vmap(f)(mx.zeros((2, 3))), [[0, 8, 9], [0, 8, 9]])
    equal(mx.vmap(f, in_axes=1)(mx.zeros((3, 2))), [[0, 8, 9], [0, 8, 9]])


def test_vmap_of_a_mapped_update_into_a_shared_array():
    shared = mx.array([1.0, 2.0, 3.0])

    def f(u):
        y = shared + 0
        y[::-2] = u
        return y
    u = mx.array([[10.0, 20.0], [30.0, 40.0]])
    equal(mx.vmap(f)(u), [[20, 2, 10], [40, 2, 30]])
    close(mx.vmap(mx.grad(lambda u: (f(u) ** 2).sum()))(u), 2 * np.array(u))


def test_written_parts_have_no_gradient_in_the_source():
    def f(x, v):
        x = x * 1
        x[1:3] = v
        return (x * mx.array([1.0, 2.0, 3.0, 4.0])).sum()
    x, v = mx.zeros((4,)), mx.zeros((2,))
    equal(mx.grad(f, 0)(x, v), [1, 0, 0, 4])
    equal(mx.grad(f, 1)(x, v), [2, 3])
    close(jvp(f, [x, v], [mx.ones((4,)), 10 * mx.ones((2,))]), 1 + 20 + 30 + 4)


# --- slices ---

@pytest.mark.parametrize("index", [np.s_[::-1], np.s_[-2::-2], np.s_[7:1:-3], np.s_[2:100], np.s_[-100:2], np.s_[3:3],
                                   np.s_[0:7:7], np.s_[6:0], np.s_[:-8:-1]], ids=str)
def test_slices_as_numpy(index):
    x = np.arange(21.0).reshape(7, 3)
    equal(mx.array(x)[index], x[index])
    y, z = mx.array(x), x.copy()
    y[index] = -1
    z[index] = -1
    equal(y, z)
    as_differences_say(lambda v: v[index] ** 3, f64(x / 10)) if z[index].size else None


def test_slices_of_slices_and_transposes():
    x = np.arange(24.0).reshape(2, 3, 4)
    equal(mx.array(x)[:, ::-1, 1:].T[::2, 1:], x[:, ::-1, 1:].T[::2, 1:])
    equal(mx.array(x)[1, :, -1], x[1, :, -1])


# --- shapes ---

@pytest.mark.parametrize("in_axis", [0, 1, 2])
@pytest.mark.parametrize("axes", [(0,), (0, 1), (0, 2), (0, 1, 2), (-1,), (1, -1)])
def test_vmap_of_expand_dims_over_several_axes(axes, in_axis):
    x = np.arange(60.0).reshape(3, 4, 5)
    expected = np.stack([np.expand_dims(lane, axes) for lane in np.moveaxis(x, in_axis, 0)])
    equal(mx.vmap(lambda t: mx.expand_dims(t, axes), in_axes=in_axis)(mx.array(x)), expected)


def test_reshape_is_a_view_only_where_strides_allow():
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    a = mx.array(x)
    for shape in [(6, 20), (2, 60), (2, 3, 20), (1, 2, 3, 1, 4, 5, 1), (120,), (5, 24)]:
        for axes in [(0, 1, 2, 3), (2, 3, 0, 1), (0, 1, 3, 2), (3, 2, 1, 0), (1, 0, 2, 3)]:
            equal(mx.reshape(mx.transpose(a, axes), shape), x.transpose(axes).reshape(shape))
        equal(mx.reshape(a[:, ::-1], shape), x[:, ::-1].reshape(shape))
    equal(mx.reshape(mx.broadcast_to(mx.array([1.0, 2.0]), (3, 2)), (6,)), [1, 2, 1, 2, 1, 2])


@pytest.mark.parametrize("call, error, says", [
    (lambda: mx.reshape(mx.arange(6), (4, 2)), ValueError, r"\[reshape\].*size 6.*\(4,2\)"),
    (lambda: mx.reshape(mx.arange(6), (4, -1)), ValueError, r"\[reshape\].*-1.*6"),
    (lambda: mx.reshape(mx.arange(6), (-1, -1)), ValueError, r"more than one -1"),
    (lambda: mx.reshape(mx.zeros((0, 3)), (0, -1)), ValueError, r"could be anything"),
    (lambda: mx.squeeze(mx.ones((1, 2)), 1), ValueError, r"\[squeeze\].*axis 1 has length 2"),
    (lambda: mx.squeeze(mx.ones((1, 2)), 3), IndexError, r"\[squeeze\] axis 3"),
    (lambda: mx.expand_dims(mx.ones((2,)), (0, 0)), ValueError, r"\[expand_dims\].*twice"),
    (lambda: mx.transpose(mx.ones((2, 3)), (0, 0)), ValueError, r"\[transpose\].*twice"),
    (lambda: mx.transpose(mx.ones((2, 3)), (0,)), ValueError, r"\[transpose\].*2 dimensions"),
    (lambda: mx.moveaxis(mx.ones((2,)), 1, 0), IndexError, r"\[moveaxis\] axis 1"),
    (lambda: mx.broadcast_to(mx.ones((2, 3)), (3,)), ValueError, r"\[broadcast_to\].*\(2,3\).*\(3,\)"),
    (lambda: mx.broadcast_to(mx.ones((2, 3)), (3, 3)), ValueError, r"\[broadcast_to\].*\(2,3\).*\(3,3\)"),
    (lambda: mx.concatenate([]), ValueError, r"\[concatenate\]"),
    (lambda: mx.concatenate([mx.ones((2, 3)), mx.ones((2, 2))]), ValueError, r"\[concatenate\].*axis 1"),
    (lambda: mx.stack([mx.ones((2,)), mx.ones((3,))]), ValueError, r"\[stack\].*\(2,\).*\(3,\)"),
    (lambda: mx.split(mx.arange(6), 4), ValueError, r"\[split\].*4 equal parts"),
    (lambda: mx.split(mx.arange(6), 0), ValueError, r"\[split\].*positive"),
    (lambda: mx.full((-1,), 3), ValueError, r"\[full\].*negative"),
    (lambda: mx.eye(-1), ValueError, r"\[eye\].*-1"),
    (lambda: mx.tril(mx.ones((3,))), ValueError, r"\[tril\].*two dimensions"),
    (lambda: mx.arange(0, INF), ValueError, r"\[arange\].*length"),
    (lambda: mx.arange(0, 3, 0), ValueError, r"\[arange\] step"),
    (lambda: mx.arange(300, 302, dtype=mx.uint8), ValueError, r"\[arange\].*uint8"),
    (lambda: mx.arange(-1, 2, dtype=mx.uint8), ValueError, r"\[arange\].*-1.*uint8"),
    (lambda: mx.max(mx.zeros((0, 3)), axis=0), ValueError, r"\[max\] axis 0.*no elements"),
    (lambda: mx.argmin(mx.zeros((0,))), ValueError, r"\[argmin\].*no elements"),
    (lambda: mx.sum(mx.zeros((2,)), axis=1), IndexError, r"\[sum\] axis 1"),
    (lambda: mx.sum(mx.zeros((2,)), axis=(0, 0)), ValueError, r"\[sum\].*twice"),
    (lambda: mx.matmul(mx.ones((2, 3)), mx.ones((2, 3))), ValueError, r"\[matmul\].*\(2,3\).*3.*\(2,3\).*2"),
    (lambda: mx.matmul(mx.array(1.0), mx.ones((2,))), ValueError, r"\[matmul\].*one dimension"),
    (lambda: mx.addmm(mx.ones((5, 2, 2)), mx.ones((2, 2)), mx.ones((2, 2))), ValueError, r"\[addmm\].*\(5,2,2\)"),
    (lambda: mx.take(mx.zeros((0,)), mx.array([0])), ValueError, r"\[take\].*no elements"),
    (lambda: mx.take(mx.arange(3), mx.array([0.5])), ValueError, r"\[take\].*float32"),
    (lambda: mx.take_along_axis(mx.ones((2, 3)), mx.array([0]), axis=1), ValueError, r"\[take_along_axis\].*1.*2"),
    (lambda: mx.put_along_axis(mx.ones((2, 3)), mx.array([[0], [1]]), mx.ones((3, 1)), axis=1), ValueError, r"\(3,1\)"),
    (lambda: mx.sort(mx.array(3.0)), IndexError, r"\[sort\] axis -1"),
])
def test_errors_name_the_op_and_the_values(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("call", [
    lambda: mx.take(mx.arange(3), mx.array([3])),
    lambda: mx.take(mx.arange(3), mx.array([-4])),
    lambda: mx.arange(6).reshape(2, 3)[:, mx.array([0, 5])],
    lambda: mx.take_along_axis(mx.arange(3), mx.array([7]), axis=0),
    lambda: mx.put_along_axis(mx.arange(3), mx.array([7]), mx.array(1), axis=0),
    lambda: added(mx.zeros((3,)), mx.array([3]), mx.ones((1,))),
])
def test_an_index_outside_raises_when_it_is_read(call):
    y = call()
    with pytest.raises(IndexError):
        mx.eval(y)
    equal(mx.take(mx.arange(3), mx.array([-1])), [2])  # and everything goes on


# --- creation ---

def test_the_gradient_of_full_sums_over_where_the_value_went():
    assert mx.grad(lambda v: mx.full((3,), v).sum())(mx.array(2.0)).item() == 3
    assert mx.grad(lambda v: mx.full_like(mx.zeros((2, 2)), v).sum())(mx.array(2.0)).item() == 4
    equal(mx.grad(lambda v: mx.full((4, 2), v).sum())(mx.array([2.0, 5.0])), [4, 4])
    equal(mx.vmap(lambda v: mx.full((2,), v))(mx.array([1.0, 2.0])), [[1, 1], [2, 2]])
    assert jvp(lambda v: mx.full((3,), v).sum(), [mx.array(2.0)], [mx.array(1.0)]).item() == 3


def test_arange_is_rounded_once():
    equal(mx.arange(0, 1, 0.1), (np.arange(10) * 0.1).astype(np.float32))
    equal(mx.arange(100000, dtype=mx.float32), np.arange(100000, dtype=np.float32))
    equal(mx.arange(0.5, 3, 0.7, dtype=mx.int32), [0, 1, 2, 3])
    assert mx.arange(2**40, 2**40 + 2).tolist() == [2**40, 2**40 + 1]
    assert mx.arange(5.0).dtype == mx.float32 and mx.arange(5).dtype == mx.int32
    assert mx.arange(3, 0).shape == (0,)
    equal(mx.arange(127, -129, -255, dtype=mx.int8), [127, -128])


# --- reductions ---

@pytest.mark.parametrize("ties", [1, 2, 3])
@pytest.mark.parametrize("op", [mx.max, mx.min])
def test_extrema_share_ties_in_both_modes(op, ties):
    sign = 1 if op is mx.max else -1
    x = sign * mx.array([1.0] + [3.0] * ties)
    share = np.array([0] + [1 / ties] * ties)
    close(mx.grad(op)(x), share)
    for i in range(ties + 1):
        close(jvp(op, [x], [mx.eye(ties + 1)[i]]), share[i])
    close(mx.vmap(mx.grad(op))(mx.stack([x, x[::-1]])), [share, share[::-1]])


def test_extrema_of_nan():
    x = mx.array([1.0, NAN, 3.0])
    assert math.isnan(mx.max(x).item()) and math.isnan(mx.min(x).item())
    assert mx.argmax(x).item() == 1 and mx.argmin(x).item() == 1
    close(mx.grad(mx.max)(x), [0, 1, 0])


@pytest.mark.parametrize("zeros", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_prod_is_differentiable_at_any_number_of_zeros(count, zeros):
    x = np.random.default_rng(count).uniform(0.5, 1.5, count)
    x[:zeros] = 0
    as_differences_say(mx.prod, f64(x[::-1]))


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (0, 1), None])
@pytest.mark.parametrize("op", [mx.sum, mx.prod, mx.max, mx.min, mx.mean, mx.var, mx.std, mx.logsumexp], ids=lambda f: f.__name__)
def test_reductions_to_second_order(op, axis):
    x = random((2, 3, 4))
    as_differences_say(lambda v: op(v, axis=axis), x, 1e-5)
    as_differences_say(lambda v: op(v, axis=axis, keepdims=True), x, 1e-5)
    as_differences_say(lambda v: mx.softmax(v, axis=axis), x, 1e-5)


def test_all_and_any_have_derivative_zero():
    x = mx.array([1.0, 2.0, 3.0])
    for f in (mx.any, mx.all):
        assert jvp(lambda v: f(v).astype(mx.float32), [x], [mx.ones((3,))]).item() == 0
        equal(mx.grad(lambda v: f(v).astype(mx.float32) + v.sum())(x), [1, 1, 1])


def test_empty_reductions():
    empty = mx.zeros((0, 3))
    equal(mx.sum(empty, axis=0), [0, 0, 0])
    equal(mx.prod(empty, axis=0), [1, 1, 1])
    equal(mx.all(empty, axis=0), [True] * 3)
    equal(mx.any(empty, axis=0), [False] * 3)
    assert mx.max(empty, axis=1).shape == (0,)
    assert math.isnan(mx.mean(empty).item())
    x = mx.array([[1, 2], [3, 4]], dtype=mx.uint8)
    equal(mx.sum(x, axis=()), x)
    assert mx.sum(x, axis=()).dtype == mx.uint32
    equal(mx.any(x, axis=()), [[True, True], [True, True]])
    equal(mx.grad(lambda v: mx.prod(v, axis=1).sum())(mx.zeros((2, 0))), np.zeros((2, 0)))


def test_logsumexp_and_softmax_at_infinities():
    rows = mx.array([[0.0, -INF, 0.0], [-INF, -INF, -INF], [0.0, 1000.0, -1000.0], [INF, 0.0, 0.0]])
    close(mx.logsumexp(rows, axis=1), [math.log(2), -INF, 1000, INF])
    gradient = mx.grad(lambda v: mx.logsumexp(v[:3], axis=1).sum())(rows)
    close(gradient, [[0.5, 0, 0.5], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    close(mx.softmax(rows[:1], axis=1), [[0.5, 0, 0.5]])
    close(mx.grad(lambda v: mx.softmax(v)[0])(rows[0]), [0.25, 0, -0.25])
    close(jvp(mx.grad(lambda v: mx.softmax(v)[0]), [rows[0]], [mx.array([1.0, 1.0, 0.0])]), [0, 0, 0])
    big = mx.array([60000.0, 60000.0], dtype=mx.float16)
    assert mx.mean(big).item() == 60000  # the sum is not a float16


def test_std_of_equal_elements_has_slope_zero():
    x = mx.array([2.0, 2.0, 2.0])
    equal(mx.grad(mx.std)(x), [0, 0, 0])
    close(mx.var(mx.array([1e4 + 1, 1e4 + 2, 1e4 + 3])), 2 / 3, 1e-5)
    close(mx.var(mx.array([1 + 1j, 3 - 1j])), 2)
    assert mx.var(mx.array([1.0, 2.0]), ddof=2).item() == INF


# --- products ---

def test_addmm_scales_its_derivatives():
    i = mx.eye(2)
    f = lambda c, a, b: mx.addmm(c, a, b, alpha=0.5, beta=3.0)
    zero = mx.zeros((2, 2))
    close(jvp(f, [i, i, i], [i, zero, zero]), 3 * np.eye(2))
    close(jvp(f, [i, i, i], [zero, i, zero]), 0.5 * np.eye(2))
    close(jvp(f, [i, i, i], [zero, zero, i]), 0.5 * np.eye(2))
    for k, scale in enumerate([3, 0.5, 0.5]):
        gradient = mx.grad(lambda *args: f(*args).sum(), k)(i, i, i)
        close(gradient, scale * np.ones((2, 2)))


@pytest.mark.parametrize("mapped", [(0, None, None), (None, 0, None), (None, None, 0), (0, 0, None), (0, None, 0), (None, 0, 0)])
@pytest.mark.parametrize("c_shape", [(), (4,), (2, 1), (2, 4)])
def test_vmap_of_addmm_over_every_subset(mapped, c_shape):
    shapes = (c_shape, (2, 3), (3, 4))
    args = [random(((5,) if m == 0 else ()) + s, i) for i, (s, m) in enumerate(zip(shapes, mapped))]
    got = mx.vmap(mx.addmm, in_axes=mapped)(*args)
    for lane in range(5):
        close(got[lane], mx.addmm(*[a[lane] if m == 0 else a for a, m in zip(args, mapped)]))


@pytest.mark.parametrize("a, b", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
                                  ((5, 1, 2, 3), (6, 3, 1)), ((5, 1, 3), (5, 3, 1)), ((2, 0), (0, 3)), ((0, 2), (2, 3))], ids=str)
def test_matmul_of_every_rank(a, b):
    x, y = random(a, 1), random(b, 2)
    close(x @ y, np.array(x) @ np.array(y), 1e-12)
    if np.array(x @ y).size and 0 not in a:
        as_differences_say(lambda v: v @ y, x)
        as_differences_say(lambda v: x @ v, y)
    for mapped in [(0, None), (None, 0), (0, 0), (-1, None), (None, -1), (-1, 0)]:
        args = [mx.stack([z, 2 * z, z + 1], axis=m) if m is not None else z for z, m in zip((x, y), mapped)]
        lanes = [[np.take(np.array(z), i, m) if m is not None else np.array(z) for z, m in zip(args, mapped)] for i in range(3)]
        close(mx.vmap(mx.matmul, in_axes=mapped)(*args), np.stack([p @ q for p, q in lanes]), 1e-12)


def test_matmul_reads_any_layout():
    x = np.arange(48.0).reshape(4, 12)
    a = mx.array(x)
    for view in (lambda v: v[:, ::2], lambda v: v[::-1, :6], lambda v: v[:, 3:9], lambda v: v.reshape(4, 6, 2)[:, :, 1]):
        equal(view(a) @ view(a).T, view(x) @ view(x).T)
        equal(view(a).T @ view(a), view(x).T @ view(x))
    ones = mx.broadcast_to(mx.array([1.0, 2.0]), (3, 2))
    equal(ones @ ones.T, np.full((3, 3), 5.0))
    stacked = mx.transpose(mx.array(np.arange(24.0).reshape(2, 3, 4)), (1, 2, 0))
    equal(stacked @ mx.swapaxes(stacked, 1, 2), np.array(stacked) @ np.array(stacked).swapaxes(1, 2))


def test_complex_matmul_gradient_is_conjugated():
    rng = np.random.default_rng(0)
    a, b = (mx.array(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))) for _ in range(2))
    _, (da, db) = mx.vjp(mx.matmul, [a, b], [mx.ones((2, 2), a.dtype)])
    ones = np.ones((2, 2))
    close(da, ones @ np.array(b).conj().T)
    close(db, np.array(a).conj().T @ ones)


# --- indices ---

def test_indices_carry_no_derivative():
    x = mx.array([1.0, 5.0, 3.0])
    equal(mx.grad(lambda v: v[mx.argmax(v)])(x), [0, 1, 0])
    assert jvp(lambda v: v[mx.argmax(v)], [x], [mx.array([1.0, 10.0, 100.0])]).item() == 10
    by_order = lambda v: mx.take_along_axis(v, mx.argsort(v), axis=0)
    w = mx.array([1.0, 2.0, 3.0])
    equal(mx.grad(lambda v: (w * by_order(v)).sum())(x), [1, 3, 2])
    equal(jvp(by_order, [x], [w]), [1, 3, 2])
    equal(mx.grad(lambda v: (w * mx.sort(v)).sum())(x), [1, 3, 2])
    assert mx.grad(lambda v: jvp(mx.max, [v], [w]))(x).tolist() == [0, 0, 0]


def test_of_duplicates_the_last_is_kept_also_in_the_gradient():
    i = mx.array([0, 1, 0, 3, 3, 3])

    def put(x, v):
        x = x * 1
        x[i] = v
        return x
    x, v = mx.zeros((4,)), mx.arange(1.0, 7.0)
    equal(put(x, v), [3, 2, 0, 6])
    weights = mx.array([1.0, 10.0, 100.0, 1000.0])
    equal(mx.grad(lambda v: (weights * put(x, v)).sum())(v), [0, 10, 1, 0, 0, 1000])
    equal(mx.grad(lambda x: (weights * put(x, v)).sum())(x), [0, 0, 100, 0])
    for k in range(6):
        expected = mx.grad(lambda v: (weights * put(x, v)).sum())(v)[k]
        equal((weights * jvp(lambda v: put(x, v), [v], [mx.eye(6)[k]])).sum(), expected)
    along = lambda v: mx.put_along_axis(x, i, v, axis=0)
    equal(along(v), [3, 2, 0, 6])
    equal(mx.grad(lambda v: (weights * along(v)).sum())(v), [0, 10, 1, 0, 0, 1000])


def test_scatter_add_to_second_order():
    i = mx.array([0, 2, 0])
    x, v = random((3, 2)), random((3, 2), 1)
    as_differences_say(lambda z: added(z, i, v) ** 3, x)
    as_differences_say(lambda z: added(x, i, z) ** 3, v)


def test_a_written_array_to_second_order():
    i = mx.array([3, 0, 3])

    def put(x, v):
        x = x * 1
        x[i] = v
        return x ** 3
    x, v = random((4, 2)), random((3, 2), 1)
    as_differences_say(lambda z: put(z, v), x)
    as_differences_say(lambda z: put(x, z), v)


SUBSETS = [(a, b) for a in (None, 0, 1) for b in (None, 0, 1) if (a, b) != (None, None)]


@pytest.mark.parametrize("mapped", SUBSETS, ids=str)
@pytest.mark.parametrize("read", [
    lambda x, i: x[i], lambda x, i: x[:, i], lambda x, i: x[i, i], lambda x, i: mx.take(x, i, axis=1), lambda x, i: mx.take(x, i),
    lambda x, i: mx.take(x, i[0], axis=0), lambda x, i: mx.take_along_axis(x, i[:, None], axis=0)],
    ids=["rows", "columns", "both", "take", "flat", "scalar", "along"])
def test_vmap_of_reading_over_every_subset(read, mapped):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 4) if mapped[0] is None else (4, 4, 4))
    i = rng.integers(-4, 4, size=(2,) if mapped[1] is None else (4, 2) if mapped[1] == 0 else (2, 4))
    got = mx.vmap(read, in_axes=mapped)(f64(x), mx.array(i))
    for lane in range(4):
        args = [np.take(z, lane, m) if m is not None else z for z, m in zip((x, i), mapped)]
        equal(got[lane], read(f64(args[0]), mx.array(args[1])))
    if mapped[0] is not None:  # the transpose too
        gradient = mx.grad(lambda x: (mx.vmap(read, in_axes=mapped)(x, mx.array(i)) ** 2).sum())(f64(x))
        for lane in range(4):
            index = mx.array(np.take(i, lane, mapped[1]) if mapped[1] is not None else i)
            close(np.take(np.array(gradient), lane, mapped[0]),
                  mx.grad(lambda x: (read(x, index) ** 2).sum())(f64(np.take(x, lane, mapped[0]))))


TRIPLES = [(a, b, c) for a in (None, 0) for b in (None, 1) for c in (None, 0) if (a, b, c) != (None, None, None)]


def _set_rows(x, i, v):
    x = x * 1
    x[i] = v
    return x


def _set_column(x, i, v):
    x = x * 1
    x[:, i[0]] = v[0]
    return x


@pytest.mark.parametrize("mapped", TRIPLES, ids=str)
@pytest.mark.parametrize("write", [_set_rows, _set_column, added,
                                   lambda x, i, v: mx.put_along_axis(x, i[:, None], v, axis=0)],
                         ids=["set rows", "set a column", "add", "along"])
def test_vmap_of_writing_over_every_subset(write, mapped):
    rng = np.random.default_rng(4)
    shapes = [(4, 4), (3,), (3, 4)]
    args = [rng.normal(size=shapes[0]), rng.integers(-4, 4, size=3), rng.normal(size=shapes[2])]
    lanes = [[args[0] + k, rng.integers(-4, 4, size=3), args[2] * k] for k in range(3)]
    batched = [np.stack([lane[k] for lane in lanes], m) if m is not None else args[k] for k, m in enumerate(mapped)]
    wrap = [f64, mx.array, f64]
    got = mx.vmap(write, in_axes=mapped)(*[w(z) for w, z in zip(wrap, batched)])
    loss = lambda x, i, v: (write(x, i, v) ** 2).sum()
    gradients = mx.vmap(mx.grad(loss, (0, 2)), in_axes=mapped)(*[w(z) for w, z in zip(wrap, batched)])
    for k in range(3):
        lane = [w(lanes[k][j] if m is not None else args[j]) for j, (w, m) in enumerate(zip(wrap, mapped))]
        equal(got[k], write(*lane))
        for g, expected in zip(gradients, mx.grad(loss, (0, 2))(*lane)):
            close(g[k], expected)


def test_nested_vmap_of_indexing():
    x, i = random((2, 3, 4)), mx.array([[0, 3], [1, 1], [2, 0]])
    got = mx.vmap(lambda row, j: mx.vmap(lambda r: r[j])(row), in_axes=(1, 0))(x, i)
    for k in range(3):
        equal(got[k], np.array(x)[:, k][:, np.array(i[k])])
    per_pair = mx.vmap(mx.vmap(lambda r, j: r[j], in_axes=(0, None)), in_axes=(None, 0))(x[0], i)
    for k in range(3):
        equal(per_pair[k], np.array(x)[0][:, np.array(i[k])])


# --- sorting ---

def test_sorting_puts_nan_last_and_is_stable():
    x = mx.array([3.0, NAN, 1.0, 3.0, -INF, INF])
    equal(mx.sort(x), [-INF, 1, 3, 3, INF, NAN])
    equal(mx.argsort(x), [4, 2, 0, 3, 5, 1])
    equal(mx.sort(mx.array([1 + 2j, 1 + 1j, 0])), [0, 1 + 1j, 1 + 2j])
    equal(mx.sort(mx.array([True, False, True])), [False, True, True])
    y = np.random.default_rng(0).normal(size=(3, 5, 4))
    for axis in (0, 1, 2, -1):
        equal(mx.sort(mx.array(y).transpose(2, 0, 1), axis=axis), np.sort(y.transpose(2, 0, 1).astype(np.float32), axis=axis))
    equal(mx.vmap(mx.argsort, in_axes=1)(f64(y)), np.argsort(y.transpose(1, 0, 2), axis=-1))
    as_differences_say(lambda v: mx.sort(v, axis=0) ** 3, random((5, 2)))
