"""Values and derivatives that JAX computed in float64 (tests/golden/, written by tools/make_goldens.py)."""

import functools
import json
import pathlib

import mlx.core as mx
import numpy as np
import pytest

import arrays
import golden_cases
import samples
from precision import assert_near

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
TOLERANCE = 1e-10


def golden(name):
    return json.loads((GOLDEN / name).read_text())


def value_of(entry):
    return np.array(entry["re"]) + 1j * np.array(entry["im"]) if isinstance(entry, dict) else np.array(entry)


class Case:
    def __init__(self, name):
        self.function = functools.partial(golden_cases.CASES[name], mx)
        self.args = [arrays.to_mx(a) for a in golden_cases.arguments(name)]
        self.tangents = [arrays.to_mx(a) for a in golden_cases.arguments(name, salt=1)]

    def grad(self, *args):
        return samples.listed(mx.grad(self.function, argnums=list(range(len(args))))(*args))

    def jvp(self, function, *args):
        outputs, tangents = mx.jvp(function, list(args), self.tangents)
        return tangents[0]

    def transforms(self):
        batch = [mx.stack([a, a + 0.1 * t, a - 0.2 * t]) for a, t in zip(self.args, self.tangents)]
        first = lambda *a: self.jvp(self.function, *a)
        second = lambda *a: self.jvp(first, *a)
        return {
            "value": self.function(*self.args), "jvp": first(*self.args), "grad": self.grad(*self.args),
            "jvp_of_grad": mx.jvp(self.grad, self.args, self.tangents)[1], "vmap_of_grad": mx.vmap(self.grad)(*batch),
            "third": self.jvp(second, *self.args),
        }


def compare(name, expected):
    got = Case(name).transforms()
    assert set(got) == set(expected)
    for transform, entry in expected.items():
        wanted = entry if isinstance(entry, list) and transform not in ("value", "jvp", "third") else [entry]
        for g, e in zip(samples.listed(got[transform]), wanted, strict=True):
            assert_near(arrays.to_np(g), value_of(e), TOLERANCE, f"{name}: {transform}")


@pytest.mark.parametrize("name", golden_cases.CASES)
def test_transforms(name):
    compare(name, golden("transforms.json")[name])


def derivatives(function, args, i):
    found, f = [], lambda x: function(*args[:i], x, *args[i + 1:])
    for _ in range(4):
        found.append(f(args[i]))
        f = (lambda g: lambda x: mx.jvp(g, [x], [mx.ones_like(x)])[1][0])(f)
    return found


def backward_derivatives(function, args, i):
    found, f = [], lambda x: function(*args[:i], x, *args[i + 1:])
    for _ in range(4):
        found.append(f(args[i]))
        f = (lambda g: mx.grad(lambda x: g(x).sum()))(f)
    return found


@pytest.mark.parametrize("name", golden("elementwise.json") if (GOLDEN / "elementwise.json").exists() else [])
@pytest.mark.parametrize("mode", [derivatives, backward_derivatives], ids=["jvp", "grad"])
def test_three_derivatives(name, mode):
    op = samples.registry_by_name()[name]
    args = [mx.array(p, dtype=mx.float64) for p in golden_cases.points(op)]
    for i, expected in enumerate(golden("elementwise.json")[name]):
        for order, (g, e) in enumerate(zip(mode(samples.public(name), args, i), expected, strict=True)):
            assert_near(arrays.to_np(g).astype(float), np.array(e, float), TOLERANCE, f"order {order} in argument {i}")


@pytest.mark.everything
@pytest.mark.parametrize("name", golden_cases.CASES)
def test_jax_itself(name):
    """The goldens are what JAX gives now."""
    pytest.importorskip("jax")
    import sys
    sys.path.insert(0, str(GOLDEN.parents[1] / "tools"))
    import make_goldens
    compare(name, make_goldens.transforms_of(name))
