"""Every allocation of the library fails, in turn, in programs of every kind: each run ends right or with MemoryError, and the
library works afterwards."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
PROGRAMS = ["eager", "shapes", "random", "grad", "vmap", "compiled", "shapeless", "loops", "custom", "threads", "export", "python", "errors"]


@pytest.fixture(scope="module")
def allocator(tmp_path_factory):
    compiler = shutil.which("g++")
    if not compiler or not sys.platform.startswith("linux"):
        pytest.skip("needs g++ and the GNU C library")
    library = tmp_path_factory.mktemp("allocator") / "failing.so"
    subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", str(HERE / "failing_allocator.cpp"), "-o", str(library), "-ldl"],
                   check=True)
    return library


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_failures_end_in_memory_error(allocator, program, run_all):
    preload = " ".join(filter(None, [str(allocator), os.environ.get("LD_PRELOAD")]))
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:alloc_dealloc_mismatch=0"  # it comes behind the allocator, which frees for it
    done = subprocess.run([sys.executable, str(HERE / "allocation_failures.py"), "1" if run_all else "5", program], capture_output=True,
                          text=True, timeout=600, env={**os.environ, "LD_PRELOAD": preload, "ASAN_OPTIONS": sanitizer})
    assert done.returncode == 0, done.stderr[-2000:]
    name, injected = done.stdout.split()
    assert name == program and int(injected) > 0
