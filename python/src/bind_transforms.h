// The files that make up bind_transforms, and what they share.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "python/src/trees.h"

namespace nb = nanobind;

namespace mlx::python {

void bind_grad(nb::module_& m);         // bind_grad.cpp: grad, value_and_grad
void bind_vjp_jvp(nb::module_& m);      // bind_vjp_jvp.cpp: vjp, jvp
void bind_vmap(nb::module_& m);         // bind_vmap.cpp
void bind_custom(nb::module_& m);       // bind_custom.cpp: custom_function, checkpoint
void bind_control_flow(nb::module_& m); // bind_control_flow.cpp: cond, while_loop, fori_loop, scan
void bind_evaluation(nb::module_& m);   // bind_evaluation.cpp: eval, async_eval, synchronize, Ctrl-C

// "list", for errors.
inline std::string class_name(nb::handle o) { return Py_TYPE(o.ptr())->tp_name; }

} // namespace mlx::python
