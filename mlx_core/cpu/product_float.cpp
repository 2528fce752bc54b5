// Matrix products of float32 and float64, and the choice of a table by dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/product_float.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const ProductKernels& float_products(Dtype dtype) {
  if (dtype == float64) return real_or_complex_kernels<RealProduct<double>>();
  return float32_kernels();
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(float_products);
const ProductKernels& float_product_kernels(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(float_products)(dtype); }
const ProductKernels& product_kernels(Dtype dtype) {
  return dtype.is_complex()   ? complex_product_kernels(dtype)
         : dtype.is_inexact() ? float_product_kernels(dtype)
                              : integer_product_kernels(dtype);
}
} // namespace mlx::core::cpu
#endif
