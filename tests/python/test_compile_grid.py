"""Every op compiled: equal to the bit with the call itself, alone and under and around the other transforms."""

import mlx.core as mx
import pytest

import arrays
import differences
import samples

SAMPLES = samples.samples()


def cells():
    for sample in SAMPLES:
        for dtype in dict.fromkeys(d for d in ("float32", "float64", "complex64", "int32", "bool_") if d in sample.dtypes):
            yield pytest.param(sample, dtype, id=f"{sample.id}-{dtype}")


def same_bits(got, expected):
    assert len(got) == len(expected)
    for g, e in zip(got, expected):
        assert (g.dtype, g.shape) == (e.dtype, e.shape)
        assert arrays.to_np(g).tobytes() == arrays.to_np(e).tobytes()


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("sample, dtype", list(cells()))
def test_compiled_is_equal_to_the_bit(sample, dtype):
    args = sample.to_mx(sample.draw(dtype), dtype)
    compiled = mx.compile(sample.outputs)
    expected = sample.outputs(*args)
    for _ in range(2):  # recorded, then replayed
        same_bits(compiled(*args), expected)
    assert mx.compile_stats(compiled)["traces"] == 1


@pytest.mark.grid(0.2)
@pytest.mark.parametrize("sample, dtype", [c for c in cells() if c.values[0].differentiable and c.values[1] in ("float32", "complex64")])
def test_compiled_gradients_are_equal_to_the_bit(sample, dtype):
    args = sample.to_mx(sample.draw(dtype), dtype)

    loss = differences.sum_of_magnitudes(sample)
    gradient = mx.grad(loss, argnums=list(sample.real_args))
    expected = samples.listed(gradient(*args))
    same_bits(samples.listed(mx.compile(gradient)(*args)), expected)
    same_bits(samples.listed(mx.grad(mx.compile(loss), argnums=list(sample.real_args))(*args)), expected)
