// Fourier transforms of float.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/fft_float.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/fft_one-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

const FftKernels<float>& float_ffts() { return kernels_of_fft<float>(); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(float_ffts);
const FftKernels<float>& fft_kernels(float) { return HWY_DYNAMIC_DISPATCH(float_ffts)(); }
} // namespace mlx::core::cpu
#endif
