// Values of arrays as Python objects and as memory that others read.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/array.h"

namespace nb = nanobind;

namespace mlx::python {

// a, computed (by value: its handle may be rebound while another thread runs). Inside vmap an array that differs
// between lanes has no value: ValueError saying so, naming `reader`.
core::array concrete(core::array a, const char* reader);

// The only element as bool, int, float or complex.
nb::object item(const core::array& a, const char* reader = "item");
// Nested lists of elements; the element itself for a scalar.
nb::object tolist(const core::array& a);
// The elements in row-major order, for `reader`.
nb::bytes to_bytes(const core::array& a, const char* reader);
// The inverse of to_bytes.
core::array from_bytes(nb::bytes data, const core::Shape& shape, core::Dtype dtype);

// bf_getbuffer and bf_releasebuffer of the array class: read-only, without a copy.
int get_buffer(PyObject* handle, Py_buffer* view, int flags) noexcept;
void release_buffer(PyObject* handle, Py_buffer* view) noexcept;

nb::object to_dlpack(nb::handle handle, nb::handle max_version, nb::handle dl_device, std::optional<bool> copy);
nb::object to_numpy(nb::handle handle, nb::handle dtype, std::optional<bool> copy);

} // namespace mlx::python
