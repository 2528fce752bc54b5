# mx.fast.metal_kernel: the function that is written around a source, under transforms, and what goes wrong. Skipped in
# builds without a GPU, but for what such a build says.
import pathlib
import re

import numpy as np
import pytest

import mlx.core as mx

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "custom_kernels.md"
needs_gpu = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="this build has no GPU")

ADD = "uint i = thread_position_in_grid.x; out[i] = x[i] + y[i];"
DTYPES = [mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64, mx.float16, mx.bfloat16, mx.float32,
          mx.complex64]  # fmt: skip


@pytest.fixture(autouse=True)
def on_gpu():
    if not mx.is_available(mx.gpu):
        yield
        return
    before = mx.default_device()
    mx.set_default_device(mx.gpu)
    yield
    mx.synchronize()
    mx.set_default_device(before)


def kernel(source, inputs=("x",), outputs=("out",), name="tried", **options):
    return mx.fast.metal_kernel(name=name, input_names=list(inputs), output_names=list(outputs), source=source, **options)


def run(k, inputs, shape=None, dtype=mx.float32, grid=None, threadgroup=(32, 1, 1), **options):
    """The only output, of the first input's shape unless told otherwise."""
    shape = mx.array(inputs[0]).shape if shape is None else shape
    grid = grid or (int(np.prod(shape)), 1, 1)
    return k(inputs=inputs, output_shapes=[shape], output_dtypes=[dtype], grid=grid, threadgroup=threadgroup, **options)[0]


def draw(*shape, seed=0):
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def same(got, expected):
    np.testing.assert_array_equal(np.array(got), np.array(expected))


double = lambda x: run(kernel("uint i = thread_position_in_grid.x; out[i] = 2 * x[i];"), [x])


@needs_gpu
def test_the_documented_examples():
    scope = {}
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, scope)


@needs_gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (3, 5), (0,)], ids=str)
def test_every_dtype_goes_through(dtype, shape):
    source = "uint i = thread_position_in_grid.x; out[i] = " + ("x;" if shape == () else "x[i];")
    x = (mx.arange(int(np.prod(shape))).reshape(shape) % 2).astype(dtype)
    got = run(kernel(source), [x], dtype=dtype)
    assert got.dtype == dtype and got.shape == shape
    assert mx.array_equal(got, x)


@needs_gpu
def test_arithmetic_of_complex_numbers():
    x = mx.array([1 + 2j, -1j, 3, 0.5 - 2j], dtype=mx.complex64)
    source = "uint i = thread_position_in_grid.x; out[i] = x[i] * x[i] - x[i] / make_complex64(0, 2);"
    np.testing.assert_allclose(np.array(run(kernel(source), [x], dtype=mx.complex64)), np.array(x) ** 2 - np.array(x) / 2j, rtol=1e-6)


@needs_gpu
def test_numbers_are_inputs():
    source = "uint i = thread_position_in_grid.x; out[i] = x[i] * a + b + (flag ? 1 : 0);"
    k = kernel(source, inputs=("x", "a", "b", "flag"))
    x = draw(20)
    same(run(k, [x, 2, 0.5, True]), x * 2 + 0.5 + 1)
    same(run(k, [x, mx.array(2), np.float32(0.5), False]), x * 2 + 0.5)
    same(run(k, (x, 2, 0.5, False)), x * 2 + 0.5)


@needs_gpu
def test_what_the_function_is_given(capsys):
    x, few = draw(4, 5), draw(3)
    k = kernel("out[thread_position_in_grid.x] = x[0] + few[0] + float(x_ndim) + n;", inputs=("x", "few", "n"))
    run(k, [x, few, 1], verbose=True)
    text = capsys.readouterr().out
    for part in ("const device float* x [[buffer(0)]]", "const constant int& x_ndim [[buffer(1)]]", "const constant float* few",
                 "const constant int32_t& n", "device float* out", "uint3 thread_position_in_grid [[thread_position_in_grid]]"):  # fmt: skip
        assert part in text
    for part in ("x_shape", "x_strides", "few_ndim", "thread_index_in_simdgroup"):
        assert part not in text
    run(k, [x, few, 1])
    assert capsys.readouterr().out == ""


@needs_gpu
def test_shape_strides_and_place():
    source = """
        uint3 p = thread_position_in_grid;
        if (int(p.y) < x_shape[0] && int(p.x) < x_shape[1]) {
          out[p.y * x_shape[1] + p.x] = x[p.y * x_strides[0] + p.x * x_strides[1]] + 100 * x_ndim;
        }
    """
    x = draw(6, 7)
    k = kernel(source)
    for ensure in (True, False):
        k = kernel(source, ensure_row_contiguous=ensure)
        for view in (x, x[::2], x[:, 1:6:2], x[::-1], x[1:3, ::-1], x[2:3], mx.broadcast_to(x[:1], (4, 7)), mx.broadcast_to(x[:, :1], (6, 3))):
            same(run(k, [view], grid=(8, 8, 1), threadgroup=(4, 4, 1)), view + 200)
            turned = view.T
            same(run(k, [turned], grid=(8, 8, 1), threadgroup=(4, 4, 1)), turned + 200)


@needs_gpu
@pytest.mark.parametrize("ensure", [True, False])
def test_small_inputs_that_begin_anywhere(ensure):
    x = mx.arange(40, dtype=mx.uint8)
    k = kernel("out[thread_position_in_grid.x] = x[thread_position_in_grid.x * x_strides[0]];", ensure_row_contiguous=ensure)
    for start in (0, 1, 3, 31, 32, 33):
        same(run(k, [x[start : start + 5]], dtype=mx.uint8), x[start : start + 5])
    same(run(k, [x[3:20:4]], dtype=mx.uint8), x[3:20:4])


@needs_gpu
def test_elem_to_loc():
    x = draw(3, 4, 5).transpose(2, 0, 1)
    for source in ("uint i = thread_position_in_grid.x; out[i] = x[elem_to_loc(i, x_shape, x_strides, x_ndim)];",
                   "uint i = thread_position_in_grid.x; out[i] = x[elem_to_loc<int64_t>(i, x_shape, x_strides, x_ndim)];"):  # fmt: skip
        same(run(kernel(source, ensure_row_contiguous=False), [x]), x)
    source = """uint3 p = thread_position_in_grid;
        out[(p.z * x_shape[1] + p.y) * x_shape[2] + p.x] = x[elem_to_loc(p, x_shape, x_strides, x_ndim)];"""
    same(run(kernel(source, ensure_row_contiguous=False), [x], grid=(4, 3, 5), threadgroup=(4, 3, 1)), x)


@needs_gpu
def test_template_values():
    source = "uint i = thread_position_in_grid.x; out[i] = T(x[i]) * N + (flip ? T(1) : T(0));"
    k = kernel(source)
    x = draw(10)
    for dtype in (mx.float32, mx.int32):
        for n in (3, -2):
            for flip in (True, False):
                got = run(k, [x], dtype=dtype, template=[("T", dtype), ("N", n), ("flip", flip)])
                same(got, x.astype(dtype) * n + int(flip))


@needs_gpu
def test_header_and_several_outputs():
    header = "inline float cube(float x) { return x * x * x; }\nconstant float third = 1.0f / 3;"
    k = kernel("uint i = thread_position_in_grid.x; a[i] = cube(x[i]); b[i] = int(x[i] * 10 * third);", outputs=("a", "b"), header=header)
    x = draw(10)
    a, b = k(inputs=[x], output_shapes=[(10,), (2, 5)], output_dtypes=[mx.float32, mx.int32], grid=(10, 1, 1), threadgroup=(10, 1, 1))
    np.testing.assert_allclose(np.array(a), np.array(x) ** 3, rtol=1e-6)
    assert b.shape == (2, 5) and b.dtype == mx.int32


@needs_gpu
def test_threads_groups_and_shared_memory():
    source = """
        threadgroup float shared[64];
        uint i = thread_index_in_threadgroup;
        shared[i] = x[thread_position_in_grid.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (i == 0) {
          float sum = 0;
          for (uint k = 0; k < threads_per_threadgroup.x; ++k) sum += shared[k];
          out[threadgroup_position_in_grid.x] = sum + threadgroups_per_grid.x;
        }
    """
    x = mx.arange(160, dtype=mx.float32)
    got = run(kernel(source), [x], shape=(3,), grid=(160, 1, 1), threadgroup=(64, 1, 1))
    same(got, mx.array([x[:64].sum().item() + 3, x[64:128].sum().item() + 3, x[128:].sum().item() + 3]))
    source = "out[thread_position_in_grid.x] = float(simd_sum(1));"
    same(run(kernel(source), [x], threadgroup=(32, 1, 1)), mx.full((160,), 32.0))


@needs_gpu
def test_init_value():
    k = kernel("if (thread_position_in_grid.x == 0) { out[1] = T(5.0f); }")
    for dtype in DTYPES[1:12]:
        same(run(k, [draw(4)], dtype=dtype, init_value=3, template=[("T", dtype)]).astype(mx.float32), mx.array([3.0, 5, 3, 3]))
    same(run(kernel("", inputs=()), [], shape=(2, 3), grid=(1, 1, 1), init_value=-1.5), mx.full((2, 3), -1.5))
    nothing = run(k, [draw(4)], shape=(4,), grid=(0, 1, 1), init_value=2, template=[("T", mx.float32)])
    same(nothing, mx.full((4,), 2.0))


@needs_gpu
def test_atomic_outputs():
    source = "atomic_fetch_add_explicit(&out[thread_position_in_grid.x % 3], x[thread_position_in_grid.x], memory_order_relaxed);"
    x = mx.arange(99, dtype=mx.float32)
    got = run(kernel(source, atomic_outputs=True), [x], shape=(3,), grid=(99, 1, 1), init_value=0)
    same(got, x.reshape(33, 3).sum(0))


@needs_gpu
@pytest.mark.parametrize("mode", ["safe", "relaxed", "fast"])
def test_math_modes(mode):
    same(run(kernel(ADD, inputs=("x", "y"), compile_options={"math_mode": mode}), [draw(9), draw(9, seed=1)]), draw(9) + draw(9, seed=1))


@needs_gpu
def test_it_is_lazy_and_part_of_a_graph():
    x = draw(50)
    same(double(x + 1) * 3 - double(double(x)), (x + 1) * 2 * 3 - x * 4)
    many = [double(x + i) for i in range(5)]
    mx.eval(many)
    for i, y in enumerate(many):
        same(y, (x + i) * 2)
    with mx.stream(mx.cpu):
        on_cpu = x * 2
        same(run(kernel("out[thread_position_in_grid.x] = x[thread_position_in_grid.x];"), [on_cpu], stream=mx.gpu) + 1, x * 2 + 1)
    s = mx.new_stream(mx.gpu)
    same(run(kernel("out[thread_position_in_grid.x] = x[thread_position_in_grid.x];"), [x * 2], stream=s) + 1, x * 2 + 1)


@needs_gpu
def test_compile():
    f = lambda x, y: double(x * y).sum() + double(x)
    g = mx.compile(f)
    for seed in range(3):
        x, y = draw(20, seed=seed), draw(20, seed=seed + 10)
        same(g(x, y), f(x, y))
    same(g(draw(3, 4), draw(3, 4)), f(draw(3, 4), draw(3, 4)))
    shapeless = mx.compile(double, shapeless=True)
    for n in (3, 7, 8, 30, 31):
        same(shapeless(draw(n)), draw(n) * 2)
    pinned = mx.compile(lambda x: run(kernel("out[0] = x[0];"), [x], shape=(1,), stream=mx.gpu))
    with mx.stream(mx.cpu):
        same(pinned(draw(9)), draw(9)[:1])


@needs_gpu
def test_vmap_is_the_loop_over_lanes():
    # Each lane's values depend on its shape and on its place in the grid, and there is an output of every lane's size.
    source = """
        uint i = thread_position_in_grid.x;
        out[i] = x[elem_to_loc(i, x_shape, x_strides, x_ndim)] + y[i % y_shape[0]] * float(i) + float(threads_per_grid.x);
    """
    for ensure in (True, False):
        k = kernel(source, inputs=("x", "y"), ensure_row_contiguous=ensure)
        f = lambda x, y: run(k, [x, y])
        xs, ys = draw(5, 3, 4), draw(5, 2, seed=1)
        lanes = lambda xs, ys: mx.stack([f(x, y) for x, y in zip(xs, ys)])
        same(mx.vmap(f)(xs, ys), lanes(xs, ys))
        same(mx.vmap(f, in_axes=(0, None))(xs, ys[0]), lanes(xs, [ys[0]] * 5))
        same(mx.vmap(f, in_axes=(None, 0))(xs[0], ys), lanes([xs[0]] * 5, ys))
        same(mx.vmap(f, in_axes=(2, 1))(xs.transpose(1, 2, 0), ys.T), lanes(xs, ys))
        nested = mx.vmap(mx.vmap(f, in_axes=(0, None)), in_axes=(None, 0))(xs, ys[:2])
        for j in range(2):
            same(nested[j], lanes(xs, [ys[j]] * 5))
        same(mx.compile(mx.vmap(f))(xs, ys), lanes(xs, ys))
        same(mx.vmap(mx.compile(f))(xs, ys), lanes(xs, ys))
    assert mx.vmap(double)(mx.zeros((0, 4))).shape == (0, 4)
    assert mx.vmap(double)(mx.zeros((4, 0))).shape == (4, 0)


@needs_gpu
def test_vmap_of_several_and_of_atomic_outputs():
    source = "uint i = thread_position_in_grid.x; atomic_fetch_add_explicit(&a[0], x[i], memory_order_relaxed);" \
             "atomic_store_explicit(&b[i], x[i] + n, memory_order_relaxed);"  # fmt: skip
    k = kernel(source, inputs=("x", "n"), outputs=("a", "b"), atomic_outputs=True)
    f = lambda x, n: k(inputs=[x, n], output_shapes=[(1,), x.shape], output_dtypes=[mx.int32] * 2, grid=(x.size, 1, 1),
                       threadgroup=(4, 1, 1), init_value=0)  # fmt: skip
    xs, ns = mx.arange(12).reshape(3, 4), mx.array([10, 20, 30])
    a, b = mx.vmap(f)(xs, ns)
    same(a, xs.sum(1, keepdims=True))
    same(b, xs + ns[:, None])


@needs_gpu
def test_gradients_are_those_of_a_custom_function():
    @mx.custom_function
    def cube(x):
        return run(kernel("float v = x[thread_position_in_grid.x]; out[thread_position_in_grid.x] = v * v * v;"), [x])

    @cube.vjp
    def _(x, cotangent, output):
        return run(kernel("uint i = thread_position_in_grid.x; out[i] = 3 * x[i] * x[i] * c[i];", inputs=("x", "c")), [x, cotangent])

    x = draw(9)
    loss = lambda x: cube(x).sum()
    close = lambda a, b: np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-5, atol=1e-6)
    close(mx.grad(loss)(x), 3 * x * x)
    close(mx.compile(mx.grad(loss))(x), 3 * x * x)
    close(mx.vmap(mx.grad(loss))(draw(4, 9)), 3 * draw(4, 9) ** 2)
    close(mx.grad(lambda x: mx.vmap(loss)(x).sum())(draw(4, 9)), 3 * draw(4, 9) ** 2)
    close(mx.value_and_grad(lambda x: cube(mx.sin(x)).sum())(x)[1], 3 * mx.sin(x) ** 2 * mx.cos(x))


@needs_gpu
def test_without_rules_there_is_no_derivative():
    with pytest.raises(ValueError, match="tried has no derivative.*custom_function"):
        mx.grad(lambda x: double(x).sum())(draw(4))
    with pytest.raises(ValueError, match="no derivative"):
        mx.jvp(double, [draw(4)], [draw(4)])
    counts = lambda x: run(kernel("out[thread_position_in_grid.x] = 1;"), [x], dtype=mx.int32)
    same(mx.grad(lambda x: (x * counts(x)).sum())(draw(4)), mx.ones(4))  # whole numbers carry none
    for constant in (lambda x: mx.stop_gradient(double(x)), lambda x: double(mx.stop_gradient(x)), lambda x: double(mx.stop_gradient(x) + 0)):
        same(mx.grad(lambda x: (x * constant(x)).sum())(draw(4)), draw(4) * 2)
    behind = lambda x: x * double(mx.stop_gradient(x) + 0)  # forward mode asks the kernel before it meets what comes after it
    same(mx.jvp(behind, [draw(4)], [mx.ones(4)])[1][0], draw(4) * 2)


@needs_gpu
def test_export(tmp_path):
    f = lambda x: double(x) + mx.vmap(double)(mx.stack([x, x])).sum(0)
    mx.export_function(tmp_path / "f.mlxfn", f, draw(6))
    (got,) = mx.import_function(str(tmp_path / "f.mlxfn"))(draw(6))
    same(got, f(draw(6)))


@needs_gpu
def test_a_mistake_in_the_source_names_its_line():
    y = run(kernel("uint i = thread_position_in_grid.x;\nfloat v = x[i];\nout[i] = undefined_name + v;", name="wrong"), [draw(4)])
    with pytest.raises(RuntimeError, match=r"(?s)\[metal_kernel\] The kernel wrong does not compile.*wrong:3:10: error.*undefined_name"):
        mx.eval(y)
    y = run(kernel("out[thread_position_in_grid.x] = 1;", name="wrong", header="\nfloat f() { return nothing; }"), [draw(4)])
    with pytest.raises(RuntimeError, match=r"(?s)wrong header:2:[0-9]+: error"):
        mx.eval(y)
    header = '#include "custom_kernel.h"\n\nfloat f() { return nothing; }'
    y = run(kernel("out[thread_position_in_grid.x] = 1;", name="wrong", header=header), [draw(4)])
    with pytest.raises(RuntimeError, match=r"(?s)wrong header:3:[0-9]+: error"):
        mx.eval(y)
    same(double(draw(4)), draw(4) * 2)  # the stream goes on


@needs_gpu
def test_a_fault_of_a_kernel_is_its_own():
    x = draw(4)
    good, bad = double(x), run(kernel("out[thread_position_in_grid.x + 100] = x[0];", name="beyond"), [x])
    after = double(x + 1)
    with pytest.raises(RuntimeError, match="custom_kernel_beyond.*outside of a buffer"):
        mx.eval(good, bad, after)
    same(good, x * 2)
    same(after, (x + 1) * 2)


@needs_gpu
def test_what_does_not_fit():
    k = kernel(ADD, inputs=("x", "y"))
    x = draw(4)
    good = dict(inputs=[x, x], output_shapes=[(4,)], output_dtypes=[mx.float32], grid=(4, 1, 1), threadgroup=(4, 1, 1))
    same(k(**good)[0], x + x)
    for change, message in (
        (dict(inputs=[x]), "inputs has 1 entries, but there are 2 input_names"),
        (dict(output_shapes=[]), "output_shapes has 0 entries, but there are 1 output_names"),
        (dict(output_dtypes=[mx.float32] * 2), "output_dtypes has 2 entries"),
        (dict(output_shapes=[(-1,)]), "-1"),
        (dict(inputs=[x, x.astype(mx.float64)]), r"inputs\[1\] is float64"),
        (dict(output_dtypes=[mx.complex128]), r"output_dtypes\[0\] is complex128.*complex64"),
        (dict(template=[("T", mx.float64)]), "float64"),
        (dict(template=[("1T", 3)]), "no identifier"),
        (dict(template=[("T", 2**40)]), "32 bits"),
        (dict(grid=(4, 1)), "three lengths"),
        (dict(grid=(-4, 1, 1)), "from 0 to"),
        (dict(grid=(2**33, 1, 1)), "from 0 to"),
        (dict(threadgroup=(0, 1, 1)), "positive"),
        (dict(threadgroup=(64, 64, 1)), "at most 1024"),
        (dict(stream=mx.cpu), "runs on the GPU"),
    ):
        with pytest.raises(ValueError, match=message):
            k(**{**good, **change})
    for change in (dict(inputs=x), dict(inputs=3), dict(inputs=[x, "x"]), dict(template=[("T", 1.5)]), dict(template=["T"]), dict(grid=None),
                   dict(output_shapes=3), dict(output_dtypes=[3]), dict(stream="gpu"), dict(init_value="x"), dict(nonsense=1)):  # fmt: skip
        with pytest.raises(TypeError):
            k(**{**good, **change})
    with pytest.raises(TypeError):
        k([x, x], [(4,)], [mx.float32], (4, 1, 1), (4, 1, 1))  # by name alone
    many = kernel(" ".join(f"x{i}_shape x{i}_strides x{i}_ndim" for i in range(11)), inputs=[f"x{i}" for i in range(11)])
    with pytest.raises(ValueError, match="has 45 arguments.*there may be 31"):
        many(**{**good, "inputs": [x] * 11})
    with mx.stream(mx.cpu), pytest.raises(ValueError, match="stream=mx.gpu"):
        k(**good)


def test_names_that_cannot_be():
    make = lambda **change: mx.fast.metal_kernel(**{**dict(name="k", input_names=["x"], output_names=["y"], source=""), **change})
    for change, message in (
        (dict(name="a b"), "name is 'a b'"),
        (dict(name=""), "name is ''"),
        (dict(output_names=[]), "at least one output"),
        (dict(input_names=["x", "x"]), "another input or output"),
        (dict(output_names=["x"]), "another input or output"),
        (dict(input_names=["1x"]), "no identifier"),
        (dict(input_names=["grid_size"]), "tells each thread"),
        (dict(compile_options={"speed": 1}), "math_mode"),
        (dict(compile_options={"math_mode": "wild"}), "safe"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**change)
    with pytest.raises(TypeError):
        make(compile_options=3)
    assert repr(make()) == "metal_kernel(name='k')"


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="this build has a GPU")
def test_a_build_without_a_gpu_says_so_at_the_call():
    with pytest.raises(RuntimeError, match=r"\[metal_kernel\].*needs the Metal backend"):
        run(kernel("out[0] = x[0];"), [mx.ones(3)])
