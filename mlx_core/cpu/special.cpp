// Kernels of the error function and its inverse for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/special.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/special-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_special(Body body, Dtype dtype) {
  switch (body) {
    case Body::erf: return float_map1<Erf>(dtype);
    case Body::erfinv: return mixed_map1<ErfinvFloat, ErfinvDouble>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_special);

Kernel special_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_special)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
