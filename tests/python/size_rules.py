"""The shapes of results, in Python's integers, which do not wrap: what test_sizes.py compares with. A rule gets the arguments of
a call by name, arrays as their shapes, and returns the shape, or a list of them; it raises Impossible where there is none."""

import functools
import math

MOST = 2**63 - 1 - 2**40  # elements of an array, not counting axes of length 0


class Impossible(Exception):
    pass


def require(condition):
    if not condition:
        raise Impossible


def possible(shape):
    """The shape, if there are such arrays."""
    require(all(n >= 0 for n in shape) and math.prod(n for n in shape if n) <= MOST)
    return tuple(shape)


def sequence(value):
    return (value,) if isinstance(value, int) else tuple(value)


def place(axis, rank):
    require(-rank <= axis < rank)
    return axis % rank


def broadcast(*shapes):
    rank = max(map(len, shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            require(n == out[i] or 1 in (n, out[i]))
            out[i] = n if out[i] == 1 else out[i]
    return possible(out)


def broadcast_to(a, shape):
    require(broadcast(a, possible(shape)) == tuple(shape))
    return tuple(shape)


def inferred(count, shape):
    require(all(n >= -1 for n in shape) and list(shape).count(-1) <= 1)
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape:
        require(known and count % known == 0)
        shape = [count // known if n == -1 else n for n in shape]
    require(math.prod(shape) == count)
    return possible(shape)


def reshape(a, shape):
    return inferred(math.prod(a), shape)


def flatten(a, start_axis=0, end_axis=-1):
    if not a:
        return (1,)
    rank = len(a)
    start = max(0, start_axis + (rank if start_axis < 0 else 0))
    end = min(rank - 1, end_axis + (rank if end_axis < 0 else 0))
    require(end >= start)
    return (*a[:start], math.prod(a[start:end + 1]), *a[end + 1:])


def unflatten(a, axis, shape):
    at = place(axis, len(a))
    require(len(shape))
    return possible((*a[:at], *inferred(a[at], shape), *a[at + 1:]))


def tile(a, reps):
    reps = sequence(reps)
    rank = max(len(a), len(reps))
    whole, counts = (1,) * (rank - len(a)) + a, (1,) * (rank - len(reps)) + reps
    require(all(n >= 0 for n in counts))
    return possible([n * k for n, k in zip(whole, counts)])


def repeat(array, repeats, axis=None):
    a = array if axis is not None else (math.prod(array),)
    at = place(axis or 0, len(a))
    require(repeats >= 0)
    return possible((*a[:at], a[at] * repeats, *a[at + 1:]))


def concatenate(arrays, axis=0):
    require(arrays)
    if axis is None:
        return possible([sum(map(math.prod, arrays))])
    if len(arrays) == 1 and not arrays[0]:
        return ()
    first = arrays[0]
    at = place(axis, len(first))
    require(all(a[:at] + a[at + 1:] == first[:at] + first[at + 1:] and len(a) == len(first) for a in arrays))
    return possible((*first[:at], sum(a[at] for a in arrays), *first[at + 1:]))


def stack(arrays, axis=0):
    require(arrays and all(a == arrays[0] for a in arrays))
    at = place(axis or 0, len(arrays[0]) + 1)
    return possible((*arrays[0][:at], len(arrays), *arrays[0][at:]))


def pairs(width, rank):
    width = sequence(width)
    if all(isinstance(n, int) for n in width):
        require(width or rank == 0)
        return [(width[0], width[-1])] * rank
    width = [(sequence(pair)[0], sequence(pair)[-1]) for pair in width]
    require(len(width) in (1, rank))
    return width * rank if len(width) == 1 else width


def pad(a, pad_width, mode="constant", constant_values=0):
    widths = pairs(pad_width, len(a))
    require(all(low >= 0 and high >= 0 for low, high in widths))
    return possible([n + low + high for n, (low, high) in zip(a, widths)])


def take(a, indices, axis=None):
    indices = () if isinstance(indices, int) else indices
    a = (math.prod(a),) if axis is None else a
    at = place(axis or 0, len(a))
    return possible((*a[:at], *indices, *a[at + 1:]))


def take_along_axis(a, indices, axis=-1):
    if axis is None:
        a, axis = (math.prod(a),), 0
    require(len(a) == len(indices))
    at = place(axis, len(a))
    common = broadcast(a[:at] + (1,) + a[at + 1:], indices[:at] + (1,) + indices[at + 1:])
    return possible((*common[:at], indices[at], *common[at + 1:]))


def expand_dims(a, axis):
    axes = sequence(axis)
    rank = len(a) + len(axes)
    new = {place(n, rank) for n in axes}
    require(len(new) == len(axes))
    old = iter(a)
    return tuple(1 if i in new else next(old) for i in range(rank))


def matmul(a, b, c=None, **scales):
    require(a and b)
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    require(left[-1] == right[-2])
    out = possible((*broadcast(left[:-2], right[:-2]), left[-2], right[-1]))
    out = out if len(a) > 1 else (*out[:-2], out[-1])
    out = out if len(b) > 1 else out[:-1]
    return out if c is None else broadcast_to(c, out)


def inner(a, b):
    if not a or not b:
        return broadcast(a, b)
    require(a[-1] == b[-1])
    return possible((*a[:-1], *b[:-1]))


def tensordot(a, b, axes=2):
    if isinstance(axes, int):
        require(0 <= axes <= min(len(a), len(b)))
        of_a, of_b = range(len(a) - axes, len(a)), range(axes)
    else:
        of_a, of_b = ([place(n, len(x)) for n in of] for of, x in zip(axes, (a, b)))
    require([a[n] for n in of_a] == [b[n] for n in of_b])
    return possible([n for i, n in enumerate(a) if i not in of_a] + [n for i, n in enumerate(b) if i not in of_b])


def kron(a, b):
    rank = max(len(a), len(b))
    return possible([m * n for m, n in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b)])


def diagonal(a, offset=0, axis1=0, axis2=1):
    require(len(a) >= 2)
    rows, columns = place(axis1, len(a)), place(axis2, len(a))
    require(rows != columns)
    length = max(0, min(a[rows] + min(offset, 0), a[columns] - max(offset, 0)))
    return (*(n for i, n in enumerate(a) if i not in (rows, columns)), length)


def diag(a, k=0):
    require(len(a) in (1, 2))
    return diagonal(a, k) if len(a) == 2 else possible([a[0] + abs(k)] * 2)


def matrix(n, m=None, k=0, dtype=None):
    return possible((n, n if m is None else m))


def meshgrid(*arrays, sparse=False, indexing="xy"):
    lengths = [math.prod(a) for a in arrays]
    if indexing == "xy" and len(arrays) > 1:
        lengths[:2] = lengths[1::-1]
    if not sparse:
        return [possible(lengths)] * len(arrays)
    places = [1, 0, *range(2, len(arrays))] if indexing == "xy" and len(arrays) > 1 else range(len(arrays))
    return [tuple(n if i == at else 1 for i, n in enumerate(lengths)) for at in places]


def as_strided(a, shape=None, strides=None, offset=0):
    shape = possible(a if shape is None else shape)
    strides = [math.prod(shape[i + 1:]) for i in range(len(shape))] if strides is None else strides
    require(len(shape) == len(strides))
    ends = [(n - 1) * step for n, step in zip(shape, strides)]
    low, high = offset + sum(n for n in ends if n < 0), offset + sum(n for n in ends if n > 0)
    require(0 in shape or (low >= 0 and high < math.prod(a)))
    return shape


def split(a, indices_or_sections, axis=0):
    at = place(axis, len(a))
    if not isinstance(indices_or_sections, int):
        return None
    require(indices_or_sections > 0 and a[at] % indices_or_sections == 0)
    return [(*a[:at], a[at] // indices_or_sections, *a[at + 1:])] * indices_or_sections


def of(shape=(), **others):
    """Of creation and of random numbers."""
    return possible(sequence(shape))


def same(a, *args, **kwargs):
    return a


RULES = {
    "broadcast_to": broadcast_to, "reshape": reshape, "flatten": flatten, "unflatten": unflatten, "tile": tile,
    "repeat": repeat, "concatenate": concatenate, "stack": stack, "pad": pad, "take": take, "take_along_axis": take_along_axis,
    "expand_dims": expand_dims, "matmul": matmul, "inner": inner, "tensordot": tensordot, "kron": kron,
    "addmm": lambda c, a, b, **scales: matmul(a, b, c), "diagonal": diagonal, "diag": diag, "eye": matrix, "identity": matrix,
    "outer": lambda a, b: possible((math.prod(a), math.prod(b))),
    "tri": lambda n, m=None, k=0, dtype=None: possible((max(n, 0), max(n if m is None else m, 0))),
    "meshgrid": meshgrid, "as_strided": as_strided, "split": split, "full": of, "zeros": of, "ones": of,
    "broadcast_arrays": lambda *arrays: [broadcast(*arrays)] * len(arrays),
    "random.uniform": of, "random.normal": lambda shape=(), loc=(), scale=(), **others: broadcast(of(shape),
        *(p if isinstance(p, tuple) else () for p in (loc, scale))),
    "random.randint": of, "random.bits": of, "random.gumbel": of, "random.laplace": of,
    "random.split": lambda key, num=2: possible((num, 2)),
    "linspace": lambda start, stop, num=50, **others: possible((num,)),
    "roll": same, "flip": same, "sort": lambda a, axis=-1: a if axis is not None else (math.prod(a),),
    "tril": lambda x, k=0: x, "triu": lambda x, k=0: x, "zeros_like": same, "ones_like": same, "full_like": same,
    "slice": lambda a, start_indices, axes, slice_size: possible(slice_size),
    "slice_update": same, "put_along_axis": same, "contiguous": same, "stop_gradient": same,
    "unstack": lambda x, axis=0: [x[:place(axis, len(x))] + x[place(axis, len(x)):][1:]] * x[place(axis, len(x))],
}


def transformed(a, n, axis, given, wanted):
    """A Fourier transform of n elements, of which so many are read and written."""
    axis = place(axis, len(a))
    if n is None:
        n = 2 * (a[axis] - 1) if given else a[axis]
    require(1 <= n)
    possible((*a[:axis], n // 2 + 1 if given else n, *a[axis + 1:]))
    return possible((*a[:axis], n // 2 + 1 if wanted else n, *a[axis + 1:]))


RULES |= {f"fft.{name}": lambda a, n=None, axis=-1, norm="backward", given=given, wanted=wanted: transformed(a, n, axis, given, wanted)
          for name, given, wanted in (("fft", 0, 0), ("ifft", 0, 0), ("rfft", 0, 1), ("irfft", 1, 0), ("hfft", 1, 0), ("ihfft", 0, 1))}
RULES |= {"fft.fftshift": same, "fft.ifftshift": same}
RULES |= {name: lambda M: (max(M, 0),) for name in ("bartlett", "hanning", "hamming", "blackman")}


def numbers(value, axes):
    value = sequence(value)
    require(len(value) in (1, axes))
    return value * axes if len(value) == 1 else value


def convolved(axes, input, weight, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False, **named):
    axes = axes or len(input) - 2
    require(1 <= axes <= 3 and len(input) == len(weight) == axes + 2)
    require(groups >= 1 and input[-1] == groups * weight[-1] and weight[0] % groups == 0)
    out = []
    pair = not isinstance(padding, int) and any(not isinstance(p, int) for p in padding)
    low, high = (numbers(p, axes) for p in (padding if pair else (padding, padding)))
    for n, k, s, lo, hi, kd, d in zip(input[1:-1], weight[1:-1], numbers(stride, axes), low, high,
                                      numbers(named.get("dilation", kernel_dilation), axes), numbers(input_dilation, axes)):
        length, reach = max(0, d * (n - 1) + 1) + lo + hi, kd * (k - 1) + 1
        require(s >= 1 and kd >= 1 and d >= 1 and k >= 1 and length >= reach)
        require(max(s, kd, d, kd * k, d * n, abs(lo)) <= 2**60)
        out.append((length - reach) // s + 1)
        require(s * out[-1] <= 2**60)
    return possible((input[0], *out, weight[0]))


def convolved_back(axes, input, weight, stride=1, padding=0, dilation=1, output_padding=0, groups=1):
    require(len(input) == len(weight) == axes + 2)
    require(groups >= 1 and input[-1] == groups * weight[-1] and weight[0] % groups == 0)
    out = []
    for n, k, s, p, d, more in zip(input[1:-1], weight[1:-1], numbers(stride, axes), numbers(padding, axes), numbers(dilation, axes),
                                   numbers(output_padding, axes)):
        out.append(max(0, s * (n - 1) + 1) + d * (k - 1) - 2 * p + more)
        require(s >= 1 and d >= 1 and more >= 0 and k >= 1 and out[-1] >= 1)
        require(max(s * n, s, d * k, d, abs(d * (k - 1) - p), out[-1]) <= 2**60)
    return possible((input[0], *out, weight[0]))


def hadamard(a, scale=None):
    require(a and a[-1] >= 1 and any(a[-1] % m == 0 and (a[-1] // m) & (a[-1] // m - 1) == 0 for m in (1, 12, 20, 28)))
    return a


def convolve(a, v, mode="full"):
    require(len(a) == len(v) == 1 and a[0] and v[0] and mode in ("full", "same", "valid"))
    most, least = max(a[0], v[0]), min(a[0], v[0])
    require(most + least <= 2**60)
    return possible(({"full": most + least - 1, "same": most, "valid": most - least + 1}[mode],))


RULES |= {f"conv{n}d": functools.partial(convolved, n) for n in (1, 2, 3)}
RULES |= {f"conv_transpose{n}d": functools.partial(convolved_back, n) for n in (1, 2, 3)}
RULES |= {"gather_mm": None, "block_masked_mm": None, "segmented_mm": None, "hadamard_transform": hadamard}
RULES |= {"conv_general": functools.partial(convolved, 0), "convolve": convolve}
