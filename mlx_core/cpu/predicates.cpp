// Kernels of predicates: T -> bool, for every dtype.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/predicates.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <complex>
#include <limits>
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// On the bits, which vectorise, and for the 16-bit types are at hand. `infinity` is the bits of that.
template <class U, U infinity>
struct FloatBits {
  static constexpr U magnitude = static_cast<U>(~U{0}) >> 1;

  struct IsNan {
    static bool apply(U x) { return (x & magnitude) > infinity; }
  };
  struct IsInf {
    static bool apply(U x) { return (x & magnitude) == infinity; }
  };
  struct IsFinite {
    static bool apply(U x) { return (x & magnitude) < infinity; }
  };
  struct IsPosInf {
    static bool apply(U x) { return x == infinity; }
  };
  struct IsNegInf {
    static bool apply(U x) { return x == static_cast<U>(infinity | ~magnitude); }
  };
  struct LogicalNot {
    static bool apply(U x) { return (x & magnitude) == 0; }
  };
  struct SignBit {
    static bool apply(U x) { return x > magnitude; }
  };

  static Kernel find(Body body) {
    switch (body) {
      case Body::isnan: return &loop1<IsNan, bool, U>;
      case Body::isinf: return &loop1<IsInf, bool, U>;
      case Body::isfinite: return &loop1<IsFinite, bool, U>;
      case Body::isposinf: return &loop1<IsPosInf, bool, U>;
      case Body::isneginf: return &loop1<IsNegInf, bool, U>;
      case Body::logical_not: return &loop1<LogicalNot, bool, U>;
      case Body::signbit: return &loop1<SignBit, bool, U>;
      default: return nullptr;
    }
  }
};

// A complex number is NaN or infinite when a part is, finite when both are, and equals +-inf when its imaginary part
// is 0. It has no sign bit.
template <class T>
struct ComplexParts {
  using Z = std::complex<T>;
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  struct IsNan {
    static bool apply(Z z) { return (z.real() != z.real()) | (z.imag() != z.imag()); }
  };
  struct IsInf {
    static bool apply(Z z) { return infinite(z.real()) | infinite(z.imag()); }
    static bool infinite(T x) { return (x == infinity) | (x == -infinity); }
  };
  struct IsFinite {
    static bool apply(Z z) { return (z.real() - z.real() == 0) & (z.imag() - z.imag() == 0); }
  };
  struct IsPosInf {
    static bool apply(Z z) { return (z.real() == infinity) & (z.imag() == 0); }
  };
  struct IsNegInf {
    static bool apply(Z z) { return (z.real() == -infinity) & (z.imag() == 0); }
  };
  struct LogicalNot {
    static bool apply(Z z) { return (z.real() == 0) & (z.imag() == 0); }
  };

  static Kernel find(Body body) {
    switch (body) {
      case Body::isnan: return &loop1<IsNan, bool, Z>;
      case Body::isinf: return &loop1<IsInf, bool, Z>;
      case Body::isfinite: return &loop1<IsFinite, bool, Z>;
      case Body::isposinf: return &loop1<IsPosInf, bool, Z>;
      case Body::isneginf: return &loop1<IsNegInf, bool, Z>;
      case Body::logical_not: return &loop1<LogicalNot, bool, Z>;
      default: return nullptr;
    }
  }
};

template <class U>
struct IntegerLogicalNot {
  static bool apply(U x) { return x == 0; }
};
template <class T>
struct IntegerSignBit {
  static bool apply(T x) { return x < 0; }
};

template <bool value>
void always(const void* const*, void* output, int64_t n) {
  std::fill_n(static_cast<bool*>(output), n, value);
}

Kernel find_integer_predicate(Body body, Dtype dtype) {
  switch (body) {
    case Body::isnan:
    case Body::isinf:
    case Body::isposinf:
    case Body::isneginf: return &always<false>;
    case Body::isfinite: return &always<true>;
    case Body::signbit:
      return with_integer_type(dtype, []<class T>(std::type_identity<T>) -> Kernel {
        return std::is_signed_v<T> ? &loop1<IntegerSignBit<T>, bool, T> : &always<false>;
      });
    case Body::logical_not:
      return with_bits(
          dtype.size(), []<class T>(std::type_identity<T>) -> Kernel { return &loop1<IntegerLogicalNot<T>, bool, T>; });
    default: return nullptr;
  }
}

Kernel find_predicate(Body body, Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return FloatBits<uint16_t, 0x7c00>::find(body);
    case Dtype::Val::bfloat16: return FloatBits<uint16_t, 0x7f80>::find(body);
    case Dtype::Val::float32: return FloatBits<uint32_t, 0x7f800000>::find(body);
    case Dtype::Val::float64: return FloatBits<uint64_t, 0x7ff0000000000000>::find(body);
    case Dtype::Val::complex64: return ComplexParts<float>::find(body);
    case Dtype::Val::complex128: return ComplexParts<double>::find(body);
    default: return find_integer_predicate(body, dtype);
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_predicate);

Kernel predicate_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_predicate)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
