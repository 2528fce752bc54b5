// The Python module mlx.core: calls one binding function per concept.
#include <nanobind/stl/string.h>

#include "mlx_core/environment.h"
#include "python/src/ops/bind_linalg.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/short_calls.h"

namespace {

// What `from mlx.core import *` takes: not the standard's name of a dtype, which would hide Python's bool.
void bind_star(nb::module_& m) {
  nb::list names;
  for (nb::handle name : nb::borrow<nb::list>(nb::steal(PyObject_Dir(m.ptr())))) {
    std::string text = nb::cast<std::string>(name);
    if (!text.starts_with("_") && text != "bool") {
      names.append(name);
    }
  }
  m.attr("__all__") = names;
}

} // namespace

// nanobind keeps one table of classes per process, and threads of ours take the lock of the main interpreter: a second
// interpreter would take both over, and leave them broken when it ends. So the import fails there before any of this.
NB_MODULE(core_of_main_interpreter, m) {
  using namespace mlx::python;
  m.doc() = "Arrays that compute when they are read, and transformations of functions of them.";
  // Arrays live in globals of modules and in closures until the interpreter is gone; that is no leak.
  nb::set_leak_warnings(false);
  mlx::core::check_environment();
  bind_exceptions(m);
  bind_dtype(m);
  bind_device(m);
  bind_dim(m);
  bind_array(m);
  bind_constants(m);
  bind_ops(m);
  bind_linalg(m);
  bind_random(m);
  bind_fast(m);
  bind_fft(m);
  bind_special(m);
  bind_transforms(m);
  bind_memory(m);
  bind_backends(m);
  bind_registry(m);
  bind_files(m);
  bind_pickling(m);
  explain_argument_errors(m);
  install_short_calls(m);
  bind_star(m);
  bind_signatures(m);
}

extern "C" NB_EXPORT PyObject* PyInit_core();
extern "C" PyObject* PyInit_core() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
        "[import] mlx.core cannot be imported in a sub-interpreter: its arrays, streams and threads belong to the "
        "whole "
        "process. Import it in the main interpreter, or use another process (multiprocessing).");
    return nullptr;
  }
  return PyInit_core_of_main_interpreter();
}
