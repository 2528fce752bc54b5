// Binds the ops, file by file, and writes their docstrings from the registry.
#include "python/src/ops/bind_ops.h"

#include <stdexcept>

#include "mlx_core/error.h"
#include "mlx_core/registry.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

std::vector<std::string>& unregistered() {
  static std::vector<std::string> names;
  return names;
}

const char* describe(core::Dtypes accepted) {
  switch (accepted) {
    case core::Dtypes::all: return "every dtype";
    case core::Dtypes::numeric: return "every dtype but bool";
    case core::Dtypes::inexact: return "floating and complex; integers and bool become float32";
    case core::Dtypes::floating: return "floating; integers and bool become float32";
    case core::Dtypes::real: return "every dtype but the complex ones";
    case core::Dtypes::integral: return "integers and bool";
    case core::Dtypes::complex: return "complex";
  }
  return "";
}

std::string derivative(const core::OpInfo& op) {
  std::string because = op.no_derivative.because ? std::string(": ") + op.no_derivative.because : "";
  switch (op.differentiable) {
    case core::Differentiable::yes: return "";
    case core::Differentiable::zero: return "The derivative is zero wherever it exists" + because + ".";
    case core::Differentiable::no: return "There is no derivative" + because + ".";
  }
  return "";
}

std::string indented(const std::string& text) {
  std::string result = "    ";
  for (char c : text) {
    result += c;
    if (c == '\n') {
      result += "    ";
    }
  }
  return result;
}

// What every elementwise op takes and returns.
std::string elementwise_arguments(const core::OpInfo& op) {
  std::string dtypes = describe(op.accepts);
  std::string text = "Args:\n";
  if (op.unary) {
    text += "    a (array or number): " + dtypes + ".\n";
  } else if (op.binary) {
    text += "    a (array or number): " + dtypes +
            ".\n    b (array or number): Broadcasts with ``a``. "
            "A number takes the dtype of the array beside it.\n";
  } else {
    auto [first, second, third] = operand_names(op);
    text += "    " + std::string(first) + " (array or number): The first operand; " + dtypes + ".\n    " + second +
            " (array or number): The second.\n    " + third +
            " (array or number): The third. All of them broadcast together.\n";
  }
  text += "    stream (Stream or Device, optional): Where to compute it.\n\nReturns:\n    array: ";
  return text + (op.unary ? "Of the shape of ``a``." : "Of the shape that the operands broadcast to.");
}

} // namespace

std::array<const char*, 3> operand_names(const core::OpInfo& op) {
  if (std::string_view(op.name) == "where") {
    return {"condition", "x", "y"};
  }
  return {"a", "b", "c"};
}

std::string docstring_of(const core::OpInfo& op) {
  std::string doc = op.summary;
  auto add = [&](const std::string& paragraph) {
    if (!paragraph.empty()) {
      doc += "\n\n" + paragraph;
    }
  };
  add(op.details ? op.details : "");
  bool elementwise = op.unary || op.binary || op.ternary;
  add(elementwise ? elementwise_arguments(op) : std::string("Dtypes: ") + describe(op.accepts) + ".");
  add(derivative(op));
  if (op.example) {
    add("Example:\n" + indented(op.example));
  }
  return doc;
}

std::string docstring_of(const char* name) {
  if (const core::OpInfo* op = core::find_op(name)) {
    return docstring_of(*op);
  }
  unregistered().push_back(name);
  return "";
}

std::string signature_of(const char* name, const std::string& parameters, const char* result) {
  std::string text = "def " + std::string(name) + "(" + parameters;
  if (parameters.find('*') == std::string::npos) {
    text += ", *";
  }
  text += ", stream: StreamOrDevice = None) -> " + std::string(result);
  const std::string word = "Sequence[", qualified = "collections.abc.Sequence[";
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + qualified.size())) {
    text.replace(at, word.size(), qualified);
  }
  return text;
}

std::vector<array> arrays_of(const char* op, const char* name, const nb::args& args) {
  std::vector<array> all;
  for (size_t i = 0; i < args.size(); ++i) {
    std::optional<array> a = try_to_array(args[i].ptr(), {});
    if (!a) {
      core::fail<core::TypeError>(
          op, name, "[", i, "] is ", described(args[i]), "; it should be an array or a number.");
    }
    all.push_back(*std::move(a));
  }
  return all;
}

nb::object named_tuple(nb::module_& m, const char* name, const char* fields, const char* doc) {
  nb::object made = nb::module_::import_("collections")
                        .attr("namedtuple")(name, fields, nb::arg("module") = nb::object(m.attr("__name__")));
  made.attr("__doc__") = doc;
  m.attr(name) = made;
  return made;
}

StreamOrDevice placed(const char* op, StreamOrDevice device, StreamOrDevice s) {
  if (device.index() != 0 && s.index() != 0) {
    core::fail(op, "device and stream both say where to work; give one of them.");
  }
  return device.index() != 0 ? device : s;
}

void check_registered() {
  if (!unregistered().empty()) {
    std::string names;
    for (const std::string& name : unregistered()) {
      names += " " + name;
    }
    throw std::runtime_error("ops that are bound but not registered:" + names);
  }
}

void bind_ops(nb::module_& m) {
  bind_ops_elementwise(m);
  bind_ops_creation(m);
  bind_ops_shape(m);
  bind_ops_reduce(m);
  bind_ops_select(m);
  bind_ops_scan(m);
  bind_ops_sort(m);
  bind_ops_rearrange(m);
  bind_ops_products(m);
  bind_ops_sampled(m);
  bind_ops_conv(m);
  bind_ops_values(m);
  check_registered();
}

} // namespace mlx::python
