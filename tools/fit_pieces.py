"""Fits the rows of mlx_core/cpu/pieces-inl.h, and prints them: erf and tanh of a float32 magnitude in 32 pieces.

    python tools/fit_pieces.py

needs NumPy and SciPy. Each piece is f(m + t) = c0 + t (c1 + ... + c5 t^4): m is a float32 near the middle whose f(m) is nearly a
float32, too; the coefficients nearly minimize the largest relative error, and are rounded one after the other, those that are left
being fitted again. The first piece begins at 0: m = c0 = 0, and that of erf is f(t) = t + t (c1 + ...). The last ends in 1 exactly."""

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


def piece(f, low, high, m, c0, linear):
    """[m, c0, c1, ...], and the largest error relative to f, in units of 2^-24."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    x = x[x > 0]
    powers = np.stack([(x - m) ** j for j in range(1, DEGREE + 1)], 1)
    rest, weight, found = f(x) - (x if linear else c0), 1 / f(x), []
    for j in range(DEGREE):
        chosen = weight.copy()
        for _ in range(40):  # Lawson's iteration: heavier where the error is large
            solution = np.linalg.lstsq(powers[:, j:] * chosen[:, None], rest * chosen, rcond=None)[0]
            error = np.abs((powers[:, j:] @ solution - rest) * weight)
            chosen *= np.sqrt(np.maximum(error / error.max(), 1e-3))
            chosen /= chosen.max()
        found.append(float(f32(solution[0])))
        rest = rest - powers[:, j] * found[-1]
    return [m, c0, *found], np.abs(rest * weight).max() * 2**24


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


if __name__ == "__main__":
    for name, pieces in (("erf_pieces", list(erf_pieces())), ("tanh_pieces", list(tanh_pieces()))):
        print(f"// {name}: at most {max(error for _, error in pieces):.2f} units of 2^-24")
        for row in zip(*(coefficients for coefficients, _ in pieces)):
            print("    {" + ", ".join(f"{f32(c)}f" for c in row) + "},")
