// Finds the kernel of a (body, dtype) pair or of a cast: asks each family once, then answers from a table.
#include "mlx_core/cpu/elementwise.h"

#include <array>

#include "mlx_core/cpu/families.h"

namespace mlx::core::cpu {
namespace {

using namespace bodies;

constexpr int body_count = static_cast<int>(Body::count_);

using BodyTable = std::array<std::array<Kernel, dtype_count>, body_count>;
using CastTable = std::array<std::array<Kernel, dtype_count>, dtype_count>;

Kernel ask_families(Body body, Dtype dtype) {
  constexpr Kernel (*families[])(Body, Dtype) = {
      movement_kernel,
      arithmetic_kernel,
      division_kernel,
      integer_kernel,
      complex_arithmetic_kernel,
      complex_function_kernel,
      comparison_kernel,
      predicate_kernel,
      bitwise_kernel,
      exponential_kernel,
      logarithm_kernel,
      special_kernel,
      trigonometric_kernel,
      power_kernel,
      hyperbolic_kernel,
  };
  for (auto* family : families) {
    if (const Kernel kernel = family(body, dtype)) {
      return kernel;
    }
  }
  return nullptr;
}

Dtype dtype_at(int index) { return static_cast<Dtype::Val>(index); }

BodyTable all_bodies() {
  BodyTable table{};
  for (int body = 0; body < body_count; ++body) {
    for (int dtype = 0; dtype < dtype_count; ++dtype) {
      table[body][dtype] = ask_families(static_cast<Body>(body), dtype_at(dtype));
    }
  }
  return table;
}

CastTable all_casts() {
  CastTable table{};
  for (int from = 0; from < dtype_count; ++from) {
    for (int to = 0; to < dtype_count; ++to) {
      const Dtype source = dtype_at(from);
      table[from][to] = from == to            ? movement_kernel(Body::copy, source)
                        : source.is_inexact() ? cast_from_inexact(source, dtype_at(to))
                                              : cast_from_integer(source, dtype_at(to));
    }
  }
  return table;
}

} // namespace

Kernel find_kernel(Body body, Dtype dtype) {
  static const BodyTable table = all_bodies();
  return table[static_cast<int>(body)][static_cast<int>(dtype.val)];
}

Kernel find_cast(Dtype from, Dtype to) {
  static const CastTable table = all_casts();
  return table[static_cast<int>(from.val)][static_cast<int>(to.val)];
}

} // namespace mlx::core::cpu
