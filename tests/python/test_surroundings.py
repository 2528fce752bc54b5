"""What a compiled function finds around it: no recording outlives a change there, however deep it is."""

import argparse
import collections
import contextvars
import dataclasses
import enum
import functools
import gc
import random
import sys
import threading
import types
import warnings
import weakref

import mlx.core as mx
import pytest


def traces(f):
    return mx.compile_stats(f)["traces"]


# --- random structures: a leaf in boxes in boxes, below a root, changed at any depth ---


class Plain:
    pass


class Slots:
    __slots__ = ("x", "y")


@dataclasses.dataclass
class Record:
    x: object
    y: int = 0


Pair = collections.namedtuple("Pair", "x y")


class ListLike(list):
    pass


def attribute(make):
    def box(child):
        o = make()
        o.x = child
        return o

    return box, lambda o: o.x, lambda o, child: setattr(o, "x", child)


def item(make, key):
    return make, lambda c: c[key], lambda c, child: c.__setitem__(key, child)


class Number(float):
    pass


class Queue(collections.deque):
    pass


class Key:
    def __init__(self, x):
        self.x = x


def in_context(child):
    variable = contextvars.ContextVar("variable")
    variable.set(child)
    return variable


all_kept = []


def kept(child):
    """Something and a weak reference to it."""
    o = Key(child)
    all_kept.append(o)
    return o, weakref.ref(o)


def new_member(child):
    member = enum.Enum("Mode", {"A": 1}, module=__name__).A
    member.x = child
    return member


def new_class():
    return type("Holder", (), {"__module__": __name__})


# How to make one around a child, to look into it, and to put another child there (None: it cannot change).
BOXES = {
    "list": item(lambda c: [0, c], 1),
    "list subclass": item(lambda c: ListLike([c]), 0),
    "dict": item(lambda c: {"a": 1, "x": c}, "x"),
    "dict of ints": item(lambda c: {1: c, 2: None}, 1),
    "ordered dict": item(lambda c: collections.OrderedDict(x=c), "x"),
    "default dict": item(lambda c: collections.defaultdict(int, x=c), "x"),
    "tuple": (lambda c: (c, 1), lambda t: t[0], None),
    "named tuple": (lambda c: Pair(1, c), lambda t: t.y, None),
    "object": attribute(Plain),
    "slots": attribute(Slots),
    "dataclass": attribute(lambda: Record(None)),
    "namespace": attribute(types.SimpleNamespace),
    "parsed arguments": attribute(argparse.Namespace),
    "user dict": item(lambda c: collections.UserDict(x=c), "x"),
    "user list": item(lambda c: collections.UserList([1, c]), 1),
    "chain of dicts": item(lambda c: collections.ChainMap({"x": c}, {"y": 1}), "x"),
    "deque": item(lambda c: collections.deque([0, c]), 1),
    "view": (lambda c: types.MappingProxyType({"x": c}), lambda p: p["x"], None),
    "set": (lambda c: {Key(c)}, lambda s: next(iter(s)).x, lambda s, c: setattr(next(iter(s)), "x", c)),
    "context": (in_context, lambda v: v.get(), lambda v, c: v.set(c)),
    "reference": (lambda c: kept(c)[1], lambda r: r().x, lambda r, c: setattr(r(), "x", c)),
    "proxy": (lambda c: weakref.proxy(kept(c)[0]), lambda p: p.x, lambda p, c: setattr(p, "x", c)),
    "member": (new_member, lambda m: m.x, lambda m, c: setattr(m, "x", c)),
    "data of a thread": attribute(threading.local),
    "partial": (lambda c: functools.partial(print, 1, c), lambda p: p.args[1], None),
    "partial keyword": (
        lambda c: functools.partial(print, x=c),
        lambda p: p.keywords["x"],
        lambda p, c: p.keywords.__setitem__("x", c),
    ),
    "float": attribute(lambda: Number(2.0)),
    "subclass of deque": attribute(lambda: Queue([1])),
    "user string": attribute(lambda: collections.UserString("a")),
    "class": attribute(new_class),
    "module": attribute(lambda: types.ModuleType("users_module")),
    "instance of a class that has it": (
        lambda c: type("Holder", (), {"__module__": __name__, "x": c})(),
        lambda o: o.x,
        lambda o, c: setattr(type(o), "x", c),
    ),
}


def use(x, value):
    """Something else for every kind of value."""
    if value is None:
        return x
    if isinstance(value, bool):
        return -x if value else x * 2
    if isinstance(value, str):
        return x + len(value)
    return x * value


def look(root, path):
    for kind in path:
        root = BOXES[kind][1](root)
    return root


found_globally = None


def in_a_cell(read):
    root = None

    def f(x):
        return use(x, read(root))

    def put(new):
        nonlocal root
        root = new

    return f, put


def in_a_global(read):
    def put(new):
        global found_globally
        found_globally = new

    return lambda x: use(x, read(found_globally)), put


def reached_by_name(read):
    f, put = in_a_cell(read)
    g = lambda x: f(x)  # noqa: E731
    return lambda x: g(x), put


def in_a_default(read):
    def f(x, root=None):
        return use(x, read(root))

    return f, lambda new: setattr(f, "__defaults__", (new,))


def in_a_keyword_default(read):
    def f(x, *, root=None):
        return use(x, read(root))

    return f, lambda new: setattr(f, "__kwdefaults__", {"root": new})


def in_a_callable(read):
    class Callable:
        def __call__(self, x):
            return use(x, read(self.root))

    f = Callable()
    return f, lambda new: setattr(f, "root", new)


def in_an_argument(read):
    class Model:
        @mx.compile
        def apply(self, x):
            return use(x, read(self.root))

        def plain(self, x):
            return use(x, read(self.root))

    model = Model()
    f = lambda x: model.plain(x)  # noqa: E731
    f.compiled = model.apply
    return f, lambda new: setattr(model, "root", new)


def in_a_methods_self(read):
    class Model:
        def apply(self, x):
            return self.inner(x)

        def inner(self, x):
            return use(x, read(self.root))

    model = Model()
    return model.apply, lambda new: setattr(model, "root", new)


def in_a_partial(read):
    holder = [None]

    def f(holder, x):
        return use(x, read(holder[0]))

    return functools.partial(f, holder), lambda new: holder.__setitem__(0, new)


def in_a_partial_keyword(read):
    holder = {"root": None}

    def f(x, holder):
        return use(x, read(holder["root"]))

    return functools.partial(f, holder=holder), lambda new: holder.__setitem__("root", new)


def on_a_function(read):
    def f(x):
        return use(x, read(f.root))

    return f, lambda new: setattr(f, "root", new)


def in_another_transform(read):
    f, put = in_a_callable(read)
    return mx.vmap(f), put


def in_a_compiled_one(read):
    f, put = in_a_callable(read)
    g = mx.compile(f)
    return lambda x: g(x), put


def in_a_custom_function(read):
    f, put = in_a_cell(read)
    g = mx.custom_function(f)
    return lambda x: g(x), put


ROOTS = [in_a_cell, in_a_global, reached_by_name, in_a_default, in_a_keyword_default, in_a_callable, in_an_argument, in_a_methods_self,
         in_a_partial, in_a_partial_keyword, on_a_function, in_another_transform, in_a_compiled_one, in_a_custom_function]
LEAVES = [lambda r: mx.array(float(r.randint(1, 9))), lambda r: r.choice([0.5, 1.5, 2.5]), lambda r: r.randint(2, 9),
          lambda r: r.choice(["", "ab", "abc"]), lambda r: None, lambda r: r.random() < 0.5]


def boxed(leaf, path):
    for kind in reversed(path):
        leaf = BOXES[kind][0](leaf)
    return leaf


def change(r, put, root, path):
    """Another leaf, put at a random depth: the box there is changed, and what is below it is new."""
    depths = [d for d in range(len(path)) if BOXES[path[d]][2]]
    leaf = r.choice(LEAVES)(r)
    depth = r.choice([-1, *depths])
    if depth < 0:
        root = boxed(leaf, path)
        put(root)
    else:
        box = look(root, path[:depth])
        BOXES[path[depth]][2](box, boxed(leaf, path[depth + 1 :]))
    return root


@pytest.mark.filterwarnings("ignore:.compile.")
@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("shapeless", [False, True], ids=["", "shapeless"])
def test_every_change_around_a_function_is_seen(root, shapeless):
    for seed in range(25):
        r = random.Random(seed)
        path = [r.choice(list(BOXES)) for _ in range(r.choice([0, 1, 1, 2, 3, 5, 9]))]
        f, put = root(lambda o, path=path: look(o, path))
        there = boxed(r.choice(LEAVES)(r), path)
        put(there)
        compiled = getattr(f, "compiled", None) or mx.compile(f, shapeless=shapeless)
        x = mx.array([1.0, 2.0, 3.0])
        for step in range(6):
            assert compiled(x).tolist() == f(x).tolist(), (seed, path, step)
            assert compiled(x).tolist() == f(x).tolist(), (seed, path, step)
            there = change(r, put, there, path)


# --- named cases ---


def test_objects_among_the_arguments():
    class Model:
        def __init__(self):
            self.w, self.layers, self.training, self.rate = mx.array(1.0), [{"w": mx.array(2.0)}], True, 0.5

    def forward(model, x, activation=None):
        y = x * model.w * model.layers[0]["w"] if model.training else x * model.rate
        return activation(y) if activation else y

    bias = mx.array(1.0)
    model, f = Model(), mx.compile(forward)
    add = lambda y: y + bias  # noqa: E731

    def check():
        for activation in (None, add, mx.sin):
            assert f(model, mx.array(3.0), activation).item() == forward(model, mx.array(3.0), activation).item()

    check()
    model.training = False
    check()
    for rate in (0.25, 0.75, 1.5):
        model.rate = rate
        check()
    model.training, model.w = True, mx.array(5.0)
    check()
    model.layers = [{"w": mx.array(7.0)}]
    check()
    bias = mx.array(9.0)
    check()
    model = Model()
    check()


def test_containers_that_grow():
    weights, names = [mx.array(1.0)], {"a": mx.array(1.0)}
    f = mx.compile(lambda x: sum((x * w for w in [*weights, *names.values()]), mx.array(0.0)))
    assert f(mx.array(1.0)).item() == 2
    weights.append(mx.array(5.0))
    assert f(mx.array(1.0)).item() == 7
    names["b"] = mx.array(10.0)
    assert f(mx.array(1.0)).item() == 17
    del names["a"]
    weights.pop(0)
    assert f(mx.array(1.0)).item() == 15


def test_an_array_or_float_that_changed_once_is_read_at_each_call():
    params, options = {"w": mx.array(1.0)}, {"rate": 0.5}
    f = mx.compile(lambda x: x * params["w"] + options["rate"] * 2)
    for i in range(20):
        params = {"w": mx.array(float(i))}
        options["rate"] = i / 7
        assert f(mx.array(3.0)).item() == (mx.array(3.0 * i) + i / 7 * 2).item()
    assert traces(f) == 2
    assert mx.compile_stats(f)["cached"] == 1
    assert options["rate"] == 19 / 7 and type(options["rate"]) is float


def test_such_arrays_are_not_kept_and_can_be_differentiated_and_changed():
    params = {"w": mx.array(1.0), "b": mx.array(0.0)}

    def f(x):
        params["b"] += x
        return x * params["w"] * params["w"]

    compiled, gradient = mx.compile(f), mx.compile(mx.grad(f))
    for i in range(1, 5):
        params = {"w": mx.array(float(i)), "b": mx.array(float(i))}
        assert compiled(mx.array(2.0)).item() == 2 * i * i
        assert params["b"].item() == i + 2
        assert gradient(mx.array(2.0)).item() == i * i
        assert params["b"].item() == i + 4
    assert traces(compiled) == 2
    params["b"] = params["w"]  # one array under two names, which changes when it is read
    assert compiled(mx.array(2.0)).item() == 2 * 6 * 6


def test_one_array_in_two_places_may_become_two():
    a = [mx.array(1.0)]
    b = [a[0]]

    def f(x):
        a[0] += x
        return b[0] * 1

    for g in (f, mx.compile(f)):
        a[:] = [mx.array(1.0)]
        b[:] = a
        seen = [g(mx.array(1.0)).item(), g(mx.array(1.0)).item()]
        b[:] = [mx.array(7.0)]
        assert [*seen, g(mx.array(1.0)).item(), a[0].item()] == [2, 3, 7, 4]


def test_state_that_changes_at_each_call_gives_a_warning_that_names_it():
    state = {"count": 0}

    def f(x):
        state["count"] += 1
        return x * state["count"]

    compiled = mx.compile(f)
    with pytest.warns(RuntimeWarning, match=r"recorded 3 times because state\['count'\].*inputs"):
        assert [compiled(mx.array(1.0)).item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]


calls_counted = 0


def test_what_a_function_only_leaves_behind_does_not_count():
    log, seen, count = [], {}, 0

    class Model:
        def __init__(self):
            self.calls = 0

        def __call__(self, x):
            nonlocal count
            global calls_counted
            self.calls += 1
            log.append(x.shape) or log.append(log.insert(0, None))
            seen["last"] = "here"
            count = count + 1
            calls_counted += 1
            return x * 2

    model = Model()
    for f in (mx.compile(model), mx.compile(lambda x: model(x))):
        for _ in range(4):
            assert f(mx.array(1.0)).item() == 2
        assert traces(f) == 1
    assert model.calls == count == calls_counted == len(log) // 3 == 2


def test_methods_classes_and_functions_that_are_replaced():
    class Model:
        def scale(self, x):
            return x * 2

        def __call__(self, x):
            return self.scale(x)

    model = Model()
    activation = mx.sin
    f = mx.compile(lambda x: activation(model(x)))
    assert f(mx.array(1.0)).item() == mx.sin(mx.array(2.0)).item()
    Model.scale = lambda self, x: x * 3
    assert f(mx.array(1.0)).item() == mx.sin(mx.array(3.0)).item()
    activation = mx.cos
    assert f(mx.array(1.0)).item() == mx.cos(mx.array(3.0)).item()
    activation = lambda x: x + 1  # noqa: E731
    assert f(mx.array(1.0)).item() == 4


scale_by_name = mx.array(1.0)


def test_names_in_strings_wrappers_and_methods_of_containers():
    global scale_by_name
    module = types.ModuleType("users_module")
    module.w = mx.array(1.0)
    weights = {"w": mx.array(1.0)}
    get = weights.get

    @functools.lru_cache
    def power(n):
        return mx.array(float(n))

    @functools.wraps(power)
    def wrapped(n):
        return power(n) * weights["w"]

    f = mx.compile(lambda x: x * getattr(module, "w") * globals()["scale_by_name"] * get("w") * wrapped(2))
    assert f(mx.array(1.0)).item() == 2
    module.w = mx.array(3.0)
    assert f(mx.array(1.0)).item() == 6
    scale_by_name = mx.array(5.0)
    assert f(mx.array(1.0)).item() == 30
    weights["w"] = mx.array(2.0)
    assert f(mx.array(1.0)).item() == 120


def test_sets_of_plain_values():
    frozen = {"a"}
    f = mx.compile(lambda x: x if "a" in frozen else -x)
    assert f(mx.array(1.0)).item() == 1
    frozen.discard("a")
    assert f(mx.array(1.0)).item() == -1
    frozen = {"a", "b"}
    assert f(mx.array(1.0)).item() == 1


def test_no_container_is_kept_alive():
    class Holder:
        def __init__(self, value):
            self.items = [mx.array(value), {"w": mx.array(value)}]

    holder = Holder(1.0)
    f = mx.compile(lambda x: x * holder.items[1]["w"])
    assert f(mx.array(1.0)).item() == 1
    gone = weakref.ref(holder)
    holder = Holder(2.0)
    gc.collect()
    assert gone() is None
    assert f(mx.array(1.0)).item() == 2


def test_no_code_of_the_users_runs_to_look_around():
    class Touchy:
        def __init__(self):
            self.w = mx.array(2.0)
            self.touched = False

        def __getattribute__(self, name):
            if name not in ("w", "__dict__", "__class__"):
                raise AssertionError(name)
            return object.__getattribute__(self, name)

        def __eq__(self, other):
            raise AssertionError("compared")

        __hash__ = None

    touchy = Touchy()
    f = mx.compile(lambda x: x * touchy.w)
    assert f(mx.array(1.0)).item() == f(mx.array(1.0)).item() == 2
    touchy.w = mx.array(3.0)
    assert f(mx.array(1.0)).item() == 3


@pytest.mark.parametrize("count", [12000, 60000])
@pytest.mark.parametrize("kind", [list, lambda items: dict(enumerate(items)), tuple], ids=["list", "dict", "tuple"])
def test_more_places_than_are_guarded_give_a_warning(count, kind):
    first = [mx.array(0.0), 0]
    many = kind([first, *([[i], i] for i in range(count))])
    f = mx.compile(lambda x: x * many[0][0])
    with pytest.warns(RuntimeWarning, match="more than 10000 places.*argument"):
        assert f(mx.array(2.0)).item() == 0
    if count < 40000:
        first[0] = mx.array(5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f(mx.array(2.0)).item() == 2 * first[0].item()


def test_long_chains_of_functions():
    w = mx.array(2.0)
    f = lambda x: x * w  # noqa: E731
    for _ in range(300):
        f = (lambda g: lambda x: g(x))(f)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        compiled = mx.compile(f)
        assert compiled(mx.array(1.0)).item() == 2
        w = mx.array(3.0)
        assert compiled(mx.array(1.0)).item() == 3
    finally:
        sys.setrecursionlimit(limit)
