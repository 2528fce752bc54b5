"""Matrix products: dtypes, shapes, orders of the operands in memory, batches; bias and activation; attention."""

import numpy

from frameworks import values
from rows import grid, workload

DTYPES = ("float32", "float64", "bfloat16", "float16", "complex64")
SHAPES = [  # what, m, k, n
    ("a dozen rows", 12, 2048, 2048), ("a dozen columns", 2048, 2048, 12), ("thin inside", 1024, 32, 1024), ("long inside", 64, 65_536, 64),
    ("matrix vector", 2048, 2048, 1), ("vector matrix", 1, 2048, 2048), ("tall", 100_000, 16, 16),
]


def operand(fw, shape, dtype, seed, turned=False, scale=1.0):
    x = values(shape, scale, seed)
    if "complex" in dtype:
        x = (x + 1j * values(shape, scale, seed + 7)).astype(numpy.complex64)
    elif "int" in dtype:
        x = x * 8
    if turned:  # the columns are consecutive in memory: the function gets the transpose
        return fw.array(numpy.ascontiguousarray(numpy.swapaxes(x, -1, -2)), dtype)
    return fw.array(x, dtype)


def product(fw, a, b, dtype, orders="nn"):
    turn = lambda x, order: fw.np.swapaxes(x, -1, -2) if order == "t" else x
    arrays = [operand(fw, shape, dtype, seed, order == "t") for seed, (shape, order) in enumerate(zip((a, b), orders))]
    return lambda x, y: turn(x, orders[0]) @ turn(y, orders[1]), tuple(arrays)


@workload("matmul {dtype}, {n} x {n}", grid(dtype=DTYPES, n=[64, 256, 512, 1024]), modes=("eager",), tolerance=3e-2,
          quick={"dtype": "float32", "n": 1024})
def square(fw, dtype, n):
    return product(fw, (n, n), (n, n), dtype)


@workload("matmul {dtype}, {n} x {n}", grid(dtype=["complex128", "int32"], n=[256]), modes=("eager",))
def square_others(fw, dtype, n):
    return product(fw, (n, n), (n, n), dtype)


@workload("matmul {what}, {m} x {k} by {k} x {n}", [dict(zip(("what", "m", "k", "n"), s)) for s in SHAPES], modes=("eager",), tolerance=1e-3,
          quick=dict(zip(("what", "m", "k", "n"), SHAPES[0])))
def skinny(fw, what, m, k, n):
    return product(fw, (m, k), (k, n), "float32")


@workload("matmul {what} {dtype}, {m} x {k} by {k} x {n}",
          [dict(what=w, dtype=d, m=m, k=k, n=n) for w, m, k, n in (SHAPES[0], SHAPES[4]) for d in ("float64", "bfloat16")],
          modes=("eager",), tolerance=3e-2)
def skinny_dtypes(fw, what, dtype, m, k, n):
    return product(fw, (m, k), (k, n), dtype)


@workload("matmul of transposes {orders}, {n} x {n}", grid(orders=["nt", "tn", "tt"], n=[512]), modes=("eager",))
def transposes(fw, orders, n):
    return product(fw, (n, n), (n, n), "float32", orders)


@workload("{batch} products of {n} x {n}", [dict(batch=b, n=n) for b, n in ((10_000, 4), (1000, 16), (256, 64))], modes=("eager",))
def batched(fw, batch, n):
    return product(fw, (batch, n, n), (batch, n, n), "float32")


@workload("{batch} vectors by vectors of {n}", [dict(batch=1000, n=64)], modes=("eager",))
def dots(fw, batch, n):
    return product(fw, (batch, 1, n), (batch, n, 1), "float32")


@workload("matmul of subnormal {what}, {n} x {n}", grid(what=["operands", "products"], n=[512]), modes=("eager",), tolerance=None)
def subnormal(fw, what, n):
    """Not compared: frameworks differ in whether such numbers are zeros."""
    scales = {"operands": (1e-40, 1.0), "products": (1e-20, 1e-20)}[what]
    return lambda x, y: x @ y, tuple(operand(fw, (n, n), "float32", i, scale=s) for i, s in enumerate(scales))


@workload("{what} layer, {m} x {k} by {k} x {n}", [dict(what=w, m=256, k=1024, n=1024) for w in ("bias", "bias and ReLU", "bias and GELU")])
def layer(fw, what, m, k, n):
    activation = {"bias": lambda x: x, "bias and ReLU": fw.relu, "bias and GELU": fw.gelu}[what]
    arrays = fw.array(values((m, k))), fw.array(values((k, n), 0.03, seed=1)), fw.array(values(n, seed=2))
    return lambda x, w, b: activation(x @ w + b), arrays


def heads(fw, b, h, n, d):
    return tuple(fw.array(values((b, h, n, d), seed=i)) for i in range(3))


@workload("attention, {b} x {h} heads x {n} x {d}", [dict(b=2, h=8, n=512, d=64), dict(b=1, h=8, n=1, d=64)])
def attention(fw, b, h, n, d):
    q, k, v = heads(fw, b, h, max(n, 512) if n == 1 else n, d)
    return lambda q, k, v: fw.attention(q, k, v), (q[:, :, :n], k, v)


@workload("gradient of attention, {b} x {h} heads x {n} x {d}", [dict(b=2, h=8, n=512, d=64)])
def attention_gradient(fw, b, h, n, d):
    return fw.grad(lambda q, k, v: (fw.attention(q, k, v) ** 2).sum(), argnums=(0, 1, 2)), heads(fw, b, h, n, d)


@workload("matmul float32 of side {n}", [{"n": n} for n in (8, 32, 128, 512, 2048)], modes=("eager",), tolerance=1e-3,
          series="float32 matmul: side")
def scaling(fw, n):
    return product(fw, (n, n), (n, n), "float32")
