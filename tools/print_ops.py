"""Prints docs/ops.md: every registered op with what it accepts and whether it has a derivative.

    python tools/print_ops.py > docs/ops.md
"""

import mlx.core as mx

ACCEPTS = {
    "all": "every dtype",
    "numeric": "every dtype but bool",
    "inexact": "floating, complex; integers as float32",
    "floating": "floating; integers as float32",
    "real": "every dtype but complex",
    "integral": "integers, bool",
    "complex": "complex",
}


def derivative(op: dict) -> str:
    if op["differentiable"] == "yes":
        return "yes"
    kind = "zero" if op["differentiable"] == "zero" else "none"
    return f"{kind}: {op['reason']}" if op["reason"] else kind


def lines():
    yield "# Operations"
    yield ""
    yield "Made by `tools/print_ops.py` from the registry; a test compares it. Every op works under `vjp`, `jvp` and `vmap`; the"
    yield "derivative column says what it contributes."
    family = None
    for op in mx._registry():
        if op["family"] != family:
            family = op["family"]
            yield ""
            yield f"## {family.replace('_', ' ')}"
            yield ""
            yield "| op | what | dtypes | derivative |"
            yield "| --- | --- | --- | --- |"
        yield f"| `{op['name']}` | {op['summary'].replace('|', chr(92) + '|')} | {ACCEPTS[op['accepts']]} | {derivative(op)} |"


    yield ""
    yield "## Second names"
    yield ""
    yield "As MLX has them, for NumPy and the Array API:"
    pairs = [f"`{name}` is `{function.__name__}`" for name, function in vars(mx).items() if is_second(name, function)]
    yield ", ".join(sorted(pairs)) + "."


def is_second(name: str, function: object) -> bool:
    own = getattr(function, "__name__", name)
    return not name.startswith("_") and own != name and getattr(mx, own, None) is function and hasattr(function, "__nb_signature__")


if __name__ == "__main__":
    print("\n".join(lines()))
