// Stacking, sampled functions and counting: vstack ... rot90, select, polyval, interp, gradient, unwrap, bincount,
// histogram.
#include "python/src/array/number_arguments.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::fail;

template <array (*op)(const std::vector<array>&, StreamOrDevice)>
void bind_stack(nb::module_& m, const char* name) {
  def_op(
      m, name, [](const std::vector<array>& arrays, StreamOrDevice s) { return op(arrays, s); }, "arrays: list[array]",
      "array", "arrays"_a);
}

template <array (*op)(const array&, StreamOrDevice)>
void bind_turn(nb::module_& m, const char* name) {
  def_op(m, name, [](const array& a, StreamOrDevice s) { return op(a, s); }, "a: array", "array", "a"_a);
}

template <array (*op)(const array&, const array&, StreamOrDevice)>
void bind_pair(nb::module_& m, const char* name) {
  def_op(
      m, name,
      [](ScalarOrArray a, ScalarOrArray b, StreamOrDevice s) {
        auto [x, y] = to_arrays(a, b);
        return op(x, y, s);
      },
      "a: scalar | array, b: scalar | array", "array", "a"_a, "b"_a);
}

std::vector<array> arrays_in(const char* op, const char* name, nb::handle list, std::optional<Dtype> like = {}) {
  if (!PyList_Check(list.ptr()) && !PyTuple_Check(list.ptr())) {
    fail<core::TypeError>(op, name, " is ", shown(list), "; it should be a list of arrays.");
  }
  std::vector<array> all;
  for (nb::handle entry : nb::borrow<nb::sequence>(list)) {
    all.push_back(to_array({entry.ptr()}, like));
  }
  return all;
}

std::optional<array> maybe(const std::optional<ScalarOrArray>& value, std::optional<Dtype> like = {}) {
  return value ? std::optional(to_array(*value, like)) : std::nullopt;
}

array select(nb::handle condlist, nb::handle choicelist, ScalarOrArray otherwise, StreamOrDevice s) {
  std::vector<array> conditions = arrays_in("select", "condlist", condlist);
  std::vector<array> choices = arrays_in("select", "choicelist", choicelist);
  Dtype dtype = choices.empty() ? core::float32 : choices[0].dtype();
  for (const array& choice : choices) {
    dtype = core::promote_types(dtype, choice.dtype());
  }
  return core::select(conditions, choices, to_array(otherwise, dtype), s);
}

nb::object gradient(
    const array& f, const nb::args& spacing, const std::optional<Axes>& axis, int edge_order, StreamOrDevice s) {
  std::vector<array> distances;
  for (nb::handle entry : spacing) {
    distances.push_back(PyList_Check(entry.ptr())
                            ? array_from_python(entry)
                            : to_array({entry.ptr()}, f.dtype().is_inexact() ? f.dtype() : core::float32));
  }
  Axes axes = axis.value_or(core::all_axes(f.ndim()));
  std::vector<array> found = core::gradient(f, distances, axes, edge_order, s);
  return found.size() == 1 ? out(found[0]) : nb::object(out_list(found));
}

nb::object histogram(const array& a, nb::handle bins, const std::optional<std::pair<double, double>>& range,
    const std::optional<array>& weights, bool density, StreamOrDevice s) {
  if (PyLong_Check(bins.ptr())) {
    return nb::tuple(out_list(core::histogram(a, int_of("histogram", "bins", bins), range, weights, density, s)));
  }
  bool list = PyList_Check(bins.ptr()) || PyTuple_Check(bins.ptr());
  array edges = list ? array_from_python(bins) : to_array({bins.ptr()});
  return nb::tuple(out_list(core::histogram(a, edges, weights, density, s)));
}

} // namespace

void bind_ops_sampled(nb::module_& m) {
  def_op(
      m, "sinc", [](ScalarOrArray a, StreamOrDevice s) { return core::sinc(to_array(a), s); }, "a: scalar | array",
      "array", "a"_a);
  bind_pair<core::logaddexp2>(m, "logaddexp2");
  bind_pair<core::nextafter>(m, "nextafter");
  bind_stack<core::vstack>(m, "vstack");
  bind_stack<core::hstack>(m, "hstack");
  bind_stack<core::dstack>(m, "dstack");
  bind_stack<core::column_stack>(m, "column_stack");
  bind_turn<core::ravel>(m, "ravel");
  bind_turn<core::fliplr>(m, "fliplr");
  bind_turn<core::flipud>(m, "flipud");
  def_op(
      m, "rot90", [](const array& a, int k, const Axes& axes, StreamOrDevice s) { return core::rot90(a, k, axes, s); },
      "a: array, k: int = 1, axes: Sequence[int] = (0, 1)", "array", "a"_a, "k"_a = 1, "axes"_a = nb::make_tuple(0, 1));
  def_op(m, "select", &select, "condlist: list[array], choicelist: list[scalar | array], default: scalar | array = 0",
      "array", "condlist"_a, "choicelist"_a, "default"_a = 0);
  def_op(
      m, "polyval",
      [](ScalarOrArray p, ScalarOrArray x, StreamOrDevice s) {
        array coefficients = PyList_Check(p.object) ? array_from_python(p.object) : to_array(p);
        return core::polyval(coefficients, to_array(x, coefficients.dtype()), s);
      },
      "p: array, x: scalar | array", "array", "p"_a, "x"_a);
  def_op(
      m, "interp",
      [](ScalarOrArray x, const array& xp, const array& fp, const std::optional<ScalarOrArray>& left,
          const std::optional<ScalarOrArray>& right, std::optional<double> period, StreamOrDevice s) {
        Dtype dtype = fp.dtype().is_inexact() ? fp.dtype() : core::float32;
        return core::interp(to_array(x, xp.dtype().is_inexact() ? xp.dtype() : core::float32), xp, fp,
            maybe(left, dtype), maybe(right, dtype), period, s);
      },
      "x: scalar | array, xp: array, fp: array, left: scalar | array | None = None, right: scalar | array | None = "
      "None, period: float | None = None",
      "array", "x"_a, "xp"_a, "fp"_a, "left"_a = nb::none(), "right"_a = nb::none(), "period"_a = nb::none());
  def_op(m, "gradient", &gradient,
      "f: array, *varargs: scalar | array, axis: None | int | Sequence[int] = None, edge_order: int = 1",
      "array | list[array]", "f"_a, nb::arg("varargs"), nb::kw_only(), "axis"_a = nb::none(), "edge_order"_a = 1);
  def_op(
      m, "unwrap",
      [](const array& p, std::optional<double> discont, int axis, double period, StreamOrDevice s) {
        return core::unwrap(p, discont, axis, period, s);
      },
      "p: array, discont: float | None = None, axis: int = -1, *, period: float = 6.283185307179586", "array", "p"_a,
      "discont"_a = nb::none(), "axis"_a = -1, nb::kw_only(), "period"_a = 6.283185307179586);
  def_op(
      m, "bincount",
      [](const array& x, const std::optional<array>& weights, int64_t minlength, std::optional<int64_t> length,
          StreamOrDevice s) { return core::bincount(x, weights, minlength, length, s); },
      "x: array, weights: array | None = None, minlength: int = 0, *, length: int | None = None", "array", "x"_a,
      "weights"_a = nb::none(), "minlength"_a = 0, nb::kw_only(), "length"_a = nb::none());
  def_op(m, "histogram", &histogram,
      "a: array, bins: int | array = 10, range: tuple[float, float] | None = None, weights: array | None = None, "
      "density: bool = False",
      "tuple[array, array]", "a"_a, "bins"_a = 10, "range"_a = nb::none(), "weights"_a = nb::none(),
      "density"_a = false);
}

} // namespace mlx::python
