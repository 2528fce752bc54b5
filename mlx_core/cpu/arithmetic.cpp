// Kernels of arithmetic and rounding for the real floating dtypes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/arithmetic.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/quotients-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

template <class T>
HWY_INLINE void divide_run(const T* a, const T* b, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  constexpr int64_t lanes = hn::MaxLanes(hn::ScalableTag<T>());
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto x = [&](int k) { return hn::LoadU(d, a + i + k * lanes); };
    const auto y = [&](int k) { return hn::LoadU(d, b + i + k * lanes); };
    auto x0 = x(0), x1 = x(1), x2 = x(2), x3 = x(3);
    divide_four(d, x0, x1, x2, x3, y(0), y(1), y(2), y(3));
    hn::StoreU(x0, d, out + i);
    hn::StoreU(x1, d, out + i + lanes);
    hn::StoreU(x2, d, out + i + 2 * lanes);
    hn::StoreU(x3, d, out + i + 3 * lanes);
  }
  for (; i < n; i += lanes) {
    hn::StoreU(hn::Div(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
}

template <>
HWY_NOINLINE void vectors2<Divide, float>(const float* a, const float* b, float* out, int64_t n) {
  divide_run(a, b, out, n);
}
template <>
HWY_NOINLINE void vectors2<Divide, double>(const double* a, const double* b, double* out, int64_t n) {
  divide_run(a, b, out, n);
}

#endif

template <class Op, class BitsOp>
Kernel sign_map1(Dtype dtype) {
  return dtype == float16 || dtype == bfloat16 ? &loop1<BitsOp, uint16_t, uint16_t> : float_map1<Op>(dtype);
}

Kernel find_copysign(Dtype dtype) {
  return dtype == float16 || dtype == bfloat16 ? &loop2<BitsCopysign<uint16_t>, uint16_t, uint16_t>
                                               : float_map2<Copysign>(dtype);
}

template <class U, U infinity_bits>
constexpr Kernel nextafter_loop = &loop2<BitsNextafter<U, infinity_bits>, U, U>;

Kernel find_nextafter(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return nextafter_loop<uint16_t, 0x7c00>;
    case Dtype::Val::bfloat16: return nextafter_loop<uint16_t, 0x7f80>;
    case Dtype::Val::float32: return nextafter_loop<uint32_t, 0x7f800000>;
    case Dtype::Val::float64: return nextafter_loop<uint64_t, 0x7ff0000000000000>;
    default: return nullptr;
  }
}

template <class T>
struct ShareOf {
  static T apply(T g, T a, T b) { return a > b ? g : a == b ? g * T{0.5} : T{}; }
};
template <class T>
constexpr Kernel share_loop = &loop3<ShareOf<T>, T, T, T, T>;

Kernel find_arithmetic(Body body, Dtype dtype) {
  switch (body) {
    case Body::negative: return sign_map1<Negative, BitsNegative<uint16_t>>(dtype);
    case Body::abs: return sign_map1<Abs, BitsAbs<uint16_t>>(dtype);
    case Body::sign: return float_map1<Sign>(dtype);
    case Body::square: return float_map1<Square>(dtype);
    case Body::sqrt: return float_map1<Sqrt>(dtype);
    case Body::rsqrt: return float_map1<Rsqrt>(dtype);
    case Body::reciprocal: return float_map1<Reciprocal>(dtype);
    case Body::floor: return float_map1<Floor>(dtype);
    case Body::ceil: return float_map1<Ceil>(dtype);
    case Body::trunc: return float_map1<Trunc>(dtype);
    case Body::rint: return float_map1<Rint>(dtype);
    case Body::add: return float_map2<Add>(dtype);
    case Body::subtract: return float_map2<Subtract>(dtype);
    case Body::multiply: return float_map2<Multiply>(dtype);
    case Body::divide: return float_map2<Divide>(dtype);
    case Body::gap: return float_map2<Gap>(dtype);
    case Body::maximum: return float_map2<Maximum>(dtype);
    case Body::minimum: return float_map2<Minimum>(dtype);
    case Body::zero_times: return float_map2<ZeroTimes>(dtype);
    case Body::zero_divide: return float_map2<ZeroDivide>(dtype);
    case Body::share: return float_map<3, share_loop<float>, share_loop<double>>(dtype);
    case Body::copysign: return find_copysign(dtype);
    case Body::nextafter: return find_nextafter(dtype);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_arithmetic);

Kernel arithmetic_kernel(Body body, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_arithmetic)(body, dtype); }

} // namespace mlx::core::cpu::bodies
#endif
