"""Arguments at which the error of an elementwise function is measured: every exponent of the dtype with either sign, the
neighbours of what functions have for zeros, poles, branch points and thresholds, and what the functions themselves are known
to be difficult at. Half types have all their 65536 numbers. Bfloat16 travels as float32."""

import functools

import mpmath
import numpy as np

import arrays

MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
TOP = {"float16": 16.0, "bfloat16": 128.0, "float32": 128.0, "float64": 1024.0}  # log2 of the first number beyond the range
BOTTOM = {"float16": -24.0, "bfloat16": -133.0, "float32": -149.0, "float64": -1074.0}  # log2 of the smallest number
BITS = {"float32": np.uint32, "float64": np.uint64}


def all_halves(name):
    bits = np.arange(65536, dtype=np.uint32)
    return bits.astype(np.uint16).view(np.float16) if name == "float16" else (bits << 16).view(np.float32)


def every_exponent(rng, name, each):
    """`each` numbers of either sign with every exponent: the first and last of them, and random ones."""
    width, bits = MANTISSA[name], BITS[name]
    exponents = np.arange(2 ** (8 if name == "float32" else 11) - 1, dtype=bits)
    digits = rng.integers(0, 2**width, (each, exponents.size), dtype=bits)
    digits[0], digits[min(1, each - 1)] = 0, 2**width - 1
    values = (digits | exponents << bits(width)).view(name)
    subnormal = (bits(1) << np.arange(width, dtype=bits)).view(name)  # a power of two each
    values = np.concatenate([values.ravel(), subnormal, np.nextafter(subnormal, 0)])
    return np.concatenate([values, -values])


def neighbours(centres, name, reach):
    """The numbers about each centre, some at every distance in ULP up to 2^reach."""
    bits = BITS[name]
    steps = np.unique(np.concatenate([np.arange(-3, 4), *[(2**k, -(2**k)) for k in range(reach)]]).astype(np.int64))
    near = np.abs(np.asarray(centres).astype(name)).view(bits)[:, None].astype(np.int64) + steps
    infinite = int(np.asarray(np.inf, name).view(bits))
    values = near[(near >= 0) & (near < infinite)].astype(bits).view(name)
    return np.concatenate([values, -values])


@functools.cache
def pi_multiples(count):
    """k pi/2 for many k, close together at first."""
    with mpmath.workprec(200):
        k = sorted({*range(1, 80), *(int(1.35**j) for j in range(1, count))})
        return [float(j * mpmath.pi / 2) for j in k]


# The arguments of each width that lie nearest to a multiple of pi/2, and others that need a long reduction.
HARD_ANGLES = {
    "float32": [16367173.0 * 2.0**72, 12170545.0 * 2.0**-5, 1e22, 2.0**127 * 1.5, 3.4028234e38, float.fromhex("0x1.a05f2cp27")],
    "float64": [6381956970095103.0 * 2.0**797, 5319372648326541.0 * 2.0**-53 * 2.0**8, 1e22, 1e300,
                float.fromhex("0x1.6ac5b262ca1ffp849"), float.fromhex("0x1.fffffffffffffp1023")],
}
CENTRES = [2.0**k for k in range(-30, 60, 3)] + [
    0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, np.sqrt(0.5), np.sqrt(2.0), np.e, np.log(2.0), np.log(2.0) / 2, 0.3125, 0.625, 0.84375, 1.25, 2.5,
    0.41421356237309503, 2.414213562373095, 4.05, 0.347, 1.040, 5.921587195794508, 19.06, 22.0, 36.7, 40.0, 10.0, 100.0, 1000.0, 180.0]


def thresholds(name):
    """Where exp, exp2, sinh and their like overflow or vanish, and squares and square roots do."""
    top, bottom = TOP[name], BOTTOM[name]
    lowest = -126.0 if name == "float32" else -1022.0
    found = []
    for power in (top, top + 1, lowest, lowest - 1, bottom, bottom - 1):
        found += [power, power * np.log(2.0), power / 2 * np.log(2.0)]
    powers = [top / 2, lowest / 2, bottom / 2, top / 3, lowest / 3]
    return found + [2.0**p for p in powers]


def real(name, rng, each=24):
    """Arguments of a function of one real number; about 100 * each of them for float32, 400 * each for float64."""
    if name in arrays.HALVES:
        return all_halves(name)
    linear = [rng.uniform(-1, 1, 100 * each) * scale for scale in (1, 4, 40, 800)]
    rest = rng.uniform(0.7, 1.5, 50 * each)  # about 1, where logarithms vanish
    integers = np.concatenate([np.arange(-300, 301) / 2, rng.integers(0, 2**40, 2 * each) / 2.0])
    centres = CENTRES + thresholds(name) + pi_multiples(30) + HARD_ANGLES[name]
    with np.errstate(over="ignore"):
        fixed = np.concatenate([*linear, rest, integers, HARD_ANGLES[name], [np.inf, -np.inf, np.nan, 0.0, -0.0]]).astype(name)
    return np.concatenate([every_exponent(rng, name, each), neighbours(centres, name, 10 if each < 16 else 20), fixed])


# --- pairs ---

def _signs(rng, values):
    return values * rng.choice([-1.0, 1.0], values.shape)


def _any_magnitude(rng, name, count):
    """Numbers of every exponent, equally likely."""
    return _signs(rng, 2.0 ** rng.uniform(BOTTOM[name], TOP[name] - 1e-9, count))


def _pairs_at_random(rng, name, count):
    a, b = _any_magnitude(rng, name, (2, count))
    yield a, b
    yield a, a * 2.0 ** rng.uniform(-60, 60, count)
    yield a, _signs(rng, a * rng.uniform(0.5, 2, count))
    yield rng.uniform(-8, 8, (2, count))
    yield rng.integers(-40, 41, (2, count)) / 2
    yield rng.uniform(-800, 800, (2, count))


def _powers(rng, name, count):
    """Bases and exponents whose power is within the range, near its ends, and near 1."""
    top, bottom = TOP[name], BOTTOM[name]
    base = 2.0 ** rng.uniform(bottom, top - 1e-9, count)
    yield base, rng.uniform(bottom - 2, top + 2, count) / np.log2(base)
    ends = rng.choice([top, bottom, bottom + MANTISSA[name]], count) + rng.uniform(-1, 1, count) * 2.0 ** rng.uniform(-30, 0, count)
    yield base, ends / np.log2(base)
    near = 1 + _signs(rng, 2.0 ** rng.uniform(-MANTISSA[name] - 1, -1, count))
    near = arrays.rounded(near, name).astype(np.float64)
    near = np.where(near == 1, 1.5, near)
    yield near, rng.uniform(bottom, top, count) / np.log2(near)
    yield near, _signs(rng, 2.0 ** rng.uniform(-10, 60, count))
    yield _signs(rng, 2.0 ** rng.uniform(-8, 8, count)), rng.integers(-60, 61, count).astype(float)
    yield 2.0 ** rng.uniform(-20, 20, count), rng.integers(-60, 61, count) / 4
    yield rng.integers(1, 400, count).astype(float), rng.integers(-12, 13, count) / 2


def _quotients(rng, name, count):
    """Near whole quotients, small and huge ones."""
    b = 2.0 ** rng.uniform(-20, 20, count)
    b = arrays.rounded(b, name).astype(np.float64)
    yield _signs(rng, b * rng.integers(1, 2**12, count)), _signs(rng, b)
    yield _signs(rng, b * rng.uniform(0, 2.0 ** rng.uniform(0, 60, count))), _signs(rng, b)
    yield _signs(rng, b * 2.0 ** rng.uniform(0, max(1.0, TOP[name] - 21), count)), _signs(rng, b)


def _sums_of_exponentials(rng, name, count):
    """Sums about 0, where a and b cancel: exp(a) + exp(b) = 1."""
    a = -(2.0 ** rng.uniform(-10, 4, count))
    for log, power in ((np.log, np.exp), (np.log2, np.exp2)):
        yield a, log(-power(a) + 1)
    yield a, a + _signs(rng, 2.0 ** rng.uniform(-30, 6, count))
    yield _signs(rng, 2.0 ** rng.uniform(-20, 9, count)), _signs(rng, 2.0 ** rng.uniform(-20, 9, count))


PAIRS = {
    "power": _powers, "floor_divide": _quotients, "remainder": _quotients, "divide": _quotients,
    "logaddexp": _sums_of_exponentials, "logaddexp2": _sums_of_exponentials,
}


def pairs(op, name, rng, count=4000):
    """Arguments of a function of two real numbers: `count` of each kind, and every pair of special ones."""
    kinds = list(_pairs_at_random(rng, name, count))
    if op in PAIRS:
        kinds += list(PAIRS[op](rng, name, count))
    special = arrays.special(name).astype(np.float64)
    special = np.concatenate([special, [1.5, 2.0, -3.0, 2.0 ** BOTTOM[name], -(2.0 ** BOTTOM[name])]])
    kinds.append([x.ravel() for x in np.meshgrid(special, special)])
    with np.errstate(all="ignore"):
        return [arrays.rounded(np.concatenate([np.ravel(kind[i]) for kind in kinds]), name) for i in (0, 1)]


# --- complex ---

def _parts(name):
    """Magnitudes of parts, from 0 to the end of the range, and what is next to 1 and to the thresholds."""
    real = arrays.real_of(name)
    eps = 2.0 ** -MANTISSA[real]
    powers = [BOTTOM[real], BOTTOM[real] + 3, BOTTOM[real] / 2, BOTTOM[real] / 3, -30, -12, -3, 30, TOP[real] / 2, TOP[real] - 2]
    return np.array([0.0, *(2.0**p for p in powers), 0.5, 1 - eps / 2, 1.0, 1 + eps, 1.5, np.pi / 2, np.pi, 2.0, 3.0, 20.0,
                     TOP[real] * np.log(2.0) * 0.9999, TOP[real] * np.log(2.0) * 1.0005, 1e5,
                     float(np.finfo(real).max)])


def complex_(name, rng, count=1500):
    """Arguments of a function of one complex number: finite, and not 0."""
    real = arrays.real_of(name)
    magnitudes = _parts(name)
    re, im = (_signs(rng, x.ravel()) for x in np.meshgrid(magnitudes, magnitudes))
    kinds = [(re, im), (-re, im), (re, -im)]
    kinds.append(_any_magnitude(rng, real, (2, count)))
    x = _any_magnitude(rng, real, count)
    kinds.append((x, x * 2.0 ** rng.uniform(-4, 4, count)))
    kinds += [rng.uniform(-1, 1, (2, count)) * scale for scale in (2, 12, 100)]
    # about the unit circle, the branch points 1, -1, i, -i, and multiples of pi/2 on either axis
    circle = np.exp(2j * np.pi * rng.uniform(0, 1, count)) * (1 + _signs(rng, 2.0 ** rng.uniform(-55, -1, count)))
    kinds.append((circle.real, circle.imag))
    small = [_signs(rng, 2.0 ** rng.uniform(-60, -2, count)) for _ in range(2)]
    tiny = [_signs(rng, 2.0 ** rng.uniform(BOTTOM[real], -20, count)) for _ in range(2)]
    for about in small, tiny:
        point = rng.choice([1, -1, 1j, -1j], count)
        kinds.append((point.real + about[0], point.imag + about[1]))
    root = rng.integers(-20, 21, count) * (np.pi / 2)
    kinds += [(root, small[0]), (small[0], root), (root + small[0], small[1]), (small[0], root + small[1])]
    # where exp and its like are about to overflow
    end = _signs(rng, TOP[real] * np.log(2.0) + rng.uniform(-3, 3, count))
    kinds += [(end, rng.uniform(-7, 7, count)), (rng.uniform(-7, 7, count), end)]
    return _joined(kinds, name)


def _joined(kinds, name):
    real = arrays.real_of(name)
    z = np.empty(sum(np.size(kind[0]) for kind in kinds), name)
    with np.errstate(over="ignore"):
        z.real, z.imag = (np.concatenate([np.ravel(kind[i]) for kind in kinds]).astype(real) for i in (0, 1))
    return z[np.isfinite(z) & (z != 0)]


def complex_pairs(op, name, rng, count=1500):
    z, w = (complex_(name, rng, count // 6 + 1) for _ in range(2))
    z, w = rng.permutation(z), rng.permutation(w)
    size = min(z.size, w.size)
    z, w = z[:size], w[:size]
    draws = rng.normal(size=(4, 2 * count)) * 2.0 ** rng.uniform(-6, 3, (4, 2 * count))
    near = _joined([draws[:2]], name), _joined([draws[2:]], name)
    found = [np.concatenate([z, near[0]]), np.concatenate([w, near[1]])]
    if op == "power":
        whole = (rng.integers(-9, 10, 2 * count) / rng.choice([1, 1, 2], 2 * count)).astype(name)
        whole = np.where(whole == 0, 1, whole)
        found = [np.concatenate([found[0], near[0], near[0]]),
                 np.concatenate([found[1], whole, rng.integers(10, 200, 2 * count).astype(name)])]
    return found
