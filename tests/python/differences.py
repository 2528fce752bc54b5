"""The plain ways to evaluate what transforms give: central differences for derivatives, loops for vmap. Functions here take and
return MLX arrays of float64 or complex128."""

import itertools
import math

import mlx.core as mx
import numpy as np

import arrays
import samples

STEP = 1e-4


def direction(rng, like):
    """A random tangent or cotangent for an array."""
    values = rng.uniform(-1, 1, like.shape)
    if arrays.name_of(like.dtype) in arrays.COMPLEX:
        values = values + 1j * rng.uniform(-1, 1, like.shape)
    return arrays.to_mx(values, arrays.name_of(like.dtype))


def along(function, primals, tangents):
    """h -> function(primals + h tangents), as a list of NumPy arrays; function returns a list of arrays."""
    points = [arrays.to_np(p) for p in primals]
    moves = [arrays.to_np(t) for t in tangents]

    def at(h):
        args = [arrays.to_mx(p + h * t, arrays.name_of(a.dtype)) for p, t, a in zip(points, moves, primals)]
        return [arrays.to_np(y).astype(complex if y.dtype in (mx.complex64, mx.complex128) else float)
                for y in function(*args)]
    return at


def one_sided(function, primals, tangents, step):
    """The quotient of the difference to one side, that of the step's sign."""
    at = along(function, primals, tangents)
    return [(a - b) / step for a, b in zip(at(step), at(0.0))]


def central(function, primals, tangents, step=STEP):
    """d/dh function(primals + h tangents) at 0, by the five-point formula: the error falls with the fourth power of the step."""
    at = along(function, primals, tangents)
    near, far = (at(step), at(-step)), (at(2 * step), at(-2 * step))
    return [(8 * (a - b) - (c - d)) / (12 * step) for a, b, c, d in zip(*near, *far)]


def inner(a, b):
    """The real inner product of arrays or lists of them: Re sum conj(a) b."""
    pairs = zip(samples.listed(a), samples.listed(b))
    return sum(float(np.sum((np.conj(arrays.to_np(x)) * arrays.to_np(y)).real)) for x, y in pairs)


def is_inexact(a):
    return arrays.name_of(a.dtype) in arrays.INEXACT


def scalar_loss(function, weights):
    """args -> Re sum conj(w) y over the inexact outputs y: a real scalar whose gradient is the vjp of the weights."""
    def loss(*args):
        total = mx.array(0.0, mx.float64)
        for y, w in zip(samples.listed(function(*args)), weights):
            if w is not None:
                total = total + (mx.real(mx.conjugate(w) * y) if arrays.name_of(y.dtype) in arrays.COMPLEX else w * y).sum()
        return total
    return loss


def weights_for(rng, outputs):
    return [direction(rng, y) if is_inexact(y) else None for y in outputs]


# --- vmap ---

def axis_choices(ranks, most=256):
    """in_axes for these ranks, None where an argument is not mapped: all there are, or of very many a drawn part, in which every argument
    has each of its axes equally often."""
    axes = [[None, *range(rank + 1)] for rank in ranks]
    if math.prod(map(len, axes)) <= most:
        found = itertools.product(*axes)
    else:
        rng = np.random.default_rng(0)
        found = zip(*(rng.permutation(np.resize(np.array(one, object), most)).tolist() for one in axes))
    return [in_axes for in_axes in found if any(axis is not None for axis in in_axes)]


def from_either_end(in_axes, ranks):
    """The same axes, every other one counted from the end."""
    return tuple(a - rank - 1 if a is not None and (a + i) % 2 else a for i, (a, rank) in enumerate(zip(in_axes, ranks)))


def stacked(values, shape, axis=0):
    """np.stack, also of no values of this shape."""
    return np.stack(values, axis) if values else np.zeros((*shape[:axis], 0, *shape[axis:]))


def batches(lanes, in_axes):
    """lanes[k][i] is lane k's argument i. The arguments of the mapped call, and each lane's own."""
    batched = [np.stack([lane[i] for lane in lanes], axis) if axis is not None else lanes[0][i]
               for i, axis in enumerate(in_axes)]
    each = [[lane[i] if axis is not None else lanes[0][i] for i, axis in enumerate(in_axes)] for lane in lanes]
    return batched, each


def looped(function, each, convert, out_axis=0):
    """Stacks the results of one call per lane."""
    results = [[arrays.to_np(y) for y in samples.listed(function(*convert(lane)))] for lane in each]
    return [np.stack(ys, out_axis if out_axis >= 0 else out_axis + ys[0].ndim + 1) for ys in zip(*results)]


def sum_of_magnitudes(sample):
    """A real scalar function of the sample's arguments: the sum of |y| over its inexact outputs."""

    def loss(*args):
        total = mx.array(0.0)
        for y in sample.outputs(*args):
            if is_inexact(y):
                total = total + mx.abs(y).sum()
        return total.real if total.dtype in (mx.complex64, mx.complex128) else total

    return loss
