"""What calls leave behind, counted: nodes, bytes of arrays, Python objects, bytes from malloc."""

import ctypes
import gc
import sys

import mlx.core as mx


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def _mallinfo():
    """glibc's, since 2.33; elsewhere bytes from malloc are not counted."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    function.restype = _MallInfo
    return function


_MALLINFO = _mallinfo()
UNITS = ("nodes", "bytes of arrays", "Python blocks", "bytes from malloc", "origins")


def counts():
    """The figures of UNITS, of the whole process. Work in the background has ended, and cycles are collected."""
    mx.synchronize()
    gc.collect()
    info = _MALLINFO() if _MALLINFO else None
    return (mx._live_nodes(), mx.get_active_memory(), sys.getallocatedblocks(),
            info.uordblks + info.hblkhd if info else 0, mx._known_origins())


def per_round(call, calls, rounds):
    """What each of several rounds of calls adds."""
    found = []
    before = counts()
    for _ in range(rounds):
        for _ in range(calls):
            call()
        after = counts()
        found.append(tuple(b - a for a, b in zip(before, after)))
        before = after
    return found


def growth(call, calls=20, rounds=3, warm_up=20, attempts=6):
    """What a call adds in the long run, by unit. A leak grows in every round of every attempt, however many calls; what does
    not is a cache that fills, or memory that is laid out anew. A round must add at least a unit for each second call to count,
    as the measuring itself and other threads are not always still."""
    for _ in range(warm_up):
        call()
    counts()
    for _ in range(attempts):
        least = [min(column) for column in zip(*per_round(call, calls, rounds))]
        found = {unit: n / calls for unit, n in zip(UNITS, least) if n >= calls / 2}
        if not found:
            break
        calls *= 2
    return found
