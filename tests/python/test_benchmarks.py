"""The benchmarks run: at tiny sizes, where what they compute agrees with NumPy and the times mean nothing."""

import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

pytest.importorskip("scipy")
RUN = pathlib.Path(__file__).resolve().parents[2] / "benchmarks/run.py"


def run(pattern, folder):
    options = ["--tiny", "--rounds", "1", "--peers", "numpy", "--python", f"numpy={sys.executable}", "--venvs", str(folder), "--to", str(folder)]
    done = subprocess.run([sys.executable, str(RUN), *options, "--only", pattern], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, (folder / "benchmarks.md").read_text(encoding="utf-8")


def test_two_rows_and_their_report(tmp_path):
    said, report = run("^(8 floats: sin|chain of 8 ops, from 1000 elements)", tmp_path)
    names = ("| 8 floats: sin", "| chain of 8 ops, from 1000")
    rows = [line for line in report.splitlines() if line.startswith(names) and line.count("|") > 6]  # not those of the list above 1.0
    for row in rows:
        _, _, eager, compiled, _, ours, *_ = row.split("|")
        assert float(eager.strip(" *")) > 0 and float(compiled.strip(" *")) > 0 and ours.strip().endswith("s"), row
    assert len({row.split("|")[1] for row in rows}) == 2
    xml.etree.ElementTree.parse(tmp_path / "benchmarks.svg")
    assert "WRONG" not in said and ": ours: " not in said


def test_costs_against_size_and_threads(tmp_path):
    options = ["--threads", "1,2", "--largest", "5", "--nodes", "2", "--seconds", "0", "--to", str(tmp_path)]
    done = subprocess.run([sys.executable, str(RUN.with_name("scaling.py")), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "scaling.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in report.split("\n## ")[1:]}
    assert list(sections) == ["Elements, 1 thread", "Elements, 2 threads", "Nodes", "Threads"]
    for title, part in sections.items():
        table = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| ")]
        assert len(table) == (6 if title == "Nodes" else 13)
        for row in table[1:]:
            numbers = [float(cell.strip(" *ms")) for cell in row[1:] if cell.strip()]
            assert len(numbers) >= 2 and all(n > 0 for n in numbers), row


def test_a_figure_is_never_rounded_to_nothing(monkeypatch):
    """A thread that the system held back for a moment makes one of two times hundreds of times the other."""
    monkeypatch.syspath_prepend(str(RUN.parent))
    import report
    import scaling

    by_threads = {t: {name: {10**5: seconds} for name in scaling.OPERATIONS} for t, seconds in ((1, 2e-5), (2, 8e-3))}
    figures = [line.split("|")[4] for line in scaling.speedups(by_threads, 10**5)[2:]]
    assert [float(figure) for figure in figures] == [0.0025] * len(scaling.OPERATIONS)
    assert [report.ratio_text(value) for value in (0.0004, 0.0096, 0.014, 1.25)] == ["0.0004", "0.01", "0.01", "**1.25**"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "theme", ["dispatch", "elementwise", "reductions", "products", "networks", "convolutions", "derivatives", "indexing", "linear_algebra"]
)
def test_every_row_of_a_theme(theme, tmp_path):
    said, report = run(f"^{theme}$", tmp_path)
    assert ": ours: " not in said, said
    assert report.count("\n| ") > 8
