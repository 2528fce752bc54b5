"""Cases of what may be around a compiled function: containers, values, bytes. Beside them test_surroundings_kinds.py."""

import array
import collections
import ctypes
import decimal
import enum
import fractions
import mmap
import types

import mlx.core as mx
import numpy as np

CASES = {}


def case(make):
    """A case returns a function and the changes around it, after each of which it must give what it gives plainly."""
    CASES[make.__name__] = make
    return make


class Box:
    def __init__(self, w):
        self.w = w

    def apply(self, x):
        return x * self.w


def one(value):
    return mx.array(float(value))


# --- containers ---


@case
def a_deque():
    d = collections.deque([one(1), 2.0])
    return lambda x: x * d[0] + d[-1], [
        lambda: d.append(5.0),
        lambda: d.appendleft(one(3)),
        lambda: d.rotate(1),
        lambda: d.__setitem__(0, 7.0),
        lambda: d.extend([1.5, 2.5]),
    ]


@case
def a_deque_of_objects():
    box = Box(one(2))
    d = collections.deque([[0, box]], maxlen=3)
    return lambda x: x * d[0][1].w, [lambda: setattr(box, "w", one(3)), lambda: d[0].__setitem__(1, Box(4.0))]


@case
def a_subclass_of_deque():
    class Queue(collections.deque):
        scale = 1.0

    d = Queue([1.0])
    return lambda x: x * d[0] * d.scale, [lambda: d.__setitem__(0, 2.0), lambda: setattr(d, "scale", 3.0), lambda: setattr(Queue, "scale", 5.0)]


@case
def a_set_of_objects():
    boxes = {Box(one(1)), Box(one(2))}
    return lambda x: x * sum((b.w for b in boxes), mx.array(0.0)), [
        lambda: setattr(next(iter(boxes)), "w", one(5)),
        lambda: boxes.add(Box(7.0)),
        lambda: boxes.pop(),
    ]


@case
def a_set_of_numbers():
    kinds = {2}
    return lambda x: x + 1 if any(type(k) is float for k in kinds) else x, [
        lambda: kinds.add(3),
        lambda: (kinds.clear(), kinds.add(2.0)),
        lambda: (kinds.clear(), kinds.add(True)),
    ]


@case
def a_frozen_set_of_tuples():
    pairs = frozenset({("a", 1.0)})

    def replace(value):
        nonlocal pairs
        pairs = frozenset({("a", value), ("b", value)})

    return lambda x: x * sum(v for _, v in pairs), [lambda: replace(2.0), lambda: replace(3.0)]


@case
def the_order_of_an_ordered_dict():
    d = collections.OrderedDict(a=2.0, b=3.0, c=5.0)

    def f(x):
        for v in d.values():
            x = x * v + 1
        return x

    return f, [lambda: d.move_to_end("a"), lambda: d.move_to_end("c", last=False), lambda: d.popitem(last=False)]


@case
def the_order_of_a_dict():
    d = {"a": 2.0, "b": 3.0}

    def f(x):
        for v in d.values():
            x = x * v + 1
        return x

    return f, [lambda: d.__setitem__("a", d.pop("a")), lambda: d.__setitem__("b", d.pop("b"))]


@case
def what_a_default_dict_makes():
    scale = 2.0
    d = collections.defaultdict(lambda: scale)

    def change(value):
        nonlocal scale
        scale = value
        d.clear()

    return lambda x: x * d["w"], [lambda: change(3.0), lambda: setattr(d, "default_factory", lambda: 7.0) or d.clear()]


@case
def a_counter_and_a_chain():
    counts, chain = collections.Counter("aab"), collections.ChainMap({"w": 1.0}, {"v": 2.0})
    return lambda x: x * counts["a"] * chain["w"] * chain["v"], [
        lambda: counts.update("aa"),
        lambda: chain.maps[1].__setitem__("v", 5.0),
        lambda: chain.maps.insert(0, {"w": 9.0}),
    ]


@case
def views_of_a_dict():
    d = {"w": one(1), "v": 2.0}
    values, items, proxy = d.values(), d.items(), types.MappingProxyType(d)
    return lambda x: x * next(iter(values)) * len(items) * proxy["v"], [
        lambda: d.__setitem__("w", one(4)),
        lambda: d.__setitem__("v", 3.0),
        lambda: d.__setitem__("more", 1.0),
    ]


@case
def user_containers():
    d, text, items = collections.UserDict(w=2.0), collections.UserString("ab"), collections.UserList([1.0])
    return lambda x: x * d["w"] * len(text) * items[-1], [
        lambda: d.__setitem__("w", 3.0),
        lambda: setattr(text, "data", "abc"),
        lambda: items.append(5.0),
    ]


@case
def nested_namespaces():
    n = types.SimpleNamespace(inner=types.SimpleNamespace(w=one(1), on=True))
    return lambda x: x * n.inner.w if n.inner.on else x, [
        lambda: setattr(n.inner, "w", one(2)),
        lambda: setattr(n.inner, "on", False),
        lambda: setattr(n, "inner", types.SimpleNamespace(w=3.0, on=True)),
    ]


@case
def dicts_whose_keys_are_objects():
    key = ("w", 1)
    d = {key: 2.0, Box: 3.0}
    return lambda x: x * d["w", 1] * d[Box], [lambda: d.__setitem__(key, 5.0), lambda: d.__setitem__(Box, 7.0)]


@case
def attributes_replaced_at_once():
    box = Box(2.0)

    class Doubled(Box):
        def apply(self, x):
            return x * self.w * 2

    return lambda x: box.apply(x), [
        lambda: setattr(box, "__dict__", {"w": 3.0}),
        lambda: setattr(box, "__dict__", {"w": one(5), "more": 1}),
        lambda: setattr(box, "__class__", Doubled),
        lambda: box.__dict__.update(w=7.0),
    ]


@case
def there_and_back():
    box, d = Box(2.0), {"w": [1.0]}

    def around(change, back):
        change()
        back()

    return lambda x: x * box.w * d["w"][0], [
        lambda: around(lambda: setattr(box, "w", 3.0), lambda: setattr(box, "w", 2.0)),
        lambda: d["w"].__setitem__(0, 4.0),
        lambda: around(lambda: d.__setitem__("w", [5.0]), lambda: d.__setitem__("w", [4.0])),
        lambda: d["w"].__setitem__(0, 6.0),
        lambda: setattr(box, "w", 9.0),
    ]


# --- bytes and arrays of other libraries ---


@case
def an_array_of_the_standard_library():
    a = array.array("d", [1.0, 2.0])
    return lambda x: x * a[0] + len(a), [lambda: a.__setitem__(0, 5.0), lambda: a.append(1.0)]


@case
def a_bytearray_and_a_view_of_one():
    b = bytearray(b"ab")
    view = memoryview(bytearray(b"xyz"))
    return lambda x: x * b[0] + view[1], [lambda: b.__setitem__(0, 3), lambda: b.append(1), lambda: view.__setitem__(1, 9)]


@case
def a_numpy_array():
    w = np.array([1.0, 2.0])

    def replace():
        nonlocal w
        w = np.array([9.0, 2.0], np.float32)

    return lambda x: x * mx.array(w[0].item()) + w.shape[0], [
        lambda: w.__setitem__(0, 5.0),
        lambda: w.sort(),
        lambda: w.__imul__(3.0),
        replace,
    ]


@case
def a_numpy_array_as_an_operand():
    w = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2]
    return lambda x: (x * mx.array(w)).sum(), [lambda: w.__setitem__((1, 1), 50.0), lambda: w.__setitem__(0, -1.0)]


@case
def numpy_arrays_in_boxes():
    box, items = Box(np.ones(3)), [np.zeros(2, np.int32)]
    return lambda x: x * float(box.w.sum()) + int(items[0][1]), [
        lambda: box.w.__setitem__(0, 4.0),
        lambda: items[0].fill(3),
        lambda: items.__setitem__(0, np.array([True, False])),
    ]


@case
def numpy_arrays_without_a_buffer():
    times, masked = np.array(["2020-01-01"], "datetime64[D]"), np.ma.array([1.0, 2.0], mask=[0, 1])
    return lambda x: x * int(times[0].astype(int)) + float(masked.sum()), [
        lambda: times.__setitem__(0, np.datetime64("2021-01-01")),
        lambda: masked.mask.__setitem__(1, False),
        lambda: masked.data.__setitem__(0, 9.0),
    ]


@case
def memory_of_c():
    numbers, one_number, mapped = (ctypes.c_double * 3)(1.0, 2.0, 3.0), ctypes.c_int(4), mmap.mmap(-1, 16)
    view = memoryview(np.arange(4.0))[1:3]
    return lambda x: x * numbers[1] + one_number.value + mapped[3] + view[0], [
        lambda: numbers.__setitem__(1, 5.0),
        lambda: setattr(one_number, "value", 7),
        lambda: mapped.__setitem__(3, 9),
        lambda: view.obj.__setitem__(1, 8.0),
    ]


@case
def numpy_scalars():
    scale, flag, box = np.float32(2), np.bool_(True), Box(np.int64(3))

    def change(s, f, w):
        nonlocal scale, flag
        scale, flag, box.w = s, f, w

    return lambda x: x * float(scale) * int(box.w) if flag else x, [
        lambda: change(np.float32(4), np.bool_(True), np.int64(3)),
        lambda: change(np.float64(4), np.bool_(True), np.int64(5)),
        lambda: change(np.float64(4), np.bool_(False), np.int8(5)),
    ]


# --- values of classes that derive from those of built-in ones ---


@case
def numbers_with_names():
    class Rate(float):
        pass

    class Count(int):
        pass

    class Name(str):
        pass

    rate, count, name, blob = Rate(2), Count(3), Name("ab"), type("Blob", (bytes,), {"__module__": __name__})(b"a")

    def change(r, c, n):
        nonlocal rate, count, name, blob
        rate, count, name, blob = Rate(r), Count(c), Name(n), type(blob)(n.encode())

    return lambda x: x * float(rate) * int(count) + len(name) + blob[0], [
        lambda: change(5, 3, "ab"),
        lambda: change(5, 7, "ab"),
        lambda: change(5, 7, "abc"),
        lambda: change(5, 7, "xbc"),
    ]


@case
def numbers_of_the_standard_library():
    d, r, c = decimal.Decimal("1.5"), fractions.Fraction(1, 2), 1 + 2j

    def change(a, b):
        nonlocal d, r, c
        d, r, c = decimal.Decimal(a), fractions.Fraction(b), c + 1

    return lambda x: x * float(d) * float(r) * c.real, [lambda: change("2.5", 0.5), lambda: change("2.5", 0.25)]


@case
def slices_and_ranges():
    part, steps = slice(0, 1), range(3)

    def change(p, s):
        nonlocal part, steps
        part, steps = p, s

    return lambda x: mx.arange(8.0)[part].sum() * x + sum(steps), [
        lambda: change(slice(0, 3), range(3)),
        lambda: change(slice(0, 3), range(5)),
    ]


@case
def members_of_enumerations():
    class Mode(enum.Enum):
        ON = 1
        OFF = [2.0]

        def scale(self, x):
            return x * factor

    class Flag(enum.IntFlag):
        A = 1
        B = 2

    mode, flag, factor = Mode.ON, Flag.A, 2.0

    def change(m, f):
        nonlocal mode, flag
        mode, flag = m, f

    def new_factor():
        nonlocal factor
        factor = 11.0

    return lambda x: (x if mode is Mode.ON else mode.scale(x)) * int(flag) * Mode.OFF.value[0], [
        lambda: change(Mode.OFF, Flag.A),
        new_factor,
        lambda: change(Mode.OFF, Flag.A | Flag.B),
        lambda: Mode.OFF.value.__setitem__(0, 5.0),
    ]


@case
def a_member_with_attributes():
    class Mode(enum.Enum):
        ON = 1

    Mode.ON.w = one(2)
    return lambda x: x * Mode.ON.w, [lambda: setattr(Mode.ON, "w", one(3)), lambda: setattr(Mode.ON, "w", 4.0)]
