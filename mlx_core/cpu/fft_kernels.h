// What fft.cpp asks of the instruction sets: a vector's lanes of transforms side by side, or one transform by itself.
#pragma once

#include <array>

#include "mlx_core/cpu/fft_plan.h"

namespace mlx::core::cpu {

enum class FftKind { complex, from_real, to_real };

template <typename T>
struct FftTask {
  const FftPlan<T>& plan;
  FftKind kind;
  bool inverse; // of complex ones
  T scale;
  int64_t next_in = 0, next_out = 0; // T's from a transform to the one that will be done next; of those one by one
};

// Where transforms that are done side by side lie.
template <typename T, typename Pointer>
struct FftLanes {
  std::array<Pointer, 16> lane; // first elements
  int64_t step;                 // between elements of a transform, in T
  bool adjacent;                // each lane's elements are behind those of the lane before
};

template <typename T>
struct FftKernels {
  int lanes;
  // In T, for either way; of one transform by itself with each further thread's part.
  int64_t (*scratch)(const FftPlan<T>& plan, int threads);
  // Of a plan that does not convolve; up to `lanes` of them.
  void (*side_by_side)(
      const FftTask<T>& task, int count, const FftLanes<T, const T*>& in, const FftLanes<T, T*>& out, T* scratch);
  // How many rows of neighbouring elements `rows` does at once: 0 where it does not do them, else at most 16. In and
  // out may be the same.
  int64_t (*rows_at_once)(const FftTask<T>& task);
  void (*rows)(const FftTask<T>& task, int count, const T* const* in, T* const* out, T* scratch);
  // Of a plan that is no leaf; elements are neighbours. in and out may be the same.
  void (*one)(const FftTask<T>& task, const T* in, T* out, T* scratch, int threads);
  // Of the plan's node alone, forwards, in the order that the convolution reads it.
  void (*node)(const FftPlan<T>& plan, const T* in, T* out, T scale, T* scratch);
};

const FftKernels<float>& fft_kernels(float);
const FftKernels<double>& fft_kernels(double);

} // namespace mlx::core::cpu
