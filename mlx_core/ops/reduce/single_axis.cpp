// The forms of the ops over axes that take a single axis, as a number. They are overloads of their own because a number
// would otherwise convert to `bool keepdims`.
#include "mlx_core/ops.h"

namespace mlx::core {

array sum(const array& a, int axis, bool keepdims, StreamOrDevice s) { return sum(a, Axes{axis}, keepdims, s); }
array prod(const array& a, int axis, bool keepdims, StreamOrDevice s) { return prod(a, Axes{axis}, keepdims, s); }
array max(const array& a, int axis, bool keepdims, StreamOrDevice s) { return max(a, Axes{axis}, keepdims, s); }
array min(const array& a, int axis, bool keepdims, StreamOrDevice s) { return min(a, Axes{axis}, keepdims, s); }
array all(const array& a, int axis, bool keepdims, StreamOrDevice s) { return all(a, Axes{axis}, keepdims, s); }
array any(const array& a, int axis, bool keepdims, StreamOrDevice s) { return any(a, Axes{axis}, keepdims, s); }
array mean(const array& a, int axis, bool keepdims, StreamOrDevice s) { return mean(a, Axes{axis}, keepdims, s); }
array logsumexp(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return logsumexp(a, Axes{axis}, keepdims, s);
}
array median(const array& a, int axis, bool keepdims, StreamOrDevice s) { return median(a, Axes{axis}, keepdims, s); }
array count_nonzero(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, Axes{axis}, keepdims, s);
}
array softmax(const array& a, int axis, bool precise, StreamOrDevice s) { return softmax(a, Axes{axis}, precise, s); }
array var(const array& a, int axis, bool keepdims, double ddof, StreamOrDevice s) {
  return var(a, Axes{axis}, keepdims, ddof, s);
}
array std(const array& a, int axis, bool keepdims, double ddof, StreamOrDevice s) {
  return core::std(a, Axes{axis}, keepdims, ddof, s);
}
::std::vector<array> minmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return minmax(a, Axes{axis}, keepdims, s);
}

array squeeze(const array& a, int axis, StreamOrDevice s) { return squeeze(a, Axes{axis}, s); }
array expand_dims(const array& a, int axis, StreamOrDevice s) { return expand_dims(a, Axes{axis}, s); }
array flip(const array& a, int axis, StreamOrDevice s) { return flip(a, Axes{axis}, s); }

} // namespace mlx::core
