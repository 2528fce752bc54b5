// Looking into values, sets, deques and buffers.
#include "python/src/compile/surroundings_contents.h"

#include <cstring>
#include <string>
#include <vector>

#include "python/src/compile/plain_value.h"
#include "python/src/interop/numpy_scalar.h"

namespace mlx::python {

// --- values ---

namespace {

// Not what is no value: records and strings of NumPy can be written to or have objects.
bool is_numpy_value(PyObject* o) {
  std::optional<NumpyScalar> scalar = numpy_scalar(o);
  return scalar && scalar->kind != NumpyScalar::Kind::other;
}

} // namespace

bool is_value(PyObject* o) { return is_plain_value(o) || is_numpy_value(o); }

nb::object value_alone(PyObject* o) {
  PyObject* alone = nullptr;
  if (PyFloat_Check(o)) {
    alone = PyFloat_FromDouble(PyFloat_AS_DOUBLE(o));
  } else if (PyLong_Check(o)) {
    alone = PyLong_Type.tp_as_number->nb_int(o);
  } else if (PyUnicode_Check(o)) {
    alone = PyUnicode_FromObject(o);
  } else if (PyBytes_Check(o)) {
    alone = PyBytes_FromStringAndSize(PyBytes_AS_STRING(o), PyBytes_GET_SIZE(o));
  } else {
    alone = PyComplex_FromCComplex(reinterpret_cast<PyComplexObject*>(o)->cval);
  }
  if (!alone) {
    throw nb::python_error();
  }
  return nb::steal(alone);
}

bool equal_values(PyObject* now, PyObject* before) {
  if (now == before) {
    return true;
  }
  if (has_plain_value(now)) {
    return equal_plain_values(now, before);
  }
  if (PyAnySet_Check(now)) {
    return PySet_GET_SIZE(now) == PySet_GET_SIZE(before) && PyObject_RichCompareBool(now, before, Py_EQ) == 1;
  }
  nb::object a = nb::handle(now).attr("tobytes")(), b = nb::handle(before).attr("tobytes")();
  return equal_plain_values(a.ptr(), b.ptr());
}

// --- items ---

namespace {

PyTypeObject* deque_type() {
  static PyObject* type = nb::object(nb::module_::import_("collections").attr("deque")).release().ptr();
  return reinterpret_cast<PyTypeObject*>(type);
}

} // namespace

bool is_deque(PyObject* o) { return PyType_IsSubtype(Py_TYPE(o), deque_type()); }

CollectedItems items_of(PyObject* o) {
  struct Collected {
    PyObject* type;
    CollectedItems items;
  } collected{reinterpret_cast<PyObject*>(Py_TYPE(o)), {}};
  auto visit = [](PyObject* owned, void* arg) {
    auto* c = static_cast<Collected*>(arg);
    if (owned != c->type) {
      c->items.push_back(owned);
    }
    return 0;
  };
  (PyAnySet_Check(o) ? &PySet_Type : deque_type())
      ->tp_traverse(o, visit, &collected); // without attributes of subclasses
  return std::move(collected.items);
}

Py_ssize_t size_of(PyObject* container) {
  if (PyList_Check(container) || PyTuple_Check(container)) {
    return PySequence_Fast_GET_SIZE(container);
  }
  if (PyDict_Check(container)) {
    return PyDict_GET_SIZE(container);
  }
  return PyAnySet_Check(container) ? PySet_GET_SIZE(container) : deque_type()->tp_as_sequence->sq_length(container);
}

bool equal_keys(PyObject* a, PyObject* b) {
  return a == b || (Py_TYPE(a) == Py_TYPE(b) && is_plain_value(a) && equal_plain_values(a, b));
}

nb::object keys_in_order(PyObject* dict) {
  nb::object iterator = nb::steal(PyODict_Type.tp_iter(dict));
  nb::object keys = iterator.is_valid() ? nb::steal(PySequence_Tuple(iterator.ptr())) : nb::object();
  PyErr_Clear();
  return keys;
}

bool is_in_order(PyObject* dict, PyObject* keys) {
  nb::object now = keys_in_order(dict);
  bool same = now.is_valid() && PyTuple_GET_SIZE(now.ptr()) == PyTuple_GET_SIZE(keys);
  for (Py_ssize_t i = 0; same && i < PyTuple_GET_SIZE(keys); ++i) {
    same = equal_keys(PyTuple_GET_ITEM(now.ptr(), i), PyTuple_GET_ITEM(keys, i));
  }
  return same;
}

// --- bytes ---

namespace {

// A type of a module that is imported already; null where it is not.
PyObject* imported_type(const char* module, const char* name) {
  nb::object found = nb::borrow(PyDict_GetItemString(PyImport_GetModuleDict(), module));
  PyObject* type = found.is_valid() && PyModule_Check(found.ptr())
                       ? PyDict_GetItemString(PyModule_GetDict(found.ptr()), name)
                       : nullptr;
  PyErr_Clear();
  return type && PyType_Check(type) ? type : nullptr;
}

class View {
 public:
  explicit View(PyObject* o) : held_(PyObject_GetBuffer(o, &view_, PyBUF_FULL_RO) == 0) { PyErr_Clear(); }
  ~View() {
    if (held_) {
      PyBuffer_Release(&view_);
    }
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  explicit operator bool() const { return held_ && !(view_.format && std::strchr(view_.format, 'O')); }
  const Py_buffer& get() const { return view_; }
  // What the bytes mean.
  std::string meaning() const {
    std::string text = view_.format ? view_.format : "B";
    text.push_back('\0');
    text.append(reinterpret_cast<const char*>(view_.shape), static_cast<size_t>(view_.ndim) * sizeof(Py_ssize_t));
    return text;
  }
  // The bytes in row-major order; `copy` holds them where they are not.
  const char* bytes(std::vector<char>& copy) const {
    if (PyBuffer_IsContiguous(&view_, 'C')) {
      return static_cast<const char*>(view_.buf);
    }
    copy.resize(static_cast<size_t>(view_.len));
    int failed = PyBuffer_ToContiguous(copy.data(), &view_, view_.len, 'C');
    PyErr_Clear();
    return failed ? nullptr : copy.data();
  }

 private:
  Py_buffer view_;
  bool held_;
};

// Of NumPy's arrays of dates and others that have no buffer: it answers itself.
std::string numpy_bytes(PyObject* o, Py_ssize_t at_most) {
  PyObject* type = imported_type("numpy", "ndarray");
  if (!type || !PyType_IsSubtype(Py_TYPE(o), reinterpret_cast<PyTypeObject*>(type))) {
    return {};
  }
  nb::handle arrays(type);
  auto of = [&](const char* name) { return arrays.attr(name).attr("__get__")(nb::handle(o)); };
  nb::object dtype = of("dtype");
  if (nb::cast<bool>(dtype.attr("hasobject")) || nb::cast<Py_ssize_t>(of("nbytes")) > at_most) {
    return {};
  }
  nb::object bytes = arrays.attr("tobytes")(nb::handle(o));
  std::string all = nb::cast<std::string>(nb::str(dtype)) + nb::cast<std::string>(nb::str(of("shape"))) + ":";
  return all.append(PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr())));
}

} // namespace

bool has_bytes(PyObject* o) {
  if (!PyObject_CheckBuffer(o) || PyBytes_Check(o)) {
    return false;
  }
  if (PyByteArray_Check(o) || PyMemoryView_Check(o)) {
    return true;
  }
  constexpr const char* others[][2] = {{"numpy", "ndarray"}, {"array", "array"}, {"mmap", "mmap"}, {"_ctypes", "Array"},
      {"_ctypes", "Structure"}, {"_ctypes", "_SimpleCData"}};
  for (const auto& [module, name] : others) {
    PyObject* type = imported_type(module, name);
    if (type && PyType_IsSubtype(Py_TYPE(o), reinterpret_cast<PyTypeObject*>(type))) {
      return reinterpret_cast<PyTypeObject*>(type)->tp_as_buffer->bf_getbuffer ==
             Py_TYPE(o)->tp_as_buffer->bf_getbuffer;
    }
  }
  return false;
}

nb::object bytes_in(PyObject* o, Py_ssize_t at_most) {
  std::string all;
  if (View view(o); view) {
    std::vector<char> copy;
    const char* bytes = view.get().len <= at_most ? view.bytes(copy) : nullptr;
    if (bytes) {
      all = view.meaning().append(bytes, static_cast<size_t>(view.get().len));
    }
  } else {
    all = numpy_bytes(o, at_most);
  }
  return all.empty() ? nb::object() : nb::object(nb::bytes(all.data(), all.size()));
}

bool has_same_bytes(PyObject* now, PyObject* before) {
  const char* expected = PyBytes_AS_STRING(before);
  auto size = static_cast<size_t>(PyBytes_GET_SIZE(before));
  if (View view(now); view) {
    std::string meaning = view.meaning();
    if (meaning.size() + static_cast<size_t>(view.get().len) != size ||
        std::memcmp(meaning.data(), expected, meaning.size()) != 0) {
      return false;
    }
    std::vector<char> copy;
    const char* bytes = view.bytes(copy);
    return bytes && std::memcmp(bytes, expected + meaning.size(), static_cast<size_t>(view.get().len)) == 0;
  }
  return numpy_bytes(now, static_cast<Py_ssize_t>(size)) == std::string_view(expected, size);
}

bool is_read_only(PyObject* o) {
  View view(o);
  return view && view.get().readonly;
}

} // namespace mlx::python
