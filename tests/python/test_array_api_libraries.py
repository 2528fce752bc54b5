"""Libraries that dispatch on the Array API standard take our arrays: the examples for scikit-learn, SciPy and einops run, and what
those libraries ask of a namespace is answered."""

import inspect
import os
import pathlib
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/python"


@pytest.mark.slow
@pytest.mark.parametrize("library, needs", [("scikit_learn", "sklearn"), ("scipy", "scipy"), ("einops", "einops")])
def test_example(library, needs):
    pytest.importorskip(needs)
    path = os.pathsep.join([str(pathlib.Path(mx.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run([sys.executable, "-W", "ignore", EXAMPLES / f"array_api_{library}.py"], capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": path})
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) > 4


def test_array_api_compat_knows_the_namespace():
    compat = pytest.importorskip("array_api_compat")
    x = mx.array([1.0, 2.0])
    assert compat.is_array_api_obj(x) and compat.array_namespace(x) is mx and compat.array_namespace(x, x * 2) is mx
    assert compat.device(x) == x.device and compat.to_device(x, compat.device(x)) is not None and compat.size(x) == 2


def test_what_libraries_write_that_no_standard_has():
    """NumPy's where of a condition alone (scikit-learn's roc_curve), Python's types as dtypes (SciPy's tanhsinh)."""
    condition = mx.array([[0.0, 2.0], [mx.nan, 0.0]])
    for got, wanted in zip(mx.where(condition), np.where(np.array(condition)), strict=True):
        assert got.dtype == mx.int32 and got.tolist() == wanted.tolist()
    assert mx.where(condition > 5)[0].shape == (0,)
    for wrong in (lambda: mx.where(condition, 1.0), lambda: mx.where(condition, None, 1.0), lambda: mx.where()):
        with pytest.raises(TypeError, match="where.*missing"):
            wrong()
    with pytest.raises(ValueError, match="nonzero.condition, size=n"):
        mx.compile(lambda c: mx.where(c))(condition)
    for kind, dtype in ((bool, mx.bool_), (int, mx.int32), (float, mx.float32), (complex, mx.complex64)):
        for made in (mx.zeros(2, dtype=kind), mx.array([1, 0], dtype=kind), mx.ones((2,)).astype(kind),
                     mx.asarray([1.0], dtype=kind), mx.full((1,), 1, dtype=kind)):
            assert made.dtype is dtype
        assert mx.Dtype(kind) == dtype and dtype != kind and not mx.isdtype(kind, dtype)
    for wrong in (object, str, type(None), np.ndarray):
        with pytest.raises(TypeError, match="dtype"):
            mx.zeros(2, dtype=wrong)


def test_scipy_and_scikit_learn_take_them():
    pytest.importorskip("sklearn")
    pytest.importorskip("scipy")
    program = """
import mlx.core as mx, numpy as np, sklearn
from scipy.integrate import tanhsinh
from scipy.signal import butter, sosfilt
from sklearn.metrics import roc_auc_score
sklearn.set_config(array_api_dispatch=True)
truth, score = mx.array([0, 0, 1, 1, 0, 1]), mx.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.9])
assert abs(roc_auc_score(truth, score) - roc_auc_score(np.array(truth), np.array(score))) < 1e-7
area = tanhsinh(lambda x: mx.exp(-x * x), mx.asarray(np.array(0.0)), mx.asarray(np.array([1.0, 2.0])))
assert area.integral.dtype == mx.float64 and np.allclose(np.array(area.integral), [0.746824132812427, 0.8820813907624217], atol=1e-12)
sos, x = butter(4, 0.3, output="sos"), mx.asarray(np.ones(20))
assert np.allclose(sosfilt(np.array(mx.asarray(sos)), np.array(x)), sosfilt(sos, np.ones(20)))
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, env={
        **os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join([str(pathlib.Path(mx.__file__).parents[1]), *sys.path])})
    assert run.returncode == 0, run.stderr


def test_dtypes_of_other_libraries_are_of_no_kind():
    """scikit-learn asks of `object` whether it is integral."""
    for dtype in (object, np.dtype("float32"), np.float32, float):
        assert not mx.isdtype(dtype, "integral") and not mx.isdtype(dtype, ("numeric", mx.float32))
        with pytest.raises(ValueError, match="unknown kind"):
            mx.isdtype(dtype, "integers")
    for wrong in ("float32", None, 3, mx.ones((2,)), np.ones(2)):
        with pytest.raises(TypeError, match="isdtype"):
            mx.isdtype(wrong, "integral")


def test_signatures_can_be_inspected():
    """scikit-learn asks whether a function takes a dtype."""
    assert "dtype" in inspect.signature(mx.sum).parameters and "dtype" not in inspect.signature(mx.mean).parameters
    matmul = inspect.signature(mx.matmul)
    assert list(matmul.parameters) == ["a", "b", "stream"] and matmul.parameters["stream"].default is None
    assert matmul.parameters["stream"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.signature(mx.einsum).parameters["operands"].kind is inspect.Parameter.VAR_POSITIONAL
    assert inspect.signature(mx.from_fp8).parameters["dtype"].default == "bfloat16"
    with pytest.raises(ValueError):
        inspect.signature(mx.full)  # it has several
    for name, function in vars(mx).items():
        if type(function) is type(mx.sum) and len(function.__nb_signature__) == 1:
            assert inspect.signature(function).return_annotation is not inspect.Parameter.empty, name


def test_einops_has_our_backend():
    einops = pytest.importorskip("einops")
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    m = mx.array(x)
    for call in (
        lambda a: einops.rearrange(a, "b c (h k) w -> b (c k) h w", k=2),
        lambda a: einops.rearrange([a[0], a[1]], "b c h w -> c b h w"),
        *[lambda a, op=op: einops.reduce(a, "b c h w -> b h", op) for op in ("sum", "mean", "max", "min", "prod")],
        lambda a: einops.einsum(a, a, "b c h w, b c h v -> b w v"),
        lambda a: einops.pack([a, a[:, :, 0]], "b c *")[0],
        lambda a: einops.unpack(*einops.pack([a, a[:, :, 0]], "b c *"), "b c *")[1],
    ):
        y = call(m)
        assert isinstance(y, mx.array)
        np.testing.assert_allclose(np.array(y), call(x), rtol=1e-5)
    assert einops.parse_shape(m, "b c _ w") == {"b": 2, "c": 3, "w": 5}
    g = mx.grad(lambda a: mx.sum(einops.reduce(a, "b c h w -> b h", "sum") ** 2))(m)
    assert mx.array_equal(g, mx.broadcast_to(2 * m.sum(axis=(1, 3), keepdims=True), m.shape))
