// Convolutions along one to three axes, and their transposes. Inputs are (N, axes..., C_in), weights (C_out, axes...,
// C_in / groups), results (N, axes..., C_out).
#pragma once

#include <string>

#include "mlx_core/array.h"

namespace mlx::core {

// Along each axis: a number for all of them, or one for each. Negative padding cuts off.
array conv_general(const array& input, const array& weight, const Shape& stride = {1}, const Shape& padding_lo = {0},
    const Shape& padding_hi = {0}, const Shape& kernel_dilation = {1}, const Shape& input_dilation = {1},
    int groups = 1, bool flip = false, StreamOrDevice s = {});

array conv1d(const array& input, const array& weight, Dim stride = 1, Dim padding = 0, Dim dilation = 1, int groups = 1,
    StreamOrDevice s = {});
array conv2d(const array& input, const array& weight, const Shape& stride = {1}, const Shape& padding = {0},
    const Shape& dilation = {1}, int groups = 1, StreamOrDevice s = {});
array conv3d(const array& input, const array& weight, const Shape& stride = {1}, const Shape& padding = {0},
    const Shape& dilation = {1}, int groups = 1, StreamOrDevice s = {});

array conv_transpose1d(const array& input, const array& weight, Dim stride = 1, Dim padding = 0, Dim dilation = 1,
    Dim output_padding = 0, int groups = 1, StreamOrDevice s = {});
array conv_transpose2d(const array& input, const array& weight, const Shape& stride = {1}, const Shape& padding = {0},
    const Shape& dilation = {1}, const Shape& output_padding = {0}, int groups = 1, StreamOrDevice s = {});
array conv_transpose3d(const array& input, const array& weight, const Shape& stride = {1}, const Shape& padding = {0},
    const Shape& dilation = {1}, const Shape& output_padding = {0}, int groups = 1, StreamOrDevice s = {});

// NumPy's: mode is "full", "same" or "valid".
array convolve(const array& a, const array& v, const std::string& mode = "full", StreamOrDevice s = {});

} // namespace mlx::core
