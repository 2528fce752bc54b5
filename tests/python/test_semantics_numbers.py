"""docs/semantics.md: NaN, integers, casts and subnormals, each over dtypes, lengths, layouts, eager, compiled and vmapped."""

import threading

import mlx.core as mx
import numpy as np
import pytest

import arrays
from again import chosen_again, lesser_instruction_sets
from arrays import COMPLEX, FLOATS, INTEGERS, NUMPY, SIGNED, UNSIGNED
from everywhere import LAYOUTS, LENGTHS, check, same, tiled

nan, inf = float("nan"), float("inf")

# --- NaN ---

LARGER = [(nan, 1, nan), (1, nan, nan), (nan, nan, nan), (nan, inf, nan), (-inf, nan, nan), (2, 1, 2), (-inf, inf, inf)]
SMALLER = [(a, b, nan if np.isnan(c) else min(a, b)) for a, b, c in LARGER]
PASSING = [(nan, 1, 1), (1, nan, 1), (nan, nan, nan), (nan, inf, inf), (-inf, nan, -inf), (2, 1, 2)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op, rows", [("maximum", LARGER), ("minimum", SMALLER), ("fmax", PASSING)], ids=lambda v: v if isinstance(v, str) else "")
def test_nan_in_elementwise_extrema(op, rows, dtype):
    a, b, c = (arrays.rounded(np.array(v, float), dtype) for v in zip(*rows))
    check(getattr(mx, op), (a, b), c, (dtype, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_in_clip(dtype):
    x = arrays.rounded(np.array([nan, 0.5, -3, 7, inf, -inf]), dtype)
    check(lambda x: mx.clip(x, 0.0, 1.0), (x,), arrays.rounded(np.array([nan, 0.5, 0, 1, 1, 0]), dtype), (dtype,))
    for low, high in ((nan, 1.0), (0.0, nan)):
        assert mx.all(mx.isnan(mx.clip(arrays.to_mx(x, dtype), low, high)))


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("length", (1, 2, 5, 16, 33, 1000, 70_000))
def test_one_nan_in_a_reduction(dtype, length):
    rng = np.random.default_rng(length)
    for place in {0, length // 2, length - 1}:
        values = arrays.draw(rng, (length,), dtype)
        values[place] = nan
        for name, laid_out in LAYOUTS.items():
            x = laid_out(arrays.to_mx(values, dtype))
            assert mx.argmax(x).item() == mx.argmin(x).item() == place, name
            outs = [mx.max(x), mx.min(x), mx.sum(x), mx.cummax(x)[-1], mx.cummin(x)[-1], mx.compile(mx.max)(x), mx.vmap(mx.max)(mx.stack([x, x]))[1]]
            outs += [mx.median(x), mx.logsumexp(x)] if dtype in FLOATS else []
            assert all(mx.all(mx.isnan(y)).item() for y in outs), name
            assert mx.isnan(mx.max(mx.stack([x, x], axis=1), axis=0)[1]), "across rows"


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_first_nan_is_the_argument(dtype):
    for length in (4, 40, 3000):
        values = arrays.draw(np.random.default_rng(0), (length,), dtype)
        values[[length // 2, length - 1]] = nan, nan
        x = arrays.to_mx(values, dtype)
        assert mx.argmax(x).item() == mx.argmin(x).item() == length // 2
        assert mx.argmax(mx.stack([x, x]), axis=1).tolist() == [length // 2] * 2


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("length", (5, 95, 97, 2000))
def test_nan_is_the_largest_where_there_is_an_order(dtype, length):
    values = arrays.draw(np.random.default_rng(length), (length,), dtype)
    values[[0, length // 3, length // 2]] = nan, inf, nan
    wanted = np.sort(values)  # NumPy's last, too
    for laid_out in LAYOUTS.values():
        x = laid_out(arrays.to_mx(values, dtype))
        same(mx.sort(x), wanted, "sort")
        same(mx.take_along_axis(x, mx.argsort(x), axis=0), wanted, "argsort")
        assert mx.argsort(x)[-2:].tolist() == [0, length // 2]
        same(mx.sort(mx.topk(x, 3)), wanted[-3:], "topk")
        assert mx.isnan(mx.partition(x, length - 2)[-2:]).tolist() == [True, True]
        found = mx.searchsorted(mx.sort(x), mx.array([nan, inf]).astype(x.dtype))
        assert found.tolist() == [length - 2, length - 3]
        assert mx.searchsorted(mx.sort(x), mx.array([nan]).astype(x.dtype), side="right").tolist() == [length]


def test_comparisons_and_truth_of_nan():
    for dtype in FLOATS + COMPLEX:
        a = arrays.to_mx(np.array([nan, 1.0]), dtype)
        for op, wanted in ((mx.equal, [False, True]), (mx.not_equal, [True, False])):
            assert op(a, a).tolist() == wanted
        assert a.astype(mx.bool_).tolist() == [True, True] and mx.logical_not(a).tolist() == [False, False]
        if dtype in FLOATS:
            assert not any(mx.any(op(a[0], a)).item() for op in (mx.less, mx.greater, mx.less_equal, mx.greater_equal))
    z = mx.array([complex(0, nan), 1.0])
    assert mx.isnan(z).tolist() == [True, False] and mx.argmax(z).item() == 0


# --- integers ---


def wrapped(value, dtype):
    bits = 8 * NUMPY[dtype].itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype in SIGNED and value >> (bits - 1) else value


def ends(dtype):
    info = np.iinfo(dtype)
    return sorted({info.min, info.min + 1, info.max, info.max - 1, info.max // 2, 0, 1, 2, 3, 7} | ({-1, -2, -7} if dtype in SIGNED else set()))


def power(a, b):
    if b < 0:
        return {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)
    return pow(a, b, 1 << 64) if a >= 0 else pow(a % (1 << 64), b, 1 << 64)


PAIRS = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "floor_divide": lambda a, b: a // b if b else 0, "remainder": lambda a, b: a % b if b else 0, "power": power,
}


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op", PAIRS)
def test_integers_wrap_and_never_trap(op, dtype):
    pairs = [(a, b) for a in ends(dtype) for b in ends(dtype)]
    wanted = np.array([wrapped(PAIRS[op](a, b), dtype) for a, b in pairs], NUMPY[dtype])
    a, b = (np.array(v, NUMPY[dtype]) for v in zip(*pairs))
    check(getattr(mx, op), (a, b), wanted, (dtype, dtype), lengths=(1, len(pairs), 2 * len(pairs) + 5))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op", ["left_shift", "right_shift"])
def test_shifts_by_any_count(op, dtype):
    bits = 8 * NUMPY[dtype].itemsize
    counts = [0, 1, bits - 1, bits, bits + 1, min(2 * bits, 127), np.iinfo(dtype).max] + ([-1, -bits, np.iinfo(dtype).min] if dtype in SIGNED else [])
    pairs = [(a, n) for a in ends(dtype) for n in counts]

    def shifted(a, n):
        out = n < 0 or n >= bits
        return (0 if out else a << n) if op == "left_shift" else (-1 if a < 0 else 0) if out else a >> n

    wanted = np.array([wrapped(shifted(a, n), dtype) for a, n in pairs], NUMPY[dtype])
    a, n = (np.array(v, NUMPY[dtype]) for v in zip(*pairs))
    check(getattr(mx, op), (a, n), wanted, (dtype, dtype), lengths=(1, len(pairs), 2 * len(pairs) + 5))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_one_integer_alone_wraps(dtype):
    values = ends(dtype)
    for f, exact in ((mx.abs, abs), (mx.negative, lambda v: -v), (mx.square, lambda v: v * v)):
        wanted = np.array([wrapped(exact(v), dtype) for v in values], NUMPY[dtype])
        check(f, (np.array(values, NUMPY[dtype]),), wanted, (dtype,))
    top = mx.full((1000,), np.iinfo(dtype).max, getattr(mx, dtype))
    total = mx.sum(top)
    assert total.item() == wrapped(1000 * np.iinfo(dtype).max, arrays.name_of(total.dtype))
    assert mx.divide(top, top).dtype in (mx.float32, mx.float64)


# --- casts ---

REALS = [0.0, -0.0, 0.5, -0.5, 0.999, -0.999, 1.5, -1.5, 126.9, 127.9, 128.0, -128.9, -129.0, 255.9, 256.0, 300.7, -300.7, 32767.5, 32768.0,
         -32769.0, 65504.0, 65536.0, 2.0**31 - 128, 2.0**31, -(2.0**31), -(2.0**31) - 256, 2.0**32 - 256, 2.0**32, 2.0**53, 2.0**63 - 2.0**39,
         2.0**63, -(2.0**63), -(2.0**63) * 1.5, 2.0**64 - 2.0**40, 2.0**64, 1e30, -1e30, inf, -inf, nan]


def saturated(value, dtype):
    info = np.iinfo(dtype)
    if np.isnan(value):
        return 0
    return info.max if value >= info.max + 1 else info.min if value <= info.min else int(value)


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("source", FLOATS)
def test_casts_to_integers_saturate(source, to):
    with np.errstate(over="ignore"):
        values = arrays.rounded(np.array(REALS), source)
    wanted = np.array([saturated(float(v), to) for v in values], NUMPY[to])
    check(lambda x: x.astype(getattr(mx, to)), (values,), wanted, (source,), lengths=(1, 7, 40, 131))
    fused = lambda x: (x + x - x).astype(getattr(mx, to))  # in one pass with arithmetic
    finite = np.isfinite(values) & (np.abs(values.astype(float)) < 3e4)
    check(fused, (values[finite],), wanted[finite], (source,), lengths=(len(wanted[finite]),))
    parts = arrays.to_mx(values, source)
    if source in ("float32", "float64"):
        same((parts + 1j * 0).astype(getattr(mx, to))[:10], wanted[:10], "complex")


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("source", INTEGERS)
def test_casts_between_integers_keep_the_low_bits(source, to):
    values = ends(source)
    wanted = np.array([wrapped(v, to) for v in values], NUMPY[to])
    check(lambda x: x.astype(getattr(mx, to)), (np.array(values, NUMPY[source]),), wanted, (source,))


@pytest.mark.parametrize("source", INTEGERS + FLOATS)
def test_casts_to_bool(source):
    values = arrays.special(source)
    check(lambda x: x.astype(mx.bool_), (values,), np.array([v != 0 for v in values]), (source,))
    if source in FLOATS:
        small = arrays.rounded(np.array([0.5, 1e-5, -0.25, 0]), source)
        check(lambda x: x.astype(mx.bool_), (small,), np.array([True, True, True, False]), (source,))


def test_casts_of_complex_numbers():
    for source, real in (("complex64", "float32"), ("complex128", "float64")):
        values = arrays.special(source)
        check(lambda x: x.astype(getattr(mx, real)), (values,), values.real.copy(), (source,))
        check(lambda x: x.astype(mx.bool_), (values,), values != 0, (source,))


def test_casts_to_smaller_floats_round_to_even():
    values = np.array([65504.0, 65519.0, 65520.0, -1e6, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 1e-8, 1.00048828125, 1.001464843750, nan, -inf, -0.0])
    with np.errstate(over="ignore", under="ignore"):
        for source in ("float32", "float64"):
            check(lambda x: x.astype(mx.float16), (values,), values.astype(NUMPY[source]).astype(np.float16), (source,))
        wide = np.array([1e300, -1e300, 1e-300, 1e-42, 1 + 2.0**-24, 3.5])
        check(lambda x: x.astype(mx.float32), (wide,), wide.astype(np.float32), ("float64",))


# --- subnormals ---

TINY = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}
KEEPING = {
    "doubling": (lambda x: x + x, 2), "times": (lambda x: x * 3, 3), "abs": (lambda x: mx.abs(-x), 1), "difference": (lambda x: (x + x + x) - x, 2),
    "maximum": (lambda x: mx.maximum(x, 0), 1), "where": (lambda x: mx.where(x > 0, x, 1), 1),
    "sort": (mx.sort, 1), "cumulative": (lambda x: mx.cummax(x), 1), "copy": (lambda x: mx.contiguous(x[::-1]), 1),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("what", KEEPING)
def test_subnormals_are_kept(what, dtype):
    f, factor = KEEPING[what]
    tiny = arrays.rounded(np.array([TINY[dtype]]), dtype)
    assert tiny[0] != 0
    check(f, (tiny,), tiny * factor, (dtype,), lengths=LENGTHS[1:])


@pytest.mark.parametrize("dtype", FLOATS)
def test_subnormals_are_kept_by_reductions_and_casts(dtype):
    x = arrays.to_mx(np.full(1000, TINY[dtype]), dtype)
    assert (mx.max(x) > 0).item() and (mx.sum(x) > mx.max(x)).item() and x.astype(mx.bool_).all().item()
    assert mx.all(x.astype(mx.float64) == TINY[dtype]) and mx.all(x.astype(mx.float64).astype(x.dtype) == x)
    assert (mx.sqrt(x) > 0).all().item() and (x > 0).all().item()


def test_subnormals_are_kept_on_every_thread():
    """Large arrays are computed by the pool, products in between set its threads' mode for themselves."""
    tiny = mx.full((1 << 22,), 1.0, mx.float32) * np.float32(1e-40)
    square = mx.ones((700, 700))
    out = []

    def work(stream=None):
        y = tiny
        for _ in range(3):
            product = square @ square
            y = y + 0 * product[0, 0]
            mx.eval(product, y)
        out.append((mx.min(y + y) > 0).item() and (mx.min(y) == mx.max(tiny)).item())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    work()
    assert out == [True] * 4
    assert np.float32(1e-40) * np.float32(2) > 0


@pytest.mark.slow
@lesser_instruction_sets
def test_every_instruction_set_has_these_semantics(target):
    """Casts, integers, NaN and subnormals again, with other kernels."""
    names = "test_casts_to_integers_saturate or test_integers_wrap or test_nan_in or test_subnormals_are_kept or test_shifts"
    chosen_again(__file__, f"({names}) and not instruction_set", MLX_CPU_TARGETS=target)


def test_tiling_covers_the_values():
    assert tiled([1, 2, 3], 7).tolist() == [1, 2, 3, 1, 2, 3, 1] and set(UNSIGNED) < set(INTEGERS)
