// What dtypes, bodies and reductions are called in shaders, and which of them there are.
#include <iterator>

#include "mlx_core/gpu/fused_msl.h"
#include "mlx_core/gpu/launch.h"

namespace mlx::core::gpu {

const char* shader_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::bool_: return "bool";
    case Dtype::Val::uint8: return "uchar";
    case Dtype::Val::uint16: return "ushort";
    case Dtype::Val::uint32: return "uint";
    case Dtype::Val::uint64: return "ulong";
    case Dtype::Val::int8: return "char";
    case Dtype::Val::int16: return "short";
    case Dtype::Val::int32: return "int";
    case Dtype::Val::int64: return "long";
    case Dtype::Val::float16: return "half";
    case Dtype::Val::bfloat16: return "bfloat";
    case Dtype::Val::float32: return "float";
    case Dtype::Val::complex64: return "complex64_t";
    default: return nullptr;
  }
}

const char* name_of_body(Body body) {
  static constexpr const char* names[] = {
      "copy",
      "negative",
      "abs",
      "sign",
      "square",
      "cube",
      "sqrt",
      "rsqrt",
      "reciprocal",
      "conjugate",
      "real",
      "imag",
      "make_complex",
      "exp",
      "expm1",
      "log",
      "log2",
      "log10",
      "log1p",
      "sigmoid",
      "erf",
      "erfinv",
      "exp2",
      "sin",
      "cos",
      "tan",
      "arcsin",
      "arccos",
      "arctan",
      "sinh",
      "cosh",
      "tanh",
      "arcsinh",
      "arccosh",
      "arctanh",
      "floor",
      "ceil",
      "trunc",
      "rint",
      "isnan",
      "isinf",
      "isfinite",
      "isposinf",
      "isneginf",
      "logical_not",
      "signbit",
      "bitwise_invert",
      "add",
      "subtract",
      "multiply",
      "divide",
      "floor_divide",
      "remainder",
      "power",
      "maximum",
      "minimum",
      "logaddexp",
      "arctan2",
      "gap",
      "zero_times",
      "zero_divide",
      "hypot",
      "nextafter",
      "copysign",
      "equal",
      "not_equal",
      "less",
      "less_equal",
      "greater",
      "greater_equal",
      "nan_equal",
      "logical_and",
      "logical_or",
      "logical_xor",
      "bitwise_and",
      "bitwise_or",
      "bitwise_xor",
      "left_shift",
      "right_shift",
      "select",
      "share",
  };
  static_assert(std::size(names) == static_cast<size_t>(Body::count_));
  return names[static_cast<size_t>(body)];
}

const char* name_of_reduction(Reduction op) {
  static constexpr const char* names[] = {"sum", "prod", "min", "max", "all", "any"};
  return names[static_cast<size_t>(op)];
}

// Functions of complex numbers whose accuracy needs more than pairs of floats are left to the host.
static bool is_complex_function(Body body) {
  switch (body) {
    case Body::sqrt:
    case Body::rsqrt:
    case Body::exp:
    case Body::expm1:
    case Body::log:
    case Body::log2:
    case Body::log10:
    case Body::log1p:
    case Body::sigmoid:
    case Body::exp2:
    case Body::sin:
    case Body::cos:
    case Body::tan:
    case Body::arcsin:
    case Body::arccos:
    case Body::arctan:
    case Body::sinh:
    case Body::cosh:
    case Body::tanh:
    case Body::arcsinh:
    case Body::arccosh:
    case Body::arctanh:
    case Body::power:
    case Body::logaddexp: return true;
    default: return false;
  }
}

bool has_functor(Body body, Dtype from, Dtype to) {
  return is_defined(body, from, to) && has_shader_type(from) && has_shader_type(to) &&
         !(from == complex64 && is_complex_function(body));
}

} // namespace mlx::core::gpu
