"""Files of others, and our files read by others: Apple's wheel (as files in tests/golden/files), and the packages safetensors and
gguf."""

import pathlib

import mlx.core as mx
import numpy as np
import pytest

from file_samples import DTYPES, SHAPES, same, sample

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/files"
VALUES = mx.arange(6).reshape(2, 3) - 2


def apples(name):
    return (mx.abs(VALUES) if name[0] == "u" else VALUES).astype(getattr(mx, name))


# --- Apple's wheel: tools/make_file_goldens.py ---

def test_apples_npy():
    for name in ("bfloat16", "float64"):
        assert same(mx.load(GOLDEN / f"{name}.npy"), VALUES.astype(getattr(mx, name)))
    assert same(mx.load(GOLDEN / "transposed.npy"), VALUES.T.astype(mx.float32))


@pytest.mark.parametrize("name", ["stored.npz", "deflated.npz", "all.safetensors", "all.gguf"])
def test_apples_archives(name):
    arrays = mx.load(GOLDEN / name)
    assert len(arrays) >= 6
    for key, a in arrays.items():
        if key in DTYPES:
            assert same(a, apples(key)), key
    if name.endswith("npz"):
        assert same(arrays["arr_0"], VALUES) and len(arrays) == 14
    else:
        assert same(arrays["scalar"], mx.array(2.5))


def test_apples_safetensors():
    arrays, metadata = mx.load(GOLDEN / "all.safetensors", return_metadata=True)
    assert metadata == {"format": "mlx", "é": "ü\n\""} and same(arrays["empty"], mx.zeros((0, 3))) and len(arrays) == 16
    assert mx.from_fp8(arrays["fp8"], mx.float32).tolist() == [1, -448, 0.009765625]
    arrays, metadata = mx.load(GOLDEN / "plain.safetensors", return_metadata=True)  # whose metadata is null
    assert metadata == {} and same(arrays["a"], VALUES)


def test_apples_gguf():
    _, metadata = mx.load(GOLDEN / "all.gguf", return_metadata=True)
    assert metadata["text"] == "é" and metadata["texts"] == ["a", ""] and metadata["bools"].tolist() == [True, False]
    assert same(metadata["int"], mx.array(3)) and same(metadata["float"], mx.array([2.5, 1.0])) and same(metadata["u64"], mx.array(5, mx.uint64))


# --- quantized arrays: values as the package gguf has them ---

def unpacked(words, bits):
    parts = np.array(words)[..., None] >> np.arange(0, 32, bits, dtype=np.uint32) & (2**bits - 1)
    return parts.reshape(*words.shape[:-1], -1)


@pytest.mark.parametrize("kind, bits", [("Q4_0", 4), ("Q4_1", 4), ("Q8_0", 8)])
@pytest.mark.parametrize("mmap", [True, False])
def test_quantized_triples(kind, bits, mmap):
    arrays, values = mx.load(GOLDEN / "blocks.gguf", mmap=mmap), np.load(GOLDEN / "blocks.npz")
    w, scales, biases = (arrays[f"{kind}.{part}"] for part in ("weight", "scales", "biases"))
    assert w.dtype == mx.uint32 and w.shape == (2, 256 * bits // 32)
    assert scales.dtype == biases.dtype == mx.float16 and scales.shape == biases.shape == (2, 8)
    q = unpacked(w, bits).reshape(2, 8, 32).astype(np.float64)
    found = q * np.array(scales, np.float64)[..., None] + np.array(biases, np.float64)[..., None]
    np.testing.assert_allclose(found.reshape(2, 256), values[kind], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"])
def test_quantized_values(kind):
    a = mx.load(GOLDEN / "blocks.gguf")[f"{kind}.weight"]
    expected = np.load(GOLDEN / "blocks.npz")[kind].astype(np.float16)
    assert a.dtype == mx.float16 and np.array_equal(np.array(a), expected)


def test_others_of_the_package_gguf():
    arrays, metadata = mx.load(GOLDEN / "blocks.gguf", return_metadata=True)
    assert metadata["general.architecture"] == "test" and metadata["list"].tolist() == [1, 2, 3]
    assert arrays["f64"].tolist() == [1, 1 / 3] and arrays["i64"].tolist() == [2**40, -1]
    expected = np.load(GOLDEN / "blocks.npz")["BF16"]
    assert arrays["BF16.weight"].dtype == mx.bfloat16 and np.array_equal(np.array(arrays["BF16.weight"].astype(mx.float32)), expected)


# --- the package safetensors ---

@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in ("complex64", "complex128")])
def test_the_package_safetensors(tmp_path, dtype):
    package = pytest.importorskip("safetensors")
    numpy_package = pytest.importorskip("safetensors.numpy")
    path = str(tmp_path / "a.safetensors")
    arrays = {str(shape): sample(dtype, shape) for shape in SHAPES}
    mx.save_safetensors(path, arrays, {"key": "é"})
    with package.safe_open(path, framework="np") as file:
        assert file.metadata() == {"key": "é"} and set(file.keys()) == set(arrays)
        if dtype != "bfloat16":
            for name, a in arrays.items():
                found = file.get_tensor(name)
                assert found.dtype == np.array(a).dtype and np.array_equal(found, np.array(a))
    if dtype != "bfloat16":
        numpy_package.save_file({name: np.array(a) for name, a in arrays.items()}, path, {"key": "é"})
        loaded, metadata = mx.load(path, return_metadata=True)
        assert metadata == {"key": "é"} and all(same(loaded[name], a) for name, a in arrays.items())


# --- the package gguf ---

def test_the_package_gguf(tmp_path):
    package = pytest.importorskip("gguf")
    path = str(tmp_path / "a.gguf")
    names = ("float32", "float16", "int8", "int16", "int32", "int64", "float64")
    metadata = {"general.architecture": "test", "n": mx.array(7, mx.uint32), "list": mx.array([1, 2]), "texts": ["a", "é"], "x": 0.5}
    mx.save_gguf(path, {name: sample(name, (2, 3)) for name in names}, metadata)
    reader = package.GGUFReader(path)
    assert {t.name for t in reader.tensors} == set(names)
    for t in reader.tensors:
        assert list(t.shape) == [3, 2] and np.array_equal(np.asarray(t.data).reshape(2, 3), np.array(sample(t.name, (2, 3))))
    assert reader.get_field("n").contents() == 7 and reader.get_field("texts").contents() == ["a", "é"]
    assert reader.get_field("list").contents() == [1, 2] and reader.get_field("x").contents() == 0.5
    writer = package.GGUFWriter(path, "test")
    for name in names:
        writer.add_tensor(name, np.array(sample(name, (2, 3))))
    writer.add_string("text", "é")
    writer.add_array("floats", [0.5, 1.5])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    arrays, metadata = mx.load(path, return_metadata=True)
    assert all(same(arrays[name], sample(name, (2, 3))) for name in names)
    assert metadata["text"] == "é" and metadata["floats"].tolist() == [0.5, 1.5]
