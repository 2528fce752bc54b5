"""Background work, waits, fork and exit: nothing waits for ever, everything answers Ctrl-C, and everything works where no
thread can be made. Each case is a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

PRELUDE = """
import os, resource, signal, sys, threading, time
import mlx.core as mx

def endless(x=None, turns=7_500):
    # Minutes of work, and fewer operations than are computed early.
    x = mx.ones((1200, 1200)) if x is None else x
    for _ in range(turns):
        x = (x @ x) * 1e-3
    return x

def one_kernel():
    return mx.sum(mx.broadcast_to(mx.arange(2.0**20), (2**20, 2**20)))

def interrupt_after(seconds):
    def send():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send, daemon=True).start()

def expect_interrupt(run):
    interrupt_after(0.3)
    start = time.process_time()  # what others of the machine have meanwhile does not count
    try:
        run()
    except KeyboardInterrupt:
        print("interrupted", "soon" if time.process_time() - start < 5 else "late")
    else:
        print("not interrupted")
    assert (mx.ones((3,)) + 1).tolist() == [2, 2, 2] if not BUSY else True

BUSY = False
"""


def outcome(code, timeout=60, environment=None, **options):
    """(exit status, stdout, stderr, seconds) of Python running the code."""
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", PRELUDE + code], capture_output=True, text=True, timeout=timeout,
                            env={**os.environ, **(environment or {})}, **options)
    return result.returncode, result.stdout, result.stderr, time.monotonic() - start


def says(code, expected, **options):
    status, out, err, seconds = outcome(code, **options)
    assert (status, out.split("\n")[:-1], err) == (0, expected, ""), (status, out, err)
    return seconds


# --- where no thread can be made ---

# A limit on processes binds users other than root, and counts threads.
NO_THREADS = """
if os.getuid() == 0:
    os.setgroups([]); os.setgid(54321); os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=print).start()
    print("a thread could be made")
    sys.exit(0)
except RuntimeError:
    pass
"""
WITHOUT_THREADS = {
    "async_eval": """
x = mx.exp(mx.zeros((100_000,)))
mx.async_eval(x)
mx.synchronize()
print(mx.sum(x).item())
""",
    "async_eval again and again": """
for i in range(100):
    y = mx.full((10,), i) * 2
    mx.async_eval(y)
mx.synchronize()
print(mx.sum(y).item())
""",
    "parallel kernels": """
x = mx.arange(3_000_000.0)
print(mx.sort(-x)[0].item(), (mx.ones((700, 700)) @ mx.ones((700, 700)))[3, 5].item(), mx.sum(x < 5).item())
""",
    "an error in the background": """
mx.async_eval(mx.take(mx.arange(3), mx.array([7])))
try:
    mx.synchronize()
except (IndexError, ValueError) as error:
    print("index 7" in str(error))
mx.synchronize()
""",
    "exit": "mx.async_eval(mx.ones((3,)) * 2); print('left')",
    "fork": """
mx.async_eval(mx.ones((300, 300)) @ mx.ones((300, 300)))
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    os.fork()
except BlockingIOError:
    print(mx.sum(mx.ones((2000, 2000)) * 2).item())
""",
    "Ctrl-C": """
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    mx.async_eval(endless())
    mx.synchronize()
except KeyboardInterrupt:
    print("interrupted")
""",
}
EXPECTED = {"async_eval": "100000.0", "async_eval again and again": "1980", "parallel kernels": "-2999999.0 700.0 5", "an error in the background": "True",
            "exit": "left", "fork": "8000000.0", "Ctrl-C": "interrupted"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts threads on Linux")
@pytest.mark.parametrize("name", WITHOUT_THREADS)
def test_without_threads(name):
    # Loaded before the limit, as another user may not be able to read the files.
    status, out, err, _ = outcome("import numpy\n" + NO_THREADS + WITHOUT_THREADS[name], environment={"MLX_NUM_THREADS": "4"})
    if out.startswith("a thread could"):
        pytest.skip("this machine does not limit threads")
    assert (status, out, err) == (0, EXPECTED[name] + "\n", "")


# --- Ctrl-C while waiting ---

WAITS = {
    "synchronize": "mx.async_eval(endless()); BUSY = True; expect_interrupt(mx.synchronize)",
    "synchronize on one kernel": "mx.async_eval(one_kernel()); BUSY = True; expect_interrupt(mx.synchronize)",
    "eval of what the background computes": "y = endless(); mx.async_eval(y); BUSY = True; expect_interrupt(lambda: mx.eval(y))",
    "item of what the background computes": "y = endless().sum(); mx.async_eval(y); BUSY = True; expect_interrupt(y.item)",
    "NumPy of what the background computes": "import numpy as np\ny = endless(); mx.async_eval(y); BUSY = True; "
    "expect_interrupt(lambda: np.asarray(y))",
    "eval of what another thread computes": """
y = one_kernel()
threading.Thread(target=lambda: mx.eval(y), daemon=True).start()
time.sleep(0.2); BUSY = True
expect_interrupt(lambda: mx.eval(y))
""",
    "async_eval at the end of a loop": """
def loop():
    x = mx.ones((600, 600))
    while True:
        x = (x @ x) * 1e-3
        mx.async_eval(x)
        mx.synchronize()
expect_interrupt(loop)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WAITS)
def test_waits_answer(name):
    assert says(WAITS[name], ["interrupted soon"]) < 20


# --- Ctrl-C inside conversions ---

CONVERSIONS = {
    "np.asarray": "np.asarray(x)",
    "np.array": "np.array(x)",
    "np.asarray with a dtype": "np.asarray(x, dtype=np.float64)",
    "np.array of a list": "np.array([x, x])",
    "np.ascontiguousarray": "np.ascontiguousarray(x)",
    "a NumPy function": "np.linalg.norm(x)",
    "__array__": "x.__array__()",
    "memoryview": "memoryview(x)",
    "np.frombuffer": "np.frombuffer(x, dtype=np.float32)",
    "bytes": "bytes(x)",
    "np.from_dlpack": "np.from_dlpack(x)",
    "__dlpack__": "x.__dlpack__()",
    "tolist": "x.tolist()",
    "print": "print(x)",
    "repr": "repr(x)",
    "format": "f'{x}'",
    "float": "float(x[0, 0])",
    "int": "int(x[0, 0])",
    "bool": "bool(x[0, 0])",
    "item": "x[0, 0].item()",
    "if": "1 if x[0, 0] else 2",
    "iteration": "[v.item() for v in x[0]]",
    "in": "3.0 in x",
    "pickle": "pickle.dumps(x)",
    "copy": "copy.deepcopy(x).tolist()",
    "bfloat16": "np.asarray(x.astype(mx.float32))",
    "mx.save_function": "mx.eval(x)",
    "hex": "operator.index((x[0, 0] * 0).astype(mx.int32))",
    "math": "math.sin(x[0, 0])",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_are_interrupted(name):
    code = f"""
import copy, math, operator, pickle
import numpy as np
x = mx.ones((600, 600))
for _ in range(400):
    x = (x @ x) * (1 / 600)
shorter = x
for _ in range(7_500):
    x = (x @ x) * (1 / 600)
expect_interrupt(lambda: {CONVERSIONS[name]})
print((shorter[0, 0] * 2).item())
"""
    says(code, ["interrupted soon", "2.0"])


@pytest.mark.slow
def test_an_interrupt_is_not_raised_twice():
    code = """
import numpy as np
x = mx.broadcast_to(mx.arange(2.0**16), (2**16, 2**16)).sum(axis=1)
for convert in (memoryview, np.asarray, memoryview, lambda a: a.__array__(), np.asarray):
    y = x * 1
    try:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        convert(y)
        print("done")
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        z = mx.ones((3,)) + 1
        z.__array__()
        np.asarray(z)
print(np.asarray(mx.ones(2) + 1).tolist())
class Stop(Exception):
    def __init__(self, a, b): self.a, self.b = a, b
def handler(number, frame):
    raise Stop(1, 2)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    np.asarray(x * 1)
except Stop as stop:
    print(stop.a, stop.b)
"""
    says(code, ["[2.0, 2.0]", "1 2"])


# --- fork ---


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("work", ["endless()", "one_kernel()"])
def test_fork_does_not_wait_for_background_work(work):
    code = f"""
first = mx.ones((300,)) * 3
mx.async_eval(first)
mx.async_eval({work})
last = mx.ones((300,)) * 5
mx.async_eval(last)
time.sleep(0.2)
start = time.process_time()
pid = os.fork()
if pid == 0:
    mx.async_eval(mx.ones((2,)) * 2)
    mx.synchronize()
    os._exit(0 if mx.sum(mx.ones((300, 300)) @ mx.ones((300, 300))).item() == 300.0**3 else 1)
print(time.process_time() - start < 2, os.waitpid(pid, 0)[1])
while mx._node_count(first):
    time.sleep(0.01)
"""
    says(code, ["True 0"])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_background_work_goes_on_after_a_fork():
    code = """
x = mx.random.normal((500, 500)) / 25
y = x
for _ in range(60):
    y = mx.tanh(y @ x)
expected = mx.array(y + 0)
mx.eval(expected)
z = x
for _ in range(60):
    z = mx.tanh(z @ x)
total = mx.sum(z)
mx.async_eval(total)
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
mx.synchronize()
print(mx._node_count(total), mx.array_equal(z, expected).item())
"""
    says(code, ["0 True"])


# --- exit ---

ENDINGS = {
    "background work": "mx.async_eval(endless())",
    "one kernel in the background": "mx.async_eval(one_kernel())",
    "a queue": "for _ in range(200): mx.async_eval(endless(turns=500))",
    "a daemon thread": "threading.Thread(target=lambda: mx.eval(endless()), daemon=True).start(); time.sleep(0.2)",
    "a daemon thread in one kernel": "threading.Thread(target=lambda: mx.eval(one_kernel()), daemon=True).start(); time.sleep(0.2)",
    "daemon threads and a queue": """
for _ in range(3): threading.Thread(target=lambda: mx.eval(endless()), daemon=True).start()
for _ in range(20): mx.async_eval(one_kernel())
time.sleep(0.2)
""",
    "a daemon thread that builds": """
def build():
    while True:
        x = mx.ones(3)
        for _ in range(1000): x = x * 2
threading.Thread(target=build, daemon=True).start(); time.sleep(0.2)
""",
    "a daemon thread that waits": "mx.async_eval(endless()); threading.Thread(target=mx.synchronize, daemon=True).start(); time.sleep(0.2)",
    "work in exit handlers": """
import atexit
mx.async_eval(endless())
atexit.register(lambda: mx.async_eval(endless()))
""",
    "work after the end": """
mx.async_eval(endless())
class Late:
    def __del__(self):
        y = mx.ones((3,)) * 2
        mx.async_eval(y); mx.synchronize()
        assert y.tolist() == [2, 2, 2]
keep = Late()
""",
    "status 7": "mx.async_eval(endless()); time.sleep(0.1); sys.exit(7)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDINGS)
def test_exit_does_not_wait(name):
    code = ENDINGS[name] + "\n"
    # What the rest of the process takes is not measured.
    code += "import atexit\natexit.register(lambda: None)\nprint(time.time(), flush=True)\n" if name != "status 7" else ""
    status, out, err, seconds = outcome(code)
    ended = time.time()
    assert (status, err) == (7 if name == "status 7" else 0, "")
    if out:
        assert ended - float(out) < 4


@pytest.mark.slow
def test_an_interrupt_while_leaving_a_wait_ends_the_program():
    # What a user sees: Ctrl-C in synchronize, uncaught, with endless work behind it.
    code = PRELUDE + "mx.async_eval(endless())\nprint('ready', flush=True)\nmx.synchronize()\n"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - start < 5
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().split("\n")[-1].startswith("KeyboardInterrupt")


# --- the environment ---

MALFORMED = ["abc", "0", "-1", "4x", "1.5", "99999999999999999999", "1025", " 4", "0x10", "four", "+"]


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_thread_counts_are_said(value):
    status, _, err, _ = outcome("", environment={"MLX_NUM_THREADS": value})
    assert status == 1
    last = err.rstrip().split("\n")[-1]
    assert last.startswith("ImportError") and "MLX_NUM_THREADS" in last and f"'{value}'" in last and "from 1 to 1024" in last


@pytest.mark.parametrize("value", ["AVX9", "avx2", "AVX2,SSE4", "none", "1"])
def test_unknown_cpu_targets_are_said(value):
    status, _, err, _ = outcome("", environment={"MLX_CPU_TARGETS": value})
    assert status == 1
    last = err.rstrip().split("\n")[-1]
    assert last.startswith("ImportError") and "MLX_CPU_TARGETS" in last and f"'{value}'" in last
    assert "baseline, SSE4, NEON, AVX2, AVX3" in last


@pytest.mark.parametrize("name, value", [("MLX_NUM_THREADS", "1"), ("MLX_NUM_THREADS", "1024"), ("MLX_NUM_THREADS", ""),
                                         ("MLX_CPU_TARGETS", "baseline"), ("MLX_CPU_TARGETS", "SSE4"),
                                         ("MLX_CPU_TARGETS", "NEON"), ("MLX_CPU_TARGETS", "AVX3"), ("MLX_CPU_TARGETS", "")])
def test_the_environment_may_say(name, value):
    says("print(mx.sum(mx.ones((300, 300)) @ mx.ones((300, 300))).item() == 300.0**3)", ["True"], environment={name: value})
