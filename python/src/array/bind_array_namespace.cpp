// mlx.core as a namespace of the Array API standard, 2024.12: its version, __array_namespace_info__, and what an array
// says of its namespace and its device.
#include <algorithm>

#include "mlx_core/device.h"
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/bind_array.h"
#include "python/src/array/dtype_kind.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::Device;

constexpr const char* versions[] = {"2021.12", "2022.12", "2023.12", "2024.12"};

// What mx.__array_namespace_info__() returns.
struct NamespaceInfo {};

Device device_or_default(const StreamOrDevice& device) {
  return device.index() == 0 ? core::default_device() : core::to_stream(device).device;
}

nb::dict default_dtypes(StreamOrDevice) { // the same on each device
  nb::dict all;
  all["real floating"] = dtype_object(core::float32);
  all["complex floating"] = dtype_object(core::complex64);
  all["integral"] = dtype_object(core::int32);
  all["indexing"] = dtype_object(core::int32);
  return all;
}

// Those that the standard knows: not float16 and bfloat16.
nb::dict dtypes(StreamOrDevice device, nb::handle kind) {
  bool on_gpu = device_or_default(device).type == Device::gpu;
  nb::dict all;
  for (int i = 0; i < core::dtype_count; ++i) {
    Dtype dtype = static_cast<Dtype::Val>(i);
    bool standard = dtype != core::float16 && dtype != core::bfloat16;
    bool there = !on_gpu || (dtype != core::float64 && dtype != core::complex128);
    if (standard && there && (kind.is_none() || is_of_kind("dtypes", dtype, kind))) {
      all[dtype.is_bool() ? "bool" : std::string(core::name_of(dtype)).c_str()] = dtype_object(dtype);
    }
  }
  return all;
}

nb::list devices() {
  nb::list all;
  for (Device::DeviceType type : {Device::cpu, Device::gpu}) {
    for (int i = 0; i < core::device_count(type); ++i) {
      if (core::is_available(Device(type, i))) {
        all.append(nb::cast(Device(type, i)));
      }
    }
  }
  return all;
}

nb::dict capabilities() {
  nb::dict all;
  all["boolean indexing"] = true;
  all["data-dependent shapes"] = true;
  all["max dimensions"] = nb::none();
  return all;
}

void bind_info(nb::module_& m) {
  nb::class_<NamespaceInfo>(m, "ArrayNamespaceInfo", "What the Array API standard asks of a namespace.")
      .def_static("capabilities", &capabilities, nb::sig("def capabilities() -> dict[str, bool | int | None]"),
          "Boolean indexing and shapes that depend on values are there (outside of ``compile`` and ``vmap``); the "
          "number of axes has no limit.")
      .def_static("default_device", &core::default_device, "The device on which this thread's operations run.")
      .def_static("default_dtypes", &default_dtypes, nb::kw_only(), nb::arg("device") = nb::none(),
          nb::sig("def default_dtypes(*, device: StreamOrDevice = None) -> dict[str, Dtype]"),
          "The dtypes of arrays of Python's numbers, and of indices.")
      .def_static("devices", &devices, nb::sig("def devices() -> list[Device]"), "The devices of this machine.")
      .def_static("dtypes", &dtypes, nb::kw_only(), nb::arg("device") = nb::none(), nb::arg("kind") = nb::none(),
          nb::sig("def dtypes(*, device: StreamOrDevice = None, kind: str | tuple[str, ...] | None = None) "
                  "-> dict[str, Dtype]"),
          "The standard's dtypes by their names, all or of one or more kinds (see ``isdtype``). A GPU has neither "
          "float64 "
          "nor complex128.");
  m.def(
      "__array_namespace_info__", [] { return NamespaceInfo(); },
      nb::sig("def __array_namespace_info__() -> ArrayNamespaceInfo"),
      "What this namespace offers, as the Array API standard has it.\n\nExample:\n"
      "    >>> mx.__array_namespace_info__().dtypes(kind=\"complex floating\")\n"
      "    {'complex64': mlx.core.complex64, 'complex128': mlx.core.complex128}");
}

nb::object namespace_of(const array&, const std::optional<std::string>& api_version) {
  if (api_version && std::find(std::begin(versions), std::end(versions), *api_version) == std::end(versions)) {
    core::fail("__array_namespace__", "api_version is '", *api_version,
        "'; this is the standard's version 2024.12, which "
        "includes those from 2021.12 on.");
  }
  return nb::module_::import_("mlx.core");
}

Device device_of(const array& a) { return core::stream_at(a.node()->stream).device; }

} // namespace

nb::object to_device(Self self, const StreamOrDevice& device) {
  if (device.index() == 0) {
    core::fail<core::TypeError>("to_device", "device is None; it should be a Device, as x.device is.");
  }
  const array& a = read(self);
  return core::to_stream(device).device == device_of(a) ? nb::borrow(self)
                                                        : nb::steal(wrap(core::contiguous(a, device)));
}

void bind_array_namespace(nb::module_& m, ArrayClass& c) {
  m.attr("bool") = m.attr("bool_"); // the standard's name
  m.attr("__array_api_version__") = "2024.12";
  bind_info(m);
  c.def("__array_namespace__", &namespace_of, nb::arg("api_version") = nb::none(),
      nb::sig("def __array_namespace__(self, api_version: str | None = None) -> types.ModuleType"),
      "The module mlx.core, which has what the Array API standard 2024.12 asks for.");
  c.def_prop_ro("device", &device_of,
      "The device that computes the array. Its memory is read from each device; this is what ``device=`` takes.");
  c.def(
      "to_device", [](Self self, const StreamOrDevice& device, nb::handle) { return to_device(self, device); },
      nb::arg(), nb::kw_only(), nb::arg("stream") = nb::none(),
      nb::sig(
          "def to_device(self, device: Stream | Device | DeviceType, /, *, stream: typing.Any | None = None) -> array"),
      "The array as one that ``device`` computes; itself where it does already. ``stream`` is there for the Array "
      "API.");
}

} // namespace mlx::python
