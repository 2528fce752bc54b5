"""Stacking, sampled functions, counting, and the parts of floating-point numbers: ends, NaN, degenerate points, errors."""

import mlx.core as mx
import numpy as np
import pytest


def double(x):
    return mx.array(x, mx.float64)


def near(got, expected, tolerance=1e-6):
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=tolerance, atol=tolerance)


def test_nan_is_ignored_by_fmax_and_fmin():
    a, b = np.array([1, np.nan, 2, np.nan]), np.array([np.nan, 5, 1, np.nan])
    for name in ("fmax", "fmin"):
        np.testing.assert_array_equal(np.array(getattr(mx, name)(mx.array(a), mx.array(b))), getattr(np, name)(a, b))
    gradients = mx.grad(lambda a, b: mx.sum(mx.where(mx.isnan(mx.fmax(a, b)), 0, mx.fmax(a, b))), argnums=(0, 1))(mx.array(a), mx.array(b))
    assert [g.tolist() for g in gradients] == [[1, 0, 1, 0], [0, 1, 0, 0]]


def test_signs():
    x = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, np.copysign(np.nan, -1)])
    for dtype in (mx.float16, mx.bfloat16, mx.float32, mx.float64):
        y = mx.array(x).astype(dtype)
        assert mx.signbit(y).tolist() == np.signbit(x).tolist()
        assert np.signbit(np.array(mx.copysign(mx.array(2.0, dtype), y).astype(mx.float32))).tolist() == np.signbit(x).tolist()
    assert mx.signbit(mx.array([-1, 0, 3])).tolist() == [True, False, False] and mx.signbit(mx.array([True])).tolist() == [False]


def test_neighbours():
    for dtype, numpy in ((mx.float32, np.float32), (mx.float64, np.float64), (mx.float16, np.float16)):
        a = np.array([0, 1, -1, np.inf, -np.inf, np.nan, 65504, 1e-8], numpy)
        for b in (-np.inf, 0, 1, np.inf, np.nan):
            got = np.array(mx.nextafter(mx.array(a, dtype), mx.array(b, dtype)))
            np.testing.assert_array_equal(got, np.nextafter(a, numpy(b)))


def test_hypot_neither_overflows_nor_divides_by_zero():
    assert mx.hypot(mx.array(3e38), mx.array(0.0)).item() == np.float32(3e38) and mx.hypot(mx.array(np.inf), mx.array(np.nan)).item() == np.inf
    for order in (mx.grad, lambda f: mx.grad(mx.grad(f))):
        assert order(lambda a: mx.hypot(a, a * 0))(mx.array(0.0)).item() == 0
    assert mx.grad(mx.hypot, argnums=1)(mx.array(3.0), mx.array(4.0)).item() == pytest.approx(0.8)


def test_sinc_has_its_derivatives_at_zero():
    """Of order 2 k: (-1)^k pi^(2 k) / (2 k + 1)."""
    f = mx.sinc
    for order in range(7):
        expected = 0 if order % 2 else (-1) ** (order // 2) * np.pi**order / (order + 1)
        for x, tolerance in ((0.0, 1e-9), (1e-5, 1e-2), (-1e-200, 1e-9)):
            assert f(mx.array(x, mx.float64)).item() == pytest.approx(expected, abs=tolerance)
        f = mx.grad(f)
    x = np.concatenate([np.linspace(-5, 5, 1001), [0.25, np.nextafter(0.25, 0), -0.25]])
    near(mx.sinc(double(x)), np.sinc(x), 2e-15)


def test_angles_of_numbers():
    z = np.array([1, -1, 1j, -1j, -0.0, 0, 2 - 2j, np.nan])
    near(mx.angle(mx.array(z, mx.complex128)), np.angle(z))
    for x in ([1.0, -1.0, 0.0, -0.0, np.nan, -np.inf], [1, -2]):
        near(mx.angle(mx.array(x)), np.angle(x))


def test_logaddexp2_of_infinities():
    a = np.array([np.inf, -np.inf, np.inf, -np.inf, 1000, np.nan, 0])
    b = np.array([np.inf, -np.inf, -np.inf, 3, 1000, 1, -2000])
    np.testing.assert_allclose(np.array(mx.logaddexp2(double(a), double(b))), np.logaddexp2(a, b))


@pytest.mark.parametrize("period", [None, 2.5])
def test_interp_is_numpys(period):
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        xp = np.sort(rng.uniform(-2, 2, n)) if period is None else rng.uniform(-2, 2, n)
        fp = rng.normal(size=n)
        x = np.concatenate([rng.uniform(-4, 4, 50), xp, [1e30, -1e30] if period is None else []])
        near(mx.interp(double(x), double(xp), double(fp), period=period), np.interp(x, xp, fp, period=period), 1e-12)
        assert np.isnan(mx.interp(np.nan, double(xp), double(fp), period=period).item())
        if period is None:
            near(mx.interp(double(x), double(xp), double(fp), -7, 9), np.interp(x, xp, fp, -7, 9), 1e-12)
    near(mx.interp(2.5, mx.array([1, 2, 3]), mx.array([3, 2, 0])), 1.0)


def test_interp_at_one_place_twice():
    xp, fp = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 5, 6])
    x = np.array([0.5, 0.999, 1, 1.5, 2])
    near(mx.interp(mx.array(x), mx.array(xp), mx.array(fp)), np.interp(x, xp, fp))
    gradient = mx.grad(lambda fp: mx.sum(mx.interp(mx.array(x), mx.array(xp), fp)))(mx.array(fp))
    assert np.isfinite(np.array(gradient)).all()


def test_counting_is_numpys():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 20, 1000)
    w = rng.normal(size=1000)
    for least in (0, 5, 40):
        np.testing.assert_array_equal(np.array(mx.bincount(mx.array(x), minlength=least)), np.bincount(x, minlength=least))
        near(mx.bincount(mx.array(x), double(w), least), np.bincount(x, w, least), 1e-12)
    assert mx.bincount(mx.array([], mx.int32)).tolist() == [] and mx.bincount(mx.array([], mx.uint8), minlength=3).tolist() == [0, 0, 0]
    y = np.concatenate([rng.normal(size=500), [-3, 3, 3]]).astype(np.float32)
    for bins in (1, 10, 64, np.array([-3.0, -1, 0, 0.5, 3], np.float32)):
        for density in (False, True):
            for span in (None, (-1.0, 2.0)) if isinstance(bins, int) else (None,):
                given = mx.array(bins) if isinstance(bins, np.ndarray) else bins
                got, edges = mx.histogram(mx.array(y), given, range=span, density=density)
                expected, of_numpy = np.histogram(y, np.array(edges), density=density)
                near(got, expected, 1e-5)
                near(edges, np.histogram_bin_edges(y, bins, range=span) if isinstance(bins, int) else bins, 1e-5)
    near(mx.histogram(mx.array(y), 5, weights=mx.array(y))[0], np.histogram(y, np.array(mx.histogram(mx.array(y), 5)[1]), weights=y)[0], 1e-4)
    assert mx.histogram(mx.array([np.nan, 1.0]), 2, range=(0, 2))[0].tolist() == [0, 1]
    assert [a.tolist() for a in mx.histogram(mx.array([2.0, 2.0]), 2)] == [[0, 2], [1.5, 2, 2.5]]


def test_edges_between_the_extremes_under_transforms():
    x = mx.array([[1.0, 4.0, 2.5, 2.0], [7.0, -1.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0]], mx.float64)
    apart = [mx.histogram(row, 3) for row in x]
    for together in (mx.vmap(lambda r: mx.histogram(r, 3))(x), mx.compile(mx.vmap(lambda r: mx.histogram(r, 3)))(x)):
        for got, expected in zip(together, zip(*apart)):
            assert mx.array_equal(got, mx.stack(expected))
    weights = mx.array([1.0, 10, 100, 1000], mx.float64)
    gradient = mx.grad(lambda r: (mx.histogram(r, 3)[1] * weights).sum())(x[0])
    near(gradient, [1 + 20 / 3 + 100 / 3, 10 / 3 + 200 / 3 + 1000, 0, 0], 1e-12)  # all of the least and the largest element


def test_counting_in_transforms_takes_a_length():
    rows = mx.array([[0, 1, 1], [2, 2, 2]])
    assert mx.vmap(lambda x: mx.bincount(x, length=3))(rows).tolist() == [[1, 2, 0], [0, 0, 3]]
    assert mx.compile(lambda x: mx.bincount(x, length=4))(rows[0]).tolist() == [1, 2, 0, 0]
    assert mx.grad(lambda w: mx.bincount(rows[0], w, length=3)[1])(mx.array([1.0, 2.0, 3.0])).tolist() == [0, 1, 1]


def test_unwrap_is_numpys():
    x = np.random.default_rng(2).uniform(-30, 30, (5, 40))
    for axis in (0, 1):
        for discont in (None, 4.0, 1.0):
            near(mx.unwrap(double(x), discont, axis), np.unwrap(x, discont, axis), 1e-9)
    near(mx.unwrap(mx.array([0, np.pi, 0, -np.pi])), np.unwrap([0, np.pi, 0, -np.pi]))
    assert mx.unwrap(mx.array([1.0])).tolist() == [1]


ERRORS = {
    "stack none": (lambda: mx.vstack([]), ValueError, r"\[vstack\] No arrays"),
    "stack misfit": (lambda: mx.hstack([mx.zeros((2, 2)), mx.zeros((3, 3))]), ValueError, "differ"),
    "flip a vector": (lambda: mx.fliplr(mx.zeros(3)), ValueError, r"\[fliplr\].*\(3,\).*2 dimensions"),
    "flip a scalar": (lambda: mx.flipud(mx.array(1.0)), ValueError, r"\[flipud\]"),
    "turn in one axis": (lambda: mx.rot90(mx.zeros((2, 2)), axes=(0, -2)), ValueError, "twice"),
    "turn in three axes": (lambda: mx.rot90(mx.zeros((2, 2, 2)), axes=(0, 1, 2)), ValueError, "two of them"),
    "select": (lambda: mx.select([mx.array(True)], []), ValueError, "1 conditions and 0 choices"),
    "polynomial": (lambda: mx.polyval(mx.zeros((2, 2)), 1.0), ValueError, r"\[polyval\] p has shape \(2,2\)"),
    "interp lengths": (lambda: mx.interp(1.0, mx.zeros(3), mx.zeros(4)), ValueError, r"\(3,\).*\(4,\)"),
    "interp none": (lambda: mx.interp(1.0, mx.zeros(0), mx.zeros(0)), ValueError, "at least 1"),
    "interp period": (lambda: mx.interp(1.0, mx.zeros(3), mx.zeros(3), period=0), ValueError, "period is 0"),
    "gradient samples": (lambda: mx.gradient(mx.zeros((3, 1))), ValueError, "1 samples"),
    "gradient order": (lambda: mx.gradient(mx.zeros(3), edge_order=3), ValueError, "edge_order is 3"),
    "gradient distances": (lambda: mx.gradient(mx.zeros((3, 3)), 1.0, 2.0, 3.0), ValueError, "3 distances for 2 axes"),
    "gradient coordinates": (lambda: mx.gradient(mx.zeros(3), mx.zeros(4)), ValueError, r"\(4,\)"),
    "unwrap complex": (lambda: mx.unwrap(mx.array([1j, 2j])), ValueError, "real"),
    "count floats": (lambda: mx.bincount(mx.array([1.0])), TypeError, "float32"),
    "count below 0": (lambda: mx.bincount(mx.array([1, -2])), ValueError, "x holds -2"),
    "count a huge number": (lambda: mx.bincount(mx.array([1 << 40], mx.int64)), ValueError, "1099511627776"),
    "count length": (lambda: mx.bincount(mx.array([1]), length=-1), ValueError, "length is -1"),
    "count weights": (lambda: mx.bincount(mx.array([1]), mx.zeros(2)), ValueError, r"\(2,\)"),
    "bins": (lambda: mx.histogram(mx.zeros(3), 0), ValueError, "bins is 0"),
    "edges": (lambda: mx.histogram(mx.zeros(3), mx.zeros(1)), ValueError, "at least two"),
    "range": (lambda: mx.histogram(mx.zeros(3), 2, range=(1, 0)), ValueError, "ascend"),
    "infinite range": (lambda: mx.histogram(mx.array([1.0, mx.inf]), 2), ValueError, "finite"),
    "dot": (lambda: mx.dot(mx.zeros((2, 3)), mx.zeros((2, 3))), ValueError, "3"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        mx.eval(call())
