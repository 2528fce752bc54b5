// The allocator's figures and limits.
#include "mlx_core/allocator.h"
#include "python/src/bind.h"

namespace mlx::python {

void bind_memory(nb::module_& m) {
  m.def("get_active_memory", &core::get_active_memory, "Bytes held by arrays, without the cache.");
  m.def("get_peak_memory", &core::get_peak_memory,
      "The most bytes that arrays held since the start, or since :func:`reset_peak_memory`.");
  m.def("reset_peak_memory", &core::reset_peak_memory, "Starts measuring the peak anew, from zero.");
  m.def("get_cache_memory", &core::get_cache_memory, "Bytes kept for arrays to come.");
  m.def("get_foreign_memory", &core::get_foreign_memory,
      "Bytes of others, such as NumPy, that arrays share; no other figure counts them.");
  m.def("set_memory_limit", &core::set_memory_limit, nb::arg("limit"),
      R"(Sets the number of bytes that evaluation tries to stay below.

Args:
    limit (int): Bytes.

Returns:
    int: The previous limit.
)");
  m.def("get_memory_limit", &core::get_memory_limit, "The limit of :func:`set_memory_limit`, in bytes.");
  m.def("set_cache_limit", &core::set_cache_limit, nb::arg("limit"),
      R"(Sets how many bytes may be kept for arrays to come; 0 keeps none.

Args:
    limit (int): Bytes.

Returns:
    int: The previous limit.
)");
  m.def(
      "set_wired_limit", [](size_t) { return size_t(0); }, nb::arg("limit"),
      R"(Sets how many bytes stay resident for a GPU. Without a GPU there is nothing to wire.

Args:
    limit (int): Bytes.

Returns:
    int: The previous limit: 0.
)");
  m.def("clear_cache", &core::clear_cache, "Gives the memory of the cache back to the system.");
}

} // namespace mlx::python
