"""Writes tests/golden/transforms.json and elementwise.json: values and derivatives computed by JAX in float64.

    PYTHONPATH=<build>/python python tools/make_goldens.py

needs jax and numpy beside the built mlx (whose registry says which ops there are). The functions and their arguments are those
of tests/python/golden_cases.py."""

import functools
import json
import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402  (after x64 is on)
import numpy as np  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python"))
import golden_cases  # noqa: E402


def plain(values):
    """JSON of an array: nested lists, complex numbers as [re, im] in a dict."""
    values = np.asarray(values)
    if np.iscomplexobj(values):
        return {"re": values.real.tolist(), "im": values.imag.tolist()}
    return values.tolist()


def transforms_of(name):
    """What every transform gives for one case. JAX's gradient of a real function is the conjugate of ours."""
    function = functools.partial(golden_cases.CASES[name], jnp)
    args = tuple(jnp.asarray(a) for a in golden_cases.arguments(name))
    tangents = tuple(jnp.asarray(a) for a in golden_cases.arguments(name, salt=1))
    every = tuple(range(len(args)))
    along = lambda f: lambda *a: jax.jvp(f, a, tangents)[1]
    grad = lambda *a: [jnp.conj(g) if jnp.iscomplexobj(g) else g for g in jax.grad(function, argnums=every)(*a)]
    value, tangent = jax.jvp(function, args, tangents)
    gradients, second = jax.jvp(grad, args, tangents)
    batch = [jnp.stack([a, a + 0.1 * t, a - 0.2 * t]) for a, t in zip(args, tangents)]
    return {
        "value": plain(value), "jvp": plain(tangent), "grad": [plain(g) for g in gradients],
        "jvp_of_grad": [plain(h) for h in second], "vmap_of_grad": [plain(g) for g in jax.vmap(grad)(*batch)],
        "third": plain(along(along(along(function)))(*args)),
    }


def jax_function(op):
    """JAX's function of the op's name, or None."""
    path = golden_cases.JAX_NAMES.get(op["name"], "jax.numpy." + op["name"])
    try:
        return functools.reduce(getattr, path.split(".")[1:], jax)
    except AttributeError:
        return None


def derivatives(function, args, i):
    """Value and three derivatives with respect to argument i, elementwise."""
    found, f = [], lambda x: function(*args[:i], x, *args[i + 1:])
    for _ in range(4):
        found.append(plain(jax.vmap(f)(args[i]) if len(args) == 1 else f(args[i])))
        f = (lambda g: lambda x: jax.jvp(g, (x,), (jnp.ones_like(x),))[1])(f)
    return found


def elementwise():
    import mlx.core as mx
    table = {}
    for op in mx._registry():
        function = jax_function(op)
        if not 1 <= op["arity"] <= 2 or op["differentiable"] == "no" or op["accepts"] in ("integral", "complex") or not function:
            continue
        args = [jnp.asarray(p) for p in golden_cases.points(op)]
        try:
            table[op["name"]] = [derivatives(function, args, i) for i in range(len(args))]
        except (TypeError, ValueError, NotImplementedError) as error:
            print(f"{op['name']}: left out: {error}", file=sys.stderr)
    return table


def write(name, content):
    path = ROOT / "tests" / "golden" / name
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in sorted(content.items()))
    path.write_text("{\n" + lines + "\n}\n")
    print(f"{path}: {len(content)} entries")


if __name__ == "__main__":
    write("transforms.json", {name: transforms_of(name) for name in golden_cases.CASES})
    write("elementwise.json", elementwise())
