"""Loops whose bodies are run as lists of kernel calls have the bits of those that are evaluated step by step, as under a profile."""

import random

import mlx.core as mx
import numpy as np
import pytest

SHAPES = [(), (1,), (5,), (3, 5), (2, 3, 5), (3, 1)]
LENGTH = 20


def draw(rng, shape, dtype):
    values = np.array(rng.choices([-1.5, -0.3, 0.0, 0.25, 0.7, 2.0], k=int(np.prod(shape))), "f8").reshape(shape)
    return mx.array(values + 0.01 * rng.random()).astype(dtype)


def laid_out(rng, a):
    """The same values, lying otherwise; or the first of them again and again."""
    if a.ndim and rng.random() < 0.2:
        return mx.broadcast_to(a[:1], a.shape)
    if a.ndim < 2 or rng.random() < 0.5:
        return a
    return mx.contiguous(a.swapaxes(-1, -2)).swapaxes(-1, -2) if rng.random() < 0.5 else mx.repeat(a, 2, axis=-1)[..., ::2]


def unary(rng, a):
    k = rng.randrange(10)
    if k < 4:
        return [mx.sin, mx.tanh, mx.abs, lambda a: a * 0.75][k](a)
    if k == 4 and a.ndim:
        return mx.sum(a, axis=rng.randrange(a.ndim), keepdims=rng.random() < 0.5)
    if k == 5:
        return mx.mean(a, keepdims=rng.random() < 0.5)
    if k == 6 and a.ndim > 1:
        return a.swapaxes(-1, -2)
    if k == 7:
        return a.reshape(-1)
    if k == 9:  # branches on few values are both computed
        return mx.cond(mx.sum(a.real) > 0.1, lambda a: mx.tanh(a) * 0.5, lambda a: mx.zeros_like(a) + mx.mean(a), a)
    return mx.broadcast_to(a, (2, *a.shape)) if a.ndim < 3 else mx.where(mx.abs(a) > 0.5, a, a * 0.1)


def combined(rng, a, b):
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] and rng.random() < 0.5:
        return a @ b
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return mx.sum(a) - b
    return rng.choice([mx.add, mx.multiply, mx.subtract, mx.divide if a.dtype == mx.float64 else mx.add])(a, b)


def to_shape(a, shape):
    """a as an array of this shape, by sums and broadcasts."""
    try:
        return mx.broadcast_to(a, shape)
    except ValueError:
        return mx.broadcast_to(mx.mean(a), shape)


def loop(seed, dtype):
    rng = random.Random(seed)
    carry = [draw(rng, rng.choice(SHAPES), dtype) for _ in range(rng.randrange(1, 4))]
    xs = [laid_out(rng, draw(rng, (LENGTH, *rng.choice(SHAPES)), dtype)) for _ in range(rng.randrange(3))]
    constants = [laid_out(rng, draw(rng, rng.choice(SHAPES), dtype)) for _ in range(rng.randrange(3))]
    swaps, reverse, steps = rng.random() < 0.2, rng.random() < 0.5, rng.randrange(1, 6)
    body_seed = rng.random()

    def run(carry, xs, constants):
        def body(c, x):
            rng = random.Random(body_seed)
            values = [*c, *(x if xs else []), *constants]
            for _ in range(steps):
                a, b = rng.choice(values), rng.choice(values)
                values.append(unary(rng, a) if rng.random() < 0.5 else combined(rng, a, b))
            new = [mx.tanh(to_shape(rng.choice(values), a.shape) + 0.3 * a) if rng.random() < 0.8
                   else to_shape(rng.choice(values), a.shape).astype(dtype) for a in c]
            if swaps and len(c) > 1 and c[0].shape == c[1].shape:
                new[:2] = c[1], c[0]
            return new, [values[-1], rng.choice(values)]

        last, ys = mx.scan(body, carry, xs if xs else None, length=LENGTH, reverse=reverse)
        return [*last, *ys]

    return run, carry, xs, constants


def leaves(tree):
    return [tree] if isinstance(tree, mx.array) else [leaf for t in tree or [] for leaf in leaves(t)]


def bits(arrays):
    mx.eval(arrays)
    return [(a.shape, str(a.dtype), np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a).tobytes()) for a in arrays]


def total(f):
    return lambda *args: sum(mx.sum(y * (k + 1)) for k, y in enumerate(f(*args)))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.complex64], ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_same_bits_as_step_by_step(seed, dtype):
    run, carry, xs, constants = loop(seed, dtype)
    transformed = {
        "plain": lambda: run(carry, xs, constants),
        "grad": lambda: mx.grad(lambda c, x, k: total(run)(c, x, k).real.astype(mx.float32), argnums=(0, 1, 2))(carry, xs, constants),
        "vmap": lambda: mx.vmap(lambda c: run(c, xs, constants))([mx.stack([a, a * 2]) for a in carry]),
        "jvp": lambda: mx.jvp(lambda c: run(c, xs, constants), [carry], [carry])[1],
    }
    for name, f in transformed.items():
        with mx.profile():
            expected = bits(leaves(f()))
        assert bits(leaves(f())) == expected, name


def called(f):
    before = mx._control_flow_stats()["called_iterations"]
    mx.eval(f())
    return mx._control_flow_stats()["called_iterations"] - before


def test_most_bodies_of_the_programs_above_are_lists_of_calls():
    runs = [called(lambda: run(*args)) for run, *args in (loop(seed, mx.float32) for seed in range(60))]
    assert sum(n == LENGTH for n in runs) > 45, runs


@pytest.mark.parametrize("reverse", [False, True])
def test_many_iterations_over_what_lies_otherwise(reverse):
    rng = np.random.default_rng(1)
    for n in (16, 1023, 1024, 1025, 3000):
        xs = mx.array(rng.standard_normal((n, 3, 5)).astype("f4"))
        for x in (xs, mx.contiguous(xs.swapaxes(0, 1)).swapaxes(0, 1), mx.repeat(xs, 2, axis=2)[..., ::2], xs[::-1],
                  mx.broadcast_to(xs[:1, :, :1], xs.shape), mx.contiguous(xs.T).T):
            f = lambda x: mx.scan(lambda c, x: (c * 0.5 + x, (c, mx.sum(x, axis=0))), xs[0], x, reverse=reverse)
            got, dense = bits(leaves(f(x))), bits(leaves(f(mx.array(np.array(x)))))
            assert got == dense
            with mx.profile():
                assert bits(leaves(f(x))) == got


def test_carries_that_move_on():
    x = tuple(mx.array([float(i), -0.5 * i]) for i in range(4))
    f = lambda x: mx.scan(lambda c, _: ((c[1], c[2], c[3], c[0] * 0.9 + c[1]), (c[0], c[3])), x, None, length=50)
    g = lambda x: mx.scan(lambda c, _: ((c[1], c[0], c[0], c[3][::-1]), c[2]), x, None, length=51)
    h = mx.grad(lambda x: sum(mx.sum(a * a) for a in leaves(f(x)) + leaves(g(x))))
    for k in (f, g, h):
        with mx.profile():
            expected = bits(leaves(k(x)))
        assert bits(leaves(k(x))) == expected
    assert called(lambda: leaves(f(x))) == 50


def test_carries_that_are_parts_of_something_larger():
    def body(i, s):
        a, b = s
        t = mx.broadcast_to(a, (1000, 2)) * 0.5 + b[0]
        return t[0], b * 0.9 + t[999, 0] * 0.01

    def parts(i, s):
        t = mx.concatenate([s[1], s[0]]) * 0.5
        return t[:3], t[3:]

    for f, x in ((body, (mx.array([1.0, 2.0]), mx.full((40,), 0.3))), (parts, (mx.arange(3.0), mx.arange(300.0)))):
        with mx.profile():
            expected = bits(leaves(mx.fori_loop(0, 41, f, x)))
        assert bits(leaves(mx.fori_loop(0, 41, f, x))) == expected


def test_branches_in_bodies():
    rng = np.random.default_rng(2)
    xs, h = mx.array(rng.standard_normal((200, 4)).astype("f4")), mx.array(rng.standard_normal(4).astype("f4"))

    def body(c, x):
        inner = lambda c, x: mx.cond(c[0] > 0, lambda a, b: a - b, lambda a, b: b * 0.1, c, x)
        new, flag = mx.cond(mx.sum(x) > 0, lambda c, x: (mx.tanh(c * x), mx.array(1)), lambda c, x: (inner(c, x), mx.array(0)), c, x)
        return new, (mx.where(flag == 1, mx.sqrt(x), x), flag)

    f = lambda h, xs: mx.scan(body, h, xs)
    g = mx.grad(lambda h, xs: mx.sum(f(h, xs)[0]), argnums=(0, 1))
    for k in (f, g, mx.compile(f), mx.compile(g)):
        with mx.profile():
            expected = bits(leaves(k(h, xs)))
        assert bits(leaves(k(h, xs))) == expected
        assert called(lambda: leaves(k(h, xs))) >= 200
    # where a branch computes much, or may fail, only the one that is taken is computed
    many = mx.zeros((60, 60))
    sweep = lambda c: mx.fori_loop(0, 30, lambda i, c: mx.cond(i > 20, lambda c: mx.sin(c) + i, lambda c: c, c), c)
    before = mx._control_flow_stats()
    assert called(lambda: sweep(many)) == 30
    after = mx._control_flow_stats()
    assert [after[name] - before[name] for name in ("true_branches", "false_branches")] == [9, 21]
    assert called(lambda: sweep(many[0])) == 30
    assert mx._control_flow_stats()["true_branches"] == after["true_branches"]


def test_while_loop():
    def f(x, limit):
        return mx.while_loop(lambda s: s[1] < limit, lambda s: (mx.sin(s[0]) * 0.9 + x, s[1] + 1), (x, mx.array(0)))

    x, limit = mx.array([0.1, 0.2, 0.3]), mx.array(100)
    with mx.profile():
        expected = bits(f(x, limit))
    assert bits(f(x, limit)) == expected
    assert called(lambda: f(x, limit)) > 80
    assert f(x, mx.array(0))[1].item() == 0


def test_what_cannot_be_a_list_of_calls_is_evaluated():
    x = mx.arange(6.0)
    many = mx.zeros((100_000,))
    assert called(lambda: mx.fori_loop(0, 30, lambda i, c: c + i, many)) == 0
    assert called(lambda: mx.fori_loop(0, 30, lambda i, c: c + i, x)) == 30


TABLE = np.random.default_rng(3).standard_normal((120, 50)).astype("f4")  # more than is copied
APPLIED = {
    "gather": lambda i, c: c + mx.array(TABLE)[i % 120, :4],
    "gather by values": lambda i, c: c * 0.5 + mx.take(mx.array(TABLE).T, mx.argsort(c), axis=0)[:, i % 100],
    "scatter": lambda i, c: c.at[i % 4].add(mx.sin(c[1])) * 0.9,
    "set": lambda i, c: mx.slice_update(c, mx.mean(c, keepdims=True), i % 4, (0,)),
    "sort": lambda i, c: mx.sort(-c) * 0.9 + mx.cumsum(c) * 0.01,
    "extremes": lambda i, c: c * 0.5 + mx.argmax(c) + mx.topk(c, 2)[0],
    "random": lambda i, c: c * 0.5 + mx.random.normal((4,)),
    "linear algebra": lambda i, c: mx.linalg.inv(mx.eye(4) * 3 + c[:, None] * c) @ (c + 1),
    "system": lambda i, c: mx.linalg.solve(mx.eye(4) * 3 + c[:, None] * c, c + 1),
    "factors": lambda i, c: sum(f @ c for f in mx.linalg.qr(mx.eye(4) * 3 + c[:, None] * c)) * 0.1,
    "spectrum": lambda i, c: mx.linalg.eigh(c[:, None] * c)[0] + mx.linalg.svd(mx.eye(4) + c[:, None] * c)[1] * 0.1,
    "transform": lambda i, c: mx.fft.irfft(mx.fft.rfft(c) * 0.9, 4),
    "convolution": lambda i, c: mx.convolve(c, c[:3] * 0.1, mode="same") + 1,
    "table": lambda i, c: c * 0.5 + mx.sum(mx.array(TABLE) @ mx.repeat(c, 13)[:50], keepdims=True) * 0.001,
    "flipped table": lambda i, c: c * 0.5 + (mx.repeat(c, 30) @ mx.array(TABLE)[:, ::-1])[3:7] * 0.01,
}


@pytest.mark.parametrize("name", APPLIED)
def test_any_primitive_in_a_list_of_calls(name):
    x = mx.array([0.3, -0.7, 1.1, 0.2])

    def f(x):
        mx.random.seed(7)
        return mx.fori_loop(0, 41, APPLIED[name], x)

    def g(x):
        mx.random.seed(7)
        return mx.scan(lambda c, i: (APPLIED[name](i, c), c), x, mx.arange(41), reverse=True)

    def h(x):
        mx.random.seed(7)
        return mx.while_loop(lambda s: s[0] < 41, lambda s: (s[0] + 1, APPLIED[name](*s)), (mx.array(0), x))

    for loop in (f, g, h, mx.compile(f), lambda x: mx.vmap(f)(mx.stack([x, -x]))):
        with mx.profile():
            expected = bits(leaves(loop(x)))
        assert bits(leaves(loop(x))) == expected
    assert called(lambda: leaves(f(x))) == 41
    if name not in ("sort", "linear algebra"):
        d = mx.grad(lambda x: mx.sum(f(x) ** 2))
        with mx.profile():
            expected = bits([d(x)])
        assert bits([d(x)]) == expected


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inner", [1, 3, 60])
def test_scans_in_bodies(inner, reverse):
    rng = np.random.default_rng(4)
    xs, h, b = mx.array(rng.standard_normal((30, inner, 4)).astype("f4")), mx.array([0.1, 0.2, -0.3, 0.4]), mx.array([1, 2, 3])

    def body(c, x):
        step = lambda d, y: ((mx.sin(d[0]) * 0.9 + y, d[1] * 2 + b), (d[0], d[1], mx.sum(y), mx.array(5)))
        (c, k), ys = mx.scan(step, (c, b), x, reverse=reverse)
        c = mx.fori_loop(0, 3, lambda i, c: c * 0.5 + i, c)
        return c, (ys, k)

    f = lambda h, xs: mx.scan(body, h, xs)
    g = mx.grad(lambda h, xs: sum(mx.sum(mx.sin(a * 1.0)) for a in leaves(f(h, xs))), argnums=(0, 1))
    for k in (f, g, mx.compile(f), mx.grad(lambda h, xs: mx.sum(g(h, xs)[1] ** 2)), lambda h, xs: mx.vmap(f, (0, None))(mx.stack([h, h * 2]), xs)):
        with mx.profile():
            expected = bits(leaves(k(h, xs)))
        assert bits(leaves(k(h, xs))) == expected
    if inner < 60:
        assert called(lambda: leaves(f(h, xs))) == 30


def test_errors_in_lists_of_calls():
    table = mx.arange(8.0)
    bad = lambda n: mx.fori_loop(0, n, lambda i, c: c + mx.take(table, i), mx.array(0.0))
    assert bad(8).item() == 28
    with pytest.raises(IndexError):
        mx.eval(bad(40))
    assert bad(8).item() == 28


def test_many_threads_run_one_loop():
    import threading

    x = mx.array([0.5, 0.25])
    f = mx.compile(lambda x: mx.fori_loop(0, 5000, lambda i, c: mx.cos(c) + 0.1 * x, x))
    expected, results = bits([f(x)]), []
    threads = [threading.Thread(target=lambda: results.append(bits([f(x)]))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [expected] * 8


def test_sums_of_what_lies_otherwise():
    values = np.random.default_rng(0).standard_normal((64, 48)).astype("f4")
    for k in (mx.array(values), mx.array(values).T, mx.contiguous(mx.array(values).T).T, mx.broadcast_to(mx.array(values[0]), (64, 48))):
        f = lambda c, k: mx.fori_loop(0, 20, lambda i, c: c * 0.5 + mx.sum(k, axis=-1)[0] + mx.sum(k, axis=0)[1], c)
        g = lambda k: mx.fori_loop(0, 20, lambda i, c: c * 0.5 + mx.sum(c, axis=-1, keepdims=True) * 0.01, k)
        with mx.profile():
            expected = bits([f(mx.array(0.1), k), g(k)])
        assert bits([f(mx.array(0.1), k), g(k)]) == expected


def test_the_reverse_of_a_while_loop():
    def f(x, n):
        step = lambda s: (mx.sin(s[0]) * 0.9 + x + mx.sum(s[0]) * 0.01, s[1] + 1)
        return mx.sum(mx.while_loop(lambda s: s[1] < n, step, (x, mx.array(0)))[0])

    x, n = mx.array([0.1, 0.2, 0.3]), mx.array(60)
    with mx.profile():
        expected = bits([mx.grad(f)(x, n), mx.grad(lambda x: mx.sum(mx.grad(f)(x, n) ** 2))(x)])
    assert bits([mx.grad(f)(x, n), mx.grad(lambda x: mx.sum(mx.grad(f)(x, n) ** 2))(x)]) == expected
    assert called(lambda: mx.grad(f)(x, n)) > 200


def test_large_constants():
    w, h, xs = mx.random.normal((128, 128)) * 0.1, mx.zeros((4, 128)), mx.random.normal((30, 4, 128))
    f = lambda h, w, xs: mx.scan(lambda h, x: (mx.tanh(h @ w.T + x), mx.sum(h, axis=1)), h, xs)
    g = mx.grad(lambda *args: sum(mx.sum(a) for a in f(*args)), argnums=(0, 1, 2))
    with mx.profile():
        expected = bits([*f(h, w, xs), *g(h, w, xs)])
    assert bits([*f(h, w, xs), *g(h, w, xs)]) == expected
    assert called(lambda: f(h, w, xs)) == 30


@pytest.mark.parametrize("size", [40, 4096, 4097, 12000, 70000])
@pytest.mark.parametrize("kind", ["carried", "captured"])
@pytest.mark.parametrize("whole", [False, True])
def test_parts_of_what_stays_as_it_is_are_outputs(size, kind, whole):
    """However large it is, and whether the body is given it or finds it."""
    values = np.arange(size, dtype="f4")
    x, matrix = mx.array(values), values[: size // 8 * 8].reshape(-1, 8)
    parts = [lambda a: a[3], lambda a: a[1:5], lambda a: a[-2:][::-1], lambda a: a[: size // 8 * 8].reshape(-1, 8)[:3, 2:7].T]
    expected = [values[3], values[1:5], values[-2:][::-1], matrix[:3, 2:7].T]
    if whole:
        parts, expected = [*parts, lambda a: a], [*expected, values]

    def body(carry, i):
        a, s = carry if kind == "carried" else (x, carry)
        s = mx.tanh(s * 0.5 + a[i])
        return (a, s) if kind == "carried" else s, [s, *(part(a) for part in parts)]

    carry, outputs = mx.scan(body, (x, mx.zeros(4)) if kind == "carried" else mx.zeros(4), mx.arange(30))
    for made, part in zip(outputs[1:], expected):
        assert np.array_equal(np.array(made), np.broadcast_to(part, made.shape))
    if kind == "carried":
        assert np.array_equal(np.array(carry[0]), values)
    assert np.array_equal(np.array(outputs[0][-1]), np.array(carry[1] if kind == "carried" else carry))


def test_a_derivative_runs_no_loop_of_which_it_reads_nothing():
    x, c = mx.array(np.linspace(-1, 1, 150, dtype=np.float32).reshape(50, 3)), mx.ones((3,))
    for step, loops in ((lambda c, x: (c[::-1] * 0.5 + mx.sin(x), x * 2), 1), (lambda c, x: (mx.tanh(c) + x, x * c), 2)):
        total = lambda c, x: sum(mx.sum(a) for a in mx.scan(step, c, x))  # noqa: B023, E731
        for k in (mx.grad(total, argnums=(0, 1)), mx.compile(mx.grad(total, argnums=(0, 1)))):
            mx.eval(k(c, x))
            assert called(lambda: k(c, x)) == loops * 50  # noqa: B023
            with mx.profile():
                expected = bits(k(c, x))
            assert bits(k(c, x)) == expected


@pytest.mark.parametrize("read", ["element by element", "sorted", "taken", "searched", "a table of sums"])
def test_constants_change_from_call_to_call(read):
    """Memory that a run leaves is that of the next: large constants lie elsewhere then, in another order, or are one element."""
    n = 6000
    values = np.random.default_rng(0)

    def step(i, c, table):
        if read == "element by element":
            return mx.sin(c) * table + mx.cos(table) * 0.25
        if read == "sorted":
            return mx.sort(c * 0.5)[:n] + mx.sort(table)[::-1] * 0.25
        if read == "taken":
            return mx.take(table, (mx.abs(c) * 1000).astype(mx.int32) % n) * 0.5 + c * 0.25
        if read == "searched":
            return c * 0.5 + mx.searchsorted(table, c).astype(mx.float32) * 1e-4
        return c * 0.5 + mx.cumsum(table)[:n] * 1e-3

    drawn = lambda *shape: mx.array(values.uniform(0, 1, shape).astype(np.float32))  # noqa: E731
    tables = [drawn(n), mx.sort(drawn(n)), drawn(2 * n)[::2], drawn(n)[::-1], mx.broadcast_to(drawn(1), (n,)), drawn(n),
              mx.broadcast_to(drawn(1), (n,)), mx.broadcast_to(mx.array(0.25), (n,)), drawn(3 * n)[::3]]  # fmt: skip
    x = drawn(n)
    loop = lambda x, table: mx.fori_loop(0, 20, lambda i, c: step(i, c, table), x)  # noqa: E731
    until = lambda x, table: mx.while_loop(lambda c: c[0] < 20, lambda c: (c[0] + 1, step(0, c[1], table)), (mx.array(0), x))[1]  # noqa: E731
    compiled = mx.compile(loop)
    for table in tables + tables[::-1]:
        expected = x
        for i in range(20):
            expected = step(i, expected, table)
            mx.eval(expected)
        for f in (loop, until, compiled, loop):
            assert bits([f(x, table)]) == bits([expected])


def test_what_is_carried_is_a_part_of_what_was_put_together():
    def step(c, x):
        both = mx.stack([c + x, c * 0.5 - x, c])
        return both[1], both

    xs = mx.arange(40).astype(mx.float32)
    expected, along = mx.array(0.5), []
    for i in range(40):
        expected, both = step(expected, xs[i])
        mx.eval(expected, both)
        along.append(both)
    last, found = mx.scan(step, mx.array(0.5), xs)
    assert bits([last, found]) == bits([expected, mx.stack(along)])
