"""Arrays for the tests: dtypes by name, exact conversion between NumPy and MLX, random values, and memory layouts."""

import mlx.core as mx
import numpy as np

BOOL = ("bool_",)
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
SIGNED = ("int8", "int16", "int32", "int64")
INTEGERS = UNSIGNED + SIGNED
HALVES = ("float16", "bfloat16")
FLOATS = HALVES + ("float32", "float64")
COMPLEX = ("complex64", "complex128")
INEXACT = FLOATS + COMPLEX
ALL = BOOL + INTEGERS + INEXACT
# What the registry's sets of accepted dtypes contain, and what else they take by promotion to float32.
ACCEPTED = {
    "all": ALL,
    "numeric": INTEGERS + INEXACT,
    "inexact": INEXACT,
    "floating": FLOATS,
    "real": BOOL + INTEGERS + FLOATS,
    "integral": BOOL + INTEGERS,
    "complex": COMPLEX,
}
PROMOTED = {"inexact": BOOL + INTEGERS, "floating": BOOL + INTEGERS}
# NumPy has no bfloat16: its values travel as float32.
NUMPY = {name: np.dtype("bool" if name == "bool_" else "float32" if name == "bfloat16" else name) for name in ALL}
# Wider types in which references are computed.
WIDER = {
    "float16": np.float64, "bfloat16": np.float64, "float32": np.float64, "float64": np.longdouble,
    "complex64": np.complex128, "complex128": np.clongdouble,
}


def name_of(dtype):
    """'float32' from mx.float32; bool is 'bool_', as the attribute of mx."""
    name = str(dtype).rsplit(".", 1)[-1]
    return "bool_" if name == "bool" else name


def real_of(name):
    return {"complex64": "float32", "complex128": "float64"}.get(name, name)


def to_mx(values, name=None):
    """An MLX array of exactly this dtype; without a name, that of the NumPy array."""
    values = np.asarray(values)
    if name is None:
        name = "bool_" if values.dtype == bool else values.dtype.name
    if name == "bfloat16":
        return mx.array(values.astype(np.float32)).astype(mx.bfloat16)
    return mx.array(values.astype(NUMPY[name]), dtype=getattr(mx, name))


def to_np(a):
    """The values as NumPy's (bfloat16 as float32)."""
    if a.dtype == mx.bfloat16:
        a = a.astype(mx.float32)
    return np.array(a)


def rounded(values, name):
    """NumPy values rounded to a dtype, bfloat16 included."""
    if name != "bfloat16":
        return np.asarray(values).astype(NUMPY[name])
    bits = np.asarray(values, np.float32).view(np.uint32)
    even = bits + 0x7FFF + ((bits >> 16) & 1)
    return np.where(np.isnan(values), np.float32(np.nan), (even & 0xFFFF0000).astype(np.uint32).view(np.float32))


def draw(rng, shape, name, low=-3.0, high=3.0):
    """Values of the open interval (low, high) in a dtype. Complex numbers have both parts there, the imaginary one halved."""
    if name == "bool_":
        return rng.random(shape) < 0.5
    if name in INTEGERS:
        info = np.iinfo(name)
        first = int(max(np.floor(low) + 1 if np.floor(low) == low else np.ceil(low), info.min))
        last = int(min(np.ceil(high) - 1, info.max))
        return rng.integers(first, max(first, last), shape, dtype=NUMPY[name], endpoint=True)
    values = rng.uniform(low, high, shape)
    if name in COMPLEX:
        values = values + 0.5j * rng.uniform(low, high, shape)
    return rounded(values, name)


def wide(rng, shape, name):
    """Values over a dtype's whole range: every magnitude equally likely; integers have random bits."""
    if name == "bool_" or name in INTEGERS:
        return rng.integers(0, 256, (*shape, NUMPY[name].itemsize), dtype=np.uint8).view(NUMPY[name])[..., 0] if (
            name != "bool_") else rng.random(shape) < 0.5
    top = 15 if name == "float16" else 120 if real_of(name) != "float64" else 1000
    parts = [rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(-top, top, shape) for _ in range(2)]
    return rounded(parts[0] + 1j * parts[1] if name in COMPLEX else parts[0], name)


def special(name):
    """Zeros, infinities, NaN, one, and the ends of the range. Complex numbers have every pair of some as parts."""
    if name == "bool_":
        return np.array([False, True])
    if name in INTEGERS:
        info = np.iinfo(name)
        return np.array([0, 1, 2, info.max - 1, info.max, info.min, info.min + 1], NUMPY[name])
    real = real_of(name)
    top, small = {
        "float16": (65504.0, 2.0**-14), "bfloat16": (2.0**127 * 1.9921875, 2.0**-126),
        "float32": (np.finfo(np.float32).max, 2.0**-126), "float64": (np.finfo(np.float64).max, 2.0**-1022),
    }[real]
    values = np.array([0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, top, -top, small, -small])
    if name not in COMPLEX:
        return rounded(values, name)
    parts = np.array([0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan])
    pairs = np.empty((len(parts), len(parts)), NUMPY[name])
    pairs.real, pairs.imag = np.meshgrid(parts, parts)
    return pairs.ravel()


# --- layouts: the same values behind different strides. Each takes an MLX array and gives one of equal value. ---

def _transposed(x):
    return mx.contiguous(x.transpose()).transpose()


def _offset(x):
    padded = mx.concatenate([x.flatten()[:1], x.flatten(), x.flatten()[:1]]) if x.size else x.flatten()
    return padded[1:x.size + 1].reshape(x.shape)


def _negative(x):
    backwards = tuple(slice(None, None, -1) for _ in x.shape)
    return mx.contiguous(x[backwards])[backwards] if x.ndim else x


def _strided(x):
    if not x.ndim:
        return x
    doubled = mx.stack([x, mx.zeros_like(x)], axis=-1)
    return mx.contiguous(doubled)[..., 0]


def _gapped(x):
    """Rows with a gap behind each."""
    if not x.ndim:
        return x
    return mx.contiguous(mx.concatenate([x, x], axis=-1))[..., :x.shape[-1]]


LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": _transposed,
    "offset": _offset,
    "negative": _negative,
    "strided": _strided,
    "gapped": _gapped,
}
