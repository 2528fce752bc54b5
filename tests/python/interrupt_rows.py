"""Work that takes long in one piece, and what Ctrl-C does to it: used by test_interrupt.py.

`python interrupt_rows.py` prints how soon each row answers."""

import signal
import time

import mlx.core as mx


def wide(rows, columns, dtype=mx.float32, value=1):
    """An array of any size that takes no memory."""
    return mx.broadcast_to(mx.array(value, dtype=dtype), (rows, columns))


def counted(n, dtype=mx.float32):
    """n numbers in no order, evaluated."""
    x = ((mx.arange(n) * 7919) % 1_000_003).astype(dtype)
    mx.eval(x)
    return x


def square(n, dtype=mx.float32):
    x = mx.ones((n, n), dtype=dtype)
    x = x + 0  # in memory
    mx.eval(x)
    return x


def indices(n, length):
    i = (mx.arange(n) * 7919) % length
    mx.eval(i)
    return i


# name -> a function that prepares, and returns the function that makes the lazy array.
KERNELS = {
    "matmul": lambda: lambda x=square(7000): x @ x,
    "matmul float64": lambda: lambda x=square(4000, mx.float64): x @ x,
    "matmul complex128": lambda: lambda x=square(2000, mx.complex64).astype(mx.complex128): x @ x,
    "matmul bfloat16": lambda: lambda x=square(5000, mx.bfloat16): x @ x,
    "matmul of long rows": lambda: lambda x=counted(128_000_000).reshape(128, -1): x @ x.T,
    "einsum": lambda: lambda x=square(6000): mx.einsum("ij,jk,kl->il", x, x, x),
    "sum": lambda: lambda: mx.sum(wide(2**17, 2**18)),
    "sum of rows": lambda: lambda: mx.sum(wide(100, 2**31), axis=1),
    "sum of columns": lambda: lambda: mx.sum(wide(2**30, 100), axis=0),
    "sum of a chain": lambda: lambda: mx.sum(mx.exp(mx.sin(wide(2**17, 2**17)))),
    "any": lambda: lambda: mx.any(wide(2**17, 2**20, mx.bool_, False)),
    "argmax": lambda: lambda: mx.argmax(wide(4, 2**31), axis=1),
    "sort": lambda: lambda x=counted(50_000_000): mx.sort(x),
    "sort float64": lambda: lambda x=counted(30_000_000, mx.float64): mx.sort(x),
    "sort complex": lambda: lambda x=counted(10_000_000, mx.complex64): mx.sort(x),
    "argsort": lambda: lambda x=counted(50_000_000): mx.argsort(x),
    "sort of rows": lambda: lambda x=counted(60_000_000).reshape(3, -1): mx.sort(x, axis=1),
    "argpartition": lambda: lambda x=counted(100_000_000): mx.argpartition(x, 50_000_000),
    "argpartition complex": lambda: lambda x=counted(10_000_000, mx.complex64): mx.argpartition(x, 5_000_000),
    "cumsum": lambda: lambda: mx.cumsum(wide(1, 400_000_000), axis=1),
    "cumprod": lambda: lambda: mx.cumprod(wide(1, 400_000_000), axis=1),
    "cummax": lambda: lambda: mx.cummax(wide(1, 400_000_000), axis=1),
    "cumsum of columns": lambda: lambda: mx.cumsum(wide(4_000_000, 100), axis=0),
    "fft": lambda: lambda x=counted(1 << 24, mx.complex64): mx.fft.fft(mx.broadcast_to(x, (8, 1 << 24))),
    "fft of rows": lambda: lambda x=counted(1 << 16): mx.fft.rfft(mx.broadcast_to(x, (3000, 1 << 16))),
    "fft of columns": lambda: lambda x=square(1000): mx.fft.fft(mx.broadcast_to(x, (200, 1000, 1000)), axis=1),
    "conv2d": lambda: lambda x=square(2000): mx.conv2d(mx.broadcast_to(x[:, :, None], (8, 2000, 2000, 64)), mx.ones((64, 3, 3, 64))),
    "depthwise": lambda: lambda x=square(4000): mx.conv2d(mx.broadcast_to(x[:, :, None], (3, 4000, 4000, 16)), mx.ones((16, 5, 5, 1)), groups=16),
    "convolve": lambda: lambda x=counted(1_000_000): mx.convolve(x, x),
    "special functions": lambda: lambda x=counted(4_000_000): mx.special.betainc(x, x, 0.5),
    "gather": lambda: lambda x=counted(10_000_000), i=indices(200_000_000, 10_000_000): mx.take(x, i),
    "gather of slices": lambda: lambda x=square(8000): mx.take(mx.broadcast_to(x, (2, 8000, 8000)), mx.array([0, 1, 0, 1]), 0),
    "gather along an axis": lambda: lambda x=counted(10_000_000), i=indices(200_000_000, 10_000_000): mx.take_along_axis(x, i, 0),
    "scatter": lambda: lambda x=counted(10_000_000), i=indices(100_000_000, 10_000_000): x.at[i].add(1.0),
    "scatter along an axis": lambda: lambda x=counted(10_000_000): mx.put_along_axis(
        x, indices(100_000_000, 10_000_000), wide(1, 100_000_000)[0], 0),
    "scatter of slices": lambda: lambda x=mx.zeros((2, 100_000_000)): x.at[mx.array([0, 1, 0, 1])].add(wide(4, 100_000_000)),
    "random": lambda: lambda: mx.random.normal((100_000_000,)),
    "random bits": lambda: lambda: mx.random.bits((1_000_000_000,), 1),
    "copy": lambda: lambda x=square(16_000): mx.contiguous(x.T),
    "repeat": lambda: lambda x=counted(10_000_000): mx.repeat(x, 30),
    "concatenate": lambda: lambda x=square(8000): mx.concatenate([x, x.T, x, x.T, x]),
    "arange": lambda: lambda: mx.arange(400_000_000),
    "cast": lambda: lambda x=square(30_000, mx.uint8): x.astype(mx.float32),
    "searchsorted": lambda: lambda x=mx.arange(1_000_000), v=counted(100_000_000, mx.int32): mx.searchsorted(x, v),
}


def deep(x, turns=1500):
    for _ in range(turns):
        x = mx.sin(x) * 1.01
    return x.sum()


def turns(n):
    def f(x):
        for _ in range(n):
            x = x * 1.0001
        return x
    return f


# name -> a function that prepares, and returns the function that works.
CALLS = {
    "a compiled fori_loop": lambda: lambda f=mx.compile(
        lambda x: mx.fori_loop(0, 4_000_000, lambda i, s: s * 1.0001, x)), x=mx.ones(3): mx.eval(f(x)),
    "a compiled while_loop": lambda: lambda f=mx.compile(
        lambda x: mx.while_loop(lambda s: s[0] < 4_000_000, lambda s: (s[0] + 1, s[1] * 0.5), (mx.array(0), x))),
        x=mx.ones(3): mx.eval(f(x)),
    "a compiled scan": lambda: lambda f=mx.compile(
        lambda x: mx.scan(lambda c, v: (c * 0.5 + v, c), x, mx.ones((2_000_000,)))), x=mx.array(1.0): mx.eval(f(x)),
    "a loop's gradient": lambda: lambda f=mx.grad(
        lambda x: mx.fori_loop(0, 1_000_000, lambda i, s: mx.sin(s), x)), x=mx.array(1.0): mx.eval(f(x)),
    "recording 400,000 turns": lambda: lambda f=mx.compile(turns(400_000)), x=mx.ones(3): mx.eval(f(x)),
    "replaying 400,000 turns": lambda: prepared(mx.compile(turns(400_000)), mx.ones(3)),
    "a shapeless recording": lambda: lambda f=mx.compile(turns(400_000), shapeless=True), x=mx.ones(3): mx.eval(f(x)),
    "a Hessian": lambda: lambda f=mx.hessian(deep), x=mx.ones((1000,)): mx.eval(f(x)),
    "building a Hessian": lambda: lambda f=mx.hessian(lambda x: deep(x, 100_000)), x=mx.ones((4,)): f(x),
    "building a gradient": lambda: lambda f=mx.grad(lambda x: deep(x, 300_000)), x=mx.ones((4,)): f(x),
    "building a nested vmap": lambda: lambda f=mx.vmap(mx.vmap(mx.grad(lambda x: deep(x, 200_000)))), x=mx.ones((2, 2, 3)): f(x),
    "building a jvp": lambda: lambda x=mx.ones((4,)): mx.jvp(lambda x: deep(x, 300_000), [x], [x]),
    "a graph of many nodes": lambda: lambda y=turns(2_000_000)(mx.ones((2,))): mx.eval(y),
    "tolist": lambda: lambda x=counted(100_000_000): x.tolist(),
    "debug_nans": lambda: lambda x=square(16_000): checked(lambda: mx.sum(mx.broadcast_to(x, (60, 16_000, 16_000)))),
}


def prepared(f, x):
    f(x)
    return lambda: mx.eval(f(x), f(x), f(x), f(x))


def checked(f):
    with mx.debug_nans():
        mx.eval(f())


def interrupted(run, after=0.25):
    """Seconds from the signal to KeyboardInterrupt; None when the work was done before the signal. Where the machine
    gives this process less than the time that passes, it is what the process had from about then on."""
    # From the kernel's timer: another thread could not send it while this one holds the interpreter lock.
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    sent, had = time.monotonic() + after, time.process_time() + after
    try:
        try:  # the signal may come at any point, these lines included
            signal.setitimer(signal.ITIMER_REAL, after)
            run()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return None
    except KeyboardInterrupt:
        return min(time.monotonic() - sent, time.process_time() - had)
    finally:
        try:
            signal.signal(signal.SIGALRM, previous)
        except KeyboardInterrupt:  # another thread took the signal, and this one hears of it only now
            signal.signal(signal.SIGALRM, previous)


def main():
    import sys

    names = sys.argv[1:] or [*KERNELS, *CALLS]
    for name in names:
        if name in KERNELS:
            make = KERNELS[name]()
            run = lambda: mx.eval(make())
        else:
            run = CALLS[name]()
        start = time.monotonic()
        latency = interrupted(run)
        took = time.monotonic() - start
        answer = f"{latency * 1e3:7.1f} ms" if latency is not None else f"done after {took:.2f} s"
        print(f"{name:28} {answer}", flush=True)
        mx.clear_cache()


if __name__ == "__main__":
    main()
