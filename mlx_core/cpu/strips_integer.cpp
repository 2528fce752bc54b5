// The strips of integers of 32 and 64 bits. Registers are those of the floats of that width, whose instructions a run
// may have, too; what computes looks at them as integers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/strips_integer.cpp"
#include "mlx_core/cpu/simd.h"

#include <type_traits>

#include "mlx_core/cpu/strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// 0 - x
struct Negated {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Sub(hn::Zero(d), x);
  }
};
struct Greater {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Max(x, y);
  }
};
struct Lesser {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Min(x, y);
  }
};
// By the width or more, or by a negative count: every bit is shifted out.
struct LeftShift {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V count) const {
    const V most = hn::Set(d, 8 * sizeof(hn::TFromD<D>) - 1);
    return hn::IfThenZeroElse(hn::Lt(most, count), hn::Shl(x, hn::And(count, most)));
  }
};
template <bool is_signed>
struct RightShift {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V count) const {
    const V most = hn::Set(d, 8 * sizeof(hn::TFromD<D>) - 1);
    if constexpr (is_signed) { // what is shifted in is the sign
      const hn::RebindToSigned<D> ds;
      return hn::BitCast(d, hn::Shr(hn::BitCast(ds, x), hn::BitCast(ds, hn::Min(count, most))));
    } else {
      return hn::IfThenZeroElse(hn::Lt(most, count), hn::Shr(x, hn::And(count, most)));
    }
  }
};

// An operation on integers of I in registers of floats.
template <class I, class Op>
struct OfIntegers {
  template <class D, class... V>
  HWY_INLINE hn::Vec<D> operator()(D d, V... x) const {
    const hn::Rebind<I, D> di;
    return hn::BitCast(d, Op()(di, hn::BitCast(di, x)...));
  }
  template <class D, class V>
  static HWY_INLINE hn::Mask<D> mask(D d, V x, V y) { // of a comparison
    const hn::Rebind<I, D> di;
    return hn::RebindMask(d, Op::mask(di, hn::BitCast(di, x), hn::BitCast(di, y)));
  }
};

template <class Op>
struct Commuting : Op {};
template <class Op>
inline constexpr bool commutes<Commuting<Op>> = true;
template <class I, class Op>
inline constexpr bool commutes<OfIntegers<I, Op>> = commutes<Op>;

// From floats: toward zero, saturating, NaN to 0.
struct Whole {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const hn::RebindToSigned<D> di;
    return hn::BitCast(d, hn::IfThenElseZero(hn::RebindMask(di, hn::Eq(x, x)), hn::ConvertTo(di, x)));
  }
};

template <class T>
struct IntegerStrip : Strip<hwy::FloatFromSize<sizeof(T)>> {
  using Base = Strip<hwy::FloatFromSize<sizeof(T)>>;
  static constexpr bool is_signed = std::is_signed_v<T>;
  template <class Op> // whose bits do not depend on the sign: the same for both
  using Of = OfIntegers<std::make_unsigned_t<T>, Op>;
  template <class Op>
  using BySign = OfIntegers<std::conditional_t<commutes<Op>, std::make_unsigned_t<T>, T>, Op>;

  template <class F>
  static StripFunction with_two_operands(Body body, F f) {
    switch (body) {
      case Body::add: return f(Of<Commuting<Add>>());
      case Body::subtract: return f(Of<Subtract>());
      case Body::multiply:
      case Body::zero_times: return f(Of<Commuting<Multiply>>());
      case Body::maximum: return f(Commuting<OfIntegers<T, Greater>>());
      case Body::minimum: return f(Commuting<OfIntegers<T, Lesser>>());
      case Body::bitwise_and: return f(BothMasks());
      case Body::bitwise_or: return f(EitherMask());
      case Body::bitwise_xor: return f(OneMask());
      case Body::left_shift: return f(Of<LeftShift>());
      case Body::right_shift: return f(Of<RightShift<is_signed>>());
      case Body::equal:
      case Body::nan_equal: return f(BySign<MaskOf<Body::equal>>());
      case Body::not_equal: return f(BySign<MaskOf<Body::not_equal>>());
      case Body::less: return f(BySign<MaskOf<Body::less>>());
      case Body::less_equal: return f(BySign<MaskOf<Body::less_equal>>());
      default: return nullptr;
    }
  }

  static StripFunction find(Body body, StripForm form) {
    switch (body) {
      case Body::copy: return Base::of_one(Same(), form);
      case Body::negative: return Base::of_one(Of<Negated>(), form);
      case Body::square: return Base::of_one(Of<Square>(), form);
      case Body::bitwise_invert: return Base::of_one(NoMask(), form);
      case Body::abs: return Base::of_one(std::conditional_t<is_signed, OfIntegers<T, Abs>, Same>(), form);
      default: return with_two_operands(body, [=](auto op) { return Base::of_two(op, form); });
    }
  }
  static StripFunction find_row(Body body, bool comes_first, StripForm form) {
    return with_two_operands(body, [=](auto op) { return Base::of_row(op, comes_first, form); });
  }
  static StripFunction find_of_masks(Body body, StripForm form) {
    return body == Body::copy ? Base::of_one(Of<OneOrZero>(), form) : Base::find_of_masks(body, form);
  }
  static StripFunction find_load(Dtype from) {
    if constexpr (sizeof(T) == 4) {
      return Base::template find_load<int32_t>(from);
    } else {
      return nullptr;
    }
  }
  static StripFunction find_cast(Dtype from) {
    if constexpr (std::is_same_v<T, int32_t>) {
      return from.is_inexact() ? Base::of_a(Whole()) : nullptr;
    } else {
      return nullptr;
    }
  }
  static StripFunction none(Body) { return nullptr; }
  static StripFunction no_fold(Reduction) { return nullptr; }
  static StripFunction no_share(SelectForm) { return nullptr; }
  static StripFunction no_store(Dtype) { return nullptr; }

  static const StripTable* table() {
    static const StripTable all{.elements = 4 * Base::lanes,
        .find = &find,
        .find_row = &find_row,
        .function = &none,
        .find_of_masks = &find_of_masks,
        .find_select = &Base::find_select,
        .find_choice = &Base::template find_choice<BySign>,
        .find_share = &no_share,
        .find_load = &find_load,
        .find_cast = &find_cast,
        .find_store = sizeof(T) == 4 ? &Base::template find_store<int32_t> : &no_store,
        .keep = Base::erased(&Base::keep),
        .store = Base::erased(&Base::store),
        .store_mask = Base::erased(&Base::store),
        .store_bools = Base::erased(&Base::store_bools),
        .load_bools = Base::erased(&Base::load_bools),
        .end = Base::erased(&Base::end),
        .find_fold = &no_fold,
        .every_other = Base::erased(&Base::every_other),
        .reversed = Base::erased(&Base::reversed),
        .run = &Base::run,
        .fill_pad = &Base::fill_pad,
        .empty_pad = &Base::empty_pad};
    return &all;
  }
};

const StripTable* integer_strips_of(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::int32: return IntegerStrip<int32_t>::table();
    case Dtype::Val::uint32: return IntegerStrip<uint32_t>::table();
    case Dtype::Val::int64: return IntegerStrip<int64_t>::table();
    case Dtype::Val::uint64: return IntegerStrip<uint64_t>::table();
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies {
HWY_EXPORT(integer_strips_of);
static const StripTable* best_integer_strips(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(integer_strips_of)(dtype); }
} // namespace bodies

const StripTable* find_integer_strips(Dtype dtype) { return bodies::best_integer_strips(dtype); }

} // namespace mlx::core::cpu
#endif
