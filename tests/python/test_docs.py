"""docs/ops.md is what the registry says; docs/transforms.md is what running every op under every transform gives."""

import importlib.util
import pathlib
import re
import subprocess
import sys
import zlib

import pytest

import samples

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("print_transforms", ROOT / "tools/print_transforms.py")
transforms = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transforms)


def test_ops_page_is_current():
    printed = subprocess.run([sys.executable, ROOT / "tools/print_ops.py"], capture_output=True, text=True, check=True)
    page = (ROOT / "docs/ops.md").read_text(encoding="utf-8")
    assert printed.stdout == page, "run: python tools/print_ops.py > docs/ops.md"


def test_devices_page_is_current():
    printed = subprocess.run([sys.executable, ROOT / "tools/print_devices.py"], capture_output=True, text=True, check=True)
    page = (ROOT / "docs/devices.md").read_text(encoding="utf-8")
    table = page[page.index("<!-- kinds -->\n") : page.index("<!-- end of kinds -->")]
    assert table == "<!-- kinds -->\n" + printed.stdout, "put what tools/print_devices.py prints into docs/devices.md"


def table_of_transforms():
    """op -> column -> cell, with the reasons in place of their numbers."""
    text = (ROOT / "docs/transforms.md").read_text(encoding="utf-8")
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE))
    table = {}
    for line in re.findall(r"^\| `.*$", text, re.MULTILINE):
        name, *cells = [part.strip() for part in line.strip("|").split("|")]
        full = [reasons[m.group(1)] if (m := re.search(r"\[(\d+)\]$", c)) else c for c in cells]
        table[name.strip("`")] = dict(zip(transforms.COLUMNS, full, strict=True))
    return table


STALE = "run: python tools/print_transforms.py > docs/transforms.md"


def test_transforms_page_has_every_op_and_reason():
    table = table_of_transforms()
    assert list(table) == [op["name"] for op in samples.registry()], STALE
    for op in samples.registry():
        assert table[op["name"]] == {c: transforms.reason(op, c) or transforms.TICK for c in transforms.COLUMNS}, STALE


@pytest.mark.parametrize("op", samples.registry(), ids=lambda op: op["name"])
def test_transforms_page_is_what_a_run_gives(op, run_all):
    """One column of each op, by a hash of its name; every column with --all."""
    columns = list(transforms.COLUMNS)
    row = table_of_transforms()[op["name"]]
    for column in columns if run_all else [columns[zlib.crc32(op["name"].encode()) % len(columns)]]:
        assert transforms.cell(op, column) == row[column], STALE


def test_a_failing_cell_says_so():
    (sine,) = [op for op in samples.registry() if op["name"] == "sin"]

    def broken(sample, dtype):
        raise AssertionError("off by 1")

    columns, transforms.COLUMNS = transforms.COLUMNS, {"jvp": transforms.Column((broken,))}
    try:
        assert transforms.cell(sine, "jvp") == "FAILS on sin: off by 1"
    finally:
        transforms.COLUMNS = columns
