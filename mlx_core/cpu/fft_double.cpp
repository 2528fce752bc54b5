// Fourier transforms of double.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/fft_double.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/fft_one-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const FftKernels<double>& double_ffts() { return kernels_of_fft<double>(); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(double_ffts);
const FftKernels<double>& fft_kernels(double) { return HWY_DYNAMIC_DISPATCH(double_ffts)(); }
} // namespace mlx::core::cpu
#endif
