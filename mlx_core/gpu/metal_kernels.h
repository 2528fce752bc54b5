// MetalKernels: the kinds of work on a stream of the GPU. What there are shaders for is encoded and done later; the
// rest the host does on the same memory, when that is ready.
#pragma once

#include "mlx_core/backend/kernels.h"

namespace mlx::core::gpu {

class MetalKernels final : public Kernels {
 public:
  explicit MetalKernels(int stream) : stream_(stream) {}
  Device device() const override { return Device::gpu; }
  bool supports(const kernel::Request& request) const override;

 protected:
  void submit(const kernel::Request& request) override;

 private:
  void order_after_other_streams(const kernel::Request& request) const;

  int stream_;
};

} // namespace mlx::core::gpu
