"""Functions of 16-bit floats that are made of several steps: what they go through may be larger than all there is of 16 bits, or take
more of them than the result has."""

import numpy as np
import pytest

import mlx.core as mx

LARGE = 60000.0  # of 65504
CASES = {
    "mean": lambda a: mx.mean(a(LARGE, LARGE, LARGE)),
    "median": lambda a: mx.median(a(LARGE, LARGE)),
    "std": lambda a: mx.std(a(-LARGE, LARGE)),
    "var": lambda a: mx.var(a(200, -200)),
    "hypot": lambda a: mx.hypot(a(30000), a(40000)),
    "norm": lambda a: mx.linalg.norm(a(30000, 40000)),
    "norm of order 3": lambda a: mx.linalg.norm(a(30000, 40000), ord=3),
    "logaddexp": lambda a: mx.logaddexp(a(LARGE), a(LARGE)),
    "logsumexp": lambda a: mx.logsumexp(a(LARGE, LARGE)),
    "softmax": lambda a: mx.softmax(a(LARGE, -LARGE)),
    "rms_norm": lambda a: mx.fast.rms_norm(a(LARGE, LARGE), None, 1e-5),
    "layer_norm": lambda a: mx.fast.layer_norm(a(LARGE, -LARGE), None, None, 1e-5),
    "linspace": lambda a: mx.linspace(-LARGE, LARGE, 3, dtype=a(1).dtype),
    "inner": lambda a: mx.inner(a(LARGE, LARGE), a(0.5, 0.25)),
    "matmul": lambda a: a(LARGE, LARGE, LARGE) @ a(1, 1, -1),
    "einsum": lambda a: mx.einsum("i,i->", a(LARGE, LARGE, -LARGE), a(1, 1, 1)),
    "convolve": lambda a: mx.convolve(a(LARGE, LARGE), a(0.5, 0.25)),
    "interp": lambda a: mx.interp(a(0.25, 0.5), a(0, 1), a(-LARGE, LARGE)),
    "interp of far points": lambda a: mx.interp(a(0.0), a(-LARGE, LARGE), a(-8, 8)),
    "interp with a period": lambda a: mx.interp(a(3.5), a(0, 1), a(-LARGE, LARGE), period=2),
    "gradient": lambda a: mx.gradient(a(-LARGE, 0, LARGE)),
    "gradient by coordinates": lambda a: mx.gradient(a(-8, 0, 8), a(-LARGE, 0, LARGE)),
    "attention": lambda a: mx.fast.scaled_dot_product_attention(*[mx.full((1, 1, 2, 64), x, a(1).dtype) for x in (95, 95, 3)], scale=0.125),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_can_be_told_is_not_lost_on_the_way(name, dtype):
    got, want = (CASES[name](lambda *v, d=d: mx.array(list(v), getattr(mx, d))) for d in (dtype, "float64"))
    assert got.dtype == getattr(mx, dtype)
    np.testing.assert_allclose(np.array(got.astype(mx.float64)), np.array(want), rtol=2 ** (-9 if dtype == "float16" else -7), atol=1e-7)


@pytest.mark.parametrize("dtype, bits", [("float16", 11), ("bfloat16", 8)])
@pytest.mark.parametrize("heads", [4, 2])
def test_scores_of_attention_are_not_rounded(dtype, bits, heads):
    rng = np.random.default_rng(heads)
    q, k, v = (mx.array(3 * rng.standard_normal((1, n, 128, 64)), mx.float32).astype(getattr(mx, dtype)) for n in (4, heads, heads))
    got = mx.fast.scaled_dot_product_attention(q, k, v, scale=0.125)
    wide = [x.astype(mx.float64) for x in (q, k, v)]
    error = np.array(got.astype(mx.float64) - mx.fast.scaled_dot_product_attention(*wide, scale=0.125))
    assert np.sqrt((error**2).mean()) < 2.0 ** (1 - bits)  # of numbers up to about 10; with scores of 16 bits it is four times that
