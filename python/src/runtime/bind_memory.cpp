// The allocator's figures and limits.
#include <unordered_map>

#include "mlx_core/allocator.h"
#include "mlx_core/gpu/gpu.h"
#include "mlx_core/node_pool.h"
#include "mlx_core/origin.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/bind.h"
#include "python/src/trees/trees.h"

namespace mlx::python {

namespace {

// Each buffer once; arrays that are not computed are, as their memory is asked for.
size_t buffer_size(const nb::args& args) {
  Leaves leaves;
  Tree::collect(args, leaves);
  std::unordered_map<const core::Buffer*, size_t> buffers;
  for (const nb::object& leaf : leaves) {
    if (is_array(leaf)) {
      array a = read(leaf);
      evaluate(a);
      if (const core::Buffer* buffer = a.node()->buffer.get()) {
        buffers.emplace(buffer, buffer->size);
      }
    }
  }
  size_t bytes = 0;
  for (auto [buffer, size] : buffers) {
    bytes += size;
  }
  return bytes;
}

} // namespace

void bind_memory(nb::module_& m) {
  m.def("get_active_memory", &core::get_active_memory, "Bytes held by arrays, without the cache.");
  m.def("get_array_buffer_size", &buffer_size, nb::arg("args"),
      nb::sig("def get_array_buffer_size(*args: typing.Any) -> int"),
      R"(Bytes of the memory behind arrays, each piece of memory once.

Views share the memory of what they view. A scalar made from a number has none of its own.

Args:
    *args (array or tree of arrays): Leaves that are no arrays do not count.

Returns:
    int: Bytes, which may be more than the arrays' ``nbytes``.
)");
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
      "set_wired_limit",
      [](size_t limit) { return core::gpu::is_available() ? core::gpu::set_wired_limit(limit) : size_t(0); },
      nb::arg("limit"),
      R"(Sets how many bytes stay resident for a GPU. Without a GPU there is nothing to wire.

Args:
    limit (int): Bytes.

Returns:
    int: The previous limit; 0 without a GPU.
)");
  // For the tests that count what calls leave behind.
  m.def("_live_nodes", &core::detail::live_nodes);
  m.def("_known_origins", &core::known_origins);
  m.def("clear_cache", &core::clear_cache, "Gives the memory of the cache back to the system.");
}

} // namespace mlx::python
