"""The register of workloads: a row of the table is a function that builds a computation, with the sizes it is built for."""

import dataclasses
import importlib
import itertools
import pathlib
import sys
from collections.abc import Callable

ROWS = {}
THEMES = ["dispatch", "elementwise", "reductions", "products", "networks", "convolutions", "derivatives", "indexing", "linear_algebra", "processes"]


@dataclasses.dataclass
class Row:
    name: str
    theme: str
    build: Callable  # (framework, **sizes) -> (function, arguments)
    sizes: dict
    modes: tuple = ("eager", "compiled")  # of ours and of Apple's; JAX is always compiled, PyTorch and NumPy never
    tolerance: float | None = 2e-4  # of the results' difference, to their norm; None: they are random, or no arrays
    checked: Callable | None = None  # (framework, result) -> what must agree, where the whole need not
    without: tuple = ()  # frameworks that it would be of no use to time: JAX where compiling takes minutes
    series: tuple | None = None  # (panel of the plot, position on its axis)
    unit: str = "s"  # or "MB": the computation measures itself
    compilable: bool = True  # False: no computation with arrays, so that even JAX runs it as it is
    quick: bool = False
    control: bool = False  # no work of the frameworks: what another row is seen beside, without a ratio

    def tiny(self):
        """The same row at sizes that take no time."""
        return {k: min(v, 8) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in self.sizes.items()}


def size_of(n):
    for unit, power in (("Mi", 1 << 20), ("Ki", 1 << 10), ("M", 1_000_000), ("k", 1000)):
        if n >= 10_000 and n % power == 0:
            return f"{n // power}{unit}"
    return str(n)


def grid(**choices):
    """Every combination of the sizes."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def workload(name, cases=({},), quick=None, series=None, **options):
    """Registers a row for each of the cases; {names} in its name are their sizes. quick: the case that the quick mode runs."""

    def register(build):
        for case in cases:
            shown = name.format(**{k: size_of(v) if isinstance(v, int) else v for k, v in case.items()})
            assert shown not in ROWS, shown
            place = (series, case["n"]) if series else None
            ROWS[shown] = Row(shown, build.__module__.rpartition(".")[2], build, case, series=place, quick=case == quick, **options)
        return build

    return register


def load():
    """All rows, by name."""
    folder = str(pathlib.Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    for theme in THEMES:
        importlib.import_module(f"workloads.{theme}")
    return ROWS
