// Kernels of floor_divide and remainder for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/division.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/division-inl.h"
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_division(Body body, Dtype dtype) {
  switch (body) {
    case Body::floor_divide: return float_map2<FloorDivide>(dtype);
    case Body::remainder: return float_map2<Remainder>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_division);

Kernel division_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_division)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
