// The array class towards the rest of Python: numbers, lists, NumPy, DLPack, pickling, copying, formatting.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/array_print.h"
#include "python/src/array/bind_array.h"
#include "python/src/interop/array_export.h"
#include "python/src/interop/numpy_operators.h"
#include "python/src/runtime/made.h"

namespace mlx::python {

namespace {

// int(x), float(x) and complex(x) as Python converts the element.
nb::object converted(const array& a, PyTypeObject* to) {
  PyObject* made = PyObject_CallOneArg(reinterpret_cast<PyObject*>(to), item(a, to->tp_name).ptr());
  if (!made) {
    throw nb::python_error();
  }
  return nb::steal(made);
}

nb::object index_of(const array& a) {
  if (a.ndim() != 0 || !a.dtype().is_integer()) {
    core::fail<core::TypeError>("__index__", "only a 0-dimensional integer array is an index; this array has shape ",
        a.shape(), " and dtype ", a.dtype(), ".");
  }
  return item(a, "__index__");
}

void bind_numbers(ArrayClass& c) {
  c.def(
      "item", [](const array& a) { return item(a); }, nb::sig("def item(self) -> typing.Any"),
      R"(The only element as a Python number. ValueError when there is not exactly one.)");
  c.def("tolist", &tolist, nb::sig("def tolist(self) -> list_or_scalar"),
      "The elements as Python numbers in nested lists; a scalar as a number.");
  c.def("__int__", [](const array& a) { return converted(a, &PyLong_Type); }, nb::sig("def __int__(self) -> int"));
  c.def(
      "__float__", [](const array& a) { return converted(a, &PyFloat_Type); }, nb::sig("def __float__(self) -> float"));
  c.def(
      "__complex__", [](const array& a) { return converted(a, &PyComplex_Type); },
      nb::sig("def __complex__(self) -> complex"));
  c.def("__index__", &index_of, nb::sig("def __index__(self) -> int"));
  c.def(
      "__bytes__", [](const array& a) { return to_bytes(a, "__bytes__"); },
      "The elements in row-major order, in the machine's byte order. Raises TypeError where ``__array__`` does.");
  c.def(
      "__format__",
      [](Self self, nb::str spec) {
        const array& a = read(self);
        if (nb::len(spec) == 0) {
          return nb::object(nb::str(self));
        }
        if (a.ndim() > 0) {
          core::fail<core::TypeError>("__format__", "a format such as '", spec.c_str(),
              "' applies to 0-dimensional arrays; this array has shape ", a.shape(), ".");
        }
        return nb::steal(PyObject_Format(item(a, "__format__").ptr(), spec.ptr()));
      },
      nb::sig("def __format__(self, spec: str, /) -> str"));
}

void bind_memory_exports(ArrayClass& c) {
  c.def(
      "__array__", [](Self self, nb::handle dtype, std::optional<bool> copy) { return to_numpy(self, dtype, copy); },
      nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
      nb::sig("def __array__(self, dtype: typing.Any | None = None, copy: bool | None = None) -> "
              "numpy.typing.NDArray[typing.Any]"),
      R"(The values as a NumPy array: read-only and without a copy, unless a copy is asked for or the dtype differs.

Raises TypeError where ``mx.grad`` or another derivative follows the array, as what NumPy computes would have none;
``mx.stop_gradient(x)`` first says that this is meant.)");
  c.def("__array_ufunc__", &numpy_ufunc,
      nb::sig("def __array_ufunc__(self, ufunc: typing.Any, method: str, *inputs: typing.Any, **kwargs: typing.Any) "
              "-> typing.Any"),
      R"(NumPy's functions of arrays give NumPy arrays.

But a call with an array that an open transform follows runs as the function of mlx.core, so that derivatives are not
lost, and so does an operator between an array and a NumPy scalar (``np.sqrt(2) * x``).)");
  c.def("__array_function__", &numpy_function, nb::arg("func"), nb::arg("types"), nb::arg("args"), nb::arg("kwargs"),
      nb::sig("def __array_function__(self, func: typing.Any, types: typing.Any, args: tuple[typing.Any, ...], "
              "kwargs: dict[str, typing.Any]) -> typing.Any"),
      "As ``__array_ufunc__``, for NumPy's functions that are no ufuncs.");
  c.def(
      "__dlpack__",
      [](Self self, nb::handle, nb::handle max_version, nb::handle dl_device, std::optional<bool> copy) {
        return to_dlpack(self, max_version, dl_device, copy);
      },
      nb::kw_only(), nb::arg("stream") = nb::none(), nb::arg("max_version") = nb::none(),
      nb::arg("dl_device") = nb::none(), nb::arg("copy") = nb::none(),
      nb::sig("def __dlpack__(self, *, stream: int | None = None, max_version: tuple[int, int] | None = None, "
              "dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> typing.Any"),
      "A DLPack capsule of the memory, read-only; of a copy with ``copy=True``.");
  c.def(
      "__dlpack_device__", [](const array&) { return nb::make_tuple(1, 0); },
      nb::sig("def __dlpack_device__(self) -> tuple[int, int]"), "The DLPack device type and id: the CPU's.");
}

// With the attributes of an instance of a subclass, if it has any.
nb::tuple state_of(Self self) {
  made<array>(self); // or TypeError
  array a = read(self);
  nb::object dict = nb::getattr(self, "__dict__", nb::none());
  nb::object dtype = nb::cast(std::string(core::name_of(a.dtype()))), shape = shape_tuple(a.shape()),
             bytes = to_bytes(a, "pickle");
  return PyDict_Check(dict.ptr()) && PyDict_GET_SIZE(dict.ptr()) > 0 ? nb::make_tuple(dtype, shape, bytes, dict)
                                                                     : nb::make_tuple(dtype, shape, bytes);
}

void restore(nb::pointer_and_handle<array> self, nb::tuple state) {
  Shape shape;
  size_t parts = nb::len(state);
  if ((parts != 3 && parts != 4) || !to_shape(nb::object(state[1]).ptr(), shape)) {
    core::fail("array", "the state of an array is (dtype name, shape, bytes).");
  }
  Dtype dtype = dtype_named(nb::cast<std::string>(state[0]));
  array restored = from_bytes(nb::cast<nb::bytes>(state[2]), shape, dtype); // or an error, and self is as it was
  if (nb::inst_ready(self.h)) {
    *self.p = std::move(restored);
  } else {
    new (self.p) array(std::move(restored));
  }
  if (parts == 4) {
    nb::getattr(self.h, "__dict__").attr("update")(state[3]);
  }
}

// Nodes are immutable, so a copy is another handle of the same node. The instance of a subclass keeps its class and
// attributes, which `attributes` makes from those of the original.
template <typename Attributes>
nb::object copied(Self self, Attributes&& attributes) {
  made<array>(self); // or TypeError
  nb::object copy = nb::steal(wrap(read(self), Py_TYPE(self.ptr())));
  nb::object dict = nb::getattr(self, "__dict__", nb::none());
  if (PyDict_Check(dict.ptr()) && PyDict_GET_SIZE(dict.ptr()) > 0) {
    nb::getattr(copy, "__dict__").attr("update")(attributes(copy, dict));
  }
  return copy;
}

void bind_copies(ArrayClass& c) {
  c.def("__getstate__", &state_of, nb::sig("def __getstate__(self) -> tuple[typing.Any, ...]"));
  c.def("__setstate__", &restore, nb::sig("def __setstate__(self, state: tuple[typing.Any, ...], /) -> None"));
  c.def(
      "__copy__",
      [](Self self) { return copied(self, [](const nb::object&, const nb::object& dict) { return dict; }); },
      nb::sig("def __copy__(self) -> array"));
  c.def(
      "__deepcopy__",
      [](Self self, nb::handle memo) {
        return copied(self, [&](const nb::object& copy, const nb::object& dict) {
          memo[nb::steal(PyLong_FromVoidPtr(self.ptr()))] = copy; // attributes may refer to the array
          return nb::module_::import_("copy").attr("deepcopy")(dict, memo);
        });
      },
      nb::arg("memo"), nb::sig("def __deepcopy__(self, memo: dict[int, typing.Any]) -> array"));
}

} // namespace

void bind_array_conversions(ArrayClass& c) {
  bind_numbers(c);
  bind_memory_exports(c);
  bind_copies(c);
}

} // namespace mlx::python
