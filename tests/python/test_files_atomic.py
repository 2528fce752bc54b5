"""Writing is all or nothing: a killed process, a full disk, a limit on the size of files, or an error leaves the old file and no
other."""

import os
import pathlib
import resource
import signal
import stat
import subprocess
import sys
import time

import mlx
import mlx.core as mx
import pytest

SAVES = {
    "npy": lambda f, a: mx.save(f, a), "npz": lambda f, a: mx.savez(f, a=a), "deflated": lambda f, a: mx.savez_compressed(f, a=a),
    "safetensors": lambda f, a: mx.save_safetensors(f, {"a": a}), "gguf": lambda f, a: mx.save_gguf(f, {"a": a}, {}),
}  # fmt: skip
each_save = pytest.mark.parametrize("kind", SAVES)


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def name_of(kind):
    return "a.npz" if kind == "deflated" else f"a.{kind}"


PATH = [str(pathlib.Path(__file__).resolve().parent), *(str(pathlib.Path(folder).resolve().parent) for folder in mlx.__path__)]


def child(program, **options):
    text = f"import sys; sys.path[:0] = {PATH!r}\nimport mlx.core as mx\nfrom test_files_atomic import SAVES\n{program}"
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, **options)


@each_save
def test_a_limit_on_the_size_of_files(kind):
    SAVES[kind](name_of(kind), mx.array([1, 2]))
    old = pathlib.Path(name_of(kind)).read_bytes()
    a = mx.random.normal((1 << 18,))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, limit[1]))
    try:
        with pytest.raises(RuntimeError, match=rf"'{name_of(kind)}'.*File too large.*what it was before"):
            SAVES[kind](name_of(kind), a)
        with pytest.raises(RuntimeError, match="File too large"):
            SAVES[kind]("new", a)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert pathlib.Path(name_of(kind)).read_bytes() == old and os.listdir() == [name_of(kind)]


def test_a_full_disk():
    """/dev/full is a device on which every write fails so; it is written directly."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    os.symlink("/dev/full", "full.npy")
    with pytest.raises(RuntimeError, match="No space left on device"):
        mx.save("full.npy", mx.array([1]))


@each_save
def test_a_killed_process(kind):
    """It writes one file again and again, and is killed at any time: the file is one of those, complete."""
    SAVES[kind](name_of(kind), mx.full((1 << 16,), -1))
    for delay in (0.0, 0.01, 0.05):
        process = child(f"print('ready', flush=True)\nfor i in range(10**9): SAVES[{kind!r}]({name_of(kind)!r}, mx.full((1 << 16,), i))")
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        loaded = mx.load(name_of(kind))
        a = loaded if isinstance(loaded, mx.array) else loaded["a"]
        assert a.shape == (1 << 16,) and (a == a[0]).all().item()


@each_save
def test_an_error_leaves_nothing_behind(kind):
    with pytest.raises(IndexError):
        SAVES[kind]("a", mx.take(mx.arange(3), mx.array([7])))
    assert os.listdir() == []


def test_an_interruption_leaves_the_old_file():
    mx.save("a", mx.array([1]))
    process = child("a = mx.zeros((1 << 27,)); mx.eval(a); print('ready', flush=True); mx.savez_compressed('b', a)")
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait()
    process.stdout.close()
    assert process.returncode != 0 and os.listdir() == ["a.npy"]


def test_a_link_stays_one_and_permissions_stay():
    os.mkdir("there")
    os.symlink("there/b.npy", "a.npy")
    mx.save("a", mx.array([1]))  # the link led nowhere
    os.chmod("there/b.npy", 0o640)
    mx.save("a", mx.array([2]))
    assert os.path.islink("a.npy") and mx.load("there/b.npy").item() == 2
    assert stat.S_IMODE(os.stat("there/b.npy").st_mode) == 0o640 and os.listdir("there") == ["b.npy"]
    umask = os.umask(0o027)
    try:
        mx.save("new", mx.array([1]))
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat("new.npy").st_mode) == 0o640


def test_a_folder_that_is_not_there():
    with pytest.raises(RuntimeError, match=r"\[save\] 'no/a.npy': its folder cannot be written"):
        mx.save("no/a", mx.array([1]))


def test_what_is_no_regular_file_is_written_directly():
    os.mkfifo("pipe.npy")
    reader = child("print(mx.load('pipe.npy').tolist())")
    assert reader.poll() is None
    mx.save("pipe.npy", mx.array([1, 2]))
    assert reader.communicate()[0] == "[1, 2]\n" and stat.S_ISFIFO(os.stat("pipe.npy").st_mode)


def test_a_long_name():
    name = "a" * 250 + ".npy"
    mx.save(name, mx.array([1]))
    mx.save(name, mx.array([2]))
    assert mx.load(name).item() == 2 and os.listdir() == [name]
