"""Elementwise operations: chains over sizes, orders in memory and dtypes; copies."""

import numpy

from frameworks import values
from rows import grid, workload

SIZES = (65_536, 2_097_152, 16_777_216)
LAYOUTS = ("plain", "strided", "broadcast", "transposed")
CASES = grid(n=SIZES, layout=LAYOUTS, dtype=["float32"]) + [
    {"n": n, "layout": layout, "dtype": dtype}
    for dtype in ("float64", "bfloat16") for n in SIZES for layout in LAYOUTS if layout == "plain" or n == SIZES[1]
]


def side(n):
    return max(2, int(n**0.5))


def operands(fw, n, layout, dtype):
    """Two matrices of n elements in all, where a function reads them; and how it gets at them."""
    m = side(n)
    x, y = values((m, m)), values((m, m), seed=1)
    if layout == "strided":
        wide = [numpy.repeat(v, 2, axis=1) for v in (x, y)]
        return [fw.array(v, dtype) for v in wide], lambda v: v[:, ::2]
    if layout == "broadcast":
        return [fw.array(x, dtype), fw.array(y[0], dtype)], lambda v: v
    if layout == "transposed":
        return [fw.array(x, dtype), fw.array(y, dtype)], lambda v: fw.np.swapaxes(v, 0, 1)
    return [fw.array(x, dtype), fw.array(y, dtype)], lambda v: v


@workload("chain of 8 ops, {layout} {dtype}, {n}", CASES, tolerance=2e-2, quick={"n": SIZES[1], "layout": "plain", "dtype": "float32"})
def chain(fw, n, layout, dtype):
    arrays, view = operands(fw, n, layout, dtype)

    def f(x, y):
        x = view(x)
        y = y if layout == "transposed" else view(y)
        z = x * y + 0.5 * x - y * y
        return fw.np.tanh(z) * x + 1.5

    return f, tuple(arrays)


@workload("20 multiplies, adds, minima and maxima, {n}", [{"n": 2_097_152}], quick={"n": 2_097_152})
def arithmetic(fw, n):
    def f(x, y):
        z = x
        for i in range(5):
            z = fw.np.minimum(fw.np.maximum(z * y + 0.25, x), y * (1.0 + i))
        return z

    return f, (fw.array(values(n)), fw.array(values(n, seed=1)))


@workload("x + y, {n}", [{"n": n} for n in SIZES], modes=("eager",))
def addition(fw, n):
    return lambda x, y: x + y, (fw.array(values(n)), fw.array(values(n, seed=1)))


@workload("{op}, {n}", grid(op=["exp", "log", "sin", "tanh", "erf"], n=[SIZES[1]]), modes=("eager",))
def unary(fw, op, n):
    function = fw.erf if op == "erf" else getattr(fw.np, op)
    return lambda x: function(x), (fw.array(abs(values(n)) + 0.1),)


@workload("GELU, {n}", [{"n": 4_194_304}], quick={"n": 4_194_304})
def gelu(fw, n):
    return lambda x: fw.gelu(x), (fw.array(values(n)),)


@workload("gradient of GELU, {n}", [{"n": 4_194_304}])
def gelu_gradient(fw, n):
    return fw.grad(lambda x: fw.gelu(x).sum()), (fw.array(values(n)),)


@workload("where(x > 0, x * y, exp(x)), {n}", [{"n": 2_097_152}])
def masked(fw, n):
    return lambda x, y: fw.np.where(x > 0, x * y, fw.np.exp(x)), (fw.array(values(n)), fw.array(values(n, seed=1)))


@workload("float32 to {dtype} and back, {n}", grid(dtype=["float64", "bfloat16", "int32"], n=[SIZES[1]]), tolerance=2e-2, modes=("eager",))
def conversion(fw, dtype, n):
    there, back = fw.array(numpy.zeros(1, numpy.float32), dtype).dtype, fw.array(numpy.zeros(1, numpy.float32)).dtype
    return lambda x: fw.astype(fw.astype(x, there), back), (fw.array(values(n, scale=10.0)),)


@workload("transposed copy, {n} x {n} {dtype}", grid(n=[256, 2048], dtype=["float32", "float64", "bfloat16"]), tolerance=2e-2, modes=("eager",))
def transposed(fw, n, dtype):
    return lambda x: fw.transposed(x), (fw.array(values((n, n)), dtype),)


@workload("axes (0, 1, 2) to (2, 0, 1), copied, {n} cubed", [{"n": 128}], modes=("eager",))
def turned(fw, n):
    return lambda x: fw.contiguous(fw.np.transpose(x, (2, 0, 1))), (fw.array(values((n, n, n))),)


@workload("concatenate 8 arrays of {n}", [{"n": 262_144}], modes=("eager",))
def concatenation(fw, n):
    return lambda *xs: fw.np.concatenate(xs), tuple(fw.array(values(n, seed=i)) for i in range(8))


@workload("chain of 8 ops, from {n} elements", [{"n": 10**k} for k in range(2, 8)], series="elementwise chain of 8: elements")
def scaling(fw, n):
    def f(x, y):
        z = x * y + 0.5 * x - y * y
        return fw.np.tanh(z) * x + 1.5

    return f, (fw.array(values(n)), fw.array(values(n, seed=1)))
