// The Python module mlx.core: calls one binding function per concept.
#include "python/src/argument_errors.h"
#include "python/src/bind.h"

NB_MODULE(core, m) {
  using namespace mlx::python;
  m.doc() = "Arrays that compute when they are read, and transformations of functions of them.";
  // Arrays live in globals of modules and in closures until the interpreter is gone; that is no leak.
  nb::set_leak_warnings(false);
  bind_exceptions(m);
  bind_dtype(m);
  bind_device(m);
  bind_dim(m);
  bind_array(m);
  bind_constants(m);
  bind_ops(m);
  bind_random(m);
  bind_transforms(m);
  bind_memory(m);
  bind_backends(m);
  bind_registry(m);
  explain_argument_errors(m);
}
