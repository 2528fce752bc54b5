// The files that make up bind_transforms, and what they share.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "python/src/trees.h"

namespace nb = nanobind;

namespace mlx::python {

void bind_grad(nb::module_& m);       // bind_grad.cpp: grad, value_and_grad
void bind_vjp_jvp(nb::module_& m);    // bind_vjp_jvp.cpp: vjp, jvp
void bind_vmap(nb::module_& m);       // bind_vmap.cpp
void bind_custom(nb::module_& m);     // bind_custom.cpp: custom_function, checkpoint
void bind_evaluation(nb::module_& m); // bind_evaluation.cpp: eval, async_eval, synchronize, Ctrl-C
void bind_graph(nb::module_& m);      // bind_graph.cpp: trace, export_to_dot
void bind_export(nb::module_& m);     // bind_export.cpp: export_function, exporter, import_function
void bind_debug(nb::module_& m);      // bind_debug.cpp: debug_nans, profile

// "list", for errors.
inline std::string class_name(nb::handle o) { return Py_TYPE(o.ptr())->tp_name; }

} // namespace mlx::python
