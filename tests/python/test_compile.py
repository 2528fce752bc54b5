"""mx.compile: when a recording is made, what it sees of its surroundings, what it leaves changed, and how it fails."""

import functools
import gc
import subprocess
import sys
import threading
import warnings
import weakref
from dataclasses import dataclass

import mlx.core as mx
import pytest


def traces(f):
    return mx.compile_stats(f)["traces"]


def reason(f):
    return mx.compile_stats(f)["reasons"][-1]


class Counted:
    """A function that counts its runs."""

    def __init__(self, fun):
        self.fun, self.runs = fun, 0
        functools.update_wrapper(self, fun)

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.fun(*args, **kwargs)


# --- one recording for each kind of call ---


def test_runs_once_for_a_kind_of_call():
    counted = Counted(lambda x, y: (x + y, {"product": x * y, "name": "kept", "none": None}))
    f = mx.compile(counted)
    for i in range(3):
        total, rest = f(mx.array([1.0, i]), y=mx.array(2.0))
        assert total.tolist() == [3, 2 + i]
        assert rest["product"].tolist() == [2, 2 * i]
        assert rest["name"] == "kept" and rest["none"] is None
    assert counted.runs == 1
    assert mx.compile_stats(f)["calls"] == 3


@pytest.mark.parametrize(
    "first, second, why",
    [
        (mx.zeros((2,)), mx.zeros((3,)), "x was float32(2,), is float32(3,)"),
        (mx.zeros((2,)), mx.zeros((2,), mx.int32), "x was float32(2,), is int32(2,)"),
        ([mx.zeros(())], (mx.zeros(()),), "containers differ"),
        ({"a": mx.zeros(())}, {"b": mx.zeros(())}, "x['b']"),
        (1, 2, "x was 1, is 2"),
        (1, True, "x was 1, is True"),
        ("a", "b", "x was 'a', is 'b'"),
        (None, 0, "arrays and other values"),
    ],
)
def test_other_kinds_are_recorded_anew_and_it_says_why(first, second, why):
    f = mx.compile(lambda x: mx.array(1.0))
    f(first), f(second), f(first), f(second)
    assert traces(f) == 2
    assert why in reason(f)


def test_structure_of_unusual_containers_counts():
    @dataclass
    class Point:
        a: object
        b: object

    f = mx.compile(lambda p: p.a if isinstance(p, Point) else p["a"])
    one, two = mx.array(1.0), mx.array(2.0)
    assert f(Point(one, two)).item() == 1
    assert f(Point(two, one)).item() == 2
    assert traces(f) == 1
    assert f(Point([one], two))[0].item() == 1
    assert f(Point(one, [two])).item() == 1
    assert f({"a": two, "b": one}).item() == 2
    assert traces(f) == 4


def test_hashable_objects_are_compared_by_value():
    class Mode:
        def __init__(self, name):
            self.name = name

        def __eq__(self, other):
            return self.name == other.name

        def __hash__(self):
            return hash(self.name)

    f = mx.compile(lambda x, mode: x + len(mode.name))
    assert f(mx.array(1.0), Mode("ab")).item() == 3
    assert f(mx.array(1.0), Mode("ab")).item() == 3
    assert traces(f) == 1
    assert f(mx.array(1.0), Mode("abc")).item() == 4


def test_unhashable_objects_are_refused():
    with pytest.raises(TypeError, match="no hash"):
        mx.compile(lambda x, s: x)(mx.array(1.0), {1, 2})


def test_functions_alike_keep_their_own_recordings():
    functions = [mx.compile(lambda x, i=i: x + i) for i in range(20)]
    gc.collect()
    assert [f(mx.array(0)).item() for f in functions] == list(range(20))


def test_recordings_are_bounded_and_the_least_used_go():
    counted = Counted(lambda x: x.sum())
    f = mx.compile(counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(70):
            f(mx.zeros((1,)))
            f(mx.zeros((n + 2,)))
    stats = mx.compile_stats(f)
    assert stats["cached"] == 64
    assert stats["evictions"] == 71 - 64
    runs = counted.runs
    f(mx.zeros((1,)))
    assert counted.runs == runs


def test_many_recordings_give_a_warning():
    f = mx.compile(lambda x: x)
    with pytest.warns(RuntimeWarning, match="recorded 32 times, the last time because x was"):
        for n in range(40):
            f(mx.zeros((n,)))


def test_explain_writes_to_standard_error(capfd):
    f = mx.compile(lambda x: x, explain=True)
    f(mx.zeros((2,))), f(mx.zeros((3,)))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].endswith("is recorded: the first call")
    assert "x was float32(2,), is float32(3,)" in lines[1]


# --- numbers ---


def test_a_float_is_given_at_each_call_from_its_second_value_on():
    counted = Counted(lambda x, rate: x * rate + (2 * rate - 1) / 4 + (-rate))
    f = mx.compile(counted)
    for dtype in (mx.float32, mx.bfloat16, mx.int32):
        x = mx.arange(5).astype(dtype)
        for rate in (0.1, 0.2, 1 / 3, 7e-5, float("inf")):
            got, expected = f(x, rate), counted.fun(x, rate)
            assert got.dtype == expected.dtype
            assert mx.array_equal(got, expected, equal_nan=True)
    assert counted.runs == 3 * 2


def test_a_complex_number_too():
    counted = Counted(lambda x, z: x * z + z * 2)
    f = mx.compile(counted)
    x = mx.array([1.0, 2.0])
    for z in (1j, 2j, 3 + 1j):
        assert mx.array_equal(f(x, z), counted.fun(x, z))
    assert counted.runs == 2


@pytest.mark.parametrize(
    "use", [lambda s: bool(s), lambda s: s > 0, float, int, str, lambda s: f"{s:.1f}", lambda s: s**2, lambda s: s // 1, hash, round, lambda s: s.is_integer()]
)
def test_a_number_whose_value_is_needed_is_a_constant(use):
    def f(x, s):
        return x + len(str(use(s)))

    compiled = mx.compile(f)
    for s in (0.5, -1.5, 2.0, 0.5):
        assert compiled(mx.array(1.0), s).item() == f(mx.array(1.0), s).item()


def test_a_returned_number_is_that_number():
    f = mx.compile(lambda x, s: (x, s, s * 2))
    for s in (0.5, 1.5, 2.5):
        assert f(mx.array(1.0), s)[1:] == (s, s * 2)


# --- surroundings ---

weight = mx.array([1.0, 2.0])
layers = {"a": [mx.array(1.0)]}


def test_changes_in_place_are_seen():
    w = mx.array([1.0, 2.0])
    f = mx.compile(lambda x: x * w)
    assert f(mx.array(1.0)).tolist() == [1, 2]
    w[0] = 5
    assert f(mx.array(1.0)).tolist() == [5, 2]
    w += 1
    assert f(mx.array(1.0)).tolist() == [6, 3]
    assert traces(f) == 1
    w[:] = mx.array([0.0, 0.0])
    assert f(mx.array(1.0)).tolist() == [0, 0]


def test_another_array_in_a_variable_is_seen():
    global weight
    w = mx.array(1.0)
    inner = lambda x: x * w  # noqa: E731
    f = mx.compile(lambda x: inner(x) + weight)
    assert f(mx.array(2.0)).tolist() == [3, 4]
    w = mx.array(10.0)
    assert f(mx.array(2.0)).tolist() == [21, 22]
    assert reason(f).startswith("w, which it reads")
    weight = mx.array([0.0, 0.0])
    assert f(mx.array(2.0)).tolist() == [20, 20]
    assert reason(f).startswith("weight, which")


def test_another_array_in_a_container_or_attribute_is_seen():
    class Model:
        def __init__(self):
            self.w = mx.array(1.0)

        def __call__(self, x):
            return x * self.w + layers["a"][0]

    model = Model()
    f = mx.compile(lambda x: model(x))
    method = mx.compile(model.__call__)
    assert f(mx.array(1.0)).item() == method(mx.array(1.0)).item() == 2
    model.w = mx.array(5.0)
    assert method(mx.array(1.0)).item() == 6
    layers["a"][0] = mx.array(3.0)
    assert method(mx.array(1.0)).item() == 8
    layers["a"][0] = mx.array(1.0)
    assert reason(method).startswith("layers['a'][0], which")


def test_an_array_of_another_shape_around_it_is_seen():
    w = mx.array([1.0, 2.0])
    f = mx.compile(lambda: w.sum() + w.size)
    assert f().item() == 5
    w *= mx.ones((3, 2))
    assert f().item() == 15
    assert "(2,), is float32(3,2)" in reason(f)


def test_two_handles_of_one_array_may_part():
    a = mx.array(1.0)
    b = +a
    f = mx.compile(lambda: (a, b))
    assert [v.item() for v in f()] == [1, 1]
    a += 1
    assert [v.item() for v in f()] == [2, 1]


def test_changes_that_the_function_makes_are_made_at_each_call():
    total, count = mx.zeros((2,)), mx.array(0)

    def step(x):
        nonlocal count
        total[0] += x
        count += 1
        x *= 2
        return x

    f = mx.compile(step)
    for i in range(1, 4):
        x = mx.array(1.0)
        assert f(x).item() == 2
        assert x.item() == 2
        assert total.tolist() == [i, 0]
        assert count.item() == i


def test_state_in_containers():
    state = {"w": mx.array(1.0), "steps": [mx.array(0)]}

    @functools.partial(mx.compile, inputs=state, outputs=state)
    def train(x):
        state["w"] = state["w"] - 0.5 * mx.grad(lambda w: w * w * x)(state["w"])
        state["steps"][0] = state["steps"][0] + 1
        state.setdefault("first", x)
        return state["w"]

    w = 1.0
    for i in range(1, 5):
        w -= 0.5 * 2 * w * 0.25
        assert train(mx.array(0.25)).item() == pytest.approx(w)
        assert state["w"].item() == pytest.approx(w)
        assert state["steps"][0].item() == i
    assert traces(train) == 2  # "first" was not there at first
    state["w"] = mx.array(2.0)
    assert train(mx.array(0.0)).item() == 2


def test_nothing_is_lost_when_the_function_fails():
    state = {"w": mx.array(1.0)}
    w = mx.array(1.0)

    def fails(x):
        nonlocal w
        state["w"] = state["w"] + x
        w += x
        raise KeyError("no")

    f = mx.compile(fails, inputs=state, outputs=state)
    for _ in range(2):
        with pytest.raises(KeyError):
            f(mx.array(1.0))
        assert state["w"].item() == 1
        assert w.item() == 1


def test_arrays_kept_elsewhere_are_an_error():
    kept = []

    def keeps(x):
        kept.append(x + 1)
        return x

    with pytest.raises(ValueError, match="still referenced after the function returned.*outputs"):
        mx.compile(keeps)(mx.array(1.0))
    kept.clear()
    state = {}

    def forgets(x):
        state["x"] = x + 1
        return x

    with pytest.raises(ValueError, match="still referenced"):
        mx.compile(forgets)(mx.array(1.0))
    state.clear()
    assert mx.compile(forgets, outputs=state)(mx.array(1.0)).item() == 1
    assert state["x"].item() == 2


def test_random_numbers_go_on_with_the_sequence():
    def draw():
        return mx.random.uniform(shape=(3,)) + mx.random.normal((3,))

    mx.random.seed(3)
    expected = [draw().tolist() for _ in range(3)] + [mx.random.uniform().item()]
    f = mx.compile(draw)
    mx.random.seed(3)
    assert [f().tolist() for _ in range(3)] + [mx.random.uniform().item()] == expected
    with_state = mx.compile(draw, inputs=mx.random.state, outputs=mx.random.state)
    mx.random.seed(3)
    assert [with_state().tolist() for _ in range(3)] == expected[:3]
    lanes = mx.vmap(mx.compile(lambda x: x + mx.random.uniform()))(mx.zeros((5,)))
    assert len(set(lanes.tolist())) == 5


def test_values_cannot_be_read():
    for read in (lambda x: x if x > 0 else -x, lambda x: x * x.item()):
        with pytest.raises(ValueError, match=r"\[compile\] the function reads the value.*mx.where"):
            mx.compile(read)(mx.array([1.0]))
    with pytest.raises(ValueError, match=r"\[getitem\] the values of the mask.*recorded.*mx.where"):
        mx.compile(lambda x: x[x > 0])(mx.array([1.0]))


# --- other transforms ---


def test_transforms_nest_in_any_order():
    def f(x, y):
        return mx.sin(x) * y + mx.sin(x) ** 2

    x, y = mx.array([0.1, 0.2, 0.3]), mx.array([1.0, 2.0, 3.0])
    c = mx.compile
    expected = mx.vmap(mx.grad(f))(x, y)
    for g in (c(mx.vmap(mx.grad(f))), mx.vmap(c(mx.grad(f))), mx.vmap(mx.grad(c(f))), c(mx.vmap(c(mx.grad(c(f)))))):
        for _ in range(2):
            assert mx.array_equal(g(x, y), expected)
    _, (tangent,) = mx.jvp(f, (x, y), (y, x))
    for g in (c(f), c(c(f)), mx.checkpoint(c(f)), c(mx.checkpoint(f))):
        assert mx.array_equal(mx.jvp(g, (x, y), (y, x))[1][0], tangent)
    assert mx.array_equal(mx.grad(mx.grad(c(f)))(x[0], y[0]), mx.grad(mx.grad(f))(x[0], y[0]))


def test_stop_gradient_still_stops():
    f = mx.compile(lambda x: x * mx.stop_gradient(x))
    x = mx.array(3.0)
    assert f(x).item() == 9
    assert mx.grad(f)(x).item() == 3
    assert mx.compile(mx.grad(f))(x).item() == 3


def test_arrays_of_an_open_transform_are_used_and_let_go():
    scale = mx.array(2.0)

    def outer(x):
        f = mx.compile(lambda y: x * y * scale)
        return f(mx.array(2.0)) * f(mx.array(2.0))

    assert mx.grad(outer)(mx.array(3.0)).item() == 96
    assert mx.vmap(outer)(mx.array([1.0, 2.0])).tolist() == [16, 64]
    assert mx.compile(outer)(mx.array(3.0)).item() == 144


def test_custom_rules_and_random_under_grad():
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def _(x, cotangent, output):
        return cotangent * 100

    assert mx.grad(mx.compile(f))(mx.array(1.0)).item() == 100
    assert mx.compile(mx.grad(f))(mx.array(1.0)).item() == 100


# --- life and threads ---


def test_disabling():
    counted = Counted(lambda x: x + 1)
    f = mx.compile(counted)
    mx.disable_compile()
    try:
        assert f(mx.array(1.0)).item() == f(mx.array(1.0)).item() == 2
        assert counted.runs == 2
    finally:
        mx.enable_compile()
    f(mx.array(1.0)), f(mx.array(1.0))
    assert counted.runs == 3
    code = "import mlx.core as mx; mx.compile(lambda x: print('run'))(1); f = mx.compile(lambda x: print('run')); f(1); f(1)"
    out = subprocess.run([sys.executable, "-c", code], env={"MLX_DISABLE_COMPILE": "1", **__import__("os").environ}, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["run"] * 3


def test_what_nobody_needs_is_let_go():
    class Thing:
        pass

    thing = Thing()
    thing.w = mx.zeros((1000,))
    thing.f = mx.compile(lambda x, t=thing: x + t.w)
    thing.f(mx.array(1.0))
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None


def test_arguments_are_not_kept():
    f = mx.compile(lambda x: x * 2)
    before = mx.get_active_memory()
    mx.eval(f(mx.zeros((1 << 20,))))
    assert mx.get_active_memory() < before + (1 << 20)


def test_all_threads_use_one_compiled_function():
    f = mx.compile(lambda x, s: mx.sin(x) * s + x.sum())
    wrong = []

    def work(i):
        for n in range(1, 20):
            x = mx.ones((n % 5 + 1,)) * i
            if not mx.array_equal(f(x, 0.5 * i), mx.sin(x) * (0.5 * i) + x.sum()):
                wrong.append((i, n))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_methods_and_wrapped_names():
    class Model:
        def __init__(self, w):
            self.w = w

        @mx.compile
        def apply(self, x):
            """Applies."""
            return x * self.w

    a, b = Model(mx.array(2.0)), Model(mx.array(3.0))
    assert [a.apply(mx.array(1.0)).item(), b.apply(mx.array(1.0)).item(), a.apply(mx.array(2.0)).item()] == [2, 3, 4]
    assert Model.apply.__doc__ == "Applies."


def test_bad_arguments():
    with pytest.raises(TypeError, match="should be a callable"):
        mx.compile(3)
    with pytest.raises(TypeError, match="compile_stats"):
        mx.compile_stats(lambda x: x)


def test_common_subexpressions_are_computed_once():
    def f(x):
        return mx.exp(x) + mx.exp(x) * mx.exp(x) + 2 * x.sum() + 2 * x.sum()

    x = mx.arange(5.0)
    g = mx.compile(f)
    assert mx.array_equal(g(x), f(x))
    assert mx.compile_stats(g)["operations"] == (11, 7)


def test_the_gradient_shares_with_the_value():
    f = mx.compile(mx.value_and_grad(lambda x: mx.exp(mx.exp(x)).sum() + mx.exp(mx.exp(x)).sum()))
    f(mx.array([1.0, 2.0]))
    recorded, kept = mx.compile_stats(f)["operations"]
    assert kept < recorded - 2


def test_a_value_read_from_around_it_is_a_constant_until_it_changes():
    scale = mx.array(2.0)
    f = mx.compile(lambda x: x * 2 if scale > 1 else x)
    assert [f(mx.array(1.0)).item() for _ in range(2)] == [2, 2]
    assert traces(f) == 1
    scale -= 5
    assert f(mx.array(1.0)).item() == 1
    assert reason(f) == "an array whose value it reads, of shape (), changed"


def test_other_threads_see_arrays_as_they_are_while_a_function_is_recorded():
    w = mx.array([1.0, 2.0])
    seen = []

    def look():
        seen.append((w * 2).tolist())

    def f(x):
        nonlocal w
        y = x * w
        w += 1
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return y

    assert mx.compile(f)(mx.array(1.0)).tolist() == [1, 2]
    assert seen == [[2, 4]]
    assert w.tolist() == [2, 3]
