"""Numbers that a compiled function is given or finds around it: given at each call where only their arithmetic matters, and
numbers to whatever asks."""

import warnings

import mlx.core as mx
import pytest


def traces(f):
    return mx.compile_stats(f)["traces"]


@pytest.mark.filterwarnings("ignore:.compile.")
def test_a_float_around_it_that_is_needed_is_a_constant():
    options = {"rate": 0.5}
    f = lambda x: x * 2 if options["rate"] > 0.6 else x * options["rate"]  # noqa: E731
    compiled = mx.compile(f)
    for rate in (0.5, 0.25, 0.7, 0.8, 0.1, 0.7):
        options["rate"] = rate
        assert compiled(mx.array(1.0)).item() == f(mx.array(1.0)).item()
        assert options["rate"] == rate


@pytest.mark.filterwarnings("ignore:.compile.")
def test_an_int_around_it_is_given_where_it_only_meets_floating_arrays():
    state = {"n": 0}
    uses = [lambda x: x * state["n"] + 1.5 / (state["n"] + 0.5), lambda x: mx.where(x > state["n"], x, -x),
            lambda x: x ** state["n"], lambda x: x + state["n"] % 3, lambda x: x * (state["n"] + 1),
            lambda x: x.astype(mx.int32) + state["n"], lambda x: x if isinstance(state["n"], bool) else x * 2,
            lambda x: x[state["n"] % 3 :], lambda x: x + mx.array(state["n"]), lambda x: x.reshape(-1, 1) / state["n"]]
    for i, f in enumerate(uses):
        for dtype in (mx.float32, mx.bfloat16, mx.float64, mx.int32, mx.complex64):
            compiled = mx.compile(f)
            x = mx.array([1, 2, 3]).astype(dtype)
            for n in (1, 2, 3, 257, 70000, -5, 1 << 24, (1 << 24) + 1, True, 2.5, 7)[: 7 if i in (2, 7) else None]:
                state["n"] = n if i not in (2, 7) else abs(n) % 7
                try:
                    expected = f(x)
                except (TypeError, ValueError) as e:
                    with pytest.raises(type(e)):
                        compiled(x)
                    continue
                got = compiled(x)
                assert got.dtype == expected.dtype and mx.array_equal(got, expected, equal_nan=True), (i, n, dtype)
            if i in (0, 1) and dtype != mx.int32:
                assert traces(compiled) <= 7


@pytest.mark.filterwarnings("ignore:.compile.")
def test_an_int_argument_is_given_where_it_only_meets_floating_arrays():
    uses = [lambda x, n: x * n + 1.5 / (n + 0.5), lambda x, n: mx.where(x > n, x, -x), lambda x, n: x**n, lambda x, n: x + n % 3,
            lambda x, n: x * (n + 1), lambda x, n: x.astype(mx.int32) + n, lambda x, n: x[n % 3 :], lambda x, n: x + mx.array(n),
            lambda x, n: x.reshape(-1, 1) / n, lambda x, n: mx.full((2,), n) + x[0], lambda x, n: mx.sum(x, axis=n % 1),
            lambda x, n: mx.repeat(x, abs(n) % 3), lambda x, n: x * [1.0, n][1], lambda x, n: mx.maximum(x, n) - n]
    for i, f in enumerate(uses):
        for dtype in (mx.float32, mx.bfloat16, mx.float64, mx.int32, mx.complex64):
            compiled = mx.compile(f)
            x = mx.array([1, 2, 3]).astype(dtype)
            for n in (1, 2, 3, 257, 70000, -5, 1 << 24, (1 << 24) + 1, True, 2.5, 7, 4.5, False):
                try:
                    expected = f(x, n)
                except (TypeError, ValueError) as e:
                    with pytest.raises(type(e)):
                        compiled(x, n)
                    continue
                got = compiled(x, n)
                assert got.dtype == expected.dtype and mx.array_equal(got, expected, equal_nan=True), (i, n, dtype)
            if i in (0, 1, 8, 12) and dtype != mx.int32:  # negative ints are recorded apart from the others
                assert traces(compiled) <= 8


def test_ints_and_floats_among_the_arguments_are_told_apart():
    f = mx.compile(lambda x, step, rate: x * step * rate)
    for step, rate in [(1, 0.5), (2, 0.25), (3, 0.125), (9, 0.75)]:
        assert f(mx.array(1.0), step, rate).item() == step * rate
    assert traces(f) == 2
    seen = mx.compile(lambda x, k: x if isinstance(k, int) else -x)
    assert [seen(mx.array(1.0), k).item() for k in (1, 2, 1.0, 2.0, 3, 3.0, True, 4)] == [1, 1, -1, -1, 1, -1, 1, 1]
    row = mx.compile(lambda x, i, rate: x[i] * rate)  # the float stays given where the int is needed
    for i, rate in [(0, 0.5), (1, 0.25), (2, 0.75), (0, 0.125), (1, 2.0), (2, 3.0)]:
        assert row(mx.array([1.0, 2.0, 4.0]), i, rate).item() == 2**i * rate
    assert mx.compile_stats(row)["cached"] <= 4


@pytest.mark.filterwarnings("ignore:.compile.")
def test_numbers_in_a_state():
    state = {"rate": 0.5, "step": 1, "w": mx.array(2.0), "inner": [1j]}
    f = mx.compile(lambda x: x * state["rate"] * state["step"] * state["w"] + state["inner"][0], inputs=state)
    for i in range(5):
        state.update(rate=0.5 * i, step=i, w=mx.array(float(i)), inner=[i * 1j])
        assert f(mx.array(1.0)).item() == 0.5 * i * i * i + i * 1j


def test_a_number_that_the_function_changes_itself():
    class Schedule:
        rate, step = 1.0, 0

    schedule = Schedule()

    def f(x):
        schedule.rate = schedule.rate * 0.5
        schedule.step += 1
        return x * schedule.rate + schedule.step

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = mx.compile(f)
        got = [compiled(mx.array(1.0)).item() for _ in range(5)]
    schedule.rate, schedule.step = 1.0, 0
    assert got == [f(mx.array(1.0)).item() for _ in range(5)]


# --- numbers: whatever a test can see of an argument is the same in a recording ---


TESTS = [
    lambda k: isinstance(k, float), lambda k: isinstance(k, int), lambda k: isinstance(k, (int, float)),
    lambda k: isinstance(k, __import__("numbers").Number), lambda k: isinstance(k, __import__("numbers").Real),
    lambda k: isinstance(k, complex), lambda k: type(k) is float, lambda k: type(k) in (int, float),
    lambda k: type(k).__name__ == "float", lambda k: k.__class__ is float, lambda k: __import__("numpy").isscalar(k),
    lambda k: hasattr(k, "is_integer"), lambda k: hasattr(k, "shape"), lambda k: callable(k), lambda k: abs(k) >= 0,
    lambda k: repr(k).isdigit(), lambda k: k == 1.5, lambda k: k in (1.5, 2.5), lambda k: {1.5: True}.get(k, False),
    lambda k: float.is_integer(k), lambda k: bool(k), lambda k: isinstance(k, mx.array), lambda k: k is None,
]


@pytest.mark.filterwarnings("ignore:.compile.")
@pytest.mark.parametrize("number", range(len(TESTS)))
@pytest.mark.parametrize("where", ["argument", "around"])
@pytest.mark.parametrize("values", [(0.5, 1.5, 2.5, 3.0), (1j, 2j, 3 + 1j), (2, 3, 0, 1 << 30)], ids=["float", "complex", "int"])
def test_a_number_is_a_number_whatever_asks(number, where, values):
    test = TESTS[number]
    try:
        test(values[0])
    except TypeError:
        pytest.skip("complex numbers cannot be asked this")

    def answer(a, k):
        return a * k if test(k) else a - k

    if where == "argument":
        compiled = mx.compile(answer)
        for k in values:
            assert compiled(mx.array(3.0), k).tolist() == answer(mx.array(3.0), k).tolist()
    else:
        options = {}
        compiled = mx.compile(lambda a: answer(a, options["k"]))
        for k in values:
            options["k"] = k
            assert compiled(mx.array(3.0)).tolist() == answer(mx.array(3.0), k).tolist()


def test_floats_stay_given_when_an_int_is_needed():
    state = {"step": 0, "rate": 0.5}
    f = lambda x: x[state["step"] % 2] * state["rate"]  # noqa: E731
    compiled = mx.compile(f)
    for step in range(12):
        state["step"], state["rate"] = step % 2, 0.1 * step
        assert compiled(mx.array([1.0, 2.0])).item() == f(mx.array([1.0, 2.0])).item()
    assert traces(compiled) <= 5


def test_what_stops_a_recording_is_not_caught():
    def f(a, k):
        try:
            return a if k > 1 else -a
        except BaseException:
            return a * 0

    compiled = mx.compile(f)
    for k in (0.5, 1.5, 0.25, 2.5):
        assert compiled(mx.array(3.0), k).item() == f(mx.array(3.0), k).item()


def test_a_number_that_is_kept_is_that_number():
    kept = []

    def f(a, k):
        kept[:] = [k, k * 2]
        return a * k

    compiled = mx.compile(f)
    for k in (0.5, 1.5, 2.5):
        assert compiled(mx.array(2.0), k).item() == 2 * k
    assert all(type(k) is float for k in kept)


def test_arithmetic_of_ints_is_given():
    """Ints beside ints, quotients of them, and the powers of a bias correction: two recordings, whatever the step."""
    uses = [lambda x, t: x * (t + 1), lambda x, t: x / (1 - 0.9**t), lambda x, t: x * (3 * t - 7) + t * -1, lambda x, t: x * -t + abs(t - 5),
            lambda x, t: x * (t / (t + 1)), lambda x, t: x * t * (t + 1) / 2, lambda x, t: x + mx.array(t * t + 1), lambda x, t: x * 0.999 ** (t + 1),
            lambda x, t: (x > 1) * (t - 1)]  # fmt: skip
    for dtype in (mx.float32, mx.float16, mx.bfloat16, mx.float64, mx.int32, mx.int64, mx.complex64):
        x = mx.array([1, 2, 3]).astype(dtype)
        for i, f in enumerate(uses):
            compiled = mx.compile(f)
            for t in range(1, 12):
                got, expected = compiled(x, t), f(x, t)
                assert got.dtype == expected.dtype and str(got.tolist()) == str(expected.tolist()), (i, dtype, t)
            assert traces(compiled) == 2 or i == 6, (i, dtype)


def test_arithmetic_of_ints_that_may_not_fit():
    """Products beyond what float64 holds, errors of Python, signs: the values and errors of a plain call."""
    uses = [lambda x, t: x * (t * t * t), lambda x, t: x * 0.5**t, lambda x, t: x * 2 ** (t % 50), lambda x, t: x / t, lambda x, t: x * (1 / t),
            lambda x, t: x.astype(mx.uint8) + t, lambda x, t: x * 1.5**t]  # fmt: skip
    for i, f in enumerate(uses):
        compiled = mx.compile(f)
        x = mx.array([1.0, 2.0])
        for t in (3, 4, 1 << 20, (1 << 24) - 1, 1 << 40, -3, -4, -2000, 0, 5):
            try:
                expected = f(x, t)
            except (OverflowError, ZeroDivisionError, ValueError) as e:
                if i in (1, 2, 6) and t != 0 or isinstance(e, ValueError):
                    with pytest.raises(type(e)):
                        compiled(x, t)
                continue
            assert str(compiled(x, t).tolist()) == str(expected.tolist()), (i, t)
