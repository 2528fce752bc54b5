"""How many instructions the way from a Python call to its result takes, outside of the interpreter: counted, so that no noise of
a machine hides what a change costs. The figures are those of the wheel."""

import os
import re
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import os
import mlx.core as mx
scalar, x = mx.array(1.0), mx.ones((4,))
rows = mx.zeros((64, 4))
mx.eval(scalar, x, rows)
gradient = mx.grad(lambda x: mx.sum(mx.sin(x) * x))
compiled = mx.compile(lambda x: mx.sin(x) * x + 1)

def additions():
    y = x
    for _ in range(100):
        y = y + scalar
    mx.eval(y)

def update():
    rows[5] = 2.0
    mx.eval(rows)

for f in (lambda: mx.eval(x + scalar), additions, lambda: mx.eval(gradient(x)), lambda: mx.eval(compiled(x)), lambda: mx.eval(mx.sum(x)),
          lambda: mx.eval(rows[5]), update):
    for _ in range(20):
        f()
    os.getloadavg()  # where the counts begin
    for _ in range(100):
        f()
    os.getloadavg()
"""
# A call of each, and the part by which it may exceed that: compilers differ.
COUNTS = {"an addition": 2060, "100 additions": 123000, "a small gradient": 23100, "a compiled call": 4020, "a small sum": 4010,
          "a row": 1000, "an update of a row": 1260}  # fmt: skip
ALLOWANCE = 1.1


def own_instructions(profile):
    """Of the library and its binding, without what they call elsewhere, in a file that callgrind wrote."""
    names, ours, total, is_call = {}, False, 0, False
    for line in profile.read_text().splitlines():
        if match := re.match(r"ob=(\(\d+\))(?: (.*))?$", line):
            if match[2]:
                names[match[1]] = match[2]
            ours = re.search(r"libmlx_core|/core\.[^/]*\.so", names[match[1]]) is not None
        elif match := re.match(r"cob=(\(\d+\)) (.*)$", line):
            names[match[1]] = match[2]
        elif line.startswith("calls="):
            is_call = True  # the next line holds what was called
        elif re.match(r"[+*\d-]", line):
            if ours and not is_call:
                total += int(line.split()[1])
            is_call = False
    return total


@pytest.mark.skipif("MLX_WHEEL" not in os.environ, reason="counts are those of the wheel, which tools/test tests")
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="there is no valgrind")
def test_instructions_of_a_call(tmp_path):
    environment = {**os.environ, "MLX_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={tmp_path}/profile", "--dump-before=getloadavg",
               "--zero-before=getloadavg", sys.executable, "-c", PROGRAM]  # fmt: skip
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    counts = {name: own_instructions(tmp_path / f"profile.{2 * (i + 1)}") / 100 for i, name in enumerate(COUNTS)}
    assert all(count > 100 for count in counts.values()), counts
    assert not {name: (round(counts[name]), most) for name, most in COUNTS.items() if counts[name] > ALLOWANCE * most}
