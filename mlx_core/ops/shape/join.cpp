// Joining arrays along an axis, and cutting them apart.
#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

namespace {

// a[..., from:to, ...] along one axis.
array cut(const array& a, int axis, Dim from, Dim to, StreamOrDevice s = {}) {
  Shape start(a.shape().size(), 0), stop = a.shape();
  start[static_cast<size_t>(axis)] = from;
  stop[static_cast<size_t>(axis)] = to;
  return slice(a, std::move(start), std::move(stop), s);
}

} // namespace

// Linear in all operands at once.
class Concatenate final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "concatenate",
      .primitive = "Concatenate",
      .summary = "The arrays one after another along an existing axis.",
      .example = ">>> mx.concatenate([mx.array([1, 2]), mx.array([3])])\narray([1, 2, 3], dtype=int32)",
      .details = "All other axes have equal lengths. The dtype is the one all of them promote to."};

  explicit Concatenate(int axis) : axis_(axis) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override { v("axis", axis_); }
  int axis() const { return axis_; }
  Specs infer(Operands operands) const override {
    Shape shape = operands[0].shape();
    size_t at = static_cast<size_t>(axis_);
    for (const array& a : operands.subspan(1)) {
      for (size_t i = 0; i < shape.size(); ++i) {
        if (i != at && !(a.shape()[i] == shape[i])) {
          fail("concatenate", "shapes ", operands[0].shape(), " and ", a.shape(), " differ along axis ", i,
              "; all axes but axis ", axis_, " must have equal lengths.");
        }
      }
      shape[at] += a.shape()[at];
    }
    return {Spec{std::move(shape), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    if (outputs[0].node()->buffer) {
      return join_others(operands, outputs[0].view(), kernels);
    }
    outputs[0].allocate();
    std::vector<View> inputs;
    inputs.reserve(operands.size());
    for (const array& x : operands) {
      inputs.push_back(x.view());
    }
    kernels.run(kernel::Join{inputs, axis_, outputs[0].view()});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    std::vector<array> all;
    bool any = false;
    for (size_t i = 0; i < primals.size(); ++i) {
      any = any || tangents[i];
      all.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
    }
    return {any ? Tangent(applied(self(*this), all)) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    Dim from = 0;
    for (size_t i = 0; i < primals.size() && cotangents[0]; ++i) {
      Dim to = from + primals[i].shape()[static_cast<size_t>(axis_)];
      if (wanted[i]) {
        out[i] = cut(*cotangents[0], axis_, from, to);
      }
      from = to;
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    std::vector<array> all;
    for (size_t i = 0; i < operands.size(); ++i) {
      all.push_back(batch_first(operands[i], axes[i], lanes));
    }
    return {{applied(make_primitive<Concatenate>(axis_ + 1), all)}, {0}};
  }

 private:
  // Memory was there before: those of which it holds the elements wrote them there.
  void join_others(Operands operands, const View& whole, Kernels& kernels) const {
    auto axis = static_cast<size_t>(axis_);
    int64_t first = 0;
    for (const array& x : operands) {
      View from = x.view();
      if (from.buffer != whole.buffer) {
        kernels.run(kernel::Copy{from, whole.laid_out(from.sizes, whole.strides, first * whole.strides[axis])});
      }
      first += from.sizes[axis];
    }
  }

  int axis_;
};

namespace {

std::vector<array> promoted(const std::vector<array>& arrays) {
  Dtype dtype = arrays[0].dtype();
  for (const array& a : arrays) {
    dtype = promote_types(dtype, a.dtype());
  }
  std::vector<array> out;
  out.reserve(arrays.size());
  for (const array& a : arrays) {
    out.push_back(astype(a, dtype));
  }
  return out;
}

constexpr size_t most_operands = 32768; // of one node

// Takes out the arrays that have no elements along the axis, but for one if all are so. Those that fit nowhere stay,
// for the error.
void leave_out_nothings(std::vector<array>& arrays, size_t axis) {
  auto is_nothing = [&](const array& a) { return surely_equal(a.shape()[axis], 0); };
  if (std::none_of(arrays.begin(), arrays.end(), is_nothing)) {
    return;
  }
  auto model = std::find_if_not(arrays.begin(), arrays.end(), is_nothing);
  Shape shape = model == arrays.end() ? arrays[0].shape() : model->shape();
  shape[axis] = 0;
  auto fits = [&](const array& a) { return is_nothing(a) && surely_equal(a.shape(), shape); };
  bool all = std::all_of(arrays.begin(), arrays.end(), fits);
  if (model == arrays.end() && !all) {
    return;
  }
  arrays.erase(std::remove_if(arrays.begin() + (all ? 1 : 0), arrays.end(), fits), arrays.end());
}

// An array is made for each part at once.
constexpr int64_t most_parts = int64_t{1} << 24;
void check_parts(const char* op, int64_t parts, const Shape& shape) {
  if (parts > most_parts) {
    fail(op, "an array of shape ", shape, " would be cut into ", parts, " arrays; the most is ", most_parts, ".");
  }
}

} // namespace

std::optional<int> joined_axis(const Primitive& primitive) {
  const auto* joined = dynamic_cast<const Concatenate*>(&primitive);
  return joined ? std::optional(joined->axis()) : std::nullopt;
}

array concatenate(const std::vector<array>& arrays, int axis, StreamOrDevice s) {
  StreamScope on(s);
  if (arrays.empty()) {
    fail("concatenate", "No arrays were given; at least one is needed.");
  }
  if (arrays.size() == 1 && arrays[0].ndim() == 0) {
    return arrays[0];
  }
  int at = normalize_axis("concatenate", axis, arrays[0].ndim());
  for (const array& a : arrays) {
    if (a.ndim() != arrays[0].ndim()) {
      fail("concatenate", "the arrays have ", arrays[0].ndim(), " and ", a.ndim(),
          " dimensions; all must have the same number.");
    }
  }
  if (arrays.size() == 1) {
    return arrays[0];
  }
  std::vector<array> all = promoted(arrays);
  leave_out_nothings(all, static_cast<size_t>(at));
  if (all.size() == 1) {
    return all[0];
  }
  while (all.size() > most_operands) {
    std::vector<array> fewer;
    for (size_t i = 0; i < all.size(); i += most_operands) {
      size_t count = std::min(most_operands, all.size() - i);
      fewer.push_back(applied(make_primitive<Concatenate>(at), std::span<const array>(all).subspan(i, count)));
    }
    all = std::move(fewer);
  }
  return applied(make_primitive<Concatenate>(at), all);
}

static constexpr OpInfo stack_info{.name = "stack",
    .primitive = "Concatenate",
    .summary = "Arrays of one shape put side by side along a new axis.",
    .example = ">>> mx.stack([mx.array([1, 2]), mx.array([3, 4])])\narray([[1, 2],\n       [3, 4]], dtype=int32)"};
array stack(const std::vector<array>& arrays, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  if (arrays.empty()) {
    fail("stack", "No arrays were given; at least one is needed.");
  }
  int at = normalize_axis("stack", axis, arrays[0].ndim() + 1);
  // Joined along the axis that comes behind the new one, they lie as they should: one view instead of one for each.
  Shape shape = arrays[0].shape();
  if (at < arrays[0].ndim() &&
      std::all_of(arrays.begin(), arrays.end(), [&](const array& a) { return a.shape() == shape; })) {
    shape.insert(shape.begin() + at, static_cast<int64_t>(arrays.size()));
    return reshape(concatenate(arrays, at, s), shape, s);
  }
  std::vector<array> all;
  all.reserve(arrays.size());
  for (const array& a : arrays) {
    if (!(a.shape() == arrays[0].shape())) {
      fail(
          "stack", "the arrays have shapes ", arrays[0].shape(), " and ", a.shape(), "; all must have the same shape.");
    }
    all.push_back(expand_dims(a, {at}));
  }
  return concatenate(all, at, s);
} catch (const SizeError& error) {
  error.rethrow_in("stack");
}

static constexpr OpInfo split_info{.name = "split",
    .primitive = "Slice",
    .summary = "The array cut along an axis, into a number of equal parts or at given positions.",
    .example = ">>> a, b = mx.split(mx.arange(4), [1])\n>>> b\narray([1, 2, 3], dtype=int32)",
    .details = "The parts are views. Positions count from the end when negative, and are brought into the array."};
std::vector<array> split(const array& a, const Axes& indices, int axis, StreamOrDevice s) {
  int at = normalize_axis("split", axis, a.ndim());
  Dim length = a.shape()[static_cast<size_t>(at)];
  std::vector<array> out;
  Dim from = 0;
  for (size_t i = 0; i <= indices.size(); ++i) {
    Dim to = i < indices.size() ? Dim(indices[i]) : length;
    to = smaller_of(larger_of(to < 0 ? to + length : to, 0), length);
    out.push_back(cut(a, at, from, larger_of(from, to), s));
    from = to;
  }
  return out;
}
std::vector<array> split(const array& a, int sections, int axis, StreamOrDevice s) {
  int at = normalize_axis("split", axis, a.ndim());
  Dim length = a.shape()[static_cast<size_t>(at)];
  if (sections <= 0) {
    fail("split", "sections is ", sections, "; it must be positive.");
  }
  if (!(length == length / sections * sections)) {
    fail("split", "axis ", axis, " of length ", length, " (shape ", a.shape(), ") cannot be cut into ", sections,
        " equal parts; give the positions to cut at instead.");
  }
  check_parts("split", sections, a.shape());
  std::vector<array> out;
  for (int64_t i = 0; i < sections; ++i) {
    out.push_back(cut(a, at, length / sections * i, length / sections * (i + 1), s));
  }
  return out;
}

static constexpr OpInfo unstack_info{.name = "unstack",
    .primitive = "Slice",
    .summary = "The array's entries along an axis, each without that axis.",
    .example = ">>> a, b = mx.unstack(mx.array([[1, 2], [3, 4]]))\n>>> b\narray([3, 4], dtype=int32)",
    .details = "The entries are views."};
std::vector<array> unstack(const array& a, int axis, StreamOrDevice s) {
  int at = normalize_axis("unstack", axis, a.ndim());
  check_parts("unstack", a.shape()[static_cast<size_t>(at)], a.shape());
  std::vector<array> out;
  for (int64_t i = 0, length = a.shape()[static_cast<size_t>(at)]; i < length; ++i) {
    out.push_back(squeeze(cut(a, at, i, i + 1, s), {at}, s));
  }
  return out;
}

std::span<const OpInfo* const> join_ops() {
  static constexpr const OpInfo* ops[] = {&Concatenate::info, &stack_info, &split_info, &unstack_info};
  return ops;
}

} // namespace mlx::core
