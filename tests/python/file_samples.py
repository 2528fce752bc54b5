"""Arrays and small valid files for the tests of files."""

import io

import mlx.core as mx
import numpy as np

DTYPES = ("bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
          "float64", "complex64", "complex128")  # fmt: skip
IN_GGUF = ("int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
SHAPES = ((), (0,), (1,), (5,), (2, 3), (0, 4), (2, 1, 3))


def sample(dtype, shape):
    count = int(np.prod(shape))
    values = mx.arange(count) % 2 if dtype == "bool_" else mx.arange(count)
    return (values.astype(mx.complex128) * (1 + 2j) if dtype.startswith("complex") else values).astype(getattr(mx, dtype)).reshape(shape)


def layouts(a):
    """The array as it is, and as views whose memory is not row-major."""
    yield a
    if a.ndim:
        yield a[::-1]
        yield a.T
        yield mx.broadcast_to(a[:1], a.shape)
        yield mx.concatenate([a, a], axis=-1)[..., ::2]


def same(a, b):
    """Equal to the bit, dtype and shape."""
    return a.dtype == b.dtype and a.shape == b.shape and bytes(a) == bytes(b)


def written(save, *args, **kwargs):
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


def valid_files():
    """(format, bytes) of files that have a bit of everything."""
    a, b = mx.arange(6).reshape(2, 3), mx.array([1.5, -2.0], mx.bfloat16)
    yield "npy", written(mx.save, a)
    yield "npy", written(mx.save, mx.array(True))
    yield "npz", written(mx.savez, a, b=b)
    yield "npz", written(mx.savez_compressed, a, b=mx.zeros((40,)))
    yield "safetensors", written(mx.save_safetensors, {"a": a, "é": b, "none": mx.zeros((0, 2))}, {"key": "text\n"})
    yield "gguf", written(mx.save_gguf, {"a": a, "b": b}, {"n": mx.array([1, 2]), "t": ["a", "bc"], "s": "text", "x": 2.5})
