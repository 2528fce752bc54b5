"""What a program that never calls eval takes stays within the memory limit, whatever the shape of its graph; and arrays of more
than 2^31 elements."""

import os
import pathlib
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

import memory_programs

HERE = pathlib.Path(__file__).parent
MB = 1 << 20


def run(program, *arguments):
    path = os.pathsep.join([*(p for p in sys.path if p), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run([sys.executable, str(HERE / program), *arguments], capture_output=True, text=True, timeout=3600,
                           env={**os.environ, "PYTHONPATH": path})
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [line.split() for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def peaks():
    names = [program.__name__ for program in memory_programs.PROGRAMS]
    return {name: (int(peak), finite) for name, peak, finite in run("memory_programs.py", *names)}


@pytest.mark.slow
@pytest.mark.parametrize("program", memory_programs.PROGRAMS, ids=lambda p: p.__name__)
def test_a_program_without_eval_stays_within_the_limit(program, peaks):
    peak, finite = peaks[program.__name__]
    assert peak <= memory_programs.LIMIT + MB and finite == "True"  # and one step


def deep_gradient(layers, wrap):
    """A gradient through layers of which each keeps 1 MB or two for the way back."""
    x, w = mx.ones((512, 512)) * 0.5, mx.ones((512, 512)) * 1e-3
    layer = wrap(lambda x, w: mx.tanh(x @ w) + mx.sin(x))

    def f(w):
        h = x
        for _ in range(layers):
            h = layer(h, w)
        return h.mean()

    mx.eval(x, w)
    before, _ = mx.get_active_memory(), mx.reset_peak_memory()
    g = mx.grad(f)(w)
    mx.eval(g)
    return (mx.get_peak_memory() - before) / MB, g


@pytest.mark.slow
def test_gradients_through_many_layers_keep_what_the_way_back_needs():
    plain, g = deep_gradient(64, lambda f: f)
    kept, h = deep_gradient(64, mx.checkpoint)
    assert plain <= 2 * 64 + 8 and kept <= 64 + 8
    np.testing.assert_allclose(np.array(g), np.array(h), rtol=1e-6)

    def by_eights(f):
        def eight(x, w):
            for _ in range(8):
                x = mx.checkpoint(f)(x, w)
            return x
        return mx.checkpoint(eight)

    nested, h = deep_gradient(8, by_eights)  # the same 64 layers
    assert nested <= 8 + 8 + 8
    np.testing.assert_allclose(np.array(g), np.array(h), rtol=1e-6)


def test_one_number_of_each_large_result_does_not_keep_it():
    a = mx.full((1 << 18,), 0.5)
    mx.eval(a)
    limit = mx.set_memory_limit(mx.get_active_memory() + 8 * MB)
    try:
        kept = []
        before, _ = mx.get_active_memory(), mx.reset_peak_memory()
        for i in range(100):
            kept.append(mx.cumsum(a * float(i))[-1])
            mx.eval(kept[-1])
        assert mx.get_peak_memory() - before <= 8 * MB
        assert mx.get_active_memory() - before <= 6 * MB
        assert mx.stack(kept).tolist() == [i * 2.0**17 for i in range(100)]
    finally:
        mx.set_memory_limit(limit)


def test_a_view_of_what_others_need_stays_a_view():
    whole = mx.cumsum(mx.ones((1 << 18,)))
    mx.eval(whole)
    limit = mx.set_memory_limit(mx.get_active_memory())
    try:
        before = mx.get_active_memory()
        parts = [whole[i::16] for i in range(16)]
        mx.eval(parts)
        assert mx.get_active_memory() - before < 4096
    finally:
        mx.set_memory_limit(limit)


@pytest.mark.slow
def test_arrays_of_more_than_two_to_the_31_elements(run_all):
    """large_arrays.py, with --all, where the machine has 16 GB to spare."""
    if not run_all:
        pytest.skip("takes 16 GB of memory and minutes: with --all")
    with open("/proc/meminfo") as f:
        available = {line.split(":")[0]: int(line.split()[1]) for line in f}["MemAvailable"] >> 20
    if available < 16:
        pytest.skip(f"{available} GB of memory are free")
    lines = run("large_arrays.py")
    assert [line for line in lines if line[0] != "ok"] == []
    assert len(lines) >= 30


def test_operations_with_several_results_under_the_smallest_limit():
    """Everything is computed in the background as soon as it is made; an operation may have only its first result by then."""
    limit = mx.set_memory_limit(1)
    try:
        x, total = mx.ones((8,)), mx.zeros(())
        p = mx.array(True)
        for i in range(1500):
            y = x * float(i)
            parts = mx.cond(p, lambda: tuple(y + k for k in range(6)), lambda: tuple(y - k for k in range(6)))
            total = total + parts[5].sum() - parts[0].sum() + mx.split(y, 4)[3].sum() - mx.divmod(y, 1.0)[0][:2].sum()
        assert total.item() == 1500 * 40
    finally:
        mx.set_memory_limit(limit)
