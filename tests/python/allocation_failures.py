"""Runs programs while their n-th allocation fails, for every n. Run by test_allocation_failure.py, in a process of its own.

Prints a line for each program: its name and the number of failures injected. Arguments: the stride of n, then names of
programs (default: all).
"""

import ctypes
import os
import sys
import tempfile
import threading

import mlx.core as mx

allocator = ctypes.CDLL(None)
allocator.failing_after.argtypes = [ctypes.c_long]
allocator.failing_count.restype = ctypes.c_long
for library in (b"libmlx_core", b"mlx/core."):
    assert allocator.failing_watch(library) > 0, library


def eager():
    x = mx.arange(12.0).reshape(3, 4)
    y = mx.softmax(x @ x.T, axis=-1) + mx.sin(x).sum()
    y[1] = y[0] * 2
    z = mx.concatenate([y, mx.sort(y, axis=0), mx.cumsum(y, axis=1)])
    return [z, z[mx.array([0, 2])], mx.argmax(z), mx.einsum("ij,kj->ik", y, y)]


def shapes():
    x = mx.ones((2, 3, 4))
    parts = mx.split(x, 2, axis=2)
    return [mx.stack(parts), mx.pad(x, 1), mx.tile(x, (2, 1, 1)), mx.transpose(x)[::2], mx.take(x, mx.array([1, 0]), axis=1)]


def random():
    key = mx.random.key(3)
    return [mx.random.normal((5, 3), key=key), mx.random.permutation(7, key=key), mx.random.categorical(mx.zeros((3, 4)), key=key)]


def grad():
    def f(p, x):
        return mx.sum(mx.tanh(x @ p["w"] + p["b"]) ** 2)

    value, g = mx.value_and_grad(f)({"w": mx.ones((3, 2)) * 0.1, "b": mx.zeros((2,))}, mx.ones((4, 3)))
    return [value, g["w"], g["b"], mx.hessian(lambda x: mx.sum(x**3))(mx.arange(3.0))]


def vmap():
    f = mx.vmap(mx.grad(lambda x, y: mx.sum(mx.sin(x) * y)), in_axes=(0, None))
    return [f(mx.ones((3, 2)), mx.ones((2,))), mx.jvp(mx.exp, (mx.ones((2,)),), (mx.ones((2,)),))[1][0]]


def compiled():
    w = mx.array(2.0)
    f = mx.compile(lambda x, k: mx.exp(x * w) * k + mx.grad(lambda y: mx.sum(y * y))(x))
    return [f(mx.ones((3,)), 2.0), f(mx.zeros((3,)), 3.0), f(mx.zeros((2, 2)), 3.0)]


def shapeless():
    f = mx.compile(lambda x: mx.sum(x * 2, axis=0) + x.shape[0], shapeless=True)
    return [f(mx.ones((3, 2))), f(mx.ones((4, 2)))]


def loops():
    power = mx.fori_loop(0, 4, lambda i, c: c * 2 + i, mx.array(1.0))
    root = mx.while_loop(lambda x: mx.abs(x * x - 2) > 1e-5, lambda x: (x + 2 / x) / 2, mx.array(1.0))
    carry, ys = mx.scan(lambda c, x: (c + x, c * x), mx.array(0.0), mx.arange(4.0))
    branch = mx.cond(mx.array(True), lambda x: x + 1, lambda x: x - 1, mx.array(2.0))
    return [power, root, carry, ys, branch]


def custom():
    @mx.custom_function
    def f(x):
        return mx.sin(x)

    @f.vjp
    def rule(primals, cotangents, outputs):
        return mx.cos(primals) * cotangents

    return [mx.grad(lambda x: mx.sum(f(x)))(mx.ones((3,))), mx.grad(lambda x: mx.sum(mx.checkpoint(mx.exp)(x)))(mx.ones((3,)))]


def threads():
    results = [None, None]

    def work(i):
        try:
            results[i] = mx.sum(mx.sin(mx.arange(100.0) * i)).item()
        except MemoryError as error:
            results[i] = error

    both = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in both:
        thread.start()
    lazy = mx.exp(mx.ones((8,)))
    mx.async_eval(lazy)
    for thread in both:
        thread.join()
    for result in results:
        if isinstance(result, MemoryError):
            raise result
    mx.synchronize()
    return [mx.array(results), lazy]


def export():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f.mlxfn")
        mx.export_function(path, lambda x: mx.sin(x) * 2 + mx.sum(x), mx.ones((3,)))
        return [mx.import_function(path)(mx.ones((3,)))[0]]


def python():
    x = mx.array([[1.5, 2], [3, 4]])
    return [x, mx.array(x.tolist()), mx.array(memoryview(x)), mx.array(len(repr(x))), mx.array(len(str(x[0])))]


def errors():
    """Calls that are wrong: their errors are made of text, which takes memory, too. (Not calls with arguments of a wrong type:
    nanobind ends the process where there is no memory for its own text.)"""
    texts = []
    for call in (lambda: mx.zeros((2, -1)), lambda: mx.ones((2,), stream=mx.Device(mx.gpu, 7)), lambda: mx.sum(mx.ones((2,)), axis=3),
                 lambda: mx.ones((2, 3)) @ mx.ones((2, 3)), lambda: mx.ones((3,))[5], lambda: mx.grad(mx.sum)(mx.array(1)),
                 lambda: mx.concatenate([mx.ones((1, 2)), mx.ones((2,))]), lambda: mx.einsum("ij,jk", mx.ones((2,)))):
        try:
            call()
        except MemoryError:
            raise
        except Exception as error:
            texts.append(f"{type(error).__name__}: {error}".split(" at 0x")[0])
    return [mx.array([sum(map(ord, text)) % 65521 for text in texts])]


PROGRAMS = [eager, shapes, random, grad, vmap, compiled, shapeless, loops, custom, threads, export, python, errors]


def values(program):
    return [a.tolist() for a in program()]


def check(program, stride):
    expected = values(program)
    values(program) == expected or sys.exit(f"{program.__name__} differs from one run to the next")
    mx.synchronize()
    mx.clear_cache()
    n = injected = 0
    while True:
        print(f"\r{program.__name__} {n} ", end="", file=sys.stderr, flush=True)
        result = error = None
        allocator.failing_after(n)
        try:
            result = values(program)
        except MemoryError as caught:
            error = caught
        happened = allocator.failing_stop()
        if error is None and result != expected:
            sys.exit(f"{program.__name__}, allocation {n}: wrong result {result}")
        try:
            mx.synchronize()
        except MemoryError:
            pass
        if values(program) != expected:
            sys.exit(f"{program.__name__}, after the failure of allocation {n}: wrong result")
        if not happened:
            return injected
        injected += 1
        n += stride


if __name__ == "__main__":
    step = int(sys.argv[1])
    for each in PROGRAMS:
        if not sys.argv[2:] or each.__name__ in sys.argv[2:]:
            print(each.__name__, check(each, step), flush=True)
