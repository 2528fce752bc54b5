// Sorting along an axis.

#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

class Sort final : public Primitive, public OnViews {
 public:
  static constexpr OpInfo info{.name = "sort",
      .primitive = "Sort",
      .summary = "The elements in ascending order along an axis (the last by default; None sorts the flattened array).",
      .example = ">>> mx.sort(mx.array([3, 1, 2]))\narray([1, 2, 3], dtype=int32)",
      .details =
          "NaNs come last. Complex numbers are ordered by real part, then imaginary part. The derivative follows each "
          "element to its place."};

  explicit Sort(int axis) : axis_(axis) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override { v("axis", axis_); }
  int reusable_operand() const override { return 0; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    bool taken = y.take_over(x);
    if (!taken) {
      y.allocate();
    }
    kernels.run(kernel::Sort{taken ? y.view() : x.view(), axis_, y.view()});
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::Sort{operands[0], axis_, output});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    return {take_along_axis(*tangents[0], argsort(primals[0], axis_), axis_)};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    if (!cotangents[0]) {
      return {std::nullopt};
    }
    // Each element goes to one place, so nothing is written twice.
    const array& ct = *cotangents[0];
    return {scatter_add_axis(zeros(ct.shape(), ct.dtype()), argsort(primals[0], axis_), ct, axis_)};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int axis = axis_ + (axis_ >= *axes[0] ? 1 : 0);
    return {{applied(make_primitive<Sort>(axis), {operands[0]})}, {*axes[0]}};
  }

 private:
  int axis_;
};

array sort(const array& a, int axis, StreamOrDevice s) {
  StreamScope on(s);
  return applied(make_primitive<Sort>(normalize_axis("sort", axis, a.ndim())), {a});
}
array sort(const array& a, StreamOrDevice s) { return sort(flatten(a), 0, s); }

class ArgSort final : public Primitive, public OnViews {
 public:
  static constexpr OpInfo info{.name = "argsort",
      .primitive = "ArgSort",
      .summary = "The indices that sort an array along an axis (the last by default; None sorts the flattened array).",
      .differentiable = Differentiable::no,
      .no_derivative = {"the output is indices"},
      .example = ">>> mx.argsort(mx.array([3, 1, 2]))\narray([1, 2, 0], dtype=int32)",
      .details = "Equal elements keep their order; NaNs come last."};

  explicit ArgSort(int axis) : axis_(axis) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override { v("axis", axis_); }
  Specs infer(Operands operands) const override {
    return {Spec{operands[0].shape(), index_dtype("argsort", operands[0].shape(), axis_)}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].allocate();
    const View x = operands[0].view();
    run_on({&x, 1}, outputs[0].view(), kernels);
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::ArgSort{operands[0], axis_, output});
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int axis = axis_ + (axis_ >= *axes[0] ? 1 : 0);
    return {{applied(make_primitive<ArgSort>(axis), {operands[0]})}, {*axes[0]}};
  }

 private:
  int axis_;
};

array argsort(const array& a, int axis, StreamOrDevice s) {
  StreamScope on(s);
  return applied(make_primitive<ArgSort>(normalize_axis("argsort", axis, a.ndim())), {a});
}
array argsort(const array& a, StreamOrDevice s) { return argsort(flatten(a), 0, s); }

std::span<const OpInfo* const> sort_ops() {
  static constexpr const OpInfo* here[] = {&Sort::info, &ArgSort::info};
  static const std::vector<const OpInfo*>& ops =
      *new std::vector<const OpInfo*>(joined({here, partition_ops(), search_ops()}));
  return ops;
}

std::span<const Remake> sort_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Sort", [](const Parts& p) { return A{sort(p[0], p.integer("axis"))}; }},
      {"ArgSort", [](const Parts& p) { return A{argsort(p[0], p.integer("axis"))}; }},
      {"ArgPartition", &partition_remade},
      {"SearchSorted",
          [](const Parts& p) {
            std::string side = p.flag("right") ? "right" : "left";
            auto search = [&](const A& in) { return A{searchsorted(in[0], in[1], side)}; };
            return over_leading(p.integer("batch_rank"), search, {p[0], p[1]});
          }},
  };
  return rows;
}

} // namespace mlx::core
