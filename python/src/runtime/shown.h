// Values of the user's in error messages.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

namespace nb = nanobind;

namespace mlx::python {

// As repr(o), but of a large container only the beginning, and of a deep one the first levels: repr itself would go as
// deep as the container does.
std::string shown(nb::handle o);
// At most so many bytes of a text, and dots; characters of UTF-8 stay whole.
std::string shortened(std::string text, size_t longest);

} // namespace mlx::python
