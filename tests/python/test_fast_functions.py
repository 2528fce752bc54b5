"""mx.fast: what the samples of fast_rows.py leave out. Values far from 1, shapes of every kind, masks, dtypes, sizes that are not known,
errors. Each is a composition, so that its derivatives are those of what it is made of."""

import re

import mlx.core as mx
import numpy as np
import pytest

import fast_rows as reference

fast = mx.fast
rng = np.random.default_rng(5)
DTYPES = ("float16", "bfloat16", "float32", "float64")
SDPA = "fast.scaled_dot_product_attention"


def drawn(*shape, dtype=mx.float32):
    return mx.array(rng.standard_normal(shape)).astype(dtype)


def wide(x):
    return np.array(x.astype(mx.float64))


def close(ours, wanted, dtype="float32", size=1.0):
    error = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-6, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(wide(ours), wanted, rtol=error, atol=error * size)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 33), (3, 1, 130), (4, 1000), (2, 0, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_norms(shape, dtype):
    x, w, b = (drawn(*s, dtype=getattr(mx, dtype)) for s in (shape, shape[-1:], shape[-1:]))
    for y, wanted in ((fast.rms_norm(x, w, 1e-3), reference.rms_norm(wide(x), wide(w), 1e-3)),
                      (fast.rms_norm(x, None, 1e-3), reference.rms_norm(wide(x), None, 1e-3)),
                      (fast.layer_norm(x, w, b, 1e-3), reference.layer_norm(wide(x), wide(w), wide(b), 1e-3)),
                      (fast.layer_norm(x, None, b, 1e-3), reference.layer_norm(wide(x), None, wide(b), 1e-3))):
        assert y.dtype == x.dtype and y.shape == x.shape
        close(y, wanted, dtype, 10)


def test_norms_of_16_bits_do_not_overflow():
    x = mx.full((2, 64), 3e4, mx.float16)  # whose squares are beyond the dtype
    assert mx.all(fast.rms_norm(x, None, 1e-5) == 1).item()
    assert not mx.any(fast.layer_norm(x, None, None, 1e-5)).item()


def test_norms_take_the_common_dtype():
    x, w = drawn(2, 4, dtype=mx.float16), drawn(4)
    assert fast.rms_norm(x, w, 1e-5).dtype == mx.float32
    assert fast.layer_norm(x, None, w.astype(mx.bfloat16), 1e-5).dtype == mx.float32
    close(fast.rms_norm(x, w, 1e-5), reference.rms_norm(wide(x), wide(w), 1e-5))


def test_cross_entropy_of_large_and_missing_logits():
    logits = mx.array([[1e4, 0.0, -mx.inf], [0.0, 0.0, 0.0], [-3e38, 3e38, 0.0]])
    assert fast.cross_entropy(logits, mx.array([0, 2, 1])).tolist() == [0.0, pytest.approx(np.log(3)), 0.0]
    assert fast.cross_entropy(logits, mx.array([2, -1, -2]))[0].item() == mx.inf
    gradient = mx.grad(lambda x: fast.cross_entropy(x, mx.array([0, 2, 1])).sum())(logits)
    np.testing.assert_allclose(np.array(gradient), [[0, 0, 0], [1 / 3, 1 / 3, -2 / 3], [0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_is_of_float32_at_least(dtype):
    x, t = drawn(3, 5, 17, dtype=getattr(mx, dtype)), mx.array(rng.integers(0, 17, (3, 5)), mx.uint8)
    loss = fast.cross_entropy(x, t)
    assert loss.dtype == (mx.float64 if dtype == "float64" else mx.float32)
    close(loss, reference.cross_entropy(wide(x), np.array(t)))
    with pytest.raises(IndexError):
        mx.eval(fast.cross_entropy(x, t + 17))


@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("shape, dims", [((2, 5, 8), 8), ((1, 3, 6, 10), 4), ((3, 2, 2, 4, 2), 2), ((2, 0, 4), 2)])
def test_rope(shape, dims, traditional):
    x = drawn(*shape)
    turns = [100.0 ** (-2 * i / dims) for i in range(dims // 2)]
    for offset in (0, 5, mx.array(7), mx.array([2]), mx.arange(shape[0])):
        options = dict(traditional=traditional, scale=0.5, offset=offset)
        wanted = reference.rope(wide(x), dims, traditional, turns, 0.5, np.array(offset))
        close(fast.rope(x, dims, base=100.0, **options), wanted, size=4)
        close(fast.rope(x, dims, base=None, freqs=1 / mx.array(turns), **options), wanted, size=4)
    one_by_one = [fast.rope(x[:, ..., t:t + 1, :], dims, base=100.0, traditional=traditional, scale=1.0, offset=t) for t in range(shape[-2])]
    if one_by_one:
        whole = fast.rope(x, dims, base=100.0, traditional=traditional, scale=1.0, offset=0)
        assert mx.array_equal(mx.concatenate(one_by_one, -2), whole)  # as a cache of keys grows


def test_rope_keeps_lengths_and_scores_of_equal_distance():
    x, y = drawn(1, 1, 16), drawn(1, 1, 16)
    turned = lambda a, t: fast.rope(a, 16, traditional=False, base=10000.0, scale=1.0, offset=t)
    close((turned(x, 40) * turned(y, 37)).sum(), wide((turned(x, 3) * turned(y, 0)).sum()), size=20)
    close((turned(x, 9) ** 2).sum(), wide((x * x).sum()), size=20)


CASES = {  # heads, groups, queries, keys, mask
    "one": (1, 1, 1, 1, None), "a query": (4, 4, 1, 9, "causal"), "square": (2, 2, 7, 7, "causal"), "wide": (4, 2, 3, 11, "causal"),
    "tall": (6, 3, 9, 4, "causal"), "groups": (8, 2, 5, 33, None), "one group": (4, 1, 3, 8, "causal"), "no query": (2, 1, 0, 3, None),
    "of each head": (4, 2, 3, 5, (1, 4, 3, 5)), "of keys": (4, 2, 3, 5, (5,)), "of each batch": (2, 2, 3, 5, (2, 1, 1, 5)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention(case, dtype):
    heads, groups, queries, keys, mask = CASES[case]
    t = getattr(mx, dtype)
    q, k, v = drawn(2, heads, queries, 8, dtype=t), drawn(2, groups, keys, 8, dtype=t), drawn(2, groups, keys, 6, dtype=t)
    sinks = drawn(heads, dtype=t)
    masks = [mask]
    if isinstance(mask, tuple):
        masks = [mx.array(rng.random(mask) < 0.6), drawn(*mask, dtype=t)]
    for m in masks:
        there = m if m is None or isinstance(m, str) else np.array(m) if m.dtype == mx.bool_ else wide(m)
        for more in (None, sinks):
            y = fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask=m, sinks=more)
            assert y.shape == (2, heads, queries, 6) and y.dtype == t
            close(y, reference.attention(*map(wide, (q, k, v)), 0.3, there, None if more is None else wide(more)), dtype, 4)


def test_attention_where_nothing_is_seen_averages():
    q, k, v = drawn(1, 1, 2, 4), drawn(1, 1, 3, 4), drawn(1, 1, 3, 5)
    y = fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=mx.array([[False] * 3, [True, False, False]]))
    close(y[0, 0], np.stack([wide(v)[0, 0].mean(0), wide(v)[0, 0, 0]]))
    hidden = mx.array([[0.0, -mx.inf, 0.0]])
    close(fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=hidden),
          wide(fast.scaled_dot_product_attention(q, k[:, :, ::2], v[:, :, ::2], scale=1.0)))


def test_attention_is_what_is_written_out():
    q, k, v = drawn(2, 4, 6, 8), drawn(2, 4, 6, 8), drawn(2, 4, 6, 8)
    f = lambda q, k, v: (fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal") ** 2).sum()
    def g(q, k, v):
        scores = (q * 0.5) @ mx.swapaxes(k, -1, -2)
        return ((mx.softmax(mx.where(mx.tri(6, 6, dtype=mx.bool_), scores, -mx.inf), -1) @ v) ** 2).sum()
    for ours, wanted in zip(mx.grad(f, argnums=(0, 1, 2))(q, k, v), mx.grad(g, argnums=(0, 1, 2))(q, k, v)):
        close(ours, wide(wanted), size=10)
    lanes = mx.vmap(lambda q: fast.scaled_dot_product_attention(q, k, v, scale=0.5))(mx.stack([q, 2 * q]))
    close(lanes[1], wide(fast.scaled_dot_product_attention(2 * q, k, v, scale=0.5)))


def test_a_recurrence_goes_on_from_its_state():
    shapes = ((2, 9, 2, 4), (2, 9, 2, 4), (2, 9, 4, 3), (2, 9, 4), (2, 9, 4))
    q, k, v, gamma, beta = (drawn(*s) * 0.5 for s in shapes)
    gamma, beta = mx.sigmoid(gamma), mx.sigmoid(beta)
    whole, last = fast.gated_delta_update(q, k, v, gamma, beta)
    first, state = fast.gated_delta_update(*(a[:, :4] for a in (q, k, v, gamma, beta)))
    rest, end = fast.gated_delta_update(*(a[:, 4:] for a in (q, k, v, gamma, beta)), initial_state=state)
    close(mx.concatenate([first, rest], 1), wide(whole), size=4)
    close(end, wide(last), size=4)
    same, state = fast.gated_delta_update(*(a[:, :0] for a in (q, k, v, gamma, beta)), initial_state=last)
    assert same.shape == (2, 0, 4, 3) and mx.array_equal(state, last)
    half = [a.astype(mx.float16) for a in (q, k, v, gamma, beta)]
    assert [y.dtype for y in fast.gated_delta_update(*half)] == [mx.float16, mx.float32]
    assert mx.array_equal(fast.gated_delta_update(q, k, v, gamma, beta, mask=mx.ones((2, 9), mx.int32))[0], whole)


def test_without_known_sizes():
    """One recording for every batch and length."""
    block = mx.compile(lambda x, w: fast.rms_norm(fast.scaled_dot_product_attention(
        fast.rope(x, 4, traditional=True, base=10.0, scale=1.0, offset=1), x, x, scale=0.5, mask="causal"), w, 1e-5), shapeless=True)
    w = drawn(4)
    for shape in ((1, 2, 3, 4), (2, 2, 5, 4), (3, 2, 1, 4)):
        x = drawn(*shape)
        turned = reference.rope(wide(x), 4, True, [1.0, 10.0**-0.5], 1.0, 1)
        close(block(x, w), reference.rms_norm(reference.attention(turned, wide(x), wide(x), 0.5, "causal"), wide(w), 1e-5), size=4)
    loss = mx.compile(fast.cross_entropy, shapeless=True)
    for n in (2, 5):
        x, t = drawn(n, 3), mx.array(rng.integers(0, 3, n))
        close(loss(x, t), reference.cross_entropy(wide(x), np.array(t)))


X, Q, K = mx.zeros((2, 3, 4)), mx.zeros((1, 4, 3, 8)), mx.zeros((1, 2, 5, 8))
ROPE = dict(traditional=False, base=10.0, scale=1.0, offset=0)
D = (mx.zeros((1, 2, 3, 4)),) * 3 + (mx.zeros((1, 2, 3)),) * 2


def attend(q=Q, k=K, v=K, **options):
    return fast.scaled_dot_product_attention(q, k, v, scale=1.0, **options)


@pytest.mark.parametrize("call, error, text", [
    (lambda: fast.rms_norm(mx.array(1.0), None, 0.1), ValueError, "[fast.rms_norm] x is a scalar"),
    (lambda: fast.rms_norm(X, mx.ones(3), 0.1), ValueError, "weight has shape (3,) and x has shape (2,3,4)"),
    (lambda: fast.layer_norm(X, None, mx.ones((1, 4)), 0.1), ValueError, "[fast.layer_norm] bias has shape (1,4)"),
    (lambda: fast.layer_norm(X.astype(mx.complex64), None, None, 0.1), ValueError, "complex64; real numbers are needed"),
    (lambda: fast.cross_entropy(X, mx.zeros((2, 3))), TypeError, "targets has dtype float32"),
    (lambda: fast.cross_entropy(X, mx.zeros((2, 4), mx.int32)), ValueError, "targets has shape (2,4) and logits has shape (2,3,4)"),
    (lambda: fast.cross_entropy(mx.array(1.0), mx.array(0)), ValueError, "logits is a scalar"),
    (lambda: fast.rope(X[0], 4, **ROPE), ValueError, "[fast.rope] a has shape (3,4)"),
    (lambda: fast.rope(X, 3, **ROPE), ValueError, "dims is 3"),
    (lambda: fast.rope(X, 6, **ROPE), ValueError, "dims is 6 and a has shape (2,3,4)"),
    (lambda: fast.rope(X, 0, **ROPE), ValueError, "dims is 0"),
    (lambda: fast.rope(X, 4, **ROPE, freqs=mx.ones(2)), ValueError, "base and freqs are both given"),
    (lambda: fast.rope(X, 4, **ROPE | dict(base=None)), ValueError, "neither base nor freqs"),
    (lambda: fast.rope(X, 4, **ROPE | dict(base=None), freqs=mx.ones(4)), ValueError, "freqs has shape (4,); for dims=4 it should be (2,)"),
    (lambda: fast.rope(X, 4, **ROPE | dict(offset=1.5)), TypeError, "offset has dtype float32"),
    (lambda: fast.rope(X, 4, **ROPE | dict(offset=mx.arange(3))), ValueError, "offset has shape (3,)"),
    (lambda: attend(q=Q[0]), ValueError, f"[{SDPA}] q has shape (4,3,8); it should have four axes"),
    (lambda: attend(v=K[:, :, :4]), ValueError, "k (1,2,5,8) and v (1,2,4,8)"),
    (lambda: attend(k=K[..., :7]), ValueError, "q has shape (1,4,3,8), k (1,2,5,7)"),
    (lambda: attend(q=Q[:, :3]), ValueError, "q has 3 heads and k has 2"),
    (lambda: attend(mask="full"), ValueError, 'mask is "full"'),
    (lambda: attend(mask=mx.ones((4, 5))), ValueError, "(4,5)"),
    (lambda: attend(mask=mx.ones((1, 1, 1, 3, 5))), ValueError, "no more than four axes"),
    (lambda: attend(mask=mx.ones((3, 5), mx.float64)), ValueError, "mask has dtype float64 and the others make float32"),
    (lambda: attend(sinks=mx.ones(2)), ValueError, "sinks has shape (2,)"),
    (lambda: attend(force_fused=True), ValueError, "force_fused is true"),
    (lambda: fast.gated_delta_update(*D[:2], X, *D[3:]), ValueError, "[fast.gated_delta_update] q has shape (1,2,3,4)"),
    (lambda: fast.gated_delta_update(D[0][:, :, :2], D[0][:, :, :2], *D[2:]), ValueError, "v has 3 heads and k has 2"),
    (lambda: fast.gated_delta_update(*D, initial_state=X), ValueError, "initial_state has shape (2,3,4); it should be (1,3,4,4)"),
    (lambda: fast.gated_delta_update(*D, mask=mx.ones(2)), ValueError, "mask has shape (2,); it should be (1,2)"),
])
def test_errors_say_what_was_wrong(call, error, text):
    with pytest.raises(error, match=re.escape(text)):
        call()
