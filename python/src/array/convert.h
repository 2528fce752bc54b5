// Conversions between Python objects and the C++ core: array handles, numbers beside arrays, shapes, axes, streams.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include "python/src/array/list_caster.h"

#include <optional>
#include <utility>

#include "mlx_core/array.h"
#include "python/src/compile/dim_object.h"
#include "python/src/compile/handle_log.h"

namespace nb = nanobind;

namespace mlx::python {

using core::array;
using core::Axes;
using core::Dtype;
using core::Shape;
using core::StreamOrDevice;

// --- handles ---
// A Python array is a handle: an object holding a core::array, which an in-place operator or an index assignment
// replaces by another one. These functions are the only readers and writers of what a handle holds.

// mlx.core.array; set when the class is bound.
extern PyTypeObject* array_type;

inline bool is_array(PyObject* o) { return Py_TYPE(o) == array_type || PyType_IsSubtype(Py_TYPE(o), array_type); }
inline bool is_array(nb::handle o) { return is_array(o.ptr()); }
// What it holds, past the log of a recording.
inline array& held(nb::handle handle) { return *nb::inst_ptr<array>(handle); }
inline const array& read(PyObject* handle) {
  if (open_handle_log) [[unlikely]] {
    return open_handle_log->read(handle);
  }
  return held(handle);
}
inline const array& read(nb::handle handle) { return read(handle.ptr()); }
inline void rebind(PyObject* handle, array value) {
  if (open_handle_log) [[unlikely]] {
    open_handle_log->rebind(handle, std::move(value));
    return;
  }
  nb::ft_object_guard guard{nb::handle(handle)};
  held(handle) = std::move(value);
}
// A new handle, of the array class or a subclass; a new reference.
PyObject* wrap(array value, PyTypeObject* type = array_type);

// The Python object of a dtype, borrowed; equal dtypes are one object.
nb::handle dtype_object(Dtype dtype);
// The dtype called "float32".
Dtype dtype_named(std::string_view name);

// Releases the interpreter while the value is computed. Does nothing when it is there already.
void evaluate(const array& a);

// --- numbers beside arrays ---

// An argument that takes an array, a number, or whatever turns into an array: NumPy arrays and scalars, objects with
// __mlx_array__, __dlpack__, __array__ or the buffer protocol. Valid during the call.
struct ScalarOrArray {
  PyObject* object = nullptr;
};

// A number takes `like` when that dtype holds its kind: bool goes anywhere, int into integers and floats, float into
// floats, complex into complex. A NumPy array adopts `like` by the same rule. Otherwise, and without `like`, the dtype
// is the value's own: bool, int32 (int64, uint64 where needed), float32, complex64. Throws std::invalid_argument for an
// int that its dtype cannot hold.
array to_array(ScalarOrArray value, std::optional<Dtype> like = {});
// Both operands of a binary op: a number adopts the dtype of the other when that is an array.
std::pair<array, array> to_arrays(ScalarOrArray a, ScalarOrArray b);
// Whether to_array takes it.
bool is_scalar_or_array(PyObject* o);
// As to_array, or nullopt when `o` is nothing that turns into an array. The fast path of the operators.
std::optional<array> try_to_array(PyObject* o, std::optional<Dtype> like);

// --- making arrays (array_from_python.cpp, array_import.cpp) ---

// mx.array(value, dtype): numbers, nested lists and tuples, NumPy arrays, buffers, DLPack, arrays. Always a copy.
// keep_64 as below.
array array_from_python(nb::handle value, std::optional<Dtype> dtype = {}, bool keep_64 = false);
// The memory of a buffer, DLPack or __array__ object as a leaf; nullopt when the object has none of these. float64 and
// complex128 become float32 and complex64 unless keep_64 (mx.array(NumPy array) is as MLX has it).
// copy: true always copies, false never does (BufferError when it must), nullopt copies too (foreign memory may
// change).
std::optional<array> import_memory(nb::handle value, std::optional<bool> copy, bool keep_64);
// from_dlpack keeps the producer's dtype.
array from_dlpack(nb::handle value, std::optional<bool> copy);

// Python value of one element of an evaluated array.
nb::object element_object(const void* element, Dtype dtype);

// --- axes and shapes ---
// False when `o` is neither an int (or has __index__) nor a sequence of them.
bool to_shape(PyObject* o, Shape& out);
bool to_axes(PyObject* o, Axes& out);
nb::object shape_tuple(const Shape& shape);
// *args of reshape and transpose: (2, 3) or ((2, 3),).
Shape shape_from_args(const char* op, nb::handle args);
Axes axes_from_args(const char* op, nb::handle args);

bool to_stream_or_device(PyObject* o, StreamOrDevice& out);

// A tuple of the items of a sequence that is neither a list nor a tuple; null, without a Python error, when it is none,
// fails, or does not come to an end.
nb::object items_of_sequence(PyObject* o);

} // namespace mlx::python

namespace nanobind::detail {

// Handles go the short way: no look-up of the class by its C++ type.
template <>
struct type_caster<mlx::core::array> : type_caster_base<mlx::core::array> {
  using Base = type_caster_base<mlx::core::array>;
  bool from_python(handle src, uint32_t flags, cleanup_list* cleanup) noexcept {
    bool exact = Py_TYPE(src.ptr()) == mlx::python::array_type && inst_ready(src);
    bool ours = exact || Base::from_python(src, flags, cleanup);
    // A subclass's handle, too, holds something else while a function is recorded. What that is takes memory to find
    // out, so that it is not read in here, where nothing may throw.
    bool logged = ours && mlx::python::open_handle_log && (exact || mlx::python::is_array(src));
    logged_ = logged ? src.ptr() : nullptr;
    direct_ = logged || exact ? inst_ptr<mlx::core::array>(src) : nullptr;
    return ours;
  }
  template <typename T>
  static handle from_cpp(T&& value, rv_policy, cleanup_list*) noexcept {
    if constexpr (std::is_pointer_v<std::remove_cvref_t<T>>) {
      return value ? handle(mlx::python::wrap(*value)) : none().release();
    } else {
      return mlx::python::wrap(std::forward<T>(value));
    }
  }
  template <typename T>
  bool can_cast() const noexcept {
    return direct_ || Base::can_cast<T>();
  }
  operator mlx::core::array*() {
    if (logged_) [[unlikely]] {
      return const_cast<mlx::core::array*>(&mlx::python::read(logged_));
    }
    return direct_ ? direct_ : Base::operator mlx::core::array*();
  }
  operator mlx::core::array&() { return *operator mlx::core::array*(); }
  operator mlx::core::array&&() { return static_cast<mlx::core::array&&>(*operator mlx::core::array*()); }

 private:
  mlx::core::array* direct_ = nullptr;
  PyObject* logged_ = nullptr;
};

// As nanobind's own, which may not throw while it reads.
template <>
struct type_caster<std::optional<mlx::core::array>> : optional_caster<std::optional<mlx::core::array>> {
  bool from_python(handle src, uint32_t flags, cleanup_list* cleanup) {
    value.reset();
    if (src.is_none()) {
      return true;
    }
    make_caster<mlx::core::array> caster;
    if (!caster.from_python(src, flags_for_local_caster<mlx::core::array>(flags), cleanup) ||
        !caster.can_cast<mlx::core::array>()) {
      return false;
    }
    value.emplace(caster.operator cast_t<mlx::core::array>());
    return true;
  }
};

// Equal dtypes are one object.
template <>
struct type_caster<mlx::core::Dtype> : type_caster_base<mlx::core::Dtype> {
  template <typename T>
  static handle from_cpp(T&& value, rv_policy, cleanup_list*) noexcept {
    if constexpr (std::is_pointer_v<std::remove_cvref_t<T>>) {
      return value ? mlx::python::dtype_object(*value).inc_ref() : none().release();
    } else {
      return mlx::python::dtype_object(value).inc_ref();
    }
  }
};

template <>
struct type_caster<mlx::python::ScalarOrArray> {
  NB_TYPE_CASTER(mlx::python::ScalarOrArray,
      const_name("bool | int | float | complex | mlx.core.array | numpy.typing.NDArray[typing.Any]"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    value.object = src.ptr();
    return mlx::python::is_scalar_or_array(src.ptr());
  }
};

template <>
struct type_caster<mlx::core::Shape> {
  NB_TYPE_CASTER(mlx::core::Shape, const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept { return mlx::python::to_shape(src.ptr(), value); }
  static handle from_cpp(const mlx::core::Shape& shape, rv_policy, cleanup_list*) noexcept {
    return mlx::python::shape_tuple(shape).release();
  }
};

// A size: an int, or a Dim.
template <>
struct type_caster<mlx::core::Dim> {
  NB_TYPE_CASTER(mlx::core::Dim, const_name("int"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept { return mlx::python::to_dim(src.ptr(), value); }
  static handle from_cpp(mlx::core::Dim size, rv_policy, cleanup_list*) noexcept {
    return mlx::python::dim_object(size).release();
  }
};

template <>
struct type_caster<mlx::core::Axes> {
  NB_TYPE_CASTER(mlx::core::Axes, const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept { return mlx::python::to_axes(src.ptr(), value); }
};

// None, a Stream, a Device or a DeviceType.
template <>
struct type_caster<mlx::core::StreamOrDevice> {
  static constexpr auto Name = const_name("mlx.core.Stream | mlx.core.Device | mlx.core.DeviceType");
  using Value = mlx::core::StreamOrDevice;
  template <typename T>
  using Cast = movable_cast_t<T>;
  template <typename T>
  static constexpr bool can_cast() {
    return true;
  }
  explicit operator Value*() { return &value; }
  explicit operator Value&() { return value; }
  explicit operator Value&&() { return static_cast<Value&&>(value); }
  Value value;
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    return src.is_none() || mlx::python::to_stream_or_device(src.ptr(), value);
  }
};

} // namespace nanobind::detail
