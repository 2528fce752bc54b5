// The origin hook: which line of Python is running.
#include "python/src/runtime/origins.h"

#include <Python.h>
#include <frameobject.h>

#include <atomic>
#include <optional>
#include <string>

#include "mlx_core/origin.h"
#include "python/src/array/convert.h"

namespace mlx::python {

namespace {

std::atomic<int> recorders{0};

// The folder of this package, with a slash at its end: its own frames are not the user's.
const std::string& package_folder() {
  static const std::string& folder = *[] {
    auto* found = new std::string;
    nb::object path = nb::module_::import_("mlx.core").attr("__file__");
    *found = nb::cast<std::string>(path);
    found->resize(found->find_last_of("/\\") + 1);
    return found;
  }();
  return folder;
}

std::string text_of(PyObject* o) {
  const char* text = PyUnicode_AsUTF8(o);
  if (!text) {
    PyErr_Clear(); // a file name that is no UTF-8
    return "?";
  }
  return text;
}

bool is_in_numpy(nb::handle frame) {
  nb::object globals = nb::steal(PyObject_GetAttrString(frame.ptr(), "f_globals"));
  PyObject* name = globals.is_valid() ? PyDict_GetItemString(globals.ptr(), "__name__") : nullptr;
  PyErr_Clear();
  std::string text = name && PyUnicode_Check(name) ? text_of(name) : "";
  return text == "numpy" || text.starts_with("numpy.");
}

// The innermost frame that is not of this package, nor of NumPy where that is passed over.
std::optional<core::Origin> users_origin(bool past_numpy) {
  const std::string& package = package_folder();
  nb::object frame = nb::borrow(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame.is_valid()) {
    auto* f = reinterpret_cast<PyFrameObject*>(frame.ptr());
    nb::object code = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetCode(f)));
    auto* c = reinterpret_cast<PyCodeObject*>(code.ptr());
    std::string file = text_of(c->co_filename);
    if (!file.starts_with(package) && !(past_numpy && is_in_numpy(frame))) {
      return core::Origin{file, text_of(c->co_name), PyFrame_GetLineNumber(f), {}, {}};
    }
    frame = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetBack(f)));
  }
  return std::nullopt;
}

uint32_t current_line() {
  if (!Py_IsInitialized() || !PyGILState_Check()) {
    return 0;
  }
  std::optional<core::Origin> origin = users_origin(false);
  return origin ? core::intern_origin(*origin) : 0;
}

} // namespace

std::string users_line() {
  std::optional<core::Origin> origin = users_origin(true);
  return origin ? origin->place() : "";
}

RecordOrigins::RecordOrigins() {
  package_folder(); // imports
  if (recorders++ == 0) {
    core::set_origin_hook(current_line);
  }
}
RecordOrigins::~RecordOrigins() {
  if (--recorders == 0) {
    core::set_origin_hook(nullptr);
  }
}

} // namespace mlx::python
