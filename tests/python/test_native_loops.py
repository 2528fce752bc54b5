"""Long loops on few elements, which run as machine code where the processor has the instructions: the bits are those of the steps, each evaluated
by itself, for drawn bodies of all that such a loop may do."""

import random
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

TURNS = 200
CALLS = 10  # the last ones run code: after some hundred turns of many steps, or thousand of few
FLOATS, INTS = [mx.float32, mx.float64], [mx.int32, mx.uint32]


def bits(arrays):
    """Of results; all NaNs are alike."""
    found = []
    for a in arrays:
        a = np.array(a)
        a = np.where(np.isnan(a), np.full_like(a, np.nan), a) if a.dtype.kind == "f" else a
        found.append((a.dtype, a.shape, a.tobytes()))
    return found


def draw(values, shape, dtype):
    if dtype == mx.bool_:
        return mx.array(values.random(shape) < 0.5)
    if dtype in INTS:
        return mx.array(values.integers(0, 50, shape).astype(np.int64)).astype(dtype)
    return mx.array(values.choice([-1.5, -0.0, 0.0, 0.25, 0.7, 2.0], shape) + values.choice([0, 1e-3], shape)).astype(dtype)


class Body:
    """Drawn steps on a pool of values: each call of the body takes the same ones."""

    def __init__(self, rng, steps):
        self.steps = [(rng.random(), rng.random(), rng.random(), rng.random()) for _ in range(steps)]

    def __call__(self, pool):
        pool = list(pool)
        for which, first, second, third in self.steps:
            pool.append(self.step(pool, which, first, second, third))
        return pool

    @staticmethod
    def step(pool, which, first, second, third):
        a = pool[int(first * len(pool))]
        alike = [b for b in pool if b.dtype == a.dtype and (b.shape == a.shape or not b.shape or not a.shape)]
        b = alike[int(second * len(alike))]
        if which < 0.08 and a.ndim:  # a part of it
            begin = int(second * a.shape[0])
            return a[begin] if third < 0.5 else a[begin : begin + 1 + int(third * (a.shape[0] - begin))]
        if which < 0.16:  # several as one
            scalars = [c for c in pool if c.dtype == a.dtype and not c.shape]
            if scalars:
                return mx.stack([scalars[int(x * len(scalars))] for x in (first, second, third)])
        if which < 0.18:
            return mx.concatenate([mx.broadcast_to(a, (1 + int(third * 20),)) if not a.ndim else a, b if b.ndim else b[None]])
        if which < 0.22:
            return a.astype([mx.float32, mx.int32, mx.bool_, mx.uint32, mx.float64][int(third * 5)]) if a.dtype != mx.float64 else a * 1
        if which < 0.36:
            pairs = mx.less, mx.less_equal, mx.greater, mx.greater_equal, mx.equal, mx.not_equal
            return pairs[int(third * 6)](a, b)
        conditions = [c for c in pool if c.dtype == mx.bool_ and c.shape in (a.shape, b.shape, ())]
        if which < 0.5 and conditions:
            return mx.where(conditions[int(third * len(conditions))], a, b)
        if a.dtype == mx.bool_:
            return [mx.logical_and, mx.logical_or, mx.bitwise_xor, lambda a, b: mx.logical_not(a)][int(third * 4)](a, b)
        if a.dtype in INTS:
            return [mx.add, mx.subtract, mx.multiply, mx.maximum, mx.minimum, mx.bitwise_and, mx.bitwise_or, mx.bitwise_xor,
                    mx.floor_divide, mx.remainder, mx.left_shift, mx.right_shift][int(third * 12)](a, b)  # fmt: skip
        if which < 0.62:
            half = mx.array(0.5, dtype=a.dtype)
            return [mx.negative, mx.abs, mx.square, lambda a: mx.sqrt(mx.abs(a)), lambda a: mx.rsqrt(mx.abs(a) + half),
                    lambda a: mx.reciprocal(a + half), mx.sin, mx.cos, lambda a: mx.clip(a, -half, half)][int(third * 9)](a)  # fmt: skip
        if which < 0.66:
            return mx.sum(a)
        if which < 0.72:  # multiplications and divisions of the chain rule, shares of extrema
            f = [mx.divide, mx.maximum, mx.multiply][int(third * 3)]
            return mx.vjp(lambda a, b: f(a, b), [a, b], [mx.ones_like(f(a, b)) * 0.5])[1][0]
        return [mx.add, mx.subtract, mx.multiply, mx.divide, mx.maximum, mx.minimum][int(third * 6)](a, b)


def drawn_loop(seed):
    """A body, what it carries at first, and the xs. What is carried is kept from growing."""
    rng, values = random.Random(seed), np.random.default_rng(seed)
    lengths = [(), (), (rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20, 33]),)]
    dtypes = [*FLOATS, *INTS, mx.bool_] if rng.random() < 0.3 else [rng.choice(FLOATS), rng.choice(INTS), mx.bool_]
    kinds = [(rng.choice(lengths), rng.choice(dtypes)) for _ in range(rng.randint(1, 4))]
    rows = [(rng.choice(lengths), rng.choice(dtypes)) for _ in range(rng.randint(0, 2))]
    carry = [draw(values, *kind) for kind in kinds]
    xs = [draw(values, (TURNS, *shape), dtype) for shape, dtype in rows]
    constants = [draw(values, *rng.choice(kinds)) for _ in range(2)]
    drawn = Body(rng, rng.randint(2, 14))
    choice = [rng.random() for _ in range(8)]

    def body(c, x):
        pool = drawn([*c, *x, *constants])
        new = []
        for k, (shape, dtype) in enumerate(kinds):
            found = [a for a in pool[len(c) :] if a.dtype == dtype and a.shape == shape] or [c[k]]
            a = found[-1 - int(choice[k] * min(3, len(found)))]
            new.append(mx.clip(a, -1e3, 1e3).astype(dtype) if dtype in FLOATS and choice[-1] < 0.8 else a)
        return new, [pool[-1 - int(choice[k + 4] * 3)] for k in range(int(choice[-2] * 4))]

    return body, carry, xs


def check(body, carry, xs, seed):
    c, ys = carry, []
    for i in range(TURNS):
        c, y = body(c, [x[i] for x in xs])
        mx.eval(c, y)
        ys.append(y)
    expected = [*c, *(mx.stack(list(y)) for y in zip(*ys))]

    def loop(carry, xs):
        last, along = mx.scan(body, carry, xs, length=TURNS)
        return [*last, *along]

    compiled = mx.compile(loop)
    for f in (loop, *CALLS * [compiled]):
        assert bits(f(carry, xs)) == bits(expected)
    if not xs and seed % 3 == 0:  # the last turn of a loop may be either one
        turns = TURNS + 1 - seed % 2
        repeat = mx.compile(lambda c: mx.while_loop(lambda s: s[0] < turns, lambda s: (s[0] + 1, body(s[1], [])[0]), (mx.array(0), c))[1])
        c = body(expected[: len(carry)], [])[0] if turns > TURNS else expected[: len(carry)]
        for _ in range(CALLS):
            assert bits(repeat(carry)) == bits(c)


@pytest.mark.parametrize("seed", range(300))
def test_same_bits_as_step_by_step(seed):
    check(*drawn_loop(seed), seed)


class Products(Body):
    """Of which half multiply matrices that fit into a vector."""

    def __call__(self, pool):
        pool = list(pool)
        for which, first, second, third in self.steps:
            a = pool[int(first * len(pool))]
            right = [b for b in pool if a.ndim and b.ndim and b.shape[0] == a.shape[-1]]
            b = right[int(second * len(right))] if right else a
            alike = [c for c in pool if c.shape == a.shape]
            if which < 0.45 and right:
                pool.append(a @ b)
            elif which < 0.6 and right:  # its chain rule leaves out terms with a factor 0
                cotangent = a @ b if third < 0.5 else mx.zeros_like(a @ b)
                pool += mx.vjp(lambda a, b: a @ b, [a, b], [cotangent])[1]
            elif which < 0.7 and a.ndim == 2:
                pool.append(a.T)
            elif which < 0.75 and a.ndim:
                pool.append(a[0] if a.ndim == 1 or third < 0.5 else a[:, 0])
            elif which < 0.8:
                pool.append(mx.clip(a, -2.0, 2.0) * 0.5)
            else:
                pool.append([mx.add, mx.subtract, mx.multiply, mx.maximum][int(third * 4)](a, alike[int(second * len(alike))]))
        return pool


def drawn_products(seed):
    rng, values = random.Random(seed), np.random.default_rng(seed)
    n, m = rng.choice([2, 2, 3, 4]), rng.choice([1, 2, 3, 4, 5])
    special = [[], [0.0], [0.0, 1e-39, -3e-40, 2e-38], [np.inf, 0.0, np.nan], [1e-20, -1e-19, 3e-22]][seed % 5]

    def drawn(shape):
        numbers = values.choice([-1.5, -0.5, 0.25, 0.7, 1.0, 2.0, *special], shape) + values.choice([0, 1e-3], shape)
        return mx.array(np.where(np.isin(numbers - 1e-3, special), 0.0, numbers).astype(np.float32))

    shapes = [rng.choice([(n, n), (n,), (n, m), (m, n)]) for _ in range(rng.randint(1, 3))]
    carry, xs = [drawn(s) for s in shapes], [drawn((TURNS, *rng.choice([(n, n), (n,), ()]))) for _ in range(rng.randint(0, 2))]
    constants = [drawn(s) for s in ((n, n), (n,), (n, m), (m, n))]
    steps, choice = Products(rng, rng.randint(2, 12)), [rng.random() for _ in range(8)]

    def body(c, x):
        pool, new = steps([*c, *x, *constants]), []
        for k, shape in enumerate(shapes):
            found = [a for a in pool[len(c) :] if a.shape == shape] or [c[k]]
            a = found[-1 - int(choice[k] * min(3, len(found)))]
            new.append(mx.where(mx.abs(a) < 8.0, a, mx.sign(a) * 0.5) if choice[-1] < 0.7 else a * 0.25)
        return new, [pool[-1 - int(choice[k + 3] * 3)] for k in range(int(choice[-2] * 4))]

    return body, carry, xs


@pytest.mark.parametrize("seed", range(120))
def test_products_of_matrices_that_fit_into_vectors(seed):
    check(*drawn_products(seed), seed)


def along(step, xs):
    """What a step makes of each of the rows, by code and without it."""
    loop = mx.compile(lambda xs: mx.scan(lambda c, x: (c, step(x)), mx.array(0), xs)[1])
    for _ in range(CALLS):
        mx.eval(loop(xs))
    return [loop(xs)], [mx.stack([step(x) for x in xs])]


@pytest.mark.parametrize("count", [None, 1, 3, 16])
@pytest.mark.parametrize("f", [mx.sin, mx.cos], ids=["sin", "cos"])
def test_angles_near_and_far(f, count):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-39, -1e-30, 1.5, 3.0, np.pi, np.pi / 2, 1e5, -1e30, *np.nextafter(np.float32([1.5, 3.0]), 9)]
    values = np.random.default_rng(count)
    numbers = np.float32(values.choice(special, 600)) * values.choice([1, 1, -1], 600).astype(np.float32)
    numbers[::2] = values.uniform(-4, 4, 300)
    numbers = np.concatenate([values.uniform(-1.5, 1.5, 200).astype(np.float32), numbers])
    found, expected = along(f, mx.array(numbers if count is None else np.resize(numbers, (800, count))))
    assert bits(found) == bits(expected)


@pytest.mark.parametrize("count", [None, 1, 3, 8])
@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize("f", [mx.floor_divide, mx.remainder, mx.left_shift, mx.right_shift], ids=lambda f: f.__name__)
def test_quotients_and_shifts_of_extremes(f, dtype, count):
    values = np.random.default_rng(1)
    shape = (800, 2) if count is None else (800, 2, count)
    extremes = [0, 1, 2, 7, 31, 32, 33, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2, 1000, 2**30, 2**31 + 1]
    numbers = np.where(values.random(shape) < 0.7, values.choice(extremes, shape), values.integers(0, 2**32, shape)).astype(np.uint32)
    found, expected = along(lambda x: f(x[0], x[1]), mx.array(numbers).view(dtype))
    assert bits(found) == bits(expected)


def test_reverse_mode_and_lanes():
    xs = mx.array(np.random.default_rng(0).uniform(-1, 1, (TURNS, 3)).astype(np.float32))

    def total(p, xs):
        step = lambda v, x: ((u := mx.where(v * p + x > 1, v * 0.5, v * p + x)), mx.maximum(u, x))  # noqa: E731
        last, along = mx.scan(step, mx.zeros((3,)), xs)
        return mx.sum(last) + mx.sum(along)

    def by_steps(p, xs):
        v, along = mx.zeros((3,)), []
        for i in range(TURNS):
            u = mx.where(v * p + xs[i] > 1, v * 0.5, v * p + xs[i])
            v = u
            along.append(mx.maximum(u, xs[i]))
        return mx.sum(v) + mx.sum(mx.stack(along))

    p = mx.array(0.9)
    gradients = mx.compile(mx.grad(total, argnums=(0, 1)))
    expected = mx.grad(by_steps, argnums=(0, 1))(p, xs)
    for _ in range(CALLS):
        for a, b in zip(gradients(p, xs), expected):
            np.testing.assert_allclose(np.array(a), np.array(b), rtol=2e-5, atol=1e-6)
    many = mx.array([0.5, 0.9, 0.99, 0.1])
    assert bits([mx.vmap(total, in_axes=(0, None))(many, xs)]) == bits([mx.stack([total(q, xs) for q in many])])


def test_an_error_within_such_a_loop():
    table = mx.arange(8).astype(mx.float32)

    def step(c, x):
        c = c * 0.5 + x
        return c, mx.take(table, mx.minimum(mx.abs(c), 100.0).astype(mx.int32), mode="raise") + c

    fits = mx.zeros((20 * TURNS,))
    f = mx.compile(lambda xs: mx.scan(step, mx.array(0.0), xs))
    for _ in range(2):
        mx.eval(f(fits))
        with pytest.raises(IndexError):
            mx.eval(f(mx.where(mx.arange(20 * TURNS) == 19 * TURNS + 1, 50.0, fits)))
    assert f(fits)[1].shape == (20 * TURNS,)


PAGES = """
import mlx.core as mx

def bytes_of_code():  # that no file has
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0].split("-") for line in maps if " r-xp " in line and len(line.split()) == 5]
    return sum(int(end, 16) - int(begin, 16) for begin, end in ranges)

before = bytes_of_code()
f = mx.compile(lambda xs: mx.scan(lambda v, x: (mx.where(v > 1, v * 0.5, v + x), v), mx.array(0.0), xs))
mx.eval(f(mx.ones((4000,))))
print(before, bytes_of_code())
"""


@pytest.mark.skipif(mx.device_info().get("instruction_set") != "AVX3", reason="code is for AVX-512")
def test_there_is_code():
    before, after = map(int, subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True).stdout.split())
    assert after > before
