// What is known of the bodies.
#include "mlx_core/backend/body.h"

namespace mlx::core {

Dtype output_dtype(Body body, Dtype dtype) {
  switch (body) {
    case Body::abs:
    case Body::real:
    case Body::imag: return real_of(dtype);
    case Body::make_complex: return complex_of(dtype);
    case Body::isnan:
    case Body::isinf:
    case Body::isfinite:
    case Body::isposinf:
    case Body::isneginf:
    case Body::logical_not:
    case Body::signbit:
    case Body::equal:
    case Body::not_equal:
    case Body::less:
    case Body::less_equal:
    case Body::greater:
    case Body::greater_equal:
    case Body::nan_equal:
    case Body::logical_and:
    case Body::logical_or:
    case Body::logical_xor: return bool_;
    default: return dtype;
  }
}

int64_t cost_of(Body body) {
  constexpr int64_t of_function = 6;
  switch (body) {
    case Body::copy:
    case Body::select:
    case Body::share:
    case Body::add:
    case Body::subtract:
    case Body::multiply:
    case Body::maximum:
    case Body::minimum:
    case Body::zero_times:
    case Body::negative:
    case Body::abs:
    case Body::square: return 1;
    default: return output_dtype(body, float32) == bool_ ? 1 : of_function; // comparisons
  }
}

} // namespace mlx::core
