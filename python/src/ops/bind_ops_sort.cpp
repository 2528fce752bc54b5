// Sorting, parting, searching and counting: sort, partition, topk, searchsorted, unique, median, count_nonzero, minmax.
#include "mlx_core/ops/shape/size_number.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

struct Sorting {
  const char* name;
  array (*along)(const array&, int, StreamOrDevice);
  array (*flat)(const array&, StreamOrDevice);
};
constexpr Sorting orders[] = {{"sort", core::sort, core::sort}, {"argsort", core::argsort, core::argsort}};

// In descending order, equal elements in the order that they have: the reversed array's ascending order, reversed.
array backwards(const Sorting& o, const array& a, std::optional<int> axis, StreamOrDevice s) {
  core::StreamScope on(s);
  array x = axis ? a : core::flatten(a);
  Axes along{core::normalize_axis(o.name, axis.value_or(0), x.ndim())};
  array sorted = core::flip(o.along(core::flip(x, along), along[0], {}), along);
  if (o.along == orders[0].along) {
    return sorted;
  }
  core::Dim last = x.shape(along[0]) - 1;
  return core::subtract(core::size_number(last, sorted.dtype()), sorted);
}

// Partitions take the place at which to part, topk how many to take.
struct Part {
  const char* name;
  const char* number;
  array (*along)(const array&, int, int, StreamOrDevice);
  array (*flat)(const array&, int, StreamOrDevice);
};
constexpr Part parts[] = {
    {"partition", "kth", core::partition, core::partition},
    {"argpartition", "kth", core::argpartition, core::argpartition},
    {"topk", "k", core::topk, core::topk},
};

nb::object unique(const array& a, int size, bool return_index, bool return_inverse, bool return_counts,
    std::optional<ScalarOrArray> fill_value, StreamOrDevice s) {
  std::optional<array> fill = fill_value ? std::optional(to_array(*fill_value, a.dtype())) : std::nullopt;
  std::vector<array> found = core::unique(a, size, return_index, return_inverse, return_counts, fill, s);
  return found.size() == 1 ? out(found[0]) : nb::tuple(out_list(found));
}

} // namespace

void bind_ops_sort(nb::module_& m) {
  for (const Sorting& o : orders) {
    def_op(
        m, o.name,
        [o](const array& a, std::optional<int> axis, bool descending, bool, StreamOrDevice s) {
          return descending ? backwards(o, a, axis, s) : axis ? o.along(a, *axis, s) : o.flat(a, s);
        },
        "a: array, axis: None | int = -1, *, descending: bool = False, stable: bool = True", "array", "a"_a,
        "axis"_a.none() = -1, nb::kw_only(), "descending"_a = false, "stable"_a = true); // always stable
  }
  for (const Part& p : parts) {
    def_op(
        m, p.name,
        [along = p.along, flat = p.flat](const array& a, int number, std::optional<int> axis, StreamOrDevice s) {
          return axis ? along(a, number, *axis, s) : flat(a, number, s);
        },
        ("a: array, " + std::string(p.number) + ": int, axis: None | int = -1").c_str(), "array", "a"_a,
        nb::arg(p.number), "axis"_a.none() = -1);
  }
  def_op(
      m, "searchsorted",
      [](const array& sorted_sequence, ScalarOrArray values, const std::string& side,
          const std::optional<array>& sorter, StreamOrDevice s) {
        array sorted = sorter ? core::take(sorted_sequence, *sorter, 0, s) : sorted_sequence;
        return core::searchsorted(sorted, to_array(values, sorted.dtype()), side, s);
      },
      "sorted_sequence: array, values: scalar | array, side: str = 'left', *, sorter: array | None = None", "array",
      "sorted_sequence"_a, "values"_a, "side"_a = "left", nb::kw_only(), "sorter"_a = nb::none());
  def_op(m, "unique", &unique,
      "a: array, size: int, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, "
      "fill_value: scalar | array | None = None",
      "array | tuple[array, ...]", "a"_a, "size"_a, "return_index"_a = false, "return_inverse"_a = false,
      "return_counts"_a = false, "fill_value"_a = nb::none());
  def_op(
      m, "median",
      [](const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
        return axis ? core::median(a, *axis, keepdims, s) : core::median(a, keepdims, s);
      },
      "a: array, axis: None | int | Sequence[int] = None, keepdims: bool = False", "array", "a"_a,
      "axis"_a = nb::none(), "keepdims"_a = false);
  def_op(
      m, "count_nonzero",
      [](const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
        return axis ? core::count_nonzero(a, *axis, keepdims, s) : core::count_nonzero(a, keepdims, s);
      },
      "a: array, *, axis: None | int | Sequence[int] = None, keepdims: bool = False", "array", "a"_a, nb::kw_only(),
      "axis"_a = nb::none(), "keepdims"_a = false);
  def_op(
      m, "minmax",
      [](const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
        return nb::tuple(out_list(axis ? core::minmax(a, *axis, keepdims, s) : core::minmax(a, keepdims, s)));
      },
      "a: array, axis: None | int | Sequence[int] = None, keepdims: bool = False", "tuple[array, array]", "a"_a,
      "axis"_a = nb::none(), "keepdims"_a = false);
}

} // namespace mlx::python
