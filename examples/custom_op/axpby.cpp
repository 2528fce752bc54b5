// axpby(x, y, alpha, beta) = alpha * x + beta * y: an operation of one's own, with all rules, and its Python module.
#include <nanobind/nanobind.h>

#include "mlx_core/mlx.h"
#include "mlx_core/primitive.h"

namespace nb = nanobind;
namespace mx = mlx::core;
using mx::array, mx::Operands, mx::Tangent, mx::Tangents;

array axpby(const array& x, const array& y, double alpha, double beta);

class Axpby final : public mx::Primitive {
 public:
  Axpby(double alpha, double beta) : alpha_(alpha), beta_(beta) {}

  const char* name() const override { return "Axpby"; }
  void visit(mx::ParamVisitor& v) const override { v("alpha", alpha_), v("beta", beta_); }
  mx::Specs infer(Operands in) const override { return {{in[0].shape(), in[0].dtype()}}; }

  void eval_cpu(Operands in, std::span<array> out) const override {
    out[0].allocate();
    out[0].dtype() == mx::float64 ? compute<double>(in, out[0]) : compute<float>(in, out[0]);
  }

  // The operation is linear: a tangent goes through it like a value. nullopt is a tangent of zero.
  Tangents jvp(Operands, const Tangents& tangents, Operands out) const override {
    array zero = mx::zeros_like(out[0]);
    return {axpby(tangents[0].value_or(zero), tangents[1].value_or(zero), alpha_, beta_)};
  }
  Tangents vjp(Operands, const Tangents& ct, Operands, std::span<const bool>) const override {
    return {*ct[0] * alpha_, *ct[0] * beta_};
  }
  // Lanes go in front; an operand that every lane shares is repeated by axpby's broadcasting.
  mx::Mapped vmap(Operands in, const mx::MapAxes& axes) const override {
    auto front = [&](int i) { return axes[i] ? mx::moveaxis(in[i], *axes[i], 0) : mx::expand_dims(in[i], 0); };
    return {{axpby(front(0), front(1), alpha_, beta_)}, {0}};
  }

 private:
  template <typename T>
  void compute(Operands in, array& out) const {
    const T *x = in[0].data<T>(), *y = in[1].data<T>();
    T* to = static_cast<T*>(out.mutable_data());
    for (int64_t i = 0, n = out.size(); i < n; ++i) {
      to[i] = static_cast<T>(alpha_) * x[i] + static_cast<T>(beta_) * y[i];
    }
  }

  double alpha_, beta_;
};

array axpby(const array& x, const array& y, double alpha, double beta) {
  bool wide = x.dtype() == mx::float64 || y.dtype() == mx::float64;
  auto operand = [&](const array& a, const array& other) { // of the common shape and dtype, row-major in memory
    mx::Shape shape = mx::broadcast_shapes("axpby", a.shape(), other.shape());
    return mx::contiguous(mx::broadcast_to(mx::astype(a, wide ? mx::float64 : mx::float32), shape));
  };
  return mx::applied(mx::make_primitive<Axpby>(alpha, beta), {operand(x, y), operand(y, x)});
}

// The operation from its parts, as a file of exported functions has them.
std::vector<array> remade_axpby(const mx::Parts& p) { return {axpby(p[0], p[1], p.number("alpha"), p.number("beta"))}; }

NB_MODULE(axpby, m) {
  nb::module_::import_("mlx.core"); // registers the type array
  if (!nb::type<array>().is_valid()) {
    throw nb::import_error(
        "axpby was built with another version of nanobind than mlx.core, which cannot share arrays.");
  }
  mx::add_remake({"Axpby", remade_axpby});
  m.def("axpby", &axpby, nb::arg("x"), nb::arg("y"), nb::arg("alpha") = 1.0, nb::arg("beta") = 1.0,
      nb::sig("def axpby(x: mlx.core.array, y: mlx.core.array, alpha: float = 1, beta: float = 1) -> mlx.core.array"),
      "alpha * x + beta * y, with broadcasting.");
}
