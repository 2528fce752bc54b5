"""Random programs on mx.gpu: evaluated step by step, fused, compiled, in checkpoints and branches they give the same bits; and each
step gives what it gives on the CPU."""

import mlx.core as mx

import devices
import random_programs as rp
from test_random_programs import (any_dtype, check_all, pytest_generate_tests, test_same_bits,  # noqa: F401
                                  test_same_bits_of_gradients)

MANY, FEW = 100, 4  # programs; each is compiled anew


def test_steps_as_on_the_cpu(seed, count):
    """The arguments of each step are those that the steps before made on the CPU, so that rounding errors do not grow."""
    def compared(step, args):
        devices.assert_as_on_the_cpu(step.sample, step.dtype, args)
        return step.sample.call(*args)

    def check(steps, one):
        with mx.stream(mx.cpu):
            rp.run(steps, rp.inputs(one, any_dtype(one)), call=compared)

    check_all(seed, count, lambda one: rp.program(one, dtype=any_dtype(one), inexact=rp.NARROW), check)
