"""Fits the rows of mlx_core/cpu/pieces-inl.h, and prints them: functions of a float32 in 32 pieces.

    python tools/fit_pieces.py

needs NumPy and SciPy. Each piece of erf and tanh, of a magnitude, is f(m + t) = c0 + t (c1 + ... + c5 t^4): m is a float32 near the
middle whose f(m) is nearly a float32, too; the coefficients nearly minimize the largest relative error, and are rounded one after the
other, those that are left being fitted again. The first piece begins at 0: m = c0 = 0, and that of erf is f(t) = t + t (c1 + ...). The
last ends in 1 exactly. A piece of log is 1 / c and log(c), c near the middle, where both are nearly float32; all share the polynomial
of log(1 + r)."""

import numpy as np
from scipy.special import erf

DEGREE, PIECES = 5, 32
f32 = np.float32


def nearly_exact(f, low, high):
    """A float32 near the middle of the interval, where f is a float32 but for a thousandth of its last place."""
    middle = f32((low + high) / 2)
    near = middle + (np.arange(-6000, 6001) * np.spacing(middle)).astype(f32)
    near = near[np.abs(near - middle) < (high - low) * 0.03]
    values = f(near.astype(float))
    return float(near[np.argmin(np.abs(values - values.astype(f32)) / np.spacing(values.astype(f32)))])


def minimax(powers, rest, weight):
    """Coefficients, and what is left of the weighted error."""
    found = []
    for j in range(powers.shape[1]):
        chosen = weight.copy()
        for _ in range(40):  # Lawson's iteration: heavier where the error is large
            solution = np.linalg.lstsq(powers[:, j:] * chosen[:, None], rest * chosen, rcond=None)[0]
            error = np.abs((powers[:, j:] @ solution - rest) * weight)
            chosen *= np.sqrt(np.maximum(error / error.max(), 1e-3))
            chosen /= chosen.max()
        found.append(float(f32(solution[0])))
        rest = rest - powers[:, j] * found[-1]
    return found, np.abs(rest * weight).max() * 2**24


def piece(f, low, high, m, c0, linear):
    """[m, c0, c1, ...], and the largest error relative to f, in units of 2^-24."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    x = x[x > 0]
    powers = np.stack([(x - m) ** j for j in range(1, DEGREE + 1)], 1)
    found, error = minimax(powers, f(x) - (x if linear else c0), 1 / f(x))
    return [m, c0, *found], error


def erf_pieces():
    last = float(np.nextafter(f32(4), f32(0)))
    for k in range(PIECES):
        low, high = k / 8, (k + 1) / 8
        m = 0.0 if k == 0 else last if k == PIECES - 1 else nearly_exact(erf, low, high)
        yield piece(erf, low, high, m, 1.0 if m == last else float(f32(erf(m))), linear=k == 0)


def tanh_pieces():
    top = 9.02
    bits = (np.arange(PIECES + 1, dtype=np.uint32) + (0x3d800000 >> 21)) << 21
    ends = bits.astype(np.uint32).view(f32).astype(float)
    for k in range(PIECES):
        low, high = (0.0 if k == 0 else ends[k]), min(ends[k + 1], top)
        if low >= top:
            yield [top, 1.0] + [0.0] * DEGREE, 0.0
        else:
            m = 0.0 if k == 0 else nearly_exact(np.tanh, low, high)
            yield piece(np.tanh, low, high, m, float(f32(np.tanh(m))), linear=False)


def log_pieces():
    """Rows of 1 / c and of log(c), in the order of the fraction's first bits in [3/4, 3/2)."""
    rows = [[1.0, 0.0]]
    for k in range(1, PIECES - 1):
        low, high = (1 + k / 32, 1 + (k + 1) / 32) if k < 16 else (0.5 + k / 64, 0.5 + (k + 1) / 64)
        middle = f32(2 / (low + high))
        near = middle + (np.arange(-20000, 20001) * np.spacing(middle)).astype(f32)
        values = -np.log(near.astype(float))
        best = np.argmin(np.abs(values - values.astype(f32)) / np.spacing(np.abs(values).astype(f32)))
        rows.append([near[best], values[best]])
    return [*rows, [1.0, 0.0]]


def log_polynomial():
    """q in log(1 + r) = r + r^2 q, and its error relative to r."""
    r = np.concatenate([np.linspace(-1 / 60, -1e-4, 2000), np.linspace(1e-4, 1 / 32, 4000)]).astype(np.longdouble)
    q = ((np.log1p(r) - r) / (r * r)).astype(float)
    r = r.astype(float)
    return minimax(np.stack([r**k for k in range(4)], 1), q, np.abs(r))


def row_of(numbers):
    return ", ".join(f"{f32(c)!s}f" for c in numbers)


if __name__ == "__main__":
    print("powers_of_two:", row_of(2 ** (k / 32) for k in range(PIECES)))
    polynomial, error = log_polynomial()
    print(f"log_pieces, and a polynomial: at most {error:.2g} units of 2^-24")
    for row in (*zip(*log_pieces()), polynomial):
        print("    " + row_of(row))
    for name, pieces in (("erf_pieces", list(erf_pieces())), ("tanh_pieces", list(tanh_pieces()))):
        print(f"// {name}: at most {max(error for _, error in pieces):.2f} units of 2^-24")
        for row in zip(*(coefficients for coefficients, _ in pieces)):
            print("    {" + row_of(row) + "},")
