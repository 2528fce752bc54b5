// The kernels of elementwise bodies: that for one (body, dtype) pair on this machine's best ISA.
// Bodies know nothing of arrays: they read runs of consecutive elements and write runs of consecutive elements.
#pragma once

#include <cstdint>

#include "mlx_core/backend/body.h"

namespace mlx::core::cpu {

// inputs[k] and output point at n consecutive elements; any alignment; n >= 0. output may be exactly one of the
// inputs when their element sizes agree (in-place), otherwise they do not overlap.
using Kernel = void (*)(const void* const* inputs, void* output, int64_t n);

inline constexpr int body_count = static_cast<int>(Body::count_);
struct KernelTable {
  Kernel bodies[body_count][dtype_count];
  Kernel casts[dtype_count][dtype_count]; // from, to

  Kernel body(Body b, Dtype dtype) const { return bodies[static_cast<int>(b)][static_cast<int>(dtype.val)]; }
  Kernel cast(Dtype from, Dtype to) const { return casts[static_cast<int>(from.val)][static_cast<int>(to.val)]; }
};
const KernelTable& kernel_table();

// Null when the body is not defined for that dtype. float16 and bfloat16 compute in float32 and round once.
inline Kernel find_kernel(Body body, Dtype dtype) { return kernel_table().body(body, dtype); }

// Conversion between any two dtypes: float to integer truncates toward zero and saturates, NaN becomes 0;
// complex to real drops the imaginary part; anything to bool is `!= 0`.
inline Kernel find_cast(Dtype from, Dtype to) { return kernel_table().cast(from, to); }

} // namespace mlx::core::cpu
