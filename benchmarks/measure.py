"""A process that times workloads in one framework: names of rows on standard input, a line of JSON for each on standard output.

    python benchmarks/measure.py FRAMEWORK [--tiny]

run.py starts these. The first line says the framework's version. Each of the others holds, for each mode, the best and the median
time of a call in seconds, and a digest of the result.
"""

import contextlib
import io
import json
import statistics
import sys
import time

import numpy

import rows
from frameworks import FRAMEWORKS, Unsupported, leaves, mapped

SECONDS, CALLS, LIMIT = 0.2, 5, 2.0  # a mode is timed for 0.2 s and 5 calls at least, and is cut off after 2 s


def digest(arrays):
    """[shape, norm, product with a fixed vector] of each: enough to see that two frameworks computed the same."""
    found = []
    for x in arrays:
        flat = numpy.ravel(x).astype(numpy.complex128 if numpy.iscomplexobj(x) else numpy.float64)
        weights = numpy.cos(0.7 * numpy.arange(flat.size) + 0.3)
        product = complex(flat @ weights)
        found.append([list(numpy.shape(x)), float(numpy.linalg.norm(flat)), product.real, product.imag])
    return found


def agree(one, other, tolerance):
    if [a[0] for a in one] != [b[0] for b in other]:
        return False
    for a, b in zip(one, other):
        # The product's error is about the error of an element times the square root of their number, as the norm is.
        scale = max(a[1], b[1], 1e-30)
        if not all(abs(x - y) <= tolerance * scale for x, y in zip(a[1:], b[1:])):
            return False
    return True


def timed(call, seconds=SECONDS):
    """(best, median) seconds of a call; short calls are timed several at a time."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    if once < 1e-3:  # the first calls are slower than the others
        start = time.perf_counter()
        for _ in range(10):
            call()
        once = (time.perf_counter() - start) / 10
    together = max(1, int(min(seconds / 20, 1e-3) / max(once, 1e-9)))
    samples, begun = [], time.perf_counter()
    while True:
        start = time.perf_counter()
        for _ in range(together):
            call()
        end = time.perf_counter()
        samples.append((end - start) / together)
        if end - begun >= seconds and len(samples) >= CALLS or end - begun > LIMIT:
            return min(samples), statistics.median(samples)


def measured(framework, row, tiny=False, modes=None):
    """{mode: {best, median, digest}} of one row, or {"unsupported": why}."""
    sizes = row.tiny() if tiny else row.sizes
    answers = {}
    available = [m for m in (modes or framework.modes) if m in row.modes or len(framework.modes) == 1]
    for mode in available:
        function, arguments = row.build(framework, **sizes)
        if row.unit != "s":
            amount = function(*arguments, mode)
            answers[mode] = {"best": amount, "median": amount}
            continue
        called = framework.compile(function) if mode == "compiled" and row.compilable else function
        result = called(*arguments)
        framework.wait(result)
        answer = {}
        if row.tolerance is not None:
            shown = row.checked(framework, result) if row.checked else mapped(framework.numpy, result)
            answer["digest"] = digest(leaves(shown))
        del result
        answer["best"], answer["median"] = timed(lambda: framework.wait(called(*arguments)), 1e-3 if tiny else SECONDS)
        answers[mode] = answer
    return answers


def answer(framework, row, tiny=False):
    try:
        return measured(framework, row, tiny)
    except Unsupported:
        return {"unsupported": "no such feature"}
    except Exception as error:  # what a framework cannot do, it says in ways of its own
        return {"unsupported": f"{type(error).__name__}: {str(error)[:300]}"}


def calibration():
    """Seconds of work that knows no framework, of the interpreter and of memory: what the machine is worth at the moment."""
    x, y = numpy.ones(2_097_152, numpy.float32), numpy.ones(2_097_152, numpy.float32)

    def interpreted():
        total = 0
        for i in range(20_000):
            total += i & 3
        return total

    return (timed(interpreted)[0] * timed(lambda: x + y)[0]) ** 0.5


def hello(framework):
    module = {"numpy": numpy}.get(framework.name) or getattr(framework, {"jax": "jax", "torch": "torch"}.get(framework.name, "mx"))
    return {"version": getattr(module, "__version__", ""), "python": sys.version.split()[0]}


def main():
    name, tiny = sys.argv[1], "--tiny" in sys.argv
    sys.setrecursionlimit(100_000)
    found = rows.load()
    framework = FRAMEWORKS[name]()
    framework.name = name
    print(json.dumps(hello(framework)), flush=True)
    for line in map(str.strip, sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()):  # the answers are alone there
            said = {"seconds": calibration()} if line == "calibration" else answer(framework, found[line], tiny)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
