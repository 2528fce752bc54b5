// Kernels of the trigonometric functions and their inverses for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/trigonometric.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/trigonometric-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_trigonometric(Body body, Dtype dtype) {
  switch (body) {
    case Body::sin: return float_map1<Sin>(dtype);
    case Body::cos: return float_map1<Cos>(dtype);
    case Body::tan: return float_map1<Tan>(dtype);
    case Body::arcsin: return float_map1<Arcsin>(dtype);
    case Body::arccos: return float_map1<Arccos>(dtype);
    case Body::arctan: return float_map1<Arctan>(dtype);
    case Body::arctan2: return mixed_map2<Arctan2Float, Arctan2Double>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_trigonometric);

Kernel trigonometric_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_trigonometric)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
