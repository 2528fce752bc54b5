"""Writes mlx_core/cpu/special/tables.h: polynomials that the kernels of special functions are made of.

    python tools/fit_special.py

Each table holds pieces of equal width: on each, the interpolating polynomial of f at Chebyshev nodes, computed with 40
digits by mpmath, as powers of t in [-1, 1]. The largest relative error on 24 points a piece is written beside it.
"""

from pathlib import Path

import mpmath as mp

mp.mp.dps = 40
OUT = Path(__file__).resolve().parents[1] / "mlx_core/cpu/special/tables.h"


def chebyshev(f, low, high, degree):
    """Powers of t = (2 x - low - high) / (high - low)."""
    n = degree + 1
    angles = [mp.pi * (2 * k + 1) / (2 * n) for k in range(n)]
    values = [f((low + high) / 2 + (high - low) / 2 * mp.cos(a)) for a in angles]
    coefficients = [2 * mp.fsum(v * mp.cos(j * a) for v, a in zip(values, angles)) / n for j in range(n)]
    coefficients[0] /= 2
    before, now = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    powers = [mp.mpf(0)] * n
    for j, c in enumerate(coefficients):
        polynomial = before if j == 0 else now
        for k, p in enumerate(polynomial):
            powers[k] += c * p
        if j:
            following = [mp.mpf(0)] + [2 * p for p in now]
            for k, p in enumerate(before):
                following[k] -= p
            before, now = now, following
    return powers


def table(name, what, f, first, width, count, degree, scale=None):
    """`scale`: errors are relative to f, or to this."""
    first, width = mp.mpf(first), mp.mpf(width)
    rows, worst = [], mp.mpf(0)
    for i in range(count):
        low = first + i * width
        powers = chebyshev(f, low, low + width, degree)
        rows.append([float(p) for p in powers])
        for k in range(24):
            t = mp.mpf(2 * k + 1) / 24 - 1
            x = low + width * (t + 1) / 2
            size = abs(f(x)) if scale is None else scale
            worst = max(worst, abs(mp.polyval(powers[::-1], t) - f(x)) / size)
    lines = ",\n".join("    {" + ", ".join(repr(c) for c in row) + "}" for row in rows)
    print(name, mp.nstr(worst, 3), flush=True)
    return (f"// {what}. Error: {mp.nstr(worst, 2)}\n"
            f"inline constexpr Pieces<{count}, {degree + 1}> {name} = {{{float(first)!r}, {float(width)!r}, {{\n{lines}}}}};\n")


def inverse_erfc(q_log):
    """y with log(erfc(y)) = q_log."""
    t = mp.sqrt(-q_log)
    y = mp.sqrt(max(-q_log - mp.log(t * 2), mp.mpf("0.2")))
    for _ in range(60):
        value = mp.erfc(y)
        step = (mp.log(value) - q_log) * value * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
        y += step
        if abs(step) < mp.mpf(10) ** -36:
            break
    return y


def erfinv_over_x(z):
    x = mp.sqrt(z)
    return mp.erfinv(x) / x


def hankel(n):
    """P and Q x of DLMF 10.17.3-4, as functions of 1 / x^2."""
    def both(w):
        x = 1 / mp.sqrt(w)
        value = mp.hankel1(n, x) * mp.sqrt(mp.pi * x / 2) * mp.expj(-(x - mp.pi * (2 * n + 1) / 4))
        return value.real, value.imag * x
    return lambda w: both(w)[0], lambda w: both(w)[1]


def y0_rest(x):
    return mp.bessely(0, x) - 2 / mp.pi * mp.log(x) * mp.besselj(0, x)


def y1_rest(x):
    return (mp.bessely(1, x) - 2 / mp.pi * (mp.log(x) * mp.besselj(1, x) - 1 / x)) / x


def temme(orders, terms):
    """c_k(eta) of DLMF 8.12.7 as powers of eta: 8.12.11-12."""
    n = terms + 2 * orders + 4
    alpha = [mp.mpf(0), mp.mpf(1)]  # lambda - 1 = sum alpha_j eta^j, from mu dmu = eta (1 + mu) deta
    for j in range(2, n + 3):
        alpha.append((alpha[j - 1] - mp.fsum(i * alpha[i] * alpha[j + 1 - i] for i in range(2, j))) / (j + 1))
    # Stirling's series of the scaled gamma function, DLMF 5.11.3: exp(sum B_2k / (2k (2k-1) a^(2k-1)))
    log = [mp.mpf(0)] * (orders + 1)
    for k in range(1, orders + 1):
        if 2 * k - 1 <= orders:
            log[2 * k - 1] = mp.bernoulli(2 * k) / (2 * k * (2 * k - 1))
    g = [mp.mpf(1)]
    for k in range(1, orders + 1):
        g.append(mp.fsum(j * log[j] * g[k - j] for j in range(1, k + 1)) / k)
    rows = [[(j + 2) * alpha[j + 2] for j in range(n)]]
    rows[0][0] = -mp.mpf(1) / 3
    for k in range(1, orders):
        before = rows[-1]
        rows.append([(-1) ** k * g[k] * rows[0][j] + (j + 2) * before[j + 2] for j in range(n - 2 * k)])
    return [row[:terms] for row in rows]


def main():
    psi_zero = mp.findroot(mp.digamma, mp.mpf("1.4616"))
    high = float(psi_zero)
    log_gamma_over = lambda x: mp.loggamma(x) / ((x - 1) * (x - 2))
    j0p, j0q = hankel(0)
    j1p, j1q = hankel(1)
    tables = [
        table("erfcx_table", "exp(x^2) erfc(x)", lambda x: mp.exp(x * x) * mp.erfc(x), 0, 0.5, 16, 14),
        table("erfcx_tail", "x exp(x^2) erfc(x), of 1 / x^2", lambda w: mp.exp(1 / w) * mp.erfc(1 / mp.sqrt(w)) / mp.sqrt(w), 0, 1 / 64, 1, 11),
        table("lgamma_zeros", "log(gamma(x)) / ((x - 1) (x - 2))", log_gamma_over, 0.5, 0.25, 10, 18),
        table("lgamma_table", "log(gamma(x))", mp.loggamma, 3, 0.5, 14, 12),
        table("gamma_table", "gamma(x)", mp.gamma, 1, 0.25, 4, 14),
        table("digamma_zero", "digamma(x) / (x - its zero)", lambda x: mp.digamma(x) / (x - psi_zero), 1, 0.25, 4, 15),
        table("digamma_table", "digamma(x)", mp.digamma, 2, 0.5, 16, 15),
        table("erfinv_table", "erfinv(x) / x, of x^2", erfinv_over_x, 0, 0.125, 2, 13),
        table("erfcinv_table", "erfcinv(q), of sqrt(-log(q))", lambda t: inverse_erfc(-t * t), 0.8125, 0.25, 107, 13),
        table("exp1_table", "x exp(x) E1(x), of 1 / x", lambda u: mp.exp(1 / u) * mp.e1(1 / u) / u, 0, 1 / 16, 16, 15),
        table("expi_table", "x exp(-x) Ei(x)", lambda x: x * mp.exp(-x) * mp.ei(x), 2, 1, 38, 16),
        table("expi_tail", "x exp(-x) Ei(x), of 1 / x", lambda u: mp.exp(-1 / u) * mp.ei(1 / u) / u, 0, 1 / 40, 1, 14),
        table("i0e_table", "exp(-x) I0(x)", lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 1, 16, 15),
        table("i0e_tail", "sqrt(x) exp(-x) I0(x), of 1 / x", lambda u: mp.exp(-1 / u) * mp.besseli(0, 1 / u) / mp.sqrt(u), 0, 1 / 16, 1, 15),
        table("i1e_table", "exp(-x) I1(x) / x", lambda x: mp.exp(-x) * mp.besseli(1, x) / x, 0, 1, 16, 14),
        table("i1e_tail", "sqrt(x) exp(-x) I1(x), of 1 / x", lambda u: mp.exp(-1 / u) * mp.besseli(1, 1 / u) / mp.sqrt(u), 0, 1 / 16, 1, 15),
        table("j0_table", "J0(x)", lambda x: mp.besselj(0, x), 0, 1, 26, 13, mp.mpf("0.15")),
        table("j0_cosine", "P of J0, of 1 / x^2: DLMF 10.17.3", j0p, 0, 1 / 512, 1, 8),
        table("j0_sine", "x Q of J0, of 1 / x^2", j0q, 0, 1 / 512, 1, 8),
        table("j1_table", "J1(x) / x", lambda x: mp.besselj(1, x) / x, 0, 1, 26, 13, mp.mpf("0.006")),
        table("y0_table", "Y0(x) - 2 / pi log(x) J0(x)", y0_rest, 0, 1, 26, 14, mp.mpf("0.15")),
        table("y1_table", "(Y1(x) - 2 / pi (log(x) J1(x) - 1 / x)) / x", y1_rest, 0, 1, 26, 14, mp.mpf("0.006")),
        table("j1_cosine", "P of J1, of 1 / x^2", j1p, 0, 1 / 512, 1, 8),
        table("j1_sine", "x Q of J1, of 1 / x^2", j1q, 0, 1 / 512, 1, 8),
    ]
    rows = temme(12, 26)
    text = ",\n".join("    {" + ", ".join(repr(float(c)) for c in row) + "}" for row in rows)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        "// Polynomials of special functions; written by tools/fit_special.py.\n#pragma once\n\n"
        "#include \"mlx_core/cpu/special/pieces.h\"\n\n"
        "namespace mlx::core::cpu::special {\n\n// clang-format off\n"
        + "\n".join(tables)
        + f"\n// The zero of digamma, in two parts\ninline constexpr double digamma_root = {high!r}, digamma_root_low = {float(psi_zero - mp.mpf(high))!r};\n"
        + "\n// zeta(s) - 1 / (s - 1), powers of s - 1, from Stieltjes' constants: DLMF 25.2.4\n"
        + f"inline constexpr double zeta_at_one[26] = {{{', '.join(repr(float((-1) ** n * mp.stieltjes(n) / mp.factorial(n))) for n in range(26))}}};\n"
        + "\n// c_k(eta), powers of eta: DLMF 8.12.7, 8.12.11-12\n"
        + f"inline constexpr double temme_table[{len(rows)}][{len(rows[0])}] = {{\n{text}}};\n// clang-format on\n\n"
        + "} // namespace mlx::core::cpu::special\n")


if __name__ == "__main__":
    main()
