"""Integers and bools that runs of strips make numbers of as they read them: the bits of one operation at a time, and NumPy's."""

import mlx.core as mx
import numpy as np
import pytest

from bits import evaluated

FROM = ["bool_", "uint8", "int8", "uint16", "int16", "int32", "uint32", "int64"]
TO = ["float32", "bfloat16", "float16", "float64"]


def given(rng, dtype, shape):
    if dtype == "bool_":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def as_bytes(x):
    mx.eval(x)
    return np.array(x.astype(mx.float64) if x.dtype in (mx.float16, mx.bfloat16) else x).tobytes()


@pytest.mark.parametrize("to", TO)
@pytest.mark.parametrize("dtype", FROM)
@pytest.mark.parametrize("seed", range(6))
def test_casts_in_runs(dtype, to, seed):
    rng = np.random.default_rng(seed)
    n, m = [(1, 2048), (1, 5000), (31, 100), (40, 256), (3, 1100), (300, 1000)][seed]
    kind = getattr(mx, to)
    i, j = mx.array(given(rng, dtype, (n, m))), mx.array(given(rng, "uint8", (n, m)))
    wide, row, column = mx.array(given(rng, dtype, (n, 2 * m + 7))), mx.array(given(rng, dtype, (m,))), mx.array(given(rng, dtype, (n, 1)))
    x = mx.array(rng.standard_normal((n, m)).astype(np.float32)).astype(kind)
    mx.eval(i, j, wide, row, column, x)

    def results(each):
        a = each(i.astype(kind))
        b = each(each(a * 0.5) + each(x * each(j.astype(kind))))
        c = each(each(each(wide[:, 3 : m + 3].astype(kind)) - b) + each(each(wide[:, ::2][:, :m].astype(kind)) * x))
        d = each(each(each(row.astype(kind)) * x) + each(each(column.astype(kind)) + each(x > 0).astype(kind)))
        return [a, b, c, each(mx.where(each(c > d), c, d)), each(mx.sum(each(d * a), axis=-1)), each(mx.max(each(b - a), axis=0))]

    stepwise = [as_bytes(v) for v in results(evaluated)]
    assert [as_bytes(v) for v in results(lambda v: v)] == stepwise
    assert [as_bytes(v) for v in mx.compile(lambda: results(lambda v: v))()] == stepwise


def test_all_bytes():
    bytes_ = np.arange(256, dtype=np.uint8).repeat(20)
    for dtype in (np.uint8, np.int8):
        x = bytes_.view(dtype)
        assert np.array_equal(np.array(mx.array(x).astype(mx.float32) * 2 + 1), x.astype(np.float32) * 2 + 1)
    words = np.arange(1 << 16, dtype=np.uint16)
    for dtype in (np.uint16, np.int16):
        x = words.view(dtype)
        assert np.array_equal(np.array(mx.array(x).astype(mx.float32) / 3 + 1), x.astype(np.float32) / np.float32(3) + np.float32(1))
    rng = np.random.default_rng(0)
    for dtype in (np.int32, np.uint32):
        x = np.concatenate([rng.integers(0, 1 << 32, 10_001), *(np.arange(-40, 40) + (k << 24) for k in range(1, 256, 3))]).astype(dtype)
        assert np.array_equal(np.array(mx.array(x).astype(mx.float32) * 0.5 - 1), x.astype(np.float32) * np.float32(0.5) - np.float32(1))
