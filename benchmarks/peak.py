"""Prints the megabytes that calls of one row need beyond its arguments, at their peak.

    python benchmarks/peak.py FRAMEWORK ROW MODE
"""

import ctypes
import gc
import re
import sys

import rows
from frameworks import FRAMEWORKS


def kilobytes(name):
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(rf"^{name}:\s*(\d+)", status.read(), re.MULTILINE).group(1))


def main():
    name, row, mode = sys.argv[1:]
    framework = FRAMEWORKS[name]()
    row = rows.load()[row]
    function, arguments = row.build(framework, **row.sizes)
    function = framework.compiled_for(function, arguments) if mode == "compiled" else function
    gc.collect()  # what making the row left behind would be at hand for the calls
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
        peak.write("5")  # the peak is counted from here
    before = kilobytes("VmRSS")
    for _ in range(3):
        framework.wait(function(*arguments))
    print((kilobytes("VmHWM") - before) / 1024)


if __name__ == "__main__":
    main()
