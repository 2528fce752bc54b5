"""Training steps: MLP, transformer block, recurrent networks by Python loop and by scan."""

from frameworks import integers, mapped, values
from rows import workload


def dense(fw, sizes, seed=0):
    return [{"w": fw.array(values((a, b), a**-0.5, seed + i)), "b": fw.array(values(b, 0.1, seed + 50 + i))}
            for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]


def step(fw, loss, rate=0.1):
    """(loss, parameters after a step down the gradient)."""
    both = fw.value_and_grad(loss)

    def update(params, *batch):
        value, gradient = both(params, *batch)
        return value, mapped(lambda p, g: p - rate * g, params, gradient)

    return update


def mlp(fw, activation):
    def f(params, x):
        for layer in params[:-1]:
            x = activation(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"] + params[-1]["b"]

    return f


def classes(fw, batch, inputs, hidden, outputs):
    return dense(fw, (inputs, hidden, hidden, outputs)), fw.array(values((batch, inputs), seed=90)), fw.array(integers(outputs, batch))


@workload("MLP, batch {batch}, {inputs}-{hidden}-{hidden}-{outputs}", [dict(batch=256, inputs=784, hidden=512, outputs=10)])
def mlp_forward(fw, batch, inputs, hidden, outputs):
    params, x, _ = classes(fw, batch, inputs, hidden, outputs)
    return mlp(fw, fw.relu), (params, x)


STEPS = [dict(batch=256, inputs=784, hidden=512, outputs=10), dict(batch=32, inputs=64, hidden=64, outputs=10)]


@workload("MLP training step, batch {batch}, {inputs}-{hidden}-{hidden}-{outputs}", STEPS, quick=STEPS[0])
def mlp_step(fw, batch, inputs, hidden, outputs):
    f = mlp(fw, fw.relu)
    return step(fw, lambda params, x, t: fw.cross_entropy(f(params, x), t)), classes(fw, batch, inputs, hidden, outputs)


def block(fw, heads):
    def f(p, x):
        b, n, d = x.shape
        apart = lambda y: fw.np.swapaxes(y.reshape((b, n, heads, d // heads)), 1, 2)
        y = fw.layer_norm(x, *p["norm1"])
        y = fw.attention(*(apart(y @ p[name]) for name in ("q", "k", "v")))
        x = x + fw.np.swapaxes(y, 1, 2).reshape((b, n, d)) @ p["out"]
        y = fw.gelu(fw.layer_norm(x, *p["norm2"]) @ p["up"] + p["bias"]) @ p["down"]
        return x + y

    return f


def block_arguments(fw, batch, n, d):
    matrix = lambda a, b, seed: fw.array(values((a, b), a**-0.5, seed))
    norm = lambda seed: [fw.array(1 + values(d, 0.1, seed)), fw.array(values(d, 0.1, seed + 1))]
    p = {name: matrix(d, d, i) for i, name in enumerate(("q", "k", "v", "out"))}
    p |= {"up": matrix(d, 4 * d, 5), "down": matrix(4 * d, d, 6), "bias": fw.array(values(4 * d, 0.1, 7)), "norm1": norm(8), "norm2": norm(10)}
    return p, fw.array(values((batch, n, d), seed=12))


BLOCK = dict(batch=4, n=128, d=256, heads=8)


@workload("transformer block, {batch} x {n} x {d}", [BLOCK])
def transformer(fw, batch, n, d, heads):
    return block(fw, heads), block_arguments(fw, batch, n, d)


@workload("transformer block training step, {batch} x {n} x {d}", [BLOCK], tolerance=1e-3)
def transformer_step(fw, batch, n, d, heads):
    f = block(fw, heads)
    return step(fw, lambda p, x: (f(p, x) ** 2).mean()), block_arguments(fw, batch, n, d)


RNN = dict(steps=200, batch=8, d=64)


def recurrent(fw, steps, batch, d):
    w, u = fw.array(values((d, d), 0.9 * d**-0.5)), fw.array(values((d, d), d**-0.5, seed=1))
    return w, u, fw.array(values((batch, d), seed=2)), fw.array(values((steps, batch, d), seed=3))


def by_loop(fw):
    def f(w, u, h, xs):
        total = 0.0
        for i in range(xs.shape[0]):
            h = fw.np.tanh(h @ w + xs[i] @ u)
            total = total + (h * h).mean()
        return total

    return f


def by_scan(fw):
    def f(w, u, h, xs):
        def step(h, x):
            h = fw.np.tanh(h @ w + x @ u)
            return h, (h * h).mean()

        return fw.scan(step, h, xs)[1].sum()

    return f


@workload("RNN by a Python loop, {steps} steps, {batch} x {d}", [RNN])
def rnn_loop(fw, steps, batch, d):
    return by_loop(fw), recurrent(fw, steps, batch, d)


@workload("gradient of an RNN by a Python loop, {steps} steps, {batch} x {d}", [RNN], tolerance=1e-3)
def rnn_loop_gradient(fw, steps, batch, d):
    return fw.grad(by_loop(fw), argnums=(0, 1)), recurrent(fw, steps, batch, d)


@workload("RNN by scan, {steps} steps, {batch} x {d}", [RNN])
def rnn_scan(fw, steps, batch, d):
    return by_scan(fw), recurrent(fw, steps, batch, d)


@workload("gradient of an RNN by scan, {steps} steps, {batch} x {d}", [RNN], tolerance=1e-3)
def rnn_scan_gradient(fw, steps, batch, d):
    return fw.grad(by_scan(fw), argnums=(0, 1)), recurrent(fw, steps, batch, d)


@workload("gradient of the last state of an RNN by scan, subnormal cotangents, {steps} steps", [RNN], tolerance=1e-3)
def rnn_last(fw, steps, batch, d):
    """Gradients that vanish on the way back become subnormal, which costs CPUs dearly."""
    def f(w, u, h, xs):
        return (fw.scan(lambda h, x: (fw.np.tanh(h @ w * 0.5 + x @ u), 0.0 * h[0, 0]), h, xs)[0] ** 2).mean()

    return fw.grad(f, argnums=(0, 1)), recurrent(fw, steps, batch, d)
