"""docs/semantics.md: ties and signed zeros, copies and views, and memory shared with NumPy."""

import gc

import mlx.core as mx
import numpy as np
import pytest

import arrays
from arrays import ALL, BOOL, FLOATS, INTEGERS
from everywhere import LAYOUTS

# --- ties ---


@pytest.mark.parametrize("dtype", BOOL + INTEGERS + FLOATS)
@pytest.mark.parametrize("length", (2, 9, 64, 1001, 70_001))
def test_the_first_of_equals_is_the_argument(dtype, length):
    values = np.random.default_rng(length).integers(0, 2 if dtype == "bool_" else 4, length).astype(arrays.NUMPY[dtype])
    for laid_out in LAYOUTS.values():
        x = laid_out(arrays.to_mx(values, dtype))
        assert mx.argmax(x).item() == np.argmax(values) and mx.argmin(x).item() == np.argmin(values)
        columns = mx.stack([x, x], axis=1)
        assert mx.argmax(columns, axis=0).tolist() == [np.argmax(values)] * 2
        assert np.array_equal(np.array(mx.argsort(x)), np.argsort(values, kind="stable"))
        assert np.array_equal(np.array(mx.vmap(mx.argsort)(columns.T)[1]), np.argsort(values, kind="stable"))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("length", (2, 3, 16, 33, 1000))
def test_zeros_of_both_signs_are_equals(dtype, length):
    for first in (0.0, -0.0):
        values = np.array([first, -first] * length)[:length]
        for laid_out in LAYOUTS.values():
            x = laid_out(arrays.to_mx(values, dtype))
            for extreme in (mx.max(x), mx.min(x), mx.compile(mx.max)(x), x[mx.argmax(x)]):
                assert np.signbit(arrays.to_np(extreme)) == np.signbit(first)
            assert mx.argsort(x).tolist() == list(range(length)) and mx.argmax(x).item() == mx.argmin(x).item() == 0
            signs = np.signbit(arrays.to_np(mx.sort(x)))
            assert signs.tolist() == sorted(signs.tolist(), reverse=True) and signs.sum() == np.signbit(values).sum()
            assert mx.searchsorted(mx.sort(x), x[:1]).tolist() == [0]


SHARED = {  # function, values, gradient
    "max": (mx.max, [1, 3, 3, 0], [0, 0.5, 0.5, 0]), "min": (mx.min, [1, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3]),
    "maximum": (lambda x: mx.maximum(x, 2.0).sum(), [1, 2, 3], [0, 0.5, 1]), "minimum": (lambda x: mx.minimum(x, 2.0).sum(), [1, 2, 3], [1, 0.5, 0]),
    "clip": (lambda x: mx.clip(x, 1.0, 3.0).sum(), [0, 1, 2, 3], [0, 0.5, 1, 0.5]), "abs": (lambda x: mx.abs(x).sum(), [0, -1], [0, -1]),
}  # fmt: skip
PLACED = {
    "sort": (lambda x: (mx.sort(x) * mx.array([1.0, 10.0, 100.0])).sum(), [2, 1, 2], [10, 1, 100]),
    "topk": (lambda x: mx.topk(x, 2).sum(), [3, 1, 3, 3], None), "median": (mx.median, [1, 2, 2, 5], [0, 0.5, 0.5, 0]),
    "cummax": (lambda x: mx.cummax(x).sum(), [1, 3, 2, 0], [1, 3, 0, 0]),
    "partition": (lambda x: (mx.partition(x, 1)[1:2]).sum(), [4, 1, 0], [0, 1, 0]),
}


@pytest.mark.parametrize("what", SHARED | PLACED)
def test_equals_share_a_gradient_or_have_that_of_their_place(what):
    f, values, wanted = (SHARED | PLACED)[what]
    x = mx.array(values, dtype=mx.float64)
    g = mx.grad(f)(x)
    if wanted is None:  # as many ones as places
        assert sorted(g.tolist()) == [0, 0, 1, 1] and g[1].item() == 0
    else:
        np.testing.assert_allclose(np.array(g), wanted, rtol=1e-12)
    forward = [mx.jvp(f, [x], [mx.array(e, dtype=mx.float64)])[1][0].item() for e in np.eye(len(values))]
    np.testing.assert_allclose(forward, np.array(g), rtol=1e-12)
    np.testing.assert_array_equal(np.array(mx.compile(mx.grad(f))(x)), np.array(g))
    np.testing.assert_array_equal(np.array(mx.vmap(mx.grad(f))(mx.stack([x, x]))[1]), np.array(g))


def test_the_last_of_several_values_stays_and_has_the_gradient():
    i = mx.array([1, 0, 1])
    writes = [lambda x, v: x.at[i].set(v), lambda x, v: mx.put_along_axis(x, i, v, axis=0)]

    def assign(x, v):
        x[i] = v
        return x

    for f in [*writes, assign]:
        x, v = mx.zeros(3), mx.array([7.0, 8.0, 9.0])
        for run in (f, mx.compile(f)):
            assert run(x + 0, v).tolist() == [8, 9, 0]
        gx, gv = mx.grad(lambda x, v: (f(x + 0, v) * mx.array([1.0, 2.0, 4.0])).sum(), (0, 1))(x, v)
        assert gx.tolist() == [0, 0, 4] and gv.tolist() == [0, 1, 2]


# --- copies and views ---

VIEWS = {
    "slice": lambda a: a[1:3], "row": lambda a: a[1], "transpose": lambda a: a.T, "reshape": lambda a: a.reshape(2, 6), "flatten": lambda a: a.flatten(),
    "reversed": lambda a: a[::-1], "broadcast": lambda a: mx.broadcast_to(a[None], (2, 4, 3)), "squeeze": lambda a: mx.squeeze(a[None], 0),
    "split": lambda a: mx.split(a, 2)[0], "view": lambda a: a.view(mx.int32), "as_strided": lambda a: mx.as_strided(a, (3,), (4,), 1),
    "array": lambda a: mx.array(a), "diagonal": lambda a: mx.diagonal(a), "contiguous": lambda a: mx.contiguous(a), "astype": lambda a: a.astype(mx.float32),
}  # fmt: skip


@pytest.mark.parametrize("evaluated", [True, False])
@pytest.mark.parametrize("what", VIEWS)
def test_writing_is_seen_through_no_view(what, evaluated):
    a = mx.arange(12.0).reshape(4, 3)
    view = VIEWS[what](a)
    if evaluated:
        mx.eval(a, view)
    was, before = np.array(view), np.array(a)
    a[1] = 77.0
    a += 1
    assert np.array_equal(np.array(view), was)
    view = VIEWS[what](b := mx.array(before))
    view[...] = 5
    assert np.array_equal(np.array(b), before)


def test_names_of_one_handle_see_each_other():
    a = mx.array([1, 2])
    b, c = a, mx.array(a)
    a[0] = 5
    a += 1
    assert b is a and b.tolist() == [6, 3] and c.tolist() == [1, 2]

    def change(x):
        x[0] = 0

    change(a)
    assert b.tolist() == [0, 3]


# --- memory of others ---


@pytest.mark.parametrize("dtype", [name for name in ALL if name != "bfloat16"])
def test_what_numpy_is_given_is_read_only_and_stays(dtype):
    values = arrays.to_np(arrays.to_mx(np.arange(6).reshape(2, 3) % 2, dtype))
    for make in (np.asarray, np.from_dlpack, lambda a: np.asarray(memoryview(a))):
        a = arrays.to_mx(values, dtype)
        if make is np.from_dlpack and dtype == "bool_" and tuple(map(int, np.__version__.split(".")[:2])) < (1, 25):
            continue
        view = make(a)
        assert not view.flags.writeable and np.array_equal(view, values)
        with pytest.raises(ValueError):
            view[0] = 1
        a[0] = 0
        a += a
        mx.eval(a)
        assert np.array_equal(view, values)
        del a
        gc.collect()
        assert np.array_equal(view, values)
    copy = np.array(arrays.to_mx(values, dtype))
    assert copy.flags.writeable
    transposed = np.asarray(arrays.to_mx(values, dtype).T)
    assert transposed.shape == (3, 2) and not transposed.flags.writeable and np.array_equal(transposed, values.T)


def test_what_numpy_gives_is_copied_unless_it_is_to_be_shared():
    n = np.arange(4.0, dtype=np.float32)
    copied, also, shared = mx.array(n), mx.asarray(n), mx.asarray(n, copy=False)
    n[0] = 9
    assert copied.tolist() == also.tolist() == [0, 1, 2, 3] and shared.tolist() == [9, 1, 2, 3]
    shared[1] = 7
    shared += 1
    mx.eval(shared)
    assert n.tolist() == [9, 1, 2, 3] and shared.tolist() == [10, 8, 3, 4]
    fixed = np.arange(3.0)
    fixed.flags.writeable = False
    kept = mx.asarray(fixed, copy=False)
    kept[0] = 5
    assert fixed[0] == 0
    with pytest.raises((ValueError, TypeError)):
        mx.asarray([1.0, 2.0], copy=False)


def test_a_shared_array_survives_its_owner():
    n = np.arange(1000.0)
    shared = mx.asarray(n, copy=False)
    del n
    gc.collect()
    assert shared.sum().item() == 499_500
