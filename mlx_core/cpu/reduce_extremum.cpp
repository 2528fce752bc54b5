// Minima and maxima: the table of bodies by dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/reduce_extremum.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

template <typename Op>
const ReduceKernels& by_dtype(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::bool_: break; // a logical operation, elsewhere
    case Dtype::Val::uint8: return Bodies<Op, uint8_t>::kernels();
    case Dtype::Val::uint16: return Bodies<Op, uint16_t>::kernels();
    case Dtype::Val::uint32: return Bodies<Op, uint32_t>::kernels();
    case Dtype::Val::uint64: return Bodies<Op, uint64_t>::kernels();
    case Dtype::Val::int8: return Bodies<Op, int8_t>::kernels();
    case Dtype::Val::int16: return Bodies<Op, int16_t>::kernels();
    case Dtype::Val::int32: return Bodies<Op, int32_t>::kernels();
    case Dtype::Val::int64: return Bodies<Op, int64_t>::kernels();
    case Dtype::Val::float16: return Bodies<Op, float16_t>::kernels();
    case Dtype::Val::bfloat16: return Bodies<Op, bfloat16_t>::kernels();
    case Dtype::Val::float32: return Bodies<Op, float>::kernels();
    case Dtype::Val::float64: return Bodies<Op, double>::kernels();
    case Dtype::Val::complex64: return Bodies<Op, complex64_t>::kernels();
    case Dtype::Val::complex128: return Bodies<Op, complex128_t>::kernels();
  }
  return Bodies<Op, uint8_t>::kernels();
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
