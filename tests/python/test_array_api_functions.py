"""The functions of the Array API standard, from its table: each is there, takes the standard's parameters as the standard has them,
and computes what NumPy computes."""

import mlx.core as mx
import numpy as np
import pytest
from array_api_table import CALLS, DTYPES, ELEMENTWISE, FUNCTIONS
from mlx_parameters import parameters_in
from test_keywords import shown_parameters, value_of

SIGNATURES = {line[: line.index("(")]: line[line.index("(") + 1 : -1] for line in FUNCTIONS}
# Of these, defaults that mean the standard's.
SAME_DEFAULTS = {"dtype": "float32", "step": "None"}


def found(name):
    *modules, last = name.split(".")
    space = mx
    for module in modules:
        space = getattr(space, module)
    return getattr(space, last)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_are_the_standards(name):
    function, standard = found(name), SIGNATURES[name]
    if isinstance(function, type):  # finfo and iinfo
        return
    first, slash, rest = standard.partition("/")
    unnamed = len(parameters_in(first)) if slash else 0
    wanted = parameters_in(standard)
    faults = []
    for form in (shown_parameters(function, k) for k in range(len(function.__nb_signature__))):
        mine = {p.name: p for p in form}
        positional = [p for p in form if not p.by_name_only]
        faults = [f"takes only {len(positional)} by position"] if unnamed > len(positional) else []
        for p in wanted[unnamed:]:
            if p.name not in mine:
                faults.append(f"{p.name} is missing")
            elif p.default is not None and value_of(mine[p.name].default) != value_of(p.default):
                default = mine[p.name].default
                if default != SAME_DEFAULTS.get(p.name):
                    faults.append(f"{p.name} = {default}, not {p.default}")
        required = [p.name for p in form if p.default is None and not p.rest]
        given = {p.name for p in wanted} | {p.name for p in positional[:unnamed]}
        faults += [f"needs {extra}, too" for extra in required if extra not in given]
        if not faults:
            return
    assert not faults


def test_every_name_is_there():
    missing = [name for name in [*SIGNATURES, *ELEMENTWISE, *DTYPES, "e", "inf", "nan", "newaxis", "pi"] if not has(name)]
    assert not missing


def has(name):
    try:
        found(name)
    except AttributeError:
        return False
    return True


def inputs(dtype):
    """The arrays that CALLS is about, of NumPy's."""
    draw = np.random.default_rng(7)
    f = draw.normal(size=(3, 4)).astype(dtype)
    base = draw.normal(size=(3, 3))
    return {
        "f": f, "g": draw.normal(size=4).astype(dtype), "i": draw.integers(-3, 4, (3, 4)).astype(np.int32),
        "j": np.array([1, 0, 3, 2], np.int32) % 3 + 1, "p": np.array([2, 1, 2, 0, 1], dtype), "q": np.array([0, 1, 1.5, 2, 3], dtype),
        "b": draw.normal(size=(3, 4)) > 0, "m": (draw.normal(size=(2, 3, 3)) + 2 * np.eye(3)).astype(dtype),
        "c": (draw.normal(size=(3, 4)) + 1j * draw.normal(size=(3, 4))).astype(np.complex64 if dtype == "float32" else np.complex128),
        "s": (base @ base.T + np.eye(3)).astype(dtype), "e": np.zeros((0, 4), dtype), "z": np.array(1.5, dtype),
    }


def ours(value):
    kept = {np.dtype("float64"): mx.float64, np.dtype("complex128"): mx.complex128}.get(value.dtype)
    return mx.array(value, kept) if kept else mx.array(value)


EXPRESSIONS = [text.strip() for line in CALLS.split("\n") for text in line.split(" | ") if text.strip()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_are_numpys(expression, dtype):
    arrays = inputs(dtype)
    theirs = eval(expression, {"xp": np, "F": np.dtype(dtype), **arrays})
    mine = eval(expression, {"xp": mx, "F": getattr(mx, dtype), **{name: ours(a) for name, a in arrays.items()}})
    if not isinstance(theirs, (tuple, list)):
        theirs, mine = [theirs], [mine]
    assert len(theirs) == len(mine)
    for a, b in zip(mine, map(np.asarray, theirs)):
        assert isinstance(a, mx.array) and a.shape == b.shape, (a.shape, b.shape)
        got = np.array(a)
        # Python's ints are int32 and floats float32 here.
        plain = (got.dtype, b.dtype) == (np.int32, np.int64) and "int64" not in expression
        assert got.dtype == b.dtype or plain or "fftfreq" in expression, (got.dtype, b.dtype)
        if got.dtype.kind in "fc":
            tolerance = 1e-4 if got.real.dtype == np.float32 else 1e-11
            np.testing.assert_allclose(got, b, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(got, b)


@pytest.mark.parametrize("axis", [-1, 0, 1, None])
def test_descending_order_keeps_equal_elements_as_they_are(axis):
    x = np.array([[2, 1, 2, 0], [1, 2, 1, 1]])
    order = np.argsort(-x, axis=axis, kind="stable")
    a = mx.array(x, mx.int32)
    assert mx.argsort(a, axis=axis, descending=True).tolist() == order.tolist()
    assert mx.sort(a, axis=axis, descending=True, stable=False).tolist() == (-np.sort(-x, axis=axis)).tolist()
    assert mx.sort(mx.array([1, 255, 0], mx.uint8), descending=True).tolist() == [255, 1, 0]
    assert mx.sort(mx.array([True, False, True]), descending=True).tolist() == [True, True, False]
    assert mx.argsort(mx.zeros((0,)), descending=True).shape == (0,)
    up = mx.sort(mx.array([1.0, mx.nan, -mx.inf, 2.0]), descending=True).tolist()
    assert up[0] != up[0] and up[1:] == [2.0, 1.0, -mx.inf]


def test_descending_order_in_transforms():
    x = mx.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    down = lambda r: mx.sort(r, descending=True)
    assert mx.vmap(down)(x).tolist() == [[3, 2, 1], [5, 4, 0]]
    weights = mx.array([1.0, 10.0, 100.0])
    assert mx.grad(lambda r: (down(r) * weights).sum())(x[0]).tolist() == [1.0, 100.0, 10.0]
    order = mx.compile(lambda r: mx.argsort(r, descending=True), shapeless=True)
    assert order(x[0]).tolist() == [0, 2, 1] and order(mx.array([1.0, 2.0])).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_of_creation(dtype):
    wanted = getattr(mx, dtype)
    for made in (mx.zeros(3, dtype=wanted), mx.ones((2,), dtype=wanted), mx.full((2,), 1, dtype=wanted), mx.empty(2, dtype=wanted),
                 mx.asarray([0, 1], dtype=wanted), mx.zeros_like(mx.array([1.5]), dtype=wanted), mx.eye(2, dtype=wanted),
                 mx.full_like(mx.array(1), 1, dtype=wanted), mx.astype(mx.array([0, 1]), wanted)):
        assert made.dtype == wanted and made.device == mx.default_device()
    assert mx.isdtype(wanted, dtype if dtype == "bool" else wanted) and mx.result_type(wanted, wanted) == wanted
    assert mx.from_dlpack(mx.ones(2, dtype=wanted)).dtype == wanted


def test_result_type_of_numbers():
    for arguments, wanted in [
        ((mx.int8, 1), mx.int8), ((mx.int8, 1.0), mx.float32), ((mx.float64, 1), mx.float64), ((mx.float32, 1j), mx.complex64),
        ((mx.float64, 1j), mx.complex128), ((mx.bool, 3), mx.int32), ((mx.uint64, True), mx.uint64), ((1, mx.float16), mx.float16),
        ((mx.array(1.0), mx.int32, 2.0), mx.float32), ((mx.complex64, 1.0), mx.complex64), ((mx.int16, mx.uint8, 7), mx.int16),
        ((True, mx.bool), mx.bool), ((mx.int64, 1j), mx.complex64), ((1, 2.0), mx.float32),
    ]:
        assert mx.result_type(*arguments) == wanted, arguments
    with pytest.raises(TypeError, match="result_type"):
        mx.result_type(mx.int8, "int8")
    with pytest.raises(ValueError, match="at least one"):
        mx.result_type()


def test_limits_of_arrays():
    assert mx.finfo(mx.zeros(2, mx.float64)).bits == 64 and mx.finfo(mx.complex64).dtype == mx.float32
    assert mx.iinfo(mx.zeros(2, mx.uint8)).max == 255 and type(mx.iinfo(mx.int64).min) is int
    assert type(mx.finfo(mx.float32).eps) is float
    with pytest.raises(TypeError, match="finfo"):
        mx.finfo(3)


@pytest.mark.parametrize("call", [
    lambda: mx.expand_dims(mx.ones(2), 3), lambda: mx.expand_dims(mx.ones(2), -4), lambda: mx.stack([mx.ones(2)], axis=2),
    lambda: mx.unstack(mx.ones(2), axis=1), lambda: mx.flip(mx.ones(2), axis=1), lambda: mx.sort(mx.ones(2), axis=1, descending=True),
])
def test_axes_out_of_range(call):
    with pytest.raises(IndexError):
        call()


@pytest.mark.parametrize("call, text", [
    (lambda: mx.squeeze(mx.ones((2, 1)), 0), "squeeze"), (lambda: mx.nonzero(mx.array(1.0)), "nonzero"),
    (lambda: mx.broadcast_to(mx.ones(3), (2,)), "broadcast"), (lambda: mx.repeat(mx.ones(3), mx.array([1, 2])), "repeat"),
    (lambda: mx.reshape(evaluated(), (6,), copy=False), "copy=False"), (lambda: mx.linspace(0, 1j, 3, dtype=mx.float32), "complex"),
    (lambda: mx.zeros(2, device=mx.cpu, stream=mx.cpu), "device and stream"), (lambda: mx.full((2,)), "full"),
    (lambda: mx.full((2,), 1, fill_value=2), "full"), (lambda: mx.searchsorted(mx.ones((2, 2)), mx.ones(2)), "searchsorted"),
    (lambda: mx.isdtype(mx.int8, "integers"), "integers"), (lambda: mx.asarray([1, 2], copy=False), "copy"),
])
def test_errors(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


def evaluated():
    x = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).T
    mx.eval(x)
    return x


def test_copies():
    x = mx.array([1.0, 2.0])
    assert mx.asarray(x) is x and mx.asarray(x, copy=False) is x and mx.astype(x, mx.float32, copy=False) is x
    for other in (mx.asarray(x, copy=True), mx.astype(x, x.dtype), mx.reshape(x, (2,), copy=True), mx.from_dlpack(x, copy=True)):
        assert other is not x
        other[0] = 5.0
        assert x[0] == 1.0
    assert mx.asarray(np.array([0.1])).dtype == mx.float64 and mx.asarray(0.1).dtype == mx.float32
    assert mx.asarray(np.array([0.1])).item() == 0.1 and mx.asarray(np.array([1j])).dtype == mx.complex128
    assert mx.array(np.array([0.1])).dtype == mx.float32  # as MLX has it


def test_differences_have_gradients_in_what_is_put_before_and_behind():
    x, first, last = mx.array([1.0, 4.0]), mx.array([0.5]), mx.array(9.0)
    total = lambda x, a, b: (mx.diff(x, prepend=a, append=b) ** 2).sum()
    assert mx.diff(x, prepend=first, append=last).tolist() == [0.5, 3.0, 5.0]
    gradients = mx.grad(total, argnums=(0, 1, 2))(x, first, last)
    assert [g.tolist() for g in gradients] == [[1.0 - 6.0, 6.0 - 10.0], [-1.0], 10.0]
    assert mx.diff(x, n=0, append=last).tolist() == x.tolist()  # as NumPy has it
    assert mx.diff(x, prepend=0).tolist() == [1.0, 3.0] and mx.diff(mx.array([1, 2]), append=mx.array([2.5])).dtype == mx.float32
