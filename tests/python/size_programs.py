"""Calls of every registered op with extreme sizes, drawn from the signature of its Python function, in a process that may die:

    python size_programs.py SEED FIRST COUNT

makes calls FIRST to FIRST + COUNT, and prints each as a line before it is made, and "wrong: ..." behind it when its result
is neither what size_rules.py says nor an exception. test_sizes.py runs it, and reads the last line when the process died."""

import ast
import faulthandler
import functools
import math
import os
import random
import resource
import signal
import sys

import mlx.core as mx
import size_rules
from size_rules import Impossible, possible

MEMORY = 3 << 30  # of this process: what does not fit is a clean error, and the machine is left alone
SECONDS = 60  # of computing for one call
SMALL = 1 << 17  # elements that are computed

SIZES = [0, 1, 2, 3, 5, -1, -2, -3, 2**16, 2**31 - 1, 2**31, -2**31, 2**32, 2**32 + 1, 2**62, -2**62, 2**63 - 1, -2**63, 2**64]
# Of int64, the products of these wrap to a small number, to 0, or to a negative one.
WRAPPING = [(2**32, 2**32), (2**31, 2**33), (2**63 - 1, 2**63 - 1), (2**32 + 1, 2**32 - 1), (3, 6148914691236517206),
            (2**21, 2**21, 2**22), (2**16, 2**16, 2**16, 2**16), (2**62, 4), (4, 2**62), (2**63 - 1, 2), (0, 2**32, 2**32),
            (2**31, 2**31, 0), (2**40, 0, 2**40), (-1, -1), (-2, 2**62)]
LARGE = [(2**31, 2**31), (2**31,), (2**31 - 1,), (2**32, 1), (1, 2**32), (2**62,), (2**61, 2), (2**62 + 5,), (6148914691236517205,),
         (0, 2**32), (2**32, 0), (0, 2**62), (2**62, 0), (2**31, 2, 3), (1, 2**62)]
LITTLE = [(), (1,), (2,), (3,), (5,), (0,), (2, 3), (3, 2), (3, 3), (1, 1), (0, 3), (3, 0), (2, 1, 3), (2, 2, 2)]
WORDS = {"mode": ["constant", "edge", "reflect", "symmetric", "reduced", "complete", "full", "same", "valid"], "UPLO": ["L", "U"],
         "indexing": ["xy", "ij"], "side": ["left", "right"],
         "norm": ["backward", "ortho", "forward"], "pad_mode": ["constant", "edge", "reflect"],
         "subscripts": ["ij,jk->ik", "i,j->ij", "ii->i", "ij->", "i,i->", "...i,...j->...ij", "ij,jk,kl->il", "ij,kl->ijkl"]}
AXES = {"axis", "axes", "axis1", "axis2", "source", "destination", "start_axis", "end_axis"}


@functools.cache
def ops():
    """(name, function, parameters) of every op that is a function. A parameter is (name, kind, annotation, optional)."""
    out = []
    for op in mx._registry():
        function = functools.reduce(lambda o, part: getattr(o, part, None), op["name"].split("."), mx)
        if function is None:  # indexing, below
            continue
        node = ast.parse(function.__nb_signature__[0][0] + ": pass").body[0].args
        optional = [None] * (len(node.posonlyargs + node.args) - len(node.defaults)) + node.defaults
        parameters = [(p.arg, "positional" if p in node.posonlyargs else "named", ast.unparse(p.annotation), default is not None)
                      for p, default in zip(node.posonlyargs + node.args, optional)]
        if node.vararg:
            parameters.append((node.vararg.arg, "several", "array", False))
        parameters += [(p.arg, "named", ast.unparse(p.annotation), True) for p in node.kwonlyargs]
        out.append((op["name"], function, [p for p in parameters if p[0] != "stream"]))
    return out


@functools.cache
def elementwise():
    return {op["name"] for op in mx._registry() if op["arity"]}


class Draw:
    """One call: `arguments` by name in order, with their text."""

    def __init__(self, rng, name, parameters):
        self.rng, self.name, self.texts, self.small = rng, name, [], True
        self.by_name, self.positional, self.several = {}, [], []
        for parameter, kind, annotation, optional in parameters:
            if optional and kind != "positional" and rng.random() < 0.5 or (optional and rng.random() < 0.3):
                if kind == "positional":
                    break
                continue
            if kind == "several":
                self.several = [self.value(parameter, annotation) for _ in range(rng.choice([1, 2, 2, 3]))]
                self.positional += self.several
                self.texts += [self.shown(v) for v in self.several]
                continue
            value = self.value(parameter, annotation)
            self.by_name[parameter] = value
            self.texts.append(self.shown(value) if kind == "positional" else f"{parameter}={self.shown(value)}")
            if kind == "positional":
                self.positional.append(value)
        self.keywords = {p[0]: self.by_name[p[0]] for p in parameters if p[1] == "named" and p[0] in self.by_name}
        if self.several:  # what comes before *args is positional, too
            first = [p[0] for p in parameters[:[p[1] for p in parameters].index("several")]]
            self.positional = [self.by_name[n] for n in first] + self.several
            self.keywords = {n: v for n, v in self.keywords.items() if n not in first}

    def __str__(self):
        return f"{self.name}({', '.join(self.texts)})"

    @staticmethod
    def shown(value):
        if isinstance(value, mx.array):
            return f"<{value.dtype}{value.shape}>".replace("mlx.core.", "")
        return "[" + ", ".join(map(Draw.shown, value)) + "]" if isinstance(value, list) else repr(value)

    def size(self):
        return self.rng.choice(SIZES)

    def axis(self):
        return self.rng.choice([0, 0, 0, 1, 1, -1, -1, -2, 2, 3, -4, 2**31 - 1, -2**31, 2**31, 2**63])

    def sizes(self):
        if self.rng.random() < 0.3:
            return self.rng.choice(WRAPPING)
        return tuple(self.size() for _ in range(self.rng.choice([0, 1, 1, 2, 2, 2, 3, 4])))

    def array(self, parameter):
        if parameter == "key":
            return mx.random.key(0)
        shape = self.rng.choice(LITTLE + LITTLE + LARGE)
        dtype = self.rng.choice([mx.float32, mx.float32, mx.float64, mx.int64, mx.bool_, mx.uint8, mx.complex128])
        dtype = mx.int32 if "indices" in parameter else dtype
        self.small &= math.prod(shape) <= SMALL
        return mx.broadcast_to(mx.array(0).astype(dtype), shape)

    def value(self, parameter, annotation):
        rng, sequence = self.rng, "Sequence[int]" in annotation or "tuple[int" in annotation
        if annotation.startswith("list[array]"):
            arrays = [self.array(parameter) for _ in range(rng.choice([1, 2, 2, 3]))]
            return arrays[:1] * len(arrays) if rng.random() < 0.6 else arrays
        if parameter == "pad_width" and rng.random() < 0.5:
            return [(self.size(), self.size()) for _ in range(rng.choice([1, 1, 2]))]
        if annotation.startswith("int | list[") and rng.random() < 0.5:  # tensordot
            return [[self.axis()], [self.axis()]]
        if parameter in AXES:
            return [self.axis() for _ in range(rng.choice([1, 1, 2]))] if sequence and rng.random() < 0.4 else self.axis()
        if sequence and ("int |" not in annotation or rng.random() < 0.7):
            return self.sizes()
        if "array" in annotation and ("int" not in annotation or rng.random() < 0.7 or parameter in ("a", "c")):
            return self.array(parameter)
        if "int" in annotation or annotation == "scalar":
            return self.size()
        if "Dtype" in annotation:
            return rng.choice([mx.float32, mx.float16, mx.int64, mx.bool_, mx.complex128])
        if annotation == "bool":
            return rng.random() < 0.5
        return rng.choice(WORDS[parameter]) if annotation == "str" else rng.choice([0.5, 0.0, 1e30])

    def call(self, function):
        return function(*self.positional, **self.keywords)

    def expected(self):
        """What the rule says; None without a rule, Impossible where it finds no shape."""
        def shape_of(value):
            if isinstance(value, list):
                return [shape_of(v) for v in value]
            return tuple(value.shape) if isinstance(value, mx.array) else value
        arguments = {n: shape_of(v) for n, v in self.by_name.items()}
        several = [shape_of(v) for v in self.several]
        try:
            if self.name in elementwise():
                return size_rules.broadcast(*(v if isinstance(v, tuple) else () for v in [*arguments.values(), *several]))
            rule = size_rules.RULES.get(self.name)
            return rule and rule(*several, **arguments)
        except Impossible:
            return Impossible


def wrong(draw, result):
    """What is wrong with a result, or None."""
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    for r in results:
        shape = tuple(r.shape)
        try:
            possible(shape)
        except Impossible:
            return f"there are no arrays of shape {shape}"
        if r.size != math.prod(shape) or r.nbytes != r.size * r.itemsize or r.ndim != len(shape):
            return f"shape {shape} with size {r.size} and {r.nbytes} bytes"
    expected = draw.expected()
    if expected is Impossible:
        return f"shape {[r.shape for r in results]} where there is none"
    if expected is not None and (shapes := [tuple(r.shape) for r in results]) != (
            list(map(tuple, expected)) if isinstance(expected, list) else [tuple(expected)]):
        return f"shape {shapes[:4]}, not {expected if isinstance(expected, tuple) else expected[:4]}"
    if draw.small:
        compute(results)
    return None


def compute(results):
    """Evaluates, and looks at what came out: memory that does not exist is an error."""
    mx.eval(*results[:64])
    for r in results[:64]:
        if r.size <= SMALL and r.dtype != mx.bfloat16:
            assert memoryview(r).shape == tuple(r.shape) and len(bytes(r)) == r.nbytes
            repr(r)


def mapped(draw, function, result):
    """The same over lanes of one argument: their number comes in front of the shape."""
    places = [i for i, v in enumerate(draw.positional) if isinstance(v, mx.array)]
    names = [n for n, v in draw.keywords.items() if isinstance(v, mx.array) and n != "key"]
    if not places + names or isinstance(result, (list, tuple)) or draw.name.startswith("random."):
        return None
    at = draw.rng.choice(places + names)
    lanes = draw.rng.choice([1, 2, 3, 0, 2**31, 2**32, 2**62])

    def lane(x):
        if isinstance(at, int):
            return function(*draw.positional[:at], x, *draw.positional[at + 1:], **draw.keywords)
        return function(*draw.positional, **{**draw.keywords, at: x})
    x = draw.positional[at] if isinstance(at, int) else draw.keywords[at]
    batch = mx.broadcast_to(x, (lanes, *x.shape))
    out = mx.vmap(lane)(batch)
    if tuple(out.shape) != (lanes, *result.shape):
        return f"under vmap over {lanes} lanes shape {out.shape}"
    if draw.small and batch.size <= SMALL:
        compute([out])
    return None


def run(seed, number):
    rng = random.Random(f"{seed} {number}")
    name, function, parameters = ops()[number % len(ops())]
    draw = Draw(rng, name, parameters)
    print(f"{number} {draw}", flush=True)
    try:
        result = draw.call(function)
        fault = wrong(draw, result) or mapped(draw, function, result)
    except AssertionError:
        raise
    except Exception as error:
        text = str(error)
        odd = isinstance(error, SystemError) or text.startswith(("[size]", "[Dim]", "[]")) or "symbolic" in text
        fault = f"{type(error).__name__}: {text}" if odd else None
    if fault:
        print(f"wrong: {number} {draw}: {fault}", flush=True)


def main():
    seed, first, count = map(int, sys.argv[1:])
    if not os.environ.get("ASAN_OPTIONS"):  # which reserves addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.register(signal.SIGALRM, chain=True)
    for number in range(first, first + count):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # ends the process
        signal.setitimer(signal.ITIMER_REAL, 20 * SECONDS)  # so does waiting for ever
        run(seed, number)


if __name__ == "__main__":
    main()
