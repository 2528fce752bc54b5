"""How time grows with the number of elements, of nodes and of threads, in this library alone; writes docs/scaling.md.

    python benchmarks/scaling.py [--threads 1,2,4,8,16] [--largest 8] [--to FOLDER]

Each number of threads has a process of its own. --largest is the power of ten of the largest arrays: 8 takes 2 GB and some minutes.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import subprocess
import sys

import report
from measure import timed

ROOT = pathlib.Path(__file__).resolve().parents[1]
CLIFF = 2.0  # a cost this much above that of a smaller size is set in bold


def linear(n):
    return n


def sorting(n):
    return n * math.log2(n)


def cube(n):
    return n**1.5


def square(mx, n):
    side = math.isqrt(n)
    return mx.random.normal((side, side))


def of(count, function, make=lambda mx, n: mx.random.normal((n,))):
    """A function of so many arrays."""

    def build(mx, n):
        operands = [make(mx, n) for _ in range(count)]
        mx.eval(operands)
        return lambda: function(mx, *operands)

    return build


def gather(mx, n):
    x, i = mx.random.normal((n,)), mx.random.randint(0, n, (n,))
    mx.eval(x, i)
    return lambda: x[i]


# name: (what is built from a number of elements, the work it does, the largest power of ten it is built for)
OPERATIONS = {
    "x + y": (of(2, lambda mx, x, y: x + y), linear, 9),
    "tanh(x) * y + exp(-x * x)": (of(2, lambda mx, x, y: mx.tanh(x) * y + mx.exp(-x * x)), linear, 9),
    "sum": (of(1, lambda mx, x: x.sum()), linear, 9),
    "sum over axis 0, square": (of(1, lambda mx, x: x.sum(axis=0), square), linear, 9),
    "softmax over rows, square": (of(1, lambda mx, x: mx.softmax(x, axis=-1), square), linear, 9),
    "transposed copy, square": (of(1, lambda mx, x: mx.contiguous(x.T), square), linear, 9),
    "cumsum": (of(1, lambda mx, x: mx.cumsum(x)), linear, 9),
    "gather, at random": (gather, linear, 8),
    "normal numbers": (lambda mx, n: lambda: mx.random.normal((n,)), linear, 9),
    "gradient of sum(sin(x) ** 2)": (of(1, lambda mx, x: mx.grad(lambda x: (mx.sin(x) ** 2).sum())(x)), linear, 9),
    "sort": (of(1, lambda mx, x: mx.sort(x)), sorting, 8),
    "matrix product, square": (of(2, lambda mx, x, y: x @ y, square), cube, 7),
}


def chain(mx, x, n):
    for _ in range(n):
        x = x * 0.5 + 1.0
    return x


def steps(mx, x, n):
    return mx.scan(lambda c, _: (c * 0.5 + 1.0, None), x, mx.zeros((n,)))[0]


# name: (function of an array and a number of nodes, the largest power of ten)
GRAPHS = {
    "x * 0.5 + 1, in a Python loop": (lambda mx, x, n: chain(mx, x, n // 2), 6),
    "its gradient": (lambda mx, x, n: mx.grad(lambda x: chain(mx, x, n // 2).sum())(x), 6),
    "sum of separate nodes": (lambda mx, x, n: mx.stack([x + i for i in range(n)]).sum(), 6),
    "steps of a scan": (steps, 6),
    "gradient of a scan": (lambda mx, x, n: mx.grad(lambda x: steps(mx, x, n).sum())(x), 6),
}


def powers(first, last):
    return [10**p for p in range(first, last + 1)]


def median(call, seconds):
    call()
    return timed(call, seconds)[1]


def measure(sizes, graphs, seconds):
    """{name: {number: seconds}} of operations over sizes and graphs over nodes, in this process."""
    import mlx.core as mx

    found = {}
    for name, (build, _, largest) in OPERATIONS.items():
        for n in (n for n in sizes if n <= 10**largest):
            call = build(mx, n)
            found.setdefault(name, {})[n] = median(lambda: mx.eval(call()), seconds)
    x = mx.random.normal((16,))
    for name, (function, largest) in GRAPHS.items():
        for n in (n for n in graphs if n <= 10**largest):
            found.setdefault(name, {})[n] = median(lambda: mx.eval(function(mx, x, n)), seconds)
    return found


def measured(threads, sizes, graphs, seconds):
    """The same with a number of threads, in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps([sizes, graphs, seconds])]
    done = subprocess.run(command, env=os.environ | {"MLX_NUM_THREADS": str(threads)}, check=True, stdout=subprocess.PIPE, text=True)
    return {name: {int(n): t for n, t in times.items()} for name, times in json.loads(done.stdout).items()}


def power_of_ten(n):
    return "1e" + str(len(str(n)) - 1)


def growth(found, names, work):
    """A table of nanoseconds for a unit of work against the size; a cost that rose by CLIFF since a smaller size in bold."""
    sizes = sorted({n for name in names for n in found.get(name, {})})
    lines = ["| | " + " | ".join(map(power_of_ten, sizes)) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in names:
        cells, least = [], math.inf
        for n in sizes:
            if n not in found[name]:
                cells.append("")
                continue
            cost = found[name][n] / work(name)(n) * 1e9
            cells.append(f"**{cost:.3g}**" if cost > CLIFF * least else f"{cost:.3g}")
            least = min(least, cost)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def speedups(by_threads, n):
    """A table of the time on one thread and how many times as fast more of them are, at the largest size up to n."""
    threads = sorted(by_threads)
    lines = ["| | elements | 1 thread | " + " | ".join(f"{t}" for t in threads[1:]) + " |", "|---" * (len(threads) + 2) + "|"]
    for name in OPERATIONS:
        at = max((m for m in by_threads[threads[0]][name] if m <= n), default=None)
        if at:
            one = by_threads[threads[0]][name][at]
            cells = [f"{one / by_threads[t][name][at]:.2g}" for t in threads[1:]]
            lines.append(f"| {name} | {power_of_ten(at)} | {one * 1e3:.3g} ms | " + " | ".join(cells) + " |")
    return lines


def page(by_threads, machine):
    first, last = min(by_threads), max(by_threads)
    text = ["# Cost against size and threads", "", "Written by `python benchmarks/scaling.py`: medians, in this library alone, float32.", "",
            f"- {datetime.date.today().isoformat()}, {machine['cpu']}, {machine['cores']} cores, {machine['memory']} GiB, {machine['system']}.", ""]
    for t in dict.fromkeys((first, last)):
        text += [f"## Elements, {t} thread{'s' * (t > 1)}", "",
                 "Nanoseconds for an element; of a sort for an element and a power of two, of a product for a multiplication and addition. "
                 f"Bold: above {CLIFF:g} times what a smaller size costs, as where arrays leave a level of the cache.", ""]
        text += growth(by_threads[t], OPERATIONS, lambda name: OPERATIONS[name][1]) + [""]
    text += ["## Nodes", "", f"Nanoseconds for a node, of a scan for a step of two; 16 floats, {first} thread{'s' * (first > 1)}.", ""]
    text += growth(by_threads[first], GRAPHS, lambda name: linear) + [""]
    if last > first:
        text += ["## Threads", "", "How many times as fast as on one thread.", ""]
        for n in powers(5, 8):
            if any(n in by_threads[first][name] for name in OPERATIONS):
                text += speedups(by_threads, n) + [""]
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default=",".join(str(t) for t in (1, 2, 4, 8, 16, 32) if t <= (os.cpu_count() or 1)))
    parser.add_argument("--largest", type=int, default=8, help="power of ten of the largest arrays")
    parser.add_argument("--nodes", type=int, default=6, help="power of ten of the largest graphs")
    parser.add_argument("--seconds", type=float, default=0.1, help="that each figure is measured for")
    parser.add_argument("--to", default=str(ROOT / "docs"), help="where scaling.md is written")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(*json.loads(given.measure))))
        return
    machine, threads = report.machine(), [int(t) for t in given.threads.split(",")]
    by_threads = {}
    for t in threads:
        whole, graphs = t in (min(threads), max(threads)), powers(0, given.nodes) if t == min(threads) else []
        by_threads[t] = measured(t, powers(2 if whole else 5, given.largest), graphs, given.seconds)
        print(f"{t} threads", flush=True)
    pathlib.Path(given.to, "scaling.md").write_text(page(by_threads, machine), encoding="utf-8")


if __name__ == "__main__":
    main()
