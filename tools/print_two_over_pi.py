"""Prints the words of 2/pi and of pi/2 that mlx_core/cpu/huge_angles.cpp reduces angles by.

    python tools/print_two_over_pi.py

needs mpmath."""

import mpmath

WORDS = 20  # 64 bits each: x < 2^1024 has its last digit at 2^971, and 192 bits from there on count


def words(value, count):
    """The bits of a fraction, from the highest on."""
    whole = int(mpmath.floor(mpmath.ldexp(value, 64 * count)))
    return [f"0x{whole >> (64 * (count - 1 - k)) & (2**64 - 1):016x}" for k in range(count)]


if __name__ == "__main__":
    mpmath.mp.prec = 64 * WORDS + 64
    print("2/pi:", *words(2 / mpmath.pi, WORDS), sep="\n  ")
    print("pi/4:", *words(mpmath.pi / 4, 2), sep="\n  ")
