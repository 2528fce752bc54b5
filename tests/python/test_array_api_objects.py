"""mlx.core as a namespace of the Array API standard: its version and inspection, and what the standard asks of an array: properties,
operators, conversions, devices, DLPack."""

import operator

import mlx.core as mx
import numpy as np
import pytest
from array_api_table import DTYPES, METHODS, OPERATORS, PROPERTIES

X = mx.array([[1.0, 2.0], [3.0, 4.0]])


def test_the_namespace():
    assert mx.__array_api_version__ == "2024.12" and mx.bool is mx.bool_
    for version in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        assert X.__array_namespace__(api_version=version) is mx
    with pytest.raises(ValueError, match="2024.12"):
        X.__array_namespace__(api_version="2019.01")


def test_a_star_leaves_pythons_bool_alone():
    names = {}
    exec("from mlx.core import *", names)
    assert "bool" not in names and names["bool_"] is mx.bool and names["array"] is mx.array and not [n for n in mx.__all__ if n.startswith("_")]


def test_inspection():
    info = mx.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}
    assert info.default_device() in info.devices() and all(isinstance(d, mx.Device) for d in info.devices())
    assert info.default_dtypes() == info.default_dtypes(device=info.default_device())
    assert info.default_dtypes() == {"real floating": mx.float32, "complex floating": mx.complex64, "integral": mx.int32,
                                     "indexing": mx.int32}
    assert mx.asarray(1.0).dtype == mx.float32 and mx.asarray(1j).dtype == mx.complex64 and mx.asarray(1).dtype == mx.int32
    assert list(info.dtypes(device=mx.cpu)) and set(info.dtypes(device=mx.cpu)) == set(DTYPES)
    assert all(getattr(mx, name) is dtype for name, dtype in info.dtypes().items())
    kinds = {
        "bool": ["bool"], "signed integer": DTYPES[1:5], "unsigned integer": DTYPES[5:9], "integral": DTYPES[1:9],
        "real floating": DTYPES[9:11], "complex floating": DTYPES[11:], "numeric": DTYPES[1:], ("bool", "complex floating"): ["bool", *DTYPES[11:]],
    }
    for kind, names in kinds.items():
        assert set(info.dtypes(kind=kind, device=mx.cpu)) == set(names), kind
        assert all(mx.isdtype(getattr(mx, name), kind) == (name in names) for name in DTYPES)
    with pytest.raises(ValueError, match="floats"):
        info.dtypes(kind="floats")


def test_members():
    forms = [f"__{kind}{name}__" for name in OPERATORS for kind in ("", "r", "i")]
    assert not [name for name in [*PROPERTIES, *METHODS, *forms] if not hasattr(X, name)]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    integers = name in ("and", "or", "xor", "lshift", "rshift")
    values = np.array([[5, 2], [3, 4]], np.int32) if integers else np.array([[5, 2], [3, 4]], np.float32)
    other = np.array([[1, 2], [3, 1]], values.dtype)
    plain = getattr(operator, {"and": "and_", "or": "or_"}.get(name, name))
    a, b = mx.array(values), mx.array(other)
    wanted = plain(values, other)
    got = [plain(a, b), getattr(a, f"__{name}__")(b), getattr(b, f"__r{name}__")(a)]
    in_place = mx.array(values)
    in_place = getattr(operator, f"i{name}")(in_place, b)
    for result in [*got, in_place]:
        assert result.dtype == a.dtype
        np.testing.assert_allclose(np.array(result), wanted)
    if name != "matmul":
        np.testing.assert_allclose(np.array(plain(2, b)), plain(2, other))
        np.testing.assert_allclose(np.array(plain(a, 2)), plain(values, 2))


def test_conversions():
    assert complex(mx.array(2.0)) == 2 and complex(mx.array(1 + 2j)) == 1 + 2j and float(mx.array(True)) == 1.0 and int(mx.array(-0.0)) == 0
    assert bool(mx.array(0.0)) is False and bool(mx.array(mx.nan)) is True and bool(mx.array(1j)) is True
    assert operator.index(mx.array(3, mx.uint8)) == 3 and [10, 20, 30][mx.array(1)] == 20
    for wrong in (lambda: float(mx.array(1j)), lambda: int(mx.array(1j)), lambda: operator.index(mx.array(1.0))):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(OverflowError):
        int(mx.array(mx.inf))
    with pytest.raises(ValueError):
        int(mx.array(mx.nan))


def test_devices():
    x = mx.asarray([1.0, 2.0], device=mx.cpu)
    assert x.device == mx.cpu and x.to_device(x.device) is x and x.to_device(mx.cpu, stream=None) is x
    for made in (mx.arange(3, device=x.device), mx.eye(2, device=x.device), mx.linspace(0, 1, 3, device=x.device),
                 mx.empty_like(x, device=x.device), mx.astype(x, mx.int32, device=x.device), mx.fft.fftfreq(3, device=x.device),
                 mx.from_dlpack(x, device=x.device), mx.full_like(x, 2, device=x.device), mx.asarray(x, device=x.device)):
        assert made.device == x.device
    assert (x * 2).device == mx.default_device() and {x.device: 1}[mx.Device(mx.cpu)] == 1
    with pytest.raises(TypeError):
        x.to_device(None)
    if not mx.is_available(mx.gpu):
        with pytest.raises(ValueError, match="gpu"):
            x.to_device(mx.gpu)


def test_devices_in_transforms():
    assert mx.grad(lambda x: (x.to_device(x.device) ** 2).sum())(X).tolist() == (2 * X).tolist()
    assert mx.compile(lambda x: x.to_device(mx.cpu) + 1)(X).tolist() == (X + 1).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack(dtype):
    x = mx.astype(mx.array([0, 1, 2]), getattr(mx, dtype))
    assert x.__dlpack_device__() == (1, 0)
    for arguments in ({}, {"stream": None}, {"max_version": (1, 0)}, {"max_version": (0, 8)}, {"dl_device": (1, 0)}, {"copy": True},
                      {"copy": False}, {"max_version": (1, 1), "copy": True, "dl_device": (1, 0), "stream": None}):
        assert "dltensor" in repr(x.__dlpack__(**arguments))
    back = np.from_dlpack(x)
    assert back.dtype.name == dtype and back.tolist() == x.tolist()
    assert mx.from_dlpack(np.ascontiguousarray(back.copy())).dtype == x.dtype
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


def test_zero_dimensional_arrays_are_indices():
    x = mx.arange(12).reshape(3, 4)
    one = mx.array(1)
    assert x[one].tolist() == x[1].tolist() and x[one, one].item() == 5 and x[..., one].tolist() == [1, 5, 9]
    x[one, mx.array(-1)] = 100
    assert x[1, 3].item() == 100
    assert x[one:, ::mx.array(2)].shape == (2, 2)


def test_assignment_under_masks():
    x = mx.zeros((2, 3))
    x[mx.array([[True, False, True], [False, False, True]])] = 7
    assert x.tolist() == [[7, 0, 7], [0, 0, 7]]
    x[x > 5] = mx.array(1.0)
    x[mx.array([False, True]), 1:] = 3
    assert x.tolist() == [[1, 0, 1], [0, 3, 3]]
    y = mx.array(2.0)
    y[y > 1] = 4.0
    assert y.item() == 4.0
