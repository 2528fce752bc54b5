// Casts from floating and complex dtypes to every dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/inexact_casts.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/casts-inl.h"
#include "mlx_core/cpu/families.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_cast_from_inexact(Dtype from, Dtype to) {
  switch (from) {
    case Dtype::Val::float16: return cast_from<float16_t>(to);
    case Dtype::Val::bfloat16: return cast_from<bfloat16_t>(to);
    case Dtype::Val::float32: return cast_from<float>(to);
    case Dtype::Val::float64: return cast_from<double>(to);
    case Dtype::Val::complex64: return cast_from<complex64_t>(to);
    case Dtype::Val::complex128: return cast_from<complex128_t>(to);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_cast_from_inexact);

Kernel cast_from_inexact(Dtype from, Dtype to) { return HWY_DYNAMIC_DISPATCH(find_cast_from_inexact)(from, to); }

} // namespace mlx::core::cpu::bodies
#endif
