"""Recordings inside recordings, and custom rules that read arrays of the recording they were made in: named cases."""

import functools

import mlx.core as mx
import pytest

X = mx.array([1.0, 2.0, 3.0])
W = mx.array([2.0, 3.0, 4.0])
BATCH = mx.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])


def same(got, expected):
    assert mx.allclose(got, expected, rtol=1e-5, atol=1e-6).item() and got.shape == expected.shape


def compiled(f):
    return mx.compile(f)


def shapeless(f):
    return mx.compile(f, shapeless=True)


BOTH = pytest.mark.parametrize("outer", [compiled, shapeless])
EITHER = pytest.mark.parametrize("inner", [compiled, shapeless])


# --- a compiled function inside another ---


@BOTH
@EITHER
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_captured_arrays_at_each_level(inner, outer, levels):
    w = mx.array([1.0, 2.0, 3.0])
    f = plain = lambda x: x * w
    for _ in range(levels):
        f = inner((lambda f: lambda x: f(x) + w)(f))
        plain = (lambda f: lambda x: f(x) + w)(plain)
    g = outer(f)
    for _ in range(2):
        same(g(X), plain(X))  # the inner ones are called inside first
        same(f(X), plain(X))
        w *= 3.0
    w[0] = mx.sin(w[1])
    same(g(X), plain(X))


@BOTH
def test_recursion(outer):
    w = mx.array([1.0, 2.0, 3.0])

    @outer
    def power(x, n):
        return x if n == 0 else power(x, n - 1) * w

    for n in (3, 1, 4):
        same(power(X, n), X * w**n)
        w[1] = n


@BOTH
@EITHER
def test_other_sizes_and_captured_arrays(inner, outer):
    scale = mx.array([2.0])
    g = inner(lambda x: (x * scale).reshape(x.shape[0], 1) + x.shape[0])
    f = outer(lambda x: g(mx.concatenate([x, x])) * scale)
    for n in (2, 3, 5):
        x = mx.ones((n,))
        same(f(x), mx.full((2 * n, 1), (scale.item() + 2 * n) * scale.item()))
        scale += 1.0


@BOTH
def test_an_inner_function_may_read_captured_values(outer):
    w = mx.array([1.0, 2.0])
    inner = mx.compile(lambda x: x * (2 if w.sum().item() > 2 else 5))
    f = outer(lambda x: inner(x) + 1)
    for factor in (2, 5):
        same(f(X), X * factor + 1)
        same(inner(X), X * factor)
        same(f(X), X * factor + 1)
        w *= 0.1


@pytest.mark.parametrize("inside_first", [True, False])
def test_an_inner_function_serves_both_sides(inside_first):
    inner = mx.compile(lambda x: mx.sin(x) * W)
    outer = mx.compile(lambda x: inner(x) + inner(2 * x))
    expected = mx.sin(X) * W + mx.sin(2 * X) * W
    if not inside_first:
        same(inner(X), mx.sin(X) * W)
    for _ in range(2):
        same(outer(X), expected)
        same(inner(X), mx.sin(X) * W)
    assert mx.compile_stats(inner)["traces"] == 1  # what outer's recording holds is no recording of inner's
    assert mx.compile_stats(outer)["traces"] == 1


def test_state_of_an_inner_function():
    state = {"n": mx.array(0.0)}

    def step(x):
        state["n"] = state["n"] + x.sum()
        return x * state["n"]

    inner = mx.compile(step, inputs=state, outputs=state)
    outer = mx.compile(lambda x: inner(x) + inner(x), inputs=state, outputs=state)
    for turn in range(3):
        same(outer(X), X * (6 * (3 * turn + 1) + 6 * (3 * turn + 2)))
        same(inner(X), X * (6 * (3 * turn + 3)))


@pytest.mark.parametrize("levels", [1, 2])
def test_state_that_only_an_inner_function_names(levels):
    state = {"n": mx.array(0.0), "list": [mx.zeros((3,))]}

    @functools.partial(mx.compile, inputs=state, outputs=state)
    def inner(x):
        state["n"] = state["n"] + x.sum()
        state["list"][0] = state["list"][0] + x
        return x * state["n"]

    outer = inner
    for _ in range(levels):
        outer = (lambda f: mx.compile(lambda x: f(x) + 1))(outer)
    total = 0.0
    for turn in range(1, 6):
        total += 6
        same(outer(X), X * total + levels)
        same(state["n"], mx.array(total))
        same(state["list"][0], X * turn)
    assert mx.compile_stats(outer)["traces"] <= 2
    state["n"] = mx.array(1.0)
    same(outer(X), X * 7 + levels)

    def fails(x):
        inner(x)
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError):
            mx.compile(fails)(X)
        same(state["n"], mx.array(7.0))


def test_in_place_changes_by_an_inner_function():
    total = mx.zeros((3,))

    def add(x):
        nonlocal total
        total += x
        return total * 2

    inner = mx.compile(add)
    outer = mx.compile(lambda x: inner(x) - inner(2 * x))
    for turn in range(3):
        same(outer(X), -4 * X)
        same(total, 3 * (turn + 1) * X)


def test_lanes_in_containers_around_an_inner_function():
    place = {}
    inner = mx.compile(lambda x: x * place["w"])

    def f(x, w):
        place["w"] = w
        out = inner(x) + inner(2 * x)
        del place["w"]
        return out

    for wrap in (mx.vmap, lambda f: mx.vmap(mx.compile(f)), lambda f: mx.compile(mx.vmap(f))):
        g = wrap(f)
        for _ in range(2):
            same(g(BATCH, 2 * BATCH), 6 * BATCH * BATCH)


@EITHER
def test_export_of_a_function_with_compiled_parts(inner, tmp_path):
    w = mx.array([2.0])
    g = inner(lambda x: mx.sin(x) * w)
    mx.export_function(str(tmp_path / "f.mlxfn"), lambda x: g(x) + g(2 * x), X, shapeless=True)
    f = mx.import_function(str(tmp_path / "f.mlxfn"))
    for x in (X, X[:2]):
        same(f(x)[0], (mx.sin(x) + mx.sin(2 * x)) * 2)


def test_what_escapes_from_an_inner_function_is_an_error():
    kept = []
    inner = mx.compile(lambda x: (kept.append(x * 2), x)[1])
    with pytest.raises(ValueError, match=r"\[compile\].*still referenced"):
        mx.compile(lambda x: inner(x) + 1)(X)


# --- closures of rules ---


def checkpointed(x, w):
    return mx.checkpoint(lambda a: mx.sin(a) * w)(x).sum()


def scanned(x, w):
    return mx.scan(lambda c, a: (c + mx.checkpoint(lambda b: mx.sin(b) * w)(a).sum(), c * w), mx.array(0.0), x)[0]


def with_rules(*rules):
    """A custom function whose rules read an argument of the function around it, and one of their own that is computed."""

    def f(x, w):
        twice = w * 2

        @mx.custom_function
        def g(a):
            return mx.sin(a) * w

        if "vjp" in rules:
            g.vjp(lambda primals, cotangent, output: cotangent * mx.cos(primals) * twice)
        if "jvp" in rules:
            g.jvp(lambda primals, tangents: tangents * mx.cos(primals) * twice)
        if "vmap" in rules:
            g.vmap(lambda inputs, axes: (mx.sin(inputs) * twice / 2, axes))
        return g(x).sum()

    return f


RULES = (["vjp"], ["jvp"], ["vmap"], ["vjp", "vmap"], ["jvp", "vmap"], ["vjp", "jvp", "vmap"])
FUNCTIONS = {"checkpoint": checkpointed, "scan": scanned} | {"-".join(rules): with_rules(*rules) for rules in RULES}


def gradients(f):
    return mx.value_and_grad(f, argnums=(0, 1))


# name: (the transforms with compile c among them, without it, whether arguments are batches)
WRAPS = {
    "compile": (lambda f, c: c(f), lambda f: f, (False, False)),
    "compile-grad": (lambda f, c: c(gradients(f)), gradients, (False, False)),
    "grad-compile": (lambda f, c: gradients(c(f)), gradients, (False, False)),
    "vmap-compile": (lambda f, c: mx.vmap(c(f)), mx.vmap, (True, True)),
    "compile-vmap": (lambda f, c: c(mx.vmap(f)), mx.vmap, (True, True)),
    "vmap-grad-compile": (lambda f, c: mx.vmap(gradients(c(f))), lambda f: mx.vmap(gradients(f)), (True, True)),
    "vmap-compile-grad": (lambda f, c: mx.vmap(c(gradients(f))), lambda f: mx.vmap(gradients(f)), (True, True)),
    "compile-vmap-grad": (lambda f, c: c(mx.vmap(gradients(f))), lambda f: mx.vmap(gradients(f)), (True, True)),
    "vmap-compile-shared": (lambda f, c: mx.vmap(c(f), in_axes=(0, None)), lambda f: mx.vmap(f, in_axes=(0, None)), (True, False)),
    "compile-vmap-shared": (lambda f, c: c(mx.vmap(f, in_axes=(0, None))), lambda f: mx.vmap(f, in_axes=(0, None)), (True, False)),
}


def flat(tree):
    return [a for part in tree for a in flat(part)] if isinstance(tree, tuple) else [tree]


@BOTH
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_closures_over_arguments(function, wrap, outer):
    f = FUNCTIONS[function]
    make, plain, batched = WRAPS[wrap]
    got, expected = make(f, outer), plain(f)
    for factor in (1.0, -0.5):
        args = (BATCH if batched[0] else X) * factor, (BATCH[::-1] if batched[1] else W) + factor
        for a, b in zip(flat(got(*args)), flat(expected(*args)), strict=True):
            same(a, b)


def threefold(x, w):
    """Its rule of batching is not what the function is, which shows that it is used."""
    f = mx.custom_function(lambda a: mx.sin(a))
    f.vmap(lambda inputs, axes: (3 * w * mx.sin(inputs), axes))
    return f(x)


SHARED = {"in_axes": (0, None)}


@pytest.mark.parametrize("wrap", [
    lambda f: mx.vmap(f, **SHARED), lambda f: mx.vmap(mx.compile(f), **SHARED), lambda f: mx.compile(mx.vmap(f, **SHARED)),
    lambda f: mx.compile(mx.vmap(mx.compile(f), **SHARED)),
    lambda f: lambda x, w: mx.vjp(mx.vmap(mx.compile(f), **SHARED), [x, w], [mx.ones_like(x)])[0][0]])
def test_rules_of_batching_see_the_arrays_of_each_call(wrap):
    f = wrap(threefold)
    for factor in (1.0, 2.0):
        same(f(BATCH * factor, W * factor), 3 * factor * W * mx.sin(BATCH * factor))


@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile])
def test_a_rule_of_batching_that_uses_lanes_gives_way_to_the_function(wrap):
    same(wrap(mx.vmap(threefold))(BATCH, BATCH), mx.sin(BATCH))
    summed = lambda x, w: threefold(x, w).sum()  # noqa: E731
    value, gradient = wrap(mx.vmap(mx.value_and_grad(summed)))(BATCH, BATCH)
    same(value, mx.sin(BATCH).sum(1))
    same(gradient, mx.cos(BATCH))

    def carried(x):  # the rule uses the carry of a loop
        return mx.scan(lambda c, a: (c + threefold(a, c), c), x, mx.stack([x, x]))[0]

    def expected(x):
        return x + 2 * mx.sin(x)

    same(wrap(mx.vmap(carried))(BATCH), expected(BATCH))
    same(mx.vmap(wrap(carried))(BATCH), expected(BATCH))


def reads_cotangents(x, w):
    """A rule that cannot be recorded: it needs a value."""
    f = mx.custom_function(lambda a: mx.sin(a) * w)
    f.vjp(lambda primals, cotangent, output: cotangent * w * (2 if cotangent.sum().item() > 0 else 5))
    return f(x)


def test_a_rule_that_reads_values_runs_outside_of_recordings():
    f = mx.compile(reads_cotangents)
    for w in (W, 2 * W):
        same(f(X, w), mx.sin(X) * w)
        for sign, factor in ((1, 2), (-1, 5)):
            same(mx.grad(lambda x: sign * f(x, w).sum())(X), sign * factor * w)
    with pytest.raises(ValueError, match="reads the value"):
        mx.compile(lambda x, c: mx.vjp(lambda x: reads_cotangents(x, W), [x], [c])[1][0])(X, X)


def test_a_rule_that_fails_is_not_asked_without_need():
    def f(x, w):
        g = mx.custom_function(lambda a: a * w)
        g.vjp(lambda *args: {}[w])
        return g(x)

    f = mx.compile(f)
    same(f(X, W), X * W)
    with pytest.raises((KeyError, TypeError)):
        mx.grad(lambda x: f(x, W).sum())(X)


@pytest.mark.parametrize("wrap", [
    mx.compile, mx.vmap, lambda f: mx.compile(mx.vmap(f)), lambda f: mx.vmap(mx.compile(f)), lambda f: mx.vmap(mx.checkpoint(f))])
def test_arrays_that_are_kept_beside_rules_are_still_an_error(wrap):
    kept = []

    def f(x, w):
        kept.append(w * 2)
        return with_rules("vjp", "vmap")(x, w)

    for _ in range(2):
        with pytest.raises(ValueError, match="still referenced after the function returned"):
            wrap(f)(BATCH, BATCH)
        kept.clear()


# --- what is being computed in the background ---


@pytest.mark.parametrize("wrap", [mx.compile, lambda f: mx.vmap(mx.compile(f)), lambda f: mx.compile(mx.grad(lambda x: f(x).sum()))])
def test_background_evaluation_is_no_escape(wrap):
    w = mx.ones((1, 100))
    for _ in range(100):

        def f(x):
            mx.async_eval(mx.sin(w) * 2, mx.cos(w + 1) @ mx.ones((100, 3)))  # noqa: B023
            return x * w.sum()

        assert wrap(f)(mx.ones((2, 3))).shape == (2, 3)


def test_errors_of_background_evaluation_wait_for_synchronize():
    def f(x):
        mx.async_eval(mx.sin(mx.ones((1 << 50,)) * w))  # more memory than there is
        return x

    w = mx.array(1.0)
    kept = []
    with pytest.raises(ValueError, match="still referenced"):
        mx.compile(lambda x: (f(x), kept.append(x), x)[2])(mx.ones((2,)))
    with pytest.raises(Exception, match="memory|bytes"):
        mx.synchronize()


# --- the order of sums in reverse mode, which recordings do not change ---


def inner_gradient(f, x):
    return mx.grad(lambda a: mx.sum(f(a) * mx.cos(a)))(x)


def inner_product(f, x):
    return mx.jvp(mx.grad(lambda a: mx.sum(f(a))), [x], [mx.sin(x)])[1][0]


@EITHER
@pytest.mark.parametrize("derived", [inner_gradient, inner_product])
@pytest.mark.parametrize("f", [
    lambda x: mx.where(x == x, mx.sin(x), 0) * x, lambda x: x * mx.sqrt(mx.sum(x * x)),
    lambda x: mx.cumsum(x * mx.exp(x)) * x, lambda x: mx.softmax(x * x) * mx.sin(x)])
def test_a_compiled_derivative_has_the_gradient_of_a_plain_one_to_the_bit(inner, derived, f):
    whole = lambda x: mx.sum(mx.tanh(derived(f, x)) * x)  # noqa: E731
    plain, kept = mx.grad(whole), mx.grad(inner(whole))
    for seed in range(20):
        x = mx.random.normal((9,), key=mx.random.key(seed))
        expected = plain(x)
        assert mx.array_equal(kept(x), expected) and mx.array_equal(mx.compile(kept)(x), expected)
