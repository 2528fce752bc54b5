"""mlx.core.fast as a module, and what its kernels say in a build without a GPU and without CUDA. What they compute is tested on a GPU:
tests/metal/test_custom_kernels.py."""

import copy
import importlib
import pickle
import sys

import mlx.core as mx
import pytest

CALL = dict(output_shapes=[(3,)], output_dtypes=[mx.float32], grid=(3, 1, 1), threadgroup=(1, 1, 1))
no_gpu = pytest.mark.skipif(mx.is_available(mx.gpu), reason="this build has a GPU")


@pytest.mark.parametrize("name", ["fast", "random", "metal", "cuda"])
def test_submodules_are_imported_in_every_way(name):
    module = getattr(mx, name)
    assert importlib.import_module("mlx.core." + name) is module
    scope = {}
    exec(f"from mlx.core import {name}\nimport mlx.core.{name} as other\nfrom mlx.core.{name} import *", scope)
    assert scope[name] is module and scope["other"] is module
    assert sys.modules["mlx.core." + name] is module and module.__name__ == "mlx.core." + name


def make(**change):
    return mx.fast.metal_kernel(**{**dict(name="k", input_names=["x"], output_names=["y"], source="y[0] = x[0];"), **change})


@no_gpu
def test_a_kernel_needs_a_gpu_when_it_is_called():
    kernel = make()
    assert repr(kernel) == "metal_kernel(name='k')" and kernel.name == "k"
    with pytest.raises(RuntimeError, match=r"\[metal_kernel\] The kernel k needs the Metal backend.*mx.metal.is_available"):
        kernel(inputs=[mx.ones(3)], **CALL)
    with pytest.raises(RuntimeError, match="needs the Metal backend"):
        mx.compile(lambda x: kernel(inputs=[x], **CALL)[0])(mx.ones(3))


@pytest.mark.parametrize(("change", "message"), [
    (dict(name="a b"), "name is 'a b'"),
    (dict(output_names=[]), "at least one output"),
    (dict(input_names=["x", "x"]), "another input or output"),
    (dict(input_names=["1x"]), "no identifier"),
    (dict(input_names=["grid_size"]), "tells each thread"),
    (dict(compile_options={"speed": 1}), "math_mode"),
    (dict(compile_options={"math_mode": "wild"}), "safe"),
])  # fmt: skip
def test_names_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_a_kernel_is_pickled_and_copied():
    kernel = make(header="// nothing", atomic_outputs=True, compile_options={"math_mode": "fast"})
    for other in (pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)):
        assert repr(other) == repr(kernel) and other.__reduce__() == kernel.__reduce__()
    assert kernel.__reduce__()[1] == ("k", ["x"], ["y"], "y[0] = x[0];", "// nothing", True, True, {"math_mode": "fast"})


def test_there_is_no_cuda():
    assert mx.cuda.is_available() is False
    with pytest.raises(RuntimeError, match=r"\[cuda_kernel\] This build has no CUDA"):
        mx.fast.cuda_kernel(name="k", input_names=["x"], output_names=["y"], source="")
    with pytest.raises(RuntimeError, match=r"\[precompiled_cuda_kernel\] This build has no CUDA"):
        mx.fast.precompiled_cuda_kernel(name="k", compiled_source=b"", inputs=[mx.ones(3)], scalars=[1, 2.0], **CALL)
    with pytest.raises(TypeError):
        mx.fast.cuda_kernel(3)


def test_what_mlx_has_of_both_backends_is_there():
    metal = {"is_available", "get_active_memory", "get_peak_memory", "reset_peak_memory", "get_cache_memory", "set_memory_limit",
             "set_cache_limit", "set_wired_limit", "clear_cache", "start_capture", "stop_capture", "device_info"}  # fmt: skip
    assert metal <= set(dir(mx.metal)) and "is_available" in dir(mx.cuda)
