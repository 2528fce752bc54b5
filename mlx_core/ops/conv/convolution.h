// The one operation that convolutions, their transposes and their derivatives are.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// y[n, o..., j] = the sum over taps k... and channels c of x[n, i..., c] w[j, k..., c], where i input_dilation =
// o stride + k kernel_dilation - low along each axis. `size` is the number of outputs along each, so nothing more is to
// be said of what lies behind the input's end: terms that are not there are left out. Negative `low` skips inputs.
struct Window {
  Shape stride, low, kernel_dilation, input_dilation, size;
  Dim groups;      // x has groups * C channels, w (groups * outputs, taps..., C)
  bool flip;       // w's taps count from the last
  bool zero_terms; // of the chain rule: terms with a factor 0 are 0
};
array convolution(const char* op, const array& x, const array& w, Window window);

// As arguments and results of public functions: `op` is what errors name.
array convolved(const char* op, const array& input, const array& weight, int axes, const Shape& stride,
    const Shape& low, const Shape& high, const Shape& kernel_dilation, const Shape& input_dilation, int groups,
    bool flip);
array convolved_back(const char* op, const array& input, const array& weight, int axes, const Shape& stride,
    const Shape& padding, const Shape& dilation, const Shape& output_padding, int groups);

} // namespace mlx::core
