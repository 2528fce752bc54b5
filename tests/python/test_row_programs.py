"""Reductions and what is made of their results run in one pass over the rows: drawn programs of values of elements and of rows give
the bits they give when each step is computed by itself, whichever of the values somebody keeps."""

import mlx.core as mx
import numpy as np
import pytest

REDUCTIONS = [mx.sum, mx.max, mx.min, mx.prod, mx.logsumexp]
UNARY = [mx.exp, mx.abs, mx.negative, mx.square, mx.sigmoid, mx.stop_gradient, lambda x: mx.sqrt(mx.abs(x)), lambda x: x * 0.5]
BINARY = [mx.add, mx.subtract, mx.multiply, mx.maximum, mx.minimum]

# (shape, how many trailing axes are a row): short and long rows, many and few, rows of one element, one row.
SPACES = [((4, 8), 1), ((64, 100), 1), ((20, 2000), 1), ((17, 5000), 1), ((3, 70_000), 1), ((7,), 1), ((5000,), 1), ((2, 3, 4), 2),
          ((2, 3, 4), 1), ((1, 5), 1), ((5, 1), 1), ((40, 3, 500), 2), ((6, 6), 1), ((1, 1), 1), ((30, 1025), 1), ((16, 1024), 1), ((0, 3), 1),
          ((40, 192), 1), ((50, 197), 1), ((30, 256), 1), ((37, 300), 1), ((23, 500), 1), ((18, 1000), 1),
          ((40, 384), 1), ((12, 2048), 1), ((5, 4224), 1), ((1100, 2048), 1)]


def drawn(rng, shape, reduced, dtype):
    """A list of steps (function, numbers of operands); values 0 to 3 are given: two of elements, two of rows (kept, dropped)."""
    kept = shape[:len(shape) - reduced] + (1,) * reduced
    dropped = shape[:len(shape) - reduced]
    axes = tuple(range(len(shape) - reduced, len(shape)))
    forms = [shape, shape, kept, dropped]
    steps = []

    def add(function, operands, form):
        steps.append((function, operands))
        forms.append(form)

    def pick(form):
        return int(rng.choice([i for i, f in enumerate(forms) if f == form]))

    for _ in range(rng.integers(3, 14)):
        kind = rng.integers(8)
        if kind < 2:
            keep = bool(rng.integers(2))
            reduce = REDUCTIONS[rng.integers(len(REDUCTIONS))]
            add(lambda x, reduce=reduce, keep=keep: reduce(x, axis=axes, keepdims=keep), [pick(shape)], kept if keep else dropped)
        elif kind < 4:
            form = forms[rng.integers(len(forms))]
            add(UNARY[rng.integers(len(UNARY))], [pick(form)], form)
        elif kind < 6:
            add(BINARY[rng.integers(len(BINARY))], [pick(shape), pick([kept, shape][rng.integers(2)])], shape)
        elif kind == 6:
            form = [kept, dropped][rng.integers(2)]
            add(BINARY[rng.integers(len(BINARY))], [pick(form), pick(form)], form)
        else:
            change = rng.integers(4)
            if change == 0:
                add(lambda x: mx.reshape(x, kept), [pick(dropped)], kept)
            elif change == 1:
                add(lambda x: mx.reshape(x, dropped), [pick(kept)], dropped)
            elif change == 2:
                add(lambda x: mx.broadcast_to(x, shape), [pick(kept)], shape)
            else:
                add(lambda x: mx.expand_dims(x, axes), [pick(dropped)], kept)
    return forms, steps


def run(steps, given, each):
    values = list(given)
    for function, operands in steps:
        values.append(function(*[values[i] for i in operands]))
        if each:
            mx.eval(values[-1])
    return values


def same(a, b):
    a, b = np.array(a), np.array(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int32", "complex64"])
def test_in_one_pass_as_step_by_step(space, dtype, run_all):
    shape, reduced = space
    big = np.prod(shape) > 50_000
    for seed in range((5 if big else 25) * (10 if run_all else 1)):
        rng = np.random.default_rng([seed, len(dtype), *shape])
        forms, steps = drawn(rng, shape, reduced, dtype)
        if dtype == "int32" or dtype == "complex64":
            reals = {mx.exp, mx.sigmoid, mx.maximum, mx.minimum, mx.max, mx.min, mx.logsumexp}
            steps = [(mx.negative if f in reals and len(o) == 1 and f in UNARY else mx.add if f in reals and len(o) == 2 else f, o)
                     for f, o in steps]
        given = []
        for form in forms[:4]:
            x = rng.uniform(-1, 1, form) * (3 if dtype == "int32" else 1)
            given.append(mx.array(x.astype("float32") if dtype == "complex64" else x).astype(getattr(mx, dtype)))
        mx.eval(given)
        one_by_one = run(steps, given, True)
        values = run(steps, given, False)
        mx.eval(values[-1])
        assert same(values[-1], one_by_one[-1]), seed
        kept = rng.choice(len(values), size=rng.integers(1, len(values)), replace=False)
        values = run(steps, [x * 1 for x in given], False)  # which may be overwritten; + 0 would change -0
        chosen = [values[i] for i in kept]
        del values
        mx.eval(chosen)
        for i, got in zip(kept, chosen):
            assert same(got, one_by_one[i]), (seed, i)


@pytest.mark.parametrize("row", [256, 320, 384, 1024, 1152, 2048, 4224])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cheap_steps_and_their_reduction(row, dtype):
    """With what no order of additions may touch: NaN, infinities and both zeros, in some of the rows."""
    rng = np.random.default_rng(row)
    x, y = (rng.uniform(-1.2, 1.2, (24, row)).astype(dtype) for _ in range(2))
    for i, special in enumerate([np.nan, np.inf, -np.inf, 0.0, -0.0]):
        x[i, rng.integers(row, size=3)] = special
    x, y, z = mx.array(x), mx.array(y), mx.array(x[:, :1])
    mx.eval(x, y, z)
    for steps in ([mx.abs], [mx.negative, mx.square], [lambda v: v * y], [lambda v: v - z, mx.square], [lambda v: mx.maximum(v, y), lambda v: v - y]):
        for reduce in (mx.sum, mx.prod, mx.max, mx.min):
            together, apart = x, x
            for step in steps:
                together, apart = step(together), step(apart)
                mx.eval(apart)
            scaled = together * reduce(together, axis=-1, keepdims=True)
            assert same(reduce(together, axis=-1), reduce(apart, axis=-1))
            kept = reduce(apart, axis=-1, keepdims=True)
            mx.eval(kept)
            assert same(scaled, apart * kept)


@pytest.mark.parametrize("shape", [(4, 8), (64, 100), (20, 2000), (3, 70_000), (5000,)])
def test_softmax_and_layer_norm_forward_and_backward(shape):
    def softmax(x):
        e = mx.exp(x - mx.max(x, axis=-1, keepdims=True))
        return e / mx.sum(e, axis=-1, keepdims=True)

    def layer_norm(x):
        d = x - mx.mean(x, axis=-1, keepdims=True)
        return d * mx.rsqrt(mx.mean(d * d, axis=-1, keepdims=True) + 1e-5)

    rng = np.random.default_rng(0)
    x, w = (mx.array(rng.standard_normal(shape), dtype=mx.float64) for _ in range(2))
    for f in (softmax, layer_norm):
        gradient = np.array(mx.grad(lambda x: mx.sum(f(x) * w))(x))
        step, move = 1e-6, rng.standard_normal(shape)
        moved = [np.sum(np.array(f(x + mx.array(h * move)) * w)) for h in (step, -step)]
        assert np.isclose((moved[0] - moved[1]) / (2 * step), np.sum(gradient * move), rtol=1e-6)
        assert same(mx.compile(f)(x), f(x))
    e = np.exp(np.array(x) - np.array(x).max(-1, keepdims=True))
    assert np.allclose(np.array(softmax(x)), e / e.sum(-1, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("of_sum", [mx.sqrt, mx.log, mx.rsqrt, mx.tanh, mx.reciprocal], ids=lambda f: f.__name__)
@pytest.mark.parametrize("row", [3, 40, 300])
def test_a_gradient_through_values_of_rows_is_one_pass(of_sum, row):
    """The slope there depends on nothing else, and may be met before the rows are."""
    x = mx.array(np.random.default_rng(0).standard_normal((200, row)).astype(np.float32))
    gradient = mx.grad(lambda x: of_sum(mx.sum((x - 1) ** 2, axis=-1)).sum())
    mx.eval(x)
    with mx.profile() as p:
        got = gradient(x)
        mx.eval(got)
    assert len([e for e in p.events if e["bytes"] >= x.nbytes]) == 1
    assert np.array_equal(np.array(got), np.array(mx.compile(gradient)(x)))


def chosen(x, z, row):
    least = x.min(axis=-1, keepdims=True)
    moved = x + least
    return [moved, mx.where(moved > least, least, row).max(axis=-1, keepdims=True)]


def folded_twice(x, z, row):
    moved = z - x.max(axis=-1, keepdims=True)
    return [moved + x, (moved + z).max(axis=-1)]


def centred(x, z, row):
    moved = x - x.max(axis=-1, keepdims=True)
    return [(moved * moved).sum(axis=-1, keepdims=True) + moved * row]


@pytest.mark.parametrize("program", [chosen, folded_twice, centred])
@pytest.mark.parametrize("length", [100, 128, 192, 193, 197, 256, 300, 333, 500, 1000])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float64", "bfloat16"])
def test_rows_together_as_each_alone(program, length, dtype):
    """Memory of what was computed before is written to again, where a row ends within a vector and the next one begins."""
    rng = np.random.default_rng(length)
    x, z, row = (mx.array(rng.integers(-9, 10, shape).astype(np.int32)).astype(getattr(mx, dtype)) for shape in ((40, length), (40, length), (length,)))
    alone = [program(x[i : i + 1], z[i : i + 1], row) for i in range(40)]
    together = program(x * 1, z * 1, row)
    mx.eval(together)
    for i, got in enumerate(together):
        expected = mx.concatenate([rows[i] for rows in alone])
        assert mx.array_equal(got, expected).item()
