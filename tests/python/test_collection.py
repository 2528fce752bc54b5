"""Cycles through what the transforms return are collected: an object that keeps its own compiled, differentiated or custom
method, in every way to keep one; with what the recordings hold."""

import gc
import weakref

import mlx.core as mx
import pytest

pytestmark = pytest.mark.usefixtures("settled_heap")

X = mx.ones((8,))
BATCH = mx.ones((3, 8))
mx.eval(X, BATCH)


def left_by(make):
    """(still alive, nodes, bytes of arrays) after the object that make() returns is dropped."""
    for _ in range(3):  # caches fill the first two times
        gc.collect()
        nodes, active = mx._live_nodes(), mx.get_active_memory()
        kept = weakref.ref(make())
        gc.collect()
        left = (kept() is not None, mx._live_nodes() - nodes, mx.get_active_memory() - active)
    return left


class Owner:
    """Methods to transform, and a large array that tells whether it was collected."""

    def __init__(self):
        self.w = mx.ones((300, 300))
        mx.eval(self.w)
        self.box = {"w": mx.ones((3,))}

    def loss(self, x):
        return mx.sum(self.w[0, 0] * x * self.box["w"][0])

    def map(self, x):
        return mx.sin(x) * self.w[0, 0]

    def step(self, x):
        self.box["w"] = self.box["w"] + x[0]
        return mx.sum(self.box["w"])

    def rule(self, x, cotangent, output):
        return cotangent * self.w[0, 0]

    def with_rule(self):
        custom = mx.custom_function(self.map)
        custom.vjp(self.rule)
        custom.jvp(lambda x, t: t * self.w[0, 0])
        return custom

    def with_residuals(self):
        custom = mx.custom_function(self.map)
        custom.forward(lambda x: (self.map(x), {"x": x * self.w[0, 0], "owner": self}))
        custom.vjp(lambda x, cotangent, output, kept: cotangent * kept["x"])
        return custom


# Each keeps something of the owner's on the owner, and uses it.
WAYS = {}


def way(keep):
    WAYS[keep.__name__] = keep
    return keep


def calls(**ways):
    """f = transform(owner), kept and called with an array."""
    for name, (transform, argument) in ways.items():
        def keep(owner, transform=transform, argument=argument):
            owner.f = transform(owner)
            mx.eval(owner.f(argument))
            mx.eval(owner.f(argument))
        WAYS[name] = keep


calls(
    compiled=(lambda o: mx.compile(o.loss), X),
    compiled_gradient=(lambda o: mx.compile(mx.grad(o.loss)), X),
    gradient_of_compiled=(lambda o: mx.value_and_grad(mx.compile(o.loss)), X),
    shapeless=(lambda o: mx.compile(o.loss, shapeless=True), X),
    compiled_twice=(lambda o: mx.compile(mx.compile(o.loss)), X),
    closure=(lambda o: mx.compile(lambda x: o.loss(x) + o.w[1, 1]), X),
    closure_cell=(lambda o: mx.compile((lambda w: lambda x: (o.box, w * x)[1])(mx.ones((8,)))), X),
    default_argument=(lambda o: mx.compile(lambda x, o=o: o.loss(x)), X),
    inputs=(lambda o: mx.compile(o.loss, inputs=o.box), X),
    inputs_with_owner=(lambda o: mx.compile(o.step, inputs=[o.box], outputs=o.box), X),
    gradient=(lambda o: mx.grad(o.loss), X),
    value_and_grad=(lambda o: mx.value_and_grad(o.loss), X),
    vmap=(lambda o: mx.vmap(o.map), BATCH),
    vmap_compiled=(lambda o: mx.compile(mx.vmap(o.map)), BATCH),
    checkpoint=(lambda o: mx.checkpoint(o.loss), X),
    checkpoint_gradient=(lambda o: mx.grad(mx.checkpoint(o.loss)), X),
    jacobian=(lambda o: mx.jacobian(o.map), X),
    hessian=(lambda o: mx.hessian(o.loss), X),
    trace=(lambda o: lambda x: [mx.trace(o.loss)(x), x][1], X),
    linearize=(lambda o: mx.linearize(o.map, X)[1], X),
    pullback=(lambda o: mx.pullback(o.map, X)[1], X),
    has_aux=(lambda o: mx.grad(lambda x: (o.loss(x), o), has_aux=True), X),
    static_leaf=(lambda o: lambda x: mx.grad(lambda t: o.loss(t[0]))([x, o])[0], X),
    custom=(lambda o: o.with_rule(), X),
    custom_gradient=(lambda o: mx.grad(lambda x: mx.sum(o.with_rule()(x))), X),
    custom_compiled=(lambda o: mx.compile(o.with_rule()), X),
    custom_compiled_gradient=(lambda o: mx.compile(mx.grad(lambda x: mx.sum(o.with_rule()(x)))), X),
    custom_compiled_vmap=(lambda o: mx.compile(mx.vmap(o.with_rule())), BATCH),
    custom_checkpoint_compiled=(lambda o: mx.compile(mx.checkpoint(o.with_rule())), X),
    custom_loop_compiled=(lambda o: mx.compile(lambda x: mx.fori_loop(0, 2, lambda i, x: o.with_rule()(x), x)), X),
    custom_shapeless=(lambda o: mx.compile(o.with_rule(), shapeless=True), X),
    custom_pullback=(lambda o: mx.pullback(o.with_rule(), X)[1], X),
    custom_residuals=(lambda o: mx.grad(lambda x: mx.sum(o.with_residuals()(x))), X),
    custom_residuals_compiled=(lambda o: mx.compile(mx.grad(lambda x: mx.sum(o.with_residuals()(x)))), X),
    custom_linearize=(lambda o: mx.linearize(o.with_rule(), X)[1], X),
)


@way
def sparse_jacobian(o):
    o.f = mx.sparse_jacobian(lambda x: x * x * o.w[0, 0])
    o.f(X)


@way
def argument_holds_the_function(o):
    o.f = mx.compile(lambda x, config: x * 2)
    mx.eval(o.f(X, o), o.f(X, config=(o, "name")))


@way
def argument_container(o):
    class Mapping(dict):
        pass

    o.f = mx.compile(lambda x, config: x * 2)
    m = Mapping(x=X)
    m.owner = o
    mx.eval(o.f(X, m))


@way
def result_holds_it(o):
    o.f = mx.compile(lambda x: (x * 2, o))
    o.f(X)


@way
def many_recordings(o):
    o.f = mx.compile(o.loss)
    for n in range(1, 80):
        mx.eval(o.f(mx.ones((n,))))


@way
def vmap_axes(o):
    axes = {"a": 0}
    o.f = mx.vmap(lambda x: x["a"] * o.w[0, 0], in_axes=(axes,))
    o.f({"a": BATCH})


@way
def custom_lazy(o):
    o.f = o.with_rule()
    o.y = o.f(X)
    o.z = o.y + o.f(o.y)


@way
def custom_lazy_from_inside(o):
    """Outputs that escape from a transform and are never computed."""
    o.f = o.with_rule()

    def loss(x):
        o.y = o.f(x)
        o.z = o.y + 1
        return mx.sum(o.f(o.y))

    o.g = mx.grad(loss)(X)


@way
def custom_lazy_tree(o):
    custom = mx.custom_function(lambda p, name: {"y": p["x"] * 2})
    custom.vjp(lambda primals, cotangents, outputs: ({"x": cotangents["y"] * o.w[0, 0]}, None))
    o.y = []
    mx.grad(lambda x: (o.y.append(custom({"x": x}, o)), mx.sum(o.y[0]["y"]))[1])(X)


@way
def custom_in_two_recordings(o):
    o.f = o.with_rule()
    o.inner = mx.compile(lambda x: mx.sum(o.f(x)))
    o.outer = mx.compile(lambda x: o.inner(x) + 1)
    o.inner(X), o.outer(X)
    assert mx.grad(o.outer)(X)[0].item() == 1


@way
def export(o):
    o.e = mx.exporter("/tmp/never-written.mlxfn", o.loss)
    o.e(X)


@way
def at(o):
    index = [0]
    o.at = X.at[index]
    index.append(o)


@way
def loops(o):
    o.y = mx.fori_loop(0, 3, lambda i, x: o.map(x), X)
    o.z = mx.cond(X[0] > 0, o.map, o.map, X)
    o.s = mx.scan(lambda c, x: (c + o.map(x), c), X[0], X)
    o.v = mx.while_loop(lambda s: s[0] < 3, lambda s: o.map(s), X)


@way
def failed(o):
    def broken(x):
        raise RuntimeError(str(o.w.shape))

    o.f = mx.compile(broken)
    for call in (o.f, mx.grad(o.f)):
        try:
            call(X)
        except RuntimeError as error:
            o.error = error


@pytest.mark.filterwarnings("ignore:.*has been recorded")
@pytest.mark.parametrize("name", WAYS)
def test_the_owner_is_collected(name):
    def make():
        owner = Owner()
        WAYS[name](owner)
        return owner

    assert left_by(make) == (False, 0, 0)


def test_a_registered_class_is_collected():
    def make():
        class Pair:
            def __init__(self, a, b):
                self.a, self.b = a, b

        mx.register_tree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
        assert mx.grad(lambda p: p.a * p.b)(Pair(mx.array(2.0), mx.array(3.0))).a.item() == 3
        return Pair

    assert left_by(make) == (False, 0, 0)


def test_a_subclass_is_registered_for_itself():
    class Pair:
        def __init__(self, a):
            self.a = a

    class Below(Pair):
        pass

    mx.register_tree_node(Pair, lambda p: ((p.a,), None), lambda _, a: Pair(*a))
    with pytest.raises(TypeError):
        mx.grad(lambda p: p.a)(Below(mx.array(1.0)))


def test_recordings_are_used_while_the_collector_runs():
    """Traversal at every moment of recording and replaying: nothing that is in use is taken away."""
    o = Owner()
    o.f = mx.compile(o.with_rule())
    o.g = mx.compile(lambda x: mx.sum(o.f(x)))
    threshold = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for n in range(1, 20):
            assert mx.grad(o.g)(mx.ones((n,)))[0].item() == 1
            assert mx.vmap(mx.grad(o.g))(mx.ones((2, n)))[1, 0].item() == 1
    finally:
        gc.set_threshold(*threshold)


def test_rules_outlive_what_made_them():
    """A function that is gone when its rule is asked for."""
    def loss(x):
        f = mx.custom_function(lambda x: x * 2)
        f.vjp(lambda x, c, o: c * 7)
        g = mx.compile(lambda x: f(x))
        return mx.sum(g(x) + mx.checkpoint(lambda x: f(x))(x))

    assert mx.grad(loss)(X)[0].item() == 14
    assert mx.jvp(mx.grad(loss), [X], [X])[0][0][0].item() == 14
    assert mx.vmap(mx.grad(loss))(BATCH)[0, 0].item() == 14
    compiled = mx.compile(loss)
    compiled(X)
    gc.collect()
    assert mx.grad(compiled)(X)[0].item() == 14
    _, linear = mx.linearize(lambda x: loss(x), X)
    gc.collect()
    assert linear(X).item() == 112
