"""mx.trace: the graph of a function with the line of each operation; mx.export_to_dot; the line in an escape's error."""

import gc
import inspect
import io
import re
import xml.etree.ElementTree

import mlx.core as mx
import numpy as np
import pytest


def loss(w, x):
    h = mx.tanh(x @ w)
    return mx.sum(h * h)


FIRST = inspect.getsourcelines(loss)[1] + 1
W, X = mx.ones((3, 2)), mx.ones((4, 3))


def ops(graph):
    return [node for node in graph.nodes if node["name"] not in ("input", "constant")]


def test_text_has_a_line_for_each_operation():
    text = str(mx.trace(loss)(W, X))
    assert text.splitlines() == [
        "%0: float32 (3,2) = input",
        "%1: float32 (4,3) = input",
        f"%2: float32 (4,2) = Matmul(%1, %0)  # test_trace.py:{FIRST} in loss",
        f"%3: float32 (4,2) = Tanh(%2)  # test_trace.py:{FIRST} in loss",
        f"%4: float32 (4,2) = Multiply(%3, %3)  # test_trace.py:{FIRST + 1} in loss",
        f"%5: float32 () = Sum(%4, axes=(0,1,), keepdims=False)  # test_trace.py:{FIRST + 1} in loss",
        "return %5",
    ]


def test_nodes():
    graph = mx.trace(loss)(W, X)
    assert len(graph) == len(graph.nodes) == 6
    node = graph.nodes[5]
    assert node["name"] == "Sum" and node["operands"] == [4] and node["shape"] == () and node["dtype"] == mx.float32
    assert node["file"] == __file__ and node["line"] == FIRST + 1 and node["function"] == "loss"
    assert node["pass"] == "forward" and graph.outputs == [5]
    for i, node in enumerate(graph.nodes):
        assert all(operand < i for operand in node["operands"])


@pytest.mark.parametrize("transformed, named", [
    (mx.grad(loss), {"vjp"}),
    (lambda w, x: mx.jvp(lambda w: loss(w, x), [w], [w]), {"jvp"}),
    (mx.vmap(loss, in_axes=(None, 0)), {"vmap"}),
    (mx.vmap(mx.grad(loss), in_axes=(None, 0)), {"vmap", "vmap(vjp)"}),
    (mx.grad(lambda w, x: mx.sum(mx.vmap(loss, in_axes=(None, 0))(w, x))), {"vjp(vmap)", "vjp"}),
], ids=["grad", "jvp", "vmap", "vmap-grad", "grad-vmap"])
def test_transformed_nodes_have_the_line_of_their_primal(transformed, named):
    x = mx.ones((2, 4, 3)) if any("vmap" in name for name in named) else X
    nodes = ops(mx.trace(transformed)(W, x))
    assert named <= {node["pass"] for node in nodes}
    lines = {node["line"] for node in nodes if node["pass"] in named and node["function"] == "loss"}
    assert lines == {FIRST, FIRST + 1}


def test_trace_inside_a_transform():
    seen = []

    def f(x):
        seen.append(mx.trace(mx.sin)(x))
        return mx.sin(x)

    assert mx.grad(f)(mx.array(0.0)).item() == 1.0
    assert [n["name"] for n in seen[0].nodes] == ["input", "Sin"]


def test_trees_and_values_of_arguments():
    def f(p, *, scale):
        if p["a"].item() > 0:  # the function may read its arguments
            return {"y": p["a"] * scale, "z": [p["b"]]}
        return {}

    graph = mx.trace(f)({"a": mx.array(1.0), "b": mx.array([1, 2])}, scale=3.0)
    assert str(graph).splitlines()[-1] == "return %3, %1"
    assert "Multiply(%0, 3)" in str(graph)


def test_values_read_in_the_middle_do_not_cut_the_graph():
    def f(x):
        y = mx.sin(x)
        y.item()
        return mx.cos(y)

    assert [n["name"] for n in mx.trace(f)(mx.array(1.0)).nodes] == ["input", "Sin", "Cos"]


def test_several_results_and_bodies_are_shown():
    @mx.custom_function
    def f(x):
        return mx.sin(x), mx.cos(x)

    f.vjp(lambda primals, cotangents, outputs: cotangents[0])
    text = str(mx.trace(f)(mx.array(1.0)))
    assert "%1: float32 (), float32 () = CustomFunction(%0)" in text
    assert "    %1: float32 () = Sin(%0)" in text
    assert text.endswith("return %1.0, %1.1")


def test_constants():
    big = mx.array(np.arange(5.0, dtype=np.float32))
    graph = mx.trace(lambda x: x * big + mx.array(2, mx.int32))(mx.ones((5,)))
    assert re.search(r"%\d: float32 \(5,\) = constant", str(graph))
    assert re.search(r"AsType\(2, dtype=float32\)|Add\(%\d, 2\)", str(graph))


def test_nothing_is_computed_and_nothing_is_recorded_afterwards():
    x = mx.ones((3,)) + 1
    mx.trace(mx.sin)(x)
    y = mx.sin(x)
    assert [n["line"] for n in ops(mx.trace(lambda: y)())] == [None] * len(ops(mx.trace(lambda: y)()))


def test_not_a_function():
    with pytest.raises(TypeError):
        mx.trace("abc")
    assert mx.trace(mx.eye(3)).item() == 3  # the sum of the diagonal goes by the same name


# --- drawings ---

def test_svg_is_well_formed_and_its_boxes_do_not_overlap():
    graph = mx.trace(mx.grad(loss))(W, X)
    root = xml.etree.ElementTree.fromstring(graph._repr_svg_())
    space = {"svg": "http://www.w3.org/2000/svg"}
    boxes = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iterfind(".//svg:rect", space)]
    assert len(boxes) == len(graph)
    width, height = float(root.get("width")), float(root.get("height"))
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x and x + w <= width and 0 <= y and y + h <= height
        for a, b, c, d in boxes[:i]:
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
    edges = sum(len(node["operands"]) for node in graph.nodes) + len(graph.outputs)
    assert len(root.findall(".//svg:path", space)) == edges
    assert graph._repr_html_().count("<svg") == 1


def test_svg_escapes_names():
    graph = mx.trace(lambda x: x < 1)(mx.array(1.0))
    assert "&lt;lambda&gt;" in graph.to_svg()
    xml.etree.ElementTree.fromstring(graph.to_svg())


def test_dot():
    text = mx.trace(loss)(W, X).to_dot()
    assert text.startswith("digraph {") and text.endswith("}\n")
    assert "n1 -> n2;" in text and "n0 -> n2;" in text and "n4 -> n5;" in text and "n5 -> out0;" in text


def test_export_to_dot(tmp_path):
    x, y = mx.array(1.0), mx.array([1.0, 2.0])
    z = mx.sin(x) + y
    buffer = io.StringIO()
    mx.export_to_dot(buffer, [z], x=x, total=z)
    mx.export_to_dot(str(tmp_path / "a.dot"), z, x=x, total=z)
    mx.export_to_dot(tmp_path / "b.dot", z, x=x, total=z)
    assert buffer.getvalue() == (tmp_path / "a.dot").read_text() == (tmp_path / "b.dot").read_text()
    assert 'label="x\\n' in buffer.getvalue() and 'label="total = Add\\n' in buffer.getvalue()
    with pytest.raises(TypeError, match="names an array"):
        mx.export_to_dot(buffer, z, x=3)


# --- origins elsewhere ---

def test_escape_from_vmap_names_the_line():
    kept = []
    with mx.debug_nans():
        with pytest.raises(ValueError, match=r"vmap was called at .*test_trace.py:\d+ in test_escape"):
            mx.vmap(lambda x: (kept.append(x), x)[1])(mx.ones((3,)))
    kept.clear()
    gc.collect()
