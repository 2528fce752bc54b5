"""Threads, processes, and leaving: 16 threads at once, fork and spawn after use, exit with work under way."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import pytest

THREADS = 16


def on_threads(body):
    """body(i) on every thread at once; their results."""
    barrier = threading.Barrier(THREADS)

    def run(i):
        barrier.wait()
        return body(i)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_each_thread_builds_and_evaluates():
    def body(i):
        for _ in range(20):
            total = mx.sum(mx.full((64,), float(i)) * 2 + 1).item()
        return total

    assert on_threads(body) == [64 * (2 * i + 1) for i in range(THREADS)]


def test_threads_share_a_graph():
    for _ in range(10):
        x = mx.arange(1000.0)
        shared = mx.sum(mx.sqrt(x) * mx.sqrt(x))
        results = on_threads(lambda i: (shared + i).item())
        assert all(abs(r - 499500 - i) < 1 for i, r in enumerate(results))


def test_every_thread_transforms():
    shared = mx.array([0.1, 0.2, 0.3])
    lazy = shared * 1

    def body(i):
        for _ in range(5):
            g = mx.grad(lambda x: mx.sum(mx.sin(x) * lazy * i))(shared)
            h = mx.vmap(mx.grad(mx.grad(lambda x: x**3)))(shared)
            c = mx.grad(mx.checkpoint(lambda x: x * x if x.item() > 1 else x))(mx.array(float(i)))
        return g[1].item(), h[2].item(), c.item()

    for i, (g, h, c) in enumerate(on_threads(body)):
        assert g == pytest.approx(i * 0.2 * 0.9800666, rel=1e-4, abs=1e-6)
        assert h == pytest.approx(1.8, rel=1e-4)
        assert c == (2 * i if i > 1 else 1)


def test_a_handle_is_rebound_by_many_threads():
    x = mx.zeros((THREADS, 8))

    def body(i):
        nonlocal x
        y = x  # one object; assignments to it rebind what it holds
        for _ in range(50):
            y[i] = float(i)
        return y[i].tolist()

    on_threads(body)
    rows = x.tolist()
    # Some rows may be lost, as for any unlocked read and write; none is torn.
    assert all(row in ([0.0] * 8, [float(i)] * 8) for i, row in enumerate(rows))


def test_work_in_the_background_is_read_by_others():
    results = [mx.sum(mx.exp(mx.zeros(1000)) * i) for i in range(THREADS)]

    def body(i):
        mx.async_eval(results[i])
        return results[(i + 1) % THREADS].item()

    assert on_threads(body) == [1000.0 * ((i + 1) % THREADS) for i in range(THREADS)]


def test_errors_stay_with_their_thread():
    def body(i):
        if i % 2:
            with pytest.raises(ValueError):
                mx.ones(3).reshape(2)
        return mx.sum(mx.ones(3)).item()

    assert on_threads(body) == [3.0] * THREADS


def in_child(queue, x=None):
    """Some of everything in a process that is a copy of a used one, or fresh."""
    big = mx.sum(mx.ones((400, 400)) @ mx.ones((400, 400))).item()  # threads, BLAS
    g = mx.grad(lambda v: mx.sum(mx.sin(v)))(mx.zeros(3)).tolist()
    inherited = None if x is None else (x + 1).tolist()
    mx.async_eval(mx.exp(mx.ones(1000)))
    queue.put((big, g, inherited))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_after_use(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    x = mx.arange(3.0)
    lazy = mx.sin(mx.arange(100_000.0)).sum()
    mx.eval(x, mx.ones((300, 300)) @ mx.ones((300, 300)), lazy)
    mx.async_eval(mx.exp(mx.arange(1_000_000.0)))
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [
        context.Process(target=in_child, args=(queue, x) if method == "fork" else (queue,)) for _ in range(3)
    ]
    for child in children:
        child.start()
    answers = [queue.get(timeout=120) for _ in children]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert answers == [(400.0**3, [1.0] * 3, [1.0, 2.0, 3.0] if method == "fork" else None)] * 3
    assert mx.sum(x).item() == 3  # and the parent goes on


PRELUDE = "import mlx.core as mx, threading, os, sys, atexit\n"
LEAVING = {
    "work in the background": "mx.async_eval([mx.exp(mx.arange(1_000_000.0)) for _ in range(20)])",
    "work that nobody reads": "y = [mx.ones((500, 500)) @ mx.ones((500, 500)) for _ in range(3)]; mx.async_eval(y); x = y",
    "daemon threads at work": """
def work():
    while True:
        mx.sum(mx.sin(mx.arange(10_000.0))).item()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
mx.eval(mx.ones(3))
""",
    "arrays in an exit handler": "x = mx.arange(3.0); atexit.register(lambda: print(mx.sum(x + 1).item(), flush=True))",
    "a custom function in a living graph": """
f = mx.custom_function(lambda x: x * 2)
f.vjp(lambda x, ct, out: ct)
y = f(mx.ones(3)); z = mx.checkpoint(lambda x: x)(y)
mx.async_eval(z)
""",
    "a cycle through a transform": "f = lambda x: g; g = mx.grad(f); x = mx.array([1.0]); l = [x]; l.append(l)",
    "an exception": "mx.async_eval(mx.exp(mx.arange(1_000_000.0))); sys.exit(3)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAVING)
def test_leaving_the_interpreter(name):
    code = PRELUDE + LEAVING[name] + "\n"
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert result.returncode == (3 if name == "an exception" else 0), result.stderr
        assert not result.stderr
        assert result.stdout == ("6.0\n" if "exit handler" in name else "")


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="nothing here says how many threads there are")
@pytest.mark.parametrize("wanted", [None, "3"])
def test_import_leaves_no_threads_behind(wanted):
    """OpenBLAS would have one for each further core, which waits in a loop. What the environment says is for others."""
    code = "import os, mlx.core; print(len(os.listdir('/proc/self/task')), os.environ.get('OPENBLAS_NUM_THREADS'))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if wanted is None else {"OPENBLAS_NUM_THREADS": wanted}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert result.stdout == f"1 {wanted}\n", result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_other_threads_work():
    code = (
        PRELUDE
        + """
stop = False
def work():
    while not stop:
        mx.sum(mx.sin(mx.arange(200_000.0))).item()
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        ok = mx.sum(mx.ones((300, 300)) @ mx.ones((300, 300))).item() == 300.0 ** 3
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
stop = True
for t in threads: t.join()
print("fine")
"""
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300
    )
    assert result.stdout == "fine\n", result.stderr
