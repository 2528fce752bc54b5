// Products over chosen axes: inner, outer, vecdot, tensordot, kron, einsum.
#include "mlx_core/error.h"
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

array tensordot(const array& a, const array& b, nb::handle axes, StreamOrDevice s) {
  if (PyIndex_Check(axes.ptr())) {
    return core::tensordot(a, b, int_of("tensordot", "axes", axes), s);
  }
  Axes of_a, of_b;
  if (!PySequence_Check(axes.ptr()) || nb::len(axes) != 2 || !to_axes(nb::object(axes[0]).ptr(), of_a) ||
      !to_axes(nb::object(axes[1]).ptr(), of_b)) {
    core::fail<core::TypeError>("tensordot", "axes is ", shown(axes),
        "; it should be an int, or a pair of lists of int: the axes of a, and those of b.");
  }
  return core::tensordot(a, b, of_a, of_b, s);
}

template <array (*Op)(const array&, const array&, StreamOrDevice)>
array binary(const array& a, const array& b, StreamOrDevice s) {
  return Op(a, b, s);
}

constexpr const char* einsum_path_doc = R"(The order in which :func:`einsum` contracts its operands, and what it costs.

The search is greedy: it takes the pair whose result frees the most memory, and
makes no intermediate result larger than the largest of operands and output.
(:func:`einsum` itself allows 16 million elements in any case.)

Args:
    subscripts (str): As of :func:`einsum`.
    *operands (array): Only their shapes matter.

Returns:
    tuple of list and str: The positions of the operands that each step
    contracts, and the costs as text. Contracted operands leave the list, and
    the result joins it at the end.

Raises:
    ValueError: If subscripts and operands do not fit.

Example:
    >>> a, b, c = mx.ones((10, 5)), mx.ones((5, 20)), mx.ones((20, 3))
    >>> mx.einsum_path("ab,bc,cd->ad", a, b, c)[0]
    [(1, 2), (0, 1)]
)";

// ([(0, 1), ...], text), as NumPy and MLX have it.
nb::tuple einsum_path(const std::string& subscripts, nb::args operands) {
  auto [steps, text] = core::einsum_path(subscripts, arrays_of("einsum_path", "operands", operands));
  nb::list path;
  for (const std::vector<int>& step : steps) {
    nb::list positions;
    for (int position : step) {
      positions.append(position);
    }
    path.append(nb::tuple(positions));
  }
  return nb::make_tuple(path, text);
}

} // namespace

void bind_ops_products(nb::module_& m) {
  def_op(m, "dot", &binary<core::dot>, "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(m, "inner", &binary<core::inner>, "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(m, "outer", &binary<core::outer>, "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(
      m, "vecdot",
      [](const array& a, const array& b, int axis, StreamOrDevice s) { return core::vecdot(a, b, axis, s); },
      "a: array, b: array, *, axis: int = -1", "array", "a"_a, "b"_a, nb::kw_only(), "axis"_a = -1);
  def_op(m, "tensordot", &tensordot, "a: array, b: array, axes: int | list[Sequence[int]] = 2", "array", "a"_a, "b"_a,
      "axes"_a = 2);
  def_op(m, "kron", &binary<core::kron>, "a: array, b: array", "array", "a"_a, "b"_a);
  def_op(
      m, "einsum",
      [](const std::string& subscripts, nb::args operands, StreamOrDevice s) {
        return core::einsum(subscripts, arrays_of("einsum", "operands", operands), s);
      },
      "subscripts: str, *operands: array", "array", "subscripts"_a, nb::arg("operands"));
  m.def("einsum_path", &einsum_path, "subscripts"_a, nb::arg("operands"),
      nb::sig("def einsum_path(subscripts: str, *operands: array) -> tuple[list[tuple[int, ...]], str]"),
      einsum_path_doc);
}

} // namespace mlx::python
