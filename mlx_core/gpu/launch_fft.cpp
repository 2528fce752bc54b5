// Fourier transforms on a GPU: none yet. The host does them, on the same memory.
#include "mlx_core/gpu/launch.h"

namespace mlx::core::gpu {

bool supports(const kernel::Fft&) { return false; }
void launch(Encoder&, const kernel::Fft&) {}

} // namespace mlx::core::gpu
