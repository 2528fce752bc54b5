"""docs/semantics.md: indices out of bounds. Errors that come when they should, and mode= under every transform."""

import mlx.core as mx
import numpy as np
import pytest

import arrays
from again import chosen_again
from arrays import ALL, INTEGERS

nan = float("nan")
N = 5
X = np.arange(1.0, 1 + 3 * N).reshape(N, 3)


def x32():
    return mx.array(X.astype(np.float32))


def f64(values):
    return mx.array(values, dtype=mx.float64)


def near(got, wanted, tol=1e-6):
    np.testing.assert_allclose(np.array(got), np.array(wanted), rtol=tol, atol=tol)


# --- errors ---

STATIC = {
    "int": lambda x: x[N], "negative": lambda x: x[-N - 1], "list": lambda x: x[[0, N]], "second axis": lambda x: x[:, 3], "tuple": lambda x: x[1, -4],
    "write": lambda x: x.__setitem__(N, 0.0), "at": lambda x: x.at[N].add(1), "at with a mode": lambda x: x.at[N].add(1, mode="clip"),
}


@pytest.mark.parametrize("what", STATIC)
def test_known_indices_are_checked_at_once(what):
    with pytest.raises(IndexError, match="out of range for axis"):
        STATIC[what](x32())
    with pytest.raises(IndexError):
        mx.grad(lambda x: (STATIC[what](x), x.sum())[1])(x32())
    with pytest.raises(IndexError):
        mx.compile(lambda x: STATIC[what](x))(x32())


def test_slices_are_cut():
    assert x32()[3:99].shape == (2, 3) and x32()[-99:1].shape == (1, 3) and x32()[99:].shape == (0, 3)


DYNAMIC = {
    "row": lambda x, i: x[i], "element": lambda x, i: x[i, i % 3], "column": lambda x, i: x.T[:, i], "take": lambda x, i: mx.take(x, i, axis=0),
    "flat take": lambda x, i: mx.take(x, i * 3), "last axis": lambda x, i: mx.take(x.T, i, axis=1),
    "along": lambda x, i: mx.take_along_axis(x, mx.broadcast_to(i[:, None], (i.size, 3)), axis=0),
    "put": lambda x, i: mx.put_along_axis(x, mx.broadcast_to(i[:, None], (i.size, 3)), mx.array(0.0), axis=0),
    "set": lambda x, i: x.at[i].set(0.0), "add": lambda x, i: x.at[i].add(1.0), "maximum": lambda x, i: x.at[i].maximum(1.0),
    "slice": lambda x, i: mx.slice(x, i[-1:], (0,), (1, 3)), "slice_update": lambda x, i: mx.slice_update(x, mx.zeros((1, 3)), i[-1:], (0,)),
    "matrices": lambda x, i: mx.gather_mm(mx.ones((1, 2)), mx.ones((N, 2, 2)), rhs_indices=i),
    "gradient": lambda x, i: mx.grad(lambda x: x[i].sum())(x), "tangent": lambda x, i: mx.jvp(lambda x: x[i], [x], [x])[1][0],
    "checkpoint": lambda x, i: mx.checkpoint(lambda x: x[i])(x), "scan": lambda x, i: mx.scan(lambda c, k: (c + x[k], c), x[0], i)[0],
}


@pytest.mark.parametrize("bad", [N, -N - 1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("what", DYNAMIC)
def test_other_indices_are_checked_at_evaluation(what, bad):
    f = DYNAMIC[what]
    if what in ("flat take",) and abs(bad) > 2**20:
        bad = bad // 8
    good, i = mx.array([0, N - 1, -N]), mx.array([0, 1, bad])
    runs = {"eager": f, "compiled": mx.compile(f), "shapeless": mx.compile(f, shapeless=True)}
    for name, run in runs.items():
        wanted = arrays.to_np(run(x32(), good))
        y, fine = run(x32(), i), mx.sin(x32())
        assert y.shape == wanted.shape
        for _ in range(2):  # and again when it is asked for again
            with pytest.raises(IndexError, match="out of bounds for axis"):
                mx.eval(y, fine)
        near(fine, np.sin(X))
        near(run(x32(), good), wanted)  # everything goes on
    with pytest.raises(IndexError):
        mx.eval(mx.vmap(f, in_axes=(None, 0))(x32(), mx.stack([good, i])))
    with pytest.raises(IndexError):
        mx.eval(mx.vmap(f)(mx.stack([x32(), x32()]), mx.stack([good, i])))


def test_they_are_not_checked_at_the_call():
    """Where a compiled function might as well be computed then: in a process that has one stream."""
    chosen_again(__file__, "test_other_indices_are_checked_at_evaluation")


@pytest.mark.parametrize("dtype", INTEGERS)
def test_indices_of_every_dtype_at_the_ends_of_their_range(dtype):
    info = np.iinfo(dtype)
    for end in (info.min, info.max)[dtype.startswith("u"):]:
        with pytest.raises(IndexError):
            mx.eval(x32()[arrays.to_mx(np.array([0, end], dtype), dtype)])
        with pytest.raises(IndexError):
            mx.eval(x32().at[arrays.to_mx(np.array([0, end], dtype), dtype)].add(1.0))


def test_large_arrays_are_checked_on_every_thread():
    i = np.arange(2_000_000) % N
    i[1_777_777] = N
    for f in (lambda i: x32()[:, 0][i], lambda i: mx.zeros(N).at[i].add(1.0), lambda i: mx.take_along_axis(x32()[:, 0], i, axis=0)):
        with pytest.raises(IndexError, match=f"index {N} is out of bounds"):
            mx.eval(f(mx.array(i)))


def test_the_error_names_the_way_out():
    y = mx.array([1.0, 2.0])
    i = mx.array([0, 7])
    for f in (lambda i: mx.where(i < 2, y[i], 0), mx.compile(lambda i: mx.where(i < 2, mx.take(y, i), 0))):
        with pytest.raises(IndexError, match='mode="clip" or mode="fill"'):
            mx.eval(f(i))
    assert mx.where(i < 2, mx.take(y, i, mode="clip"), 0).tolist() == [1, 0]


def test_lanes_that_do_not_run_read_nothing():
    y, i = mx.array([1.0, 2.0]), mx.array([0, 7, 1, -9])
    pick = lambda i: mx.cond(mx.logical_and(i >= 0, i < 2), lambda: mx.take(y, i), lambda: mx.array(-1.0))
    for f in (mx.vmap(pick), mx.compile(mx.vmap(pick)), mx.vmap(mx.compile(pick)), mx.vmap(mx.checkpoint(pick))):
        assert f(i).tolist() == [1, -1, 2, -1]
    total = lambda n: mx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] + y[s[0]]), (mx.array(0), mx.array(0.0)))[1]
    for f in (mx.vmap(total), mx.compile(mx.vmap(total))):
        assert f(mx.array([0, 1, 2])).tolist() == [0, 1, 3]
        with pytest.raises(IndexError):
            mx.eval(f(mx.array([0, 3])))
    g = mx.vmap(mx.grad(lambda v, i: mx.cond(i < 2, lambda: v[i], lambda: v[0] * 0)), in_axes=(None, 0))
    assert g(y, mx.array([0, 7, 1])).tolist() == [[1, 0], [0, 0], [0, 1]]


# --- mode= ---

I = np.array([0, -1, N - 1, N, -N, -N - 1, 2 * N, -2 * N, 3 * N + 1])


def brought(i, mode, n=N):
    """(place, inside)"""
    if mode == "fill":
        inside = (i >= -n) & (i < n)
        return np.where(inside, i % n, 0), inside
    return (i % n if mode == "wrap" else np.clip(i, 0, n - 1)), np.full(i.shape, True)


READS = {
    "take": lambda x, i, **m: mx.take(x, i, axis=0, **m),
    "last": lambda x, i, **m: mx.take(x.T, i, axis=1, **m).T,
    "along": lambda x, i, **m: mx.take_along_axis(x, mx.broadcast_to(i[:, None], (i.size, 3)), axis=0, **m),
    "get": lambda x, i, **m: x.at[i].get(**m),
    "get behind": lambda x, i, **m: x.T.at[:, i].get(**m).T,
    "get of two": lambda x, i, **m: x.at[i[:, None], mx.arange(3)].get(**m),
}
MODES = ("clip", "wrap", "fill")


def filling(mode, value=0.5):
    return {"mode": mode, "fill_value": value} if mode == "fill" else {"mode": mode}


def read(x, i, mode, value=0.5):
    at, inside = brought(i, mode)
    return np.where(inside[:, None], x[at], value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", READS)
def test_reading_outside(how, mode):
    f = lambda x, i: READS[how](x, i, **filling(mode))
    wanted = read(X, I, mode)
    i = mx.array(I)
    other = mx.array(I[::-1].copy())
    for run in (f, mx.compile(f), mx.compile(f, shapeless=True), mx.checkpoint(f)):
        near(run(x32(), i), wanted)
    both = mx.stack([x32(), 2 * x32()])
    near(mx.vmap(f, in_axes=(None, 0))(x32(), mx.stack([i, other])), [wanted, wanted[::-1]])
    near(mx.vmap(f, in_axes=(0, None))(both, i), [wanted, read(2 * X, I, mode)])
    near(mx.vmap(f)(both, mx.stack([i, other])), [wanted, read(2 * X, I[::-1], mode)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", READS)
def test_gradients_of_reading_outside(how, mode):
    x, i = f64(X), mx.array(I)
    weights = np.random.default_rng(0).standard_normal((len(I), 3))
    f = lambda x: (READS[how](x, i, **filling(mode)) ** 2 * f64(weights)).sum()
    at, inside = brought(I, mode)
    wanted = np.zeros_like(X)
    np.add.at(wanted, at[inside], (2 * X[at] * weights)[inside])
    for g in (mx.grad(f), mx.compile(mx.grad(f)), mx.grad(mx.compile(f)), mx.grad(mx.checkpoint(f)), mx.jacfwd(f)):
        near(g(x), wanted)
    second = np.zeros_like(X)
    np.add.at(second, at[inside], (2 * weights)[inside])
    near(mx.grad(lambda x: mx.grad(f)(x).sum())(x), second)
    near(mx.jvp(mx.grad(f), [x], [mx.ones_like(x)])[1][0], second)
    near(mx.vmap(mx.grad(f))(mx.stack([x, 2 * x])), [wanted, 2 * wanted])


def test_a_fill_value_has_the_gradient_of_what_it_fills():
    i = mx.array([0, 9, 9, 1])
    g = mx.grad(lambda v, x: (mx.take(x, i, mode="fill", fill_value=v) * mx.array([1.0, 2.0, 3.0, 4.0])).sum(), (0, 1))
    assert [a.tolist() for a in g(mx.array(7.0), mx.array([1.0, 2.0]))] == [5.0, [1.0, 4.0]]
    # what was filled with NaN adds nothing where it is masked
    g = mx.grad(lambda x: mx.where(i < 2, mx.sqrt(mx.take(x, i, mode="fill")), 0).sum())(mx.array([1.0, 4.0]))
    assert g.tolist() == [0.5, 0.25]


@pytest.mark.parametrize("dtype", ALL)
def test_what_is_filled_by_default(dtype):
    x = arrays.to_mx(np.array([1, 0]), dtype)
    got = arrays.to_np(mx.take(x, mx.array([0, 2, -3]), mode="fill"))
    if dtype in INTEGERS:
        lowest = np.iinfo(dtype).min if np.iinfo(dtype).min else np.iinfo(dtype).max
        assert got.tolist() == [1, lowest, lowest]
    elif dtype == "bool_":
        assert got.tolist() == [True, True, True]
    else:
        assert got[0] == 1 and np.isnan(got[1:]).all()
    assert arrays.to_np(mx.take(x, mx.array([2]), mode="fill", fill_value=0)).tolist() == [0]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_modes_for_indices_of_every_dtype(dtype):
    info = np.iinfo(dtype)
    i = np.array([0, 1, N - 1, N, info.max, info.min, info.max - 1, info.min + 1], arrays.NUMPY[dtype])
    exact = [int(v) for v in i]
    x = f64(X[:, 0])
    assert mx.take(x, arrays.to_mx(i, dtype), mode="clip").tolist() == [X[min(max(v, 0), N - 1), 0] for v in exact]
    assert mx.take(x, arrays.to_mx(i, dtype), mode="wrap").tolist() == [X[v % N, 0] for v in exact]
    assert mx.take(x, arrays.to_mx(i, dtype), mode="fill", fill_value=-1).tolist() == [X[v, 0] if -N <= v < N else -1 for v in exact]
    long = mx.arange(300)  # longer than the narrow dtypes count
    j = arrays.to_mx(np.array([100, 5]), dtype)
    assert [mx.take(long, j, mode=m).tolist() for m in MODES] == [[100, 5]] * 3


UPDATES = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum, "minimum": np.minimum,
           "power": np.power, "set": None}


def written(x, i, v, how, mode):
    at, inside = brought(i, mode)
    y = x.copy()
    for a, ok, value in zip(at, inside, v):
        if ok:
            y[a] = value if how == "set" else UPDATES[how](y[a], value)
    return y


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", UPDATES)
def test_writing_outside(how, mode):
    rng = np.random.default_rng(1)
    v = rng.uniform(0.5, 1.5, (len(I), 3))
    i, values = mx.array(I), f64(v)
    f = lambda x, i, v: getattr(x.at[i], how)(v, mode=mode)
    wanted = written(X, I, v, how, mode)
    for run in (f, mx.compile(f), mx.compile(f, shapeless=True)):
        near(run(f64(X), i, values), wanted, 1e-12)
    flipped = written(X, I[::-1], v, how, mode)
    near(mx.vmap(f, in_axes=(None, 0, None))(f64(X), mx.stack([i, i[::-1]]), values), [wanted, flipped], 1e-12)
    near(mx.vmap(f)(mx.stack([f64(X), f64(X)]), mx.stack([i, i[::-1]]), mx.stack([values, values])), [wanted, flipped], 1e-12)
    weights = f64(rng.standard_normal(X.shape))
    mx.check_grads(lambda x, v: (f(x, i, v) * weights).sum(), (f64(X), values), order=2)
    columns = lambda x: getattr(x.T.at[1:, i], how)(values[:, 1:].T, mode=mode).T
    expected = X.copy()
    expected[:, 1:] = written(X[:, 1:], I, v[:, 1:], how, mode)
    near(columns(f64(X)), expected, 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_writing_along_an_axis_and_applying(mode):
    v = np.arange(1.0, 1 + 3 * len(I)).reshape(-1, 3)
    put = lambda x, i, v: mx.put_along_axis(x, mx.broadcast_to(i[:, None], (i.size, 3)), v, axis=0, mode=mode)
    wanted = written(X, I, v, "set", mode)
    for run in (put, mx.compile(put), mx.compile(put, shapeless=True)):
        near(run(f64(X), mx.array(I), f64(v)), wanted)
    mx.check_grads(lambda x, v: (put(x, mx.array(I), v) ** 2).sum(), (f64(X), f64(v)), order=2)
    at, inside = brought(I, mode)
    doubled = X.copy()
    doubled[at[inside]] *= 2
    near(f64(X).at[mx.array(I)].apply(lambda a: a * 2, mode=mode), doubled)
    at, inside = brought(I, mode, X.size)
    flat = X.flatten()
    for place, ok, value in zip(at, inside, v[:, 0]):
        flat[place] = value if ok else flat[place]
    near(mx.put_along_axis(f64(X), mx.array(I), f64(v[:, 0]), axis=None, mode=mode), flat.reshape(X.shape))


def test_two_indices_are_outside_where_one_is():
    i, j = mx.array([0, 1, 9, 4]), mx.array([0, 7, 0, -1])
    x = f64(X)
    assert x.at[i, j].get(mode="fill", fill_value=-1).tolist() == [X[0, 0], -1, -1, X[4, 2]]
    added = X.copy()
    added[0, 0] += 1
    added[4, 2] += 1
    near(x.at[i, j].add(1.0, mode="fill"), added)
    assert x.at[i, j].get(mode="clip").tolist() == [X[0, 0], X[1, 2], X[4, 0], X[4, 0]]


def test_what_is_left_out_does_not_touch_signs_or_other_places():
    x = mx.array([-0.0, 1.0])
    y = x.at[mx.array([5, 9])].add(mx.array([nan, nan]), mode="fill")
    assert np.signbit(np.array(y)).tolist() == [True, False] and y.tolist() == [0, 1]


@pytest.mark.parametrize("how", READS)
def test_an_axis_without_elements_is_filled(how):
    f = lambda x, i: READS[how](x, i, mode="fill", fill_value=2)
    none, i = mx.zeros((0, 3)), mx.array([0, -1, 4])
    shapeless = mx.compile(f, shapeless=True)
    near(shapeless(x32(), i), read(X, np.array([0, -1, 4]), "fill", 2))
    for run in (f, mx.compile(f), shapeless):
        near(run(none, i), np.full((3, 3), 2))
    assert mx.grad(lambda x: f(x, i).sum())(none).shape == (0, 3)
    for mode in ("clip", "wrap"):
        with pytest.raises(IndexError):
            mx.eval(READS[how](none, i, mode=mode))
    assert none.at[i].add(1.0, mode="fill").shape == (0, 3)


def test_shapeless_recordings_serve_every_length():
    for mode in MODES:
        traced = []

        def f(x, i):
            traced.append(1)
            return mx.take(x, i, axis=0, **filling(mode)), x.at[i].add(1.0, mode=mode)

        g = mx.compile(f, shapeless=True)
        for n in (3, 8, 1):
            x = np.arange(2.0 * n).reshape(n, 2)
            at, inside = brought(I, mode, n)
            got, changed = g(mx.array(x), mx.array(I))
            near(got, np.where(inside[:, None], x[at], 0.5))
            near(changed, written_n(x, I, mode, n))
        assert len(traced) == 1


def written_n(x, i, mode, n):
    at, inside = brought(i, mode, n)
    y = x.copy()
    np.add.at(y, at[inside], 1.0)
    return y


@pytest.mark.parametrize("shapeless", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_modes_in_files(mode, shapeless, tmp_path):
    slope = lambda x, i: mx.grad(lambda x: (mx.take(x, i, axis=0, mode=mode) ** 2)[:1].sum())(x)
    f = lambda x, i: [mx.take(x, i, axis=0, **filling(mode)), x.at[i].set(7.0, mode=mode), slope(x, i)]
    path = str(tmp_path / "f.mlxfn")
    mx.export_function(path, f, x32(), mx.array(I), shapeless=shapeless)
    for got, wanted in zip(mx.import_function(path)(x32(), mx.array(I)), f(x32(), mx.array(I)), strict=True):
        near(got, wanted)


ERRORS = {
    "mode": (lambda x, i: mx.take(x, i, mode="no"), ValueError, r'\[take\] mode is "no"; it must be "raise", "clip", "wrap" or "fill"'),
    "fill without fill": (lambda x, i: mx.take(x, i, fill_value=1.0), ValueError, 'only with mode="fill"'),
    "fill of an array": (lambda x, i: mx.take(x, i, mode="fill", fill_value=mx.ones(3)), ValueError, r"fill_value has shape \(3,\)"),
    "fill of a kind": (lambda x, i: mx.take(x.astype(mx.int32), i, mode="fill", fill_value=1.5), TypeError, "int32 cannot hold"),
    "float indices": (lambda x, i: mx.take(x, i * 1.5, mode="clip"), ValueError, "must be integers"),
    "axis": (lambda x, i: mx.take(x, i, axis=4, mode="fill"), IndexError, "axis 4"),
    "at": (lambda x, i: x.at[i].set(1.0, mode="drop"), ValueError, r'\[at\] mode is "drop"'),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors_of_modes(what):
    call, error, says = ERRORS[what]
    with pytest.raises(error, match=says):
        call(x32(), mx.array(I))


def test_numpys_take_with_a_mode():
    """Inside a transform NumPy's function is ours."""
    f = lambda x: np.take(x, np.array([0, 9]), mode="clip").sum()
    assert mx.grad(f)(mx.array([1.0, 2.0])).tolist() == [1, 1]
