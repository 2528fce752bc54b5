"""Functions whose values and derivatives have goldens: written once for a namespace `xp`, which is mlx.core here and jax.numpy in
tools/make_goldens.py. All in float64 or complex128, on the fixed arguments of arguments()."""

import numpy as np


def _softmax(xp, x):
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def rosenbrock(xp, x):
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def network(xp, x, w1, b1, w2):
    """A two-layer classifier's cross entropy."""
    hidden = xp.tanh(x @ w1 + b1)
    logits = hidden @ w2
    top = xp.max(logits, axis=-1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(logits - top), axis=-1)) + top[:, 0] - logits[:, 1])


def attention(xp, q, k, v):
    scores = q @ xp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    return xp.sum(xp.sin(_softmax(xp, scores) @ v))


def layer_norm(xp, x, w, b):
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    scaled = centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    return xp.sum((scaled * w + b) ** 3)


def recurrence(xp, h, w, xs):
    """A Python loop of a gated cell."""
    for i in range(xs.shape[0]):
        gate = 1 / (1 + xp.exp(-(h @ w)))
        h = gate * h + (1 - gate) * xp.tanh(xs[i])
    return xp.sum(h * h)


def pendulum(xp, state):
    """Twenty steps of a leapfrog integrator; the energy at the end."""
    angle, speed = state[0], state[1]
    for _ in range(20):
        speed = speed - 0.05 * xp.sin(angle)
        angle = angle + 0.1 * speed
        speed = speed - 0.05 * xp.sin(angle)
    return speed * speed / 2 - xp.cos(angle)


def branches(xp, x, y):
    """Selection, extrema and powers with a guarded domain."""
    safe = xp.where(x > 0, x, xp.ones_like(x))
    picked = xp.where(x > 0, safe ** y, xp.exp(x) * y)
    return xp.sum(xp.maximum(picked, xp.minimum(x, y)) * xp.logaddexp(x, y))


def moments(xp, x):
    """Reductions over every kind of axes."""
    return xp.var(x) + xp.sum(xp.prod(x, axis=1)) + xp.max(xp.sum(x, axis=(0, 2))) * xp.mean(x, axis=0)[1, 2]


def rearranged(xp, x):
    """Views of views: reshape, transpose, slices with steps of both signs, concatenation, broadcasting."""
    y = xp.transpose(xp.reshape(x, (4, 6)))[::-1, 1:]
    z = xp.concatenate([y[::2], y[1:4] * 2], axis=0)
    return xp.sum(xp.cos(z[:, None, :] * z[None, :, :]))


def gathered(xp, x):
    index = xp.array([3, 1, 1, 0])
    return xp.sum(xp.take(x, index, axis=0) ** 3 * xp.arange(1, 5)[:, None]) + xp.sum(x[index, xp.array([0, 1, 0, 2])] ** 2)


def implicit(xp, x):
    """Newton's iteration for the cube root: derivatives of a solution."""
    y = x
    for _ in range(6):
        y = y - (y ** 3 - x) / (3 * y * y)
    return xp.sum(y)


def analytic(xp, z):
    """A holomorphic function's modulus: the complex convention of gradients."""
    w = xp.exp(z * 1j) * xp.sin(z) / (z + 2)
    return xp.sum(xp.real(w) ** 2 + xp.abs(w))


def rotation(xp, z, theta):
    """Complex in the middle, real outside."""
    w = z * (xp.cos(theta) + 1j * xp.sin(theta))
    return xp.sum(xp.imag(w * w) + xp.real(xp.conj(w) * z))


CASES = {f.__name__: f for f in (
    rosenbrock, network, attention, layer_norm, recurrence, pendulum, branches, moments, rearranged, gathered, implicit,
    analytic, rotation)}
SHAPES = {
    "rosenbrock": [(6,)], "network": [(5, 3), (3, 4), (4,), (4, 2)], "attention": [(2, 3, 4), (2, 5, 4), (2, 5, 3)],
    "layer_norm": [(3, 5), (5,), (5,)], "recurrence": [(3,), (3, 3), (4, 3)], "pendulum": [(2,)], "branches": [(3, 4), (4,)],
    "moments": [(2, 3, 4)], "rearranged": [(2, 3, 4)], "gathered": [(4, 3)], "implicit": [(5,)], "analytic": [(4,)],
    "rotation": [(3,), (3,)],
}
COMPLEX = {"analytic": [0], "rotation": [0]}
POSITIVE = {"implicit"}


def arguments(name, salt=0):
    """NumPy arguments of a case; tangents with another salt."""
    rng = np.random.default_rng([sum(map(ord, name)), salt])
    values = [rng.uniform(-1.2, 1.2, shape) for shape in SHAPES[name]]
    for i in COMPLEX.get(name, ()):
        values[i] = values[i] + 1j * rng.uniform(-1, 1, SHAPES[name][i])
    return [np.abs(v) + 0.7 for v in values] if name in POSITIVE and salt == 0 else values


# Elementwise ops: value and first three derivatives at points of the domain. JAX's names where they differ.
JAX_NAMES = {"sigmoid": "jax.nn.sigmoid", "erf": "jax.scipy.special.erf", "erfinv": "jax.scipy.special.erfinv",
             "rsqrt": "jax.lax.rsqrt"}
POINTS = 5


def points(op):
    """Points spread over the domain's inside, one row per argument."""
    grid = (np.arange(POINTS) + 0.37) / POINTS
    domains = [op["domain"], op["second_domain"]][:op["arity"]]
    return [low + (high - low) * np.roll(grid, 2 * i) for i, (low, high) in enumerate(domains)]
