"""What a call costs: scalars and tiny arrays, Python loops that make graphs, slices by the thousand, updates in place, loops."""

import numpy

from frameworks import values
from rows import grid, workload

MANY = [{"n": 200}, {"n": 2000}]


@workload("scalar: sin(x) * 2 + x")
def scalar(fw):
    return lambda x: fw.np.sin(x) * 2.0 + x, (fw.array(values(())),)


@workload("8 floats: sin(x) * 2 + x", quick={})
def tiny(fw):
    return lambda x: fw.np.sin(x) * 2.0 + x, (fw.array(values(8)),)


@workload("8 floats: gradient of sum(sin(x) * x)", quick={})
def tiny_gradient(fw):
    return fw.grad(lambda x: (fw.np.sin(x) * x).sum()), (fw.array(values(8)),)


@workload("tree of 8 floats: a dict in, a dict out")
def tree(fw):
    params = {"a": fw.array(values(8)), "b": fw.array(values(8, seed=1))}
    return lambda p, x: {"a": p["a"] + x, "b": p["b"] * fw.np.tanh(x)}, (params, fw.array(values(8, seed=2)))


@workload("Python loop of {n} steps of 2 ops on 8 floats", [{"n": n} for n in (10, 100, 500)], series="graph of a Python loop: steps")
def python_loop(fw, n):
    def f(x):
        for _ in range(n):
            x = fw.np.sin(x) * 1.0001
        return x

    return f, (fw.array(values(8)),)


@workload("gradient of a Python loop of {n} steps on 8 floats", [{"n": 500}])
def python_loop_gradient(fw, n):
    f, arguments = python_loop(fw, n)
    return fw.grad(lambda x: f(x).sum()), arguments


@workload("gradient of a Python loop of {n} steps on 8 floats", [{"n": 10_000}], modes=("eager",), without=("jax", "mlx"))
def long_gradient(fw, n):
    return python_loop_gradient(fw, n)


@workload("{n} slices and sums, rows and columns", [{"n": 512}, {"n": 4096}], modes=("eager",), without=("jax",), quick={"n": 512})
def slices(fw, n):
    return lambda x, y: [x[i] + y[:, i] for i in range(n)], (fw.array(values((n, 100))), fw.array(values((100, n))))


@workload("stack of {n} slices", MANY, without=("jax",))
def stacked(fw, n):
    return lambda x: fw.np.stack([x[i] * 2 for i in range(n)]), (fw.array(values((n, 64))),)


@workload("gradient of a stack of {n} slices", MANY, without=("jax",))
def stacked_gradient(fw, n):
    return fw.grad(lambda x: (fw.np.stack([x[i] * 2 for i in range(n)]) ** 2).sum()), (fw.array(values((n, 64))),)


@workload("x[i] = v in a loop, {n} times, one evaluation", [{"n": 2000}], quick={"n": 2000})
def in_place(fw, n):
    def f(x, v):
        return fw.loop(n, lambda i, x: fw.set(x, i, v), x)

    return f, (fw.array(values((n, 64))), fw.array(values(64)))


@workload("x[i + 1] = x[i] * 0.5 + v in a loop, {n} times", [{"n": 2000}])
def in_place_recurrence(fw, n):
    def f(x, v):
        return fw.loop(n, lambda i, x: fw.set(x, i + 1, x[i] * 0.5 + v), x)

    return f, (fw.array(values((n + 1, 64))), fw.array(values(64)))


@workload("{what}, evaluated, of {n} floats", grid(what=["x[5] = v", "x[5] = x[6] * 2", "x[[0, 5]] = v"], n=[4096, 262_144, 10_485_760]),
          modes=("eager",), without=("jax",))
def one_update(fw, what, n):
    x, v, pair = fw.array(values((max(n, 64) // 8, 8))), fw.array(values(8)), fw.array(numpy.array([0, 5], numpy.int32))
    index = pair if what == "x[[0, 5]] = v" else 5
    update = (lambda v: fw.set(x, 5, x[6] * 2)) if what == "x[5] = x[6] * 2" else (lambda v: fw.set(x, index, v))
    return update, (v,)  # x is captured, as where a loop of the user's holds it


@workload("scan of {n} steps, a body of 2 ops on 4 floats", [{"n": 10_000}])
def scan(fw, n):
    def step(carry, x):
        carry = carry * 0.9 + x
        return carry, carry

    return lambda c, xs: fw.scan(step, c, xs), (fw.array(values(4)), fw.array(values((n, 4))))


@workload("gradient of a scan of {n} steps on 4 floats", [{"n": 10_000}], quick={"n": 10_000})
def scan_gradient(fw, n):
    f, arguments = scan(fw, n)
    return fw.grad(lambda c, xs: (f(c, xs)[1] ** 2).sum(), argnums=(0, 1)), arguments


@workload("integrate and fire, a scan of {n} steps on {size} floats", [dict(n=2000, size=8)], quick=dict(n=2000, size=8))
def neurons(fw, n, size):
    """What leaks, adds its input, and is set back where it has passed a threshold."""
    def step(v, x):
        v = v * 0.9 + x
        fired = v > 1
        v = fw.np.where(fired, v * 0, v)
        return v, v

    return lambda v, xs: fw.scan(step, v, xs), (fw.array(values(size)), fw.array(abs(values((n, size))) * 0.5))


@workload("gradient of integrate and fire, a scan of {n} steps on {size} floats", [dict(n=2000, size=8)])
def neurons_gradient(fw, n, size):
    f, arguments = neurons(fw, n, size)
    return fw.grad(lambda v, xs: (f(v, xs)[1] ** 2).sum(), argnums=(0, 1)), arguments


@workload("Lorenz' system by Runge-Kutta, a scan of {n} steps", [{"n": 1000}], quick={"n": 1000})
def lorenz(fw, n):
    def slope(y):
        return fw.np.stack([10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]])

    def step(y, dt):
        a = slope(y)
        b = slope(y + dt / 2 * a)
        c = slope(y + dt / 2 * b)
        y = y + dt / 6 * (a + 2 * b + 2 * c + slope(y + dt * c))
        return y, y[0]

    return lambda y, dts: fw.scan(step, y, dts), (fw.array(abs(values(3))), fw.array(0.001 + 0 * values(n)))


@workload("heat on a grid of {n} x {n}, a scan of {turns} steps", [dict(n=n, turns=30) for n in (64, 128, 256)])
def heat(fw, n, turns):
    def step(u, rate):
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        u = u + rate * fw.pad(around - 4 * u[1:-1, 1:-1])
        return u, u[0, 0]

    return lambda u, rates: fw.scan(step, u, rates), (fw.array(values((n, n))), fw.array(0.1 + 0 * values(turns)))


@workload("{kind} of {n} small arrays", grid(kind=["sgd", "adam"], n=[100]))
def update(fw, kind, n):
    """One step of an optimizer, written out."""
    def sgd(p, g, m, v):
        return p - 0.1 * g, m, v

    def adam(p, g, m, v):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return p - 0.001 * m / (fw.np.sqrt(v) + 1e-8), m, v

    one = {"sgd": sgd, "adam": adam}[kind]
    state = [[fw.array(abs(values(64, seed=k * n + i))) for i in range(n)] for k in range(4)]
    return lambda p, g, m, v: [one(*each) for each in zip(p, g, m, v)], tuple(state)
