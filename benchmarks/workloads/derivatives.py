"""Derivatives that compose: per-example gradients, Hessians and their products with vectors, sparse Jacobians, batching."""

import numpy

from frameworks import integers, values
from rows import workload
from workloads.networks import classes, dense, mlp

SMALL = dict(batch=128, inputs=64, hidden=64, outputs=10)


@workload("per-example gradients of an MLP, batch {batch}, {inputs}-{hidden}-{hidden}-{outputs}", [SMALL], tolerance=1e-3)
def per_example(fw, batch, inputs, hidden, outputs):
    f = mlp(fw, fw.np.tanh)

    def loss(params, x, t):
        return fw.cross_entropy(f(params, x[None]), t[None])

    return fw.vmap(fw.nested_grad(loss), (None, 0, 0)), classes(fw, batch, inputs, hidden, outputs)


def energy(fw):
    def f(x, w):
        return (fw.np.tanh(w @ fw.np.tanh(w @ x)) ** 2).sum() + (x**4).sum()

    return f


@workload("Hessian of a function of {n}", [{"n": 64}, {"n": 256}], tolerance=1e-3)
def hessian(fw, n):
    f = energy(fw)
    return lambda x, w: fw.hessian(lambda x: f(x, w))(x), (fw.array(values(n)), fw.array(values((n, n), n**-0.5, seed=1)))


@workload("product of a Hessian with a vector, {n}", [{"n": 64}, {"n": 512}], tolerance=1e-3)
def hvp(fw, n):
    f = energy(fw)
    arrays = fw.array(values(n)), fw.array(values(n, seed=2)), fw.array(values((n, n), n**-0.5, seed=1))
    return lambda x, v, w: fw.hvp(lambda x: f(x, w))(x, v), arrays


@workload("third derivative of 8 ops on 8 floats, nested gradients")
def third(fw):
    def f(x):
        return (fw.np.tanh(x * x) * fw.np.sin(x) / (1 + fw.np.exp(-x))).sum()

    for _ in range(3):
        f = (lambda g: lambda x: g(x).sum())(fw.nested_grad(f))
    return f, (fw.array(values(8)),)


@workload("gradient of {windows} overlapping windows of {n} x {n}", [dict(n=100, windows=20)])
def windows(fw, n, windows):
    def f(x):
        total = x[:, : n // 2] * 0.0
        for i in range(windows):
            start = i % (n - n // 2)
            total = total + x[:, start : start + n // 2] * (0.1 * i)
        return (total * total).sum()

    return fw.grad(f), (fw.array(values((n, n))),)


@workload("Jacobian of a banded function of {n}, sparse where there is one", [{"n": 1000}], modes=("eager",),
          checked=lambda fw, j: [numpy.sum(fw.numpy(j)), numpy.linalg.norm(fw.numpy(j))])
def banded(fw, n):
    return fw.sparse_jacobian(lambda x: x[2:] * x[:-2] - 2 * x[1:-1] ** 3), (fw.array(values(n)),)


@workload("vmap of a layer and a norm, {batch} x {n}", [dict(batch=512, n=256)])
def mapped_layer(fw, batch, n):
    def one(x, w, b):
        y = fw.np.tanh(x @ w + b)
        return y / fw.np.sqrt((y * y).sum() + 1e-5)

    arrays = fw.array(values((batch, n))), fw.array(values((n, n), n**-0.5, seed=1)), fw.array(values(n, seed=2))
    return fw.vmap(one, (0, None, None)), arrays


@workload("the same batched by hand, {batch} x {n}", [dict(batch=512, n=256)])
def batched_layer(fw, batch, n):
    def f(x, w, b):
        y = fw.np.tanh(x @ w + b)
        return y / fw.np.sqrt((y * y).sum(axis=-1, keepdims=True) + 1e-5)

    return f, mapped_layer(fw, batch, n)[1]


@workload("gradient of an MLP with respect to its input, batch {batch}, {inputs}-{hidden}-{hidden}-{outputs}", [SMALL])
def inputs_gradient(fw, batch, inputs, hidden, outputs):
    f = mlp(fw, fw.np.tanh)
    params = dense(fw, (inputs, hidden, hidden, outputs))
    loss = lambda x, p, t: fw.cross_entropy(f(p, x), t)
    return fw.grad(loss), (fw.array(values((batch, inputs), seed=3)), params, fw.array(integers(outputs, batch)))
