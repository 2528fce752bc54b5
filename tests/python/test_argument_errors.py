"""Arguments of wrong types: one plain sentence that names function, argument and value, in an error that is both a TypeError and
a ValueError; and operators that name both operands."""

import operator
import re

import mlx.core as mx
import numpy as np
import pytest
from mlx_parameters import PARAMETERS
from test_keywords import found, parameters_of, shown_parameters

F = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
V = mx.array([1.0, 2.0, 3.0])


def test_one_class_that_is_both():
    assert issubclass(mx.ArgumentError, TypeError) and issubclass(mx.ArgumentError, ValueError)


# Each call, and words of its error.
@pytest.mark.parametrize("call, words", [
    (lambda: mx.array(None), ["[array]", "val is None"]), (lambda: mx.array("text"), ["[array]", "str"]),
    (lambda: mx.array([None]), ["[array]", "NoneType"]), (lambda: mx.array(), ["[array]", "val", "missing"]),
    (lambda: mx.array([1, 2], "float32"), ["[array]", "dtype is a str ('float32')", "Dtype"]), (lambda: mx.array(1, dtype=3), ["dtype is an int (3)"]),
    (lambda: mx.array(object()), ["[array]", "object"]), (lambda: mx.array({1: 2}), ["[array]", "dict"]),
    (lambda: mx.sum("abc"), ["[sum]", "a is a str ('abc')", "an array"]), (lambda: mx.sum(V, axis="x"), ["[sum]", "axis is a str ('x')", "int"]),
    (lambda: mx.sum(V, axiss=0), ["[sum]", "'axiss'", "keepdims"]), (lambda: mx.sum(V, 0, a=V), ["[sum]", "a was given twice"]),
    (lambda: mx.sum(), ["[sum]", "a is missing"]), (lambda: mx.sum(V, 0, True, 1, 2), ["[sum]", "5 positional", "keepdims"]),
    (lambda: mx.sum(V, 0, 1), ["[sum]", "keepdims is an int (1)", "bool"]), (lambda: mx.sin([1, 2]), ["[sin]", "a is a list ([1, 2])"]),
    (lambda: mx.sin(), ["[sin]", "missing"]), (lambda: mx.add(V, "x"), ["[add]", "b is a str"]), (lambda: mx.add([1], 2), ["[add]", "a is a list"]),
    (lambda: mx.reshape(V, "ab"), ["[reshape]", "shape is a str"]), (lambda: mx.reshape(V, (3.0,)), ["[reshape]", "shape is a tuple ((3.0,))"]),
    (lambda: mx.zeros("a"), ["[zeros]", "shape is a str"]), (lambda: mx.zeros((2,), dtype="f"), ["[zeros]", "dtype is a str ('f')"]),
    (lambda: mx.zeros(2.5), ["[zeros]", "shape is a float (2.5)"]), (lambda: mx.eye(2.0), ["[eye]", "n is a float"]),
    (lambda: mx.eye(2**40), ["[eye]", "out of range"]),
    (lambda: mx.sin(V, stream=3), ["[sin]", "stream is an int (3)", "Stream"]), (lambda: mx.matmul(V, 2), ["[matmul]", "b is an int (2)", "an array"]),
    (lambda: mx.concatenate(3), ["[concatenate]", "arrays is an int (3)"]), (lambda: mx.concatenate([V, 1]), ["[concatenate]", "arrays is a list"]),
    (lambda: mx.concatenate([V], axis="0"), ["[concatenate]", "axis"]), (lambda: mx.take(V, "x"), ["[take]", "indices"]),
    (lambda: mx.random.key(-1), ["[random.key]", "seed is -1"]), (lambda: mx.random.normal(1.5), ["[random.normal]", "shape is a float (1.5)"]),
    (lambda: mx.random.uniform(0, 1, (2,), "f"), ["[random.uniform]", "dtype"]), (lambda: V.sum("a"), ["[sum]", "axis is a str ('a')"]),
    (lambda: V.astype("float32"), ["[astype]", "dtype is a str ('float32')"]), (lambda: V.reshape(1.5), ["[reshape]"]),
    (lambda: V.item(1), ["[item]", "1 positional"]),
    (lambda: V.flatten(1, 2, 3), ["[flatten]", "3 positional arguments", "start_axis and end_axis"]), (lambda: V.at[0].add("x"), ["[at.add]", "str"]),
    (lambda: mx.Device(3), ["[Device]", "type is an int (3)"]), (lambda: mx.stream(3), ["[stream]", "int"]),
    (lambda: mx.set_default_device("cpu"), ["[set_default_device]"]),
    (lambda: mx.grad(3), ["[grad]", "fun"]), (lambda: mx.vmap(mx.sin, chunk_size=mx), ["chunk_size"]), (lambda: mx.grad(mx.sin,
    argnums="x"), ["[grad]", "argnums is a str"]),
    (lambda: mx.meshgrid(V, sparse=3), ["[meshgrid]", "sparse is an int"]), (lambda: mx.einsum(3, V), ["[einsum]", "subscripts is an int"]),
    (lambda: mx.pad(V, 1, mode=3), ["[pad]", "mode is an int (3)"]), (lambda: mx.clip("a", 1, 2), ["[clip]", "a is a str"]),
    (lambda: mx.set_memory_limit("1G"), ["[set_memory_limit]", "limit is a str"]), (lambda: mx.set_printoptions(precision=1.5), ["precision"]),
    (lambda: mx.finfo(3), ["[finfo]"]), (lambda: mx.issubdtype(1, 2), ["[issubdtype]"]), (lambda: mx.where(V, V), ["[where]", "y is missing"]),
    (lambda: mx.eval(V, foo=1), ["eval"]), (lambda: mx.compile(mx.sin, foo=1), ["[compile]", "foo"]), (lambda: mx.from_dlpack(3), ["[from_dlpack]", "int"]),
    (lambda: V["a"], ["str"]), (lambda: V.__setitem__(0, "a"), ["str"]), (lambda: V.__setitem__("a", 0), ["str"]), (lambda: setattr(V, "dtype", 3), []),
])
def test_one_plain_sentence(call, words):
    with pytest.raises((TypeError, AttributeError)) as e:
        call()
    text = str(e.value)
    assert "incompatible function arguments" not in text and "\n" not in text and "nb::" not in text
    missing = [word for word in words if word not in text]
    assert not missing, text
    if words:
        assert isinstance(e.value, ValueError), text


@pytest.mark.parametrize("name", [n for n in PARAMETERS if n not in ("metal.start_capture", "export_to_dot")])
def test_no_function_prints_its_overloads(name):
    """Whatever is wrong with a call, the answer is a sentence."""
    function = found(name)

    class Odd:
        def __repr__(self):
            return "<odd>"

    count = len(PARAMETERS[name].split())
    if count == 0 or name in ("eval", "async_eval", "get_array_buffer_size"):
        return
    calls = [lambda: function(*[Odd()] * count), lambda: function(*[Odd()] * 12), lambda: function(no_such_argument=1), lambda: function(*["text"] * count)]
    for i, call in enumerate(calls):
        try:
            call()
        except (TypeError, ValueError) as e:
            assert "incompatible function arguments" not in str(e) and "Invoked with" not in str(e), str(e)
            if i < 3:
                assert function.__name__ in str(e) or "stream" in str(e), str(e)


OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "**": operator.pow, "@": operator.matmul, "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow, operator.imatmul,
            operator.ilshift, operator.irshift, operator.iand, operator.ior, operator.ixor]  # fmt: skip


@pytest.mark.parametrize("other", ["hello", [1, 2], (1, 2), None, {"a": 1}, b"x", object(), len, [V]], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_name_both_operands(symbol, other):
    for array in (V, mx.array(2), mx.array([1, 2])):
        for left, right in ((array, other), (other, array)):
            if symbol == "%" and isinstance(left, (str, bytes)):
                continue  # formatting
            with pytest.raises(TypeError) as e:
                OPERATORS[symbol](left, right)
            text = str(e.value)
            assert type(other).__name__.removesuffix("Type") in text and "array" in text
            assert isinstance(e.value, ValueError)
            assert f"a {symbol} b" in text or symbol in ("<", "<=", ">", ">=") and re.search("a [<>]=? b", text)


@pytest.mark.parametrize("in_place", IN_PLACE)
def test_in_place_operators(in_place):
    x = mx.array([1, 2])
    for other in ("hello", [1, 2], None):
        with pytest.raises(TypeError, match=type(other).__name__.removesuffix("Type")):
            in_place(x, other)
    assert x.tolist() == [1, 2]


def test_equality_with_other_things_is_pythons():
    assert (V == "hello") is False and (V != "hello") is True and operator.eq(None, V) is False and V != [1, 2]


def test_other_classes_may_answer():
    class Other:
        def __radd__(self, a):
            return "radd"

        def __add__(self, a):
            return "add"

        def __rpow__(self, a):
            return "rpow"

        def __gt__(self, a):
            return "gt"

        def __rmatmul__(self, a):
            return "rmatmul"

    assert V + Other() == "radd" and Other() + V == "add" and V ** Other() == "rpow" and (V < Other()) == "gt" and V @ Other() == "rmatmul"
    x = V
    x += Other()
    assert x == "radd"
    with pytest.raises(TypeError, match="Other"):
        V - Other()


@pytest.mark.parametrize("call", [
    # Apple's wheel raises ValueError for each of these.
    lambda: V < "h", lambda: V * [1, 2], lambda: [1, 2] * mx.array(2), lambda: V + {1}, lambda: V ** "a", lambda: mx.array("a"),
    lambda: mx.array([None]), lambda: mx.array([1, "a"]), lambda: V << 1, lambda: mx.bitwise_and(V, V), lambda: mx.grad(lambda x: x)(mx.array([1.0])),
    lambda: mx.grad(lambda x: x.sum())(mx.array([1, 2])), lambda: mx.grad(lambda x: 3)(V), lambda: mx.grad(lambda x: x.sum())("a"),
    lambda: mx.vmap(lambda x: x, in_axes="a")(V),
    lambda: mx.vmap(lambda x: x, out_axes=[1])(F), lambda: mx.view(V, mx.int64), lambda: mx.array([[1], [1, 2]]),
])  # fmt: skip
def test_can_be_caught_as_value_error(call):
    try:
        call()
    except ValueError:
        pass


def test_numbers_of_numpy_and_subclasses_fit():
    assert mx.sum(F, axis=np.int64(0)).tolist() == [5, 7, 9] and mx.zeros(np.int32(2)).shape == (2,) and mx.eye(np.int64(2)).shape == (2, 2)

    class Sub(mx.array):
        pass

    assert mx.sum(Sub([1.0, 2.0])).item() == 3
    with pytest.raises(TypeError, match=r"\[sum\] axis"):
        mx.sum(Sub([1.0]), "x")


def test_signatures_name_every_parameter():
    for name in PARAMETERS:
        function = found(name)
        if hasattr(function, "__nb_signature__"):
            assert parameters_of(function)[0] or not PARAMETERS[name]


MODULES = {"": mx, "linalg.": mx.linalg, "fft.": mx.fft, "random.": mx.random, "special.": mx.special}
# Not those that set what stays after the call.
NAMES = [prefix + name for prefix, module in MODULES.items() for name, f in vars(module).items()
         if hasattr(f, "__nb_signature__") and not isinstance(f, type) and not name.startswith("set_") and name != "seed"]
WRONG = [2**31, -2**31 - 1, 2**32, 2**40, 2**63, -2**63 - 1, 2**64 + 1, 2**70, 10**400,
         True, 2.5, float("nan"), "a", b"x", 3j, None, [], {}, object()]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_one_argument_is_the_error_says_where(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # "a" may be a file
    function = found(name)
    parameters = [p for p in shown_parameters(function) if not p.rest]
    for changed in parameters:
        needed = {p.name: F for p in parameters if p.default is None and p is not changed}
        for value in WRONG:
            try:
                result = function(**needed, **{changed.name: value})
                if isinstance(result, mx.array) and result.size < 1000:
                    mx.eval(result)
            except OSError:
                pass
            except Exception as error:
                assert re.match(r"\[[\w.]+\] ", str(error)), (changed.name, value, repr(error))


@pytest.mark.parametrize("argument", ["in_axes", "out_axes"])
def test_axes_of_vmap_are_not_taken_for_their_lowest_bits(argument):
    for axis in (2**32, (2**32 + 1,), -2**40, 2**63):
        with pytest.raises(mx.ArgumentError, match=rf"\[vmap\] {argument} is -?\d+, which is out of range"):
            mx.vmap(lambda x: x * 2, **{argument: axis})(F)
