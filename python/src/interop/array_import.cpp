// Arrays out of foreign memory: the buffer protocol, DLPack, __array__.
#include <algorithm>
#include <cstring>
#include <memory>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops.h"
#include "python/src/array/convert.h"
#include "python/src/interop/dlpack.h"
#include "python/src/interop/foreign_memory.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

namespace {

// --- copying ---

template <typename CopyElement>
void for_each_element(const Foreign& f, size_t axis, const char* from, const CopyElement& copy) {
  if (axis == f.shape.size()) {
    thread_local core::InterruptPoll poll(1 << 16);
    poll();
    copy(from);
    return;
  } // at most as deep as check_foreign allows
  for (int64_t i = 0; i < f.shape[axis]; ++i, from += f.strides[axis]) {
    for_each_element(f, axis + 1, from, copy);
  }
}

void copy_same_type(const Foreign& f, char* to) {
  size_t size = static_cast<size_t>(f.dtype.size());
  if (f.row_major() && !f.swapped) {
    core::in_interruptible_pieces(static_cast<int64_t>(size) * f.size(), 16 << 20, [&](int64_t first, int64_t end) {
      core::cpu::copy_contiguous(to + first, f.data + first, static_cast<size_t>(end - first));
    });
    return;
  }
  // Parts of a complex number are swapped one by one.
  size_t part = f.dtype.is_complex() ? size / 2 : size;
  for_each_element(f, 0, f.data, [&](const char* from) {
    std::memcpy(to, from, size);
    for (size_t at = 0; f.swapped && at < size; at += part) {
      std::reverse(to + at, to + at + part);
    }
    to += size;
  });
}

// float64 to float32, complex128 to complex64: what MLX makes of 64-bit NumPy arrays.
template <typename From, typename To>
void copy_narrowed(const Foreign& f, char* to) {
  To* out = reinterpret_cast<To*>(to);
  for_each_element(f, 0, f.data, [&](const char* from) {
    From value;
    std::memcpy(&value, from, sizeof value);
    *out++ = static_cast<To>(value);
  });
}

array copy_of(const Foreign& f, bool keep_64) {
  Shape shape(f.shape.begin(), f.shape.end());
  bool narrow = !keep_64 && !f.swapped && (f.dtype == core::float64 || f.dtype == core::complex128);
  if (!narrow) {
    array result = array::uninitialized(std::move(shape), f.dtype);
    if (f.size() > 0) {
      copy_same_type(f, static_cast<char*>(result.mutable_data()));
    }
    bool narrow_after = !keep_64 && (f.dtype == core::float64 || f.dtype == core::complex128);
    return narrow_after ? core::astype(result, f.dtype == core::float64 ? core::float32 : core::complex64) : result;
  }
  array result = array::uninitialized(std::move(shape), f.dtype == core::float64 ? core::float32 : core::complex64);
  if (f.size() > 0) {
    char* to = static_cast<char*>(result.mutable_data());
    f.dtype == core::float64 ? copy_narrowed<double, float>(f, to)
                             : copy_narrowed<core::complex128_t, core::complex64_t>(f, to);
  }
  return result;
}

// --- sharing ---

[[noreturn]] void cannot_share(const char* why) {
  PyErr_Format(PyExc_BufferError, "[array] copy=False, but %s.", why);
  throw nb::python_error();
}

array view_of(const Foreign& f) {
  int64_t size = f.dtype.size();
  if (f.swapped) {
    cannot_share("the elements are in the other byte order");
  }
  auto [lowest, highest] = f.span();
  core::Strides strides;
  for (size_t i = 0; i < f.shape.size(); ++i) {
    if (f.strides[i] % size != 0) {
      cannot_share("the strides are no multiples of the element size");
    }
    strides.push_back(f.strides[i] / size);
  }
  if (reinterpret_cast<uintptr_t>(f.data) % static_cast<uintptr_t>(f.dtype.is_complex() ? size / 2 : size) != 0) {
    cannot_share("the elements are not aligned");
  }
  auto* owner = new std::shared_ptr<void>(f.owner);
  auto release = [](void* owner) {
    if (Py_IsInitialized()) { // after that, whatever owns the memory is gone or leaks
      nb::gil_scoped_acquire locked;
      delete static_cast<std::shared_ptr<void>*>(owner);
    }
  };
  char* start = const_cast<char*>(f.data) + lowest;
  core::BufferRef buffer = core::adopt(start, static_cast<size_t>(highest - lowest), owner, release);
  return array(std::move(buffer), -lowest, Shape(f.shape.begin(), f.shape.end()), std::move(strides), f.dtype);
}

array from_foreign(const char* op, const Foreign& f, std::optional<bool> copy, bool keep_64) {
  check_foreign(op, f);
  return copy == false && f.size() > 0 ? view_of(f) : copy_of(f, copy == false || keep_64);
}

// --- the buffer protocol ---

std::optional<Dtype> dtype_of_format(const char* format, Py_ssize_t itemsize, bool& swapped) {
  static constexpr bool little = std::endian::native == std::endian::little;
  swapped = false;
  if (!format) {
    return core::uint8;
  }
  if (std::strchr("@=<>!", *format) && *format) {
    swapped = itemsize > 1 && ((*format == '<' && !little) || ((*format == '>' || *format == '!') && little));
    ++format;
  }
  bool complex = *format == 'Z';
  format += complex;
  if (!format[0] || format[1]) {
    return std::nullopt;
  }
  if (complex) {
    return *format == 'f'   ? std::optional(core::complex64)
           : *format == 'd' ? std::optional(core::complex128)
                            : std::nullopt;
  }
  auto by_size = [&](Dtype one, Dtype two, Dtype four, Dtype eight) -> std::optional<Dtype> {
    return itemsize == 1   ? std::optional(one)
           : itemsize == 2 ? std::optional(two)
           : itemsize == 4 ? std::optional(four)
           : itemsize == 8 ? std::optional(eight)
                           : std::nullopt;
  };
  switch (*format) {
    case '?': return core::bool_;
    case 'e': return core::float16;
    case 'f': return core::float32;
    case 'd': return core::float64;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n': return by_size(core::int8, core::int16, core::int32, core::int64);
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
    case 'c': return by_size(core::uint8, core::uint16, core::uint32, core::uint64);
    default: return std::nullopt;
  }
}

std::shared_ptr<Py_buffer> open_buffer(nb::handle value) {
  auto release = [](Py_buffer* view) {
    PyBuffer_Release(view);
    delete view;
  };
  auto* view = new Py_buffer{};
  if (PyObject_GetBuffer(value.ptr(), view, PyBUF_RECORDS_RO) != 0) {
    delete view;
    PyErr_Clear();
    return nullptr;
  }
  return {view, release};
}

std::optional<Foreign> from_buffer(nb::handle value) {
  std::shared_ptr<Py_buffer> view = open_buffer(value);
  if (!view) {
    return std::nullopt;
  }
  bool swapped = false;
  std::optional<Dtype> dtype = dtype_of_format(view->format, view->itemsize, swapped);
  if (!dtype || dtype->size() != view->itemsize || view->ndim < 0) {
    return std::nullopt;
  }
  if (view->ndim > 0 && (!view->shape || !view->strides)) { // NumPy's dates and records, as bytes
    return std::nullopt;
  }
  std::vector<int64_t> shape(view->shape, view->shape + view->ndim);
  std::vector<int64_t> strides(view->strides, view->strides + view->ndim);
  return Foreign{static_cast<const char*>(view->buf), *dtype, std::move(shape), std::move(strides), swapped, view};
}

// --- NumPy arrays that the buffer protocol cannot describe ---

std::optional<Foreign> from_numpy(nb::handle value) {
  if (!nb::hasattr(value, "dtype") || !nb::hasattr(value, "astype") || !nb::hasattr(value, "view")) {
    return std::nullopt;
  }
  nb::object numpy_dtype = value.attr("dtype");
  std::string name = nb::str(nb::handle(numpy_dtype)).c_str();
  if (name == "bfloat16") { // ml_dtypes: the bits, read as ours
    std::optional<Foreign> bits = from_buffer(value.attr("view")("uint16"));
    if (!bits || bits->dtype != core::uint16) {
      core::fail<core::TypeError>("array", "view('uint16') of an array of dtype bfloat16 gave no array of uint16.");
    }
    bits->dtype = core::bfloat16;
    return bits;
  }
  if (name == "float128" || name == "longdouble" || name.starts_with("float8") || name == "float96") {
    return from_buffer(value.attr("astype")("float64"));
  }
  if (name == "complex256" || name == "complex192") {
    return from_buffer(value.attr("astype")("complex128"));
  }
  core::fail<core::TypeError>("array", "a NumPy array of dtype ", name, " has no counterpart here; convert it first.");
}

// --- DLPack ---

nb::object request_capsule(nb::handle value, std::optional<bool> copy) {
  nb::object method = value.attr("__dlpack__");
  nb::dict arguments;
  arguments["max_version"] = nb::make_tuple(1, 0);
  if (copy == false) {
    arguments["copy"] = false;
  }
  PyObject* capsule = PyObject_VectorcallDict(method.ptr(), nullptr, 0, arguments.ptr());
  if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) { // producers of the old protocol take no such arguments
    PyErr_Clear();
    capsule = PyObject_CallNoArgs(method.ptr());
  }
  if (!capsule) {
    throw nb::python_error();
  }
  return nb::steal(capsule);
}

template <typename Managed>
std::optional<Foreign> open_capsule(nb::handle capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), Managed::name)) {
    return std::nullopt;
  }
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Managed::name));
  PyCapsule_SetName(capsule.ptr(), Managed::used_name);
  std::shared_ptr<void> owner(managed, [](Managed* m) {
    if (m->deleter) {
      m->deleter(m);
    }
  });
  if constexpr (std::is_same_v<Managed, dlpack::ManagedTensorVersioned>) {
    if (managed->major != 1) { // of which nothing else may be read
      core::fail<core::TypeError>("from_dlpack", "the capsule is of DLPack version ", managed->major, ".",
          managed->minor, "; versions 0 and 1 are understood.");
    }
  }
  const dlpack::Tensor& t = managed->tensor;
  std::optional<Dtype> dtype = dlpack::dtype_of(t.dtype);
  if (!dtype) {
    core::fail<core::TypeError>("from_dlpack", "elements of DLPack type code ", int(t.dtype.code), " with ",
        int(t.dtype.bits), " bits and ", t.dtype.lanes, " lanes have no counterpart here; convert them first.");
  }
  if (t.device.type != dlpack::cpu && t.device.type != dlpack::cuda_host) {
    core::fail("from_dlpack", "the data is on a device of DLPack type ", t.device.type,
        ", which the CPU cannot read; copy it to the CPU first.");
  }
  size_t axes = static_cast<size_t>(std::max(t.ndim, 0));
  if (t.ndim > most_foreign_axes) {
    core::fail("from_dlpack", "the tensor is said to have ", t.ndim, " axes; at most ", int(most_foreign_axes),
        " can be imported.");
  }
  if (t.ndim < 0 || (axes > 0 && !t.shape)) {
    core::fail("from_dlpack", "the tensor is said to have ", t.ndim, " axes, but its shape is not there.");
  }
  std::vector<int64_t> shape(t.shape, t.shape + axes), strides(axes);
  int64_t step = dtype->size();
  for (size_t i = axes; i-- > 0;) { // what does not fit is found by check_foreign, which sees the largest numbers
    if (__builtin_mul_overflow(t.strides ? t.strides[i] : step, t.strides ? int64_t{dtype->size()} : 1, &strides[i])) {
      strides[i] = INT64_MAX;
    }
    if (__builtin_mul_overflow(step, shape[i], &step)) {
      step = INT64_MAX;
    }
  }
  if (t.byte_offset >> 48 != 0) {
    core::fail(
        "from_dlpack", "the tensor begins ", t.byte_offset, " bytes into its memory, which is beyond any memory.");
  }
  const char* data = static_cast<const char*>(t.data);
  return Foreign{data ? data + t.byte_offset : nullptr, *dtype, std::move(shape), std::move(strides), false,
      std::move(owner), true};
}

Foreign from_capsule(nb::handle value, std::optional<bool> copy) {
  nb::object device = value.attr("__dlpack_device__")();
  int type = 0;
  if (!PyTuple_Check(device.ptr()) || PyTuple_GET_SIZE(device.ptr()) != 2 ||
      !nb::try_cast(nb::handle(PyTuple_GET_ITEM(device.ptr(), 0)), type)) {
    core::fail<core::TypeError>("from_dlpack", "__dlpack_device__ of a ", nb::type_name(value.type()).c_str(),
        " returned ", shown(device), "; it should return a pair of ints.");
  }
  if (type != dlpack::cpu && type != dlpack::cuda_host) {
    core::fail("from_dlpack", "the data is on a device of DLPack type ", type,
        ", which the CPU cannot read; copy it to the CPU first.");
  }
  nb::object capsule = request_capsule(value, copy);
  if (std::optional<Foreign> f = open_capsule<dlpack::ManagedTensorVersioned>(capsule)) {
    return *std::move(f);
  }
  if (std::optional<Foreign> f = open_capsule<dlpack::ManagedTensor>(capsule)) {
    return *std::move(f);
  }
  core::fail<core::TypeError>("from_dlpack", "__dlpack__ of a ", nb::type_name(value.type()).c_str(),
      " did not return a DLPack capsule that nobody has used yet.");
}

} // namespace

std::optional<array> import_memory(nb::handle value, std::optional<bool> copy, bool keep_64) {
  Descent guard(" while importing an array");
  if (PyObject_CheckBuffer(value.ptr())) {
    if (std::optional<Foreign> f = from_buffer(value)) {
      return from_foreign("array", *f, copy, keep_64);
    }
  }
  if (std::optional<Foreign> f = PyObject_CheckBuffer(value.ptr()) ? from_numpy(value) : std::nullopt) {
    return from_foreign("array", *f, copy, keep_64);
  }
  if (nb::hasattr(value, "__dlpack__") && nb::hasattr(value, "__dlpack_device__")) {
    return from_foreign("array", from_capsule(value, copy), copy, keep_64);
  }
  if (nb::hasattr(value, "__array__")) {
    nb::object exported = value.attr("__array__")();
    if (PyObject_CheckBuffer(exported.ptr()) && !exported.is(value)) {
      return import_memory(exported, copy, keep_64);
    }
  }
  return std::nullopt;
}

array from_dlpack(nb::handle value, std::optional<bool> copy) {
  if (!nb::hasattr(value, "__dlpack__") || !nb::hasattr(value, "__dlpack_device__")) {
    core::fail<core::TypeError>(
        "from_dlpack", "a ", nb::type_name(value.type()).c_str(), " has no __dlpack__ and __dlpack_device__.");
  }
  return from_foreign("from_dlpack", from_capsule(value, copy), copy, true);
}

} // namespace mlx::python
