"""Every op and its gradient with open sizes: recorded once, compiled or exported, they are right to the bit for other sizes,
none and one included; and but for those listed here no op asks for the number."""

import os
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

import arrays
import differences
import samples

LARGEST = 600  # elements: larger samples are about blocks of kernels
SAMPLES = [s for s in samples.samples() if s.args and max(int(np.prod(a.shape)) for a in s.args) <= LARGEST]

# Ops, or samples, that need a size as a number, in the value or in the gradient, and what for.
NUMBERS = {
    "as_strided": "strides and offsets are numbers of the call, and its gradient counts with them",
    "linalg.cross": "vectors of two elements get a third",
    "einsum": "the order of the products of three and more operands is the cheapest for these sizes",
    "prod": "its gradient is a tree of products, as deep as the axis is long",
    "scatter_prod": "as prod",
    "pad[reflect often]": "how often it is mirrored", "pad[symmetric often]": "how often it is mirrored",
    "partition": "the sample splits at a position, which split takes as a number",
    "polyval": "there is a step for each coefficient",
    "repeat": "a size is computed from the counts",
    "hadamard_transform": "its matrix is that of the axis's length",
    "unstack": "a size is the number of results",
    "fast.scaled_dot_product_attention": "how many heads share keys", "fast.gated_delta_update": "how many heads share keys",
    "unique": "of nothing there is no smallest element",
    "gather": "the positions of a mask are known from its values", "scatter": "as gather", "scatter_add": "as gather",
    "slice_update": "as gather", "where": "as gather", "scatter_max": "as gather", "scatter_min": "as gather",
}


def bits(outputs):
    return [(str(y.dtype), tuple(y.shape), arrays.to_np(y).tobytes()) for y in outputs]


def resized(sample, change):
    return replace(sample, args=tuple(a if isinstance(a, samples.Key) else replace(a, shape=tuple(map(change, a.shape)))
                                      for a in sample.args))


def variants(sample):
    """(name, sample) of other sizes; axes of one length keep a common one."""
    for name, change in (("one more", lambda n: n + (n > 1)), ("three more", lambda n: n + 3 * (n > 1)),
                         ("twice", lambda n: 2 * n if n > 1 else n), ("none", lambda n: 0 if n > 1 else n), ("one", lambda n: 1)):
        yield name, resized(sample, change)
    for size in sorted({n for a in sample.args for n in a.shape})[:3]:
        for to in (0, 1, size + 1):
            yield f"{size} to {to}", resized(sample, lambda n, size=size, to=to: to if n == size else n)


def gradient(sample):
    whole = mx.grad(differences.sum_of_magnitudes(sample), argnums=list(sample.real_args))
    return lambda *args: samples.listed(whole(*args))


def dtype_of(sample):
    return "float32" if "float32" in sample.dtypes else sample.dtypes[0]


def cases(sample, differentiated):
    """The function, and (name, arguments, bits of the result) of each variant that it takes."""
    fun = gradient(sample) if differentiated else sample.outputs
    dtype, found = dtype_of(sample), []
    for name, other in [("as sampled", sample), *variants(sample)]:
        try:
            args = other.to_mx(other.draw(dtype, "sizes"), dtype)
            found.append((name, args, bits(fun(*args))))
        except (ValueError, IndexError, AssertionError):  # sizes that its other parameters do not go with
            assert name != "as sampled"
    return fun, found


def check_compiled(sample, differentiated):
    fun, found = cases(sample, differentiated)
    compiled = mx.compile(fun, shapeless=True)
    for name, args, wanted in found:
        assert bits(compiled(*args)) == wanted, name
    reasons = [r for r in mx.compile_stats(compiled)["reasons"][1:]
               if "depends on a size that" in r or "do not go with" in r or "left open" in r]
    if sample.op["name"] not in NUMBERS and sample.id not in NUMBERS:
        assert not reasons


def check_exported(sample, differentiated, path):
    fun, found = cases(sample, differentiated)
    mx.export_function(path, fun, *found[0][1], shapeless=True)
    imported, served = mx.import_function(path), 0
    for name, args, wanted in found:
        try:
            got = bits(imported(*args))
        except ValueError as error:
            assert name != "as sampled" and "no trace fits" in str(error), name
            continue
        assert got == wanted, name
        served += 1
    return served, len(found)


def over(found):
    return pytest.mark.parametrize("sample", list(found), ids=lambda sample: sample.id)


DIFFERENTIABLE = [s for s in SAMPLES if s.differentiable]


@pytest.mark.grid(0.3)
@over(SAMPLES)
def test_ops_stay_open(sample):
    check_compiled(sample, False)


@pytest.mark.grid(0.3)
@over(DIFFERENTIABLE)
def test_gradients_stay_open(sample):
    check_compiled(sample, True)


@pytest.mark.grid(0.3)
@over(SAMPLES)
def test_exported_ops_serve_other_sizes(sample, tmp_path):
    check_exported(sample, False, str(tmp_path / "f.mlxfn"))


@pytest.mark.grid(0.3)
@over(DIFFERENTIABLE)
def test_exported_gradients_serve_other_sizes(sample, tmp_path):
    check_exported(sample, True, str(tmp_path / "f.mlxfn"))


def test_most_exported_calls_of_other_sizes_are_served(tmp_path):
    served = total = 0
    for i, sample in enumerate(SAMPLES[::7]):
        path = str(tmp_path / f"{i}.mlxfn")
        a, b = check_exported(sample, sample.differentiable, path)
        served, total = served + a, total + b
        os.remove(path)
    assert served > 0.7 * total


# --- by name: an axis without elements, and sizes that were pinned ---

SCANS = {"cumprod": mx.cumprod, "cummax": mx.cummax, "cummin": mx.cummin, "logcumsumexp": mx.logcumsumexp, "cumsum": mx.cumsum}


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("name", SCANS)
def test_gradients_of_scans_on_an_empty_axis(name, inclusive, reverse, exported, tmp_path):
    def fun(x):
        return mx.grad(lambda x: mx.sum(mx.exp(-mx.abs(SCANS[name](x, axis=0, reverse=reverse, inclusive=inclusive)))))(x)

    draws = {n: mx.random.normal((n, 2), key=mx.random.key(n)) for n in (3, 0, 1, 5)}
    if exported:
        mx.export_function(str(tmp_path / "f"), fun, draws[3], shapeless=True)
        imported = mx.import_function(str(tmp_path / "f"))
        served = lambda x: imported(x)[0]  # noqa: E731
    else:
        served = mx.compile(fun, shapeless=True)
    for x in draws.values():
        assert bits([served(x)]) == bits([fun(x)])
    assert exported or mx.compile_stats(served)["traces"] == 1


OPEN = {
    "x[1:]": lambda x: x[1:], "x[:-1]": lambda x: x[:-1], "x[1:-1]": lambda x: x[1:-1], "x[::2]": lambda x: x[::2],
    "x[::-1]": lambda x: x[::-1], "x[:2]": lambda x: x[:2], "differences": lambda x: x[1:] - x[:-1],
    "grad of x[1:]": mx.grad(lambda x: (x[1:] * x[:-1]).sum()), "halves": lambda x: (x[:x.shape[0] // 2], x[x.shape[0] // 2:]),
    "written": lambda x: _written(x), "pad": lambda x: mx.pad(x, 2), "pad by pairs": lambda x: mx.pad(x, [(1, 0), (0, 3)]),
    "pad by a size": lambda x: mx.pad(x, [(0, x.shape[0]), (0, 0)]), "edge": lambda x: mx.pad(x, [(1, 2), (0, 0)], mode="edge"),
    "grad of pad": mx.grad(lambda x: (mx.pad(x, 1)[1:] ** 2).sum()),
    "scan": lambda x: mx.scan(lambda c, v: (c * 0.5 + v, c), mx.zeros((2,)), x),
    "length of a scan": lambda x: mx.scan(lambda c, _: (c * 0.5 + 1, c), mx.zeros((2,)), None, length=x.shape[0]),
    "grad of a scan": mx.grad(lambda x: mx.scan(lambda c, v: (mx.tanh(c + v), c * v), mx.zeros((2,)), x)[1].sum()),
    "fori_loop": lambda x: mx.fori_loop(0, x.shape[0], lambda i, c: c * 0.5 + i, mx.zeros((2,))),
    "while_loop": lambda x: mx.while_loop(lambda s: s[1] < 3, lambda s: (s[0] * 2, s[1] + 1), (x, mx.array(0)))[0],
    "cond": lambda x: mx.cond(x.sum() > 0, lambda y: y * 2, lambda y: -y, x),
    "vmap": mx.vmap(lambda r: mx.sin(r) * r.sum()), "vmap of slices": mx.vmap(lambda r: r[1:]),
    "vmap of cond": mx.vmap(lambda r: mx.cond(r.sum() > 0, lambda y: y * 2, lambda y: -y, r)),
    "vmap of while_loop": mx.vmap(lambda r: mx.while_loop(lambda s: s[1] < s[2], lambda s: (s[0] * 2, s[1] + 1, s[2]),
                                                          (r, mx.array(0), mx.floor(mx.abs(r.sum())).astype(mx.int32)))[0]),
    "vmap of scan": mx.vmap(lambda r: mx.scan(lambda c, v: (c + v, c * v), mx.array(0.0), r)[1]),
    "checkpoint": mx.grad(lambda x: mx.checkpoint(lambda y: mx.sin(y[1:]).sum())(x)),
    "jvp": lambda x: mx.jvp(lambda y: mx.cumprod(y, axis=0)[1:], [x], [x])[1][0],
    "softmax": lambda x: mx.softmax(x, axis=0), "logsumexp": lambda x: mx.logsumexp(x, axis=0), "var": lambda x: mx.var(x, axis=0),
    "roll": lambda x: mx.roll(x, 1, axis=0), "flip": lambda x: mx.flip(x, 0), "diff": lambda x: mx.diff(x, axis=0),
    "split": lambda x: mx.split(x, [1, 3]), "diagonal": lambda x: mx.diagonal(x @ x.T), "diag": lambda x: mx.diag(x[:, 0]),
    "trace": lambda x: mx.trace(x @ x.T, offset=1), "tril": lambda x: mx.tril(x @ x.T), "view": lambda x: mx.view(x, mx.uint8),
    "tile": lambda x: mx.tile(x, (x.shape[0], 1)), "arange": lambda x: x * mx.arange(x.shape[0])[:, None], "eye": lambda x: mx.eye(x.shape[0]) @ x,
}


def _written(x):
    y = mx.array(x)
    y[1:] = y[1:] * 2
    y[:-1] += 1
    return y


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.parametrize("name", OPEN)
def test_one_recording_serves_all_sizes(name, exported, tmp_path):
    fun = OPEN[name]
    flat = lambda *args: [y for part in samples.listed(fun(*args)) for y in samples.listed(part)]  # noqa: E731
    sizes = (4, 7, 5, 16) + ((0, 1) if name not in ("edge", "vmap of cond") else (1,))
    draws = [mx.random.normal((n, 2), key=mx.random.key(n)) for n in sizes]
    if exported:
        mx.export_function(str(tmp_path / "f"), flat, draws[0], shapeless=True)
        served = mx.import_function(str(tmp_path / "f"))
    else:
        served = mx.compile(flat, shapeless=True)
    for x in draws:
        assert bits(served(x)) == bits(flat(x)), x.shape
    assert exported or mx.compile_stats(served)["traces"] == 1, mx.compile_stats(served)["reasons"]


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_draws_under_vmap_stay_open(randomness):
    fun = mx.vmap(lambda r: r + mx.random.uniform(shape=r.shape), randomness=randomness)
    compiled = mx.compile(fun, shapeless=True)
    for n in (3, 5, 2, 0, 1):
        x = mx.ones((n, 2))
        mx.random.seed(n)
        wanted = bits([fun(x)])
        mx.random.seed(n)
        assert bits([compiled(x)]) == wanted
    assert mx.compile_stats(compiled)["traces"] == 1
