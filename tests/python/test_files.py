"""Arrays in files: every dtype, shape and layout through every format, as NumPy has it; names, objects with read() and write();
loading is lazy, and constant to transforms."""

import gzip
import io
import os
import pathlib
import socket
import subprocess
import sys
import threading
import zipfile

import mlx.core as mx
import numpy as np
import pytest

from again import again
from file_samples import DTYPES, IN_GGUF, SHAPES, layouts, same, sample, written

each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# --- round trips ---

@each_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_round_trip(dtype, shape):
    for a in layouts(sample(dtype, shape)):
        mx.save("a.npy", a)
        assert same(mx.load("a.npy"), a) and same(mx.load("a.npy", mmap=True), a)
        for savez in (mx.savez, mx.savez_compressed):
            savez("a.npz", a, x=a)
            loaded = mx.load("a.npz")
            assert list(loaded) == ["x", "arr_0"] and same(loaded["x"], a) and same(loaded["arr_0"], a)
        if dtype != "complex128":
            mx.save_safetensors("a.safetensors", {"a": a, "b": mx.array(1)})
            assert same(mx.load("a.safetensors")["a"], a)
        if dtype in IN_GGUF:
            mx.save_gguf("a.gguf", {"a": a, "b": a}, {})
            loaded = mx.load("a.gguf")
            assert same(loaded["a"], a) and same(loaded["b"], a)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_numpy_has_it(dtype, shape):
    a = sample(dtype, shape)
    plain = np.array(a)
    mx.save("a.npy", a)
    read = np.load("a.npy")
    assert read.dtype == plain.dtype and read.shape == plain.shape and np.array_equal(read, plain)
    np.save("n.npy", plain)
    assert same(mx.load("n.npy"), a)
    assert pathlib.Path("a.npy").read_bytes() == pathlib.Path("n.npy").read_bytes()
    swapped = plain.dtype.newbyteorder(">")
    for other in (plain.astype(swapped), np.array(plain, order="F"), np.array(plain, swapped, order="F")):
        np.save("n.npy", other)
        for mmap in (None, True):
            assert same(mx.load("n.npy", mmap=mmap), a)
    for save, ours in ((np.savez, mx.savez), (np.savez_compressed, mx.savez_compressed)):
        save("n.npz", plain, x=plain)
        loaded = mx.load("n.npz")
        assert same(loaded["x"], a) and same(loaded["arr_0"], a)
        ours("a.npz", a, x=a)
        with np.load("a.npz") as loaded:
            assert sorted(loaded) == ["arr_0", "x"]
            assert all(np.array_equal(loaded[k], plain) and loaded[k].dtype == plain.dtype for k in loaded)


COMPRESSED = """
import mlx.core as mx, numpy as np, sys
sizes = [0, 1, 5, 300_000, 7, 2_000_000, 40_000, 40_000, 40_000, 100, 40_000, 40_000]
arrays = [mx.array(np.arange(n) % (3 + i), mx.float32)[::2] for i, n in enumerate(sizes)]
mx.savez_compressed(sys.argv[1], *arrays)
"""


def test_compressed_arrays_are_the_same_bytes_for_any_number_of_threads():
    """They are compressed at the same time."""
    for threads in ("1", "2", "5"):
        again("-c", COMPRESSED, f"{threads}.npz", MLX_NUM_THREADS=threads)
    one, two, five = (pathlib.Path(f"{threads}.npz").read_bytes() for threads in "125")
    assert one == two == five
    with np.load("2.npz") as loaded:
        assert [loaded[f"arr_{i}"].size for i in range(12)] == [0, 1, 3, 150_000, 4, 1_000_000, 20_000, 20_000, 20_000, 50, 20_000, 20_000]
        assert np.array_equal(loaded["arr_5"], np.arange(0, 2_000_000, 2) % 8)


def test_bfloat16_in_npy_is_two_bytes_of_no_type():
    a = mx.array([1.5, -2.0], mx.bfloat16)
    mx.save("a.npy", a)
    assert np.load("a.npy").view(np.uint16).tolist() == [0x3FC0, 0xC000]
    np.save("n.npy", np.array([0x3FC0, 0xC000], np.uint16).view("V2"))
    assert same(mx.load("n.npy"), a)


def test_every_version_of_the_npy_header():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, a, version)
        file.seek(0)
        assert mx.load(file).tolist() == a.tolist()


def test_a_long_npy_header():
    a = mx.ones((1,) * 60)
    mx.save("a.npy", a)
    assert mx.load("a.npy").shape == a.shape
    text = b"{'shape': (2L, ), 'descr': \"<i4\",\n 'fortran_order': False}" + b" " * 70000
    file = b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + bytes([1, 0, 0, 0, 2, 0, 0, 0])
    assert mx.load(io.BytesIO(file)).tolist() == [1, 2]


@pytest.mark.parametrize("write, read", [
    (lambda a: mx.save("x.npy", a), lambda: mx.load("x.npy")), (lambda a: mx.savez("x.npz", a=a), lambda: mx.load("x.npz")["a"]),
    (lambda a: mx.savez_compressed("x.npz", a=a), lambda: mx.load("x.npz")["a"]),
    (lambda a: mx.save_safetensors("x.safetensors", {"a": a}), lambda: mx.load("x.safetensors")["a"])])
def test_no_file_has_more_axes_than_can_be_read(write, read):
    most = mx.ones((1,) * 62 + (2, 3))
    write(most)
    with pytest.raises(ValueError, match=r"^\[save\w*\] .* has 65 axes; the format has 64 at most"):
        write(most[None])
    assert mx.array_equal(read(), most)  # the file from before is still there


@pytest.mark.parametrize("write", [mx.save, lambda f, a: mx.savez(f, a, a), lambda f, a: mx.save_safetensors(f, {"a": a, "b": a}),
                                   lambda f, a: mx.save_gguf(f, {"a": a})])
def test_what_no_disk_holds_is_refused_before_it_is_written(write):
    views = [mx.broadcast_to(mx.array(1.0), (2**50,)), mx.broadcast_to(mx.array(1.0), (3, 2**55))]
    write("x", mx.ones(3))
    before = {path: path.read_bytes() for path in pathlib.Path().iterdir()}
    for view in views:
        with pytest.raises(RuntimeError, match=r"^\[save\w*\] 'x\.\w+': the arrays take \d+ bytes, and its file system has \d+ left"):
            write("x", view)
    assert {path: path.read_bytes() for path in pathlib.Path().iterdir()} == before


def test_zip64_and_what_stands_around_an_archive():
    data = written(mx.save, mx.array([1, 2]))
    with zipfile.ZipFile("a.npz", "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(data)
        archive.writestr("folder/", "")
        archive.writestr("folder/y.npy", data)
        archive.comment = b"a comment " * 100
    pathlib.Path("b.npz").write_bytes(b"something before it" + pathlib.Path("a.npz").read_bytes())
    for name in ("a.npz", "b.npz"):
        loaded = mx.load(name)
        assert list(loaded) == ["x", "folder/y"] and loaded["folder/y"].tolist() == [1, 2]


def test_an_archive_of_many():
    """More members than 16 bits count."""
    with zipfile.ZipFile("a.npz", "w") as archive:
        data = written(mx.save, mx.array(7))
        for i in range(66000):
            archive.writestr(f"a{i}.npy", data)
    loaded = mx.load("a.npz")
    assert len(loaded) == 66000 and loaded["a65999"].item() == 7


@pytest.mark.parametrize("savez", [mx.savez, mx.savez_compressed])
def test_many_keywords(savez):
    """As many as a model has parameters."""
    savez("a", mx.array(-1), **{f"layer.{i}": mx.array(i) for i in range(3000)})
    loaded = mx.load("a.npz")
    assert len(loaded) == 3001 and loaded["layer.2999"].item() == 2999
    savez(file="b", x=mx.array(1))
    assert list(mx.load("b.npz")) == ["x"]
    with pytest.raises(TypeError, match="file is missing"):
        savez(x=mx.array(1))
    with pytest.raises(TypeError, match="given twice"):
        savez("a", file="b")


def test_names_of_arrays():
    arrays = {name: mx.array([i]) for i, name in enumerate(["é/ü", "a.weight", "with space", "日本", "\U0001f600", '"\\\n', ""])}
    for save, extension in ((lambda f, a: mx.savez(f, **a), "npz"), (mx.save_safetensors, "safetensors"), (mx.save_gguf, "gguf")):
        save("a", arrays)
        loaded = mx.load(f"a.{extension}")
        assert loaded.keys() == arrays.keys() and all(same(loaded[k], arrays[k]) for k in arrays)
        if extension == "npz":
            with np.load("a.npz") as other:
                assert set(other) == set(arrays)


def test_nothing_at_all():
    mx.savez("a.npz")
    mx.save_safetensors("a.safetensors", {})
    mx.save_gguf("a.gguf", {}, {})
    assert mx.load("a.npz") == {} and mx.load("a.safetensors", return_metadata=True) == ({}, {}) and mx.load("a.gguf") == {}


def test_metadata_of_safetensors():
    metadata = {"format": "mx", "é": "ü\u2028\n\t\"\\\x01", "": ""}
    mx.save_safetensors("a.safetensors", {"a": mx.array(1)}, metadata)
    arrays, read = mx.load("a.safetensors", return_metadata=True)
    assert read == metadata and list(arrays) == ["a"]


def test_metadata_of_gguf():
    metadata = {"text": "é", "texts": ["", "b"], "none": [], "float": 2.5, "ints": [1, 2], "flag": True} | {
        d: sample(d, shape) for shape in ((), (3,)) for d in DTYPES if d not in ("float16", "bfloat16", "complex64", "complex128")}
    mx.save_gguf("a.gguf", {"a": mx.array([1.0])}, metadata)
    _, read = mx.load("a.gguf", return_metadata=True)
    assert list(read) == list(metadata)
    for key, value in metadata.items():
        if isinstance(value, mx.array):
            assert same(read[key], value)
        else:
            assert read[key] == value if isinstance(value, (str, bool)) or key in ("texts", "none") else read[key].tolist() == value


# --- names and objects ---

def test_extensions_and_paths():
    a = mx.array([1.0, 2.0])
    mx.save("a", a)
    mx.save(pathlib.Path("p"), a)
    mx.save(b"b.npy", a)
    mx.savez("z", a)
    mx.savez_compressed("c.npz", a)
    mx.save_safetensors("s.other", {"a": a})
    mx.save_gguf("g", {"a": a}, {})
    assert sorted(os.listdir()) == ["a.npy", "b.npy", "c.npz", "g.gguf", "p.npy", "s.other.safetensors", "z.npz"]
    assert same(mx.load(pathlib.Path("p.npy")), a) and same(mx.load(b"b.npy"), a)


def test_the_format_is_told_by_the_extension_then_by_the_content():
    a = mx.array([1.0, 2.0])
    mx.save("a", a)
    mx.savez("z", a=a)
    mx.save_safetensors("s", {"a": a})
    mx.save_gguf("g", {"a": a}, {})
    for name in os.listdir():
        content = pathlib.Path(name).read_bytes()
        pathlib.Path("blob").write_bytes(content)
        for loaded in (mx.load("blob"), mx.load(io.BytesIO(content)), mx.load(io.BytesIO(content), format=name.split(".")[1])):
            assert same(loaded if isinstance(loaded, mx.array) else loaded["a"], a)
    with pytest.raises(ValueError, match="format is 'zip'"):
        mx.load("a.npy", format="zip")
    pathlib.Path("blob").write_bytes(b"nothing of the kind")
    for file in ("blob", "missing", io.BytesIO(b"nothing")):
        with pytest.raises(ValueError, match="cannot tell the format"):
            mx.load(file)
    for name in ("missing.npy", "missing.npz", "missing.safetensors", "missing.gguf"):
        with pytest.raises(RuntimeError, match=f"'{name}': No such file"):
            mx.load(name)
    os.mkdir("d.npy")
    with pytest.raises(RuntimeError, match="directory"):
        mx.load("d.npy")
    with pytest.raises(RuntimeError, match="directory"):
        mx.save("d.npy", a)
    for name in ("a.npy", "z.npz"):
        with pytest.raises(ValueError, match="has no metadata"):
            mx.load(name, return_metadata=True)
    with pytest.raises(ValueError, match="zero byte"):
        mx.load("a\0.npy")
    with pytest.raises(ValueError, match="zero byte"):
        mx.save("a\0", a)


@pytest.mark.parametrize("buffering", [-1, 0])
def test_objects(buffering):
    arrays = [mx.array([1, 2]), mx.array([[3.5]]), mx.zeros((0,)), mx.array(True)]
    with open("several", "wb", buffering) as file:
        for a in arrays:
            mx.save(file, a)
    with open("several", "rb", buffering) as file:  # each is read to its end
        for a in arrays:
            assert same(mx.load(file, format="npy"), a)
    for save, format in ((mx.savez, "npz"), (mx.savez_compressed, "npz")):
        with open("f", "wb", buffering) as file:
            save(file, arrays[0], b=arrays[1])
        with open("f", "rb", buffering) as file:
            loaded = mx.load(file, format)
        assert same(loaded["arr_0"], arrays[0]) and same(loaded["b"], arrays[1])
    with open("f", "w+b") as file:
        file.write(b"before")
        mx.save_safetensors(file, {"a": arrays[0]})
        file.seek(6)
        assert same(mx.load(file, "safetensors")["a"], arrays[0])
    with gzip.open("f.gz", "wb") as file:  # has a descriptor, of other bytes
        mx.save_gguf(file, {"a": arrays[0]}, {})
    with gzip.open("f.gz", "rb") as file:
        assert same(mx.load(file, "gguf")["a"], arrays[0])


def test_streams_that_cannot_seek():
    a = mx.arange(100000)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        data = written(mx.save, a) + written(mx.savez, a=a)
        theirs.sendall(data)
        os._exit(0)
    theirs.close()
    with ours, ours.makefile("rb", buffering=0) as file:
        assert same(mx.load(file, "npy"), a)
        assert same(mx.load(file, "npz")["a"], a)
    assert os.waitpid(child, 0)[1] == 0
    os.mkfifo("pipe.npy")
    writer = subprocess.Popen([sys.executable, "-c", f"open('pipe.npy', 'wb').write({written(mx.save, a[:10])!r})"])
    assert same(mx.load("pipe.npy"), a[:10])
    assert writer.wait() == 0
    os.mkfifo("pipe")
    thread = threading.Thread(target=lambda: pathlib.Path("pipe").write_bytes(written(mx.save, a[:10])))
    thread.start()  # in this process, and without an extension
    assert same(mx.load("pipe"), a[:10])
    thread.join()


def test_objects_that_misbehave():
    class Object:
        def __init__(self, read=None, write=None):
            if read:
                self.read = read
            if write:
                self.write = write

    def boom(*args):
        raise OSError("boom")

    a = mx.array([1, 2])
    data = written(mx.save, a)
    for bad in (Object(), 3, None, 2.5, ["a.npy"]):
        with pytest.raises(TypeError, match="file is"):
            mx.load(bad)
        with pytest.raises(TypeError, match="file is"):
            mx.save(bad, a)
    for read in (lambda n: "text", lambda n: 3, lambda n: [1]):
        with pytest.raises(TypeError):
            mx.load(Object(read), "npy")
    for read in (lambda n: bytes(n + 1), lambda n: None):
        with pytest.raises(RuntimeError):
            mx.load(Object(read), "npy")
    with pytest.raises(OSError, match="boom"):
        mx.load(Object(boom), "npy")
    with pytest.raises(OSError, match="boom"):
        mx.save(Object(write=boom), a)
    with pytest.raises(RuntimeError, match="took none"):
        mx.save(Object(write=lambda b: 0), a)
    with pytest.raises(ValueError, match="ends within"):
        mx.load(Object(lambda n: b""), "npy")
    one_by_one, got = iter(data), bytearray()
    assert same(mx.load(Object(lambda n: bytes([next(one_by_one)])), "npy"), a)
    mx.save(Object(write=lambda b: got.append(b[0]) or 1), a)  # takes one byte each time
    assert got == data
    with open("text", "w") as file, pytest.raises(TypeError):
        mx.save(file, a)


def test_arguments():
    a = mx.array([1.0])
    for call in (lambda: mx.save("a", 3.0), lambda: mx.save("a", np.ones(2)), lambda: mx.savez("a", [1]), lambda: mx.savez("a", {"a": a}),
                 lambda: mx.savez("a", x=1), lambda: mx.save_safetensors("a", [a]), lambda: mx.save_safetensors("a", {1: a}),
                 lambda: mx.save_safetensors("a", {"a": 1}), lambda: mx.save_safetensors("a", {"a": a}, {"b": 1}),
                 lambda: mx.save_safetensors("a", {"a": a}, [1]), lambda: mx.save_gguf("a", {"a": a}, {"b": None}),
                 lambda: mx.save_gguf("a", {"a": a}, {"b": ["a", 1]})):  # fmt: skip
        with pytest.raises(TypeError, match=r"\[save"):
            call()
    for call in (lambda: mx.savez("a", a, arr_0=a), lambda: mx.save_safetensors("a", {"a": a.astype(mx.complex128)}),
                 lambda: mx.save_safetensors("a", {"__metadata__": a}), lambda: mx.save_gguf("a", {"a": a.astype(mx.uint8)}, {}),
                 lambda: mx.save_gguf("a", {"a": mx.ones((1,) * 9)}, {}), lambda: mx.save_gguf("a", {}, {"a": mx.ones((2, 2))}),
                 lambda: mx.save_gguf("a", {}, {"a": a.astype(mx.float16)}), lambda: mx.save_gguf("a", {}, {"general.alignment": 3}),
                 lambda: mx.savez("a", **{"a\0": a}), lambda: mx.save_safetensors("a", {"\ud800": a})):  # fmt: skip
        with pytest.raises(ValueError, match=r"\[save"):
            call()
    assert os.listdir() == []  # nothing was begun


def test_alignment_of_gguf():
    for alignment in (8, 256):
        mx.save_gguf("a", {"a": mx.array([1], mx.int8), "b": mx.array([2.0])}, {"general.alignment": mx.array(alignment, mx.uint32)})
        assert os.path.getsize("a.gguf") % alignment == 0
        assert mx.load("a.gguf")["b"].item() == 2.0


# --- lazy ---

LARGE = 1 << 16


def large_files():
    a = mx.arange(LARGE).reshape(256, 256)
    mx.save("a", a)
    mx.savez("a", a=a)
    mx.save_safetensors("a", {"a": a})
    mx.save_gguf("a", {"a": a}, {})
    return a, ["a.npy", "a.npz", "a.safetensors", "a.gguf"]


def only(loaded):
    return loaded if isinstance(loaded, mx.array) else loaded["a"]


def test_elements_are_read_when_they_are_needed():
    a, names = large_files()
    del a
    for name in names:
        for mmap in (True, False):
            x = None
            mx.clear_cache()
            before = mx.get_active_memory()
            x = only(mx.load(name, mmap=mmap))
            assert mx.get_active_memory() == before and x.shape == (256, 256)
            mx.eval(x)
            taken = mx.get_active_memory() - before
            assert taken == 0 if mmap and name != "a.npz" else taken >= x.nbytes
            assert same(x, mx.arange(LARGE).reshape(256, 256))


def test_a_file_may_be_replaced_or_removed():
    a, names = large_files()
    for name in names:
        lazy, mapped = only(mx.load(name)), only(mx.load(name, mmap=True))
        mx.eval(mapped)
        mx.save("other", a + 1)
        os.replace("other.npy", name)
        assert same(lazy, a) and same(mapped, a)
    a, names = large_files()
    for name in names:
        lazy = only(mx.load(name))
        os.remove(name)
        assert same(lazy, a)


def test_a_file_that_is_changed_in_place_is_noticed():
    a, names = large_files()
    for name in names:
        for change in (lambda f: f.truncate(LARGE), lambda f: f.truncate(0), lambda f: f.write(b"other"), lambda f: f.seek(0, 2) and f.write(b"more")):
            a, _ = large_files()
            os.utime(name, ns=(10**18, 10**18))
            lazy = only(mx.load(name))
            with open(name, "r+b") as file:
                change(file)
            with pytest.raises(RuntimeError, match=f"'{name}' was changed after it was loaded"):
                mx.eval(lazy)


def test_saving_over_the_file_that_is_read():
    _, names = large_files()
    for name in names:
        a = only(mx.load(name))
        save = {"a.npy": mx.save, "a.npz": lambda f, x: mx.savez(f, a=x), "a.safetensors": lambda f, x: mx.save_safetensors(f, {"a": x}),
                "a.gguf": lambda f, x: mx.save_gguf(f, {"a": x}, {})}[name]  # fmt: skip
        save(name, a + 1)
        assert same(only(mx.load(name)), mx.arange(1, LARGE + 1).reshape(256, 256)) and a[0, 0].item() == 0


def test_nobody_changes_a_file_through_its_mapping():
    a, _ = large_files()
    x = mx.load("a.safetensors")["a"]
    shared = np.array(x, copy=False)
    if shared.flags.writeable:
        shared[0, 0] = 7
    x[0] = 5
    x += 1
    mx.eval(x)
    assert same(mx.load("a.safetensors")["a"], a)


def test_many_threads_read_one_file():
    mx.savez_compressed("a", **{f"a{i}": mx.full((1000,), i) for i in range(40)})
    loaded, failed = mx.load("a.npz"), []

    def read(part):
        for i in range(part, 40, 4):
            if loaded[f"a{i}"].sum().item() != 1000 * i:
                failed.append(i)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_loaded_array_is_a_constant_to_transforms():
    mx.save("w", mx.array([1.0, 2.0]))
    f = lambda x: (x * mx.load("w.npy")).sum()
    x = mx.array([3.0, 4.0])
    assert mx.grad(f)(x).tolist() == [1, 2]
    assert mx.vmap(f)(mx.stack([x, 2 * x])).tolist() == [11, 22]
    assert mx.jvp(f, [x], [mx.ones(2)])[1][0].item() == 3
    w = mx.load("w.npy")
    assert mx.grad(lambda w: (w * w).sum())(w).tolist() == [2, 4]
    compiled = mx.compile(f)
    assert compiled(x).item() == 11
    mx.save("w", mx.array([10.0, 20.0]))  # what is compiled has read it
    assert compiled(x).item() == 11 and f(x).item() == 110
    assert mx.cond(mx.array(True), lambda x: x + mx.load("w.npy"), lambda x: x, x).tolist() == [13, 24]
    assert mx.compile(f, shapeless=True)(x).item() == 110
    assert mx.checkpoint(f)(x).item() == 110


def test_export_of_a_function_that_loads():
    mx.save("w", mx.array([1.0, 2.0]))
    for f in (lambda x: x * mx.load("w.npy"), lambda x, w=mx.load("w.npy"): x * w):
        mx.export_function("f.mlxfn", f, mx.array([3.0, 4.0]))
        assert mx.import_function("f.mlxfn")(mx.array([3.0, 4.0]))[0].tolist() == [3, 8]


def test_saving_while_a_function_is_recorded_is_an_error():
    with pytest.raises(ValueError):
        mx.compile(lambda x: mx.save("a", x))(mx.array(1.0))
    assert os.listdir() == []
    f = lambda x: mx.save("a", x) or x * x  # values are there under grad
    assert mx.grad(f)(mx.array(3.0)).item() == 6 and mx.load("a.npy").item() == 3


def test_stream_and_async_eval():
    mx.save("a", mx.array([1.0, 2.0]))
    stream = mx.new_stream(mx.cpu)
    a, b = mx.load("a.npy", stream=stream), mx.load("a.npy", stream=mx.cpu)
    mx.async_eval(a)
    assert (a + b).tolist() == [2, 4]


def test_what_cannot_be_evaluated_is_not_saved():
    mx.save("a", mx.array(1))
    bad = mx.take(mx.arange(3), mx.array([7]))
    with pytest.raises(IndexError):
        mx.eval(bad)
    with pytest.raises(IndexError):
        mx.save("a", mx.take(mx.arange(3), mx.array([7])))
    assert mx.load("a.npy").item() == 1


def test_the_graph_names_the_file():
    mx.save("weights", mx.array(1.0))
    assert "Load" in str(mx._node_counts(mx.load("weights.npy") + 1))


@pytest.mark.slow
def test_more_than_two_gigabytes():
    """In pieces, with no second copy."""
    free = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize
    if min(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), free) < 6 << 30:
        pytest.skip("takes 6 GB of memory and of disk")
    n = (1 << 31) + 5
    a = mx.zeros((n,), mx.int8)
    a[n - 1] = 7
    mx.eval(a)
    for save, name in ((mx.save, "a.npy"), (lambda f, x: mx.savez(f, a=x), "a.npz"), (lambda f, x: mx.save_safetensors(f, {"a": x}), "a.safetensors"),
                       (lambda f, x: mx.save_gguf(f, {"a": x}, {}), "a.gguf")):  # fmt: skip
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        save(name, a)
        assert mx.get_peak_memory() - before < 1 << 28
        x = only(mx.load(name))
        assert x.shape == (n,) and x[n - 1].item() == 7 and mx.get_peak_memory() - before < n + n // 2  # sizes are rounded up
        del x
        os.remove(name)
