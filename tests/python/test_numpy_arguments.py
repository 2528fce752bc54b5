"""NumPy arrays and scalars as arguments of compiled functions, and of the other transforms."""

import collections
import dataclasses
import itertools

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "complex64",
          "complex128", ">f4", ">i2"]


@dataclasses.dataclass
class Holder:
    x: object
    note: str = "text"


Pair = collections.namedtuple("Pair", "a b")


class Own:
    def __init__(self, x):
        self.x = x


mx.register_tree_node(Own, lambda o: ((o.x,), None), lambda _, c: Own(*c))

CONTAINERS = {
    "argument": (lambda x: x, lambda t: t), "list": (lambda x: [1, [x]], lambda t: t[1][0]), "tuple": (lambda x: (x, "s"), lambda t: t[0]),
    "dict": (lambda x: {"a": {"b": x}, "s": None}, lambda t: t["a"]["b"]), "dataclass": (Holder, lambda t: t.x),
    "named": (lambda x: Pair(x, 2.0), lambda t: t.a), "registered": (Own, lambda t: t.x),
    "ordered": (lambda x: collections.OrderedDict(x=x), lambda t: t["x"]),
}


def traces(f):
    return mx.compile_stats(f)["traces"]


def same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(np.array(got), np.array(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_arrays(container, dtype):
    """As mx.array makes them; other values are no other recording."""
    build, part = CONTAINERS[container]
    w = mx.array([[2.0], [3.0]], mx.float16)
    body = lambda t: (part(t), part(t) * w)  # noqa: E731
    for f in (mx.compile(body), mx.compile(body, shapeless=True)):
        for k in range(4):
            x = np.arange(k, k + 6).reshape(2, 3).astype(dtype)
            for got, expected in zip(f(build(x)), body(build(mx.array(x)))):
                same(got, expected)
        assert traces(f) == 1


LAYOUTS = {
    "transposed": lambda a: a.T, "reversed": lambda a: a[::-1], "strided": lambda a: a[:, ::2], "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "fortran": np.asfortranarray, "scalar": lambda a: a[0, 0:1].reshape(()), "empty": lambda a: a[:0], "read only": lambda a: np.frombuffer(a.tobytes()),
    "subclass": lambda a: a.view(type("Sub", (np.ndarray,), {})),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x = LAYOUTS[layout](np.arange(12.0).reshape(3, 4))
    f = mx.compile(lambda x: (x * 2 + 1, x))
    for _ in range(2):
        for got, expected in zip(f(x), (mx.array(x) * 2 + 1, mx.array(x))):
            same(got, expected)
    assert traces(f) == 1


def test_the_kind_of_a_recording():
    f = mx.compile(lambda x: x + 1)
    for x, count in ((np.zeros(3, np.float32), 1), (np.ones(3), 1), (mx.ones((3,)), 1), (np.zeros(4), 2), (np.zeros((1, 3)), 3),
                     (np.zeros(3, int), 4), (np.zeros(3, np.float32), 4)):
        same(f(x), mx.array(x) + 1)
        assert traces(f) == count
    assert "int64" in mx.compile_stats(f)["reasons"][-1]


def test_values_are_those_of_the_call():
    x = np.zeros(3)
    f = mx.compile(lambda x: x + 1)
    assert f(x).tolist() == [1, 1, 1]
    x[1] = 5
    assert f(x).tolist() == [1, 6, 1]


SCALARS = [np.float16(1.5), np.float32(0.1), np.float64(0.1), np.float64(-0.0), np.float64(0.0), np.float32(np.nan), np.float32(np.inf),
           np.int8(3), np.int64(3), np.uint8(3), np.bool_(True), np.bool_(False), np.complex64(2 + 1j), np.complex128(3j),
           1, True, 3, 3.0, 0.0, -0.0, 1.0, 3 + 0j]
ARRAYS = [mx.array([1, 2]), mx.array([1.0, 2.0]), mx.array([1.0, 2.0], mx.float16), mx.array([True, False])]
BODIES = {"product": lambda x, k: x * k, "quotient": lambda x, k: x / (k + 2), "of both": lambda x, k: (x + k, k),
          "type": lambda x, k: x * (2 if isinstance(k, np.floating) else 3 if isinstance(k, (bool, np.bool_)) else 5),
          "sign": lambda x, k: x * float(np.copysign(1, np.real(k))), "array": lambda x, k: mx.array(k) + x, "condition": lambda x, k: x if k else x + 1,
          "own": lambda x, k: x * np.float32(k.real * 3)}


@pytest.mark.filterwarnings("ignore:.compile.:RuntimeWarning")
@pytest.mark.parametrize("body", BODIES)
def test_scalars_are_what_they_are_in_a_plain_call(body):
    """Also in one function, in any order: equal is not the same."""
    plain = BODIES[body]
    f = mx.compile(plain)
    for x in ARRAYS:
        for order in (SCALARS, SCALARS[::-1]):
            for k in order:
                with np.errstate(all="ignore"):
                    got, expected = f(x, k), plain(x, k)
                if isinstance(expected, tuple):
                    assert type(got[1]) is type(expected[1]) and repr(got[1]) == repr(expected[1])
                    got, expected = got[0], expected[0]
                same(got, expected)


def test_equal_scalars_are_one_recording():
    f = mx.compile(lambda x, k: x * k)
    for _ in range(3):
        f(ARRAYS[0], np.float32(np.nan)), f(ARRAYS[0], np.int64(3))
    assert traces(f) == 2


def test_updates_reach_the_array():
    def body(t):
        t["x"][0] = 5
        t["x"] *= 2
        return t["x"].sum()

    for f in (mx.compile(body), mx.compile(body, shapeless=True)):
        for dtype, start in itertools.product(("float64", "float32", "int32"), (0, 1)):
            x = np.full(3, start, dtype)
            assert f({"x": x}).item() == x.sum() and x.tolist() == [10, 2 * start, 2 * start]
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        mx.compile(body)({"x": fixed})


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([object()]), np.array(["2020"], "M8[D]"), np.zeros(2, [("a", int)])])
def test_other_arrays_are_refused(value):
    with pytest.raises(TypeError, match="no counterpart"):
        mx.compile(lambda x: x)(value)


TRANSFORMS = {"grad": mx.grad, "value_and_grad": mx.value_and_grad, "jacrev": mx.jacrev, "hessian": mx.hessian, "checkpoint": mx.checkpoint,
              "vmap": lambda f: mx.vmap(f)}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_beside_other_transforms(transform):
    x = np.linspace(0.5, 2, 6).reshape(2, 3)
    f = lambda x: (mx.sin(x) * x).sum()  # noqa: E731
    expected = TRANSFORMS[transform](f)(mx.array(x))
    for own in (mx.compile(TRANSFORMS[transform](f)), TRANSFORMS[transform](mx.compile(f))):
        got = own(x)
        for g, e in zip(got if isinstance(got, tuple) else [got], expected if isinstance(expected, tuple) else [expected]):
            np.testing.assert_allclose(np.array(g), np.array(e), rtol=1e-6)


def test_lists_of_them():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    f = lambda x, y: x * y  # noqa: E731
    assert [o.tolist() for o in mx.vjp(f, [x, y], [np.ones(2)])[1]] == [[3, 4], [1, 2]]
    assert mx.jvp(f, [x, y], [np.ones(2), None])[1][0].tolist() == [3, 4]
    assert mx.vjp(f, [2.0, np.float32(3)], [1.0])[1][0].item() == 3
    value, pull = mx.pullback(f, x, y)
    assert pull(np.ones(2))[0].tolist() == [3, 4]
    value, push = mx.linearize(f, x, y)
    assert push(np.ones(2), None).tolist() == [3, 4]
    assert mx.hvp(lambda x: (x * x * x).sum(), x, np.array([1.0, 0.0])).tolist() == [6, 0]
    assert mx.vmap(lambda x, k: x * k)(x, np.float32(2)).tolist() == [2, 4]


def test_what_is_no_array_is_what_it_was():
    class Hashable:
        def __eq__(self, other):
            return isinstance(other, Hashable)

        def __hash__(self):
            return 1

    f = mx.compile(lambda x, k: x * 2)
    f(ARRAYS[0], Hashable()), f(ARRAYS[0], Hashable())
    assert traces(f) == 1
    for index in (slice(0, 1), slice(1, 2), slice(0, 1)):
        g = mx.compile(lambda x, i: x[i])
        assert g(ARRAYS[0], index).tolist() == ARRAYS[0][index].tolist()
    with pytest.raises(TypeError, match="has no hash"):
        f(ARRAYS[0], type("Unhashable", (), {"__eq__": lambda a, b: True})())


KINDS = [np.float16, np.float32, np.float64, np.longdouble, np.int8, np.uint8, np.int32, np.int64, np.complex64, np.complex128]
WITH_A_SCALAR = {
    "times": lambda x, s: x * s, "from the left": lambda x, s: s * x, "divided": lambda x, s: x / s, "chosen": lambda x, s: mx.where(x > 1, x, s),
    "in full": lambda x, s: mx.full((2,), s) + x, "negative": lambda x, s: x * -s, "beside a float": lambda x, s: x * (2.5 * s),
    "beside itself": lambda x, s: x * (s * 0.1 * s), "beside another": lambda x, s: x * (np.float32(0.1) * s), "power": lambda x, s: x**s,
    "of NumPy": lambda x, s: x * np.abs(s), "compared": lambda x, s: x if abs(s) > 3 else -x, "asked for its type":
    lambda x, s: x * (1 if isinstance(s, np.floating) else 2), "item": lambda x, s: x * s.item(), "as an array": lambda x, s: mx.array(s) * x,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", WITH_A_SCALAR)
def test_scalars_that_change(how, kind):
    """Right for every value, whatever the function does with it; dtypes and bits are those of a plain call."""
    body = WITH_A_SCALAR[how]
    for dtype in (mx.float32, mx.float16, mx.int32, mx.complex64):
        x = mx.array([1, 2]).astype(dtype)
        f = mx.compile(body)
        for k in (1, 3, 5, 2, 7):
            same(f(x, kind(k)), body(x, kind(k)))


@pytest.mark.parametrize("kind", KINDS)
def test_scalars_that_change_need_two_recordings(kind):
    f = mx.compile(lambda x, s: x * s)
    for k in range(1, 9):
        f(mx.array([1.0, 2.0]), kind(k))
    assert traces(f) == 2
