"""What the whole suite shares; which cells of the grids run is up to sampling.py."""

import functools
import gc
import signal
import zlib

import numpy as np
import pytest

pytest_plugins = ["sampling"]


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell starts a job in the background; tests send it
        signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def opens_streams(path):
    return any(call in path.read_text(encoding="utf-8") for call in ("new_stream", "new_thread_local_stream"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Tests that open streams come last: a process that has one stream takes short ways, which all others are to go."""
    items.sort(key=lambda item: opens_streams(item.path))


@pytest.fixture(autouse=True)
def numbers_of_its_own(request):
    """A test draws the same numbers from its file's RNG whichever tests ran before it."""
    rng = getattr(request.module, "RNG", None)
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = np.random.default_rng(zlib.crc32(request.node.nodeid.encode())).bit_generator.state


@pytest.fixture
def no_collector_callbacks():
    """For tests whose signal handlers raise: what is raised within a callback of the collector, as hypothesis adds one,
    is printed and lost."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks


@pytest.fixture(scope="module")
def settled_heap():
    """What the session holds by now is left out of collections: going through it would take longer than the tests do."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
