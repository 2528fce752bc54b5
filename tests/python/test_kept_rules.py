"""Derivatives of loops that are called again and again: bodies run no more, rules are recorded once, and the bits are those
of the first call, whatever has changed around them."""

import gc
import itertools

import mlx.core as mx
import numpy as np
import pytest

runs = []
rate = 0.5


def scanned(x, w):
    def step(carry, t):
        runs.append(1)
        return carry * w + mx.sin(carry) * t * rate, carry / w

    carry, ys = mx.scan(step, x, mx.array([0.5, 1.5, -0.25, 2.0]))
    return carry.sum() + (ys * ys).sum()


def repeated(x, w):
    def body(i, c):
        runs.append(1)
        return mx.tanh(c * w + x * rate) + 1 / (1 + mx.exp(-c)) / w

    return mx.fori_loop(0, 4, body, x).sum()


def grown(x, w):
    def goes_on(state):
        runs.append(1)
        return mx.sum(mx.abs(state)) < 50

    def body(state):
        runs.append(1)
        return state * (1.5 + w * w) + rate * mx.log(1 + mx.exp(state))

    return mx.while_loop(goes_on, body, x).sum()


def nested(x, w):
    def step(carry, t):
        runs.append(1)
        inner = mx.fori_loop(0, 2, lambda i, c: c * w + mx.sin(c) * t * rate, carry)
        return inner, (inner * carry).sum()

    return mx.scan(step, x, mx.array([0.5, 1.5, -0.25]))[1].sum()


LOOPS = {"scan": scanned, "fori_loop": repeated, "while_loop": grown, "nested": nested}

TRANSFORMS = {
    "grad": lambda f: mx.grad(f, argnums=(0, 1)),
    "grad of one": lambda f: mx.grad(f, argnums=1),
    "value_and_grad": lambda f: mx.value_and_grad(f),
    "jvp": lambda f: lambda x, w: mx.jvp(f, [x, w], [mx.ones_like(x), w * 0.5]),
    "vjp": lambda f: lambda x, w: mx.vjp(f, [x, w], [mx.array(0.5)]),
    "second derivative": lambda f: mx.grad(lambda x, w: mx.sum(mx.grad(f)(x, w) ** 2), argnums=(0, 1)),
    "forward over reverse": lambda f: lambda x, w: mx.jvp(mx.grad(f), [x, w], [mx.ones_like(x), mx.zeros_like(w)]),
    "per example": lambda f: lambda x, w: mx.vmap(mx.grad(f), in_axes=(0, None))(mx.stack([x, x * 2]), w),
    "of compiled": lambda f: mx.grad(mx.compile(f)),
}

# What a body finds around it: a leaf, something to be computed, a view, numbers that are the same or others each time.
AROUND = {
    "leaf": lambda n: mx.array([1.25, 0.75 + n / 8]),
    "reciprocal": lambda n: 1 / mx.array([1.25, 0.5 + n / 8]),
    "reciprocal of another shape": lambda n: 1 / mx.array(1.25 + n / 8),
    "view": lambda n: mx.array([[1.25, 0.5], [0.75 + n / 8, 1.0]])[:, 0],
    "repeated": lambda n: mx.broadcast_to(mx.array(1.0 + n // 2), (2,)),
    "ones": lambda n: mx.ones((2,)),
    "scalar": lambda n: mx.array(1.0 + n % 2 / 2),
    "evaluated": lambda n: mx.exp(mx.array([0.25, n / 16])),
}


def bits(result):
    leaves = []

    def collect(tree):
        if isinstance(tree, (tuple, list)):
            for each in tree:
                collect(each)
        else:
            leaves.append(np.array(tree).tobytes())

    collect(result)
    return leaves


@pytest.mark.parametrize(("loop", "transform"), list(itertools.product(LOOPS, TRANSFORMS)))
def test_bits_of_the_first_call(loop, transform):
    """Each call against one of which nothing is kept."""
    global rate
    for around, make in AROUND.items():
        f = TRANSFORMS[transform](LOOPS[loop])
        for n in range(7):
            rate = 0.5 if n < 4 else 0.75
            w = make(n)
            if around == "evaluated":
                mx.eval(w)
            x = mx.array([0.5, 1.0 + n])
            got = bits(f(x, w))
            mx.disable_compile()
            try:
                assert got == bits(TRANSFORMS[transform](LOOPS[loop])(x, w)), (around, n)
            finally:
                mx.enable_compile()
    rate = 0.5


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jvp", "vjp", "second derivative", "forward over reverse"])
def test_bodies_run_no_more(loop, transform):
    f = TRANSFORMS[transform](LOOPS[loop])
    counts = []
    for n in range(6):
        runs.clear()
        mx.eval(f(mx.array([0.5, 1.0 + n]), mx.array([1.25, 0.75])))
        counts.append(len(runs))
    assert counts[3:] == [0, 0, 0]


def test_a_rule_of_the_users_is_asked_each_time():
    asked, scale = [], 1.0

    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f_vjp(primal, cotangent, output):
        asked.append(1)
        return cotangent * scale

    def loss(x):
        return mx.scan(lambda c, _: (f(c), None), x, None, length=2)[0].sum()

    for n in range(1, 7):
        scale = float(n)
        assert mx.grad(loss)(mx.array(1.0)).item() == n * n
    assert asked


def with_rules(kinds, rule):
    f = mx.custom_function(lambda x: mx.sin(x))
    for kind in kinds:
        getattr(f, kind)(rule)
    return f


def test_functions_that_differ_in_which_rules_they_have():
    """Their bodies are of the same code, and so are the rules."""
    slope = lambda *args: mx.cos(args[0]) * args[1] * 10  # noqa: E731
    x = mx.array([0.3, 0.7])

    def loss(f):
        return lambda x: mx.fori_loop(0, 2, lambda i, c: f(c) * 0.5, x).sum()

    orders = [("vjp",), ("jvp",), ("vjp", "jvp"), (), ("vjp",), (), ("jvp",), ("vjp", "jvp")]
    got = [(mx.grad(loss(f))(x).tolist(), mx.jvp(loss(f), [x], [x])[1][0].item()) for f in (with_rules(k, slope) for k in orders)]
    mx.disable_compile()
    try:
        assert got == [(mx.grad(loss(f))(x).tolist(), mx.jvp(loss(f), [x], [x])[1][0].item())
                       for f in (with_rules(k, slope) for k in orders)]  # fmt: skip
    finally:
        mx.enable_compile()


def test_rules_that_a_recorded_function_gets_later():
    f = with_rules((), None)
    compiled = mx.compile(lambda x: f(x).sum())
    looped = lambda x: mx.scan(lambda c, _: (f(c), None), x, None, length=1)[0].sum()  # noqa: E731
    x = mx.array([0.3, 0.7])
    for _ in range(4):
        assert mx.grad(compiled)(x).tolist() == mx.grad(looped)(x).tolist() == mx.cos(x).tolist()
    f.vjp(lambda x, cotangent, out: cotangent * 3)
    for _ in range(3):
        assert mx.grad(compiled)(x).tolist() == mx.grad(looped)(x).tolist() == [3, 3]
    f.jvp(lambda x, tangent: tangent * 5)
    for _ in range(3):
        assert mx.jvp(compiled, [x], [mx.ones_like(x)])[1][0].item() == 10
        assert mx.jvp(looped, [x], [mx.ones_like(x)])[1][0].item() == 10


def test_a_value_that_the_body_reads_is_that_of_the_call():
    def loss(x, w):
        return mx.fori_loop(0, 2, lambda i, c: c * (3.0 if w.item() > 0 else 5.0), x).sum()

    for value in (1.0, 1.0, -1.0, -1.0, 1.0, 2.0, 1.0, -2.0, 3.0, -1.0, 1.0, -1.0):
        assert mx.grad(loss)(mx.array(1.0), mx.array(value)).item() == (9 if value > 0 else 25)


def test_nothing_around_them_is_kept():
    def loss(x, big):
        return mx.scan(lambda c, _: (c * big.sum(), c * big[0]), x, None, length=3)[1].sum()

    def run():
        mx.eval(mx.grad(loss, argnums=(0, 1))(mx.array(0.5), mx.ones((1 << 20,)) / (1 << 20)))

    gc.collect()
    first = mx.get_active_memory()  # what other tests have left
    for _ in range(5):
        run()
    gc.collect()
    before = mx.get_active_memory()
    assert before - first < 1 << 22
    for _ in range(5):
        run()
    gc.collect()
    assert mx.get_active_memory() <= before


def test_in_place_changes_within_a_derivative():
    def loss(x):
        total = mx.zeros_like(x)
        state = [total]

        def body(i, c):
            nonlocal total
            total = total + c
            state[0] += c * x
            return c * x

        last = mx.fori_loop(0, 3, body, mx.ones_like(x))
        return (last + total + state[0]).sum()

    for n in range(1, 7):
        x = float(n)
        # x^3, and twice over: 1 + x + x^2 beside x + x^2 + x^3.
        expected = 3 * x**2 + (1 + 2 * x) + (1 + 2 * x + 3 * x**2)
        assert mx.grad(loss)(mx.array(x)).item() == expected


def test_draws_go_on():
    def loss(x):
        return mx.scan(lambda c, _: (c * mx.random.uniform(), c), x, None, length=3)[1].sum()

    def calls():
        mx.random.seed(3)
        return [mx.grad(loss)(mx.array(2.0)).item() for _ in range(6)]

    got = calls()
    mx.disable_compile()
    try:
        assert got == calls()
    finally:
        mx.enable_compile()
    assert len(set(got)) == 6


def test_loops_keep_what_backward_needs_when_they_were_recorded_forward(tmp_path):
    """A compiled function whose first calls no derivative was asked of: a scan within does not run its body once more."""
    f = mx.compile(lambda x: mx.scan(lambda c, _: (mx.sin(c) * 1.5, None), x, None, length=50)[0].sum())
    x = mx.array([0.5, 1.0])
    for _ in range(3):
        f(x).item()
    value, grads = mx.value_and_grad(f)(x)
    mx.export_to_dot(str(tmp_path / "graph.dot"), value, grads)
    assert (tmp_path / "graph.dot").read_text().count("ScanLoop") == 2
    mx.eval(value, grads)
    mx.disable_compile()
    try:
        assert bits(mx.value_and_grad(lambda x: f(x))(x)) == bits((value, grads))
    finally:
        mx.enable_compile()
