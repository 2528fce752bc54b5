"""Graphs that nobody evaluates are computed in the background before they become large; what is never needed never is."""

import gc
import resource
import threading

import mlx.core as mx
import pytest


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def test_a_loop_without_eval_does_not_grow():
    x = mx.ones((16,))
    y = mx.zeros((16,))
    for i in range(100_000):
        y = y * 0.5 + x
    before = resident()
    for i in range(400_000):
        y = y * 0.5 + x
    assert resident() - before < 60 << 20  # 560 MB of nodes otherwise
    assert y.tolist() == [2.0] * 16


def test_shared_parts_are_not_counted_again_and_again():
    """h + f(h) doubles the number of paths with each step, not the number of nodes."""
    h = mx.ones((4,))
    for _ in range(200):
        h = h + mx.sin(h) * 0.01
    assert mx._node_count(h) >= 600  # nothing of it has been computed


def test_lazy_parameters_that_are_replaced_are_never_computed():
    before, _ = mx.get_active_memory(), mx.reset_peak_memory()
    for _ in range(3):
        layers = [{"w": mx.random.normal((1 << 14, 1 << 14)) * 0.02, "b": mx.zeros((1 << 14,))} for _ in range(40)]
    layers = [{"w": mx.ones((2, 2))} for _ in layers]
    mx.eval(layers)
    assert mx.get_peak_memory() - before < 1 << 20


def test_many_lazy_nodes_beside_each_other_stay_lazy():
    arrays = [mx.ones((1000, 1000)) * i for i in range(30_000)]  # 120 GB
    assert arrays[7][0, 0].item() == 7


def test_memory_that_pending_work_keeps_alive_is_bounded():
    limit = mx.set_memory_limit(mx.get_active_memory() + (64 << 20))
    try:
        total = mx.zeros((1 << 18,))
        before, _ = mx.get_active_memory(), mx.reset_peak_memory()
        for i in range(400):
            batch = mx.full((1 << 18,), float(i)) + 0
            mx.eval(batch)
            total = total + batch
            del batch
        assert mx.get_peak_memory() - before < 128 << 20
        assert total[5].item() == sum(range(400))
    finally:
        mx.set_memory_limit(limit)


def test_evaluation_lets_go_early_under_a_limit():
    """Products in a sum: without the limit the additions wait for each other in one group, and keep every product alive."""
    a = mx.ones((256, 256))
    mx.eval(a)
    limit = mx.set_memory_limit(mx.get_active_memory() + (2 << 20))
    try:
        total = mx.zeros((256, 256))
        for i in range(64):
            total = total + (a * float(i)) @ a
        before, _ = mx.get_active_memory(), mx.reset_peak_memory()
        mx.eval(total)
        assert mx.get_peak_memory() - before < 4 << 20
        assert total[0, 0].item() == 256 * sum(range(64))
    finally:
        mx.set_memory_limit(limit)


def test_an_error_in_the_background_belongs_to_its_arrays():
    bad = mx.array([1.0, 2.0])[mx.array([5])]
    y = bad
    for _ in range(40_000):
        y = y + 1.0
    good = mx.ones((2,))
    for _ in range(40_000):
        good = good + 1.0
    mx.synchronize()
    assert good.tolist() == [40_001.0] * 2
    with pytest.raises(IndexError):
        y.tolist()


def test_transforms_keep_what_they_need():
    def f(x):
        y = x
        for _ in range(20_000):
            y = y * 0.9999 + x * 1e-5
        return y.sum()

    value, g = mx.value_and_grad(f)(mx.ones((3,)))
    expected = 0.9999**20_000 + 1e-5 * (1 - 0.9999**20_000) / 1e-4
    assert g.tolist() == pytest.approx([expected] * 3, rel=1e-3)


def test_threads_build_long_chains_at_once():
    results = [None] * 4

    def work(k):
        y = mx.zeros((8,))
        for _ in range(60_000):
            y = y * 0.5 + float(k)
        results[k] = y[0].item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2.0 * k for k in range(4)]
    gc.collect()


def test_figures():
    numpy = pytest.importorskip("numpy")
    before, foreign = mx.get_active_memory(), mx.get_foreign_memory()
    own = mx.ones((1 << 18,)) + 0
    mx.eval(own)
    assert 1 << 20 <= mx.get_active_memory() - before < (1 << 20) + (1 << 18)
    theirs = mx.asarray(numpy.ones((1 << 18,), numpy.float32), copy=False)
    assert mx.get_foreign_memory() - foreign == 1 << 20
    assert mx.get_active_memory() - before < (1 << 20) + (1 << 18)
    del own, theirs
    gc.collect()
    assert mx.get_active_memory() - before < 4096
    assert mx.get_foreign_memory() == foreign
