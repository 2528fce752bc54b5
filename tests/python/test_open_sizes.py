"""Sizes in a shapeless recording are ints to all who ask: what a function sees of one is what it sees in a plain call, by
arithmetic that stays open or by a guard; and what it returns of one is an int."""

import copy
import decimal
import fractions
import functools
import itertools
import json
import math
import numbers
import operator
import pickle
import random
import struct

import mlx.core as mx
import numpy as np
import pytest

SIZES = (4, 6, 4, 1, 0, 7, 16)


def plain(value):
    """Values and exact types, arrays by their bits."""
    if isinstance(value, mx.array):
        return "array", str(value.dtype), value.shape, value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value), [plain(v) for v in value]
    if isinstance(value, dict):
        return type(value), [(plain(k), plain(v)) for k, v in value.items()]
    return type(value), value if value == value else "nan"


def outcome(f, *args):
    try:
        return plain(f(*args))
    except Exception as error:
        return type(error), str(error)


def agrees(see, sizes=SIZES, features=3):
    """see(n, m, x) gives the same in every recording as in a plain call. Returns how often it was recorded."""
    def f(x):
        n, m = x.shape
        return see(n, m, x), x + 1

    compiled = mx.compile(f, shapeless=True)
    for n in sizes:
        x = mx.arange(n * features).reshape(n, features)
        wanted, got = outcome(f, x), outcome(compiled, x)
        if isinstance(wanted[0], type) and issubclass(wanted[0], Exception):
            assert got[0] is wanted[0], (n, wanted, got)
        else:
            assert got == wanted, (n, wanted, got)
    return mx.compile_stats(compiled)["traces"]


OPEN = {
    "itself": lambda n, m, x: n,
    "shape": lambda n, m, x: x.shape,
    "a dict of sizes": lambda n, m, x: {"n": n, "both": [x.size, m]},
    "sums": lambda n, m, x: (n + 1, 1 + n, n - 2, 2 - n, n + m, n - m, n - n, n + True),
    "products": lambda n, m, x: (n * 3, 3 * n, n * m, n * 0, n * -2, n * n),
    "quotients": lambda n, m, x: (n // 2, (n - 5) // 2, -n // 3, n // -2, (n * 6) // 3, n // 1),
    "remainders": lambda n, m, x: (n % 2, (n - 5) % 3, -n % 4, n % -3),
    "divmod": lambda n, m, x: (divmod(n, 3), divmod(n - 9, 2)),
    "signs": lambda n, m, x: (-n, +n, ~n, abs(n), abs(n + 1)),
    "shifts": lambda n, m, x: (n << 3, n >> 1, (n - 7) >> 1),
    "masks": lambda n, m, x: (n & 7, 3 & n, (n - 9) & 1),
    "powers": lambda n, m, x: (n ** 2, n ** 0, n ** 1, n ** 3, pow(n, 2)),
    "parts": lambda n, m, x: (n.real, n.numerator, round(n), math.floor(n), math.ceil(n), math.trunc(n), copy.copy(n),
                              copy.deepcopy([n])),
    "sum": lambda n, m, x: sum([n, m, 1]),
    "types": lambda n, m, x: (isinstance(n, int), isinstance(n, numbers.Integral), isinstance(n, numbers.Real),
                              isinstance(n, (float, int)), isinstance(n, float), isinstance(n, bool), n.__class__ is int,
                              callable(n), hasattr(n, "shape"), issubclass(n.__class__, int)),
    "np.isscalar": lambda n, m, x: bool(np.isscalar(n)),
    "match": lambda n, m, x: _matched(n),
    "operators": lambda n, m, x: (operator.add(n, 2), functools.reduce(operator.mul, x.shape, 1)),
    "array": lambda n, m, x: mx.array(n),
    "array of a dtype": lambda n, m, x: (mx.array(n, mx.float32), mx.array(n + 1, dtype=mx.int64)),
    "beside an array": lambda n, m, x: (x * n, n - x, x / n, x.astype(mx.float32) / n, n * x + m),
    "shapes": lambda n, m, x: (mx.zeros((n, 2)), mx.ones(n), mx.full((m, n + 1), n), mx.zeros([n * 2, m]), x.reshape(n * m),
                               x.reshape(m, n), mx.broadcast_to(x[None], (2, *x.shape))),
    "ranges": lambda n, m, x: (mx.arange(n), mx.arange(1, n + 2), mx.arange(0, n, 2), mx.arange(n, dtype=mx.float32)),
    "matrices": lambda n, m, x: (mx.eye(n), mx.eye(n, m), mx.identity(n), mx.tri(n, m)),
    "slices": lambda n, m, x: (x[:n // 2], x[n // 2:], x[1:], x[:-1], x[::2], x[-3:], x[5:], x[1:n - 1], x[n:], x[:n], x[::-1],
                               x[n::-1], x[:, 1:m], x[-n:], x[:1 - n], x[3:1], x[1::3], x[-2::-2], x[:100], x[-100:2]),
    "assignments": lambda n, m, x: _assigned(x, n),
}
GUARDED = {
    "int": lambda n, m, x: int(n),
    "float": lambda n, m, x: (float(n), n / 2, 2 / (n + 1), n * 0.5, n + 1.5, complex(n), n ** 0.5, 2 ** n),
    "text": lambda n, m, x: (str(n), repr(n), f"{n}", f"{n:04d}", "%d" % n, "%s %i" % (n, n), "{}".format(n), f"{x.shape}",
                             str(x.shape), format(n, "b"), hex(n), bin(n), oct(n), "ab" * n),
    "range": lambda n, m, x: (list(range(n)), len(range(0, n, 2)), [i for i in range(n - 1)]),
    "sequences": lambda n, m, x: ([1, 2] * n, (0,) * n, list("abcdefgh")[:n], "abcdefghabcdefghij"[n], list(itertools.islice("abcdefgh", n))),
    "comparisons": lambda n, m, x: (n == 4, n != 4, n < 5, n >= 5, n > m, 4 <= n, n == 4.0, n == None, n == "4", n in (1, 2), bool(n),  # noqa: E711
                                    not n, n is None, min(n, 5), max(n, 5), sorted([n, m, 5]), x.shape == (4, 3)),
    "hashes": lambda n, m, x: (hash(n), {4: "four"}.get(n), {n: 1}[n], n in {4, 5}, len({n, 4})),
    "bits": lambda n, m, x: (n | 8, n ^ 5, n & 6, n.bit_length(), (n + 1).bit_count(), 1 << n, n & m),
    "math": lambda n, m, x: (math.sqrt(n), math.log(n + 1), math.gcd(n, 6), math.isqrt(n), math.comb(n, 2), math.exp(n),
                             math.factorial(n), math.prod([n, 2]), math.isclose(n, 4)),
    "json": lambda n, m, x: json.dumps({"n": n, "shape": x.shape}),
    "pickle": lambda n, m, x: pickle.loads(pickle.dumps([n])),
    "struct": lambda n, m, x: (struct.pack("<q", n), bytes(n), n.to_bytes(2, "big"), chr(n + 65)),
    "numpy": lambda n, m, x: (np.arange(n).tolist(), np.zeros(n).shape, int(np.array(n) + 1), float(np.sqrt(n)), np.asarray([n, m]).tolist(),
                              int(np.int64(3) * n), int(n * np.int64(3)), np.ones((n, 2)).size),
    "other numbers": lambda n, m, x: (str(fractions.Fraction(n, 3)), str(decimal.Decimal(n) / 8), fractions.Fraction(1, 2) * n),
    "big": lambda n, m, x: (n * 2**70, n + 2**63, n * 2**61 * 8, 2**64 - n, (n + 1) << 70, pow(n, 100), pow(n, 3, 5)),
    "errors": lambda n, m, x: _failed(lambda: n / 0, lambda: n // 0, lambda: n % 0, lambda: n << -1, lambda: n + "a", lambda: n[0], lambda: n(),
                                      lambda: len(n), lambda: n.nothing, lambda: iter(n), lambda: [1][n + 5], lambda: divmod(n, 0)),
    "list of arrays": lambda n, m, x: mx.array([n, m, 7]),
    "divisors": lambda n, m, x: _failed(lambda: 7 // n, lambda: 7 % n, lambda: divmod(7, n)) + [7 // (n + 1), 8 % (n + 2)],
    "int8": lambda n, m, x: mx.zeros((2,), mx.int8) + n,
    "indices": lambda n, m, x: (x[n - 1], x[-1], x[0], x[n // 2], x[[0, -1]], mx.take(x, n - 1, axis=0)),
    "axes": lambda n, m, x: mx.sum(x, axis=min(n, 1)),
    "loops": lambda n, m, x: (sum(x[i].sum() for i in range(n)), [len(r) for r in x], [int(k) for k in x.shape]),
    "unpacked": lambda n, m, x: (lambda *a: len(a))(*[0] * n),
    "types by name": lambda n, m, x: type(n) is int,
}


def _matched(n):
    match n:
        case bool():
            return "bool"
        case int(value):
            return "int", value
    return "else"


def _assigned(x, n):
    y = mx.array(x)
    y[n // 2:] = 9
    z = mx.array(x)
    z[1:] += 1
    z[:n // 3] = z[:n // 3] * 2
    return y, z


def _failed(*calls):
    out = []
    for call in calls:
        try:
            out.append(call())
        except Exception as error:
            out.append(type(error))
    return out


@pytest.mark.parametrize("name", OPEN)
def test_arithmetic_of_sizes_stays_open(name):
    sizes = [n for n in SIZES if n > 1]
    assert agrees(OPEN[name], sizes) == 1, name
    agrees(OPEN[name])


@pytest.mark.parametrize("name", GUARDED)
def test_what_is_seen_of_sizes_is_guarded(name):
    agrees(GUARDED[name])


def test_comparisons_hold_for_sizes_that_compare_alike():
    def f(x):
        n = x.shape[0]
        return x * 2 if n > 4 and n % 2 == 0 else x + max(n, 2)

    compiled = mx.compile(f, shapeless=True)
    for n in (6, 8, 20, 3, 2, 4, 100, 5):
        x = mx.ones((n,))
        assert mx.array_equal(compiled(x), f(x))
    assert mx.compile_stats(compiled)["traces"] <= 4


def test_sizes_that_are_kept_are_numbers_afterwards():
    seen = []

    def f(x):
        seen.append(x.shape[0])
        return x + 1

    compiled = mx.compile(f, shapeless=True)
    compiled(mx.ones((4,)))
    other = mx.compile(lambda x: x * seen[0] + x.shape[0] * 100, shapeless=True)
    for n in (2, 3):
        assert other(mx.ones((n,))).tolist() == [4 + 100 * n] * n
    n = seen[0]
    assert n == 4 and isinstance(n, int) and n + 1 == 5 and [1, 2, 3, 4, 5][n] == 5 and json.loads(str(n)) == 4
    assert f"{n} {n!r}" == "4 4" and {4: 1}[n] == 1 and hash(n) == hash(4) and pickle.loads(pickle.dumps(n)) == 4


def test_sizes_of_a_recording_around_another_one():
    for inner_shapeless, outer_shapeless in itertools.product([False, True], [False, True]):
        def outer(x):
            n = x.shape[0]
            inner = mx.compile(lambda y: y.sum() * n + y.shape[0] + x.sum() * x.shape[0], shapeless=inner_shapeless)
            return inner(x) + inner(x[1:]) + inner(mx.ones((3,)))

        compiled = mx.compile(outer, shapeless=outer_shapeless)
        for n in (3, 5, 2, 1):
            x = mx.arange(n).astype(mx.float32)
            assert compiled(x).item() == outer(x).item()


def test_a_failed_call_does_not_close_the_sizes():
    w = mx.ones((3, 3))
    f = mx.compile(lambda x: (x @ w).sum(axis=1) + x.shape[0], shapeless=True)
    with pytest.raises(ValueError, match="matmul"):
        f(mx.ones((2, 4)))
    for n in (2, 5, 7):
        assert f(mx.ones((n, 3))).tolist() == [9 + n] * n
    assert len([r for r in mx.compile_stats(f)["reasons"] if "left open" in r]) == 0


# --- random programs of sizes ---

UNARY = [lambda a: -a, abs, lambda a: ~a, lambda a: a ** 2, lambda a: a >> 1, lambda a: a << 2, lambda a: a & 3, int, bool, float, str,
         lambda a: round(a), lambda a: a * 0.5, lambda a: hash(a), lambda a: a.bit_length()]
BINARY = [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, divmod, min, max, operator.lt, operator.eq,
          operator.ge, operator.ne, operator.or_, operator.and_, operator.truediv]


def program(rng):
    steps = [(rng.choice(UNARY), None) if rng.random() < 0.25 else (rng.choice(BINARY), rng.randrange(100)) for _ in range(rng.randrange(1, 9))]
    constants = [rng.choice([0, 1, 2, 3, 5, 8, -1, -4]) for _ in range(3)]

    def run(x):
        values = [*x.shape, *constants]
        for op, other in steps:
            a = values[-1]
            try:
                value = op(a) if other is None else op(a, values[other % len(values)])
            except (ZeroDivisionError, ValueError, TypeError, AttributeError, OverflowError) as error:
                value = len(values)
                values.append(type(error).__name__)
            values.extend(value if isinstance(value, tuple) else [value])
            if isinstance(values[-1], str) or (isinstance(values[-1], int) and abs(values[-1]) > 10**6):
                values.append(x.shape[0])
        sizes = [v for v in values if isinstance(v, int) and 0 <= v < 30]
        return values, x.sum() + sum(sizes), mx.zeros((sizes[-1] if sizes else 1,)) + len(values), x[sizes[-1] // 2 if sizes else 0:]

    return run


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_of_sizes(seed):
    run = program(random.Random(seed))
    compiled = mx.compile(run, shapeless=True)
    for shape in ((3, 4), (5, 2), (4, 4), (1, 3), (0, 2), (3, 4), (8, 1)):
        x = mx.ones(shape)
        assert outcome(compiled, x) == outcome(run, x), shape
