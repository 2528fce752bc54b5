// The instructions of strips: templates over what they compute and where their operands are.
#if defined(MLX_CPU_STRIP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_STRIP_INL_H_
#undef MLX_CPU_STRIP_INL_H_
#else
#define MLX_CPU_STRIP_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <new>

#include "mlx_core/cpu/integers-inl.h"
#include "mlx_core/cpu/map-inl.h"
#include "mlx_core/cpu/masks-inl.h"
#include "mlx_core/cpu/quotients-inl.h"
#include "mlx_core/cpu/reduce_ops-inl.h"
#include "mlx_core/cpu/rounding-inl.h"
#include "mlx_core/cpu/strip_folds-inl.h"
#include "mlx_core/cpu/strip_forms.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

struct Same {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return x;
  }
};

// ZeroTimes of what is not 0
struct NumberTimes {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::IfThenZeroElse(hn::Eq(a, hn::Zero(d)), hn::Mul(a, b));
  }
};

// Bodies whose results are of the operands' dtype as they are.
template <class Op>
inline constexpr bool is_exact = std::is_same_v<Op, Same> || std::is_same_v<Op, Negative> || std::is_same_v<Op, Abs> ||
                                 std::is_same_v<Op, Sign> || std::is_same_v<Op, Maximum> || std::is_same_v<Op, Minimum>;
template <Body comparison>
inline constexpr bool is_exact<MaskOf<comparison>> = true;

// Those for which the order of the operands does not matter, not even for which NaN comes out: forms that differ in it
// are one.
template <class Op>
inline constexpr bool commutes =
    std::is_same_v<Op, BothMasks> || std::is_same_v<Op, EitherMask> || std::is_same_v<Op, OneMask> ||
    std::is_same_v<Op, MaskOf<Body::equal>> || std::is_same_v<Op, MaskOf<Body::not_equal>>;

// Registers of T, memory of M.
template <class T, class M = T>
struct Strip {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  static constexpr int64_t lanes = hn::MaxLanes(D());
  static constexpr bool are_short = std::is_same_v<M, bfloat16_t>; // quotients
  using Run = void (*)(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t);

  // A slot's strip
  struct Four {
    const M* from;
    HWY_INLINE V operator[](int k) const { return cpu::HWY_NAMESPACE::load_partial(D(), from + k * lanes); }
  };
  static HWY_INLINE Four slot(char* const* at, uint16_t number, int64_t offset) {
    return {reinterpret_cast<const M*>(at[number]) + offset};
  }

#define MLX_STRIP V a0, V a1, V a2, V a3, V b0, V b1, V b2, V b3, const StripStep *step, char *const *at, int64_t offset
#define MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3) \
  return reinterpret_cast<Run>(step[1].run)(a0, a1, a2, a3, b0, b1, b2, b3, step + 1, at, offset)

  template <class Op>
  static HWY_INLINE void all_four(V& x0, V& x1, V& x2, V& x3, V y0, V y1, V y2, V y3) {
    const D d;
    if constexpr (std::is_same_v<Op, Divide>) {
      divide_four<are_short>(d, x0, x1, x2, x3, y0, y1, y2, y3);
    } else if constexpr (std::is_same_v<Op, ZeroDivide>) {
      const auto zero0 = ZeroDivide::gives_zero(d, x0, y0), zero1 = ZeroDivide::gives_zero(d, x1, y1);
      const auto zero2 = ZeroDivide::gives_zero(d, x2, y2), zero3 = ZeroDivide::gives_zero(d, x3, y3);
      divide_four<are_short>(d, x0, x1, x2, x3, y0, y1, y2, y3);
      x0 = hn::IfThenZeroElse(zero0, x0), x1 = hn::IfThenZeroElse(zero1, x1);
      x2 = hn::IfThenZeroElse(zero2, x2), x3 = hn::IfThenZeroElse(zero3, x3);
    } else {
      const Op f;
      x0 = f(d, x0, y0), x1 = f(d, x1, y1), x2 = f(d, x2, y2), x3 = f(d, x3, y3);
    }
    if constexpr (!is_exact<Op>) {
      x0 = round_result<M>(x0), x1 = round_result<M>(x1), x2 = round_result<M>(x2), x3 = round_result<M>(x3);
    }
  }
  template <class Op>
  static HWY_INLINE V one(V x) {
    return is_exact<Op> ? Op()(D(), x) : round_result<M>(Op()(D(), x));
  }

  template <class Op, StripForm form>
  static void binary(MLX_STRIP) {
    const Four x = slot(at, step->first, offset);
    if constexpr (form == StripForm::memory) {
      const Four y = slot(at, step->second, offset);
      V x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
      all_four<Op>(x0, x1, x2, x3, y[0], y[1], y[2], y[3]);
      MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
    } else if constexpr (form == StripForm::memory_a) {
      V x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
      all_four<Op>(x0, x1, x2, x3, a0, a1, a2, a3);
      MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
    } else if constexpr (form == StripForm::b_a) {
      V x0 = b0, x1 = b1, x2 = b2, x3 = b3;
      all_four<Op>(x0, x1, x2, x3, a0, a1, a2, a3);
      MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
    } else {
      if constexpr (form == StripForm::a_memory) {
        all_four<Op>(a0, a1, a2, a3, x[0], x[1], x[2], x[3]);
      } else if constexpr (form == StripForm::a_b) {
        all_four<Op>(a0, a1, a2, a3, b0, b1, b2, b3);
      } else {
        all_four<Op>(a0, a1, a2, a3, a0, a1, a2, a3);
      }
      MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
    }
  }

  static HWY_INLINE V value_of_row(char* const* at, uint16_t number) {
    M value; // of the same bits: integers in memory may be floats to registers
    std::memcpy(&value, at[number], sizeof value);
    return set_wide(D(), value);
  }
  struct RowDivisor {
    M value;
    Divisor<T> divisor;
  };
  static void prepare_divisor(const void* value, StripDivisor& to) {
    static_assert(sizeof(RowDivisor) <= sizeof(StripDivisor));
    const M row = *static_cast<const M*>(value);
    new (&to) RowDivisor{row, divisor_of<are_short>(static_cast<T>(row))};
  }
  struct Quotient : Divide {}; // by what is not prepared
  template <class Op, bool comes_first, StripForm form>
  static void with_row(MLX_STRIP) {
    const V y = value_of_row(at, step->first);
    V x0 = a0, x1 = a1, x2 = a2, x3 = a3;
    if constexpr (form != StripForm::a_a) {
      const Four x = slot(at, step->second, offset);
      x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
    }
    if constexpr (std::is_same_v<Op, ZeroTimes>) { // the value is looked at once
      if (hn::GetLane(y) == 0) {
        x0 = x1 = x2 = x3 = hn::Zero(D());
      } else {
        all_four<NumberTimes>(x0, x1, x2, x3, y, y, y, y);
      }
      MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
    } else if constexpr (comes_first) {
      V y0 = y, y1 = y, y2 = y, y3 = y;
      all_four<Op>(y0, y1, y2, y3, x0, x1, x2, x3);
      MLX_NEXT_STEP(y0, y1, y2, y3, b0, b1, b2, b3);
    } else if constexpr (std::is_same_v<Op, Divide>) {
      const auto& by = *reinterpret_cast<const RowDivisor*>(at[step->first]);
      divide_four_by<are_short>(D(), x0, x1, x2, x3, by.divisor);
      MLX_NEXT_STEP(round_result<M>(x0), round_result<M>(x1), round_result<M>(x2), round_result<M>(x3), b0, b1, b2, b3);
    } else {
      using Each = std::conditional_t<std::is_same_v<Op, Quotient>, Divide, Op>;
      all_four<Each>(x0, x1, x2, x3, y, y, y, y);
      MLX_NEXT_STEP(x0, x1, x2, x3, b0, b1, b2, b3);
    }
  }

  template <class Op, StripForm form>
  static void unary(MLX_STRIP) {
    const Four x = slot(at, step->first, offset);
    if constexpr (std::is_same_v<Op, Sqrt>) {
      constexpr bool loads = form == StripForm::memory;
      V x0 = loads ? x[0] : a0, x1 = loads ? x[1] : a1, x2 = loads ? x[2] : a2, x3 = loads ? x[3] : a3;
      Sqrt::four(D(), x0, x1, x2, x3);
      MLX_NEXT_STEP(round_result<M>(x0), round_result<M>(x1), round_result<M>(x2), round_result<M>(x3), b0, b1, b2, b3);
    } else if constexpr (form == StripForm::memory) {
      MLX_NEXT_STEP(one<Op>(x[0]), one<Op>(x[1]), one<Op>(x[2]), one<Op>(x[3]), b0, b1, b2, b3);
    } else {
      MLX_NEXT_STEP(one<Op>(a0), one<Op>(a1), one<Op>(a2), one<Op>(a3), b0, b1, b2, b3);
    }
  }
  static void round(MLX_STRIP) {
    MLX_NEXT_STEP(round_any<M>(a0), round_any<M>(a1), round_any<M>(a2), round_any<M>(a3), b0, b1, b2, b3);
  }

  // A strip of a condition.
  struct Bytes {
    const uint8_t* from;
    HWY_INLINE hn::Mask<D> operator[](int k) const {
      const hn::Rebind<uint8_t, D> narrow;
      const auto bytes = hn::LoadU(narrow, from + k * lanes);
#if HWY_TARGET <= HWY_AVX3
      return hn::Mask<D>{static_cast<decltype(hn::Mask<D>::raw)>(hn::Ne(bytes, hn::Zero(narrow)).raw)}; // a bit a lane
#else
      const hn::Rebind<uint32_t, D> wide;
      const auto v = hn::PromoteTo(wide, bytes);
      if constexpr (sizeof(T) == sizeof(uint32_t)) {
        return hn::RebindMask(D(), hn::Ne(v, hn::Zero(wide)));
      } else {
        const hn::Rebind<uint64_t, D> whole;
        return hn::RebindMask(D(), hn::Ne(hn::PromoteTo(whole, v), hn::Zero(whole)));
      }
#endif
    }
  };
  struct Lanes {
    const T* from;
    HWY_INLINE hn::Mask<D> operator[](int k) const { return hn::MaskFromVec(hn::LoadU(D(), from + k * lanes)); }
  };

  template <bool of_bytes>
  static HWY_INLINE auto conditions(const char* memory, int64_t offset) {
    if constexpr (of_bytes) {
      return Bytes{reinterpret_cast<const uint8_t*>(memory) + offset};
    } else {
      return Lanes{reinterpret_cast<const T*>(memory) + offset};
    }
  }

  template <SelectForm form>
  static void share(MLX_STRIP) {
    const uint16_t one_strip = step[1].second;
    const Four g = slot(at, step->first, offset);
    const Four x = slot(at, step->second, one_strip & 1 ? 0 : offset);
    const Four y = slot(at, step[1].first, one_strip & 2 ? 0 : offset);
    ++step;
    const auto one = [&](V a, int k) HWY_ATTR {
      return round_result<M>(Share()(D(), form == SelectForm::condition_in_a ? a : g[k],
          form == SelectForm::first_in_a ? a : x[k], form == SelectForm::second_in_a ? a : y[k]));
    };
    a0 = one(a0, 0), a1 = one(a1, 1), a2 = one(a2, 2), a3 = one(a3, 3);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  template <SelectForm form, bool of_bytes>
  static void select(MLX_STRIP) {
    const auto condition = conditions<of_bytes>(at[step->first], offset);
    const uint16_t one_strip = step[1].second;
    const Four x = slot(at, step->second, one_strip & 1 ? 0 : offset);
    const Four y = slot(at, step[1].first, one_strip & 2 ? 0 : offset);
    ++step;
    if constexpr (form == SelectForm::condition_in_a) {
      a0 = hn::IfThenElse(hn::MaskFromVec(a0), x[0], y[0]), a1 = hn::IfThenElse(hn::MaskFromVec(a1), x[1], y[1]);
      a2 = hn::IfThenElse(hn::MaskFromVec(a2), x[2], y[2]), a3 = hn::IfThenElse(hn::MaskFromVec(a3), x[3], y[3]);
    } else if constexpr (form == SelectForm::first_in_a) {
      a0 = hn::IfThenElse(condition[0], a0, y[0]), a1 = hn::IfThenElse(condition[1], a1, y[1]);
      a2 = hn::IfThenElse(condition[2], a2, y[2]), a3 = hn::IfThenElse(condition[3], a3, y[3]);
    } else if constexpr (form == SelectForm::second_in_a) {
      a0 = hn::IfThenElse(condition[0], x[0], a0), a1 = hn::IfThenElse(condition[1], x[1], a1);
      a2 = hn::IfThenElse(condition[2], x[2], a2), a3 = hn::IfThenElse(condition[3], x[3], a3);
    } else {
      a0 = hn::IfThenElse(condition[0], x[0], y[0]), a1 = hn::IfThenElse(condition[1], x[1], y[1]);
      a2 = hn::IfThenElse(condition[2], x[2], y[2]), a3 = hn::IfThenElse(condition[3], x[3], y[3]);
    }
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  template <class Comparison, bool with_row, SelectForm form>
  static void choose(MLX_STRIP) {
    using enum SelectForm;
    constexpr bool compares_b = form == second_in_a_others_in_b || form == first_in_a_others_in_b;
    constexpr bool compares_a = form == condition_in_a || form == condition_and_first || form == condition_and_second;
    constexpr bool first_is_a = form == first_in_a || form == condition_and_first || form == first_in_a_others_in_b;
    constexpr bool first_is_b = form == first_in_b || form == second_in_a_others_in_b;
    constexpr bool second_is_b = form == first_in_a_others_in_b;
    constexpr bool second_is_a =
        form == second_in_a || form == first_in_b || form == condition_and_second || form == second_in_a_others_in_b;
    const Four x = slot(at, step->first, offset);
    const Four y = slot(at, step->second, offset);
    const V row = with_row ? value_of_row(at, step->second) : hn::Zero(D());
    ++step;
    const Four p = slot(at, step->first, step->one_strip & 1 ? 0 : offset);
    const Four q = slot(at, step->second, step->one_strip & 2 ? 0 : offset);
    const auto one = [&](V a, V b, int k) HWY_ATTR {
      const auto condition = Comparison::mask(D(), compares_a ? a : compares_b ? b : x[k], with_row ? row : y[k]);
      return hn::IfThenElse(condition,
          first_is_a   ? a
          : first_is_b ? b
                       : p[k],
          second_is_a   ? a
          : second_is_b ? b
                        : q[k]);
    };
    a0 = one(a0, b0, 0), a1 = one(a1, b1, 1), a2 = one(a2, b2, 2), a3 = one(a3, b3, 3);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  template <class I, class N>
  static void load(MLX_STRIP) {
    const I* from = reinterpret_cast<const I*>(at[step->first]) + offset;
    const auto one = [=](int k) HWY_ATTR {
      const hn::Rebind<N, D> numbers;
      return hn::BitCast(D(), numbers_of(numbers, from + k * lanes));
    };
    MLX_NEXT_STEP(one(0), one(1), one(2), one(3), b0, b1, b2, b3);
  }

  static void keep(V a0, V a1, V a2, V a3, V, V, V, V, const StripStep* step, char* const* at, int64_t offset) {
    MLX_NEXT_STEP(a0, a1, a2, a3, a0, a1, a2, a3);
  }

  static void store(MLX_STRIP) {
    M* to = reinterpret_cast<M*>(at[step->first]) + offset;
    store_rounded(a0, to);
    store_rounded(a1, to + lanes);
    store_rounded(a2, to + 2 * lanes);
    store_rounded(a3, to + 3 * lanes);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  static void fetch(MLX_STRIP) {
    fetch_lines(slot(at, step->first, offset).from, step->second * cache_line, 4 * lanes * sizeof(M));
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  static void load_bools(MLX_STRIP) {
    const D d;
    const Bytes from{reinterpret_cast<const uint8_t*>(at[step->first]) + offset};
    a0 = hn::VecFromMask(d, from[0]), a1 = hn::VecFromMask(d, from[1]);
    a2 = hn::VecFromMask(d, from[2]), a3 = hn::VecFromMask(d, from[3]);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }
  // A mask as bools.
  static void store_bools(MLX_STRIP) {
    const hn::RebindToUnsigned<D> wide;
    const hn::Rebind<uint8_t, D> narrow;
    uint8_t* to = reinterpret_cast<uint8_t*>(at[step->first]) + offset;
    const auto one = [=](V a, int k) HWY_ATTR {
      const auto bit = hn::ShiftRight<8 * sizeof(T) - 1>(hn::BitCast(wide, a));
      hn::StoreU(hn::TruncateTo(narrow, bit), narrow, to + k * lanes);
    };
    one(a0, 0), one(a1, 1), one(a2, 2), one(a3, 3);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  // Numbers of N as narrower integers; of integers the lower bits.
  template <class I, class N>
  static void store_narrow(MLX_STRIP) {
    using Bits = std::make_unsigned_t<I>;
    const hn::Rebind<Bits, D> narrow;
    Bits* to = reinterpret_cast<Bits*>(at[step->first]) + offset;
    const auto one = [=](V a, int k) HWY_ATTR {
      if constexpr (hwy::IsFloat<N>()) {
        hn::StoreU(narrowed<I>(D(), a), narrow, to + k * lanes);
      } else {
        const hn::RebindToUnsigned<D> wide;
        hn::StoreU(hn::TruncateTo(narrow, hn::BitCast(wide, a)), narrow, to + k * lanes);
      }
    };
    one(a0, 0), one(a1, 1), one(a2, 2), one(a3, 3);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  // Reads no further than the last element that it takes. Processors alone fetch too late: ahead by that much a chain
  // of two such sources of 16 MB takes 0.6 of the time.
  static void every_other(MLX_STRIP) {
    const D d;
    const T* from = reinterpret_cast<const T*>(at[step->first]) + 2 * offset;
    T* to = reinterpret_cast<T*>(at[step->second]) + offset;
    fetch_lines(from, fetch_ahead_bytes, 8 * lanes * sizeof(T));
    for (int64_t i = 0; i < 3 * lanes; i += lanes) {
      hn::StoreU(hn::ConcatEven(d, hn::LoadU(d, from + 2 * i + lanes), hn::LoadU(d, from + 2 * i)), d, to + i);
    }
    from += 6 * lanes;
    const V low = hn::LoadU(d, from), high = hn::LoadU(d, from + lanes - 1);
    hn::StoreU(hn::ConcatUpperLower(d, hn::ConcatOdd(d, high, high), hn::ConcatEven(d, low, low)), d, to + 3 * lanes);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }
  static void reversed(MLX_STRIP) {
    const D d;
    const T* from = reinterpret_cast<const T*>(at[step->first]) - offset - (lanes - 1);
    T* to = reinterpret_cast<T*>(at[step->second]) + offset;
    for (int64_t i = 0; i < 4 * lanes; i += lanes) {
      hn::StoreU(hn::Reverse(d, hn::LoadU(d, from - i)), d, to + i);
    }
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  static void end(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t) {}

  static constexpr int64_t tree = StripFold::bytes / static_cast<int64_t>(sizeof(T)); // lanes of a reduction

  template <class Op>
  static void fold(MLX_STRIP) {
    const D d;
    StripFold& to = *reinterpret_cast<StripFold*>(at[step->first]);
    if (to.end - offset <= 4 * lanes) {
      return end_fold<Op>(a0, a1, a2, a3, b0, b1, b2, b3, step, at, offset);
    }
    T* sums = lanes_at(to, offset);
    hn::Store(Op::vector(hn::Load(d, sums), a0), d, sums);
    hn::Store(Op::vector(hn::Load(d, sums + lanes), a1), d, sums + lanes);
    hn::Store(Op::vector(hn::Load(d, sums + 2 * lanes), a2), d, sums + 2 * lanes);
    hn::Store(Op::vector(hn::Load(d, sums + 3 * lanes), a3), d, sums + 3 * lanes);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }

  static HWY_INLINE T* lanes_at(StripFold& fold, int64_t offset) {
    return reinterpret_cast<T*>(fold.lanes) + (offset & (tree - 1));
  }

  // The row's last elements; then its lanes are joined.
  template <class Op>
  static HWY_NOINLINE void end_fold(MLX_STRIP) {
    const D d;
    StripFold& to = *reinterpret_cast<StripFold*>(at[step->first]);
    T* sums = lanes_at(to, offset);
    const int64_t left = to.end - offset;
    const V neutral = hn::Set(d, Op::template neutral<T>());
    V last[] = {a0, a1, a2, a3};
    if (left < 4 * lanes) {
      for (int k = 0; k < 4; ++k) {
        const auto there = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(left - k * lanes, 0, lanes)));
        last[k] = hn::IfThenElse(there, last[k], neutral);
      }
    }
    constexpr int vectors = static_cast<int>(tree / lanes);
    T* all = reinterpret_cast<T*>(to.lanes);
    V v[vectors];
    for (int k = 0; k < 4; ++k) {
      v[k] = Op::vector(hn::Load(d, sums + k * lanes), last[k]);
      hn::Store(vectors == 4 ? neutral : v[k], d, sums + k * lanes);
    }
    if constexpr (vectors > 4) {
      for (int k = 0; k < vectors; ++k) {
        v[k] = hn::Load(d, all + k * lanes);
        hn::Store(neutral, d, all + k * lanes);
      }
    }
    give_fold<Op, T, M>(d, v, to);
    MLX_NEXT_STEP(a0, a1, a2, a3, b0, b1, b2, b3);
  }
  template <class Op>
  static void clear_fold(Op, StripFold& fold) {
    std::fill_n(reinterpret_cast<T*>(fold.lanes), tree, Op::template neutral<T>());
  }

#undef MLX_STRIP
#undef MLX_NEXT_STEP

  // Strip by strip from here, so that the stack holds no more than one strip's calls where the compiler makes no jumps
  // of them.
  static void run(const StripStep* steps, char** at, const StripLines& lines) {
    const V none = hn::Zero(D());
    for (StripWalk walk(lines, 4 * lanes, at); !walk.is_done(); walk.go_on()) {
      reinterpret_cast<Run>(steps->run)(none, none, none, none, none, none, none, none, steps, at, walk.offset());
    }
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    // The compiler leaves it out; whoever writes a narrow register after this would wait for what the strips compute.
    asm volatile("vzeroupper" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
#endif
  }

  // The n elements there are of a strip, to and from a whole one. Whole vectors in the pad: loads of it wait for
  // nothing.
  using Bits = hwy::UnsignedFromSize<sizeof(M)>;
  static void fill_pad(void* pad, const void* from, int64_t n) {
    if constexpr (has_masked_memory<Bits>) {
      const hn::ScalableTag<Bits> d;
      constexpr int64_t step = hn::MaxLanes(d);
      for (int64_t i = 0; i < 4 * lanes || i < n; i += step) {
        const auto there = hn::FirstN(d, static_cast<size_t>(std::clamp<int64_t>(n - i, 0, step)));
        hn::StoreU(hn::MaskedLoad(there, d, static_cast<const Bits*>(from) + i), d, static_cast<Bits*>(pad) + i);
      }
    } else {
      std::memcpy(pad, from, static_cast<size_t>(n) * sizeof(M));
    }
  }
  static void empty_pad(const void* pad, void* to, int64_t n) {
    if constexpr (has_masked_memory<Bits>) {
      const hn::ScalableTag<Bits> d;
      constexpr int64_t step = hn::MaxLanes(d);
      for (int64_t i = 0; i < n; i += step) {
        const auto there = hn::FirstN(d, static_cast<size_t>(std::min(n - i, step)));
        hn::BlendedStore(hn::LoadU(d, static_cast<const Bits*>(pad) + i), there, d, static_cast<Bits*>(to) + i);
      }
    } else {
      std::memcpy(to, pad, static_cast<size_t>(n) * sizeof(M));
    }
  }

  static StripFunction erased(Run f) { return reinterpret_cast<StripFunction>(f); }

  // Of these bodies, in a form.
  template <class Op>
  static StripFunction of_two(Op, StripForm form) {
    return with_form_of_two(
        form, [](auto form) { return erased(&binary < Op, commutes<Op> ? a_first(form()) : form() >); });
  }
  template <class Op>
  static StripFunction of_row(Op, bool comes_first, StripForm form) {
    return with_form_of_one(form, [=](auto form) {
      return comes_first && !commutes<Op> ? erased(&with_row<Op, !commutes<Op>, form()>)
                                          : erased(&with_row<Op, false, form()>);
    });
  }
  template <class Op>
  static StripFunction of_one(Op, StripForm form) {
    return with_form_of_one(form, [](auto form) { return erased(&unary<Op, form()>); });
  }
  template <class Op>
  static StripFunction of_a(Op) {
    return erased(&unary<Op, StripForm::a_a>);
  }
  // Numbers of N of narrower integers in memory, and these of numbers of N.
  template <class N>
  static StripFunction find_load(Dtype from) {
    switch (from.val) {
      case Dtype::Val::bool_: return erased(&load<bool, N>);
      case Dtype::Val::uint8: return erased(&load<uint8_t, N>);
      case Dtype::Val::int8: return erased(&load<int8_t, N>);
      case Dtype::Val::uint16: return erased(&load<uint16_t, N>);
      case Dtype::Val::int16: return erased(&load<int16_t, N>);
      default: return nullptr;
    }
  }
  template <class N>
  static StripFunction find_store(Dtype to) {
    constexpr bool is_signed = hwy::IsFloat<N>(); // otherwise both are the same
    switch (to.val) {
      case Dtype::Val::uint8: return erased(&store_narrow<uint8_t, N>);
      case Dtype::Val::int8: return erased(&store_narrow<std::conditional_t<is_signed, int8_t, uint8_t>, N>);
      case Dtype::Val::uint16: return erased(&store_narrow<uint16_t, N>);
      case Dtype::Val::int16: return erased(&store_narrow<std::conditional_t<is_signed, int16_t, uint16_t>, N>);
      default: return nullptr;
    }
  }
  template <class Op>
  static StripFunction fold_of(Op) {
    return erased(&fold<Op>);
  }

  static StripFunction find_of_masks(Body body, StripForm form) {
    switch (body) {
      case Body::bitwise_and:
      case Body::logical_and: return of_two(BothMasks(), form);
      case Body::bitwise_or:
      case Body::logical_or: return of_two(EitherMask(), form);
      case Body::bitwise_xor:
      case Body::logical_xor: return of_two(OneMask(), form);
      case Body::bitwise_invert:
      case Body::logical_not: return of_one(NoMask(), form);
      case Body::copy: return of_one(OneOrZero(), form);
      default: return nullptr;
    }
  }

  static StripFunction find_select(SelectForm form, bool of_bytes) {
    return with_form_of_select(
        form, of_bytes, [](auto form, auto of_bytes) { return erased(&select<form(), of_bytes()>); });
  }
  template <class Comparison>
  static StripFunction choice_of(Comparison, bool with_row, SelectForm form) {
    return with_row ? with_form_of_row_choice(form, [](auto form) { return erased(&choose<Comparison, true, form()>); })
                    : with_form_of_choice(form, [](auto form) { return erased(&choose<Comparison, false, form()>); });
  }

  // Seen: what a comparison is of numbers in these registers.
  template <template <class> class Seen>
  static StripFunction find_choice(Body comparison, bool with_row, SelectForm form) {
    switch (comparison) {
      case Body::equal: return choice_of(Seen<MaskOf<Body::equal>>(), with_row, form);
      case Body::nan_equal: return choice_of(Seen<MaskOf<Body::nan_equal>>(), with_row, form);
      case Body::less: return choice_of(Seen<MaskOf<Body::less>>(), with_row, form);
      case Body::less_equal: return choice_of(Seen<MaskOf<Body::less_equal>>(), with_row, form);
      case Body::greater: return choice_of(Seen<MaskOf<Body::greater>>(), with_row, form);
      case Body::greater_equal: return choice_of(Seen<MaskOf<Body::greater_equal>>(), with_row, form);
      default: return nullptr;
    }
  }

  static StripFunction find_share(SelectForm form) {
    return with_form_of_three(form, [](auto form) { return erased(&share<form()>); });
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
