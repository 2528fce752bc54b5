"""Reductions over each axis, and what a row of a matrix is normalised with: softmax, norms, losses; forward and backward."""

from frameworks import integers, values
from rows import grid, workload

ROWS = {"n": 1024, "m": 4096}


@workload("{op} over {axis}, {n} x {m}", grid(op=["sum", "max"], axis=["all", "axis 0", "axis 1"], n=[2048], m=[2048]), modes=("eager",),
          quick={"op": "sum", "axis": "axis 0", "n": 2048, "m": 2048})
def reduction(fw, op, axis, n, m):
    function, axis = getattr(fw.np, op), {"all": None, "axis 0": 0, "axis 1": 1}[axis]
    return (lambda x: function(x, axis=axis)) if axis is not None else (lambda x: function(x)), (fw.array(values((n, m))),)


@workload("sum over {axis}, {n} x {n} x {n}", grid(axis=["axis 0", "axis 1", "axis 2", "axes 0, 2"], n=[160]), modes=("eager",))
def cubes(fw, axis, n):
    axes = tuple(map(int, axis.split(maxsplit=1)[1].split(", ")))
    return lambda x: fw.np.sum(x, axis=axes), (fw.array(values((n, n, n))),)


@workload("sum, {dtype}, {n}", grid(dtype=["float64", "bfloat16", "int32"], n=[4_194_304]), modes=("eager",), tolerance=3e-2)
def sums(fw, dtype, n):
    return lambda x: fw.np.sum(x), (fw.array(values(n, scale=8.0) + 9, dtype),)


@workload("var over axis 1, {n} x {m}", [ROWS])
def variance(fw, n, m):
    return lambda x: ((x - fw.np.mean(x, axis=1, keepdims=True)) ** 2).mean(axis=1), (fw.array(values((n, m))),)


@workload("argmax over axis 1, {n} x {m}", [ROWS], modes=("eager",))
def argmax(fw, n, m):
    return lambda x: fw.np.argmax(x, axis=1), (fw.array(values((n, m))),)


@workload("sum(x * y), {n}", [{"n": 4_194_304}])
def product_sum(fw, n):
    return lambda x, y: fw.np.sum(x * y), (fw.array(values(n)), fw.array(values(n, seed=1)))


def pairs(name, cases, quick=None):
    """Registers a function of a matrix and of further arguments, and its gradient with respect to all that are floating."""

    def register(build):
        workload(name, cases, quick)(build)

        @workload("gradient of " + name, cases)
        def gradient(fw, **sizes):
            f, arguments = build(fw, **sizes)
            wanted = tuple(i for i, a in enumerate(arguments) if "int" not in str(a.dtype))
            weight = fw.array(values(sizes["m"], seed=9))

            def scalar(weight, *xs):
                y = f(*xs)
                return (y * weight).sum() if y.ndim > 1 else y.sum()

            return fw.grad(scalar, tuple(i + 1 for i in wanted)), (weight, *arguments)

        gradient.__module__ = build.__module__
        return build

    return register


@pairs("softmax over rows, {n} x {m}", [ROWS, {"n": 16_384, "m": 64}], quick=ROWS)
def softmax(fw, n, m):
    return lambda x: fw.softmax(x), (fw.array(values((n, m))),)


@pairs("logsumexp over rows, {n} x {m}", [ROWS])
def logsumexp(fw, n, m):
    return lambda x: fw.logsumexp(x), (fw.array(values((n, m))),)


def normalised(fw, n, m):
    return fw.array(values((n, m))), fw.array(values(m, seed=1)), fw.array(values(m, seed=2))


@pairs("layer norm, {n} x {m}", [ROWS], quick=ROWS)
def layer_norm(fw, n, m):
    return lambda x, w, b: fw.layer_norm(x, w, b), normalised(fw, n, m)


@pairs("layer norm written out, {n} x {m}", [ROWS])
def layer_norm_written_out(fw, n, m):
    def f(x, w, b):
        mean = x.mean(axis=-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return (x - mean) / fw.np.sqrt(variance + 1e-5) * w + b

    return f, normalised(fw, n, m)


@pairs("RMS norm, {n} x {m}", [ROWS])
def rms_norm(fw, n, m):
    x, w, _ = normalised(fw, n, m)
    return lambda x, w: fw.rms_norm(x, w), (x, w)


@pairs("cross entropy, {n} x {m}", [ROWS])
def cross_entropy(fw, n, m):
    return lambda x, t: fw.cross_entropy(x, t), (fw.array(values((n, m))), fw.array(integers(m, n)))
