// Short texts of values.
#include "python/src/shown.h"

#include <nanobind/stl/string.h>

namespace mlx::python {

std::string shown(nb::handle o) {
  nb::object shortened = nb::module_::import_("reprlib").attr("Repr")();
  for (const char* limit : {"maxlist", "maxtuple", "maxdict", "maxset", "maxfrozenset"}) {
    nb::setattr(shortened, limit, nb::int_(20));
  }
  for (const char* limit : {"maxstring", "maxother", "maxlong"}) {
    nb::setattr(shortened, limit, nb::int_(400));
  }
  return nb::cast<std::string>(shortened.attr("repr")(o));
}

} // namespace mlx::python
