"""Every kind of object that a compiled function may find around it: whatever of it changes is seen at the next call."""

import collections
import gc
import random
import types
import warnings
import weakref

import mlx.core as mx
import numpy as np
import pytest

import surroundings_links  # noqa: F401
from surroundings_values import CASES, Box, one


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


def test_a_large_array_that_is_not_looked_at_is_named():
    large, fixed = np.zeros(100_000), np.zeros(100_000)
    fixed.flags.writeable = False
    f = mx.compile(lambda x: x + mx.array(large).sum())
    with pytest.warns(RuntimeWarning, match="reads large, .*not seen.*argument"):
        assert f(one(1)).item() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mx.compile(lambda x: x + mx.array(fixed).sum())(one(1)).item() == 1
        assert mx.compile(lambda x: x + len(large))(one(1)).item() == 100_001


def test_a_numpy_scalar_or_an_instance_with_the_same_value_needs_no_new_recording():
    class Rate(float):
        pass

    rate, scale = Rate(0.5), np.float32(2)
    f = mx.compile(lambda x: x * float(rate) * float(scale))
    for _ in range(3):
        rate, scale = Rate(0.5), np.float32(2)
        assert f(one(1)).item() == 1
    assert mx.compile_stats(f)["traces"] == 1


def test_no_object_is_kept_alive_by_what_is_noted_of_it():
    class Rate(float):
        pass

    class Queue(collections.deque):
        pass

    rate, queue_, array_ = Rate(2.0), Queue([1.0]), np.ones(3)
    f = mx.compile(lambda x: x * rate * queue_[0] * array_[0].item())
    f(one(1))
    rate.box = Box(1.0)
    gone = [weakref.ref(rate), weakref.ref(queue_), weakref.ref(array_), weakref.ref(rate.box)]
    rate, queue_, array_ = Rate(3.0), Queue([1.0]), np.ones(3)
    gc.collect()
    assert [g() for g in gone] == [None] * 4
    assert f(one(1)).item() == 3


def test_finalizers_do_not_change_what_is_being_looked_at():
    """Collections that a look itself could set off would free what it walks."""
    items = [[i] for i in range(50)]

    class Cycle:
        def __init__(self):
            self.me = self

        def __del__(self):
            items[:] = items[:25] + [[0]] * 25

    order = collections.OrderedDict((str(i), i) for i in range(20))
    f = mx.compile(lambda x: x * items[3][0] * len(order))
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(50):
            Cycle()
            assert f(one(1)).item() == 60
    finally:
        gc.set_threshold(*threshold)
    assert gc.isenabled()


@pytest.mark.filterwarnings("ignore:.compile.")
def test_entries_that_change_between_many_calls():
    """Globals, entries of classes and of modules are looked up once as long as nothing is put into their dict."""
    module = types.ModuleType("entries_that_change")

    class Scaled:
        def factor(self):
            return 2

    other = lambda self: 5
    names = {"mx": mx, "module": module, "scaled": Scaled(), "factor": 3}
    module.factor = 4
    exec("f = lambda x: x * factor + x * module.factor + x * scaled.factor()", names)
    f = mx.compile(names["f"])
    rng = random.Random(0)
    for _ in range(300):
        change = rng.randrange(8)
        if change == 0:
            names["factor"] = rng.randrange(3)
        elif change == 1:
            module.factor = rng.randrange(3)
        elif change == 2:
            Scaled.factor, other = other, Scaled.factor
        elif change == 3:
            names[f"unrelated{rng.randrange(4)}"] = module.unrelated = Scaled.unrelated = object()
        elif change == 4:
            del names["factor"], module.factor
            names["factor"], module.factor = rng.randrange(3), rng.randrange(3)
        assert f(mx.array(1.0)).item() == names["f"](mx.array(1.0)).item()
