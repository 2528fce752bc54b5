"""Files that make no sense: each fault is refused with an error that names the file and says what is wrong, and no reader
allocates what the file cannot hold. Fuzzing: valid files with random changes, and random bytes."""

import io
import json
import os
import struct
import zipfile
import zlib

import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from file_samples import valid_files, written

EXAMPLES = int(os.environ.get("MLX_FUZZ_EXAMPLES", 150))  # for each format


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load_all(format, data, through_a_file=True):
    """Loads and evaluates everything."""
    if through_a_file:
        name = f"f.{format}"
        if os.path.exists(name):
            os.remove(name)
        with open(name, "wb") as file:
            file.write(data)
        loaded = mx.load(name)
    else:
        loaded = mx.load(io.BytesIO(data), format)
    mx.eval(loaded)
    return loaded


def refused(format, data, *texts):
    for through_a_file in (True, False):
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        with pytest.raises(ValueError) as error:
            load_all(format, data, through_a_file)
        text = str(error.value)
        assert text.startswith("[load] "), text
        assert ("f." + format in text) or not through_a_file, text
        assert all(t in text for t in texts), text
        assert mx.get_peak_memory() - before < (4 << 20) + 4 * len(data)


# --- npy ---

def npy(text, data=b"", version=1):
    text = text if isinstance(text, bytes) else text.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize("data, texts", [
    (b"", ()), (b"\x93NUMPY", ()), (b"\x93NUMPX\x01\x00", ("no .npy file",)), (npy("", version=9), ("version",)), (npy(""), ("'{'",)),
    (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", ("4294967295",)), (npy(header()), ("8", "bytes")), (npy(header(), b"1234567"), ("bytes",)),
    (npy(header())[:40], ("header",)), (npy(header(shape="(-1,)")), ("length",)), (npy(header(shape="(1.5,)")), ()),
    (npy(header(shape="(99999999999999999999,)")), ("length",)), (npy(header(shape="(4611686018427387904, 4)")), ("memory",)),
    (npy(header(shape="(1152921504606846976,)")), ()), (npy(header(shape="(0, 4611686018427387904, 4)")), ()),
    (npy(header(shape="(" + "1, " * 65 + ")"), b"1234"), ("64 axes",)), (npy(header(shape="[2]")), ("'('",)),
    (npy(header(shape="(2, 3")), ()), (npy(header(order="0")), ("True nor False",)), (npy(header(descr="'<f3'")), ("'<f3'",)),
    (npy(header(descr="'|O'")), ("pickled",)), (npy(header(descr="'<U4'")), ("text",)), (npy(header(descr="'<M8[ns]'")), ("dates",)),
    (npy(header(descr="[('a', '<f4')]")), ("records",)), (npy(header(descr="('<f4', (2,))")), ()), (npy(header(descr="'x\\'")), ()),
    (npy("{'descr': '<f4', 'shape': (2,)}"), ("fortran_order",)), (npy("{'descr': '<f4', 'descr': '<f4'}"), ("unexpected key",)),
    (npy(header() + "x"), ("more than one",)), (npy("{'descr': '<f4"), ("quotes",)), (npy("__import__('os')"), ()),
    (npy(b"{'descr': '\xff\xfe'}"), ()), (npy("(" * 60000), ()),
])  # fmt: skip
def test_damaged_npy(data, texts):
    refused("npy", data, *texts)


# --- npz ---

def archive(*members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as z:
        for name, data in members:
            z.writestr(name, data)
    return file.getvalue()


ARRAY = npy(header(), struct.pack("<ff", 1, 2))
LONG = npy(header(shape="(1000,)"), bytes(4000))


def patched(data, at, value, after=b""):
    at = data.rindex(after) + at if after else at
    return data[:at] + value + data[at + len(value):]


def test_damaged_npz():
    good = archive(("a.npy", ARRAY), ("b.npy", ARRAY))
    entry, end = b"PK\x01\x02", b"PK\x05\x06"
    refused("npz", b"", "no .npz file")
    refused("npz", good[:-1], "no .npz file")
    refused("npz", good[:-22])
    refused("npz", archive(("a.txt", b"text")), "'a.txt' is no array")
    refused("npz", archive(("a.npy", b"text")), "a.npy")
    refused("npz", archive(("a.npy", ARRAY + b"x")), "a.npy", "9")
    refused("npz", archive(("a.npy", ARRAY[:-1])), "a.npy", "7")
    with pytest.warns(UserWarning):
        refused("npz", archive(("a.npy", ARRAY), ("a.npy", ARRAY)), "two members are called 'a.npy'")
    refused("npz", patched(good, 16, b"\0\0\0\0", entry), "checksum")
    refused("npz", patched(good, 8, b"\1", entry), "encrypted")
    refused("npz", patched(good, 10, b"\x0c", entry), "method 12")
    refused("npz", patched(good, 20, b"\xff\xff\xff\x7f", entry), "outside")
    refused("npz", patched(good, 24, b"\xff\xff\xff\x7f", entry), "stored")
    refused("npz", patched(good, 24, b"\xff\xff\xff\xff", entry), "stored")
    refused("npz", patched(good, 42, b"\xff\xff\xff\x00", entry), "outside")
    refused("npz", patched(good, 42, b"\x01\x00\x00\x00", entry), "header of member")
    refused("npz", patched(good, 42, b"\x00\x00\x00\x00", entry), "another name")
    refused("npz", patched(good, 46, b"\xff", entry), "UTF-8")
    refused("npz", patched(good, 10, b"\xff\xff", end), "entries")
    refused("npz", patched(good, 10, b"\1", end), "more than its 1 entries")
    refused("npz", patched(good, 12, b"\xff\xff\xff\x7f", end), "outside")
    refused("npz", patched(good, 4, b"\5", end), "several disks")
    refused("npz", patched(good, 26, b"\xff\xff", b"PK\x03\x04"), "header of a member")


def test_members_that_overlap():
    """One member's bytes inside of another's: how small archives become large."""
    good = archive(("a.npy", ARRAY), ("b.npy", ARRAY))
    inner = archive(("b.npy", ARRAY))
    begin = inner.index(b"PK\x01\x02")
    outer = ARRAY + inner[:begin]
    file = archive(("a.npy", outer))
    directory = file.index(b"PK\x01\x02")
    entry_b = bytearray(inner[begin:inner.index(b"PK\x05\x06")])
    entry_b[42:46] = struct.pack("<I", file.index(inner[:begin]))
    entries = file[directory:file.index(b"PK\x05\x06")] + bytes(entry_b)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2, 2, len(entries), directory, 0)
    refused("npz", file[:directory] + entries + end)
    assert len(load_all("npz", good)) == 2


def test_damaged_deflate():
    good = archive(("a.npy", LONG), method=zipfile.ZIP_DEFLATED)
    entry = b"PK\x01\x02"
    size = struct.unpack("<I", good[good.index(entry) + 20:][:4])[0]
    refused("npz", patched(good, 24, struct.pack("<I", len(LONG) + 4), entry), "a.npy")
    refused("npz", patched(good, 24, struct.pack("<I", len(LONG) - 4), entry), "a.npy")
    refused("npz", patched(good, 20, struct.pack("<I", size - 3), entry), "a.npy")
    refused("npz", patched(good, 16, b"\0\0\0\0", entry), "checksum")
    start = 30 + len("a.npy")
    refused("npz", good[:start] + b"\xff" * size + good[start + size:], "makes no sense")


def test_zip_bombs():
    """A member that claims what its bytes cannot hold; and one that does hold zeros, which are inflated only when needed."""
    shape = 1 << 40
    text = npy(header(descr="'|u1'", shape=f"({shape},)"))
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(text + bytes(1 << 20)) + packed.flush()
    extra = struct.pack("<HHQQ", 1, 16, len(text) + shape, len(body))
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(extra)) + b"a.npy" + extra
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(extra), 0, 0, 0, 0, 0) + b"a.npy" + extra
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    refused("npz", local + body + entry + end, "cannot hold")
    data = archive(("a.npy", npy(header(descr="'|u1'", shape="(50000000,)"), bytes(50_000_000))), method=zipfile.ZIP_DEFLATED)
    mx.clear_cache()
    before = mx.get_active_memory()
    lazy = mx.load(io.BytesIO(data), "npz")
    assert mx.get_active_memory() - before < (2 << 20) and lazy["a"].shape == (50_000_000,)


# --- safetensors ---

def safetensors(head, data=b""):
    head = head if isinstance(head, bytes) else json.dumps(head).encode() if not isinstance(head, str) else head.encode()
    return struct.pack("<Q", len(head)) + head + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("data, texts", [
    (b"", ("no .safetensors",)), (b"1234567", ()), (struct.pack("<Q", 1 << 60), (str(1 << 60),)), (struct.pack("<Q", 10) + b"{}", ("10",)),
    (struct.pack("<Q", 2**64 - 1) + b"{}", ()), (safetensors(""), ()), (safetensors("[]"), ("'{'",)), (safetensors("{"), ()),
    (safetensors('{"a"'), ()), (safetensors('{"a":1}'), ()), (safetensors("{} x"), ("behind",)), (safetensors('{"a":{}}'), ("dtype",)),
    (safetensors({"a": entry()}), ("8 bytes",)), (safetensors({"a": entry()}, bytes(9)), ("9",)), (safetensors({"a": entry()}, bytes(7)), ()),
    (safetensors({"a": entry(offsets=(8, 0))}, bytes(8)), ()), (safetensors({"a": entry(offsets=(0, 4))}, bytes(8)), ()),
    (safetensors({"a": entry(offsets=(2**62, 2**62 + 8))}, bytes(8)), ()), (safetensors({"a": entry(shape=(2**62, 4))}, bytes(8)), ("memory",)),
    (safetensors({"a": entry(shape=(2**61,), offsets=(0, 2**63 - 1))}, bytes(8)), ()),
    (safetensors({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}), ()),
    (safetensors('{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', bytes(8)), ("not negative",)),
    (safetensors('{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', bytes(8)), ()),
    (safetensors('{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}', bytes(8)), ("too large",)),
    (safetensors('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)), ("twice",)),
    (safetensors({"a": entry("F31")}, bytes(8)), ("F31",)), (safetensors({"a": entry(), "b": entry()}, bytes(8)), ("another array",)),
    (safetensors({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)), ("another array",)),
    (safetensors({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)), ("hole",)),
    (safetensors('{"a":' + json.dumps(entry()) + ',"a":' + json.dumps(entry(offsets=(8, 16))) + "}", bytes(16)), ("two entries",)),
    (safetensors('{"__metadata__":{"a":1}}'), ("text",)), (safetensors('{"__metadata__":[]}'), ()),
    (safetensors('{"__metadata__":{"a":"b","a":"c"}}'), ("two",)),
    (safetensors('{"a":' * 100000), ()), (safetensors('{"a":{"x":' + "[" * 100000 + "]" * 100000 + "}}"), ("nested",)),
    (safetensors('{"a":{"x":' + '{"y":' * 100000), ("nested",)), (safetensors(b'{"\xff":{}}'), ("UTF-8",)), (safetensors('{"\\ud800":{}}'), ("surrogates",)),
    (safetensors('{"\\x":{}}'), ("escape",)), (safetensors('{"\\u12":{}}'), ("hexadecimal",)), (safetensors('{"a\nb":{}}'), ("control",)),
    (safetensors({"a": entry(shape=[1] * 65, offsets=(0, 4))}, bytes(4)), ("64 axes",)),
])  # fmt: skip
def test_damaged_safetensors(data, texts):
    refused("safetensors", data, *texts)


def test_unknown_fields_of_safetensors_are_passed_over():
    head = {"a": entry() | {"x": [1, {"y": None, "z": []}, "t", -1.5e3, True], "w": {}}}
    assert load_all("safetensors", safetensors(head, struct.pack("<ff", 1, 2)))["a"].tolist() == [1, 2]
    assert load_all("safetensors", safetensors('{"__metadata__":null}')) == {}


# --- gguf ---

def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def gguf(tensors=b"", tensor_count=None, metadata=b"", metadata_count=None, data=b"", version=3):
    start = b"GGUF" + struct.pack("<IQQ", version, (1 if tensors else 0) if tensor_count is None else tensor_count,
                                  (1 if metadata else 0) if metadata_count is None else metadata_count)  # fmt: skip
    head = start + metadata + tensors
    return head + bytes(-len(head) % 32) + data


def tensor(name="a", shape=(2,), kind=0, offset=0):
    return text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", kind, offset)


@pytest.mark.parametrize("data, texts", [
    (b"", ("no .gguf",)), (b"GGUX", ("no .gguf",)), (b"GGUF", ("version",)), (b"GGUF\0\0\0\3" + bytes(16), ("big-endian",)), (gguf(version=1), ("version 1",)),
    (gguf(tensor_count=1 << 60), (str(1 << 60),)), (gguf(metadata_count=1 << 60), (str(1 << 60),)), (gguf(tensor_count=2**64 - 1), ()),
    (gguf(metadata_count=1), ()), (gguf(metadata=struct.pack("<Q", 1 << 60)), ()), (gguf(metadata=text("k") + struct.pack("<I", 99) + bytes(30)), ("type 99",)),
    (gguf(metadata=text("k") + struct.pack("<IIQ", 9, 4, 1 << 60)), ("length of a metadata list",)),
    (gguf(metadata=text("k") + struct.pack("<IIQ", 9, 8, 1 << 60)), ("length of a metadata list",)),
    (gguf(metadata=text("k") + struct.pack("<IIQ", 9, 9, 1)), ("list of lists",)), (gguf(metadata=text("k") + struct.pack("<IIQ", 9, 77, 1)), ("type 77",)),
    (gguf(metadata=text("k") + struct.pack("<IQ", 8, 1 << 40)), ()), (gguf(metadata=text(b"\xff") + struct.pack("<II", 4, 1)), ("UTF-8",)),
    (gguf(metadata=2 * (text("k") + struct.pack("<II", 4, 1)), metadata_count=2), ("called 'k'",)),
    (gguf(metadata=text("general.alignment") + struct.pack("<II", 4, 3)), ("power of 2",)),
    (gguf(metadata=text("general.alignment") + struct.pack("<II", 4, 0)), ()),
    (gguf(metadata=text("general.alignment") + struct.pack("<IQ", 8, 0)), ()),
    (gguf(tensor()), ("8 bytes",)), (gguf(tensor(), data=bytes(7)), ()),
    (gguf(tensor(offset=8), data=bytes(8)), ()),
    (gguf(tensor(offset=2**64 - 8), data=bytes(8)), ()),
    (gguf(tensor(shape=(2**63,)), data=bytes(8)), ()),
    (gguf(tensor(shape=(2**62, 4)), data=bytes(8)), ("memory",)),
    (gguf(tensor(shape=(2**60,), kind=24), data=bytes(8)), ()),
    (gguf(tensor(shape=(0, 2**62, 4)), data=b""), ()), (gguf(tensor(kind=999), data=bytes(8)), ("type 999",)),
    (gguf(tensor(kind=16, shape=(256,)), data=bytes(66)), ("IQ2_XXS",)),
    (gguf(tensor(kind=2, shape=(33,)), data=bytes(99)), ("blocks of 32",)), (gguf(tensor(kind=2, shape=(64,)), data=bytes(35)), ("36 bytes",)),
    (gguf(tensor(kind=2, shape=()), data=bytes(99)), ("blocks of 32",)), (gguf(tensor(shape=(1,) * 9), data=bytes(8)), ("9 axes",)),
    (gguf(text("a") + struct.pack("<I", 2**32 - 1)), ()), (gguf(tensor() + tensor("a", offset=32), tensor_count=2, data=bytes(64)), ("called 'a'",)),
    (gguf(tensor() + tensor("b", offset=4), tensor_count=2, data=bytes(64)), ("overlap",)),
    (gguf(tensor("a.weight", (32,), 2) + tensor("a.scales", offset=32), tensor_count=2, data=bytes(64)), ("a.scales",)),
])  # fmt: skip
def test_damaged_gguf(data, texts):
    refused("gguf", data, *texts)


def test_bools_are_true_or_false():
    """Whatever byte a file has for them."""
    raw = bytes([0, 1, 2, 255])
    files = {"npy": npy(header(descr="'|b1'", shape="(4,)"), raw), "safetensors": safetensors({"a": entry("BOOL", (4,), (0, 4))}, raw)}
    for format, data in files.items():
        for through_a_file in (True, False):
            loaded = load_all(format, data, through_a_file)
            a = loaded if isinstance(loaded, mx.array) else loaded["a"]
            assert a.view(mx.uint8).tolist() == [0, 1, 1, 1]
    data = gguf(metadata=text("k") + struct.pack("<IIQ", 9, 7, 4) + raw)
    assert mx.load(io.BytesIO(data), "gguf", True)[1]["k"].view(mx.uint8).tolist() == [0, 1, 1, 1]


# --- truncated and fuzzed ---

VALID = [(format, bytes(data)) for format, data in valid_files()]
VALID.append(("gguf", gguf(tensor("a.weight", (32,), 2) + tensor("b", (256,), 12, 32), tensor_count=2, data=bytes([1]) * (32 + 144))))
FORMATS = sorted({format for format, _ in VALID})


@pytest.mark.parametrize("format, data", VALID, ids=[f for f, _ in VALID])
def test_every_truncation_is_refused(format, data):
    padding = len(data) - len(data.rstrip(b"\0")) if format == "gguf" else 0
    for length in range(len(data) - padding):
        for through_a_file in (True, False):
            with pytest.raises(ValueError):
                load_all(format, data[:length], through_a_file)


PIECES = [b"[" * 99, b'{"a":' * 99, b"9" * 40, b'"', b"-1", b"null", b"PK\1\2", b"\0" * 64]


@st.composite
def changed(draw, format):
    """A valid file with a few bytes changed, removed, put in or copied; numbers at their limits among them."""
    data = bytearray(draw(st.sampled_from([d for f, d in VALID if f == format])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["byte", "number", "remove", "insert", "copy"]))
        if kind == "byte":
            data[at:at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            width = draw(st.sampled_from([1, 2, 4, 8]))
            value = draw(st.sampled_from([0, 1, 2**(8 * width) - 1, 2**(8 * width - 1), 2**(8 * width - 1) - 1, 2**(4 * width)]))
            data[at:at + width] = value.to_bytes(width, "little")
        elif kind == "remove":
            del data[at:at + draw(st.integers(1, 16))]
        elif kind == "insert":
            data[at:at] = draw(st.one_of(st.binary(max_size=16), st.sampled_from(PIECES)))
        else:
            source = draw(st.integers(0, max(0, len(data) - 1)))
            data[at:at] = data[source:source + draw(st.integers(1, 60))]
    return bytes(data)


def try_to_load(format, data):
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    for through_a_file in (True, False):
        try:
            load_all(format, data, through_a_file)
        except ValueError as error:
            assert str(error).startswith("[load] "), error
    # Deflate makes a thousand bytes of one; there is a buffer for each reader.
    assert mx.get_peak_memory() - before < (8 << 20) + 1100 * len(data)


@pytest.mark.parametrize("format", FORMATS)
def test_changed_files(format):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(format))
    def run(data):
        try_to_load(format, data)

    run()


@pytest.mark.parametrize("format", FORMATS)
def test_random_files(format):
    starts = {"npy": [b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f4', "], "npz": [b"PK\3\4", b"PK\5\6"],
              "safetensors": [b"\x20\0\0\0\0\0\0\0{", b'\x40\0\0\0\0\0\0\0{"a":{"dtype":"F32",'],
              "gguf": [b"GGUF\3\0\0\0", b"GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"]}[format]  # fmt: skip

    @settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from([b"", *starts]), st.binary(max_size=300))
    def run(start, data):
        try_to_load(format, start + data)

    run()


def test_the_arrays_of_the_valid_files():
    for format, data in VALID:
        for through_a_file in (True, False):
            load_all(format, data, through_a_file)
    assert np.load(io.BytesIO(written(mx.save, mx.array(1)))) == 1
