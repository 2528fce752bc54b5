// Sorting, parting, searching and counting: sort, partition, topk, searchsorted, unique, median, count_nonzero, minmax.
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

struct Order {
  const char* name;
  array (*along)(const array&, int, StreamOrDevice);
  array (*flat)(const array&, StreamOrDevice);
};
constexpr Order orders[] = {{"sort", core::sort, core::sort}, {"argsort", core::argsort, core::argsort}};

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
  for (const Order& o : orders) {
    def_op(
        m, o.name,
        [along = o.along, flat = o.flat](const array& a, std::optional<int> axis, StreamOrDevice s) {
          return axis ? along(a, *axis, s) : flat(a, s);
        },
        "a: array, axis: None | int = -1", "array", "a"_a, "axis"_a.none() = -1);
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
      [](const array& sorted_sequence, const array& values, const std::string& side, StreamOrDevice s) {
        return core::searchsorted(sorted_sequence, values, side, s);
      },
      "sorted_sequence: array, values: array, side: str = 'left'", "array", "sorted_sequence"_a, "values"_a,
      "side"_a = "left");
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
