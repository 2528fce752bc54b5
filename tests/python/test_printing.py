# How arrays print. The expected texts were printed by MLX 0.32.4, but for the sign of NaN: MLX shows it on Linux
# (`-nan`) and not on macOS; here it never shows.
import math

import mlx.core as mx
import numpy as np
import pytest

nan, inf = math.nan, math.inf

CASES = [
    (lambda: mx.array(1), "array(1, dtype=int32)"),
    (lambda: mx.array(3.5), "array(3.5, dtype=float32)"),
    (lambda: mx.array(True), "array(True, dtype=bool)"),
    (lambda: mx.array(7, mx.uint16), "array(7, dtype=uint16)"),
    (lambda: mx.array([-1, 1], mx.float32), "array([-1, 1], dtype=float32)"),
    (lambda: mx.array([True, False]), "array([True, False], dtype=bool)"),
    (lambda: mx.array([1, 255], mx.uint8), "array([1, 255], dtype=uint8)"),
    (lambda: mx.array([-128, 127], mx.int8), "array([-128, 127], dtype=int8)"),
    (lambda: mx.array([1, 2**40]), "array([1, 1099511627776], dtype=int64)"),
    (lambda: mx.array([]), "array([], dtype=float32)"),
    (lambda: mx.array([[]]), "array([[]], dtype=float32)"),
    (lambda: mx.array([[], []]), "array([[],\n       []], dtype=float32)"),
    (lambda: mx.zeros((0, 2)), "array([], dtype=float32)"),
    (lambda: mx.zeros((2, 0, 3)), "array([[],\n       []], dtype=float32)"),
    (lambda: mx.zeros((1, 1, 1)), "array([[[0]]], dtype=float32)"),
    (lambda: mx.array([nan, inf, -inf, -nan, -0.0]), "array([nan, inf, -inf, nan, -0], dtype=float32)"),
    (
        lambda: mx.array([1e-10, 1e10, 123456.789, 1234567.89, 0.1, 1 / 3]),
        "array([1e-10, 1e+10, 123457, 1.23457e+06, 0.1, 0.333333], dtype=float32)",
    ),
    (lambda: mx.array([1e-10, 1e10, 1 / 3], mx.float64), "array([1e-10, 1e+10, 0.333333], dtype=float64)"),
    (lambda: mx.array([1e-5, 65504, 1 / 3], mx.float16), "array([1.00136e-05, 65504, 0.333252], dtype=float16)"),
    (
        lambda: mx.array([1e-5, 65504, 1 / 3, 3e38], mx.bfloat16),
        "array([1.00136e-05, 65536, 0.333984, 3.00406e+38], dtype=bfloat16)",
    ),
    (
        lambda: mx.array(
            [1 + 2j, -1 - 2j, complex(nan, nan), complex(0, -0.0), complex(inf, -inf), complex(-0.0, nan)]
        ),
        "array([1+2j, -1-2j, nan+nanj, 0+-0j, inf-infj, -0+nanj], dtype=complex64)",
    ),
    (lambda: mx.arange(6), "array([0, 1, 2, 3, 4, 5], dtype=int32)"),
    (lambda: mx.arange(7), "array([0, 1, 2, ..., 4, 5, 6], dtype=int32)"),
    (lambda: mx.arange(1000.0), "array([0, 1, 2, ..., 997, 998, 999], dtype=float32)"),
    (lambda: mx.arange(10)[::-1], "array([9, 8, 7, ..., 2, 1, 0], dtype=int32)"),
    (
        lambda: mx.arange(12).reshape(3, 4).T,
        "array([[0, 4, 8],\n       [1, 5, 9],\n       [2, 6, 10],\n       [3, 7, 11]], dtype=int32)",
    ),
    (
        lambda: mx.broadcast_to(mx.array([1, 2]), (3, 2)),
        "array([[1, 2],\n       [1, 2],\n       [1, 2]], dtype=int32)",
    ),
    (
        lambda: mx.arange(49).reshape(7, 7),
        "array([[0, 1, 2, ..., 4, 5, 6],\n"
        "       [7, 8, 9, ..., 11, 12, 13],\n"
        "       [14, 15, 16, ..., 18, 19, 20],\n"
        "       ...,\n"
        "       [28, 29, 30, ..., 32, 33, 34],\n"
        "       [35, 36, 37, ..., 39, 40, 41],\n"
        "       [42, 43, 44, ..., 46, 47, 48]], dtype=int32)",
    ),
    (
        lambda: mx.arange(48).reshape(6, 8),
        "array([[0, 1, 2, ..., 5, 6, 7],\n"
        "       [8, 9, 10, ..., 13, 14, 15],\n"
        "       [16, 17, 18, ..., 21, 22, 23],\n"
        "       [24, 25, 26, ..., 29, 30, 31],\n"
        "       [32, 33, 34, ..., 37, 38, 39],\n"
        "       [40, 41, 42, ..., 45, 46, 47]], dtype=int32)",
    ),
    (
        lambda: mx.zeros((2, 2, 2), mx.bool_),
        "array([[[False, False],\n"
        "        [False, False]],\n"
        "       [[False, False],\n"
        "        [False, False]]], dtype=bool)",
    ),
    (
        lambda: mx.zeros((8, 2, 1)),
        "array([[[0],\n        [0]],\n       [[0],\n        [0]],\n       [[0],\n        [0]],\n       ...,\n"
        "       [[0],\n        [0]],\n       [[0],\n        [0]],\n       [[0],\n        [0]]], dtype=float32)",
    ),
]


@pytest.mark.parametrize("make, text", CASES)
def test_repr(make, text):
    assert repr(make()) == text
    assert str(make()) == text


VALUES = [1 / 3, 1e10, 12345.678, 2.0, nan, 1e-8]
PRECISIONS = {
    -1: "array([0.333333, 1e+10, 12345.7, 2, nan, 1e-08], dtype=float32)",
    0: "array([0, 10000000000, 12346, 2, nan, 0], dtype=float32)",
    2: "array([0.33, 10000000000.00, 12345.68, 2.00, nan, 0.00], dtype=float32)",
    10: "array([0.3333333433, 10000000000.0000000000, 12345.6777343750, 2.0000000000, nan, 0.0000000100],"
    " dtype=float32)",
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precision(precision):
    x = mx.array(VALUES)
    with mx.printoptions(precision=precision):
        assert repr(x) == PRECISIONS[precision]
        assert repr(mx.array(1 / 3 + 1j / 3)).startswith("array(0" if precision < 1 else "array(0.3")
    assert repr(x) == PRECISIONS[-1]


def test_set_printoptions():
    mx.set_printoptions(precision=3)
    try:
        assert repr(mx.array(1 / 3)) == "array(0.333, dtype=float32)"
        with mx.printoptions(precision=2):
            assert repr(mx.array(1 / 3, mx.float16)) == "array(0.33, dtype=float16)"
        assert repr(mx.array(1 / 3, mx.bfloat16)) == "array(0.334, dtype=bfloat16)"
    finally:
        mx.set_printoptions()
    assert repr(mx.array(1 / 3)) == "array(0.333333, dtype=float32)"
    with pytest.raises(ValueError, match="precision is 1000"):
        mx.set_printoptions(1000)


def test_format():
    assert f"{mx.array(1.5):.3f}" == "1.500"
    assert f"{mx.array([1, 2])}" == "array([1, 2], dtype=int32)"
    with pytest.raises(TypeError, match="0-dimensional"):
        f"{mx.array([1.0]):.3f}"


def test_other_objects():
    assert repr(mx.float32) == "mlx.core.float32"
    assert repr(mx.bool_) == "mlx.core.bool"
    assert repr(mx.Device(mx.cpu)) == "Device(cpu, 0)"
    assert repr(mx.default_stream(mx.cpu)) == "Stream(Device(cpu, 0), 0)"
    assert repr(mx.finfo(mx.float32)) == "finfo(min=-3.40282e+38, max=3.40282e+38, dtype=float32)"
    assert repr(mx.finfo(mx.bfloat16)) == "finfo(min=-3.38953e+38, max=3.38953e+38, dtype=bfloat16)"
    assert repr(mx.iinfo(mx.uint64)) == "iinfo(min=0, max=18446744073709551615, dtype=uint64)"


def test_printing_keeps_the_trace():
    seen = []

    def f(x):
        y = x * x
        seen.append(repr(y))
        return y

    assert mx.grad(f)(mx.array(3.0)).item() == 6.0
    assert seen == ["array(9, dtype=float32)"]


def test_printing_inside_vmap_shows_all_lanes():
    seen = []

    def f(x):
        y = x + 1
        seen.append(repr(y))
        return y

    out = mx.vmap(f)(mx.array([[1, 2], [3, 4], [5, 6]]))
    assert out.tolist() == [[2, 3], [4, 5], [6, 7]]
    assert seen == ["array([[2, 3],\n       [4, 5],\n       [6, 7]], dtype=int32, lanes=(3,))"]


def test_reading_inside_vmap_is_an_error():
    def reads(read):
        with pytest.raises(ValueError, match="vmap.*lanes"):
            mx.vmap(lambda x: (read(x), x)[1])(mx.arange(3))

    reads(lambda x: x.item())
    reads(lambda x: int(x))
    reads(lambda x: bool(x > 1))
    reads(lambda x: x.tolist())
    reads(lambda x: np.array(x))
