"""What an update of a few elements costs, against the array's size; and how two threads share two cores.

    python benchmarks/in_place.py [--rounds N]

Microseconds per update, evaluated each time, with NumPy's time for the same assignment beside it. Medians of rounds.
"""

import argparse
import statistics
import threading
import time

import numpy as np

import mlx.core as mx

SIZES = [1 << 12, 1 << 18, 10 << 20]  # of float32: 16 KB, 1 MB, 40 MB


def ours(n):
    x = mx.zeros((n // 256, 256))
    x[-1] = 0.0
    mx.eval(x)
    rows = x.shape[0]

    def row(i):
        x[i % rows] = 1.0
        mx.eval(x)

    def next_row(i):
        x[(i + 1) % rows] = x[i % rows] * 2
        mx.eval(x)

    def indices(i):
        x[mx.array([0, i % rows])] = 3.0
        mx.eval(x)

    def at(i):
        nonlocal x
        x = x.at[i % rows].add(1.0)
        mx.eval(x)

    return {"x[i] = v": row, "x[i+1] = x[i] * 2": next_row, "x[[i, j]] = v": indices, "x.at[i].add(v)": at}


def theirs(n):
    x = np.zeros((n // 256, 256), np.float32)
    rows = x.shape[0]

    def row(i):
        x[i % rows] = 1.0

    def next_row(i):
        x[(i + 1) % rows] = x[i % rows] * 2

    def indices(i):
        x[np.array([0, i % rows])] = 3.0

    def at(i):
        x[i % rows] += 1.0

    return {"x[i] = v": row, "x[i+1] = x[i] * 2": next_row, "x[[i, j]] = v": indices, "x.at[i].add(v)": at}


def microseconds(update, times=300):
    start = time.perf_counter()
    for i in range(times):
        update(i)
    return (time.perf_counter() - start) / times * 1e6


def updates(rounds):
    print(f"{'':20}" + "".join(f"{n * 4 >> 10:>12} KB" for n in SIZES) + "   (us, NumPy's in brackets)")
    for name in ours(SIZES[0]):
        cells = []
        for n in SIZES:
            mine, other = ours(n)[name], theirs(n)[name]
            pairs = [(microseconds(mine), microseconds(other)) for _ in range(rounds)]
            a, b = (statistics.median(column) for column in zip(*pairs))
            cells.append(f"{a:6.2f} ({b:4.2f})")
        print(f"{name:20}" + "".join(f"{cell:>15}" for cell in cells))


def rows_in_one_graph(rounds, count=2000):
    def run():
        x = mx.zeros((4096, 256))
        x[-1] = 0.0
        mx.eval(x)
        start = time.perf_counter()
        for i in range(count):
            x[i] = 1.0
        mx.eval(x)
        return (time.perf_counter() - start) / count * 1e6

    print(f"{count} rows of one array, one evaluation: {statistics.median(run() for _ in range(rounds)):.2f} us each")


def threads(rounds):
    def work():
        x = mx.ones((200, 200))
        for _ in range(40):
            mx.eval(mx.sin(x) @ x + mx.sort(x, axis=0))

    def timed(count):
        both = [threading.Thread(target=work) for _ in range(count)]
        start = time.perf_counter()
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        return time.perf_counter() - start

    ratio = statistics.median(2 * timed(1) / timed(2) for _ in range(rounds))
    print(f"two threads with unrelated graphs: {ratio:.2f} times the work of one (MLX_NUM_THREADS=1 shows it best)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    updates(arguments.rounds)
    rows_in_one_graph(arguments.rounds)
    threads(arguments.rounds)
