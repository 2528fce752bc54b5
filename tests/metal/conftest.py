"""Tests on mx.gpu: it is the default device of each, and each is skipped in a build without one. The grids and their samples
are those of tests/python; the sample of cells is a smaller one, for kernels are compiled when they are first run."""

import pathlib
import sys

import mlx.core as mx
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
pytest_plugins = ["sampling"]


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.sparse(0.5))  # each cell may wait for a compiler
    if "sample" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("grid"):
        item.add_marker(pytest.mark.grid(1.0))


@pytest.fixture(autouse=True)
def on_gpu():
    if not mx.is_available(mx.gpu):
        pytest.skip("this build has no GPU")
    before = mx.default_device()
    mx.set_default_device(mx.gpu)
    yield
    mx.synchronize()
    mx.set_default_device(before)
