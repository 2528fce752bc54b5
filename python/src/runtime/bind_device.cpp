// Devices and streams: Device, DeviceType, Stream, the thread's defaults, and `with mx.stream(...)`.
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include "python/src/array/list_caster.h"

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/processor.h"
#include "mlx_core/device.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/gil.h"

namespace mlx::python {

namespace {

using core::Device;
using core::Stream;
using DeviceType = Device::DeviceType;
using DeviceOrType = std::variant<Device, DeviceType>;

Device to_device(const DeviceOrType& d) {
  return std::holds_alternative<Device>(d) ? std::get<Device>(d) : Device(std::get<DeviceType>(d));
}

// A stream of each thread's own: the thread's default stream on the device.
struct ThreadLocalStream {
  Device device;
  friend bool operator==(ThreadLocalStream, ThreadLocalStream) = default;
};

// What `stream=` and mx.stream take, as a stream.
Stream to_stream(nb::handle o) {
  core::StreamOrDevice s;
  if (!to_stream_or_device(o.ptr(), s)) {
    core::fail<core::TypeError>(
        "stream", "expected a Stream, a Device or a DeviceType; got a ", nb::type_name(o.type()).c_str(), ".");
  }
  return core::to_stream(s);
}

// Makes a stream, and its device, the thread's defaults inside a `with` block.
class StreamContext {
 public:
  explicit StreamContext(nb::object target) : target_(std::move(target)) { to_stream(target_); }
  void enter() {
    outer_device_ = core::default_device();
    Stream stream = to_stream(target_);
    outer_stream_ = core::default_stream(stream.device);
    core::set_default_device(stream.device);
    core::set_default_stream(stream);
  }
  void exit() {
    core::set_default_stream(outer_stream_);
    core::set_default_device(outer_device_);
  }

 private:
  nb::object target_;
  Device outer_device_{Device::cpu};
  Stream outer_stream_{0, Device::cpu};
};

template <typename T>
nb::object equal_or_not_implemented(const T& self, nb::handle other) {
  T o = self;
  return nb::try_cast(other, o) ? nb::bool_(self == o) : nb::borrow(Py_NotImplemented);
}

// A DeviceType equals the Device of that type with index 0.
nb::object equal_devices(Device self, nb::handle other) {
  if (Device device = self; nb::try_cast(other, device, false)) {
    return nb::bool_(self == device);
  }
  DeviceType type;
  return nb::try_cast(other, type, false) ? nb::bool_(self == Device(type)) : nb::borrow(Py_NotImplemented);
}

size_t hash_of(Device device) { return static_cast<size_t>(device.type) * 1000003 + static_cast<size_t>(device.index); }

nb::dict device_info(std::optional<DeviceOrType> d) {
  nb::dict info;
  Device device = d ? to_device(*d) : core::default_device();
  if (device.type == Device::gpu) {
    if (core::is_available(device)) {
      const core::gpu::DeviceInfo& gpu = core::gpu::device_info();
      info["architecture"] = gpu.architecture;
      info["device_name"] = gpu.name;
      info["memory_size"] = gpu.memory_size;
      info["max_buffer_length"] = gpu.max_buffer_length;
      info["max_recommended_working_set_size"] = gpu.max_recommended_working_set_size;
    }
    return info;
  }
  info["architecture"] = core::cpu::architecture();
  info["instruction_set"] = core::cpu::instruction_set();
  info["device_name"] = core::cpu::processor_name();
  info["memory_size"] = core::cpu::memory_size();
  return info;
}

void bind_classes(nb::module_& m) {
  nb::enum_<DeviceType>(m, "DeviceType", "A kind of device.")
      .value("cpu", Device::cpu)
      .value("gpu", Device::gpu)
      .export_values()
      .def(
          "__eq__", [](DeviceType self, nb::handle other) { return equal_devices(Device(self), other); },
          nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](DeviceType self) { return hash_of(Device(self)); });
  nb::class_<Device>(m, "Device", "A device that computes: its type and index.")
      .def(
          "__init__", [](Device* self, DeviceType type, int index) { new (self) Device(type, index); }, nb::arg("type"),
          nb::arg("index") = 0)
      .def_ro("type", &Device::type, "The kind of device.")
      .def_ro("index", &Device::index, "Which of the devices of this kind.")
      .def("__repr__", [](Device d) { return core::to_string(d); })
      .def("__eq__", &equal_devices, nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", &hash_of)
      .def(
          "__reduce__",
          [](Device d) { return nb::make_tuple(nb::type<Device>(), nb::make_tuple(nb::cast(d.type), d.index)); },
          nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"));
  nb::class_<Stream>(m, "Stream", "A queue of work on a device: what is put on one stream runs in program order.")
      .def_ro("device", &Stream::device, "The device it runs on.")
      .def_ro("index", &Stream::index, "Its number.")
      .def("__repr__", [](Stream s) { return core::to_string(s); })
      .def("__eq__", &equal_or_not_implemented<Stream>, nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](Stream s) { return hash_of(s.device) * 31 + static_cast<size_t>(s.index); });
  nb::class_<ThreadLocalStream>(m, "ThreadLocalStream", "Stands for the default stream of whichever thread uses it.")
      .def_ro("device", &ThreadLocalStream::device, "The device it runs on.")
      .def("__repr__", [](ThreadLocalStream s) { return "ThreadLocalStream(" + core::to_string(s.device) + ")"; })
      .def(
          "__eq__", &equal_or_not_implemented<ThreadLocalStream>, nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](ThreadLocalStream s) { return hash_of(s.device); });
}

void bind_defaults(nb::module_& m) {
  m.def("default_device", &core::default_device, "The device on which this thread's operations run.");
  m.def(
      "set_default_device", [](DeviceOrType d) { core::set_default_device(to_device(d)); }, nb::arg("device"),
      "Runs this thread's operations on ``device`` from now on. ValueError when this build has no such device.");
  m.def(
      "is_available", [](DeviceOrType d) { return core::is_available(to_device(d)); }, nb::arg("device"),
      "Whether the device can be used.");
  m.def("device_count", &core::device_count, nb::arg("device_type"), "How many devices of this type there are.");
  m.def("device_info", &device_info, nb::arg("d") = nb::none(),
      nb::sig("def device_info(d: Device | DeviceType | None = None) -> dict[str, str | int]"),
      "What is known of a device, by name; empty for a device that this build lacks.");
  m.def(
      "default_stream", [](DeviceOrType d) { return core::default_stream(to_device(d)); }, nb::arg("device"),
      "This thread's default stream on the device.");
  m.def("set_default_stream", &core::set_default_stream, nb::arg("stream"),
      "Makes ``stream`` this thread's default on its device.");
  m.def(
      "new_stream", [](DeviceOrType d) { return core::new_stream(to_device(d)); }, nb::arg("device"),
      "A new stream on the device.");
  m.def(
      "new_thread_unsafe_stream", [](DeviceOrType d) { return core::new_stream(to_device(d)); }, nb::arg("device"),
      "The same as `new_stream`: every stream may be used from any thread.");
  m.def(
      "new_thread_local_stream",
      [](DeviceOrType d) { return ThreadLocalStream{core::default_stream(to_device(d)).device}; }, nb::arg("device"),
      "A stream that stands for each thread's own default stream on the device.");
  m.def("_cpu_targets", &core::cpu::instruction_sets,
      "The instruction sets that MLX_CPU_TARGETS may name here, from least to most.");
  m.def("clear_streams", &core::clear_streams, "Drops every stream but the defaults.");
}

void bind_contexts(nb::module_& m) {
  nb::class_<StreamContext>(m, "StreamContext", "Makes a stream or device the thread's default in a ``with`` block.")
      .def(
          "__init__", [](StreamContext* self, nb::object s) { new (self) StreamContext(std::move(s)); }, nb::arg("s"),
          nb::sig("def __init__(self, s: Stream | ThreadLocalStream | Device | DeviceType) -> None"))
      .def("__enter__", &StreamContext::enter)
      .def(
          "__exit__", [](StreamContext& self, const nb::args&) { self.exit(); },
          nb::sig("def __exit__(self, exc_type: type | None = None, exc_value: object | None = None, "
                  "traceback: object | None = None) -> None"));
  m.def(
      "stream", [](nb::object s) { return StreamContext(std::move(s)); }, nb::arg("s"),
      nb::sig("def stream(s: Stream | ThreadLocalStream | Device | DeviceType) -> StreamContext"),
      R"(A context in which operations run on this stream or device::

    with mx.stream(mx.cpu):
        y = mx.sin(x)
)");
}

} // namespace

bool to_stream_or_device(PyObject* o, StreamOrDevice& out) {
  nb::handle handle(o);
  if (Stream stream{0, Device::cpu}; nb::try_cast(handle, stream, false)) {
    out = stream;
  } else if (Device device{Device::cpu}; nb::try_cast(handle, device, false)) {
    out = device;
  } else if (DeviceType type; nb::try_cast(handle, type, false)) {
    out = Device(type);
  } else if (ThreadLocalStream local{Device::cpu}; nb::try_cast(handle, local, false)) {
    out = core::default_stream(local.device);
  } else {
    return false;
  }
  return true;
}

void bind_device(nb::module_& m) {
  bind_classes(m);
  bind_defaults(m);
  bind_contexts(m);
}

} // namespace mlx::python
