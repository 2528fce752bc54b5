"""compile with shapeless=True: one recording for many sizes, sizes that stay open in Python, and those that do not."""

import mlx.core as mx
import pytest

import samples


def traces(f):
    return mx.compile_stats(f)["traces"]


def checked(f, *calls):
    """The compiled function, equal to f at every call."""
    compiled = mx.compile(f, shapeless=True)
    for args in calls:
        got, expected = samples.listed(compiled(*args)), samples.listed(f(*args))
        for g, e in zip(got, expected):
            assert (g.shape, g.dtype) == (e.shape, e.dtype)
            assert mx.array_equal(g, e)
    return compiled


def batches(*sizes, features=4):
    return [(mx.random.normal((n, features)),) for n in sizes]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mx.exp(x) * 2 + x,
        lambda x: mx.softmax(x, axis=-1) @ mx.transpose(x),
        lambda x: (x - x.mean(axis=0)) / mx.sqrt(x.var(axis=0) + 1e-3),
        lambda x: mx.grad(lambda y: (mx.tanh(y) @ y.T).sum())(x),
        lambda x: mx.vmap(lambda r: mx.sin(r) * r.sum())(x),
        lambda x: mx.concatenate([x, x * 2], axis=1).sum(axis=0),
        lambda x: mx.sort(mx.cumsum(x, axis=0), axis=1),
        lambda x: x.reshape(x.shape[0] * x.shape[1]),
        lambda x: x.flatten() / x.size,
        lambda x: x.sum(axis=0) / x.shape[0] + (x.shape[0] * 2 + 1),
        lambda x: mx.zeros((x.shape[1], 2 * x.shape[0])) + x.shape[0] % 3 + x.shape[0] // 2,
        lambda x: mx.broadcast_to(x[None], (3, *x.shape)),
    ],
    ids=lambda f: None,
)
def test_one_recording_serves_all_sizes(f):
    assert traces(checked(f, *batches(2, 3, 5, 2, 1, 7))) <= 2  # an axis of length 1 may be another case


def test_python_runs_once_and_results_of_a_size_are_planned_once():
    runs = []

    def f(x):
        runs.append(x.shape)
        return x * 2

    g = mx.compile(f, shapeless=True)
    for n in (2, 3, 4, 3, 2):
        assert g(mx.ones((n,))).shape == (n,)
    assert len(runs) == 1
    assert "Dim" in type(runs[0][0]).__name__


@pytest.mark.parametrize(
    "f, why",
    [
        (lambda x: x * int(x.shape[0]), "was 2 when it was traced and is 3"),
        (lambda x: sum(x[i] for i in range(x.shape[0])), "was 2"),
        (lambda x: x if x.shape[0] > 2 else -x, "how a size compares, which was 2 when it was traced and is 3"),
        (lambda x: x * {2: 1.0, 3: 5.0}[x.shape[0]], "was 2"),
        (lambda x: x * len(x), "was 2"),
        (lambda x: x * (x.shape[0] / 2), "was 2"),
    ],
)
def test_a_size_that_is_needed_as_a_number_is_recorded_anew(f, why):
    g = checked(f, *batches(2, 3, 2, 3))
    assert traces(g) == 2
    assert why in mx.compile_stats(g)["reasons"][-1]


def test_equal_sizes_may_part():
    g = checked(lambda x, y: x.sum() * y, (mx.ones((3,)), mx.ones((3,))), (mx.ones((2,)), mx.ones((4,))), (mx.ones((5,)), mx.ones((6,))))
    assert traces(g) == 2
    with pytest.raises(ValueError, match="broadcast"):
        mx.compile(lambda x, y: x + y, shapeless=True)(mx.ones((2,)), mx.ones((3,)))
    h = checked(lambda x, y: x + y, (mx.ones((3,)), mx.ones((3,))), (mx.ones((2,)), mx.ones((2,))))
    assert traces(h) == 1
    with pytest.raises(ValueError, match="broadcast"):
        h(mx.ones((2,)), mx.ones((3,)))


def test_other_dtypes_and_numbers_of_axes_are_other_recordings():
    g = checked(lambda x: x + 1, (mx.ones((2,)),), (mx.ones((2, 2)),), (mx.ones((2,), mx.int32),), (mx.ones((3,)),))
    assert traces(g) == 3


def test_no_elements():
    checked(lambda x: (x.sum(axis=0), mx.exp(x)), *batches(3, 0, 2))


def test_transforms_around_it():
    f = mx.compile(lambda x: (mx.sin(x) * x.sum()).mean(), shapeless=True)
    for n in (2, 5):
        x = mx.random.normal((n,))
        plain = lambda x: (mx.sin(x) * x.sum()).mean()  # noqa: E731
        assert mx.array_equal(mx.grad(f)(x), mx.grad(plain)(x))
        rows = mx.random.normal((3, n))
        assert mx.array_equal(mx.vmap(f)(rows), mx.vmap(plain)(rows))


def test_state_random_numbers_and_surroundings():
    w = mx.array([2.0])
    state = {"sum": mx.array(0.0)}

    def f(x):
        state["sum"] = state["sum"] + x.sum()
        return x * w + mx.random.uniform(shape=x.shape)

    g = mx.compile(f, inputs=state, outputs=state, shapeless=True)
    for n in (2, 3):
        x = mx.ones((n,))
        mx.random.seed(0)
        expected = x * w + mx.random.uniform(shape=x.shape)
        mx.random.seed(0)
        assert mx.array_equal(g(x), expected)
    assert state["sum"].item() == 5
    w[0] = 3
    assert g(mx.ones((4,))).min().item() >= 3
    assert traces(g) == 1


def test_functions_with_rules_of_their_own_serve_every_size():
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def _(x, cotangent, output):
        return cotangent * 10 + 0 * (x + output)

    g, h = mx.compile(mx.grad(lambda x: f(x).sum()), shapeless=True), mx.compile(lambda x: f(x).sum(), shapeless=True)
    for n in (2, 3):
        assert g(mx.ones((n,))).tolist() == [10] * n
        assert mx.grad(h)(mx.ones((n,))).tolist() == [10] * n
        assert mx.vmap(mx.grad(h))(mx.ones((2, n))).tolist() == [[10] * n] * 2
    assert traces(g) == traces(h) == 1


def test_functions_with_a_rule_that_cannot_be_recorded_are_recorded_for_each_size():
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def _(x, cotangent, output):
        return cotangent * (10 if cotangent.sum().item() > 0 else 20)

    g = mx.compile(mx.grad(lambda x: f(x).sum()), shapeless=True)
    h = mx.compile(lambda x: f(x).sum(), shapeless=True)
    for n in (2, 3):
        assert g(mx.ones((n,))).tolist() == [10] * n
        assert mx.grad(h)(mx.ones((n,))).tolist() == [10] * n
    assert any("rules of its own" in reason for reason in mx.compile_stats(h)["reasons"])


def test_errors_of_the_function_come_through():
    def f(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mx.compile(f, shapeless=True)(mx.ones((2,)))
    with pytest.raises(ValueError, match="matmul"):
        mx.compile(lambda x: x @ mx.ones((3, 3)), shapeless=True)(mx.ones((2, 4)))


def test_dims():
    def f(x):
        n, m = x.shape
        assert n == n and isinstance(n, mx.Dim) and isinstance(n + 1, mx.Dim) and isinstance(n, int)
        assert isinstance(n // 2, mx.Dim) and (n + 1) - 1 == n and n * m == m * n and (n * 6) // 3 == n + n
        assert (n + m).__class__ is int and not isinstance(n - n, mx.Dim) and n - n == 0
        assert mx.zeros((n, 2)).shape[0] == n and x[1:].shape == x[:-1].shape and mx.concatenate([x[:1], x[1:]]).shape == x.shape
        return x

    g = mx.compile(f, shapeless=True)
    g(mx.ones((4, 6))), g(mx.ones((2, 3)))
    assert traces(g) == 1
    numbers = []

    def g(x):
        n = x.shape[0]
        numbers.extend([repr(n), str(n), int(n), n + 0.5, n / 8, 1 / n, -n, n**2, hash(n) == hash(4), n < 5, n >= 5, bool(n), f"{n:03d}", n % 3 == 1, n != 4])
        return x

    mx.compile(g, shapeless=True)(mx.ones((4,)))
    assert numbers == ["4", "4", 4, 4.5, 0.5, 0.25, -4, 16, True, True, False, True, "004", True, False]


def test_gradients_of_products_in_stacks_have_the_bits_of_a_plain_call():
    """Cotangents of one array are added in the same order: equal sizes are known to be equal, though open."""
    gradient = mx.grad(lambda a: mx.sum(mx.sin((a @ a) @ (a @ a)) @ a))
    compiled = mx.compile(gradient, shapeless=True)
    for lanes, n in ((2, 3), (4, 5), (1, 2), (3, 3)):
        for seed in range(5):
            a = mx.random.normal((lanes, n, n), key=mx.random.key(seed))
            assert mx.array_equal(gradient(a), compiled(a))
    assert mx.compile_stats(compiled)["traces"] <= 3


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients_of_stacks_have_the_bits_of_a_plain_call(axis):
    gradient = mx.grad(lambda a: mx.sum(mx.sin(mx.stack([a, 0.3 * a, a[::-1], mx.cos(a)], axis))))
    compiled = mx.compile(gradient, shapeless=True)
    for shape in ((3, 3), (4, 5), (1, 2), (7, 3)):
        for seed in range(5):
            a = mx.random.normal(shape, key=mx.random.key(seed))
            assert mx.array_equal(gradient(a), compiled(a))
    assert mx.compile_stats(compiled)["traces"] <= 3


@pytest.mark.parametrize("shape", [lambda x: (-1, x.shape[1]), lambda x: (x.shape[0], -1)])
def test_a_reshape_to_the_same_shape_is_none(shape):
    def f(a):
        q = a.reshape(shape(a))
        return mx.sum((q * mx.sin(q)) @ mx.cos(q).T) + mx.sum(mx.sin(a))

    gradient = mx.grad(f)
    compiled = mx.compile(gradient, shapeless=True)
    for sizes in ((5, 7), (4, 3), (1, 9)):
        for seed in range(5):
            a = mx.random.normal(sizes, key=mx.random.key(seed))
            assert mx.array_equal(gradient(a), compiled(a))
    assert traces(compiled) == 1
    for open_sizes in (f, compiled, mx.compile(lambda a: a.reshape(shape(a)), shapeless=True)):
        with pytest.raises(ValueError, match="infer"):
            open_sizes(mx.zeros((0, 0)))
