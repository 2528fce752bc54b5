// y_j = a_j y_{j-1} + b_j along an axis: derivatives of running products, extrema and log-sum-exponentials are such
// sums. It has no division, so zeros are right to every order, and no difference of sums, so nothing cancels.
#include "mlx_core/ops/reduce/linear_recurrence.h"
#include "mlx_core/backend/kernels.h"

#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

array previous(const array& a, int axis, bool reverse, const array& first) {
  auto at = static_cast<size_t>(axis);
  Dim length = a.shape()[at], moved = smaller_of(1, length); // of no elements none moves
  if (surely_equal(length, 0)) {
    return a;
  }
  Shape start(a.shape().size(), 0), stop = a.shape(), one = a.shape();
  one[at] = moved;
  array edge = full(one, first, a.dtype());
  if (reverse) {
    start[at] = moved;
    return concatenate({slice(a, std::move(start), std::move(stop)), edge}, axis);
  }
  stop[at] = length - moved;
  return concatenate({edge, slice(a, std::move(start), std::move(stop))}, axis);
}
array previous(const array& a, int axis, bool reverse) { return previous(a, axis, reverse, array(0, a.dtype())); }

class LinearRecurrence final : public Primitive {
 public:
  LinearRecurrence(int axis, bool reverse) : axis_(axis), reverse_(reverse) {}
  const char* name() const override { return "LinearRecurrence"; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("axis", axis_);
    v("reverse", reverse_);
  }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), operands[1].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array &a = operands[0], &b = operands[1];
    outputs[0].allocate();
    kernels.run(kernel::Recurrence{a.view(), b.view(), axis_, reverse_, outputs[0].view()});
  }
  // dy_j = a_j dy_{j-1} + (da_j y_{j-1} + db_j)
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    Tangent driven = tangents[1];
    if (tangents[0]) {
      array through = zero_times(*tangents[0], previous(outputs[0], axis_, reverse_));
      driven = driven ? add(through, *driven) : through;
    }
    return {driven ? Tangent(linear_recurrence(primals[0], *driven, axis_, reverse_)) : std::nullopt};
  }
  // g_j = ct_j + conj(a_{j+1}) g_{j+1} is b_j's cotangent, and g_j conj(y_{j-1}) that of a_j.
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (cotangents[0]) {
      array behind = previous(conj_of(primals[0]), axis_, !reverse_);
      array g = linear_recurrence(behind, *cotangents[0], axis_, !reverse_);
      if (wanted[0]) {
        out[0] = zero_times(g, conj_of(previous(outputs[0], axis_, reverse_)));
      }
      out[1] = g;
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    array a = batch_first(operands[0], axes[0], lanes), b = batch_first(operands[1], axes[1], lanes);
    return {{linear_recurrence(a, b, axis_ + 1, reverse_)}, {0}};
  }

 private:
  int axis_;
  bool reverse_;
};

array linear_recurrence(const array& a, const array& b, int axis, bool reverse) {
  return applied(make_primitive<LinearRecurrence>(axis, reverse), {a, b});
}

} // namespace mlx::core
