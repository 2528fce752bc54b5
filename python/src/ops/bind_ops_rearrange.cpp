// Padding, repetition, order, diagonals, grids and windows.
#include <algorithm>
#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/ops/index/deciding_values.h"
#include "mlx_core/ops/shape/rearrange.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::fail;

using Widths = std::pair<core::Dim, core::Dim>;

// An int or a sequence of them; open sizes stay so.
bool to_widths(PyObject* o, Shape& out) {
  auto is_int = [](core::Dim d) {
    return d.is_symbolic() || (d <= std::numeric_limits<int>::max() && d >= std::numeric_limits<int>::min());
  };
  return to_shape(o, out) && std::all_of(out.begin(), out.end(), is_int);
}

// One entry, or two: before and after.
bool to_pair(const Shape& entries, Widths& out) {
  if (entries.size() != 1 && entries.size() != 2) {
    return false;
  }
  out = {entries[0], entries[entries.size() - 1]};
  return true;
}

// An int, (before, after) for all axes, or a sequence with one of these for each axis.
std::vector<Widths> pad_width_of(nb::handle width) {
  std::vector<Widths> pairs;
  Shape entries;
  Widths pair;
  bool known = to_widths(width.ptr(), entries);
  if (known && entries.empty()) {
    return {};
  }
  if (known && to_pair(entries, pair)) {
    return {pair};
  }
  if (!known && PySequence_Check(width.ptr()) && !PyUnicode_Check(width.ptr())) {
    for (nb::handle entry : nb::borrow<nb::sequence>(width)) {
      entries.clear();
      if (!to_widths(entry.ptr(), entries) || !to_pair(entries, pair)) {
        fail<core::TypeError>("pad", "pad_width has the entry ", shown(entry), "; it should be a pair of int.");
      }
      pairs.push_back(pair);
    }
    return pairs;
  }
  if (known) {
    fail<core::TypeError>(
        "pad", "pad_width is ", shown(width), "; for different widths give a list with a pair for each axis.");
  }
  fail<core::TypeError>(
      "pad", "pad_width is ", shown(width), "; it should be an int, a pair of int, or a list of pairs.");
}

// The counts of repeat: a number of any kind, or an array or list of them. One serves all entries along the axis.
std::vector<int64_t> counts_of(nb::handle repeats, const array& a, int axis) {
  const char* const op = "repeat";
  bool list = PyList_Check(repeats.ptr()) || PyTuple_Check(repeats.ptr());
  std::optional<array> given;
  if (list && PySequence_Fast_GET_SIZE(repeats.ptr()) == 0) {
    given = core::zeros({core::Dim(0)}, core::int64);
  } else {
    given = list ? array_from_python(repeats) : try_to_array(repeats.ptr(), {});
  }
  if (!given || given->dtype().is_inexact()) {
    std::string what = given ? "of dtype " + std::string(name_of(given->dtype())) : described(repeats);
    fail<core::TypeError>(op, "repeats is ", what, "; it should be an int, or an array or list of ints.");
  }
  if (given->ndim() > 1) {
    fail(op, "repeats has shape ", given->shape(), "; it should be a number or have one axis.");
  }
  array counts = core::contiguous(core::astype(*given, core::int64));
  core::deciding(op, "repeats", *given,
      "give a list of ints or a NumPy array, or choose the entries with mx.take and as many indices as the result "
      "should have.",
      [&] { evaluate(counts); });
  const auto* values = reinterpret_cast<const int64_t*>(counts.raw_data());
  std::vector<int64_t> all(values, values + static_cast<size_t>(counts.size()));
  if (all.size() == 1) {
    if (all[0] < 0) {
      fail(op, "repeats is ", all[0], "; a number of copies is 0 or more.");
    }
    int at = core::normalize_axis(op, axis, a.ndim());
    all.resize(static_cast<size_t>(static_cast<int64_t>(a.shape()[static_cast<size_t>(at)])), all[0]);
  }
  return all;
}

// One array for one argument, else a list.
auto each(const char* name, array (*op)(const array&, StreamOrDevice)) {
  return [name, op](const nb::args& args, StreamOrDevice s) {
    std::vector<array> all = arrays_of(name, "arys", args);
    for (array& a : all) {
      a = op(a, s);
    }
    return all.size() == 1 ? out(all[0]) : nb::object(out_list(all));
  };
}

void bind_windows(nb::module_& m) {
  struct Window {
    const char* name;
    array (*of)(int, StreamOrDevice);
  };
  for (Window w : {Window{"bartlett", core::bartlett}, Window{"hanning", core::hanning},
           Window{"hamming", core::hamming}, Window{"blackman", core::blackman}}) {
    def_op(m, w.name, [of = w.of](int M, StreamOrDevice s) { return of(M, s); }, "M: int", "array", "M"_a);
  }
}

void bind_diagonals(nb::module_& m) {
  def_op(
      m, "diag", [](const array& a, int k, StreamOrDevice s) { return core::diag(a, k, s); }, "a: array, k: int = 0",
      "array", "a"_a, "k"_a = 0);
  std::string signature =
      signature_of("diagonal", "a: array, offset: int = 0, axis1: int = 0, axis2: int = 1", "array");
  signature.replace(signature.find(", *, stream"), 3, ""); // as in MLX, stream may be given by position
  m.def(
      "diagonal",
      [](const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
        return core::diagonal(a, offset, axis1, axis2, s);
      },
      "a"_a, "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1, "stream"_a = nb::none(), nb::sig(signature.c_str()),
      docstring_of("diagonal").c_str());
  def_op(
      m, "trace",
      [](const array& a, int offset, int axis1, int axis2, std::optional<Dtype> dtype, StreamOrDevice s) {
        return dtype ? core::trace(a, offset, axis1, axis2, *dtype, s) : core::trace(a, offset, axis1, axis2, s);
      },
      "a: array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Dtype | None = None", "array", "a"_a,
      "offset"_a = 0, "axis1"_a = 0, "axis2"_a = 1, "dtype"_a = nb::none());
}

} // namespace

void bind_ops_rearrange(nb::module_& m) {
  def_op(
      m, "pad",
      [](const array& a, nb::handle pad_width, const std::string& mode, ScalarOrArray constant_values,
          StreamOrDevice s) {
        std::vector<Widths> widths = pad_width_of(pad_width);
        array value = to_array(constant_values, a.dtype());
        auto rank = static_cast<size_t>(a.ndim());
        if (widths.size() != rank && widths.size() != 1) {
          return core::pad(a, std::vector<std::pair<int, int>>(widths.size()), value, mode, s); // says so
        }
        Shape low, high;
        for (size_t i = 0; i < rank; ++i) {
          low.push_back(widths[widths.size() == 1 ? 0 : i].first);
          high.push_back(widths[widths.size() == 1 ? 0 : i].second);
        }
        return core::pad(a, core::all_axes(a.ndim()), low, high, value, mode, s);
      },
      "a: array, pad_width: int | tuple[int] | tuple[int, int] | list[tuple[int, int]], "
      "mode: str = 'constant', constant_values: scalar | array = 0",
      "array", "a"_a, "pad_width"_a, "mode"_a = "constant", "constant_values"_a = 0);
  def_op(
      m, "tile", [](const array& a, const Shape& reps, StreamOrDevice s) { return core::tile(a, reps, s); },
      "a: array, reps: int | Sequence[int]", "array", "a"_a, "reps"_a);
  def_op(
      m, "repeat",
      [](const array& a, nb::handle repeats, std::optional<int> axis, StreamOrDevice s) {
        if (int count = 0; !PyBool_Check(repeats.ptr()) && !is_array(repeats) && nb::try_cast(repeats, count, false)) {
          return axis ? core::repeat(a, count, *axis, s) : core::repeat(a, count, s);
        }
        array along = axis ? a : core::flatten(a);
        std::vector<int64_t> counts = counts_of(repeats, along, axis.value_or(0));
        return core::repeat(along, counts, axis.value_or(0), s);
      },
      "array: array, repeats: int | Sequence[int] | array, axis: int | None = None", "array", "array"_a, "repeats"_a,
      "axis"_a = nb::none());
  def_op(
      m, "roll",
      [](const array& a, const Shape& shift, const std::optional<Axes>& axis, StreamOrDevice s) {
        return axis ? core::roll(a, shift, *axis, s)
                    : core::reshape(core::roll(core::flatten(a, 0, -1, s), shift, {0}, s), a.shape(), s);
      },
      "a: array, shift: int | tuple[int, ...], axis: None | int | tuple[int, ...] = None", "array", "a"_a, "shift"_a,
      "axis"_a = nb::none());
  def_op(
      m, "flip",
      [](const array& a, const std::optional<Axes>& axis, StreamOrDevice s) {
        return axis ? core::flip(a, *axis, s) : core::flip(a, s);
      },
      "a: array, axis: None | int | Sequence[int] = None", "array", "a"_a, "axis"_a = nb::none());
  bind_diagonals(m);
  def_op(
      m, "meshgrid",
      [](nb::args arrays, bool sparse, const std::string& indexing, StreamOrDevice s) {
        return nb::tuple(out_list(core::meshgrid(arrays_of("meshgrid", "arrays", arrays), sparse, indexing, s)));
      },
      "*arrays: array, sparse: bool = False, indexing: str = 'xy'", "tuple[array, ...]", nb::arg("arrays"),
      nb::kw_only(), "sparse"_a = false, "indexing"_a = "xy");
  def_op(m, "atleast_1d", each("atleast_1d", core::atleast_1d), "*arys: array", "array | list[array]", nb::arg("arys"));
  def_op(m, "atleast_2d", each("atleast_2d", core::atleast_2d), "*arys: array", "array | list[array]", nb::arg("arys"));
  def_op(m, "atleast_3d", each("atleast_3d", core::atleast_3d), "*arys: array", "array | list[array]", nb::arg("arys"));
  bind_windows(m);
}

} // namespace mlx::python
