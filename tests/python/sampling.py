"""Options of the tests, as a plugin. The grids have tens of thousands of cells: by default a stratified sample of them runs,
chosen by a hash of each cell's id and of the commit, with at least one cell of every (test, op): another commit runs other
cells. `--all` runs every cell; `--strata KEY` those of the run whose header says KEY."""

import hashlib
import os
import pathlib
import subprocess
from collections import defaultdict

import pytest


# Of the fraction that a grid's mark says: with it the whole line ends in time on a slow machine, too.
SHARE = 0.6


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run every cell of the grids, not a sample, and the slow comparisons")
    parser.addoption("--strata", default=os.environ.get("MLX_TEST_STRATA"), metavar="KEY",
                     help="which sample of the grids: that of the commit by default (also MLX_TEST_STRATA)")
    parser.addoption("--programs", type=int, help="how many random programs test_random_programs.py runs")
    parser.addoption("--seed", type=int, default=0, help="of the first random program")


def pytest_configure(config):
    config.addinivalue_line("markers", "grid(keep): many cells; this fraction of them, times SHARE, runs without --all")
    config.addinivalue_line("markers", "sparse(part): of each file's grids one cell of this part of the ops runs without --all")
    config.addinivalue_line("markers", "everything: runs only with --all")
    if not config.getoption("--strata"):
        config.option.strata = _commit()  # before workers are started, which get the options


def pytest_report_header(config):
    return None if config.getoption("--all") else f"strata of the grids: --strata {config.getoption('--strata')}"


def _commit():
    """The commit of the checkout; without one a hash of the tests."""
    folder = pathlib.Path(__file__).parent
    try:
        return subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=folder, check=True, capture_output=True,
                              text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        digest = hashlib.sha256()
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


@pytest.fixture
def run_all(request):
    return request.config.getoption("--all")


def _hash(config, text):
    return hashlib.blake2b(f"{config.getoption('--strata')} {text}".encode(), digest_size=8).digest()


def _hash_of(item):
    return _hash(item.config, item.nodeid.rsplit("/", 1)[-1])


def _stratum(item):
    """(test function, op): every stratum keeps a cell. Of a sparse test (file, op)."""
    sample = item.callspec.params.get("sample") if hasattr(item, "callspec") else None
    return item.path if _is_sparse(item) else item.originalname, sample.op["name"] if hasattr(sample, "op") else ""


def _is_sparse(item):
    return item.get_closest_marker("sparse") is not None


def _sparse_strata(config, strata):
    """The strata of sparse tests that keep a cell."""
    of_file = defaultdict(list)
    for stratum, cells in strata.items():
        if _is_sparse(cells[0]):
            of_file[stratum[0]].append(stratum)
    for file, found in of_file.items():
        found.sort(key=lambda stratum: _hash(config, f"{file.name} {stratum[1]}"))
        part = strata[found[0]][0].get_closest_marker("sparse").args[0]
        yield from found[:max(1, round(len(found) * part))]


def pytest_collection_modifyitems(config, items):
    if config.getoption("--all") or any("::" in argument for argument in config.args):
        return  # everything, or cells asked for by name
    strata, kept, left_out = defaultdict(list), [], []
    for item in items:
        if item.get_closest_marker("everything"):
            left_out.append(item)
        elif item.get_closest_marker("grid"):
            strata[_stratum(item)].append(item)
        else:
            kept.append(item)
    for cells in strata.values():
        cells.sort(key=_hash_of)
    sparse = set(_sparse_strata(config, strata))
    for stratum, cells in strata.items():
        keep = max(1, round(len(cells) * cells[0].get_closest_marker("grid").args[0] * SHARE))
        if _is_sparse(cells[0]):
            keep = int(stratum in sparse)
        kept += cells[:keep]
        left_out += cells[keep:]
    order = {item: i for i, item in enumerate(items)}
    kept.sort(key=order.__getitem__)
    items[:] = kept
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_make_parametrize_id(config, val, argname):
    """Functions are named, not shown with their address: every worker must collect the same ids."""
    return getattr(val, "__name__", argname) if callable(val) and not isinstance(val, type) else None
