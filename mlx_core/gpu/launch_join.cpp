// Arrays joined along an axis, by a copy of each.
#include "mlx_core/gpu/launch.h"

namespace mlx::core::gpu {

bool supports(const kernel::Join& k) {
  for (size_t i = 0; i < k.inputs.size(); ++i) {
    if (!supports(kernel::Copy{k.inputs[i], k.part(i)})) {
      return false;
    }
  }
  return true;
}

void launch(Encoder& encoder, const kernel::Join& k) {
  for (size_t i = 0; i < k.inputs.size(); ++i) {
    launch(encoder, kernel::Copy{k.inputs[i], k.part(i)});
  }
}

} // namespace mlx::core::gpu
