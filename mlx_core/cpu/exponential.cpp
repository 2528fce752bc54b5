// Kernels of exp, exp2, expm1 and sigmoid for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/exponential.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/exponential-inl.h"
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_exponential(Body body, Dtype dtype) {
  switch (body) {
    case Body::exp: return float_map1<Exp>(dtype);
    case Body::exp2: return float_map1<Exp2>(dtype);
    case Body::expm1: return float_map1<Expm1>(dtype);
    case Body::sigmoid: return float_map1<Sigmoid>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_exponential);

Kernel exponential_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_exponential)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
