// mlx.core.metal and mlx.core.cuda: whether this build has these backends, and MLX's older names of the memory figures.
#include <nanobind/stl/string.h>

#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

constexpr const char* older_names[] = {"get_active_memory", "get_peak_memory", "reset_peak_memory", "get_cache_memory",
    "set_memory_limit", "set_cache_limit", "set_wired_limit", "clear_cache"};

void require_metal(const char* op) {
  if (!core::gpu::is_available()) {
    core::fail(op, "this build has no Metal backend; ask mx.metal.is_available() first.");
  }
}

} // namespace

void bind_backends(nb::module_& m) {
  nb::module_ metal = m.def_submodule("metal", "The Metal backend.");
  metal.def(
      "is_available", [] { return core::gpu::is_available(); },
      "Whether arrays can be computed by Metal, on the device ``mx.gpu``.");
  for (const char* name : older_names) {
    metal.attr(name) = m.attr(name);
  }
  metal.def(
      "device_info", [info = nb::object(m.attr("device_info"))] { return info(); },
      nb::sig("def device_info() -> dict[str, str | int]"), "What is known of the default device, by name.");
  metal.def(
      "start_capture",
      [](const std::string& path) {
        require_metal("metal.start_capture");
        core::gpu::start_capture(path);
      },
      nb::arg("path"), nb::sig("def start_capture(path: str) -> None"),
      "Records the GPU's work into the file ``path``. ValueError where there is no Metal.");
  metal.def(
      "stop_capture",
      [] {
        require_metal("metal.stop_capture");
        core::gpu::stop_capture();
      },
      nb::sig("def stop_capture() -> None"), "Ends :func:`start_capture`. ValueError where there is no Metal.");
  nb::module_ cuda = m.def_submodule("cuda", "The CUDA backend.");
  cuda.def("is_available", [] { return false; }, "Whether arrays can be computed by CUDA: this build cannot.");
}

} // namespace mlx::python
