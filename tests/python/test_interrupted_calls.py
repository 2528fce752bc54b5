"""What is no Exception (KeyboardInterrupt, SystemExit), raised where code of the caller runs inside a transform, comes
out of it as it is: nothing takes it for a function without a rule and goes another way. Afterwards all is as before."""

import itertools
import random
import signal

import mlx.core as mx
import pytest

pytestmark = pytest.mark.usefixtures("no_collector_callbacks")


class Ends(BaseException):
    pass


class Calls:
    """Counts the calls of the caller's code, and raises at one of them. Without numbers around the recorded function:
    those are undone where a recording fails, and may have no value at first."""

    def __init__(self, at=None, error=None):
        self.numbers, self.at, self.error = itertools.count(1), str(at), error

    def __call__(self):
        if str(next(self.numbers)) == self.at:
            raise self.error


def custom(call, *rules):
    @mx.custom_function
    def function(x, y):
        call()
        return mx.sin(x) * y

    def vjp(primals, cotangent, output):
        call()
        return cotangent * mx.cos(primals[0]) * primals[1], cotangent * mx.sin(primals[0])

    def jvp(primals, tangents):
        call()
        u, v = (mx.zeros_like(p) if t is None else t for p, t in zip(primals, tangents))
        return u * mx.cos(primals[0]) * primals[1] + v * mx.sin(primals[0])

    for name, rule in (("vjp", vjp), ("jvp", jvp)):
        if name in rules:
            getattr(function, name)(rule)
    return lambda x: function(x, x * 0.5)


def plain(call, *_):
    def function(x):
        call()
        return mx.sin(x) * x

    return function


def total(f):
    return lambda x: mx.sum(f(x))


X = mx.array([0.3, -0.7, 1.1])
NESTS = {
    "itself": lambda f: f,
    "compile": lambda f: mx.compile(f),
    "compile of grad": lambda f: mx.compile(mx.grad(total(f))),
    "grad of compile": lambda f: mx.grad(total(mx.compile(f))),
    "shapeless": lambda f: mx.compile(mx.grad(total(f)), shapeless=True),
    "vmap of grad": lambda f: lambda x: mx.vmap(mx.grad(total(f)))(mx.stack([x, x])),
    "grad of vmap": lambda f: mx.grad(lambda x: mx.sum(mx.vmap(f)(mx.stack([x, 2 * x])))),
    "grad of checkpoint": lambda f: mx.grad(total(mx.checkpoint(f))),
    "jvp of grad": lambda f: lambda x: mx.jvp(mx.grad(total(f)), [x], [mx.ones(3)])[1],
    "Hessian": lambda f: mx.hessian(total(f)),
    "jvp": lambda f: lambda x: mx.jvp(f, [x], [mx.ones(3)])[1],
    "jvp through eigenvectors": lambda f: lambda x: mx.jvp(
        lambda x: mx.linalg.eigh(mx.diag(f(x)) + mx.ones((3, 3)))[1], [x], [mx.ones(3)])[1],
    "grad through eigenvectors": lambda f: mx.grad(
        lambda x: mx.sum(f(mx.linalg.eigh(mx.diag(x) + mx.ones((3, 3)))[1][0]))),
    "scan": lambda f: mx.grad(lambda x: mx.sum(mx.scan(lambda c, u: (f(c) + u, f(u)), x, mx.stack([x, x]))[1])),
    "while": lambda f: lambda x: mx.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, f(s[1])), (mx.array(0), x))[1],
    "cond": lambda f: mx.grad(lambda x: mx.sum(mx.cond(x[0] > 0, f, lambda x: f(-x), x))),
    "sparse": lambda f: lambda x: mx.sparse_jacobian(f)(x).todense(),
    "custom in custom": lambda f: mx.grad(total(mx.custom_function(lambda x: f(f(x))))),
    "linearize": lambda f: lambda x: mx.linearize(f, x)[1](mx.ones(3)),
    "a number": lambda f: lambda x: mx.compile(lambda x, n: f(x) * (n if n > 1 else mx.array(n)))(x, 2),
}
FUNCTIONS = {"plain": (plain,), "no rules": (custom,), "vjp": (custom, "vjp"), "jvp": (custom, "jvp"),
             "vjp+jvp": (custom, "vjp", "jvp")}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("nest", NESTS)
def test_what_is_raised_at_any_call_comes_out(nest, kind):
    make, *rules = FUNCTIONS[kind]
    call = Calls()
    mx.eval(NESTS[nest](make(call, *rules))(X))
    count = next(call.numbers) - 1
    assert count > 0
    heard = 0
    for at in range(1, count + 1):
        error = SystemExit(3) if at % 2 else Ends()  # as KeyboardInterrupt, but that would end pytest
        call, caught = Calls(at, error), None
        failing = NESTS[nest](make(call, *rules))
        try:
            mx.eval(failing(X))
        except BaseException as came_out:
            caught = came_out
        reached = next(call.numbers) > at  # what is recorded already is not always called as often as at first
        assert caught is (error if reached else None)
        mx.eval(failing(X))  # raises no more
        heard += reached
    assert heard > 0
    assert mx.grad(lambda x: (x * x).sum())(X).tolist() == (2 * X).tolist()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_handler_that_raises_at_any_time_is_heard(kind):
    """Signals are handled between two of Python's instructions, and by the core where it looks for them."""
    make, *rules = FUNCTIONS[kind]
    for nest in NESTS.values():
        mx.eval(nest(make(Calls(), *rules))(X))  # what is imported or set up at a first call is not what is tested
    rng = random.Random(kind)
    heard = armed = False

    def handler(number, frame):
        nonlocal heard
        if armed:
            heard = True
            raise Ends

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(400):
            nest = rng.choice(list(NESTS))
            f = NESTS[nest](make(Calls(), *rules))
            heard = came_out = False
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * rng.uniform(1, 1500))
                mx.eval(f(X))
                armed = False
            except Ends:
                came_out = True
            finally:
                armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert came_out == heard, nest
    finally:
        signal.signal(signal.SIGALRM, previous)
