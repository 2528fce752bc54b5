"""Random programs over the registry, and random nests of transforms around them, for the composition and determinism tests.

A program is a list of steps; each applies one op to earlier values, squashed into the op's domain, and brings the result to a
small shape. A nest wraps grad, jvp and vmap around a function of one array; each level has a plain counterpart that needs no
transform, so that a level can be checked against the level inside it."""

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from hypothesis import strategies as st

import arrays
import differences
import samples

MOST = 24  # elements of a value


def _usable(sample):
    return sample.differentiable and sample.op["name"] != "random.permutation"


def unary_and_binary():
    return [s for s in samples.samples() if s.elementwise and not s.label and s.op["arity"] < 3 and _usable(s)]


def structural():
    return [s for s in samples.samples() if s.any_shape and len(s.args) == 1 and _usable(s)]


@dataclass(frozen=True)
class Step:
    sample: samples.Sample
    operands: tuple  # how many values back each one is

    def __repr__(self):
        return f"{self.sample.id}{self.operands}"


def steps():
    one = st.one_of(st.sampled_from(unary_and_binary()), st.sampled_from(structural()))
    return one.flatmap(lambda s: st.tuples(*[st.integers(0, 3)] * len(s.args)).map(lambda back: Step(s, back)))


def programs(longest=6):
    return st.lists(steps(), min_size=1, max_size=longest)


def squashed(x, argument):
    """Into the middle of the argument's domain, without flattening out anywhere."""
    middle = (argument.low + argument.high) / 2
    half = min(0.9 * (argument.high - argument.low) / 2, 1.5)
    return mx.sin(x) * half + middle


def bounded(x):
    """Real, with at least one axis, at most three, and few elements."""
    if arrays.name_of(x.dtype) in arrays.COMPLEX:
        x = mx.real(x) + mx.imag(x)
    if x.ndim == 0:
        return x.reshape(1)
    if x.ndim > 3 or x.size > MOST:
        return x.flatten()[:MOST]
    return x


def compatible(a, b):
    try:
        np.broadcast_shapes(a.shape, b.shape)
        return b
    except ValueError:
        return b.sum()


def run(program, x, each=lambda value: value):
    """The program's last value; `each` sees every intermediate one."""
    values = [bounded(x)]
    for step in program:
        chosen = [values[-1 - min(back, len(values) - 1)] for back in step.operands]
        inputs = [each(squashed(v, a)) for v, a in zip(chosen, step.sample.args)]
        if len(inputs) == 2:
            inputs[1] = compatible(*inputs)
        result = step.sample.call(*inputs)
        values.append(each(bounded(result)))
    return values[-1]


# --- nests: functions of one float64 array, giving one ---

def waves(shape, phase):
    """A fixed array of this shape: tangents and weights."""
    size = int(np.prod(shape))
    return mx.array(np.cos(np.arange(size) * 1.7 + phase).reshape(shape), dtype=mx.float64)


def _lanes(x, axis):
    return mx.stack([x, x * 0.5 - 0.3], axis=axis)


def grad_of(function, level):
    return mx.grad(lambda x: (lambda y: (y * waves(y.shape, level)).sum())(function(x)))


def jvp_of(function, level):
    return lambda x: mx.jvp(function, [x], [waves(x.shape, level)])[1][0]


def vmap_of(function, level):
    return lambda x: bounded(mx.vmap(function, in_axes=level % (x.ndim + 1))(_lanes(x, level % (x.ndim + 1))))


def plain_grad(function, level, step):
    """One central difference per coordinate."""
    def gradient(x):
        loss = lambda x: [(lambda y: (y * waves(y.shape, level)).sum())(function(x))]
        units = np.eye(max(x.size, 1)).reshape(-1, *x.shape)[:x.size]
        parts = [differences.central(loss, [x], [arrays.to_mx(u, "float64")], step)[0] for u in units]
        return np.array(parts).reshape(x.shape)
    return gradient


def plain_jvp(function, level, step):
    return lambda x: differences.central(lambda x: [function(x)], [x], [waves(x.shape, level)], step)[0]


def plain_vmap(function, level, step):
    def loop(x):
        rows = _lanes(x, 0)
        return arrays.to_np(bounded(mx.stack([function(rows[k]) for k in range(2)])))
    return loop


LEVELS = {"grad": (grad_of, plain_grad), "jvp": (jvp_of, plain_jvp), "vmap": (vmap_of, plain_vmap)}


def nests(deepest=6, derivatives=3):
    """Names of transforms, innermost first."""
    few = lambda names: sum(name != "vmap" for name in names) <= derivatives
    return st.lists(st.sampled_from(sorted(LEVELS)), min_size=1, max_size=deepest).filter(few)
