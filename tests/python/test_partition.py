"""partition, argpartition and topk on lanes of every length class: short ones, ones parted by digits, ones parted twice; many equal
keys, infinities, NaNs, lanes across memory."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["bool_", "uint8", "int8", "int16", "uint32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
KINDS = ["normal", "few values", "one value", "close", "special"]


def values(kind, n, dtype, rng):
    if dtype == "complex64":
        return (values(kind, n, "float32", rng) + 1j * rng.integers(0, 3, n)).astype(np.complex64)
    whole = dtype == "bool_" or "int" in dtype
    x = {
        "normal": lambda: rng.standard_normal(n) * (40 if whole else 1),
        "few values": lambda: rng.integers(0, 3, n),
        "one value": lambda: np.full(n, 7),
        "close": lambda: 64 + rng.integers(0, 60, n) * (1 if whole else 2.0**-20),  # they differ in their last digits only
        "special": lambda: np.where(rng.random(n) < 0.5, rng.choice([-1.0, -0.0, 0.0, 1.0], n), rng.choice([0, np.inf, -np.inf, np.nan], n)),
    }[kind]()
    return np.nan_to_num(x, posinf=100, neginf=-100).astype(np.int64) if whole else x


def keys(x):
    """Numbers in the order of the elements, NaN behind everything."""
    return np.unique(x, return_inverse=True, equal_nan=True)[1].reshape(x.shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_argpartition(kind, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 2, 10, 23, 24, 63, 64, 300, 8191, 20000):
        x = mx.array(values(kind, n, dtype, rng), dtype=getattr(mx, dtype))
        rank = keys(np.array(x.astype(mx.float64) if dtype != "complex64" else x))
        for kth in {0, n // 3, n // 2, n - 1}:
            at = np.array(mx.argpartition(x, kth))
            assert sorted(at) == list(range(n))
            parted, in_order = rank[at], np.sort(rank)
            assert parted[kth] == in_order[kth]
            assert (parted[:kth] <= in_order[kth]).all() and (parted[kth:] >= in_order[kth]).all()
            if kth > 0:  # the median reads it
                assert parted[kth - 1] == in_order[kth - 1]


@pytest.mark.parametrize("shape, axis", [((100, 200), 0), ((100, 200), 1), ((3, 9000), 1), ((9000, 3), 0), ((7, 5, 40), 1), ((2000, 10), 1)])
def test_lanes(shape, axis):
    n = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    for x, ref in ((mx.array(n), n), (mx.array(n.T).T, n), (mx.array(n)[::-1], n[::-1])):
        kth = shape[axis] // 2
        got, want = np.array(mx.partition(x, kth, axis=axis)), np.sort(ref, axis)
        assert (np.take(got, kth, axis) == np.take(want, kth, axis)).all()
        assert (np.sort(got, axis) == want).all()
        top = np.array(mx.topk(x, 3, axis=axis))
        assert (np.sort(top, axis) == np.take(want, range(shape[axis] - 3, shape[axis]), axis)).all()
        assert (np.array(mx.median(x, axis=axis)) == np.median(ref, axis)).all()
