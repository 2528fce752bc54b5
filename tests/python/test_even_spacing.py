"""arange and linspace of many elements, which are computed a run of vectors at a time: each element is rounded once, the last is stop."""

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets

COUNTS = (0, 1, 2, 3, 5, 7, 17, 1000, 1023, 1024, 1025, 2049, 40_000)


def spaced(start, stop, count, endpoint):
    intervals = count - 1 if endpoint else count
    values = [start + (stop - start) * i / intervals if intervals > 0 else start for i in range(count)]
    return np.array(values[:-1] + [stop] if endpoint and count > 1 else values, np.float64)


def check_linspace(dtype):
    for count in COUNTS:
        for endpoint in (True, False):
            for start, stop in ((0, 1), (1.5, 100), (5, 5), (90, 7.25)):
                got = mx.linspace(start, stop, count, dtype=getattr(mx, dtype), endpoint=endpoint)
                want = spaced(start, stop, count, endpoint).astype(dtype)
                assert np.array_equal(np.array(got), want), (count, endpoint, start, stop)


def check_arange(dtype):
    for count in COUNTS:
        for start, step in ((5, 1), (-3, 7), (2_000_000, -3)):
            if dtype == "uint32" and min(start, step) < 0:
                continue
            got = mx.arange(start, start + step * count, step, dtype=getattr(mx, dtype))
            assert np.array_equal(np.array(got), (start + step * np.arange(count, dtype=np.int64)).astype(dtype)), (count, start, step)
        if dtype in ("float32", "float64"):
            got = mx.arange(0.5, 0.5 + 0.1 * (count - 0.5), 0.1, dtype=getattr(mx, dtype))
            assert np.array_equal(np.array(got), (0.5 + 0.1 * np.arange(count)).astype(dtype)), count


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "uint8"])
def test_linspace(dtype):
    check_linspace(dtype)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "float32", "float64"])
def test_arange(dtype):
    check_arange(dtype)


@lesser_instruction_sets
def test_on_every_instruction_set(target):
    again("-c", "from test_even_spacing import *; check_linspace('float32'); check_arange('int32'); check_arange('float64')", MLX_CPU_TARGETS=target)


def test_what_is_not_used_is_not_computed():
    with mx.profile() as profile:
        mx.linspace(0, 1, 1_000_000)
    assert not profile.events


def test_linspace_under_transforms():
    x = mx.array([0.5, -1.5, 2.0])
    f = lambda v: (mx.linspace(1, 2, 3) * v * v).sum()
    assert mx.grad(f)(x).tolist() == [1.0, -4.5, 8.0]
    assert mx.vmap(lambda v: v + mx.linspace(0, 1, 3))(mx.zeros((2, 3))).tolist() == [[0, 0.5, 1]] * 2
    assert mx.compile(f)(x).item() == f(x).item()
