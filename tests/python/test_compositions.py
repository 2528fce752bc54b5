"""Random programs over the registry inside random nests of transforms, up to six deep, against differences and loops."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import arrays
import programs
from differences import STEP

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
FULL = settings(QUICK, max_examples=600)
SHAPES = st.sampled_from([(3,), (2, 2), (1, 3), (2, 1, 2)])


def start(shape, seed):
    return mx.array(np.random.default_rng(seed).uniform(-1, 1, shape), dtype=mx.float64)


def assert_agrees(got, plain, function, level, x, what):
    """A difference quotient knows its own error: what it changes by when the step is doubled. Where that is large (a kink within
    reach, or derivatives that grow fast) the comparison is that much looser."""
    expected = plain(function, level, STEP)(x)
    doubtful = np.abs(expected - plain(function, level, 2 * STEP)(x))
    got = arrays.to_np(got)
    assert got.shape == expected.shape, what
    if not np.all(np.isfinite(expected)):
        return
    allowed = 1e-6 * (1 + np.abs(expected).max(initial=0)) + 20 * doubtful
    error = np.abs(got - expected)
    assert np.all(error <= allowed), f"{what}: off by {error.max()}\n got {got}\n expected {expected}"


def check(program, nest, shape, seed):
    x = start(shape, seed)
    function = lambda x: programs.run(program, x)
    for level, name in enumerate(nest):
        transform, plain = programs.LEVELS[name]
        outer = transform(function, level)
        what = f"{' of '.join(reversed(nest[:level + 1]))} of {program}"
        note(what)
        assert_agrees(outer(x), plain, function, level, x, what)
        function = outer


@QUICK
@given(programs.programs(), programs.nests(), SHAPES, st.integers(0, 2**16))
def test_nests_of_transforms(program, nest, shape, seed):
    check(program, nest, shape, seed)


@pytest.mark.everything
@FULL
@given(programs.programs(), programs.nests(), SHAPES, st.integers(0, 2**16))
def test_many_nests_of_transforms(program, nest, shape, seed):
    check(program, nest, shape, seed)


@QUICK
@given(programs.programs(), SHAPES, st.integers(0, 2**16))
def test_vmap_over_every_axis(program, shape, seed):
    """A mapped program equals a loop, whichever axes its lanes lie along."""
    lanes = [start(shape, seed + k) for k in range(3)]
    function = lambda x: programs.run(program, x)
    expected = np.stack([arrays.to_np(function(lane)) for lane in lanes])
    for axis in range(len(shape) + 1):
        got = mx.vmap(function, in_axes=axis)(mx.stack(lanes, axis=axis))
        np.testing.assert_allclose(arrays.to_np(got), expected, rtol=1e-12, atol=1e-13)


def test_a_wrong_derivative_is_seen():
    plain = programs.plain_grad
    x = start((3,), 0)
    with pytest.raises(AssertionError):
        assert_agrees(x * 2, plain, mx.sin, 0, x, "not the gradient")
