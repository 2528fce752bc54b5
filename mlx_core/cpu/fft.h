// Fourier transforms along one axis.
#pragma once

#include "mlx_core/cpu/copy.h"
#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out (row-major): the sums over j of in[j] exp(-2 pi i j k / n), or with `inverse` exp(+...), times scale. By dtypes:
// complex to complex, n elements of both; real to complex, out having n / 2 + 1; complex to real, in having n / 2 + 1
// and the others being their conjugates, for out's n, by exp(+...) always. `in` has the sizes of shape; out those with
// out_length along the axis. Complex in and out may be the same memory.
void fft(Dtype in_dtype, const void* in, Ints shape, Ints strides, int axis, bool inverse, double scale,
    Dtype out_dtype, int64_t out_length, void* out);

template <typename T>
struct FftPlan;
// For making plans: the transform of plan.spectrum, in its place, divided by its length.
template <typename T>
void transform_spectrum(FftPlan<T>& plan);

} // namespace mlx::core::cpu
