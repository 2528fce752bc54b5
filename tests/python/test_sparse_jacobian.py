"""sparse_jacobian and sparse_hessian: values against the dense ones, patterns that never miss an entry, how few passes they take,
reuse of the plan, composition, errors."""

import doctest
import threading

import mlx.core as mx
import numpy as np
import pytest

RNG = np.random.default_rng(13)


def random(*shape):
    return mx.array(RNG.uniform(0.5, 1.5, shape), mx.float64)


def close(x, y, tolerance=1e-11):
    np.testing.assert_allclose(np.array(x), np.array(y), rtol=tolerance, atol=tolerance)


def dense(f, x):
    return np.array(mx.jacobian(f)(x)).reshape(f(x).size, x.size)


def check(f, x, passes=None, entries=None):
    sparse = mx.sparse_jacobian(f)(x)
    expected = dense(f, x)
    assert sparse.shape == expected.shape and sparse.values.dtype == x.dtype
    close(sparse.todense(), expected)
    places = np.array(sparse.rows).astype(np.int64) * sparse.shape[1] + np.array(sparse.cols)
    assert (np.diff(places) > 0).all()  # row-major, each once
    if passes is not None:
        assert sparse.passes == passes
    if entries is not None:
        assert sparse.values.size == entries
    return sparse


def tridiagonal(x):
    return x[1:-1] ** 2 - x[:-2] * x[2:]


def rosenbrock(x):
    return mx.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


INDEX = mx.array([3, 1, 1, 0, 5])
WEIGHTS = random(3, 3)
ROW, COLUMN = random(6), random(4, 1)
EXACT = {  # name: (function, shape, passes, entries): the pattern has no entry too many; rows may take fewer passes than columns
    "elementwise": (lambda x: mx.sin(x) * x, (6,), 1, 6),
    "tridiagonal": (tridiagonal, (12,), 3, 30),
    "slices with steps": (lambda x: x[::2] * x[1::2], (8,), 1, 8),
    "reversed": (lambda x: x * x[::-1], (6,), 2, 12),
    "gather": (lambda x: mx.exp(x[INDEX]), (6,), 1, 5),
    "take_along_axis": (lambda x: mx.take_along_axis(x, mx.array([[2], [0]]), 1), (2, 3), 1, 2),
    "concatenate": (lambda x: mx.concatenate([x[3:], x[:3] * x[3:], mx.ones(2, mx.float64)]), (6,), 2, 9),
    "stack and transpose": (lambda x: mx.stack([x, x * 2]).T, (4,), 1, 8),
    "broadcast": (lambda x: x * COLUMN, (6,), 1, 24),
    "reshape": (lambda x: x.reshape(2, 3).T * 2, (6,), 1, 6),
    "pad and roll": (lambda x: mx.pad(mx.roll(x, 2), 1) * 3, (5,), 1, 5),
    "written part": (lambda x: mx.slice_update(x * 2, x[:2] * x[2:4], mx.array([1]), (0,)), (6,), 2, 8),
    "scatter": (lambda x: mx.zeros(6, mx.float64).at[INDEX].add(x * x), (5,), 1, 5),
    "sum of rows": (lambda x: mx.sum(x * x, axis=1), (4, 3), 1, 12),
    "sum of columns": (lambda x: mx.sum(x * x, axis=0, keepdims=True), (4, 3), 1, 12),
    "products of rows": (lambda x: x @ WEIGHTS, (4, 3), 3, 36),
    "products of columns": (lambda x: WEIGHTS @ x, (3, 4), 3, 36),
    "scan along an axis": (lambda x: mx.cumsum(x, axis=1), (4, 3), 3, 36),
    "sort along an axis": (lambda x: mx.sort(x, axis=0), (4, 2), 4, 32),
    "softmax of rows": (lambda x: mx.softmax(x, axis=1), (3, 4), 4, 48),
    "one row": (lambda x: mx.sum(x), (7,), 1, 7),  # in reverse
    "one column": (lambda x: x * ROW, (), 1, 6),
    "nothing": (lambda x: mx.ones(3, mx.float64), (4,), 0, 0),
    "through stop_gradient": (lambda x: x * mx.stop_gradient(mx.sum(x)), (5,), 1, 5),
    "through comparisons": (lambda x: mx.where(x > x.mean(), x, x[::-1]), (4,), 2, 8),
    "checkpointed": (mx.checkpoint(tridiagonal), (9,), 3, 21),
    "vmapped": (mx.vmap(lambda x: mx.sum(x * x)), (5, 2), 1, 10),
    "outer": (lambda x: mx.outer(x[:3], x[3:]), (6,), 2, 18),
    "matrix in matrix out": (lambda x: x * x[::-1], (3, 2), 2, 10),
    "scalar": (lambda x: x * x, (), 1, 1),
    "empty": (lambda x: x * 2, (0,), 0, 0),
}


@pytest.mark.parametrize("name", EXACT)
def test_pattern_and_values(name):
    f, shape, passes, entries = EXACT[name]
    check(f, random(*shape), passes, entries)


def custom():
    f = mx.custom_function(lambda x: x * 2)
    f.vjp(lambda x, ct, out: ct * mx.sum(x))
    f.jvp(lambda x, t: mx.sum(x) * t)
    return f


@pytest.mark.parametrize("f, shape", [
    (lambda x: x[mx.argsort(x)], (5,)),  # where elements go depends on the argument
    (lambda x: mx.take_along_axis(x, mx.argsort(x, axis=1), 1), (2, 4)),
    (custom(), (4,)),
    (lambda x: mx.cumprod(x), (4,)),
    (lambda x: x.at[INDEX].multiply(x[:5]), (6,)),
    (lambda x: mx.logsumexp(x, axis=0) * x, (3, 2)),
    (lambda x: mx.einsum("ij,kj->ik", x, x), (3, 2)),
    (lambda x: mx.as_strided(x, (3, 2), (1, 1)) * 2, (4,)),
    (lambda x: mx.diag(x) @ WEIGHTS, (3,)),
    (lambda x: mx.trace(mx.outer(x, x)) * x, (4,)),
    (mx.grad(lambda x: mx.sum(mx.sort(x) ** 3)), (4,)),
    (mx.grad(lambda x: mx.sum(x[INDEX] * x[:5])), (6,)),
    (mx.grad(lambda x: mx.sum(mx.as_strided(x, (3, 2), (1, 1)) ** 3)), (4,)),
])
def test_no_entry_is_missed(f, shape):
    check(f, random(*shape))


@pytest.mark.parametrize("seed", range(20))
def test_random_compositions(seed):
    """Random chains of moves, products and reductions: the dense Jacobian is met everywhere."""
    rng = np.random.default_rng(seed)
    steps = [
        lambda x: x[1:] * x[:-1], lambda x: mx.roll(x, 3) + mx.sin(x), lambda x: mx.concatenate([x, x[:2] * 2]),
        lambda x: x[mx.array(rng.integers(0, 4, 7))], lambda x: mx.pad(x, 1), lambda x: x[::-1] * x,
        lambda x: mx.sum(mx.stack([x, x * x]), axis=0), lambda x: mx.where(x > 0.7, x, mx.roll(x, 1)),
        lambda x: x.at[mx.array([0, 2, 0])].add(x[1:4]), lambda x: mx.maximum(x, mx.roll(x, -1)),
        lambda x: mx.cumsum(x[:x.size // 2 * 2].reshape(-1, 2), axis=1).reshape(-1),
    ]
    chosen = rng.choice(len(steps), 4)
    drawn = [mx.array(rng.integers(0, 4, 7)) for _ in range(4)]

    def f(x):
        for step, index in zip(chosen, drawn):
            x = x[index] if step == 3 else steps[step](x)
        return x

    check(f, random(9))


def test_complex():
    z = mx.array(RNG.uniform(0.5, 1.5, 6) + 1j * RNG.uniform(0.5, 1.5, 6), mx.complex128)
    check(lambda z: z[1:] * z[:-1], z, 2)
    check(lambda z: mx.sum(z * z), z, 1)  # in reverse: conjugated back


def test_other_arguments():
    x, y = random(6), random(6)
    f = lambda y, x, n, scale=1.0: x ** n * y * scale  # noqa: E731
    jacobian = mx.sparse_jacobian(f, argnums=1)
    for n in (2, 3):
        close(jacobian(y, x, n, scale=0.5).todense(), np.diag(n * np.array(x) ** (n - 1) * np.array(y) * 0.5))
    close(mx.sparse_jacobian(f, argnums=-2)(y, x, 2).todense(), np.diag(2 * np.array(x) * np.array(y)))


# --- Hessians ---


def arrow(x):
    return mx.sum(x[0] * x[1:] ** 2) + x[0] ** 3


def grid_energy(u):
    return mx.sum((u[1:] - u[:-1]) ** 4) + mx.sum((u[:, 1:] - u[:, :-1]) ** 4)


@pytest.mark.parametrize("f, shape, passes", [
    (rosenbrock, (20,), 3),
    (arrow, (20,), 2),
    (lambda x: mx.sum(x ** 3), (8,), 1),
    (lambda x: mx.sum(x) ** 2, (6,), 6),
    (lambda x: mx.sum(x[:-2] * x[1:-1] * x[2:]), (15,), None),
    (lambda x: mx.sum(mx.exp(x[::2] * x[1::2])), (8,), 2),
    (grid_energy, (5, 4), None),
    (lambda x: mx.sum(mx.logsumexp(x, axis=1)), (3, 4), 4),
    (lambda x: mx.sum(3 * x), (5,), 0),
    (lambda x: x * x, (), 1),
    (lambda x: mx.sum(mx.checkpoint(mx.sin)(x) * x[::-1]), (6,), None),
])
def test_hessian(f, shape, passes):
    x = random(*shape)
    sparse = mx.sparse_hessian(f)(x)
    close(sparse.todense(), np.array(mx.hessian(f)(x)).reshape(x.size, x.size))
    if passes is not None:
        assert sparse.passes == passes


@pytest.mark.parametrize("seed", range(40))
def test_random_hessians(seed):
    """Sums of products of random pairs: any symmetric pattern."""
    rng = np.random.default_rng(seed)
    n = 14
    i, j = rng.integers(0, n, (2, rng.integers(1, 40)))
    i, j = mx.array(i), mx.array(j)
    f = lambda x: mx.sum(mx.sin(x[i] * x[j]))  # noqa: E731
    x = random(n)
    sparse = mx.sparse_hessian(f)(x)
    close(sparse.todense(), mx.hessian(f)(x))
    assert sparse.passes <= n


# --- large, and again ---


def test_an_arrow_of_ten_thousand_takes_two_passes():
    x = random(10_000)
    hessian = mx.sparse_hessian(arrow)(x)
    assert hessian.passes == 2 and hessian.values.size == 3 * x.size - 2
    rows, cols, values, a = (np.array(v) for v in (hessian.rows, hessian.cols, hessian.values, x))
    close(values[(rows == 0) & (cols > 0)], 2 * a[1:])
    close(values[(cols == 0) & (rows > 0)], 2 * a[1:])
    close(values[(rows == cols) & (rows > 0)], np.full(a.size - 1, 2 * a[0]))


def test_ten_thousand_elements_in_three_passes():
    n = 10_000
    x = random(n)
    jacobian = mx.sparse_jacobian(tridiagonal)(x)
    hessian = mx.sparse_hessian(rosenbrock)(x)
    assert jacobian.passes == hessian.passes == 3
    assert jacobian.values.size == 3 * (n - 2) and hessian.values.size == 3 * n - 2
    a = np.array(x)
    expected = np.stack([-a[2:], 2 * a[1:-1], -a[:-2]], 1)
    close(np.array(jacobian.values).reshape(-1, 3), expected)
    diagonal = np.zeros(n)
    diagonal[:-1] = 1200 * a[:-1] ** 2 - 400 * a[1:] + 2
    diagonal[1:] += 200
    rows, cols, values = (np.array(v) for v in (hessian.rows, hessian.cols, hessian.values))
    close(values[rows == cols], diagonal, 1e-9)
    close(values[rows + 1 == cols], -400 * a[:-1], 1e-9)
    close(values[rows == cols + 1], -400 * a[:-1], 1e-9)


def test_the_plan_is_made_once_for_each_shape():
    runs = []

    def f(x):
        runs.append(1)
        return tridiagonal(x)

    jacobian = mx.sparse_jacobian(f)
    first, second = jacobian(random(3000)), jacobian(random(3000))
    assert runs == [1, 1]
    assert first.rows is not second.rows and np.shares_memory(np.array(first.rows, copy=False), np.array(second.rows, copy=False))
    x = random(7)
    close(jacobian(x).todense(), dense(tridiagonal, x))
    x = random(3000)
    close(jacobian(x).values, mx.stack([-x[2:], 2 * x[1:-1], -x[:-2]], 1).reshape(-1))


def test_composition():
    xs = random(4, 6)
    jacobian = mx.sparse_jacobian(tridiagonal)
    mapped = mx.vmap(jacobian)(xs)
    assert mapped.values.shape == (4, 12)
    close(mapped.todense(), np.stack([dense(tridiagonal, xs[i]) for i in range(4)]))
    # d/dx of the sum of all entries: each entry is linear in x
    total = lambda j: lambda x: mx.sum(j(x) ** 2)  # noqa: E731
    close(mx.grad(total(lambda x: jacobian(x).values))(xs[0]), mx.grad(total(mx.jacobian(tridiagonal)))(xs[0]))
    close(mx.grad(total(lambda x: jacobian(x).todense()))(xs[0]), mx.grad(total(mx.jacobian(tridiagonal)))(xs[0]))
    close(mx.vmap(lambda x: mx.sparse_hessian(rosenbrock)(x).todense())(xs), mx.vmap(mx.hessian(rosenbrock))(xs))


def test_indices_of_lanes():
    """Where elements go differs between the lanes of an outer vmap: everything may go anywhere."""
    xs, index = random(2, 4), mx.array([[0, 1, 2], [3, 3, 1]])
    f = lambda x, i: mx.sparse_jacobian(lambda x: x[i] * x[0])(x).todense()  # noqa: E731
    expected = mx.vmap(lambda x, i: mx.jacobian(lambda x: x[i] * x[0])(x))(xs, index)
    close(mx.vmap(f)(xs, index), expected)


def test_from_several_threads():
    jacobian = mx.sparse_jacobian(lambda x: x[1:] * x[:-1])
    wrong = []

    def work():
        for n in range(5, 45):
            if not mx.array_equal(jacobian(mx.ones(n)).todense(), mx.eye(n - 1, n) + mx.eye(n - 1, n, 1)).item():
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_printing():
    assert repr(mx.sparse_jacobian(tridiagonal)(random(6))) == "SparseMatrix(shape=(4, 6), entries=12, passes=3)"


def test_errors():
    with pytest.raises(TypeError, match=r"\[sparse_jacobian\] x has dtype int32"):
        mx.sparse_jacobian(lambda x: x)(mx.array([1, 2]))
    with pytest.raises(TypeError, match="takes float32 and returns bool"):
        mx.sparse_jacobian(lambda x: x > 0)(mx.ones(2))
    with pytest.raises(TypeError, match="takes complex64 and returns float32"):
        mx.sparse_jacobian(mx.real)(mx.ones(2, mx.complex64))
    with pytest.raises(TypeError, match="holds 2 arrays"):
        mx.sparse_jacobian(lambda p: p[0])((mx.ones(2), mx.ones(2)))
    with pytest.raises(TypeError, match="returned a tuple"):
        mx.sparse_jacobian(lambda x: (x, x))(mx.ones(2))
    with pytest.raises(ValueError, match=r"\[sparse_hessian\] the function returned shape \(2,\)"):
        mx.sparse_hessian(lambda x: x)(mx.ones(2))
    with pytest.raises(TypeError, match="complex"):
        mx.sparse_hessian(lambda z: mx.sum(mx.abs(z)))(mx.ones(2, mx.complex64))
    with pytest.raises(TypeError, match="should be a callable"):
        mx.sparse_jacobian(3)


@pytest.mark.parametrize("name", ["sparse_jacobian", "sparse_hessian"])
def test_examples(name):
    test = doctest.DocTestParser().get_doctest(getattr(mx, name).__doc__, {"mx": mx}, name, None, None)
    said = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(said)
