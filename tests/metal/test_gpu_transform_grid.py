"""The transform grid on mx.gpu. Its float64 values stay on the host; so maps over floats of 32 bits are added, and the derivatives
of those, of first and second order, are compared with the host's of float64."""

import mlx.core as mx
import pytest

import arrays
import test_transform_grid as grid
from cases import SAMPLES, Case
from precision import assert_near, epsilon
from test_transform_grid import *  # noqa: F401,F403

del test_the_grid_covers_the_registry, test_wrong_rules_are_seen  # noqa: F821

MAPS = (grid.test_vmap_over_every_in_axis, grid.test_vmap_over_every_out_axis, grid.test_vmap_of_vmap)


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("way", MAPS)
@pytest.mark.parametrize("sample, dtype", [
    pytest.param(s, d, id=f"{s.id}-{d}") for s in SAMPLES if s.args for d in ("float32", "complex64") if d in s.dtypes])
def test_maps_of_floats(way, sample, dtype):
    way(sample, dtype)


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("sample, dtype", [
    pytest.param(s, d, id=f"{s.id}-{d}") for s in SAMPLES if s.differentiable and s.reference
    for d in ("float32", "complex64") if d in s.dtypes])
def test_second_order_of_floats(sample, dtype):
    case, wide = Case(sample, dtype), grid.widened(Case(sample, dtype))
    _, tangents = mx.jvp(case.grad, case.primals, case.tangents)
    with mx.stream(mx.cpu):
        _, expected = mx.jvp(wide.grad, wide.primals, wide.tangents)
        mx.eval(expected)
    for t, e in zip(tangents, expected):
        assert_near(arrays.to_np(t), arrays.to_np(e), 500 * epsilon(dtype), "jvp of grad")
