"""Cases of what leads from a compiled function to something else: references, functions, classes, modules."""

import contextlib
import contextvars
import dataclasses
import functools
import operator
import queue
import threading
import types
import weakref

import mlx.core as mx

from surroundings_values import Box, case, one


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
def weak_containers_and_queues():
    boxes, waiting = [Box(one(2)), Box(3.0)], queue.Queue()
    all_of_them, by_box = weakref.WeakSet(boxes[:1]), weakref.WeakKeyDictionary({boxes[0]: 5.0})
    waiting.put(1.5)
    return lambda x: x * sum(b.w for b in all_of_them) * by_box[boxes[0]] * waiting.queue[0], [
        lambda: setattr(boxes[0], "w", one(3)),
        lambda: all_of_them.add(boxes[1]),
        lambda: by_box.__setitem__(boxes[0], 7.0),
        lambda: waiting.queue.appendleft(2.5),
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
