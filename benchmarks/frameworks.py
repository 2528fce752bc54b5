"""One adapter per framework: what workloads say differently in each; where the APIs are alike they use `np`, the namespace.

A method that a framework cannot do raises Unsupported, and its cell in the table is "-". Only the framework asked for is imported.
"""

import math

import numpy


class Unsupported(Exception):
    """The framework has no such feature."""


def leaves(tree):
    if isinstance(tree, dict):
        return [x for key in sorted(tree) for x in leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [x for item in tree for x in leaves(item)]
    return [] if tree is None else [tree]


def mapped(function, *trees):
    """The trees' structure with function of the leaves that correspond."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: mapped(function, *(t[key] for t in trees)) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(mapped(function, *items) for items in zip(*trees))
    return function(*trees)


class Framework:
    """Written out in `np`: what a framework without an operation of its own does."""

    modes = ("eager",)
    import_line = "import numpy"
    channels_first = False

    @property
    def key(self):
        """What random() draws from where that is an argument."""
        return self.array(numpy.zeros((), numpy.float32))

    def wait(self, tree):
        return tree

    def numpy(self, x):
        return numpy.asarray(x)

    def last(self, x):
        """An image or a filter with its channels in the last axis, whatever the framework's order."""
        return numpy.moveaxis(self.numpy(x), 1, -1) if self.channels_first else self.numpy(x)

    def image(self, x):
        """An image, or a filter (outputs, *window, inputs), in the framework's order of axes, from channels last."""
        return self.array(numpy.ascontiguousarray(numpy.moveaxis(x, -1, 1)) if self.channels_first else x)

    def pooled(self, x, kind, window, step):
        """The largest or the mean element of each square window of an image."""
        n, height, width, channels = x.shape
        counts = [(side - window) // step + 1 for side in (height, width)]
        row, line = channels, width * channels
        strides = (height * line, step * line, step * row, line, row, 1)
        return getattr(self.strided(x, (n, *counts, window, window, channels), strides), kind)(axis=(3, 4))

    def spatial_mean(self, x):
        axes = range(2, x.ndim) if self.channels_first else range(1, x.ndim - 1)
        return self.np.mean(x, axis=tuple(axes))

    def unsupported(self, *args, **kwargs):
        raise Unsupported

    compile = grad = value_and_grad = nested_grad = vmap = hessian = jvp = conv = sparse_jacobian = copy_into = unsupported

    def hvp(self, f):
        return lambda x, v: self.jvp(self.nested_grad(f), x, v)

    def scan(self, f, carry, xs):
        ys = []
        for i in range(xs.shape[0]):
            carry, y = f(carry, xs[i])
            ys.append(y)
        return carry, self.np.stack(ys)

    def loop(self, count, body, state):
        """state = body(i, state), count times: a Python loop where the framework is used in that way."""
        for i in range(count):
            state = body(i, state)
        return state

    def set(self, x, index, value):
        x[index] = value
        return x

    def add_at(self, x, index, value):
        return x.at[index].add(value)

    def pad(self, x):
        """Zeros around it."""
        return self.np.pad(x, 1)

    def gelu(self, x):
        return 0.5 * x * (1 + self.erf(x * math.sqrt(0.5)))

    def erf(self, x):
        return self.np.erf(x)

    def softmax(self, x):
        return self.np.softmax(x, axis=-1)

    def logsumexp(self, x):
        return self.np.logsumexp(x, axis=-1)

    def layer_norm(self, x, weight, bias):
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / self.np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias

    def rms_norm(self, x, weight):
        return x / self.np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * weight

    def cross_entropy(self, logits, targets):
        picked = self.np.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
        return (self.logsumexp(logits) - picked).mean()

    def attention(self, q, k, v):
        scores = q @ self.np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]))
        return self.softmax(scores) @ v

    def relu(self, x):
        return self.np.maximum(x, 0)

    def topk(self, x, k):
        return self.np.sort(self.np.partition(x, x.shape[-1] - k)[..., -k:])

    def transposed(self, x):
        """The last two axes exchanged, in memory too."""
        return self.contiguous(self.np.swapaxes(x, -1, -2))

    def contiguous(self, x):
        return self.np.ascontiguousarray(x)

    def astype(self, x, dtype):
        return x.astype(dtype)

    def compiled_for(self, f, arguments):
        """f compiled, and as far as possible before the first call."""
        return self.compile(f)


class Mlx(Framework):
    """mlx.core: ours, and Apple's."""

    modes = ("eager", "compiled")
    import_line = "import mlx.core as mx"

    def __init__(self):
        import mlx.core as mx

        self.np = self.mx = mx
        self.wait, self.compile, self.vmap = lambda tree: mx.eval(tree), mx.compile, mx.vmap
        self.grad = self.nested_grad = mx.grad
        self.value_and_grad = mx.value_and_grad
        if hasattr(mx, "scan"):
            self.scan = mx.scan
        self.random = lambda kind, shape, key: getattr(mx.random, kind)(shape=shape)
        fast = mx.fast
        if hasattr(fast, "layer_norm"):
            self.layer_norm = lambda x, w, b: fast.layer_norm(x, w, b, 1e-5)
            self.rms_norm = lambda x, w: fast.rms_norm(x, w, 1e-5)
        if hasattr(fast, "scaled_dot_product_attention"):
            self.attention = lambda q, k, v: fast.scaled_dot_product_attention(q, k, v, scale=1 / math.sqrt(q.shape[-1]))

    def array(self, x, dtype=None):
        x = self.mx.array(x)
        x = x.astype(getattr(self.mx, dtype)) if dtype else x
        self.mx.eval(x)
        return x

    def numpy(self, x):
        return numpy.array(x.astype(self.mx.float32) if x.dtype == self.mx.bfloat16 else x)

    def jvp(self, f, x, v):
        return self.mx.jvp(f, [x], [v])[1][0]

    def hessian(self, f):
        if hasattr(self.mx, "hessian"):
            return self.mx.hessian(f)
        gradient = self.mx.grad(f)
        return lambda x: self.mx.vmap(lambda v: self.jvp(gradient, x, v))(self.mx.eye(x.shape[0]))

    def conv(self, x, w, stride=1, padding=0):
        return self.mx.conv_general(x, w, stride=stride, padding=padding)

    def strided(self, x, shape, strides):
        return self.mx.as_strided(x, shape, strides)

    def topk(self, x, k):
        return self.mx.topk(x, k)

    def sparse_jacobian(self, f):
        if not hasattr(self.mx, "sparse_jacobian"):
            raise Unsupported
        jacobian = self.mx.sparse_jacobian(f)
        return lambda x: jacobian(x).values

    def contiguous(self, x):
        return self.mx.contiguous(x)

    def solve(self, a, b):
        return self.mx.linalg.solve(a, b)

    def svd(self, a):
        try:
            return list(self.mx.linalg.svd(a, full_matrices=False))
        except TypeError:  # Apple's has square factors alone
            return list(self.mx.linalg.svd(a))


class Jax(Framework):
    modes = ("compiled",)
    import_line = "import jax.numpy as jnp"

    def __init__(self):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)  # for the float64 rows; everything else names its dtype
        self.np, self.jax = jnp, jax
        self.wait, self.compile, self.vmap = jax.block_until_ready, jax.jit, jax.vmap
        self.grad = self.nested_grad = jax.grad
        self.value_and_grad, self.hessian = jax.value_and_grad, jax.hessian
        self.scan = jax.lax.scan
        self.erf, self.gelu = jax.scipy.special.erf, lambda x: jax.nn.gelu(x, approximate=False)
        self.softmax, self.logsumexp = jax.nn.softmax, lambda x: jax.nn.logsumexp(x, axis=-1)

    def array(self, x, dtype=None):
        return self.np.asarray(x, dtype=dtype)

    def numpy(self, x):
        return numpy.asarray(x.astype("float32") if x.dtype == "bfloat16" else x)

    def jvp(self, f, x, v):
        return self.jax.jvp(f, (x,), (v,))[1]

    def pooled(self, x, kind, window, step):
        lax, sizes = self.jax.lax, ((1, window, window, 1), (1, step, step, 1), "VALID")
        if kind == "max":
            return lax.reduce_window(x, -self.np.inf, lax.max, *sizes)
        return lax.reduce_window(x, 0.0, lax.add, *sizes) / window**2

    def conv(self, x, w, stride=1, padding=0):
        d = x.ndim - 2
        space = "DHW"[3 - d:]
        names = (f"N{space}C", f"O{space}I", f"N{space}C")
        return self.jax.lax.conv_general_dilated(x, w, (stride,) * d, [(padding, padding)] * d, dimension_numbers=names)

    def loop(self, count, body, state):
        return self.jax.lax.fori_loop(0, count, body, state)

    def set(self, x, index, value):
        return x.at[index].set(value)

    def topk(self, x, k):
        return self.jax.lax.top_k(x, k)[0]

    @property
    def key(self):
        return self.jax.random.key(0)

    def random(self, kind, shape, key):
        return getattr(self.jax.random, kind)(key, shape, dtype="float32")

    def sparse_jacobian(self, f):
        return self.jax.jacfwd(f)  # dense: it has no other

    def contiguous(self, x):
        return x  # every result of a compiled function is

    def compiled_for(self, f, arguments):
        return self.jax.jit(f).lower(*arguments).compile()

    def solve(self, a, b):
        return self.np.linalg.solve(a, b)

    def svd(self, a):
        return list(self.np.linalg.svd(a, full_matrices=False))


class TorchNames:
    """torch's functions under the names, and with the arguments, that the others have."""

    def __init__(self, torch):
        self.torch, self.linalg, self.fft = torch, torch.linalg, torch.fft
        self.max, self.min, self.concatenate = torch.amax, torch.amin, torch.cat
        self.transpose, self.take_along_axis = torch.permute, lambda x, i, axis: torch.gather(x, axis, i.long())
        self.sort = lambda x, axis=-1: torch.sort(x, dim=axis).values
        self.argsort = lambda x, axis=-1: torch.argsort(x, dim=axis)
        self.maximum = lambda x, y: torch.clamp(x, min=y) if isinstance(y, (int, float)) else torch.maximum(x, y)
        self.minimum = lambda x, y: torch.clamp(x, max=y) if isinstance(y, (int, float)) else torch.minimum(x, y)

    def __getattr__(self, name):
        return getattr(self.torch, name)


class Torch(Framework):
    import_line = "import torch"
    channels_first = True

    def __init__(self):
        import torch

        self.torch, self.np, self.vmap, self.hessian = torch, TorchNames(torch), torch.func.vmap, torch.func.hessian
        self.nested_grad = torch.func.grad
        f = torch.nn.functional
        self.gelu, self.relu = f.gelu, torch.relu
        self.softmax, self.logsumexp = lambda x: torch.softmax(x, -1), lambda x: torch.logsumexp(x, -1)
        self.layer_norm = lambda x, w, b: f.layer_norm(x, x.shape[-1:], w, b, 1e-5)
        self.rms_norm = lambda x, w: f.rms_norm(x, x.shape[-1:], w, 1e-5)
        self.cross_entropy = lambda logits, targets: f.cross_entropy(logits, targets.long())
        self.attention = f.scaled_dot_product_attention
        self.solve, self.random = torch.linalg.solve, lambda kind, shape, key: {"uniform": torch.rand, "normal": torch.randn}[kind](shape)
        self.pad = lambda x: f.pad(x, (1, 1) * x.ndim)
        self.convolutions = (f.conv1d, f.conv2d, f.conv3d)

    def array(self, x, dtype=None):
        return self.torch.as_tensor(x.copy(), dtype=getattr(self.torch, dtype) if dtype else None)

    def numpy(self, x):
        return (x.float() if x.dtype == self.torch.bfloat16 else x).detach().numpy()

    def value_and_grad(self, f, argnums=0):
        wanted = (argnums,) if isinstance(argnums, int) else argnums

        def both(*args):
            args = [mapped(lambda x: x.detach().requires_grad_(), a) if i in wanted else a for i, a in enumerate(args)]
            value = f(*args)
            trees = [args[i] for i in wanted]
            found = iter(self.torch.autograd.grad(value, leaves(trees)))
            gradients = [mapped(lambda _: next(found), ordered(tree)) for tree in trees]
            return value.detach(), gradients[0] if isinstance(argnums, int) else gradients

        def ordered(tree):  # dicts by their keys, as leaves() has them
            return {k: ordered(tree[k]) for k in sorted(tree)} if isinstance(tree, dict) else \
                type(tree)(map(ordered, tree)) if isinstance(tree, (list, tuple)) else tree

        return both

    def grad(self, f, argnums=0):
        both = self.value_and_grad(f, argnums)
        return lambda *args: both(*args)[1]

    def jvp(self, f, x, v):
        return self.torch.func.jvp(f, (x,), (v,))[1]

    def pooled(self, x, kind, window, step):
        functional = self.torch.nn.functional
        return (functional.max_pool2d if kind == "max" else functional.avg_pool2d)(x, window, step)

    def conv(self, x, w, stride=1, padding=0):
        return self.convolutions[x.ndim - 3](x, w, stride=stride, padding=padding)

    def scan(self, f, carry, xs):
        ys = []
        for x in xs.unbind(0):  # one node for all steps, where x[i] would be one with a gradient of the whole size each
            carry, y = f(carry, x)
            ys.append(y)
        return carry, self.np.stack(ys)

    def copy_into(self, out, x):
        return out.copy_(x)

    def add_at(self, x, index, value):
        return x.index_add(0, index, value)

    def topk(self, x, k):
        return self.torch.topk(x, k).values

    def sparse_jacobian(self, f):
        return self.torch.func.jacfwd(f)

    def contiguous(self, x):
        return x.contiguous()

    def astype(self, x, dtype):
        return x.to(dtype)

    def svd(self, a):
        return list(self.torch.linalg.svd(a, full_matrices=False))


class NumPy(Framework):
    """NumPy, and SciPy for what it has of these things."""

    import_line = "import numpy"

    def __init__(self):
        import scipy.fft
        import scipy.linalg
        import scipy.special

        self.np, self.scipy = NumPyNames(scipy), scipy
        self.erf, self.rng = scipy.special.erf, numpy.random.default_rng(0)

    def array(self, x, dtype=None):
        if dtype in ("bfloat16", "float16"):
            raise Unsupported
        return numpy.asarray(x, dtype=dtype)

    def strided(self, x, shape, strides):
        return numpy.lib.stride_tricks.as_strided(x, shape, [s * x.itemsize for s in strides])

    def copy_into(self, out, x):
        numpy.copyto(out, x)
        return out

    def add_at(self, x, index, value):
        x = x.copy()
        numpy.add.at(x, index, value)
        return x

    def random(self, kind, shape, key):
        draw = self.rng.random if kind == "uniform" else self.rng.standard_normal
        return draw(shape, dtype=numpy.float32)

    def solve(self, a, b):
        return numpy.linalg.solve(a, b if b.ndim > 1 else b[:, None]).reshape(b.shape)

    def svd(self, a):
        return list(numpy.linalg.svd(a, full_matrices=False))


class NumPyNames:
    def __init__(self, scipy):
        self.fft = scipy.fft
        self.softmax, self.logsumexp, self.erf = scipy.special.softmax, scipy.special.logsumexp, scipy.special.erf

    def __getattr__(self, name):
        return getattr(numpy, name)


FRAMEWORKS = {"ours": Mlx, "before": Mlx, "mlx": Mlx, "jax": Jax, "torch": Torch, "numpy": NumPy}


def values(shape, scale=1.0, seed=0):
    """Normal random float32 values; the same in every process."""
    return (numpy.random.default_rng(seed).standard_normal(shape) * scale).astype(numpy.float32)


def integers(limit, shape, seed=1):
    return numpy.random.default_rng(seed).integers(0, limit, shape).astype(numpy.int32)
