"""What results computed in different ways are compared by: their bits; one operation at a time; and what they move."""

import mlx.core as mx
import numpy as np


def evaluated(x):
    mx.eval(x)
    return x


def bits(x):
    """NaNs all alike: which of two operands' goes on is not promised."""
    x = np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x)
    if x.dtype.kind == "c":
        x = np.ascontiguousarray(x).view(x.real.dtype)
    return np.where(x != x, np.array(np.nan, x.dtype), x).tobytes() if x.dtype.kind == "f" else x.tobytes()


def check_as_step_by_step(program, rng, again=None):
    """program(each) gives a program's values, where each is computed by itself or none yet. The last one alone has the bits that it
    has step by step, and so have a few that somebody keeps, of `again` (the program by default), computed at once."""
    want = [bits(value) for value in program(True)]
    last = program(False)[-1]
    assert bits(last) == want[-1]
    values = (again or program)(False)
    kept = rng.choice(len(values), size=min(int(rng.integers(1, 4)), len(values)), replace=False)
    chosen = [values[i] for i in kept]
    del values
    mx.eval(chosen)
    for i, got in zip(kept, chosen):
        assert bits(got) == want[i], i


def check_at_once(by_steps, whole, operands, lazy):
    """What `by_steps` gives of the operands has the same bits from `whole`, where nothing is computed on the way: eager, compiled,
    and of copies of the first `lazy` operands that are not computed either, whose memory may be taken over."""
    mx.eval(operands)
    want = [bits(x) for x in by_steps(*operands)]
    got = whole(*operands)
    mx.eval(got)
    assert [bits(x) for x in got] == want
    assert [bits(x) for x in mx.compile(whole)(*operands)] == want
    got = whole(*(x * 1 for x in operands[:lazy]), *operands[lazy:])
    mx.eval(got)
    assert [bits(x) for x in got] == want


def events(f, *args):
    """Of a second call, when nothing is found for the first time."""
    mx.eval(f(*args))
    with mx.profile() as p:
        mx.eval(f(*args))
    return p.events


def bytes_moved(f, *args):
    return sum(e["bytes"] for e in events(f, *args))
