// Kernels of the logarithms for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/logarithm.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/logarithm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_logarithm(Body body, Dtype dtype) {
  switch (body) {
    case Body::log: return float_map1<Log>(dtype);
    case Body::log2: return float_map1<Log2>(dtype);
    case Body::log10: return float_map1<Log10>(dtype);
    case Body::log1p: return float_map1<Log1p>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_logarithm);

Kernel logarithm_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_logarithm)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
