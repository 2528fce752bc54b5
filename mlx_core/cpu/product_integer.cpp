// Matrix products of integers, which wrap, and of bools.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/product_integer.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const ProductKernels& integer_products(Dtype dtype) {
  if (dtype.is_bool()) return exact_kernels<AnyProduct>();
  switch (dtype.size()) {
    case 8: return exact_kernels<ModularProduct<uint64_t>>();
    case 4: return exact_kernels<ModularProduct<uint32_t>>();
    default: return exact_kernels<ModularProduct<uint16_t>>();
  }
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(integer_products);
const ProductKernels& integer_product_kernels(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(integer_products)(dtype); }
} // namespace mlx::core::cpu
#endif
