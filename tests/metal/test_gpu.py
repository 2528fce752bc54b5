# The GPU end to end: arrays made, computed and read on mx.gpu, against the CPU.
import numpy as np
import pytest

import mlx.core as mx

FLOATS = ("float32", "float16", "bfloat16")
INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")


def both(function, *arguments):
    """What a function gives on the GPU and on the CPU, as NumPy arrays."""
    results = []
    for device in (mx.gpu, mx.cpu):
        with mx.stream(device):
            out = function(*[mx.array(a) if isinstance(a, np.ndarray) else a for a in arguments])
            mx.eval(out)
        as_float = lambda x: x.astype(mx.float32) if x.dtype == mx.bfloat16 else x
        results.append([np.array(as_float(x)) for x in (out if isinstance(out, (list, tuple)) else [out])])
    return results


def assert_equal(function, *arguments):
    for got, expected in zip(*both(function, *arguments)):
        np.testing.assert_array_equal(got, expected)


def assert_close(function, *arguments, rtol=2e-6, atol=2e-7):
    for got, expected in zip(*both(function, *arguments)):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_default_device():
    assert mx.default_device() == mx.gpu
    assert mx.default_stream(mx.gpu).device == mx.gpu
    assert mx.metal.is_available()
    assert mx.device_count(mx.gpu) == 1
    assert "device_name" in mx.device_info(mx.gpu)


def test_arithmetic():
    assert_equal(lambda a, b: (a + b * 2, a - b, a * b, a / b, mx.maximum(a, b), -a, abs(a)), draw(50, 7), draw(50, 7, seed=1))
    assert_equal(lambda a, b: a + b, draw(50, 1), draw(1, 7))
    assert_equal(lambda a, b: a < b, draw(50, 1), draw(1, 7))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype):
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 100, (300,)).astype(dtype) for _ in range(2))
    assert_equal(lambda a, b: (a + b, a * b, a - b, a // b, a % b, a & b, a | b, a ^ b, a << 2, a >> 1, a == b, a > b), a, b)


def test_functions():
    x = draw(400)
    assert_close(lambda x: (mx.exp(x), mx.sin(x), mx.cos(x), mx.tanh(x), mx.sigmoid(x), mx.erf(x), mx.log1p(abs(x))), x)
    assert_close(lambda x: (mx.softmax(x), mx.logsumexp(x, 1), x.mean(1), x.var(1)), x.reshape(20, 20), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_halves(dtype):
    dtype = getattr(mx, dtype)
    assert_equal(lambda x: (x.astype(dtype) * 3 + 1).astype(mx.float32), draw(100))


def test_movement():
    x = draw(6, 7, 8)
    assert_equal(lambda x: x.transpose(2, 0, 1) + 0, x)
    assert_equal(lambda x: x[::2, 1:5, ::-1] * 1, x)
    assert_equal(lambda x: mx.concatenate([x, x + 1], axis=1), x)
    assert_equal(lambda x: mx.broadcast_to(x[:, :1], (6, 7, 8)) + x, x)
    assert_equal(lambda x: mx.contiguous(x.swapaxes(0, 2)), x)
    assert_equal(lambda x: mx.where(x > 0, x, 0), x)


def test_made_on_the_device():
    assert_equal(lambda: mx.arange(1000))
    assert_equal(lambda: mx.arange(0, 10, 0.1))
    assert_equal(lambda: mx.full((3, 4), 2.5))
    assert_equal(lambda: mx.random.bits((100,), key=mx.random.key(3)))
    assert_equal(lambda: mx.random.uniform(shape=(100,), key=mx.random.key(4)))


def test_kinds():
    x = draw(30, 40)
    assert_close(lambda x: (x.sum(1), x.sum(0), x.sum(), x.max(1), x.min(0), x.prod(1)), x, rtol=1e-5, atol=1e-5)
    assert_equal(lambda x: (x.argmax(1), x.argmin(0)), x)
    assert_close(lambda x: (mx.cumsum(x, 1), mx.cumsum(x, 0)), x, rtol=1e-5, atol=1e-5)
    assert_equal(lambda x: (mx.sort(x, 1), mx.argsort(x, 1), mx.sort(x, 0)), x)
    assert_close(lambda x: x @ x.T, x, rtol=1e-5, atol=1e-5)
    assert_equal(lambda x: x[mx.array([3, 1, 2])], x)
    assert_equal(lambda x: x.at[mx.array([3, 1, 3])].add(1.0), x)


@pytest.mark.parametrize("name", ["sum", "prod", "min", "max", "all", "any"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int16", "uint64", "bool"])
def test_a_reduction_alone(name, dtype):
    x = np.random.default_rng(2).integers(0, 3, (6, 5, 7)).astype(dtype)
    for axis in (-1, 0, 1, (0, 2), (1, 2), None):
        for keepdims in (False, True):
            assert_equal(lambda x: getattr(mx, name)(x, axis, keepdims), x)


def test_float64_is_computed_by_the_host():
    def f(x):
        x = mx.array(x, dtype=mx.float64)
        return mx.exp(x) * 2 + x.sum()

    x = np.linspace(0, 1, 20).tolist()
    assert_equal(f, x)
    assert both(f, x)[0][0].dtype == np.float64


def test_gradients_and_compile():
    def loss(w, x):
        return mx.tanh(x @ w).square().sum()

    w, x = draw(8, 4), draw(16, 8, seed=1)
    assert_close(lambda w, x: mx.grad(loss)(w, x), w, x, rtol=1e-5, atol=1e-5)
    step = lambda w, x: mx.softmax(mx.exp(-x * x) + w.sum(), axis=-1) * 2
    eager, compiled = step(mx.array(w), mx.array(x)), mx.compile(step)(mx.array(w), mx.array(x))
    np.testing.assert_array_equal(np.array(eager), np.array(compiled))


def test_devices_together():
    x = mx.array(draw(64))
    with mx.stream(mx.cpu):
        a = x * 2
    b = a + 1  # on the GPU
    with mx.stream(mx.cpu):
        c = b * 3
    np.testing.assert_array_equal(np.array(c), (np.array(x) * 2 + 1) * 3)


def test_two_streams():
    streams = [mx.new_stream(mx.gpu) for _ in range(2)]
    x = mx.array(draw(256))
    a = mx.multiply(x, 2, stream=streams[0])
    b = mx.add(a, 1, stream=streams[1])
    c = mx.add(a, b, stream=streams[0])
    np.testing.assert_array_equal(np.array(c), np.array(x) * 2 + (np.array(x) * 2 + 1))
    mx.synchronize(streams[0])


def test_an_index_out_of_bounds():
    x = mx.array(draw(5))
    y = mx.take(x, mx.array([1, 7]))
    with pytest.raises(IndexError, match="index 7"):
        mx.eval(y)
    np.testing.assert_array_equal(np.array(x + 1), np.array(x) + 1)


@pytest.mark.parametrize("device", (mx.gpu, mx.cpu), ids=str)
@pytest.mark.parametrize("shape", ((3, 1), (3, 40), (1, 5000)))
def test_the_first_nan_is_the_extreme_also_where_a_part_of_it_compares(device, shape):
    x = draw(*shape).astype(np.complex64)
    x[..., 0] = complex(0, np.nan)
    for axis in range(x.ndim):
        for name in ("argmin", "argmax"):
            got = getattr(mx, name)(mx.array(x), axis=axis, stream=device)
            np.testing.assert_array_equal(np.array(got), getattr(np, name)(x, axis=axis))
