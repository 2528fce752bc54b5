// The transforms along axes, as Python calls them: lengths and axes may be left out.
#pragma once

#include <optional>

#include "mlx_core/fft.h"
#include "mlx_core/primitive.h"

namespace mlx::core::fft {

// `op` is what errors name: "fft.fft".
enum class Kind { complex, from_real, to_real };
struct Transform {
  const char* op;
  Kind kind;
  bool inverse;
};

array along_axis(const Transform& t, const array& a, std::optional<Dim> n, int axis, FFTNorm norm);
// Without axes the last ones, as many as s has, or all.
array along_axes(
    const Transform& t, const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes, FFTNorm norm);

// By what each output or input of a real transform of n elements stands for two, along an axis of n / 2 + 1: 1 at
// frequency 0 and at that of n / 2, `others` elsewhere.
array half_weights(Dim n, int axis, int ndim, double others, Dtype dtype);

} // namespace mlx::core::fft
