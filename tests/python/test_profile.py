"""mx.profile: events, table and Chrome trace of an evaluation."""

import json
import time

import mlx.core as mx
import numpy as np
import pytest


def work():
    x = mx.ones((100, 100))
    y = mx.sin(x) * 2 + 1
    mx.eval(mx.sum(y, axis=1), x @ x, mx.sort(mx.array([3.0, 1.0, 2.0])))


def test_events_tell_fused_groups_from_single_operations():
    with mx.profile() as p:
        work()
    fused = [e for e in p.events if e["group"] is not None]
    assert [e["ops"] for e in fused] == [["Sin", "Multiply", "Add", "Sum"]]
    names = [e["name"] for e in p.events]
    assert "Matmul" in names and "Sort" in names and "Sin + Multiply + Add + Sum" in names
    for e in p.events:
        assert e["seconds"] >= e["own_seconds"] >= 0 and e["start"] >= 0
        assert e["file"] == __file__ and e["function"] == "work" and e["pass"] == "forward"


def test_bytes():
    x = mx.array(np.ones((100, 10), np.float32))
    with mx.profile() as p:
        mx.eval(mx.sum(mx.exp(x), axis=1))  # exp(x) stays in cache
        mx.eval(mx.exp(x))
        mx.eval(x.T)
    assert [e["bytes"] for e in p.events] == [4 * (1000 + 100), 4 * 2000, 0]
    assert p.events[0]["result"] == "float32 (100,)"


def test_table_is_sorted_by_total_time():
    with mx.profile() as p:
        for _ in range(3):
            mx.eval(mx.exp(mx.ones((3,))))
        mx.eval(mx.ones((300, 300)) @ mx.ones((300, 300)))
    lines = str(p).splitlines()
    assert lines[0].split()[:5] == ["op", "calls", "time", "ms", "share"]
    rows = [line.split() for line in lines[1:-1]]
    times = [float(row[2]) for row in rows]
    assert times == sorted(times, reverse=True) and rows[0][0] == "Matmul"
    assert {row[0]: int(row[1]) for row in rows}["Exp"] == 3
    assert lines[-1].startswith("total") and int(lines[-1].split()[1]) == len(p.events)
    assert "test_profile.py" in lines[1]


def test_chrome_trace(tmp_path):
    with mx.profile() as p:
        work()
    p.chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = trace["traceEvents"]
    assert [e["name"] for e in events] == [e["name"] for e in p.events]
    assert all(e["ph"] == "X" and e["dur"] >= 0 and e["ts"] >= 0 for e in events)
    assert events[0]["args"]["line"].endswith("in work")
    with mx.profile() as empty:
        pass
    empty.chrome_trace(str(tmp_path / "empty.json"))
    assert json.loads((tmp_path / "empty.json").read_text())["traceEvents"] == []
    assert empty.events == []


def test_a_function_and_what_is_inside():
    f = mx.checkpoint(lambda x: mx.sort(mx.sin(x)))
    with mx.profile() as p:
        mx.eval(f(mx.ones((1000,))))
    function = [e for e in p.events if e["name"] == "Function"]
    inside = [e for e in p.events if e["name"] in ("Sin", "Sort")]
    assert len(function) == 1 and len(inside) == 2
    rest = function[0]["seconds"] - sum(e["seconds"] for e in inside)
    assert function[0]["own_seconds"] == pytest.approx(rest, abs=1e-9)
    assert function[0]["start"] <= inside[0]["start"]


def test_backward_pass_is_named():
    with mx.profile() as p:
        mx.eval(mx.grad(lambda x: mx.sum(mx.sort(x) ** 2))(mx.ones((5,))))
    assert "vjp" in {e["pass"] for e in p.events}


def test_a_failing_operation_is_left_out():
    @mx.custom_function
    def f(x):
        return mx.sin(x)

    with mx.profile() as p:
        with mx.debug_nans(), pytest.raises(FloatingPointError):
            mx.eval(mx.log(mx.zeros((2,))))
        mx.eval(f(mx.ones((2,))))
    assert [e["name"] for e in p.events if e["name"] != "Broadcast"][-1] == "Sin"


def test_asynchronous_work_is_seen():
    with mx.profile() as p:
        x = mx.exp(mx.ones((100,)))
        mx.async_eval(x)
        mx.synchronize()
    assert "Exp" in [e["name"] for e in p.events]


def test_using_it_wrongly():
    p = mx.profile()
    with p:
        with pytest.raises(RuntimeError, match="still running"):
            str(p)
        with pytest.raises(RuntimeError, match="running already"):
            p.__enter__()
    assert "total" in str(p)
    with p:
        mx.eval(mx.sin(mx.array(1.0)))
    assert [e["name"] for e in p.events] == ["Sin"]


def test_nothing_is_recorded_after_the_block():
    with mx.profile() as p:
        work()
    count = len(p.events)
    work()
    assert len(p.events) == count


@pytest.mark.slow
def test_the_table_accounts_for_the_time():
    x = mx.array(np.ones((400, 400), np.float32))
    with mx.profile() as p:
        started = time.perf_counter()
        for _ in range(20):
            mx.eval(x @ x)
        took = time.perf_counter() - started
    assert 0.5 * took < sum(e["own_seconds"] for e in p.events) <= took
