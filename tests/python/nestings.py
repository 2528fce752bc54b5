"""Nests of transforms around functions that read arrays from around them, and the same functions written plainly."""

import mlx.core as mx

F64 = mx.float64


class Captured:
    """Arrays that functions find around them: a leaf, one that is not computed yet, and one that has been changed in place."""

    def __init__(self):
        self.leaf = mx.array(0.7, dtype=F64)
        self.lazy = mx.exp(mx.array([0.3], dtype=F64)) * 0.5
        self.changed = mx.array([0.2], dtype=F64)
        self.changed += self.leaf

    def change(self):
        """Other values in the same handles."""
        self.leaf *= 1.3
        self.lazy[0] = mx.sin(self.leaf) + 0.4
        self.changed -= mx.cos(self.lazy)


def leaf(captured):
    """What the innermost function does: it reads all that is in sight."""

    def f(x, env):
        total = mx.sin(x) * captured.leaf + mx.tanh(captured.lazy * x)
        for i, e in enumerate(env):
            total = total + (0.3 + 0.1 * i) * e * mx.cos(captured.changed + x)
        return total

    return f


# Each of these makes a function of (x, env) of one: fresh ones make their transform at each call and close over env, the kept
# ones make it once and are given env. All of them return an array of x's shape.


def compiled(shapeless):
    def fresh(inner, captured):
        return lambda x, env: mx.compile(lambda a: inner(a, env + (x,)) * captured.leaf, shapeless=shapeless)(0.9 * x)

    def kept(inner, captured):
        f = mx.compile(lambda a, env: inner(a, env) * captured.leaf, shapeless=shapeless)
        return lambda x, env: f(0.9 * x, env + (x,))

    return fresh, kept


def plain_compiled(inner, captured):
    return lambda x, env: inner(0.9 * x, env + (x,)) * captured.leaf


def fresh_grad(inner, captured):
    return lambda x, env: mx.grad(lambda a: (inner(a, env + (x,)) * captured.lazy).sum())(1.1 * x)


def kept_grad(inner, captured):
    f = mx.grad(lambda a, env: (inner(a, env) * captured.lazy).sum())
    return lambda x, env: f(1.1 * x, env + (x,))


def fresh_vmap(inner, captured):
    return lambda x, env: mx.vmap(lambda a: inner(a * captured.lazy, env + (x,)))(mx.stack([x, 0.5 * x])).sum(0)


def kept_vmap(inner, captured):
    f = mx.vmap(lambda a, env: inner(a * captured.lazy, env), in_axes=(0, None))
    return lambda x, env: f(mx.stack([x, 0.5 * x]), env + (x,)).sum(0)


def plain_vmap(inner, captured):
    return lambda x, env: sum(inner(a * captured.lazy, env + (x,)) for a in (x, 0.5 * x))


def fresh_jvp(inner, captured):
    return lambda x, env: mx.jvp(lambda a: inner(a, env + (x,)), [x], [captured.changed * mx.ones_like(x)])[1][0]


def kept_jvp(inner, captured):
    f = lambda a, *env: inner(a, env)  # noqa: E731

    def run(x, env):
        primals = [x, *env, x]
        tangents = [captured.changed * mx.ones_like(x)] + [mx.zeros_like(e) for e in primals[1:]]
        return mx.jvp(f, primals, tangents)[1][0]

    return run


def fresh_checkpoint(inner, captured):
    return lambda x, env: mx.checkpoint(lambda a: inner(a, env + (x,)) + captured.changed)(0.8 * x)


def kept_checkpoint(inner, captured):
    f = mx.checkpoint(lambda a, env: inner(a, env) + captured.changed)
    return lambda x, env: f(0.8 * x, env + (x,))


def plain_checkpoint(inner, captured):
    return lambda x, env: inner(0.8 * x, env + (x,)) + captured.changed


def fresh_scan(inner, captured):
    def f(x, env):
        step = lambda c, u: (inner(c, env + (u,)) * captured.leaf * 0.5, c + u)  # noqa: E731
        carry, ys = mx.scan(step, x, mx.stack([x, 0.5 * x]))
        return carry + ys.sum(0)

    return f


def kept_scan(inner, captured):
    def f(x, env):
        def step(carry, u):
            c, env = carry
            return (inner(c, env + (u,)) * captured.leaf * 0.5, env), c + u

        (carry, _), ys = mx.scan(step, (x, env), mx.stack([x, 0.5 * x]))
        return carry + ys.sum(0)

    return f


def plain_scan(inner, captured):
    def f(x, env):
        c, total = x, 0
        for u in (x, 0.5 * x):
            total = total + c + u
            c = inner(c, env + (u,)) * captured.leaf * 0.5
        return c + total

    return f


def fresh_cond(inner, captured):
    return lambda x, env: mx.cond(
        (x * x).sum() > captured.leaf, lambda a: inner(a, env + (x,)), lambda a: mx.sin(a) * captured.lazy, 0.9 * x
    )


def kept_cond(inner, captured):
    taken = lambda a, env: inner(a, env)  # noqa: E731
    other = lambda a, env: mx.sin(a) * captured.lazy  # noqa: E731
    return lambda x, env: mx.cond((x * x).sum() > captured.leaf, taken, other, 0.9 * x, env + (x,))


def plain_cond(inner, captured):
    def f(x, env):
        return mx.where((x * x).sum() > captured.leaf, inner(0.9 * x, env + (x,)), mx.sin(0.9 * x) * captured.lazy)

    return f


def fresh_while(inner, captured):
    def f(x, env):
        body = lambda s: (s[0] + 1, 0.5 * inner(s[1], env + (x,)) + captured.changed)  # noqa: E731
        return mx.while_loop(lambda s: s[0] < 2, body, (mx.array(0), x))[1]

    return f


def kept_while(inner, captured):
    body = lambda s: (s[0] + 1, 0.5 * inner(s[1], s[2]) + captured.changed, s[2])  # noqa: E731
    return lambda x, env: mx.while_loop(lambda s: s[0] < 2, body, (mx.array(0), x, env + (x,)))[1]


def plain_while(inner, captured):
    def f(x, env):
        c = x
        for _ in range(2):
            c = 0.5 * inner(c, env + (x,)) + captured.changed
        return c

    return f


def ruled(f, function, rules):
    """f as a custom function whose rules are what follows from `function`, of the same arguments: (a, env...)."""
    f = mx.custom_function(f)
    if "v" in rules:
        f.vjp(lambda primals, cotangent, output: mx.vjp(function, list(as_list(primals)), [cotangent])[1])
    if "j" in rules:

        def jvp(primals, tangents):
            primals, tangents = as_list(primals), as_list(tangents)
            tangents = [mx.zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
            return mx.jvp(function, primals, tangents)[1][0]

        f.jvp(jvp)
    if "m" in rules:

        def mapped(inputs, axes):
            axes = axes if isinstance(axes, tuple) else (axes,)
            return mx.vmap(function, in_axes=axes)(*as_list(inputs)), 0

        f.vmap(mapped)
    return f


def as_list(arrays):
    return list(arrays) if isinstance(arrays, tuple) else [arrays]


def custom(rules):
    def fresh(inner, captured):
        def f(x, env):
            function = lambda a: inner(a, env + (x,)) * captured.lazy  # noqa: E731
            return ruled(function, function, rules)(0.7 * x)

        return f

    def kept(inner, captured):
        function = lambda a, *env: inner(a, env) * captured.lazy  # noqa: E731
        f = ruled(function, function, rules)
        return lambda x, env: f(0.7 * x, *env, x)

    return fresh, kept


def plain_custom(inner, captured):
    return lambda x, env: inner(0.7 * x, env + (x,)) * captured.lazy


# Further levels, fresh ones only.


def fresh_chunks(inner, captured):
    return lambda x, env: mx.vmap(lambda a: inner(a * captured.lazy, env + (x,)), chunk_size=1)(mx.stack([x, 0.5 * x])).sum(0)


def fresh_lanes(inner, captured):
    """What the innermost function finds around it is mapped, too."""

    def f(x, env):
        def lane(e):
            return mx.vmap(lambda a: inner(a * captured.lazy, env + (e,)))(mx.stack([x, 0.5 * x]))

        return mx.vmap(lane)(mx.stack([x, 0.5 * x])).sum((0, 1))

    return f


def plain_lanes(inner, captured):
    return lambda x, env: sum(inner(a * captured.lazy, env + (e,)) for a in (x, 0.5 * x) for e in (x, 0.5 * x))


def fresh_fori(inner, captured):
    return lambda x, env: mx.fori_loop(0, 2, lambda i, c: 0.5 * inner(c, env + (x,)) + captured.changed, x)


def fresh_linearize(inner, captured):
    return lambda x, env: mx.linearize(lambda a: inner(a, env + (x,)), x)[1](captured.changed * mx.ones_like(x))


def fresh_jacobian(jacobian):
    def fresh(inner, captured):
        return lambda x, env: jacobian(lambda a: inner(a, env + (x,)))(x) @ (captured.changed * mx.ones_like(x))

    return fresh


def fresh_vjp(inner, captured):
    return lambda x, env: mx.vjp(lambda a: inner(a, env + (x,)), [1.1 * x], [captured.lazy * mx.ones_like(x)])[1][0]


def plain_vjp(inner, captured):
    return lambda x, env: mx.grad(lambda a: (inner(a, env + (x,)) * captured.lazy).sum())(1.1 * x)


def fresh_residual(inner, captured):
    """A rule that uses what the function left behind in a variable around both."""

    def f(x, env):
        kept = None

        @mx.custom_function
        def g(a):
            nonlocal kept
            kept = mx.cos(a) * captured.leaf
            return mx.sin(a) * captured.leaf

        g.vjp(lambda primals, cotangent, output: cotangent * kept)
        return g(inner(0.5 * x, env + (x,)))

    return f


def plain_residual(inner, captured):
    return lambda x, env: mx.sin(inner(0.5 * x, env + (x,))) * captured.leaf


# name: (fresh, kept, plain)
LEVELS = {
    "compile": (*compiled(False), plain_compiled),
    "shapeless": (*compiled(True), plain_compiled),
    "grad": (fresh_grad, kept_grad, fresh_grad),
    "vmap": (fresh_vmap, kept_vmap, plain_vmap),
    "jvp": (fresh_jvp, kept_jvp, fresh_jvp),
    "checkpoint": (fresh_checkpoint, kept_checkpoint, plain_checkpoint),
    "scan": (fresh_scan, kept_scan, plain_scan),
    "cond": (fresh_cond, kept_cond, plain_cond),
    "while_loop": (fresh_while, kept_while, plain_while),
    "custom_function": (*custom("vjm"), plain_custom),
}
# Others: custom functions that have some of the rules only, and levels that are made at each call.
MORE_LEVELS = LEVELS | {f"custom_{rules}": (*custom(rules), plain_custom) for rules in ("v", "j", "m", "vm", "jm")}
FRESH_LEVELS = {
    "chunks": (fresh_chunks, plain_vmap),
    "lanes": (fresh_lanes, plain_lanes),
    "fori_loop": (fresh_fori, plain_while),
    "linearize": (fresh_linearize, fresh_jvp),
    "jacfwd": (fresh_jacobian(mx.jacfwd), fresh_jvp),
    "jacrev": (fresh_jacobian(mx.jacrev), fresh_jvp),
    "vjp": (fresh_vjp, plain_vjp),
    "residual": (fresh_residual, plain_residual),
}
MORE_LEVELS |= {name: (fresh, fresh, plain) for name, (fresh, plain) in FRESH_LEVELS.items()}

FRESH, KEPT, PLAIN = range(3)


def nested(nest, captured):
    """The function of (x, env) that these levels make, outermost first: pairs of a name and FRESH, KEPT or PLAIN."""
    f = leaf(captured)
    for name, way in reversed(nest):
        f = MORE_LEVELS[name][way](f, captured)
    return f


def plainly(nest):
    return [(name, PLAIN) for name, _ in nest]
