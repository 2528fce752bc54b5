"""The op grid on mx.gpu: against the references of tests/python within each op's own bound; and against the CPU, where also ops
without a reference, such as random numbers, have something to be equal to."""

import mlx.core as mx
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


@pytest.mark.parametrize("name, wrong", [("exp", lambda x: mx.exp(x) * (1 + 1e-6)), ("floor", lambda x: mx.floor(x + 1e-3)),
                                         ("sort", lambda x: mx.sort(x, axis=0))])
def test_wrong_values_are_seen(name, wrong):
    """An op that is a little off on the GPU fails."""
    right = next(s for s in samples.samples_of(name) if len(s.args) == 1 and not s.label.startswith("axis=0"))
    uneven = samples.replace(right, call=lambda x: (wrong if mx.default_device() == mx.gpu else right.call)(x))
    # Numbers that the wrong floor takes up to the next one are among these.
    args = [mx.array([[2.9999, -0.5, 1.0], [0.25, 2.0, -3.0]])]
    devices.assert_as_on_the_cpu(right, "float32", args)
    with pytest.raises(AssertionError):
        devices.assert_as_on_the_cpu(uneven, "float32", args)
