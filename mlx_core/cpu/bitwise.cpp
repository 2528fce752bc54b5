// Kernels of bitwise operations and shifts, for integers; on bool the bitwise ones are logical.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/bitwise.cpp"
#include "mlx_core/cpu/simd.h"

#include <type_traits>
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

template <class U>
struct BitwiseInvert {
  static U apply(U x) { return static_cast<U>(~x); }
};
template <class U>
struct BitwiseAnd {
  static U apply(U a, U b) { return static_cast<U>(a & b); }
};
template <class U>
struct BitwiseOr {
  static U apply(U a, U b) { return static_cast<U>(a | b); }
};
template <class U>
struct BitwiseXor {
  static U apply(U a, U b) { return static_cast<U>(a ^ b); }
};

struct BoolInvert {
  static uint8_t apply(uint8_t x) { return x == 0; }
};
struct BoolAnd {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a != 0) & (b != 0); }
};
struct BoolOr {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a | b) != 0; }
};
struct BoolXor {
  static uint8_t apply(uint8_t a, uint8_t b) { return (a != 0) != (b != 0); }
};

// By the width or more, or by a negative count: every bit is shifted out. 8 and 16 bits are shifted in 32, because
// vectors have no shift by a variable count for them.
template <class U>
struct LeftShift {
  using Wide = std::conditional_t<sizeof(U) == 8, uint64_t, uint32_t>;
  static U apply(U a, U count) {
    constexpr U bits = 8 * sizeof(U);
    const U shifted = static_cast<U>(static_cast<Wide>(a) << (count & (bits - 1)));
    return count < bits ? shifted : U{0};
  }
};
template <class T>
struct RightShift {
  using U = std::make_unsigned_t<T>;
  static T apply(T a, T count) {
    constexpr U bits = 8 * sizeof(T);
    const U by = static_cast<U>(count);
    if constexpr (std::is_signed_v<T>) { // what is shifted in is the sign
      using Wide = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
      return static_cast<T>(Wide{a} >> (by < bits ? by : bits - 1));
    } else {
      using Wide = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
      const T shifted = static_cast<T>(Wide{a} >> (by & (bits - 1)));
      return by < bits ? shifted : T{0};
    }
  }
};

Kernel find_bitwise_bool(Body body) {
  switch (body) {
    case Body::bitwise_invert: return &loop1<BoolInvert, uint8_t, uint8_t>;
    case Body::bitwise_and: return &loop2<BoolAnd, uint8_t, uint8_t>;
    case Body::bitwise_or: return &loop2<BoolOr, uint8_t, uint8_t>;
    case Body::bitwise_xor: return &loop2<BoolXor, uint8_t, uint8_t>;
    default: return nullptr;
  }
}

Kernel find_bitwise(Body body, Dtype dtype) {
  if (dtype.is_bool()) {
    return find_bitwise_bool(body);
  }
  if (!dtype.is_integer()) {
    return nullptr;
  }
  switch (body) {
    case Body::bitwise_invert: return by_width1<BitwiseInvert>(dtype);
    case Body::bitwise_and: return by_width2<BitwiseAnd>(dtype);
    case Body::bitwise_or: return by_width2<BitwiseOr>(dtype);
    case Body::bitwise_xor: return by_width2<BitwiseXor>(dtype);
    case Body::left_shift: return by_width2<LeftShift>(dtype);
    case Body::right_shift: return by_type2<RightShift>(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_bitwise);

Kernel bitwise_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_bitwise)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
