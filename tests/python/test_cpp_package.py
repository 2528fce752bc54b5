"""The installed package as C++ programmers outside the tree use it: the CMake package, the examples, an operation of one's own."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import mlx
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PACKAGE = pathlib.Path(mlx.__path__[0])

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("wheel"),
    pytest.mark.skipif(
        not (PACKAGE / "share/cmake/mlx_core").is_dir(), reason="mlx is a build tree: install the wheel to test this"
    ),
]

OWN_PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
find_package(mlx_core CONFIG REQUIRED)
add_executable(stranger main.cpp)
target_link_libraries(stranger PRIVATE mlx_core::mlx_core)
"""
OWN_PROGRAM = """
#include <iostream>
#include "mlx_core/mlx.h"
int main() {
  using namespace mlx::core;
  array x = reshape(array({1.f, 2.f, 3.f, 4.f}), {2, -1});
  array g = grad([](const array& v) { return sum(v * v * v); })(x);
  std::cout << sum(x, {0}).shape()[0] << " " << sum(g).item<float>() << "\\n";
}
"""


def run(command, cwd, **environment):
    command = [str(part) for part in command]
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, text=True, capture_output=True, timeout=600
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def cmake_dir():
    return run([sys.executable, "-m", "mlx", "--cmake-dir"], ROOT).strip()


def build(source, folder, *options):
    """Configures and builds as a user would, outside the tree; returns the build folder."""
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    run(["cmake", "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options], folder.parent)
    run(["cmake", "--build", folder, "-j", "2"], folder.parent)
    return folder


def test_the_command_line_says_where_the_package_is():
    assert pathlib.Path(cmake_dir()) == PACKAGE / "share/cmake/mlx_core"
    import mlx.core as mx

    assert run([sys.executable, "-m", "mlx", "--version"], ROOT).strip() == mx.__version__


def test_a_foreign_project(tmp_path):
    source = tmp_path / "stranger"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(OWN_PROJECT)
    (source / "main.cpp").write_text(OWN_PROGRAM)
    folder = build(source, tmp_path / "build", f"-Dmlx_core_DIR={cmake_dir()}")
    assert run([folder / "stranger"], tmp_path) == "2 90\n"


def public_headers():
    """mlx.h and what it includes, in the tree."""
    found, ahead = set(), ["mlx_core/mlx.h"]
    while ahead:
        header = ahead.pop()
        if header not in found:
            found.add(header)
            ahead += re.findall(r'^#include "(mlx_core/[^"]+)"', (ROOT / header).read_text(), re.MULTILINE)
    return found


def test_only_public_headers_are_installed_and_each_compiles_alone(tmp_path):
    include = PACKAGE / "include"
    installed = {path.relative_to(include).as_posix() for path in include.rglob("*") if path.is_file()}
    assert installed == public_headers()
    compiler = shutil.which("c++") or pytest.skip("there is no C++ compiler")
    for header in sorted(installed):
        source = tmp_path / "alone.cpp"
        source.write_text(f'#include "{header}"\n#include "{header}"\nint main() {{}}\n')
        run([compiler, "-std=c++20", "-Wall", "-Werror", "-fsyntax-only", "-I", include, source], tmp_path)


OWN_PRIMITIVE = """
#include <iostream>
#include "mlx_core/mlx.h"
using namespace mlx::core;

// x * factor, known to the library by nothing but what is here.
class Scaled final : public Primitive {
 public:
  explicit Scaled(double factor) : factor_(factor) {}
  const char* name() const override { return "StrangersScaled"; }
  Dependence dependence() const override { return Dependence::elementwise; }
  void visit(ParamVisitor& v) const override { v("factor", factor_); }
  Specs infer(Operands operands) const override { return {{operands[0].shape(), operands[0].dtype()}}; }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    outputs[0].allocate();
    const float* from = operands[0].data<float>();
    int64_t step = operands[0].strides()[0];
    float* to = static_cast<float*>(outputs[0].mutable_data());
    for (int64_t i = 0; i < static_cast<int64_t>(outputs[0].size()); ++i) {
      to[i] = from[i * step] * static_cast<float>(factor_);
    }
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands) const override { return {again(tangents[0])}; }
  Tangents vjp(Operands, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    return {again(cotangents[0])};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), {operands[0]})}, {axes[0]}};
  }

 private:
  Tangent again(const Tangent& t) const { return t ? Tangent(applied(self(*this), {*t})) : Tangent(); }
  double factor_;
};

int main() {
  auto scaled = [](const array& x) { return applied(make_primitive<Scaled>(3.0), {x}); };
  array x = array({1.f, 2.f});
  array g = grad([&](const array& v) { return sum(scaled(v) * v); })(x);
  std::vector<array> compiled = compile([&](const std::vector<array>& v) {
    return std::vector<array>{scaled(v[0]) + scaled(v[0])};
  })({x});
  std::cout << sum(scaled(x)).item<float>() << " " << sum(g).item<float>() << " " << sum(compiled[0]).item<float>()
            << "\\n";
}
"""


def test_a_primitive_of_ones_own_needs_only_what_is_installed(tmp_path):
    source = tmp_path / "stranger"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(OWN_PROJECT)
    (source / "main.cpp").write_text(OWN_PRIMITIVE)
    folder = build(source, tmp_path / "build", f"-Dmlx_core_DIR={cmake_dir()}")
    assert run([folder / "stranger"], tmp_path) == "9 18 18\n"


def test_cpp_examples(tmp_path):
    # A copy, so that nothing of the tree around it is found.
    source = shutil.copytree(EXAMPLES / "cpp", tmp_path / "cpp")
    folder = build(source, tmp_path / "build", f"-Dmlx_core_DIR={cmake_dir()}")
    assert "f'' = 1.51545\n" in run([folder / "gradient"], tmp_path)
    assert "norms: 5 10 13\n" in run([folder / "vmap"], tmp_path)
    assert "after 400 steps" in run([folder / "training"], tmp_path)  # fails by itself when it has not learnt


def test_an_operation_of_ones_own(tmp_path):
    pytest.importorskip("nanobind")
    source = shutil.copytree(EXAMPLES / "custom_op", tmp_path / "custom_op")
    assert len((source / "axpby.cpp").read_text().splitlines()) < 100
    folder = build(source, tmp_path / "build", f"-DPython_EXECUTABLE={sys.executable}")
    assert "def axpby(x: mlx.core.array" in (folder / "axpby.pyi").read_text()
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    printed = run([sys.executable, source / "use.py"], tmp_path, PYTHONPATH=path)
    values = [
        "array([7, 14, 21], dtype=float32)",
        "(array([28, 56, 84], dtype=float32), array([7, 14, 21], dtype=float32))",
        "[array([2, 2, 2], dtype=float32)]",
        "array([8, 8, 8], dtype=float32)",
        "array([[10, 21, 32],\n       [13, 24, 35]], dtype=float32)",
        "array([[20, 48, 76],\n       [44, 72, 100]], dtype=float32)",
        "(array([28, 56, 84], dtype=float32), array([7, 14, 21], dtype=float32))",
        "array([[10, 21, 32],\n       [13, 24, 35]], dtype=float32)",
        "array([7, 14, 21], dtype=float32)",
        "array([22, 14, 21], dtype=float32)",
    ]
    assert printed == "\n".join(values) + "\n"
    checks = """
import mlx.core as mx, axpby
assert axpby.axpby(mx.array([1, 2]).T, mx.array(1), 3).tolist() == [4, 7]
assert axpby.axpby(mx.ones((2, 2)).T[:, 0], mx.array(1.0)).shape == (2,)
f = lambda x, y: axpby.axpby(x, y, 2.0, 3.0) ** 2
print(mx.vmap(mx.vmap(mx.grad(f), in_axes=(None, 0)), in_axes=(0, None))(mx.arange(2.0), mx.arange(3.0)).tolist())
print(mx.jvp(mx.grad(mx.grad(f)), [mx.array(1.0), mx.array(1.0)], [mx.array(1.0), mx.array(1.0)])[0][0].item())
"""
    printed = run([sys.executable, "-c", checks], tmp_path, PYTHONPATH=path)
    assert printed == "[[0.0, 12.0, 24.0], [8.0, 20.0, 32.0]]\n8.0\n"
