// Ops that rearrange: reshape, the transposes, broadcasting, joining and splitting.
#include "mlx_core/error.h"
#include "mlx_core/ops/shape/rearrange.h"
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::fail;

nb::tuple out_tuple(const std::vector<array>& arrays) { return nb::tuple(out_list(arrays)); }

array transpose(const array& a, const std::optional<Axes>& axes, StreamOrDevice s) {
  return axes ? core::transpose(a, *axes, s) : core::transpose(a, s);
}

std::vector<array> split(const array& a, nb::handle indices_or_sections, int axis, StreamOrDevice s) {
  if (PyIndex_Check(indices_or_sections.ptr())) {
    return core::split(a, int_of("split", "indices_or_sections", indices_or_sections), axis, s);
  }
  Axes indices;
  if (!to_axes(indices_or_sections.ptr(), indices)) {
    fail<core::TypeError>(
        "split", "indices_or_sections is ", shown(indices_or_sections), "; it should be an int or a sequence of int.");
  }
  return core::split(a, indices, axis, s);
}

// Arrays never change, so that nobody can tell a copy from a view. What has not been computed yet is laid out as
// needed.
bool needs_copy(const array& a, const Shape& shape) {
  return a.is_available() && !a.is_row_contiguous() && !(shape == a.shape());
}

// axis=None joins the flattened arrays.
array concatenate(const std::vector<array>& arrays, std::optional<int> axis, StreamOrDevice s) {
  if (axis) {
    return core::concatenate(arrays, *axis, s);
  }
  std::vector<array> flat;
  for (const array& a : arrays) {
    flat.push_back(core::flatten(a, 0, -1, s));
  }
  return core::concatenate(flat, 0, s);
}

} // namespace

void bind_ops_shape(nb::module_& m) {
  def_op(
      m, "reshape",
      [](const array& a, const Shape& shape, std::optional<bool> copy, StreamOrDevice s) {
        if (copy == false && needs_copy(a, shape)) {
          fail("reshape", "copy=False, but an array of shape ", a.shape(),
              " with other strides than row-major ones has to "
              "be copied for another shape.");
        }
        return core::reshape(a, shape, s);
      },
      "a: array, shape: Sequence[int], *, copy: bool | None = None", "array", "a"_a, "shape"_a, nb::kw_only(),
      "copy"_a = nb::none());
  def_op(
      m, "flatten",
      [](const array& a, int start_axis, int end_axis, StreamOrDevice s) {
        return core::flatten(a, start_axis, end_axis, s);
      },
      "a: array, start_axis: int = 0, end_axis: int = -1", "array", "a"_a, "start_axis"_a = 0, "end_axis"_a = -1);
  def_op(
      m, "unflatten",
      [](const array& a, int axis, const Shape& shape, StreamOrDevice s) { return core::unflatten(a, axis, shape, s); },
      "a: array, axis: int, shape: Sequence[int]", "array", "a"_a, "axis"_a, "shape"_a);
  def_op(
      m, "squeeze",
      [](const array& a, const std::optional<Axes>& axis, StreamOrDevice s) {
        return axis ? core::squeeze(a, *axis, s) : core::squeeze(a, s);
      },
      "a: array, axis: None | int | Sequence[int] = None", "array", "a"_a, "axis"_a = nb::none());
  def_op(
      m, "expand_dims",
      [](const array& a, const Axes& axis, StreamOrDevice s) { return core::expand_dims(a, axis, s); },
      "a: array, axis: int | Sequence[int]", "array", "a"_a, "axis"_a);

  def_op(
      m, "transpose", &transpose, "a: array, axes: Sequence[int] | None = None", "array", "a"_a, "axes"_a = nb::none());
  def_alias(m, "permute_dims", "transpose");
  m.def(
      "matrix_transpose", [](const array& a, StreamOrDevice s) { return core::matrix_transpose(a, s); }, "a"_a,
      nb::kw_only(), "stream"_a = nb::none(), nb::sig(signature_of("matrix_transpose", "a: array", "array").c_str()),
      R"(Swaps the last two axes.

Args:
    a (array): Of shape (..., m, n).
    stream (Stream or Device, optional): Where to compute it.

Returns:
    array: Of shape (..., n, m).

Raises:
    ValueError: If ``a`` has fewer than two axes.

Example:
    >>> mx.matrix_transpose(mx.zeros((2, 3, 4))).shape
    (2, 4, 3)
)");
  def_op(
      m, "moveaxis",
      [](const array& a, const Axes& source, const Axes& destination, StreamOrDevice s) {
        return core::moveaxis(a, source, destination, s);
      },
      "a: array, source: int | Sequence[int], destination: int | Sequence[int]", "array", "a"_a, "source"_a,
      "destination"_a);
  def_op(
      m, "swapaxes",
      [](const array& a, int axis1, int axis2, StreamOrDevice s) { return core::swapaxes(a, axis1, axis2, s); },
      "a: array, axis1: int, axis2: int", "array", "a"_a, "axis1"_a, "axis2"_a);

  def_op(
      m, "broadcast_to",
      [](ScalarOrArray a, const Shape& shape, StreamOrDevice s) { return core::broadcast_to(to_array(a), shape, s); },
      "a: scalar | array, shape: Sequence[int]", "array", "a"_a, "shape"_a);
  def_op(
      m, "broadcast_arrays",
      [](nb::args arrays, StreamOrDevice s) {
        return out_list(core::broadcast_arrays(arrays_of("broadcast_arrays", "arrays", arrays), s));
      },
      "*arrays: array", "list[array]", nb::arg("arrays"));
  m.def(
      "depends",
      [](nb::handle inputs, nb::handle dependencies) -> nb::object {
        auto arrays = [](nb::handle o, const char* name) {
          std::vector<array> out;
          if (is_array(o)) {
            out.push_back(read(o));
          } else if (!nb::try_cast(o, out)) {
            core::fail<core::TypeError>("depends", name, " should be an array or a sequence of arrays.");
          }
          return out;
        };
        std::vector<array> out = core::depends(arrays(inputs, "inputs"), arrays(dependencies, "dependencies"));
        return is_array(inputs) ? nb::steal(wrap(out[0])) : nb::object(out_list(std::move(out)));
      },
      "inputs"_a, "dependencies"_a,
      nb::sig("def depends(inputs: array | collections.abc.Sequence[array], dependencies: array | "
              "collections.abc.Sequence[array]) -> typing.Any"),
      docstring_of("depends").c_str());
  m.def(
      "broadcast_shapes",
      [](nb::args shapes) {
        Shape result;
        for (size_t i = 0; i < shapes.size(); ++i) {
          Shape shape;
          if (!to_shape(shapes[i].ptr(), shape)) {
            fail<core::TypeError>(
                "broadcast_shapes", "shapes[", i, "] is ", shown(shapes[i]), "; it should be a sequence of int.");
          }
          core::check_shape("broadcast_shapes", shape);
          result = i ? core::broadcast_shapes("broadcast_shapes", result, shape) : shape;
        }
        if (shapes.size() == 0) {
          fail("broadcast_shapes", "no shapes were given.");
        }
        return shape_tuple(result);
      },
      nb::arg("shapes"), nb::sig("def broadcast_shapes(*shapes: collections.abc.Sequence[int]) -> tuple[int, ...]"),
      R"(The shape that arrays of these shapes broadcast to.

Args:
    *shapes (sequence of int): One or more shapes.

Returns:
    tuple of int: The shape.

Raises:
    ValueError: If two axes, counted from the end, have different lengths and
        neither is 1.

Example:
    >>> mx.broadcast_shapes((3, 1), (2,))
    (3, 2)
)");

  def_op(m, "concatenate", &concatenate, "arrays: list[array], axis: int | None = 0", "array", "arrays"_a,
      "axis"_a.none() = 0);
  def_alias(m, "concat", "concatenate");
  def_op(
      m, "stack",
      [](const std::vector<array>& arrays, std::optional<int> axis, StreamOrDevice s) {
        return core::stack(arrays, axis.value_or(0), s);
      },
      "arrays: list[array], axis: int | None = 0", "array", "arrays"_a, "axis"_a.none() = 0);
  def_op(
      m, "split",
      [](const array& a, nb::handle indices_or_sections, int axis, StreamOrDevice s) {
        return out_list(split(a, indices_or_sections, axis, s));
      },
      "a: array, indices_or_sections: int | Sequence[int], axis: int = 0", "list[array]", "a"_a,
      "indices_or_sections"_a, "axis"_a = 0);
  def_op(
      m, "unstack", [](const array& x, int axis, StreamOrDevice s) { return out_tuple(core::unstack(x, axis, s)); },
      "x: array, *, axis: int = 0", "tuple[array, ...]", "x"_a, nb::kw_only(), "axis"_a = 0);
  def_op(
      m, "stop_gradient", [](ScalarOrArray a, StreamOrDevice s) { return core::stop_gradient(to_array(a), s); },
      "a: array", "array", "a"_a);
  // Row-major is always allowed, so allow_col_major never needs a copy less than it gets.
  def_op(
      m, "contiguous", [](const array& a, bool, StreamOrDevice s) { return core::contiguous(a, s); },
      "a: array, allow_col_major: bool = False", "array", "a"_a, "allow_col_major"_a = false);
}

} // namespace mlx::python
