// The families of elementwise kernels, each with one dispatch to the machine's best instruction set.
#pragma once

#include "mlx_core/cpu/elementwise.h"

namespace mlx::core::cpu::bodies {

// Each returns null for the pairs it does not define.
Kernel arithmetic_kernel(Body body, Dtype dtype); // real floating
Kernel division_kernel(Body body, Dtype dtype);   // floor_divide and remainder of real floating numbers
Kernel integer_kernel(Body body, Dtype dtype);    // integers and bool
Kernel complex_arithmetic_kernel(Body body, Dtype dtype);
Kernel complex_function_kernel(Body body, Dtype dtype);
Kernel comparison_kernel(Body body, Dtype dtype);
Kernel predicate_kernel(Body body, Dtype dtype);
Kernel bitwise_kernel(Body body, Dtype dtype);
Kernel movement_kernel(Body body, Dtype dtype); // copy, select, parts of complex numbers
Kernel exponential_kernel(Body body, Dtype dtype);
Kernel logarithm_kernel(Body body, Dtype dtype);
Kernel trigonometric_kernel(Body body, Dtype dtype);
Kernel hyperbolic_kernel(Body body, Dtype dtype);
Kernel special_kernel(Body body, Dtype dtype);
Kernel power_kernel(Body body, Dtype dtype);

Kernel cast_from_integer(Dtype from, Dtype to); // from integers and bool
Kernel cast_from_inexact(Dtype from, Dtype to);

} // namespace mlx::core::cpu::bodies
