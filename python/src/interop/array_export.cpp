// Values of arrays as Python objects, and as memory for the buffer protocol, DLPack and NumPy.
#include "python/src/interop/array_export.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/ops.h"
#include "mlx_core/size_arithmetic.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/followed.h"
#include "python/src/array/convert.h"
#include "python/src/interop/dlpack.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/origins.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

array concrete(array a, const char* reader) {
  if (a.node()->level != 0) {
    if (std::optional<core::BatchedView> batched = core::batched_view(a)) {
      core::fail(reader, "inside vmap this array has another value in each of ",
          core::size_of(Shape(batched->lanes.begin(), batched->lanes.end())),
          " lanes, so it has no single value to read; choose between values lane by lane with mx.where.");
    }
  }
  evaluate(a);
  return a;
}

// For readers outside of this library: a value that leaves it is a constant to the derivatives that follow the array.
array leaving(array a, const char* reader) {
  if (a.node()->level != 0 && core::follower_of(a) == core::Follower::derivative) {
    std::string line = users_line();
    core::fail<core::TypeError>(reader, line, line.empty() ? "A" : ": a", "n array of shape ", a.shape(), " and dtype ",
        a.dtype(),
        " becomes bytes, or memory of NumPy or another library, while it is being differentiated: what is computed "
        "from that would have no derivative. Use functions of mx, or write mx.stop_gradient(x) first where a constant "
        "is meant.");
  }
  return concrete(std::move(a), reader);
}

nb::object element_object(const void* element, Dtype dtype) {
  auto checked = [](PyObject* made) {
    if (!made) {
      throw nb::python_error();
    }
    return nb::steal(made);
  };
  if (dtype.is_bool()) {
    return nb::bool_(*static_cast<const bool*>(element));
  }
  if (dtype.is_signed()) {
    return checked(PyLong_FromLongLong(core::load_int(element, dtype)));
  }
  if (dtype.is_unsigned()) {
    return checked(PyLong_FromUnsignedLongLong(static_cast<uint64_t>(core::load_int(element, dtype))));
  }
  if (dtype == core::float32) { // the commonest
    float value;
    std::memcpy(&value, element, sizeof value);
    return checked(PyFloat_FromDouble(value));
  }
  core::complex128_t value = core::load_complex(element, dtype);
  return checked(
      dtype.is_complex() ? PyComplex_FromDoubles(value.real(), value.imag()) : PyFloat_FromDouble(value.real()));
}

nb::object item(const array& a, const char* reader) {
  if (a.size() != 1) {
    core::fail(reader, "the array has shape ", a.shape(), "; only an array of one element has a single value.");
  }
  array value = concrete(a, reader);
  return element_object(value.raw_data(), value.dtype());
}

namespace {

nb::object list_of(const array& a, int axis, const char* from, core::InterruptPoll& poll) {
  poll();
  if (axis == a.ndim()) {
    return element_object(from, a.dtype());
  }
  Descent guard(" in tolist of an array with many axes");
  Py_ssize_t n = static_cast<Py_ssize_t>(static_cast<int64_t>(a.shape()[static_cast<size_t>(axis)]));
  int64_t step = n > 0 ? a.strides()[static_cast<size_t>(axis)] * a.itemsize() : 0;
  nb::object list = nb::steal(PyList_New(n));
  if (!list.is_valid()) {
    PyErr_Clear();
    throw core::MemoryError("[tolist] There is no memory for a list of the " + std::to_string(n) +
                            " entries along axis " + std::to_string(axis) + " of shape " + core::to_string(a.shape()) +
                            ". Take a part of the array.");
  }
  Py_ssize_t i = 0;
  try {
    for (; i < n; ++i, from += step) {
      PyList_SET_ITEM(list.ptr(), i, list_of(a, axis + 1, from, poll).release().ptr());
    }
  } catch (...) {
    Py_SET_SIZE(reinterpret_cast<PyVarObject*>(list.ptr()), i); // letting go of what is not there takes as long
    throw;
  }
  return list;
}

// The value in row-major order.
array row_major(const array& a) {
  array dense = a.is_row_contiguous() ? a : core::contiguous(a);
  evaluate(dense);
  return dense;
}

} // namespace

nb::object tolist(const array& a) {
  array value = concrete(a, "tolist");
  core::InterruptPoll poll(1 << 16);
  return list_of(value, 0, static_cast<const char*>(value.raw_data()), poll);
}

nb::bytes to_bytes(const array& a, const char* reader) {
  array dense = row_major(leaving(a, reader));
  return nb::bytes(static_cast<const char*>(dense.raw_data()), dense.nbytes());
}

array from_bytes(nb::bytes data, const Shape& shape, Dtype dtype) {
  array result = array::uninitialized(shape, dtype);
  if (result.nbytes() != data.size()) {
    core::fail("array", "the state holds ", data.size(), " bytes where shape ", shape, " of ", dtype, " takes ",
        result.nbytes(), ".");
  }
  if (data.size() > 0) {
    std::memcpy(result.mutable_data(), data.c_str(), data.size());
  }
  return result;
}

// --- the buffer protocol ---

namespace {

// PEP 3118's name of an element; null for bfloat16, which has none.
const char* format_of(Dtype dtype) {
  using Val = Dtype::Val;
  switch (dtype.val) {
    case Val::bool_: return "?";
    case Val::uint8: return "B";
    case Val::uint16: return "H";
    case Val::uint32: return "I";
    case Val::uint64: return std::is_same_v<uint64_t, unsigned long> ? "L" : "Q";
    case Val::int8: return "b";
    case Val::int16: return "h";
    case Val::int32: return "i";
    case Val::int64: return std::is_same_v<int64_t, long> ? "l" : "q";
    case Val::float16: return "e";
    case Val::float32: return "f";
    case Val::float64: return "d";
    case Val::complex64: return "Zf";
    case Val::complex128: return "Zd";
    case Val::bfloat16: return nullptr;
  }
  return nullptr;
}

// What a Py_buffer points at: the array, kept while somebody looks at it, and its layout.
struct ExportedBuffer {
  array value;
  std::vector<Py_ssize_t> shape, strides;

  explicit ExportedBuffer(array v) : value(std::move(v)) {
    core::Sizes sizes = core::sizes_of(value.shape());
    core::Strides steps = sizes.empty() || value.size() == 0 ? core::row_major_strides(value.shape()) : value.strides();
    for (size_t i = 0; i < sizes.size(); ++i) {
      shape.push_back(sizes[i]);
      Py_ssize_t bytes = 0; // too many only where no step is made
      strides.push_back(__builtin_mul_overflow(steps[i], value.itemsize(), &bytes) ? 0 : bytes);
    }
  }
};

// NumPy asks for an array's memory through the buffer protocol first, takes any error there for an answer, and calls
// __array__ next: what a signal handler raised while the array was computed would be lost. It is kept until then, or
// until the interpreter runs the program's own code again. Signal handlers run on the main thread only, and so does
// what uses this.
struct SwallowedInterrupt {
  PyObject* handle = nullptr; // whose memory was asked for
  PyObject* exception = nullptr;
  PyObject* frame = nullptr; // which called, at this instruction
  long instruction = -1;

  static PyObject* calling_frame() { return reinterpret_cast<PyObject*>(PyEval_GetFrame()); }
  static long instruction_of(PyObject* frame) { return frame ? nb::cast<long>(nb::handle(frame).attr("f_lasti")) : -1; }

  // The exception is pending, and stays so.
  void keep(PyObject* asked) {
    forget();
    if (!PyErr_Occurred()) {
      return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    exception = Py_NewRef(value);
    handle = asked;
    frame = calling_frame();
    instruction = instruction_of(frame);
    PyErr_Restore(type, value, traceback);
    auto drop = [](void* kept) {
      static_cast<SwallowedInterrupt*>(kept)->forget();
      return 0;
    };
    Py_AddPendingCall(drop, this);
  }
  void forget() {
    handle = frame = nullptr;
    Py_CLEAR(exception);
  }
  // Raises it if this call belongs to the one that swallowed it.
  void raise_for(PyObject* asked) {
    if (exception && handle == asked && frame == calling_frame() && instruction == instruction_of(frame)) {
      PyObject* kept = std::exchange(exception, nullptr);
      forget();
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(kept)), kept);
      Py_DECREF(kept);
      throw nb::python_error();
    }
  }
};
SwallowedInterrupt swallowed;

} // namespace

int get_buffer(PyObject* handle, Py_buffer* view, int flags) noexcept {
  view->obj = nullptr;
  return guarded(
      [&] {
        const array& a = read(handle);
        auto refuse = [](const char* why) {
          PyErr_SetString(PyExc_BufferError, why);
          return -1;
        };
        if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
          return refuse("[array] arrays are immutable: their memory is exported read-only");
        }
        const char* format = format_of(a.dtype());
        if (!format) {
          return refuse("[array] the buffer protocol has no bfloat16; export x.astype(mx.float32), or use DLPack");
        }
        int64_t bytes = 0;
        if (__builtin_mul_overflow(static_cast<int64_t>(a.size()), int64_t{a.itemsize()}, &bytes)) {
          return refuse("[array] the array has more bytes than the buffer protocol can count");
        }
        auto computed = [&] {
          try {
            return leaving(a, "memoryview");
          } catch (const core::Interrupted&) {
            swallowed.keep(handle);
            throw;
          }
        };
        auto exported = std::make_unique<ExportedBuffer>(computed());
        const array& value = exported->value;
        if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !value.is_row_contiguous()) {
          return refuse("[array] the array is not contiguous, and the consumer asked for no strides");
        }
        view->buf = const_cast<void*>(value.raw_data());
        view->len = static_cast<Py_ssize_t>(value.nbytes());
        view->itemsize = value.itemsize();
        view->readonly = 1;
        view->ndim = value.ndim();
        view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
        view->shape = (flags & PyBUF_ND) ? exported->shape.data() : nullptr;
        view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? exported->strides.data() : nullptr;
        view->suboffsets = nullptr;
        view->internal = exported.release();
        view->obj = Py_NewRef(handle);
        return 0;
      },
      -1);
}

void release_buffer(PyObject*, Py_buffer* view) noexcept { delete static_cast<ExportedBuffer*>(view->internal); }

// --- DLPack ---

namespace {

struct ExportedTensor {
  array value;
  std::vector<int64_t> shape, strides;
};

template <typename Managed>
nb::object capsule_of(array value, bool copied) {
  auto* exported = new ExportedTensor{std::move(value), {}, {}};
  core::Sizes sizes = core::sizes_of(exported->value.shape());
  core::Strides steps = exported->value.strides();
  if (steps.size() != sizes.size()) {
    steps = core::row_major_strides(exported->value.shape());
  }
  exported->shape.assign(sizes.begin(), sizes.end());
  exported->strides.assign(steps.begin(), steps.end());
  auto* managed = new Managed{};
  managed->owner = exported;
  managed->deleter = [](Managed* m) {
    delete static_cast<ExportedTensor*>(m->owner);
    delete m;
  };
  if constexpr (std::is_same_v<Managed, dlpack::ManagedTensorVersioned>) {
    managed->major = 1;
    managed->minor = 0;
    managed->flags = copied ? Managed::is_copied : Managed::read_only;
  }
  managed->tensor = {const_cast<void*>(exported->value.raw_data()), {dlpack::cpu, 0}, exported->value.ndim(),
      dlpack::element_type(exported->value.dtype()), exported->shape.data(), exported->strides.data(), 0};
  PyObject* capsule = PyCapsule_New(managed, Managed::name, [](PyObject* capsule) {
    // Renamed capsules were consumed, and their consumer calls the deleter.
    if (PyCapsule_IsValid(capsule, Managed::name)) {
      auto* unused = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::name));
      unused->deleter(unused);
    }
  });
  return nb::steal(capsule);
}

array private_copy(const array& a) {
  if (!a.is_row_contiguous()) {
    return row_major(a);
  }
  array result = array::uninitialized(a.shape(), a.dtype());
  auto* to = static_cast<char*>(result.mutable_data());
  auto* from = static_cast<const char*>(a.raw_data());
  core::in_interruptible_pieces(static_cast<int64_t>(a.nbytes()), 16 << 20, [&](int64_t first, int64_t end) {
    core::cpu::copy_contiguous(to + first, from + first, static_cast<size_t>(end - first));
  });
  return result;
}

// Whether it has an axis that lies backwards, as in x[::-1]: PyTorch has no such tensors, and ends the process.
bool lies_backwards(const array& a) {
  return a.size() > 0 && !a.is_row_contiguous() &&
         std::any_of(a.strides().begin(), a.strides().end(), [](int64_t step) { return step < 0; });
}

// The first of the two ints in a version or device; `none` for None.
int64_t first_of(nb::handle pair, const char* argument, int64_t none) {
  Shape both;
  if (pair.is_none()) {
    return none;
  }
  if (!to_shape(pair.ptr(), both) || both.size() != 2) {
    core::fail<core::TypeError>("__dlpack__", argument, " must be a pair of ints; got ", shown(pair), ".");
  }
  return both[0];
}

} // namespace

nb::object to_dlpack(nb::handle handle, nb::handle max_version, nb::handle dl_device, std::optional<bool> copy) {
  bool versioned = first_of(max_version, "max_version", 0) >= 1;
  if (first_of(dl_device, "dl_device", dlpack::cpu) != dlpack::cpu) {
    PyErr_Format(PyExc_BufferError, "[__dlpack__] the data is on the CPU, device type 1; dl_device asks for %R.",
        dl_device.ptr());
    throw nb::python_error();
  }
  array value = leaving(read(handle), "__dlpack__");
  const bool backwards = lies_backwards(value);
  if (backwards && copy == false) {
    PyErr_SetString(PyExc_BufferError,
        "[__dlpack__] copy=False, but an axis of the array lies backwards, as in x[::-1], which not every library "
        "can read; leave copy out, or export mx.contiguous(x).");
    throw nb::python_error();
  }
  bool copied = copy.value_or(backwards);
  if (copied) {
    value = private_copy(value);
  }
  return versioned ? capsule_of<dlpack::ManagedTensorVersioned>(std::move(value), copied)
                   : capsule_of<dlpack::ManagedTensor>(std::move(value), copied);
}

// --- NumPy ---

namespace {

// NumPy knows bfloat16 through ml_dtypes, if that is installed.
nb::object bfloat16_to_numpy(const array& a) {
  nb::object numpy = nb::module_::import_("numpy");
  nb::object ml_dtypes = nb::steal(PyImport_ImportModule("ml_dtypes"));
  if (!ml_dtypes) {
    PyErr_Clear();
    core::fail<core::TypeError>("__array__",
        "NumPy has no bfloat16 (the package ml_dtypes adds one); convert with "
        "x.astype(mx.float32).");
  }
  nb::object bits = numpy.attr("frombuffer")(to_bytes(a, "__array__"), nb::arg("dtype") = "uint16");
  return bits.attr("view")(ml_dtypes.attr("bfloat16")).attr("reshape")(shape_tuple(a.shape()));
}

} // namespace

nb::object to_numpy(nb::handle handle, nb::handle dtype, std::optional<bool> copy) {
  if (swallowed.exception) [[unlikely]] {
    swallowed.raise_for(handle.ptr());
  }
  array a = leaving(read(handle), "__array__");
  nb::object numpy = nb::module_::import_("numpy");
  nb::object exported = a.dtype() == core::bfloat16
                            ? bfloat16_to_numpy(a)
                            : numpy.attr("asarray")(nb::steal(PyMemoryView_FromObject(handle.ptr())));
  if (!dtype.is_none() && !exported.attr("dtype").equal(numpy.attr("dtype")(dtype))) {
    if (copy == false) {
      core::fail(
          "__array__", "copy=False, but converting ", a.dtype(), " to ", nb::str(dtype).c_str(), " needs a copy.");
    }
    return exported.attr("astype")(dtype);
  }
  return copy.value_or(false) ? exported.attr("copy")() : exported;
}

} // namespace mlx::python
