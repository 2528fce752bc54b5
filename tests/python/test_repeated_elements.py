"""Elements that are broadcast along short last axes, each of them repeated: in expressions and in copies what NumPy gives."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = ["bool_", "uint8", "int8", "uint16", "int32", "float32", "int64", "float64", "complex64"]
LENGTHS = [*range(1, 10), 13, 15, 16, 17, 33, 63, 65, 100]


def drawn(rng, dtype, shape):
    """Numbers that are exact in each dtype and whose sums are, but for those that wrap round."""
    return rng.integers(0, 2 if dtype == "bool_" else 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_repeated_elements(length, dtype):
    rng = np.random.default_rng(length)
    for rows, step in ((1, 1), (7, 3), (300, 1), (300, 2), (1031, 4), (3000, 5), (9000, 4)):
        whole = drawn(rng, dtype, (rows, step + 1))
        for first, stride in ((0, 1), (1, step), (step, -1)):
            values = whole.reshape(-1)[first:][:: stride * step][: rows // 2 + 1] if step > 1 else whole[:, first % 2]
            given = mx.array(whole)
            ours = given.reshape(-1)[first:][:: stride * step][: rows // 2 + 1] if step > 1 else given[:, first % 2]
            n = len(values)
            other = drawn(rng, dtype, (n, length))
            spread = np.broadcast_to(values[:, None], (n, length))
            repeated = mx.broadcast_to(ours[:, None], (n, length))
            assert np.array_equal(np.array(mx.contiguous(repeated)), spread)
            assert np.array_equal(np.array(repeated + mx.array(other)), spread + other)
            assert np.array_equal(np.array(mx.array(other)[1:] * repeated[1:]), other[1:] * spread[1:])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("channels", [2, 3, 4, 7, 9])
def test_blended_images(channels, dtype):
    rng = np.random.default_rng(channels)
    kind = getattr(mx, dtype)
    below = mx.array(rng.random((67, 61, channels)).astype(np.float32)).astype(kind)
    above = mx.array(rng.random((67, 61, channels + 1)).astype(np.float32)).astype(kind)

    def blend(below, colours, opacity):
        return colours * opacity + below * (1 - opacity)

    def of_views(below, above):
        return blend(below, above[..., :channels], above[..., channels:])

    colours = mx.contiguous(above[..., :channels])
    opacity = mx.contiguous(mx.broadcast_to(above[..., channels:], colours.shape))
    mx.eval(colours, opacity)
    expected = bytes(memoryview(mx.view(blend(below, colours, opacity), mx.uint8)))
    assert bytes(memoryview(mx.view(of_views(below, above), mx.uint8))) == expected
    assert bytes(memoryview(mx.view(mx.compile(of_views)(below, above), mx.uint8))) == expected
