"""Every public transform and call form, over and over: a call leaves nothing behind. Counted, not timed."""

import io
import os
import pickle
import tempfile
import threading
import warnings

import mlx.core as mx
import mlx.utils
import numpy as np
import pytest

import cases
import growth

pytestmark = pytest.mark.usefixtures("settled_heap")

X = mx.array([0.5, 1.5, -2.0, 3.0])
M = mx.array([[1.0, 2.0], [3.0, 4.5]])
BATCH = mx.array(np.arange(12, dtype=np.float32).reshape(3, 4))
mx.eval(X, M, BATCH)


def f(x):
    return mx.sum(mx.sin(x) * x + mx.exp(-x))


def g(x):
    return mx.tanh(x) * x + x[::-1]


def tree(p, scale=1.0):
    return {"out": p["a"] * scale + p["b"][0], "aux": [p["b"][1] * 2]}


P = {"a": X, "b": [X + 1, X * 2]}
mx.eval(P)


@mx.custom_function
def custom(x):
    return mx.sin(x) * 2


@custom.vjp
def _(x, cotangent, output):
    return cotangent * mx.cos(x) * 2


@custom.jvp
def _(x, tangent):
    return tangent * mx.cos(x) * 2


@custom.vmap
def _(x, axis):
    return mx.sin(x) * 2, axis


@mx.custom_function
def only_vjp(x):
    return x * x


@only_vjp.vjp
def _(x, cotangent, output):
    return 2 * cotangent * x


class Model:
    """Keeps its compiled, differentiated and custom methods on itself, as training code does."""

    def __init__(self):
        self.w = mx.ones((16, 16))
        self.state = {"step": mx.array(0.0)}
        self.custom = mx.custom_function(self.forward)
        self.custom.vjp(lambda primals, cotangent, output: (cotangent * self.w[0, 0], None))
        self.step = mx.compile(mx.value_and_grad(self.loss), inputs=self.state, outputs=self.state)
        self.open_sizes = mx.compile(self.loss, shapeless=True)
        self.map = mx.vmap(self.loss)
        self.kept = mx.checkpoint(self.loss)
        self.last = None

    def forward(self, x, scale):
        return x * scale

    def loss(self, x):
        self.last = None
        return mx.sum(self.custom(x @ self.w, 2.0))

    def use(self):
        x = mx.ones((2, 16))
        mx.eval(self.step(x), self.open_sizes(x), self.map(x[:, None]), mx.grad(self.kept)(x))
        self.lazy = self.custom(x, 3.0)
        self.inside = []
        mx.grad(lambda x: (self.inside.append(self.custom(x, 3.0)), mx.sum(self.inside[0]))[1])(x)


def fails(call):
    with pytest.raises(Exception):
        call()


def error_in_function(x):
    y = mx.sin(x) * 2
    raise RuntimeError(str(y.shape))


CASES = {}


def case(call):
    CASES[call.__name__] = call
    return call


def many(**calls):
    """Cases by name; what they return is evaluated."""
    for name, call in calls.items():
        CASES[name] = lambda call=call: mx.eval(call())


grad_of_f, compiled_f, compiled_grad = mx.grad(f), mx.compile(f), mx.compile(mx.value_and_grad(f))
shapeless_g, mapped_g, checkpointed = mx.compile(g, shapeless=True), mx.vmap(g), mx.checkpoint(f)
y_linear, linear = mx.linearize(g, X)
pull = mx.pullback(g, X)[1]
NUMPY = np.array(X)
residual = mx.custom_function(g).forward(lambda x: (g(x), {"x": x})).vjp(lambda x, ct, y, kept: ct * kept["x"])
checkpointed_update = mx.checkpoint(lambda x: x.__setitem__(0, 3.0) or x.sum())
sizes = iter(range(10**9))

many(
    eager=lambda: g(X),
    lazy_dropped=lambda: [g(X), None][1],
    grad=lambda: grad_of_f(X),
    grad_made_anew=lambda: mx.grad(f)(X),
    grad_of_tree=lambda: mx.grad(lambda p: mx.sum(tree(p)["out"]))(P),
    grad_argnames=lambda: mx.grad(lambda x, w: f(x * w), argnums=0, argnames="w")(X, w=X),
    grad_third=lambda: mx.grad(mx.grad(mx.grad(lambda x: x ** 4)))(mx.array(2.0)),
    value_and_grad=lambda: mx.value_and_grad(lambda x: (f(x), x))(X),
    vjp=lambda: mx.vjp(g, [X], [X]),
    jvp=lambda: mx.jvp(g, [X], [X]),
    jvp_of_vjp=lambda: mx.jvp(lambda x: mx.vjp(g, [x], [x])[1][0], [X], [X]),
    vmap=lambda: mapped_g(BATCH),
    vmap_axes=lambda: mx.vmap(lambda x, y: (x + y, x), in_axes=(1, None), out_axes=(0, 1))(BATCH, mx.ones((3,))),
    vmap_tree=lambda: mx.vmap(lambda p: {"y": p["a"] * 2, "n": 3.0})({"a": BATCH}),
    vmap_chunks=lambda: mx.vmap(g, chunk_size=2)(BATCH),
    vmap_random=lambda: mx.vmap(lambda x: x + mx.random.normal(x.shape))(BATCH),
    vmap_of_grad=lambda: mx.vmap(mx.grad(f))(BATCH),
    grad_of_vmap=lambda: mx.grad(lambda x: mx.sum(mx.vmap(g)(x)))(BATCH),
    compiled=lambda: compiled_f(X),
    compiled_grad=lambda: compiled_grad(X),
    compiled_made_anew=lambda: mx.compile(g)(X),
    compiled_other_sizes=lambda: compiled_f(mx.ones((next(sizes) % 100 + 1,))),
    compiled_other_numbers=lambda: COMPILED_SCALE(X, 0.5 + next(sizes)),
    compiled_other_ints=lambda: COMPILED_POWER(X, next(sizes)),
    compiled_nested=lambda: COMPILED_NESTED(X),
    compiled_of_custom=lambda: mx.grad(COMPILED_CUSTOM)(X),
    compiled_captures=lambda: COMPILED_CAPTURES(X),
    grad_of_compiled=lambda: mx.grad(compiled_f)(X),
    vmap_of_compiled=lambda: mx.vmap(compiled_f)(BATCH),
    shapeless=lambda: shapeless_g(mx.ones((next(sizes) % 150 + 1,))),
    shapeless_made_anew=lambda: mx.compile(g, shapeless=True)(X),
    checkpoint=lambda: mx.grad(checkpointed)(X),
    checkpoint_made_anew=lambda: mx.grad(mx.checkpoint(f))(X),
    custom=lambda: custom(X),
    custom_grad=lambda: mx.grad(lambda x: mx.sum(custom(x)))(X),
    custom_jvp=lambda: mx.jvp(custom, [X], [X]),
    custom_vmap=lambda: mx.vmap(custom)(BATCH),
    custom_nested=lambda: mx.vmap(mx.grad(lambda x: mx.sum(only_vjp(custom(x)))))(BATCH),
    custom_second=lambda: mx.grad(lambda x: mx.sum(mx.grad(lambda x: mx.sum(only_vjp(x)))(x)))(X),
    custom_in_loop=lambda: mx.grad(lambda x: mx.sum(mx.fori_loop(0, 3, lambda i, x: only_vjp(x) * 0.1, x)))(X),
    linearize=lambda: mx.linearize(g, X)[1](X),
    pullback=lambda: mx.pullback(g, X)[1](X),
    pullback_kept=lambda: pull(X),
    pullback_grad=lambda: mx.grad(lambda t: mx.sum(pull(t)[0]))(X),
    vjp_of_tree=lambda: mx.vjp(tree, [P], tree(P))[1],
    jvp_of_tree=lambda: mx.jvp(tree, [P], [P])[1],
    has_aux=lambda: mx.value_and_grad(lambda x: (f(x), {"x": x}), has_aux=True)(X),
    static_leaves=lambda: mx.grad(lambda t: f(t["x"]))({"x": X, "s": "text", "f": f})["x"],
    residuals=lambda: mx.grad(lambda x: mx.sum(residual(x)))(X),
    residuals_nested=lambda: mx.vmap(mx.grad(lambda x: mx.sum(mx.grad(lambda x: mx.sum(residual(x)))(x))))(BATCH),
    numpy_arguments=lambda: compiled_f(NUMPY),
    at_apply=lambda: X.at[0].apply(mx.sin).at[1:].power(2).at[0].set(3),
    argument_updated=lambda: checkpointed_update(mx.array(X)),
    linear_map=lambda: linear(X),
    linear_map_grad=lambda: mx.grad(lambda t: mx.sum(linear(t)))(X),
    jacobian=lambda: mx.jacobian(g)(X),
    jacfwd=lambda: mx.jacfwd(g)(X),
    jacrev=lambda: mx.jacrev(g)(X),
    value_and_jacobian=lambda: mx.value_and_jacobian(g)(X),
    hessian=lambda: mx.hessian(f)(X),
    hvp=lambda: mx.hvp(f, X, X),
    sparse_jacobian=lambda: mx.sparse_jacobian(lambda x: x * x)(X).values,
    sparse_hessian=lambda: mx.sparse_hessian(lambda x: mx.sum(x ** 3))(X).values,
    cond=lambda: mx.cond(X[0] > 0, lambda x: x * 2, lambda x: -x, X),
    cond_grad=lambda: mx.grad(lambda x: mx.sum(mx.cond(x[0] > 0, lambda x: x * 2, lambda x: -x, x)))(X),
    while_loop=lambda: mx.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, s[1] * 0.5), (mx.array(0), X)),
    fori_loop=lambda: mx.fori_loop(0, 5, lambda i, x: mx.sin(x) + i, X),
    fori_grad=lambda: mx.grad(lambda x: mx.sum(mx.fori_loop(0, 5, lambda i, x: mx.sin(x), x)))(X),
    scan=lambda: mx.scan(lambda c, x: (c + x, c * x), mx.array(0.0), X),
    scan_grad=lambda: mx.grad(lambda x: mx.scan(lambda c, x: (mx.sin(c) + x, c), mx.array(0.0), x)[0])(X),
    random=lambda: (mx.random.normal((8,)), mx.random.uniform(shape=(8,)), mx.random.split(mx.random.key(3))),
    indexing=lambda: (X[1], X[1:3], X[mx.array([0, 2])], X[X > 0], X[None, ..., 0], M[[0, 1], [1, 0]], list(X), M.T),
    dtype_of_python=lambda: (mx.array([1, 2.5]), mx.array([[True]]), mx.array(3), mx.array(1j), mx.array([X, X])),
    reductions=lambda: (X.sum(), M.mean(axis=0), mx.argmax(X), mx.cumsum(X), mx.sort(X), mx.topk(X, 2)),
    matmul=lambda: (M @ M, mx.einsum("ij,jk->ik", M, M), mx.tensordot(M, M, 1), mx.outer(X, X)),
)

COMPILED_SCALE = mx.compile(lambda x, scale: x * scale)
COMPILED_POWER = mx.compile(lambda x, n: x + n)
COMPILED_NESTED = mx.compile(lambda x: compiled_f(x) + mx.compile(g)(x).sum())
COMPILED_CUSTOM = mx.compile(lambda x: mx.sum(custom(x)))
OUTSIDE = {"w": mx.ones((4,))}
COMPILED_CAPTURES = mx.compile(lambda x: x * OUTSIDE["w"])


@case
def check_grads():
    mx.check_grads(f, [X.astype(mx.float64)])


@case
def compiled_state():
    state = [mx.ones((3,))]

    def step(x):
        state[0] = state[0] + x
        return state[0].sum()

    mx.eval(mx.compile(step, inputs=state, outputs=state)(X[:3]), state)


@case
def compiled_writes_outside():
    w = mx.zeros((4,))

    def step(x):
        nonlocal w
        w += x
        return w * 2

    h = mx.compile(step)
    mx.eval(h(X), h(X), w)


@case
def model():
    Model().use()


@case
def export_import():
    path = os.path.join(tempfile.gettempdir(), f"soak-{os.getpid()}.mlxfn")
    mx.export_function(path, g, X)
    mx.export_function(lambda _: None, g, X)
    mx.eval(mx.import_function(path)(X))
    with mx.exporter(path, lambda *xs: sum(xs)) as exporter:
        exporter(X)
        exporter(X, X)
    os.remove(path)


@case
def async_eval():
    mx.async_eval(X + 1)


@case
def async_eval_chain():
    y = X
    for _ in range(200):
        y = y * 0.5 + 1
    mx.async_eval(y)


@case
def threads():
    made = []
    workers = [threading.Thread(target=lambda: made.append(mx.grad(f)(X))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    mx.eval(made)


@case
def freed_elsewhere():
    made = [X + i for i in range(300)]
    worker = threading.Thread(target=made.clear)
    worker.start()
    worker.join()


@case
def item_assignment():
    a = mx.zeros((4, 4))
    a[0] = 1
    a[:, 1] = X
    a[mx.array([0, 1])] = 2.0
    a[a > 1] = 0
    a += 1
    a.at[mx.array([0, 0])].add(1)
    mx.eval(a, a.at[0].multiply(3))


@case
def printing():
    str(X), repr(M), f"{X[0].item():.2f}", str(mx.float32), repr(mx.zeros((2000,))), str(mx.trace(f)(X))


@case
def pickling():
    pickle.loads(pickle.dumps({"x": X, "m": M}))


@case
def numpy_exchange():
    np.array(X), np.asarray(X), mx.array(np.array(X)), mx.asarray(np.ones(3, np.float32), copy=False)
    memoryview(X), X.tolist(), X[0].item(), float(X[0]), np.sin(X), X + np.ones(4, np.float32)


@case
def dlpack_exchange():
    np.from_dlpack(X), mx.from_dlpack(np.ones(3, np.float32)), mx.from_dlpack(np.ones(3, np.float32), copy=False)
    X.__dlpack__()


@case
def trees():
    mlx.utils.tree_flatten(P), mlx.utils.tree_map(lambda x: x * 2, P)


@case
def registered_class():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    mx.register_tree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
    mx.eval(mx.grad(lambda p: p.a * p.b)(Pair(mx.array(2.0), mx.array(3.0))).a)


@case
def graphs():
    mx.export_to_dot(io.StringIO(), f(X))
    mx.trace(mx.grad(f))(X).nodes


@case
def debugging():
    with mx.debug_nans():
        mx.eval(mx.vmap(mx.grad(f))(BATCH))
    with mx.profile() as p:
        mx.eval(g(X))
    str(p), p.events


@case
def nan_found():
    with mx.debug_nans():
        fails(lambda: mx.eval(mx.log(X - 0.5) * 2))


@case
def streams():
    with mx.stream(mx.cpu):
        mx.eval(X + 1)
    mx.synchronize(mx.default_stream(mx.default_device()))


@case
def error_at_call():
    fails(lambda: mx.reshape(X, (3,)))
    fails(lambda: X + "a")
    fails(lambda: M @ mx.ones((3, 3)))
    fails(lambda: X[7])
    fails(lambda: mx.array([[1], [1, 2]]))
    fails(lambda: mx.array(object()))


@case
def error_in_eval():
    fails(lambda: mx.eval(mx.take(X, mx.array([9])) + 1))


@case
def error_in_background():
    mx.async_eval(mx.take(X, mx.array([9])) + 1)
    try:
        mx.synchronize()
    except Exception:
        pass


for transform in ("grad", "value_and_grad", "vmap", "compile", "checkpoint", "jacobian", "hessian", "sparse_jacobian",
                  "trace", "linearize"):
    def failing(make=getattr(mx, transform), direct=transform == "linearize"):
        fails(lambda: make(error_in_function, X) if direct else make(error_in_function)(X))
    CASES[f"error_in_{transform}"] = failing

many(**{f"error_in_{name}": call for name, call in dict(
    vjp=lambda: fails(lambda: mx.vjp(error_in_function, [X], [X])),
    jvp=lambda: fails(lambda: mx.jvp(error_in_function, [X], [X])),
    shapeless=lambda: fails(lambda: mx.compile(error_in_function, shapeless=True)(X)),
    grad_of_compile=lambda: fails(lambda: mx.grad(mx.compile(error_in_function))(X)),
    cond=lambda: fails(lambda: mx.cond(X[0] > 0, error_in_function, error_in_function, X)),
    while_loop=lambda: fails(lambda: mx.while_loop(lambda s: s[0] < 3, error_in_function, X)),
    fori_loop=lambda: fails(lambda: mx.fori_loop(0, 3, lambda i, x: error_in_function(x), X)),
    scan=lambda: fails(lambda: mx.scan(lambda c, x: error_in_function(x), X[0], X)),
    custom=lambda: fails(lambda: mx.grad(lambda x: mx.sum(FAILING_RULE(x)))(X)),
    escape=lambda: fails(lambda: mx.vmap(lambda x: (kept.clear(), kept.append(x * 2), x)[2])(BATCH)),
).items()})
kept = []
FAILING_RULE = mx.custom_function(lambda x: x * 2)
FAILING_RULE.vjp(lambda x, c, o: error_in_function(x))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_call_leaves_nothing(name):
    kept.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that a function is recorded often
        assert growth.growth(CASES[name]) == {}


@pytest.mark.grid(0.1)
@cases.each_sample
def test_an_op_leaves_nothing(sample, dtype):
    args = sample.to_mx(sample.draw(dtype), dtype)
    mx.eval(args)

    def call():
        mx.eval(sample.outputs(*args))
        if sample.differentiable and dtype in ("float64", "complex128"):
            point = cases.Case(sample, dtype)
            mx.eval(point.grad(*point.primals))

    assert growth.growth(call, calls=10, warm_up=6) == {}


def test_growth_is_found():
    """The measure itself."""
    hoard = []
    assert growth.growth(lambda: hoard.append(X + 1))["nodes"] == 2  # the sum and the number
    assert growth.growth(lambda: hoard.append(bytes(100000)))["bytes from malloc"] >= 100000
