// Kernels of power, logaddexp and hypot for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/power.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/power-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_power(Body body, Dtype dtype) {
  switch (body) {
    case Body::power: return mixed_map2<PowerFloat, PowerDouble>(dtype);
    case Body::cube: return mixed_map1<Cube, CubeDouble>(dtype);
    case Body::logaddexp: return float_map2<Logaddexp>(dtype);
    case Body::hypot: return mixed_map2<HypotFloat, HypotDouble>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_power);

Kernel power_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_power)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
