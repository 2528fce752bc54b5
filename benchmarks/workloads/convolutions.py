"""Convolutions in one, two and three dimensions and pools, forward and backward, and the training step of a small network of them."""

from frameworks import integers, values
from rows import workload
from workloads.networks import dense, step

CASES = [
    dict(d=1, batch=16, side=512, inputs=32, outputs=64, window=5),
    dict(d=2, batch=8, side=32, inputs=32, outputs=64, window=3),
    dict(d=2, batch=8, side=64, inputs=3, outputs=32, window=3),
    dict(d=2, batch=8, side=32, inputs=64, outputs=64, window=1),
    dict(d=3, batch=2, side=16, inputs=16, outputs=32, window=3),
]
NAME = "conv {d}-D, window {window}, {inputs} to {outputs} channels"


def arguments(fw, d, batch, side, inputs, outputs, window):
    d = min(d, 3)
    x = values((batch, *[side] * d, inputs))
    w = values((outputs, *[min(window, 3) if side < window else window] * d, inputs), 0.1, seed=1)
    return fw.image(x), fw.image(w)


@workload(NAME, CASES, modes=("eager",), checked=lambda fw, y: fw.last(y), quick=CASES[1])
def forward(fw, window, **sizes):
    return lambda x, w: fw.conv(x, w, padding=window // 2), arguments(fw, window=window, **sizes)


@workload("gradient of " + NAME, CASES, checked=lambda fw, both: [fw.last(g) for g in both], tolerance=1e-3)
def backward(fw, window, **sizes):
    f, given = forward(fw, window, **sizes)
    return fw.grad(lambda x, w: (f(x, w) ** 2).sum(), argnums=(0, 1)), given


POOLS = [
    dict(kind="max", window=3, stride=2, batch=16, side=56, channels=64),
    dict(kind="mean", window=3, stride=1, batch=16, side=56, channels=64),
    dict(kind="max", window=2, stride=2, batch=16, side=56, channels=64),
]
POOL = "{kind} of windows of {window} x {window} in steps of {stride}, {batch} x {side} x {side} x {channels}"


@workload(POOL, POOLS, modes=("eager",), checked=lambda fw, y: fw.last(y))
def pool(fw, kind, window, stride, batch, side, channels):
    return lambda x: fw.pooled(x, kind, window, stride), (fw.image(values((batch, side, side, channels))),)


@workload("gradient of " + POOL, POOLS, checked=lambda fw, g: fw.last(g), tolerance=1e-3)
def pool_backward(fw, **sizes):
    f, given = pool(fw, **sizes)
    return fw.grad(lambda x: (f(x) ** 2).sum()), given


@workload("CNN training step, batch {batch}, {side} x {side}", [dict(batch=32, side=28, channels=16)], checked=lambda fw, r: fw.numpy(r[0]),
          tolerance=1e-3)
def cnn(fw, batch, side, channels):
    def loss(params, x, targets):
        for i, w in enumerate(params["filters"]):
            x = fw.relu(fw.conv(x, w, stride=1 + i % 2, padding=1))
        x = fw.spatial_mean(x)
        return fw.cross_entropy(x @ params["head"][0]["w"] + params["head"][0]["b"], targets)

    widths = (1, channels, channels, 2 * channels)
    filters = [fw.image(values((b, 3, 3, a), (9 * a) ** -0.5, seed=i)) for i, (a, b) in enumerate(zip(widths, widths[1:]))]
    params = {"filters": filters, "head": dense(fw, (2 * channels, 10), seed=5)}
    return step(fw, loss), (params, fw.image(values((batch, side, side, 1), seed=9)), fw.array(integers(10, batch)))
