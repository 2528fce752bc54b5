// Sorting 32-bit keys with vectors.
#include "mlx_core/cpu/sort_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/sort_kernels_32.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/sort-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const SortKernels<int32_t>& sort_kernels_here() { return sort_kernels_of<int32_t>(); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(sort_kernels_here);
const SortKernels<int32_t>& sort_kernels_32() {
  static const SortKernels<int32_t>& table = HWY_DYNAMIC_DISPATCH(sort_kernels_here)();
  return table;
}
} // namespace mlx::core::cpu
#endif
