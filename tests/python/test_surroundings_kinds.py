"""Every kind of object that a compiled function may find around it: whatever of it changes is seen at the next call."""

import array
import collections
import contextlib
import contextvars
import dataclasses
import decimal
import enum
import fractions
import functools
import operator
import threading
import types
import weakref

import mlx.core as mx
import numpy as np
import pytest

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


# --- what leads to something else ---


@case
def weak_references():
    box = Box(one(2))
    reference, proxy, by_name = weakref.ref(box), weakref.proxy(box), weakref.WeakValueDictionary(box=box)

    def replace():
        nonlocal box, reference
        old, box = box, Box(7.0)
        reference, by_name["box"] = weakref.ref(box), box
        kept.append(old)  # the proxy needs it

    kept = []
    return lambda x: x * reference().w * proxy.w * by_name["box"].w, [
        lambda: setattr(box, "w", one(3)),
        lambda: setattr(box, "w", 4.0),
        replace,
        lambda: setattr(kept[0], "w", 5.0),
    ]


@case
def context_variables():
    scale, options = contextvars.ContextVar("scale", default=2.0), contextvars.ContextVar("options")
    options.set({"w": one(3)})
    return lambda x: x * scale.get() * options.get()["w"], [
        lambda: scale.set(5.0),
        lambda: options.get().__setitem__("w", one(7)),
        lambda: options.set({"w": 9.0}),
    ]


@case
def data_of_a_thread():
    local = threading.local()
    local.w = one(2)
    return lambda x: x * local.w, [lambda: setattr(local, "w", one(3)), lambda: setattr(local, "w", 5.0)]


@case
def partials_of_partials():
    class Kept(functools.partial):
        pass

    holder, numbers = {"w": one(2)}, [3.0]
    inner = functools.partial(lambda h, n, x, k=1.0: x * h["w"] * n[0] * k, holder)
    f = functools.partial(functools.partial(inner, numbers))
    g = Kept(f, k=2.0)
    return lambda x: f(x) + g(x), [
        lambda: holder.__setitem__("w", one(5)),
        lambda: numbers.__setitem__(0, 7.0),
        lambda: g.keywords.__setitem__("k", 4.0),
    ]


@case
def bound_methods_in_lists():
    boxes = [Box(one(2)), Box(3.0)]
    steps = [boxes[0].apply, {"second": boxes[1].apply}["second"]]

    def f(x):
        for step in steps:
            x = step(x)
        return x

    return f, [
        lambda: setattr(boxes[0], "w", one(5)),
        lambda: setattr(boxes[1], "w", 7.0),
        lambda: steps.append(Box(2.0).apply),
        lambda: setattr(boxes[1], "apply", None),
    ]


@case
def lambdas_in_dicts():
    scale = 2.0
    table = {"a": lambda x: x * scale, "b": (lambda x: x + scale, 1)}

    def change():
        nonlocal scale
        scale = 5.0

    return lambda x: table["a"](x) + table["b"][0](x), [change, lambda: table.__setitem__("a", lambda x: x)]


def logged(fun):
    @functools.wraps(fun)
    def wrapper(*args, **keywords):
        return fun(*args, **keywords)

    return wrapper


@case
def decorated_and_cached_functions():
    scale, bias = 2.0, 1.0

    @logged
    @logged
    def times(x):
        return x * scale

    @functools.lru_cache(maxsize=None)
    def name_of(kind):
        return "k" * int(kind)

    @logged
    @functools.lru_cache
    def offset(n):
        return n + bias

    def change(s, b):
        nonlocal scale, bias
        scale, bias = s, b
        offset.__wrapped__.cache_clear()

    return lambda x: times(x) + offset(1) + len(name_of(2)), [lambda: change(5.0, 1.0), lambda: change(5.0, 4.0)]


@case
def functions_by_the_type_of_an_argument():
    scale = 2.0

    @functools.singledispatch
    def act(value, x):
        return x

    @act.register
    def _(value: float, x):
        return x * scale

    def change():
        nonlocal scale
        scale = 5.0

    def more():
        @act.register
        def _(value: str, x):
            return x * 100

    return lambda x: act(1.0, x) + act("", x), [change, more]


@case
def context_managers_made_of_generators():
    scale = 2.0

    @contextlib.contextmanager
    def scope():
        yield scale

    def f(x):
        with scope() as s:
            return x * s

    def change():
        nonlocal scale
        scale = 5.0

    return f, [change]


@case
def generators_and_their_closures():
    weights, scale = [1.0, 2.0], 3.0

    def chosen():
        for w in weights:
            yield w * scale

    def change():
        nonlocal scale
        scale = 5.0

    return lambda x: x * sum(chosen()) + sum(w for w in weights), [lambda: weights.append(4.0), change]


@case
def methods_of_classes():
    class Model:
        w = one(2)
        scale = 1.0

        @classmethod
        def of_class(cls, x):
            return x * cls.w

        @staticmethod
        def static(x):
            return x * outside

        @property
        def value(self):
            return self.scale * outside

    outside, model = 3.0, Model()
    table = {"f": Model.of_class, "g": Model.static, "h": model.of_class}

    def change():
        nonlocal outside
        outside = 7.0

    return lambda x: table["f"](x) + table["g"](x) + table["h"](x) + model.value, [
        lambda: setattr(Model, "w", one(5)),
        change,
        lambda: setattr(model, "scale", 4.0),
        lambda: setattr(Model, "scale", 9.0),
        lambda: delattr(model, "scale"),
        lambda: setattr(Model, "value", 1.0),
        lambda: setattr(Model, "of_class", classmethod(lambda cls, x: x)),
    ]


@case
def attributes_that_a_class_gets_later():
    class Model:
        pass

    model = Model()
    return lambda x: x * getattr(model, "scale", 2.0) * (3.0 if hasattr(Model, "other") else 1.0), [
        lambda: setattr(Model, "scale", 5.0),
        lambda: setattr(Model, "other", 1),
        lambda: setattr(model, "scale", 7.0),
    ]


@case
def partial_methods_and_cached_properties():
    class Model:
        def __init__(self):
            self.w = 2.0

        def scaled(self, by, x):
            return x * by * self.w * scale

        doubled = functools.partialmethod(scaled, 2.0)

        @functools.cached_property
        def cached(self):
            return self.w * scale

    scale, model = 1.0, Model()

    def change():
        nonlocal scale
        scale = 3.0
        del model.cached

    return lambda x: model.doubled(x) + model.cached, [lambda: setattr(model, "w", 5.0), change]


@case
def callables_of_the_operator_module():
    table, name = {"a": 2.0, "b": 3.0}, operator.itemgetter("a")

    def change():
        nonlocal name
        name = operator.itemgetter("b")

    return lambda x: x * name(table), [lambda: table.__setitem__("a", 5.0), change]


@case
def descriptors_of_ones_own():
    class Scaled:
        def __init__(self, by):
            self.by = by

        def __get__(self, instance, owner):
            return self.by * outside

    class Model:
        value = Scaled(2.0)

        def __getattr__(self, name):
            return table[name]

    outside, table, model = 1.0, {"w": 3.0}, Model()
    descriptor = Model.__dict__["value"]

    def change():
        nonlocal outside
        outside = 7.0

    return lambda x: x * model.value + model.w, [lambda: setattr(descriptor, "by", 5.0), change, lambda: table.update(w=11.0)]


@case
def functions_of_modules_within_modules():
    package, inner = types.ModuleType("users_package"), types.ModuleType("users_package.inner")
    package.inner = inner
    exec("scale = 2.0\ntable = {'w': 3.0}\ndef act(x):\n    return x * scale + helper()\ndef helper():\n    return table['w']\n", inner.__dict__)
    return lambda x: package.inner.act(x), [
        lambda: setattr(inner, "scale", 5.0),
        lambda: inner.table.update(w=7.0),
        lambda: setattr(inner, "helper", lambda: 1.0),
        lambda: setattr(package, "inner", types.SimpleNamespace(act=lambda x: x)),
    ]


@case
def a_name_that_is_defined_later():
    module = {"__name__": __name__, "mx": mx}
    exec("def f(x):\n    try:\n        return x * w + max(1.0, 2.0)\n    except NameError:\n        return x\n", module)
    return module["f"], [
        lambda: module.update(w=3.0),
        lambda: module.update(max=lambda a, b: 10.0),
        lambda: module.pop("w"),
    ]


@case
def code_that_is_replaced():
    def inner(x):
        return x * 2

    def other(x):
        return x * 3

    return lambda x: inner(x), [lambda: setattr(inner, "__code__", other.__code__)]


@case
def frozen_and_slotted_records():
    @dataclasses.dataclass(frozen=True)
    class Options:
        scale: float
        names: tuple

    @dataclasses.dataclass(slots=True)
    class State:
        w: object
        inner: object = None

    options, state = Options(2.0, ("a",)), State(one(1), State(3.0))

    def change():
        nonlocal options
        options = dataclasses.replace(options, scale=5.0)

    return lambda x: x * options.scale * state.w * state.inner.w + len(options.names), [
        change,
        lambda: setattr(state, "w", one(4)),
        lambda: setattr(state.inner, "w", 7.0),
        lambda: object.__setattr__(options, "names", ("a", "b")),
    ]


@pytest.mark.filterwarnings("ignore:.compile.")
@pytest.mark.parametrize("shapeless", [False, True], ids=["", "shapeless"])
@pytest.mark.parametrize("name", CASES)
def test_it_is_seen(name, shapeless):
    f, changes = CASES[name]()
    compiled, x = mx.compile(f, shapeless=shapeless), mx.array([1.0, 2.0])
    for i, change in enumerate([lambda: None, *changes]):
        change()
        expected = f(x).tolist()
        assert compiled(x).tolist() == expected, (name, i)
        assert compiled(x).tolist() == expected, (name, i)
