// Sums and products: the table of bodies by dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/reduce_sum.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

// Signed integers wrap like unsigned ones.
template <typename Op>
const ReduceKernels& by_dtype(Dtype dtype) {
  auto of = []<class T>(std::type_identity<T>) -> const ReduceKernels& {
    if constexpr (is_complex<T> && std::is_same_v<Op, Sum>) {
      return Bodies<Op, typename T::value_type, 2>::kernels();
    } else {
      return Bodies<Op, T>::kernels();
    }
  };
  return dtype.is_inexact() ? with_inexact_type(dtype, of) : with_bits(dtype.size(), of);
}

const ReduceKernels& sum_kernels(Reduction op, Dtype dtype) {
  return op == Reduction::sum ? by_dtype<Sum>(dtype) : by_dtype<Prod>(dtype);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(sum_kernels);
const ReduceKernels& find_sum_kernels(Reduction op, Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(sum_kernels)(op, dtype);
}
} // namespace mlx::core::cpu
#endif
