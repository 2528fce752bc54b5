"""Matrix products: bits that depend on shapes and values alone, integers that are exact, subnormals that count as zeros."""

import functools
import json
import zlib

import mlx.core as mx
import numpy as np
import pytest

import arrays
from again import again

LAYOUTS = ("rows", "columns", "strided", "wide", "offset", "backwards", "upside down", "shared", "middle", "wide columns")
DTYPES = arrays.INEXACT
# (batch, m, k, n): tiny, empty, vectors, short and long sums, panels with and without remainder, pieces, BLAS.
SHAPES = [
    ((), 1, 1, 1), ((), 1, 7, 1), ((), 3, 1, 5), ((), 4, 0, 3), ((), 1, 17, 1), ((), 1, 1000, 1), ((), 1, 33, 9), ((), 9, 33, 1), ((), 130, 70, 1),
    ((), 1, 70, 130), ((), 2, 3, 4), ((), 8, 8, 8), ((), 5, 300, 6), ((), 17, 33, 40), ((), 33, 257, 65), ((), 64, 64, 64), ((), 100, 100, 100),
    ((), 2, 600, 300), ((), 300, 600, 2), ((), 1, 20000, 3), ((3,), 4, 5, 6), ((3,), 1, 40, 7), ((3,), 7, 40, 1), ((5,), 1, 40, 1), ((2, 3), 9, 20, 17),
    ((7,), 65, 33, 34), ((), 3, 9000, 5), ((), 17, 5000, 20),
]
LARGE = [((), 210, 210, 210), ((), 307, 700, 333), ((), 300, 520, 261), ((), 257, 1100, 90), ((), 48, 4000, 50), ((2,), 205, 210, 215)]


def drawn(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * np.exp2(rng.integers(-4, 4, shape))
    if dtype in arrays.COMPLEX:
        values = values + 1j * rng.standard_normal(shape)
    return arrays.to_mx(np.array(mx.array(values.astype(np.float32)).astype(mx.bfloat16).astype(mx.float32)) if dtype == "bfloat16" else values, dtype)


def lying(x, layout):
    """The same values, in memory as `layout` says."""
    last = x.ndim - 1
    if layout == "rows":
        return x
    if layout == "columns":
        return mx.swapaxes(mx.contiguous(mx.swapaxes(x, -1, -2)), -1, -2)
    if layout == "strided":  # every other element of every other row
        y = mx.zeros((*x.shape[:-2], 2 * x.shape[-2], 2 * x.shape[-1]), x.dtype)
        y[..., ::2, ::2] = x
        return y[..., ::2, ::2]
    if layout == "wide":  # inside a larger matrix, at an odd address
        y = mx.full((*x.shape[:-2], x.shape[-2] + 2, x.shape[-1] + 5), 7, x.dtype)
        y[..., 1:-1, 3:-2] = x
        return y[..., 1:-1, 3:-2]
    if layout == "offset":
        return mx.concatenate([mx.zeros((3,), x.dtype), x.reshape(-1)])[3:].reshape(x.shape)
    if layout == "backwards":
        return mx.contiguous(x[..., ::-1])[..., ::-1]
    if layout == "upside down":
        return mx.swapaxes(mx.contiguous(mx.swapaxes(x[..., ::-1, :], -1, -2)), -1, -2)[..., ::-1, :]
    if layout == "shared":  # the whole batch reads one matrix; `operands` gives all lanes the same values
        return x if x.ndim == 2 else mx.broadcast_to(x[(slice(0, 1),) * (x.ndim - 2)], x.shape)
    if layout == "middle":  # matrix axes first, batch last
        return mx.transpose(mx.contiguous(mx.transpose(x, (last - 1, last, *range(last - 1)))), (*range(2, last + 1), 0, 1))
    assert layout == "wide columns"
    return mx.swapaxes(lying(mx.swapaxes(x, -1, -2), "wide"), -1, -2)


@functools.lru_cache(maxsize=64)
def operands(shape, dtype, shared_a, shared_b):
    batch, m, k, n = shape
    seed = zlib.crc32(repr((shape, dtype)).encode())
    a, b = drawn((*batch, m, k), dtype, seed), drawn((*batch, k, n), dtype, seed + 1)
    if batch and shared_a:
        a = mx.contiguous(mx.broadcast_to(a[(slice(0, 1),) * len(batch)], a.shape))
    if batch and shared_b:
        b = mx.contiguous(mx.broadcast_to(b[(slice(0, 1),) * len(batch)], b.shape))
    mx.eval(a, b)
    return a, b


def bits(x):
    return np.ascontiguousarray(np.array(mx.contiguous(x).view(mx.uint8 if x.itemsize != 2 else mx.uint16))) if x.size else np.zeros(0)


WAYS = {
    "eager": lambda a, b: a @ b,
    "compiled": lambda a, b: mx.compile(lambda a, b: a @ b)(a, b),
    "inside": lambda a, b: mx.compile(lambda a, b: ((a * 1) @ (b * 1)) * 1)(a, b),
    "primal": lambda a, b: mx.vjp(lambda a, b: a @ b, [a, b], [mx.zeros((a @ b).shape, a.dtype)])[0][0],
}


def check_cell(shape, dtype, layout_a, layout_b, way):
    a, b = operands(shape, dtype, layout_a == "shared", layout_b == "shared")
    x, y = lying(a, layout_a), lying(b, layout_b)
    mx.eval(x, y)
    np.testing.assert_array_equal(bits(WAYS[way](x, y)), bits(a @ b), err_msg=f"{shape} {dtype} {layout_a} {layout_b} {way}")


@pytest.mark.grid(0.08)
@pytest.mark.parametrize("layout_a", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_do_not_depend_on_the_layout(shape, dtype, layout_a):
    for layout_b in LAYOUTS:
        for way in WAYS:
            check_cell(shape, dtype, layout_a, layout_b, way)


@pytest.mark.grid(0.08)
@pytest.mark.parametrize("layout_a", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_bits_of_large_products_do_not_depend_on_the_layout(shape, dtype, layout_a):
    for layout_b in LAYOUTS:
        check_cell(shape, dtype, layout_a, layout_b, "eager")


@pytest.mark.parametrize("dtype", DTYPES)
def test_misaligned_operands(dtype):
    """Memory that NumPy made, at every address modulo 64 that the element size allows."""
    if dtype == "bfloat16":
        pytest.skip("NumPy has no bfloat16")
    item = np.dtype(dtype).itemsize
    for m, k, n in ((1, 100, 1), (5, 40, 1), (1, 40, 30), (20, 30, 40), (210, 210, 210)):
        a, b = (np.array(x) for x in operands(((), m, k, n), dtype, False, False))
        wanted = bits(arrays.to_mx(a) @ arrays.to_mx(b))
        for start in range(0, 64, item if m < 100 else 4 * item):
            x, y = (np.zeros(v.size + 128 // item + 2, dtype) for v in (a, b))
            places = []
            for room, v in ((x, a), (y, b)):
                first = (-room.ctypes.data % 64 + start) // item
                place = room[first:first + v.size].reshape(v.shape)
                place[...] = v
                places.append(mx.asarray(place, copy=False) if hasattr(mx, "asarray") else mx.array(place))
            np.testing.assert_array_equal(bits(places[0] @ places[1]), wanted)


def fingerprints():
    out = {}
    for shape in [*SHAPES, *LARGE]:
        for dtype in DTYPES:
            a, b = operands(shape, dtype, False, False)
            for layout in ("rows", "columns"):
                out[f"{shape} {dtype} {layout}"] = zlib.crc32(bits(lying(a, layout) @ lying(b, layout)).tobytes())
    print(json.dumps(out))


def run_with(code, **environment):
    return json.loads(again("-c", code, **environment).splitlines()[-1])


@pytest.mark.parametrize("threads", [2, pytest.param(3, marks=pytest.mark.everything), 8])
def test_bits_do_not_depend_on_the_threads(threads):
    code = "import test_products; test_products.fingerprints()"
    one, many = run_with(code, MLX_NUM_THREADS="1"), run_with(code, MLX_NUM_THREADS=str(threads))
    assert len(one) == 2 * len(DTYPES) * len(SHAPES + LARGE)
    assert one == many


@pytest.mark.everything
@pytest.mark.parametrize("core", ["Haswell", "Zen", "SkylakeX", "Sandybridge", "Nehalem", "Prescott"])
def test_bits_do_not_depend_on_the_layout_with_the_kernels_of_other_cpus(core):
    """OpenBLAS chooses its kernels by CPU; each choice has to keep the promise."""
    code = """
import json, test_products as t
bad = [c for shape in t.LARGE for dtype in t.DTYPES for a in t.LAYOUTS[:4] for b in t.LAYOUTS[:4]
       for c in [(shape, dtype, a, b)] if not (t.bits(t.lying(t.operands(shape, dtype, 0, 0)[0], a) @ t.lying(t.operands(shape, dtype, 0, 0)[1], b))
       == t.bits(t.operands(shape, dtype, 0, 0)[0] @ t.operands(shape, dtype, 0, 0)[1])).all()]
print(json.dumps(bad))
"""
    assert run_with(code, OPENBLAS_CORETYPE=core) == []


def test_values_of_large_and_odd_products():
    for shape in [*SHAPES, *LARGE]:
        for dtype in DTYPES:
            a, b = operands(shape, dtype, False, False)
            x, y = arrays.to_np(a).astype(np.clongdouble), arrays.to_np(b).astype(np.clongdouble)
            x, y = x.astype(np.complex128), y.astype(np.complex128)
            bound = np.abs(x) @ np.abs(y) * {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, np.finfo(arrays.NUMPY[arrays.real_of(dtype)]).eps * 8)
            assert (np.abs(arrays.to_np(a @ b) - x @ y) <= bound + 1e-30).all(), (shape, dtype)


# --- one right side for a whole batch, and vmap ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shared_right_side_equals_its_copies(dtype):
    for batch, m, k, n in ((4, 3, 20, 5), (4, 1, 40, 8), (4, 8, 40, 1), (3, 70, 60, 50), (2, 210, 210, 210)):
        a, b = operands(((batch,), m, k, n), dtype, False, True)
        shared = mx.broadcast_to(b[:1], b.shape)
        np.testing.assert_array_equal(bits(a @ shared), bits(a @ b))
        np.testing.assert_array_equal(bits(mx.compile(lambda a, b: a @ mx.broadcast_to(b, (batch, k, n)))(a, b[0])), bits(a @ b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_vmap_of_matrices_has_the_bits_of_each_product(dtype):
    """Where both are mapped nothing is folded."""
    for layout in LAYOUTS:
        a, b = operands(((4,), 9, 33, 17), dtype, layout == "shared", layout == "shared")
        lanes = mx.stack([a[i] @ b[i] for i in range(4)])
        np.testing.assert_array_equal(bits(mx.vmap(mx.matmul)(lying(a, layout), lying(b, layout))), bits(lanes))
        last = mx.vmap(mx.matmul, in_axes=(2, 2))(mx.moveaxis(lying(a, layout), 0, 2), mx.moveaxis(b, 0, 2))
        np.testing.assert_array_equal(bits(last), bits(lanes))


# --- integers ---


def exact(a, b, dtype):
    """Sums of products of Python's integers, wrapped."""
    if dtype == "bool_":
        return np.array(a) @ np.array(b)
    product = np.array(a).astype(object) @ np.array(b).astype(object)
    width = 8 * np.dtype(dtype).itemsize
    wrapped = np.array([int(v) % 2**width for v in product.reshape(-1)], dtype=f"uint{width}").reshape(product.shape)
    return wrapped.view(dtype)


INTEGER_SHAPES = [
    ((), 1, 1, 1), ((), 2, 3, 4), ((), 1, 40, 1), ((), 1, 9, 40), ((), 9, 40, 1), ((), 17, 300, 35), ((3,), 4, 5, 6), ((2,), 33, 20, 70), ((), 3, 0, 2),
]


def integers(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    if dtype == "bool_":
        return mx.array(rng.random(shape) < 0.1)
    info = np.iinfo(dtype)
    return mx.array(rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True))


@pytest.mark.grid(0.15)
@pytest.mark.parametrize("layout_b", LAYOUTS)
@pytest.mark.parametrize("layout_a", LAYOUTS)
@pytest.mark.parametrize("dtype", arrays.BOOL + arrays.INTEGERS)
def test_integer_products_are_exact(dtype, layout_a, layout_b):
    for batch, m, k, n in INTEGER_SHAPES:
        a, b = integers((*batch, m, k), dtype, 1), integers((*batch, k, n), dtype, 2)
        if layout_a == "shared" and batch:
            a = mx.contiguous(mx.broadcast_to(a[:1], a.shape))
        if layout_b == "shared" and batch:
            b = mx.contiguous(mx.broadcast_to(b[:1], b.shape))
        y = lying(a, layout_a) @ lying(b, layout_b)
        assert arrays.name_of(y.dtype) == dtype
        np.testing.assert_array_equal(np.array(y), exact(a, b, dtype))


@pytest.mark.parametrize("dtype", arrays.BOOL + arrays.INTEGERS)
def test_integer_products_under_transforms(dtype):
    a, b = integers((5, 6, 7), dtype, 3), integers((5, 7, 8), dtype, 4)
    wanted = np.array([exact(a[i], b[i], dtype) for i in range(5)])
    np.testing.assert_array_equal(np.array(mx.compile(mx.matmul)(a, b)), wanted)
    np.testing.assert_array_equal(np.array(mx.vmap(mx.matmul)(a, b)), wanted)
    np.testing.assert_array_equal(np.array(mx.vmap(mx.matmul, in_axes=(0, None))(a, b[0])), np.array([exact(x, b[0], dtype) for x in a]))
    np.testing.assert_array_equal(np.array(mx.vmap(mx.matmul, in_axes=(None, 0))(a[0, 0], b)), np.array([exact(a[0, 0], y, dtype) for y in b]))
    np.testing.assert_array_equal(np.array(mx.vmap(mx.matmul)(a[:, 0], b[:, :, 0])), wanted[:, 0, 0])
    total = (a @ b).sum().astype(mx.float32)
    assert mx.grad(lambda x: x * (a @ b).sum().astype(mx.float32))(mx.array(2.0)).item() == total.item()


@pytest.mark.parametrize("dtype", arrays.INTEGERS)
def test_other_products_of_integers(dtype):
    """addmm, tensordot and vecdot keep the dtype; inner and einsum sum in 32 bits where it is narrower, as sum() does."""
    a, b, c = integers((6, 7), dtype, 5), integers((7, 8), dtype, 6), integers((8,), dtype, 7)
    np.testing.assert_array_equal(
        np.array(mx.addmm(c, a, b, alpha=3, beta=2)), np.array(mx.array(exact(a, b, dtype)) * mx.array(3, a.dtype) + c * mx.array(2, a.dtype)))
    wide = dtype if np.dtype(dtype).itemsize >= 4 else "uint32" if dtype in arrays.UNSIGNED else "int32"
    wanted = exact(np.array(a).astype(wide), np.array(b).astype(wide), wide)
    assert arrays.name_of(mx.tensordot(a, b, 1).dtype) == dtype
    np.testing.assert_array_equal(np.array(mx.tensordot(a, b, 1)), exact(a, b, dtype))
    for y in (mx.inner(a, mx.swapaxes(b, 0, 1)), mx.einsum("ij,jk->ik", a, b)):
        assert arrays.name_of(y.dtype) == wide
        np.testing.assert_array_equal(np.array(y), wanted)
    assert arrays.name_of(mx.vecdot(a[0], b[:, 0]).dtype) == dtype
    np.testing.assert_array_equal(np.array(mx.vecdot(a[0], b[:, 0])), exact(a, b, dtype)[0, 0])
    np.testing.assert_array_equal(np.array(mx.outer(c, c)), exact(np.array(c)[:, None], np.array(c)[None], dtype))


def test_mixed_and_long_integer_products():
    a = mx.array([[True, False]]) @ mx.array([[5], [7]])
    assert a.dtype == mx.int32 and a.item() == 5
    assert (mx.array([[2**63 - 1, 3]]) @ mx.array([[3], [1]])).item() == (3 * (2**63 - 1) + 3 + 2**63) % 2**64 - 2**63
    assert (mx.ones((1, 70000), dtype=mx.bool_) @ mx.ones((70000, 1), dtype=mx.bool_)).item() is True
    assert (mx.ones((1, 70000), dtype=mx.uint16) @ mx.ones((70000, 1), dtype=mx.uint16)).item() == 70000 % 2**16
    assert (mx.ones((1, 300), dtype=mx.uint8) @ mx.ones((300, 1), dtype=mx.uint8)).item() == 300 % 2**8


def test_addmm_of_integers_wants_whole_factors():
    a = mx.ones((2, 2), dtype=mx.int32)
    with pytest.raises(ValueError, match=r"\[addmm\] alpha is 0.5 and beta is 1"):
        mx.addmm(a, a, a, alpha=0.5)


# --- subnormals ---

LEAST = {"float32": 2.0**-126, "float64": 2.0**-1022, "complex64": 2.0**-126, "complex128": 2.0**-1022, "bfloat16": 2.0**-126}
PRODUCTS = [(1, 1, 1), (1, 8, 1), (1, 100, 1), (4, 30, 1), (1, 30, 40), (3, 5, 4), (40, 50, 60), (210, 210, 210)]


@pytest.mark.parametrize("dtype", LEAST)
@pytest.mark.parametrize("shape", PRODUCTS, ids=str)
def test_products_take_subnormals_for_zeros(shape, dtype):
    m, k, n = shape
    of = getattr(mx, dtype)
    small = mx.full((m, k), LEAST[dtype], mx.float64).astype(of)
    subnormal = arrays.to_mx(np.full((m, k), LEAST[dtype] / 4), dtype)
    one, quarter = mx.ones((k, n), dtype=of), mx.full((k, n), 0.25, of)
    assert mx.all(small @ one != 0), "normal numbers stay"
    assert mx.all(subnormal @ one == 0), "operands"
    assert mx.all(mx.swapaxes(one, 0, 1) @ mx.swapaxes(subnormal, 0, 1) == 0), "operands"
    first = mx.concatenate([small[:, :1], mx.zeros((m, k - 1), of)], axis=1)
    assert mx.all(first @ quarter == 0), "products"
    if k > 1:
        pair = mx.concatenate([small[:, :1] * 1.5, -small[:, :1], mx.zeros((m, k - 2), of)], axis=1)
        assert mx.all(pair @ one == 0), "sums"


@pytest.mark.parametrize("shape", PRODUCTS, ids=str)
def test_float16_keeps_its_subnormals(shape):
    m, k, n = shape
    least = mx.array(np.full((m, k), 2.0**-24, np.float16))
    one = mx.ones((k, n), dtype=mx.float16)
    wanted = np.full((m, n), k * 2.0**-24, np.float16)
    np.testing.assert_array_equal(np.array(least @ one), wanted)
    first = mx.concatenate([mx.full((m, 1), 2.0**-10, mx.float16), mx.zeros((m, k - 1), mx.float16)], axis=1)
    np.testing.assert_array_equal(np.array(first @ (one * mx.array(2.0**-12, mx.float16))), np.full((m, n), 2.0**-22, np.float16))


def test_only_products_flush():
    """The mode ends with the product: on this thread, in NumPy, and on the pool's threads."""
    tiny = np.float32(1e-40)
    a = mx.full((400, 400), 1e-40, mx.float32)
    for x in (a, a[:1], mx.full((300_000,), 1e-40, mx.float32)):
        mx.eval(x @ mx.ones((x.shape[-1], 1)))
        assert np.float32(tiny) * np.float32(0.5) != 0
        y = mx.full((300_000,), 1e-40, mx.float32) * 0.5  # enough for every thread
        assert mx.all(y != 0)
        assert mx.all(mx.sum(mx.full((1000, 300), 1e-42, mx.float32), axis=1) != 0)
    assert mx.all((a @ a) == 0) and mx.all(a + a != 0)


def test_a_step_of_a_compiled_loop_flushes_products_alone():
    step = mx.compile(lambda h, w: (h @ w, h * 0.5))
    product, half = step(mx.full((4, 40), 1e-40, mx.float32), mx.ones((40, 40)))
    assert mx.all(product == 0) and mx.all(half != 0)
