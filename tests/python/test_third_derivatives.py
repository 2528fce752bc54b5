"""Every differentiable op to the third order, in the four mixed modes: each equals differences of a second derivative."""

import mlx.core as mx
import pytest

import arrays
import samples
from cases import Case, each_smooth
from differences import central, direction, scalar_loss
from precision import assert_near

TOLERANCE = 1e-6  # of five-point differences with float64 values


class Third(Case):
    """Directions u, v, w: the third derivative of the loss in them, less one, in each way to the second order."""

    def __init__(self, sample, dtype):
        super().__init__(sample, dtype)
        self.others = [direction(self.rng, p) for p in self.primals]

    def gradient(self, function):
        """Of a real function of the primals, as a list."""
        return lambda *primals: samples.listed(mx.grad(function, argnums=list(range(len(primals))))(*primals))

    def second_reverse(self):
        """The gradient of <tangents, gradient>."""
        return self.gradient(scalar_loss(self.grad, self.tangents))

    def second_forward(self):
        """The tangent of the gradient."""
        return lambda *primals: mx.jvp(self.grad, list(primals), self.tangents)[1]


SECONDS = {"grad(grad)": Third.second_reverse, "jvp(grad)": Third.second_forward}


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("second", SECONDS)
@each_smooth
def test_jvp_of_second(sample, dtype, second):
    case = Third(sample, dtype)
    function = SECONDS[second](case)
    _, got = mx.jvp(function, case.primals, case.others)
    for g, e in zip(got, central(function, case.primals, case.others)):
        assert_near(arrays.to_np(g), e, TOLERANCE, f"jvp({second})")


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("second", SECONDS)
@each_smooth
def test_grad_of_second(sample, dtype, second):
    """The third derivative is symmetric, so the gradient of <u, H t> is the derivative of H t along u."""
    case = Third(sample, dtype)
    function = SECONDS[second](case)
    got = case.gradient(scalar_loss(function, case.others))(*case.primals)
    for g, e in zip(got, central(function, case.primals, case.others)):
        assert_near(arrays.to_np(g), e, TOLERANCE, f"grad({second})")


@pytest.mark.grid(0.15)
@each_smooth
def test_jvp_of_jvp_of_jvp(sample, dtype):
    case = Third(sample, dtype)
    last = [direction(case.rng, p) for p in case.primals]
    first = lambda *primals: mx.jvp(case.function, list(primals), case.tangents)[1]
    second = lambda *primals: mx.jvp(first, list(primals), case.others)[1]
    _, got = mx.jvp(second, case.primals, last)
    for g, e in zip(got, central(second, case.primals, last)):
        assert_near(arrays.to_np(g), e, TOLERANCE, "jvp(jvp(jvp))")
