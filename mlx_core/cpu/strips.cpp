// The strips of floats, for each instruction set that has vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/strips.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/exponential-inl.h"
#include "mlx_core/cpu/hyperbolic-inl.h"
#include "mlx_core/cpu/integers-inl.h"
#include "mlx_core/cpu/logarithm-inl.h"
#include "mlx_core/cpu/power-inl.h"
#include "mlx_core/cpu/special-inl.h"
#include "mlx_core/cpu/strip-inl.h"
#include "mlx_core/cpu/trigonometric-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

using cpu::HWY_NAMESPACE::Prod;
using cpu::HWY_NAMESPACE::Sum;
using Max = cpu::HWY_NAMESPACE::Extremum<true>;
using Min = cpu::HWY_NAMESPACE::Extremum<false>;

// Of integers of I in registers of floats.
template <class I>
struct FromWhole {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const hn::Rebind<I, D> di;
    return hn::ConvertTo(d, hn::BitCast(di, x));
  }
};

template <class T, class M = T>
struct FloatStrip : Strip<T, M> {
  using Base = Strip<T, M>;
  using Base::of_two, Base::of_one, Base::of_row, Base::of_a, Base::fold_of, Base::clear_fold;

  template <class Comparison>
  using Seen = Comparison;

  // f of an operation of two operands; of other bodies none.
  template <class F>
  static StripFunction with_two_operands(Body body, F f) {
    switch (body) {
      case Body::add: return f(Add());
      case Body::subtract: return f(Subtract());
      case Body::multiply: return f(Multiply());
      case Body::divide: return f(Divide());
      case Body::maximum: return f(Maximum());
      case Body::minimum: return f(Minimum());
      case Body::zero_times: return f(ZeroTimes());
      case Body::zero_divide: return f(ZeroDivide());
      case Body::equal: return f(MaskOf<Body::equal>());
      case Body::not_equal: return f(MaskOf<Body::not_equal>());
      case Body::nan_equal: return f(MaskOf<Body::nan_equal>());
      case Body::less: return f(MaskOf<Body::less>());
      case Body::less_equal: return f(MaskOf<Body::less_equal>());
      default: return nullptr;
    }
  }

  static StripFunction find(Body body, StripForm form) {
    switch (body) {
      case Body::negative: return of_one(Negative(), form);
      case Body::abs: return of_one(Abs(), form);
      case Body::square: return of_one(Square(), form);
      case Body::sqrt: return of_one(Sqrt(), form);
      case Body::sign: return of_one(Sign(), form);
      case Body::rsqrt: return of_one(Rsqrt(), form);
      case Body::reciprocal: return of_one(Reciprocal(), form);
      case Body::copy: return of_one(Same(), form);
      default: return with_two_operands(body, [=](auto op) { return of_two(op, form); });
    }
  }
  static StripFunction find_row(Body body, bool comes_first, StripForm form) {
    return with_two_operands(body, [=](auto op) { return of_row(op, comes_first, form); });
  }
  static StripFunction find_quotient(StripForm form) { return of_row(typename Base::Quotient(), false, form); }

  static StripFunction cube() {
    if constexpr (std::is_same_v<M, float>) {
      return of_a(Cube());
    }
    return nullptr;
  }
  static StripFunction function(Body body) {
    switch (body) {
      case Body::exp: return of_a(Exp());
      case Body::expm1: return of_a(Expm1());
      case Body::sigmoid: return of_a(Sigmoid());
      case Body::log: return of_a(Log());
      case Body::log1p: return of_a(Log1p());
      case Body::tanh: return of_a(Tanh());
      case Body::exp2: return of_a(Exp2());
      case Body::log2: return of_a(Log2());
      case Body::log10: return of_a(Log10());
      case Body::sin: return of_a(Sin());
      case Body::cos: return of_a(Cos());
      case Body::floor: return of_a(Floor());
      case Body::ceil: return of_a(Ceil());
      case Body::trunc: return of_a(Trunc());
      case Body::rint: return of_a(Rint());
      case Body::erf: return of_a(Erf());
      case Body::cube: return cube();
      default: return nullptr;
    }
  }

  static StripFunction find_load(Dtype from) {
    if constexpr (sizeof(T) == 4) {
      return Base::template find_load<T>(from);
    } else {
      return nullptr;
    }
  }
  static StripFunction find_cast(Dtype from) {
    if constexpr (std::is_same_v<M, float>) { // others would be rounded twice
      return from == int32 ? of_a(FromWhole<int32_t>()) : from == uint32 ? of_a(FromWhole<uint32_t>()) : nullptr;
    } else {
      return nullptr;
    }
  }
  static StripFunction find_store(Dtype to) {
    if constexpr (sizeof(T) == 4) {
      return Base::template find_store<T>(to);
    } else {
      return nullptr;
    }
  }

  static StripFunction find_fold(Reduction op) {
    switch (op) {
      case Reduction::sum: return fold_of(Sum());
      case Reduction::prod: return fold_of(Prod());
      case Reduction::min: return fold_of(Min());
      case Reduction::max: return fold_of(Max());
      default: return nullptr;
    }
  }
  static void clear(Reduction op, StripFold& to) {
    switch (op) {
      case Reduction::sum: return clear_fold(Sum(), to);
      case Reduction::prod: return clear_fold(Prod(), to);
      case Reduction::min: return clear_fold(Min(), to);
      case Reduction::max: return clear_fold(Max(), to);
      default: return;
    }
  }

  static const StripTable* table() {
    constexpr bool is_wide = std::is_same_v<T, M>;
    using Wide = FloatStrip<T>;
    static const StripTable all{4 * Base::lanes, &find, &find_row, &Base::prepare_divisor, &find_quotient,
        &Wide::function, &Wide::find_of_masks, &Base::find_select, &Base::template find_choice<Seen>, &Base::find_share,
        &Wide::find_load, &find_cast, &Wide::find_store, Base::erased(&Base::keep),
        is_wide ? nullptr : Base::erased(&Base::round), Base::erased(&Base::store), Base::erased(&Wide::store),
        Base::erased(&Wide::store_bools), Base::erased(&Wide::load_bools), Base::erased(&Base::end), &find_fold, &clear,
        is_wide ? Base::erased(&Base::every_other) : nullptr, is_wide ? Base::erased(&Base::reversed) : nullptr,
        &Wide::run, &Base::fill_pad, &Base::empty_pad, Base::erased(&Base::fetch)};
    return &all;
  }
};

const StripTable* strips_of(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::float32: return FloatStrip<float>::table();
    case Dtype::Val::float64: return FloatStrip<double>::table();
    case Dtype::Val::bfloat16: return FloatStrip<float, bfloat16_t>::table();
    case Dtype::Val::float16:
      if constexpr (has_float16) {
        return FloatStrip<float, float16_t>::table();
      }
      return nullptr;
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies {
HWY_EXPORT(strips_of);
static const StripTable* best_strips(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(strips_of)(dtype); }
} // namespace bodies

const StripTable* find_strips(Dtype dtype) {
  return dtype.is_integer() ? find_integer_strips(dtype) : bodies::best_strips(dtype);
}

} // namespace mlx::core::cpu
#endif
