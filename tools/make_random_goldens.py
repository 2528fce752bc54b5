"""Writes tests/golden/random.json: what Apple's MLX draws from fixed keys.

    python tools/make_random_goldens.py        (where `pip install mlx[cpu]` is Apple's)

Each entry is an expression of mx and k (a key), the dtype of its value, and the value's elements, exactly: floats as hex."""

import json
import pathlib

import mlx.core as mx
import numpy as np

EXPRESSIONS = [
    "mx.random.key(2**40 + 7)",
    "mx.random.split(k)", "mx.random.split(k, 5)", "mx.random.split(mx.random.split(k, 3)[1], 3)",
    "mx.vmap(lambda k: mx.random.split(k, 3))(mx.random.split(k, 4))",
    *[f"mx.random.uniform(shape=({n},), key=k)" for n in (1, 2, 3, 7, 8, 31)],
    "mx.random.uniform(-3, 7.3, (3, 5), key=k)", "mx.random.uniform(shape=(9,), dtype=mx.float16, key=k)",
    "mx.random.uniform(-3, 7.3, (9,), mx.float16, k)", "mx.random.uniform(0.1, 0.7, (9,), mx.bfloat16, k)",
    "mx.random.uniform(mx.array([[0.0], [1.0]]), mx.array([2.0, 3.0, 4.0]), (2, 3), key=k)",
    "mx.vmap(lambda k: mx.random.uniform(shape=(3,), key=k))(mx.random.split(k, 4))",
    "mx.random.randint(0, 10, (12,), key=k)", "mx.random.randint(-5, 100, (12,), key=k)",
    "mx.random.randint(-5.5, 99.5, (12,), key=k)", "mx.random.randint(0, 2**31 - 1, (9,), key=k)",
    "mx.random.randint(0, 2**32, (9,), mx.int64, k)",
    "mx.random.randint(0, 255, (9,), mx.uint8, k)", "mx.random.randint(5, 2, (3,), key=k)",
    "mx.random.randint(0, 2, (9,), mx.bool_, k)",
    "mx.random.randint(mx.array([0, 100]), mx.array([[3], [1000]]), (2, 2), key=k)",
    "mx.random.bernoulli(0.3, (17,), k)", "mx.random.bernoulli(mx.array([0.0, 0.5, 1.0]), (4, 3), k)",
    "mx.random.bernoulli(mx.array([0.2, 0.9], mx.float16), key=k)", "mx.random.bernoulli(key=k)",
    "mx.random.permutation(13, key=k)", "mx.random.permutation(mx.arange(12).reshape(4, 3), key=k)",
    "mx.random.permutation(mx.arange(12).reshape(4, 3), axis=-1, key=k)",
    *[f"mx.random.normal((9,), mx.{d}, key=k)" for d in ("float32", "float16", "bfloat16", "complex64")],
    "mx.random.normal((2, 3), loc=mx.array([1.0, 2.0, 3.0]), scale=0.5, key=k)",
    "mx.random.normal((9,), mx.float16, 1.5, 3.0, k)", "mx.random.normal((5,), mx.complex64, 1 + 2j, 2.0, k)",
    "mx.random.categorical(mx.array([[0.0, 1.0, 2.0], [3.0, 0.0, -1.0]]), key=k)",
    "mx.random.categorical(mx.arange(12.0).reshape(3, 4) / 6, axis=0, key=k)",
    "mx.random.categorical(mx.arange(4.0), num_samples=20, key=k)",
    "mx.random.categorical(mx.zeros((3, 4)), axis=0, num_samples=5, key=k)",
    "mx.random.categorical(mx.zeros((3, 4)), shape=(6, 3), key=k)",
    "[mx.random.seed(11), mx.random.uniform(shape=(3,)), mx.random.uniform(shape=(2,))][2]",
    "[mx.random.seed(11), mx.random.normal((3,)), mx.random.randint(0, 100, (4,))][2]",
]


def exact(a):
    """(dtype, shape, elements) of an array: floats in hexadecimal, a complex number as two of them."""
    name = str(a.dtype).rsplit(".", 1)[-1]
    values = np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a)
    if np.iscomplexobj(values):
        values = np.stack([values.real, values.imag], -1)
    flat = values.ravel().tolist()
    return [name, list(a.shape), [v.hex() if isinstance(v, float) else v for v in flat]]


if __name__ == "__main__":
    mx.set_default_device(mx.cpu)
    table = {e: exact(eval(e, {"mx": mx, "k": mx.random.key(20240229)})) for e in EXPRESSIONS}
    path = pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden" / "random.json"
    path.write_text("{\n" + ",\n".join(f"{json.dumps(e)}: {json.dumps(v)}" for e, v in table.items()) + "\n}\n")
    print(f"{path}: {len(table)} entries")
