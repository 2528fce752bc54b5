// Matrix products of complex64 and complex128.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/product_complex.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const ProductKernels& complex_products(Dtype dtype) {
  if (dtype == complex128) return real_or_complex_kernels<ComplexProduct<double>>();
  return real_or_complex_kernels<ComplexProduct<float>>();
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(complex_products);
const ProductKernels& complex_product_kernels(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(complex_products)(dtype); }
} // namespace mlx::core::cpu
#endif
