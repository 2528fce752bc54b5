"""Every nesting of the transforms and the control flow to depth 3, around functions that read arrays from around them, against
plain Python: called with other values, sizes, and other values in the same handles."""

import itertools
import random

import mlx.core as mx
import numpy as np
import pytest

import arrays
from nestings import F64, FRESH, KEPT, LEVELS, MORE_LEVELS, Captured, nested, plainly

CALLS = ((3, 0.2), (3, 0.9), (2, 0.5), (3, 0.4))  # the size, and where the values begin


def agree(got, plain, x, e, what):
    """Up to what the smallest change of the argument does: derivatives of loops in loops may grow fast."""
    expected, near = (arrays.to_np(plain(a, (e,))) for a in (x, x * (1 + 1e-14)))
    error = np.abs(arrays.to_np(got) - expected)
    assert got.shape == x.shape and np.all(error <= 1e-9 * (1 + np.abs(expected)) + 100 * np.abs(near - expected)), (what, got, expected)


def check(nest):
    captured = Captured()
    f, plain = nested(nest, captured), nested(plainly(nest), captured)
    for size, start in CALLS:
        x = mx.array(np.linspace(start, start + 1, size), dtype=F64)
        e = mx.array(np.linspace(-start, 1, size), dtype=F64)
        agree(f(x, (e,)), plain, x, e, nest)
        captured.change()


CELLS = [nest for depth in (1, 2, 3) for nest in itertools.product(LEVELS, repeat=depth)]


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("way", [FRESH, KEPT], ids=["fresh", "kept"])
@pytest.mark.parametrize("nest", CELLS, ids="-".join)
def test_nesting(nest, way):
    check([(name, way) for name in nest])


def random_nest(rng):
    return [(rng.choice(list(MORE_LEVELS)), rng.choice([FRESH, KEPT])) for _ in range(rng.randrange(3, 7))]


@pytest.mark.parametrize("seed", range(20))
def test_deep_nestings(seed):
    rng = random.Random(seed)
    for _ in range(20):
        check(random_nest(rng))


@pytest.mark.everything
@pytest.mark.parametrize("seed", range(20, 120))
def test_more_deep_nestings(seed):
    test_deep_nestings(seed)
