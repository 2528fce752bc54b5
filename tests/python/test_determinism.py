"""Results do not depend, to the bit, on the number of threads or on what is fused; and every instruction set that the machine has
gives exact results where they are exact, and keeps each op's bound where they are rounded."""

import hashlib
import os

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arrays
import programs
import samples
from again import LESSER, again, chosen_again
from bits import evaluated
from test_compositions import QUICK, SHAPES, start

LARGE = 300_000  # elements: enough for several threads


def large(argument):
    """An argument scaled up along its first axis."""
    return samples.replace(argument, shape=(LARGE // max(1, int(np.prod(argument.shape[1:]))), *argument.shape[1:]))


def fingerprint(outputs):
    digest = hashlib.sha256()
    for y in outputs:
        digest.update(np.ascontiguousarray(arrays.to_np(y)).tobytes())
    return digest.hexdigest()[:16]


def large_samples():
    """Elementwise ops, and the ops that take one array of any shape, on arrays that several threads share."""
    for sample in samples.samples():
        if sample.elementwise and not sample.label:
            yield samples.replace(sample, args=tuple(samples.replace(a, shape=(LARGE,)) for a in sample.args))
        elif sample.any_shape and len(sample.args) == 1 and "float32" in sample.dtypes:
            for shape in ((LARGE,), (3, LARGE // 3), (LARGE // 3, 3)):
                yield samples.replace(sample, label=f"{sample.label} {shape}",
                                      args=(samples.Real(shape, sample.args[0].low, sample.args[0].high),))


def report():
    """One line per cell: its id and the fingerprint of its value and gradient."""
    for sample in large_samples():
        for dtype in [d for d in ("float32", "bfloat16", "int32") if d in sample.dtypes]:
            args = sample.to_mx(sample.draw(dtype), dtype)
            print(f"{sample.id}-{dtype}", fingerprint(sample.outputs(*args)))
    a = mx.random.normal((257, 1031), key=mx.random.key(1))
    b = mx.random.normal((1031, 129), key=mx.random.key(2))
    loss = lambda a, b: mx.logsumexp(mx.tanh(a @ b), axis=1).sum()
    print("loss", fingerprint([loss(a, b), *mx.grad(loss, argnums=(0, 1))(a, b)]))


def report_of(**environment):
    printed = again("-c", "import test_determinism; test_determinism.report()", **environment)
    return dict(line.rsplit(" ", 1) for line in printed.splitlines())


def test_one_and_two_threads():
    one, two = report_of(MLX_NUM_THREADS="1"), report_of(MLX_NUM_THREADS="2")
    assert len(one) > len(samples.registry())
    assert one == two


@pytest.mark.everything
def test_three_threads_and_seven():
    assert report_of(MLX_NUM_THREADS="3") == report_of(MLX_NUM_THREADS="7")


@QUICK
@given(programs.programs(), SHAPES, st.integers(0, 2**16), st.sampled_from(["float32", "float16", "float64"]))
def test_fused_and_step_by_step(program, shape, seed, dtype):
    """Evaluating every intermediate value changes nothing."""
    x = start(shape, seed).astype(getattr(mx, dtype))

    assert fingerprint([programs.run(program, x)]) == fingerprint([programs.run(program, x, evaluated)])


@settings(QUICK, max_examples=15)
@given(programs.programs(), st.integers(0, 2**16))
def test_fused_and_step_by_step_on_many_elements(program, seed):
    """As above for the elementwise steps, on sizes with a remainder behind every vector width and tile."""
    chain = [step for step in program if step.sample.elementwise]
    x = start((40_003,), seed).astype(mx.float32)

    def chained(each):
        values = [x]
        for step in chain:
            chosen = [values[-1 - min(back, len(values) - 1)] for back in step.operands]
            inputs = [each(programs.squashed(v, a)) for v, a in zip(chosen, step.sample.args)]
            values.append(each(step.sample.call(*inputs)))
        return [values[-1], values[-1].sum()]

    assert fingerprint(chained(lambda value: value)) == fingerprint(chained(evaluated))


# --- instruction sets ---

@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=[pytest.mark.everything] if i else []) for i, t in enumerate(LESSER)])
def test_instruction_set(target):
    """The op grid's own sample of cells, and the products of tangents, on the kernels of one lower instruction set."""
    name = again("-c", "import mlx.core as mx; print(mx.device_info(mx.cpu)['instruction_set'])", MLX_CPU_TARGETS=target).strip()
    assert name == target, "the mask has an effect"
    for file, chosen in (("test_op_grid.py", ""), ("test_masked_gradients.py", "tangents")):
        chosen_again(os.path.join(os.path.dirname(__file__), file), chosen, MLX_CPU_TARGETS=target)
