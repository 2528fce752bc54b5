"""docs/ops.md is what the registry says."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_ops_page_is_current():
    printed = subprocess.run([sys.executable, ROOT / "tools/print_ops.py"], capture_output=True, text=True, check=True)
    page = (ROOT / "docs/ops.md").read_text(encoding="utf-8")
    assert printed.stdout == page, "run: python tools/print_ops.py > docs/ops.md"
