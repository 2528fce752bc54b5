"""Bodies of loops, branches and rules that change arrays around them in place: as if Python ran them."""

import mlx.core as mx
import pytest

class Counter:
    def __init__(self):
        self.n = mx.array(0)


def test_each_loop_counts_its_turns():
    n = mx.array(0)

    def count(*args):
        nonlocal n
        n += 1
        return args[-1]

    mx.fori_loop(0, 3, count, mx.array(0.0))
    assert n.item() == 3
    mx.fori_loop(mx.array(2), mx.array(6), count, mx.array(0.0))
    assert n.item() == 7
    mx.scan(lambda c, x: (count(c), x), mx.array(0.0), mx.zeros((5, 2)))
    assert n.item() == 12
    mx.while_loop(lambda c: c < 4, lambda c: count(c) + 1, mx.array(0))
    assert n.item() == 16
    mx.fori_loop(4, 4, count, mx.array(0.0))
    mx.while_loop(lambda c: c < 0, count, mx.array(0))
    assert n.item() == 16


def test_where_a_handle_is():
    counter, d, items = Counter(), {"n": mx.array(0)}, [mx.array(0), mx.array(0)]

    def body(i, c):
        counter.n += 1
        d["n"] += 2
        items[1] += i
        return c

    mx.fori_loop(0, 4, body, None)
    assert (counter.n.item(), d["n"].item(), items[0].item(), items[1].item()) == (4, 8, 0, 6)


def test_a_branch_that_is_not_taken_does_nothing():
    for taken in (True, False):
        n, buf = mx.array(0), mx.zeros(2)

        def yes(x):
            nonlocal n
            n += 1
            return x

        def no(x):
            buf[1] = x
            return x

        mx.cond(mx.array(taken), yes, no, mx.array(3.0))
        assert n.item() == int(taken) and buf.tolist() == ([0, 0] if taken else [0, 3])
        mx.cond(mx.array(taken), no, yes, mx.array(4.0))
        assert n.item() == 1 and buf.tolist() == ([0, 4] if taken else [0, 3])


def test_buffers_are_filled():
    buf = mx.zeros(3)

    def body(i, c):
        buf[i] = c.sum()
        return c + 1

    mx.fori_loop(0, 3, body, mx.array([1.0, 2.0]))
    assert buf.tolist() == [3, 5, 7]


def test_loops_run_on_what_is_around_them_alone():
    n, tests = mx.array(0), mx.array(0)

    def proceeds(state):
        nonlocal tests
        tests += 1
        return n < 3

    def body(state):
        nonlocal n
        n += 1

    assert mx.while_loop(proceeds, body, None) is None
    assert (n.item(), tests.item()) == (3, 4)
    with pytest.raises(ValueError, match="init holds no array, and body_fun changes none"):
        mx.while_loop(lambda _: mx.array(True), lambda _: None, None)


def test_a_condition_may_change_its_state():
    x = mx.array(5)

    def proceeds(c):
        c -= 1
        return c > 0

    assert mx.while_loop(proceeds, lambda c: c, x).item() == 0
    assert x.item() == 0


def looped(turns, body, c):
    for i in range(turns):
        c = body(mx.array(i), c)
    return c


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_arrays_that_a_body_is_given(turns):
    """As in a loop of Python, where the first turn gets the caller's."""

    def returned(i, c):
        c[0] = c[1] + i
        return c

    def another(i, c):
        c += 10
        return c * 2

    def part(i, s):
        s["a"] += 1
        return {"a": s["a"], "b": s["b"] * 2}

    for body in (returned, another):
        x, y = mx.array([1, 2]), mx.array([1, 2])
        expected, got = looped(turns, body, x), mx.fori_loop(0, turns, body, y)
        assert got.tolist() == expected.tolist() and x.tolist() == y.tolist(), body
    a, b = mx.array(1), mx.array(1)
    mx.fori_loop(0, turns, part, {"a": a, "b": b})
    assert (a.item(), b.item()) == (1 + turns, 1)
    z = mx.array([1, 2])
    mx.scan(lambda c, row: (returned(1, c), row.__setitem__(0, 7)), z, xs := mx.zeros((turns, 2)))
    assert z.tolist() == ([3, 2] if turns else [1, 2]) and not xs.any()


def test_arrays_that_a_branch_is_given():
    for taken in (True, False):
        x, d = mx.array([1.0, 2.0]), {"x": mx.array(1.0)}

        def write(x, d):
            x[0] = 5.0
            d["x"] += x[0]
            return x.sum()

        result = mx.cond(mx.array(taken), write, lambda x, d: x.sum(), x, d)
        assert result.item() == (7 if taken else 3)
        assert x.tolist() == ([5, 2] if taken else [1, 2]) and d["x"].item() == (6 if taken else 1)


def test_the_same_array_by_two_names():
    x = mx.array([1.0, 2.0])

    def own_name(c):
        x[0] = 5.0
        return c[0] * 1

    assert mx.cond(mx.array(True), own_name, lambda c: c[0], x).item() == 5 and x.tolist() == [5, 2]

    def changed(i, c):
        c += x
        return c

    with pytest.raises(ValueError, match=r"changes init in place, and uses the same array.*Give the loop a copy"):
        mx.fori_loop(0, 2, changed, x)
    with pytest.raises(ValueError, match="by the name that the array has around the loop"):
        mx.fori_loop(0, 2, lambda i, c: x.__iadd__(1) + c, x)
    with pytest.raises(ValueError, match="in the state twice"):
        mx.fori_loop(0, 2, lambda i, s: (s[0].__iadd__(1), s[1]), (x, x))
    with pytest.raises(ValueError, match="returns it in another place"):
        mx.fori_loop(0, 2, lambda i, s: (s[1], s[0].__iadd__(1)), (x, x * 2))
    assert x.tolist() == [5, 2]


def test_shapes_and_dtypes_stay():
    n, d = mx.array(1), {"v": mx.zeros(2)}

    def halves(*args):
        nonlocal n
        n *= 0.5
        return args[-1]

    def grows(*args):
        d["v"] += mx.ones((2, 2))
        return args[-1]

    for body, name in ((halves, "`n`"), (grows, r"`d\['v'\]`")):
        with pytest.raises(ValueError, match=rf"\[fori_loop\] the body changes {name}, an array from around it"):
            mx.fori_loop(0, 3, body, mx.array(0.0))
        with pytest.raises(ValueError, match=rf"\[while_loop\] the body changes {name}"):
            mx.while_loop(lambda c: c < 3, lambda c: body(c) + 1, mx.array(0.0))
        with pytest.raises(ValueError, match=rf"\[cond\] in-place changes leave {name}"):
            mx.cond(mx.array(True), body, lambda c: c, mx.array(0.0))
        assert n.item() == 1 and n.dtype == mx.int32 and d["v"].shape == (2,)
    mx.cond(mx.array(True), halves, lambda c: halves(c), mx.array(0.0))
    assert n.item() == 0.5


OPS = {
    "fori_loop": lambda f, x: mx.fori_loop(0, 3, lambda i, c: f(c), x), "scan": lambda f, x: mx.scan(lambda c, x: (f(c), x), x, mx.zeros(2)),
    "fori_loop of arrays": lambda f, x: mx.fori_loop(mx.array(0), mx.array(2), lambda i, c: f(c), x),
    "while_loop": lambda f, x: mx.while_loop(lambda c: c < 3, f, x), "condition": lambda f, x: mx.while_loop(f, lambda c: c, x),
    "cond": lambda f, x: mx.cond(x > 0, f, lambda c: c, x), "cond, second": lambda f, x: mx.cond(x > 0, lambda c: c, f, x),
    "checkpoint": lambda f, x: mx.checkpoint(f)(x), "vmap": lambda f, x: mx.vmap(f)(mx.stack([x, x])),
    "compile": lambda f, x: mx.compile(f)(x), "shapeless": lambda f, x: mx.compile(f, shapeless=True)(x),
    "custom_function": lambda f, x: mx.grad(mx.custom_function(f).vjp(lambda x, ct, y: ct))(x),
    "rule": lambda f, x: mx.grad(mx.custom_function(lambda x: x * 1).vjp(lambda x, ct, y: f(x)))(x),
    "export_function": lambda f, x: mx.export_function(lambda _: None, f, x),
}  # fmt: skip


@pytest.mark.parametrize("around", ["", "compile", "fori_loop", "grad", "vmap"])
@pytest.mark.parametrize("op", OPS)
def test_errors_leave_everything_as_it_was(op, around):
    n, buf, d = mx.array(0), mx.zeros(3), {"x": mx.array(1.0)}
    x = mx.array(2.0)

    def f(c):
        nonlocal n
        n += 1
        buf[0] = c
        d["x"] *= c
        c += 1
        raise KeyError("stop")

    def inside(x):
        return OPS[op](f, x) if op == "export_function" else OPS[op](f, x * 1)

    run = {"": inside, "compile": mx.compile(inside), "grad": mx.grad(inside), "vmap": lambda x: mx.vmap(inside)(mx.stack([x, x])),
           "fori_loop": lambda x: mx.fori_loop(0, 2, lambda i, c: inside(c), x)}[around]  # fmt: skip
    with pytest.raises(KeyError):
        run(x)
    assert n.item() == 0 and buf.tolist() == [0, 0, 0] and d["x"].item() == 1 and x.item() == 2


def test_vmap_has_no_place_for_lanes():
    buf, n = mx.zeros(3), mx.array(0)

    def f(x):
        nonlocal n
        n += 1
        buf[0] = x
        return x

    for g in (mx.vmap(f), mx.compile(mx.vmap(f)), mx.vmap(mx.checkpoint(f)), mx.vmap(f, chunk_size=1),
              lambda x: mx.fori_loop(0, 2, lambda i, c: mx.vmap(f)(c), x),
              mx.vmap(lambda x: mx.fori_loop(0, 2, lambda i, c: f(c), x)), lambda x: mx.vmap(mx.vmap(f))(x[None])):  # fmt: skip
        with pytest.raises(ValueError, match=r"\[vmap\] the function writes values that differ between lanes into `buf`"):
            g(mx.array([1.0, 2.0]))
        assert buf.tolist() == [0, 0, 0] and n.item() == 0


def test_what_lanes_share_is_written_once():
    n = mx.array(0.0)

    def f(x, y):
        nonlocal n
        n += y
        return x * n

    assert mx.vmap(f, in_axes=(0, None))(mx.array([1.0, 2.0]), mx.array(3.0)).tolist() == [3, 6] and n.item() == 3
    # lanes of an outer vmap are its own
    out = mx.vmap(lambda y: mx.vmap(lambda x: x + mx.ones(2), in_axes=0)(y))(mx.ones((2, 3)))
    assert out.shape == (2, 3, 2)
    n[...] = 0

    def lanes_of_the_outer(y):
        local = mx.zeros(1)

        def inner(x):
            local[0] = y
            return x

        return mx.vmap(inner)(mx.ones(2)).sum() + local[0]

    assert mx.vmap(lanes_of_the_outer)(mx.array([1.0, 2.0])).tolist() == [3, 4]


def test_rules():
    """They write where they run, and refuse where they are only recorded."""
    seen = mx.zeros(2)

    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f_vjp(x, ct, y):
        seen[0] = ct
        return ct * 3

    assert mx.grad(lambda x: f(x) * 5)(mx.array(1.0)).item() == 15 and seen.tolist() == [5, 0]
    g = mx.compile(mx.grad(lambda x: f(x * 1) * 7))
    for x in (1.0, 2.0):
        seen[...] = 0
        assert g(mx.array(x)).item() == 21 and seen.tolist() == [7, 0]
    looped = mx.grad(lambda x: mx.fori_loop(0, 2, lambda i, c: f(c), x))
    for g, error in ((looped, "the vjp rule changes `seen`, an array from around it"), (mx.compile(looped), "the vjp rule changes `seen`"),
                     (lambda x: mx.vmap(lambda x: mx.vjp(f, [x], [x])[1][0])(mx.stack([x, x])), "differ between lanes into"),
                     (lambda x: mx.jvp(f, [x], [x]), "the vjp rule changes `seen`")):  # fmt: skip
        with pytest.raises(ValueError, match=error):
            g(mx.array(1.0))
        assert seen.tolist() == [7, 0]


def test_checkpoint_and_custom_functions_differentiate_what_they_write():
    for wrap in (mx.checkpoint, lambda f: mx.custom_function(f).vjp(lambda x, ct, y: ct * 2)):
        buf = mx.zeros(2)

        def f(x):
            buf[0] = x * x
            return x * 2

        def loss(x):
            return wrap(f)(x) + buf.sum()

        for g in (mx.grad(loss), mx.compile(mx.grad(loss))):
            assert g(mx.array(3.0)).item() == 8 and buf.tolist() == [9, 0]


class Model:
    total = 0.0

    def __init__(self):
        self.total = mx.array(0.0)
        self.items = [mx.array(1.0), mx.array(2.0)]

    def step(self, i, c):
        self.total = self.total + c
        self.items[1] = self.items[1] * 2
        return c + i


GLOBAL = mx.array(1)


def test_names_that_a_body_binds_to_other_arrays():
    """A variable, element or attribute that held an array like it is carried as well; handles of the old one stay."""
    global GLOBAL
    n, d, model = mx.array(0), {"x": mx.zeros(2)}, Model()
    old = n

    def body(i, c):
        nonlocal n
        global GLOBAL
        n = n + 1
        d["x"] = d["x"] + c
        GLOBAL = GLOBAL * 2
        return model.step(i, c)

    for op in (lambda: mx.fori_loop(0, 3, body, mx.array(1.0)), lambda: mx.scan(lambda c, x: (body(x, c), x), mx.array(1.0), mx.arange(3))):
        op()
        assert n.item() == 3 and GLOBAL.item() == 8 and d["x"].tolist() == [1 + 1 + 2] * 2
        assert model.total.item() == 4 and [a.item() for a in model.items] == [1, 16] and old.item() == 0
        n, GLOBAL, d["x"], model = old, mx.array(1), mx.zeros(2), Model()

    def counted(c):
        nonlocal n
        n = n + 1
        return c

    mx.while_loop(lambda c: n < 4, counted, mx.array(0.0))
    assert n.item() == 4
    for taken in (True, False):
        n = mx.array(0)
        mx.cond(mx.array(taken), counted, lambda c: c, mx.array(0.0))
        mx.cond(mx.array(not taken), lambda c: c, counted, mx.array(0.0))
        assert n.item() == 2 * taken
    n = mx.array(0)

    def condition(c):
        nonlocal n
        n = n + 1
        return n < 5

    mx.while_loop(condition, lambda c: c, mx.array(0.0))
    assert n.item() == 5

    def loss(x):
        y = x * 1

        def inner(i, c):
            nonlocal y
            y = y * c
            return c

        mx.fori_loop(0, 2, lambda i, c: mx.fori_loop(0, 2, inner, c), x)
        return y

    assert mx.grad(loss)(mx.array(2.0)).item() == 5 * 2**4
    assert mx.vmap(loss)(mx.array([2.0, 1.0])).tolist() == [32, 1]
    assert mx.compile(mx.grad(loss))(mx.array(2.0)).item() == 80


@pytest.mark.parametrize("op", [op for op in OPS if op.split()[0] in ("fori_loop", "scan", "while_loop", "cond", "cond,", "condition")])
def test_errors_leave_names_as_they_were(op):
    n, d, model = mx.array(0), {"x": mx.array(1.0)}, Model()

    def f(c):
        nonlocal n
        n = n + c.astype(mx.int32)
        d["x"] = d["x"] * c
        model.step(1, c)
        raise KeyError("stop")

    with pytest.raises(KeyError):
        OPS[op](f, mx.array(2.0))
    assert n.item() == 0 and d["x"].item() == 1 and model.total.item() == 0 and model.items[1].item() == 2


def test_values_of_what_changes_cannot_be_read():
    n = mx.array(1)

    def body(i, c):
        nonlocal n
        if n.item() > 0:
            n += 1
        return c

    with pytest.raises(ValueError, match="fori_loop"):
        mx.fori_loop(0, 2, body, mx.array(0.0))
    assert n.item() == 1


def test_functions_that_never_do_the_same():
    def body(i, c):
        made.append(mx.array(0))
        made[-2] += 1
        return c

    made = [mx.array(0)]
    with pytest.raises(ValueError, match="other arrays in place each time"):
        mx.fori_loop(0, 2, body, mx.array(0.0))


def test_nested_loops_are_recorded_once_more_for_each_level():
    n, runs = mx.array(0), [0]

    def innermost(i, c):
        nonlocal n
        runs[0] += 1
        n += 1
        return c

    def nested(depth):
        if depth == 0:
            return innermost
        return lambda i, c: mx.fori_loop(0, 2, nested(depth - 1), c)

    mx.fori_loop(0, 2, nested(5), mx.array(0.0))
    assert n.item() == 64 and runs[0] <= 7
    runs[0] = 0

    def chain(levels, c):  # each writes to another array
        runs[0] += 1
        if not levels:
            return c
        return mx.cond(c > levels, lambda c: buffers[levels - 1].__setitem__(0, c) or c, lambda c: chain(levels - 1, c), c)

    buffers = [mx.zeros(1) for _ in range(8)]
    chain(8, mx.array(3.5))
    assert [b.item() for b in buffers] == [0, 0, 3.5, 0, 0, 0, 0, 0] and runs[0] < 60


def test_draws_go_on():
    """Recording a body again draws nothing more."""

    def total(changes):
        mx.random.seed(3)
        n = mx.array(0.0)

        def body(i, c):
            nonlocal n
            u = mx.random.uniform()
            if changes:
                n += u
            return c + u

        return mx.fori_loop(0, 4, body, mx.array(0.0)).item(), n.item(), mx.random.uniform().item()

    a, b = total(False), total(True)
    assert a[0] == b[0] and abs(b[1] - b[0]) < 1e-6 and a[2] == b[2]


def test_handles_of_values_to_come():
    pending = mx.zeros(2) + 1
    n = pending[0] * 2

    def body(i, c):
        nonlocal n
        n += pending.sum()
        pending[1] = n
        return c

    mx.fori_loop(0, 2, body, None)
    m, p = 2.0, [1.0, 1.0]
    for _ in range(2):
        m += sum(p)
        p[1] = m
    assert n.item() == m and pending.tolist() == p


def test_compiled_functions_in_bodies():
    n, buf = mx.array(0), mx.zeros(3)

    @mx.compile
    def count(c):
        nonlocal n
        n += 1
        return c

    x = mx.ones(2)
    mx.fori_loop(0, 3, lambda i, c: count(c), x)
    mx.vmap(count)(x)
    mx.checkpoint(count)(x)
    mx.grad(lambda x: count(x).sum())(x)
    mx.cond(mx.array(False), count, lambda c: c, x)
    assert n.item() == 6
    mx.fori_loop(0, 2, lambda i, c: mx.compile(lambda c: mx.fori_loop(0, 2, lambda j, c: count(c), c))(c), x)
    assert n.item() == 10

    def fill(i, c):
        buf[i] = c.sum()
        return c * 2

    f = mx.compile(lambda x: mx.fori_loop(0, 3, fill, x), shapeless=True)
    for k in (2, 3):
        f(mx.ones(k))
        assert buf.tolist() == [k, 2 * k, 4 * k]


def test_second_derivatives():
    def loss(x):
        b = x * mx.ones(3)

        def body(i, c):
            b[i] *= c
            return c * x

        mx.fori_loop(0, 3, body, x)
        return b.sum()  # x**2 + x**3 + x**4

    assert mx.grad(mx.grad(loss))(mx.array(2.0)).item() == 62

    def times(x):
        b = x * mx.ones(2)

        def body(i):
            nonlocal b
            b *= x
            return i + 1

        mx.while_loop(lambda i: i < 3, body, mx.array(0))
        return b.sum()  # 2 * x**4

    assert mx.grad(times)(mx.array(2.0)).item() == 64 and mx.grad(mx.grad(times))(mx.array(1.0)).item() == 24


def test_lanes_that_end_keep_what_they_wrote():
    def f(x):
        b = mx.zeros(1)

        def body(s):
            nonlocal b
            b += s
            return s + 1

        mx.while_loop(lambda s: s < x, body, mx.array(0.0))
        return b[0]

    assert mx.vmap(f)(mx.array([1.0, 3.0, 5.0])).tolist() == [0, 3, 10]


def test_exported_functions():
    def own(x):
        b = mx.zeros(3)

        def body(i, c):
            b[i] = c.sum()
            return c * 2

        mx.fori_loop(0, 3, body, x)
        return b

    pieces = []
    mx.export_function(pieces.append, own, mx.ones(2))
    assert pieces
    b = mx.zeros(2)

    def outer(x):
        b[0] = x.sum()
        return x

    with pytest.raises(ValueError, match=r"\[export_function\] the function writes what it computes from its arguments into `b`"):
        mx.export_function(pieces.append, outer, mx.ones(2))
    assert b.tolist() == [0, 0]
