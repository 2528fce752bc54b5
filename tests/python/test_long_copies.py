"""Copies of some KB and more, wherever they begin: rolled, joined, cut out and put in, against NumPy."""

import mlx.core as mx
import numpy as np
import pytest

from again import again, lesser_instruction_sets

# Around where one way of copying ends and the next one begins, and whole vectors and parts of them.
LENGTHS = [2047, 2048, 2049, 2111, 4096, 4099, 8191, 70_001, 300_000]


def check_copies(seeds):
    for seed in seeds:
        draw = np.random.default_rng(seed)
        n, before, after = int(draw.choice(LENGTHS)), int(draw.integers(0, 130)), int(draw.integers(0, 130))
        values = draw.integers(0, 256, before + n + after).astype(np.uint8)
        x = mx.array(values)
        part, expected = x[before : before + n], values[before : before + n]
        shift = int(draw.integers(-200, 200))
        assert np.array_equal(np.array(mx.contiguous(part)), expected), seed
        assert np.array_equal(np.array(mx.roll(part, shift)), np.roll(expected, shift)), seed
        assert np.array_equal(np.array(mx.pad(part, (after, before))), np.pad(expected, (after, before))), seed
        joined = mx.concatenate([x[:before], part, x[:after], part])
        assert np.array_equal(np.array(joined), np.concatenate([values[:before], expected, values[:after], expected])), seed
        rows = np.stack([expected, expected[::-1]])
        assert np.array_equal(np.array(mx.pad(mx.array(rows), ((0, 1), (before, after)))), np.pad(rows, ((0, 1), (before, after)))), seed
        whole = mx.array(values)
        whole[before : before + n] = part[::-1]
        assert np.array_equal(np.array(whole), np.concatenate([values[:before], expected[::-1], values[before + n :]])), seed
        turned = mx.fori_loop(0, 3, lambda i, z: mx.roll(z, shift), part)  # in memory that a loop keeps
        assert np.array_equal(np.array(turned), np.roll(expected, 3 * shift)), seed


def test_runs_of_any_length_from_and_to_anywhere():
    check_copies(range(150))


@pytest.mark.parametrize("n", [(8 << 20) - 1, (8 << 20) + 1])
def test_the_longest(n):
    values = np.random.default_rng(n).integers(0, 256, n + 5).astype(np.uint8)
    assert np.array_equal(np.array(mx.concatenate([mx.array(values)[3:], mx.array(values)[:1]])), np.concatenate([values[3:], values[:1]]))


@lesser_instruction_sets
def test_with_other_instruction_sets(target):
    again(__file__, MLX_CPU_TARGETS=target)


if __name__ == "__main__":
    check_copies(range(150, 200))
