"""Results that take an operand's memory: only where nobody else needs it, and with the same bits."""

import random
import threading

import mlx.core as mx
import numpy as np
import pytest

import samples

CELLS = [pytest.param(sample, dtype, id=f"{sample.id}-{dtype}") for sample in samples.samples() for dtype in sample.dtypes]

# Ops whose result may be where their operand was; every elementwise op, too, when dtypes are equally large.
TAKING = {"cummax", "cummin", "cumprod", "cumsum", "put_along_axis", "scatter", "scatter_add", "scatter_max", "scatter_min", "scatter_prod",
          "slice_update", "sort"}


def own(values):
    """The same values, in memory that nothing else uses."""
    copies = [mx.contiguous(v) if v.dtype == mx.bool_ else mx.contiguous(v) + mx.zeros((), v.dtype) for v in values]
    mx.eval(copies)
    return copies


def bits(outputs):
    mx.eval(outputs)
    return [(str(a.dtype), a.shape, numpy_of(mx.contiguous(a)).tobytes()) for a in outputs]


def numpy_of(a):
    return np.asarray(a.view(mx.uint16) if a.dtype == mx.bfloat16 else a)


def address(a):
    return numpy_of(a).__array_interface__["data"][0]


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("sample, dtype", CELLS)
def test_temporary_operands_give_the_same_bits(sample, dtype):
    """Once with operands that stay, with operands that nothing else holds, and with ones that a pending result reads."""
    values = sample.to_mx(sample.draw(dtype), dtype)
    mx.eval(values)
    expected = bits(sample.outputs(*values))

    temporary = own(values)
    outputs = sample.outputs(*temporary)
    del temporary
    assert bits(outputs) == expected

    temporary = own(values)
    outputs = sample.outputs(*temporary)
    readers = [mx.flatten(v) for v in temporary] + [mx.concatenate([mx.flatten(v)] * 2) for v in temporary]
    del temporary
    assert bits(outputs + readers)[:len(outputs)] == expected
    assert bits(readers) == bits([mx.flatten(v) for v in values] + [mx.concatenate([mx.flatten(v)] * 2) for v in values])


def test_which_ops_take_memory():
    taking = set()
    for sample in samples.samples():
        if "float32" not in sample.dtypes:
            continue
        operands = own(sample.to_mx(sample.draw("float32"), "float32"))
        if not operands or not all(a.size for a in operands):
            continue
        before = {address(a) for a in operands}
        outputs = sample.outputs(*operands)
        del operands
        mx.eval(outputs)
        if not sample.elementwise and any(a.size and address(a) in before for a in outputs):
            taking.add(sample.op["name"])
    assert TAKING <= taking, TAKING - taking


N = 1 << 20


def rows(n=N):
    x = mx.zeros((n // 256, 256))
    x[-1] = 0.0  # until then it is one number, repeated
    mx.eval(x)
    return x


UPDATES = {
    "row": lambda x, i: x.__setitem__(i, 1.0),
    "slice": lambda x, i: x.__setitem__(slice(i, i + 2), 2.0),
    "column": lambda x, i: x.__setitem__((slice(None), i), 3.0),
    "element": lambda x, i: x.__setitem__((i, i), 4.0),
    "steps": lambda x, i: x.__setitem__(slice(i, None, 7), 5.0),
    "from another row": lambda x, i: x.__setitem__(i + 1, x[i] * 2 + 1),
    "from a row": lambda x, i: x.__setitem__(i + 1, x[i]),
    "index array": lambda x, i: x.__setitem__(mx.array([i, i + 2]), 6.0),
    "mask": lambda x, i: x.__setitem__(x[:, 0] > 5, 7.0),
    "added in place": lambda x, i: x.__setitem__(i, x[i] + 1),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_assignment_does_not_copy(update):
    x, reference = rows(), np.zeros((N // 256, 256), np.float32)
    for i in range(3):
        update(x, i)
        mx.eval(x)
    where = address(x)
    active, _ = mx.get_active_memory(), mx.reset_peak_memory()
    for i in range(3, 9):
        update(x, i)
        mx.eval(x)
    assert address(x) == where
    assert mx.get_peak_memory() - active < x.nbytes // 2

    for i in range(9):
        if update is UPDATES["mask"]:
            reference[reference[:, 0] > 5] = 7
        elif update is UPDATES["index array"]:
            reference[np.array([i, i + 2])] = 6
        else:
            update(reference, i)
    assert np.array_equal(np.array(x), reference)


def test_at_and_slice_update_do_not_copy():
    x = rows()
    active, _ = mx.get_active_memory(), mx.reset_peak_memory()
    for i in range(4):
        x = x.at[i].add(2.0)
        x = x.at[mx.array([i, i])].multiply(3.0)
        x = mx.slice_update(x, mx.ones((1, 256)), mx.array([i + 8]), axes=(0,))
        mx.eval(x)
    assert mx.get_peak_memory() - active < x.nbytes // 2
    assert x[0, 0].item() == 18 and x[11, 5].item() == 1


def test_many_updates_in_one_graph():
    x = rows()
    active, _ = mx.get_active_memory(), mx.reset_peak_memory()
    for i in range(1, 500):
        x[i] = x[i - 1] + 1
    mx.eval(x)
    assert x[499, 0].item() == 499
    assert mx.get_peak_memory() - active < x.nbytes // 2


def test_compiled_updates_and_loops_do_not_copy():
    @mx.compile
    def step(x, i):
        x[3] = x[2] + i
        return x.at[mx.array([5])].add(1.0)

    x = rows()
    for i in range(2):
        x = step(x, mx.array(1.0))
        mx.eval(x)
    active, _ = mx.get_active_memory(), mx.reset_peak_memory()
    for i in range(4):
        x = step(x, mx.array(1.0))
        mx.eval(x)
    assert mx.get_peak_memory() - active < x.nbytes // 2

    def body(i, x):
        return x.at[i].add(1.0)

    mx.reset_peak_memory()
    x = mx.fori_loop(0, 40, body, x)
    mx.eval(x)
    assert mx.get_peak_memory() - active < 2.5 * x.nbytes  # one copy, of what the caller holds


@pytest.mark.parametrize("holder", ["handle", "view", "numpy", "memoryview", "list in a graph", "placeholder"])
def test_whoever_holds_an_array_keeps_its_values(holder):
    x = mx.arange(float(N)).reshape(256, -1)
    mx.eval(x)
    y = mx.array(x) if holder == "handle" else x
    kept = {"handle": lambda: x, "view": lambda: x[:2], "numpy": lambda: np.asarray(x), "memoryview": lambda: memoryview(x),
            "list in a graph": lambda: mx.concatenate([x, x]), "placeholder": lambda: None}[holder]()
    if holder == "view":
        mx.eval(kept)
    if holder == "placeholder":
        seen = []

        def f(a):
            seen.append(a * 1)
            a[0] = 7.0
            mx.eval(a)
            return a.sum() + seen[0].sum() * 2

        g = mx.grad(f)(y)
        assert (g[0, 0].item(), g[1, 0].item()) == (2, 3)
        return
    y = y + 0 if holder == "handle" else y
    y[0] = -5.0
    y[1] = -6.0
    mx.eval(y)
    first = np.array(kept) if holder != "memoryview" else np.asarray(kept)
    assert first[0, 1] == 1 and first[1, 0] == N // 256
    assert y[0, 1].item() == -5


def test_an_update_that_fails_says_so_again():
    x = rows()
    x[mx.array([1 << 20])] = 1.0
    for _ in range(2):
        with pytest.raises(IndexError):
            mx.eval(x)
    assert (mx.ones((2,)) + 1).tolist() == [2, 2]


def test_threads_update_arrays_of_their_own():
    shared = mx.zeros((512, 256)) + 1
    mx.eval(shared)
    results = [None] * 8

    def work(k):
        x = shared * 1
        for i in range(60):
            x[i] = x[i] + float(k)
            if i % 7 == 0:
                mx.eval(x)
        results[k] = x.sum().item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [512 * 256 + 60 * 256 * k for k in range(8)]
    assert shared.sum().item() == 512 * 256


def test_sorting_takes_its_memory_twice():
    x = mx.random.uniform(shape=(1 << 22,))
    mx.eval(x)
    size, active, _ = x.nbytes, mx.get_active_memory(), mx.reset_peak_memory()
    x = mx.sort(x)
    mx.eval(x)
    assert mx.get_peak_memory() - active < 1.3 * size  # scratch for one pass


@pytest.mark.parametrize("seed", range(60))
def test_versions_of_arrays_that_later_steps_read(seed):
    """Each version is an earlier one, with a part of another written to it. A step that takes memory over first does what
    still reads it, which may be such a step itself, and need the first one."""
    rng, n = random.Random(seed), 3000
    ours = [mx.arange(n, dtype=mx.int64) * (k + 1) for k in range(2)]
    numpys = [np.arange(n, dtype=np.int64) * (k + 1) for k in range(2)]

    def part(length):
        first = rng.randrange(n - length)
        return slice(first, first + length)

    for _ in range(40):
        i, j = max(0, len(ours) - 1 - rng.randrange(rng.choice([1, 6]))), rng.randrange(max(0, len(ours) - 8), len(ours))
        length = rng.choice([1, 10, 1000])
        to, of, kind = part(length), part(length), rng.randrange(4)
        x, y = mx.array(ours[i]), numpys[i].copy()
        if kind < 2:
            x[to], y[to] = ours[j][of] + 1, numpys[j][of] + 1
        elif kind == 2:
            x[to], y[to] = ours[j][of][::-1], numpys[j][of][::-1]
        else:
            x = x.at[mx.array([to.start, of.start])].add(ours[j][of][:1])
            np.add.at(y, np.array([to.start, of.start]), numpys[j][of][:1])
        if rng.random() < 0.3:
            x[to.start], y[to.start] = mx.sum(ours[j]), numpys[j].sum()
        ours.append(x)
        numpys.append(y)
    kept = sorted({len(ours) - 1, *(rng.randrange(len(ours)) for _ in range(rng.randrange(5)))})
    outputs = [ours[k] if k % 2 else mx.sum(ours[k]) for k in kept]
    del ours, x
    mx.eval(outputs)
    assert all(np.array_equal(np.array(output), numpys[k] if k % 2 else numpys[k].sum()) for k, output in zip(kept, outputs))
