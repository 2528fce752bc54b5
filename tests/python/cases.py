"""The cells of the transform grids: which samples with which dtypes; and one sample at one point, with tangents and weights."""

import mlx.core as mx
import pytest

import arrays
import differences
import samples
from differences import direction, scalar_loss, weights_for

SAMPLES = samples.samples()
LANES = 3


def smooth_cells():
    for sample in SAMPLES:
        if sample.differentiable:
            for dtype in ("float64", "complex128"):
                if dtype in sample.dtypes:
                    yield pytest.param(sample, dtype, id=f"{sample.id}-{dtype}")


def fastest_dtype(sample):
    """A dtype to map over: floats where the op takes them."""
    return next(d for d in ("float64", "int32", "bool_", *sample.dtypes) if d in sample.dtypes)


def all_cells():
    for sample in SAMPLES:
        if sample.args:
            for dtype in dict.fromkeys((fastest_dtype(sample), *(d for d in ("complex128", "int16") if d in sample.dtypes))):
                yield pytest.param(sample, dtype, id=f"{sample.id}-{dtype}")


each_smooth = pytest.mark.parametrize("sample, dtype", list(smooth_cells()))
each_sample = pytest.mark.parametrize("sample, dtype", list(all_cells()))


class Case:
    """One sample's function of its differentiable arguments alone, at one point, with tangents and weights."""

    def __init__(self, sample, dtype):
        self.rng = sample.rng(f"case {dtype}")
        self.args = sample.to_mx(sample.draw(dtype), dtype)
        self.which = sample.real_args
        self.sample, self.dtype = sample, dtype
        self.primals = [self.args[i] for i in self.which]
        self.outputs = self.function(*self.primals)
        self.tangents = [direction(self.rng, p) for p in self.primals]
        self.weights = weights_for(self.rng, self.outputs)

    def function(self, *primals):
        args = list(self.args)
        for i, p in zip(self.which, primals):
            args[i] = p
        return [y for y in self.sample.outputs(*args) if differences.is_inexact(y)]

    def loss(self, *primals):
        return scalar_loss(self.function, self.weights)(*primals)

    def grad(self, *primals):
        """Gradients of the loss with respect to every primal, as a list."""
        return samples.listed(mx.grad(self.loss, argnums=list(range(len(self.primals))))(*primals))


def lanes_of(sample, dtype, count=LANES):
    """Arguments of each lane."""
    return [sample.draw(dtype, salt=f"lane {k}") for k in range(count)]


def batch_of(case, count=LANES):
    """The primals of several lanes, stacked."""
    lanes = lanes_of(case.sample, case.dtype, count)
    return [arrays.to_mx(differences.stacked([lane[i] for lane in lanes], p.shape), case.dtype)
            for i, p in zip(case.which, case.primals)]
