// Casts from integers and bool to every dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/integer_casts.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/casts-inl.h"
#include "mlx_core/cpu/families.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

Kernel find_cast_from_integer(Dtype from, Dtype to) {
  if (from.is_bool()) {
    return cast_from<bool>(to);
  }
  return with_integer_type(from, [to]<class T>(std::type_identity<T>) { return cast_from<T>(to); });
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_cast_from_integer);

Kernel cast_from_integer(Dtype from, Dtype to) { return HWY_DYNAMIC_DISPATCH(find_cast_from_integer)(from, to); }

} // namespace mlx::core::cpu::bodies
#endif
