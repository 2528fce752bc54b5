"""Values that are broadcast along a short last axis, against NumPy's copies of them."""

import mlx.core as mx
import numpy as np

from again import again, lesser_instruction_sets

DTYPES = ["uint8", "int16", "float16", "float32", "int32", "float64", "int64", "complex64"]


def check(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        dtype = DTYPES[rng.integers(len(DTYPES))]
        rows, n = int(rng.choice([1, 7, 16, 17, 33, 500, 4097])), int(rng.integers(1, 21))
        outer = int(rng.choice([1, 1, 3]))
        x = rng.integers(0, 50, (outer, rows)).astype(dtype)
        y = rng.integers(0, 50, (outer, rows, n)).astype(dtype)
        one, many = mx.array(x, getattr(mx, dtype)), mx.array(y, getattr(mx, dtype))
        for f in (lambda a, b: a + b, lambda a, b: (a * b + a) * b):
            np.testing.assert_array_equal(np.array(f(one[..., None], many)), f(x[..., None].repeat(n, -1), y), err_msg=f"{seed} {dtype}")


def test_against_numpy():
    check(range(200))


@lesser_instruction_sets
def test_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    check(range(200, 300))
