"""Functions on trees: nestings of lists, tuples and dictionaries around leaves.

A leaf is anything that is not a list, tuple or dictionary (or a subclass), nor an instance of a class registered with
``mlx.core.register_tree_node``. The path of a leaf names the way to it: ``layers.0.weight``.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias, overload

from mlx.core import _tree_node

__all__ = ["tree_flatten", "tree_map", "tree_map_with_path", "tree_merge", "tree_reduce", "tree_unflatten"]

_IsLeaf: TypeAlias = Callable[[Any], bool] | None
_Leaves: TypeAlias = list[tuple[str, Any]] | dict[str, Any]

# Python's limit of recursion may be set as high as one likes; the C stack below it may not.
_DEEPEST = 4000
# Of a list in flattened form; "999999999999" is more likely a name than a place.
_MOST_MISSING = 10**6


def _below(depth: int) -> int:
    """The depth inside a container; RecursionError where a tree is too deep, as one that contains itself is."""
    if depth >= _DEEPEST:
        raise RecursionError(f"the tree is nested more than {_DEEPEST} deep")
    return depth + 1


def _sequence_of(kind: Any) -> Callable[[Iterable[Any]], Any]:
    """What makes a list, a tuple, or an instance of a subclass of these."""
    return kind._make if hasattr(kind, "_fields") else kind  # type: ignore[no-any-return]


def _take_apart(tree: Any) -> tuple[Sequence[Any], Iterable[Any], Callable[[list[Any]], Any]] | None:
    """The keys and children of a container and a function that makes one of new children; None for a leaf."""
    if isinstance(tree, (list, tuple)):
        return range(len(tree)), tree, _sequence_of(type(tree))
    if isinstance(tree, dict):
        keys = list(tree)
        return keys, tree.values(), lambda children: dict(zip(keys, children))
    registered = _tree_node(type(tree))
    if registered is not None:
        flatten, unflatten = registered
        children, auxiliary = flatten(tree)
        return range(len(children)), children, lambda new: unflatten(auxiliary, tuple(new))
    return None


def _child(tree: Any, key: Any) -> Any:
    """The part of another tree that goes with a child."""
    registered = _tree_node(type(tree))
    return tree[key] if registered is None else registered[0](tree)[0][key]


def tree_map(fn: Callable[..., Any], tree: Any, *rest: Any, is_leaf: _IsLeaf = None) -> Any:
    """A tree of what ``fn`` returns for the leaves of ``tree``.

    Args:
        fn (callable): Takes a leaf, and the leaves of ``rest`` at its place.
        tree (Any): The tree that is walked.
        *rest (Any): Trees that have at least the places of ``tree``.
        is_leaf (callable, optional): Says of a part of ``tree`` whether to take it as a leaf.

    Returns:
        Any: A tree like ``tree``; dictionaries of any class become plain ones.

    Example:
        >>> tree_map(lambda x: x + 1, {"a": 1, "b": (2, 3)})
        {'a': 2, 'b': (3, 4)}
    """

    def walk(part: Any, others: list[Any], depth: int) -> Any:
        parts = None if is_leaf is not None and is_leaf(part) else _take_apart(part)
        if parts is None:
            return fn(part, *others)
        keys, children, make = parts
        depth = _below(depth)
        return make([walk(child, [_child(r, key) for r in others], depth) for key, child in zip(keys, children)])

    return walk(tree, list(rest), 0)


def tree_map_with_path(
    fn: Callable[..., Any], tree: Any, *rest: Any, is_leaf: _IsLeaf = None, path: Any = None
) -> Any:
    """As :func:`tree_map`, with the path of the leaf as the first argument of ``fn``.

    Args:
        fn (callable): Takes a path, a leaf, and the leaves of ``rest`` at its place.
        tree (Any): The tree that is walked.
        *rest (Any): Trees that have at least the places of ``tree``.
        is_leaf (callable, optional): Says of a part of ``tree`` whether to take it as a leaf.
        path (Any, optional): What paths start with.

    Returns:
        Any: A tree like ``tree``.

    Example:
        >>> tree_map_with_path(lambda path, x: path, {"model": [{"w": 0}, {"w": 0}]})
        {'model': [{'w': 'model.0.w'}, {'w': 'model.1.w'}]}
    """

    def walk(part: Any, others: list[Any], path: Any, depth: int) -> Any:
        parts = None if is_leaf is not None and is_leaf(part) else _take_apart(part)
        if parts is None:
            return fn(path, part, *others)
        keys, children, make = parts
        depth = _below(depth)
        prefix = f"{path}." if path else ""
        return make(
            [
                walk(child, [_child(r, key) for r in others], f"{prefix}{key}", depth)
                for key, child in zip(keys, children)
            ]
        )

    return walk(tree, list(rest), path, 0)


@overload
def tree_flatten(
    tree: Any, prefix: str = "", is_leaf: _IsLeaf = None, destination: list[tuple[str, Any]] | None = None
) -> list[tuple[str, Any]]: ...


@overload
def tree_flatten(
    tree: Any, prefix: str = "", is_leaf: _IsLeaf = None, *, destination: dict[str, Any]
) -> dict[str, Any]: ...


def tree_flatten(
    tree: Any, prefix: str = "", is_leaf: _IsLeaf = None, destination: _Leaves | None = None
) -> _Leaves:
    """The leaves of a tree, with their paths.

    Args:
        tree (Any): The tree.
        prefix (str): What paths start with; its first character is dropped.
        is_leaf (callable, optional): Says of a part of ``tree`` whether to take it as a leaf.
        destination (list or dict, optional): What the leaves are added to. Default: a new list.

    Returns:
        list of (str, Any), or dict from str: The destination. Paths are unambiguous when the keys of dictionaries
        contain no dots.

    Raises:
        ValueError: If the destination is neither a list nor a dictionary.

    Example:
        >>> tree_flatten({"a": [1, 2]})
        [('a.0', 1), ('a.1', 2)]
        >>> tree_flatten({"a": {"b": 1}}, destination={})
        {'a.b': 1}
    """
    if destination is None:
        destination = []
    add: Callable[[tuple[str, Any]], None]
    if isinstance(destination, list):
        add = destination.append
    elif isinstance(destination, dict):
        add = lambda item: destination.update((item,))
    else:
        raise ValueError(
            f"[tree_flatten] destination is a {type(destination).__name__}; it should be a list, a dict or None."
        )

    def walk(part: Any, path: str, depth: int) -> None:
        parts = None if is_leaf is not None and is_leaf(part) else _take_apart(part)
        if parts is None:
            add((path[1:], part))
            return
        depth = _below(depth)
        for key, child in zip(parts[0], parts[1]):
            walk(child, f"{path}.{key}", depth)

    walk(tree, prefix, 0)
    return destination


def tree_unflatten(tree: _Leaves) -> Any:
    """The tree of lists and dictionaries that :func:`tree_flatten` would take apart into these leaves.

    Args:
        tree (list of (str, Any), or dict from str): Leaves with their paths.

    Returns:
        Any: Where all keys at one place are integers a list (with an empty dictionary at each missing index), elsewhere
        a dictionary.

    Example:
        >>> tree_unflatten([("a.0", 1), ("a.1", 2)])
        {'a': [1, 2]}
    """
    return _unflatten(tree, 0)


def _unflatten(tree: _Leaves, depth: int) -> Any:
    items = tree.items() if isinstance(tree, dict) else tree
    depth = _below(depth)
    if len(items) == 1:
        path, leaf = next(iter(items))
        if path == "":
            return leaf

    children: dict[str, list[tuple[str, Any]]] = {}
    for path, leaf in items:
        key, _, remainder = path.partition(".")
        children.setdefault(key, []).append((remainder, leaf))

    try:
        numbers = {int(key): key for key in children}
    except ValueError:
        numbers = {}
    if len(numbers) != len(children):  # names, or "01" beside "1"
        return {key: _unflatten(part, depth) for key, part in children.items()}
    if max(numbers) > _MOST_MISSING + len(numbers):
        raise ValueError(
            f"[tree_unflatten] there is an item {max(numbers)} of a list of which {len(numbers)} items are given; "
            "write names that are no numbers, or the missing items."
        )
    result: list[Any] = []
    for index, key in sorted(numbers.items()):
        result.extend({} for _ in range(index - len(result)))
        result.append(_unflatten(children[key], depth))
    return result


def tree_reduce(
    fn: Callable[[Any, Any], Any], tree: Any, initializer: Any = None, is_leaf: _IsLeaf = None
) -> Any:
    """The leaves of a tree combined into one value, from left to right.

    Args:
        fn (callable): Takes the value so far and a leaf; returns the next value.
        tree (Any): The tree.
        initializer (Any, optional): The first value. Default: the first leaf.
        is_leaf (callable, optional): Says of a part of ``tree`` whether to take it as a leaf.

    Returns:
        Any: The last value; the initializer when there are no leaves.

    Example:
        >>> tree_reduce(lambda total, x: total + x, {"a": [1, 2, 3], "b": [4, 5]}, 0)
        15
    """

    def walk(part: Any, value: Any, depth: int) -> Any:
        parts = None if is_leaf is not None and is_leaf(part) else _take_apart(part)
        if parts is None:
            return part if value is None else fn(value, part)
        depth = _below(depth)
        for child in parts[1]:
            value = walk(child, value, depth)
        return value

    return walk(tree, initializer, 0)


def tree_merge(tree_a: Any, tree_b: Any, merge_fn: Callable[[Any, Any], Any] | None = None) -> Any:
    """One tree with what is in either of two, like a deep ``dict.update``.

    ``None`` and empty containers count as missing.

    Args:
        tree_a (Any): A tree.
        tree_b (Any): Another.
        merge_fn (callable, optional): Takes the leaves of both where both have one; returns the leaf to keep.

    Returns:
        Any: The merged tree. Keys of dictionaries come in the order of ``tree_a``, then of ``tree_b``.

    Raises:
        ValueError: If both have a leaf at one place and there is no ``merge_fn``, or both are empty but of different
            types.

    Example:
        >>> tree_merge({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}})
        {'a': 1, 'b': {'c': 2, 'd': 3}}
    """

    return _merge(tree_a, tree_b, merge_fn, 0)


def _merge(tree_a: Any, tree_b: Any, merge_fn: Callable[[Any, Any], Any] | None, depth: int) -> Any:
    depth = _below(depth)

    def is_empty(tree: Any) -> bool:
        return isinstance(tree, (dict, list, tuple)) and len(tree) == 0

    if is_empty(tree_a) and is_empty(tree_b):
        if type(tree_a) is not type(tree_b):
            raise ValueError(
                f"[tree_merge] tree_a is an empty {type(tree_a).__name__} but tree_b an empty {type(tree_b).__name__}."
            )
        return type(tree_a)()
    if is_empty(tree_a):
        tree_a = None
    if is_empty(tree_b):
        tree_b = None
    if tree_a is None and tree_b is not None:
        return tree_b
    if tree_a is not None and tree_b is None:
        return tree_a

    if isinstance(tree_a, (list, tuple)) and isinstance(tree_b, (list, tuple)):
        return _sequence_of(type(tree_a))([_merge(a, b, merge_fn, depth) for a, b in zip_longest(tree_a, tree_b)])
    if isinstance(tree_a, dict) and isinstance(tree_b, dict):
        return {
            key: _merge(tree_a.get(key), tree_b.get(key), merge_fn, depth) for key in {**tree_a, **tree_b}
        }
    if merge_fn is None:
        raise ValueError(
            f"[tree_merge] both trees have a leaf at one place, {tree_a!r} and {tree_b!r}; "
            "give a merge_fn to say which to keep."
        )
    return merge_fn(tree_a, tree_b)
