// Ops that pick elements by index: take, take_along_axis, put_along_axis, slices at computed places, views by
// strides or of another dtype; and the matrix products.
#include "mlx_core/error.h"
#include "mlx_core/out_of_bounds.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

using core::OutOfBounds;

array flat(const array& a, StreamOrDevice s) { return core::flatten(a, 0, -1, s); }

std::optional<array> filling(const std::optional<ScalarOrArray>& fill_value, Dtype dtype) {
  return fill_value ? std::optional<array>(to_array(*fill_value, dtype)) : std::nullopt;
}

array put_along_axis(const array& a, const array& indices, ScalarOrArray values, std::optional<int> axis,
    const std::string& mode, StreamOrDevice s) {
  array updates = to_array(values, a.dtype());
  OutOfBounds outside = core::out_of_bounds("put_along_axis", mode);
  if (axis) {
    return core::put_along_axis(a, indices, updates, *axis, outside, s);
  }
  return core::reshape(core::put_along_axis(flat(a, s), indices, updates, 0, outside, s), a.shape(), s);
}

constexpr const char* slice_doc = R"(The part of an array that starts at computed indices.

Args:
    a (array): The array to read.
    start_indices (array): An integer for each of the axes: where the part
        starts along it. It starts at 0 along the others.
    axes (sequence of int): The axes that ``start_indices`` belong to.
    slice_size (sequence of int): The length of the part along every axis.
    mode (str, optional): Of a part that is not inside: ``"raise"`` (default)
        an IndexError; ``"clip"`` moves it inside; with ``"wrap"`` its places
        count modulo the length; with ``"fill"`` ``fill_value`` is read where
        it is outside.
    fill_value (scalar, optional): With ``mode="fill"``. By default NaN, or
        the lowest (signed) or highest (unsigned) integer, or true.
    stream (Stream or Device, optional): Where to compute it.

Returns:
    array: Of shape ``slice_size``.

Raises:
    ValueError: If the numbers of indices and axes differ.

Example:
    >>> mx.slice(mx.arange(6).reshape(2, 3), mx.array([1]), (1,), (2, 2))
    array([[1, 2],
           [4, 5]], dtype=int32)
)";

} // namespace

void bind_ops_select(nb::module_& m) {
  def_op(
      m, "take",
      [](const array& a, ScalarOrArray indices, std::optional<int> axis, const std::string& mode,
          std::optional<ScalarOrArray> fill_value, StreamOrDevice s) {
        array at = to_array(indices);
        OutOfBounds outside = core::out_of_bounds("take", mode);
        std::optional<array> fill = filling(fill_value, a.dtype());
        return axis ? core::take(a, at, *axis, outside, fill, s) : core::take(flat(a, s), at, 0, outside, fill, s);
      },
      "a: array, indices: int | array, axis: int | None = None, *, mode: str = 'raise', fill_value: bool | int | float "
      "| complex | array | None = None",
      "array", "a"_a, "indices"_a, "axis"_a = nb::none(), nb::kw_only(), "mode"_a = "raise",
      "fill_value"_a = nb::none());
  def_op(
      m, "take_along_axis",
      [](const array& a, const array& indices, std::optional<int> axis, const std::string& mode,
          std::optional<ScalarOrArray> fill_value, StreamOrDevice s) {
        OutOfBounds outside = core::out_of_bounds("take_along_axis", mode);
        std::optional<array> fill = filling(fill_value, a.dtype());
        return axis ? core::take_along_axis(a, indices, *axis, outside, fill, s)
                    : core::take_along_axis(flat(a, s), indices, 0, outside, fill, s);
      },
      "a: array, indices: array, axis: int | None = -1, *, mode: str = 'raise', fill_value: bool | int | float | "
      "complex | array | None = None",
      "array", "a"_a, "indices"_a, "axis"_a.none() = -1, nb::kw_only(), "mode"_a = "raise",
      "fill_value"_a = nb::none());
  def_op(m, "put_along_axis", &put_along_axis,
      "a: array, indices: array, values: array, axis: int | None = None, *, mode: str = 'raise'", "array", "a"_a,
      "indices"_a, "values"_a, "axis"_a = nb::none(), nb::kw_only(), "mode"_a = "raise");
  m.def(
      "slice",
      [](const array& a, const array& start_indices, const Axes& axes, const Shape& slice_size, const std::string& mode,
          std::optional<ScalarOrArray> fill_value, StreamOrDevice s) {
        OutOfBounds outside = core::out_of_bounds("slice", mode);
        return core::slice(a, start_indices, axes, slice_size, outside, filling(fill_value, a.dtype()), s);
      },
      "a"_a, "start_indices"_a, "axes"_a, "slice_size"_a, nb::kw_only(), "mode"_a = "raise",
      "fill_value"_a = nb::none(), "stream"_a = nb::none(),
      nb::sig(signature_of("slice",
          "a: array, start_indices: array, axes: Sequence[int], slice_size: Sequence[int], *, mode: str = 'raise', "
          "fill_value: bool | int | float | complex | array | None = None",
          "array")
              .c_str()),
      slice_doc);
  def_op(
      m, "slice_update",
      [](const array& a, ScalarOrArray update, const array& start_indices, const Axes& axes, const std::string& mode,
          StreamOrDevice s) {
        OutOfBounds outside = core::out_of_bounds("slice_update", mode);
        return core::slice_update(a, to_array(update, a.dtype()), start_indices, axes, outside, s);
      },
      "a: array, update: array, start_indices: array, axes: Sequence[int], *, mode: str = 'raise'", "array", "a"_a,
      "update"_a, "start_indices"_a, "axes"_a, nb::kw_only(), "mode"_a = "raise");
  def_op(
      m, "as_strided",
      [](const array& a, std::optional<Shape> shape, std::optional<Shape> strides, int64_t offset, StreamOrDevice s) {
        Shape lengths = shape ? *shape : a.shape();
        core::check_shape("as_strided", lengths);
        core::Sizes steps = strides ? core::sizes_of(*strides) : core::row_major_strides(lengths);
        return core::as_strided(a, lengths, steps, offset, s);
      },
      "a: array, shape: Sequence[int] | None = None, strides: Sequence[int] | None = None, offset: int = 0", "array",
      "a"_a, "shape"_a = nb::none(), "strides"_a = nb::none(), "offset"_a = 0);
  def_op_exactly(
      m, "view", [](ScalarOrArray a, Dtype dtype, StreamOrDevice s) { return core::view(to_array(a), dtype, s); },
      "a: bool | int | float | complex | array, dtype: Dtype, stream: StreamOrDevice = None", "array", "a"_a, "dtype"_a,
      "stream"_a = nb::none());

  def_op(
      m, "matmul", [](const array& a, const array& b, StreamOrDevice s) { return core::matmul(a, b, s); },
      "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(
      m, "addmm",
      [](const array& c, const array& a, const array& b, double alpha, double beta, StreamOrDevice s) {
        return core::addmm(c, a, b, alpha, beta, s);
      },
      "c: array, a: array, b: array, alpha: float = 1.0, beta: float = 1.0", "array", "c"_a, "a"_a, "b"_a,
      "alpha"_a = 1.0, "beta"_a = 1.0);
}

} // namespace mlx::python
