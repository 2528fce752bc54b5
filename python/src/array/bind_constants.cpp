// Constants, versions, and the names that signatures use for unions of types.
#include <limits>
#include <numbers>
#include <string>

#include <nanobind/stl/string.h>

#include "python/src/runtime/bind.h"

namespace mlx::python {

void bind_constants(nb::module_& m) {
  m.attr("pi") = std::numbers::pi;
  m.attr("e") = std::numbers::e;
  m.attr("euler_gamma") = std::numbers::egamma;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = nb::none();
  m.attr("__version__") = MLX_CORE_VERSION;
  m.attr("__mlx_api__") = MLX_API_VERSION;
  // An extension module shares the type array only if its nanobind has the same ABI.
  m.attr("__nanobind__") = std::to_string(NB_VERSION_MAJOR) + "." + std::to_string(NB_VERSION_MINOR) + "." +
                           std::to_string(NB_VERSION_PATCH);

  nb::object typing = nb::module_::import_("typing");
  nb::object any = typing.attr("Union");
  nb::object builtins = nb::module_::import_("builtins");
  m.attr("scalar") = any[nb::make_tuple(
      builtins.attr("int"), builtins.attr("float"), builtins.attr("bool"), builtins.attr("complex"))];
  m.attr("list_or_scalar") = typing.attr("Any");
  m.attr("StreamOrDevice") = any[nb::make_tuple(m.attr("Stream"), m.attr("Device"), m.attr("DeviceType"), nb::none())];
}

} // namespace mlx::python
