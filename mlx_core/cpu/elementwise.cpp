// Finds the kernel of a (body, dtype) pair or of a cast: asks each family once, then answers from a table.
#include "mlx_core/cpu/elementwise.h"

#include "mlx_core/cpu/families.h"

namespace mlx::core::cpu {
namespace {

using namespace bodies;

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

KernelTable all_kernels() {
  KernelTable table{};
  for (int body = 0; body < body_count; ++body) {
    for (int dtype = 0; dtype < dtype_count; ++dtype) {
      table.bodies[body][dtype] = ask_families(static_cast<Body>(body), dtype_at(dtype));
    }
  }
  for (int from = 0; from < dtype_count; ++from) {
    for (int to = 0; to < dtype_count; ++to) {
      const Dtype source = dtype_at(from);
      table.casts[from][to] = from == to            ? movement_kernel(Body::copy, source)
                              : source.is_inexact() ? cast_from_inexact(source, dtype_at(to))
                                                    : cast_from_integer(source, dtype_at(to));
    }
  }
  return table;
}

} // namespace

const KernelTable& kernel_table() {
  static const KernelTable table = all_kernels();
  return table;
}

} // namespace mlx::core::cpu
