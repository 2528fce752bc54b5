"""Ctrl-C during an evaluation: what the signal handler raises arrives, soon, and everything is usable afterwards."""

import os
import signal
import threading
import time

import mlx.core as mx
import pytest


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
