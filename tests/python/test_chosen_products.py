"""Products of chosen matrices (gather_mm): however the terms are brought together, the products of the matrices one by one; their
derivatives and batches; and memory, of which whole matrices for each term would take too much."""

import random

import mlx.core as mx
import numpy as np
import pytest
import samples


def one_by_one(a, b, i, j):
    """The same by copies of the matrices."""
    take = lambda x, index: mx.take(x.reshape(-1, *x.shape[-2:]), index, axis=0)
    return mx.matmul(a if i is None else take(a, i), take(b, j))


def drawn(seed):
    rng, values = random.Random(seed), np.random.default_rng(seed)
    m, k, n = rng.choice([(1, 16, 24), (1, 40, 8), (3, 5, 4), (16, 16, 16), (2, 1, 7), (20, 1, 30), (1, 1, 1), (4, 64, 2)])
    lefts, rights, terms = rng.choice([1, 3, 30]), rng.choice([1, 4, 9]), rng.choice([1, 5, 40, 200])
    dtype = rng.choice([mx.float64, mx.float64, mx.float64, mx.complex128])
    matrices = lambda *shape: mx.array(values.standard_normal(shape)).astype(dtype)
    a, b = matrices(lefts, m, k), matrices(rights, k, n)
    if rng.random() < 0.3:
        b = mx.swapaxes(mx.contiguous(mx.swapaxes(b, 1, 2)), 1, 2)
    i, j = values.integers(-lefts, lefts, terms), values.integers(-rights, rights, terms)
    if rng.random() < 0.4:
        j = np.sort(j % rights)
    if rng.random() < 0.4:  # rows of a lie as they are used
        a, i = matrices(terms, m, k), np.arange(terms)
    given = rng.random() < 0.8 or len(i) != a.shape[0] or not (i == np.arange(len(i))).all()
    return a, b, mx.array(i) if given else None, mx.array(j)


def close(got, expected):
    assert got.shape == expected.shape and got.dtype == expected.dtype
    scale = float(mx.abs(expected).max()) if expected.size else 1.0
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-10, atol=1e-12 * max(scale, 1.0))


@pytest.mark.grid(0.4)
@pytest.mark.parametrize("seed", range(300))
def test_products_and_derivatives(seed):
    a, b, i, j = drawn(seed)
    ours, theirs = (lambda a, b: mx.gather_mm(a, b, i, j)), (lambda a, b: one_by_one(a, b, i, j))
    close(ours(a, b), theirs(a, b))
    loss = lambda f: lambda a, b: mx.sum(mx.abs(f(a, b)) ** 2 + mx.real(f(a, b)))
    for x, y in zip(mx.grad(loss(ours), argnums=(0, 1))(a, b), mx.grad(loss(theirs), argnums=(0, 1))(a, b)):
        close(x, y)
    tangents = (a * 0.5 + 1, b - 0.25)
    for x, y in zip(*(samples.listed(mx.jvp(f, (a, b), tangents)[1]) for f in (ours, theirs))):
        close(x, y)
    compiled = mx.compile(mx.grad(loss(ours), argnums=(0, 1)))
    for _ in range(2):
        for x, y in zip(compiled(a, b), mx.grad(loss(ours), argnums=(0, 1))(a, b)):
            assert mx.array_equal(x, y)


@pytest.mark.grid(0.4)
@pytest.mark.parametrize("seed", range(120))
def test_batches(seed):
    """Any of the operands may be one for all lanes; lanes of lanes, too, and what is summed up over them in a derivative."""
    rng, values = random.Random(seed), np.random.default_rng(seed)
    lanes = [rng.choice([1, 2, 3]) for _ in range(2)]
    axes = [[rng.random() < 0.6 for _ in range(4)] for _ in lanes]
    for each in axes:
        each[rng.randrange(4)] = True
    shapes = [(3, 2, 4), (5, 4, 3), (6,), (6,)]
    args = []
    for k, shape in enumerate(shapes):
        shape = tuple(n for n, has in zip(lanes, axes) if has[k]) + shape
        args.append(mx.array(values.standard_normal(shape), dtype=mx.float64) if k < 2 else mx.array(values.integers(0, shapes[k - 2][0], shape)))

    def batched(f):
        for has in reversed(axes):
            f = mx.vmap(f, in_axes=tuple(0 if h else None for h in has))
        return f

    ours, theirs = batched(lambda a, b, i, j: mx.gather_mm(a, b, i, j)), batched(one_by_one)
    close(ours(*args), theirs(*args))
    loss = lambda f: lambda a, b: mx.sum(f(a, b, *args[2:]) ** 2)
    gradient = lambda f: mx.grad(loss(f), argnums=(0, 1))
    for x, y in zip(gradient(ours)(*args[:2]), gradient(theirs)(*args[:2])):
        close(x, y)
    # Gradients in each lane, and of gradients
    inner = lambda f: batched(lambda a, b, i, j: mx.grad(lambda b: mx.sum(f(a, b, i, j) ** 3))(b))
    close(inner(mx.gather_mm)(*args), inner(one_by_one)(*args))
    twice = lambda f: mx.grad(lambda a, b: mx.sum(inner(f)(a, b, *args[2:]) ** 2), argnums=(0, 1))
    for x, y in zip(twice(mx.gather_mm)(*args[:2]), twice(one_by_one)(*args[:2])):
        close(x, y)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16, mx.int32, mx.bool_], ids=str)
def test_dtypes(dtype):
    values = np.random.default_rng(4)
    a, b = (mx.array(values.integers(-2, 3, s)).astype(dtype) for s in ((40, 1, 12), (6, 12, 10)))
    i, j = mx.array(values.integers(0, 40, 70)), mx.array(values.integers(0, 6, 70))
    assert mx.array_equal(mx.gather_mm(a, b, i, j), one_by_one(a, b, i, j))


def test_matrices_of_b_are_not_copied():
    """One for each of so many terms would take 2 GB; for the gradient as well."""
    experts, tokens = mx.random.normal((8, 512, 512)), mx.random.normal((2048, 1, 512))
    chosen = mx.random.randint(0, 8, (2048,))
    mx.eval(experts, tokens, chosen)
    f = mx.value_and_grad(lambda w, x: mx.sum(mx.gather_mm(x, w, rhs_indices=chosen) ** 2), argnums=(0, 1))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(f(experts, tokens))
    assert mx.get_peak_memory() - before < 100 << 20


def test_nothing_is_lost_where_an_index_is_outside():
    a, b = mx.ones((2, 1, 3)), mx.ones((4, 3, 2))
    for i, j, text in [([0, 2], [0, 1], "index 2 of lhs_indices .* length 2: a"), ([0, 1], [0, -5], "index -5 of rhs_indices .* length 4: b")]:
        with pytest.raises(IndexError, match=r"\[gather_mm\] " + text):
            mx.eval(mx.gather_mm(a, b, mx.array(i), mx.array(j)))
        lanes = mx.vmap(lambda i, j: mx.gather_mm(a, b, i, j))
        with pytest.raises(IndexError, match=text):  # that is no other lane's matrix
            mx.eval(lanes(mx.array([i, i]), mx.array([j, j])))
    assert mx.gather_mm(a, b, mx.array([], dtype=mx.int32), mx.array([], dtype=mx.int32)).shape == (0, 1, 2)
    assert mx.array_equal(mx.gather_mm(mx.ones((2, 1, 0)), mx.ones((4, 0, 2)), mx.array([1]), mx.array([3])), mx.zeros((1, 1, 2)))


def test_zero_times_infinity_in_a_derivative():
    """In the chain rule it is 0, as in derivatives of matmul."""
    a, b, i = mx.array([[[0.0, 1.0]]]), mx.array([[[float("inf")], [2.0]]]), mx.array([0, 0])
    gradient = mx.grad(lambda a: mx.sum(mx.gather_mm(a, b, i, i) * mx.array([0.0, 0.0]).reshape(2, 1, 1)))(a)
    assert mx.array_equal(gradient, mx.zeros_like(a))


def test_recordings_for_any_size_and_in_files(tmp_path):
    b = mx.random.normal((4, 6, 5))
    f = lambda a, i, j: mx.gather_mm(a, b, i, j) * 2
    shapeless = mx.compile(f, shapeless=True)
    for terms in (3, 7, 30):
        a, i, j = mx.random.normal((terms, 1, 6)), mx.arange(terms), mx.random.randint(0, 4, (terms,))
        assert mx.array_equal(shapeless(a, i, j), f(a, i, j))
    mx.export_function(str(tmp_path / "f"), f, a, i, j)
    assert mx.array_equal(mx.import_function(str(tmp_path / "f"))(a, i, j)[0], f(a, i, j))
