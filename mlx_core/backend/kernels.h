// Kernels: what a device does with memory, by kind of work (request.h). Ops ask for work through it, and name no
// device.
#pragma once

#include "mlx_core/backend/request.h"
#include "mlx_core/device.h"

namespace mlx::core {

class Kernels {
 public:
  virtual ~Kernels() = default;

  virtual Device device() const = 0;
  // Whether the device does this itself. What it does not, the host does on the same memory.
  virtual bool supports(const kernel::Request& request) const = 0;

  // Does it, or sees to it that it is done after what was asked before: memory may be read through host_ready() only.
  template <typename Kind>
  void run(const Kind& kind) {
    submit(kernel::Request(&kind));
  }

 protected:
  virtual void submit(const kernel::Request& request) = 0;
};

// The host's, which does everything at once.
Kernels& host_kernels();
// Those that work on this stream.
Kernels& kernels_on(StreamNumber stream);

} // namespace mlx::core
