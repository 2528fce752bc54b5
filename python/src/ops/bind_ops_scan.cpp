// Scans along an axis, as functions and as methods of the array class, and diff.
#include "python/src/array/bind_array.h"
#include "python/src/interop/numpy_arguments.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

struct Scan {
  const char* name;
  array (*along)(const array&, int, bool, bool, StreamOrDevice);
  array (*flat)(const array&, bool, bool, StreamOrDevice);

  array operator()(const array& a, std::optional<int> axis, bool reverse, bool inclusive, StreamOrDevice s) const {
    return axis ? along(a, *axis, reverse, inclusive, s) : flat(a, reverse, inclusive, s);
  }
};

// Sums and products may be computed in another dtype.
constexpr Scan typed_scans[] = {
    {"cumsum", core::cumsum, core::cumsum},
    {"cumprod", core::cumprod, core::cumprod},
};
constexpr Scan scans[] = {
    {"cummax", core::cummax, core::cummax},
    {"cummin", core::cummin, core::cummin},
    {"logcumsumexp", core::logcumsumexp, core::logcumsumexp},
};

// The Array API's scans, in the dtype of sums and products.
struct Cumulation {
  const char* name;
  decltype(&core::cumulative_sum) function;
};
constexpr Cumulation cumulations[] = {
    {"cumulative_sum", core::cumulative_sum},
    {"cumulative_prod", core::cumulative_prod},
};

// NumPy hands a dtype and an out to these.
void bind_typed_method(ArrayClass& c, const Scan& scan) {
  std::string signature = "def " + std::string(scan.name) +
                          "(self, axis: int | None = None, *, reverse: bool = False, inclusive: bool = True, "
                          "dtype: Dtype | None = None, " +
                          numpy_out_parameter + ", stream: Stream | Device | DeviceType | None = None) -> array";
  c.def(
      scan.name,
      [scan](const array& a, std::optional<int> axis, bool reverse, bool inclusive, nb::handle dtype, nb::handle out,
          StreamOrDevice s) {
        array x = dtype.is_none() ? a : core::astype(a, numpy_dtype(scan.name, dtype), s);
        return into(scan.name, out, scan(x, axis, reverse, inclusive, s));
      },
      "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true, "dtype"_a = nb::none(),
      "out"_a = nb::none(), "stream"_a = nb::none(), nb::sig(signature.c_str()),
      ("See :func:`mlx.core." + std::string(scan.name) + "`.").c_str());
}

void bind_method(ArrayClass& c, const Scan& scan) {
  c.def(
      scan.name,
      [scan](const array& a, std::optional<int> axis, bool reverse, bool inclusive, StreamOrDevice s) {
        return scan(a, axis, reverse, inclusive, s);
      },
      "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true, "stream"_a = nb::none(),
      ("See :func:`mlx.core." + std::string(scan.name) + "`.").c_str());
}

// With further entries along the axis, before and behind; a number is one of them.
array extended(const char* op, const array& a, int axis, std::optional<ScalarOrArray> before,
    std::optional<ScalarOrArray> behind, StreamOrDevice s) {
  int at = core::normalize_axis(op, axis, a.ndim());
  std::vector<array> parts;
  auto add = [&](std::optional<ScalarOrArray> part) {
    if (part) {
      array x = to_array(*part, a.dtype());
      Shape one = a.shape();
      one[static_cast<size_t>(at)] = 1;
      parts.push_back(x.ndim() == 0 ? core::broadcast_to(x, one, s) : x);
    }
  };
  add(before);
  parts.push_back(a);
  add(behind);
  return core::concatenate(parts, at, s);
}

} // namespace

void bind_array_scans(ArrayClass& c) {
  for (const Scan& scan : typed_scans) {
    bind_typed_method(c, scan);
  }
  for (const Scan& scan : scans) {
    bind_method(c, scan);
  }
}

void bind_ops_scan(nb::module_& m) {
  for (const Scan& scan : typed_scans) {
    def_op(
        m, scan.name,
        [scan](const array& a, std::optional<int> axis, bool reverse, bool inclusive, std::optional<Dtype> dtype,
            StreamOrDevice s) { return scan(dtype ? core::astype(a, *dtype, s) : a, axis, reverse, inclusive, s); },
        "a: array, axis: int | None = None, *, reverse: bool = False, inclusive: bool = True, dtype: Dtype | None = "
        "None",
        "array", "a"_a, "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true,
        "dtype"_a = nb::none());
  }
  for (const Scan& scan : scans) {
    def_op(
        m, scan.name,
        [scan](const array& a, std::optional<int> axis, bool reverse, bool inclusive, StreamOrDevice s) {
          return scan(a, axis, reverse, inclusive, s);
        },
        "a: array, axis: int | None = None, *, reverse: bool = False, inclusive: bool = True", "array", "a"_a,
        "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true);
  }
  for (const Cumulation& scan : cumulations) {
    def_op(
        m, scan.name,
        [function = scan.function](const array& a, std::optional<int> axis, bool reverse, bool inclusive,
            std::optional<Dtype> dtype, bool include_initial,
            StreamOrDevice s) { return function(a, axis, dtype, include_initial, reverse, inclusive, s); },
        "a: array, axis: int | None = None, *, reverse: bool = False, inclusive: bool = True, dtype: Dtype | None = "
        "None, include_initial: bool = False",
        "array", "a"_a, "axis"_a = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true,
        "dtype"_a = nb::none(), "include_initial"_a = false);
  }
  def_op(
      m, "diff",
      [](const array& a, int n, int axis, std::optional<ScalarOrArray> prepend, std::optional<ScalarOrArray> append,
          StreamOrDevice s) {
        return core::diff(n > 0 && (prepend || append) ? extended("diff", a, axis, prepend, append, s) : a, n, axis, s);
      },
      "a: array, n: int = 1, axis: int = -1, *, prepend: scalar | array | None = None, "
      "append: scalar | array | None = None",
      "array", "a"_a, "n"_a = 1, "axis"_a = -1, nb::kw_only(), "prepend"_a = nb::none(), "append"_a = nb::none());
}

} // namespace mlx::python
