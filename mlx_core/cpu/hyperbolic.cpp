// Kernels of the hyperbolic functions and their inverses for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/hyperbolic.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/hyperbolic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_hyperbolic(Body body, Dtype dtype) {
  switch (body) {
    case Body::sinh: return float_map1<Sinh>(dtype);
    case Body::cosh: return float_map1<Cosh>(dtype);
    case Body::tanh: return float_map1<Tanh>(dtype);
    case Body::arcsinh: return float_map1<Arcsinh>(dtype);
    case Body::arccosh: return float_map1<Arccosh>(dtype);
    case Body::arctanh: return float_map1<Arctanh>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_hyperbolic);

Kernel hyperbolic_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_hyperbolic)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
