// Minima and maxima: the table of bodies by dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/reduce_extremum.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

template <typename Op>
const ReduceKernels& by_dtype(Dtype dtype) {
  return with_number_type(
      dtype, []<class T>(std::type_identity<T>) -> const ReduceKernels& { return Bodies<Op, T>::kernels(); });
}

const ReduceKernels& extremum_kernels(Reduction op, Dtype dtype) {
  return op == Reduction::max ? by_dtype<Extremum<true>>(dtype) : by_dtype<Extremum<false>>(dtype);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(extremum_kernels);
const ReduceKernels& find_extremum_kernels(Reduction op, Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(extremum_kernels)(op, dtype);
}
} // namespace mlx::core::cpu
#endif
