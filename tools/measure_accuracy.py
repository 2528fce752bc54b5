"""Measures the error of every elementwise function on each instruction set of this machine, and prints docs/accuracy.md.

    python tools/measure_accuracy.py > docs/accuracy.md
    python tools/measure_accuracy.py --only 'tan-*' --each 100

needs mpmath, NumPy and SciPy beside the built mlx. What is measured is in tests/python/accuracy.py. Fails where a bound does
not hold."""

import argparse
import fnmatch
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python"))
import accuracy  # noqa: E402  (after the path is set)
import mlx.core as mx  # noqa: E402

NAMES = {"AVX3": "AVX-512"}


def evaluate_in(target, points):
    """The values of all cases in a process that is limited to an instruction set."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = os.path.join(folder, "given"), os.path.join(folder, "found")
        with open(given, "wb") as file:
            pickle.dump(points, file)
        subprocess.run([sys.executable, __file__, "--evaluate", given, found], check=True,
                       env={**os.environ, "MLX_CPU_TARGETS": target})
        with open(found, "rb") as file:
            return pickle.load(file)


def evaluate_file(given, found):
    with open(given, "rb") as file:
        points = pickle.load(file)
    with open(found, "wb") as file:
        pickle.dump({case: accuracy.evaluate(case, values) for case, values in points.items()}, file)


def number(x):
    """As short as it can be read back; complex numbers by their parts."""
    if getattr(x, "dtype", None) is not None and x.dtype.kind == "c":
        return f"{number(x.real)} {'-' if str(x.imag).startswith('-') else '+'} {number(abs(x.imag))}j"
    text = str(x)
    return text[:-2] if text.endswith(".0") else text


HEAD = """# Accuracy of elementwise functions

Made by `tools/measure_accuracy.py` (minutes): the largest error found, in units in the last place of the result (ULP), and
where. `tests/python/test_accuracy.py` holds a sample of the points to the bounds below on every instruction set of the machine
it runs on, and with `--all` as many points as here.

- A result's error is its distance from the value at exactly these arguments, over the gap between the dtype's numbers at that
  value. Below the normal numbers that gap is the smallest subnormal number. Infinities and NaN have to be met.
- The value is mpmath's, with {digits} bits or more. x87 long doubles find the arguments that mpmath looks at, the worst first,
  until none that is left can be worse; `erf`, `erfinv` and those complex functions for which long doubles are no better are
  mpmath's everywhere.
- float16 and bfloat16: all 65536 numbers for functions of one argument. float32 and float64: every exponent with either sign,
  numbers up to 2^20 ULP away from zeros, poles, branch points, multiples of pi/2, powers of two and the thresholds of overflow
  and underflow, half-integers, uniform ones, and those known to be hard (the numbers nearest to a multiple of pi/2). Pairs:
  every exponent beside every other, quotients of 1, whole quotients, powers within the range and at its ends, and special ones.
- Complex numbers: by modulus. Parts of every exponent, about the unit circle, the branch points, the multiples of pi/2 and the
  ends of the range.
- float16 and bfloat16 are computed as in float32, and complex64 is in float64 where the function is not a sum or product.

| held to | |
| --- | --- |
| 0.5 ULP, correctly rounded | {rounded}; exact choices of bits ({exact}) are compared by the grids |
| 1 ULP | every other function of float16 and bfloat16 |
| 4 ULP | every other function |
| 4 ULP times the condition number | `logaddexp`, `logaddexp2`, and `power` of complex numbers |

The zeros of `logaddexp` lie where both arguments are inexact (exp(a) + exp(b) = 1), and its condition number is
(|a| e^a + |b| e^b) / (|e^a + e^b| |result|). That of z^w is the larger of |w|, by which it changes with z, and |w log z|, by which it
changes with w. Errors of these below are divided by it.

The functions of `mx.special` have their errors in their own pages and tests."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", help="a pattern of op-dtype")
    parser.add_argument("--each", type=int, default=24, help="how many points of each kind")
    parser.add_argument("--evaluate", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.evaluate:
        return evaluate_file(*options.evaluate)
    chosen = [case for case in accuracy.cases() if fnmatch.fnmatch(case.id, options.only)]
    points = {case: accuracy.arguments(case, options.each) for case in chosen}
    targets = mx._cpu_targets()
    values = {target: evaluate_in(target, points) for target in targets}
    worst = {}
    for case in chosen:
        measured = {}  # by the bits: many kernels have the same on several instruction sets
        for target in targets:
            got = values[target][case]
            if got.tobytes() not in measured:
                measured[got.tobytes()] = accuracy.measure(case, points[case], got)
            worst[case, target] = measured[got.tobytes()]
        print(case.id, *(f"{worst[case, target].error:.3g}" for target in targets), file=sys.stderr)
    print_page(chosen, targets, worst)
    return any(found.error > accuracy.bound(case) + accuracy.SLACK for (case, _), found in worst.items())


def print_page(cases, targets, worst):
    names = sorted({f"`{case.op}`" for case in cases if case.op in accuracy.CORRECTLY_ROUNDED})
    print(HEAD.format(digits=accuracy.accuracy_truths.PRECISION, rounded=", ".join(names),
                      exact=", ".join(f"`{name}`" for name in sorted(accuracy.EXACT))))
    for dtype in accuracy.DTYPES:
        rows = [case for case in cases if case.dtype == dtype]
        if not rows:
            continue
        print(f"\n## {dtype}\n")
        print("| function | " + " | ".join(NAMES.get(target, target) for target in targets) + " | held to | worst at | points |")
        print("| --- |" + " ---: |" * (len(targets) + 1) + " --- | ---: |")
        for case in rows:
            found = [worst[case, target] for target in targets]
            most = max(found, key=lambda w: w.error)
            errors = " | ".join(f"{w.error:.2f}" for w in found)
            where = ", ".join(number(x) for x in most.arguments) if most.error > 0 else ""
            print(f"| `{case.op}` | {errors} | {accuracy.bound(case):g} | {where} | {most.points:,} |")


if __name__ == "__main__":
    sys.exit(main())
