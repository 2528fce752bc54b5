"""Random programs over the whole registry, from a seed: each step applies one sample of an op to earlier values, whatever their
shape and dtype, so that new ops join by having samples. Values are shared between steps, read by fancy indices, and of every
dtype the op takes; a prefix of a program is a program, so that a failure shrinks."""

import math
from dataclasses import dataclass
from functools import lru_cache

import mlx.core as mx
import numpy as np

import arrays
import samples

MOST = 60  # elements of a value
REACH = 6  # how many values back an operand is looked for
NARROW = ("float16", "bfloat16", "float32", "complex64")  # what programs keep in 32 bits between two steps of such a dtype


@lru_cache
def usable(smooth):
    """Samples of small arguments; of those with a derivative everywhere, when smooth."""
    found = []
    for s in samples.samples():
        small = all(math.prod(getattr(a, "shape", ())) <= MOST for a in s.args)
        if s.real_args and small and (s.differentiable if smooth else s.op["name"] != "random.seed"):
            found.append(s)
    return found


@lru_cache
def by_op(smooth):
    """The samples of each op: ops are drawn first, so that one with many samples is not drawn more often."""
    found = {}
    for s in usable(smooth):
        found.setdefault(s.op["name"], []).append(s)
    return found


@dataclass(frozen=True)
class Step:
    sample: samples.Sample
    dtype: str
    operands: tuple    # how many values back each argument under test comes from
    constants: tuple   # the other arguments, as arrays; None where an operand goes
    shape: object      # of elementwise and shape-indifferent samples, or None: as the sample says

    def __repr__(self):
        return f"{self.sample.id}:{self.dtype}{list(self.operands)}"


SHAPES = [(), (1,), (3,), (2, 3), (3, 1), (2, 1, 3), (4, 5), (1, 1)]


def _step(rng, dtype, smooth, inexact):
    names = sorted(by_op(smooth))
    choices = by_op(smooth)[names[rng.integers(len(names))]]
    sample = choices[rng.integers(len(choices))]
    if sample.op["name"] == "astype" and sample.result(dtype) in arrays.INEXACT and sample.result(dtype) not in inexact:
        return _step(rng, dtype, smooth, inexact)  # a narrow dtype rounds on its way
    taken = [d for d in sample.dtypes if (d in inexact if d in arrays.INEXACT else not smooth)] or list(sample.dtypes)
    same = dtype if dtype in taken and (smooth or rng.random() < 0.6) else taken[rng.integers(len(taken))]
    constants = tuple(None if isinstance(a, samples.Real) else arrays.to_mx(a.draw(rng, same), a.dtype(same)) for a in sample.args)
    shape = None
    if all(c is None for c in constants) and (sample.elementwise or sample.any_shape and len(sample.args) == 1):
        shape = SHAPES[rng.integers(0 if sample.elementwise else 1, len(SHAPES))]
    return Step(sample, same, tuple(int(b) for b in rng.integers(0, REACH, len(sample.args))), constants, shape)


def program(seed, longest=200, dtype="float64", smooth=False, shortest=1, inexact=("float64", "complex128")):
    """Steps, of a length that is small more often than large, most of them in this dtype. smooth: only ops with a derivative.
    inexact: the floating and complex dtypes that others may have."""
    rng = np.random.default_rng(seed)
    length = int(np.exp(rng.uniform(np.log(shortest), np.log(longest + 1))))
    return [_step(rng, dtype, smooth, inexact) for _ in range(max(shortest, length))]


def inputs(seed, dtype, count=2):
    rng = np.random.default_rng([seed, 1])
    return [arrays.to_mx(arrays.draw(rng, SHAPES[rng.integers(len(SHAPES))], dtype, -1, 1), dtype) for _ in range(count)]


def fitted(value, argument, shape, dtype):
    """The value as this argument: inside its domain, of this shape (its elements repeated, or some left out) and dtype."""
    inexact = value
    if arrays.name_of(value.dtype) not in NARROW or dtype not in NARROW:
        inexact = value.astype(mx.complex128 if arrays.name_of(value.dtype) in arrays.COMPLEX else mx.float64)
    if arrays.name_of(inexact.dtype) in arrays.COMPLEX and dtype not in arrays.COMPLEX:
        inexact = mx.real(inexact) + mx.imag(inexact)
    middle = (argument.low + argument.high) / 2
    half = min(0.9 * (argument.high - argument.low) / 2, 1.5)
    if arrays.name_of(inexact.dtype) in arrays.COMPLEX:
        inexact = inexact / (1 + mx.abs(inexact))
        inside = inexact * half + middle
    else:
        inside = mx.sin(inexact) * half + middle
    inside = inside.astype(getattr(mx, dtype))
    if inside.shape == shape:
        return inside
    count = math.prod(shape)
    if inside.size == 0:
        return mx.full(shape, middle, getattr(mx, dtype)) if count else mx.zeros(shape, getattr(mx, dtype))
    # The positions differ in slope, so that elements which come from one place are not equal.
    spread = mx.array(np.linspace(0.7, 1.0, max(count, 1))[:count], dtype=mx.float64).astype(inside.dtype)
    return ((inside.flatten()[mx.arange(count) % inside.size] - middle) * spread + middle).astype(inside.dtype).reshape(shape)


def _kept(values, result):
    """The results that later steps may use, cut down to few elements and three axes."""
    for y in samples.listed(result):
        values.append(y.flatten()[:MOST] if y.ndim > 3 or y.size > MOST else y)


def run(steps, xs, each=lambda value: value, call=lambda step, args: step.sample.call(*args)):
    """Every value of the program, inputs first; `each` sees the intermediate ones, and `call` does a step."""
    values = list(xs)
    for step in steps:
        args = []
        for argument, back, constant in zip(step.sample.args, step.operands, step.constants):
            if constant is not None:
                args.append(constant)
                continue
            value = values[-1 - back % len(values)]
            args.append(each(fitted(value, argument, argument.shape if step.shape is None else step.shape, step.dtype)))
        _kept(values, [each(y) for y in samples.listed(call(step, args))])
    return values


def results(steps, xs, each=lambda value: value):
    """The last few values as real float64 arrays: what derivatives are taken of."""
    found = []
    for y in run(steps, xs, each)[-3:]:
        y = mx.real(y) + mx.imag(y) if arrays.name_of(y.dtype) in arrays.COMPLEX else y
        found.append(y.astype(mx.float64))
    return found


def shrunk(steps, fails):
    """The shortest prefix that fails, then without steps it does not need."""
    short = next(steps[:n] for n in range(1, len(steps) + 1) if n == len(steps) or fails(steps[:n]))
    for i in range(len(short) - 2, -1, -1):
        fewer = short[:i] + short[i + 1:]
        if fails(fewer):
            short = fewer
    return short
