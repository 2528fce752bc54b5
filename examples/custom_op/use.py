"""Uses the module axpby: values, derivatives of it, batches."""

import mlx.core as mx
from axpby import axpby

x, y = mx.array([1.0, 2.0, 3.0]), mx.array([10.0, 20.0, 30.0])
print(axpby(x, y, 2, 0.5))


def loss(x: mx.array, y: mx.array) -> mx.array:
    return mx.sum(mx.square(axpby(x, y, 2, 0.5)))


print(mx.grad(loss, argnums=(0, 1))(x, y))
print(mx.jvp(lambda x: axpby(x, y, 2, 0.5), [x], [mx.ones(3)])[1])
print(mx.grad(lambda x: mx.sum(mx.grad(loss)(x, y)))(x))

rows = mx.arange(6, dtype=mx.float32).reshape(2, 3)
print(mx.vmap(axpby, in_axes=(0, None))(rows, y))
print(mx.vmap(mx.grad(loss), in_axes=(0, None))(rows, y))

compiled = mx.compile(mx.grad(loss, argnums=(0, 1)))
print(compiled(x, y))
print(mx.vmap(mx.compile(axpby), in_axes=(0, None))(rows, y))

scaled = mx.compile(lambda v: axpby(v, y, 2, 0.5))
print(scaled(x))
y[0] = 40.0
print(scaled(x))
