// How an op is bound: its documentation comes from the registry, and its last argument is `stream`.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstring>
#include <string>
#include <type_traits>

#include "mlx_core/ops.h"
#include "mlx_core/primitive.h"
#include "python/src/array/convert.h"

namespace mlx::python {

using namespace nb::literals;

// What the operands of an elementwise op are called.
std::array<const char*, 3> operand_names(const core::OpInfo& op);
// The docstring of a registered op.
std::string docstring_of(const core::OpInfo& op);
// As above; remembers names that are not registered.
std::string docstring_of(const char* name);
// Fails the import when there are such names.
void check_registered();
// "def name(parameters, *, stream: StreamOrDevice = None) -> result", with Sequence spelled out.
std::string signature_of(const char* name, const std::string& parameters, const char* result);

// Binds one op under its registered name ("random.uniform" as "uniform"). `parameters` is the Python signature without
// `stream`, which is a keyword; `arguments` are nanobind's annotations without it.
template <typename Function, typename... Arguments>
void def_op(nb::module_& m, const char* registered, Function&& function, const char* parameters, const char* result,
    const Arguments&... arguments) {
  const char* dot = std::strrchr(registered, '.');
  const char* name = dot ? dot + 1 : registered;
  std::string signature = signature_of(name, parameters, result);
  std::string doc = docstring_of(registered);
  if constexpr ((std::is_same_v<Arguments, nb::kw_only> || ...)) {
    m.def(name, std::forward<Function>(function), arguments..., nb::arg("stream") = nb::none(),
        nb::sig(signature.c_str()), doc.c_str());
  } else {
    m.def(name, std::forward<Function>(function), arguments..., nb::kw_only(), nb::arg("stream") = nb::none(),
        nb::sig(signature.c_str()), doc.c_str());
  }
}
// As above, where `parameters` and `arguments` have `stream` at its place: by position, as MLX has it for some.
template <typename Function, typename... Arguments>
void def_op_exactly(nb::module_& m, const char* name, Function&& function, const std::string& parameters,
    const char* result, const Arguments&... arguments) {
  std::string signature = "def " + std::string(name) + "(" + parameters + ") -> " + result;
  m.def(name, std::forward<Function>(function), arguments..., nb::sig(signature.c_str()), docstring_of(name).c_str());
}
// A second name for an op that is bound already.
inline void def_alias(nb::module_& m, const char* alias, const char* name) { m.attr(alias) = m.attr(name); }

// What where(condition) is: nonzero of it.
nb::object indices_where(const array& condition, StreamOrDevice s);

inline nb::object out(array a) { return nb::steal(wrap(std::move(a))); }
inline nb::list out_list(const std::vector<array>& arrays) {
  nb::list list;
  for (const array& a : arrays) {
    list.append(out(a));
  }
  return list;
}

// *args that are arrays or turn into arrays; name is for errors.
std::vector<array> arrays_of(const char* op, const char* name, const nb::args& args);
// The class collections.namedtuple makes, as an attribute of the module.
nb::object named_tuple(nb::module_& m, const char* name, const char* fields, const char* doc);
// Where to work: `device` is the Array API's name of `stream`, so that only one of them may be given.
StreamOrDevice placed(const char* op, StreamOrDevice device, StreamOrDevice s);
// correction is the Array API's name of ddof.
double ddof_of(const char* op, double ddof, std::optional<double> correction);

void bind_ops_elementwise(nb::module_& m);
void bind_ops_creation(nb::module_& m);
void bind_ops_shape(nb::module_& m);
void bind_ops_reduce(nb::module_& m);
void bind_ops_select(nb::module_& m);
void bind_ops_scan(nb::module_& m);
void bind_ops_sort(nb::module_& m);
void bind_ops_rearrange(nb::module_& m);
void bind_ops_products(nb::module_& m);
void bind_ops_sampled(nb::module_& m);
void bind_ops_conv(nb::module_& m);
void bind_ops_values(nb::module_& m);
void bind_fast_functions(nb::module_& m);

} // namespace mlx::python
