"""Trees: nested containers come out of the transforms with their types, and errors name the leaf that is to blame."""

import collections
import dataclasses
import enum
import gc
import typing
import weakref

import mlx.core as mx
import pytest


class Point(typing.NamedTuple):
    x: typing.Any
    y: typing.Any


@dataclasses.dataclass
class Layer:
    weight: typing.Any
    bias: typing.Any = None
    name: dataclasses.InitVar[str] = "unnamed"

    def __post_init__(self, name):
        self.calls = 1  # not a field: carried along by the copy


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: typing.Any


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: typing.Any
    b: typing.Any


class Stack(list):
    pass


class Pair(tuple):
    pass


class Interval:
    """Registered below; `unit` is auxiliary data."""

    def __init__(self, low, high, unit):
        self.low, self.high, self.unit = low, high, unit


mx.register_tree_node(
    Interval, lambda i: ((i.low, i.high), i.unit), lambda unit, ends: Interval(ends[0], ends[1], unit)
)


class Color(enum.Enum):
    RED = 1


def gradient(tree, leaves):
    """The gradient of sum_k (k + 1) * leaves(tree)[k] with respect to tree; leaf k's is k + 1."""
    return mx.grad(lambda t: sum((k + 1) * leaf for k, leaf in enumerate(leaves(t))))(tree)


def a(value=1.0):
    return mx.array(value)


def test_list_tuple_dict_keep_their_types_and_order():
    grads = gradient({"b": [a(), (a(), a())], "a": a()}, lambda t: [t["b"][0], t["b"][1][0], t["b"][1][1], t["a"]])
    assert list(grads) == ["b", "a"]
    assert type(grads["b"]) is list and type(grads["b"][1]) is tuple
    assert [g.item() for g in (grads["b"][0], *grads["b"][1], grads["a"])] == [1, 2, 3, 4]


def test_dict_keys_may_be_anything_hashable():
    keys = [0, "0", ("x", 1), 2.5, None, Color.RED, frozenset({1})]
    grads = gradient({k: a() for k in keys}, lambda t: [t[k] for k in keys])
    assert list(grads) == keys
    assert [grads[k].item() for k in keys] == list(range(1, len(keys) + 1))


def test_named_tuple():
    grads = gradient(Point(a(), [a()]), lambda t: [t.x, t.y[0]])
    assert type(grads) is Point and grads.x.item() == 1 and grads.y[0].item() == 2


def test_dataclass():
    layer = Layer(a(), a())
    layer.calls = 7
    seen = []

    def loss(layer):
        seen.append((type(layer), layer.calls))
        return layer.weight + 2 * layer.bias

    grads = mx.grad(loss)(layer)
    assert seen == [(Layer, 7)], "a copy, so that what is no field is there; __post_init__ does not run again"
    assert type(grads) is Layer and grads.weight.item() == 1 and grads.bias.item() == 2


@pytest.mark.parametrize("make, leaves", [
    (lambda: Frozen(a()), lambda t: [t.value]),
    (lambda: Slotted(a(), a()), lambda t: [t.a, t.b]),
    (lambda: Stack([a(), a()]), list),
    (lambda: Pair([a(), a()]), list),
    (lambda: collections.OrderedDict(b=a(), a=a()), lambda t: list(t.values())),
    (lambda: collections.defaultdict(list, b=a()), lambda t: list(t.values())),
    (lambda: Interval(a(), a(), "m"), lambda t: [t.low, t.high]),
], ids=["frozen", "slotted", "list subclass", "tuple subclass", "OrderedDict", "defaultdict", "registered"])
def test_other_containers_keep_their_types(make, leaves):
    tree = make()
    grads = gradient(tree, leaves)
    assert type(grads) is type(tree)
    assert [g.item() for g in leaves(grads)] == list(range(1, len(leaves(tree)) + 1))
    outputs = mx.vmap(lambda x: gradient(make(), leaves), out_axes=None)(mx.ones(2))
    assert type(outputs) is type(tree)


def test_what_subclasses_hold_beside_their_items():
    grads = gradient(collections.defaultdict(lambda: 3, w=a()), lambda t: [t["w"]])
    assert grads["missing"] == 3
    assert gradient(Interval(a(), a(), "m"), lambda t: [t.low, t.high]).unit == "m"


def test_none_and_empty_containers_have_no_leaves():
    tree = {"w": a(), "bias": None, "rest": [], "more": ((), {})}
    grads = gradient(tree, lambda t: [t["w"]])
    assert grads["bias"] is None and grads["rest"] == [] and grads["more"] == ((), {})


def test_numbers_count_as_float32():
    grads = mx.grad(lambda t: t["w"] * t["scale"] + t["shift"] * 2)({"w": a(3.0), "scale": 2.0, "shift": 1})
    assert {k: (v.item(), v.dtype) for k, v in grads.items()} == {
        "w": (2, mx.float32), "scale": (3, mx.float32), "shift": (2, mx.float32)}
    assert mx.grad(lambda x: (x * x.conj()).real if hasattr(x, "conj") else x)(1 + 1j).dtype == mx.complex64


def test_the_function_gets_the_containers_it_was_given():
    seen = []

    def f(t, *rest, **more):
        seen.append((type(t), type(t["p"]), type(rest[0]), type(more["k"])))
        return t["p"].x

    mx.grad(f)({"p": Point(a(), a())}, [a()], k=(a(),))
    assert seen == [(dict, Point, list, tuple)]


def test_changing_the_argument_inside_is_seen_outside():
    tree = {"w": a(2.0)}

    def f(t):
        t["new"] = 1
        t["w"] = t["w"] * 3
        return t["w"]

    grads = mx.grad(f)(tree)
    assert list(grads) == ["w"] and grads["w"].item() == 3
    assert list(tree) == ["w", "new"] and tree["w"].item() == 6


def test_changing_the_original_inside_does_not_confuse():
    tree = {"w": a(2.0)}

    def f(t):
        tree["new"] = a()
        return t["w"] ** 2

    assert mx.grad(f)(tree)["w"].item() == 4


@pytest.mark.parametrize("tree, path", [
    ({"layers": [1.0, 2.0, Layer(mx.array(1))]}, "params['layers'][2].weight"),
    ([Point(mx.array(1.0), mx.array(True))], "params[0].y"),
    ({3: (mx.array([1, 2]),)}, "params[3][0]"),
    (mx.array(1), "params"),
    (Frozen({"a": mx.array(1)}), "params.value['a']"),
    (Interval(mx.array(1.0), mx.array(2), "m"), "params[1]"),
])
def test_errors_name_the_leaf(tree, path):
    def f(params):
        return mx.array(0.0)

    with pytest.raises(TypeError) as error:
        mx.grad(f)(tree)
    assert f"[grad] {path} has dtype" in str(error.value)


def test_errors_name_the_argument():
    def f(x, y, *others, scale):
        return x

    one, bad = a(), mx.array(1)
    for call, name in [
        (lambda: mx.grad(f, argnums=1)(one, bad, scale=one), "y"),
        (lambda: mx.grad(f, argnums=3)(one, one, one, bad, scale=one), "args[1]"),
        (lambda: mx.grad(f, argnames="scale")(one, one, scale=[bad]), "scale[0]"),
        (lambda: mx.grad(mx.sin)(bad), "args[0]"),
    ]:
        with pytest.raises(TypeError, match=r"\[grad\] ") as error:
            call()
        assert f"] {name} has" in str(error.value)


@pytest.mark.parametrize("leaf, said", [("text", "str"), (True, "bool"), (object(), "object"), (b"x", "bytes")])
def test_other_leaves_stay_where_they_are(leaf, said):
    assert mx.grad(lambda t: t["w"])({"w": a(), "x": leaf})["x"] is leaf
    with pytest.raises(TypeError, match=rf"t is a {said}"):
        mx.grad(lambda t: a())(leaf)


def test_a_container_that_holds_itself():
    loop = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        mx.grad(lambda t: a())(loop)
    with pytest.raises(RecursionError):
        mx.eval(loop)
    assert mx.grad(mx.sin)(a(0.0)).item() == 1


def test_deep_trees():
    tree = a(2.0)
    for _ in range(100):
        tree = [tree]

    def f(t):
        for _ in range(100):
            t = t[0]
        return t * t

    grads = mx.grad(f)(tree)
    for _ in range(100):
        grads = grads[0]
    assert grads.item() == 4


def test_register_tree_node_checks():
    with pytest.raises(TypeError, match="should be a class"):
        mx.register_tree_node(3, len, len)

    class Odd:
        pass

    mx.register_tree_node(Odd, lambda o: 3, lambda aux, children: Odd())
    with pytest.raises(TypeError, match="flatten of Odd returned 3"):
        mx.eval(Odd())


def test_eval_finds_arrays_everywhere():
    leaves = [mx.ones((2,)) + k for k in range(6)]
    mx.eval(leaves[0], [leaves[1], {"a": (leaves[2],)}], Layer(leaves[3]), Interval(leaves[4], "text", None), None, 3, "x",
            Point(leaves[5], None))
    assert [x.tolist() for x in leaves] == [[1.0 + k] * 2 for k in range(6)]


def test_no_references_are_kept():
    class Marked(dict):
        pass

    tree = Marked(w=a())
    alive = weakref.ref(tree)
    mx.grad(lambda t: t["w"])(tree)
    del tree
    gc.collect()
    assert alive() is None


def test_a_function_that_refers_to_its_own_gradient_is_collected():
    class Owner:
        pass

    owner = Owner()
    alive = weakref.ref(owner)

    def f(x):
        owner.used = True  # noqa: F821 (deleted below)
        return x

    f.gradient = mx.grad(f)
    owner.f = f
    f.gradient(a())
    del f, owner
    gc.collect()
    assert alive() is None
