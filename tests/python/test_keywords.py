"""The list of MLX's names (mlx_signatures.txt) is met: each name is there, with the same parameters in the same order and with the
same defaults, and what we add is by name only. Each of the arguments can be given by name and by position."""

import ast
import inspect
import re

import mlx.core as mx
import numpy as np
import pytest
from mlx_parameters import CLASSES, FUNCTIONS, MISSING, MISSING_MODULES, PARAMETERS, parameters_in
from mlx_parameters import VALUES as CONSTANTS

F = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
I = mx.array([[1, 2, 3], [4, 5, 6]])
V = mx.array([1.0, 2.0, 3.0])
S = mx.eye(3)
ALIASES = {
    "pow": "power", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "acosh": "arccosh", "asinh": "arcsinh",
    "atanh": "arctanh", "atan2": "arctan2", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
    "empty": "zeros", "empty_like": "zeros_like", "concat": "concatenate",
    "permute_dims": "transpose", "conj": "conjugate",
}

# What a parameter of this name takes, unless the function's own row says something else.
VALUES = {
    "a": F, "b": F, "x": F, "c": S, "axis": 0, "axes": (0,), "keepdims": True, "ddof": 1, "dtype": mx.float32, "stream": mx.cpu,
    "shape": (2, 3), "start_axis": 0, "end_axis": -1, "equal_nan": True, "rtol": 1e-5, "atol": 1e-8, "reverse": True,
    "inclusive": False, "precise": True, "start": 0, "stop": 4, "step": 2, "M": 4, "num": 3, "endpoint": False, "vals": 2.0, "n": 3,
    "m": 2, "k": 1, "copy": True, "source": 0, "destination": 1, "axis1": 0, "axis2": 1, "indices_or_sections": [1], "kth": 1,
    "sorted_sequence": V, "values": V, "side": "right", "size": 2, "return_index": True, "return_inverse": True,
    "return_counts": True, "fill_value": 0, "arrays": [F, F], "array": F, "repeats": 2, "a_min": 1, "a_max": 2, "pad_width": 1,
    "mode": "edge", "constant_values": 0, "strides": (3, 1), "offset": 1, "decimals": 1, "nan": 0.0, "posinf": 1.0, "neginf": -1.0,
    "alpha": 2.0, "beta": 3.0, "allow_col_major": True, "fun": mx.sum, "primals": [V], "precision": 4, "limit": 2**40,
    "device": mx.cpu, "device_type": mx.cpu, "d": mx.cpu, "condition": F > 2, "y": F, "key": mx.random.key(0), "seed": 0,
    "low": 0, "high": 5, "loc": 1.0, "scale": 2.0, "p": 0.5, "lower": 0, "upper": 1, "mean": mx.zeros(3), "cov": S,
    "logits": F, "num_samples": None, "argnums": 0, "argnames": "y", "in_axes": 0, "out_axes": 0, "shapeless": True,
    "compute_uv": True, "UPLO": "U",
    "inputs": None, "outputs": None, "file": None, "path": "x", "s": mx.cpu, "metadata": None, "return_metadata": True,
    "norm": "ortho", "n_fft": 4, "hop_length": 1, "win_length": 4, "window": mx.ones(4), "center": True, "pad_mode": "edge",
    "onesided": True, "length": 3, "stft_matrix": S, "stride": 2, "padding": 1, "dilation": 1, "kernel_dilation": 1,
    "input_dilation": 2, "groups": 1, "flip": True, "output_padding": 1,
}
# (function, parameter): value.
OWN = {
    "bitwise_and": {"a": I, "b": I}, "bitwise_or": {"a": I, "b": I}, "bitwise_xor": {"a": I, "b": I}, "left_shift": {"a": I, "b": I},
    "right_shift": {"a": I, "b": I}, "bitwise_invert": {"a": I}, "matmul": {"a": S, "b": S}, "addmm": {"a": S, "b": S},
    "inner": {"a": V, "b": V}, "outer": {"a": V, "b": V}, "kron": {"a": V, "b": V}, "tensordot": {"a": S, "b": S, "axes": 1},
    "squeeze": {"a": F[None]}, "unflatten": {"a": V, "shape": (3, 1)}, "reshape": {"shape": (3, 2)}, "take": {"indices": mx.array([0])},
    "take_along_axis": {"indices": mx.array([[0, 1, 0]])}, "put_along_axis": {"a": V, "indices": mx.array([0]), "values": V[:1]},
    "full": {"shape": (2,)}, "arcsin": {"a": F / 10}, "arccos": {"a": F / 10}, "arctanh": {"a": F / 10}, "erfinv": {"a": F / 10},
    "split": {"axis": 1}, "unique": {"a": V}, "clip": {"a": F}, "as_strided": {"offset": 0, "shape": (1, 2)}, "repeat": {"axis": 0},
    "tile": {"reps": (2, 1)}, "roll": {"shift": 1}, "transpose": {"axes": (1, 0)}, "permute_dims": {"axes": (1, 0)},
    "view": {"dtype": mx.int32}, "astype": {"dtype": mx.int32}, "broadcast_to": {"shape": (4, 2, 3)}, "trace": {"offset": 0},
    "slice": {"start_indices": mx.array([0]), "slice_size": (1, 3)}, "topk": {"k": 2}, "zeros": {"shape": 3},
    "slice_update": {"update": F[:1], "start_indices": mx.array([0])}, "issubdtype": {"arg1": mx.float32, "arg2": mx.floating},
    "can_cast": {"from_": mx.float32, "to": mx.float64}, "isdtype": {"dtype": mx.float32, "kind": "integral"},
    "depends": {"inputs": [F], "dependencies": [F]}, "random.multivariate_normal": {"shape": (2,)},
    "random.permutation": {"x": F}, "random.split": {"num": 3}, "random.categorical": {"shape": (4, 2), "axis": -1}, "random.randint": {"dtype": mx.int16},
    "linspace": {"start": 0.0, "stop": 1.0}, "grad": {"fun": lambda x, y: x * y},
    "value_and_grad": {"fun": lambda x, y: x * y}, "jvp": {"tangents": [V]}, "vjp": {"cotangents": [mx.array(1.0)]},
    "compile": {"fun": mx.sin}, "random.key": {"seed": 3}, "set_wired_limit": {"limit": 0}, "metal.set_wired_limit": {"limit": 0},
    **{f"fft.{name}2": {"s": (3, 4), "axes": (0, 1)} for name in ("fft", "ifft", "rfft", "irfft")},
    **{f"fft.{name}n": {"s": (3,)} for name in ("fft", "ifft", "rfft", "irfft")},
    "fft.fftfreq": {"d": 0.5}, "fft.rfftfreq": {"d": 0.5},
    "to_fp8": {"x": F}, "from_fp8": {"x": mx.array([56, 1], mx.uint8), "dtype": mx.float32},
    **{f"{name}{n}d": {"input": mx.ones((1, *[4] * n, 2)), "weight": mx.ones((3, *[2] * n, 2))}
       for name in ("conv", "conv_transpose") for n in (1, 2, 3)},
    "conv_general": {"input": mx.ones((1, 4, 2)), "weight": mx.ones((3, 2, 2))}, "convolve": {"a": V, "v": V, "mode": "same"},
    "hadamard_transform": {"a": mx.ones((2, 4))}, "segmented_mm": {"a": S, "b": S, "segments": mx.array([[0, 1], [1, 3]])},
    "block_masked_mm": {"a": S, "b": S, "block_size": 3, **{f"mask_{k}": mx.ones((1, 1)) for k in ("out", "lhs", "rhs")}},
    "gather_mm": {"a": F[None], "b": S[None], "lhs_indices": mx.array([0]), "rhs_indices": mx.array([0, 0]), "sorted_indices": True},
    "random.truncated_normal": {"shape": (2,)}, "random.bernoulli": {"shape": (2, 3)},
    **{f"linalg.{name}": {"a": S + 1, "b": S, "upper": True} for name in ("inv", "tri_inv", "cholesky", "cholesky_inv", "eigvals", "eig", "det", "slogdet",
                                                   "solve", "solve_triangular", "eigh", "eigvalsh")},
    "linalg.cross": {"axis": 1}, "linalg.norm": {"ord": 1},
    "fast.rms_norm": {"weight": V, "eps": 1e-5}, "fast.layer_norm": {"weight": V, "bias": V, "eps": 1e-5},
    "fast.cross_entropy": {"targets": mx.array([0, 2])},
    "fast.rope": {"a": mx.ones((1, 3, 4)), "dims": 4, "traditional": True, "base": 10.0, "freqs": None},
    "fast.scaled_dot_product_attention": {"q": F[None, None], "k": F[None, None], "v": F[None, None], "mask": "causal", "sinks": V[:1],
                                          "force_fused": False},
    "fast.gated_delta_update": {"q": S[None, None], "k": S[None, None], "v": S[None, None], "gamma": V[None, None], "beta": V[None, None],
                                "initial_state": mx.ones((1, 3, 3, 3)), "mask": mx.array([[True]])},
}
# Changed outside of the call, files, or no values to compare: only that the names bind.
UNCALLED = {"load", "fast.metal_kernel", "fast.cuda_kernel", "fast.precompiled_cuda_kernel",  # what they do: test_fast.py
            "save", "savez", "savez_compressed", "save_safetensors", "save_gguf",  # test_files.py
            "export_function", "import_function", "exporter", "export_to_dot", "metal.start_capture", "metal.stop_capture",
            "set_default_stream", "set_memory_limit", "set_cache_limit", "metal.set_memory_limit", "metal.set_cache_limit",
            "clear_streams", "disable_compile", "enable_compile", "random.seed", "set_printoptions", "set_default_device",
            "synchronize", "eval", "async_eval"}  # fmt: skip


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(getattr(mx, module) if module else mx, attribute)


def shown_parameters(function, form=0):
    """From the signature that the binding shows, the first where there are several."""
    text, *others = function.__nb_signature__[form]
    text = re.sub(r"\\(\d+)", lambda m: repr(others[1][int(m[1])]), text)  # defaults that are not written out are numbered
    return parameters_in(text[text.index("(") + 1 : text.rindex(") ->")])


def parameters_of(function):
    """Names in order, and those given by name only."""
    parameters = shown_parameters(function)
    return [p.name for p in parameters], {p.name for p in parameters if p.by_name_only or p.rest}


def value_of(default):
    """What the text of a default stands for: () and [], 1e-5 and 1e-05 are the same."""
    try:
        value = ast.literal_eval(default.replace("mlx.core.", "")) if default else default
    except (ValueError, SyntaxError):
        return default.removeprefix("mlx.core.")
    return list(value) if isinstance(value, tuple) else value


def differences(ours, theirs):
    """What keeps a call that fits theirs from meaning the same with ours. Ours may have more parameters, by name only."""
    mine = {p.name: p for p in ours}
    faults = [f"{p.name} is missing" for p in theirs if p.name not in mine and not p.name.startswith("arg")]
    if any(re.fullmatch(r"arg\d*", p.name) for p in theirs):  # no name
        return [] if len(ours) == len(theirs) else [f"{len(ours)} parameters"]
    positional = [p.name for p in ours if not p.by_name_only]
    wanted = [p.name for p in theirs if not p.by_name_only]
    if positional[: len(wanted)] != wanted or set(positional) - {p.name for p in theirs}:
        faults.append(f"by position: {positional}, not {wanted}")
    faults += [f"{p.name} = {mine[p.name].default}, not {p.default}" for p in theirs
               if p.name in mine and p.default is not None and value_of(p.default) != value_of(mine[p.name].default)]
    return faults


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_is_mlxs(name):
    function = found(name)
    if not inspect.isclass(function):
        assert not differences(shown_parameters(function), FUNCTIONS[name])
        assert name == "load" or "/" not in function.__nb_signature__[0][0].split(") ->")[0].split("(", 1)[1].replace("://", "")


# Members of which only the names are compared: operators take theirs by position; the others are C's.
UNNAMED = re.compile(r"__(?!init__|array|dlpack)\w+__$")


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_is_mlxs(name):
    ours, faults = found(name), []
    for member, parameters in CLASSES[name].items():
        if not hasattr(ours, member):
            faults.append(f"{member} is missing")
        elif parameters is not None and not UNNAMED.match(member) and hasattr(getattr(ours, member), "__nb_signature__"):
            shown = shown_parameters(getattr(ours, member))
            positional_only = "/" in getattr(ours, member).__nb_signature__[0][0].split(") ->")[0]
            faults += [] if positional_only else [f"{member}: {fault}" for fault in differences(shown, parameters)]
    assert not faults


def test_the_constants_are_there():
    assert not [name for name in CONSTANTS if not hasattr(mx, name)]
    assert mx.newaxis is None and mx.pi == np.pi and mx.e == np.e and mx.inf == np.inf and mx.nan != mx.nan


def test_nothing_of_the_list_is_said_to_be_missing_that_is_there():
    there = [name for name in MISSING if hasattr(getattr(mx, name.split(".")[0], None) if "." in name else mx, name.split(".")[-1])]
    assert not there and not [module for module in MISSING_MODULES if hasattr(mx, module)]


def same(a, b):
    if isinstance(a, mx.array):
        return isinstance(b, mx.array) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype not in (mx.bool_,))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if callable(a) and not isinstance(a, type):
        return callable(b)
    return type(a) is type(b) if not isinstance(a, (int, str, dict)) else a == b


@pytest.mark.parametrize("name", [n for n in PARAMETERS if n not in UNCALLED])
def test_each_argument_by_name(name):
    function = found(name)
    names = [n for n in PARAMETERS[name].split() if not n.startswith("*")]
    rest = next((n for n in PARAMETERS[name].split() if n.startswith("*")), None)
    stars = {"*shapes": [(2, 3), (3,)], "*operands": [S, S], "*arrays_and_dtypes": [F, mx.float16], "*args": [F]}.get(rest, [V, V] if rest else [])
    values = {"subscripts": "ij,jk", "sparse": True, "indexing": "ij", **VALUES, **OWN.get(name, {})}
    given = {n: values[n] for n in names}
    if name in ("grad", "value_and_grad"):
        del given["argnames"]  # another way to say it
        function(given["fun"], argnames="y")
    if stars and "subscripts" in given:
        stars = [given.pop("subscripts"), *stars]
    reference = function(*stars, **given)
    # The first k by position, the others by name, as far as positions go.
    ours, by_name = parameters_of(function) if not inspect.isclass(function) else (names, set())
    positional = [n for n in names if n in given and n not in by_name]
    for k in range(1, len(positional) + 1) if not stars else ():
        head = positional[:k]
        assert same(reference, function(*[given[n] for n in head], **{n: v for n, v in given.items() if n not in head})), k
    # One by one, each optional argument beside those that are required.
    if not stars and name != "arange":  # which counts its arguments
        signature = function.__nb_signature__[0][0]
        required = {n: v for n, v in given.items() if not re.search(rf"\b{n}: [^=]*?=", cut(signature, n))}
        for n in given.keys() - required.keys():
            function(**required, **{n: given[n]})


def cut(signature, name):
    """The part of a signature that belongs to a parameter."""
    names = parameters_of(type("F", (), {"__nb_signature__": [[signature]]}))[0]
    start = re.search(rf"[(,] ?\**{name}: ", signature).start()
    later = names[names.index(name) + 1 :] if name in names else []
    ends = [m.start() for n in later if (m := re.search(rf", \**{n}: ", signature[start:]))]
    return signature[start : start + min(ends, default=len(signature))]


@pytest.mark.parametrize("alias", ALIASES)
def test_second_names(alias):
    assert getattr(mx, alias) is getattr(mx, ALIASES[alias])


def test_names_that_mlx_takes_beside_its_documentation():
    assert mx.sum(array=F).item() == 21 and mx.sum(array=F, axis=0).tolist() == [5, 7, 9]
    assert mx.astype(F, dtype=mx.int32).dtype == mx.int32 and mx.roll(V, 1, axis=0).tolist() == [3, 1, 2]
    assert mx.std(V, correction=1).item() == 1 and V.var(correction=1).item() == 1


@pytest.mark.parametrize("method, given", [
    ("astype", {"dtype": mx.int32, "stream": mx.cpu}), ("flatten", {"start_axis": 0, "end_axis": 1, "stream": mx.cpu}),
    ("reshape", {"stream": mx.cpu}), ("squeeze", {"axis": (), "stream": mx.cpu}), ("transpose", {"stream": mx.cpu}),
    ("all", {"axis": 0, "keepdims": True, "stream": mx.cpu}), ("moveaxis", {"source": 0, "destination": 1, "stream": mx.cpu}),
    ("swapaxes", {"axis1": 0, "axis2": 1, "stream": mx.cpu}), ("logcumsumexp", {"axis": 0, "reverse": True, "inclusive": False}),
    ("std", {"axis": 0, "keepdims": True, "ddof": 1, "correction": None, "stream": mx.cpu}),
    ("split", {"indices_or_sections": 2, "axis": 0, "stream": mx.cpu}), ("argmax", {"axis": 0, "keepdims": True, "stream": mx.cpu}),
    ("round", {"decimals": 1, "stream": mx.cpu}), ("diagonal", {"offset": 0, "axis1": 0, "axis2": 1, "stream": mx.cpu}),
    ("diag", {"k": 0, "stream": mx.cpu}), ("view", {"dtype": mx.int32, "stream": mx.cpu}), ("cumsum", {"axis": 0, "reverse": True}),
    ("__add__", {"other": 1}), ("__rsub__", {"other": F}), ("__lt__", {"other": 2}), ("__matmul__", {"other": F.T}),
    ("__divmod__", {"other": 2}), ("__array__", {"dtype": None, "copy": True}), ("__array_namespace__", {"api_version": None}),
    ("__dlpack__", {"stream": None, "max_version": (1, 0), "dl_device": (1, 0), "copy": True}), ("__deepcopy__", {"memo": {}}),
])
def test_methods(method, given):
    positional = [(3, 2)] if method == "reshape" else []
    getattr(F, method)(*positional, **given)


@pytest.mark.parametrize("make", [
    lambda: mx.Device(type=mx.cpu, index=0), lambda: mx.stream(s=mx.cpu), lambda: mx.StreamContext(s=mx.cpu),
    lambda: mx.array(val=[1, 2], dtype=mx.float32), lambda: mx.PrintOptions(precision=3), lambda: F.at[0].add(value=1.0),
    lambda: mx.is_available(device=mx.gpu), lambda: mx.default_stream(device=mx.cpu), lambda: mx.new_stream(device=mx.cpu),
    lambda: mx.custom_function(f=mx.sin), lambda: mx.checkpoint(fun=mx.sin), lambda: mx.printoptions(precision=2),
])
def test_classes(make):
    make()


@pytest.mark.parametrize("call", [
    lambda: mx.zeros(-1), lambda: mx.zeros((2, -1)), lambda: mx.ones((-1,)), lambda: mx.full((-2,), 1), lambda: mx.empty((2, -1)),
    lambda: mx.eye(-1), lambda: mx.eye(2, -1), lambda: mx.identity(-1), lambda: mx.linspace(0, 1, -1),
    lambda: mx.random.uniform(shape=(-1,)), lambda: mx.random.normal((-1,)), lambda: mx.broadcast_to(F, (-1, 3)),
    lambda: mx.tile(F, (-1,)), lambda: mx.repeat(F, -1), lambda: mx.pad(F, -1), lambda: mx.random.permutation(-1),
    lambda: mx.random.split(mx.random.key(0), -1), lambda: mx.as_strided(F, (-1,), (1,)), lambda: mx.topk(F, -1),
    lambda: mx.unique(V, size=-1), lambda: mx.random.categorical(F, num_samples=-1), lambda: mx.diff(F, -1),
    lambda: mx.random.randint(0, 5, (-1,)), lambda: mx.random.bernoulli(0.5, (-1,)), lambda: mx.random.gumbel((-1,)),
    lambda: mx.random.laplace((-1,)), lambda: mx.random.truncated_normal(0, 1, (-1,)), lambda: mx.zeros((3, -2, 4)),
    lambda: mx.random.multivariate_normal(mx.zeros(3), S, (-1,)), lambda: mx.random.categorical(F, shape=(-1,)),
])
def test_negative_sizes_are_refused(call):
    with pytest.raises(ValueError):
        mx.eval(call())


def test_out_axes_of_one_output():
    x = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for out_axes in (1, (1,)):
        assert mx.vmap(lambda r: r * 2, out_axes=out_axes)(x).tolist() == (x.T * 2).tolist()
    assert mx.vmap(lambda r: (r,), out_axes=(1,))(x)[0].shape == (3, 2)
    assert mx.vmap(lambda r: 3.0, out_axes=(None,))(x) == 3.0


def test_backends_and_devices():
    assert mx.metal.is_available() is mx.is_available(mx.gpu) and mx.cuda.is_available() is False
    info = mx.device_info(mx.cpu)
    assert info["device_name"] and info["architecture"] and info["memory_size"] > 2**28
    try:
        with open("/proc/cpuinfo") as file:
            model = re.search(r"model name\s*: (.*)", file.read())
    except OSError:
        model = None
    assert not model or info["device_name"] == model[1]
    assert mx.metal.get_active_memory() == mx.get_active_memory() and "device_name" in mx.metal.device_info()
    if not mx.metal.is_available():
        with pytest.raises(ValueError, match="Metal"):
            mx.metal.start_capture("trace")
    mx.clear_streams()


def test_print_options():
    assert mx.get_printoptions().precision == -1 and mx.PrintOptions(3).precision == 3
    with mx.printoptions(precision=2):
        assert mx.get_printoptions().precision == 2 and "1.50" in str(mx.array(1.5))
    options = mx.PrintOptions()
    options.precision = 5
    assert options.precision == 5 and mx.get_printoptions().precision == -1
    with pytest.raises(ValueError):
        mx.PrintOptions(1000)


def test_buffer_sizes():
    x = mx.random.normal((10, 10))
    mx.eval(x)
    assert mx.get_array_buffer_size(x) == 400 == mx.get_array_buffer_size(x, {"a": [x, x.T]}, 3, "text")
    assert mx.get_array_buffer_size() == 0 and mx.get_array_buffer_size(x + 1, [x]) == 800


def test_array_like():
    class Mine:
        def __mlx_array__(self):
            return mx.array([1, 2])

    wrapped = mx.ArrayLike(Mine())
    assert mx.array(wrapped).tolist() == [1, 2] and (wrapped.__mlx_array__() + wrapped).tolist() == [2, 4]
    with pytest.raises(TypeError):
        mx.ArrayLike(3)
