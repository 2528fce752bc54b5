"""Ctrl-C during an evaluation: what the signal handler raises arrives, soon, and everything is usable afterwards."""

import os
import signal
import threading
import time

import mlx.core as mx
import pytest

import interrupt_rows

pytestmark = pytest.mark.usefixtures("no_collector_callbacks")
BOUND = 2  # seconds; an idle machine takes about 0.01


def long_chain(x):
    """Minutes of work."""
    for _ in range(2000):
        x = (x @ x) * 1e-3
    return x


@pytest.fixture
def interrupt_soon():
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.cancel()
    timer.join()


X = mx.ones((1000, 1000))


@pytest.mark.parametrize("run", [lambda: mx.eval(long_chain(X)), lambda: long_chain(X).sum().item(),
                                 lambda: mx.grad(lambda x: (mx.eval(long_chain(x)), x.sum())[1])(X)],
                         ids=["eval", "item", "inside grad"])
def test_keyboard_interrupt(interrupt_soon, run):
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert time.monotonic() - start < 10
    assert (mx.ones((3,)) + 1).tolist() == [2, 2, 2]


def test_another_handler(interrupt_soon):
    class Stop(Exception):
        pass

    def handler(number, frame):
        raise Stop("from the handler")

    previous = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(Stop, match="from the handler"):
            mx.eval(long_chain(X))
    finally:
        signal.signal(signal.SIGINT, previous)


def test_an_interrupted_array_can_be_evaluated_again(interrupt_soon):
    y = long_chain(X)
    z = y[0, 0] * 0 + 1
    with pytest.raises(KeyboardInterrupt):
        mx.eval(z)
    small = mx.ones((2,)) * 3
    mx.eval(small)
    assert small.tolist() == [3, 3]


def test_a_handler_that_returns_goes_on():
    seen = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        x = mx.ones((500, 500))
        while not seen:
            x = (x @ x) * 0.002
            mx.eval(x)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, previous)
    assert seen == [signal.SIGINT]


# --- in one piece ---


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("name", interrupt_rows.KERNELS)
def test_a_kernel_answers(name):
    make = interrupt_rows.KERNELS[name]()
    y = make()
    latency = interrupt_rows.interrupted(lambda: mx.eval(y), after=0.1)
    if latency is None:
        pytest.skip("the machine is too quick for this row")
    assert latency < BOUND
    if mx._node_count(y) == 0:  # computed as the signal came; or lost, as it had begun to overwrite its operands
        try:
            mx.eval(y)
        except RuntimeError as error:
            assert "make the array again" in str(error)
    mx.clear_cache()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("after", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("name", interrupt_rows.CALLS)
def test_a_call_answers(name, after):
    latency = interrupt_rows.interrupted(interrupt_rows.CALLS[name](), after)
    assert latency is None or latency < BOUND
    assert mx.grad(mx.compile(lambda x: (x * x).sum()))(mx.ones((3,))).tolist() == [2, 2, 2]


SMALL = {
    "matmul": lambda x: x @ x,
    "a chain": lambda x: mx.sum(mx.exp(mx.sin(x)) * x, axis=1),
    "sum of columns": lambda x: mx.sum(x, axis=0),
    "argmax": lambda x: mx.argmax(x, axis=1),
    "sort": lambda x: mx.sort(x.reshape(-1)),
    "argsort": lambda x: mx.argsort(x.reshape(-1)),
    "argpartition": lambda x: mx.sort(mx.argpartition(x.reshape(-1), 1000)[:1000]),
    "cumsum": lambda x: mx.cumsum(x.reshape(-1)),
    "cummax": lambda x: mx.cummax(x, axis=0),
    "gather": lambda x: mx.take(x, mx.arange(1399, -1, -1), 0),
    "scatter": lambda x: x.at[mx.array([3, 5, 3])].add(x[:3]),
    "random": lambda x: mx.random.normal((1400, 1400), key=mx.random.key(3)),
    "transpose": lambda x: mx.contiguous(x.T),
    "loop": lambda x: mx.fori_loop(0, 50, lambda i, s: s * 1.01, x),
    "Hessian": lambda x: mx.hessian(lambda v: mx.sum(mx.sin(v) * v))(x[0, :60]),
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("name", SMALL)
def test_an_interrupted_result_is_the_same_when_it_is_computed_again(name):
    x = mx.sin(mx.arange(1400.0 * 1400).reshape(1400, 1400))
    mx.eval(x)
    expected = SMALL[name](x)
    start = time.perf_counter()
    mx.eval(expected)
    took = time.perf_counter() - start
    interruptions = 0
    for i in range(12):
        y = SMALL[name](x)
        if interrupt_rows.interrupted(lambda: mx.eval(y), after=max(1e-4, took * (i + 0.5) / 12)) is not None:
            interruptions += 1
        try:
            again = mx.array_equal(y, expected).item()
        except RuntimeError as error:  # an operand gave its memory to the result: said, not wrong
            assert "overwrite" in str(error)
            continue
        assert again


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_preparing_calls_begins_again_after_an_interrupt():
    """A compiled function is made a list of calls at its second call, which is interrupted here at many moments."""
    def steps(x, y):
        for k in range(1500):
            x, y = y * 0.5 + x[::-1] * 0.3, x.reshape(3, 1).T[0] - y * (0.0002 * k)
        return y, x, y

    args = [mx.array([0.1, 0.2, 0.3]), mx.array([1.0, -1.0, 0.5])]
    expected = [y.tolist() for y in steps(*args)]
    caught = 0
    for moment in range(12):
        compiled = mx.compile(steps)
        mx.eval(compiled(*args))
        again = lambda compiled=compiled: mx.eval(compiled(*args))  # noqa: E731
        caught += interrupt_rows.interrupted(again, after=0.002 * (moment + 1)) is not None
        for _ in range(2):
            assert [y.tolist() for y in compiled(*args)] == expected
    assert caught > 0
