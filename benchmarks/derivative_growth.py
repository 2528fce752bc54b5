"""How the graph of the n-th derivative grows: nodes of grad nested 1 to 8 times, beside the equations of JAX's jaxpr.

    PYTHONPATH=build/dev/python python benchmarks/derivative_growth.py [--peer PYTHON] [--by-primitive FUNCTION ORDER]

--peer names an interpreter that has JAX; where it has none our numbers stand alone. A jaxpr is what JAX's rules write down, as
our graph is what ours do: neither has been simplified.
"""

import argparse
import json
import subprocess
import sys

ORDERS = 8


def functions(np, logsumexp, softmax):
    """name -> (scalar function, its argument), written once for both libraries; np is mlx.core or jax.numpy."""
    w = np.array([[0.3, -0.2, 0.5], [0.1, 0.4, -0.6], [-0.7, 0.2, 0.8]])
    v = np.array([0.2, -0.3, 0.7])
    point, vector = np.array(0.7), np.array([0.3, -0.4, 0.9])
    return {
        "sin(x) * x": (lambda x: np.sin(x) * x, point),
        "exp(x) / x": (lambda x: np.exp(x) / x, point),
        "tanh(x)": (np.tanh, point),
        "x ** 3.5": (lambda x: x ** 3.5, point),
        "sigmoid(x)": (lambda x: 1 / (1 + np.exp(-x)), point),
        "log(1 + x * x)": (lambda x: np.log(1 + x * x), point),
        "mlp": (lambda x: (np.tanh(w @ np.tanh(w @ x)) * v).sum(), vector),
        "logsumexp": (logsumexp, vector),
        "softmax": (lambda x: softmax(x)[0], vector),
    }


def nested(grad, function, order, scalar):
    """The order-th derivative; of functions of a vector that of the gradient's sum."""
    for _ in range(order):
        inner = grad(function)
        function = inner if scalar else lambda x, inner=inner: inner(x).sum()
    return function


def ours(orders):
    import mlx.core as mx
    found = functions(mx, mx.logsumexp, mx.softmax)
    return {name: [mx._node_count(nested(mx.grad, f, n, x.ndim == 0)(x)) for n in range(orders + 1)]
            for name, (f, x) in found.items()}


def by_primitive(name, order):
    import mlx.core as mx
    f, x = functions(mx, mx.logsumexp, mx.softmax)[name]
    return mx._node_counts(nested(mx.grad, f, order, x.ndim == 0)(x))


def equations(jaxpr):
    """Equations, those of inner functions in their place."""
    total = 0
    for equation in jaxpr.eqns:
        inner = [p for p in equation.params.values() if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
        total += sum(equations(getattr(p, "jaxpr", p)) for p in inner) if inner else 1
    return total


def jax_counts(orders):
    import jax
    import jax.numpy as jnp
    found = functions(jnp, jax.scipy.special.logsumexp, jax.nn.softmax)
    return {name: [equations(jax.make_jaxpr(nested(jax.grad, f, n, x.ndim == 0))(x).jaxpr) for n in range(orders + 1)]
            for name, (f, x) in found.items()}


def peer_counts(peer, orders):
    done = subprocess.run([peer, __file__, "--print-jax", "--orders", str(orders)], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--by-primitive", nargs=2, metavar=("FUNCTION", "ORDER"))
    parser.add_argument("--print-jax", action="store_true", help="only JAX's counts, as JSON")
    options = parser.parse_args()
    if options.print_jax:
        print(json.dumps(jax_counts(options.orders)))
        return
    if options.by_primitive:
        name, order = options.by_primitive
        for primitive, count in by_primitive(name, int(order)).items():
            print(f"{primitive:20} {count}")
        return
    theirs = peer_counts(options.peer, options.orders)
    print(f"{'function':16} {'':5}" + "".join(f"{n:8}" for n in range(options.orders + 1)))
    for name, counts in ours(options.orders).items():
        print(f"{name:16} ours " + "".join(f"{c:8}" for c in counts))
        if theirs:
            print(f"{'':16} JAX  " + "".join(f"{c:8}" for c in theirs[name]))


if __name__ == "__main__":
    main()
