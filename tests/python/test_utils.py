"""mlx.utils: functions on trees, with MLX's results."""

import collections

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten, tree_map, tree_map_with_path, tree_merge, tree_reduce, tree_unflatten

Point = collections.namedtuple("Point", "x y")


class Box:
    def __init__(self, inside, label):
        self.inside, self.label = inside, label


mx.register_tree_node(Box, lambda b: ((b.inside,), b.label), lambda label, inside: Box(inside[0], label))

TREE = {"a": [1, (2, 3)], "b": {"c": 4, "d": []}, "e": Point(5, None)}


def test_map():
    assert tree_map(lambda x: (x,), TREE) == {
        "a": [(1,), ((2,), (3,))], "b": {"c": (4,), "d": []}, "e": Point((5,), (None,))}
    assert type(tree_map(lambda x: x, TREE)["e"]) is Point
    assert tree_map(lambda x: x + 1, 1) == 2


def test_map_takes_the_places_of_the_first_tree():
    assert tree_map(lambda x, y: x + y, {"a": [1, 2]}, {"a": [10, 20, 30], "b": 1}) == {"a": [11, 22]}
    assert tree_map(lambda x, y, z: x * y * z, [1, 2], (3, 4), [5, 6]) == [15, 48]
    with pytest.raises(KeyError):
        tree_map(lambda x, y: x, {"a": 1}, {})


def test_map_subclasses():
    assert type(tree_map(lambda x: x, collections.OrderedDict(a=1))) is dict
    assert type(tree_map(lambda x: x, type("L", (list,), {})([1]))).__name__ == "L"


def test_is_leaf():
    pairs = {"a": (1, 2), "b": [(3, 4)]}
    is_pair = lambda t: isinstance(t, tuple)
    assert tree_map(sum, pairs, is_leaf=is_pair) == {"a": 3, "b": [7]}
    assert tree_flatten(pairs, is_leaf=is_pair) == [("a", (1, 2)), ("b.0", (3, 4))]
    assert tree_reduce(lambda n, t: n + t[0], pairs, 0, is_leaf=is_pair) == 4
    assert tree_map_with_path(lambda p, t: p, pairs, is_leaf=is_pair) == {"a": "a", "b": ["b.0"]}


def test_map_with_path():
    assert tree_map_with_path(lambda p, x: p, {"m": [{"w": 0, "b": 1}]}) == {"m": [{"w": "m.0.w", "b": "m.0.b"}]}
    assert tree_map_with_path(lambda p, x, y: (p, x + y), [1], [2], path="top") == [("top.0", 3)]
    assert tree_map_with_path(lambda p, x: p, 3) is None


def test_flatten():
    assert tree_flatten(TREE) == [("a.0", 1), ("a.1.0", 2), ("a.1.1", 3), ("b.c", 4), ("e.0", 5), ("e.1", None)]
    assert tree_flatten([[[0]]]) == [("0.0.0", 0)]
    assert tree_flatten([[[0]]], prefix=".hello") == [("hello.0.0.0", 0)]
    assert tree_flatten(3) == [("", 3)]
    assert tree_flatten([]) == []


def test_flatten_into_a_destination():
    assert tree_flatten({"a": {"b": 1}}, destination={}) == {"a.b": 1}
    found = [("x", 0)]
    assert tree_flatten([1], destination=found) is found and found == [("x", 0), ("0", 1)]
    with pytest.raises(ValueError, match="destination is a set"):
        tree_flatten([1], destination=set())


def test_unflatten():
    assert tree_unflatten([("hello.world", 42)]) == {"hello": {"world": 42}}
    assert tree_unflatten({"hello.world": 42}) == {"hello": {"world": 42}}
    assert tree_unflatten([("", 3)]) == 3
    assert tree_unflatten([("0", 1), ("2", 3)]) == [1, {}, 3]
    assert tree_unflatten([("1", "b"), ("0", "a")]) == ["a", "b"]
    assert tree_unflatten([("1", 1), ("01", 2)]) == {"1": 1, "01": 2}
    assert tree_unflatten([("a.0.b", 1), ("a.1.b", 2), ("c", 3)]) == {"a": [{"b": 1}, {"b": 2}], "c": 3}


def test_unflatten_undoes_flatten():
    tree = {"layers": [{"w": 1, "b": 2}, {"w": 3, "b": 4}], "head": {"w": 5}}
    assert tree_unflatten(tree_flatten(tree)) == tree
    assert tree_unflatten(tree_flatten(tree, destination={})) == tree


def test_reduce():
    assert tree_reduce(lambda acc, x: acc + x, {"a": [1, 2, 3], "b": [4, 5]}, 0) == 15
    assert tree_reduce(lambda acc, x: acc + x, {"a": [1, 2, 3], "b": (4, {"c": 5})}) == 15
    assert tree_reduce(lambda acc, x: acc + [x], [3, (1, 2)], []) == [3, 1, 2]
    assert tree_reduce(lambda acc, x: 1 / 0, [], 7) == 7
    assert tree_reduce(lambda acc, x: 1 / 0, [[], {}]) is None


def test_merge():
    assert tree_merge({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}, "e": 4}) == {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    assert tree_merge([1, None], [None, 2, 3]) == [1, 2, 3]
    assert tree_merge({"a": {}}, {"a": 1}) == {"a": 1}
    assert tree_merge({"a": []}, {"a": []}) == {"a": []}
    assert tree_merge({"a": 1}, {"a": 2}, lambda a, b: a + b) == {"a": 3}
    assert tree_merge(Point(1, None), Point(None, 2)) == Point(1, 2)
    assert tree_merge(None, 3) == 3
    with pytest.raises(ValueError, match="merge_fn"):
        tree_merge({"a": 1}, {"a": 2})
    with pytest.raises(ValueError, match="empty"):
        tree_merge([], {})


def test_registered_classes_are_containers():
    box = Box([1, 2], "fragile")
    mapped = tree_map(lambda x: x * 10, {"box": box})["box"]
    assert type(mapped) is Box and mapped.inside == [10, 20] and mapped.label == "fragile"
    assert tree_flatten(box) == [("0.0", 1), ("0.1", 2)]
    assert tree_map(lambda x, y: x + y, box, Box([5, 6], "")).inside == [6, 8]
    assert tree_reduce(lambda acc, x: acc + x, box) == 3


def test_other_classes_are_leaves():
    leaf = object()
    assert tree_map(lambda x: x is leaf, [leaf]) == [True]


def test_trees_of_arrays():
    params = {"w": mx.ones((2,)), "b": mx.array(3.0)}
    doubled = tree_map(lambda x: 2 * x, params)
    assert doubled["w"].tolist() == [2, 2] and doubled["b"].item() == 6
    assert tree_reduce(lambda n, x: n + x.size, params, 0) == 3
