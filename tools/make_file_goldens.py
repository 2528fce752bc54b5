# Writes tests/golden/files: files as Apple's wheel writes them, and as the `gguf` package quantizes. Run by an interpreter
# that has the package, which is not this library:
#   /path/to/apples/python tools/make_file_goldens.py      the .npy, .npz, .safetensors and plain .gguf files
#   /path/to/python tools/make_file_goldens.py --blocks    blocks.gguf and blocks.npz, its values (packages gguf and numpy)
import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "tests/golden/files"


def apples_files():
    import mlx.core as mx

    mx.set_default_device(mx.cpu)
    values = mx.arange(6).reshape(2, 3) - 2
    names = ("bool_", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "bfloat16",
             "float32", "complex64")  # fmt: skip
    arrays = {name: mx.abs(values).astype(getattr(mx, name)) if name[0] == "u" else values.astype(getattr(mx, name)) for name in names}
    for name in ("bfloat16", "float64"):
        mx.save(str(FOLDER / f"{name}.npy"), values.astype(getattr(mx, name)))
    mx.save(str(FOLDER / "transposed.npy"), values.T.astype(mx.float32))
    mx.savez(str(FOLDER / "stored.npz"), values, **arrays)
    mx.savez_compressed(str(FOLDER / "deflated.npz"), values, **arrays)
    more = {"empty": mx.zeros((0, 3)), "scalar": mx.array(2.5), "fp8": mx.to_fp8(mx.array([1.0, -448.0, 0.01]))}
    mx.save_safetensors(str(FOLDER / "all.safetensors"), arrays | more, {"format": "mlx", "é": "ü\n\""})
    mx.save_safetensors(str(FOLDER / "plain.safetensors"), {"a": values})
    saved = {n: arrays[n] for n in ("int8", "int16", "int32", "float16", "float32")} | {"scalar": mx.array(2.5)}
    metadata = {"int": mx.array(3), "float": mx.array([2.5, 1.0]), "text": "é", "texts": ["a", ""], "bools": mx.array([True, False]),
                "u64": mx.array(5, mx.uint64)}  # fmt: skip
    mx.save_gguf(str(FOLDER / "all.gguf"), saved, metadata)


def blocks():
    import gguf
    from gguf import GGMLQuantizationType as Type

    rng = np.random.default_rng(0)
    plain = rng.standard_normal((2, 256)).astype(np.float32)
    writer, values = gguf.GGUFWriter(FOLDER / "blocks.gguf", "test"), {}
    for kind in (Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q5_0, Type.Q5_1, Type.BF16):
        packed = gguf.quants.quantize(plain, kind)
        writer.add_tensor(f"{kind.name}.weight", packed, raw_dtype=kind)
        values[kind.name] = gguf.quants.dequantize(packed, kind)
    for kind in (Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K):  # bits at random; scales that are no NaN
        _, size = gguf.GGML_QUANT_SIZES[kind]
        packed = rng.integers(0, 256, (2, size), dtype=np.uint8)
        scales = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}[kind.name]
        for at in scales:
            packed[:, at : at + 2] = np.array([[0.25], [-0.01]], np.float16).view(np.uint8)
        writer.add_tensor(f"{kind.name}.weight", packed, raw_dtype=kind)
        values[kind.name] = gguf.quants.dequantize(packed, kind)
    writer.add_tensor("f64", np.array([1.0, 1 / 3]))
    writer.add_tensor("i64", np.array([2**40, -1]))
    writer.add_array("list", [1, 2, 3])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    np.savez_compressed(FOLDER / "blocks.npz", **values)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    blocks() if sys.argv[1:] == ["--blocks"] else apples_files()
