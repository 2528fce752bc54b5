// Convolutions, and matrix products of blocks and chosen matrices.
#include "mlx_core/block_products.h"
#include "mlx_core/conv.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/conv/convolution.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::Dim;

// A number or one for each axis; or a pair of lists, of what is before the first element and behind the last.
std::pair<Shape, Shape> paddings_of(nb::handle padding) {
  Shape both, low, high;
  if (to_shape(padding.ptr(), both)) {
    return {both, both};
  }
  if (!PySequence_Check(padding.ptr()) || nb::len(padding) != 2 || !to_shape(nb::object(padding[0]).ptr(), low) ||
      !to_shape(nb::object(padding[1]).ptr(), high)) {
    core::fail<core::TypeError>("conv_general", "padding is ", shown(padding),
        "; it should be an int, a list of int, or a pair of such lists: before the first elements, and behind the "
        "last.");
  }
  return {low, high};
}

std::string parameters_of(int axes, bool back) {
  std::string number = "int";
  if (axes > 1) {
    number += " | tuple[int";
    for (int i = 1; i < axes; ++i) {
      number += ", int";
    }
    number += "]";
  }
  std::string more = back ? ", output_padding: " + number + " = 0" : "";
  return "input: array, weight: array, stride: " + number + " = 1, padding: " + number + " = 0, dilation: " + number +
         " = 1" + more + ", groups: int = 1";
}

template <int axes>
void def_conv(nb::module_& m, const char* name) {
  def_op(
      m, name,
      [name](const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
          int groups, StreamOrDevice s) {
        core::StreamScope on(s);
        return core::convolved(name, input, weight, axes, stride, padding, padding, dilation, {1}, groups, false);
      },
      parameters_of(axes, false).c_str(), "array", "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0,
      "dilation"_a = 1, "groups"_a = 1);
}

template <int axes>
void def_conv_transpose(nb::module_& m, const char* name) {
  def_op(
      m, name,
      [name](const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
          const Shape& output_padding, int groups, StreamOrDevice s) {
        core::StreamScope on(s);
        return core::convolved_back(name, input, weight, axes, stride, padding, dilation, output_padding, groups);
      },
      parameters_of(axes, true).c_str(), "array", "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0,
      "dilation"_a = 1, "output_padding"_a = 0, "groups"_a = 1);
}

} // namespace

void bind_ops_conv(nb::module_& m) {
  def_conv<1>(m, "conv1d");
  def_conv<2>(m, "conv2d");
  def_conv<3>(m, "conv3d");
  def_conv_transpose<1>(m, "conv_transpose1d");
  def_conv_transpose<2>(m, "conv_transpose2d");
  def_conv_transpose<3>(m, "conv_transpose3d");
  def_op(
      m, "conv_general",
      [](const array& input, const array& weight, const Shape& stride, nb::handle padding, const Shape& kernel_dilation,
          const Shape& input_dilation, int groups, bool flip, StreamOrDevice s) {
        auto [low, high] = paddings_of(padding);
        return core::conv_general(input, weight, stride, low, high, kernel_dilation, input_dilation, groups, flip, s);
      },
      "input: array, weight: array, stride: int | Sequence[int] = 1, padding: int | Sequence[int] | "
      "tuple[Sequence[int], Sequence[int]] = 0, kernel_dilation: int | Sequence[int] = 1, input_dilation: int | "
      "Sequence[int] = 1, groups: int = 1, flip: bool = False",
      "array", "input"_a, "weight"_a, "stride"_a = 1, "padding"_a = 0, "kernel_dilation"_a = 1, "input_dilation"_a = 1,
      "groups"_a = 1, "flip"_a = false);
  def_op(
      m, "convolve",
      [](const array& a, const array& v, const std::string& mode, StreamOrDevice s) {
        return core::convolve(a, v, mode, s);
      },
      "a: array, v: array, mode: str = \"full\"", "array", "a"_a, "v"_a, "mode"_a = "full");
  std::string hadamard = signature_of("hadamard_transform", "a: array, scale: float | None = None", "array");
  hadamard.replace(hadamard.find(", *, stream"), 3, ""); // stream may be given by position, as in MLX
  m.def(
      "hadamard_transform",
      [](const array& a, std::optional<float> scale, StreamOrDevice s) {
        return core::hadamard_transform(a, scale, s);
      },
      "a"_a, "scale"_a = nb::none(), "stream"_a = nb::none(), nb::sig(hadamard.c_str()),
      docstring_of("hadamard_transform").c_str());
  def_op(
      m, "block_masked_mm",
      [](const array& a, const array& b, int block_size, std::optional<array> mask_out, std::optional<array> mask_lhs,
          std::optional<array> mask_rhs, StreamOrDevice s) {
        return core::block_masked_mm(
            a, b, block_size, std::move(mask_out), std::move(mask_lhs), std::move(mask_rhs), s);
      },
      "a: array, b: array, block_size: int = 64, mask_out: array | None = None, mask_lhs: array | None = None, "
      "mask_rhs: array | None = None",
      "array", "a"_a, "b"_a, "block_size"_a = 64, "mask_out"_a = nb::none(), "mask_lhs"_a = nb::none(),
      "mask_rhs"_a = nb::none());
  def_op(
      m, "gather_mm",
      [](const array& a, const array& b, std::optional<array> lhs_indices, std::optional<array> rhs_indices,
          bool sorted_indices, StreamOrDevice s) {
        return core::gather_mm(a, b, std::move(lhs_indices), std::move(rhs_indices), sorted_indices, s);
      },
      "a: array, b: array, lhs_indices: array | None = None, rhs_indices: array | None = None, *, sorted_indices: bool "
      "= "
      "False",
      "array", "a"_a, "b"_a, "lhs_indices"_a = nb::none(), "rhs_indices"_a = nb::none(), nb::kw_only(),
      "sorted_indices"_a = false);
  def_op(
      m, "segmented_mm",
      [](const array& a, const array& b, const array& segments, StreamOrDevice s) {
        return core::segmented_mm(a, b, segments, s);
      },
      "a: array, b: array, segments: array", "array", "a"_a, "b"_a, "segments"_a);
}

} // namespace mlx::python
