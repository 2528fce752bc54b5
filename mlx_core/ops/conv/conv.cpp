// The public convolutions: what their arguments come to as windows.
#include "mlx_core/conv.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/conv/convolution.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

namespace {

// A number for each axis, from as many or from one for all.
Shape per_axis(const char* op, const char* name, const Shape& given, int axes, int64_t least) {
  if (given.size() != 1 && static_cast<int>(given.size()) != axes) {
    fail(op, name, " ", given, " has ", given.size(), " entries, but there are ", axes,
        " axes to convolve along; give one number, or one for each.");
  }
  Shape all;
  for (int axis = 0; axis < axes; ++axis) {
    Dim value = given[given.size() == 1 ? 0 : static_cast<size_t>(axis)];
    if (!value.is_symbolic() && value < least) {
      fail(op, name, " is ", value, "; it should be at least ", least, ".");
    }
    all.push_back(value);
  }
  return all;
}
constexpr int64_t no_least = -most_elements;

void check_operands(const char* op, const array& input, const array& weight, int axes, int groups) {
  auto form = [&](const char* first, const char* last) {
    std::string text = "(" + std::string(first);
    static constexpr const char* names[][3] = {{"W"}, {"H", "W"}, {"D", "H", "W"}};
    for (int axis = 0; axis < axes; ++axis) {
      text += std::string(", ") + names[axes - 1][axis];
    }
    return text + ", " + last + ")";
  };
  if (input.ndim() != axes + 2) {
    fail(op, "input has shape ", input.shape(), "; it should have ", axes + 2, " dimensions, ", form("N", "C_in"), ".");
  }
  if (weight.ndim() != axes + 2) {
    fail(op, "weight has shape ", weight.shape(), "; it should have ", axes + 2, " dimensions, ",
        form("C_out", "C_in / groups"), ".");
  }
  if (groups < 1) {
    fail(op, "groups is ", groups, "; it should be at least 1.");
  }
  if (surely_differ(input.shape(-1), weight.shape(-1) * groups)) {
    fail(op, "input with shape ", input.shape(), " has ", input.shape(-1), " channels, but weight with shape ",
        weight.shape(), " and groups=", groups, " take ", weight.shape(-1) * groups,
        "; weight's last axis should be the input's channels divided by groups.");
  }
  Dim outputs = weight.shape(0);
  if (surely_differ(outputs / groups * groups, outputs)) {
    fail(op, "weight with shape ", weight.shape(), " has ", outputs, " outputs, which groups=", groups,
        " does not divide.");
  }
}

int axes_of(const char* op, const array& input) {
  if (input.ndim() < 3 || input.ndim() > 5) {
    fail(op, "input has shape ", input.shape(), "; it should be (N, axes..., C_in), with one to three axes.");
  }
  return input.ndim() - 2;
}

// The elements of an axis with zeros in between.
Dim dilated(Dim length, Dim dilation) {
  return surely_equal(dilation, 1) ? length : larger_of(0, dilation * (length - 1) + 1);
}

} // namespace

array convolved(const char* op, const array& input, const array& weight, int axes, const Shape& stride,
    const Shape& low, const Shape& high, const Shape& kernel_dilation, const Shape& input_dilation, int groups,
    bool flip) try {
  check_operands(op, input, weight, axes, groups);
  Window window{per_axis(op, "stride", stride, axes, 1), per_axis(op, "padding", low, axes, no_least),
      per_axis(op, "dilation", kernel_dilation, axes, 1), per_axis(op, "input_dilation", input_dilation, axes, 1), {},
      groups, flip, false};
  Shape behind = per_axis(op, "padding", high, axes, no_least);
  for (size_t d = 0; d < behind.size(); ++d) {
    Dim length = dilated(input.shape()[d + 1], window.input_dilation[d]) + window.low[d] + behind[d];
    Dim taps = weight.shape()[d + 1];
    Dim reach = window.kernel_dilation[d] * (taps - 1) + 1;
    if (!taps.is_symbolic() && taps < 1) {
      fail(op, "weight with shape ", weight.shape(), " has no elements along axis ", d + 1, ".");
    }
    if (length < reach) {
      fail(op, "the kernel is larger than the input: along axis ", d + 1, " input with shape ", input.shape(), " has ",
          length, " elements with padding ", window.low[d], " and ", behind[d], ", but weight with shape ",
          weight.shape(), " reaches over ", reach, "; pad the input, or take a smaller kernel.");
    }
    window.size.push_back(floor_divide(length - reach, window.stride[d]) + 1);
  }
  return convolution(op, input, weight, std::move(window));
} catch (const SizeError& error) {
  error.rethrow_in(op);
}

array convolved_back(const char* op, const array& input, const array& weight, int axes, const Shape& stride,
    const Shape& padding, const Shape& dilation, const Shape& output_padding, int groups) try {
  check_operands(op, input, weight, axes, groups);
  Shape by = per_axis(op, "stride", stride, axes, 1), low = per_axis(op, "padding", padding, axes, no_least);
  Shape kernel_dilation = per_axis(op, "dilation", dilation, axes, 1);
  Shape more = per_axis(op, "output_padding", output_padding, axes, 0);
  Window window{Shape(static_cast<size_t>(axes), 1), {}, kernel_dilation, by, {}, groups, true, false};
  for (size_t d = 0; d < by.size(); ++d) {
    Dim taps = weight.shape()[d + 1];
    if (!taps.is_symbolic() && taps < 1) {
      fail(op, "weight with shape ", weight.shape(), " has no elements along axis ", d + 1, ".");
    }
    Dim reach = kernel_dilation[d] * (taps - 1);
    Dim size = dilated(input.shape()[d + 1], by[d]) + reach - 2 * low[d] + more[d];
    if (size < 1) {
      fail(op, "nothing is left of axis ", d + 1, ": input with shape ", input.shape(), " makes ", size + 2 * low[d],
          " elements, and padding ", low[d], " takes that many from both ends; take less.");
    }
    window.low.push_back(reach - low[d]);
    window.size.push_back(size);
  }
  return convolution(op, input, weight, std::move(window));
} catch (const SizeError& error) {
  error.rethrow_in(op);
}

// ---- the public functions ----

array conv_general(const array& input, const array& weight, const Shape& stride, const Shape& padding_lo,
    const Shape& padding_hi, const Shape& kernel_dilation, const Shape& input_dilation, int groups, bool flip,
    StreamOrDevice s) {
  StreamScope on(s);
  const char* op = "conv_general";
  return convolved(op, input, weight, axes_of(op, input), stride, padding_lo, padding_hi, kernel_dilation,
      input_dilation, groups, flip);
}

array conv1d(
    const array& input, const array& weight, Dim stride, Dim padding, Dim dilation, int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved("conv1d", input, weight, 1, {stride}, {padding}, {padding}, {dilation}, {1}, groups, false);
}
array conv2d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
    int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved("conv2d", input, weight, 2, stride, padding, padding, dilation, {1}, groups, false);
}
array conv3d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
    int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved("conv3d", input, weight, 3, stride, padding, padding, dilation, {1}, groups, false);
}

array conv_transpose1d(const array& input, const array& weight, Dim stride, Dim padding, Dim dilation,
    Dim output_padding, int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved_back(
      "conv_transpose1d", input, weight, 1, {stride}, {padding}, {dilation}, {output_padding}, groups);
}
array conv_transpose2d(const array& input, const array& weight, const Shape& stride, const Shape& padding,
    const Shape& dilation, const Shape& output_padding, int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved_back("conv_transpose2d", input, weight, 2, stride, padding, dilation, output_padding, groups);
}
array conv_transpose3d(const array& input, const array& weight, const Shape& stride, const Shape& padding,
    const Shape& dilation, const Shape& output_padding, int groups, StreamOrDevice s) {
  StreamScope on(s);
  return convolved_back("conv_transpose3d", input, weight, 3, stride, padding, dilation, output_padding, groups);
}

array convolve(const array& a, const array& v, const std::string& mode, StreamOrDevice s) try {
  StreamScope on(s);
  const char* op = "convolve";
  if (a.ndim() != 1 || v.ndim() != 1) {
    fail(op, "a has shape ", a.shape(), " and v has shape ", v.shape(), "; both should have one dimension.");
  }
  const bool full = mode == "full", same = mode == "same";
  if (!full && !same && mode != "valid") {
    fail(op, "mode is \"", mode, "\"; it should be \"full\", \"same\" or \"valid\".");
  }
  const bool swapped = a.shape(0) < v.shape(0);
  const array &x = swapped ? v : a, &w = swapped ? a : v;
  Dim length = x.shape(0), taps = w.shape(0);
  if (taps < 1) {
    fail(op, "a has ", a.shape(0), " elements and v has ", v.shape(0), "; both need at least one.");
  }
  // The first of the outputs of "full" that is wanted, and how many.
  Dim first = full ? Dim(0) : same ? (taps - 1) / 2 : taps - 1;
  Dim size = full ? length + taps - 1 : same ? length : length - taps + 1;
  return reshape(convolution(op, expand_dims(x, {0, 2}), expand_dims(w, {0, 2}),
                     Window{{1}, {taps - 1 - first}, {1}, {1}, {size}, 1, true, false}),
      {size});
} catch (const SizeError& error) {
  error.rethrow_in("convolve");
}

// ---- what they are ----

namespace {

#define MLX_CONV_DETAILS                                                                                               \
  "stride, padding and dilation are numbers for all axes, or one for each. Terms beyond the input's ends, where it "   \
  "is "                                                                                                                \
  "padded, are left out. float16 and bfloat16 are added up in float32 and rounded once; integers wrap. Subnormals "    \
  "count as zeros. "                                                                                                   \
  "Raises ValueError where channels do not fit groups, a stride or dilation is below 1, or the kernel is larger than " \
  "the padded input."
#define MLX_CONV_BACK_DETAILS                                                                                          \
  "Each element of the input is multiplied with the whole kernel, and the products are added where they fall, stride " \
  "apart; padding is cut off from both ends, output_padding added behind. Along each axis there are (n - 1) * stride " \
  "- 2 * padding + dilation * (k - 1) + output_padding + 1 outputs. Raises ValueError where channels do not fit "      \
  "groups, "                                                                                                           \
  "a stride or dilation is below 1, or nothing is left."

constexpr OpInfo conv1d_info{.name = "conv1d",
    .summary = "Convolution along one axis, of (N, W, C_in) with weights (C_out, k, C_in / groups).",
    .example =
        ">>> x = mx.arange(5.0).reshape(1, 5, 1)\n>>> mx.conv1d(x, mx.ones((1, 3, 1))).flatten()\narray([3, 6, "
        "9], dtype=float32)",
    .details = MLX_CONV_DETAILS};
constexpr OpInfo conv2d_info{.name = "conv2d",
    .summary = "Convolution along two axes, of (N, H, W, C_in) with weights (C_out, h, w, C_in / groups).",
    .example = ">>> mx.conv2d(mx.ones((8, 28, 28, 3)), mx.ones((16, 3, 3, 3)), padding=1).shape\n(8, 28, 28, 16)",
    .details = MLX_CONV_DETAILS};
constexpr OpInfo conv3d_info{.name = "conv3d",
    .summary = "Convolution along three axes, of (N, D, H, W, C_in) with weights (C_out, d, h, w, C_in / groups).",
    .example = ">>> mx.conv3d(mx.ones((1, 4, 8, 8, 2)), mx.ones((5, 2, 2, 2, 2)), stride=2).shape\n(1, 2, 4, 4, 5)",
    .details = MLX_CONV_DETAILS};
constexpr OpInfo conv_general_info{.name = "conv_general",
    .summary =
        "Convolution along one to three axes, of (N, axes..., C_in) with weights (C_out, axes..., C_in / groups).",
    .example =
        ">>> x = mx.arange(4.0).reshape(1, 4, 1)\n>>> mx.conv_general(x, mx.ones((1, 2, 1)), padding=([0], "
        "[1])).flatten()\narray([1, 3, 5, 3], dtype=float32)",
    .details =
        "padding is a number, one for each axis, or a pair of such lists: before and behind; negative padding "
        "cuts off. input_dilation is how far apart the input's elements are, kernel_dilation how far the "
        "kernel's. With flip the kernel's taps count from the last one. Otherwise as conv1d."};
constexpr OpInfo conv_transpose1d_info{.name = "conv_transpose1d",
    .summary = "Transposed convolution along one axis, of (N, W, C_in) with weights (C_out, k, C_in / groups).",
    .example =
        ">>> x = mx.array([1.0, 2.0]).reshape(1, 2, 1)\n>>> mx.conv_transpose1d(x, mx.ones((1, 2, 1)), "
        "stride=2).flatten()\narray([1, 1, 2, 2], dtype=float32)",
    .details = MLX_CONV_BACK_DETAILS};
constexpr OpInfo conv_transpose2d_info{.name = "conv_transpose2d",
    .summary = "Transposed convolution along two axes, of (N, H, W, C_in) with weights (C_out, h, w, C_in / groups).",
    .example = ">>> mx.conv_transpose2d(mx.ones((1, 4, 4, 3)), mx.ones((2, 3, 3, 3)), stride=2).shape\n(1, 9, 9, 2)",
    .details = MLX_CONV_BACK_DETAILS};
constexpr OpInfo conv_transpose3d_info{.name = "conv_transpose3d",
    .summary =
        "Transposed convolution along three axes, of (N, D, H, W, C_in) with weights (C_out, d, h, w, C_in / groups).",
    .example = ">>> mx.conv_transpose3d(mx.ones((1, 2, 2, 2, 3)), mx.ones((4, 2, 2, 2, 3))).shape\n(1, 3, 3, 3, 4)",
    .details = MLX_CONV_BACK_DETAILS};
constexpr OpInfo convolve_info{.name = "convolve",
    .summary = "The convolution of two sequences: sums of a[j] v[i - j].",
    .example = ">>> mx.convolve(mx.array([1, 2, 3]), mx.array([1, 1]))\narray([1, 3, 5, 3], dtype=int32)",
    .details =
        "mode is \"full\" (every i with a term), \"same\" (the middle ones, as many as the longer sequence has) "
        "or \"valid\" (those where the shorter sequence lies within the longer one). Raises ValueError for empty "
        "sequences and other modes."};

} // namespace

std::span<const OpInfo* const> conv_ops() {
  static constexpr const OpInfo* ops[] = {&conv1d_info, &conv2d_info, &conv3d_info, &conv_transpose1d_info,
      &conv_transpose2d_info, &conv_transpose3d_info, &conv_general_info, &convolve_info};
  return ops;
}

} // namespace mlx::core
