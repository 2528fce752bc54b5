"""Chains and reductions that run in registers: drawn programs over every body that has a strip, on special values, have the bits of one
operation at a time."""

import mlx.core as mx
import numpy as np
import pytest

from bits import bits, evaluated

UNARY = (
    mx.negative, mx.abs, mx.square, mx.sqrt, mx.rsqrt, mx.reciprocal, mx.sign, mx.exp, mx.expm1, mx.sigmoid, mx.log, mx.log1p, mx.tanh, mx.erf,
    mx.exp2, mx.log2, mx.log10, mx.sin, mx.cos, mx.floor, mx.ceil, mx.round
)
BINARY = (mx.add, mx.subtract, mx.multiply, mx.divide, mx.maximum, mx.minimum)
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1.0, -1.0, 88.8, -104.0, 3e38, 1e-30]


def operands(generator, dtype, size):
    """Three arrays, with special values in every place of a strip."""
    for _ in range(3):
        values = generator.standard_normal(size) * 3
        at = generator.integers(0, size, size // 4)
        values[at] = generator.choice(SPECIAL, len(at))
        yield mx.array(values.astype(np.float32)).astype(dtype)


def drawn(generator):
    """A program as a list of (op, places of its operands among the values before)."""
    steps = []
    for values in range(3, 3 + int(generator.integers(2, 14))):
        recent = [max(0, values - int(generator.integers(1, 4))) for _ in range(2)]
        if generator.random() < 0.45:
            steps.append((UNARY[generator.integers(len(UNARY))], recent[:1]))
        else:
            steps.append((BINARY[generator.integers(len(BINARY))], recent))
    return steps


def run(program, xs, each):
    values = list(xs)
    for op, places in program:
        values.append(each(op(*(values[p] for p in places))))
    return values[-2:]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_the_bits_of_one_operation_at_a_time(seed, dtype):
    generator = np.random.default_rng(seed)
    size = int(generator.choice([2048, 2049, 3000, 5017]))
    xs = list(operands(generator, dtype, size))
    program = drawn(generator)
    stepwise = [bits(x) for x in run(program, xs, evaluated)]
    assert [bits(x) for x in run(program, xs, lambda x: x)] == stepwise, program
    assert [bits(x) for x in mx.compile(lambda *xs: run(program, xs, lambda x: x))(*xs)] == stepwise, program


FOLDS = (mx.sum, mx.max, mx.min, mx.prod)
ROWS = [(70, 64), (33, 96), (9, 256), (5, 1000), (4, 1024), (3, 1025), (2, 1100), (2, 4096), (1, 10_007), (40, 320)]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_rows_of_what_a_run_gives_are_reduced_to_the_bits_of_one_operation_at_a_time(seed, dtype):
    generator = np.random.default_rng(seed)
    n, m = ROWS[generator.integers(len(ROWS))]
    xs = [x.reshape(n, m) for x in operands(generator, dtype, n * m)]
    if seed % 3:  # special values only where they do not spread everywhere
        xs = [mx.where(mx.abs(x) < 80, x, 0.5) for x in xs]
    program = drawn(generator)
    folds = [FOLDS[generator.integers(4)] for _ in range(3)]
    axis = None if seed % 7 == 0 else -1

    def all_of(xs, each):
        values = run(program, xs, each)
        row = each(folds[0](values[1], axis=axis, keepdims=True))
        scaled = each(each(mx.subtract(values[0], row)) * xs[0])
        return [row, each(folds[1](each(mx.square(scaled)), axis=axis)), each(folds[2](values[1], axis=axis)), scaled][: int(seed % 4) + 1]

    mx.eval(xs)
    stepwise = [bits(x) for x in all_of(xs, evaluated)]
    assert [bits(x) for x in all_of(xs, lambda x: x)] == stepwise, program
    assert [bits(x) for x in mx.compile(lambda *xs: all_of(xs, lambda x: x))(*xs)] == stepwise, program


def normalized(x, y, weight, each, fold, donated):
    """Rows in stages, where later ones need what earlier ones gave, and results may lie where operands did."""
    x = evaluated(x * 1.0) if donated else x
    mean = each(mx.mean(x, axis=-1, keepdims=True))
    d = each(x - mean)
    spread = each(fold(each(mx.square(d)), axis=-1, keepdims=True))
    doubled = each(each(2.0 * d) + y)
    scaled = each(each(d * each(mx.rsqrt(each(spread + 1.0)))) * weight)
    top = each(mx.max(scaled, axis=-1, keepdims=True))
    last = each(each(d + top) * d)
    return [each(mx.exp(each(scaled - top))), last, doubled, each(mx.sum(last, axis=-1))]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16], ids=str)
@pytest.mark.parametrize("wanted", range(1, 16))
@pytest.mark.parametrize("donated", [False, True])
def test_what_later_stages_of_long_rows_compute_again(wanted, donated, dtype):
    generator = np.random.default_rng(wanted)
    n, m = [(17, 1500), (9, 4096), (3, 5001), (20, 1000)][wanted % 4]
    x, y = (mx.array(generator.standard_normal((n, m)).astype(np.float32)).astype(dtype) for _ in range(2))
    weight = mx.array(generator.standard_normal(m).astype(np.float32)).astype(dtype)
    mx.eval(x, y, weight)

    def some(*xs, each=lambda x: x):
        results = normalized(*xs, each, mx.sum if wanted % 2 else mx.max, donated)
        return [result for i, result in enumerate(results) if wanted >> i & 1]

    stepwise = [bits(r) for r in some(x, y, weight, each=evaluated)]
    assert [bits(r) for r in evaluated(some(x, y, weight))] == stepwise
    if not donated:
        assert [bits(r) for r in evaluated(mx.compile(some)(x, y, weight))] == stepwise


VIEWS = {
    "every other": lambda x: x[:, ::2],
    "every other, from the second": lambda x: x[:, 1::2],
    "reversed": lambda x: x[:, ::-1][:, : x.shape[1] // 2],
    "reversed rows": lambda x: x[::-1, : x.shape[1] // 2],
    "a row": lambda x: x[1, : x.shape[1] // 2],
    "every other of a row": lambda x: x[2, ::2],
    "a reversed row": lambda x: x[0, ::-1][: x.shape[1] // 2],
    "a column": lambda x: x[:, :1],
    "plain": lambda x: x[:, : x.shape[1] // 2] + 0,
}


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(60))
def test_sources_in_other_orders(seed, dtype):
    """Units end with lines; the last element of memory is the last that is read."""
    generator = np.random.default_rng(seed)
    n, m = [(5, 512), (4, 700), (3, 1448), (9, 333), (3, 2048), (1, 5000)][generator.integers(6)]
    n = max(n, 3)
    names = [list(VIEWS)[generator.integers(len(VIEWS))] for _ in range(3)]
    names[0] = ["every other", "every other, from the second", "reversed", "reversed rows"][seed % 4]
    xs = [VIEWS[name](x.reshape(n, 2 * m)) for name, x in zip(names, operands(generator, dtype, 2 * n * m), strict=True)]
    plain = [evaluated(mx.contiguous(mx.broadcast_to(x, (n, m)))) for x in xs]
    program = drawn(generator)
    fold = FOLDS[generator.integers(4)]

    def all_of(xs, each):
        values = [each(value + xs[0]) for value in run(program, xs, each)]
        return [*values, each(fold(values[1], axis=-1))] if seed % 2 else values

    stepwise = [bits(x) for x in all_of(plain, evaluated)]
    assert [bits(x) for x in all_of(xs, lambda x: x)] == stepwise, (names, program)
    assert [bits(x) for x in mx.compile(lambda *xs: all_of(xs, lambda x: x))(*xs)] == stepwise, (names, program)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64], ids=str)
@pytest.mark.parametrize("seed", range(40))
def test_lines_that_end_within_a_strip(seed, dtype):
    """Slices, rows, columns and a temporary whose memory the result takes over: a line's last elements may be done twice."""
    generator = np.random.default_rng(seed)
    rows, length = int(generator.integers(2, 9)), int(generator.choice([513, 600, 1022, 1025, 1100, 2047, 90, 300]))
    wide, row, column = (next(operands(generator, dtype, size)) for size in ((rows + 2) * (length + 2), length, rows))
    wide = wide.reshape(rows + 2, length + 2)
    at = generator.integers(0, 3, (3, 2))
    slices = [wide[i : i + rows, j : j + length] for i, j in at]
    program = [(op, [min(p, 4 + k) for p in places]) for k, (op, places) in enumerate(drawn(generator))]

    def results(each):
        temporary = each(slices[2] * 2)  # by itself: its memory is the result's, where nobody else needs it
        mx.eval(temporary)
        xs = [slices[0], temporary, row[None], column[:, None], slices[1]]
        del temporary
        values = list(xs)
        for op, places in program:
            values.append(each(op(*(values[p] for p in places))))
        last = each(values[-1] + xs[1] * xs[3])
        del values, xs
        mx.eval(last)
        return bits(last)

    assert results(lambda x: x) == results(evaluated)


def rounded_to_bfloat16(x):
    """Nearest, ties to even, in integers."""
    wide = x.view(np.uint32).astype(np.uint64)
    upper, lower = wide >> 16, wide & 0xFFFF
    up = (lower > 0x8000) | ((lower == 0x8000) & (upper & 1 == 1))
    return np.where(np.isnan(x), x, ((upper + up) << 16).astype(np.uint32).view(np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_bfloat16_is_rounded_after_each_step(seed):
    """Of any bits there are, and of sums that are ties."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 1 << 16, (2, 200, 517)).astype(np.uint32)
    drawn[1, ::2] = (drawn[0, ::2] + (1 << 7 if seed % 2 else 1)) & 0xFFFF  # the next, or twice the number
    x, y = (drawn << 16).view(np.float32)
    a, b = (mx.array(v).astype(mx.bfloat16) for v in (x, y))
    got = np.array(((a + b) * b - a).astype(mx.float32))
    with np.errstate(all="ignore"):
        sums = x + y
        expected = rounded_to_bfloat16(rounded_to_bfloat16(rounded_to_bfloat16(sums) * y) - x)
    assert (np.isfinite(sums) & (sums.view(np.uint32) & 0xFFFF == 0x8000)).sum() > 1000
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    there = ~np.isnan(got)
    assert np.array_equal(got.view(np.uint32)[there], expected.view(np.uint32)[there])


@pytest.mark.parametrize("exponent", [-130, -41, -39, 0, 5, 40, 41, 126])
def test_all_quotients_of_bfloat16(exponent):
    """By one divisor for all, of each mantissa: the quotient in float32, rounded."""
    dividends = mx.view(mx.arange(1 << 16).astype(mx.uint16), mx.bfloat16)
    wide = np.array(dividends.astype(mx.float32))
    for mantissa in range(128, 256):
        divisor = mx.array(np.float32((-1) ** mantissa * mantissa * 2.0 ** (exponent - 7))).astype(mx.bfloat16)
        with np.errstate(all="ignore"):
            expected = mx.array(wide / np.array(divisor.astype(mx.float32))).astype(mx.bfloat16)
        assert bits(mx.abs(dividends / divisor)) == bits(mx.abs(evaluated(expected))), divisor
        assert bits(-(dividends / divisor)) == bits(-evaluated(expected)), divisor


DTYPES = (mx.float32, mx.bfloat16, mx.float16)
SPACES = [(40, 256), (9, 320), (8, 768), (5, 1000), (3, 1024), (3, 4096), (2, 5003), (33, 96), (6, 2304)]


@pytest.mark.parametrize("seed", range(90))
def test_steps_of_several_dtypes_with_values_of_rows_columns_and_lines(seed):
    """Casts within a run, operands that are one element for a row or the same line for all, and reductions in between."""
    generator = np.random.default_rng(seed)
    n, m = SPACES[generator.integers(len(SPACES))]
    x, y, z = (v.reshape(n, m) for v in operands(generator, mx.float32, n * m))
    if seed % 3:
        x, y, z = (mx.where(mx.abs(v) < 80, v, 0.5) for v in (x, y, z))
    given = [x, y.astype(mx.bfloat16), z.astype(mx.float16), x[0], y[:, :1].astype(mx.bfloat16), z[:, 1:2], y[1].astype(mx.float16)]
    mx.eval(given)
    steps = []
    for count in range(len(given), len(given) + int(generator.integers(4, 16))):
        kind = generator.random()
        dtype = DTYPES[generator.integers(3)]
        places = [int(generator.integers(max(0, count - 5), count)), int(generator.integers(0, count))]
        op = FOLDS[generator.integers(4)] if kind < 0.15 else UNARY[generator.integers(len(UNARY))] if kind < 0.35 else None
        steps.append((op or BINARY[generator.integers(len(BINARY))], kind, dtype, places))

    def results(each, kept):
        values = list(given)
        for op, kind, dtype, places in steps:
            a, b = (each(values[p].astype(dtype)) for p in places)
            values.append(each(op(a, axis=-1, keepdims=True) if kind < 0.15 else op(a) if kind < 0.35 else op(a, b)))
        values.append(each(values[-1].astype(mx.float32) + x))
        return [values[i] for i in kept]

    kept = sorted({len(given) + len(steps), *map(int, generator.integers(len(given), len(given) + len(steps), int(seed % 3)))})
    stepwise = [bits(v) for v in results(evaluated, kept)]
    assert [bits(v) for v in results(lambda v: v, kept)] == stepwise, steps
    assert [bits(v) for v in mx.compile(lambda: results(lambda v: v, kept))()] == stepwise, steps


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(300, 700), (64, 2500), (5, 7, 640)], ids=str)
def test_columns_of_one_element_for_a_line(shape, dtype):
    generator = np.random.default_rng(len(shape))
    x, y = (mx.array(generator.standard_normal(shape).astype(np.float32)).astype(dtype) for _ in range(2))
    column = mx.contiguous(y[..., :1])
    mx.eval(x, y, column)

    def values(each):
        return [each(mx.sum(each(x * column), axis=0)), each(mx.max(each(each(column - x) * y), axis=0)), each(each(x * column) + y)]

    assert [bits(v) for v in values(lambda v: v)] == [bits(v) for v in values(evaluated)]


COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)
CONNECTIVES = (mx.logical_and, mx.logical_or, mx.bitwise_and, mx.bitwise_xor)


def conditional(generator, dtype):
    """A program of numbers and bools: steps as (op, places among the numbers, places among the bools, whether it gives a bool)."""
    numbers, bools, steps = 5, 2, []
    recent = lambda count: max(0, count - int(generator.integers(1, 5)))
    for _ in range(int(generator.integers(3, 16))):
        kind = generator.choice(["compare", "compare", "connect", "not", "select", "select", "count", "number", "square"])
        if kind == "compare":
            steps.append((COMPARISONS[generator.integers(6)], [recent(numbers), recent(numbers)], [], True))
        elif kind == "connect":
            steps.append((CONNECTIVES[generator.integers(len(CONNECTIVES))], [], [recent(bools), recent(bools)], True))
        elif kind == "not":
            steps.append(((mx.logical_not, mx.bitwise_invert)[generator.integers(2)], [], [recent(bools)], True))
        elif kind == "select":
            steps.append((mx.where, [recent(numbers), recent(numbers)], [recent(bools)], False))
        elif kind == "count":
            steps.append((lambda c: c.astype(dtype), [], [recent(bools)], False))
        elif kind == "square":
            steps.append((lambda x, e=int(generator.integers(1, 3)): x**e, [recent(numbers)], [], False))
        else:
            op = generator.choice([*BINARY, mx.arctan2])  # that strips have not: what it parts is read from scratch
            steps.append((op, [recent(numbers), recent(numbers)], [], False))
        bools, numbers = bools + steps[-1][3], numbers + (not steps[-1][3])
    kept = [(bool(generator.integers(2)), int(generator.integers(2, bools) if bools > 2 else 0)) for _ in range(2)]
    return steps, kept


@pytest.mark.parametrize("seed", range(250))
def test_bools_of_several_dtypes_with_values_of_rows_columns_and_lines(seed):
    """What is compared, selected and counted in a run of 16-bit floats, float32 and casts, beside reductions."""
    generator = np.random.default_rng([seed, 2])
    n, m = SPACES[generator.integers(len(SPACES))]
    x, y, z = (v.reshape(n, m) for v in operands(generator, mx.float32, n * m))
    if seed % 3:
        x, y, z = (mx.where(mx.abs(v) < 80, v, 0.5) for v in (x, y, z))
    numbers = [x, y.astype(mx.bfloat16), z.astype(mx.float16), x[0], y[:, :1].astype(mx.bfloat16), z[:, 1:2], y[1].astype(mx.float16)]
    bools = [x > y, x[1] > 0, y[:, :1] > z[:, :1]]
    mx.eval(numbers, bools)
    steps, counts = [], [len(numbers), len(bools)]
    for _ in range(int(generator.integers(4, 16))):
        kind = generator.choice(["compare", "compare", "connect", "not", "select", "select", "count", "binary", "unary", "fold"])
        gives_bool = kind in ("compare", "connect", "not")
        places = [[max(0, c - int(generator.integers(1, 6))) if generator.random() < 0.7 else int(generator.integers(c)) for _ in range(2)] for c in counts]
        ops = {"compare": COMPARISONS, "connect": CONNECTIVES, "binary": BINARY, "unary": UNARY, "fold": FOLDS}.get(kind, (mx.where,))
        steps.append((kind, ops[generator.integers(len(ops))], DTYPES[generator.integers(3)], places))
        counts[gives_bool] += 1
    kept = [(int(generator.integers(2)), int(generator.integers(3, 19))) for _ in range(int(seed % 3))]

    def results(each):
        values, masks = list(numbers), list(bools)
        for kind, op, dtype, places in steps:
            a, b = (each(values[p].astype(dtype)) for p in places[0])
            c, d = (masks[p] for p in places[1])
            if kind == "select":
                values.append(each(op(c, a, b)))
            elif kind == "count":
                values.append(each(c.astype(dtype)))
            elif kind == "fold":
                values.append(each(op(a, axis=-1, keepdims=True)))
            elif kind in ("binary", "unary"):
                values.append(each(op(a, b) if kind == "binary" else op(a)))
            else:
                masks.append(each(op(a, b) if kind == "compare" else op(c, d) if kind == "connect" else mx.logical_not(c)))
        last = each(values[-1].astype(mx.float32) + x)
        wanted = [(masks if of_bools else values)[p % len(masks if of_bools else values)] for of_bools, p in kept]
        return [*wanted, each(mx.where(masks[-1], last, x)), each(mx.sum(last, axis=-1))]

    as_bytes = lambda v: np.array(v).tobytes() if v.dtype == mx.bool_ else bits(v)
    stepwise = [as_bytes(v) for v in results(evaluated)]
    assert [as_bytes(v) for v in results(lambda v: v)] == stepwise, steps
    assert [as_bytes(v) for v in mx.compile(lambda: results(lambda v: v))()] == stepwise, steps


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16], ids=str)
@pytest.mark.parametrize("seed", range(250))
def test_bools_that_stay_in_a_run(seed, dtype):
    """Bools that steps of a run give and read, that come from memory, whole or by rows and every other one, or are wanted."""
    generator = np.random.default_rng([seed, 1])
    rows, columns = int(generator.integers(2, 7)), int(generator.choice([64, 600, 1024, 1030, 1111]))
    shape = (rows, columns)
    xs = [x.reshape(shape) for x in operands(generator, dtype, rows * columns)]
    constants = [mx.array(float(v), dtype) for v in generator.choice([0.0, -0.0, 1.0, 0.5, np.nan], 2)]
    wide = mx.array(generator.random((rows, 2 * columns)) < 0.5)
    masks = [wide[:, ::2] if generator.integers(2) else wide[:, :columns], wide[:, 1] if rows == columns else wide[:1, :columns]]
    mx.eval(xs, constants, masks)
    steps, kept = conditional(generator, dtype)

    def results(xs, masks, each):
        numbers, bools = [*xs, *constants], list(masks)
        for op, some, others, gives_bool in steps:
            value = each(op(*(bools[p] for p in others), *(numbers[p] for p in some)))
            (bools if gives_bool else numbers).append(value)
        return [*(bools[p] for wanted, p in kept if wanted), numbers[-1], each(mx.max(numbers[-1] + xs[0], axis=-1))]

    as_bytes = lambda x: np.array(x).tobytes() if x.dtype == mx.bool_ else bits(x)
    stepwise = [as_bytes(x) for x in results(xs, masks, evaluated)]
    assert [as_bytes(x) for x in results(xs, masks, lambda x: x)] == stepwise
    assert [as_bytes(x) for x in mx.compile(lambda *a: results(a[:3], a[3:], lambda x: x))(*xs, *masks)] == stepwise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_selections_and_counts_are_numpys(dtype):
    generator = np.random.default_rng(5)
    x, y = (generator.standard_normal(5017).astype(dtype) for _ in range(2))
    x[::7], y[::5] = np.nan, x[::5]
    mask = generator.random(5017) < 0.3
    a, b, m = (mx.array(v, getattr(mx, str(v.dtype) if v.dtype != bool else "bool_")) for v in (x, y, mask))
    d = np.abs(x - y)
    assert np.array_equal(np.array(mx.where(mx.abs(a - b) < 1, (a - b) * (a - b), mx.abs(a - b))), np.where(d < 1, d * d, d), equal_nan=True)
    both = ((x > y) & (x <= 1)) | (y == x)
    got = (mx.logical_or(mx.logical_and(a > b, a <= 1), a == b)).astype(a.dtype) * 2 - 1
    assert np.array_equal(np.array(got), both.astype(dtype) * 2 - 1)
    assert np.array_equal(np.array(mx.where(m, a + b, a - b) * 2), np.where(mask, x + y, x - y) * 2, equal_nan=True)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64], ids=str)
@pytest.mark.parametrize("size", [4096, 5017, 20_000])
def test_bools_in_bytes_are_there_until_a_run_has_read_them(size, dtype):
    """What a run keeps of its own after its last look at them lies elsewhere."""
    x, y, _ = operands(np.random.default_rng(size), dtype, size)

    def results(each):
        condition = each(x > y)
        angle = each(mx.arctan2(each(each(mx.where(condition, x, y)) * 2), y))
        chosen = each(mx.where(condition, angle, x))
        tripled = each(chosen * 3)
        total = each(tripled + chosen)
        return bits(each(each(total * tripled) - each(chosen * total)))

    assert results(lambda x: x) == results(evaluated)
