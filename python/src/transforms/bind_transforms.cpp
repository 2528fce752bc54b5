// Binds the function transforms and what they are made of.
#include "python/src/transforms/bind_transforms.h"

#include "python/src/runtime/bind.h"
#include "python/src/transforms/transformed.h"

namespace mlx::python {

void bind_transforms(nb::module_& m) {
  bind_trees(m);
  bind_transformed(m);
  bind_evaluation(m);
  bind_vjp_jvp(m);
  bind_grad(m);
  bind_jacobian(m);
  bind_linearize(m);
  bind_check_grads(m);
  bind_sparse_jacobian(m);
  bind_vmap(m);
  bind_custom(m);
  bind_compile(m);
  bind_graph(m);
  bind_export(m);
  bind_debug(m);
  bind_control_flow(m);
}

} // namespace mlx::python
