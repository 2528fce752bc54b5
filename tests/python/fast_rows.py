"""Samples of the functions of mx.fast: see sample_rows.py. The references are written from their formulas, a loop for each sum over
time, in the wider type that the grids give them."""

import mlx.core as mx
import numpy as np

from arrays import FLOATS, INTEGERS
from samples import Index, Mask, Real
from sample_rows import row


def real(x):
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def rms_norm(x, weight=None, eps=0.0):
    x = real(x)
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return y if weight is None else y * weight


def layer_norm(x, weight=None, bias=None, eps=0.0):
    x = real(x)
    y = rms_norm(x - x.mean(-1, keepdims=True), weight, eps)
    return y if bias is None else y + bias


def cross_entropy(logits, targets):
    x = real(logits)
    top = x.max(-1, keepdims=True)
    return np.log(np.exp(x - top).sum(-1)) + top[..., 0] - np.take_along_axis(x, targets[..., None], -1)[..., 0]


def rope(x, dims, traditional, turns, scale=1.0, offset=0):
    """Pair by pair; turns: of each of them at position 1."""
    y = np.array(real(x))
    batch = np.broadcast_to(np.asarray(offset).reshape(-1), (len(y),))
    for b, t, i in np.ndindex(len(y), y.shape[-2], dims // 2):
        first, second = (2 * i, 2 * i + 1) if traditional else (i, i + dims // 2)
        angle = (t + int(batch[b])) * y.dtype.type(scale) * y.dtype.type(turns[i])
        p, q = y[b, ..., t, first].copy(), y[b, ..., t, second].copy()
        y[b, ..., t, first] = p * np.cos(angle) - q * np.sin(angle)
        y[b, ..., t, second] = p * np.sin(angle) + q * np.cos(angle)
    return y


def attention(q, k, v, scale=1.0, mask=None, sinks=None):
    """Query by query, over the keys that it sees."""
    q, k, v = map(real, (q, k, v))
    (batch, heads, queries, _), groups, keys = q.shape, k.shape[1], k.shape[2]
    out = np.zeros((batch, heads, queries, v.shape[-1]), q.dtype)
    for b, h, i in np.ndindex(batch, heads, queries):
        g = h * groups // heads
        scores = np.array([(q[b, h, i] * k[b, g, j]).sum() * scale for j in range(keys)], q.dtype)
        seen = np.arange(keys) <= i + keys - queries if isinstance(mask, str) else np.ones(keys, bool)
        if mask is not None and not isinstance(mask, str):
            here = np.broadcast_to(mask, (batch, heads, queries, keys))[b, h, i]
            seen, scores = (here, scores) if here.dtype == bool else (seen, scores + here)
        if sinks is None and not seen.any():
            seen, scores = np.ones(keys, bool), np.zeros(keys, q.dtype)
        top = max([*scores[seen], *([] if sinks is None else [sinks[h]])])
        weights = np.exp(scores - top, where=seen, out=np.zeros_like(scores))
        out[b, h, i] = weights @ v[b, g] / (weights.sum() + (0 if sinks is None else np.exp(sinks[h] - top)))
    return out


def gated_delta(q, k, v, gamma, beta, state=None, mask=None):
    q, k, v, gamma, beta = map(real, (q, k, v, gamma, beta))
    (batch, steps, heads, size), sharing = v.shape, v.shape[2] // q.shape[2]
    state = np.zeros((batch, heads, size, q.shape[-1]), v.dtype) if state is None else np.array(real(state))
    out = np.zeros_like(v)
    for b, t, h in np.ndindex(batch, steps, heads):
        if mask is not None and not mask[b, t]:
            continue
        key, query = k[b, t, h // sharing], q[b, t, h // sharing]
        s = state[b, h] * gamma[b, t, h]
        state[b, h] = s + np.outer(v[b, t, h] - s @ key, key) * beta[b, t, h]
        out[b, t, h] = state[b, h] @ query
    return [out, state]


ALL = INTEGERS + FLOATS
X, W, B = Real((3, 5)), Real((5,)), Real((5,))
LOGITS = Real((2, 3, 4))
R = Real((2, 3, 4, 6))
Q, K, V = Real((2, 4, 3, 5), -1, 1), Real((2, 2, 4, 5), -1, 1), Real((2, 2, 4, 3), -1, 1)
D = Real((2, 3, 1, 4), -0.7, 0.7), Real((2, 3, 1, 4), -0.7, 0.7), Real((2, 3, 2, 3)), Real((2, 3, 2), 0.1, 1), Real((2, 3, 2), 0.1, 1)
TURNS = [100.0 ** (-2 * i / 6) for i in range(3)]


def widened(dtype):
    return dtype if dtype in FLOATS else "float32"


def loss_dtype(dtype):
    return "float64" if dtype == "float64" else "float32"


def of_size(f):
    """Errors are relative to what is added up: at least 1."""
    return lambda *a: np.maximum(1, np.abs(f(*a)))


def _rope(label, ref, dtypes=FLOATS, args=(), **options):
    call = {"traditional": False, "base": None if "freqs" in options else 100.0, "scale": 1.0, "offset": 0} | options
    dims = call.pop("dims", 6)
    return row(label, R, *args, ref=ref, dtypes=dtypes, ulp=8, magnitude=lambda x, *_: np.full(x.shape, 6.0), result=widened,
               call=lambda x, *more: mx.fast.rope(x, dims, **call | dict(zip(("offset",), more))))


def _attention(label, ref, *args, call=None, q=Q, dtypes=FLOATS, **facts):
    call = call or (lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5))
    return row(label, q, K, V, *args, call=call, ref=ref, dtypes=dtypes, ulp=12,
               magnitude=lambda q, k, v, *_: np.full((*q.shape[:3], v.shape[-1]), 2.0 + 3 * (q.dtype == np.float16)), **facts)


def sdpa(**options):
    return lambda q, k, v, *more: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5, **options, **dict(zip(("mask",), more)))


ROWS = {
    "fast.rms_norm": [
        row("", X, W, call=lambda x, w: mx.fast.rms_norm(x, w, 0.25), ref=lambda x, w: rms_norm(x, w, 0.25), dtypes=FLOATS, ulp=6),
        row("no weight", X, call=lambda x: mx.fast.rms_norm(x, None, 0.25), ref=lambda x: rms_norm(x, None, 0.25), dtypes=ALL, ulp=6,
            result=widened),
    ],
    "fast.layer_norm": [
        row("", X, W, B, call=lambda x, w, b: mx.fast.layer_norm(x, w, b, 0.25), ref=lambda x, w, b: layer_norm(x, w, b, 0.25),
            dtypes=FLOATS, ulp=12, magnitude=lambda x, w, b: 2 + 2 * np.abs(w) + np.abs(b)),
        row("no weight", X, call=lambda x: mx.fast.layer_norm(x, None, None, 0.25), ref=lambda x: layer_norm(x, None, None, 0.25),
            dtypes=ALL, ulp=12, magnitude=lambda x: np.full(x.shape, 3.0), result=widened),
    ],
    "fast.cross_entropy": [
        row("", LOGITS, Index((2, 3), 0, 4), ref=cross_entropy, dtypes=ALL, ulp=6, magnitude=of_size(cross_entropy), result=loss_dtype),
        row("row", Real((4,)), Index((), -4, 0), ref=cross_entropy, dtypes=FLOATS, ulp=6, magnitude=of_size(cross_entropy),
            result=loss_dtype),
    ],
    "fast.rope": [
        _rope("", lambda x: rope(x, 6, False, TURNS), ALL),
        _rope("traditional", lambda x: rope(x, 6, True, TURNS, 0.5, 3), traditional=True, scale=0.5, offset=3),
        _rope("part", lambda x: rope(x, 4, False, [1.0, 0.1]), dims=4),
        _rope("traditional part", lambda x: rope(x, 2, True, [1.0]), dims=2, traditional=True),
        _rope("freqs", lambda x: rope(x, 6, False, [1.0, 0.5, 0.25]), freqs=mx.array([1.0, 2.0, 4.0])),
        _rope("offsets", lambda x, o: rope(x, 6, False, TURNS, 1.0, o), args=(Index((2,), 0, 9),)),
    ],
    "fast.scaled_dot_product_attention": [
        _attention("groups", lambda q, k, v: attention(q, k, v, 0.5)),
        _attention("heads", lambda q, k, v: attention(q, k, v, 0.5), q=Real((2, 2, 3, 5), -1, 1)),
        _attention("causal", lambda q, k, v: attention(q, k, v, 0.5, "causal"), call=sdpa(mask="causal")),
        _attention("more queries", lambda q, k, v: attention(q, k, v, 0.5, "causal"), call=sdpa(mask="causal"),
                   q=Real((2, 2, 6, 5), -1, 1)),
        _attention("bools", lambda q, k, v, m: attention(q, k, v, 0.5, m), Mask((4, 1, 4)), call=sdpa()),
        _attention("numbers", lambda q, k, v, m: attention(q, k, v, 0.5, m), Real((3, 4), -2, 0), call=sdpa()),
        _attention("sinks", lambda q, k, v, s: attention(q, k, v, 0.5, "causal", s), Real((4,), -1, 1),
                   call=lambda q, k, v, s: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal", sinks=s)),
    ],
    "fast.gated_delta_update": [
        row("", *D, ref=gated_delta, dtypes=("float32", "float64"), ulp=40, magnitude=lambda *a: 10.0),
        row("state and mask", *D, Real((2, 2, 3, 4)), Mask((2, 3)), ref=gated_delta, dtypes=("float32", "float64"), ulp=40,
            magnitude=lambda *a: 10.0),
    ],
}
