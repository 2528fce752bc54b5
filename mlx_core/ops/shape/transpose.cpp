// Permuting axes.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/shape/rearrange.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

class Transpose final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "transpose",
      .primitive = "Transpose",
      .summary = "The axes permuted: axis i of the result is axis axes[i] of a. Reversed by default.",
      .example =
          ">>> mx.transpose(mx.array([[1, 2, 3], [4, 5, 6]]))\narray([[1, 4],\n       [2, 5],\n       [3, 6]], "
          "dtype=int32)"};

  explicit Transpose(Axes axes) : axes_(std::move(axes)) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("axes", axes_); }
  Specs infer(Operands operands) const override { return {Spec{permuted(operands[0].shape()), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], permuted(operands[0].strides()));
  }
  array transpose(const array& cotangent, const array&) const override {
    Axes inverse(axes_.size());
    for (size_t i = 0; i < axes_.size(); ++i) {
      inverse[static_cast<size_t>(axes_[i])] = static_cast<int>(i);
    }
    return applied(make_primitive<Transpose>(std::move(inverse)), {cotangent});
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Axes permutation;
    permutation.push_back(*axes[0]);
    for (int axis : around_batch(axes_, *axes[0])) {
      permutation.push_back(axis);
    }
    return {{core::transpose(operands[0], permutation)}, {0}};
  }

 private:
  template <typename V>
  V permuted(const V& from) const {
    V out;
    out.reserve(from.size());
    for (int axis : axes_) {
      out.push_back(from[static_cast<size_t>(axis)]);
    }
    return out;
  }
  Axes axes_;
  friend const Axes* permuted_axes(const Primitive& primitive);
};

const Axes* permuted_axes(const Primitive& primitive) {
  const auto* transpose = dynamic_cast<const Transpose*>(&primitive);
  return transpose ? &transpose->axes_ : nullptr;
}
PrimitiveRef permuting(Axes axes) { return make_primitive<Transpose>(std::move(axes)); }

bool exchanges_matrix_axes(const Primitive& primitive) {
  const Axes* axes = permuted_axes(primitive);
  return axes && *axes == Axes{1, 0};
}

namespace {

// axes is a permutation of a's.
array permute(const array& a, Axes axes) {
  bool moves = false;
  for (size_t i = 0; i < axes.size(); ++i) {
    moves = moves || axes[i] != static_cast<int>(i);
  }
  return moves ? applied(make_primitive<Transpose>(std::move(axes)), {a}) : a;
}

} // namespace

array transpose(const array& a, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  if (static_cast<int>(axes.size()) != a.ndim()) {
    fail("transpose", "axes ", axes, " has ", axes.size(), " entries, but the array has ", a.ndim(), " dimensions.");
  }
  Axes permutation;
  for (int axis : axes) {
    permutation.push_back(normalize_axis("transpose", axis, a.ndim()));
  }
  normalize_axes("transpose", permutation, a.ndim()); // throws when one is repeated
  return permute(a, std::move(permutation));
}
array transpose(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  Axes axes;
  for (int i = a.ndim(); i-- > 0;) {
    axes.push_back(i);
  }
  return permute(a, std::move(axes));
}

static constexpr OpInfo matrix_transpose_info{.name = "matrix_transpose",
    .primitive = "Transpose",
    .summary = "Swaps the last two axes.",
    .example = ">>> mx.matrix_transpose(mx.zeros((2, 3, 4))).shape\n(2, 4, 3)",
    .details = "Raises when there are fewer than two axes."};
array matrix_transpose(const array& a, StreamOrDevice s) {
  if (a.ndim() < 2) {
    fail("matrix_transpose", "the array has shape ", a.shape(), "; at least two dimensions are needed.");
  }
  return swapaxes(a, -2, -1, s);
}

static constexpr OpInfo moveaxis_info{.name = "moveaxis",
    .primitive = "Transpose",
    .summary = "The axis source moved to position destination; the others keep their order.",
    .example =
        ">>> mx.moveaxis(mx.zeros((2, 3, 4)), 0, -1).shape\n(3, 4, 2)\n"
        ">>> mx.moveaxis(mx.zeros((2, 3, 4)), (0, 1), (-1, 0)).shape\n(3, 4, 2)",
    .details =
        "Several axes are given as two sequences of one length. Raises ValueError for an axis that occurs twice."};
array moveaxis(const array& a, int source, int destination, StreamOrDevice s) {
  StreamScope on(s);
  int from = normalize_axis("moveaxis", source, a.ndim());
  int to = normalize_axis("moveaxis", destination, a.ndim());
  Axes axes = all_axes(a.ndim());
  axes.erase(axes.begin() + from);
  axes.insert(axes.begin() + to, from);
  return permute(a, std::move(axes));
}
array moveaxis(const array& a, const Axes& source, const Axes& destination, StreamOrDevice s) {
  StreamScope on(s);
  if (source.size() != destination.size()) {
    fail("moveaxis", "source ", source, " and destination ", destination,
        " have different lengths; give one destination for each axis.");
  }
  int rank = a.ndim();
  Axes order; // the axis at each position; -1 until it is known
  order.resize(static_cast<size_t>(rank), -1);
  std::vector<bool> moved(static_cast<size_t>(rank), false);
  for (size_t i = 0; i < source.size(); ++i) {
    auto from = static_cast<size_t>(normalize_axis("moveaxis", source[i], rank));
    auto to = static_cast<size_t>(normalize_axis("moveaxis", destination[i], rank));
    if (moved[from] || order[to] >= 0) {
      fail("moveaxis", moved[from] ? "source " : "destination ", moved[from] ? source : destination, " has axis ",
          moved[from] ? source[i] : destination[i], " twice, of an array with ", rank, " axes.");
    }
    moved[from] = true;
    order[to] = static_cast<int>(from);
  }
  for (size_t to = 0, next = 0; to < order.size(); ++to) {
    if (order[to] < 0) {
      while (moved[next]) {
        ++next;
      }
      order[to] = static_cast<int>(next++);
    }
  }
  return permute(a, std::move(order));
}

static constexpr OpInfo swapaxes_info{.name = "swapaxes",
    .primitive = "Transpose",
    .summary = "Two axes exchanged.",
    .example = ">>> mx.swapaxes(mx.zeros((2, 3, 4)), 0, 2).shape\n(4, 3, 2)"};
array swapaxes(const array& a, int axis1, int axis2, StreamOrDevice s) {
  StreamScope on(s);
  Axes axes = all_axes(a.ndim());
  std::swap(axes[static_cast<size_t>(normalize_axis("swapaxes", axis1, a.ndim()))],
      axes[static_cast<size_t>(normalize_axis("swapaxes", axis2, a.ndim()))]);
  return permute(a, std::move(axes));
}

std::span<const OpInfo* const> transpose_ops() {
  static constexpr const OpInfo* ops[] = {&Transpose::info, &matrix_transpose_info, &moveaxis_info, &swapaxes_info};
  return ops;
}

} // namespace mlx::core
