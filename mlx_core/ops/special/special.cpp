// The primitive of special functions: one for all, as they differ in their derivative alone.
#include "mlx_core/ops/special/special.h"

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::special {

namespace {

constexpr int most_coefficients = 64; // of Taylor series in the kernels

// One function of element-by-element arguments of one shape, with the orders of its derivatives in parameters.
class SpecialPrimitive final : public Primitive {
 public:
  SpecialPrimitive(SpecialFunction function, Orders orders) : rule_(rule_of(function)), orders_(orders) {}
  const char* name() const override { return "SpecialFunction"; }
  Dependence dependence() const override { return Dependence::elementwise; }
  void visit(ParamVisitor& v) const override {
    v("function", rule_.name);
    v("orders", std::span<const int>(orders_.data(), static_cast<size_t>(rule_.orders)));
  }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    std::vector<View> inputs;
    for (const array& operand : operands) inputs.push_back(operand.view());
    outputs[0].allocate();
    kernels.run(kernel::Special{rule_.function, orders_, inputs, outputs[0].view()});
  }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    Tangent total;
    for (size_t k = 0; k < primals.size(); ++k) {
      if (tangents[k]) {
        array part = chain(k, *tangents[k], primals, outputs[0]);
        total = total ? add(*total, part) : part;
      }
    }
    return {total};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    for (size_t k = 0; k < primals.size() && cotangents[0]; ++k) {
      if (wanted[k]) {
        out[k] = chain(k, *cotangents[0], primals, outputs[0]);
      }
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    std::vector<array> moved;
    for (size_t i = 0; i < operands.size(); ++i) moved.push_back(batch_first(operands[i], axes[i], lanes));
    return {{applied(self(*this), moved)}, {0}};
  }

 private:
  array chain(size_t k, const array& g, Operands primals, const array& y) const {
    return zero_times(g, rule_.derivative(static_cast<int>(k), orders_, primals, y));
  }

  const SpecialRule& rule_;
  Orders orders_;
};

} // namespace

array apply(SpecialFunction function, Orders orders, std::span<const array> x) {
  const SpecialRule& rule = rule_of(function);
  bool is_series = rule.inputs > 1 || function == SpecialFunction::riemann_zeta;
  if (is_series && (orders[0] + 1) * (orders[1] + 1) > most_coefficients) {
    fail(rule.name, "the derivative of order ", orders[0] + orders[1], " in the parameters is more than the ",
        most_coefficients - 1, " that there are.");
  }
  return applied(make_primitive<SpecialPrimitive>(function, orders), x);
}

std::vector<array> arguments(const char* op, std::span<const array> x) {
  Dtype dtype = x[0].dtype();
  for (const array& a : x) {
    dtype = promote_types(dtype, a.dtype());
    if (a.dtype().is_complex()) {
      fail(op, "an argument has dtype ", a.dtype(),
          ". Complex numbers are not accepted; take real(a), imag(a) or abs(a) first.");
    }
  }
  dtype = inexact_of(dtype);
  std::vector<array> out;
  Shape shape = x[0].shape();
  bool same = true;
  for (const array& a : x) {
    if (!surely_equal(a.shape(), shape)) {
      shape = broadcast_shapes(op, shape, a.shape());
      same = false;
    }
    out.push_back(astype(a, dtype));
  }
  for (array& a : out) {
    if (!same && !surely_equal(a.shape(), shape)) a = broadcast_to(a, shape);
  }
  return out;
}

array checked(const OpInfo& info, SpecialFunction function, Orders orders, std::initializer_list<array> x) {
  return apply(function, orders, arguments(info.name, std::span(x.begin(), x.size())));
}

} // namespace mlx::core::special

namespace mlx::core {

std::span<const Remake> special_function_remakes() {
  static constexpr Remake rows[] = {
      {"SpecialFunction", [](const Parts& p) {
         using namespace special;
         const std::string& name = p.text("function");
         Axes given = p.axes("orders");
         for (int f = 0; f <= static_cast<int>(SpecialFunction::beta_density); ++f) {
           const SpecialRule& rule = rule_of(static_cast<SpecialFunction>(f));
           if (name != rule.name) continue;
           Parts::require(static_cast<int>(p.operands().size()) == rule.inputs,
               "a special function has another number of arguments.");
           Parts::require(
               static_cast<int>(given.size()) == rule.orders, "a special function has another number of orders.");
           Orders orders{};
           for (size_t i = 0; i < given.size(); ++i) {
             Parts::require(given[i] >= 0 && given[i] <= (rule.function == SpecialFunction::polygamma ? 1 << 30 : 4096),
                 "a special function has no such order.");
             orders[i] = given[i];
           }
           for (const array& x : p.operands()) {
             Parts::require(x.dtype().is_floating() && x.dtype() == p[0].dtype(),
                 "the arguments of a special function are not of one floating dtype.");
           }
           return std::vector<array>{apply(rule.function, orders, arguments("SpecialFunction", p.operands()))};
         }
         Parts::require(false, "a special function has an unknown name.");
         return std::vector<array>{};
       }}};
  return rows;
}

} // namespace mlx::core
