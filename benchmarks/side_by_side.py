"""The same small programs in this library, in Apple's MLX and in JAX: what each answers, or how it fails.

    python benchmarks/side_by_side.py --mlx PYTHON --jax PYTHON

PYTHON is an interpreter that has that framework (Apple's mlx and ours cannot be in one environment). A program is an expression; a
framework without the feature has none ("-").
"""

import argparse
import subprocess
import sys

PRELUDE = {
    "ours": "import mlx.core as mx\nx = mx.array([1.0, 2.0, 3.0])\nzero = mx.array([0.0, 4.0])",
    "mlx": "import mlx.core as mx\nx = mx.array([1.0, 2.0, 3.0])\nzero = mx.array([0.0, 4.0])",
    "jax": "import jax, jax.numpy as jnp\nfrom jax import lax\nx = jnp.array([1.0, 2.0, 3.0])\nzero = jnp.array([0.0, 4.0])",
}
PRELUDE["ours"] += """
def rise(state):
    return state[0] * 1.5, state[1] + 1
def grown(y):
    return mx.while_loop(lambda s: s[0] < 10, rise, (y, mx.array(0)))[0]
def rows(y, i, v):
    y[i] = v
    return y
"""
PRELUDE["mlx"] += """
def rows(y, i, v):
    y[i] = v
    return y
"""
PRELUDE["jax"] += """
def rise(state):
    return state[0] * 1.5, state[1] + 1
def grown(y):
    return lax.while_loop(lambda s: s[0] < 10, rise, (y, 0))[0]
"""

# name: (ours, MLX, JAX).
PROGRAMS = {
    "jacobian": ("mx.jacobian(lambda a: a * a)(x)", "mx.jacobian(lambda a: a * a)(x)", "jax.jacrev(lambda a: a * a)(x)"),
    "hessian": ("mx.hessian(lambda a: (a ** 3).sum())(x)", "mx.hessian(lambda a: (a ** 3).sum())(x)", "jax.hessian(lambda a: (a ** 3).sum())(x)"),
    "linearize": ("mx.linearize(mx.sin, x)[1](x)", "mx.linearize(mx.sin, x)[1](x)", "jax.linearize(jnp.sin, x)[1](x)"),
    "sparse jacobian": ("mx.sparse_jacobian(lambda a: a[1:] * a[:-1])(x)", "-", "-"),
    "vmap in chunks": ("mx.vmap(mx.sin, chunk_size=2)(x)", "-", "lax.map(jnp.sin, x, batch_size=2)"),
    "reverse through while_loop": ("mx.grad(grown)(mx.array(1.0))", "-", "jax.grad(grown)(1.0)"),
    "vmap of while_loop": ("mx.vmap(grown)(x)", "-", "jax.vmap(grown)(x)"),
    "second order scan": (
        "mx.grad(mx.grad(lambda a: mx.scan(lambda c, v: (mx.sin(c * v), c), a, x)[0]))(mx.array(0.5))",
        "-",
        "jax.grad(jax.grad(lambda a: lax.scan(lambda c, v: (jnp.sin(c * v), c), a, x)[0]))(0.5)",
    ),
    "branch under vmap": (
        "mx.vmap(lambda p, a: mx.cond(p, mx.sin, mx.cos, a))(x > 1, x)",
        "-",
        "jax.vmap(lambda p, a: lax.cond(p, jnp.sin, jnp.cos, a))(x > 1, x)",
    ),
    "masked sqrt, gradient": (
        "mx.grad(lambda a: mx.where(a > 0, mx.sqrt(a), 0).sum())(zero)",
        "mx.grad(lambda a: mx.where(a > 0, mx.sqrt(a), 0).sum())(zero)",
        "jax.grad(lambda a: jnp.where(a > 0, jnp.sqrt(a), 0).sum())(zero)",
    ),
    "masked quotient, gradient": (
        "mx.grad(lambda a: mx.where(a == 0, 0, 1 / a).sum())(zero)",
        "mx.grad(lambda a: mx.where(a == 0, 0, 1 / a).sum())(zero)",
        "jax.grad(lambda a: jnp.where(a == 0, 0, 1 / a).sum())(zero)",
    ),
    "in place, only the index mapped": (
        "mx.vmap(rows, in_axes=(None, 0, None))(mx.zeros((2,)), mx.array([0, 1]), 5.0)",
        "mx.vmap(rows, in_axes=(None, 0, None))(mx.zeros((2,)), mx.array([0, 1]), mx.array(5.0))",
        "jax.vmap(lambda y, i, v: y.at[i].set(v), in_axes=(None, 0, None))(jnp.zeros(2), jnp.array([0, 1]), 5.0)",
    ),
    "draws differ between lanes": (
        "len(set(mx.vmap(lambda a: a * 0 + mx.random.uniform())(x).tolist()))",
        "len(set(mx.vmap(lambda a: a * 0 + mx.random.uniform())(x).tolist()))",
        "-",
    ),
    "scatter multiply, gradient": (
        "mx.grad(lambda a: a.at[mx.array([0, 0])].multiply(a[:2]).sum())(x)",
        "mx.grad(lambda a: a.at[mx.array([0, 0])].multiply(a[:2]).sum())(x)",
        "jax.grad(lambda a: a.at[jnp.array([0, 0])].multiply(a[:2]).sum())(x)",
    ),
    "cumprod, forward": (
        "mx.jvp(mx.cumprod, [x], [x])[1][0]",
        "mx.jvp(mx.cumprod, [x], [x])[1][0]",
        "jax.jvp(jnp.cumprod, [x], [x])[1]",
    ),
    "compile sees a change in place": (
        "(lambda w: (lambda f: (f(x), w.__iadd__(1), f(x))[2])(mx.compile(lambda a: a * w)))(mx.array(1.0))",
        "(lambda w: (lambda f: (f(x), w.__iadd__(1), f(x))[2])(mx.compile(lambda a: a * w)))(mx.array(1.0))",
        "-",
    ),
    "check_grads": ("mx.check_grads(mx.sin, (x.astype(mx.float64),))", "-", "__import__('jax.test_util').test_util.check_grads(jnp.sin, (x,), 2)"),
}


def answer(python, framework, program):
    code = f"{PRELUDE[framework]}\nprint(repr({program}))"
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True)
    if ran.returncode < 0:
        return f"killed by signal {-ran.returncode}"
    errors = [line for line in ran.stderr.splitlines() if "Error: " in line and not line.startswith(" ")] or ["?"]
    text = ran.stdout if ran.returncode == 0 else "raises " + errors[-1]
    return " ".join(text.split()).replace(", dtype=float32", "").replace(", weak_type=True", "")[:110]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlx", help="an interpreter with Apple's mlx")
    parser.add_argument("--jax", help="an interpreter with jax")
    options = parser.parse_args()
    pythons = {"ours": sys.executable, "mlx": options.mlx, "jax": options.jax}
    for name, programs in PROGRAMS.items():
        print(name)
        for framework, program in zip(pythons, programs):
            if pythons[framework]:
                print(f"  {framework:5} {'-' if program == '-' else answer(pythons[framework], framework, program)}")


if __name__ == "__main__":
    main()
