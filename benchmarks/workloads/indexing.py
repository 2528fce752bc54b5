"""Gathers, scatters and embeddings; sorting, searching and running sums; random numbers."""

import numpy

from frameworks import integers, values
from rows import grid, workload

TABLE = dict(rows=50_000, d=64, n=16_384)


def table(fw, rows, d, n):
    return fw.array(values((rows, d))), fw.array(integers(rows, n))


@workload("gather {n} rows of {rows} x {d}", [TABLE], modes=("eager",))
def gather(fw, rows, d, n):
    return lambda x, i: x[i], table(fw, rows, d, n)


@workload("add {n} rows into {rows} x {d}", [TABLE], modes=("eager",))
def scatter_add(fw, rows, d, n):
    x, i = table(fw, rows, d, n)
    return lambda x, i, v: fw.add_at(x, i, v), (x, i, fw.array(values((n, d), seed=2)))


@workload("gradient of an embedding, {n} rows of {rows} x {d}", [TABLE], quick=TABLE)
def embedding(fw, rows, d, n):
    x, i = table(fw, rows, d, n)
    return fw.grad(lambda x, i, c: (x[i] * c).sum()), (x, i, fw.array(values((n, d), seed=2)))


@workload("take along axis 1, {n} x {m} of {n} x {k}", [dict(n=4096, m=16, k=256)], modes=("eager",))
def along(fw, n, m, k):
    return lambda x, i: fw.np.take_along_axis(x, i, axis=1), (fw.array(values((n, k))), fw.array(integers(k, (n, m))))


@workload("{op}, {n}", grid(op=["sort", "argsort"], n=[1_000_000]), modes=("eager",), quick={"op": "sort", "n": 1_000_000})
def sorting(fw, op, n):
    function = getattr(fw.np, op)
    return lambda x: function(x), (fw.array(distinct(n)),)


def distinct(n):
    """Floats no two of which are equal, so that every argsort is the same."""
    return (numpy.random.default_rng(3).permutation(n).astype(numpy.float32) - n / 2) / 64


@workload("sort along axis {axis}, {n} x {m}", grid(axis=["0", "1"], n=[1000], m=[1000]), modes=("eager",))
def sort_axis(fw, axis, n, m):
    return lambda x: fw.np.sort(x, axis=int(axis)), (fw.array(values((n, m))),)


@workload("sort of int32, {n}", [{"n": 1_000_000}], modes=("eager",))
def sort_integers(fw, n):
    return lambda x: fw.np.sort(x), (fw.array(integers(2**31 - 1, n)),)


@workload("the {k} largest of {n}", [dict(k=100, n=1_000_000)], modes=("eager",), checked=lambda fw, x: numpy.sort(fw.numpy(x)))
def largest(fw, k, n):
    return lambda x: fw.topk(x, k), (fw.array(distinct(n)),)


@workload("the {k} largest of each of {m} rows of {n}", [dict(k=8, m=1024, n=1000)], modes=("eager",), checked=lambda fw, x: numpy.sort(fw.numpy(x)))
def largest_of_rows(fw, k, m, n):
    return lambda x: fw.topk(x, k), (fw.array(values((m, n))),)


@workload("cumsum, {n}", [{"n": 4_194_304}], modes=("eager",), tolerance=1e-3)
def cumsum(fw, n):
    return lambda x: fw.np.cumsum(x, axis=0), (fw.array(values(n)),)


@workload("cumsum along axis {axis}, {n} x {m}", grid(axis=["0", "1"], n=[2048], m=[1024]), modes=("eager",), tolerance=1e-3)
def cumsum_axis(fw, axis, n, m):
    return lambda x: fw.np.cumsum(x, axis=int(axis)), (fw.array(values((n, m))),)


@workload("random {kind}, {n}", grid(kind=["uniform", "normal"], n=[4_194_304]), modes=("eager",), tolerance=None)
def random(fw, kind, n):
    return lambda key: fw.random(kind, (n,), key), (fw.key,)


@workload("dropout of {n}", [{"n": 4_194_304}], tolerance=None)
def dropout(fw, n):
    return lambda x, key: fw.np.where(fw.random("uniform", (n,), key) < 0.9, x * (1 / 0.9), 0.0), (fw.array(values(n)), fw.key)
