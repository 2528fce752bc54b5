"""custom_function and checkpoint: which rule is used when, what it is given, what may be missing, and how they nest."""

import gc
import inspect
import weakref

import mlx.core as mx
import pytest


def marked(*rules):
    """sin(x) * y with rules that are off by recognisable factors: vjp by 10, jvp by 100, vmap by adding 1000."""

    @mx.custom_function
    def f(x, y):
        return mx.sin(x) * y

    if "vjp" in rules:

        @f.vjp
        def _(primals, cotangent, output):
            x, y = primals
            return 10 * cotangent * mx.cos(x) * y, 10 * cotangent * mx.sin(x)

    if "jvp" in rules:

        @f.jvp
        def _(primals, tangents):
            x, y = primals
            dx, dy = tangents
            out = mx.zeros_like(x)
            if dx is not None:
                out = out + 100 * dx * mx.cos(x) * y
            if dy is not None:
                out = out + 100 * dy * mx.sin(x)
            return out

    if "vmap" in rules:

        @f.vmap
        def _(inputs, axes):
            x, y = inputs
            if axes[0] is None:
                x = x[None]
            if axes[1] is None:
                y = y[None]
            return 1000 + mx.sin(x) * y, 0

    return f


X, Y = 0.5, 2.0
SIN, COS = 0.479425538604203, 0.8775825618903728
RULES = [(), ("vjp",), ("jvp",), ("vmap",), ("vjp", "jvp"), ("vjp", "vmap"), ("vjp", "jvp", "vmap")]


def factors(rules):
    """Of reverse and of forward mode: each has its own rule's, or else that of the other, transposed."""
    by_vjp = 10 if "vjp" in rules else 100 if "jvp" in rules else 1
    return by_vjp, 100 if "jvp" in rules else by_vjp


def close(a, b):
    return mx.allclose(a, mx.array(b), rtol=1e-5, atol=1e-6).item()


@pytest.mark.parametrize("rules", RULES, ids=lambda r: "+".join(r) or "none")
def test_any_subset_of_rules(rules):
    f = marked(*rules)
    x, y = mx.array(X), mx.array(Y)
    by_vjp, by_jvp = factors(rules)
    assert close(f(x, y), SIN * Y)
    assert close(mx.grad(f)(x, y), by_vjp * COS * Y)
    assert close(mx.grad(f, argnums=1)(x, y), by_vjp * SIN)
    assert close(mx.jvp(f, [x, y], [mx.array(1.0), mx.array(2.0)])[1][0], by_jvp * (COS * Y + 2 * SIN))
    batched = 1000 if "vmap" in rules else 0
    xs = mx.array([X, 0.0])
    assert close(mx.vmap(f, in_axes=(0, None))(xs, y), [batched + SIN * Y, batched])
    # Inside vmap, grad sees single lanes, and the rule of vjp.
    assert close(mx.vmap(mx.grad(f), in_axes=(0, None))(xs, y), [by_vjp * COS * Y, by_vjp * Y])


@pytest.mark.parametrize("rules", [("vjp",), ("jvp",), ("vjp", "jvp"), ("vjp", "vmap"), ("jvp", "vmap"), ("vjp", "jvp", "vmap")],
                         ids="+".join)
def test_batching_keeps_the_other_rules(rules):
    f = marked(*rules)
    by_vjp, by_jvp = factors(rules)
    xs, y = mx.array([X, 0.0]), mx.array(Y)
    of_batch = lambda x, y: mx.vmap(f, in_axes=(0, None))(x, y).sum()
    assert close(mx.grad(of_batch)(xs, y), [by_vjp * COS * Y, by_vjp * Y])
    assert close(mx.grad(of_batch, argnums=1)(xs, y), by_vjp * SIN)  # the lanes' cotangents of a shared argument add up
    square = mx.array([[X, 0.0], [0.0, X]])
    of_columns = lambda x: mx.vmap(f, in_axes=(1, 1), out_axes=1)(x, x).sum()
    if "vmap" not in rules:  # the rule of this test takes batches along the first axis
        assert close(mx.grad(of_columns)(square), by_vjp * (mx.cos(square) * square + mx.sin(square)))
    twice = lambda x: mx.vmap(mx.vmap(f, in_axes=(0, None)), in_axes=(0, 0))(square, x).sum()
    if "vmap" not in rules:
        assert close(mx.grad(twice)(mx.array([1.0, 2.0])), [by_vjp * SIN, by_vjp * SIN])
    pushed = mx.jvp(lambda x: mx.vmap(f, in_axes=(0, None))(x, y), [xs], [mx.ones(2)])[1][0]
    assert close(pushed, by_jvp * mx.array([COS * Y, Y]))


def test_rules_are_differentiated_in_turn():
    f = marked("vjp")
    x, y = mx.array(X), mx.array(Y)
    assert close(mx.grad(mx.grad(f))(x, y), -10 * SIN * Y)
    assert close(mx.jvp(mx.grad(lambda v: f(v, y)), [x], [mx.array(1.0)])[1][0], -10 * SIN * Y)
    assert close(mx.vmap(mx.grad(mx.grad(f)), in_axes=(0, None))(x[None], y), [-10 * SIN * Y])

    @mx.custom_function
    def exp(x):
        return mx.exp(x)

    @exp.vjp
    def _(x, cotangent, output):
        return 2 * cotangent * output  # the output carries the rule to the next order

    g = exp
    for order in range(1, 5):
        g = mx.grad(g)
        assert close(g(mx.array(0.0)), 2.0**order)


def test_an_output_read_by_a_rule_and_by_the_caller_gets_both_cotangents():
    @mx.custom_function
    def powers(x):
        return mx.exp(x), mx.exp(2 * x)

    @powers.vjp
    def _(x, cotangents, outputs):
        return cotangents[0] * outputs[0] + 2 * cotangents[1] * outputs[1]

    f = lambda x: (lambda ys: ys[0] + ys[1])(powers(x))
    g = f
    for order in range(1, 5):
        g = mx.grad(g)
        assert close(g(mx.array(0.0)), 1 + 2.0**order)
        product = mx.grad(lambda x, g=g: powers(x)[0] * g(x))(mx.array(0.0))
        assert close(product, (1 + 2.0**order) + (1 + 2.0 ** (order + 1)))


def test_trees_and_keywords():
    @mx.custom_function
    def f(params, k=3, *, scale):
        return {"out": [params["a"] * params["b"][0] * k * scale, "text"]}

    seen = []

    @f.vjp
    def _(primals, cotangents, outputs, scale):
        seen.append((cotangents["out"][1], outputs["out"][0].item(), scale.item()))
        return {"a": 7 * cotangents["out"][0], "b": None}

    params = {"a": mx.array(2.0), "b": [mx.array(5.0)]}
    assert f(params, scale=mx.array(1.0))["out"][1] == "text"
    assert f(params, 4, scale=mx.array(1.0))["out"][0].item() == 40
    loss = lambda p, s: f(p, scale=s)["out"][0]
    grads = mx.grad(loss)(params, mx.array(1.0))
    assert grads["a"].item() == 7 and grads["b"][0].item() == 0
    assert seen == [("text", 30.0, 1.0)]
    # Keyword arguments have no rule: their derivative is that of the function.
    assert mx.grad(loss, argnums=1)(params, mx.array(1.0)).item() == 30


@pytest.mark.parametrize("answer", [lambda ct: ct, lambda ct: (ct,), lambda ct: [ct]])
def test_a_single_argument_is_not_a_tuple(answer):
    f = mx.custom_function(lambda x: x * x)

    @f.vjp
    def _(x, cotangent, output):
        assert isinstance(x, mx.array)
        return answer(3 * cotangent * x)

    assert mx.grad(f)(mx.array(2.0)).item() == 6


def test_zeros_are_none():
    f = mx.custom_function(lambda x, y, n: (x * y, x + n))
    f.vjp(lambda primals, cotangents, outputs: (cotangents[0] * 5,))  # those left out at the end
    f.jvp(lambda primals, tangents: (tangents[0], None) if tangents[1] is None and tangents[2] is None else (None, None))
    x, y, n = mx.array(2.0), mx.array(3.0), mx.array(1)
    first = lambda x, y: f(x, y, n)[0]
    assert [g.item() for g in mx.grad(first, argnums=(0, 1))(x, y)] == [5, 0]
    assert [t.item() for t in mx.jvp(lambda x: f(x, y, n), [x], [mx.array(4.0)])[1]] == [4, 0]


def test_captured_arrays_are_differentiated():
    def g(w):
        f = mx.custom_function(lambda x: x * w)
        f.vjp(lambda x, cotangent, output: 100 * cotangent * w)
        return f(w * w)

    # Through the argument with the rule, 100 w * 2 w, and through what is captured, w * w.
    assert mx.grad(g)(mx.array(3.0)).item() == 100 * 3 * 6 + 9
    assert mx.vmap(g)(mx.array([1.0, 2.0])).tolist() == [1, 8]
    assert mx.vmap(mx.grad(g))(mx.array([3.0, 1.0])).tolist() == [1809, 201]


def test_a_batch_of_captured_arrays_under_grad():
    def scaled(w):  # the function and its rule both use a lane of the surrounding vmap
        f = mx.custom_function(lambda x: x * w)
        f.vjp(lambda x, cotangent, output: 100 * cotangent * w)
        return f(2 * w)

    def gradient_times(x, w):
        f = mx.custom_function(lambda x: x * 1)
        f.vjp(lambda x, cotangent, output: cotangent * w)
        return f(x)

    ws = mx.array([1.0, 2.0])
    assert mx.grad(lambda w: mx.vmap(scaled)(w).sum())(ws).tolist() == [202, 404]
    assert mx.grad(lambda x: mx.vmap(gradient_times)(x, ws).sum())(ws).tolist() == [1, 2]


@pytest.mark.parametrize("wrap", [mx.checkpoint, lambda f: mx.custom_function(f).vjp(lambda x, ct, y: ct * 2 * x.item())])
def test_values_may_be_read(wrap):
    f = wrap(lambda x: x * x if x.item() > 1 else x)
    assert f(mx.array(3.0)).item() == 9
    assert mx.grad(f)(mx.array(3.0)).item() == 6
    with pytest.raises(ValueError):
        mx.vmap(f)(mx.array([1.0, 2.0])).tolist()


def test_what_leaves_the_function_stays_readable():
    kept = []

    @mx.checkpoint
    def f(x):
        kept.append(mx.sin(x))
        return kept[-1] * 2

    y = f(mx.array(X))
    assert close(kept[0], SIN)  # evaluated before the node that holds the same function
    assert close(y, 2 * SIN)
    assert close(mx.grad(f)(mx.array(X)), 2 * COS)


def test_checkpoint_composes_and_computes_again():
    calls = []

    def f(x, scale=1.0):
        calls.append(1)
        return [mx.sin(x["a"]) * scale, "text"]

    g = mx.checkpoint(f)
    assert g.__wrapped__ is f and inspect.signature(g) == inspect.signature(f)
    x = {"a": mx.array(X)}
    assert g(x, scale=2.0)[1] == "text"
    loss = lambda x: g(x)[0]
    assert close(mx.grad(loss)(x)["a"], COS)
    assert len(calls) == 2  # the function ran once for each call: recomputation replays its graph
    assert close(mx.grad(lambda x: mx.grad(loss)(x)["a"])(x)["a"], -SIN)
    assert close(mx.vmap(mx.grad(loss))({"a": mx.array([X, 0.0])})["a"], [COS, 1])
    assert close(mx.grad(lambda x: mx.vmap(loss)(x).sum())({"a": mx.array([X, 0.0])})["a"], [COS, 1])
    assert close(mx.jvp(lambda v: loss({"a": v}), [x["a"]], [mx.array(2.0)])[1][0], 2 * COS)
    w = mx.array(3.0)
    assert close(mx.grad(lambda w: mx.checkpoint(lambda x: x * w)(mx.array(2.0)))(w), 2.0)


def test_random_numbers_are_drawn_once():
    f = mx.checkpoint(lambda x: x * mx.random.normal((4,)))
    value, gradient = mx.value_and_grad(lambda x: f(x).sum())(mx.ones((4,)))
    assert close(value, gradient.sum())


# --- one rule serves both modes ---

def softplus(rule):
    """log(1 + exp(x)), which overflows, with its exact derivative given for one mode."""
    f = mx.custom_function(lambda x: mx.log(1.0 + mx.exp(x) * 1.0))
    slope = lambda x: 1 - 1 / (1 + mx.exp(mx.minimum(x, 80)))
    if rule == "jvp":
        return f.jvp(lambda x, t: slope(x) * t)
    return f.vjp(lambda x, ct, y: slope(x) * ct)


def modes(f, x):
    one = mx.ones_like(x)
    reverse = lambda f: lambda x: mx.vjp(lambda x: [f(x)], [x], [one])[1][0]
    forward = lambda f: lambda x: mx.jvp(lambda x: [f(x)], [x], [one])[1][0]
    yield reverse(f)
    yield forward(f)
    for wrap in (mx.checkpoint, mx.compile):
        yield reverse(wrap(f))
        yield forward(wrap(f))
    for mode in (reverse, forward):
        yield mx.compile(mode(f))
        if x.ndim:
            yield mx.vmap(lambda v, mode=mode: mx.grad(f)(v))
            yield lambda x, mode=mode: mode(mx.vmap(f))(x)
            yield lambda x, mode=mode: mode(lambda x: mx.vmap(mx.vmap(f))(x[None])[0])(x)
        yield lambda x, mode=mode: mode(lambda x: mx.cond(mx.array(True), f, lambda x: x, x))(x)
        yield lambda x, mode=mode: mode(lambda x: mx.fori_loop(0, 1, lambda i, x: f(x), x))(x)


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_a_rule_of_one_mode_is_transposed_for_the_other(rule):
    f = softplus(rule)
    x = mx.array([100.0, 0.0, -3.0, 500.0])
    slopes = [1, 0.5, 1 / (1 + 2.718281828459045**3), 1]
    for gradient in modes(f, x):
        assert close(gradient(x), slopes)
    assert mx.grad(f)(mx.array(100.0)).item() == 1
    second = [0, 0.25, slopes[2] * (1 - slopes[2]), 0]
    for outer in (mx.grad, lambda g: lambda v: mx.jvp(g, [v], [mx.array(1.0)])[1][0]):
        for inner in (mx.grad, lambda g: lambda v: mx.jvp(g, [v], [mx.array(1.0)])[1][0]):
            assert close(mx.stack([outer(inner(f))(v) for v in x]), second)
            assert close(mx.vmap(outer(inner(f)))(x), second)
    assert close(mx.hessian(lambda x: f(x).sum())(x), mx.diag(mx.array(second)))
    assert close(mx.jacrev(f)(x), mx.diag(mx.array(slopes))) and close(mx.jacfwd(f)(x), mx.diag(mx.array(slopes)))


@pytest.mark.parametrize("dtype", [mx.float32, mx.complex64])
@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_transposed_rules_of_matrices_and_trees(rule, dtype):
    """Several arguments and outputs, of which rules leave out some; conjugates as derivatives of operations have them."""
    def plain(a, p):
        return {"y": a @ p["b"], "z": [p["c"] * 2, a.sum()]}

    f = mx.custom_function(plain)
    if rule == "jvp":
        @f.jvp
        def _(primals, tangents):
            (a, p), (da, dp) = primals, tangents
            y = mx.zeros((2, 2), dtype)
            y = y if da is None else y + da @ p["b"]
            y = y if dp["b"] is None else y + a @ dp["b"]
            return {"y": 10 * y, "z": [None if dp["c"] is None else 20 * dp["c"], None if da is None else 10 * da.sum()]}
    else:
        @f.vjp
        def _(primals, ct, outputs):
            a, p = primals
            h = lambda v: mx.conjugate(v.T)
            return 10 * (ct["y"] @ h(p["b"]) + ct["z"][1]), {"b": 10 * h(a) @ ct["y"], "c": 20 * ct["z"][0]}

    keys = iter(mx.random.split(mx.random.key(0), 20))

    def draw(*shape):
        re, im = mx.random.normal(shape, key=next(keys)), mx.random.normal(shape, key=next(keys))
        return re if dtype == mx.float32 else re + 1j * im

    a, b, c, da, db, dc, cy, cz, cs = (draw(*s) for s in ((2, 3), (3, 2), (4,), (2, 3), (3, 2), (4,), (2, 2), (4,), ()))
    flat = lambda f: lambda a, b, c: (lambda o: [o["y"], *o["z"]])(f(a, {"b": b, "c": c}))
    for args, moves in (((0, 1, 2), [da, db, dc]), ((0,), [da]), ((1, 2), [db, dc]), ((2,), [dc])):
        at = [a, b, c]

        def part(f, args=args):
            return lambda *v: flat(f)(*[v[args.index(i)] if i in args else at[i] for i in range(3)])

        primals = [at[i] for i in args]
        for got, expected in ((mx.vjp(part(f), primals, [cy, cz, cs])[1], mx.vjp(part(plain), primals, [cy, cz, cs])[1]),
                              (mx.jvp(part(f), primals, moves)[1], mx.jvp(part(plain), primals, moves)[1])):
            for g, e in zip(got, expected):
                assert close(g, 10 * e)


def test_captured_arrays_beside_a_transposed_rule():
    def g(w):
        f = mx.custom_function(lambda x: x * w)
        f.jvp(lambda x, t: 100 * t * w)
        return f(w * w)

    w = mx.array(3.0)
    assert mx.grad(g)(w).item() == 100 * 3 * 6 + 9
    assert mx.jvp(g, [w], [mx.array(1.0)])[1][0].item() == 100 * 3 * 6 + 9
    assert mx.vmap(mx.grad(g))(mx.array([3.0, 1.0])).tolist() == [1809, 201]
    assert mx.grad(lambda w: mx.vmap(g)(w).sum())(mx.array([3.0, 1.0])).tolist() == [1809, 201]


def test_the_rule_of_batching_keeps_derivatives():
    """What vmap's rule gives has the derivatives of the other rules, or its own where there are none."""
    f = mx.custom_function(lambda x: x * x)
    f.vmap(lambda x, axis: (x * x * 2, axis))
    xs = mx.array([1.0, 3.0])
    of_batch = lambda x: mx.vmap(f)(x).sum()
    assert mx.grad(of_batch)(xs).tolist() == [4, 12]
    f.jvp(lambda x, t: 7 * t)
    assert mx.vmap(f)(xs).tolist() == [2, 18]
    assert mx.grad(of_batch)(xs).tolist() == [7, 7]
    assert mx.jvp(of_batch, [xs], [mx.ones(2)])[1][0].item() == 14
    assert mx.grad(lambda x: mx.vmap(mx.vmap(f))(x).sum())(xs[None]).tolist() == [[7, 7]]


def test_errors_of_transposed_rules():
    x = mx.array(2.0)
    reads = mx.custom_function(lambda x: x * x).jvp(lambda x, t: 2 * x * t.item())
    assert mx.jvp(reads, [x], [mx.array(1.0)])[1][0].item() == 4
    with pytest.raises(ValueError, match=r"\[custom_function\] there is no vjp rule.*without values of tangents.*Give a vjp rule"):
        mx.grad(reads)(x)
    branches = mx.custom_function(lambda x: x * x).vjp(lambda x, ct, y: ct if ct > 0 else -ct)
    with pytest.raises(ValueError, match=r"there is no jvp rule.*cotangents.*Give a jvp rule"):
        mx.jvp(branches, [x], [x])
    with pytest.raises(ZeroDivisionError):
        mx.grad(mx.custom_function(lambda x: x).jvp(lambda x, t: 1 / 0))(x)
    with pytest.raises(ValueError, match="the jvp rule returned shape"):
        mx.grad(mx.custom_function(lambda x: x).jvp(lambda x, t: mx.zeros(3)))(x)
    assert mx.grad(mx.custom_function(lambda x: x).jvp(lambda x, t: None))(x).item() == 0


def test_errors_say_what_is_wrong():
    one = mx.array(1.0)

    def grad_with(rule, f=lambda x: x, at=one):
        return mx.grad(mx.custom_function(f).vjp(rule))(at)

    with pytest.raises(ValueError, match=r"shape \(3\).*argument 0|shape \(3,\).*argument 0"):
        grad_with(lambda x, ct, out: mx.zeros(3))
    with pytest.raises(TypeError, match="str"):
        grad_with(lambda x, ct, out: "x")
    with pytest.raises(ValueError, match="1 arrays where primals has 2"):
        grad_with(lambda x, ct, out: ct, lambda d: d["a"] * d["b"], {"a": one, "b": one})
    with pytest.raises(ZeroDivisionError):
        grad_with(lambda x, ct, out: 1 / 0)
    with pytest.raises(TypeError, match="callable"):
        mx.custom_function(3)
    with pytest.raises(ValueError, match="pair"):
        mx.vmap(mx.custom_function(lambda x: x).vmap(lambda x, axes: x))(mx.ones(3))
    with pytest.raises(TypeError, match="callable"):
        mx.checkpoint(3)


def test_cycles_are_collected():
    class Witness:
        pass

    def make():
        witness = Witness()

        @mx.custom_function
        def f(x):
            return x if witness else x

        f.vjp(lambda x, ct, out: f(ct))
        mx.grad(f)(mx.array(1.0)).item()
        return weakref.ref(witness)

    witness = make()
    gc.collect()
    assert witness() is None


UNDER = {"vmap": lambda f: mx.vmap(f), "compile": lambda f: mx.compile(mx.vmap(f)),
         "grad": lambda f: mx.grad(lambda x: mx.vmap(f)(x).sum()), "vmap twice": lambda f: mx.vmap(lambda x: mx.vmap(f)(x[None] * mx.ones((4, 1)))[0])}
ANSWERS = {"one lane": lambda x: (x[:1], 0), "twice the lanes": lambda x: (mx.concatenate([x, x]), 0), "one axis more": lambda x: (x[..., None], 0),
           "one axis less": lambda x: (x.sum(axis=-1), 0), "lanes without an axis": lambda x: (x, None)}


@pytest.mark.parametrize("under", UNDER)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_vmap_rule_returns_has_all_lanes(under, answer):
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vmap
    def _(x, axis):
        return ANSWERS[answer](mx.moveaxis(x, axis, 0))

    x = mx.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="custom_function. the vmap rule returned shape .* for output 0, which has shape"):
        mx.eval(UNDER[under](f)(x))

    f.vmap(lambda x, axis: (mx.moveaxis(x, axis, -1) * 3, x.ndim - 1))
    mx.eval(UNDER[under](f)(x))
    assert mx.array_equal(mx.vmap(f)(x), x * 3)
