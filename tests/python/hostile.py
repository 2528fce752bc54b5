"""Calls public functions with objects that act up while they are looked at: `python hostile.py SEED COUNT`.

Each call is drawn from a number of its own, which is noted (in a file, so that it survives a crash) before the call. Any
exception is a fine answer; a crash, a hang, or a library that no longer adds is not. test_hostile_objects.py runs this in
processes of its own.
"""

import ast
import collections
import copy
import dataclasses
import faulthandler
import gc
import io
import os
import random
import sys
import warnings

import mlx.core as mx
import mlx.utils
import numpy as np

# They change what the process or later calls depend on, or are only about files.
LEFT_OUT = {
    "set_memory_limit", "set_cache_limit", "set_wired_limit", "disable_compile", "enable_compile", "clear_cache",
    "set_default_device", "set_default_stream", "import_function", "export_function", "exporter", "export_to_dot",
    "save", "savez", "savez_compressed", "save_safetensors", "save_gguf", "load",
    "debug_nans", "profile", "set_printoptions", "register_tree_node", "check_grads", "while_loop",
}


class Chaos:
    """What hostile objects do when somebody looks at them: something to the containers of the call."""

    def __init__(self, rng):
        self.rng = rng
        self.containers = []  # lists and dicts of the call
        self.arrays = []  # handles of the call
        self.budget = 12  # acts, so that calls end
        self.functions = []

    def act(self):
        if self.budget == 0 or not (self.containers or self.arrays):
            return
        self.budget -= 1
        r = self.rng
        what = r.randrange(9)
        if what == 8 and self.arrays:
            x = r.choice(self.arrays)
            if r.random() < 0.5:
                x += 1
            else:
                x[0] = 3
            return
        if not self.containers:
            return
        c = r.choice(self.containers)
        if isinstance(c, dict):
            if what < 4:
                c.clear()
            elif what < 6:
                c[f"k{r.randrange(99)}"] = mx.array([1.0])
            elif c:
                c[next(iter(c))] = object()
        elif isinstance(c, list):
            if what < 3:
                c.clear()
            elif what == 3:
                c.extend([1] * 300)
            elif what == 4 and c:
                del c[r.randrange(len(c))]
            elif what == 5 and c:
                c[r.randrange(len(c))] = mx.array([1.0, 2.0])
            elif what == 6:
                c[:] = [object()]
            else:
                c.insert(0, [])
        if what == 7:
            gc.collect()
        if r.random() < 0.15:
            raise r.choice([ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration])("hostile")


def raw(cls):
    """An instance that was never initialised, where the class allows that."""
    try:
        return cls.__new__(cls)
    except TypeError:
        return cls


def hostile_objects(chaos):
    """Makers of objects that run `chaos.act`."""
    rng = chaos.rng

    class Index:
        def __index__(self):
            chaos.act()
            return rng.choice([0, 1, 2, 1, 1, -1])
        __int__ = __index__

    class Number(Index):
        def __float__(self):
            chaos.act()
            return 1.5
        def __bool__(self):
            chaos.act()
            return True
        def __complex__(self):
            chaos.act()
            return 1j
        def __len__(self):
            chaos.act()
            return 2

    class ArrayLike:
        def __array__(self, dtype=None, copy=None):
            chaos.act()
            return rng.choice([np.ones((2,), "float32"), np.ones((), "int32"), [1, 2], self])

    class Ours:
        def __mlx_array__(self):
            chaos.act()
            return rng.choice([mx.array([1, 0]), mx.array([1.0, 2.0])[::2], mx.broadcast_to(mx.array(1), (3,)), 7])

    class Tensor:
        def __dlpack_device__(self):
            chaos.act()
            return rng.choice([(1, 0), (1, 0), None, (2,), ("a", "b")])
        def __dlpack__(self, **_):
            chaos.act()
            return rng.choice([mx.array([1.0, 2.0]).__dlpack__(), None, 3])

    class Attributes:
        def __getattr__(self, name):
            chaos.act()
            if rng.random() < 0.5:
                raise AttributeError(name)
            return lambda *a, **k: mx.array([1.0, 2.0])

    class Key:
        def __hash__(self):
            chaos.act()
            return 7
        def __eq__(self, other):
            chaos.act()
            return rng.random() < 0.5

    class Sequence:
        def __len__(self):
            chaos.act()
            return rng.choice([0, 2, 5])
        def __getitem__(self, i):
            chaos.act()
            if isinstance(i, int) and i > 3:
                raise IndexError(i)
            return rng.choice([1, mx.array([1.0, 2.0])])

    class Iterable:
        def __iter__(self):
            chaos.act()
            yield 1
            chaos.act()
            yield mx.array([1.0, 2.0])

    class Dying:
        def __del__(self):
            try:
                chaos.act()
            except Exception:
                pass

    class Printed:
        def __repr__(self):
            chaos.act()
            return "printed"
        __str__ = __repr__

    class OddDict(dict):
        def keys(self):
            chaos.act()
            return rng.choice([["a"], ["a", "nowhere"], list(dict.keys(self))])
        def __copy__(self):
            chaos.act()
            return rng.choice([OddDict(self), {}, 3])

    class OddTuple(tuple):
        _fields = rng.choice([("a",), 5, ("a", "b", "c"), (1, 2)])

    @dataclasses.dataclass
    class Data:
        a: object = 1
        def __getattribute__(self, name):
            if name == "a":
                chaos.act()
            return object.__getattribute__(self, name)

    class Node:
        pass

    def flatten(node):
        chaos.act()
        parts = [mx.array([1.0, 2.0]), Index()]
        chaos.containers.append(parts)
        return rng.choice([(parts, Key()), (parts, None), ((mx.array(1.0),), None), parts, (3, None)])
    mx.register_tree_node(Node, flatten, lambda aux, children: Node())

    class ArrayChild(mx.array):
        def __getattribute__(self, name):
            return object.__getattribute__(self, name)

    class NumpyInt(np.int32):
        def __index__(self):
            chaos.act()
            return rng.choice([1, 2])
        def item(self):
            chaos.act()
            return [1, 2, 3]

    class Changing:
        def __index__(self):
            self.__class__ = ArrayLike
            return 1

    return [Index, Number, ArrayLike, Ours, Tensor, Attributes, Key, Sequence, Iterable, Dying, Printed,
            lambda: OddDict(a=mx.array([1.0, 2.0]), b=Index()), lambda: OddTuple([1, 2]), Data, Node,
            lambda: ArrayChild([1.0, 2.0]), lambda: ArrayChild.__new__(ArrayChild), lambda: NumpyInt(1), Changing,
            lambda: raw(mx._RuntimeScalar), lambda: raw(mx.Dim), lambda: raw(mx.array), lambda: raw(mx.Dtype),
            lambda: raw(mx.custom_function)]


class Draw:
    """Arguments for one call."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.chaos = Chaos(self.rng)
        self.makers = hostile_objects(self.chaos)

    def hostile(self):
        return self.rng.choice(self.makers)()

    def array(self):
        x = self.rng.choice([lambda: mx.array([1.0, 2.0]), lambda: mx.ones((2, 2)), lambda: mx.array([1, 0]),
                             lambda: mx.array(2.0), lambda: mx.array([True, False])])()
        self.chaos.arrays.append(x)
        return x

    def sequence(self, item):
        r = self.rng
        items = [self.hostile() if r.random() < 0.4 else item() for _ in range(r.choice([1, 2, 2, 3, 5]))]
        if r.random() < 0.7:
            self.chaos.containers.append(items)
            return items
        return tuple(items)

    def tree(self, depth=0):
        r = self.rng
        what = r.randrange(6 if depth < 3 else 3)
        if what == 0:
            return self.array()
        if what == 1:
            return self.hostile()
        if what == 2:
            return r.choice([1, 2.5, "text", None, True, 1j])
        if what == 3:
            entries = {r.choice(["a", "b", 3]): self.tree(depth + 1) for _ in range(2)}
            if r.random() < 0.3:
                try:
                    entries[self.hostile()] = self.array()
                except Exception:
                    pass
            self.chaos.containers.append(entries)
            return entries
        items = [self.tree(depth + 1) for _ in range(r.choice([1, 2, 3]))]
        if r.random() < 0.1:
            items.append(items)
        self.chaos.containers.append(items)
        return items if what == 4 else tuple(items)

    def function(self):
        r = self.rng

        def leaves(args):
            return [x for x in mlx.utils.tree_reduce(lambda t, x: t + [x], list(args), []) if isinstance(x, mx.array)]

        def f(*args, **kwargs):
            self.chaos.act()
            found = leaves(args)
            total = sum((mx.sum(x.astype(mx.float32)) for x in found), mx.array(0.0))
            return r.choice([total, total, args[0] if args else total, (total, args), self.tree(), {"a": total}])
        return r.choice([f, f, lambda x, *rest: mx.sum(mx.array(x)), lambda x, *rest: x, mx.sin])

    def value(self, annotation, name):
        r = self.rng
        if r.random() < 0.1:
            return self.hostile()
        if "Callable" in annotation or name in ("fun", "f", "fn"):
            f = self.function()
            return r.choice([lambda f: f, mx.compile, mx.grad, mx.vmap, mx.checkpoint, mx.custom_function])(f)
        if name in ("argnums", "in_axes", "out_axes", "axes", "axis", "shape"):
            return self.sequence(lambda: r.choice([0, 1, 2])) if r.random() < 0.7 else r.choice([0, 1, -1])
        if name == "argnames":
            return self.sequence(lambda: r.choice(["x", "y"]))
        if "list[array]" in annotation or "tuple[array" in annotation or "Sequence[array]" in annotation:
            return self.sequence(self.array)
        if annotation.endswith("array") or "array |" in annotation or "ArrayLike" in annotation:
            return self.array() if r.random() < 0.6 else self.sequence(lambda: r.choice([1, 2.0, self.array()]))
        if "Sequence" in annotation or "tuple" in annotation or "list" in annotation:
            return self.sequence(lambda: r.choice([0, 1, 2]))
        if "bool" in annotation:
            return r.random() < 0.5
        if "int" in annotation or "float" in annotation:
            return r.choice([0, 1, 2])
        if "Dtype" in annotation:
            return r.choice([mx.float32, mx.int32, mx.bool_])
        if "str" in annotation:
            return r.choice(["i,i->", "ij,jk", "text"])
        return self.tree()


def functions():
    """(name, callable, [(parameter, annotation, has a default, kind)]) of everything public that has a signature."""
    found = []
    for prefix, owner in (("", mx), ("random.", mx.random), ("array.", mx.array)):
        for name in sorted(dir(owner)):
            f = getattr(owner, name)
            if name in LEFT_OUT or (name.startswith("_") and not (prefix == "array." and name.startswith("__"))):
                continue
            if name in ("__new__", "__class__", "__init_subclass__", "__subclasshook__"):
                continue
            signature = getattr(f, "__nb_signature__", None)
            if not signature:
                continue
            try:
                definition = ast.parse(signature[0][0] + ": ...").body[0]
            except SyntaxError:
                continue
            if not isinstance(definition, ast.FunctionDef):
                continue
            args = definition.args
            plain = args.posonlyargs + args.args
            defaults = len(plain) - len(args.defaults)
            rows = [(a.arg, ast.unparse(a.annotation) if a.annotation else "", i >= defaults, "plain")
                    for i, a in enumerate(plain)]
            if args.vararg:
                rows.append((args.vararg.arg, ast.unparse(args.vararg.annotation) if args.vararg.annotation else "",
                             True, "rest"))
            rows += [(a.arg, ast.unparse(a.annotation) if a.annotation else "", True, "keyword")
                     for a in args.kwonlyargs if a.arg != "stream"]
            found.append((prefix + name, f, rows))
    for name in ("tree_flatten", "tree_map", "tree_merge", "tree_reduce", "tree_unflatten", "tree_map_with_path"):
        f = getattr(mlx.utils, name)
        first = "f" if name in ("tree_map", "tree_reduce", "tree_map_with_path") else "tree"
        found.append(("utils." + name, f, [(first, "", False, "plain"), ("tree", "", False, "plain")]))
    return found


def special_calls(draw):
    """Calls that no signature describes: operators, indexing, and calls of what transforms return."""
    r = draw.rng

    def state():
        held = draw.tree()
        f = mx.compile(lambda *a: draw.function()(*a), inputs=held, outputs=r.choice([held, None]))
        return f(draw.tree()), f(draw.tree())

    def keyword():
        return mx.value_and_grad(lambda x, **kw: mx.sum(x), argnames=draw.sequence(lambda: "y"))(mx.array(1.0), y=draw.tree())

    def assigned():
        x = draw.array()
        x[draw.tree()] = draw.tree()
        return x

    return [
        lambda: draw.array()[draw.tree()], lambda: draw.array()[tuple(draw.sequence(lambda: r.choice([0, None, slice(0, 1)])))],
        lambda: draw.array()[draw.hostile():draw.hostile()], assigned,
        lambda: draw.array().at[draw.tree()].add(draw.tree()),
        lambda: mx.array(draw.sequence(lambda: draw.sequence(lambda: 1))), lambda: mx.array(draw.tree(), mx.float32),
        lambda: mx.asarray(draw.tree()), lambda: draw.array() + draw.hostile(), lambda: draw.hostile() * draw.array(),
        lambda: draw.array() @ draw.tree(), lambda: draw.array() == draw.hostile(),
        state, keyword,
        lambda: [f(draw.tree(), draw.tree()) for f in [mx.compile(draw.function())] for _ in range(3)],
        lambda: mx.compile(draw.function(), shapeless=True)(draw.tree(), a=draw.tree()),
        lambda: mx.grad(draw.function(), argnums=draw.sequence(lambda: 0))(draw.tree(), draw.tree()),
        lambda: mx.value_and_grad(draw.function())(draw.tree()),
        lambda: mx.vmap(draw.function(), in_axes=draw.tree(), out_axes=draw.tree())(draw.tree()),
        lambda: mx.vmap(draw.function(), in_axes=draw.sequence(lambda: 0))(draw.tree(), draw.tree()),
        lambda: mx.checkpoint(draw.function())(draw.tree(), k=draw.tree()),
        lambda: mx.jacrev(draw.function())(draw.tree()), lambda: mx.hessian(draw.function())(draw.tree()),
        lambda: mx.linearize(draw.function(), draw.tree()), lambda: mx.pullback(draw.function(), draw.tree())[1](draw.tree()),
        lambda: mx.vjp(draw.function(), draw.tree(), draw.tree()), lambda: mx.jvp(draw.function(), draw.tree(), draw.tree()),
        lambda: mx.value_and_grad(draw.function(), has_aux=True)(draw.tree()),
        lambda: mx.grad(mx.custom_function(draw.function()).forward(draw.function()).vjp(draw.function()))(mx.array([1.0, 2.0])),
        lambda: draw.array().at[draw.tree()].apply(draw.function()), lambda: mx.repeat(draw.array(), draw.tree()),
        lambda: mx.trace(draw.function())(draw.tree()),
        lambda: mx.custom_function(draw.function()).vjp(draw.function())(draw.tree()),
        lambda: mx.grad(mx.custom_function(draw.function()).vjp(draw.function()))(mx.array([1.0, 2.0])),
        lambda: mx.cond(mx.array(True), draw.function(), draw.function(), draw.tree()),
        lambda: mx.while_loop(lambda s: mx.array(False), draw.function(), draw.tree()),
        lambda: mx.scan(draw.function(), draw.tree(), draw.tree()), lambda: mx.fori_loop(0, 2, draw.function(), draw.tree()),
        lambda: mx.save_safetensors(io.BytesIO(), draw.tree(), draw.tree()), lambda: mx.savez(io.BytesIO(), draw.tree(), a=draw.tree()),
        lambda: mx.save_gguf(io.BytesIO(), {"a": draw.array()}, {"a": draw.tree(), "b": draw.sequence(lambda: "t")}),
        lambda: mx.export_function(os.devnull, draw.function(), draw.tree(), **{"a": draw.array()}),
        lambda: mx.export_function(os.devnull, draw.function(), draw.sequence(draw.array), draw.tree()),
        lambda: copy.deepcopy(draw.tree()), lambda: (mx.eval(draw.tree()), mx.async_eval(draw.tree()), mx.synchronize()),
    ]


def run(seed, table):
    draw = Draw(seed)
    r = draw.rng
    if r.random() < 0.5:
        call = r.choice(special_calls(draw))
        result = call()
    else:
        name, f, rows = r.choice(table)
        args, kwargs = [], {}
        for parameter, annotation, optional, kind in rows:
            if optional and r.random() < 0.6:
                if kind == "plain" and r.random() < 0.5:
                    break
                continue
            if kind == "plain" and parameter == "self":
                args.append(draw.array())
            elif kind == "rest":
                args += list(draw.sequence(draw.array))
            elif kind == "plain":
                args.append(draw.value(annotation, parameter))
            else:
                kwargs[parameter] = draw.value(annotation, parameter)
        result = f(*args, **kwargs)
        if callable(result) and not isinstance(result, mx.array):
            result = result(*[draw.tree() for _ in range(r.choice([1, 2]))])
    mx.eval(result)
    if r.random() < 0.2:
        repr(result)


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2])
    faulthandler.enable()
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    note = os.open(sys.argv[3], os.O_CREAT | os.O_WRONLY) if len(sys.argv) > 3 else None
    table = functions()
    outcomes = collections.Counter()
    for seed in range(first, first + count):
        if note is not None:
            os.pwrite(note, f"{seed:12d}".encode(), 0)
        try:
            run(seed, table)
            outcomes["returned"] += 1
        except Exception as e:
            outcomes[type(e).__name__] += 1
            if isinstance(e, SystemError) or os.environ.get("HOSTILE_SHOW"):
                import traceback
                traceback.print_exc()
                if isinstance(e, SystemError):
                    sys.exit(f"seed {seed}: {e}")
        if mx.sum(mx.ones((3,))).item() != 3:
            sys.exit(f"seed {seed}: the library no longer adds")
        if seed % 64 == 0:
            gc.collect()
    print(len(table), dict(outcomes))


if __name__ == "__main__":
    main()
