"""NumPy's functions of arrays that an open transform follows, as functions of mlx.core: lazy and differentiable.

NumPy's protocols come here (``array.__array_ufunc__``, ``array.__array_function__``) only with such arrays. NotImplemented
says that there is no such function here, or not with these arguments; NumPy's own then asks for the array's values, which is
refused, so that no derivative is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mlx.core as mx

# NumPy's name: ours, where they differ.
_UFUNCS = {
    "absolute": "abs", "fabs": "abs", "deg2rad": "radians", "rad2deg": "degrees", "rint": "round", "invert": "bitwise_invert",
    "true_divide": "divide", "mod": "remainder",
}  # fmt: skip
_SAME_UFUNCS = set(
    "add subtract multiply divide floor_divide remainder power logaddexp maximum minimum arctan2 equal not_equal less less_equal "
    "greater greater_equal logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor left_shift right_shift "
    "negative positive reciprocal square sqrt exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh "
    "arcsinh arccosh arctanh degrees radians floor ceil trunc sign isnan isinf isfinite conjugate divmod".split()
)

# NumPy's function: ours, and NumPy's parameters in order. `m:a` is our `a`; a parameter in brackets has no counterpart, and
# must be left at its default.
_FUNCTIONS = {
    **dict.fromkeys(("sum", "prod"), "a axis dtype [out] keepdims [initial] [where]"),
    "mean": "a axis dtype [out] keepdims [where]",
    **dict.fromkeys(("std", "var"), "a axis dtype [out] ddof keepdims [where] [mean] correction"),
    **dict.fromkeys(("max", "min"), "a axis [out] keepdims [initial] [where]"),
    **dict.fromkeys(("all", "any"), "a axis [out] keepdims [where]"),
    **dict.fromkeys(("argmax", "argmin"), "a axis [out] keepdims"),
    **dict.fromkeys(("cumsum", "cumprod"), "a axis dtype [out]"),
    **dict.fromkeys(("cumulative_sum", "cumulative_prod"), "x:a axis dtype [out] include_initial"),
    **dict.fromkeys(("sort", "argsort"), "a axis [kind] [order] [stable]"),
    **dict.fromkeys(("partition", "argpartition"), "a kth axis [kind] [order]"),
    "median": "a axis [out] [overwrite_input] keepdims",
    "count_nonzero": "a axis keepdims",
    "where": "condition x y",
    "round": "a decimals [out]",
    "reshape": "a shape [order] [newshape] [copy]",
    "ravel": "a [order]",
    **dict.fromkeys(("transpose", "permute_dims"), "a axes"),
    "matrix_transpose": "x:a",
    "moveaxis": "a source destination",
    "swapaxes": "a axis1 axis2",
    **dict.fromkeys(("squeeze", "expand_dims"), "a axis"),
    "broadcast_to": "array:a shape [subok]",
    "unstack": "x axis",
    "tile": "A:a reps",
    "repeat": "a:array repeats axis",
    "roll": "a shift axis",
    "flip": "m:a axis",
    "take": "a indices axis [out] mode",
    "take_along_axis": "arr:a indices axis",
    "diag": "v:a k",
    "diagonal": "a offset axis1 axis2",
    "trace": "a offset axis1 axis2 dtype [out]",
    **dict.fromkeys(("tril", "triu"), "m:x k"),
    "diff": "a n axis prepend append",
    **dict.fromkeys(("nonzero", "flatnonzero", "argwhere"), "a"),
    "compress": "condition a axis [out]",
    "extract": "condition arr:a",
    **dict.fromkeys(("unique_all", "unique_counts", "unique_inverse", "unique_values"), "x"),
    "outer": "a b [out]",
    "inner": "a b",
    "kron": "a b",
    "tensordot": "a b axes",
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like"), "a dtype [order] [subok] [shape] [device]"),
    "full_like": "a fill_value:vals dtype [order] [subok] [shape] [device]",
    "nan_to_num": "x:a [copy] nan posinf neginf",
    **dict.fromkeys(("isclose", "allclose"), "a b rtol atol equal_nan"),
    "array_equal": "a1:a a2:b equal_nan",
    "pad": "array:a pad_width mode constant_values",
    "searchsorted": "a:sorted_sequence v:values side sorter",
    "real": "val:a",
    "imag": "val:a",
}
_OTHER_NAMES = {"ravel": "flatten", "concat": "concatenate"}
# The defaults of parameters that have no counterpart.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "where": (True,), "order": ("C", "K", "A", None), "copy": (True, None), "mode": ("raise",), "subok": (True, False),
    "overwrite_input": (True, False), "include_initial": (False,), "casting": ("same_kind", "unsafe"), "device": (None, "cpu"),
    "optimize": (True, False), "kind": (None, "quicksort", "introselect", "stable", "mergesort", "heapsort"),
}  # fmt: skip
_NO_VALUE = getattr(np, "_NoValue", None)


def _dtype(dtype: Any) -> mx.Dtype | None:
    """Ours for a dtype of NumPy's; None when there is none."""
    if isinstance(dtype, mx.Dtype):
        return dtype
    name = np.dtype(dtype).name
    found = getattr(mx, "bool_" if name == "bool" else name, None)
    return found if isinstance(found, mx.Dtype) else None


def _operand(x: Any) -> Any:
    """What our functions take beside an array: lists become arrays, of which NumPy's arrays may be parts."""
    if isinstance(x, (list, tuple)):
        parts = [mx.array(_operand(part)) for part in x]
        return mx.stack(parts) if parts else mx.zeros((0,))
    return x


def _array(x: Any) -> mx.array:
    return x if isinstance(x, mx.array) else mx.array(_operand(x))


def _is_default(name: str, value: Any) -> bool:
    plain = isinstance(value, (bool, int, str))  # arrays have no single truth
    return value is _NO_VALUE or value is None or plain and value in _DEFAULTS.get(name, ())


def call_ufunc(ufunc: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """ufunc(*inputs, **kwargs) as a function of mlx.core."""
    name = ufunc.__name__
    options = {key: value for key, value in kwargs.items() if key != "dtype"}
    out = options.pop("out", None)
    if any(o is not None for o in (out if isinstance(out, tuple) else (out,))):
        return NotImplemented
    if not all(_is_default(key, value) for key, value in options.items()):
        return NotImplemented
    operands = [_operand(x) for x in inputs]
    if kwargs.get("dtype") is not None:
        dtype = _dtype(kwargs["dtype"])
        if dtype is None:
            return NotImplemented
        operands = [mx.array(x).astype(dtype) for x in operands]
    if name == "matmul":
        left, right = operands  # by the method: the operator would ask NumPy's array first
        return left.__matmul__(right) if isinstance(left, mx.array) else right.__rmatmul__(left)
    if name in ("vecdot", "matvec", "vecmat"):
        return getattr(mx, name)(*map(_array, operands)) if hasattr(mx, name) else NotImplemented
    if name not in _SAME_UFUNCS and name not in _UFUNCS:
        return NotImplemented
    result = getattr(mx, _UFUNCS.get(name, name))(*operands)
    return tuple(result) if isinstance(result, list) else result


def call_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """func(*args, **kwargs) as a function of mlx.core."""
    name = _NAMES.get(func)
    if name is None:
        return NotImplemented
    if name in _SPECIAL:
        return _SPECIAL[name](*args, **kwargs)
    given: dict[str, Any] = {}
    parameters = [part.strip("[]").split(":")[0] for part in _FUNCTIONS[name].split()]
    ours = {part.strip("[]").split(":")[0]: part.split(":")[-1] for part in _FUNCTIONS[name].split()}
    if len(args) > len(parameters) or not set(kwargs) <= set(parameters):
        return NotImplemented
    dtype = None
    for parameter, value in [*zip(parameters, args), *kwargs.items()]:
        if ours[parameter].startswith("["):
            if not _is_default(parameter, value):
                return NotImplemented
        elif value is not _NO_VALUE:
            if parameter == "dtype" and value is not None:
                dtype = _dtype(value)
                if dtype is None:
                    return NotImplemented
                value = dtype
            given[ours[parameter]] = value
    function = getattr(mx, _OTHER_NAMES.get(name, name))
    for key in given.keys() & {"a", "b", "x", "y", "condition", "array", "sorted_sequence", "values"}:
        numbers_too = name in ("where", "isclose", "allclose", "array_equal")
        given[key] = _operand(given[key]) if numbers_too else _array(given[key])
    if "indices" in given and not isinstance(given["indices"], int):
        given["indices"] = _array(given["indices"])
    if dtype is not None and not name.endswith("_like"):
        del given["dtype"]
        given["a"] = given["a"].astype(dtype)
    elif name not in ("zeros_like", "ones_like", "empty_like", "full_like"):
        given.pop("dtype", None)
    result = function(**given)
    return list(result) if name == "split" else result


def _plain(options: dict[str, Any]) -> bool:
    return all(_is_default(key, value) for key, value in options.items())


def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **rest: Any) -> Any:
    low, high = [next((v for v in pair if v is not None and v is not _NO_VALUE), None) for pair in ((a_min, min), (a_max, max))]
    if out is not None or not _plain(rest):
        return NotImplemented
    return _array(a) if low is None and high is None else mx.clip(_array(a), _operand(low), _operand(high))


def _joining(join: Callable[..., mx.array]) -> Callable[..., Any]:
    def call(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, **rest: Any) -> Any:
        parts = [_array(x) for x in arrays]
        if dtype is not None:
            wanted = _dtype(dtype)
            parts = [x.astype(wanted) for x in parts] if wanted else parts
        return join(parts, axis) if out is None and _plain(rest) else NotImplemented

    return call


def _stacking(name: str) -> Callable[..., Any]:
    def call(arrays: Any, *, dtype: Any = None, **rest: Any) -> Any:
        if name == "vstack":
            parts, axis = [mx.reshape(x, (1, -1)) if x.ndim < 2 else x for x in map(_array, arrays)], 0
        elif name == "hstack":
            parts = [mx.reshape(x, (1,)) if x.ndim < 1 else x for x in map(_array, arrays)]
            axis = 0 if parts[0].ndim == 1 else 1
        elif name == "column_stack":
            parts, axis = [mx.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in map(_array, arrays)], 1
        else:
            parts = [mx.reshape(x, (1, -1, 1)) if x.ndim < 2 else x[:, :, None] if x.ndim == 2 else x for x in map(_array, arrays)]
            axis = 2
        return _joining(mx.concatenate)(parts, axis, dtype=dtype, **rest)

    return call


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    a = _array(ary)
    if isinstance(indices_or_sections, int):
        n, size = indices_or_sections, a.shape[axis]
        indices_or_sections = [i * (size // n) + min(i, size % n) for i in range(1, n)]
    return list(mx.split(a, list(map(int, indices_or_sections)), axis))


def _even_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return list(mx.split(_array(ary), indices_or_sections, axis))


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        return NotImplemented
    a, b = _array(a), _array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return mx.tensordot(a, b, [[-1], [max(b.ndim - 2, 0)]])


def _vdot(a: Any, b: Any) -> Any:
    return mx.inner(mx.conjugate(mx.flatten(_array(a))), mx.flatten(_array(b)))


def _einsum(*operands: Any, out: Any = None, **rest: Any) -> Any:
    if out is not None or not isinstance(operands[0], str) or not _plain(rest):
        return NotImplemented
    return mx.einsum(operands[0], *map(_array, operands[1:]))


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    return mx.meshgrid(*map(_array, xi), sparse=sparse, indexing=indexing)


def _at_least(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arys: Any) -> Any:
        result = function(*map(_array, arys))
        return tuple(result) if isinstance(result, list) else result

    return call


def _broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    return tuple(mx.broadcast_arrays(*map(_array, args)))


def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return mx.array(a)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "clip": _clip, "concatenate": _joining(mx.concatenate), "concat": _joining(mx.concatenate),
    "stack": _joining(mx.stack), "vstack": _stacking("vstack"), "hstack": _stacking("hstack"), "dstack": _stacking("dstack"),
    "column_stack": _stacking("column_stack"), "split": _even_split, "array_split": _split, "dot": _dot, "vdot": _vdot,
    "einsum": _einsum, "meshgrid": _meshgrid, "broadcast_arrays": _broadcast_arrays, "copy": _copy,
    "atleast_1d": _at_least(mx.atleast_1d), "atleast_2d": _at_least(mx.atleast_2d), "atleast_3d": _at_least(mx.atleast_3d),
    "fliplr": lambda m: mx.flip(_array(m), 1), "flipud": lambda m: mx.flip(_array(m), 0),
    "iscomplexobj": lambda x: mx.issubdtype(x.dtype, mx.complexfloating),
    "isrealobj": lambda x: not mx.issubdtype(x.dtype, mx.complexfloating),
}  # fmt: skip
# NumPy's functions by themselves: np.linalg has others of the same names.
_NAMES: dict[Any, str] = {
    getattr(np, name): name for name in [*_FUNCTIONS, *_SPECIAL] if hasattr(np, name) and (name in _SPECIAL or hasattr(mx, _OTHER_NAMES.get(name, name)))
}
