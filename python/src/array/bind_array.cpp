// The class mlx.core.array: constructor, properties, iteration, and the functions that make arrays of foreign memory.
#include "python/src/array/bind_array.h"
#include "python/src/compile/dim_object.h"

#include <limits>
#include <utility>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/array_print.h"
#include "python/src/indexing/indexing.h"
#include "python/src/interop/array_export.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/exceptions.h"

namespace mlx::python {

namespace {

const char* const array_doc = R"(An array of numbers, computed when it is read.

Args:
    val: A number, a nested list or tuple of numbers and arrays, an array, a NumPy array, or any object with
        ``__mlx_array__``, ``__dlpack__``, ``__array__`` or the buffer protocol. The values are copied.
    dtype: The type of the elements. Without it, bools make ``bool_``, ints ``int32`` (``int64`` or ``uint64`` where one
        is too large), floats ``float32``, complex numbers ``complex64``; NumPy arrays keep their dtype, but ``float64``
        becomes ``float32`` and ``complex128`` becomes ``complex64``.

Raises:
    ValueError: The nested lists form no rectangle, or an int is too large for any dtype.
    TypeError: Some value is no number.)";

// array(val) and array(val, dtype) without nanobind's dispatch. Anything else takes the general way, which also words
// the errors about arguments.
PyObject* construct(PyObject* type, PyObject* const* args, size_t nargsf, PyObject* keywords) noexcept {
  Py_ssize_t n = PyVectorcall_NARGS(nargsf);
  bool plain = n == 1 && !keywords && args[0] != Py_None;
  if (plain && PyFloat_CheckExact(args[0])) {
    float value = static_cast<float>(PyFloat_AS_DOUBLE(args[0]));
    return guarded(
        [&] { return wrap(array::scalar_from_bytes(&value, core::float32)); }, static_cast<PyObject*>(nullptr));
  }
  if (plain) {
    return guarded([&] { return wrap(array_from_python(nb::handle(args[0]))); }, static_cast<PyObject*>(nullptr));
  }
  return guarded(
      [&] {
        nb::object positional = nb::steal(PyTuple_New(n));
        for (Py_ssize_t i = 0; i < n; ++i) {
          PyTuple_SET_ITEM(positional.ptr(), i, Py_NewRef(args[i]));
        }
        nb::object named = nb::dict();
        for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(keywords); ++i) {
          PyDict_SetItem(named.ptr(), PyTuple_GET_ITEM(keywords, i), args[n + i]);
        }
        return PyType_Type.tp_call(type, positional.ptr(), named.ptr());
      },
      static_cast<PyObject*>(nullptr));
}

// array.__new__(array), and a subclass whose __init__ does not call the inherited one, leave the handle unset. The
// operators read handles unchecked, so that an unset one holds this scalar. nanobind knows that it is unset, and
// neither accepts it as an argument nor destroys what is in it.
newfunc new_instance = nullptr;

PyObject* new_unset(PyTypeObject* type, PyObject* args, PyObject* keywords) noexcept {
  static const array unset(std::numeric_limits<float>::quiet_NaN());
  PyObject* self = new_instance(type, args, keywords);
  if (self) {
    new (nb::inst_ptr<array>(self)) array(unset);
    if (open_handle_log) [[unlikely]] {
      open_handle_log->made(self);
    }
  }
  return self;
}

// Py_tp_vectorcall: CPython has the name since 3.14; nanobind knows the slot before.
constexpr int type_vectorcall_slot = 82;

const PyType_Slot array_slots[] = {{type_vectorcall_slot, reinterpret_cast<void*>(&construct)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)}, {0, nullptr}};

// The rows of an array, one after the other.
class ArrayIterator {
 public:
  explicit ArrayIterator(const array& a) : rows_(core::unstack(a, 0)) {}
  array next() {
    if (next_ == rows_.size()) {
      throw nb::stop_iteration();
    }
    return std::move(rows_[next_++]);
  }

 private:
  std::vector<array> rows_;
  size_t next_ = 0;
};

ArrayIterator iterate(const array& a) {
  if (a.ndim() == 0) {
    core::fail<core::TypeError>("iter", "a 0-dimensional array cannot be iterated over.");
  }
  return ArrayIterator(a);
}

void bind_properties(ArrayClass& c) {
  c.def_prop_ro(
      "size", [](const array& a) { return dim_object(a.size()); }, nb::for_getter(nb::sig("def size(self) -> int")),
      "The number of elements.");
  c.def_prop_ro("ndim", &array::ndim, "The number of axes.");
  c.def_prop_ro("itemsize", &array::itemsize, "Bytes of one element.");
  c.def_prop_ro(
      "nbytes",
      [](const array& a) { // exact, also where memory has not as many
        return nb::int_(static_cast<int64_t>(a.size())) * nb::int_(a.itemsize());
      },
      "Bytes of all elements.", nb::for_getter(nb::sig("def nbytes(self) -> int")));
  c.def_prop_ro(
      "shape", [](const array& a) { return shape_tuple(a.shape()); },
      nb::for_getter(nb::sig("def shape(self) -> tuple[int, ...]")), "The length of each axis.");
  c.def_prop_ro(
      "dtype", [](const array& a) { return dtype_object(a.dtype()); },
      nb::for_getter(nb::sig("def dtype(self) -> Dtype")), "The type of the elements.");
  c.def_prop_ro("T", [](const array& a) { return core::transpose(a); }, "The array with its axes reversed.");
  c.def_prop_ro(
      "mT", [](const array& a) { return core::matrix_transpose(a); },
      "The array with its last two axes swapped. ValueError below two axes.");
  c.def_prop_ro("real", [](const array& a) { return core::real(a); }, "The real parts.");
  c.def_prop_ro("imag", [](const array& a) { return core::imag(a); }, "The imaginary parts; zeros for a real array.");
}

void bind_indexing(nb::module_& m, ArrayClass& c) {
  c.def(
      "__getitem__", [](const array& a, nb::handle index) { return get_item(a, index); }, nb::arg().none(),
      nb::sig("def __getitem__(self, index: typing.Any, /) -> array"),
      R"(The elements at an index: int, slice, None, Ellipsis, integer or bool array or list, or a tuple of these.

NumPy's rules hold. A single bool adds an axis, of length 1 if it is true and 0 if not. An integer array is checked when the result is computed. A bool array selects the elements where it is
true: it is computed at once, as the shape of the result depends on it, and cannot differ between the lanes of vmap.

Raises AxisError, both a ValueError and an IndexError, for an int out of range and for too many indices.)");
  c.def(
      "__setitem__",
      [](Self self, nb::handle index, nb::handle value) { rebind(self.ptr(), update_item(read(self), index, value)); },
      nb::arg().none(), nb::arg(),
      nb::sig("def __setitem__(self, index: typing.Any, "
              "value: bool | int | float | complex | array | numpy.typing.ArrayLike, /) -> None"),
      R"(Replaces the elements at an index by a value, broadcast and converted to the array's dtype.

Of duplicate indices the last wins. Under a bool array the value is broadcast, or has an entry for each true element, in
row-major order (further entries are not used). The array's node is replaced, not changed: arrays computed from it before
keep their values, and gradients flow through.)");
  nb::class_<ArrayIterator>(m, "ArrayIterator", "Iterates over the first axis.")
      .def("__next__", &ArrayIterator::next)
      .def(
          "__iter__", [](nb::handle self) { return nb::borrow(self); }, nb::sig("def __iter__(self) -> ArrayIterator"));
  c.def("__iter__", &iterate, "Iterates over the first axis. TypeError for a scalar.");
}

// MLX's name, in its signatures, of what has __mlx_array__.
struct ArrayLike {
  nb::object object;
};

void bind_array_like(nb::module_& m) {
  nb::class_<ArrayLike>(m, "ArrayLike", "Any object with a method ``__mlx_array__`` that returns an array.")
      .def(
          "__init__",
          [](ArrayLike* self, nb::handle object) {
            if (!nb::hasattr(object, "__mlx_array__")) {
              core::fail<core::TypeError>(
                  "ArrayLike", "object is ", described(object), "; it has no method __mlx_array__.");
            }
            new (self) ArrayLike{nb::borrow(object)};
          },
          nb::arg("object"), nb::sig("def __init__(self, object: object) -> None"))
      .def(
          "__mlx_array__", [](const ArrayLike& self) { return self.object.attr("__mlx_array__")(); },
          nb::sig("def __mlx_array__(self) -> array"));
}

// asarray and from_dlpack: the constructor's siblings, which say whether memory is copied.
void bind_imports(nb::module_& m) {
  m.def(
      "asarray",
      [](nb::handle a, std::optional<Dtype> dtype, std::optional<bool> copy, const StreamOrDevice& device) {
        core::StreamScope on(device);
        if (is_array(a) && !copy.value_or(false) && (!dtype || *dtype == read(a).dtype())) {
          return device.index() == 0 ? nb::borrow(a) : to_device(Self(a), device);
        }
        if (copy == false) {
          std::optional<array> shared = is_array(a) ? std::nullopt : import_memory(a, false, true);
          if (!shared || (dtype && *dtype != shared->dtype())) {
            core::fail("asarray", "copy=False, but making this array needs a copy.");
          }
          return nb::steal(wrap(*std::move(shared)));
        }
        array made = array_from_python(a, dtype, true);
        return nb::steal(wrap(device.index() != 0 && is_array(a) ? core::contiguous(made, device) : made));
      },
      nb::arg("a"), nb::arg("dtype") = nb::none(), nb::kw_only(), nb::arg("copy") = nb::none(),
      nb::arg("device") = nb::none(),
      nb::sig("def asarray(a: array | numpy.typing.ArrayLike | collections.abc.Sequence[typing.Any], dtype: Dtype | "
              "None = None, *, "
              "copy: bool | None = None, device: Stream | Device | DeviceType | None = None) -> array"),
      R"(``a`` as an array.

An array comes back as it is, unless ``dtype`` or ``copy=True`` asks for another. Everything else is copied, and keeps
its dtype: ``float64`` from NumPy stays ``float64``, where ``mx.array`` makes ``float32`` of it. Python's floats are ``float32``.

``copy=False`` shares the memory of a NumPy array, buffer or DLPack tensor (ValueError or BufferError when that cannot
be), and later changes to that memory are seen or not seen by what was computed from it.)");
  m.def(
      "from_dlpack",
      [](nb::handle x, std::optional<bool> copy, const StreamOrDevice& device) {
        core::StreamScope on(device);
        array made = from_dlpack(x, copy);
        return device.index() == 0 ? made : core::contiguous(made, device);
      },
      nb::arg("x"), nb::kw_only(), nb::arg("copy") = nb::none(), nb::arg("device") = nb::none(),
      nb::sig("def from_dlpack(x: typing.Any, *, copy: bool | None = None, "
              "device: Stream | Device | DeviceType | None = None) -> array"),
      R"(An array with the values of a tensor of another library, through DLPack.

The values are copied and keep their dtype. ``copy=False`` shares the memory; BufferError when that cannot be.)");
}

} // namespace

void bind_array(nb::module_& m) {
  ArrayClass c(m, "array", nb::type_slots(array_slots), nb::is_weak_referenceable(), nb::pooled(256), array_doc);
  array_type = reinterpret_cast<PyTypeObject*>(c.ptr());
  new_instance = std::exchange(array_type->tp_new, &new_unset);
  c.def(
      "__init__",
      [](array* self, nb::handle val, std::optional<Dtype> dtype) {
        array made = array_from_python(val, dtype); // or an error, and an unset handle holds what it did
        new (self) array(std::move(made));
      },
      nb::arg("val"), nb::arg("dtype") = nb::none(),
      nb::sig("def __init__(self, val: array | numpy.typing.ArrayLike | collections.abc.Sequence[typing.Any], "
              "dtype: Dtype | None = None) -> None"));
  c.def("__repr__", [](const array& a) { return to_text(a); });
  bind_properties(c);
  bind_indexing(m, c);
  bind_array_operators(c);
  bind_array_conversions(c);
  bind_array_namespace(m, c);
  bind_array_methods(c);
  bind_array_reductions(c);
  bind_array_scans(c);
  bind_array_at(m, c);
  install_operator_slots(array_type);
  bind_array_like(m);
  bind_imports(m);
  bind_print_options(m);
}

} // namespace mlx::python
