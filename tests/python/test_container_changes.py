"""What a function does to the containers it is given is seen by the caller, under a transform as in a plain call."""

import collections
import dataclasses

import mlx.core as mx
import pytest


@dataclasses.dataclass
class State:
    x: mx.array
    seen: list
    count: int = 0


class Registered:
    def __init__(self, x):
        self.x = x


mx.register_tree_node(Registered, lambda r: ((r.x,), None), lambda _, children: Registered(*children))


class Named(collections.namedtuple("Named", ["x", "log"])):
    pass


def x():
    return mx.array([1.0, 2.0])


def value(o):
    return o.tolist() if isinstance(o, mx.array) else o


def add_key(d):
    d["loss"] = (d["x"] ** 2).sum()
    d["text"] = "done"
    return d["loss"]


def append(items):
    items.append(items[0] * 3)
    items.insert(0, "first")
    return (items[1] ** 2).sum()


def replace(d):
    d["x"] = d["x"] * 2
    return d["x"].sum()


def in_place(d):
    d["x"] += 1
    return d["x"].sum()


def delete(d):
    y = d.pop("x")
    d["a"].clear()
    return (y * y).sum()


def swap(d):
    d["x"], d["y"] = d["y"], d["x"]
    return (d["x"] * 2 + d["y"]).sum()


def nested(d):
    d["deep"][0]["list"].append(d["x"].sum())
    d["deep"][1][0]["new"] = [d["x"], 1]
    return d["x"].sum()


def move(d):
    d["b"] = d.pop("a")
    d["b"].append(7)
    return d["x"].sum()


def attributes(s):
    s.seen.append(s.x.sum())
    s.count += 1
    s.extra = s.x * 5
    return (s.x**2).sum()


def registered(r):
    r.note = r.x + 1
    return r.x.sum()


def named(n):
    n.log.append(n.x[0] * 1)
    return n.x.sum()


def default_dict(d):
    d["losses"].append(d["x"][0].sum())
    return d["x"][0].sum()


def ordered(d):
    d.move_to_end("x")
    d["z"] = 1
    return d["x"].sum()


def reverse(items):
    items.reverse()
    return items[-1].sum()


CASES = [
    (add_key, lambda: {"x": x()}), (append, lambda: [x()]), (replace, lambda: {"x": x()}), (in_place, lambda: {"x": x()}),
    (delete, lambda: {"x": x(), "a": [x(), 1]}), (swap, lambda: {"x": x(), "y": x() * 3}),
    (nested, lambda: {"x": x(), "deep": [{"list": []}, ({},)]}), (move, lambda: {"x": x(), "a": [x()]}),
    (attributes, lambda: State(x(), [])), (registered, lambda: Registered(x())), (named, lambda: Named(x(), [])),
    (default_dict, lambda: collections.defaultdict(list, x=[x()])), (reverse, lambda: [x(), x() * 2]),
]  # fmt: skip


def shown(o):
    """A container as nested plain Python."""
    if isinstance(o, dict):
        return {k: shown(v) for k, v in o.items()}
    if isinstance(o, (list, tuple)):
        return [shown(v) for v in o]
    if hasattr(o, "__dict__") and not isinstance(o, mx.array):
        return {k: shown(v) for k, v in vars(o).items()}
    return value(o)


TRANSFORMS = {
    "grad": mx.grad, "value_and_grad": mx.value_and_grad, "checkpoint": mx.checkpoint, "jacrev": mx.jacrev,
    "grad of checkpoint": lambda f: mx.grad(mx.checkpoint(f)),
}  # fmt: skip


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("function, make", CASES, ids=lambda c: getattr(c, "__name__", ""))
def test_as_in_a_plain_call(function, make, transform):
    plain, transformed = make(), make()
    function(plain)
    before = transformed
    TRANSFORMS[transform](function)(transformed)
    assert transformed is before and shown(transformed) == shown(plain)


@pytest.mark.parametrize("function, make", CASES, ids=lambda c: getattr(c, "__name__", ""))
def test_vmap_stacks_what_lanes_leave_behind(function, make):
    """Each lane does to its own containers what a plain call does; the caller sees the lanes in front."""
    lanes = [make(), make()]
    for lane in lanes:
        function(lane)

    def stacked(a, b):
        if isinstance(a, dict):
            return {k: stacked(a[k], b[k]) for k in a}
        if isinstance(a, (list, tuple)):
            return [stacked(u, v) for u, v in zip(a, b)]
        if hasattr(a, "__dict__") and not isinstance(a, mx.array):
            return {k: stacked(v, vars(b)[k]) for k, v in vars(a).items()}
        return mx.stack([a, b]).tolist() if isinstance(a, mx.array) else a

    def batched(o):
        if isinstance(o, mx.array):
            return mx.stack([o, o])
        if isinstance(o, dict):
            made = type(o)(list) if isinstance(o, collections.defaultdict) else {}
            made.update({k: batched(v) for k, v in o.items()})
            return made
        if isinstance(o, Named):
            return Named(*map(batched, o))
        if isinstance(o, (list, tuple)):
            return type(o)(map(batched, o))
        if dataclasses.is_dataclass(o):
            return State(batched(o.x), o.seen, o.count)
        return Registered(batched(o.x)) if isinstance(o, Registered) else o

    batch = batched(make())
    mx.vmap(function)(batch)
    assert shown(batch) == stacked(*lanes)


def test_the_callers_arrays_stay():
    """An update in place changes the container's entry, as the container was given; a handle of the caller's is its own."""
    w = x()
    d = {"w": w}
    mx.grad(lambda d: in_place({"x": d["w"]}))(d)
    assert d["w"].tolist() == [2, 3] and w.tolist() == [1, 2]
    mx.grad(lambda d: d.update(w=d["w"] * 2) or d["w"].sum())(d)
    assert d["w"].tolist() == [4, 6] and w.tolist() == [1, 2]


def test_nothing_changes_without_a_change():
    a, inner = x(), [1.5]
    d = {"a": a, "inner": inner, "t": (inner, a)}
    mx.value_and_grad(lambda d: (d["a"] ** 2).sum())(d)
    assert d["a"] is a and d["inner"] is inner and d["t"][0] is inner and list(d) == ["a", "inner", "t"]


def test_other_arguments_and_names():
    log, extra = [], {}

    def loss(w, log, *, extra):
        log.append((w**2).sum())
        extra["w"] = w
        return log[-1]

    mx.grad(loss)(x(), log, extra=extra)
    assert log[0].item() == 5 and extra["w"].tolist() == [1, 2]
    mx.vmap(lambda w, log, *, extra: (log.append(w * 2), extra.update(k=w))[0] or w, in_axes=(0, None))(x(), log, extra=extra)
    assert log[1].tolist() == [2, 4] and extra["k"].tolist() == [1, 2]
    mx.grad(lambda p: p["x"].append(p["w"] * 2) or p["w"].sum(), argnums=0)(p := {"w": x(), "x": []})
    assert p["x"][0].tolist() == [2, 4]


def test_what_was_done_before_an_error_is_seen():
    d = {"x": x()}

    def f(d):
        d["step"] = 1
        raise KeyError("stop")

    with pytest.raises(KeyError):
        mx.grad(f)(d)
    assert d["step"] == 1


def test_nested_transforms():
    d = {"x": x()}

    def f(d):
        def inner(d):
            d["inner"] = d["x"].sum() * 3
            return d["inner"]

        g = mx.grad(inner)(d)
        d["outer"] = g["x"] * d["x"]
        return d["outer"].sum()

    mx.grad(f)(d)
    assert d["inner"].item() == 9 and d["outer"].tolist() == [3, 6]


def test_lanes_alike_stay_one():
    d = {"x": x()}

    def f(d):
        d["same"], d["number"], d["mixed"] = mx.array(4.0), 5, [d["x"], mx.array(1.0)]
        return d["x"]

    mx.vmap(f)(d)
    assert d["same"].item() == 4 and d["number"] == 5 and d["mixed"][0].tolist() == [1, 2] and d["mixed"][1].item() == 1
