"""Calls every public function with arguments that hardly fit together, and prints those that raise what no caller expects: a
program of its own, since what it looks for may end the process. `random_calls.py SEED CALLS_PER_FUNCTION`."""

import inspect
import random
import resource
import signal
import sys

import mlx.core as mx

# They write files, change what the whole process uses, or wait for somebody.
LEFT_OUT = {"save", "savez", "savez_compressed", "save_safetensors", "save_gguf", "load", "set_memory_limit", "set_cache_limit",
            "set_wired_limit", "start_capture", "export_function", "exporter", "import_function", "export_to_dot", "set_default_device",
            "set_default_stream", "clear_streams", "disable_compile", "set_printoptions"}  # fmt: skip
EXPECTED = (ValueError, TypeError, IndexError, OverflowError, MemoryError, KeyError, AttributeError, ZeroDivisionError)
DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.int8, mx.uint8, mx.int32, mx.int64, mx.uint64, mx.bool_, mx.complex64]
VALUES = [0, 1, -1, 2, 3, -2, 7, 1 << 31, -(1 << 31), 1 << 62, -(1 << 63), 1 << 64, 1 << 70, 0.5, -0.0, float("nan"), float("inf"), 1e308,
          True, False, None, "", "full", "same", "reflect", 1j, [], [0], [1, 2], (0, 1), (2, 3), [-1], (1 << 40, 1 << 40), {}, b"x",
          object(), lambda *a: a[0] if a else None, slice(None), ..., mx.float16, mx.int32, "float32"]  # fmt: skip
KEYWORDS = ["axis", "axes", "dtype", "shape", "keepdims", "n", "k", "m", "stride", "padding", "mode", "stream", "ddof", "indices", "norm",
            "size", "num", "dilation", "groups", "side", "kth", "descending", "a_min", "a_max", "copy", "ord", "full_matrices", "compute_uv",
            "key", "values", "repeats", "offset", "equal_nan", "rtol", "in_axes", "argnums"]  # fmt: skip


def functions():
    for module in (mx, mx.linalg, mx.fft, mx.special, mx.random):
        for name in dir(module):
            f = getattr(module, name)
            if not name.startswith("_") and name not in LEFT_OUT and callable(f) and not inspect.isclass(f):
                yield f"{module.__name__}.{name}", f


def drawn_array(rng):
    shape = tuple(rng.choice([0, 1, 2, 3, 3, 4, 5, 17]) for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 3, 4])))
    x = mx.random.normal(shape) * rng.choice([1, 0, 1e30, -3, float("nan"), float("inf")])
    x = x.astype(rng.choice(DTYPES))
    return x[::-1] if x.ndim and rng.random() < 0.2 else x


def drawn(rng):
    part = rng.random()
    if part < 0.1:
        return [drawn_array(rng) for _ in range(rng.randint(0, 3))]
    return drawn_array(rng) if part < 0.65 else rng.choice(VALUES)


def evaluate(result, rng):
    if isinstance(result, mx.array):
        mx.eval(result)
    elif isinstance(result, (list, tuple)):
        for part in result:
            evaluate(part, rng)
    elif inspect.isroutine(result) and rng.random() < 0.7:  # a transformed function
        evaluate(result(*(drawn(rng) for _ in range(rng.choice([1, 2])))), rng)


def shown(x):
    return f"{x.dtype}{x.shape}" if isinstance(x, mx.array) else [shown(y) for y in x] if isinstance(x, list) else repr(x)[:60]


def main(seed, calls):
    def took_too_long(*_):
        raise RuntimeError("it takes more than half a minute")

    signal.signal(signal.SIGALRM, took_too_long)
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # what is larger is MemoryError
    done = 0
    for name, f in functions():
        rng = random.Random(f"{seed} {name}")
        mx.random.seed(seed)
        for _ in range(calls):
            args = [drawn(rng) for _ in range(rng.choice([1, 1, 2, 2, 2, 3, 4, 5]))]
            kwargs = {rng.choice(KEYWORDS): rng.choice(VALUES) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))}
            call = f"{name} {[shown(a) for a in args]} {kwargs}"
            print(call, file=sys.stderr, flush=True)  # the last one is the one that ended the process
            signal.alarm(30)
            try:
                evaluate(f(*args, **kwargs), rng)
            except EXPECTED:
                pass
            except AssertionError as error:  # what check_grads says of a derivative that differences do not confirm, as they cannot at inf
                if "is wrong" not in str(error):
                    print(call, repr(error))
            except Exception as error:
                print(call, repr(error))
            finally:
                signal.alarm(0)
            done += 1
    print("calls:", done)


main(*map(int, sys.argv[1:]))
