"""The op grid on mx.gpu: against the references of tests/python within each op's own bound; and against the CPU, where also ops
without a reference, such as random numbers, have something to be equal to."""

import pytest

import devices
import samples
from test_op_grid import (cells, test_every_magnitude, test_layout, test_mixed_dtypes, test_scalar_beside_a_vector,  # noqa: F401
                          test_size, test_special_pairs, test_special_values)

ON_DEVICE = [s for s in samples.samples() if s.op["name"] != "random.seed"]


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("sample, dtype", cells(ON_DEVICE))
def test_as_on_the_cpu(sample, dtype):
    devices.assert_as_on_the_cpu(sample, dtype, sample.to_mx(sample.draw(dtype), dtype))
