"""What an op gives on the GPU, compared with what it gives on the CPU."""

import mlx.core as mx
import numpy as np

import arrays
import precision
from arrays import COMPLEX, HALVES, INEXACT
from test_op_grid import widened


def on(device, function, *args):
    """The results as a list, computed on a device."""
    with mx.stream(device):
        results = function(*args)
        mx.eval(results)
    return results


def exact(sample, dtype):
    """Whether each result is one number or another: integers, what only moves, what is rounded once."""
    return sample.ulp <= 0.5 and sample.reference is not None and not (dtype in COMPLEX and sample.elementwise)


def bound_between(sample, dtype):
    """In units of the last place: both are within the op's bound of the truth. Without a reference, what a few functions
    one after the other do."""
    one = max(sample.ulp, 0.5 if sample.reference else 8)
    if dtype in HALVES:
        return 1.0
    return 4 * one + 8 if dtype in COMPLEX else 2 * one


def assert_as_on_the_cpu(sample, dtype, args):
    got, expected = (on(device, sample.outputs, *args) for device in (mx.gpu, mx.cpu))
    assert len(got) == len(expected)
    for g, e in zip(got, expected):
        assert (g.dtype, g.shape) == (e.dtype, e.shape)
        name, a, b = arrays.name_of(g.dtype), arrays.to_np(g), arrays.to_np(e)
        if name not in INEXACT:
            np.testing.assert_array_equal(a, b)
        elif exact(sample, dtype):
            precision.assert_ulp(a, b, name, 0.0, what=sample.id, zeros=True)
        else:
            values = widened(sample, [arrays.to_np(x) for x in args], dtype)
            magnitude = sample.magnitude and np.asarray(sample.magnitude(*values))
            precision.assert_ulp(a, b, name, bound_between(sample, dtype), magnitude, sample.id)
