// Casts from integers and bool to every dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/integer_casts.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/casts-inl.h"
#include "mlx_core/cpu/families.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_cast_from_integer(Dtype from, Dtype to) {
  switch (from) {
    case Dtype::Val::bool_: return cast_from<bool>(to);
    case Dtype::Val::uint8: return cast_from<uint8_t>(to);
    case Dtype::Val::uint16: return cast_from<uint16_t>(to);
    case Dtype::Val::uint32: return cast_from<uint32_t>(to);
    case Dtype::Val::uint64: return cast_from<uint64_t>(to);
    case Dtype::Val::int8: return cast_from<int8_t>(to);
    case Dtype::Val::int16: return cast_from<int16_t>(to);
    case Dtype::Val::int32: return cast_from<int32_t>(to);
    case Dtype::Val::int64: return cast_from<int64_t>(to);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_cast_from_integer);

Kernel cast_from_integer(Dtype from, Dtype to) { return HWY_DYNAMIC_DISPATCH(find_cast_from_integer)(from, to); }

} // namespace mlx::core::cpu::bodies
#endif
