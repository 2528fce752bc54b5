// trace and export_to_dot: the graph of a function, and of arrays, to read and to draw.
#include "mlx_core/graph.h"

#include "mlx_core/error.h"
#include "mlx_core/origin.h"
#include "python/src/runtime/origins.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/traced_call.h"
#include "python/src/transforms/transformed.h"

namespace mlx::python {

namespace {

using core::fail;
using core::Graph;

class Trace final : public Transformation {
 public:
  using Transformation::Transformation;
  const char* name() const override { return "trace"; }

  nb::object call(const CallArguments& arguments) const override {
    nb::list positional;
    for (size_t i = 0; i < arguments.positional; ++i) {
      positional.append(nb::handle(arguments.values[i]));
    }
    nb::dict named;
    for (size_t i = 0; i < arguments.keyword_count(); ++i) {
      named[arguments.keyword_name(i)] = arguments.keyword_value(i);
    }
    std::vector<array> arrays;
    TracedCall call(nb::tuple(positional), named, arrays);
    RecordOrigins recording;
    EvaluationHold hold;
    auto traced = [&](const std::vector<array>& in) {
      std::vector<array> outputs = call.run(fun(), in);
      hold.hold();
      return outputs;
    };
    return nb::cast(core::trace(traced, arrays));
  }
};

nb::dict describe(const Graph& graph, size_t i) {
  const Graph::Node& node = graph.nodes()[i];
  const core::Origin& origin = core::origin_at(node.origin);
  nb::list operands, shapes, dtypes;
  for (Graph::Value operand : node.operands) {
    operands.append(operand.node);
  }
  for (const core::Spec& spec : node.results) {
    shapes.append(shape_tuple(spec.shape));
    dtypes.append(dtype_object(spec.dtype));
  }
  bool one = node.results.size() == 1;
  nb::dict d;
  d["name"] = node.name;
  d["operands"] = operands;
  d["params"] = node.params;
  d["shape"] = one ? nb::object(shapes[0]) : shapes;
  d["dtype"] = one ? nb::object(dtypes[0]) : dtypes;
  d["file"] = origin.line ? nb::cast(origin.file) : nb::none();
  d["line"] = origin.line ? nb::cast(origin.line) : nb::none();
  d["function"] = origin.line ? nb::cast(origin.function) : nb::none();
  d["pass"] = origin.pass.empty() ? "forward" : origin.pass;
  return d;
}

// A path, or an object with write().
void write_text(nb::handle file, const std::string& text) {
  if (nb::hasattr(file, "write")) {
    file.attr("write")(text);
    return;
  }
  if (!PyUnicode_Check(file.ptr()) && !PyBytes_Check(file.ptr()) && !nb::hasattr(file, "__fspath__")) {
    fail<core::TypeError>("export_to_dot", "file is a ", class_name(file), "; it should be a path, or have write().");
  }
  nb::object path = nb::module_::import_("os").attr("fspath")(file);
  nb::object opened = nb::module_::import_("builtins").attr("open")(path, "w", nb::arg("encoding") = "utf-8");
  opened.attr("write")(text);
  opened.attr("close")();
}

void export_to_dot(nb::handle file, nb::args args, nb::kwargs kwargs) {
  std::vector<array> outputs, named;
  Leaves leaves;
  Tree::collect(args, leaves);
  for (const nb::object& leaf : leaves) {
    if (is_array(leaf)) {
      outputs.push_back(read(leaf));
    }
  }
  std::vector<std::string> names;
  for (auto [name, value] : kwargs) {
    if (!is_array(value)) {
      fail<core::TypeError>("export_to_dot", nb::cast<std::string>(name), " is a ", class_name(value),
          "; a keyword names an array of the graph.");
    }
    names.push_back(nb::cast<std::string>(name));
    named.push_back(read(value));
  }
  EvaluationHold hold;
  hold.hold();
  std::string text = Graph::of_named(outputs, named, names).to_dot();
  hold.release();
  write_text(file, text);
}

} // namespace

void bind_graph(nb::module_& m) {
  nb::class_<Graph>(m, "Graph", R"(The operations of a function, in an order in which they can run.

Made by :func:`trace`. ``str(graph)`` is a line for each operation: its
number, dtype and shape, its name with operands and parameters, and the line
of Python that called for it. In a notebook a graph is drawn.)")
      .def("__str__", [](const Graph& g) { return g.to_string(); })
      .def("__repr__", [](const Graph& g) { return g.to_string(); })
      .def("__len__", [](const Graph& g) { return g.nodes().size(); })
      .def_prop_ro(
          "nodes",
          [](const Graph& g) {
            nb::list nodes;
            for (size_t i = 0; i < g.nodes().size(); ++i) {
              nodes.append(describe(g, i));
            }
            return nodes;
          },
          nb::sig("def nodes(self) -> list[dict[str, typing.Any]]"),
          "A dictionary for each node, operands first: ``name`` (``'input'`` and ``'constant'`` for arrays that are "
          "given), ``operands`` (places in this list), ``params``, ``shape`` and ``dtype`` (lists for several "
          "results), ``file``, ``line``, ``function``, and ``pass``: ``'forward'``, ``'vjp'``, ``'vmap(vjp)'``.")
      .def_prop_ro(
          "outputs",
          [](const Graph& g) {
            nb::list outputs;
            for (Graph::Value value : g.outputs()) {
              outputs.append(value.node);
            }
            return outputs;
          },
          nb::sig("def outputs(self) -> list[int]"), "The places in ``nodes`` of what the function returns.")
      .def("to_dot", &Graph::to_dot, nb::sig("def to_dot(self) -> str"), "The graph as Graphviz text.")
      .def("to_svg", &Graph::to_svg, nb::sig("def to_svg(self) -> str"),
          "The graph as an SVG picture; no other program is needed.")
      .def("_repr_svg_", &Graph::to_svg)
      .def("_repr_html_",
          [](const Graph& g) { return "<div style=\"overflow: auto; max-height: 600px\">" + g.to_svg() + "</div>"; });

  m.def(
      "trace", [](nb::handle fun) { return make_transformed(std::make_unique<Trace>(fun)); }, nb::arg("fun"),
      nb::sig("def trace(fun: collections.abc.Callable[..., typing.Any]) -> collections.abc.Callable[..., typing.Any]"),
      R"(What a function computes, to be read or drawn.

Args:
    fun (callable): Takes and returns trees of arrays. It may be a transformed
        function: ``mx.trace(mx.grad(f))`` shows the backward pass, too.

Returns:
    callable: Takes the arguments of ``fun``, runs it without computing
    anything that it does not read, and returns a :class:`Graph`.

Example:
    >>> graph = mx.trace(lambda x: mx.sin(x) * 2)(mx.array([1.0, 2.0]))
    >>> print("\n".join(line.split("  #")[0] for line in str(graph).splitlines()))
    %0: float32 (2,) = input
    %1: float32 (2,) = Sin(%0)
    %3: float32 (2,) = Multiply(%1, 2)
    return %3
)");

  m.def("export_to_dot", export_to_dot, nb::arg("file"), nb::arg("args"), nb::arg("kwargs"),
      nb::sig("def export_to_dot(file: object, *args: typing.Any, **kwargs: typing.Any) -> None"),
      R"(Writes what is not computed yet behind arrays as a Graphviz file.

Args:
    file (str, path or file): Where to write: a path, or an object with
        ``write``.
    *args (arrays or trees of arrays): The results whose graph is drawn.
    **kwargs (array): Arrays of that graph, to be shown by these names.

Raises:
    TypeError: If a keyword argument is no array.

Example:
    >>> import io
    >>> file, x = io.StringIO(), mx.array(1.0)
    >>> mx.export_to_dot(file, mx.sin(x), x=x)
    >>> file.getvalue().startswith("digraph {")
    True
)");
}

} // namespace mlx::python
