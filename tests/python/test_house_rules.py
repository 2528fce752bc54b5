"""The house rules that a program can check: file sizes, first lines, names, and which folder may include which."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = {".cpp", ".h", ".metal", ".py", ".cmake"}
FOLDERS = ["mlx_core", "metal", "python", "tests", "benchmarks", "examples", "tools", "cmake", "docs"]
COMMENT = {".py": ("#", '"""', 'r"""'), ".cmake": ("#",), ".txt": ("#",)}


def files(*folders, suffixes=CODE):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                yield path


def shown(path):
    return path.relative_to(ROOT).as_posix()


def first_comment(path):
    """The comment lines, or the docstring, that a file begins with."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py" and (docstring := re.match(r'r?"""(.*?)"""', text, re.DOTALL)):
        return docstring.group(1)
    mark = "#" if path.suffix in COMMENT else "//"
    lines = []
    for line in text.splitlines():
        if not line.startswith(mark):
            break
        lines.append(line)
    return "\n".join(lines)


def includes(path):
    """(line number, included path) of each include in a C++ or Metal file."""
    pattern = re.compile(r'^\s*#\s*(?:include|import)\s*[<"]([^>"]+)[>"]')
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := pattern.match(line):
            yield number, match.group(1)


def test_no_file_is_above_1000_lines():
    too_long = {shown(p): n for p in files(*FOLDERS) if (n := len(p.read_text().splitlines())) > 1000}
    assert not too_long


def test_files_above_600_lines_say_why():
    # The first comment gives the reason with the word "because".
    long = [p for p in files(*FOLDERS) if len(p.read_text().splitlines()) > 600]
    assert not [shown(p) for p in long if "because" not in first_comment(p)]


def test_first_line_is_a_comment():
    bad = []
    for path in files(*FOLDERS):
        text = path.read_text(encoding="utf-8")
        if text and not text.startswith(COMMENT.get(path.suffix, ("//", "/*"))):
            bad.append(shown(path))
    assert not bad


def test_names_are_concepts():
    forbidden = {"utils", "util", "common", "helpers", "helper", "misc", "stuff", "tools_common"}
    allowed = {"python/mlx/utils.py"}  # MLX's public name
    bad = []
    for path in files(*FOLDERS):
        parts = set(re.split(r"[_\-]", path.stem)) | set(path.relative_to(ROOT).parts[:-1])
        if parts & forbidden and shown(path) not in allowed and path.stem != "test_utils":
            bad.append(shown(path))
    assert not bad


# folder -> (what its files must not include, why)
DIRECTION = {
    "mlx_core/ops": (
        r"mlx_core/(transforms|compile|eval|gpu)/",
        "an op's rules call ops; what rewrites or runs graphs knows the ops, not the other way round",
    ),
    "mlx_core/cpu": (
        r"(^|/)(primitive|array|ops|registry|transforms)\.h$|mlx_core/(ops|transforms|compile|eval|gpu|io)/",
        "kernels know memory, not graphs",
    ),
    "mlx_core/backend": (
        r"(^|/)(primitive|array|ops|registry|transforms)\.h$|mlx_core/(ops|transforms|compile|eval|io)/",
        "what a device offers concerns memory, not graphs",
    ),
    "metal": (
        r"(^|/)(primitive|array|ops|registry|transforms)\.h$|mlx_core/(ops|transforms|compile|eval|io|cpu)/",
        "shaders know memory, not graphs",
    ),
    "mlx_core": (r"^(Python\.h|nanobind/|pybind11/)", "only python/ knows Python"),
    "tests/cpp": (r"^(Python\.h|nanobind/|pybind11/)", "only python/ knows Python"),
}


@pytest.mark.parametrize("folder", DIRECTION)
def test_direction_of_includes(folder):
    pattern, reason = DIRECTION[folder]
    bad = [
        f"{shown(path)}:{number} includes {included}"
        for path in files(folder, suffixes={".cpp", ".h", ".metal"})
        for number, included in includes(path)
        if re.search(pattern, included)
    ]
    assert not bad, reason


def test_headers_are_included_once_and_by_full_path():
    bad = []
    for path in files("mlx_core", suffixes={".cpp", ".h"}):
        text = path.read_text(encoding="utf-8")
        once = "#pragma once" in text or path.name.endswith("-inl.h") or "No include guard" in first_comment(path)
        if path.suffix == ".h" and not once:
            bad.append(f"{shown(path)} lacks #pragma once, or the words 'No include guard' and the reason")
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'#include "([^"]+)"', line)
            if match and not match.group(1).startswith(("mlx_core/", "hwy/", "metal/")):
                bad.append(f'{shown(path)}:{number}: "{match.group(1)}" should begin with mlx_core/ or metal/')
    assert not bad


def test_kernels_are_dispatched_where_they_are_exported():
    # Where there is one instruction set to choose from, as on ARM, dispatch is N_NEON::kernel, and a using-directive makes
    # that ambiguous: nothing else here compiles it so.
    dispatching = [p for p in files("mlx_core", suffixes={".cpp", ".h"}) if "HWY_DYNAMIC_DISPATCH" in p.read_text()]
    assert len(dispatching) > 20
    assert not [shown(p) for p in dispatching if re.search(r"^\s*using namespace (?!hwy)", p.read_text(), re.MULTILINE)]


def test_signals_are_sent_without_collector_callbacks():
    # In programs of their own, which are strings, tests send signals as they like.
    names = {"setitimer", "kill", "raise_signal", "interrupted"}
    sending = [p for p in sorted((ROOT / "tests/python").glob("test_*.py"))
               if names & {n.attr for n in ast.walk(ast.parse(p.read_text())) if isinstance(n, ast.Attribute)}]
    assert len(sending) >= 2
    assert not [shown(p) for p in sending if 'usefixtures("no_collector_callbacks")' not in p.read_text()]


def test_the_checker_sees_a_violation(tmp_path):
    source = tmp_path / "x.cpp"
    source.write_text('// A file.\n#include "mlx_core/transforms/vjp.h"\n#  include <nanobind/nanobind.h>\n')
    assert list(includes(source)) == [(2, "mlx_core/transforms/vjp.h"), (3, "nanobind/nanobind.h")]
    assert first_comment(source) == "// A file."
