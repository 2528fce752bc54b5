"""NumPy's functions: with arrays that an open transform follows they run as ours, lazy and differentiable; every other call is
what it would be without the protocols; and a value that leaves a derivative says so."""

import copy
import io
import pickle
import re

import mlx.core as mx
import numpy as np
import pytest

X = np.array([[0.31, 0.83, 0.47], [0.93, 0.22, 0.71]], np.float32)
V = np.array([0.25, 0.6, 0.9], np.float32)
W = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], np.float32)

# Each is a function of a, with values in (0, 1); np stands for NumPy.
UFUNCS = (
    "absolute fabs negative positive reciprocal square sqrt exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh "
    "tanh arcsinh arctanh degrees radians deg2rad rad2deg floor ceil trunc sign rint conjugate isnan isfinite isinf logical_not"
).split()
BINARY = ("add subtract multiply divide true_divide floor_divide remainder mod power logaddexp maximum minimum arctan2 equal not_equal less "
          "less_equal greater greater_equal logical_and logical_or logical_xor").split()  # fmt: skip
FUNCTIONS = {
    **{f"np.{name}(a)": lambda a, f=getattr(np, name): f(a) for name in UFUNCS},
    **{f"np.{name}(a, W)": lambda a, f=getattr(np, name): f(a, W) for name in BINARY},
    **{f"np.{name}(W, a)": lambda a, f=getattr(np, name): f(W, a) for name in BINARY if "power" not in name},
    **{f"np.{name}(a)": lambda a, f=getattr(np, name): f(a) for name in
       "sum prod mean std var max min all any argmax argmin cumsum cumprod ravel transpose squeeze median count_nonzero sort argsort "
       "zeros_like ones_like nan_to_num copy real imag trace diagonal diag tril triu diff flip fliplr flipud atleast_3d".split()},
    **{f"np.{name}(a, axis=1)": lambda a, f=getattr(np, name): f(a, axis=1) for name in
       "sum prod mean std var max min all any argmax argmin cumsum cumprod sort argsort median diff flip expand_dims".split()},
    **{f"np.{name}(a, 0, keepdims=True)": lambda a, f=getattr(np, name): f(a, 0, keepdims=True) for name in
       "sum prod mean std var max min all any".split()},
    "divmod": lambda a: np.divmod(a, 0.25)[1], "exp * a": lambda a: np.exp(a) * a, "ndarray @": lambda a: W @ a.T, "sqrt(2) * a": lambda a: np.sqrt(2.0) * a,
    "matmul": lambda a: np.matmul(a, W.T), "lists": lambda a: np.add(a, [1, 2, 3]),
    "dtype": lambda a: np.add(a, 1, dtype=np.float32), "sum dtype": lambda a: np.sum(a, dtype=np.float32), "std ddof": lambda a: np.std(a, ddof=1),
    "where": lambda a: np.where(a > 0.5, a, 0), "where2": lambda a: np.where(W > 0, a, W), "clip": lambda a: np.clip(a, 0.4, 0.6),
    "clip one": lambda a: np.clip(a, None, 0.6), "clip names": lambda a: np.clip(a, a_min=0.4, a_max=None), "round": lambda a: np.round(a, 1),
    "reshape": lambda a: np.reshape(a, (3, 2)), "reshape -1": lambda a: np.reshape(a, -1), "transpose axes": lambda a: np.transpose(a, (1, 0)),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1), "moveaxis": lambda a: np.moveaxis(a, 0, -1), "moveaxes": lambda a: np.moveaxis(a, [0, 1], [1, 0]),
    "broadcast_to": lambda a: np.broadcast_to(a, (4, 2, 3)), "broadcast_arrays": lambda a: np.broadcast_arrays(a, V)[1] * a,
    "concatenate": lambda a: np.concatenate([a, W]), "concatenate axis": lambda a: np.concatenate((W, a), axis=1),
    "stack": lambda a: np.stack([a, a * 2], axis=1),
    "vstack": lambda a: np.vstack([a, V]), "hstack": lambda a: np.hstack([a, W]), "hstack 1": lambda a: np.hstack([a[0], V]),
    "dstack": lambda a: np.dstack([a, W]),
    "column_stack": lambda a: np.column_stack([a[0], V]), "split": lambda a: np.split(a, 3, axis=1)[1],
    "array_split": lambda a: np.array_split(a, 2, axis=1)[0],
    "tile": lambda a: np.tile(a, (2, 1)), "repeat": lambda a: np.repeat(a, 2, axis=1), "roll": lambda a: np.roll(a, 1, axis=1),
    "flip axis": lambda a: np.flip(a, 0),
    "take": lambda a: np.take(a, np.array([2, 0]), axis=1), "take int": lambda a: np.take(a, 1),
    "take_along_axis": lambda a: np.take_along_axis(a, np.array([[2, 0, 1]]), 1),
    "outer": lambda a: np.outer(a, V), "inner": lambda a: np.inner(a, V), "dot": lambda a: np.dot(a, W.T), "dot 1": lambda a: np.dot(a[0], V),
    "dot 0": lambda a: np.dot(a, 2.0),
    "vdot": lambda a: np.vdot(a, W), "tensordot": lambda a: np.tensordot(a, W, axes=2), "kron": lambda a: np.kron(a[0], V),
    "einsum": lambda a: np.einsum("ij,kj->ik", a, W),
    "meshgrid": lambda a: np.meshgrid(a[0], V)[0], "full_like": lambda a: np.full_like(a, 3.0), "isclose": lambda a: np.isclose(a, 0.5),
    "allclose": lambda a: np.allclose(a, a),
    "array_equal": lambda a: np.array_equal(a, a), "pad": lambda a: np.pad(a, 1), "pad edge": lambda a: np.pad(a, ((1, 0), (0, 2)), mode="edge"),
    "searchsorted": lambda a: np.searchsorted(V, a), "partition": lambda a: np.partition(a, 1, axis=1)[:, 1], "diff n": lambda a: np.diff(a, n=2),
    "diff prepend": lambda a: np.diff(a, prepend=0.0, append=W), "compress": lambda a: np.compress([True, False, True], a, axis=1),
    "extract": lambda a: np.extract(W > 0, a),
    "atleast_2d": lambda a: np.atleast_2d(a[0]), "matrix_transpose": lambda a: np.matrix_transpose(a) if hasattr(np, "matrix_transpose") else a.T,
    "permute_dims": lambda a: np.transpose(a) if not hasattr(np, "permute_dims") else np.permute_dims(a, (1, 0)),
    "iscomplexobj": lambda a: a * np.iscomplexobj(a),
    "shape": lambda a: a * np.shape(a)[0] + np.ndim(a) + np.size(a), "imag part": lambda a: np.imag(a * 1j) if isinstance(a, np.ndarray) else np.imag(a * 1j),
}  # fmt: skip


def scalar(f):
    """f as a function to one number: its values, weighted differently."""

    def loss(a):
        y = f(a)
        y = y.astype(mx.float32) if isinstance(y, mx.array) else np.asarray(y, np.float64)
        weights = (np.arange(y.size) % 5 + 1).reshape(y.shape)
        return (y * (mx.array(weights) if isinstance(y, mx.array) else weights)).sum()

    return loss


@pytest.mark.parametrize("name", FUNCTIONS)
def test_runs_as_ours_inside_grad(name):
    f = FUNCTIONS[name]
    seen = []

    def loss(a):
        y = f(a)
        seen.append(y)
        return scalar(f)(a)

    value, gradient = mx.value_and_grad(loss)(mx.array(X))
    assert isinstance(seen[0], mx.array)
    reference = f(X)
    assert seen[0].shape == np.shape(reference)
    np.testing.assert_allclose(np.array(seen[0]), reference, rtol=1e-4, atol=1e-5)
    step = 1e-3
    numeric = np.zeros(X.shape)
    for i in np.ndindex(X.shape):
        d = np.zeros(X.shape)
        d[i] = step
        numeric[i] = (scalar(f)(X.astype(np.float64) + d) - scalar(f)(X.astype(np.float64) - d)) / (2 * step)
    np.testing.assert_allclose(np.array(gradient), numeric, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_runs_as_ours_inside_vmap_jvp_and_compile(name):
    f = FUNCTIONS[name]
    eager = f(X)
    batch = mx.array(np.stack([X, X[::-1].copy()]))
    reads = name in ("allclose", "array_equal", "iscomplexobj", "shape")
    lanes = mx.vmap(lambda a: f(a) * 1)(batch) if not reads else None
    if lanes is not None:
        np.testing.assert_allclose(np.array(lanes[0]), eager, rtol=1e-4, atol=1e-5)
    out = mx.jvp(f, [mx.array(X)], [mx.array(W)])[0][0]
    np.testing.assert_allclose(np.array(out), eager, rtol=1e-4, atol=1e-5)
    compiled = mx.compile(lambda a: f(a) * 1)(mx.array(X))
    np.testing.assert_allclose(np.array(compiled), eager, rtol=1e-4, atol=1e-5)


def test_programs():
    a = mx.array([0.5, 1.5])
    assert mx.grad(lambda a: (np.exp(a) * a).sum())(a).tolist() == mx.grad(lambda a: (mx.exp(a) * a).sum())(a).tolist()
    assert mx.grad(lambda a: mx.array(np.sin(a)).sum())(a).tolist() == mx.cos(a).tolist()
    assert mx.grad(lambda a: np.where(a > 1, a * 3, a).sum())(a).tolist() == [1, 3]
    assert mx.grad(lambda a: np.sum(np.array([2.0, 3.0]) * a))(a).tolist() == [2, 3]
    assert mx.grad(mx.grad(lambda a: np.sin(a)))(mx.array(0.5)).item() == pytest.approx(-np.sin(0.5), rel=1e-5)
    assert mx.vmap(mx.grad(lambda a: np.power(a, 2)))(a).tolist() == [1, 3]
    assert mx.hessian(lambda a: np.sum(a**3))(a).tolist() == [[3, 0], [0, 9]]
    assert mx.grad(lambda p: np.dot(p["w"], p["x"]))({"w": a, "x": a * 2})["w"].tolist() == [1, 3]


# Without a transform.
PLAIN = {
    **{name: FUNCTIONS[name] for name in FUNCTIONS if name not in ("exp * a", "dot 0", "sqrt(2) * a", "imag part")},
    "hypot": lambda a: np.hypot(a, 1), "add.reduce": lambda a: np.add.reduce(a), "add.outer": lambda a: np.add.outer(a, a),
    "add.accumulate": lambda a: np.add.accumulate(a, axis=1), "add.reduceat": lambda a: np.add.reduceat(a, [0, 1], axis=1),
    "gradient": lambda a: np.gradient(a)[0],
    "linalg.norm": lambda a: np.linalg.norm(a), "linalg.svd": lambda a: np.linalg.svd(a)[1], "percentile": lambda a: np.percentile(a, 30),
    "nansum": lambda a: np.nansum(a),
    "histogram": lambda a: np.histogram(a)[0], "unique": lambda a: np.unique(a), "out": lambda a: np.add(a, 1, out=np.zeros((2, 3), np.float32)),
    "where=": lambda a: np.add(a, 1, out=np.zeros((2, 3), np.float32), where=np.asarray(a) > 0.5), "asarray": lambda a: np.asarray(a),
    "array": lambda a: np.array([a, a]),
    "isin": lambda a: np.isin(a, [0.3]), "interp": lambda a: np.interp(a, [0, 1], [1, 2]), "cross": lambda a: np.cross(a, W), "cov": lambda a: np.cov(a),
    "fft": lambda a: np.fft.fft(a), "apply_along_axis": lambda a: np.apply_along_axis(np.sum, 0, a),
}  # fmt: skip


class Bare:
    """Converts as an array does, and has no protocol."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a.__array__(dtype, copy)

    def __getattr__(self, name):
        if name in ("__array_ufunc__", "__array_function__", "__array_interface__", "__array_struct__", "__array_priority__"):
            raise AttributeError(name)
        return getattr(self.a, name)

    def __getitem__(self, i):
        return Bare(self.a[i])

    def __len__(self):
        return len(self.a)

    def __gt__(self, other):
        return self.a > other

    def __mul__(self, other):
        return self.a * other


@pytest.mark.parametrize("name", PLAIN)
def test_every_other_call_is_as_without_the_protocols(name):
    a = mx.array(X)
    try:
        expected = PLAIN[name](Bare(a))
    except (TypeError, ValueError):
        expected = PLAIN[name](X)
    expected = expected.a if isinstance(expected, Bare) else expected
    actual = PLAIN[name](a)
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-5, atol=1e-6)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype or isinstance(actual, mx.array)
    if not isinstance(expected, mx.array):
        assert type(actual) is type(expected)


def test_results_without_a_transform():
    x = mx.array([1.0, 2.0])
    for result in (np.sin(x), np.where(x > 1, x, 0), np.concatenate([x, x]), np.add(x, 1), np.array([1.0, 2.0]) * x, np.linspace(0, 1, 3) + x[0]):
        assert isinstance(result, np.ndarray)
    n = np.array([1.0, 2.0])
    n += x
    n[:] = x * 2
    np.add.at(n, [0], x[:1])
    assert isinstance(n, np.ndarray) and n.tolist() == [3, 4]
    with pytest.raises(TypeError, match="first operand"):
        np.add.at(x, [0], 1)
    with pytest.raises(TypeError, match="ArrayType"):
        np.add(n, n, out=x)
    with pytest.raises(TypeError, match="like"):
        np.zeros(3, like=x)


@pytest.mark.parametrize("name, kwargs", [
    *[(n, {}) for n in "sum mean max min std var prod any all argmax argmin cumsum cumprod round transpose squeeze".split()],
    *[(n, {"axis": 1}) for n in "sum mean max min std var prod any all argmax argmin cumsum cumprod".split()],
    *[(n, {"axis": 0, "keepdims": True}) for n in "sum mean max min std var prod any all argmax argmin".split()],
    *[(n, {"dtype": d}) for n in "sum mean prod cumsum cumprod std var".split() for d in (np.float64, "float32", mx.float32, float)],
    ("std", {"ddof": 1}), ("var", {"ddof": 1, "axis": (0, 1)}), ("sum", {"axis": (0, 1)}), ("round", {"decimals": 1}),
    ("sum", {"dtype": np.int32}), ("amax", {}), ("amin", {"axis": 0}),
])
def test_methods_that_numpy_calls(name, kwargs):
    """np.sum(x) calls x.sum(axis=None, out=None)."""
    actual = getattr(np, name)(mx.array(X), **kwargs)
    expected = getattr(np, name)(X, **{k: np.float32 if v is mx.float32 else v for k, v in kwargs.items()})
    np.testing.assert_allclose(np.array(actual), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(actual, mx.array)
    if "dtype" in kwargs:
        assert np.array(actual).dtype == expected.dtype


def test_methods_with_numpys_arguments():
    x, out = mx.array(X), np.zeros(3, np.float32)
    assert np.sum(x, axis=0, out=out) is out and out.tolist() == pytest.approx(X.sum(0).tolist())
    assert x.sum(axis=0, dtype=mx.float64, out=None).dtype == mx.float64 and x.max(out=None).item() == pytest.approx(0.93)
    assert x.argmax(out=np.zeros((), np.int64)) == 3
    for bad in ({"dtype": "nonsense"}, {"out": 3}, {"out": x}):
        with pytest.raises(TypeError, match=r"\[sum\]"):
            x.sum(**bad)


LEAVING = {
    "asarray": np.asarray, "array": np.array, "dtype": lambda a: np.asarray(a, np.float64), "__array__": lambda a: a.__array__(),
    "memoryview": memoryview, "from_dlpack": np.from_dlpack, "__dlpack__": lambda a: a.__dlpack__(), "list": lambda a: np.array([a, a]),
    "hypot": lambda a: np.hypot(a, 1), "reduce": lambda a: np.add.reduce(a), "accumulate": lambda a: np.multiply.accumulate(a), "norm": np.linalg.norm,
    "out": lambda a: np.add(a, 1, out=np.zeros(2)), "sum out": lambda a: np.sum(a, out=np.zeros(())),
    "assign": lambda a: np.zeros(2).__setitem__(slice(None), a),
    "in a list": lambda a: np.multiply([a, a], 2), "iadd": lambda a: np.zeros(2).__iadd__(a), "percentile": lambda a: np.percentile(a, 30),

    "copyto": lambda a: np.copyto(np.zeros(2), a),
    "float32": np.float32,
    "fromiter": lambda a: np.asarray(a * 2 + 1), "save": lambda a: np.asanyarray(a), "ascontiguous": np.ascontiguousarray,
    "at": lambda a: np.add.at(np.zeros(2), [0, 1], a), "np.save": lambda a: np.save(io.BytesIO(), a),
    "bytes": bytes, "bytearray": bytearray, "tobytes": lambda a: memoryview(a).tobytes(), "__getstate__": lambda a: a.__getstate__(),
    **{f"pickle {p}": lambda a, p=p: pickle.dumps(a, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
    "pickle a tree": lambda a: pickle.dumps({"a": [a]}), "deep copy of memory": lambda a: copy.deepcopy([np.asarray(a)]),
}  # fmt: skip


def with_vmap_rule(f):
    function = mx.custom_function(f)
    function.vmap(lambda inputs, axes: pytest.fail("nothing is mapped here"))
    return function


def in_checkpoint(wrap):
    """The gradient of a sum of f, which runs inside what `wrap` makes of it and is differentiated all the same."""
    return lambda f: mx.grad(lambda x: wrap(f)(x * 2))(mx.array([1.0, 2.0]))


@pytest.mark.parametrize("transform", [
    in_checkpoint(mx.checkpoint), in_checkpoint(lambda f: mx.checkpoint(mx.checkpoint(f))), in_checkpoint(with_vmap_rule),
    in_checkpoint(lambda f: mx.checkpoint(lambda x: mx.jvp(f, [x], [x])[1][0])), in_checkpoint(lambda f: lambda x: mx.checkpoint(lambda y: f(x))(x)),
    lambda f: mx.grad(f)(mx.array([1.0, 2.0])), lambda f: mx.value_and_grad(f)(mx.array([1.0, 2.0])),
    lambda f: mx.jvp(f, [mx.array([1.0, 2.0])], [mx.array([1.0, 0.0])]), lambda f: mx.vjp(f, [mx.array([1.0, 2.0])], [mx.array(1.0)]),
    lambda f: mx.grad(lambda x: mx.grad(f)(x).sum())(mx.array([1.0, 2.0])), lambda f: mx.jacrev(f)(mx.array([1.0, 2.0])),
])
@pytest.mark.parametrize("name", LEAVING)
def test_a_value_that_leaves_a_derivative_says_so(name, transform):
    def followed(a):
        LEAVING[name](a)
        return a.sum()

    with pytest.raises((TypeError, ValueError), match="stop_gradient") as e:
        transform(followed)
    assert re.search(r"test_numpy_calls\.py:\d+ in (followed|<lambda>)", str(e.value))

    def meant(a):
        LEAVING[name](mx.stop_gradient(a))
        return a.sum()

    transform(meant)


def test_the_line_is_the_users():
    def followed(a):
        b = a * 2
        np.histogram(b)
        return b.sum()

    line = followed.__code__.co_firstlineno + 2
    with pytest.raises(TypeError, match=rf"test_numpy_calls\.py:{line} in followed: an array of shape \(2,?\) and dtype float32"):
        mx.grad(followed)(mx.array([1.0, 2.0]))


def test_what_may_be_read_inside_a_derivative():
    def f(a):
        b = a * 2
        assert b[0].item() == 2 and float(b[1]) == 4 and b.tolist() == [2, 4] and "array([2, 4]" in str(b) and int(b[0]) == 2
        assert np.asarray(mx.stop_gradient(b) + 1).tolist() == [3, 5]  # computed from what is constant
        assert np.asarray(b > 3).tolist() == [False, True] and np.asarray(mx.argmax(b)) == 1  # nothing to differentiate
        assert np.asarray(mx.array([1.0])).tolist() == [1]
        assert pickle.loads(pickle.dumps(mx.stop_gradient(b))).tolist() == [2, 4] and len(bytes(b > 3)) == 2
        mx.save(io.BytesIO(), b)  # files are for later
        return b.sum()

    for wrap in (lambda f: f, mx.checkpoint, with_vmap_rule):
        assert mx.grad(wrap(f))(mx.array([1.0, 2.0])).tolist() == [2, 2]
    assert mx.grad(lambda a: isinstance(np.sin(mx.stop_gradient(a)), np.float32) * a)(mx.array(1.0)) == 1
    kept = []
    mx.grad(lambda a: kept.append(a * 2) or kept[0].sum())(mx.array([1.0, 2.0]))
    assert np.asarray(kept[0]).tolist() == [2, 4]  # the derivative is done


@pytest.mark.parametrize("copied", [
    copy.copy, copy.deepcopy, lambda a: copy.deepcopy({"a": [a]})["a"][0], mx.array, lambda a: mx.array([a])[0], lambda a: mx.array(list(a)),
])
def test_copies_are_followed(copied):
    x, w = mx.array([1.0, 2.0]), mx.array([3.0, 5.0])

    def f(a):
        return copied(a * w) * a

    assert mx.grad(lambda a: f(a).sum())(x).tolist() == mx.jvp(f, [x], [mx.ones_like(x)])[1][0].tolist() == [6, 20]
    assert mx.grad(lambda a: mx.checkpoint(f)(a).sum())(x).tolist() == [6, 20]
    assert mx.vmap(f)(mx.stack([x, w])).tolist() == [f(x).tolist(), f(w).tolist()]
    twice = mx.compile(f)
    assert [twice(a).tolist() for a in (x, w)] == [f(x).tolist(), f(w).tolist()]


def test_a_rule_gives_the_derivative_of_what_it_computes_with_numpy():
    @mx.custom_function
    def f(a):
        return mx.array(np.sin(np.asarray(a)))

    @f.vjp
    def f_vjp(primals, cotangents, outputs):
        return cotangents * mx.cos(primals)

    x = mx.array([1.0, 2.0])
    assert mx.grad(lambda a: f(a).sum())(x).tolist() == mx.cos(x).tolist()


def test_a_value_that_has_none_or_many_is_refused_as_before():
    with pytest.raises(ValueError, match="lanes"):
        mx.vmap(lambda a: np.asarray(a))(mx.array([1.0, 2.0]))
    with pytest.raises(ValueError):
        mx.compile(lambda a: mx.array(np.asarray(a)))(mx.array([1.0, 2.0]))
    for read in (bytes, pickle.dumps, lambda a: a.tolist(), lambda a: mx.save(io.BytesIO(), a)):
        with pytest.raises(ValueError, match="vmap"):
            mx.vmap(read)(mx.array([1.0, 2.0]))
        with pytest.raises(ValueError, match=r"\[compile\]"):
            mx.compile(read)(mx.array([1.0, 2.0]))
