// The methods of the array class that rearrange, convert or map elements; each is the function of mlx.core of its name.
#include <array>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/shape/rearrange.h"
#include "python/src/array/bind_array.h"
#include "python/src/interop/numpy_arguments.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

struct UnaryMethod {
  const char* name;
  array (*op)(const array&, StreamOrDevice);
};

constexpr std::array unary_methods = {
    UnaryMethod{"abs", &core::abs},
    UnaryMethod{"square", &core::square},
    UnaryMethod{"sqrt", &core::sqrt},
    UnaryMethod{"rsqrt", &core::rsqrt},
    UnaryMethod{"exp", &core::exp},
    UnaryMethod{"reciprocal", &core::reciprocal},
    UnaryMethod{"log", &core::log},
    UnaryMethod{"log2", &core::log2},
    UnaryMethod{"log10", &core::log10},
    UnaryMethod{"sin", &core::sin},
    UnaryMethod{"cos", &core::cos},
    UnaryMethod{"log1p", &core::log1p},
    UnaryMethod{"conj", &core::conjugate},
};

std::string see(const char* name) { return "See :func:`mlx.core." + std::string(name) + "`."; }

nb::list arrays(std::vector<array> parts) {
  nb::list list;
  for (array& part : parts) {
    list.append(nb::steal(wrap(std::move(part))));
  }
  return list;
}

const char* const stream_type = "stream: Stream | Device | DeviceType | None = None) -> ";

std::string signature(const char* name, const char* parameters, const char* result = "array") {
  return "def " + std::string(name) + "(self, " + parameters + (*parameters ? ", " : "") + "*, " + stream_type + result;
}

} // namespace

void bind_array_methods(ArrayClass& c) {
  for (const UnaryMethod& m : unary_methods) {
    c.def(
        m.name, [op = m.op](const array& a, StreamOrDevice s) { return op(a, s); }, nb::kw_only(),
        nb::arg("stream") = nb::none(), see(m.name).c_str());
  }
  c.def("astype", &core::astype, nb::arg("dtype"), nb::arg("stream") = nb::none(),
      R"(The elements converted to ``dtype``.

Floats truncate towards zero to integers; complex numbers keep their real part.)");
  c.def("view", &core::view, nb::arg("dtype"), nb::kw_only(), nb::arg("stream") = nb::none(), see("view").c_str());
  c.def(
      "reshape",
      [](const array& a, const nb::args& shape, StreamOrDevice s) {
        return core::reshape(a, shape_from_args("reshape", shape), s);
      },
      nb::arg("shape"), nb::arg("stream") = nb::none(),
      nb::sig("def reshape(self, *shape: int | collections.abc.Sequence[int], "
              "stream: Stream | Device | DeviceType | None = None) -> array"),
      see("reshape").c_str());
  c.def(
      "transpose",
      [](const array& a, const nb::args& axes, StreamOrDevice s) {
        bool reversed = axes.size() == 0 || (axes.size() == 1 && axes[0].is_none()); // NumPy says None
        return reversed ? core::transpose(a, s) : core::transpose(a, axes_from_args("transpose", axes), s);
      },
      nb::arg("axes"), nb::arg("stream") = nb::none(),
      nb::sig("def transpose(self, *axes: int | collections.abc.Sequence[int], "
              "stream: Stream | Device | DeviceType | None = None) -> array"),
      see("transpose").c_str());
  c.def("flatten", &core::flatten, nb::arg("start_axis") = 0, nb::arg("end_axis") = -1, nb::kw_only(),
      nb::arg("stream") = nb::none(), see("flatten").c_str());
  c.def(
      "squeeze",
      [](const array& a, const std::optional<Axes>& axis, StreamOrDevice s) {
        return axis ? core::squeeze(a, *axis, s) : core::squeeze(a, s);
      },
      nb::arg("axis") = nb::none(), nb::kw_only(), nb::arg("stream") = nb::none(),
      nb::sig(signature("squeeze", "axis: int | collections.abc.Sequence[int] | None = None").c_str()),
      see("squeeze").c_str());
  c.def(
      "moveaxis",
      [](const array& a, const Axes& source, const Axes& destination, StreamOrDevice s) {
        return core::moveaxis(a, source, destination, s);
      },
      nb::arg("source"), nb::arg("destination"), nb::kw_only(), nb::arg("stream") = nb::none(),
      see("moveaxis").c_str());
  c.def("swapaxes", &core::swapaxes, nb::arg("axis1"), nb::arg("axis2"), nb::kw_only(), nb::arg("stream") = nb::none(),
      see("swapaxes").c_str());
  c.def(
      "split",
      [](const array& a, nb::handle indices_or_sections, int axis, StreamOrDevice s) {
        Axes numbers;
        if (!to_axes(indices_or_sections.ptr(), numbers)) {
          core::fail<core::TypeError>("split", "indices_or_sections must be an int or a sequence of ints; got ",
              shown(indices_or_sections), ".");
        }
        bool sections = !PySequence_Check(indices_or_sections.ptr()) || is_array(indices_or_sections);
        return arrays(sections ? core::split(a, numbers[0], axis, s) : core::split(a, numbers, axis, s));
      },
      nb::arg("indices_or_sections"), nb::arg("axis") = 0, nb::kw_only(), nb::arg("stream") = nb::none(),
      nb::sig(
          signature("split", "indices_or_sections: int | collections.abc.Sequence[int], axis: int = 0", "list[array]")
              .c_str()),
      see("split").c_str());
  c.def("diagonal", &core::diagonal, nb::arg("offset") = 0, nb::arg("axis1") = 0, nb::arg("axis2") = 1,
      nb::arg("stream") = nb::none(), see("diagonal").c_str());
  c.def("diag", &core::diag, nb::arg("k") = 0, nb::kw_only(), nb::arg("stream") = nb::none(), see("diag").c_str());
  c.def(
      "round",
      [](const array& a, int decimals, nb::handle out, StreamOrDevice s) {
        return into("round", out, core::round(a, decimals, s));
      },
      nb::arg("decimals") = 0, nb::kw_only(), nb::arg("out") = nb::none(), nb::arg("stream") = nb::none(),
      nb::sig(
          ("def round(self, decimals: int = 0, *, " + std::string(numpy_out_parameter) + ", " + stream_type + "array")
              .c_str()),
      see("round").c_str());
}

} // namespace mlx::python
