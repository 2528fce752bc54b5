// Primitives whose evaluation asks for kernels on views of its operands and of a new array, and looks at nothing else:
// who has memory of its own for all of them runs these without arrays (eval/call_list.h).
#pragma once

#include <span>

#include "mlx_core/backend/kernels.h"

namespace mlx::core {

class OnViews {
 public:
  // `output` is row-major, and apart from the operands.
  virtual void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const = 0;
  // Of what operands hold, as an index that is out of bounds.
  virtual bool may_throw() const { return false; }

 protected:
  ~OnViews() = default;
};

} // namespace mlx::core
