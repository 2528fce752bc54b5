"""cond, while_loop, fori_loop and scan: values against plain Python, trees, dtypes, errors, randomness, and what is evaluated when."""

import collections
import gc
import subprocess
import sys
import textwrap

import mlx.core as mx
import numpy as np
import pytest


def running_sum(total, x):
    return total + x, total * x


# --- scan ---


def test_scan_carries_along_the_first_axis_and_stacks():
    xs = np.arange(12, dtype=np.float32).reshape(4, 3)
    total, ys = mx.scan(running_sum, mx.zeros(3), mx.array(xs))
    before = np.concatenate([np.zeros((1, 3)), np.cumsum(xs, 0)[:-1]])
    assert np.array_equal(np.array(total), xs.sum(0))
    assert np.array_equal(np.array(ys), before * xs)


def test_scan_in_reverse_keeps_the_order_of_xs():
    total, ys = mx.scan(lambda c, x: (c * 10 + x, c), 0, mx.array([1, 2, 3]), reverse=True)
    assert total.item() == 321
    assert ys.tolist() == [32, 3, 0]


def test_scan_of_trees():
    State = collections.namedtuple("State", "a b")

    def f(state, x):
        return State(state.b, {"k": state.a["k"] + x["u"]}), [state.a["k"], {"y": x["v"][0] * 2}, None]

    xs = {"u": mx.array([1.0, 2.0, 3.0]), "v": (mx.array([[1, 2], [3, 4], [5, 6]]),)}
    last, ys = mx.scan(f, State({"k": mx.array(0.0)}, {"k": mx.array(10.0)}), xs)
    assert isinstance(last, State)
    assert (last.a["k"].item(), last.b["k"].item()) == (12.0, 4.0)
    assert ys[0].tolist() == [0.0, 10.0, 1.0] and ys[1]["y"].tolist() == [[2, 4], [6, 8], [10, 12]] and ys[2] is None


def test_scan_without_xs_needs_a_length():
    last, ys = mx.scan(lambda c, x: (c * 2, c if x is None else None), 1, length=5)
    assert last.item() == 32 and ys.tolist() == [1, 2, 4, 8, 16]
    with pytest.raises(ValueError, match=r"\[scan\] There are no xs and no length"):
        mx.scan(lambda c, x: (c, None), mx.array(0))


def test_scan_without_a_carry():
    nothing, ys = mx.scan(lambda c, x: (None, x * 2), None, mx.array([1, 2]))
    assert nothing is None and ys.tolist() == [2, 4]
    assert mx.scan(lambda c, x: (None, None), None, mx.array([1, 2])) == (None, None)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_length_0(reverse):
    init = mx.array([1.0, 2.0])
    last, ys = mx.scan(lambda c, x: (c + x, (c, x.sum())), init, mx.zeros((0, 2)), reverse=reverse)
    assert last.tolist() == [1.0, 2.0]
    assert ys[0].shape == (0, 2) and ys[1].shape == (0,)
    g = mx.grad(lambda c, xs: mx.scan(lambda c, x: (c * x, c), c, xs)[0].sum(), argnums=(0, 1))(init, mx.zeros((0, 2)))
    assert g[0].tolist() == [1.0, 1.0] and g[1].shape == (0, 2)


def test_scan_over_views():
    base = mx.arange(24).reshape(2, 3, 4)
    for xs in (base.transpose(2, 0, 1), base[:, ::-1], base[0].T, mx.broadcast_to(mx.array([1, 2, 3]), (5, 3))):
        last, ys = mx.scan(lambda c, x: (c + x.sum(), x), 0, xs)
        assert last.item() == xs.sum().item() and ys.tolist() == xs.tolist()


def test_a_long_scan_is_one_node_and_leaves_nothing_behind():
    xs = mx.ones(10_000)
    f = lambda c: mx.scan(lambda c, x: (mx.sin(c) + x, None), c, xs)[0]
    mx.eval(f(mx.array(0.5)))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(f(mx.array(0.5)))
    assert mx.get_peak_memory() - before < 100_000
    calls = []
    g = mx.grad(lambda c: mx.scan(lambda c, x: (calls.append(1), (mx.sin(c) + x, None))[1], c, xs)[0])(mx.array(0.5))
    assert np.isfinite(g.item()) and len(calls) == 1


def test_a_loop_read_inside_of_a_gradient_leaves_nothing_behind_either():
    def f(x):
        y = mx.while_loop(lambda s: s[1] < 3000, lambda s: (mx.sin(s[0]) + 0.5, s[1] + 1), (x, 0))[0]
        assert y.item() > 0  # evaluated while the gradient's graph is recorded
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        assert (mx.scan(lambda c, _: (mx.sin(c) + x, None), y * 2, length=3000)[0]).sum().item() > 0
        assert mx.get_peak_memory() - before < 3000 * 4 + 50_000
        return y

    assert np.isfinite(mx.grad(f)(mx.array(0.5)).item())


# --- fori_loop and while_loop ---


def test_fori_loop():
    assert mx.fori_loop(1, 6, lambda i, x: x * i, 1).item() == 120
    assert mx.fori_loop(3, 3, lambda i, x: x + 1, 7).item() == 7
    assert mx.fori_loop(5, 2, lambda i, x: x + 1, 7).item() == 7
    assert mx.fori_loop(-2, 2, lambda i, s: {"s": s["s"] + i}, {"s": 0})["s"].item() == -2
    assert mx.fori_loop(0, 1, lambda i, x: i, 0).dtype == mx.int32
    assert mx.fori_loop(2**40, 2**40 + 3, lambda i, x: i, mx.array(0, mx.int64)).item() == 2**40 + 2


def test_fori_loop_with_bounds_known_later():
    n = mx.array([3, 4]).sum()
    assert mx.fori_loop(mx.array(0), n, lambda i, x: x + i, 0).item() == 21
    assert mx.fori_loop(0, n, lambda i, x: x + i, 0).item() == 21
    assert mx.fori_loop(n, 3, lambda i, x: x + i, 5).item() == 5
    with pytest.raises(ValueError, match=r"\[fori_loop\] upper has shape \(\) and dtype float32"):
        mx.fori_loop(0, 2.5, lambda i, x: x, 0)


def test_while_loop():
    x, n = mx.while_loop(lambda s: s[0] > 1, lambda s: (mx.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (27, 0))
    assert (x.item(), n.item()) == (1, 111)
    assert mx.while_loop(lambda s: False, lambda s: s + 1, mx.array(3)).item() == 3


def test_newton_iteration():
    def root(a):
        return mx.while_loop(lambda x: mx.abs(x * x - a) > 1e-12 * a, lambda x: 0.5 * (x + a / x), a)

    for a in (1.0, 2.0, 1e-3, 1e6):
        assert root(mx.array(a, mx.float64)).item() == pytest.approx(a**0.5, rel=1e-12)


# --- cond ---


def test_cond_takes_one_branch():
    f = lambda p, x: mx.cond(p, lambda x: {"a": x + 1}, lambda x: {"a": x * 10}, x)["a"].item()
    for p in (True, 1, 2.5, mx.array(True), mx.array(-1), np.bool_(True)):
        assert f(p, mx.array(4)) == 5
    for p in (False, 0, mx.array(0.0)):
        assert f(p, mx.array(4)) == 40


def branches_run(f):
    before = mx._control_flow_stats()
    mx.eval(f())
    after = mx._control_flow_stats()
    return tuple(after[k] - before[k] for k in ("true_branches", "false_branches"))


def test_cond_evaluates_nothing_of_the_other_branch():
    a, far = mx.arange(3), mx.array(99)
    with pytest.raises(IndexError):
        mx.eval(a[far])
    take = lambda i: a[i] * 2
    assert mx.cond(mx.array(False), take, lambda i: i, far).item() == 99
    # Also what a branch does with arrays from around it alone belongs to the branch.
    assert mx.cond(mx.array(False), lambda: take(far), lambda: a[1]).item() == 1
    with pytest.raises(IndexError):
        mx.eval(mx.cond(mx.array(True), lambda: take(far), lambda: a[1]))
    assert branches_run(lambda: mx.cond(mx.array(True), mx.sin, mx.cos, a)) == (1, 0)
    # And derivatives of it.
    x = mx.array([1.0, 2.0])
    f = lambda x: mx.cond(x[0] > 5, lambda: (x[far] * x).sum(), lambda: (x * x).sum())
    assert mx.grad(f)(x).tolist() == [2.0, 4.0]
    assert mx.jvp(f, [x], [x])[1][0].item() == 10.0
    assert mx.grad(lambda x: mx.grad(f)(x).sum())(x).tolist() == [2.0, 2.0]


def test_the_number_in_a_branch_takes_the_dtype_of_the_other():
    x = mx.array(2.0, mx.float16)
    for f in (lambda: mx.cond(True, lambda: 1, lambda: x), lambda: mx.cond(False, lambda: x, lambda: 1.5)):
        assert f().dtype == mx.float16


# --- states ---


def test_numbers_in_a_state_become_arrays_of_the_dtype_that_the_body_returns():
    assert mx.scan(lambda c, x: (c + x, None), 0, mx.ones(3, dtype=mx.float16))[0].dtype == mx.float16
    assert mx.while_loop(lambda s: s < 3, lambda s: s + 1, 0).dtype == mx.int32
    assert mx.while_loop(lambda s: s < 3, lambda s: s + mx.array(1.5), 0).item() == 3.0
    assert mx.fori_loop(0, 3, lambda i, s: 7, mx.array(1.0, mx.bfloat16)).dtype == mx.bfloat16


def test_a_dict_may_come_back_in_another_order():
    last, _ = mx.scan(lambda c, x: ({"b": c["b"] + 1, "a": c["b"]}, None), {"a": 0, "b": 5}, length=3)
    assert (last["a"].item(), last["b"].item()) == (7, 8) and list(last) == ["a", "b"]


MISMATCHES = {
    "shape": (lambda: mx.scan(lambda c, x: ({"w": c["w"][None]}, x), {"w": mx.zeros(2)}, mx.zeros(3)),
              r"\[scan\] init\['w'\] has shape \(2,\) and dtype float32, but the carry that f returned\['w'\] has shape \(1,2\)"),
    "dtype": (lambda: mx.while_loop(lambda s: s[0] < 1, lambda s: (s[0], s[1] + 0.5), (mx.array(0), mx.array(1))),
              r"\[while_loop\] init\[1\] has shape \(\) and dtype int32, but what body_fun returned\[1\] has .* float32"),
    "number": (lambda: mx.fori_loop(0, 2, lambda i, s: s + 0.5, mx.array(0)),
               r"\[fori_loop\] init has shape \(\) and dtype int32, but what body_fun returned has .* float32"),
    "length": (lambda: mx.scan(lambda c, x: ((c, c), x), mx.zeros(2), mx.zeros(3)), r"\[scan\] the carry that f returned and init are diff"),
    "keys": (lambda: mx.scan(lambda c, x: ({"b": c["a"]}, x), {"a": 1}, mx.zeros(3)), r"\[scan\] the carry .* are different containers"),
    "branches": (lambda: mx.cond(True, lambda x: (x, x), lambda x: (x, x[None]), mx.zeros(2)),
                 r"\[cond\] what true_fun returned\[1\] has shape \(2,\) and dtype float32, but what false_fun returned\[1\] has shape \(1,2\)"),
    "branch trees": (lambda: mx.cond(True, lambda x: (x, [x]), lambda x: (x, [x, x]), mx.zeros(2)),
                     r"\[cond\] .* different ones at what true_fun returned\[1\]"),
    "pred": (lambda: mx.cond(mx.array([True, False]), mx.sin, mx.cos, mx.zeros(2)), r"\[cond\] pred has shape \(2,\); it should be a scalar"),
    "condition": (lambda: mx.while_loop(lambda s: s < 1, lambda s: s, mx.zeros(2)), r"\[while_loop\] cond_fun returned .* \(2,\)"),
    "empty": (lambda: mx.while_loop(lambda s: True, lambda s: s, ()), r"\[while_loop\] init holds no array"),
    "xs": (lambda: mx.scan(lambda c, x: (c, x), 0, {"a": mx.zeros(3), "b": [mx.zeros(4)]}),
           r"\[scan\] xs\['b'\]\[0\] has shape \(4,\), but the length of the scan is 3 \(that of xs\['a'\]\)"),
    "given length": (lambda: mx.scan(lambda c, x: (c, x), 0, mx.zeros(3), length=4), r"\[scan\] xs has shape \(3,\), but the length of the scan is 4"),
    "scalar xs": (lambda: mx.scan(lambda c, x: (c, x), 0, mx.array(1)), r"\[scan\] xs is a scalar"),
    "negative length": (lambda: mx.scan(lambda c, x: (c, x), 0, length=-1), r"\[scan\] length is -1"),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_what_does_not_fit_is_named(case):
    call, message = MISMATCHES[case]
    with pytest.raises(ValueError, match=message):
        call()


TYPE_ERRORS = {
    "leaf": (lambda: mx.scan(lambda c, x: (c, x), {"a": "text"}, mx.zeros(3)), r"\[scan\] init\['a'\] is a str"),
    "y": (lambda: mx.scan(lambda c, x: (c, {"k": object()}), 0, mx.zeros(3)), r"\[scan\] the y that f returned\['k'\] is a object"),
    "pair": (lambda: mx.scan(lambda c, x: c, 0, mx.zeros(3)), r"\[scan\] f returned a .*; it should return a pair"),
    "callable": (lambda: mx.cond(True, mx.sin, 3, mx.zeros(3)), r"\[cond\] false_fun is a int"),
    "bound": (lambda: mx.fori_loop("a", 3, lambda i, s: s, 0), r"\[fori_loop\] lower is a str"),
    "condition": (lambda: mx.while_loop(lambda s: None, lambda s: s, 0), r"\[while_loop\] what cond_fun returned is a NoneType"),
}


@pytest.mark.parametrize("case", TYPE_ERRORS)
def test_what_is_no_array_is_named(case):
    call, message = TYPE_ERRORS[case]
    with pytest.raises(TypeError, match=message):
        call()


READERS = {
    "scan": lambda read: mx.scan(lambda c, x: (c + 1 if read(c) else c, x), mx.array(1.0), mx.zeros(3)),
    "fori_loop": lambda read: mx.fori_loop(0, 3, lambda i, c: c if read(c) else c, mx.array(1.0)),
    "while_loop": lambda read: mx.while_loop(lambda c: c < 1 if read(c) else False, lambda c: c, mx.array(1.0)),
    "cond": lambda read: mx.cond(True, lambda x: x if read(x) else x, lambda x: x, mx.array(1.0)),
}


@pytest.mark.parametrize("read", [lambda x: x > 0, float, lambda x: x.item(), lambda x: (x * 2).tolist(), np.array], ids="bool float item tolist numpy".split())
@pytest.mark.parametrize("op", READERS)
def test_reading_a_value_inside_is_an_error_with_the_way_out(op, read):
    name = "scan" if op == "fori_loop" else op  # which it is
    with pytest.raises(ValueError, match=rf"\[{name}\] the function reads the value of an array.*mx.where or mx.cond"):
        READERS[op](lambda x: bool(read(x)))


def test_printing_inside_shows_what_is_known():
    shown = []
    mx.vmap(lambda v: mx.scan(lambda c, x: (shown.append(repr(c * x)) or c, None), v, mx.zeros((3, 2))))(mx.zeros((4, 2)))
    assert shown == ["array(<no value: of a function that is recorded>, shape=(2,), dtype=float32)"]


def test_an_array_that_leaves_the_function_has_no_value():
    kept = []
    mx.scan(lambda c, x: (kept.append(c) or c, None), mx.array(0), mx.zeros(3))
    with pytest.raises(ValueError, match="made while a function was recorded.*Return from the function what you want to keep"):
        (kept[0] + 1).item()


def test_values_from_outside_can_be_read_inside():
    outside = mx.array(3.0)
    assert mx.scan(lambda c, x: (c + x if outside > 2 else c, None), 0.0, mx.ones(4))[0].item() == 4.0
    assert mx.cond(True, lambda x: x * outside.item(), lambda x: x, mx.array(2.0)).item() == 6.0
    assert mx.cond(True, lambda x: x * (outside * 2).item(), lambda x: x, mx.array(2.0)).item() == 12.0


def test_an_error_in_a_body_comes_out_and_leaves_things_as_they_were():
    def broken(c, x):
        raise KeyError("mine")

    for call in (lambda: mx.scan(broken, 0, mx.zeros(3)), lambda: mx.vmap(lambda v: mx.scan(broken, v, mx.zeros(3)))(mx.zeros(2)),
                 lambda: mx.cond(True, lambda: broken(0, 0), lambda: 0)):
        with pytest.raises(KeyError, match="mine"):
            call()
    assert mx.scan(running_sum, 0, mx.array([1, 2]))[0].item() == 3


# --- randomness ---


def test_iterations_draw_different_numbers():
    mx.random.seed(3)
    draw = lambda c, x: (c, mx.random.uniform(shape=(4,)))
    a = np.array(mx.scan(draw, 0, length=50)[1])
    b = np.array(mx.scan(draw, 0, length=50)[1])
    assert len(np.unique(np.concatenate([a, b]))) == 400
    mx.random.seed(3)
    assert np.array_equal(np.array(mx.scan(draw, 0, length=50)[1]), a)


def test_lanes_and_iterations_draw_different_numbers():
    ys = mx.vmap(lambda v: mx.scan(lambda c, x: (c, mx.random.uniform() + 0 * v), 0, length=20)[1])(mx.zeros(5))
    assert ys.shape == (5, 20) and len(np.unique(np.array(ys))) == 100
    inner = mx.scan(lambda c, x: (c, mx.vmap(lambda v: mx.random.uniform() + v)(mx.zeros(5))), 0, length=20)[1]
    assert len(np.unique(np.array(inner))) == 100
    nested = mx.scan(lambda c, x: (c, mx.scan(lambda c, x: (c, mx.random.uniform()), 0, length=5)[1]), 0, length=20)[1]
    assert len(np.unique(np.array(nested))) == 100


def test_condition_and_body_of_a_while_loop_draw_different_numbers():
    mx.random.seed(0)

    def body(s):
        return s[0] + 1, s[1], mx.concatenate([s[2][1:], mx.random.uniform(shape=(1,))])

    n, _, seen = mx.while_loop(lambda s: (s[0] < 30) & (mx.random.uniform() > -1), body, (0, 0, mx.zeros(30)))
    assert n.item() == 30 and len(np.unique(np.array(seen))) == 30
    rounds = [mx.while_loop(lambda n: mx.random.uniform() < 0.8, lambda n: n + 1, 0).item() for _ in range(200)]
    assert len(set(rounds)) > 5 and 2.5 < np.mean(rounds) < 6  # geometric: 4 on average


def test_randomness_is_the_same_when_it_is_computed_again():
    def f(x):
        return mx.scan(lambda c, _: (c * mx.random.uniform(), c), x, length=6)

    mx.random.seed(1)
    value = f(mx.array(1.0))[0].item()
    mx.random.seed(1)
    assert mx.grad(lambda x: f(x)[0])(mx.array(1.0)).item() == pytest.approx(value, rel=1e-6)
    mx.random.seed(1)
    assert mx.grad(mx.checkpoint(lambda x: f(x)[0]))(mx.array(1.0)).item() == pytest.approx(value, rel=1e-6)


# --- running ---


def test_python_lets_go_of_functions_and_arguments():
    class Marker:
        pass

    import weakref
    marker = Marker()
    gone = weakref.ref(marker)
    f = lambda c, x, marker=marker: (c + x, None)
    out = mx.scan(f, 0, mx.arange(3))[0]
    del f, marker
    gc.collect()
    assert gone() is None and out.item() == 3


def test_an_endless_loop_can_be_interrupted():
    program = """
        import mlx.core as mx, signal
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            mx.eval(mx.while_loop(lambda x: x >= 0, lambda x: x * 0.5, mx.array(1.0)))
        except KeyboardInterrupt:
            print("interrupted", mx.fori_loop(0, 3, lambda i, x: x + i, 0).item())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "interrupted 3", done.stderr


def test_loops_run_in_async_eval_and_from_threads():
    import threading

    y = mx.fori_loop(0, 100, lambda i, x: x + i, 0)
    mx.async_eval(y)
    results = []
    threads = [threading.Thread(target=lambda k=k: results.append(mx.fori_loop(0, k, lambda i, x: x + i, 0).item())) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert y.item() == 4950 and sorted(results) == [k * (k - 1) // 2 for k in range(8)]
