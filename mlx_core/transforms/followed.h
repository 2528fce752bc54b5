// Whether an open transform follows an array: what is computed from it elsewhere would be a constant to the transform.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

enum class Follower : uint8_t {
  none,
  derivative, // grad, jvp: a floating or complex array that depends on what is differentiated, not only through
              // stop_gradient
  vmap,       // an array that differs between lanes
  recording,  // an array of a function that is recorded, which has no value yet
};

// The transform of this thread that follows `a`.
Follower follower_of(const array& a);

} // namespace mlx::core
