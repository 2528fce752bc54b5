"""Products and convolutions of sizes at which tiles, panels and blocks end: values against float64, bits over orders in memory."""

import numpy as np
import pytest

import mlx.core as mx

SIZES = [  # rows, columns, terms
    (13, 31, 255), (14, 32, 256), (15, 33, 257), (28, 64, 64), (113, 513, 300), (225, 1030, 20), (29, 12, 700), (300, 7, 600), (5, 1000, 513),
    (17, 16, 2000), (96, 96, 96), (130, 130, 130), (64, 64, 512), (70, 96, 256),
    (7, 600, 300), (9, 96, 513), (10, 2048, 64), (11, 70, 300), (13, 200, 260),  # few rows: one tile of them, by a matrix that is read once
    (17, 64, 5), (18, 65, 6), (19, 128, 3), (23, 95, 258), (24, 127, 64), (25, 129, 66), (31, 192, 1), (37, 96, 259),  # two panels at once
    (17, 33, 4), (19, 48, 9), (26, 49, 258), (27, 63, 20), (40, 100, 70), (300, 47, 600), (35, 24, 12), (44, 25, 300),  # one and a part
    (31, 3, 3), (32, 3, 3), (33, 2, 3), (47, 4, 2), (259, 4, 4), (4111, 2, 2), (300, 3, 5), (32_801, 3, 4), (65_535, 2, 4),  # points
    (70, 2100, 8), (61, 4133, 4), (97, 8200, 3),  # few terms: long stretches of few rows
    (160, 240, 160), (241, 161, 130), (129, 304, 100), (449, 33, 120),  # pieces that are not alike
    (40, 70, 16384),  # rows that fall on the same lines of a cache
    (1, 77, 130), (1, 300, 513), (1, 1100, 300), (1, 1037, 530), (513, 1, 600),  # of vectors: matrices that are near, and that are not
]
SMALL = [(4, 4, 4), (3, 5, 7), (16, 16, 16), (1, 1, 64), (1, 1, 16), (1, 1, 17), (2, 20, 100), (1, 9, 40), (9, 1, 40), (7, 35, 12)]
DTYPES = {"float32": 1e-6, "float64": 1e-14, "complex64": 2e-6, "complex128": 3e-14, "float16": 2e-3, "bfloat16": 2e-2}


def operand(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * rng.standard_normal(shape)
    return mx.array(x, dtype=mx.complex128 if dtype.startswith("complex") else mx.float64).astype(getattr(mx, dtype))


def wide(x):
    return np.array(x.astype(mx.complex128 if mx.issubdtype(x.dtype, mx.complexfloating) else mx.float64))


def same_bits(x, y):
    return np.array_equal(np.array(x.view(mx.uint8)), np.array(y.view(mx.uint8)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_edges_of_tiles(size, dtype):
    m, n, k = size
    a, b = operand((m, k), dtype, 1), operand((k, n), dtype, 2)
    result = a @ b
    expected, scale = wide(a) @ wide(b), np.abs(wide(a)) @ np.abs(wide(b))
    assert np.all(np.abs(wide(result) - expected) <= DTYPES[dtype] * scale)
    turned = lambda x: mx.contiguous(x.T).T
    apart = lambda x: mx.contiguous(mx.repeat(x, 2, axis=1))[:, ::2]
    for left in (a, turned(a), apart(a)):
        for right in (b, turned(b), apart(b)):
            assert same_bits(left @ right, result)


@pytest.mark.parametrize("dtype", [*DTYPES, "int32", "int8", "bool_"])
@pytest.mark.parametrize("size", SMALL, ids=str)
def test_a_batch_of_small_products_has_the_bits_of_each(size, dtype):
    m, n, k = size
    a, b = (mx.array(np.random.default_rng(i).integers(-3, 4, shape)).astype(getattr(mx, dtype)) if dtype in ("int32", "int8", "bool_")
            else operand(shape, dtype, i) for i, shape in enumerate([(9, m, k), (9, k, n)]))
    together = a @ b
    for i in range(9):
        assert same_bits(together[i], a[i] @ b[i])
    turned = mx.contiguous(mx.swapaxes(b, 1, 2))
    assert same_bits(a @ mx.swapaxes(turned, 1, 2), together)
    assert same_bits(a[::2] @ b[::2], mx.contiguous(together[::2]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("rows", [1, 15, 37, 129, 1100])
@pytest.mark.parametrize("terms", [17, 64, 100, 300, 1000])
def test_rows_of_halves_by_a_vector_are_widened_exactly(dtype, terms, rows):
    a, x = operand((rows, terms), dtype, 1), operand((terms, 1), dtype, 2)
    widened = (a.astype(mx.float32) @ x.astype(mx.float32)).astype(a.dtype)
    assert same_bits(a @ x, widened)
    assert same_bits(mx.contiguous(a.T).T @ x, widened)
    assert same_bits(x.T @ a.T, widened.T)


@pytest.mark.parametrize("channels, outputs, window, stride, width", [
    (36, 20, 3, 1, 17), (40, 33, 3, 2, 31), (3, 32, 7, 2, 40), (1, 16, 3, 1, 28), (128, 7, 3, 1, 5), (5, 40, 1, 2, 9), (21, 9, 5, 3, 50)])
def test_edges_of_windows(channels, outputs, window, stride, width):
    x, w = operand((2, width, width + 3, channels), "float32", 1), operand((outputs, window, window, channels), "float32", 2)
    result = mx.conv2d(x, w, stride=stride, padding=window // 2)
    conv = lambda x, w: np.array(mx.conv2d(x.astype(mx.float64), w.astype(mx.float64), stride=stride, padding=window // 2))
    assert np.all(np.abs(np.array(result) - conv(x, w)) <= 1e-6 * conv(mx.abs(x), mx.abs(w)))
    patches = np.lib.stride_tricks.sliding_window_view(
        np.pad(wide(x), [(0, 0), (window // 2,) * 2, (window // 2,) * 2, (0, 0)]), (window, window), axis=(1, 2))[:, ::stride, ::stride]
    expected = np.einsum("bijckl,oklc->bijo", patches, wide(w))
    np.testing.assert_allclose(conv(x, w), expected, rtol=0, atol=1e-11)
    x[0, 0, 0, 0] = float("nan")
    spoiled = np.isnan(np.array(mx.conv2d(x, w, stride=stride, padding=window // 2))).any(-1)
    assert spoiled.any() and not spoiled[1].any()
