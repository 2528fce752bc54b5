// Convolutions of one to three axes.
#pragma once

#include "mlx_core/cpu/copy.h"
#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out[n, o..., j] = the sum over taps k... and channels c of a[n, i..., g channels + c] b[j, k..., c], where
// i input_dilation = o stride + k kernel_dilation - low along each axis, and g is the group of j; with `flip` of the
// tap counted from b's last one. Terms whose i is none of a's are left out. out is row-major. Halves are widened to
// float32 and rounded once; float32 and float64 subnormals count as zeros. Each element is added up in an order of its
// own that shapes alone decide.
struct Convolution {
  Dtype dtype;
  const void* a;
  Ints a_sizes, a_strides; // (batch, axes..., groups * channels)
  const void* b;
  Ints b_sizes, b_strides; // (outputs, taps..., channels)
  void* out;
  Ints out_sizes; // (batch, axes..., outputs)
  Ints stride, low, kernel_dilation, input_dilation;
  int64_t groups;
  bool flip, zero_terms; // terms with a factor 0 are 0
};
void convolve(const Convolution& c);

} // namespace mlx::core::cpu
