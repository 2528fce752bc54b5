// Sums and products: the table of bodies by dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/reduce_sum.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

// Signed integers wrap like unsigned ones.
template <typename Op>
const ReduceKernels& by_dtype(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::bool_: break; // a logical operation, elsewhere
    case Dtype::Val::uint8:
    case Dtype::Val::int8: return Bodies<Op, uint8_t>::kernels();
    case Dtype::Val::uint16:
    case Dtype::Val::int16: return Bodies<Op, uint16_t>::kernels();
    case Dtype::Val::uint32:
    case Dtype::Val::int32: return Bodies<Op, uint32_t>::kernels();
    case Dtype::Val::uint64:
    case Dtype::Val::int64: return Bodies<Op, uint64_t>::kernels();
    case Dtype::Val::float16: return Bodies<Op, float16_t>::kernels();
    case Dtype::Val::bfloat16: return Bodies<Op, bfloat16_t>::kernels();
    case Dtype::Val::float32: return Bodies<Op, float>::kernels();
    case Dtype::Val::float64: return Bodies<Op, double>::kernels();
    case Dtype::Val::complex64:
      if constexpr (std::is_same_v<Op, Sum>)
        return Bodies<Op, float, 2>::kernels();
      else
        return Bodies<Op, complex64_t>::kernels();
    case Dtype::Val::complex128:
      if constexpr (std::is_same_v<Op, Sum>)
        return Bodies<Op, double, 2>::kernels();
      else
        return Bodies<Op, complex128_t>::kernels();
  }
  return Bodies<Op, uint8_t>::kernels();
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
