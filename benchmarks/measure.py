"""A process that times workloads in one framework: names of rows on standard input, a line of JSON for each on standard output.

    python benchmarks/measure.py FRAMEWORK [--tiny]

run.py starts these. The first line says the framework's version. Each of the others holds, for each mode, the best and the median
time of a call in seconds, and a digest of the result. "again" instead of a name times the last row once more, without preparing it:
frameworks take turns at a row, a fraction of a second each, so that what else the machine does meets all of them alike.
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

TURNS = 5  # of each framework at a row
SECONDS = 0.05  # that a mode is timed for in a turn, and one call at least


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
    """(best, median) seconds of a call that was made before; short calls are timed several at a time."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    if once > seconds:
        return once, once
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
        if end - begun >= seconds:
            return min(samples), statistics.median(samples)


class Prepared:
    """A row that is ready to be timed: a call, or what the row measures by itself, and a digest of its result, for each mode."""

    def __init__(self, framework, row, tiny=False):
        self.tiny, self.calls, self.amounts, self.digests = tiny, {}, {}, {}
        sizes = row.tiny() if tiny else row.sizes
        for mode in [m for m in framework.modes if m in row.modes or len(framework.modes) == 1]:
            function, arguments = row.build(framework, **sizes)
            if row.unit != "s":
                self.amounts[mode] = function(*arguments, mode)
                continue
            called = framework.compile(function) if mode == "compiled" and row.compilable else function
            result = called(*arguments)
            framework.wait(result)
            if row.tolerance is not None:
                shown = row.checked(framework, result) if row.checked else mapped(framework.numpy, result)
                self.digests[mode] = digest(leaves(shown))
            del result
            self.calls[mode] = lambda called=called, arguments=arguments: framework.wait(called(*arguments))

    def measured(self):
        """{mode: {best, median, digest}}"""
        answers = {mode: {"best": amount, "median": amount} for mode, amount in self.amounts.items()}
        for mode, call in self.calls.items():
            best, median = timed(call, 1e-3 if self.tiny else SECONDS)
            answers[mode] = {"best": best, "median": median, "digest": self.digests.get(mode)}
        return answers


def answer(prepare):
    """What prepare() measures, or why it cannot, and what it has prepared."""
    try:
        prepared = prepare()
        return prepared.measured(), prepared
    except Unsupported:
        return {"unsupported": "no such feature"}, None
    except Exception as error:  # what a framework cannot do, it says in ways of its own
        return {"unsupported": f"{type(error).__name__}: {str(error)[:300]}"}, None


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
    last = None
    for line in map(str.strip, sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()):  # the answers are alone there
            if line == "calibration":
                said = {"seconds": calibration()}
            elif line == "again":
                said, last = answer(lambda: last)
            else:
                last = None  # its arrays go before others are made
                said, last = answer(lambda: Prepared(framework, found[line], tiny))
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
