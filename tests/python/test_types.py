"""The type stubs: mypy --strict accepts the package and the examples, users' functions keep their types, and every public name
has a signature and a docstring."""

import ast
import pathlib
import re
import shutil
import subprocess
import sys

import mlx.core as mx
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = pathlib.Path(mx.__file__).parent

# What a line of a user's program is for mypy.
REVEALED = {
    "x.item()": "Any",
    "x.tolist()": "Any",
    "x + 1": "mlx.core.array",
    "1 - x": "mlx.core.array",
    "x == y": "mlx.core.array",
    "x[0, None]": "mlx.core.array",
    "mx.random.normal((2,))": "mlx.core.array",
    "mx.random.state[0]": "mlx.core.array",
    "mx.bool": "mlx.core.Dtype",
    "mx.zeros((2,), mx.bool).astype(mx.bool)": "mlx.core.array",
    "mx.can_cast(mx.bool, mx.int8)": "bool",
    "mx.roll(x, 1, axis=0)": "mlx.core.array",
    "mx.where(condition=x > 1, x=x, y=0)": "mlx.core.array",
    "mx.sum(a=x, axis=0, keepdims=True)": "mlx.core.array",
    "x.sum(axis=0, dtype=mx.float32, out=None)": "mlx.core.array",
    "mx.pow(x, 2)": "mlx.core.array",
    "mx.get_printoptions().precision": "int",
    "mx.metal.is_available()": "bool",
    "mx.fast.metal_kernel('k', ['x'], ['y'], '')": "mlx.core.fast.CustomKernel",
    "mx.fast.metal_kernel('k', ['x'], ['y'], '')(inputs=[x, 1.0], output_shapes=[x.shape], output_dtypes=[x.dtype], grid=(1, 1, 1), "
    "threadgroup=(1, 1, 1), template=[('T', mx.float32), ('n', 2)])": "list[mlx.core.array]",
    "mx.grad(loss)": "def (w: mlx.core.array, scale: float =) -> Any",
    "mx.value_and_grad(loss)(x)": "tuple[mlx.core.array, Any]",
    "mx.vmap(loss)(x, scale=2.0)": "mlx.core.array",
    "mx.checkpoint(loss)": "def (w: mlx.core.array, scale: float =) -> mlx.core.array",
    "mx.vjp(loss, [x], [y])[1]": "list[mlx.core.array]",
    "mx.vjp(loss, x, 1.0)": "tuple[Any, Any]",
    "mx.jvp(loss, [{'w': x}], [{'w': x}])": "tuple[Any, Any]",
    "mx.jvp(loss, [x], [y])[1]": "list[mlx.core.array]",
    "mx.pullback(loss, x)[1](y)": "tuple[Any, ...]",
    "mx.grad(loss, has_aux=True)(x)": "Any",
    "x.at[0].apply(mx.sin).at[0].set(1).at[0].power(2)": "mlx.core.array",
    "mx.moveaxis(x, (0,), (0,))": "mlx.core.array",
    "mx.repeat(x, [1, 2])": "mlx.core.array",
    "own(x)": "mlx.core.array",
    "own.vjp(lambda primals, cotangent, output: cotangent)(x)": "mlx.core.array",
    "tree_flatten({'w': x})": "list[tuple[str, Any]]",
    "tree_flatten({'w': x}, destination={})": "dict[str, Any]",
}
USER = """
import mlx.core as mx
from mlx.utils import tree_flatten

def loss(w: mx.array, scale: float = 1.0) -> mx.array:
    return mx.sum(w * w) * scale

@mx.custom_function
def own(w: mx.array) -> mx.array:
    return mx.sin(w)

x, y = mx.array([1.0, 2.0]), mx.array(3)
half: float = x[0].item() / 2
"""
# Each of these is wrong.
WRONG = ["mx.sin('x')", "x + 'x'", "mx.sum(x, axiss=0)", "mx.vmap(loss)(x, 1.0, 2.0)", "own('x')", "mx.zeros((2,), dtype='f')",
         "mx.random.normal(1.5)", "tree_flatten(x, destination=3)"]


def axpby_stub():
    """The stub of the example's module, which is not built for this."""
    signature = re.search(r'nb::sig\("(def axpby.*)"\)', (ROOT / "examples/custom_op/axpby.cpp").read_text())[1]
    return f"import mlx.core\n\n{signature}: ...\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the Python files of the package and its stubs, as the wheel has them; for a build tree they are written now."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "mlx").mkdir()
    for file in [*PACKAGE.glob("*.py"), PACKAGE / "py.typed"]:
        shutil.copy(file, folder / "mlx")
    if (PACKAGE / "core/__init__.pyi").exists():
        shutil.copytree(PACKAGE / "core", folder / "mlx/core")
    else:
        command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-r", "-m", "mlx.core", "-O", folder / "mlx"]
        subprocess.run([*command, "-p", ROOT / "python/stubs.pattern"], check=True)
        subprocess.run([sys.executable, ROOT / "python/stub_bool.py", folder / "mlx/core/__init__.pyi"], check=True)
    (folder / "axpby.pyi").write_text(axpby_stub())
    return folder


@pytest.mark.slow
def test_mypy_strict(package):
    pytest.importorskip("mypy")
    user, wrong = package / "user.py", package / "wrong.py"
    user.write_text(USER + "".join(f"reveal_type({line})\n" for line in REVEALED))
    wrong.write_text(USER + "".join(f"{line}\n" for line in WRONG))
    ours = [*package.glob("mlx/**/*.py"), *package.glob("mlx/**/*.pyi"), *ROOT.glob("examples/python/*.py")]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", "--cache-dir", package / "cache"]
    result = subprocess.run(
        [*command, "--no-error-summary", "--no-pretty", *ours, ROOT / "examples/custom_op/use.py", user, wrong],
        cwd=package, env={"MYPYPATH": str(package), "PATH": ""}, text=True, capture_output=True)
    messages = {}  # of the two programs: by line
    others = []
    for message in (result.stdout + result.stderr).splitlines():
        place = re.match(r"(user|wrong)\.py:(\d+): (error|note): (.*)", message)
        if place:
            messages.setdefault((place[1], int(place[2])), []).append((place[3], place[4]))
        else:
            others.append(message)
    assert not others, "\n".join(others)
    first = USER.count("\n") + 1
    revealed = {line: messages.pop(("user", first + i), None) for i, line in enumerate(REVEALED)}
    assert revealed == {line: [("note", f'Revealed type is "{kind}"')] for line, kind in REVEALED.items()}
    unseen = [line for i, line in enumerate(WRONG) if messages.pop(("wrong", first + i), [("note", "")])[0][0] != "error"]
    assert not unseen, unseen
    assert not messages, messages


def definitions(tree, prefix=""):
    """(qualified name, node) of each public function, method and class, dunder methods included."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not re.match(r"_(?!_)", node.name):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{prefix}{node.name}.")


def stubs(package):
    for file in sorted(package.glob("mlx/**/*.pyi")):
        module = ".".join(file.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        yield module, ast.parse(file.read_text(encoding="utf-8"))


def test_every_public_name_is_documented(package):
    documented, seen = set(), set()
    for module, tree in stubs(package):
        assert ast.get_docstring(tree), module
        for name, node in definitions(tree, f"{module}."):
            dunder = name.rsplit(".", 1)[1].startswith("__")
            setter = isinstance(node, ast.FunctionDef) and any(getattr(d, "attr", "") == "setter" for d in node.decorator_list)
            if not dunder and not setter:
                seen.add(name)
                documented |= {name} if ast.get_docstring(node) else set()  # of overloads, one is enough
    assert len(seen) > 200
    assert not seen - documented, sorted(seen - documented)


def test_every_signature_is_typed(package):
    """Each parameter and result has a type, and none takes just anything."""
    bad = []
    for module, tree in stubs(package):
        for name, node in definitions(tree, f"{module}."):
            if not isinstance(node, ast.FunctionDef):
                continue
            a = node.args
            parameters = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]
            untyped = [p.arg for p in parameters if p.annotation is None and p.arg != "self"]
            # These pass on what they are given to a function that is given, too.
            passes_on = name.endswith(("__array_ufunc__", ".__call__", ".export_to_dot", ".export_function", ".savez", ".savez_compressed"))
            anything = a.vararg and a.kwarg and not passes_on
            if untyped or anything or node.returns is None:
                bad.append(name)
    assert not bad, bad


def test_the_stubs_name_what_the_module_has(package):
    for module, tree in stubs(package):
        actual = mx if module == "mlx.core" else getattr(mx, module.rsplit(".", 1)[1])
        named = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        named |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
        named |= {node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)}  # second names of functions
        named |= {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
        assert {name for name in named if not name.startswith("_")} == {name for name in dir(actual) if not name.startswith("_")}
