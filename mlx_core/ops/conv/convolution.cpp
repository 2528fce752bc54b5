// Convolution: linear in each operand, and its own derivatives and batches.
#include "mlx_core/ops/conv/convolution.h"

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

namespace {

constexpr int64_t least_lanes = 16; // groups that are worth lying side by side in vectors

// Each group's outputs and channels change places: (groups * C, taps..., outputs / groups).
array exchanged(const array& w, Dim groups) {
  if (surely_equal(groups, 1)) {
    return swapaxes(w, 0, -1);
  }
  return flatten(swapaxes(unflatten(w, 0, {groups, w.shape(0) / groups}), 1, -1), 0, 1);
}

// Channels become the batch, the batch becomes channels, group by group: (C, axes..., groups * N).
array turned(const array& x, Dim groups) {
  if (surely_equal(groups, 1)) {
    return swapaxes(x, 0, -1);
  }
  return flatten(swapaxes(unflatten(x, -1, {groups, x.shape(-1) / groups}), 0, -1), -2, -1);
}

// The inner axes in the opposite order.
array reversed(const array& w) {
  Axes inner;
  for (int axis = 1; axis + 1 < w.ndim(); ++axis) {
    inner.push_back(axis);
  }
  return flip(w, inner);
}

} // namespace

class Convolution final : public Primitive {
 public:
  explicit Convolution(Window window) : window_(std::move(window)) {}
  const char* name() const override { return window_.zero_terms ? "ZeroConvolution" : "Convolution"; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("stride", window_.stride);
    v("low", window_.low);
    v("kernel_dilation", window_.kernel_dilation);
    v("input_dilation", window_.input_dilation);
    v("size", window_.size);
    v("groups", window_.groups);
    v("flip", window_.flip);
  }
  Specs infer(Operands operands) const override {
    Shape shape = prepended(operands[0].shape(0), window_.size);
    shape.push_back(operands[1].shape(0));
    return {Spec{std::move(shape), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    array& y = outputs[0];
    y.allocate();
    const auto stride = sizes_of(window_.stride), low = sizes_of(window_.low);
    const auto kernel_dilation = sizes_of(window_.kernel_dilation), input_dilation = sizes_of(window_.input_dilation);
    kernels.run(kernel::Convolve{operands[0].view(), operands[1].view(), stride, low, kernel_dilation, input_dilation,
        window_.groups, window_.flip, window_.zero_terms, y.view()});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    Tangent left = tangents[0] ? Tangent(along(*tangents[0], primals[1])) : std::nullopt;
    Tangent right = tangents[1] ? Tangent(along(primals[0], *tangents[1])) : std::nullopt;
    return {left && right ? Tangent(add(*left, *right)) : left ? left : right};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (cotangents[0] && wanted[0]) {
      out[0] = of_input(*cotangents[0], primals[0], conj_of(primals[1]));
    }
    if (cotangents[0] && wanted[1]) {
      out[1] = of_weight(*cotangents[0], conj_of(primals[0]), primals[1]);
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    const array &x = operands[0], &w = operands[1];
    Dim lanes = lanes_of(operands, axes);
    if (surely_equal(lanes, 0)) {
      Shape shape = prepended(0, prepended(x.shape(axes[0] == 0 ? 1 : 0), window_.size));
      shape.push_back(w.shape(axes[1] == 0 ? 1 : 0));
      return {{zeros(shape, x.dtype())}, {0}};
    }
    if (!axes[1]) { // lanes join the batch
      array y = again(flatten(moveaxis(x, *axes[0], 0), 0, 1), w);
      return {{unflatten(y, 0, {lanes, y.shape(0) / lanes})}, {0}};
    }
    array weights = moveaxis(w, *axes[1], 0);
    const int channels = weights.ndim() - 2;
    Dim outputs = weights.shape(1), groups = window_.groups;
    if (axes[0]) { // they are groups
      array y = again(flatten(moveaxis(x, *axes[0], -2), -2, -1), flatten(weights, 0, 1), lanes * groups);
      return {{unflatten(y, -1, {lanes, outputs})}, {channels}};
    }
    if (surely_equal(groups, 1)) { // they join the outputs
      return {{unflatten(again(x, flatten(weights, 0, 1)), -1, {lanes, outputs})}, {channels}};
    }
    Dim each = outputs / groups; // those of every group
    array y = again(x, flatten(moveaxis(unflatten(weights, 1, {groups, each}), 0, 1), 0, 2));
    return {{flatten(moveaxis(unflatten(y, -1, {groups, lanes, each}), -2, 0), -2, -1)}, {0}};
  }

 private:
  // The same windows over other operands.
  array again(const array& x, const array& w) const { return again(x, w, window_.groups); }
  array again(const array& x, const array& w, Dim groups) const {
    Window window = window_;
    window.groups = groups;
    return applied(make_primitive<Convolution>(std::move(window)), {x, w});
  }

  array along(const array& x, const array& w) const {
    Window window = window_;
    window.zero_terms = true;
    return applied(make_primitive<Convolution>(std::move(window)), {x, w});
  }

  // The sum over outputs o and taps k with i input_dilation = o stride + k kernel_dilation - low: as windows over
  // outputs that are dilated by the stride, with taps counted from the other end.
  array of_input(const array& ct, const array& x, const array& w) const {
    Window back = window_;
    back.stride = window_.input_dilation, back.input_dilation = window_.stride;
    back.flip = !window_.flip, back.zero_terms = true;
    for (size_t d = 0; d < back.low.size(); ++d) {
      back.low[d] = window_.kernel_dilation[d] * (w.shape()[d + 1] - 1) - window_.low[d];
      back.size[d] = x.shape()[d + 1];
    }
    return applied(make_primitive<Convolution>(std::move(back)), {ct, exchanged(w, window_.groups)});
  }
  // Taps and outputs change places.
  array of_weight(const array& ct, const array& x, const array& w) const {
    Window back = window_;
    back.stride = window_.kernel_dilation, back.kernel_dilation = window_.stride;
    back.flip = false, back.zero_terms = true;
    for (size_t d = 0; d < back.size.size(); ++d) {
      back.size[d] = w.shape()[d + 1];
    }
    const Dim groups = window_.groups;
    if (surely_equal(w.shape(0), groups) && surely_equal(w.shape(-1), 1) && !groups.is_symbolic() &&
        groups >= least_lanes && back.size.size() < 3) {
      // One channel and one output a group: the batch is a further axis of the windows, and nothing changes places.
      for (Shape* list : {&back.stride, &back.kernel_dilation, &back.input_dilation, &back.size}) {
        list->insert(list->begin(), 1);
      }
      back.low.insert(back.low.begin(), 0);
      array y = applied(
          make_primitive<Convolution>(std::move(back)), {expand_dims(x, 0), expand_dims(moveaxis(ct, -1, 0), -1)});
      y = swapaxes(squeeze(y, 1), 0, -1);
      return window_.flip ? reversed(y) : y;
    }
    array y = applied(make_primitive<Convolution>(std::move(back)), {turned(x, window_.groups), swapaxes(ct, 0, -1)});
    y = swapaxes(y, 0, -1);
    return window_.flip ? reversed(y) : y;
  }

  Window window_;
};

array convolution(const char* op, const array& x, const array& w, Window window) {
  // Places along an axis are sums of three of these.
  constexpr int64_t most = int64_t{1} << 60;
  for (size_t d = 0; d < window.size.size(); ++d) {
    Dim values[] = {window.low[d], window.stride[d], window.kernel_dilation[d], window.input_dilation[d],
        window.stride[d] * window.size[d], window.kernel_dilation[d] * w.shape()[d + 1],
        window.input_dilation[d] * x.shape()[d + 1]};
    for (Dim value : values) {
      if (!value.is_symbolic() && (value > most || value < -most)) {
        fail(op, "strides, dilations and paddings reach ", value, " elements along axis ", d + 1,
            " of input with shape ", x.shape(), "; at most 2**60 are possible.");
      }
    }
  }
  Dtype dtype = promote_types(x.dtype(), w.dtype());
  return applied(make_primitive<Convolution>(std::move(window)), {astype(x, dtype), astype(w, dtype)});
}

static std::vector<array> made_again(const Parts& p, bool zero_terms) {
  Window window{p.shape("stride"), p.shape("low"), p.shape("kernel_dilation"), p.shape("input_dilation"),
      p.shape("size"), p.size("groups"), p.flag("flip"), zero_terms};
  const array &x = p[0], &w = p[1];
  const size_t axes = window.size.size();
  Parts::require(axes >= 1 && axes <= 3 && x.ndim() == static_cast<int>(axes) + 2 && w.ndim() == x.ndim() &&
                     window.stride.size() == axes && window.low.size() == axes &&
                     window.kernel_dilation.size() == axes && window.input_dilation.size() == axes,
      "the axes of a convolution do not fit.");
  for (const Shape* list : {&window.stride, &window.kernel_dilation, &window.input_dilation}) {
    for (Dim d : *list) {
      Parts::require(d.is_symbolic() || d >= 1, "a convolution has strides or dilations below 1.");
    }
  }
  for (Dim d : window.size) {
    Parts::require(d.is_symbolic() || d >= 0, "a convolution has a negative number of outputs.");
  }
  Parts::require(x.dtype() == w.dtype(), "a convolution's operands differ in dtype.");
  Dim groups = window.groups;
  Parts::require(groups.is_symbolic() || groups >= 1, "a convolution has no groups.");
  Parts::require(
      !surely_differ(x.shape(-1), groups * w.shape(-1)) && !surely_differ(w.shape(0), w.shape(0) / groups * groups),
      "a convolution's channels do not fit its groups.");
  return std::vector<array>{convolution("convolution", x, w, std::move(window))};
}

std::span<const Remake> conv_remakes() {
  static constexpr Remake rows[] = {
      {"Convolution", [](const Parts& p) { return made_again(p, false); }},
      {"ZeroConvolution", [](const Parts& p) { return made_again(p, true); }},
  };
  return rows;
}

} // namespace mlx::core
