"""Sums and products over any axes have the bits of the documented tree, computed here by NumPy, on every instruction set: drawn
shapes, layouts and dtypes."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets

BLOCK = 1024  # elements to a block; each goes to lane number (its place % lanes)
ROWS = (1, 2, 3, 7, 16, 17, 31, 48, 63, 64, 65, 100, 160, 255, 257, 300, 1000, 1025, 2100)
WIDTHS = (1, 3, 15, 16, 17, 33, 64, 65, 100, 160, 255, 256, 257, 1030)


def fold(join, parts):
    """Part i with part i + half, halves being powers of two."""
    while len(parts) > 1:
        half = 1 << ((len(parts) - 1).bit_length() - 1)
        right = len(parts) - half
        parts = np.concatenate([join(parts[:right], parts[half:]), parts[right:half]])
    return parts[0]


def by_tree(join, rows, lanes):
    """The first axis reduced."""
    def block(rows):
        used = rows[:lanes].copy()
        for first in range(lanes, len(rows), lanes):
            more = rows[first:first + lanes]
            used[:len(more)] = join(used[:len(more)], more)
        return fold(join, used)

    return fold(join, np.stack([block(rows[first:first + BLOCK]) for first in range(0, len(rows), BLOCK)]))


def cases(seed):
    generator = np.random.default_rng(seed)
    for dtype, (name, join) in itertools.product(("float32", "float64", "bfloat16", "int32"), (("sum", np.add), ("prod", np.multiply))):
        for _ in range(12):
            outer, rows, width = generator.choice((1, 2, 5)), generator.choice(ROWS), generator.choice(WIDTHS)
            values = generator.uniform(0.9, 1.1, (outer, rows, width)) * generator.choice((-1, 1), (outer, rows, width))
            yield generator, dtype, name, join, mx.array(values.astype("float32") * (3 if dtype == "int32" else 1)).astype(getattr(mx, dtype))


def check(seed):
    for generator, dtype, name, join, x in cases(seed):
        axes = ((0,), (1,), (0, 1), (0, 2), (1, 2), (2,))[generator.integers(6)]
        kept = [axis for axis in range(3) if axis not in axes]
        exact = np.array(x.astype(mx.float32) if dtype == "bfloat16" else x)
        rows = exact.transpose(*axes, *kept).reshape(-1, *(exact.shape[axis] for axis in kept))
        with np.errstate(all="ignore"):
            expected = mx.array(by_tree(join, rows, 256 // exact.itemsize), dtype=x.dtype)
        for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):  # of the axes in memory
            laid = mx.contiguous(x.transpose(*order)).transpose(*np.argsort(order).tolist())
            result = getattr(mx, name)(laid, axis=axes)
            bits = [np.array(a.view(mx.uint16) if dtype == "bfloat16" else a).tobytes() for a in (result, expected)]
            assert bits[0] == bits[1], (dtype, name, x.shape, axes, order)


@pytest.mark.parametrize("seed", range(4))
def test_tree(seed):
    check(seed)


@lesser_instruction_sets
def test_tree_on_every_instruction_set(target):
    again("-c", "import test_column_tree; test_column_tree.check(9)", MLX_CPU_TARGETS=target)


@pytest.mark.parametrize("shape", [(9, 21, 160), (3, 40, 1024), (5, 18, 2048), (7, 3, 1000), (40, 9, 33),
                                   (9, 40, 160), (50, 33, 48), (67, 35, 32), (11, 36, 304)], ids=str)
@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.int32], ids=str)
def test_results_of_pieces_are_those_of_one_at_a_time(shape, dtype):
    """Neighbours that are reduced together have the bits that each has alone, from memory where it is one run."""
    x = mx.array(np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    mx.eval(x)
    for op in (mx.sum, mx.max, mx.prod):
        alone = [op(mx.contiguous(x[:, j]).reshape(-1)).astype(mx.float64) for j in range(shape[1])]
        assert np.array(op(x, axis=(0, 2)).astype(mx.float64)).tobytes() == np.array(mx.stack(alone)).tobytes()


def check_few(seed):
    """A few elements for each result, as in pooling by reshape: drawn windows, steps and orders in memory, against NumPy's tree."""
    generator = np.random.default_rng(seed)
    for dtype, (name, join) in itertools.product(("float32", "float64", "bfloat16", "int32"), (("sum", np.add), ("max", np.maximum), ("prod", np.multiply))):
        for _ in range(5):
            shape = [int(generator.choice(sizes)) for sizes in ((1, 3), (5, 16, 33), (1, 2, 3), (7, 32, 70), (1, 2, 4), (1, 3, 32))]
            twice = [2 * n for n in shape[:2]] + shape[2:]
            whole = generator.uniform(0.9, 1.1, twice) * generator.choice((-1, 1), twice)
            x = mx.array(whole.astype("float32") * (3 if dtype == "int32" else 1)).astype(getattr(mx, dtype))
            order = generator.permutation(6) if generator.integers(2) else np.arange(6)
            x = mx.contiguous(x.transpose(*order.tolist())).transpose(*np.argsort(order).tolist())
            step = int(generator.choice((1, 2, -1)))
            x = x[:shape[0], ::step][:, :shape[1]]
            axes = ((2, 4), (2, 5), (4, 5), (2, 4))[generator.integers(4)]
            kept = [axis for axis in range(6) if axis not in axes]
            exact = np.array(x.astype(mx.float32) if dtype == "bfloat16" else x)
            rows = exact.transpose(*axes, *kept).reshape(-1, *(exact.shape[axis] for axis in kept))
            expected = mx.array(by_tree(join, rows, 256 // exact.itemsize), dtype=x.dtype)
            bits = [np.array(a.view(mx.uint16) if dtype == "bfloat16" else a).tobytes() for a in (getattr(mx, name)(x, axis=axes), expected)]
            assert bits[0] == bits[1], (dtype, name, x.shape, axes, order, step)


@pytest.mark.parametrize("seed", range(4))
def test_few(seed):
    check_few(seed)


@lesser_instruction_sets
def test_few_on_every_instruction_set(target):
    again("-c", "import test_column_tree; test_column_tree.check_few(9)", MLX_CPU_TARGETS=target)
