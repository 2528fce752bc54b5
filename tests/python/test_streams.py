"""Streams: what is put on one runs in order, two run at the same time, and a graph may cross them."""

import threading

import mlx.core as mx
import numpy as np
import pytest


@pytest.fixture(scope="module")
def streams():
    return mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)


def test_streams_have_numbers_of_their_own(streams):
    first, second = streams
    assert first != second and first.device == second.device == mx.Device(mx.cpu)
    assert mx.default_stream(mx.cpu) not in streams
    with mx.stream(first):
        assert mx.default_stream(mx.cpu) == first
        with mx.stream(second):
            assert mx.default_stream(mx.cpu) == second
        assert mx.default_stream(mx.cpu) == first
    assert mx.default_stream(mx.cpu) not in streams


@pytest.mark.parametrize("roots", [1, 2, 3])
def test_a_graph_across_streams(streams, roots):
    first, second = streams
    rng = np.random.default_rng(roots)
    for _ in range(60):
        values = [mx.array(rng.uniform(-1, 1, (5, 4))) for _ in range(3)]
        expected = [np.array(v) for v in values]
        for _ in range(rng.integers(1, 25)):
            i, j = rng.integers(len(values), size=2)
            stream = [None, first, second, mx.cpu][rng.integers(4)]
            if rng.integers(3):
                values.append(mx.add(values[i], values[j], stream=stream))
                expected.append(expected[i] + expected[j])
            else:
                values.append(mx.sort(values[i], axis=0, stream=stream))
                expected.append(np.sort(expected[i], axis=0))
        wanted = rng.integers(len(values), size=roots)
        mx.eval([values[i] for i in wanted])
        for i in wanted:
            assert np.array_equal(np.array(values[i]), expected[i])


def test_transforms_run_on_the_streams_of_what_they_derive(streams):
    first, second = streams
    x = mx.array([0.5, 1.5])

    def f(x):
        return mx.sum(mx.multiply(mx.sin(x, stream=first), mx.exp(x, stream=second)))

    expected = np.exp([0.5, 1.5]) * (np.sin([0.5, 1.5]) + np.cos([0.5, 1.5]))
    assert np.allclose(np.array(mx.grad(f)(x)), expected)
    assert np.allclose(np.array(mx.compile(mx.grad(f))(x)), expected)
    assert np.allclose(np.array(mx.vmap(mx.grad(f))(mx.stack([x, x]))), [expected, expected])
    with mx.stream(second):
        assert np.allclose(np.array(mx.grad(f)(x)), expected)
    total = mx.fori_loop(0, 3, lambda i, c: mx.add(c, mx.sin(x, stream=second)), x)
    assert np.allclose(np.array(total), [0.5, 1.5] + 3 * np.sin([0.5, 1.5]))


def test_errors_reach_who_reads(streams):
    first, second = streams
    bad = mx.take(mx.ones((3,)), mx.array([7]), stream=second)
    with pytest.raises(IndexError):
        mx.eval(mx.add(bad, mx.ones((1,)), stream=first))
    with pytest.raises(IndexError):
        bad.item()
    mx.async_eval(mx.take(mx.ones((3,)), mx.array([9]), stream=first))
    with pytest.raises(IndexError):
        mx.synchronize(first)
    mx.synchronize(second)
    assert mx.add(mx.ones((1,)), 1, stream=second).item() == 2


def test_synchronize_waits_for_its_stream(streams):
    first, second = streams
    results = [mx.sum(mx.sort(mx.random.uniform(shape=(200, 200)), axis=0, stream=s), stream=s) for s in streams for _ in range(5)]
    mx.async_eval(*results)
    mx.synchronize(first)
    mx.synchronize(second)
    mx.synchronize()
    assert all(np.isfinite(r.item()) for r in results)


def test_threads_have_their_own_defaults(streams):
    seen = []

    def work():
        seen.append(mx.default_stream(mx.cpu))
        mx.set_default_stream(streams[1])
        seen.append(mx.default_stream(mx.cpu))
        seen.append(mx.sum(mx.ones((3,))).item())

    before = mx.default_stream(mx.cpu)
    with mx.stream(streams[0]):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [before, streams[1], 3] and mx.default_stream(mx.cpu) == before


def test_a_stream_that_is_none():
    with pytest.raises(ValueError, match="gpu"):
        mx.ones((2,), stream=mx.gpu) if not mx.is_available(mx.gpu) else mx.synchronize(mx.Device(mx.gpu, 5))
