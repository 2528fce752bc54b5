"""Prints docs/transforms.md: every registered op under every transform, from a run of the grids of tests/python.

    python tools/print_transforms.py > docs/transforms.md

A cell runs the grid's test on the op's samples, which compares values with differences, loops and inner products; a tick says
that all of them passed. Where there is no tick the cell says why not.
"""

import pathlib
import sys
from typing import Callable, Iterable, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/python"))

import samples  # noqa: E402
import test_third_derivatives as third  # noqa: E402
import test_transform_grid as grid  # noqa: E402
from cases import fastest_dtype  # noqa: E402

TICK = "✓"


class Column(NamedTuple):
    checks: tuple  # tests of (sample, dtype)
    derivative: bool = True


COLUMNS = {
    "jvp": Column((grid.test_jvp_is_the_derivative,)),
    "vjp": Column((grid.test_vjp_is_the_adjoint, grid.test_grad_of_one_argument_at_a_time)),
    "vmap": Column((grid.test_vmap_over_every_in_axis, grid.test_vmap_over_every_out_axis), False),
    "jvp jvp": Column((grid.test_jvp_of_jvp,)),
    "jvp vjp": Column((grid.test_jvp_of_grad,)),
    "vjp jvp": Column((grid.test_grad_of_jvp,)),
    "vjp vjp": Column((grid.test_grad_of_grad,)),
    "vmap jvp": Column((grid.test_vmap_of_jvp,)),
    "jvp vmap": Column((grid.test_jvp_of_vmap,)),
    "vmap vjp": Column((grid.test_vmap_of_grad, grid.test_vmap_over_cotangents_and_tangents)),
    "vjp vmap": Column((grid.test_grad_of_vmap,)),
    "vmap vmap": Column((grid.test_vmap_of_vmap,), False),
    "third": Column((lambda s, d: third.test_grad_of_second(s, d, "grad(grad)"), lambda s, d: third.test_jvp_of_second(s, d, "jvp(grad)"),
                     third.test_jvp_of_jvp_of_jvp)),
    "complex": Column((grid.test_jvp_is_the_derivative, grid.test_vjp_is_the_adjoint)),
}
MOST = 8  # samples of an op per cell: those with the fewest elements


def small(found: Iterable[samples.Sample]) -> list[samples.Sample]:
    def elements(sample):
        shapes = [getattr(argument, "shape", ()) for argument in sample.args]
        return sum(length for shape in shapes for length in shape)
    return sorted(found, key=elements)[:MOST]


def reason(op: dict, column: str) -> str | None:
    """Why a cell is no tick; None where it is one. From the registry: what the run below confirms."""
    if not any(sample.args for sample in samples.samples_of(op["name"])):
        return "no array goes in"
    if not COLUMNS[column].derivative:
        return None
    if op["differentiable"] != "yes":
        return f"{'zero' if op['differentiable'] == 'zero' else 'none'}: {op['reason']}"
    if column == "complex" and not any(s.differentiable and "complex128" in s.dtypes for s in samples.samples_of(op["name"])):
        return "real: complex numbers are not accepted"
    return None


def runs(op: dict, column: str) -> Iterable[tuple[Callable, tuple]]:
    """(test, its arguments) for each value check of a cell."""
    found = [sample for sample in samples.samples_of(op["name"]) if sample.args]
    checks, derivative = COLUMNS[column]
    if derivative and op["differentiable"] != "yes":
        for sample in small(s for s in found if s.real_args and "float32" in s.dtypes and s.smooth is None):
            yield grid.test_without_derivative_is_zero, (sample,)
        return
    for sample in small(s for s in found if s.differentiable or not derivative):
        if not derivative:
            dtypes = [fastest_dtype(sample)]
        else:
            dtypes = [d for d in ("float64", "complex128") if d in sample.dtypes and (d == "complex128") >= (column == "complex")]
        for dtype in dtypes:
            for check in checks:
                yield check, (sample, dtype)


def cell(op: dict, column: str) -> str:
    """What the table says: a tick, the reason why not, or what failed."""
    for check, arguments in runs(op, column):
        try:
            check(*arguments)
        except Exception as e:
            return f"FAILS on {arguments[0].id}: {str(e).splitlines()[0] if str(e) else type(e).__name__}"
    return reason(op, column) or TICK


def page(cells: dict[str, dict[str, str]]) -> Iterable[str]:
    yield "# Transforms"
    yield ""
    yield "Made by `tools/print_transforms.py`, which runs the grids of `tests/python`; a test compares it. A tick says that the values"
    yield "agree with central differences (derivatives), with an inner product (reverse mode), with a loop over lanes (`vmap`: any choice"
    yield "of arguments, any axis), on up to eight samples of the op, in float64 and, where the op takes them, in complex numbers."
    yield "`vjp jvp` is the `vjp` of the `jvp`; `third` is grad of grad of grad, jvp of jvp of grad, and jvp three times."
    reasons = {text: i for i, text in enumerate(dict.fromkeys(
        c for row in cells.values() for c in row.values() if c != TICK), 1)}
    family = None
    for op in samples.registry():
        if op["family"] != family:
            family = op["family"]
            yield ""
            yield f"## {family.replace('_', ' ')}"
            yield ""
            yield "| op | " + " | ".join(COLUMNS) + " |"
            yield "| --- |" + " --- |" * len(COLUMNS)
        row = cells[op["name"]]
        yield f"| `{op['name']}` | " + " | ".join(
            c if c == TICK else f"{c.split(':')[0] if ':' in c else 'none'} [{reasons[c]}]" for c in row.values()) + " |"
    yield ""
    yield "## Where there is no tick"
    yield ""
    for text, i in reasons.items():
        yield f"{i}. {text}"


if __name__ == "__main__":
    table = {op["name"]: {column: cell(op, column) for column in COLUMNS} for op in samples.registry()}
    print("\n".join(page(table)))
