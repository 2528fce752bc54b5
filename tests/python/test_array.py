# The array class: construction, dtypes, numbers beside arrays, operators, properties, conversions.
import contextlib
import gc
import math
import warnings
import weakref

import mlx.core as mx
import numpy as np
import pytest

DTYPES = [
    mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64,
    mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64, mx.complex128,
]  # fmt: skip


# --- construction ---


@pytest.mark.parametrize(
    "value, dtype, expected",
    [
        (1, mx.int32, 1),
        (2**31 - 1, mx.int32, 2**31 - 1),
        (2**31, mx.int64, 2**31),
        (-(2**31) - 1, mx.int64, -(2**31) - 1),
        (2**63, mx.uint64, 2**63),
        (True, mx.bool_, True),
        (1.5, mx.float32, 1.5),
        (1j, mx.complex64, 1j),
        ([1, 2**40], mx.int64, [1, 2**40]),
        ([1, 2.5], mx.float32, [1, 2.5]),
        ([True, 2], mx.int32, [1, 2]),
        ([True, 2.5], mx.float32, [1, 2.5]),
        ([True, 2**40], mx.int64, [1, 2**40]),
        ([1.5, 2j], mx.complex64, [1.5, 2j]),
        ([2**62, 0.5], mx.float32, [2**62, 0.5]),
        ([0, 2**63], mx.uint64, [0, 2**63]),
        ([], mx.float32, []),
        ([[1, 2], (3, 4)], mx.int32, [[1, 2], [3, 4]]),
        (range(3), mx.int32, [0, 1, 2]),
        (((1.0, 2.0),), mx.float32, [[1, 2]]),
        (b"ab", mx.uint8, [97, 98]),
        (bytearray(b"ab"), mx.uint8, [97, 98]),
        (memoryview(b"ab"), mx.uint8, [97, 98]),
        ([np.float64(1.5), 2], mx.float32, [1.5, 2]),
        ([np.int64(1), np.int8(2)], mx.int32, [1, 2]),
        ([np.bool_(True)], mx.bool_, [True]),
    ],
)
def test_inferred_dtype(value, dtype, expected):
    x = mx.array(value)
    assert x.dtype == dtype
    assert x.tolist() == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_explicit_dtype(dtype):
    x = mx.array([[0, 1], [1, 0]], dtype=dtype)
    assert x.dtype is dtype and x.shape == (2, 2)
    assert x.tolist() == [[0, 1], [1, 0]]
    assert mx.array(1, dtype).item() == 1
    assert mx.array(x).dtype == dtype
    assert mx.array(x, mx.float32).dtype == mx.float32


def test_explicit_dtype_wraps_and_truncates():
    assert mx.array(300, mx.uint8).item() == 44
    assert mx.array([-1, 300], mx.uint8).tolist() == [255, 44]
    assert mx.array(1.9, mx.int32).item() == 1
    assert mx.array([1.5, 0], mx.bool_).tolist() == [True, False]
    assert mx.array(2**40, mx.float32).item() == 2.0**40
    assert mx.array(3 + 4j, mx.float32).item() == 3.0


def test_precision_of_64_bits():
    assert mx.array(math.pi, mx.float64).item() == math.pi
    assert mx.array([2**63 - 1, -(2**63)]).tolist() == [2**63 - 1, -(2**63)]
    assert mx.array(2**64 - 1).item() == 2**64 - 1
    z = complex(math.pi, -math.e)
    assert mx.array(z, mx.complex128).item() == z


@pytest.mark.parametrize(
    "value, message",
    [
        ([[1, 2], [3]], r"element \[1\] has length 1"),
        ([1, [2]], r"element \[1\] is a list"),
        ([[1], 2], r"element \[1\] is a number"),
        ([[[1, 2], [3, 4]], [[5, 6], [7]]], r"element \[1\]\[1\] has length 1"),
        ([0, [1, [2]]], r"element \[1\] is a list"),
        (2**64, "too large"),
        ([1, 2**64], r"element \[1\] is 18446744073709551616"),
        ([-1, 2**63], "no integer dtype"),
    ],
)
def test_bad_values(value, message):
    with pytest.raises(ValueError, match=message):
        mx.array(value)


@pytest.mark.parametrize("value", ["abc", None, {1: 2}, {1}, [None], [[1], ["a"]], object(), np.array(["a"]), int, np.datetime64("now")])
def test_bad_types(value):
    with pytest.raises(TypeError):
        mx.array(value)


def test_bad_element_is_named():
    with pytest.raises(TypeError, match=r"element \[1\]\[0\] is a str"):
        mx.array([[1], ["a"]])


def test_list_that_contains_itself():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested"):
        mx.array(loop)


def test_bad_arguments():
    for make in (lambda: mx.array(), lambda: mx.array(1, dtype="float32"), lambda: mx.array(1, 2, 3), lambda: mx.array(x=1)):
        with pytest.raises(TypeError):
            make()
    assert mx.array(val=1.5, dtype=mx.float16).dtype == mx.float16


def test_lists_of_arrays():
    x = mx.array([mx.array(1), mx.array(2.5)])
    assert x.dtype == mx.float32 and x.tolist() == [1, 2.5]
    assert mx.array([mx.array([1, 2]), [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert mx.array([mx.array(1, mx.int8), 3]).dtype == mx.int32
    assert mx.array([np.array([1, 2]), np.array([3, 4])]).shape == (2, 2)
    assert mx.array([[mx.array(1.0), 2.0], [3.0, mx.array(4.0)]], mx.float16).dtype == mx.float16
    with pytest.raises(ValueError, match=r"element \[1\] has shape"):
        mx.array([mx.array([1, 2]), mx.array([1])])


def test_lists_of_arrays_stay_in_the_graph():
    g = mx.grad(lambda x: (mx.array([x, x * x, 1.0]) * mx.array([1.0, 2.0, 3.0])).sum())
    assert g(mx.array(3.0)).item() == 1 + 2 * 6
    out = mx.vmap(lambda x: mx.array([x, 2 * x]))(mx.array([1.0, 2.0]))
    assert out.tolist() == [[1, 2], [2, 4]]


def test_subclass():
    class Named(mx.array):
        def hello(self):
            return "hello"

    x = Named([1, 2])
    assert x.hello() == "hello" and (x + 1).tolist() == [2, 3] and (1 - x).tolist() == [0, -1]
    assert mx.array([5])[Named(0)].item() == 5
    x += 1
    assert type(x) is Named and x.tolist() == [2, 3]


def test_unset_arrays_do_no_harm():
    class Careless(mx.array):
        def __init__(self):
            pass

    def attempt(use):
        with contextlib.suppress(TypeError):
            use()

    for x in (mx.array.__new__(mx.array), Careless()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for use in (lambda: x + 1, lambda: 1 - x, lambda: -x, lambda: x == x, lambda: bool(x), lambda: x[None]):
                attempt(use)
            x += 1
            for use in (lambda: x.shape, lambda: x.sum(), lambda: repr(x)):
                with pytest.raises(TypeError):
                    use()


def test_mlx_array_protocol():
    class Wrapped:
        def __mlx_array__(self):
            return mx.array([1, 2])

    x = mx.array([1.0, 2.0])
    assert mx.array(Wrapped()).tolist() == [1, 2]
    assert (x + Wrapped()).tolist() == [2, 4]
    assert (Wrapped() + x).tolist() == [2, 4]
    assert (x == Wrapped()).tolist() == [True, True]


# --- numbers beside arrays ---

A = {d: mx.array([0, 1], d) for d in DTYPES}
INTEGERS = [d for d in DTYPES if mx.issubdtype(d, mx.integer)]
FLOATS = [d for d in DTYPES if mx.issubdtype(d, mx.floating)]
COMPLEX = [mx.complex64, mx.complex128]


@pytest.mark.parametrize("dtype", DTYPES)
def test_weak_scalars(dtype):
    x = A[dtype]
    assert (x + True).dtype == dtype and (True + x).dtype == dtype
    assert (x + 1).dtype == (mx.int32 if dtype == mx.bool_ else dtype)
    assert (x * 1.5).dtype == (dtype if dtype in FLOATS + COMPLEX else mx.float32)
    wide = dtype in (mx.float64, mx.complex128)
    assert (x * 1j).dtype == (mx.complex128 if wide else mx.complex64)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_ints_that_do_not_fit(dtype):
    x, info = A[dtype], mx.iinfo(dtype)
    assert (x + info.max).dtype == dtype
    with pytest.raises(ValueError, match="does not fit" if info.max < 2**64 - 1 else "too large"):
        x + (info.max + 1)
    if dtype != mx.uint64:  # there, as in MLX, negative ints count modulo 2**64
        with pytest.raises(ValueError, match="does not fit|too large"):
            x + (info.min - 1)
    with pytest.raises(ValueError):
        x == info.max + 1


def test_ints_beside_other_kinds():
    assert (A[mx.uint64] + (-1)).tolist() == [2**64 - 1, 0]
    assert (A[mx.bool_] + 2**40).dtype == mx.int64
    assert (A[mx.float32] + 2**70).dtype == mx.float32
    assert (A[mx.float32] + 2**40).tolist()[0] == 2.0**40
    with pytest.raises(OverflowError):
        A[mx.float32] + 10**400


@pytest.mark.parametrize("dtype", [mx.float16, mx.float32, mx.int8])
def test_numpy_scalars_are_weak(dtype):
    x = A[dtype]
    assert (x + np.int64(3)).dtype == dtype
    assert (x + np.bool_(True)).dtype == dtype
    floating = dtype if dtype != mx.int8 else mx.float32
    for scalar in (np.float64(1.5), np.float32(1.5), np.float16(1.5)):
        assert (x + scalar).dtype == floating
        assert (x + scalar).tolist() == [1.5, 2.5]
    assert (x + np.complex64(1j)).dtype == mx.complex64
    with pytest.raises(ValueError):
        A[mx.int8] + np.int64(300)


def test_numpy_arrays_adopt_the_dtype():
    assert (A[mx.float16] + np.array([1.0, 2.0])).dtype == mx.float16
    assert (A[mx.int8] + np.array([1, 2])).dtype == mx.int8
    assert (A[mx.int8] + np.array([1.5, 2.5])).tolist() == [1.5, 3.5]


# --- operators ---


def test_arithmetic_operators():
    x, y = mx.array([7.0, -3.0]), mx.array([2.0, 2.0])
    n, m = np.array([7.0, -3.0], np.float32), np.array([2.0, 2.0], np.float32)
    for op in ("+", "-", "*", "/", "//", "%", "**"):
        for left, right in (("x", "y"), ("x", "2.0"), ("2.0", "y")):
            ours = eval(f"{left} {op} {right}")
            theirs = eval(f"{left} {op} {right}", {"x": n, "y": m})
            np.testing.assert_allclose(np.array(ours), theirs, rtol=1e-6)
    assert (x @ y).item() == 8.0
    assert (-x).tolist() == [-7, 3] and (+x).tolist() == [7, -3] and abs(x).tolist() == [7, 3]
    assert pow(x, 2).tolist() == [49, 9]
    assert [v.tolist() for v in divmod(mx.array([7, -7]), 2)] == [[3, -4], [1, 1]]
    assert [v.tolist() for v in divmod(7, mx.array([2, 4]))] == [[3, 1], [1, 3]]
    assert x.__div__(2).tolist() == [3.5, -1.5]


def test_integer_operators():
    i = mx.array([6, 3])
    assert (i / 2).dtype == mx.float32
    assert (i & 2).tolist() == [2, 2] and (i | 1).tolist() == [7, 3] and (i ^ 1).tolist() == [7, 2]
    assert (2 & i).tolist() == [2, 2] and (1 << i).tolist() == [64, 8]
    assert (i << 1).tolist() == [12, 6] and (i >> 1).tolist() == [3, 1] and (~i).tolist() == [-7, -4]
    assert (~mx.array([True, False])).tolist() == [False, True]


def test_in_place_operators_rebind_the_handle():
    x = mx.array([1.0, 2.0])
    alias, before = x, x * 1
    doubled = x * 2
    x += 1
    assert x is alias and alias.tolist() == [2, 3]
    assert before.tolist() == [1, 2] and doubled.tolist() == [2, 4]
    x -= 1
    x *= 4
    x /= 2
    x **= 2
    x //= 1
    x %= 10
    assert x.tolist() == [4, 6]
    x @= mx.array([[1.0, 0.0], [0.0, 2.0]])
    assert x.tolist() == [4, 12]
    i = mx.array([1, 2])
    i <<= 2
    i |= 1
    i ^= 3
    i &= 7
    i >>= 1
    assert i.tolist() == [3, 1]
    i += 1.5
    assert i.dtype == mx.float32
    j = mx.array([1, 2])
    with pytest.raises(ValueError, match="floating"):
        j /= 2


def test_comparisons():
    x = mx.array([1.0, 2.0])
    assert (x < 2).tolist() == [True, False] and (2 > x).tolist() == [True, False]
    assert (x <= 1).tolist() == [True, False] and (x >= 2).tolist() == [False, True]
    assert (x == 1).tolist() == [True, False] and (1 != x).tolist() == [False, True]
    assert (x == mx.array([1, 3])).tolist() == [True, False]
    assert (x == np.array([1, 3])).tolist() == [True, False]


@pytest.mark.parametrize("other", [None, "a", [1, 2], (1, 2), {}, object(), mx])
def test_comparison_with_other_objects(other):
    x = mx.array([1.0, 2.0])
    assert (x == other) is False and (other == x) is False
    assert (x != other) is True
    for compare in (lambda: x < other, lambda: x >= other):
        with pytest.raises(TypeError):
            compare()


def test_operators_with_other_objects():
    class Other:
        def __radd__(self, x):
            return "radd"

        def __eq__(self, x):
            return "eq"

        def __gt__(self, x):
            return "gt"

    x = mx.array([1.0])
    assert x + Other() == "radd" and (x == Other()) == "eq" and (x < Other()) == "gt"
    for bad in (None, "a", [1], {}):
        with pytest.raises(TypeError):
            x + bad
        with pytest.raises(TypeError):
            x *= bad
    for bad in (lambda: x @ 2, lambda: 2 @ x, lambda: pow(x, 2, 3)):
        with pytest.raises(TypeError):
            bad()


def test_methods_called_on_other_objects():
    for name in ("__add__", "__radd__", "__iadd__", "__eq__", "__matmul__", "__pow__", "__getitem__", "__divmod__"):
        with pytest.raises(TypeError):
            getattr(mx.array, name)(1, 2)
    for name in ("__neg__", "__bool__", "__len__", "__iter__", "item", "__array__", "__dlpack__", "__repr__"):
        with pytest.raises(TypeError):
            getattr(mx.array, name)(1)
    with pytest.raises(TypeError):
        mx.array.__setitem__([1], 0, 2)


def test_operator_errors_surface():
    with pytest.raises(ValueError, match=r"\[add\].*\(2,\).*\(3,\)"):
        mx.zeros(2) + mx.zeros(3)


def test_contains():
    x = mx.array([[1, 2], [3, 4]])
    assert 3 in x and 7 not in x and None not in [x]


# --- conversions ---


def test_item_and_tolist():
    assert mx.array(1).item() == 1 and type(mx.array(1).item()) is int
    assert type(mx.array(True).item()) is bool and type(mx.array(1.5).item()) is float
    assert mx.array(1j).item() == 1j and mx.array([[1.5]]).item() == 1.5
    assert mx.array(1.1, mx.float16).item() == 1.099609375
    assert mx.array(1.1, mx.bfloat16).item() == 1.1015625
    assert mx.zeros((0, 3)).tolist() == [] and mx.zeros((2, 0)).tolist() == [[], []]
    assert mx.array(3).tolist() == 3
    assert mx.arange(6).reshape(2, 3).T.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert mx.broadcast_to(mx.array([1, 2]), (2, 2)).tolist() == [[1, 2], [1, 2]]
    with pytest.raises(ValueError, match="shape"):
        mx.array([1, 2]).item()


def test_python_numbers():
    assert int(mx.array(2.7)) == 2 and float(mx.array([2])) == 2.0 and complex(mx.array(1.5)) == 1.5
    assert bool(mx.array([1])) and not bool(mx.array([[0.0]])) and bool(mx.array(float("nan")))
    for bad in (mx.array([1, 2]), mx.array([])):
        for convert in (bool, int, float, complex):
            with pytest.raises(ValueError):
                convert(bad)
    with pytest.raises(TypeError):
        int(mx.array(1j))
    assert [1, 2, 3][mx.array(1)] == 2 and list(range(mx.array(2))) == [0, 1]
    for bad in (mx.array(1.5), mx.array([1]), mx.array(True)):
        with pytest.raises(TypeError):
            [1, 2, 3][bad]
    assert bytes(mx.array([1, 2], mx.int8)) == b"\1\2"
    assert bytes(mx.array([1, 2], mx.int8)[::-1]) == b"\2\1"


def test_length_and_iteration():
    x = mx.array([[1, 2], [3, 4]])
    assert len(x) == 2 and [r.tolist() for r in x] == [[1, 2], [3, 4]]
    a, b = mx.array([5, 6])
    assert a.item() == 5 and b.shape == ()
    assert list(mx.zeros((0, 3))) == []
    for bad in (len, iter):
        with pytest.raises(TypeError, match="0-dimensional"):
            bad(mx.array(1))
    assert mx.grad(lambda v: sum(r * (i + 1) for i, r in enumerate(v)))(mx.zeros(3)).tolist() == [1, 2, 3]


def test_hash_and_weak_references():
    x = mx.array([1, 2])
    assert hash(x) == hash(x) and len({x, mx.array([1, 2])}) == 2 and {x: 1}[x] == 1
    reference = weakref.ref(x)
    assert reference() is x
    del x
    gc.collect()
    assert reference() is None


def test_properties():
    x = mx.array([[1 + 2j, 3], [4, 5], [6, 7]])
    assert (x.size, x.ndim, x.itemsize, x.nbytes, x.shape) == (6, 2, 8, 48, (3, 2))
    assert x.dtype is mx.complex64
    assert x.T.shape == (2, 3) and x.mT.shape == (2, 3)
    assert x.real.tolist() == [[1, 3], [4, 5], [6, 7]] and x.imag[0].tolist() == [2, 0]
    assert mx.zeros((2, 3, 4)).T.shape == (4, 3, 2) and mx.zeros((2, 3, 4)).mT.shape == (2, 4, 3)
    with pytest.raises(ValueError):
        mx.array([1.0]).mT
    with pytest.raises(AttributeError):
        x.foo = 1


def test_methods_are_the_functions():
    x = mx.array([[1.0, 4.0], [9.0, 16.0]])
    for name in ("abs", "square", "sqrt", "rsqrt", "reciprocal", "exp", "log", "log2", "log10", "sin", "cos", "log1p"):
        assert mx.array_equal(getattr(x, name)(), getattr(mx, name)(x)), name
    for name in ("sum", "prod", "min", "max", "mean", "logsumexp", "var", "std"):
        for arguments in ({}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}, {"axis": [0]}):
            ours, expected = getattr(x, name)(**arguments), getattr(mx, name)(x, **arguments)
            assert ours.shape == expected.shape and mx.array_equal(ours, expected), name
    assert x.any().item() and (x > 2).all(axis=1).tolist() == [False, True]
    assert x.argmax().item() == 3 and x.argmin(axis=1).tolist() == [0, 0]
    assert x.argmax(1, True).shape == (2, 1)
    assert x.std(ddof=1).item() == x.std(correction=1).item()
    assert x.conj().tolist() == x.tolist()


def test_shape_methods():
    x = mx.arange(6).reshape(2, 3)
    for reshaped in (x.reshape(3, 2), x.reshape((3, 2)), x.reshape([3, 2]), x.reshape(-1, 2), x.reshape(np.array([3, 2]))):
        assert reshaped.shape == (3, 2)
    assert x.reshape(-1).shape == (6,) and mx.array([1]).reshape().shape == ()
    assert x.transpose().shape == x.transpose(1, 0).shape == x.transpose((1, 0)).shape == (3, 2)
    assert x.flatten().shape == (6,) and x[None].squeeze(0).shape == (2, 3) and x[None].squeeze().shape == (2, 3)
    assert x.swapaxes(0, 1).shape == x.moveaxis(0, 1).shape == (3, 2)
    assert [p.shape for p in x.split(3, 1)] == [(2, 1)] * 3 and [p.shape for p in x.split([1], axis=1)] == [(2, 1), (2, 2)]
    assert mx.array([1.25, 2.75]).round().tolist() == [1, 3]
    assert x.astype(mx.float16).dtype == mx.float16
    for bad in (lambda: x.reshape(7), lambda: x.transpose(0)):
        with pytest.raises(ValueError):
            bad()
    for bad in (lambda: x.split(2**31), lambda: x.split("a"), lambda: x.split(1.5), lambda: x.reshape("a"), lambda: x.reshape(1.5), lambda: x.reshape(None)):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError):
        x.sum(axis=5)
    with pytest.raises(IndexError):
        x.sum(axis=5)


def test_array_namespace():
    assert mx.array(1).__array_namespace__() is mx
    with pytest.raises(ValueError):
        mx.array(1).__array_namespace__("1999.12")


# --- dtypes, devices ---


def test_dtype_objects():
    assert mx.float32 == mx.float32 and mx.float32 != mx.float16 and mx.float32 != "float32" and mx.float32 != 1
    assert len({*DTYPES}) == len(DTYPES) and [d.size for d in DTYPES] == [1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16]
    assert mx.issubdtype(mx.float32, mx.floating) and mx.issubdtype(mx.floating, mx.inexact)
    assert mx.issubdtype(mx.float32, mx.float32) and not mx.issubdtype(mx.float32, mx.float16)
    assert not mx.issubdtype(mx.signedinteger, mx.floating)
    assert mx.result_type(mx.float32, mx.int32) == mx.float32
    assert mx.result_type(mx.array([1]), mx.float16) == mx.float16
    assert mx.can_cast(mx.int8, mx.int32) and not mx.can_cast(mx.float32, mx.int32)
    assert mx.isdtype(mx.int8, "signed integer") and mx.isdtype(mx.int8, ("bool", "integral"))
    assert mx.isdtype(mx.int8, mx.int8) and not mx.isdtype(mx.int8, "real floating")
    with pytest.raises(ValueError, match="unknown kind"):
        mx.isdtype(mx.int8, "float")


def test_limits():
    for name, dtype in (("float16", mx.float16), ("float32", mx.float32), ("float64", mx.float64)):
        ours, theirs = mx.finfo(dtype), np.finfo(name)
        assert (ours.bits, ours.min, ours.max) == (theirs.bits, float(theirs.min), float(theirs.max))
        assert (ours.eps, ours.smallest_normal) == (float(theirs.eps), float(theirs.smallest_normal))
    assert mx.finfo(mx.complex64).dtype == mx.float32 and mx.finfo(mx.bfloat16).eps == 0.0078125
    for dtype in INTEGERS:
        theirs = np.iinfo(repr(dtype).split(".")[-1])
        assert (mx.iinfo(dtype).min, mx.iinfo(dtype).max) == (theirs.min, theirs.max)
    with pytest.raises(ValueError):
        mx.finfo(mx.int32)
    with pytest.raises(ValueError):
        mx.iinfo(mx.float32)
    for limits, dtypes in ((mx.finfo, (mx.float16, mx.bfloat16, mx.float32, mx.float64)), (mx.iinfo, INTEGERS)):
        assert len({limits(dtype) for dtype in dtypes * 2}) == len(dtypes)
        for a in dtypes:
            assert limits(a) == limits(mx.zeros(1, a)) and hash(limits(a)) == hash(limits(a)) and limits(a) != a
            assert [limits(a) == limits(b) for b in dtypes] == [a == b for b in dtypes]
    assert mx.finfo(mx.complex64) == mx.finfo(mx.float32) and mx.finfo(mx.float32) != mx.iinfo(mx.int32)


def test_devices():
    assert mx.default_device() == mx.cpu and mx.cpu == mx.Device(mx.cpu) and mx.Device(mx.cpu, 1) != mx.cpu
    assert mx.default_device() != 1 and hash(mx.Device(mx.cpu)) == hash(mx.cpu)
    assert mx.is_available(mx.cpu) and mx.device_count(mx.cpu) == 1
    assert mx.default_stream(mx.cpu) == mx.default_stream(mx.Device(mx.cpu)) and mx.new_stream(mx.cpu).device == mx.cpu
    assert isinstance(mx.device_info(), dict)
    x = mx.array([1.0])
    s = mx.new_stream(mx.cpu)
    assert mx.add(x, x, stream=s).item() == mx.add(x, x, stream=mx.cpu).item() == 2.0
    with mx.stream(s):
        assert mx.default_stream(mx.cpu) == s
        assert (x + 1).item() == 2.0
    assert mx.default_stream(mx.cpu) != s
    with mx.stream(mx.cpu):
        pass
    for target in (None, mx.cpu, s):
        mx.synchronize(target)
    with pytest.raises(TypeError):
        mx.stream("cpu")
    with pytest.raises(TypeError):
        x.sum(stream="cpu")
    if not mx.is_available(mx.gpu):
        for bad in (lambda: mx.set_default_device(mx.gpu), lambda: mx.new_stream(mx.gpu), lambda: x.sum(stream=mx.gpu)):
            with pytest.raises(ValueError):
                bad()
