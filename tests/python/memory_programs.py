"""Programs that never call eval, one for each shape of graph, under a memory limit: prints the peak of each, in bytes beyond
what was there. Run by test_memory_budget.py in a process of its own: memory_programs.py name..."""

import gc
import sys

import mlx.core as mx

N = 1 << 18
MB = 1 << 20
SIDE = 512  # a matrix is 1 MB, as is a vector of N


def inputs():
    return mx.full((N,), 0.5), mx.full((N,), 0.25), mx.full((SIDE, SIDE), 1.0 / SIDE)


def chain(a, b, m):
    x = mx.zeros((N,))
    for _ in range(5000):
        x = x * a + b
    return x


def chain_of_products(a, b, m):
    x = m
    for _ in range(100):
        x = x @ m
    return x


def two_states(a, b, m):
    x, y = a, b
    for _ in range(1000):
        x, y = x * a + y * 0.125, mx.cumsum(y) * 1e-6 + b
    return x + y


def fan_out(a, b, m):
    return mx.stack([(m @ (m * float(i))).sum() for i in range(100)])


def tree(a, b, m):
    level = [m @ (m * float(i)) for i in range(64)]
    while len(level) > 1:
        level = [mx.maximum(x, y) for x, y in zip(level[::2], level[1::2])]
    return level[0]


def sum_of_products(a, b, m):
    total = m * 0
    for i in range(100):
        total = total + (m * float(i)) @ m
    return total


def heads(a, b, m):
    outs = []
    for i in range(32):
        x = m * float(i)
        for _ in range(4):
            x = mx.tanh(x @ m)
        outs.append(x.mean())
    return mx.stack(outs)


def last_elements(a, b, m):
    return mx.concatenate([mx.cumsum(mx.sort(a * float(i)))[-1:] for i in range(200)])


def rows(a, b, m):
    return mx.stack([mx.softmax(m * float(i), axis=-1)[0] for i in range(100)])


def two_rows_of_each(a, b, m):
    pairs = []
    for i in range(100):
        y = m @ (m * float(i))
        pairs.append(y[0] + y[-1])
    return mx.stack(pairs)


def training(a, b, m):
    w, mean, square = m, m * 0, m * 0
    x = mx.full((64, SIDE), 0.1)
    for _ in range(100):
        loss, g = mx.value_and_grad(lambda w: ((mx.tanh(x @ w) @ w) ** 2).mean())(w)
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
        w = w - 0.1 * mean / (mx.sqrt(square) + 1e-8)
    return loss


def gradients(a, b, m):
    sizes = []
    for i in range(60):
        x = mx.full((64, SIDE), float(i))
        sizes.append((mx.grad(lambda w: mx.tanh(x @ w).mean())(m) ** 2).sum())
    return mx.stack(sizes)


def compiled_training(a, b, m):
    x = mx.full((64, SIDE), 0.1)
    step = mx.compile(lambda w: w - 0.1 * mx.grad(lambda w: ((mx.tanh(x @ w) @ w) ** 2).mean())(w))
    w = m
    for _ in range(100):
        w = step(w)
    return w


def compiled_chain(a, b, m):
    def f(x):
        for _ in range(200):
            x = mx.tanh(x @ m) + x
        return x
    return mx.compile(f)(m)


def draws(a, b, m):
    total = mx.array(0.0)
    for _ in range(100):
        total = total + mx.random.normal((SIDE, SIDE)).max()
    return total


def assignments(a, b, m):
    buffer = mx.zeros((64, 4096))
    for i in range(2000):
        buffer[i % 64] = buffer[(i - 1) % 64] * 0.5 + 1
    return buffer


def in_the_background(a, b, m):
    x = a
    for _ in range(500):
        x = x * a + b
        mx.async_eval(x)
    return x


def leaves_on_the_left(a, b, m):
    total = m
    for i in range(60):
        total = mx.maximum(m @ (m * float(i)), total)
    return total


def used_far_apart(a, b, m):
    made = [m @ (m * float(i)) for i in range(60)]
    sums, tops, deviations = mx.stack([y.sum() for y in made]), mx.stack([y.max() for y in made]), mx.stack([mx.exp(y).sum() for y in made])
    return sums + tops + deviations


def kept_losses(a, b, m):
    losses = []
    w = m
    for i in range(100):
        loss, g = mx.value_and_grad(lambda w: mx.tanh(w @ w).mean())(w)
        w = w - 0.1 * g
        losses.append(loss)
    return mx.stack(losses)


PROGRAMS = [chain, chain_of_products, two_states, fan_out, tree, sum_of_products, heads, last_elements, rows, two_rows_of_each, training, gradients,
            compiled_training, compiled_chain, draws, assignments, in_the_background, leaves_on_the_left, used_far_apart, kept_losses]
LIMIT = 16 * MB


def main(names):
    given = inputs()
    mx.eval(given)
    for program in PROGRAMS:
        if program.__name__ in names:
            gc.collect()
            mx.synchronize()
            mx.clear_cache()
            before = mx.get_active_memory()
            limit = mx.set_memory_limit(before + LIMIT)
            mx.reset_peak_memory()
            result = program(*given)
            mx.eval(result)
            mx.synchronize()
            print(program.__name__, mx.get_peak_memory() - before, mx.all(mx.isfinite(result)).item(), flush=True)
            del result
            mx.set_memory_limit(limit)


if __name__ == "__main__":
    main(sys.argv[1:])
