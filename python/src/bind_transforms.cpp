// Binds the function transforms and what they are made of.
#include "python/src/bind_transforms.h"

#include "python/src/bind.h"
#include "python/src/transformed.h"

namespace mlx::python {

void bind_transforms(nb::module_& m) {
  bind_trees(m);
  bind_transformed(m);
  bind_evaluation(m);
  bind_vjp_jvp(m);
  bind_grad(m);
  bind_vmap(m);
  bind_custom(m);
  bind_control_flow(m);
}

} // namespace mlx::python
