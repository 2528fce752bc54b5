"""Inside a mapped function: draws without a key, updates in place of what is mapped and what is not, and what printing shows."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

# --- draws ---

DRAWS = {
    "uniform": lambda: mx.random.uniform(shape=(2,)), "normal": lambda: mx.random.normal((2,)),
    "randint": lambda: mx.random.randint(0, 1 << 30, (2,)), "bernoulli": lambda: mx.random.bernoulli(0.5, (40,)),
    "permutation": lambda: mx.random.permutation(20), "categorical": lambda: mx.random.categorical(mx.zeros((20, 9))),
    "gumbel": lambda: mx.random.gumbel((2,)), "laplace": lambda: mx.random.laplace((2,)),
    "truncated_normal": lambda: mx.random.truncated_normal(-1.0, 1.0, (2,)), "bits": lambda: mx.random.bits((2,)),
}


def drawn(name, randomness, lanes=5):
    mx.random.seed(3)
    return np.array(mx.vmap(lambda x: DRAWS[name]() + 0 * x.astype(mx.int32), randomness=randomness)(mx.zeros(lanes)))


@pytest.mark.parametrize("name", DRAWS)
def test_randomness(name):
    different, same = drawn(name, "different"), drawn(name, "same")
    assert different.shape == same.shape
    assert len({row.tobytes() for row in different}) == 5
    assert len({row.tobytes() for row in same}) == 1
    np.testing.assert_array_equal(different, drawn(name, "different"))  # from the seed
    with pytest.raises(ValueError, match=r"^\[random\.\w+\] no key is given inside vmap with randomness \"error\""):
        drawn(name, "error")


def test_different_lanes_are_draws_of_split_keys():
    mx.random.seed(7)
    got = mx.vmap(lambda x: mx.random.uniform() + x)(mx.zeros(4))
    mx.random.seed(7)
    keys = mx.random.split(mx.random.split(mx.random.key(7))[1], 4)
    np.testing.assert_array_equal(np.array(got), [mx.random.uniform(key=keys[k]).item() for k in range(4)])


def test_same_is_the_draw_outside():
    mx.random.seed(7)
    got = mx.vmap(lambda x: mx.random.uniform() + x, randomness="same")(mx.zeros(4))
    mx.random.seed(7)
    assert got.tolist() == [mx.random.uniform().item()] * 4


@pytest.mark.parametrize("outer, inner", list(itertools.product(["different", "same"], repeat=2)))
def test_nested_randomness(outer, inner):
    draw = lambda x: x + mx.random.uniform()
    got = np.array(mx.vmap(mx.vmap(draw, randomness=inner), randomness=outer)(mx.zeros((3, 4))))
    assert len(np.unique(got)) == (3 if outer == "different" else 1) * (4 if inner == "different" else 1)


def test_an_error_of_any_level_counts():
    draw = lambda x: x + mx.random.uniform()
    for levels in (("error", "same"), ("same", "error")):
        with pytest.raises(ValueError, match="no key is given"):
            mx.vmap(mx.vmap(draw, randomness=levels[0]), randomness=levels[1])(mx.zeros((3, 4)))
    key = mx.random.key(0)
    keyed = mx.vmap(lambda x: x + mx.random.uniform(key=key), randomness="error")(mx.zeros(3))
    assert len(set(keyed.tolist())) == 1
    mapped = mx.vmap(lambda k: mx.random.uniform(key=k), randomness="error")(mx.random.split(key, 3))
    assert len(set(mapped.tolist())) == 3


def test_a_failed_draw_uses_no_key_up():
    mx.random.seed(1)
    with pytest.raises(ValueError):
        mx.vmap(lambda x: x + mx.random.uniform(), randomness="error")(mx.zeros(3))
    after = mx.random.uniform().item()
    mx.random.seed(1)
    assert mx.random.uniform().item() == after


def test_randomness_under_gradients():
    loss = lambda w: (w * mx.vmap(lambda x: x * mx.random.normal(), randomness="same")(mx.ones(3))).sum()
    mx.random.seed(2)
    gradient = mx.grad(loss)(mx.ones(3))
    assert len(set(gradient.tolist())) == 1
    mx.random.seed(2)
    per_lane = mx.vmap(mx.grad(lambda w: w * mx.random.normal()))(mx.ones(3))
    assert len(set(per_lane.tolist())) == 3


def test_other_randomness_is_refused():
    with pytest.raises(ValueError, match='randomness is "equal"; it should be "different", "same" or "error"'):
        mx.vmap(lambda x: x, randomness="equal")
    with pytest.raises(TypeError):
        mx.vmap(lambda x: x, randomness=None)


# --- updates in place: any of the array, the place and the value mapped ---

def assign(x, i, v):
    x[i] = v
    return x


def add(x, i, v):
    x[i] += v
    return x


def assign_beside(x, i, v):
    x[1:3, i] = v
    return x


def assign_part(x, i, v):
    part = x[i]
    part[:2] = v
    return part


UPDATES = {
    "x[i] = v": assign, "x[i] += v": add, "x[1:3, i] = v": assign_beside, "x[i][:2] = v": assign_part,
    "add": lambda x, i, v: x.at[i].add(v), "multiply": lambda x, i, v: x.at[i].multiply(v),
    "maximum": lambda x, i, v: x.at[i].maximum(v), "at beside a range": lambda x, i, v: x.at[1:3, i].add(v),
    "put": lambda x, i, v: mx.put_along_axis(x, i.reshape(-1, 1), v.reshape(1, 1), axis=1) if i.size else x,
}
SUBSETS = [s for s in itertools.product([True, False], repeat=3) if any(s)]


@pytest.mark.parametrize("mapped", SUBSETS, ids=lambda m: "".join("xiv"[k] for k in range(3) if m[k]))
@pytest.mark.parametrize("places", ["one", "several"])
@pytest.mark.parametrize("name", UPDATES)
def test_updates(name, places, mapped):
    rng = np.random.default_rng(0)
    x = [mx.array(rng.normal(size=(4, 4))) for _ in range(3)]
    i = [mx.array(k if places == "one" else [k, 3]) for k in (2, 0, 1)]
    if name == "put":
        i = [mx.array([k, 3, 0, 1]) for k in (2, 0, 1)]
    if name == "x[i][:2] = v":
        i = [mx.array(k) for k in (2, 0, 1)]
    v = [mx.array(float(k)) for k in (5, 6, 7)]
    given = [mx.stack(values) if m else values[0] for values, m in zip((x, i, v), mapped)]
    lanes = [[values[k] if m else values[0] for values, m in zip((x, i, v), mapped)] for k in range(3)]
    call = UPDATES[name]
    got = mx.vmap(call, in_axes=tuple(0 if m else None for m in mapped))(*given)
    expected = np.stack([np.array(call(lane[0] + 0, *lane[1:])) for lane in lanes])
    np.testing.assert_array_equal(np.array(got), expected)
    loss = lambda x, v, call=call: (mx.vmap(call, in_axes=tuple(0 if m else None for m in mapped))(x, given[1], v) ** 2).sum()
    gradients = mx.grad(loss, argnums=(0, 1))(given[0], given[2])
    summed = lambda x, v: sum((call((x[k] if mapped[0] else x) + 0, lanes[k][1], v[k] if mapped[2] else v) ** 2).sum() for k in range(3))
    for g, e in zip(gradients, mx.grad(summed, argnums=(0, 1))(given[0], given[2])):
        np.testing.assert_allclose(np.array(g), np.array(e), rtol=1e-6, atol=1e-6)


def test_updates_leave_the_arguments_alone():
    x, v = mx.zeros((3, 2)), mx.array([1.0, 2.0, 3.0])
    assert mx.vmap(lambda x, v: assign(x, 0, v))(x, v).tolist() == [[1, 0], [2, 0], [3, 0]]
    assert x.tolist() == [[0, 0]] * 3
    assert mx.vmap(lambda v: assign(mx.zeros(2), 1, v))(v).tolist() == [[0, 1], [0, 2], [0, 3]]


def test_loops_of_updates():
    """A running sum written as a loop, mapped, and mapped twice."""
    def running(x):
        for k in range(1, x.shape[0]):
            x[k] += x[k - 1]
        return x

    x = mx.array(np.random.default_rng(1).normal(size=(2, 3, 5)))
    np.testing.assert_allclose(np.array(mx.vmap(mx.vmap(running))(x)), np.cumsum(np.array(x), -1), rtol=1e-5)
    np.testing.assert_allclose(np.array(mx.vmap(running, in_axes=1, out_axes=1)(x[0].T)), np.cumsum(np.array(x[0].T), 0), rtol=1e-5)


# --- printing ---

def shown_in(function, *args, **axes):
    seen = []
    mx.vmap(lambda *xs: function(seen, *xs), **axes)(*args)
    return seen


def test_printing_shows_lanes_first():
    def look(seen, x):
        seen.append(str(x))
        return x

    assert shown_in(look, mx.array([[1, 2, 3], [4, 5, 6]]), in_axes=1) == [
        "array([[1, 4],\n       [2, 5],\n       [3, 6]], dtype=int32, lanes=(3,))"]


def test_printing_in_nested_maps():
    """Outer lanes lead; what only the inner or the outer level maps shows that level alone."""
    def outer(seen, a):
        def inner(b):
            seen.append([str(a), str(b), str(a + b), str(mx.array(7))])
            return a + b

        return mx.vmap(inner)(mx.array([10, 20]))

    (texts,) = shown_in(outer, mx.array([1, 2, 3]))
    assert texts == ["array([1, 2, 3], dtype=int32, lanes=(3,))", "array([10, 20], dtype=int32, lanes=(2,))",
                     "array([[11, 21],\n       [12, 22],\n       [13, 23]], dtype=int32, lanes=(3,2))", "array(7, dtype=int32)"]


def test_printing_in_gradients_of_maps_and_maps_of_gradients():
    def look(seen, x):
        seen.append(str(x * 2))
        return x * x

    expected = ["array([2, 4], dtype=float32, lanes=(2,))"]
    assert shown_in(lambda seen, x: mx.grad(lambda x: look(seen, x))(x), mx.array([1.0, 2.0])) == expected
    seen = []
    mx.grad(lambda x: mx.vmap(lambda x: look(seen, x))(x).sum())(mx.array([1.0, 2.0]))
    assert seen == expected


def test_printing_after_updates_and_formats():
    def look(seen, x):
        x[0] = 5
        seen.append(f"{x}")
        return x

    assert shown_in(look, mx.array([[1, 2], [3, 4]])) == ["array([[5, 2],\n       [5, 4]], dtype=int32, lanes=(2,))"]
