"""cond, while_loop, fori_loop and scan under every transform and in each other: against the same program in plain Python, whose loops
and branches read values."""

import itertools
import math

import mlx.core as mx
import numpy as np
import pytest

import arrays
import differences

F64 = mx.float64


def array(values):
    return mx.array(np.array(values, np.float64), F64)


# Each program with control flow as primitives, and as Python writes it (which vmap can not run: it is run lane by lane).


def scan_rnn(w, xs, h):
    last, ys = mx.scan(lambda h, x: ((mx.tanh(w * h + x),) * 2), h, xs)
    return last + (mx.sin(ys) * w).sum(0)


def plain_rnn(w, xs, h):
    ys = []
    for x in xs:
        h = mx.tanh(w * h + x)
        ys.append(h)
    return h + (mx.sin(mx.stack(ys)) * w).sum(0)


def scan_back(w, xs, h):
    (last, n), ys = mx.scan(lambda c, x: ((c[0] * x + w, c[1] + 1), {"y": c[0] * c[1]}), (h, 0), xs, reverse=True)
    return last * n + (ys["y"] * mx.cos(w)).sum(0)


def plain_back(w, xs, h):
    total = mx.zeros_like(h)
    for n, x in enumerate(list(xs)[::-1]):
        total = total + h * n
        h = h * x + w
    return h * len(xs) + total * mx.cos(w)


def fori(w, xs, h):
    return mx.fori_loop(1, 4, lambda i, s: mx.sin(s * w) + xs[i % 3] / i, h)


def plain_fori(w, xs, h):
    for i in range(1, 4):
        h = mx.sin(h * w) + xs[i % 3] / i
    return h


def fori_traced(w, xs, h):
    n = mx.floor(mx.abs(w)).astype(mx.int32) + 2
    return mx.fori_loop(mx.array(0), n, lambda i, s: mx.sin(s * w) + xs[i % 3], h)


def plain_fori_traced(w, xs, h):
    for i in range(math.floor(abs(w.item())) + 2):
        h = mx.sin(h * w) + xs[i % 3]
    return h


def loop(w, xs, h):
    def body(s):
        h, n, t = s
        return mx.sin(h * w) + xs[n % 3], n + 1, t + mx.abs(h * w)

    h, n, t = mx.while_loop(lambda s: s[2] < 3, body, (h, 0, mx.array(0.5, F64)))
    return h * t + n


def plain_loop(w, xs, h):
    n, t = 0, mx.array(0.5, F64)
    while t.item() < 3:
        h, n, t = mx.sin(h * w) + xs[n % 3], n + 1, t + mx.abs(h * w)
    return h * t + n


def newton(w, xs, h):
    a = w * w + xs[0] ** 2 + 0.5
    return mx.while_loop(lambda x: mx.abs(x * x - a) > 1e-13 * a, lambda x: 0.5 * (x + a / x), a) * h


def plain_newton(w, xs, h):
    return mx.sqrt(w * w + xs[0] ** 2 + 0.5) * h


def branch(w, xs, h):
    return mx.cond(w * xs[0] > 0, lambda x: mx.sin(x) * w, lambda x: x * x * mx.exp(w) * xs[1], h * xs[2])


def plain_branch(w, xs, h):
    x = h * xs[2]
    return mx.sin(x) * w if (w * xs[0]).item() > 0 else x * x * mx.exp(w) * xs[1]


def guarded(w, xs, h):
    return mx.cond(w > 0, lambda w: mx.sqrt(w) * h, lambda w: w * h + mx.log(-w), w)


def plain_guarded(w, xs, h):
    return mx.sqrt(w) * h if w.item() > 0 else w * h + mx.log(-w)


def nested(w, xs, h):
    """scan in while_loop in cond in scan."""
    def outer(c, x):
        def rounds(c):
            inner = lambda s: mx.scan(lambda c, x: (mx.sin(c * w) + x, c * x), s[0], xs)
            return mx.while_loop(lambda s: s[1] < 1.5, lambda s: ((lambda r: (r[0], s[1] + 0.4 + 0.1 * r[1].sum() ** 2))(inner(s))), (c, x * x))
        c, t = mx.cond(x * w > 0, rounds, lambda c: (c * w, mx.exp(x)), c)
        return c, t
    last, ts = mx.scan(outer, h, xs)
    return last + ts.sum()


def plain_nested(w, xs, h):
    c, total = h, 0
    for x in xs:
        if (x * w).item() > 0:
            t = x * x
            while t.item() < 1.5:
                ys = 0
                for y in xs:
                    ys = ys + c * y
                    c = mx.sin(c * w) + y
                t = t + 0.4 + 0.1 * ys ** 2
        else:
            c, t = c * w, mx.exp(x)
        total = total + t
    return c + total


def checkpointed(w, xs, h):
    return mx.checkpoint(lambda h: mx.scan(mx.checkpoint(lambda h, x: (loop(w, xs, h + x), None)), h, xs)[0])(h)


def plain_checkpointed(w, xs, h):
    for x in xs:
        h = plain_loop(w, xs, h + x)
    return h


PROGRAMS = {p.__name__: (p, q) for p, q in [
    (scan_rnn, plain_rnn), (scan_back, plain_back), (fori, plain_fori), (fori_traced, plain_fori_traced), (loop, plain_loop),
    (newton, plain_newton), (branch, plain_branch), (guarded, plain_guarded), (nested, plain_nested), (checkpointed, plain_checkpointed)]}
ARGS = (array(0.8), array([0.3, -0.7, 0.5]), array(0.4))
LANES = {"w": array([0.8, -1.2, 0.5, 2.3]), "xs": array(np.linspace(-1, 1.1, 12).reshape(4, 3)), "h": array([0.4, -0.3, 1.1, 0.2])}


def grad(f):
    return mx.grad(f, argnums=(0, 1, 2))


def second(f):
    """The gradient of a function of the gradient."""
    return grad(lambda *a: sum((mx.sin(g) * (i + 1)).sum() for i, g in enumerate(grad(f)(*a))))


def push(f):
    return lambda *a: mx.jvp(f, list(a), [mx.ones_like(x) * (0.5 + i) for i, x in enumerate(a)])[1]


TRANSFORMS = {
    "value": lambda f: f,
    "grad": grad,
    "jvp": push,
    "grad grad": second,
    "jvp jvp": lambda f: push(lambda *a: push(f)(*a)[0]),
    "jvp grad": lambda f: push(lambda *a: sum((mx.sin(g) * (i + 1)).sum() for i, g in enumerate(grad(f)(*a)))),
    "grad jvp": lambda f: grad(lambda *a: push(f)(*a)[0]),
    "third": lambda f: grad(lambda *a: sum((g * g).sum() for g in second(f)(*a))),
}


def assert_same(got, wanted, tolerance=1e-8):
    got, wanted = (list(x) if isinstance(x, (list, tuple)) else [x] for x in (got, wanted))
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        a, b = np.array(a), np.array(b)
        assert a.shape == b.shape
        # Newton's iteration stops before its derivatives have all digits.
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_as_in_plain_python(program, transform):
    f, plain = PROGRAMS[program]
    t = TRANSFORMS[transform]
    assert_same(t(f)(*ARGS), t(plain)(*ARGS), 1e-5 if program == "newton" and transform not in ("value", "grad", "jvp") else 1e-8)


@pytest.mark.parametrize("mapped", [m for n in (1, 2, 3) for m in itertools.combinations("w xs h".split(), n)], ids="+".join)
@pytest.mark.parametrize("program", PROGRAMS)
def test_vmap_as_lane_by_lane(program, mapped):
    f, plain = PROGRAMS[program]
    args = [LANES[n] if n in mapped else a for n, a in zip(("w", "xs", "h"), ARGS)]
    lanes = [[a[i] if n in mapped else a for n, a in zip(("w", "xs", "h"), args)] for i in range(4)]
    in_axes = tuple(0 if n in mapped else None for n in ("w", "xs", "h"))

    def batched(t):
        return lambda *a: mx.vmap(t(f), in_axes=in_axes)(*a)

    for name in ("value", "grad", "jvp"):
        t = TRANSFORMS[name]
        wanted = [t(plain)(*lane) for lane in lanes]
        wanted = [mx.stack(list(w)) for w in zip(*wanted)] if isinstance(wanted[0], (list, tuple)) else [mx.stack(wanted)]
        assert_same(batched(t)(*args), wanted)
    # The other way round: the gradient of what the lanes add up to.
    summed = grad(lambda *a: (mx.vmap(f, in_axes=in_axes)(*a) * mx.array([1.0, 2.0, 3.0, 4.0])).sum())(*args)
    wanted = [np.zeros(a.shape) for a in args]
    for i, lane in enumerate(lanes):
        for k, g in enumerate(grad(plain)(*lane)):
            at = (i,) if in_axes[k] == 0 else ...
            wanted[k][at] += (i + 1) * np.array(g)
    assert_same(summed, wanted)


@pytest.mark.parametrize("program", PROGRAMS)
def test_second_order_under_vmap(program):
    f, plain = PROGRAMS[program]
    args = [LANES["w"], ARGS[1], LANES["h"]]
    got = mx.vmap(second(f), in_axes=(0, None, 0))(*args)
    wanted = [second(plain)(w, ARGS[1], h) for w, h in zip(*args[::2])]
    assert_same(got, [mx.stack(list(g)) for g in zip(*wanted)], 1e-5 if program == "newton" else 1e-8)
    # A gradient through the vmap of a gradient.
    outer = mx.grad(lambda w: sum((mx.sin(g) * (i + 1)).sum() for i, g in enumerate(mx.vmap(grad(f), in_axes=(0, None, 0))(w, *args[1:]))))(args[0])
    assert_same(outer, mx.stack([g[0] for g in wanted]), 1e-5 if program == "newton" else 1e-8)


@pytest.mark.parametrize("program", ["scan_rnn", "loop", "branch", "nested"])
def test_vmap_of_vmap(program):
    f, plain = PROGRAMS[program]
    w, h = LANES["w"], array([0.4, -0.3, 1.1])
    got = mx.vmap(lambda w: mx.vmap(lambda h: grad(f)(w, ARGS[1], h))(h))(w)
    wanted = [[grad(plain)(a, ARGS[1], b) for b in h] for a in w]
    for k in range(3):
        assert_same(got[k], mx.stack([mx.stack([row[k] for row in rows]) for rows in wanted]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives_by_finite_differences(program):
    f, _ = PROGRAMS[program]
    rng = np.random.default_rng(0)
    tangents = [differences.direction(rng, a) for a in ARGS]
    slope = differences.central(lambda *a: [f(*a)], ARGS, tangents)[0]
    assert mx.jvp(f, list(ARGS), tangents)[1][0].item() == pytest.approx(float(slope), rel=1e-6)
    assert sum((g * t).sum() for g, t in zip(grad(f)(*ARGS), tangents)).item() == pytest.approx(float(slope), rel=1e-6)
    slope = differences.central(lambda *a: list(grad(f)(*a)), ARGS, tangents)
    pushed = mx.jvp(lambda *a: list(grad(f)(*a)), list(ARGS), tangents)[1]
    for a, b in zip(pushed, slope):
        np.testing.assert_allclose(np.array(a), b, rtol=1e-5, atol=1e-6)


# --- dtypes, symbolic zeros ---


def test_only_inexact_arrays_have_derivatives():
    def f(x):
        (y, n), ks = mx.scan(lambda c, k: ((c[0] * (c[1] + k), c[1] + 1), c[1]), (x, 1), mx.array([2, 3]))
        z, k = mx.cond(n > 2, lambda: (y * k0, n), lambda: (y, n))
        return z * k + ks.sum()

    k0 = mx.array(2)
    assert mx.grad(f)(mx.array(1.5)).item() == 3 * 5 * 2 * 3
    assert mx.jvp(f, [mx.array(1.5)], [mx.array(1.0)])[1][0].item() == 90.0


def test_complex_state():
    def f(z):
        return mx.abs(mx.fori_loop(0, 3, lambda i, z: z * z + (0.1 + 0.2j), z))

    def plain(z):
        for _ in range(3):
            z = z * z + (0.1 + 0.2j)
        return mx.abs(z)

    z = mx.array(0.3 - 0.4j)
    assert mx.grad(f)(z).item() == pytest.approx(mx.grad(plain)(z).item(), rel=1e-5)


def test_unused_and_untouched_parts_of_the_state():
    def f(x, unused):
        s, _ = mx.scan(lambda s, _: ({"x": s["x"] * 2, "kept": s["kept"], "other": s["other"] + 1}, None),
                       {"x": x, "kept": x * 3, "other": unused}, length=3)
        return s["x"] + s["kept"]

    assert [g.item() for g in mx.grad(f, argnums=(0, 1))(mx.array(1.0), mx.array(1.0))] == [11.0, 0.0]


def test_captured_arrays_are_differentiated_and_batched():
    def total(w):
        a = mx.scan(lambda c, _: (c * w, None), mx.array(1.0), length=3)[0]
        b = mx.cond(True, lambda: w * w, lambda: w)
        c = mx.while_loop(lambda s: s < 10, lambda s: s * w, mx.array(1.0))
        return a + b + c

    w = mx.array([2.0, 3.0, 5.0])
    wanted = [3 * v * v + 2 * v + n * v ** (n - 1) for v, n in zip([2, 3, 5], [4, 3, 2])]
    assert mx.vmap(mx.grad(total))(w).tolist() == wanted
    assert mx.grad(lambda w: mx.vmap(total)(w).sum())(w).tolist() == wanted


# --- lanes that have ended, lanes that take the other branch ---


def test_a_lane_that_has_ended_is_frozen():
    # Every further iteration would divide by zero, and then be NaN.
    def f(n, x):
        return mx.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, s[1] / s[0].astype(F64)), (n, x))[1]

    n, x = mx.array([0, 1, 5, 3]), array([1.0, 2.0, 3.0, 4.0])
    factor = np.array([1 / math.factorial(k) for k in n.tolist()])
    assert_same(mx.vmap(f)(n, x), np.array(x) * factor)
    assert_same(mx.vmap(mx.grad(f, argnums=1))(n, x), factor)
    assert_same(mx.grad(lambda x: mx.vmap(f)(n, x).sum())(x), factor)
    assert_same(mx.jvp(lambda x: mx.vmap(f)(n, x), [x], [x])[1][0], np.array(x) * factor)
    assert_same(mx.vmap(lambda n: mx.jvp(lambda x: f(n, x), [x[1]], [x[0]])[1][0])(n), factor)


def test_frozen_lanes_have_no_nan_in_gradients_of_matrix_products():
    # 0 * inf inside a matrix product is not masked by where: the frozen lane must not get there at all.
    def f(n, v):
        def body(s):
            n, v = s
            return n - 1, mx.array([[1.0, 0.5], [0.0, 1.0]], F64) @ (v / n.astype(F64))
        return mx.while_loop(lambda s: s[0] > 0, body, (n, v))[1].sum()

    n, v = mx.array([1, 4, 2]), array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    alone = mx.stack([mx.grad(f, argnums=1)(k, u) for k, u in zip(n, v)])
    assert np.isfinite(np.array(alone)).all()
    assert_same(mx.vmap(mx.grad(f, argnums=1))(n, v), alone)
    assert_same(mx.grad(lambda v: mx.vmap(f)(n, v).sum())(v), alone)


def branches_run(f):
    before = mx._control_flow_stats()
    mx.eval(f())
    after = mx._control_flow_stats()
    return tuple(after[k] - before[k] for k in ("true_branches", "false_branches"))


def test_under_vmap_only_the_branches_that_some_lane_takes_are_evaluated():
    table, far = array([1.0, 2.0, 3.0]), mx.array([99, 100])
    f = lambda p, i: mx.cond(p, lambda i: table[i], lambda i: i.astype(F64), i)
    with pytest.raises(IndexError):
        mx.eval(table[far])
    assert mx.vmap(f)(mx.array([False, False]), far).tolist() == [99.0, 100.0]
    with pytest.raises(IndexError):
        mx.eval(mx.vmap(f)(mx.array([False, True]), far))
    # A lane that does not take the branch does not bring its index there.
    assert mx.vmap(f)(mx.array([False, True, True]), mx.array([99, 1, 2])).tolist() == [99.0, 2.0, 3.0]
    x = array([1.0, 2.0])
    g = lambda x: mx.cond(x > 0, mx.sin, mx.cos, x)
    # One node for each branch, which is the true one if some lane takes it.
    assert branches_run(lambda: mx.vmap(g)(x)) == (1, 1)
    assert branches_run(lambda: mx.vmap(g)(x - 1.5)) == (2, 0)


def test_a_lane_that_does_not_take_a_branch_spoils_nothing_there():
    def f(x):
        return mx.cond(x > 0, lambda x: mx.sqrt(x) + mx.log(x), lambda x: mx.sqrt(-x), x)

    x = array([4.0, -4.0, 0.25, -1e-300])
    alone = [[t(f)(v) for v in x] for t in (lambda f: f, mx.grad, lambda f: mx.grad(mx.grad(f)))]
    assert_same(mx.vmap(f)(x), mx.stack(alone[0]))
    assert_same(mx.vmap(mx.grad(f))(x), mx.stack(alone[1]))
    assert_same(mx.grad(lambda x: mx.vmap(f)(x).sum())(x), mx.stack(alone[1]))
    assert_same(mx.vmap(mx.grad(mx.grad(f)))(x[:3]), mx.stack(alone[2][:3]))


def test_a_loop_in_a_branch_that_would_not_end_for_other_lanes():
    # Halving ends for positive numbers; negative ones would be doubled for ever.
    def halvings(x):
        return mx.while_loop(lambda s: (s[0] > 1) | (s[0] < 0), lambda s: (mx.where(s[0] > 0, s[0] / 2, s[0] * 2), s[1] + 1), (x, 0))[1]

    f = lambda x: mx.cond(x > 0, halvings, lambda x: mx.array(-1), x)
    assert mx.vmap(f)(array([8.0, -3.0, 5.0])).tolist() == [3, -1, 3]


@pytest.mark.parametrize("lanes", [0, 1])
def test_few_lanes(lanes):
    x = mx.ones((lanes,))
    assert mx.vmap(lambda x: mx.cond(x > 0, mx.sin, mx.cos, x))(x).shape == (lanes,)
    assert mx.vmap(mx.grad(lambda x: mx.while_loop(lambda s: s < 9, lambda s: s * 2, x)))(x).shape == (lanes,)
    assert mx.vmap(lambda x: mx.scan(lambda c, _: (c * x, c), x, length=3)[1])(x).shape == (lanes, 3)


def test_mapped_axes_anywhere():
    xs = mx.random.normal((3, 4, 5))
    f = lambda c, xs: mx.scan(lambda c, x: (c + x, c * x), c, xs)
    last, ys = mx.vmap(f, in_axes=(None, 1), out_axes=(1, 2))(mx.zeros(5), xs)
    assert last.shape == (5, 4) and ys.shape == (3, 5, 4)
    for i in range(4):
        alone = f(mx.zeros(5), xs[:, i])
        assert_same([last[:, i], ys[..., i]], list(alone), 1e-6)


def test_what_is_the_same_in_every_lane_stays_so():
    (n, s), ys = mx.vmap(lambda x: mx.scan(lambda c, _: ((c[0] + 1, c[1] * x), c[0]), (0, x), length=3),
                         out_axes=((None, 0), None))(mx.array([1.0, 2.0]))
    assert n.item() == 3 and ys.tolist() == [0, 1, 2] and s.tolist() == [1.0, 16.0]
    n, s = mx.vmap(lambda x: mx.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), (0, x)), out_axes=(None, 0))(mx.array([1.0, 2.0]))
    assert n.item() == 3 and s.tolist() == [1.0, 16.0]


# --- memory and work of the reverse mode ---


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 1000, 3000])
def test_reverse_of_a_while_loop_in_logarithmic_memory(n):
    def f(x, n):
        return mx.while_loop(lambda s: s[1] < n, lambda s: (mx.sin(s[0]) + 0.5, s[1] + 1), (x, 0))[0]

    x = mx.array(0.5, F64)
    got = mx.grad(f)(x, n).item()
    counts = mx._control_flow_stats()
    value, slope = 0.5, 1.0
    for _ in range(n):
        slope *= math.cos(value)
        value = math.sin(value) + 0.5
    assert got == pytest.approx(slope, rel=1e-9, abs=1e-300)
    log = math.ceil(math.log2(n + 2))
    assert counts["stored_carries"] <= 2 * log + 2
    assert counts["body_evaluations"] <= n * (log + 1)


def test_memory_of_the_reverse_mode_as_allocated():
    size, n = 100_000, 400
    x = mx.full((size,), 0.5)

    def f(x):
        return mx.while_loop(lambda s: s[1] < n, lambda s: (mx.sin(s[0]) + 0.5, s[1] + 1), (x, 0))[0].sum()

    mx.eval(mx.grad(f)(x))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(f)(x))
    assert mx.get_peak_memory() - before < 40 * size * 4


def test_work_of_second_order():
    def f(x, n):
        return mx.while_loop(lambda s: s[1] < n, lambda s: (mx.sin(s[0]) + 0.5, s[1] + 1), (x, 0))[0]

    n = 200
    mx.eval(mx.grad(mx.grad(f))(mx.array(0.5), n))
    counts, log = mx._control_flow_stats(), math.ceil(math.log2(n))
    assert counts["stored_carries"] <= 3 * (2 * log + 2)
    assert counts["body_evaluations"] <= 2 * n * log * log


def test_a_scan_in_a_scan_saves_only_while_a_reverse_mode_is_open():
    # Forward mode of a long scan keeps nothing of its iterations.
    x = mx.ones((1000,))
    f = lambda x: mx.scan(lambda c, _: (c * 0.99 + x, None), x, length=2000)[0]
    mx.eval(*mx.jvp(f, [x], [x])[1])
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(*mx.jvp(f, [x], [x])[1])
    assert mx.get_peak_memory() - before < 50 * x.nbytes


def test_gradients_of_constants_are_summed_without_being_kept():
    w = mx.random.normal((200, 200)) * 0.05
    xs = mx.random.normal((500, 200))
    f = lambda w: mx.scan(lambda h, x: (mx.tanh(w @ h + x), None), mx.zeros(200), xs)[0].sum()
    mx.eval(mx.grad(f)(w))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(f)(w))
    assert mx.get_peak_memory() - before < 20 * w.nbytes
    h = lambda w: (mx.grad(f)(w) * w).sum()
    mx.eval(mx.grad(h)(w))
    mx.reset_peak_memory()
    mx.eval(mx.grad(h)(w))
    assert mx.get_peak_memory() - before < 40 * w.nbytes


def test_what_a_body_passes_on_as_it_is_is_kept_once():
    w, xs = mx.random.normal((200, 200)) * 0.05, mx.random.normal((300, 200))

    def f(w):
        (v, h), _ = mx.scan(lambda s, x: ((s[0], mx.tanh(s[0] @ s[1] + x)), None), (w, mx.zeros(200)), xs)
        n, v, h = mx.while_loop(lambda s: s[0] < 300, lambda s: (s[0] + 1, s[1], mx.tanh(s[1] @ s[2])), (0, v, h))
        return h.sum() + v[0, 0]

    mx.eval(mx.grad(f)(w))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    g = mx.grad(f)(w)
    mx.eval(g)
    assert mx.get_peak_memory() - before < 20 * w.nbytes
    padded = mx.concatenate([xs, mx.zeros((300, 200))])
    plain = mx.grad(lambda w: mx.scan(lambda h, x: (mx.tanh(w @ h + x), None), mx.zeros(200), padded)[0].sum() + w[0, 0])
    assert mx.allclose(g, plain(w), rtol=1e-4, atol=1e-5)
    assert mx.scan(lambda c, x: (c, x), (mx.array(1.0), 2), mx.array([3]))[0][1].item() == 2
    assert mx.while_loop(lambda s: False, lambda s: s, (mx.array(1.0), 2))[1].item() == 2


def test_values_are_the_same_bits_as_in_plain_python():
    for name in ("scan_rnn", "fori", "branch"):
        f, plain = PROGRAMS[name]
        assert arrays.to_np(f(*ARGS)).tobytes() == arrays.to_np(plain(*ARGS)).tobytes()


def test_custom_rules_in_a_body_may_use_its_arrays():
    def body(c, x):
        @mx.custom_function
        def scaled(y):
            return y * c

        @scaled.vjp
        def _(y, cotangent, output):
            return 10 * cotangent * c  # ten times too much, to be recognised

        return mx.cond(x > 0, lambda: scaled(x) + c, lambda: c), None

    xs, c = mx.array([1.0, -2.0, 3.0]), mx.array(1.0)
    f = lambda xs: mx.scan(body, c, xs)[0]
    assert f(xs).item() == 8.0
    assert mx.grad(f)(xs).tolist() == [10.0 * 4, 0.0, 10.0 * 2]
    assert mx.vmap(mx.grad(f))(mx.stack([xs, -xs])).tolist() == [[40.0, 0.0, 20.0], [0.0, 10.0, 0.0]]
    assert mx.grad(lambda c: mx.scan(body, c, xs)[0])(c).item() == 8.0
