"""sort, argsort, argpartition and topk against NumPy at lengths around those at which the way changes: a network's rows, a
quicksort, counting, several threads. The result is the same on each instruction set and for each number of threads."""

import hashlib
import json

import mlx.core as mx
import numpy as np
import pytest

from again import LESSER, again

LENGTHS = [1, 2, 7, 16, 17, 64, 100, 128, 129, 255, 256, 257, 300, 511, 513, 2047, 5000, 70_000]
LONG = [131_072, 300_001]
DTYPES = ["bool", "uint8", "int8", "int16", "uint16", "float16", "int32", "uint32", "float32", "int64", "uint64", "float64"]
KINDS = ["normal", "few values", "descending", "one often", "special"]


def values(kind, n, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = {
        "normal": lambda: rng.standard_normal(n) * 1000,
        "few values": lambda: rng.integers(0, 5, n),
        "descending": lambda: np.arange(n)[::-1],
        "one often": lambda: np.where(rng.random(n) < 0.3, -7, rng.integers(-100_000, 100_000, n)),
        "special": lambda: rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5], n),
    }[kind]()
    if dtype.startswith("float"):
        with np.errstate(over="ignore"):
            return x.astype(dtype)
    x = np.nan_to_num(x, posinf=100, neginf=-100).astype(np.int64)
    return x > 0 if dtype == "bool" else (np.abs(x) if dtype[0] == "u" else x).astype(dtype)


def sorted_along(x, axis=-1):
    """NumPy's other ways leave float16 with infinities out of order on some processors (2.4 with AVX-512 but no FP16)."""
    return np.sort(x, axis, kind="stable")


def array(x):
    return mx.array(x, dtype=mx.bool_ if x.dtype == bool else getattr(mx, str(x.dtype)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length(dtype, kind):
    for n in LENGTHS + (LONG if kind in ("normal", "one often") else []):
        x = values(kind, n, dtype)
        a, order, ordered = array(x), np.argsort(x, kind="stable"), sorted_along(x)
        np.testing.assert_array_equal(np.array(mx.sort(a)), ordered)
        np.testing.assert_array_equal(np.array(mx.argsort(a)), order)
        for k in {1, min(3, n), n // 5 + 1, n}:
            np.testing.assert_array_equal(sorted_along(np.array(mx.topk(a, k))), ordered[n - k:])
        for kth in {0, n // 3, n - 1}:
            at = np.array(mx.argpartition(a, kth))
            np.testing.assert_array_equal(sorted_along(at), np.arange(n))
            np.testing.assert_array_equal(x[at[kth]], ordered[kth])
            np.testing.assert_array_equal(sorted_along(x[at[:kth]]), ordered[:kth])


def test_zeros_and_nans():
    x = mx.array([0.0, -0.0, float("nan"), -0.0, 0.0, -float("nan")] * 100)
    ordered = np.array(mx.sort(x))
    assert np.signbit(ordered[:200]).all() and not np.signbit(ordered[200:400]).any() and np.isnan(ordered[400:]).all()
    np.testing.assert_array_equal(np.array(mx.argsort(x)), np.argsort(np.array(x), kind="stable"))


@pytest.mark.parametrize("shape, axis", [((300, 40), 0), ((40, 300), 0), ((3, 70, 5), 1), ((200_000, 3), 0), ((2, 150_000), 1)])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_axes(shape, axis, dtype):
    n = (np.random.default_rng(1).standard_normal(shape) * 100).astype(np.float32).astype(dtype)
    last = len(shape) - 1
    for x, ref, along in ((array(n), n, axis), (array(n).T, n.T, last - axis), (array(n)[::-1], n[::-1], axis)):
        np.testing.assert_array_equal(np.array(mx.sort(x, axis=along)), sorted_along(ref, along))
        np.testing.assert_array_equal(np.array(mx.argsort(x, axis=along)), np.argsort(ref, along, kind="stable"))
        top = sorted_along(np.array(mx.topk(x, 3, axis=along)), along)
        size = ref.shape[along]
        np.testing.assert_array_equal(top, np.take(sorted_along(ref, along), range(size - 3, size), along))


def test_wide_keys_that_differ_in_their_last_bits_only():
    """Indices of 64-bit elements are sorted by the high bits first, and what is equal there by the others."""
    rng = np.random.default_rng(2)
    for x in (1.0 + rng.integers(0, 1000, 5000) * 2.0**-52, np.where(rng.random(5000) < 0.5, 1e300, 1 + rng.random(5000) * 1e-9),
              rng.integers(-(2**63), 2**63 - 1, 5000)):
        np.testing.assert_array_equal(np.array(mx.argsort(array(x))), np.argsort(x, kind="stable"))


def fingerprints():
    found = {}
    for n in (50, 1000, 30_000, 400_000):
        for dtype in ("float32", "int64", "float16"):
            a = array(values("normal", n, dtype, seed=n))
            for name, y in (("sort", mx.sort(a)), ("argsort", mx.argsort(a)), ("low", mx.argpartition(a, n // 3)),
                            ("last", mx.argpartition(a, n - 1)), ("top", mx.topk(a, n // 7)), ("few", mx.topk(a, 5))):
                found[f"{name} {n} {dtype}"] = hashlib.sha256(np.array(y).tobytes()).hexdigest()
    print(json.dumps(found))


def run_with(**environment):
    return json.loads(again("-c", "import test_sort_lengths; test_sort_lengths.fingerprints()", **environment).splitlines()[-1])


def test_the_same_for_each_instruction_set_and_number_of_threads():
    here = run_with(MLX_NUM_THREADS="2")
    assert run_with(MLX_NUM_THREADS="1") == here
    assert run_with(MLX_NUM_THREADS="7") == here
    for target in LESSER:
        assert run_with(MLX_CPU_TARGETS=target) == here


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint32", "float16"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_many_values_are_searched_for_in_one_row(dtype, side):
    """By vectors and what is left of them: rows of any length, equal elements, zeros of either sign, NaNs last."""
    rng = np.random.default_rng(7)
    for length in (1, 2, 3, 50, 63, 64, 65, 1000):
        for count in (1, 7, 31, 32, 33, 64, 65, 1500):
            row, values = ((rng.normal(size=n) * 20).round(0 if length < 64 else 3).clip(0 if dtype == "uint32" else None) for n in (length, count))
            if "float" in dtype:
                for x in (row, values):
                    x[rng.random(x.size) < 0.05] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
            row, values = sorted_along(row.astype(dtype)), values.astype(dtype)
            mine, wanted = (mx.array(x, dtype=getattr(mx, dtype)) for x in (row, values))
            want = np.searchsorted(row, values, side=side)
            assert np.array_equal(mx.searchsorted(mine, wanted, side=side), want), (length, count)
            apart = mx.repeat(mine, 2)[::2], mx.repeat(wanted, 3)[::3]
            assert np.array_equal(mx.searchsorted(*apart, side=side), want), (length, count)
