"""Function transforms, from the simplest gradient to vmap: every result is printed and checked."""

import math
import timeit

import mlx.core as mx


def check(printed: object, expected: str) -> None:
    """Prints a result and makes sure that it reads as expected."""
    text = str(printed)
    print(text)
    assert text == expected, f"expected {expected}, got {text}"


def simple_gradients() -> None:
    dfdx = mx.grad(mx.sin)
    check(dfdx(mx.array(mx.pi)), "array(-1, dtype=float32)")
    check(mx.cos(mx.array(mx.pi)), "array(-1, dtype=float32)")

    # The gradient is a function like any other, so it has a gradient too.
    d2fdx2 = mx.grad(mx.grad(mx.sin))
    check(d2fdx2(mx.array(mx.pi / 2)), "array(-1, dtype=float32)")
    check(mx.sin(mx.array(mx.pi / 2)), "array(1, dtype=float32)")


def gradients_of_a_loss() -> None:
    def loss_fn(w: mx.array, x: mx.array, y: mx.array) -> mx.array:
        return mx.mean(mx.square(w * x - y))

    w = mx.array(1.0)
    x = mx.array([0.5, -0.5])
    y = mx.array([1.5, -1.5])

    check(mx.grad(loss_fn)(w, x, y), "array(-1, dtype=float32)")
    check(mx.grad(loss_fn, argnums=1)(w, x, y), "array([-1, 1], dtype=float32)")

    # Loss and gradient at once, without computing the loss twice.
    loss, dloss_dw = mx.value_and_grad(loss_fn)(w, x, y)
    check(loss, "array(1, dtype=float32)")
    check(dloss_dw, "array(-1, dtype=float32)")


def gradients_of_trees() -> None:
    def loss_fn(params: dict[str, mx.array], x: mx.array, y: mx.array) -> mx.array:
        w, b = params["weight"], params["bias"]
        h = w * x + b
        return mx.mean(mx.square(h - y))

    params = {"weight": mx.array(1.0), "bias": mx.array(0.0)}
    x = mx.array([0.5, -0.5])
    y = mx.array([1.5, -1.5])

    # The gradients have the structure of the parameters.
    grads = mx.grad(loss_fn)(params, x, y)
    check(grads, "{'weight': array(-1, dtype=float32), 'bias': array(0, dtype=float32)}")

    # Nothing flows through stop_gradient.
    frozen = mx.grad(lambda w: mx.stop_gradient(w) * w)
    check(frozen(mx.array(3.0)), "array(3, dtype=float32)")


def vectorization() -> None:
    xs = mx.random.uniform(shape=(4096, 100))
    ys = mx.random.uniform(shape=(100, 4096))

    def naive_add(xs: mx.array, ys: mx.array) -> list[mx.array]:
        return [xs[i] + ys[:, i] for i in range(xs.shape[0])]

    # Over the first axis of xs and the second of ys.
    vmap_add = mx.vmap(lambda x, y: x + y, in_axes=(0, 1))

    assert mx.array_equal(mx.stack(naive_add(xs, ys)), vmap_add(xs, ys)).item()
    assert mx.array_equal(vmap_add(xs, ys), xs + ys.T).item()

    naive = timeit.timeit(lambda: mx.eval(naive_add(xs, ys)), number=100)
    mapped = timeit.timeit(lambda: mx.eval(vmap_add(xs, ys)), number=100)
    print(f"4096 rows plus columns, 100 times: naive {naive:.3f} s, vmap {mapped:.3f} s")
    assert mapped < naive


def composition() -> None:
    # Transforms nest in any order: the Hessian of f as jvp of grad over the unit vectors, and per-example gradients.
    def f(x: mx.array) -> mx.array:
        return mx.sum(mx.sin(x) * x)

    x = mx.array([0.0, 1.0, 2.0])
    column = mx.vmap(lambda e: mx.jvp(mx.grad(f), [x], [e])[1][0])
    hessian = column(mx.eye(3))
    expected = [2 * math.cos(v) - v * math.sin(v) for v in (0.0, 1.0, 2.0)]
    assert mx.allclose(hessian, mx.array(expected) * mx.eye(3), atol=1e-6).item()
    print(hessian)

    per_example = mx.vmap(mx.grad(lambda w, x: mx.sum(mx.tanh(w * x))), in_axes=(None, 0))
    print(per_example(mx.array(0.5), mx.array([[1.0, 2.0], [3.0, 4.0]])))


if __name__ == "__main__":
    mx.random.seed(0)
    simple_gradients()
    gradients_of_a_loss()
    gradients_of_trees()
    vectorization()
    composition()
