# Arrays and the rest of the world: NumPy, the buffer protocol, DLPack, pickling, copying.
import copy
import gc
import hashlib
import pickle
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

NUMPY_DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
NARROWED = {"float64": "float32", "complex128": "complex64"}


def name(dtype):
    return repr(dtype).removeprefix("mlx.core.")


def sample(dtype):
    return (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)


def layouts(n):
    yield n
    yield n.T
    yield n[::-1, :, ::-2]
    yield n[:, 1:2]
    yield np.broadcast_to(n[0, 0, 0], (2, 3))
    yield n[:0]
    yield n[0, 1, 2]  # a scalar


# --- NumPy ---


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_from_numpy(dtype):
    for n in layouts(sample(dtype)):
        x = mx.array(n)
        assert name(x.dtype) == (NARROWED.get(dtype, dtype))
        assert x.shape == n.shape and x.tolist() == n.tolist()
        exact = mx.array(n, dtype=getattr(mx, "bool_" if dtype == "bool" else dtype))
        assert name(exact.dtype) == dtype and exact.tolist() == n.tolist()


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_to_numpy(dtype):
    n = sample(dtype)
    x = mx.array(n, dtype=getattr(mx, "bool_" if dtype == "bool" else dtype))
    for ours, theirs in ((x, n), (x.T, n.T), (x[:, ::-1], n[:, ::-1]), (x[0, 0, 0], n[0, 0, 0]), (x[:0], n[:0])):
        out = np.array(ours)
        assert out.dtype == np.dtype(dtype) and out.shape == theirs.shape
        np.testing.assert_array_equal(out, theirs)
        np.testing.assert_array_equal(np.asarray(ours), theirs)


def test_to_numpy_shares_memory_and_is_read_only():
    x = mx.arange(6).reshape(2, 3)
    a, b = np.asarray(x), np.asarray(x)
    assert not a.flags.writeable and np.shares_memory(a, b)
    assert np.array(x).flags.writeable and np.array(x, dtype=np.float64).dtype == np.float64
    assert x.__array__(np.float32).dtype == np.float32
    with pytest.raises(ValueError):
        x.__array__(np.float32, copy=False)
    del x, b
    gc.collect()
    assert a.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_import_copies():
    n = np.arange(3)
    x = mx.array(n)
    n[0] = 9
    assert x.tolist() == [0, 1, 2]
    shared = mx.asarray(n, copy=False)
    assert shared.tolist() == [9, 1, 2] and np.shares_memory(np.asarray(shared), n)
    assert mx.asarray(np.arange(3.0), copy=False).dtype == mx.float64
    assert mx.asarray(n[::-1], copy=False).tolist() == [2, 1, 9]
    for bad in (lambda: mx.asarray([1, 2], copy=False), lambda: mx.asarray(n, dtype=mx.float32, copy=False)):
        with pytest.raises(ValueError):
            bad()
    x = mx.array([1])
    assert mx.asarray(x) is x and mx.asarray(x, copy=True) is not x and mx.asarray(x, mx.float32).dtype == mx.float32


def test_unusual_numpy_arrays():
    assert mx.array(np.arange(3, dtype=">i4")).tolist() == [0, 1, 2]
    assert mx.array(np.arange(3, dtype=">c16")).tolist() == [0, 1, 2]
    assert mx.array(np.array([1.5], np.longdouble)).tolist() == [1.5]
    record = np.zeros(3, dtype=[("a", np.int8), ("b", np.float32)])
    record["b"] = [1, 2, 3]
    assert mx.array(record["b"]).tolist() == [1, 2, 3]  # strides that are no multiple of the element
    for bad in (np.array(["a"]), np.array([None]), np.array([1], "datetime64[s]"), record):
        with pytest.raises(TypeError):
            mx.array(bad)


def test_bfloat16():
    x = mx.array([1.5, 2.5], mx.bfloat16)
    ml_dtypes = pytest.importorskip("ml_dtypes")
    n = np.array(x)
    assert n.dtype == ml_dtypes.bfloat16 and n.tolist() == [1.5, 2.5]
    back = mx.array(n[::-1])
    assert back.dtype == mx.bfloat16 and back.tolist() == [2.5, 1.5]
    assert (mx.array([1.0]) + ml_dtypes.bfloat16(2)).tolist() == [3.0]


def test_bfloat16_without_ml_dtypes():
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(mx.array([1.5], mx.bfloat16))


def test_numpy_operators_keep_the_graph():
    x = mx.array([1.0, 2.0])
    assert isinstance(np.sqrt(2.0) * x, mx.array) and isinstance(np.float32(2) < x, mx.array)
    assert (np.float64(2) * x.astype(mx.float16)).dtype == mx.float16
    assert isinstance(np.array([1.0, 2.0]) * x, np.ndarray)
    assert isinstance(np.sin(x), np.ndarray) and np.add.reduce(x) == 3.0
    np.testing.assert_array_equal(np.array([1.0, 2.0]) + x, [2.0, 4.0])
    weights = np.array([3.0, 4.0])
    assert mx.grad(lambda v: (np.sqrt(4.0) * v).sum())(x).tolist() == [2, 2]
    assert mx.grad(lambda v: mx.sum(weights * v))(x).tolist() == [3, 4]
    buffer = np.zeros(2)
    buffer += x
    assert isinstance(buffer, np.ndarray) and buffer.tolist() == [1, 2]


# --- buffers ---


def test_memoryview():
    x = mx.arange(6).reshape(2, 3)
    view = memoryview(x)
    assert view.readonly and view.format == "i" and view.shape == (2, 3) and view.strides == (12, 4)
    assert memoryview(x.T).strides == (4, 12) and view.tolist() == x.tolist()
    formats = {mx.bool_: "?", mx.float16: "e", mx.float64: "d", mx.complex64: "Zf", mx.complex128: "Zd", mx.uint8: "B"}
    for dtype, format in formats.items():
        assert memoryview(x.astype(dtype)).format == format
    assert bytes(memoryview(mx.array(7, mx.uint8))) == b"\7"
    assert bytearray(mx.array([1, 2], mx.uint8)) == b"\1\2"
    with pytest.raises(BufferError):
        hashlib.sha256(x.T)  # asks for contiguous bytes
    assert mx.array(view).tolist() == x.tolist()


def test_memory_outlives_the_array():
    views = [memoryview(mx.array([i, i + 1])) for i in range(100)]
    gc.collect()
    assert [v.tolist() for v in views] == [[i, i + 1] for i in range(100)]


# --- DLPack ---


def test_dlpack_with_numpy():
    x = mx.arange(6).reshape(2, 3)
    n = np.from_dlpack(x)
    assert not n.flags.writeable and np.shares_memory(n, np.asarray(x)) and n.tolist() == x.tolist()
    assert np.from_dlpack(x.T).tolist() == x.T.tolist()
    assert np.from_dlpack(x, copy=True).flags.writeable
    assert x.__dlpack_device__() == (1, 0)
    assert "dltensor" in repr(x.__dlpack__()) and "dltensor_versioned" in repr(x.__dlpack__(max_version=(1, 0)))
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))
    for bad in ({"max_version": "a"}, {"max_version": 1}, {"dl_device": (1, "a")}):
        with pytest.raises(TypeError):
            x.__dlpack__(**bad)
    back = mx.from_dlpack(np.arange(3)[::-1])
    assert back.dtype == mx.int64 and back.tolist() == [2, 1, 0]
    assert mx.from_dlpack(np.arange(3.0)).dtype == mx.float64
    shared = np.arange(3.0)
    assert np.shares_memory(np.asarray(mx.from_dlpack(shared, copy=False)), shared)
    assert mx.from_dlpack(x).tolist() == x.tolist()
    with pytest.raises(TypeError, match="__dlpack__"):
        mx.from_dlpack([1, 2])
    for dtype in NUMPY_DTYPES:
        n = sample(dtype)
        assert name(mx.from_dlpack(n, copy=False).dtype) == dtype


def test_dlpack_of_what_lies_backwards_is_in_order():
    """PyTorch ends the process that hands it steps below zero."""
    x = mx.arange(24).reshape(2, 3, 4)
    for part in (x[::-1], x[:, ::-2], x[..., ::-1].T, mx.broadcast_to(x[:1, :, ::-1], (5, 3, 4))):
        n = np.from_dlpack(part)
        assert all(step >= 0 for step in n.strides) and n.tolist() == part.tolist()
        with pytest.raises(BufferError, match="leave copy out"):
            part.__dlpack__(copy=False)
    assert np.shares_memory(np.from_dlpack(x[:1][::-1]), np.asarray(x)) and np.from_dlpack(x[:0, ::-1]).shape == (0, 3, 4)


def test_unused_capsules_are_freed():
    before = mx.get_active_memory()
    for _ in range(10):
        mx.zeros((1000,)).__dlpack__()
        mx.zeros((1000,)).__dlpack__(max_version=(1, 1))
    gc.collect()
    assert mx.get_active_memory() <= before + 1000


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    x = mx.arange(6).reshape(2, 3).astype(mx.float32)
    t = torch.from_dlpack(x)
    assert t.tolist() == x.tolist() and t.data_ptr() == np.asarray(x).ctypes.data
    for dtype in (torch.float32, torch.bfloat16, torch.int8, torch.bool, torch.complex64):
        t = torch.arange(4).reshape(2, 2).to(dtype)
        for made in (mx.array(t), mx.from_dlpack(t.T).T, mx.asarray(t)):
            assert made.tolist() == t.tolist()
    assert mx.array(torch.ones(2, dtype=torch.bfloat16)).dtype == mx.bfloat16
    assert (mx.array([1.0, 2.0]) + torch.ones(2)).tolist() == [2, 3]


def test_array_protocol():
    class Exports:
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    assert mx.array(Exports()).tolist() == [1, 2] and mx.array(Exports()).dtype == mx.float32
    assert (mx.array([1.0, 1.0]) + Exports()).tolist() == [2, 3]


# --- pickling and copying ---


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    for dtype in [*NUMPY_DTYPES, "bfloat16"]:
        x = mx.array(sample("int8")).astype(getattr(mx, "bool_" if dtype == "bool" else dtype))
        for original in (x, x.T, x[0, 0, 0], x[:0]):
            back = pickle.loads(pickle.dumps(original, protocol))
            assert back.dtype is original.dtype and back.shape == original.shape
            assert back.tolist() == original.tolist()
    for o in (mx.float32, mx.bool_, mx.Device(mx.cpu)):
        assert pickle.loads(pickle.dumps(o, protocol)) == o
    assert pickle.loads(pickle.dumps(mx.result_type(mx.int8, mx.float16), protocol)) is mx.float16


@mx.compile
def compiled_here(x):
    return x + 1


@mx.custom_function
def custom_here(x):
    return x


class Tagged(mx.array):
    pass


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_everything_pickles_and_copies(protocol):
    same = [mx.sin, mx.grad, mx.random.uniform, mx.array.sin, compiled_here, custom_here, mx.float32, mx.cpu, mx.floating]
    equal = [mx.Device(mx.cpu, 0), mx.default_stream(mx.cpu), mx.new_stream(mx.cpu), mx.new_thread_local_stream(mx.cpu)]
    shown = [mx.finfo(mx.bfloat16), mx.finfo(mx.complex64), mx.iinfo(mx.uint64), mx.random.key(3), mx.random.state,
             mx.sparse_jacobian(lambda x: x[1:] * 2)(mx.arange(4.0))]
    for again in (lambda o: pickle.loads(pickle.dumps(o, protocol)), copy.copy, copy.deepcopy):
        for o in same:
            assert again(o) is o
        for o in equal:
            assert again(o) == o
    for o in shown:
        assert repr(pickle.loads(pickle.dumps(o, protocol))) == repr(o)
    tagged = Tagged([1.0, 2.0])
    tagged.name = "w"
    back = pickle.loads(pickle.dumps(tagged, protocol))
    assert type(back) is Tagged and back.name == "w" and back.tolist() == [1, 2]


def test_copies_of_a_subclass():
    tagged = Tagged([1.0, 2.0])
    tagged.names, tagged.itself = ["w"], tagged
    shallow, deep = copy.copy(tagged), copy.deepcopy([tagged, tagged])
    assert type(shallow) is Tagged and shallow.names is tagged.names and shallow.itself is tagged
    assert type(deep[0]) is Tagged and deep[0].names == ["w"] and deep[0].names is not tagged.names
    assert deep[0] is deep[1] and deep[0].itself is deep[0]
    shallow += 1
    assert [x.tolist() for x in (tagged, shallow, deep[0])] == [[1, 2], [2, 3], [1, 2]]
    assert mx.grad(lambda x: (copy.copy(x) * x).sum())(Tagged([3.0])).tolist() == [6]
    for again in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            again(Tagged.__new__(Tagged))


@pytest.mark.parametrize("function", [mx.grad(mx.sin), mx.compile(lambda x: x), mx.custom_function(lambda x: x)])
def test_functions_without_a_name_do_not_pickle(function):
    with pytest.raises(pickle.PicklingError, match="by name"):
        pickle.dumps(function)
    assert copy.deepcopy({"f": function})["f"] is function


def test_sizes_pickle_as_numbers():
    seen = []
    f = mx.compile(lambda x: seen.append((pickle.dumps(x.shape[0]), copy.deepcopy(x.shape[0]))) or x, shapeless=True)
    f(mx.ones((3,)))
    assert pickle.loads(seen[0][0]) == 3


def test_pickle_into_another_process():
    data = pickle.dumps({"w": mx.array([1.5, 2.5]), "dtype": mx.float16})
    code = "import pickle, sys; d = pickle.load(sys.stdin.buffer); print(d['w'].tolist(), d['dtype'])"
    out = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True).stdout
    assert out.decode().strip() == "[1.5, 2.5] mlx.core.float16"


def test_bad_pickles_are_errors():
    x = mx.array([1, 2])
    blank = mx.array.__new__(mx.array)
    with pytest.raises(ValueError, match="bytes"):
        blank.__setstate__(("int32", (3,), b"\0"))
    dtype, shape, data = x.__getstate__()
    assert (dtype, shape, data) == ("int32", (2,), b"\1\0\0\0\2\0\0\0")


def test_bad_states_leave_arrays_as_they_were():
    x, blank = mx.array([1, 2]), mx.array.__new__(mx.array)
    state, refused = x.__getstate__(), [("int32", (3,), b"\0"), ("float32", (1, 2), b""), ("int8", (2,), b"\0" * 8)]
    for bad in refused:
        for a in (x, blank):
            with pytest.raises(ValueError, match="bytes"):
                a.__setstate__(bad)
    with pytest.raises(ValueError):
        blank.__init__([1, [2]])
    others = [mx.array([k, k]) for k in range(100)]  # in memory that was let go, if some was
    assert x.tolist() == [1, 2] and [a.tolist() for a in others] == [[k, k] for k in range(100)]
    blank.__setstate__(state)
    assert (blank + x).tolist() == [2, 4]
    live = mx._live_nodes()
    for _ in range(10):
        x.__setstate__(state)
    assert mx._live_nodes() == live and x.tolist() == [1, 2]


def test_copies_are_new_handles():
    x = mx.array([1, 2])
    for y in (copy.copy(x), copy.deepcopy(x), mx.array(x), copy.deepcopy({"x": x})["x"]):
        assert y is not x
        y[0] = 9
        assert x.tolist() == [1, 2] and y.tolist() == [9, 2]
    assert mx.grad(lambda v: (copy.copy(v) ** 2).sum())(mx.array([3.0])).tolist() == [6]
