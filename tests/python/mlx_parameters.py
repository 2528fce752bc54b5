"""The names of MLX 0.32.4 and their signatures, from mlx_signatures.txt: a line for each name of mlx.core and its submodules
(`## linalg`), the members of a class below it. Types are left out there; names, their order and defaults are not."""

import dataclasses
import pathlib
import re

# What is not here yet. Everything else of the list is.
MISSING = {*"quantized_matmul quantize dequantize gather_qmm gather_qqmm qqmm".split()}
MISSING_MODULES = {"distributed"}
# In Apple's stub only, and a module's way to have an attribute: random.state is here another way.
NOT_MEANT = {"DLPackCompatible", "random.__getattr__"}


@dataclasses.dataclass(frozen=True)
class Parameter:
    name: str  # with the stars of *args and **kwargs
    default: str | None
    by_name_only: bool

    @property
    def rest(self):
        return self.name.startswith("*")


def split_outside(text, separator):
    """The parts between separators that are in no bracket and no string."""
    depth, quote, parts, part = 0, None, [], ""
    for c in text + separator:
        if quote:
            quote = None if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if c == separator and depth == 0 and not quote:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return [part for part in parts if part]


def parameters_in(text):
    """Of what stands between the parentheses of a signature, types or not: `a: array, /, n=1, *, stream: X = None`."""
    found, by_name_only = [], False
    for part in split_outside(text, ","):
        if part in ("*", "/"):
            by_name_only |= part == "*"
            continue
        named, *default = split_outside(part, "=")
        name = re.match(r"\*{0,2}\w+", named)[0]
        found.append(Parameter(name, default[0] if default else None, by_name_only))
        by_name_only |= name.startswith("*")
    return found


def _read():
    functions, classes, values, module, owner = {}, {}, [], "", None
    for line in (pathlib.Path(__file__).parent / "mlx_signatures.txt").read_text().splitlines():
        if line.startswith("## "):
            module = "" if line == "## core" else line[3:] + "."
            continue
        member, text = line.startswith(" "), line.strip()
        if module.rstrip(".") in MISSING_MODULES:
            continue
        if text.startswith("class "):
            owner = module + text[6:]
            classes[owner] = {}
        elif member:
            name = re.match(r"(?:property )?(\w+)", text)[1]
            classes[owner][name] = parameters_in(text[text.index("(") + 1 : -1]) if text.endswith(")") else None
        elif text.endswith(")"):
            functions.setdefault(module + text[: text.index("(")], parameters_in(text[text.index("(") + 1 : -1]))  # the first overload
        else:
            values.append(module + text)
    return functions, classes, values


_functions, CLASSES, VALUES = _read()
FUNCTIONS = {name: parameters for name, parameters in _functions.items() if name not in MISSING | NOT_MEANT}
CLASSES = {name: members for name, members in CLASSES.items() if name not in NOT_MEANT}
PARAMETERS = {name: " ".join(p.name for p in parameters) for name, parameters in FUNCTIONS.items()}
