"""Evaluations of few small steps, which take a way of their own: what they compute, who else may hold what is between, and
functions that are called without the binding's dispatch."""

import gc
import sys
import threading

import mlx.core as mx
import numpy
import pytest


def floats(*shape, seed=0):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32)


def same(x, y):
    assert numpy.array(x).tobytes() == numpy.asarray(y).tobytes()


@pytest.mark.parametrize("shape", [(), (1,), (8,), (128,), (129,), (3, 5), (2, 1, 4), (0,)])
@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float64, numpy.int32])
def test_steps_and_what_is_between(shape, dtype):
    a, b = (numpy.asarray(floats(*shape, seed=s) * 100).astype(dtype) for s in (1, 2))
    x, y = mx.array(a, dtype=getattr(mx, a.dtype.name)), mx.array(b, dtype=getattr(mx, a.dtype.name))
    between = x + y
    root = between * x - y
    mx.eval(root)  # `between` is held by somebody else, too
    same(root, (a + b) * a - b)
    same(between, a + b)
    shared = x - y
    roots = [shared * shared, shared + x]
    del shared
    mx.eval(roots)
    same(roots[0], (a - b) * (a - b))
    same(roots[1], (a - b) + a)


def test_broadcasts_views_and_reductions():
    a, column, flat = floats(4, 6), floats(4, 1, seed=1), floats(6, seed=2)
    x, c, r = mx.array(a), mx.array(column), mx.array(flat)
    same(x * c + r, a * column + flat)
    same((x + 1).T * 2, (a + numpy.float32(1)).T * numpy.float32(2))
    whole = mx.array(numpy.arange(24, dtype=numpy.float32).reshape(4, 6))
    same(mx.sum(whole + 1, axis=0) * r, (numpy.arange(24, dtype=numpy.float32).reshape(4, 6) + 1).sum(0) * flat)
    same(mx.max(whole * 2) - whole, numpy.float32(46) - numpy.arange(24, dtype=numpy.float32).reshape(4, 6))
    same(mx.broadcast_to(x[0] + x[1], (3, 6)) * 2, numpy.broadcast_to((a[0] + a[1]) * numpy.float32(2), (3, 6)))
    same((x > 0).astype(mx.int32) + 1, (a > 0).astype(numpy.int32) + 1)


def test_one_root_twice_and_one_that_is_done():
    x = mx.array(floats(8))
    y = x + 1
    mx.eval(y, y, x)
    same(y, floats(8) + numpy.float32(1))
    z = y * 2
    other = z  # the same handle
    mx.eval({"a": [z, other], "b": (y, 1.0, None, "text")}, z)
    same(z, (floats(8) + numpy.float32(1)) * 2)


@pytest.mark.parametrize("steps", [100, 1000, 1500, 20_000])
def test_long_chains(steps):
    x, y = mx.array(floats(8)), floats(8)
    z = x
    for _ in range(steps):
        z = z * 0.5 + x
        y = y * numpy.float32(0.5) + floats(8)
    same(z, y)


@pytest.mark.parametrize("seed", range(120))
def test_drawn_graphs(seed):
    """Steps, views, reductions, broadcasts, moves and sorts in any order; some are held, and roots are evaluated a few at a time."""
    picked = {m: m.array([1, -1, 0, 0]) for m in (numpy, mx)}
    works = [lambda m, x, y: m.sort(x, axis=-1), lambda m, x, y: m.concatenate([x, y]), lambda m, x, y: m.take(x, picked[m], axis=-1) * 2,
             lambda m, x, y: m.roll(x, 1, axis=-1), lambda m, x, y: m.stack([y, x - y])[1], lambda m, x, y: m.repeat(x, 2, axis=0)[1::2],
             lambda m, x, y: x + m.argmax(x, axis=-1, keepdims=True).astype(x.dtype), lambda m, x, y: m.arange(6).astype(x.dtype) - x,
             lambda m, x, y: m.where(x > y, m.tile(x, (1, 1))[0], m.pad(y, 1)[..., 1:-1][-1])]  # fmt: skip
    rng = numpy.random.default_rng(seed)
    dtype = [numpy.float32, numpy.float64, numpy.int32][seed % 3]
    arrays = [numpy.asarray(rng.integers(-4, 5, shape)).astype(dtype) for shape in [(), (6,), (1, 6), (4, 1), (4, 6), (6,)]]
    nodes = [mx.array(a, dtype=getattr(mx, a.dtype.name)) for a in arrays]
    for _ in range(rng.integers(5, 120)):
        i, j = (int(k) for k in rng.integers(max(0, len(nodes) - 12), len(nodes), 2))
        if arrays[i].shape[::-1] != arrays[i].shape and rng.random() < 0.2:
            step = lambda m, x, y: x.T
        elif arrays[i].size == 0 or rng.random() < 0.1:
            step = lambda m, x, y: m.sum(x, axis=-1).astype(y.dtype) if len(x.shape) else x * x
        elif len(arrays[i].shape) and rng.random() < 0.2:
            step = lambda m, x, y: x[-1]
        elif len(arrays[i].shape) and rng.random() < 0.4:
            step = works[rng.integers(len(works))]
        else:
            step = [lambda m, x, y: x + y, lambda m, x, y: x - y, lambda m, x, y: m.maximum(x, y), lambda m, x, y: m.minimum(y, x) - x,
                    lambda m, x, y: -x, lambda m, x, y: m.minimum(m.maximum(x * y, x - x - 9), y - y + 9)][rng.integers(6)]  # fmt: skip
        try:
            expected = step(numpy, arrays[i], arrays[j])
        except (ValueError, IndexError):  # shapes that do not go together
            continue
        if expected.size > 600:
            continue
        arrays.append(numpy.asarray(expected))
        nodes.append(step(mx, nodes[i], nodes[j]))
    held = rng.permutation(len(nodes))[: rng.integers(1, len(nodes))]
    kept = {int(k): nodes[k] for k in held}
    del nodes
    for part in numpy.array_split(held, rng.integers(1, 6)):
        mx.eval([kept[int(k)] for k in part])
    for k, node in kept.items():
        assert node.shape == arrays[k].shape
        numpy.testing.assert_array_equal(numpy.array(node), arrays[k])  # 0 may be -0: sorts and maxima take either


def test_many_roots():
    a, b = floats(600, 8), floats(8, 600, seed=1)
    x, y = mx.array(a), mx.array(b)
    for count in (5, 200, 600):
        rows = [x[i] + y[:, i] for i in range(count)]
        mx.eval(rows)
        for i, row in enumerate(rows):
            same(row, a[i] + b[:, i])


def test_what_is_let_go():
    live = mx._live_nodes if hasattr(mx, "_live_nodes") else None
    x = mx.array(floats(8))
    for _ in range(10):
        mx.eval(x * 2 + 1)
    gc.collect()
    before = (live() if live else 0), mx.get_active_memory()
    for _ in range(100):
        y = mx.sin(x * 2 + 1)
        mx.eval(y)
        del y
    gc.collect()
    assert ((live() if live else 0), mx.get_active_memory()) == before


def test_transforms_may_still_walk_through():
    x = mx.array(floats(8))

    def f(x):
        y = x * x
        mx.eval(y)  # inside of the transform
        return (y * x).sum()

    numpy.testing.assert_allclose(numpy.array(mx.grad(f)(x)), 3 * floats(8) ** 2, rtol=1e-6)
    numpy.testing.assert_allclose(numpy.array(mx.jvp(f, [x], [mx.ones(8)])[1][0]), (3 * floats(8) ** 2).sum(), rtol=1e-5)
    y = x + 1
    z = y * 2
    gradient = mx.grad(lambda x: (x * z).sum())(x)  # z is older than the transform
    same(gradient, (floats(8) + 1) * 2)


def test_threads_that_share_steps():
    x = mx.array(floats(8))
    expected = (floats(8) + 1) * (floats(8) + 1) + floats(8)
    failures = []
    for _ in range(200):
        shared = x + 1
        roots = [shared * shared + x for _ in range(4)]
        del shared

        def work(root):
            mx.eval(root)
            if numpy.array(root).tobytes() != expected.tobytes():
                failures.append(numpy.array(root))

        threads = [threading.Thread(target=work, args=(root,)) for root in roots]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert not failures


def test_threads_that_walk_through_what_others_evaluate():
    """One looks for the steps of an array, while others compute them without the interpreter's lock and let them go."""

    def chain(steps):
        a = mx.arange(5.0)
        for _ in range(steps):
            a = mx.sin(a) * 1.5
        return a

    def work(k):
        barrier.wait()
        mx.eval(roots[k])
        if not numpy.array_equal(numpy.array(roots[k])[:5], expected):
            wrong.append(k)

    expected, wrong, barrier = numpy.array(chain(1500)), [], threading.Barrier(4)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(150):
            shared = chain(1500)
            roots = [mx.concatenate([shared, mx.zeros(2000)]), shared * 1, mx.concatenate([shared, mx.ones(3000)]), shared + 0]
            del shared
            threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_writes_of_what_is_computed_at_once():
    a = floats(10, 4)
    x, reference = mx.array(a), a.copy()
    kept = None
    for i in range(9):
        value = x[i] * 0.5 + x[9]
        if i == 4:
            kept = value
        x[i + 1] = value
        reference[i + 1] = reference[i] * numpy.float32(0.5) + reference[9]
        if i == 4:
            at_four = reference[5].copy()
    same(x, reference)
    same(kept, at_four)


def test_calls_with_and_without_the_dispatch():
    x, y = mx.array(floats(4)), mx.array(floats(4, seed=1))
    a, b = floats(4), floats(4, seed=1)
    same(mx.abs(x), abs(a))
    same(mx.abs(a=x), abs(a))
    same(mx.abs(x, stream=mx.cpu), abs(a))
    same(mx.abs(-2), numpy.int32(2))
    same(mx.maximum(x, y), numpy.maximum(a, b))
    same(mx.maximum(x, b=y), numpy.maximum(a, b))
    same(mx.maximum(x, 0), numpy.maximum(a, numpy.float32(0)))
    same(mx.maximum(0.5, x), numpy.maximum(numpy.float32(0.5), a))
    same(mx.add(x, b), a + b)
    same(mx.add(2, 3), numpy.int32(5))
    assert mx.add(mx.array(1, mx.int8), 2).dtype == mx.int8
    for call in (lambda: mx.abs(), lambda: mx.abs("x"), lambda: mx.abs(x, y, x), lambda: mx.add(x), lambda: mx.add(x, "y"),
                 lambda: mx.add(None, x), lambda: mx.abs(x, nothing=1)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="broadcast"):
        mx.add(x, mx.zeros(3))
    assert mx.eval() is None and mx.eval(1, "text", None, [x, {"y": y}]) is None
    with pytest.raises(TypeError):
        mx.eval(key=x)


def test_subclasses_and_nested_containers():
    class Mine(list):
        pass

    x = mx.array(floats(4))
    deep = x + 1
    for _ in range(100):
        deep = [deep]
    many = {"a": Mine([x + 2, x + 3]), "b": deep}
    mx.eval(many)
    same(many["a"][1], floats(4) + 3)


def test_compiled_functions_of_few_values():
    f = mx.compile(lambda p, x: {"a": p["a"] + x, "b": p["b"] * mx.tanh(x), "c": p["a"]})
    p = {"a": mx.array(floats(8)), "b": mx.array(floats(8, seed=1))}
    for i in range(4):
        x = mx.array(floats(8, seed=2 + i))
        eager = {"a": p["a"] + x, "b": p["b"] * mx.tanh(x), "c": p["a"]}
        compiled = f(p, x)
        for key in eager:
            same(compiled[key], eager[key])
    lazy = f(p, mx.array(floats(8)) * 2)  # an operand that is not computed yet
    same(lazy["a"], floats(8) + floats(8) * 2)
    x = mx.array(floats(8))
    out = f(p, x)
    x[0] = 100.0  # later
    same(out["a"], floats(8) + floats(8))
    gradient = mx.grad(lambda x: f(p, x)["b"].sum())(mx.zeros(8))
    numpy.testing.assert_allclose(numpy.array(gradient), floats(8, seed=1), rtol=1e-6)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 11, 16, 17])
@pytest.mark.parametrize("reverse", [False, True])
def test_loops_of_short_rows(dtype, n, reverse):
    numbers = numpy.float32 if dtype == mx.float32 else numpy.float64
    xs, ws, c = floats(50, n).astype(numbers), floats(50, n, seed=1).astype(numbers), floats(n, seed=2).astype(numbers)

    def step(carry, given):
        a, b = carry
        x, w = given
        a = a * 0.5 + x
        b = x * w - b * 0.25
        return (a, b), (a, b + x, x)

    arrays = [mx.array(v, dtype=dtype) for v in (c, c * 2, xs, ws)]
    (a, b), (first, second, third) = mx.scan(step, (arrays[0], arrays[1]), (arrays[2], arrays[3]), reverse=reverse)
    ra, rb = c, c * 2
    half, quarter = numbers(0.5), numbers(0.25)
    rows = [None] * 50
    for t in reversed(range(50)) if reverse else range(50):
        ra, rb = ra * half + xs[t], xs[t] * ws[t] - rb * quarter
        rows[t] = (ra, rb + xs[t], xs[t])
    same(a, ra)
    same(b, rb)
    for got, k in ((first, 0), (second, 1), (third, 2)):
        same(got, numpy.stack([row[k] for row in rows]))


@pytest.mark.parametrize("step", [lambda c, x: (x, x * 2), lambda c, x: (x, x), lambda c, x: (x * 2, x), lambda c, x: (x, c + c),
                                  lambda c, x: (x, c * x), lambda c, x: (c, c * x), lambda c, x: (x * c, c), lambda c, x: (c + x, c)])  # fmt: skip
@pytest.mark.parametrize("length", [17, 18, 40])
def test_loops_that_carry_rows(step, length):
    xs, c = floats(length, 4), floats(4, seed=1)
    carry, ys = mx.scan(step, mx.array(c), mx.array(xs))
    rows = []
    for x in xs:
        c, y = step(c, x)
        rows.append(y)
    same(carry, c)
    same(ys, numpy.stack(rows))


@pytest.mark.parametrize("mode", ["add", "set", "maximum", "multiply"])
@pytest.mark.parametrize("width", [16, 64, 65, 1000])
def test_scatters_of_rows(mode, width):
    rng = numpy.random.default_rng(3)
    rows, count = 50, 3000
    index = rng.integers(-rows, rows, count).astype(numpy.int32)
    x, updates = rng.integers(-5, 5, (rows, width)).astype(numpy.float32), rng.integers(1, 3, (count, width)).astype(numpy.float32)
    if mode == "multiply":
        updates = numpy.where(updates == 1, -1, 1).astype(numpy.float32)
    place = mx.array(x).at[mx.array(index)]
    got = mx.array(x) if mode == "set" else getattr(place, mode)(mx.array(updates))
    reference = x.copy()
    if mode == "set":
        got[mx.array(index)] = mx.array(updates)
        for i, u in zip(index, updates):
            reference[i] = u
    else:
        getattr(numpy, mode).at(reference, index, updates)
    same(got, reference)
    with pytest.raises(IndexError):
        mx.eval(mx.array(x).at[mx.array([0, rows] * 2000)].add(mx.ones((4000, width))))


@pytest.mark.parametrize("dtype", [mx.int32, mx.uint32, mx.int64, mx.int16, mx.uint8])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_short_runs_along_an_axis(dtype, axis):
    rng = numpy.random.default_rng(4)
    shape, short = [20, 30, 9], [20, 30, 9]
    short[axis] = 7
    x = rng.standard_normal(shape).astype(numpy.float32)
    low = 0 if dtype in (mx.uint32, mx.uint8) else -shape[axis]
    index = rng.integers(low, shape[axis], short)
    got = mx.take_along_axis(mx.array(x), mx.array(index).astype(dtype), axis=axis)
    same(got, numpy.take_along_axis(x, index, axis=axis))
    index.reshape(-1)[-1] = shape[axis]
    with pytest.raises(IndexError, match="take_along_axis"):
        mx.eval(mx.take_along_axis(mx.array(x), mx.array(index).astype(dtype), axis=axis))
