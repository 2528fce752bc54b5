"""Tests that run again in a process of their own: with another instruction set, or another number of threads."""

import os
import subprocess
import sys

import mlx.core as mx
import pytest

# What this CPU has besides the instruction set that all other tests run on, from least to most.
LESSER = mx._cpu_targets()[:-1]
lesser_instruction_sets = pytest.mark.parametrize("target", LESSER)


def again(*command, **environment):
    """What Python prints that runs the command, with these variables; it must succeed. Modules of the tests can be imported."""
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path, **environment})
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def chosen_again(file, chosen, **environment):
    """The tests of a file whose names this expression of pytest chooses."""
    again("-m", "pytest", file, "-q", "-x", "-p", "no:cacheprovider", "-k", chosen, **environment)
