"""Matrix products: microseconds a product, beside NumPy's, over sizes, orders of the operands in memory, and dtypes.

    python benchmarks/products.py [--before PATH] [--only TEXT] [--rounds N]

PATH is where another build of mlx can be imported from; the two builds then take turns, each in a process of its own, and the
last column is the ratio of their best times. The rows named "subnormal" multiply numbers that products take for zeros.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np


def turned(x):
    """The same matrices, with the columns consecutive in memory."""
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -2, -1)), -2, -1)


def cases():
    """name -> (shape of a, shape of b, dtype, orders, scales)."""
    rows = {}
    for n in (4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048):
        for order in ("nn", "nt", "tn", "tt"):
            rows[f"square {n} {order}"] = ((n, n), (n, n), "float32", order, (1, 1))
    for dtype in ("float64", "complex64", "complex128", "float16", "bfloat16", "int8", "int32", "int64"):
        for n in (16, 64, 256, 512, 1024):
            rows[f"square {n} {dtype}"] = ((n, n), (n, n), dtype, "nn", (1, 1))
            if n in (64, 512):
                rows[f"square {n} {dtype} nt"] = ((n, n), (n, n), dtype, "nt", 1)
    for n in (16, 64, 256, 1024, 4096):
        for order in ("nn", "tn"):
            rows[f"matrix vector {n} {order}"] = ((n, n), (n, 1), "float32", order, (1, 1))
            rows[f"vector matrix {n} {order[::-1]}"] = ((1, n), (n, n), "float32", order[::-1], (1, 1))
        rows[f"matrix vector {n} float64"] = ((n, n), (n, 1), "float64", "nn", (1, 1))
        rows[f"matrix vector {n} bfloat16"] = ((n, n), (n, 1), "bfloat16", "nn", (1, 1))
        rows[f"matrix vector {n} complex64"] = ((n, n), (n, 1), "complex64", "nn", (1, 1))
    for n in (16, 256, 4096, 1 << 20):
        rows[f"dot {n}"] = ((1, n), (n, 1), "float32", "nn", (1, 1))
    for batch, m, k, n in ((10000, 2, 2, 2), (10000, 4, 4, 4), (1000, 16, 16, 16), (256, 64, 64, 64), (1000, 1, 64, 1), (1000, 64, 64, 1),
                           (64, 1, 64, 256)):
        for order in ("nn", "nt"):
            rows[f"batch {batch} of {m}x{k}x{n} {order}"] = ((batch, m, k), (batch, k, n), "float32", order, (1, 1))
    for m, k, n in ((4096, 1024, 2), (4096, 1024, 8), (8, 1024, 4096), (100000, 16, 16), (64, 65536, 64), (1024, 32, 1024)):
        for order in ("nn", "nt"):
            rows[f"thin {m}x{k}x{n} {order}"] = ((m, k), (k, n), "float32", order, (1, 1))
    for dtype, least, root in (("float32", 1e-40, 1e-20), ("float64", 1e-310, 1e-155)):
        for what, scale in (("operands", (least, 1)), ("products", (root, root))):
            for n in (32, 256, 512):
                rows[f"square {n} {dtype} subnormal {what}"] = ((n, n), (n, n), dtype, "nn", scale)
            rows[f"matrix vector 1024 {dtype} subnormal {what}"] = ((1024, 1024), (1024, 1), dtype, "nn", scale)
    return rows


def operands(case):
    shape_a, shape_b, dtype, order, scales = case
    rng = np.random.default_rng(0)
    out = []
    for shape, turn, scale in zip((shape_a, shape_b), order, scales):
        x = rng.uniform(0.5, 1, shape)
        if "int" in dtype:
            x = np.floor(x * 16)
        x = (x * scale).astype("float32" if dtype == "bfloat16" else dtype)
        out.append(turned(x) if turn == "t" else x)
    return out


def best(f, seconds=0.02, repeats=9):
    f()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds / 4:
        f()
        count += 1
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(count):
            f()
        times.append((time.perf_counter() - start) / count)
    return min(times) * 1e6


def worker():
    import mlx.core as mx

    for name in map(str.strip, sys.stdin):
        try:
            case = cases()[name]
            a, b = (mx.swapaxes(mx.array(np.swapaxes(x, -2, -1)), -2, -1) if turn == "t" else mx.array(x)
                    for x, turn in zip(operands(case), case[3]))
            a, b = a.astype(getattr(mx, case[2])), b.astype(getattr(mx, case[2]))
            mx.eval(a, b)
            print(json.dumps(best(lambda: mx.eval(a @ b))), flush=True)
        except Exception as error:
            print(json.dumps(str(error)), flush=True)


def start(path):
    # A build's module may name its library by the place where it was built, which by now holds another.
    env = {**os.environ, **({"PYTHONPATH": path, "LD_LIBRARY_PATH": os.path.join(path, "mlx", "lib")} if path else {})}
    return subprocess.Popen([sys.executable, __file__, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def ask(process, name):
    process.stdin.write(name + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    return answer if isinstance(answer, float) else float("nan")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--before")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        return worker()
    workers = [start(None)] + ([start(options.before)] if options.before else [])
    print(f"{'product':44}{'now':>11}{'numpy':>11}" + (f"{'before':>11}{'now/before':>12}" if options.before else ""))
    for name, case in cases().items():
        if options.only not in name:
            continue
        a, b = operands(case)
        times = [[] for _ in workers]
        theirs = []
        for _ in range(options.rounds):
            for k, process in enumerate(workers):
                times[k].append(ask(process, name))
            known = case[2] not in ("bfloat16", "float16") and not ("int" in case[2] and a.size > 1 << 17)
            theirs.append(best(lambda: a @ b) if known else float("nan"))
        now = min(times[0])
        line = f"{name:44}{now:11.2f}{min(theirs):11.2f}"
        if options.before:
            line += f"{min(times[1]):11.2f}{now / min(times[1]):12.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
