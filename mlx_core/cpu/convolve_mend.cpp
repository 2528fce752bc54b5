// The NaN of a convolution, found and computed again without the terms that are not there or count as 0: zeros were
// multiplied in their place.
#include <algorithm>
#include <complex>
#include <vector>

#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t task_elements = 32 << 10; // looked through at once

template <typename T>
bool is_nan(T x) {
  if constexpr (is_complex<T>) {
    return x.real() != x.real() || x.imag() != x.imag();
  } else if constexpr (is_half<T>) {
    const float wide = static_cast<float>(x);
    return wide != wide;
  } else {
    return x != x;
  }
}

// Sums are kept in double, also of what is multiplied in float32.
template <typename T>
struct Mend {
  using C = std::conditional_t<is_complex<T>, complex128_t, double>;
  const Convolution& c;
  size_t axes;

  static C wide(T x) {
    if constexpr (is_half<T>) {
      return static_cast<double>(static_cast<float>(x));
    } else {
      return C(x);
    }
  }
  static T narrow(C x) {
    if constexpr (is_half<T>) {
      return T(static_cast<float>(x));
    } else {
      return T(x);
    }
  }
  void add(C& sum, C x, C y) const {
    if (c.zero_terms && (x == C(0) || y == C(0))) return;
    if constexpr (is_complex<T>) {
      sum += C(x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real());
    } else {
      sum += x * y;
    }
  }

  // Along one axis and those behind it, with what the axes before have chosen.
  void axis(size_t d, const std::vector<int64_t>& place, const T* a, const T* b, C& sum) const {
    if (d == axes) {
      const int64_t channels = c.b_sizes.back(), a_step = c.a_strides.back(), b_step = c.b_strides.back();
      for (int64_t k = 0; k < channels; ++k) add(sum, wide(a[k * a_step]), wide(b[k * b_step]));
      return;
    }
    const int64_t taps = c.b_sizes[d + 1], dilation = c.input_dilation[d];
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t at = place[d + 1] * c.stride[d] + k * c.kernel_dilation[d] - c.low[d];
      if (at < 0 || at % dilation != 0 || at / dilation >= c.a_sizes[d + 1]) continue;
      axis(d + 1, place, a + at / dilation * c.a_strides[d + 1], b + (c.flip ? taps - 1 - k : k) * c.b_strides[d + 1],
          sum);
    }
  }

  void row(int64_t number) const {
    const int64_t outputs = c.out_sizes.back(), columns = outputs / c.groups, channels = c.b_sizes.back();
    T* out = static_cast<T*>(c.out) + number * outputs;
    if (std::none_of(out, out + outputs, [](T x) { return is_nan(x); })) return;
    throw_if_interrupted();
    std::vector<int64_t> place(axes + 1);
    for (size_t d = axes + 1; d-- > 0; number /= c.out_sizes[d]) place[d] = number % c.out_sizes[d];
    for (int64_t j = 0; j < outputs; ++j) {
      if (!is_nan(out[j])) continue;
      C sum = 0;
      axis(0, place,
          static_cast<const T*>(c.a) + place[0] * c.a_strides[0] + j / columns * channels * c.a_strides.back(),
          static_cast<const T*>(c.b) + j * c.b_strides[0], sum);
      out[j] = narrow(sum);
    }
  }
};

} // namespace

void mend_convolution(const Convolution& c) {
  with_inexact_type(c.dtype, [&]<typename T>(std::type_identity<T>) {
    const Mend<T> mend{c, c.a_sizes.size() - 2};
    int64_t rows = 1;
    for (size_t d = 0; d + 1 < c.out_sizes.size(); ++d) rows *= c.out_sizes[d];
    const int64_t outputs = c.out_sizes.back(), stretch = std::max<int64_t>(1, task_elements / outputs);
    parallel_items((rows + stretch - 1) / stretch, stretch * outputs, [&](int64_t task) {
      const int64_t first = task * stretch, last = std::min(rows, first + stretch);
      if (!any_nan(c.dtype, (last - first) * outputs, static_cast<const T*>(c.out) + first * outputs)) return;
      for (int64_t i = first; i < last; ++i) mend.row(i);
    });
  });
}

} // namespace mlx::core::cpu
