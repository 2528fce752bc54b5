// Where the zero rule of derivatives hides something: a zero that no mask explains meets an infinite or NaN slope.
#pragma once

#include <memory>
#include <optional>

#include "mlx_core/array.h"

namespace mlx::core {

// Follows what operations do, one at a time, and remembers of zeros where they come from: from a mask (where, padding,
// a place that is not read), or from a slope that is 0.
class HiddenSlopes {
 public:
  HiddenSlopes();
  ~HiddenSlopes();

  // A node that was just computed and still has its operands. The index of an element where it hides a slope.
  std::optional<Sizes> follow(Node& node);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace mlx::core
