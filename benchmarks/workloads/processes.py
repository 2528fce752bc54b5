"""What a process costs: importing the framework, the memory that steps need at their peak, two threads at once."""

import json
import os
import pathlib
import subprocess
import sys
import threading

from frameworks import values
from rows import ROWS, workload

MEASURE = pathlib.Path(__file__).resolve().parents[1] / "peak.py"
PEAKS = [
    "MLP training step, batch 256, 784-512-512-10",
    "transformer block training step, 4 x 128 x 256",
    "CNN training step, batch 32, 28 x 28",
    "gradient of softmax over rows, 1024 x 4096",
    "chain of 8 ops, plain float32, 16Mi",
]


@workload("import", modes=("eager",), compilable=False, tolerance=None)
def imports(fw):
    return lambda: subprocess.run([sys.executable, "-c", fw.import_line], check=True), ()


@workload("a process without any", modes=("eager",), compilable=False, tolerance=None, control=True)
def nothing(fw):
    return lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), ()


@workload("peak memory: {row}", [{"row": row} for row in PEAKS], unit="MB", compilable=False, tolerance=None)
def peak(fw, row):
    ROWS[row].build(fw, **ROWS[row].sizes)  # here it can say that it is not supported

    def megabytes(mode):
        command = [sys.executable, str(MEASURE), fw.name, row, mode]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout)

    return megabytes, ()


@workload("two threads with graphs of their own, {n} x {n}", [{"n": 200}], modes=("eager",), tolerance=None, compilable=False)
def threads(fw, n):
    """Half of the work in each of two threads; beside the row below, which has all of it in one."""
    return split_in(fw, n, 2), (fw.array(values((n, n), n**-0.5)),)


@workload("the same work in one thread, {n} x {n}", [{"n": 200}], modes=("eager",), tolerance=None, compilable=False)
def one_thread(fw, n):
    return split_in(fw, n, 1), (fw.array(values((n, n), n**-0.5)),)


def split_in(fw, n, count):
    def work(x, times):
        for _ in range(times):
            fw.wait(fw.np.sin(x) @ x + fw.np.sort(x, axis=0))

    def f(x):
        each = [threading.Thread(target=work, args=(x, 8 // count)) for _ in range(count)]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()

    return f


assert all(row in ROWS for row in PEAKS), [row for row in PEAKS if row not in ROWS]
