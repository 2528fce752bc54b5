"""What is known to go wrong in MLX 0.32 with ops that exist here, and is no cell of the grids: closures instead of arguments,
in-place updates inside transforms, checkpoints with indices, and points where a rule is easily wrong."""

import math

import mlx.core as mx
import numpy as np
import pytest

import arrays


def near(got, expected):
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-6, atol=1e-7)


# --- vmap: updates with unmapped values, operands on either side, new axes ---

def test_vmap_assigns_a_captured_value():
    x, v = mx.zeros((3, 4)), mx.array([5.0, 6.0])

    def assigned(t):
        t = t + 0
        t[1:3] = v
        return t

    near(mx.vmap(assigned)(x), [[0, 5, 6, 0]] * 3)


def test_vmap_assigns_and_adds_numbers():
    x = mx.zeros((3, 4))

    def assigned(t):
        t = t + 0
        t[1] = 7.0
        return t

    near(mx.vmap(assigned)(x), [[0, 7, 0, 0]] * 3)
    near(mx.vmap(lambda t: t.at[1:3].add(1.0))(x), [[0, 1, 1, 0]] * 3)
    near(mx.vmap(lambda t: mx.slice_update(t, mx.array([9.0]), mx.array([2]), [0]))(x), [[0, 0, 9, 0]] * 3)


BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
LOGICAL = ("not_equal", "equal", "less", "logical_xor", "logical_and", "logical_or")


@pytest.mark.parametrize("name", BITWISE + LOGICAL)
def test_vmap_beside_a_captured_operand(name):
    function = getattr(mx, name)
    a, b = mx.array([[0, 1], [2, 3], [4, 5]]), mx.array([1, 2])
    for call in (lambda t: function(t, b), lambda t: function(b, t), lambda t: function(1, t)):
        got = mx.vmap(call)(a)
        assert got.shape == (3, 2)
        near(got, [np.array(call(a[k])) for k in range(3)])


def test_vmap_divmod():
    quotient, remainder = mx.vmap(lambda x: mx.divmod(x, 2.0))(mx.array([7.0, 5.0]))
    near(quotient, [3, 2])
    near(remainder, [1, 1])


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("in_axis", [0, 1, 2])
def test_vmap_expand_dims(axes, in_axis):
    x = mx.arange(60).reshape(3, 4, 5)
    got = mx.vmap(lambda t: mx.expand_dims(t, axes), in_axes=in_axis)(x)
    near(got, [np.expand_dims(t, axes) for t in np.moveaxis(np.array(x), in_axis, 0)])


@pytest.mark.parametrize("which", [(0, None, None), (None, 0, None), (None, None, 0), (0, 0, None), (0, None, 0), (None, 0, 0)])
def test_vmap_addmm_over_any_argument(which):
    rng = np.random.default_rng(0)
    c, a, b = (mx.array(rng.normal(size=s if w is None else (3, *s))) for s, w in zip([(4,), (2, 5), (5, 4)], which))
    got = mx.vmap(lambda c, a, b: mx.addmm(c, a, b, alpha=0.5, beta=3.0), in_axes=which)(c, a, b)
    pick = lambda x, w, k: x if w is None else x[k]
    near(got, [np.array(3 * pick(c, which[0], k) + 0.5 * pick(a, which[1], k) @ pick(b, which[2], k)) for k in range(3)])


def test_vmap_over_a_slice_start_and_a_sorted_sequence():
    x = mx.arange(12.0).reshape(3, 4)
    near(mx.vmap(lambda x, i: mx.slice(x, i, [0], [2]))(x, mx.array([[0], [1], [2]])), [[0, 1], [5, 6], [10, 11]])
    near(mx.vmap(lambda s: mx.searchsorted(s, mx.array([1.5, 6.0])))(x), [[2, 4], [0, 2], [0, 0]])


# --- derivatives ---

def test_fill_values_have_gradients():
    assert mx.grad(lambda v: mx.full((3,), v).sum())(mx.array(2.0)).item() == 3
    assert mx.grad(lambda v: mx.full_like(mx.zeros(3), v).sum())(mx.array(2.0)).item() == 3
    pad = lambda x, v: mx.pad(x, (1, 1), constant_values=v)
    assert mx.grad(lambda v: pad(mx.zeros(3), v).sum())(mx.array(2.0)).item() == 2
    dx, dv = mx.grad(lambda x, v: pad(x, v).sum(), (0, 1))(mx.zeros(3), mx.array(2.0))
    near(dx, [1, 1, 1])
    assert dv.item() == 2
    near(mx.jvp(pad, [mx.zeros(3), mx.array(2.0)], [mx.zeros(3), mx.array(1.0)])[1][0], [1, 0, 0, 0, 1])
    near(mx.vmap(pad, in_axes=(None, 0))(mx.zeros(1), mx.array([1.0, 2.0])), [[1, 0, 1], [2, 0, 2]])


def test_jvp_of_addmm_keeps_alpha_and_beta():
    i = mx.eye(2)
    near(mx.jvp(lambda c: mx.addmm(c, i, i, alpha=0.5, beta=3.0), [i], [i])[1][0], 3 * np.eye(2))
    near(mx.jvp(lambda a: mx.addmm(i, a, i, alpha=0.5, beta=3.0), [i], [i])[1][0], 0.5 * np.eye(2))


def test_remainders():
    assert mx.grad(lambda x: mx.divmod(x, 2.0)[1])(mx.array(7.3)).item() == 1
    assert mx.grad(lambda x: mx.remainder(x, 2.0))(mx.array(7.3)).item() == 1
    assert mx.grad(lambda y: mx.remainder(mx.array(7.5), y))(mx.array(2.0)).item() == -3


def test_truth_values_are_constant_in_forward_mode():
    x = mx.array([1.0, 2.0, 3.0])
    for reduce in (mx.any, mx.all):
        assert mx.jvp(lambda x: reduce(x).astype(mx.float32), [x], [mx.ones(3)])[1][0].item() == 0
        assert mx.jvp(lambda x: reduce(x, axis=0).astype(mx.float32), [x], [mx.ones(3)])[1][0].item() == 0


def test_ties_are_shared_in_both_modes():
    x, e = mx.array([1.0, 3.0, 3.0, 3.0]), mx.array([0.0, 0.0, 0.0, 1.0])
    near((mx.grad(mx.max)(x) * e).sum(), 1 / 3)
    near(mx.jvp(mx.max, [x], [e])[1][0], 1 / 3)


def test_casts_to_integers_are_constant():
    through = lambda x: x.astype(mx.int32).astype(mx.float32)
    assert mx.grad(through)(mx.array(2.7)).item() == 0
    assert mx.jvp(through, [mx.array(2.7)], [mx.array(0.9)])[1][0].item() == 0


def test_complex_second_derivatives():
    near(mx.grad(mx.grad(lambda x: mx.abs(x + 2j)))(mx.array(1.0)), 4 / 5**1.5)
    power = lambda y: mx.real(mx.power(1 + 1j * y, 2 + 1j))
    step = 1e-6
    plain = lambda y: ((1 + 1j * y) ** (2 + 1j)).real
    expected = (plain(1 + step) - plain(1 - step)) / (2 * step)
    near(mx.grad(power)(mx.array(1.0)), expected)
    near(mx.jvp(power, [mx.array(1.0)], [mx.array(1.0)])[1][0], expected)


def test_far_out_and_at_zero():
    assert mx.grad(mx.grad(mx.tanh))(mx.array(100.0)).item() == 0
    assert mx.jvp(mx.grad(mx.tanh), [mx.array(50.0)], [mx.array(1.0)])[1][0].item() == 0
    first = lambda x: mx.grad(lambda x: mx.cumprod(x).sum())(x)[0]
    near(mx.grad(first)(mx.array([2.0, 0.0, 3.0])), [0, 4, 0])  # d/dx0 (x0 + x0 x1 + x0 x1 x2) = 1 + x1 + x1 x2
    assert mx.grad(lambda x: x**0)(mx.array(0.0)).item() == 0
    assert mx.grad(lambda x: x**0.0)(mx.array(0.0)).item() == 0


def test_float64_is_precise():
    x = mx.array(0.7, dtype=mx.float64)
    for name in ("sin", "cos", "exp", "erf", "log", "tanh"):
        assert abs(getattr(mx, name)(x).item() - getattr(math, name)(0.7)) < 1e-15


def test_duplicate_places_give_the_last_one_the_gradient():
    def assigned(v):
        x = mx.zeros(2)
        x[mx.array([0, 0])] = v
        return x.sum()

    near(mx.grad(assigned)(mx.array([1.0, 2.0])), [0, 1])


@pytest.mark.parametrize("method", ["multiply", "divide", "maximum", "minimum", "add", "subtract"])
@pytest.mark.parametrize("index", [slice(0, 2), [0, 0, 2]], ids=str)
def test_updates_at_places_in_both_modes(method, index):
    index = index if isinstance(index, slice) else mx.array(index)
    v = mx.array([1.5, 0.5, 2.5][: 2 if isinstance(index, slice) else 3], dtype=mx.float64)
    x = mx.array([0.7, 1.2, 2.0], dtype=mx.float64)
    function = lambda x: getattr(x.at[index], method)(v)
    columns = np.stack([np.array(mx.jvp(function, [x], [e])[1][0]) for e in mx.eye(3, dtype=mx.float64)], axis=1)
    rows = np.stack([np.array(mx.vjp(function, [x], [e])[1][0]) for e in mx.eye(3, dtype=mx.float64)])
    near(columns, rows)
    step = 1e-5
    near(columns, np.stack([np.array(function(x + step * e) - function(x - step * e)) / (2 * step)
                            for e in mx.eye(3, dtype=mx.float64)], axis=1))


def test_where_a_mask_is_assigned_a_traced_scalar():
    x = mx.array([1.0, -1.0, 2.0])

    def assigned(v):
        y = x + 0
        y[x > 0] = v
        return y

    assert mx.grad(lambda v: assigned(v).sum())(mx.array(3.0)).item() == 2
    near(mx.jvp(assigned, [mx.array(3.0)], [mx.array(1.0)])[1][0], [1, 0, 1])


# --- checkpoint ---

def test_checkpoint_with_indices_under_every_transform():
    x, i = mx.array([1.0, 2.0, 3.0]), mx.array([2, 0, 2])
    function = lambda x, i: (x[i] ** 3).sum()
    kept = mx.checkpoint(function)
    expected = np.array([3.0, 0.0, 54.0])
    near(mx.grad(kept)(x, i), expected)
    near(mx.jvp(lambda x: kept(x, i), [x], [mx.ones(3)])[1][0], expected.sum())
    near(mx.grad(lambda x: mx.grad(kept)(x, i).sum())(x), [6, 0, 36])
    near(mx.jvp(lambda x: mx.grad(kept)(x, i), [x], [mx.ones(3)])[1][0], [6, 0, 36])
    near(mx.vmap(mx.grad(kept), in_axes=(0, None))(mx.stack([x, 2 * x]), i), [expected, 4 * expected])
    near(mx.grad(lambda x: mx.vmap(kept, in_axes=(None, 0))(x, mx.stack([i, i])).sum())(x), 2 * expected)


@pytest.mark.parametrize("read", ["take", "fancy", "along", "put"])
def test_checkpoint_of_reads_at_traced_places(read):
    calls = {
        "take": lambda x, i: mx.take(x, i, axis=0),
        "fancy": lambda x, i: x[i, i],
        "along": lambda x, i: mx.take_along_axis(x, i[:, None], axis=0),
        "put": lambda x, i: mx.put_along_axis(x, i[:, None], mx.ones((2, 1)), axis=0),
    }
    x, i = mx.arange(9.0).reshape(3, 3), mx.array([2, 1])
    square = lambda x, i: (calls[read](x, i) ** 2).sum()
    near(mx.grad(mx.checkpoint(square))(x, i), np.array(mx.grad(square)(x, i)))


def test_reading_at_the_argmax():
    x = mx.array([1.0, 5.0, 2.0])
    near(mx.grad(lambda x: x[mx.argmax(x)] ** 2)(x), [0, 10, 0])
    near(mx.jvp(lambda x: x[mx.argmax(x)], [x], [mx.array([1.0, 2.0, 3.0])])[1][0], 2)
    ordered = lambda x: mx.take_along_axis(x, mx.argsort(x), axis=0)
    near(mx.jvp(ordered, [x], [mx.array([1.0, 2.0, 3.0])])[1][0], [1, 3, 2])
    near(mx.grad(lambda x: (ordered(x) * mx.array([1.0, 10.0, 100.0])).sum())(x), [1, 100, 10])
    assert arrays.name_of(mx.grad(lambda x: x[mx.argmax(x)])(x).dtype) == "float32"
