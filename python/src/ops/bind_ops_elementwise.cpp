// The elementwise ops: a loop over the registry, and those whose signature is not just operands.
#include <array>

#include "mlx_core/fp8.h"
#include "mlx_core/registry.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

// Operands go by position or name, and so does `stream`.
void def_unary(nb::module_& m, const core::OpInfo& op) {
  std::string signature = "def " + std::string(op.name) + "(a: scalar | array, stream: StreamOrDevice = None) -> array";
  m.def(
      op.name,
      [function = op.unary](ScalarOrArray a, StreamOrDevice s) {
        return is_array(a.object) ? out(function(read(a.object), s)) : out(function(to_array(a), s));
      },
      "a"_a, "stream"_a = nb::none(), nb::sig(signature.c_str()), docstring_of(op).c_str());
}

void def_binary(nb::module_& m, const core::OpInfo& op) {
  std::string signature =
      "def " + std::string(op.name) + "(a: scalar | array, b: scalar | array, stream: StreamOrDevice = None) -> array";
  m.def(
      op.name,
      [function = op.binary](ScalarOrArray a, ScalarOrArray b, StreamOrDevice s) {
        if (is_array(a.object) && is_array(b.object)) {
          return out(function(read(a.object), read(b.object), s));
        }
        auto [x, y] = to_arrays(a, b);
        return out(function(x, y, s));
      },
      "a"_a, "b"_a, "stream"_a = nb::none(), nb::sig(signature.c_str()), docstring_of(op).c_str());
}

// The last two operands are of one kind: a number among them takes the other's dtype.
void def_ternary(nb::module_& m, const core::OpInfo& op) {
  std::array<const char*, 3> names = operand_names(op);
  std::string signature = "def " + std::string(op.name) + "(";
  for (const char* name : names) {
    signature += std::string(name) + ": scalar | array, ";
  }
  signature += "stream: StreamOrDevice = None) -> array";
  auto call = [function = op.ternary](ScalarOrArray a, ScalarOrArray b, ScalarOrArray c, StreamOrDevice s) {
    auto [x, y] = to_arrays(b, c);
    return out(function(to_array(a), x, y, s));
  };
  if (std::string_view(op.name) == "where") {
    m.def(
        op.name,
        [call](ScalarOrArray condition, std::optional<ScalarOrArray> x, std::optional<ScalarOrArray> y,
            StreamOrDevice s) -> nb::object {
          if (!x && !y) { // as NumPy has it
            return indices_where(to_array(condition), s);
          }
          if (!x || !y) {
            core::fail<core::TypeError>("where", "the argument ", x ? "y" : "x",
                " is missing or None; give a number or an array, or the condition alone for the indices where it "
                "holds.");
          }
          return nb::object(call(condition, *x, *y, s));
        },
        nb::arg(names[0]), nb::arg(names[1]) = nb::none(), nb::arg(names[2]) = nb::none(), "stream"_a = nb::none(),
        nb::sig(signature.c_str()), docstring_of(op).c_str());
    return;
  }
  m.def(op.name, call, nb::arg(names[0]), nb::arg(names[1]), nb::arg(names[2]), "stream"_a = nb::none(),
      nb::sig(signature.c_str()), docstring_of(op).c_str());
}

// Second names of elementwise functions, as MLX has them.
constexpr std::pair<const char*, const char*> aliases[] = {
    {"conj", "conjugate"},
    {"pow", "power"},
    {"acos", "arccos"},
    {"acosh", "arccosh"},
    {"asin", "arcsin"},
    {"asinh", "arcsinh"},
    {"atan", "arctan"},
    {"atan2", "arctan2"},
    {"atanh", "arctanh"},
    {"bitwise_left_shift", "left_shift"},
    {"bitwise_right_shift", "right_shift"},
};

std::optional<array> bound(std::optional<ScalarOrArray> value, const array& a) {
  return value ? std::optional<array>(to_array(*value, a.dtype())) : std::nullopt;
}

} // namespace

void bind_ops_elementwise(nb::module_& m) {
  for (const core::OpInfo* op : core::registered_ops()) {
    if (op->unary) {
      def_unary(m, *op);
    } else if (op->binary) {
      def_binary(m, *op);
    } else if (op->ternary) {
      def_ternary(m, *op);
    }
  }
  for (auto [alias, name] : aliases) {
    def_alias(m, alias, name);
  }

  def_op_exactly(
      m, "divmod",
      [](ScalarOrArray a, ScalarOrArray b, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return out_list(core::divmod(x, y, s));
      },
      "a: scalar | array, b: scalar | array, stream: StreamOrDevice = None", "list[array]", "a"_a, "b"_a,
      "stream"_a = nb::none());
  auto clip = [](ScalarOrArray a, std::optional<ScalarOrArray> low, std::optional<ScalarOrArray> high,
                  StreamOrDevice s) {
    array x = to_array(a);
    return out(core::clip(x, bound(low, x), bound(high, x), s));
  };
  def_op(m, "clip", clip, "a: scalar | array, a_min: scalar | array | None, a_max: scalar | array | None", "array",
      "a"_a, nb::arg("a_min").none(), nb::arg("a_max").none());
  def_op( // the same with the Array API's names and defaults
      m, "clip", clip, "a: scalar | array, min: scalar | array | None = None, max: scalar | array | None = None",
      "array", "a"_a, "min"_a = nb::none(), "max"_a = nb::none());
  def_op(
      m, "nan_to_num",
      [](ScalarOrArray a, double nan, std::optional<double> posinf, std::optional<double> neginf, StreamOrDevice s) {
        return out(core::nan_to_num(to_array(a), nan, posinf, neginf, s));
      },
      "a: scalar | array, nan: float = 0, posinf: float | None = None, neginf: float | None = None", "array",
      nb::arg("a"), nb::arg("nan") = 0.0, nb::arg("posinf") = nb::none(), nb::arg("neginf") = nb::none());
  def_op_exactly(
      m, "round",
      [](ScalarOrArray a, int decimals, StreamOrDevice s) { return out(core::round(to_array(a), decimals, s)); },
      "a: scalar | array, decimals: int = 0, stream: StreamOrDevice = None", "array", "a"_a, "decimals"_a = 0,
      "stream"_a = nb::none());
  def_op(
      m, "astype",
      [](ScalarOrArray a, Dtype dtype, bool copy, StreamOrDevice device, StreamOrDevice s) {
        StreamOrDevice on = placed("astype", device, s);
        bool same = !copy && on.index() == 0 && is_array(a.object) && read(a.object).dtype() == dtype;
        return same ? nb::borrow(a.object) : out(core::astype(to_array(a), dtype, on));
      },
      "a: scalar | array, dtype: Dtype, *, copy: bool = True, device: StreamOrDevice = None", "array", "a"_a, "dtype"_a,
      nb::kw_only(), "copy"_a = true, "device"_a = nb::none());
  def_op(
      m, "to_fp8", [](const array& x, StreamOrDevice s) { return out(core::to_fp8(x, s)); }, "x: array", "array",
      "x"_a);
  def_op(
      m, "from_fp8", [](const array& x, Dtype dtype, StreamOrDevice s) { return out(core::from_fp8(x, dtype, s)); },
      "x: array, dtype: Dtype = bfloat16", "array", "x"_a, nb::arg("dtype") = core::bfloat16);

  for (auto [name, close] : {std::pair("isclose", &core::isclose), std::pair("allclose", &core::allclose)}) {
    def_op(
        m, name,
        [close](ScalarOrArray a, ScalarOrArray b, double rtol, double atol, bool equal_nan, StreamOrDevice s) {
          auto [x, y] = to_arrays(a, b);
          return out(close(x, y, rtol, atol, equal_nan, s));
        },
        "a: scalar | array, b: scalar | array, rtol: float = 1e-05, atol: float = 1e-08, *, equal_nan: bool = False",
        "array", "a"_a, "b"_a, nb::arg("rtol") = 1e-5, nb::arg("atol") = 1e-8, nb::kw_only(),
        nb::arg("equal_nan") = false);
  }
  def_op_exactly(
      m, "array_equal",
      [](ScalarOrArray a, ScalarOrArray b, bool equal_nan, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return out(core::array_equal(x, y, equal_nan, s));
      },
      "a: scalar | array, b: scalar | array, equal_nan: bool = False, stream: StreamOrDevice = None", "array",
      nb::arg("a"), nb::arg("b"), nb::arg("equal_nan") = false, nb::arg("stream") = nb::none());
}

} // namespace mlx::python
