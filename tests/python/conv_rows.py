"""Samples of convolutions: see sample_rows.py. The reference adds up one tap after the other, in a wider type."""

import itertools

import mlx.core as mx
import numpy as np

from arrays import BOOL, INEXACT, INTEGERS
from samples import Real
from sample_rows import row


def each(value, axes):
    return (value,) * axes if np.ndim(value) == 0 else tuple(value) * (axes if len(value) == 1 else 1)


def general(x, w, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False):
    """By its definition. padding is a number, one for each axis, or a pair of lists."""
    axes = x.ndim - 2
    pair = np.ndim(padding) == 2 or isinstance(padding, tuple) and any(np.ndim(p) for p in padding)
    low, high = (each(p, axes) for p in (padding if pair else (padding, padding)))
    s, kd, d = each(stride, axes), each(kernel_dilation, axes), each(input_dilation, axes)
    taps, n = w.shape[1:-1], x.shape[1:-1]
    size = [(di * (ni - 1) + 1 + lo + hi - kdi * (k - 1) - 1) // si + 1
            for di, ni, lo, hi, kdi, k, si in zip(d, n, low, high, kd, taps, s)]
    outputs, channels = w.shape[0] // groups, w.shape[-1]
    y = np.zeros((x.shape[0], *size, w.shape[0]), np.result_type(x, w))
    for tap in itertools.product(*map(range, taps)):
        to, source = [slice(None)], [slice(None)]
        for a in range(axes):
            at = np.arange(size[a]) * s[a] + tap[a] * kd[a] - low[a]
            there = (at % d[a] == 0) & (at >= 0) & (at // d[a] < n[a])
            to.append(np.flatnonzero(there))
            source.append(at[there] // d[a])
        weight = w[(slice(None), *(k - 1 - t if flip else t for k, t in zip(taps, tap)))]
        values = x[np.ix_(np.arange(x.shape[0]), *source[1:], np.arange(x.shape[-1]))]
        for g in range(groups):
            j = slice(g * outputs, (g + 1) * outputs)
            part = values[..., g * channels:(g + 1) * channels]
            where = np.ix_(np.arange(x.shape[0]), *to[1:], np.arange(g * outputs, (g + 1) * outputs))
            with np.errstate(all="ignore"):
                product = np.ascontiguousarray(part) @ np.ascontiguousarray(weight[j].T)
            y[where] = y[where] | product if y.dtype == bool else y[where] + product
    return y


def back(x, w, stride=1, padding=0, dilation=1, output_padding=0, groups=1):
    """Each element times the kernel, added where it falls."""
    axes = x.ndim - 2
    s, p, kd, more = (each(v, axes) for v in (stride, padding, dilation, output_padding))
    taps, n = w.shape[1:-1], x.shape[1:-1]
    whole = [max(si * (ni - 1) + 1, 0) + kdi * (k - 1) + m + 2 * max(0, -pi)
             for si, ni, kdi, k, m, pi in zip(s, n, kd, taps, more, p)]
    outputs, channels = w.shape[0] // groups, w.shape[-1]
    y = np.zeros((x.shape[0], *whole, w.shape[0]), np.result_type(x, w))
    for tap in itertools.product(*map(range, taps)):
        place = tuple(slice(max(0, -pi) + t * kdi, max(0, -pi) + t * kdi + si * (ni - 1) + 1, si)
                      for t, kdi, si, ni, pi in zip(tap, kd, s, n, p))
        for g in range(groups):
            j = slice(g * outputs, (g + 1) * outputs)
            product = x[..., g * channels:(g + 1) * channels] @ np.moveaxis(w[(j, *tap)], 0, 1)
            y[(slice(None), *place, j)] += product
    cut = tuple(slice(max(pi, 0), size - max(pi, 0)) for pi, size in zip(p, whole))
    return y[(slice(None), *cut)]


def sequences(a, v, mode="full"):
    """Of the wider types, too."""
    if len(a) < len(v):
        a, v = v, a
    y = general(a[None, :, None], v[None, :, None], padding=len(v) - 1, flip=True)[0, :, 0]
    first, size = {"full": (0, len(y)), "same": ((len(v) - 1) // 2, len(a)), "valid": (len(v) - 1, len(a) - len(v) + 1)}[mode]
    return y[first:first + size]


def _row(name, reference, label, x, w, dtypes=INEXACT, ulp=6, smooth=None, **args):
    function = getattr(mx, name)
    return row(label, Real(x), Real(w), call=lambda x, w: function(x, w, **args), ref=lambda x, w: reference(x, w, **args),
               magnitude=lambda x, w: reference(np.abs(x), np.abs(w), **args), ulp=ulp, dtypes=dtypes, smooth=smooth)


def _conv(name, reference=None, **renamed):
    def call(x, w, **args):
        return general(x, w, **{renamed.get(k, k): v for k, v in args.items()})
    return lambda label, x, w, **args: _row(name, reference or call, label, x, w, **args)


_one, _two, _three = (_conv(f"conv{n}d", dilation="kernel_dilation") for n in (1, 2, 3))
_back1, _back2, _back3 = (_conv(f"conv_transpose{n}d", back) for n in (1, 2, 3))
_general = _conv("conv_general")

ROWS = {
    "conv1d": [_one("", (2, 5, 2), (3, 3, 2)), _one("stride=2 padding=1", (2, 6, 1), (2, 3, 1), stride=2, padding=1),
               _one("dilation=2", (1, 7, 2), (2, 2, 2), dilation=2), _one("groups=2", (2, 4, 4), (6, 2, 2), groups=2, padding=1),
               _one("depthwise", (2, 5, 3), (3, 3, 1), groups=3), _one("1x1", (2, 3, 2), (4, 1, 2)),
               _one("stride past the end", (1, 8, 1), (1, 2, 1), stride=3), _one("long", (1, 150, 1), (2, 5, 1), padding=2, smooth=False),
               _one("integers", (2, 5, 4), (2, 3, 2), dtypes=BOOL + INTEGERS, ulp=0, groups=2, padding=1)],
    "conv2d": [_two("", (1, 4, 3, 2), (2, 2, 2, 2)), _two("stride=(2,1) padding=(0,1)", (2, 5, 3, 1), (2, 2, 3, 1), stride=(2, 1), padding=(0, 1)),
               _two("dilation groups", (1, 5, 4, 2), (2, 2, 2, 1), dilation=(3, 2), groups=2, padding=1),
               _two("groups=2", (1, 3, 3, 4), (2, 2, 2, 2), groups=2),
               _two("many", (2, 9, 11, 20), (37, 3, 3, 20), padding=1, smooth=False)],
    "conv3d": [_three("", (1, 2, 3, 2, 2), (2, 2, 2, 1, 2)), _three("stride padding", (1, 3, 2, 3, 1), (2, 2, 2, 2, 1), stride=(2, 1, 2), padding=(0, 1, 1)),
               _three("groups=2", (1, 2, 2, 2, 2), (2, 1, 2, 2, 1), groups=2, dilation=(1, 1, 1))],
    "conv_transpose1d": [_back1("", (2, 3, 2), (3, 3, 2)), _back1("stride=2 padding=1", (1, 4, 2), (2, 3, 2), stride=2, padding=1),
                         _back1("output_padding", (2, 3, 1), (2, 2, 1), stride=3, output_padding=2),
                         _back1("dilation groups", (1, 3, 4), (2, 2, 2), dilation=2, groups=2, stride=2),
                         _back1("depthwise", (1, 3, 3), (3, 3, 1), groups=3, stride=2)],
    "conv_transpose2d": [_back2("", (1, 2, 3, 2), (2, 2, 2, 2)),
                         _back2("all", (1, 3, 2, 2), (4, 2, 3, 1), stride=(2, 3), padding=(0, 1), dilation=(2, 1), output_padding=(1, 0), groups=2)],
    "conv_transpose3d": [_back3("", (1, 2, 1, 2, 1), (2, 2, 2, 2, 1)), _back3("stride", (1, 2, 2, 1, 2), (1, 2, 1, 2, 2), stride=(2, 1, 3), padding=(1, 0, 0))],
    "conv_general": [_general("", (1, 5, 2), (2, 3, 2)),
                     _general("pairs flip", (1, 4, 3, 2), (2, 2, 2, 2), padding=([1, 0], [2, 1]), flip=True, stride=(1, 2)),
                     _general("input_dilation", (1, 4, 2), (2, 3, 2), input_dilation=3, kernel_dilation=2, stride=2, padding=4),
                     _general("cut off", (2, 7, 1), (1, 2, 1), padding=([-2], [-1])),
                     _general("dilations 2 2", (1, 3, 2, 1), (1, 2, 2, 1), input_dilation=(2, 2), kernel_dilation=(2, 1), padding=([0, 1], [0, 1])),
                     _general("everything", (1, 4, 4), (4, 3, 2), stride=2, padding=([2], [1]), kernel_dilation=2, input_dilation=2, groups=2, flip=True)],
    "convolve": [_row("convolve", sequences, f"{mode} {n} {m}", (n,), (m,), mode=mode)
                 for mode, n, m in (("full", 5, 3), ("same", 5, 2), ("valid", 6, 3), ("same", 2, 5), ("full", 1, 4), ("valid", 3, 3))]
    + [_row("convolve", sequences, "integers", (7,), (4,), dtypes=BOOL + INTEGERS, ulp=0),
       _row("convolve", sequences, "long", (400,), (90,), smooth=False, mode="same")],
}
