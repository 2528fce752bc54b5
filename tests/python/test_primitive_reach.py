"""The grids reach every primitive of the library, those that only derivatives use too: each occurs in the graph of a sample, of its
derivatives, or of those mapped, and so is evaluated and compared by the tests that walk over the samples."""

import functools
import pathlib
import re

import mlx.core as mx

import samples
from cases import Case

OPS = pathlib.Path(__file__).resolve().parents[2] / "mlx_core/ops"


def declared():
    """Names of primitives: of ops in the registry, and literal ones in the sources."""
    names = {op["primitive"] for op in samples.registry() if op["primitive"]}
    for path in [*OPS.rglob("*.cpp"), *OPS.rglob("*.h")]:
        for body in re.findall(r"name\(\) const override \{([^}]*)\}", path.read_text(encoding="utf-8")):
            names |= set(re.findall(r'"(\w+)"', body))
        names |= set(re.findall(r'\.primitive = "(\w+)"', path.read_text(encoding="utf-8")))
    return names


@functools.cache
def reached():
    names = set()
    for sample in samples.samples():
        dtypes = [d for d in ("float64", "complex128", sample.dtypes[0]) if d in sample.dtypes]
        for dtype in dict.fromkeys(dtypes):
            args = sample.to_mx(sample.draw(dtype), dtype)
            names |= mx._node_counts(sample.outputs(*args)).keys()
            if sample.args and sample.label.count("x") == 0:
                mapped = mx.vmap(sample.call, in_axes=tuple(0 for _ in args))(*[mx.stack([a, a]) for a in args])
                names |= mx._node_counts(samples.listed(mapped)).keys()
            if sample.differentiable and dtype in ("float64", "complex128"):
                case = Case(sample, dtype)
                first, second = case.grad(*case.primals), mx.jvp(case.grad, case.primals, case.tangents)[1]
                names |= mx._node_counts(first, second, mx.jvp(case.function, case.primals, case.tangents)[1]).keys()
    return names


def test_every_primitive_is_reached():
    # It passes its value on; it exists only in shapeless recordings; it runs on a GPU alone (tests/metal/test_custom_kernels.py); it is of
    # larger arrays than samples have (test_stencil_gradients.py).
    missing = declared() - reached() - {"StopGradient", "SizeNumber", "CustomKernel", "AddedParts"}
    assert not missing, "add a sample in whose graph these occur"


def test_what_is_reached_is_declared():
    """So that a primitive whose name the sources spell in another way is not overlooked above."""
    assert not reached() - declared() - {"Function", "ScanLoop"}  # of the transforms; of mx.fast.gated_delta_update
