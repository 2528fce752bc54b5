"""The README is true: its Python snippets run and print what they say, and its test line is what CI runs.

The ```python blocks run in order and share one namespace. Expected output is written as

    print(x)  # prints array([1, 2], dtype=int32)

or, for several lines, as a comment `# prints ...` under the statement that goes on over the following comment lines;
white space is compared loosely. Blocks with a `>>>` prompt are run as doctests."""

import contextlib
import doctest
import io
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "docs/seeing.md", "docs/semantics.md"]


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text[: match.start()].count("\n") + 2, match.group(1)


def expected_output(code):
    """The words that `# prints` comments announce."""
    words = []
    continued = False
    for line in code.splitlines():
        if match := re.search(r"# prints (.*)$", line):
            words += match.group(1).split()
            continued = line.lstrip().startswith("#")
        elif continued and line.lstrip().startswith("#"):
            words += line.lstrip().lstrip("#").split()
        else:
            continued = False
    return words


@pytest.mark.parametrize("page", PAGES)
def test_snippets_print_what_they_say(page):
    namespace = {"__name__": "__main__"}
    for line, code in blocks(page, "python"):
        where = f"{page}:{line}"
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, namespace, where, page, line)
            flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
            report = io.StringIO()
            runner = doctest.DocTestRunner(optionflags=flags)
            runner.run(test, out=report.write, clear_globs=False)
            namespace.update(test.globs)
            assert runner.failures == 0, report.getvalue()
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile("\n" * (line - 1) + code, page, "exec"), namespace)
        expected = expected_output(code)
        if expected or "print(" in code:
            assert output.getvalue().split() == expected, where


def test_there_are_two_commands_of_one_line_each():
    commands = [code.strip() for _, code in blocks("README.md", "sh")]
    assert len(commands) == 2 and all("\n" not in command for command in commands)
    assert commands[0].startswith("bash tools/setup && ")
    # CI runs the second one, and nothing else.
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert script[-1] == f"exec {commands[1]}"


def test_the_first_command_runs_files_that_exist():
    run_examples = next(blocks("README.md", "sh"))[1]
    scripts = re.findall(r"\S+\.py", run_examples)
    assert scripts and all((ROOT / script).exists() for script in scripts)


def test_every_dependency_is_explained():
    listing = subprocess.check_output([sys.executable, ROOT / "tools/requirements.py"], text=True)
    names = {re.match(r"[\w\-]+", line).group() for line in listing.splitlines()}
    assert "nanobind" in names
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in sorted(names) if f"`{name}`" not in readme]
