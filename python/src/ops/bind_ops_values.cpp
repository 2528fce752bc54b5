// What has a shape that depends on values: nonzero and its kin, compress and extract, the unique_ functions of the
// Array API standard. With size= they need no values, and run under every transform.
#include "mlx_core/value_shapes.h"

#include "mlx_core/ops/index/deciding_values.h"
#include "python/src/indexing/mask_positions.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

constexpr const char* sized =
    "give size= (the number of entries that the result shall have, and fill_value= for those not found).";

array is_true(const array& a) { return a.dtype().is_bool() ? a : core::not_equal(a, array(0, a.dtype())); }

std::vector<array> nonzero(
    const char* op, const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
  if (size || a.ndim() == 0) {
    return core::nonzero(a, size, fill_value, s);
  }
  core::StreamScope on(s);
  return mask_positions(op, "a", is_true(a), sized);
}

array compress(const char* op, const array& condition, const array& a, std::optional<int> axis,
    std::optional<int64_t> size, const std::optional<ScalarOrArray>& fill_value, StreamOrDevice s) {
  std::optional<array> fill = fill_value ? std::optional(to_array(*fill_value, a.dtype())) : std::nullopt;
  core::StreamScope on(s);
  array where = condition, along = axis ? a : core::flatten(a);
  if (!size && condition.ndim() == 1) { // which is then known, with the lock released
    array places = mask_positions(op, "condition", is_true(condition), sized)[0];
    size = static_cast<int64_t>(places.size());
    if (core::Dim length = along.shape(core::normalize_axis(op, axis.value_or(0), along.ndim()));
        condition.size() <= length || length.is_symbolic()) {
      return core::take(along, places, axis.value_or(0));
    }
  }
  return core::compress(where, a, axis, size, fill);
}

// The different elements of a, once their number is known.
std::vector<array> unique(const char* op, const array& a, StreamOrDevice s) {
  core::Distinct all = core::distinct(a, s);
  core::deciding(op, "x", a, "mx.unique(x, size) has as many entries as it is told.", [&] { evaluate(all.count); });
  return core::unique_all(all, s);
}

// The functions of the standard: which of (values, indices, inverse_indices, counts) they return, by what name.
struct Unique {
  const char* name;
  const char* result;
  const char* fields;
  std::vector<size_t> parts;
  const char* doc;
  const char* example;
};

const Unique uniques[] = {
    {"unique_all", "UniqueAllResult", "values indices inverse_indices counts", {0, 1, 2, 3},
        "The different elements of an array, ascending; where each occurs first in the flattened array; for each "
        "element "
        "of x the number of its value; how often each occurs.",
        ">>> mx.unique_all(mx.array([3, 1, 3])).counts\n    array([1, 2], dtype=int32)"},
    {"unique_counts", "UniqueCountsResult", "values counts", {0, 3},
        "The different elements of an array, ascending, and how often each occurs.",
        ">>> values, counts = mx.unique_counts(mx.array([3, 1, 3]))\n    >>> counts\n    array([1, 2], dtype=int32)"},
    {"unique_inverse", "UniqueInverseResult", "values inverse_indices", {0, 2},
        "The different elements of an array, ascending, and for each element of x the number of its value.",
        ">>> values, inverse = mx.unique_inverse(mx.array([3, 1, 3]))\n    >>> values[inverse]\n    array([3, 1, 3], "
        "dtype=int32)"},
};

constexpr const char* unique_rules =
    "\n\nEach NaN is an element of its own, -0 and 0 are one. x is evaluated, as the shape depends on its values, "
    "which "
    "compile and vmap cannot do: ``mx.unique(x, size)`` has as many entries as it is told.\n\nExample:\n    ";

void bind_unique(nb::module_& m) {
  for (const Unique& u : uniques) {
    nb::object result = named_tuple(m, u.result, u.fields, u.doc);
    m.def(
        u.name,
        [result, &u](const array& x, StreamOrDevice s) {
          std::vector<array> all = unique(u.name, x, s);
          nb::list parts;
          for (size_t part : u.parts) {
            parts.append(out(all[part]));
          }
          return result(*parts);
        },
        "x"_a, nb::kw_only(), "stream"_a = nb::none(),
        nb::sig(("def " + std::string(u.name) + "(x: array, *, stream: StreamOrDevice = None) -> " + u.result).c_str()),
        (std::string(u.doc) + unique_rules + u.example).c_str());
  }
  m.def(
      "unique_values", [](const array& x, StreamOrDevice s) { return unique("unique_values", x, s)[0]; }, "x"_a,
      nb::kw_only(), "stream"_a = nb::none(),
      nb::sig("def unique_values(x: array, *, stream: StreamOrDevice = None) -> array"),
      (std::string("The different elements of an array, ascending.") + unique_rules +
          ">>> mx.unique_values(mx.array([3, 1, 3]))\n    array([1, 3], dtype=int32)")
          .c_str());
}

} // namespace

nb::object indices_where(const array& condition, StreamOrDevice s) {
  core::StreamScope on(s);
  return nb::tuple(out_list(condition.ndim() == 0 ? core::nonzero(condition)
                                                  : mask_positions("where", "condition", is_true(condition),
                                                        "write mx.nonzero(condition, size=n).")));
}

void bind_ops_values(nb::module_& m) {
  const char* const parameters = "a: array, *, size: int | None = None, fill_value: int = 0";
  def_op(
      m, "nonzero",
      [](const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
        return nb::tuple(out_list(nonzero("nonzero", a, size, fill_value, s)));
      },
      parameters, "tuple[array, ...]", "a"_a, nb::kw_only(), "size"_a = nb::none(), "fill_value"_a = 0);
  def_op(
      m, "flatnonzero",
      [](const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
        return nonzero("flatnonzero", core::flatten(a, 0, -1, s), size, fill_value, s)[0];
      },
      parameters, "array", "a"_a, nb::kw_only(), "size"_a = nb::none(), "fill_value"_a = 0);
  def_op(
      m, "argwhere",
      [](const array& a, std::optional<int64_t> size, int64_t fill_value, StreamOrDevice s) {
        return size || a.ndim() == 0 ? core::argwhere(a, size, fill_value, s)
                                     : core::stack(nonzero("argwhere", a, size, fill_value, s), 1, s);
      },
      parameters, "array", "a"_a, nb::kw_only(), "size"_a = nb::none(), "fill_value"_a = 0);
  def_op(
      m, "compress",
      [](const array& condition, const array& a, std::optional<int> axis, std::optional<int64_t> size,
          std::optional<ScalarOrArray> fill_value,
          StreamOrDevice s) { return compress("compress", condition, a, axis, size, fill_value, s); },
      "condition: array, a: array, axis: int | None = None, *, size: int | None = None, "
      "fill_value: scalar | array | None = None",
      "array", "condition"_a, "a"_a, "axis"_a = nb::none(), nb::kw_only(), "size"_a = nb::none(),
      "fill_value"_a = nb::none());
  def_op(
      m, "extract",
      [](const array& condition, const array& a, std::optional<int64_t> size, std::optional<ScalarOrArray> fill_value,
          StreamOrDevice s) {
        return compress(
            "extract", core::flatten(condition, 0, -1, s), core::flatten(a, 0, -1, s), 0, size, fill_value, s);
      },
      "condition: array, a: array, *, size: int | None = None, fill_value: scalar | array | None = None", "array",
      "condition"_a, "a"_a, nb::kw_only(), "size"_a = nb::none(), "fill_value"_a = nb::none());
  bind_unique(m);
}

} // namespace mlx::python
