// Kernels of arithmetic for integers and bool. Everything wraps; nothing traps, hangs or is undefined.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/integer_arithmetic.cpp"
#include "mlx_core/cpu/simd.h"

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// Unsigned and at least as wide as unsigned int, so that neither wrapping nor promotion is signed.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

// The low bits of these do not depend on the sign: one instantiation serves both signednesses.
template <class U>
struct IntegerNegative {
  static U apply(U x) { return static_cast<U>(Wrapping<U>{0} - x); }
};
template <class U>
struct IntegerSquare {
  static U apply(U x) { return static_cast<U>(Wrapping<U>{x} * x); }
};
template <class U>
struct IntegerAdd {
  static U apply(U a, U b) { return static_cast<U>(Wrapping<U>{a} + b); }
};
template <class U>
struct IntegerSubtract {
  static U apply(U a, U b) { return static_cast<U>(Wrapping<U>{a} - b); }
};
template <class U>
struct IntegerMultiply {
  static U apply(U a, U b) { return static_cast<U>(Wrapping<U>{a} * b); }
};

template <class T>
struct IntegerAbs {
  static T apply(T x) { return x < 0 ? static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(x)) : x; }
};
template <class T>
struct IntegerSign {
  static T apply(T x) { return static_cast<T>((x > 0) - (x < 0)); }
};
template <class T>
struct IntegerMaximum {
  static T apply(T a, T b) { return a > b ? a : b; }
};
template <class T>
struct IntegerMinimum {
  static T apply(T a, T b) { return a < b ? a : b; }
};

// All bits set, or none. Written so because around a choice the compiler puts a branch, and then does not vectorise.
HWY_INLINE int32_t keep_if(bool condition) { return -static_cast<int32_t>(condition); }

// The quotient toward zero; 0 for a zero divisor, and the dividend's negation, wrapped, for -1. A double holds 32 bits
// exactly (a float 16) and the rounded quotient truncates correctly, and unlike integers they divide in vectors.
template <class T>
HWY_INLINE T quotient(T a, T b) {
  if constexpr (sizeof(T) <= 2) {
    const int32_t divisor = b + (b == 0);
    const int32_t q = static_cast<int32_t>(static_cast<float>(a) / static_cast<float>(divisor));
    return static_cast<T>(q & keep_if(b != 0));
  } else if constexpr (sizeof(T) == 4 && std::is_signed_v<T>) {
    const bool special = (b == 0) | (b == -1);
    const T divisor = (b & keep_if(!special)) | special;
    const T q = static_cast<T>(static_cast<double>(a) / static_cast<double>(divisor)); // a itself when special
    const T negated = static_cast<T>(0u - static_cast<uint32_t>(a));
    return (q & keep_if(!special)) | (negated & keep_if(b == -1));
  } else {
    if (b == 0) {
      return 0;
    }
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
      return static_cast<T>(Wrapping<T>{0} - static_cast<Wrapping<T>>(a));
    }
    return a / b;
  }
}

template <class T>
HWY_INLINE T less_product(T a, T q, T b) {
  using W = Wrapping<T>;
  return static_cast<T>(static_cast<W>(a) - static_cast<W>(q) * static_cast<W>(b));
}

// Toward negative infinity, as Python's //
template <class T>
struct IntegerFloorDivide {
  static T apply(T a, T b) {
    const T q = quotient(a, b);
    if constexpr (std::is_signed_v<T>) {
      const T r = less_product(a, q, b);
      const bool adjust = (r != 0) & ((r < 0) != (b < 0)) & (b != 0);
      return static_cast<T>(static_cast<Wrapping<T>>(q) - adjust);
    } else {
      return q;
    }
  }
};
// With the divisor's sign, as Python's %; 0 for a zero divisor
template <class T>
struct IntegerRemainder {
  static T apply(T a, T b) {
    const T r = less_product(a, quotient(a, b), b);
    T adjusted = r;
    if constexpr (std::is_signed_v<T>) {
      const bool adjust = (r != 0) & ((r < 0) != (b < 0));
      adjusted = static_cast<T>(static_cast<Wrapping<T>>(r) + (adjust ? static_cast<Wrapping<T>>(b) : 0));
    }
    return static_cast<T>(static_cast<Wrapping<T>>(adjusted) & (Wrapping<T>{0} - Wrapping<T>{b != 0}));
  }
};

// Floor division and remainder of n numbers of 32 bits by one divisor, without dividing. The products' error is below
// what a quotient that is not whole is away from a whole number; one that is whole may be cut to the number before it.
template <class T, bool remainder>
HWY_INLINE void divide_all(const T* a, T divisor, T* out, int64_t n) {
  const double inverse = 1 / static_cast<double>(divisor);
  const bool negative = divisor < 0;
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; ++i) {
    const T q = static_cast<T>(static_cast<double>(a[i]) * inverse);
    const T r = less_product(a[i], q, divisor);
    // What is left of a has the divisor's sign, and is smaller: else q is one too large, or too small.
    bool large = false;
    if constexpr (std::is_signed_v<T>) {
      large = negative ? r > 0 : r < 0;
    }
    const bool small = negative ? r <= divisor : r >= divisor;
    const uint32_t step = static_cast<uint32_t>(small) - static_cast<uint32_t>(large);
    if constexpr (remainder) {
      out[i] = static_cast<T>(static_cast<uint32_t>(r) - step * static_cast<uint32_t>(divisor));
    } else {
      out[i] = static_cast<T>(static_cast<uint32_t>(q) + step);
    }
  }
}

// The same by any positive divisor but a power of two, by integers: of N bits x, floor(x / d) is the upper part of the
// product of x and m = floor(2^(N + l) / d) + 1, less than 2^(N + 1), where 2^l > d. Of a negative number the quotient
// is the complement of its complement's.
template <class T>
inline constexpr bool divides_by_product = std::is_signed_v<T> || sizeof(T) == 1;

// The upper halves of the products of lanes. The compiler multiplies 64 bits by 64.
template <class D, class V>
HWY_INLINE V upper_product(D d, V x, V y) {
  const hn::Repartition<uint64_t, D> whole;
  const V odd = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(whole, x)));
  return hn::OddEven(hn::BitCast(d, hn::MulEven(odd, y)), hn::BitCast(d, hn::ShiftRight<32>(hn::MulEven(x, y))));
}

template <class T, bool remainder>
HWY_INLINE void divide_by_product(const T* a, T divisor, T* out, int64_t n) {
  constexpr int bits = std::numeric_limits<T>::digits;
  using Signed = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  using Unsigned = std::make_unsigned_t<Signed>;
  using Whole = std::conditional_t<sizeof(T) == 8, unsigned __int128, uint64_t>; // of a product
  constexpr int upper = std::numeric_limits<Unsigned>::digits;
  const int more = static_cast<int>(std::bit_width(static_cast<Unsigned>(divisor)));
  const auto factor = static_cast<Unsigned>((Whole{1} << (bits + more)) / static_cast<Unsigned>(divisor) + 1);
  int64_t first = 0;
  if constexpr (sizeof(T) == 4) {
    const hn::ScalableTag<uint32_t> d;
    const hn::RebindToSigned<decltype(d)> ds;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    const auto by = hn::Set(d, factor), times = hn::Set(d, static_cast<uint32_t>(divisor));
    for (; first + lanes <= n; first += lanes) {
      const auto number = hn::LoadU(ds, a + first);
      const auto sign = hn::BitCast(d, hn::BroadcastSignBit(number)), bits_of = hn::BitCast(d, number);
      const auto high = hn::ShiftRightSame(upper_product(d, hn::Xor(bits_of, sign), by), bits + more - 32);
      const auto q = hn::Xor(high, sign);
      hn::StoreU(hn::BitCast(ds, remainder ? hn::Sub(bits_of, hn::Mul(q, times)) : q), ds, out + first);
    }
  }
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = first; i < n; ++i) {
    const Signed number = a[i], sign = number < 0 ? -1 : 0;
    const auto x = static_cast<Unsigned>(number ^ sign);
    Unsigned q = 0;
    if constexpr (sizeof(T) >= 4) {
      q = static_cast<Unsigned>(Whole{x} * factor >> upper) >> (bits + more - upper);
    } else {
      q = x * factor >> (bits + more);
    }
    q ^= static_cast<Unsigned>(sign);
    out[i] = static_cast<T>(remainder ? static_cast<Unsigned>(number) - q * static_cast<Unsigned>(divisor) : q);
  }
}

// The same by a power of two: a shift, or the bits below it.
template <class T, bool remainder>
HWY_INLINE void divide_by_power(const T* a, T divisor, T* out, int64_t n) {
  const int shift = std::countr_zero(static_cast<std::make_unsigned_t<T>>(divisor));
  const T below = static_cast<T>(divisor - 1);
  MLX_INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<T>(remainder ? a[i] & below : a[i] >> shift);
  }
}

template <template <class> class Op, class T, bool remainder>
void divide_loop(const void* const* inputs, void* output, int64_t n) {
  constexpr int64_t worth_looking = 16;
  const T* b = static_cast<const T*>(inputs[1]);
  const bool special = b[0] == 0 || b[0] == static_cast<T>(-1); // -1: the negation of the least number wraps
  const bool is_power = b[0] > 0 && std::has_single_bit(static_cast<std::make_unsigned_t<T>>(b[0]));
  const bool by_product = divides_by_product<T> && b[0] > 0;
  if (n < worth_looking || special || !(is_power || by_product || sizeof(T) == 4) ||
      std::memcmp(b, b + 1, static_cast<size_t>(n - 1) * sizeof(T)) != 0) {
    return loop2<Op<T>, T, T>(inputs, output, n);
  }
  const T *a = static_cast<const T*>(inputs[0]), divisor = b[0];
  T* out = static_cast<T*>(output);
  if (is_power) {
    divide_by_power<T, remainder>(a, divisor, out, n);
  } else if (by_product) {
    if constexpr (divides_by_product<T>) {
      divide_by_product<T, remainder>(a, divisor, out, n);
    }
  } else if constexpr (sizeof(T) == 4) {
    divide_all<T, remainder>(a, divisor, out, n);
  }
}

// By squaring. A negative exponent gives the exact power cut to an integer: 1 of 1, 1 or -1 of -1, else 0
template <class T>
struct IntegerPower {
  static T apply(T base, T exponent) {
    if (exponent < 0) {
      return base == 1 ? T{1} : base != static_cast<T>(-1) ? T{0} : (exponent & 1) != 0 ? base : T{1};
    }
    using W = Wrapping<T>;
    W result = 1;
    W factor = static_cast<W>(base);
    for (auto e = static_cast<std::make_unsigned_t<T>>(exponent); e != 0; e = static_cast<decltype(e)>(e >> 1)) {
      result *= (e & 1) != 0 ? factor : W{1};
      factor *= factor;
    }
    return static_cast<T>(result);
  }
};

// bool: addition and multiplication are or and and, as in MLX, and the rest follows from 0 and 1.
struct BoolOr {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a | b) != 0; }
};
struct BoolAnd {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a != 0) & (b != 0); }
};
struct BoolDiffer {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a != 0) != (b != 0); }
};
struct BoolRemainder {
  static uint8_t apply(uint8_t, uint8_t) { return 0; }
};
struct BoolPower {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a != 0) | (b == 0); }
};

template <template <class> class Op, bool remainder>
Kernel division_loop(Dtype dtype) {
  return with_integer_type(
      dtype, []<class T>(std::type_identity<T>) -> Kernel { return &divide_loop<Op, T, remainder>; });
}

template <class Op>
constexpr Kernel bool_loop = &loop2<Op, uint8_t, uint8_t>;

Kernel find_bool(Body body) {
  switch (body) {
    case Body::add:
    case Body::maximum: return bool_loop<BoolOr>;
    case Body::multiply:
    case Body::minimum:
    case Body::zero_times:
    case Body::floor_divide: return bool_loop<BoolAnd>;
    case Body::subtract: return bool_loop<BoolDiffer>;
    case Body::remainder: return bool_loop<BoolRemainder>;
    case Body::power: return bool_loop<BoolPower>;
    default: return nullptr;
  }
}

Kernel find_integer(Body body, Dtype dtype) {
  if (dtype.is_bool()) {
    return find_bool(body);
  }
  if (!dtype.is_integer()) {
    return nullptr;
  }
  switch (body) {
    case Body::negative: return by_width1<IntegerNegative>(dtype);
    case Body::square: return by_width1<IntegerSquare>(dtype);
    case Body::abs: return by_type1<IntegerAbs>(dtype);
    case Body::sign: return by_type1<IntegerSign>(dtype);
    case Body::add: return by_width2<IntegerAdd>(dtype);
    case Body::subtract: return by_width2<IntegerSubtract>(dtype);
    case Body::multiply:
    case Body::zero_times: return by_width2<IntegerMultiply>(dtype);
    case Body::maximum: return by_type2<IntegerMaximum>(dtype);
    case Body::minimum: return by_type2<IntegerMinimum>(dtype);
    case Body::floor_divide: return division_loop<IntegerFloorDivide, false>(dtype);
    case Body::remainder: return division_loop<IntegerRemainder, true>(dtype);
    case Body::power: return by_type2<IntegerPower>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_integer);

Kernel integer_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_integer)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
