// How the elements of matrix products are loaded, multiplied and added, for each type, once per instruction set.

// Per-target include guard
#if defined(MLX_CPU_PRODUCT_ARITHMETIC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_PRODUCT_ARITHMETIC_INL_H
#undef MLX_CPU_PRODUCT_ARITHMETIC_INL_H
#else
#define MLX_CPU_PRODUCT_ARITHMETIC_INL_H
#endif

#include <hwy/highway.h>

#include <complex>
#include <cstdint>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x86 with AVX-512 and ARM have 32 vector registers, the others 16.
constexpr bool many_registers = HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3);
// Where a multiply-add takes a factor from memory, a tile may fill all of them.
constexpr bool tall_tiles = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3;

// Whether a vector of T can be read and written in part without touching the memory beyond.
template <typename T>
constexpr bool has_masks =
    std::is_arithmetic_v<T> && sizeof(T) >= 4 && (HWY_ARCH_X86 && (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3));

// Element: in memory. Value: a vector of them in registers. `rows` and `vectors`: the shape of a tile that fits into
// the registers. `wide_rows`: that of one of twice as many columns, which loads less for each multiplication; 0: there
// is none. A value times one of another row is multiply_add(spread(a), load(b), sum).

// The upper half of the lanes added to the lower half, until one is left.
template <class D, class V>
HWY_INLINE hn::TFromD<D> fold_halves(D d, V v) {
  if constexpr (hn::MaxLanes(d) == 1) {
    return hn::GetLane(v);
  } else {
    const hn::Half<D> half;
    return fold_halves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

template <typename T>
struct RealProduct {
  using Element = T;
  using D = hn::ScalableTag<T>;
  using Value = hn::Vec<D>;
  static constexpr int lanes = hn::MaxLanes(D());
  static constexpr int rows = tall_tiles ? 14 : many_registers ? 8 : 6, vectors = 2, wide_rows = tall_tiles ? 6 : 0;
  static HWY_INLINE Value zero() { return hn::Zero(D()); }
  static HWY_INLINE Value spread(const T* p) { return hn::Set(D(), *p); }
  static HWY_INLINE Value load(const T* p) { return hn::LoadU(D(), p); }
  // So many elements, or none, where there are masks; what is missing is 0.
  static HWY_INLINE Value load_part(const T* p, int64_t count) {
    return hn::MaskedLoad(hn::FirstN(D(), static_cast<size_t>(count)), D(), p);
  }
  static HWY_INLINE Value load_packed(const T* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE void store(Value v, T* p) { hn::StoreU(v, D(), p); }
  static HWY_INLINE Value add(Value a, Value b) { return hn::Add(a, b); }
  static HWY_INLINE Value multiply_add(Value a, Value b, Value sum) { return hn::MulAdd(a, b, sum); }
  static HWY_INLINE T folded(Value v) { return fold_halves(D(), v); }
};

// Real and imaginary parts in vectors of their own.
template <typename R>
struct ComplexProduct {
  using Element = std::complex<R>;
  using D = hn::ScalableTag<R>;
  struct Value { // with constructors, as those that the compiler adds are not of this instruction set
    HWY_INLINE Value() {}
    HWY_INLINE Value(hn::Vec<D> real, hn::Vec<D> imag) : re(real), im(imag) {}
    hn::Vec<D> re, im;
  };
  static constexpr int lanes = hn::MaxLanes(D());
  static constexpr int rows = tall_tiles ? 12 : many_registers ? 8 : 4, vectors = 1, wide_rows = tall_tiles ? 6 : 0;
  static HWY_INLINE Value zero() { return {hn::Zero(D()), hn::Zero(D())}; }
  static HWY_INLINE Value spread(const Element* p) {
    auto* parts = reinterpret_cast<const R*>(p);
    return {hn::Set(D(), parts[0]), hn::Set(D(), parts[1])};
  }
  static HWY_INLINE Value load(const Element* p) {
    Value v;
    hn::LoadInterleaved2(D(), reinterpret_cast<const R*>(p), v.re, v.im);
    return v;
  }
  // In a packed panel the real parts of a vector come first.
  static HWY_INLINE Value load_packed(const Element* p) {
    auto* parts = reinterpret_cast<const R*>(p);
    return {hn::LoadU(D(), parts), hn::LoadU(D(), parts + lanes)};
  }
  static HWY_INLINE void store(Value v, Element* p) {
    auto* parts = reinterpret_cast<R*>(p);
    hn::StoreInterleaved2(v.re, v.im, D(), parts);
  }
  static HWY_INLINE Value add(Value a, Value b) { return {hn::Add(a.re, b.re), hn::Add(a.im, b.im)}; }
  static HWY_INLINE Element folded(Value v) { return {fold_halves(D(), v.re), fold_halves(D(), v.im)}; }
  static HWY_INLINE Value multiply_add(Value a, Value b, Value sum) {
    return {hn::NegMulAdd(a.im, b.im, hn::MulAdd(a.re, b.re, sum.re)),
        hn::MulAdd(a.im, b.re, hn::MulAdd(a.re, b.im, sum.im))};
  }
};

// Modulo 2^n, signed or not.
template <typename T>
struct ModularProduct : RealProduct<T> {
  using typename RealProduct<T>::D;
  using typename RealProduct<T>::Value;
  static constexpr int rows = many_registers ? 8 : 4, wide_rows = 0;
  static HWY_INLINE Value multiply_add(Value a, Value b, Value sum) {
    if constexpr (sizeof(T) < 8) {
      return hn::Add(hn::Mul(a, b), sum);
    } else {
#if HWY_ARCH_X86 && HWY_TARGET == HWY_AVX3
      return hn::Add(Value{_mm512_mullo_epi64(a.raw, b.raw)}, sum);
#else // halves of 32 bits: the product of the upper ones is beyond 2^64
      const hn::Repartition<uint32_t, D> d;
      auto lower = [&](Value v) { return hn::BitCast(d, v); };
      auto upper = [&](Value v) { return hn::BitCast(d, hn::ShiftRight<32>(v)); };
      Value cross = hn::Add(hn::MulEven(upper(a), lower(b)), hn::MulEven(lower(a), upper(b)));
      return hn::Add(hn::Add(hn::MulEven(lower(a), lower(b)), hn::ShiftLeft<32>(cross)), sum);
#endif
    }
  }
};

// Bools: whether any pair is true in both.
struct AnyProduct : RealProduct<uint8_t> {
  static constexpr int rows = many_registers ? 8 : 4, wide_rows = 0;
  static HWY_INLINE Value add(Value a, Value b) { return hn::Or(a, b); }
  static HWY_INLINE Value multiply_add(Value a, Value b, Value sum) { return hn::Or(hn::And(a, b), sum); }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
