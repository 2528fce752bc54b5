"""The wheel as a user gets it: its size, tag and contents; an empty environment without compiler, BLAS or Highway;
CPUs without AVX; and the refusal to share a folder with another distribution's `mlx`."""

import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.xdist_group("wheel")  # one process, so that the environment is made once

# A bit of everything: elementwise, reduction, matmul (BLAS), transforms. Prints "fine".
PROGRAM = """
import math
import mlx.core as mx

x = mx.array([0.5, -1.0, 2.0])
g = mx.grad(lambda v: (mx.sin(v) * v).sum())(x)
want = [math.sin(v) + v * math.cos(v) for v in (0.5, -1.0, 2.0)]
assert all(abs(a - b) < 1e-6 for a, b in zip(g.tolist(), want)), g
a = mx.arange(12, dtype=mx.float32).reshape(3, 4)
assert (a @ a.T).tolist() == [[14, 38, 62], [38, 126, 214], [62, 214, 366]]
rows = mx.vmap(mx.grad(lambda r: (r * r * r).sum()))(a)
assert rows.tolist() == (3 * a * a).tolist()
big = mx.arange(100_003, dtype=mx.float32)
assert abs((mx.exp(-big).sum()).item() - 1 / (1 - math.exp(-1))) < 1e-5
assert abs(mx.tanh(big[1]).item() - math.tanh(1)) < 1e-6
print("fine")
"""


def wheel_path():
    if "MLX_WHEEL" in os.environ:
        return pathlib.Path(os.environ["MLX_WHEEL"])
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    found = sorted((ROOT / "dist").glob(f"mlx_core-*-{tag}-*.whl"))
    if not found:
        pytest.skip("no wheel in dist/: run tools/wheel")
    return found[-1]


@pytest.fixture(scope="module")
def wheel():
    return wheel_path()


@pytest.fixture(scope="module")
def empty_venv(wheel, tmp_path_factory):
    """The folder of a fresh virtual environment that holds pip and the wheel, nothing else."""
    folder = tmp_path_factory.mktemp("wheel") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # --no-index: a run-time dependency would fail here.
    command = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-index", wheel]
    subprocess.run(command, check=True, env=without_pip_settings())
    return folder


def without_pip_settings():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}


def run(command, **options):
    """Runs with an empty environment: no compiler on PATH, no search path for libraries."""
    return subprocess.run(command, env={"PATH": ""}, text=True, capture_output=True, timeout=300, **options)


def test_size_tag_and_contents(wheel):
    assert wheel.stat().st_size < 25_000_000
    if sys.platform == "linux":
        assert "manylinux" in wheel.name or "musllinux" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for needed in (
        f"mlx/core{suffix}",
        "mlx/py.typed",
        "mlx/core/__init__.pyi",
        "mlx/include/mlx_core/ops.h",
        "mlx/share/cmake/mlx_core/mlx_core-config.cmake",
        "mlx/share/licenses/openblas.txt",
    ):
        assert needed in names
    assert not [n for n in names if n.endswith((".a", "-inl.h", ".cpp"))]
    assert not [n for n in names if n.split("/")[0] not in ("mlx", "mlx_core.libs") and ".dist-info/" not in n]


def test_metadata_names_no_runtime_dependency(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    requires = [x for x in archive.read(metadata).decode().splitlines() if x.startswith("Requires-Dist:")]
    assert all("extra ==" in line for line in requires), requires


def test_runs_in_an_empty_environment(empty_venv):
    result = run([empty_venv / "bin/python", "-c", PROGRAM])
    assert result.returncode == 0, result.stderr
    assert result.stdout == "fine\n"


def test_version_is_that_of_the_distribution(empty_venv, wheel):
    result = run([empty_venv / "bin/python", "-c", "import mlx.core as mx; print(mx.__version__)"])
    assert result.stdout.strip() == wheel.name.split("-")[1], result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_loads_its_own_libraries(empty_venv):
    program = PROGRAM + "print(*{line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}, sep='\\n')"
    result = run([empty_venv / "bin/python", "-c", program])
    libraries = [pathlib.Path(line) for line in result.stdout.splitlines()[1:]]
    bundled = [p for p in libraries if any(word in p.name for word in ("mlx", "blas", "lapack", "hwy", "gfortran"))]
    assert any("blas" in p.name for p in bundled) and any("mlx_core" in p.name for p in bundled)
    outside = [p for p in bundled if not p.is_relative_to(empty_venv.resolve())]
    assert not outside


def run_on(cpu, empty_venv, program):
    """Emulated."""
    if platform.machine() != "x86_64":
        pytest.skip("the machine itself is not x86-64")
    if not (qemu := shutil.which("qemu-x86_64")):
        pytest.skip("qemu-x86_64 is not installed (Debian and Ubuntu: qemu-user)")
    site = next((empty_venv / "lib").glob("python3.*/site-packages"))
    program = f"import sys; sys.path.insert(0, {str(site)!r})\n{program}"
    # The interpreter itself, not the venv's link nor a shell wrapper: it is the program that is emulated.
    return run([qemu, "-cpu", cpu, os.path.realpath(empty_venv / "bin/python"), "-S", "-c", program])


# Nehalem has SSE4.2, neither AVX nor AES; Haswell has AVX2.
@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["Nehalem", "Haswell"])
def test_runs_on_other_cpus(empty_venv, cpu):
    result = run_on(cpu, empty_venv, PROGRAM)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "fine\n"


# Conroe has SSSE3, qemu64 what x86-64 began with.
@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["Conroe", "qemu64"])
def test_says_what_older_cpus_lack(empty_venv, cpu):
    result = run_on(cpu, empty_venv, "import mlx.core")
    assert result.returncode == 1
    last = result.stderr.rstrip().split("\n")[-1]
    assert last.startswith("ImportError") and "SSE4.2" in last and "x86-64-v2" in last


def test_another_distribution_in_the_same_folder_is_named(empty_venv):
    site = next((empty_venv / "lib").glob("python3.*/site-packages"))
    other = site / "mlx-9.8.7.dist-info"
    other.mkdir()
    try:
        core = next((site / "mlx").glob("core.*.so")).name
        (other / "RECORD").write_text(f"mlx/{core},sha256=x,1\nmlx/nn/__init__.py,,\n")
        result = run([empty_venv / "bin/python", "-c", "import mlx.core"])
    finally:
        shutil.rmtree(other)
    assert result.returncode == 1
    assert "ImportError" in result.stderr and "mlx 9.8.7" in result.stderr and "pip uninstall mlx" in result.stderr


def test_a_neighbour_without_common_files_is_welcome(empty_venv):
    site = next((empty_venv / "lib").glob("python3.*/site-packages"))
    other = site / "mlx_data-1.0.dist-info"
    other.mkdir()
    try:
        (other / "RECORD").write_text("mlx/data/__init__.py,,\nmlx_data-1.0.dist-info/RECORD,,\n")
        result = run([empty_venv / "bin/python", "-c", "import mlx.core"])
    finally:
        shutil.rmtree(other)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_stubs_are_valid(empty_venv, tmp_path):
    pytest.importorskip("mypy")
    user = tmp_path / "user.py"
    user.write_text("import mlx.core as mx\nx: mx.array = mx.sin(mx.array([1.0]))\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", empty_venv / "bin/python"]
    options = ["--cache-dir", tmp_path / "cache", "--no-error-summary", user]
    result = subprocess.run([*command, *options], text=True, capture_output=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
