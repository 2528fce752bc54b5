// Conversions: one loop for each pair that needs its own, and compositions of those for the rest.
#if defined(MLX_CPU_CASTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_CASTS_INL_H_
#undef MLX_CPU_CASTS_INL_H_
#else
#define MLX_CPU_CASTS_INL_H_
#endif

#include <bit>
#include <complex>
#include <limits>
#include <type_traits>

#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/integers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// Toward zero, saturating, NaN to 0. The value is clamped before it is converted, so that no conversion is undefined;
// the largest integer of 32 bits or more is not always a float, hence the second comparison with its upper bound.
template <class To, class From>
HWY_INLINE To truncated(From x) {
  using Limits = std::numeric_limits<To>;
  constexpr From lowest = static_cast<From>(Limits::lowest());
  if constexpr (sizeof(To) < 4) {
    constexpr From largest = static_cast<From>(Limits::max());
    From number = x == x ? x : From{0};
    number = number > lowest ? number : lowest;
    number = number < largest ? number : largest;
    return static_cast<To>(static_cast<int32_t>(number));
  } else {
    using Bits = std::conditional_t<sizeof(From) == 4, uint32_t, uint64_t>;
    constexpr From too_large = static_cast<From>(Limits::max() / 2 + 1) * 2;
    constexpr From below = std::bit_cast<From>(std::bit_cast<Bits>(too_large) - 1);
    From clamped = x > lowest ? x : lowest; // NaN too
    clamped = clamped < below ? clamped : below;
    To result = static_cast<To>(clamped);
    result = x >= too_large ? Limits::max() : result;
    return x != x ? To{0} : result;
  }
}

template <class From, class To>
struct Cast {
  static To apply(From x) {
    if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      return truncated<To>(x);
    } else {
      return static_cast<To>(x);
    }
  }
};

template <class T>
struct IsNonzero {
  static bool apply(T x) { return x != T{0}; }
};
template <class T>
struct RealPart {
  static T apply(std::complex<T> z) { return z.real(); }
};
template <class T>
struct WithoutImaginary {
  static std::complex<T> apply(T x) { return {x, T{0}}; }
};
template <class From, class To>
struct ComplexCast {
  static std::complex<To> apply(std::complex<From> z) { return {static_cast<To>(z.real()), static_cast<To>(z.imag())}; }
};

// Floats to integers of 8 bits, which the compiler narrows by detours.
template <class To>
void float_to_bytes(const void* const* inputs, void* output, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::make_unsigned_t<To>, decltype(d)> bytes;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* a = static_cast<const float*>(inputs[0]);
  To* out = static_cast<To*>(output);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(narrowed<To>(d, hn::LoadU(d, a + i)), bytes, reinterpret_cast<std::make_unsigned_t<To>*>(out + i));
  }
  const void* rest = a + i;
  loop1<Cast<float, To>, To, float>(&rest, out + i, n - i);
}

// To float, rounded to odd: an inexact result gets an odd last bit. Rounding that to fewer bits then equals rounding
// the original value once.
HWY_INLINE float to_odd(double x) {
  const float nearest = static_cast<float>(x);
  const double back = static_cast<double>(nearest);
  const uint32_t bits = std::bit_cast<uint32_t>(nearest);
  const uint32_t towards_x = std::abs(back) < std::abs(x) ? 1u : ~0u;
  const bool step = (back != x) & (x == x) & ((bits & 1u) == 0);
  return std::bit_cast<float>(bits + (step ? towards_x : 0u));
}
// The upper 53 bits of a magnitude are exact in double; those below are gathered into the last of them.
HWY_INLINE double to_odd_double(uint64_t x) {
  const uint64_t sticky = (x | ((x & 0x7ff) + 0x7ff)) & ~uint64_t{0x7ff};
  return static_cast<double>(x < (uint64_t{1} << 53) ? x : sticky);
}

template <class From>
struct OddCast {
  static float apply(From x) {
    if constexpr (std::is_same_v<From, uint64_t>) {
      return to_odd(to_odd_double(x));
    } else if constexpr (std::is_same_v<From, int64_t>) {
      const uint64_t bits = static_cast<uint64_t>(x);
      const double magnitude = to_odd_double(x < 0 ? uint64_t{0} - bits : bits);
      return to_odd(x < 0 ? -magnitude : magnitude);
    } else if constexpr (sizeof(From) >= 4 && !std::is_same_v<From, float>) {
      return to_odd(static_cast<double>(x));
    } else {
      return static_cast<float>(x); // exact
    }
  }
};

template <class Half>
void widen_run(const void* const* inputs, void* output, int64_t n) {
  widen(static_cast<const Half*>(inputs[0]), static_cast<float*>(output), n);
}
template <class Half>
void narrow_run(const void* const* inputs, void* output, int64_t n) {
  narrow(static_cast<const float*>(inputs[0]), static_cast<Half*>(output), n);
}

inline HWY_NOINLINE void run_composition(Kernel first, Kernel second, const void* const* inputs, void* output,
    int64_t n, int64_t from_size, int64_t to_size) {
  constexpr int64_t chunk = 512;
  HWY_ALIGN char middle[chunk * 16];
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t count = std::min(chunk, n - start);
    const void* source = static_cast<const char*>(inputs[0]) + start * from_size;
    first(&source, middle, count);
    const void* converted = middle;
    second(&converted, static_cast<char*>(output) + start * to_size, count);
  }
}

// second(first(x)), a chunk at a time through the stack
template <Kernel first, Kernel second, class From, class To>
void composition(const void* const* inputs, void* output, int64_t n) {
  run_composition(first, second, inputs, output, n, sizeof(From), sizeof(To));
}

template <class T>
using PartOf = std::conditional_t<std::is_same_v<T, complex64_t>, float, double>;

template <class T>
constexpr Kernel odd_cast = &loop1<OddCast<T>, float, T>;
template <>
inline constexpr Kernel odd_cast<float> = nullptr; // narrowed as it is

// Between integers of no greater width, and to them, signedness does not change the bits.
template <class From, class To>
constexpr Kernel cast_kernel() {
  if constexpr (std::is_same_v<From, bool>) {
    if constexpr (sizeof(To) == 1) {
      return &loop1<IsNonzero<uint8_t>, bool, uint8_t>;
    } else {
      return &composition<cast_kernel<bool, uint8_t>(), cast_kernel<uint8_t, To>(), bool, To>;
    }
  } else if constexpr (is_half<From>) {
    if constexpr (std::is_same_v<To, float>) {
      return &widen_run<From>;
    } else {
      return &composition<&widen_run<From>, cast_kernel<float, To>(), From, To>;
    }
  } else if constexpr (is_complex<From>) {
    using T = PartOf<From>;
    if constexpr (std::is_same_v<To, bool>) {
      return &loop1<IsNonzero<From>, bool, From>;
    } else if constexpr (is_complex<To>) {
      return &loop1<ComplexCast<T, PartOf<To>>, To, From>;
    } else if constexpr (std::is_same_v<To, T>) {
      return &loop1<RealPart<T>, T, From>;
    } else {
      return &composition<&loop1<RealPart<T>, T, From>, cast_kernel<T, To>(), From, To>;
    }
  } else if constexpr (is_half<To>) {
    if constexpr (std::is_same_v<From, float>) {
      return &narrow_run<To>;
    } else {
      return &composition<odd_cast<From>, &narrow_run<To>, From, To>;
    }
  } else if constexpr (is_complex<To>) {
    using T = PartOf<To>;
    if constexpr (std::is_same_v<From, T>) {
      return &loop1<WithoutImaginary<T>, To, T>;
    } else {
      return &composition<cast_kernel<From, T>(), &loop1<WithoutImaginary<T>, To, T>, From, To>;
    }
  } else if constexpr (std::is_same_v<To, bool>) {
    return &loop1<IsNonzero<From>, bool, From>;
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    using Low = std::make_unsigned_t<To>;
    using Source = std::conditional_t<sizeof(From) >= sizeof(To), std::make_unsigned_t<From>, From>;
    return &loop1<Cast<Source, Low>, Low, Source>;
  } else if constexpr (std::is_same_v<From, float> && sizeof(To) == 1) {
    return &float_to_bytes<To>;
  } else {
    return &loop1<Cast<From, To>, To, From>;
  }
}

template <class From>
Kernel cast_from(Dtype to) {
  return with_type(to, []<class To>(std::type_identity<To>) { return cast_kernel<From, To>(); });
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
