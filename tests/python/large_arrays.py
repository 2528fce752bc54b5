"""Operations on int8 arrays of 2^31 + 4099 elements: prints `ok name`, or `wrong name` with what came out. Run by
test_memory_budget.py in a process of its own; large_arrays.py name... runs some."""

import gc
import os
import sys
import tempfile

import mlx.core as mx
import numpy as np

N = 2**31 + 4099
FAR, MIDDLE, NEAR = N - 2, 2**31 + 1, 3  # places that hold 7, 1 and -5; all else is 0
ROWS = (2**31 + 4096) // 4096


def made():
    x = mx.zeros((N,), mx.int8)
    x[FAR], x[MIDDLE], x[NEAR] = 7, 1, -5
    mx.eval(x)
    return x


def at(y, *places):
    return [y[p].item() for p in places or (NEAR, MIDDLE, FAR, N - 1)]


def saved(x, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x" + suffix)
        if suffix == ".npy":
            mx.save(path, x)
            y = mx.load(path)
        else:
            mx.save_safetensors(path, {"x": x})
            y = mx.load(path)["x"]
        return [y.shape[0] - N, *at(y)]


def two_columns(x):
    y = mx.contiguous(x[: 2**31 + 4096].reshape(2, -1).T)
    half = 2**30 + 2048
    return [y[NEAR, 0].item(), y[MIDDLE - half, 1].item(), y.shape[0] - half]


def wide_index(*places):
    return mx.array(places, dtype=mx.int64)


CASES = {  # function of x, and what it gives
    "arithmetic": (lambda x: at(x * 2 + 1), [-9, 3, 15, 1]),
    "a chain": (lambda x: at(mx.where(x > 0, mx.abs(x) + 1, -x)), [5, 2, 8, 0]),
    "broadcast rows": (lambda x: at(mx.add(x[:-3].reshape(-1, 4096), mx.arange(4096).astype(mx.int8))[ROWS - 1], 0, 1, 4094), [0, 2, -2]),
    "strided": (lambda x: at(x[::-1] + x, NEAR, FAR, 1), [-5, 7, 7]),
    "reversed copy": (lambda x: at(mx.contiguous(x[::-1]), 1, N - 1 - MIDDLE, N - 1 - NEAR), [7, 1, -5]),
    "columns": (two_columns, [-5, 1, 0]),
    "sum": (lambda x: [x.sum().item(), (x != 0).sum().item(), x.reshape(1, -1).sum(axis=1).item(), x.reshape(-1, 1).sum(axis=0).item()], [3, 3, 3, 3]),
    "max": (lambda x: [mx.max(x).item(), mx.min(x).item(), x.reshape(-1, 1).max(axis=0).item(), mx.any(x == 7).item()], [7, -5, 7, True]),
    "argmax": (lambda x: [mx.argmax(x).item(), mx.argmin(x).item()], [FAR, NEAR]),
    "cumsum": (lambda x: at(mx.cumsum(x)), [-5, -4, 3, 3]),
    "reverse cummax": (lambda x: at(mx.cummax(x, reverse=True)), [7, 7, 7, 0]),
    "slices": (lambda x: [*x[-4:].tolist(), *x[FAR::-(2**30)].tolist(), x[1::2][(N - 3) // 2].item()], [0, 0, 7, 0, 7, 0, 0, 7]),
    "take": (lambda x: mx.take(x, wide_index(FAR, -2, NEAR, MIDDLE)).tolist(), [7, 7, -5, 1]),
    "take outside": (lambda x: mx.take(x, wide_index(N, FAR, -N - 1), mode="fill", fill_value=9).tolist(), [9, 7, 9]),
    "take columns": (lambda x: x.reshape(1, -1)[:, wide_index(FAR, NEAR)].tolist(), [[7, -5]]),
    "take rows": (lambda x: x[:-3].reshape(-1, 4096)[wide_index(0, ROWS - 1)][:, :4].tolist(), [[0, 0, 0, -5], [0, 1, 0, 0]]),
    "many indices": (lambda x: at(mx.take(mx.array([4, 5], mx.int8), (x == 7).astype(mx.uint8))), [4, 4, 5, 4]),
    "along": (lambda x: mx.take_along_axis(x, wide_index(FAR, NEAR), axis=0).tolist(), [7, -5]),
    "scatter": (lambda x: at(x.at[wide_index(FAR, FAR, MIDDLE)].add(mx.array([1, 2, 3], mx.int8))), [-5, 4, 10, 0]),
    "put": (lambda x: at(mx.put_along_axis(x, wide_index(N - 1, MIDDLE), mx.array([3, 4], mx.int8), axis=0)), [-5, 4, 7, 3]),
    "slice_update": (lambda x: at(mx.slice_update(x, mx.array([9], mx.int8), wide_index(N - 1), (0,))), [-5, 1, 7, 9]),
    "casts": (lambda x: [*at(x.astype(mx.int16)), *at(x.astype(mx.bool_))], [-5, 1, 7, 0, True, True, True, False]),
    "to floats": (lambda x: at(x.astype(mx.float16)), [-5, 1, 7, 0]),
    "concatenate": (lambda x: at(mx.concatenate([x[: 2**30], x[2**30 :], mx.array([4], mx.int8)]), NEAR, FAR, N), [-5, 7, 4]),
    "stack": (lambda x: [mx.stack([x, x], axis=1)[p].tolist() for p in (MIDDLE, FAR)], [[1, 1], [7, 7]]),
    "pad and roll": (lambda x: [*at(mx.pad(x, (1, 1)), NEAR + 1, FAR + 1), *at(mx.roll(x, 5), NEAR, NEAR + 5)], [-5, 7, 7, -5]),
    "repeat": (lambda x: at(mx.repeat(mx.array([3, 4], mx.int8), 2**30 + 5), 2**30 + 4, 2**31 + 9), [3, 4]),
    "tile": (lambda x: at(mx.tile(mx.array([1, 2, 3], mx.int8), 2**30), 2**31, 3 * 2**30 - 1), [3, 3]),
    "masks": (lambda x: x[x != 0].tolist(), [-5, 1, 7]),
    "sort": (lambda x: at(mx.sort(x), 0, 1, N - 3, N - 2, N - 1), [-5, 0, 0, 1, 7]),
    "searchsorted": (lambda x: mx.searchsorted(mx.zeros_like(x).at[N - 1].set(5), mx.array([0, 5, 6], mx.int8)).tolist(), [0, N - 1, N]),
    "random bits": (lambda x: [mx.array_equal(b[: N - 2**31], b[2**31 :]).item() for b in [mx.random.bits((N,), width=1)]], [False]),
    "matrix times vector": (lambda x: at(x[:-3].reshape(-1, 4096) @ mx.ones((4096,), dtype=mx.int8), 0, ROWS - 1), [-5, 1]),
    "equality": (lambda x: [mx.array_equal(x, x).item(), mx.array_equal(x, x.at[FAR].add(1)).item()], [True, False]),
    "numpy": (lambda x: [np.asarray(x)[FAR].item(), at(mx.array(np.asarray(x)), FAR)[0], len(memoryview(x)) - N], [7, 7, 0]),
    "save": (lambda x: saved(x, ".npy"), [0, -5, 1, 7, 0]),
    "safetensors": (lambda x: saved(x, ".safetensors"), [0, -5, 1, 7, 0]),
    "gradient": (lambda x: mx.grad(lambda t: (t[-3:] * mx.array([1, 2, 3], mx.float16)).sum())(x.astype(mx.float16))[-4:].tolist(), [0, 1, 2, 3]),
}  # fmt: skip


def main(names):
    x = made()
    for name, (call, wanted) in CASES.items():
        if not names or name in names:
            got = call(x)
            print("ok" if got == wanted else "wrong", name, "" if got == wanted else got, flush=True)
            gc.collect()
            mx.clear_cache()


if __name__ == "__main__":
    main(sys.argv[1:])
