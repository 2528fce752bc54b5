"""mx.export_function, mx.exporter, mx.import_function: every op comes back to the bit, also in another process; files
that are damaged are refused."""

import gc
import os
import pickle
import random
import struct
import subprocess
import sys
import textwrap
import weakref

import mlx.core as mx
import numpy as np
import pytest

import samples


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "f.mlxfn")


def listed(result):
    return list(result) if isinstance(result, (list, tuple)) else [result]


def round_trip(path, fun, *args):
    mx.export_function(path, lambda *a: listed(fun(*a)), *args)
    return list(mx.import_function(path)(*args))


def bits(a):
    """dtype, shape and elements of an array."""
    plain = mx.contiguous(a)
    if a.dtype == mx.bfloat16:
        plain = mx.view(plain[None], mx.uint16)[0]
    return str(a.dtype), a.shape, bytes(memoryview(plain))


def assert_same(got, wanted):
    assert [bits(a) for a in got] == [bits(a) for a in wanted]


def drawn(sample):
    dtype = "float32" if "float32" in sample.dtypes else sample.dtypes[0]
    return sample.to_mx(sample.draw(dtype, "export"), dtype)


def loss_of(sample):
    return lambda *args: sum(mx.sum(output.astype(mx.float32)) for output in sample.outputs(*args))


# --- every op ---

def over(found):
    return pytest.mark.parametrize("sample", list(found), ids=lambda sample: sample.id)


@pytest.mark.grid(0.3)
@over(samples.samples())
def test_every_op_comes_back(sample, path):
    for dtype in {"float32", "int32", "bool_", "complex64", "float64", "bfloat16"} & set(sample.dtypes) or sample.dtypes[:1]:
        args = sample.to_mx(sample.draw(dtype, "export"), dtype)
        assert_same(round_trip(path, sample.call, *args), sample.outputs(*args))


@pytest.mark.grid(0.3)
@over(sample for sample in samples.samples() if sample.differentiable)
def test_every_op_comes_back_differentiated(sample, path):
    args, loss, real = drawn(sample), loss_of(sample), sample.real_args
    grad = mx.grad(loss, argnums=real)

    def second(*a):
        return mx.grad(lambda *a: sum(mx.sum(g * g) for g in listed(grad(*a))), argnums=real)(*a)

    def forward(*a):
        return mx.jvp(loss, list(a), [mx.ones_like(x) if i in real else None for i, x in enumerate(a)])[1]

    for function in (grad, second, forward):
        assert_same(round_trip(path, function, *args), listed(function(*args)))
    mx.export_function(path, lambda *a: sample.outputs(*a), *args)
    imported = mx.import_function(path)  # and is differentiated afterwards like the op
    again = mx.grad(lambda *a: sum(mx.sum(o.astype(mx.float32)) for o in imported(*a)), argnums=real)(*args)
    assert_same(listed(again), listed(grad(*args)))


@pytest.mark.grid(0.3)
@over(sample for sample in samples.samples() if sample.args)
def test_every_op_comes_back_mapped(sample, path):
    batched = [mx.stack([a, a]) for a in drawn(sample)]
    mapped = mx.vmap(sample.call)
    try:
        wanted = listed(mapped(*batched))
    except ValueError:  # an argument that may not be mapped
        return
    assert_same(round_trip(path, mapped, *batched), wanted)
    mx.export_function(path, lambda *a: sample.outputs(*a), *drawn(sample))
    assert_same(listed(mx.vmap(mx.import_function(path))(*batched)), wanted)


READER = """
import pickle, sys
import mlx.core as mx
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_export import bits
with open(sys.argv[2], "rb") as file:
    cases = pickle.load(file)
for name, where, args, wanted in cases:
    got = [bits(a) for a in mx.import_function(where)(*[mx.array(a, getattr(mx, d)) for a, d in args])]
    assert got == wanted, name
print(len(cases))
"""


def test_every_op_comes_back_in_a_fresh_process(tmp_path):
    cases = []
    for i, sample in enumerate(samples.samples()):
        args = drawn(sample)
        where = str(tmp_path / f"{i}.mlxfn")
        mx.export_function(where, lambda *a: sample.outputs(*a), *args)
        given = [(np.array(a), str(a.dtype).split(".")[-1].replace("bool", "bool_")) for a in args]
        cases.append((sample.id, where, given, [bits(a) for a in sample.outputs(*args)]))
    (tmp_path / "cases").write_bytes(pickle.dumps(cases))
    ran = subprocess.run([sys.executable, "-c", READER, os.path.dirname(__file__), tmp_path / "cases"],
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) == len(cases) > 200


# --- calling forms ---

def test_positional_keyword_and_containers(path):
    a, b = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])

    def fun(x, *, y):
        return x - y, x * y

    mx.export_function(path, fun, a, y=b)
    f = mx.import_function(path)
    for result in (f(a, y=b), f((a,), {"y": b}), f([a], y=b)):
        assert isinstance(result, tuple)
        assert_same(result, [a - b, a * b])
    mx.export_function(path, fun, (a,), {"y": b})
    assert_same(mx.import_function(path)(a, y=b), [a - b, a * b])
    mx.export_function(path, lambda *, y: [y + 1], {"y": b})
    assert_same(mx.import_function(path)({"y": b}), [b + 1])
    mx.export_function(path, lambda: mx.array(3.0))
    assert mx.import_function(path)()[0].item() == 3


def test_arguments_that_were_not_recorded(path):
    a = mx.array([1.0, 2.0])
    mx.export_function(path, lambda x, y: x + y, a, y=a)
    f = mx.import_function(path)
    for args, kwargs in [((a,), {}), ((a, a), {}), ((a,), {"z": a}), ((mx.ones((3,)),), {"y": a}),
                         ((a.astype(mx.int32),), {"y": a}), ((a[None],), {"y": a})]:
        with pytest.raises(ValueError, match=r"no trace fits.*\n *\(float32 \(2,\), y=float32 \(2,\)\)"):
            f(*args, **kwargs)
    with pytest.raises(ValueError, match="argument 0 is a float"):
        f(1.0, y=a)
    with pytest.raises(ValueError, match="argument y is given twice"):
        f([a], {"y": a}, y=a)


def test_what_cannot_be_exported(path):
    a = mx.array([1.0, 2.0])
    with pytest.raises(ValueError, match="returned a dict"):
        mx.export_function(path, lambda x: {"a": x}, a)
    with pytest.raises(ValueError, match="returned a tuple with a list in it"):
        mx.export_function(path, lambda x: (x, [x]), a)
    with pytest.raises(ValueError, match="argument 1 is a int"):
        mx.export_function(path, lambda x, y: x * y, a, 3)
    with pytest.raises(TypeError, match="fun is a int"):
        mx.export_function(path, 3, a)
    with pytest.raises(ValueError, match="reads the value"):
        mx.export_function(path, lambda x: x if x[0].item() > 0 else -x, a)
    with pytest.raises(ValueError, match="an array without a value"):
        mx.vmap(lambda y: (mx.export_function(path, lambda x: x + y, a), y)[1])(a)
    with pytest.raises(ZeroDivisionError):
        mx.export_function(path, lambda x: 1 / 0, a)
    assert not os.path.exists(path)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(RuntimeError, match="cannot read .*nothing.mlxfn.*No such file"):
        mx.import_function(tmp_path / "nothing.mlxfn")
    with pytest.raises(RuntimeError, match="cannot write"):
        mx.export_function(tmp_path / "no" / "folder.mlxfn", mx.sin, mx.array(1.0))
    with pytest.raises(RuntimeError, match="cannot"):
        mx.import_function(tmp_path)


def test_metadata(path):
    mx.export_function(path, mx.sin, mx.array(1.0), metadata='{"π": 1}')
    f, metadata = mx.import_function(path, return_metadata=True)
    assert metadata == '{"π": 1}' and f(mx.array(0.0))[0].item() == 0


def test_exporter_records_several_calls(path):
    weights = mx.array(np.arange(10000, dtype=np.float32))
    with mx.exporter(path, lambda *xs: sum(xs) + mx.sum(weights), metadata="m") as exporter:
        assert isinstance(exporter, mx.FunctionExporter)
        for count in (1, 2, 3):
            assert exporter(*[mx.array(1.0)] * count) is None
        exporter(mx.ones((2,)))
        with pytest.raises(RuntimeError, match="there is a trace of these arguments already"):
            exporter(mx.zeros((2,)))
    with pytest.raises(RuntimeError, match="is closed"):
        exporter(mx.array(1))
    assert os.path.getsize(path) < 40000 + 4000  # the constant is there once
    f, metadata = mx.import_function(path, True)
    total = mx.sum(weights)
    assert metadata == "m"
    assert f(mx.array(1.0), mx.array(2.0))[0].item() == (3 + total).item()
    assert_same(f(mx.ones((2,))), [mx.ones((2,)) + total])


def test_exporter_writes_all_or_nothing(path):
    exporter = mx.exporter(path, mx.sin)
    exporter(mx.array(1.0))
    assert not os.path.exists(path)
    exporter.close()
    exporter.close()
    assert os.listdir(os.path.dirname(path)) == ["f.mlxfn"]
    before = open(path, "rb").read()
    with pytest.raises(KeyError):
        with mx.exporter(path, mx.cos) as exporter:
            exporter(mx.array(1.0))
            raise KeyError
    assert open(path, "rb").read() == before


def test_exporter_that_refers_to_itself_is_collected(path):
    class Model:
        def __init__(self):
            self.exporter = mx.exporter(path, self.forward)

        def forward(self, x):
            return x

    model = weakref.ref(Model())
    gc.collect()
    assert model() is None


def test_callback():
    told = []
    mx.export_function(told.append, lambda x, *, k: (mx.sum(x, axis=0) * k + 2.5, x.reshape(2, 1)),
                       mx.array([1.0, 2.0]), k=mx.array(3.0))
    assert [d["type"] for d in told] == ["inputs", "keyword_inputs", "outputs", "constants"] + ["primitive"] * 4
    assert told[0]["inputs"] == [("A", (2,), mx.float32), ("B", (), mx.float32)]
    assert told[1]["keywords"] == [("k", "B")]
    (name, constant), = told[3]["constants"]
    assert constant.item() == 2.5
    operations = {d["name"]: d for d in told[4:]}
    assert set(operations) == {"Sum", "Multiply", "Add", "Reshape"}
    assert operations["Sum"]["inputs"] == [("A", (2,), mx.float32)] and operations["Sum"]["arguments"] == [(0,), False]
    assert [v[0] for v in operations["Add"]["inputs"]] == [operations["Multiply"]["outputs"][0][0], name]
    assert told[2]["outputs"] == [operations["Add"]["outputs"][0], operations["Reshape"]["outputs"][0]]
    assert operations["Reshape"]["arguments"] == [(2, 1)]
    with pytest.raises(ValueError, match="metadata"):
        mx.export_function(told.append, mx.sin, mx.array(1.0), metadata="x")


# --- what is saved ---

def test_constants_keep_their_bits(path):
    values = {
        mx.float32: np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
        mx.float64: np.array([np.pi, -0.0, 5e-324]), mx.uint64: np.array([2**64 - 1], np.uint64),
        mx.bool_: np.array([True, False]), mx.complex64: np.array([1 + 2j, np.nan], np.complex64)}
    values[mx.float32].view(np.uint32)[0] = 0x7fc12345  # a NaN with something in it
    held = [mx.array(v, dtype) if dtype == mx.float64 else mx.array(v) for dtype, v in values.items()]
    held += [mx.array(2.5), mx.array(np.arange(12).reshape(3, 4)).T, mx.zeros((0, 3)), mx.broadcast_to(mx.array(7), (2, 3))]
    mx.eval(held)
    assert_same(round_trip(path, lambda: held), held)


def test_random_numbers_are_those_of_the_export(path):
    mx.random.seed(3)
    mx.export_function(path, lambda x: x + mx.random.normal((4,)), mx.zeros((4,)))
    f = mx.import_function(path)
    assert_same(f(mx.zeros((4,))), f(mx.zeros((4,))))
    mx.export_function(path, lambda key: mx.random.normal((4,), key=key), mx.random.key(0))
    key = mx.random.key(5)
    assert_same(mx.import_function(path)(key), [mx.random.normal((4,), key=key)])


def test_functions_inside(path):
    w = mx.array(np.arange(3.0, dtype=np.float32))

    @mx.checkpoint
    def inner(x):
        return mx.sin(x * w), mx.cos(x)

    @mx.checkpoint
    def outer(x):
        a, b = inner(x)
        return mx.sum(a * b)

    x = mx.array([0.1, 0.2, 0.3])
    assert_same(round_trip(path, outer, x), [outer(x)])
    assert "Function" in str(mx.trace(mx.import_function(path))(x))
    assert_same(round_trip(path, mx.grad(outer), x), [mx.grad(outer)(x)])

    @mx.custom_function
    def ruled(x):
        return x * x

    ruled.vjp(lambda x, ct, out: ct * 100)
    assert_same(round_trip(path, ruled, x), [x * x])
    assert mx.grad(lambda x: mx.import_function(path)(x)[0].sum())(x).tolist() == [100] * 3


def test_deep_graphs(path):
    def deep(x):
        for _ in range(20000):
            x = x + 1
        return x

    assert round_trip(path, deep, mx.array(0.0))[0].item() == 20000


def test_transforms_of_an_imported_function(path):
    mx.export_function(path, lambda x, w: mx.sum(mx.tanh(x @ w)), mx.ones((3,)), mx.ones((3, 2)))
    f = mx.import_function(path)
    x, w = mx.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), mx.ones((3, 2))

    def direct(x, w):
        return mx.sum(mx.tanh(x @ w))

    for make in (lambda f: mx.vmap(f, in_axes=(0, None)), lambda f: mx.vmap(mx.grad(f), in_axes=(0, None)),
                 lambda f: lambda x, w: mx.jvp(lambda w: f(x[0], w), [w], [w])[1][0],
                 lambda f: lambda x, w: mx.grad(lambda w: mx.sum(mx.grad(f)(x[0], w)))(w)):
        assert np.allclose(make(lambda x, w: f(x, w)[0])(x, w), make(direct)(x, w), atol=1e-6)


# --- shapeless ---

SHAPELESS = [
    # function, shapes when exporting, shapes when calling
    (lambda x: mx.sin(x) * 2 + 1, [(3,)], [[(5,)], [(1,)], [(0,)]]),
    (lambda x, y: x + y, [(3,), (3,)], [[(5,), (5,)]]),
    (lambda x, y: x + y, [(3, 4), (4,)], [[(5, 7), (7,)]]),
    (lambda x, y: x @ y, [(3, 4), (4, 2)], [[(7, 5), (5, 3)]]),
    (lambda x: mx.sum(x, axis=1), [(3, 1)], [[(7, 5)], [(2, 1)]]),
    (lambda x: mx.mean(x, axis=1), [(3, 4)], [[(7, 5)], [(2, 1)]]),
    (lambda x: mx.var(x, axis=0), [(3, 4)], [[(7, 5)]]),
    (lambda x: mx.softmax(x, axis=-1), [(3, 4)], [[(7, 5)]]),
    (lambda x: mx.flatten(x).T, [(3, 4)], [[(7, 5)]]),
    (lambda x: mx.zeros_like(x) + mx.cumsum(mx.sort(x), axis=0), [(3, 4)], [[(7, 5)]]),
    (lambda x, y: mx.concatenate([x, y]), [(3, 4), (2, 4)], [[(7, 5), (1, 5)]]),
    (lambda x, y: x[:, None] * y[None], [(3,), (4,)], [[(7,), (5,)]]),
    (mx.grad(lambda x: mx.sum(mx.tanh(x) ** 2 + x.T.T)), [(3, 4)], [[(7, 5)]]),
    (mx.checkpoint(lambda x: mx.sum(mx.sin(x), axis=0)), [(3, 4)], [[(7, 5)]]),
    (lambda x: x.reshape(x.shape[0], -1) / x.shape[1], [(3, 4, 2)], [[(7, 5, 2)]]),
    (lambda x: x[:2] + x[1:3], [(3,)], [[(9,)], [(4,)]]),
]


@pytest.mark.parametrize("fun, recorded, called", SHAPELESS, ids=range(len(SHAPELESS)))
def test_shapeless_serves_other_sizes(fun, recorded, called, path):
    rng = np.random.default_rng(0)
    mx.export_function(path, fun, *[mx.ones(shape) for shape in recorded], shapeless=True)
    f = mx.import_function(path)
    for shapes in called:
        args = [mx.array(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
        assert_same(f(*args), [fun(*args)])


@pytest.mark.parametrize("fun, recorded, called, error", [
    (lambda x: x * int(x.shape[0]), [(3,)], [(4,)], "depends on a size that was 3 when it was traced and is 4"),
    (lambda x: x if x.shape[0] > 2 else -x, [(3,)], [(1,)], "depends on how a size compares, which was 3 when it was traced and is 1"),
    (lambda x: x.reshape(2, 6), [(3, 4)], [(4, 4)], "Cannot reshape"),
    (lambda x, y: x + y, [(3,), (3,)], [(4,), (1,)], r"sizes that were equal when it was traced \(3\) are different"),
    (lambda x: x + mx.ones((3,)), [(3,)], [(4,)], "depends on how a size compares, which was 3"),
    (lambda x: x, [(3,)], [(4, 4)], "no trace fits"),
], ids=range(6))
def test_shapeless_says_what_does_not_fit(fun, recorded, called, error, path):
    mx.export_function(path, fun, *[mx.ones(shape) for shape in recorded], shapeless=True)
    f = mx.import_function(path)
    assert_same(f(*[mx.ones(shape) for shape in recorded]), [fun(*[mx.ones(shape) for shape in recorded])])
    with pytest.raises(ValueError, match=error):
        f(*[mx.ones(shape) for shape in called])


# --- control flow ---

W = mx.array([0.5, 0.25])


def looped(x):
    return mx.while_loop(lambda s: s[0].sum() < 20, lambda s: (s[0] * 1.5 + W, s[1] + 1), (x, mx.array(0)))[0]


def scanned(x):
    def step(carry, v):
        carry = mx.tanh(carry * W + v)
        return carry, carry.sum() * v

    carry, ys = mx.scan(step, mx.zeros((2,)), x * mx.ones((4, 1)))
    return carry.sum() + (ys * ys).sum()


def branched(x):
    return mx.cond(x.sum() > 1, lambda y: mx.sin(y) * W, lambda y: y * y, x)


@pytest.mark.parametrize("fun", [looped, scanned, branched, mx.grad(scanned), mx.grad(lambda x: branched(x).sum()), mx.grad(mx.grad(lambda s: scanned(s * W))),
                                 lambda x: mx.vmap(branched)(mx.stack([x, x - 5])), lambda x: mx.vmap(looped)(mx.stack([x, x + 9]))])
def test_control_flow_comes_back(fun, path):
    x = mx.array(0.75) if "grad of <grad" in repr(fun) else mx.array([0.75, 0.5])
    assert_same(round_trip(path, fun, x), listed(fun(x)))
    if fun in (looped, scanned, branched):
        f = mx.import_function(path)
        total = lambda g: lambda a: sum(y.sum() for y in listed(g(a)))  # noqa: E731
        assert mx.array_equal(mx.grad(total(f))(x), mx.grad(total(fun))(x))
        assert mx.array_equal(f(x * 3)[0], listed(fun(x * 3))[0])


def test_the_reverse_mode_of_while_loop_comes_back(path):
    first = mx.grad(lambda x: looped(x).sum())
    second = mx.grad(lambda x: (first(x) ** 2).sum())
    mapped = mx.vmap(first)
    forward = lambda x: mx.jvp(first, [x], [x * 2])[1][0]  # noqa: E731
    x = mx.array([0.75, 0.5])
    for fun, arg in ((first, x), (second, x), (mapped, mx.stack([x, x + 3])), (forward, x), (mx.grad(lambda x: first(x).sum()), x)):
        assert_same(round_trip(path, fun, arg), listed(fun(arg)))
        imported = mx.import_function(path)
        assert_same([mx.grad(lambda a: imported(a)[0].sum())(arg)], [mx.grad(lambda a: fun(a).sum())(arg)])
    mx.export_function(path, first, x, shapeless=True)
    assert "Sweeps" in str(mx.trace(mx.import_function(path))(x))


def test_the_reverse_mode_of_while_loop_serves_other_sizes(path):
    def fun(x):
        return mx.grad(lambda x: mx.while_loop(lambda s: s[0].sum() < 20, lambda s: (s[0] * 1.5 + 1, s[1] + 1), (x, mx.array(0)))[0].prod())(x)

    mx.export_function(path, fun, mx.array([0.75, 0.5]), shapeless=True)
    f = mx.import_function(path)
    assert_same(f(mx.array([0.5, 2.0])), [fun(mx.array([0.5, 2.0]))])
    mx.export_function(path, lambda x: fun(x) * 1, mx.array([0.75, 0.5, 1.0]), shapeless=True)

    def open_fun(x):
        return mx.grad(lambda x: mx.while_loop(lambda s: s[0].sum() < 20, lambda s: (s[0] * 1.5 + 1, s[1] + 1), (x, mx.array(0)))[0].sum())(x)

    mx.export_function(path, open_fun, mx.array([0.75, 0.5]), shapeless=True)
    f = mx.import_function(path)
    for n in (1, 3, 7):
        assert_same(f(mx.arange(n) * 0.5), [open_fun(mx.arange(n) * 0.5)])


# --- damaged files ---

HEADER = 32


def fnv(payload):
    value = 0xcbf29ce484222325
    for byte in payload:
        value = ((value ^ byte) * 0x100000001b3) & (2**64 - 1)
    return value


def with_right_checksum(data):
    payload = data[HEADER:]
    return data[:16] + struct.pack("<QQ", len(payload), fnv(payload)) + payload


@pytest.fixture
def exported(path):
    w = mx.array(np.arange(12.0, dtype=np.float32).reshape(3, 4))

    def f(x, i):
        y = mx.checkpoint(lambda x: mx.tanh(x @ w))(x)
        y = mx.cumsum(y[::-1, 1:3], axis=0)
        y = mx.take(mx.pad(y, 1), i, axis=1)
        return mx.sort(mx.sum(y.reshape(-1, 2), axis=1, keepdims=True)), mx.argpartition(y, 1), mx.random.bits((2,), key=mx.random.key(1))

    args = mx.ones((5, 3)), mx.array([1, 2])
    mx.export_function(path, f, *args, metadata="some text", shapeless=True)
    return open(path, "rb").read(), args


def test_truncated_files_are_refused(exported, path):
    data, _ = exported
    for size in [*range(0, 64), *range(64, len(data), 37)]:
        with open(path, "wb") as file:
            file.write(data[:size])
        with pytest.raises(ValueError, match=r"\[import_function\].*(damaged|no file of exported)"):
            mx.import_function(path)


def test_every_changed_byte_is_noticed(exported, path):
    data, _ = exported
    for at in [*range(0, HEADER), *range(HEADER, len(data), 11)]:
        with open(path, "wb") as file:
            file.write(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        with pytest.raises(ValueError, match=r"\[import_function\]"):
            mx.import_function(path)


def test_a_newer_version_is_named(exported, path):
    data, _ = exported
    with open(path, "wb") as file:
        file.write(data[:8] + struct.pack("<I", 99) + data[12:])
    with pytest.raises(ValueError, match="has version 99 of the format"):
        mx.import_function(path)


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_texts_that_are_not_utf8_are_refused(path, text):
    mx.export_function(path, mx.sin, mx.array(1.0), metadata="#" * len(text))
    data = open(path, "rb").read()
    with open(path, "wb") as file:
        file.write(with_right_checksum(data.replace(b"#" * len(text), text)))
    with pytest.raises(ValueError, match="damaged: a text is not UTF-8"):
        mx.import_function(path)
    assert with_right_checksum(data) == data
    mx.export_function(path, mx.sin, mx.array(1.0), metadata="aß€😀")
    assert mx.import_function(path, True)[1] == "aß€😀"


HOSTILE = textwrap.dedent("""
    import resource, sys
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    import mlx.core as mx
    done = 0
    for path in sys.stdin.read().split():
        try:
            mx.eval(mx.import_function(path)(mx.ones((5, 3)), mx.array([1, 2])))
        except (ValueError, RuntimeError, MemoryError, IndexError):
            pass
        done += 1
    print(done)
    """)


def test_hostile_files_do_no_harm(exported, tmp_path):
    """Bytes changed on purpose, under a right checksum: an error or some result, but no crash and no huge allocation."""
    data, _ = exported
    rng = random.Random(0)
    changes = []
    for at in range(HEADER, len(data)):
        changes.append(data[:at] + bytes([rng.choice([0, 1, 2, 127, 128, 255, data[at] ^ 1])]) + data[at + 1:])
    for _ in range(400):
        at = rng.randrange(HEADER, len(data) - 8)
        number = rng.choice([-1, 0, 1, 2**31, 2**40, 2**62, -2**63, 2**63 - 1, rng.randrange(-9, 9)])
        changes.append(data[:at] + struct.pack("<q", number) + data[at + 8:])
    for _ in range(200):
        start, size = rng.randrange(HEADER, len(data)), rng.randrange(1, 60)
        at = rng.randrange(HEADER, len(data))
        changes.append(data[:at] + data[start:start + size] + data[at + rng.choice([0, size]):])
    paths = []
    for i, change in enumerate(changes):
        paths.append(str(tmp_path / f"{i}.hostile"))
        with open(paths[-1], "wb") as file:
            file.write(with_right_checksum(change))
    ran = subprocess.run([sys.executable, "-c", HOSTILE], input="\n".join(paths), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert int(ran.stdout) == len(changes)
