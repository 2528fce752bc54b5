"""Adds the dtype `mx.bool` to the stub of mlx.core, where stubgen writes Python's bool by that name.

python stub_bool.py STUB

Annotations say `builtins.bool` afterwards. A second run changes nothing.
"""

import io
import pathlib
import sys
import tokenize

DTYPE = "bool: Dtype"


def rewritten(source):
    """The stub with Python's bool called builtins.bool, and the dtype beside `bool_`."""
    lines = source.splitlines(keepends=True)
    before = ""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string == "bool" and before != ".":
            found.append(token.start)
        before = token.string
    for row, column in reversed(found):
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}builtins.{line[column:]}"
    at = lines.index("bool_: Dtype\n")
    lines.insert(at + 1, f"\n{DTYPE}\n")
    first_import = next(i for i, line in enumerate(lines) if line.startswith(("import ", "from ")))
    return "".join([*lines[:first_import], "import builtins\n", *lines[first_import:]])


if __name__ == "__main__":
    stub = pathlib.Path(sys.argv[1])
    text = stub.read_text()
    if f"\n{DTYPE}\n" not in text:
        stub.write_text(rewritten(text))
