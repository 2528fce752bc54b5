"""Prints the table of kinds of work in docs/devices.md, from the sources; with a built mslcheck also the number of kernels.

python tools/print_devices.py [build/metal/metal/emulator/mslcheck]
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def kinds():
    """(name, the first sentence of its comment) of each kind in request.h, in the order of the variant."""
    text = text_of("mlx_core/backend/request.h")
    variant = re.search(r"using Request = std::variant<(.*?)>;", text, re.DOTALL).group(1)
    for name in re.findall(r"const (\w+)\*", variant):
        comment = re.search(rf"((?://[^\n]*\n)+)struct {name} \{{", text).group(1)
        words = " ".join(line.removeprefix("//").strip() for line in comment.splitlines())
        yield name, re.split(r"(?<=\.)\s", words)[0].rstrip(".").replace("|", "\\|")


def launcher_of(kind):
    for path in sorted((ROOT / "mlx_core/gpu").glob("launch_*.cpp")):
        if f"void launch(Encoder& encoder, const kernel::{kind}& k)" in path.read_text(encoding="utf-8"):
            return path
    return None  # left to the CPU


def shader_of(path, kind):
    """The shader file that the launch function asks for, or what it is printed by."""
    text = path.read_text(encoding="utf-8")
    if "kernel_of_text" in text:
        return "printed: `fused_msl.cpp`" if kind == "Fused" else "the user's"
    body = text[text.index(f"void launch(Encoder& encoder, const kernel::{kind}& k)") :]
    body = body[: body.index("\n}\n")]
    names = re.findall(r'\.kernel\("(\w+)"', body) or sorted(set(re.findall(r'\.kernel\("(\w+)"', text)))
    return ", ".join(f"`{name}.metal`" for name in dict.fromkeys(names))


def table():
    yield "| kind | what | launched by | shaders |"
    yield "| --- | --- | --- | --- |"
    for name, what in kinds():
        path = launcher_of(name)
        if path is None:
            yield f"| `{name}` | {what} | the CPU alone | |"
            continue
        yield f"| `{name}` | {what} | `{path.name}` | {shader_of(path, name)} |"


def figures(mslcheck):
    files = sorted(str(path) for path in (ROOT / "metal").glob("*.metal"))
    listed = subprocess.run([mslcheck, "--list", *files], capture_output=True, text=True, check=True).stdout.split()
    launched = sum(launcher_of(name) is not None for name, _ in kinds())
    yield f"{len(list(kinds()))} kinds, {launched} of them with a launch function; {len(files)} shader files with {len(listed)} kernels."


if __name__ == "__main__":
    print("\n".join(table()))
    for argument in sys.argv[1:]:
        print("\n" + "\n".join(figures(argument)))
