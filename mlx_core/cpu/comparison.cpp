// Kernels of comparisons and logical connectives: (T, T) -> bool, for every dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/comparison.cpp"
#include "mlx_core/cpu/simd.h"

#include <complex>
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// Complex numbers are ordered by real part, then by imaginary part, as in NumPy and MLX; NaN is unordered.
template <class T>
struct Equal {
  static bool apply(T a, T b) { return a == b; }
};
template <class T>
struct NotEqual {
  static bool apply(T a, T b) { return a != b; }
};
template <class T>
struct Less {
  static bool apply(T a, T b) { return a < b; }
};
template <class T>
struct LessEqual {
  static bool apply(T a, T b) { return a <= b; }
};
template <class T>
struct NanEqual {
  static bool apply(T a, T b) { return (a == b) | ((a != a) & (b != b)); }
};
template <class T>
struct LogicalAnd {
  static bool apply(T a, T b) { return (a != T{0}) & (b != T{0}); }
};
template <class T>
struct LogicalOr {
  static bool apply(T a, T b) { return (a != T{0}) | (b != T{0}); }
};
template <class T>
struct LogicalXor {
  static bool apply(T a, T b) { return (a != T{0}) != (b != T{0}); }
};

// By real, then imaginary part; nothing comes before or after a number with a NaN part, as in NumPy (MLX looks at the
// real parts alone where these differ).
template <class T>
bool real_part_less(std::complex<T> a, std::complex<T> b) {
  return (a.real() < b.real()) & (a.imag() == a.imag()) & (b.imag() == b.imag());
}
template <class T>
struct Less<std::complex<T>> {
  static bool apply(std::complex<T> a, std::complex<T> b) {
    return real_part_less(a, b) | ((a.real() == b.real()) & (a.imag() < b.imag()));
  }
};
template <class T>
struct LessEqual<std::complex<T>> {
  static bool apply(std::complex<T> a, std::complex<T> b) {
    return real_part_less(a, b) | ((a.real() == b.real()) & (a.imag() <= b.imag()));
  }
};

// a > b is b < a
template <class Op, class T>
void swapped(const void* const* inputs, void* output, int64_t n) {
  const void* reversed[] = {inputs[1], inputs[0]};
  loop2<Op, bool, T>(reversed, output, n);
}

enum class Operands { as_given, swapped };

template <template <class> class Op, Operands order, class T>
constexpr Kernel comparison = order == Operands::swapped ? &swapped<Op<T>, T> : &loop2<Op<T>, bool, T>;

template <template <class> class Op, Operands order>
Kernel compare_inexact(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return &half_kernel<comparison<Op, order, float>, float16_t, 2, HalfOutput::other>;
    case Dtype::Val::bfloat16: return &half_kernel<comparison<Op, order, float>, bfloat16_t, 2, HalfOutput::other>;
    case Dtype::Val::float32: return comparison<Op, order, float>;
    case Dtype::Val::float64: return comparison<Op, order, double>;
    case Dtype::Val::complex64: return comparison<Op, order, complex64_t>;
    case Dtype::Val::complex128: return comparison<Op, order, complex128_t>;
    default: return nullptr;
  }
}

// Where signedness does not matter
template <template <class> class Op>
Kernel compare_bits(Dtype dtype) {
  if (dtype.is_inexact()) {
    return compare_inexact<Op, Operands::as_given>(dtype);
  }
  return with_bits(dtype.size(), []<class T>(std::type_identity<T>) { return comparison<Op, Operands::as_given, T>; });
}

template <template <class> class Op, Operands order>
Kernel compare_ordered(Dtype dtype) {
  if (dtype.is_inexact()) {
    return compare_inexact<Op, order>(dtype);
  }
  return with_integer_type(dtype, []<class T>(std::type_identity<T>) { return comparison<Op, order, T>; });
}

Kernel find_comparison(Body body, Dtype dtype) {
  switch (body) {
    case Body::equal: return compare_bits<Equal>(dtype);
    case Body::not_equal: return compare_bits<NotEqual>(dtype);
    case Body::nan_equal:
      return dtype.is_inexact() ? compare_inexact<NanEqual, Operands::as_given>(dtype) : compare_bits<Equal>(dtype);
    case Body::less: return compare_ordered<Less, Operands::as_given>(dtype);
    case Body::less_equal: return compare_ordered<LessEqual, Operands::as_given>(dtype);
    case Body::greater: return compare_ordered<Less, Operands::swapped>(dtype);
    case Body::greater_equal: return compare_ordered<LessEqual, Operands::swapped>(dtype);
    case Body::logical_and: return compare_bits<LogicalAnd>(dtype);
    case Body::logical_or: return compare_bits<LogicalOr>(dtype);
    case Body::logical_xor: return compare_bits<LogicalXor>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_comparison);

Kernel comparison_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_comparison)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
