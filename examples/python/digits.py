"""Trains a classifier on the UCI optical digits (8x8 grey images, shipped with scikit-learn), and looks into it.

Writes digits.png (or the path given as first argument): the loss curve, and the held-out digits whose loss has the largest
gradient, with the network's predictions.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map

Params = list[dict[str, mx.array]]


def init(sizes: list[int]) -> Params:
    return [
        {"weight": mx.random.normal((m, n), scale=(2 / m) ** 0.5), "bias": mx.zeros((n,))}
        for m, n in zip(sizes[:-1], sizes[1:])
    ]


def logits(params: Params, x: mx.array) -> mx.array:
    for layer in params[:-1]:
        x = mx.maximum(x @ layer["weight"] + layer["bias"], 0)
    return x @ params[-1]["weight"] + params[-1]["bias"]


def loss(params: Params, x: mx.array, y: mx.array) -> mx.array:
    """Mean cross-entropy. x: (..., 64), y: (...) integers."""
    z = logits(params, x)
    picked = mx.take_along_axis(z, mx.expand_dims(y, -1), axis=-1)
    return mx.mean(mx.logsumexp(z, axis=-1) - mx.squeeze(picked, -1))


def dot(a: Params, b: Params) -> mx.array:
    return mx.sum(mx.stack([mx.sum(p * q) for (_, p), (_, q) in zip(tree_flatten(a), tree_flatten(b))]))


def train(params: Params, x: mx.array, y: mx.array, epochs: int = 30, batch: int = 64) -> tuple[Params, list[float]]:
    value_and_grad = mx.value_and_grad(loss)
    velocity = tree_map(mx.zeros_like, params)
    steps = x.shape[0] // batch
    losses: list[float] = []
    for epoch in range(epochs):
        rate = 0.1 * (1 - epoch / epochs)
        order = mx.random.permutation(x.shape[0])
        for i in range(steps):
            rows = order[i * batch : (i + 1) * batch]
            value, grads = value_and_grad(params, x[rows], y[rows])
            velocity = tree_map(lambda v, g: 0.9 * v + g, velocity, grads)
            params = tree_map(lambda p, v: p - rate * v, params, velocity)
            mx.eval(value, params, velocity)
            losses.append(value.item())
        done = 30 * (epoch + 1) // epochs
        print(f"\r[{'=' * done}{' ' * (30 - done)}] epoch {epoch + 1}/{epochs}, loss {losses[-1]:.4f} ",
              end="", flush=True)
    print()
    return params, losses


def gradient_norms(params: Params, x: mx.array, y: mx.array) -> mx.array:
    """The norm of the loss gradient of each example: vmap of grad."""
    def norm(x: mx.array, y: mx.array) -> mx.array:
        g = mx.grad(loss)(params, x, y)
        return mx.sqrt(dot(g, g))

    return mx.vmap(norm)(x, y)


def curvature(params: Params, x: mx.array, y: mx.array) -> float:
    """The curvature of the loss along its own gradient, g'Hg / g'g: jvp of grad."""
    names, leaves = zip(*tree_flatten(params))

    def gradient(*flat: mx.array) -> list[mx.array]:
        return list(mx.grad(lambda flat: loss(rebuild(flat), x, y))(list(flat)))

    def rebuild(flat: list[mx.array]) -> Params:
        return [{"weight": w, "bias": b} for w, b in zip(flat[::2], flat[1::2])]

    assert names[0].endswith("weight") and names[1].endswith("bias")
    g = gradient(*leaves)
    _, hg = mx.jvp(gradient, list(leaves), g)
    along = sum((mx.sum(a * b) for a, b in zip(g, hg)), mx.array(0.0))
    norm = sum((mx.sum(a * a) for a in g), mx.array(0.0))
    return float((along / norm).item())


def draw(path: str, losses: list[float], images: list[mx.array], titles: list[str]) -> None:
    figure = plt.figure(figsize=(10, 6))
    grid = figure.add_gridspec(3, 6, height_ratios=[1.6, 1, 1])
    curve = figure.add_subplot(grid[0, :])
    curve.plot(losses, linewidth=0.8)
    curve.set_yscale("log")
    curve.set_xlabel("step")
    curve.set_ylabel("training loss")
    for i, (image, title) in enumerate(zip(images, titles)):
        axes = figure.add_subplot(grid[1 + i // 6, i % 6])
        axes.imshow(image.tolist(), cmap="gray_r")
        axes.set_title(title, fontsize=8)
        axes.axis("off")
    figure.suptitle("Digits: training loss, and the held-out digits with the largest loss gradient")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    mx.random.seed(0)
    digits = load_digits()
    order = mx.random.permutation(len(digits.target))
    x = (mx.array(digits.data).astype(mx.float32) / 16)[order]
    y = mx.array(digits.target)[order]
    x_train, y_train, x_test, y_test = x[:1437], y[:1437], x[1437:], y[1437:]

    params, losses = train(init([64, 128, 64, 10]), x_train, y_train)
    predicted = mx.argmax(logits(params, x_test), axis=-1)
    accuracy = mx.mean(predicted == y_test).item()
    print(f"held-out accuracy: {accuracy:.4f} on {len(y_test)} digits")
    assert accuracy >= 0.97, accuracy

    norms = gradient_norms(params, x_test, y_test)
    print(f"per-example gradient norms: median {mx.sort(norms)[len(y_test) // 2].item():.2e}, "
          f"largest {mx.max(norms).item():.2f}")
    print(f"curvature of the loss along its gradient: {curvature(params, x_train, y_train):.3f}")

    hardest = mx.argsort(-norms)[:12].tolist()
    path = sys.argv[1] if len(sys.argv) > 1 else "digits.png"
    draw(path, losses, [x_test[i].reshape(8, 8) for i in hardest],
         [f"is {y_test[i].item()}, read as {predicted[i].item()}" for i in hardest])
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
