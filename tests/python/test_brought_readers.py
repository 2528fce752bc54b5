"""Drawn programs with reductions of whole arrays among elementwise steps: evaluated at once, in which steps may come
before others, and compiled, they have the bits of the steps evaluated one by one."""

import numpy as np
import pytest

import mlx.core as mx
from bits import bits, check_at_once, evaluated

SHAPE = (132, 128)  # as many elements as it takes


def program(seed, step):
    """A drawn function of two arrays; `step` gets each value as it is made. The draw is the same for each call."""

    def run(a, b):
        rng = np.random.default_rng(seed)
        arrays, numbers, masks = [a, b], [mx.array(0.75)], []
        pick = lambda values: values[int(rng.integers(max(0, len(values) - 4), len(values)))]
        for _ in range(int(rng.integers(4, 30))):
            kind = int(rng.integers(11))
            x, y, n = pick(arrays), pick(arrays), pick(numbers)
            if kind < 3:
                arrays.append(step([lambda: x + y, lambda: x * y, lambda: x - y * 0.5][kind]()))
            elif kind == 3:
                arrays.append(step(mx.tanh(x) if rng.integers(2) else mx.abs(x) + 1))
            elif kind == 4:
                arrays.append(step(x * n))
            elif kind == 5:
                masks.append(step(x < y))
            elif kind == 6 and masks:
                arrays.append(step(mx.where(pick(masks), x, y * 0.25)))
            elif kind == 7:
                reduce = [mx.sum, mx.mean, mx.max][int(rng.integers(3))]
                numbers.append(step(reduce(x) * 0.001))
            elif kind == 8:
                numbers.append(step(n * 0.5 + pick(numbers)))
            elif kind == 9:
                arrays.append(step(x - mx.mean(x, axis=int(rng.integers(2)), keepdims=True)))
            elif kind == 10 and rng.integers(3) == 0:
                arrays.append(step([lambda: x[::-1], lambda: mx.cumsum(x, 1) * 0.01][int(rng.integers(2))]()))
        wanted = [v for v in [*arrays[2:], *numbers[1:], *masks] if rng.integers(3) == 0]
        return [*wanted, arrays[-1], numbers[-1]]

    return run


@pytest.mark.grid(0.3)
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize("seed", range(300))
def test_drawn_programs(seed, name):
    rng = np.random.default_rng(seed)
    a, b = (mx.array(rng.standard_normal(SHAPE).astype("f4")).astype(getattr(mx, name)) for _ in range(2))
    check_at_once(program(seed, evaluated), program(seed, lambda x: x), [a, b], lazy=2)


LOSSES = {
    "mean square": lambda a, b: ((a - b) ** 2).mean(),
    "huber": lambda a, b: mx.where(mx.abs(a - b) < 1, 0.5 * (a - b) ** 2, mx.abs(a - b) - 0.5).mean(),
    "log cosh": lambda a, b: mx.log(mx.cosh(a - b)).mean(),
    "normal": lambda a, b: (0.5 * ((a - b) / (mx.abs(b) + 1)) ** 2 + mx.log(mx.abs(b) + 1)).mean(),
    "cross entropy": lambda a, b: (mx.logaddexp(a * 0, a) - a * b).mean(),
    "norm": lambda a, b: mx.sqrt((a * a).sum()) + mx.max(b * a),
    "of two spaces": lambda a, b: (a * b).sum() + mx.tanh(b[1:] - a[1:]).sum(),
    "two": lambda a, b: (a * b).mean() * mx.tanh(a - b).sum(),
    "scaled": lambda a, b: ((a - b * (a * b).mean()) ** 2).sum(),
}


@pytest.mark.parametrize("name", ["float32", "float16", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_losses(loss, name):
    rng = np.random.default_rng(3)
    a, b = (mx.array(rng.standard_normal(SHAPE).astype("f4")).astype(getattr(mx, name)) for _ in range(2))
    f = mx.value_and_grad(LOSSES[loss], (0, 1))
    value, grads = f(a, b)
    mx.eval(grads)  # alone, before the value is asked for
    want = [bits(x) for x in [value, *grads]]
    value, grads = f(a, b)
    mx.eval(value, grads)
    assert [bits(x) for x in [value, *grads]] == want
    value, grads = mx.compile(f)(a, b)
    assert [bits(x) for x in [value, *grads]] == want
