"""Newton's method on 10,000 unknowns: a nonlinear boundary value problem, whose Jacobian has three diagonals.

u'' = exp(u) on (0, 1) with u(0) = u(1) = 0, by central differences. mx.sparse_jacobian finds the three diagonals from the
function itself and takes three passes for 10,000 columns; a banded solver does the rest.

    python examples/python/sparse_jacobian.py
"""

import time

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray


def residual(u: mx.array) -> mx.array:
    """u'' - exp(u) at the inner points; zero where u solves the problem."""
    n = u.size
    padded = mx.pad(u, 1)
    return (padded[2:] - 2 * u + padded[:-2]) * (n + 1) ** 2 - mx.exp(u)


Vector = NDArray[np.float64]


def solve_tridiagonal(lower: Vector, diagonal: Vector, upper: Vector, right: Vector) -> Vector:
    """Thomas's algorithm: elimination along the band."""
    upper, right = upper.copy(), right.copy()
    pivot = diagonal[0]
    right[0] /= pivot
    for i in range(1, len(right)):
        upper[i - 1] /= pivot
        pivot = diagonal[i] - lower[i - 1] * upper[i - 1]
        right[i] = (right[i] - lower[i - 1] * right[i - 1]) / pivot
    for i in range(len(right) - 2, -1, -1):
        right[i] -= upper[i] * right[i + 1]
    return right


def main(n: int = 10_000) -> None:
    jacobian = mx.sparse_jacobian(residual)
    u = mx.zeros(n, mx.float64)
    for step in range(8):
        start = time.perf_counter()
        J = jacobian(u)
        rows, cols, values = (np.array(part) for part in (J.rows, J.cols, J.values))
        milliseconds = (time.perf_counter() - start) * 1e3
        bands = [values[cols - rows == offset] for offset in (-1, 0, 1)]
        change = solve_tridiagonal(bands[0], bands[1], bands[2], -np.array(residual(u)))
        u = u + mx.array(change, mx.float64)
        size = np.abs(change).max()
        print(f"step {step}: {J}, {milliseconds:.1f} ms, largest change {size:.1e}")
        if size < 1e-10:
            break
    print(f"smallest u {u.min().item():.9f}")
    assert size < 1e-9


if __name__ == "__main__":
    main()
