// The files that make up bind_transforms, and what they share.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "mlx_core/error.h"
#include "python/src/trees/trees.h"

namespace nb = nanobind;

namespace mlx::python {

void bind_compile(nb::module_& m);         // bind_compile.cpp: compile, compile_stats
void bind_jacobian(nb::module_& m);        // bind_jacobian.cpp: jacfwd, jacrev, jacobian, value_and_jacobian, hessian
void bind_linearize(nb::module_& m);       // bind_linearize.cpp: linearize, pullback, hvp
void bind_check_grads(nb::module_& m);     // bind_check_grads.cpp
void bind_sparse_jacobian(nb::module_& m); // bind_sparse_jacobian.cpp: sparse_jacobian, sparse_hessian
void bind_graph(nb::module_& m);           // bind_graph.cpp: trace, export_to_dot
void bind_export(nb::module_& m);          // bind_export.cpp: export_function, exporter, import_function
void bind_debug(nb::module_& m);           // bind_debug.cpp: debug_nans, profile
void bind_grad(nb::module_& m);            // bind_grad.cpp: grad, value_and_grad
void bind_vjp_jvp(nb::module_& m);         // bind_vjp_jvp.cpp: vjp, jvp
void bind_vmap(nb::module_& m);            // bind_vmap.cpp
void bind_custom(nb::module_& m);          // bind_custom.cpp: custom_function, checkpoint
void bind_control_flow(nb::module_& m);    // bind_control_flow.cpp: cond, while_loop, fori_loop, scan
void bind_evaluation(nb::module_& m);      // bind_evaluation.cpp: eval, async_eval, synchronize, Ctrl-C

// "list", for errors.
inline std::string class_name(nb::handle o) { return Py_TYPE(o.ptr())->tp_name; }
inline bool is_iterable(nb::handle o) { return Py_TYPE(o.ptr())->tp_iter || PySequence_Check(o.ptr()); }

inline void check_callable(const char* op, nb::handle fun) {
  if (!PyCallable_Check(fun.ptr())) {
    core::fail<core::TypeError>(op, "fun is a ", class_name(fun), "; it should be a callable.");
  }
}

} // namespace mlx::python
