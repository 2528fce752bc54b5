"""A sample for every registered op: arguments, the call, and what NumPy says the value is. Elementwise ops are sampled from
what the registry knows of them; the rows of sample_rows.py sample the others. The grids run over samples(), so an op
without a sample is an op without tests, and test_registry.py fails for it."""

import functools
import zlib
from dataclasses import dataclass, replace
from typing import Callable, Optional

import mlx.core as mx
import numpy as np

import arrays
import references


def registry():
    return mx._registry()


@functools.cache
def registry_by_name():
    return {op["name"]: op for op in registry()}


# --- arguments ---

@dataclass(frozen=True)
class Real:
    """Random values of the dtype under test in the open interval (low, high)."""
    shape: tuple
    low: float = -3.0
    high: float = 3.0

    def draw(self, rng, dtype):
        return arrays.draw(rng, self.shape, dtype, self.low, self.high)

    def dtype(self, tested):
        return tested


@dataclass(frozen=True)
class Distinct(Real):
    """Values no two of which are near each other, so that sorting and picking are differentiable."""

    def draw(self, rng, dtype):
        count = int(np.prod(self.shape))
        if dtype in arrays.BOOL:
            return arrays.draw(rng, self.shape, dtype)
        values = (rng.permutation(count) - count // 2).reshape(self.shape)
        if dtype in arrays.UNSIGNED:
            values = values + count // 2
        if dtype in arrays.INEXACT:
            values = values * 0.375 + 0.125
        return arrays.rounded(values, dtype)


@dataclass(frozen=True)
class Index:
    """Integers in [low, high); different from each other along the last axis when unique."""
    shape: tuple
    low: int
    high: int
    unique: bool = False
    name: str = "int32"

    def draw(self, rng, dtype):
        if not self.unique:
            return rng.integers(self.low, self.high, self.shape).astype(self.name)
        rows = int(np.prod(self.shape[:-1]))
        picks = [rng.permutation(self.high - self.low)[:self.shape[-1]] + self.low for _ in range(rows)]
        return np.array(picks, self.name).reshape(self.shape)

    def dtype(self, tested):
        return self.name


@dataclass(frozen=True)
class Mask:
    shape: tuple

    def draw(self, rng, dtype):
        return rng.random(self.shape) < 0.5

    def dtype(self, tested):
        return "bool_"


@dataclass(frozen=True)
class Key:
    shape: tuple = (2,)

    def draw(self, rng, dtype):
        return rng.integers(0, 2**32, self.shape, dtype=np.uint32)

    def dtype(self, tested):
        return "uint32"


# --- samples ---

@dataclass(frozen=True)
class Sample:
    op: dict
    label: str                 # the rest of the test id: "axis=0", "2x3"
    args: tuple                # of Real, Index, ...
    call: Callable             # of MLX arrays: one, or a sequence of them
    reference: Optional[Callable]  # of NumPy arrays, wider where inexact; None: values have goldens of their own
    dtypes: tuple
    magnitude: Optional[Callable] = None  # what rounding errors are relative to, where it is not the result
    ulp: float = 0.0
    any_shape: bool = False    # takes one array of any shape with at least one axis
    elementwise: bool = False
    smooth: Optional[bool] = None  # has derivatives to compare with differences; None: as the op
    result: Optional[Callable] = None  # the result's dtype from the tested one, where the general rule does not say it

    @property
    def id(self):
        return self.op["name"] + (f"[{self.label}]" if self.label else "")

    def rng(self, salt=""):
        return np.random.default_rng(zlib.crc32(f"{self.id} {salt}".encode()))

    def draw(self, dtype, salt=""):
        """NumPy arguments."""
        rng = self.rng(f"{dtype} {salt}")
        return [argument.draw(rng, dtype) for argument in self.args]

    def arg_dtypes(self, dtype):
        return [argument.dtype(dtype) for argument in self.args]

    def to_mx(self, values, dtype):
        return [arrays.to_mx(v, name) for v, name in zip(values, self.arg_dtypes(dtype))]

    def outputs(self, *args):
        """The results as a list, whether the op has one or several."""
        return listed(self.call(*args))

    @property
    def real_args(self):
        """Which arguments have the dtype under test: those that derivatives are taken in."""
        return [i for i, argument in enumerate(self.args) if isinstance(argument, Real)]

    @property
    def differentiable(self):
        wanted = self.op["differentiable"] == "yes" if self.smooth is None else self.smooth
        return wanted and bool(self.real_args) and "float64" in self.dtypes


def listed(result):
    return list(result) if isinstance(result, (list, tuple)) else [result]


def public(name):
    """mx.random.uniform from "random.uniform"."""
    return functools.reduce(getattr, name.split("."), mx)


def caller(name):
    """As public(), but looked up at the call: a missing function fails its own tests only."""
    return lambda *args: public(name)(*args)


def dtypes_of(op):
    return arrays.ACCEPTED[op["accepts"]] + arrays.PROMOTED.get(op["accepts"], ())


# Elementwise ops whose result has a dtype that neither NumPy's nor the general rule says.
RESULTS = {
    "make_complex": lambda dtype: "complex128" if dtype == "float64" else "complex64",
    "left_shift": lambda dtype: "uint8" if dtype == "bool_" else dtype,
    "right_shift": lambda dtype: "uint8" if dtype == "bool_" else dtype,
}


def elementwise_samples(op):
    """Same shapes; broadcast shapes; and, for the grids' sake, a scalar beside an array."""
    function = caller(op["name"])
    first, second = op["domain"], op["second_domain"]
    shapes = {1: {"": [(2, 3)]}, 2: {"": [(2, 3), (2, 3)], "broadcast": [(2, 1), (3,)], "scalar": [(), (2, 2)]},
              3: {"": [(2, 3)] * 3, "broadcast": [(3,), (2, 1), ()]}}[op["arity"]]
    for label, arguments in shapes.items():
        args = [Real(shape, *(second if i == 1 else first)) for i, shape in enumerate(arguments)]
        if op["arity"] == 3:  # (condition, x, y)
            args[0] = Mask(arguments[0])
        yield Sample(
            op, label, tuple(args), function,
            references.reference_of(op["name"]) and functools.partial(references.elementwise, op["name"]),
            dtypes_of(op), ulp=op["max_ulp"], elementwise=True, result=RESULTS.get(op["name"]))


@functools.cache
def samples():
    import sample_rows
    found = []
    rows = sample_rows.rows()
    for op in registry():
        if op["arity"]:
            found += elementwise_samples(op)
        for row in rows.get(op["name"], ()):
            row = replace(row, op=op)
            found.append(replace(row, call=row.call or caller(op["name"]), dtypes=row.dtypes or dtypes_of(op),
                                 ulp=max(row.ulp, op["max_ulp"])))
    return found


def samples_of(name):
    return [sample for sample in samples() if sample.op["name"] == name]


def stale_rows():
    """Names in sample_rows.py that the registry does not have."""
    import sample_rows
    return sorted(set(sample_rows.rows()) - set(registry_by_name()))
