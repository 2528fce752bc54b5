// Which runs of a broadcast source are the same.
#include "mlx_core/cpu/repeat.h"

namespace mlx::core::cpu {

void Repeat::find(const FusedPlan::Source& source, int64_t longest) {
  period = 0;
  int64_t inner = 1;
  for (size_t d = source.sizes.size(); d-- > 0 && inner <= longest; inner *= source.sizes[d]) {
    if (source.strides[d] == 0 && d + 1 < source.sizes.size()) {
      period = inner;
      length = inner * source.sizes[d];
      axis = d;
    }
  }
}

bool Repeated::has(const Repeat& repeat, const FusedPlan::Source& source, int64_t first, int64_t length) {
  if (first % repeat.length + length > repeat.length) { // the last of it belong to other elements
    n = 0;
    return false;
  }
  int64_t offset = 0, outer = first / repeat.length;
  for (size_t d = repeat.axis; d-- > 0; outer /= source.sizes[d]) {
    offset += outer % source.sizes[d] * source.strides[d];
  }
  if (n >= length && from == offset && phase == first % repeat.period) {
    return true;
  }
  from = offset;
  phase = first % repeat.period;
  n = length;
  return false;
}

} // namespace mlx::core::cpu
