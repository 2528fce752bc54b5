// Strips of eight vectors in both registers, a. With four, a run of many steps waits for the calls and for its own
// results: there are two units for arithmetic, and four cycles to each result. Only cheap bodies have these, and only
// AVX-512 has the vector registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/strips_wide.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/strip_folds-inl.h"
#include "mlx_core/cpu/strips.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

template <class T>
struct WideStrip {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  static constexpr int64_t lanes = hn::MaxLanes(D());
  using Run = void (*)(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t);

#define MLX_STRIP V a0, V a1, V a2, V a3, V a4, V a5, V a6, V a7, const StripStep *step, char *const *at, int64_t offset
// a = f(a, k), of vector k; then the next step.
#define MLX_NEXT_STEP(f)                     \
  return reinterpret_cast<Run>(step[1].run)( \
      f(a0, 0), f(a1, 1), f(a2, 2), f(a3, 3), f(a4, 4), f(a5, 5), f(a6, 6), f(a7, 7), step + 1, at, offset)

  static HWY_INLINE T* slot(char* const* at, uint16_t number, int64_t offset) {
    return reinterpret_cast<T*>(at[number]) + offset;
  }
  static HWY_INLINE V load(const T* from, int k) { return hn::LoadU(D(), from + k * lanes); }

  template <class Op, StripForm form>
  static void binary(MLX_STRIP) {
    const T *x = slot(at, step->first, offset), *y = slot(at, step->second, offset);
    auto f = [=](V a, int k) HWY_ATTR {
      return form == StripForm::memory     ? Op()(D(), load(x, k), load(y, k))
             : form == StripForm::a_memory ? Op()(D(), a, load(x, k))
             : form == StripForm::memory_a ? Op()(D(), load(x, k), a)
                                           : Op()(D(), a, a);
    };
    MLX_NEXT_STEP(f);
  }
  template <class Op, bool comes_first, bool from_memory>
  static void with_row(MLX_STRIP) {
    const V y = hn::Set(D(), *reinterpret_cast<const T*>(at[step->first]));
    const T* from = slot(at, step->second, offset);
    auto f = [=](V a, int k) HWY_ATTR {
      const V x = from_memory ? load(from, k) : a;
      return comes_first ? Op()(D(), y, x) : Op()(D(), x, y);
    };
    MLX_NEXT_STEP(f);
  }
  template <class Op, bool from_memory>
  static void unary(MLX_STRIP) {
    const T* from = slot(at, step->first, offset);
    auto f = [=](V a, int k) HWY_ATTR { return Op()(D(), from_memory ? load(from, k) : a); };
    MLX_NEXT_STEP(f);
  }
  static void store(MLX_STRIP) {
    T* to = slot(at, step->first, offset);
    auto f = [=](V a, int k) HWY_ATTR {
      hn::StoreU(a, D(), to + k * lanes);
      return a;
    };
    MLX_NEXT_STEP(f);
  }
  // As those of four vectors: reads no further than the last element that it takes.
  static void every_other(MLX_STRIP) {
    const D d;
    const T* from = slot(at, step->first, 2 * offset);
    T* to = slot(at, step->second, offset);
    fetch_lines(from, fetch_ahead_bytes, 16 * lanes * sizeof(T));
    for (int k = 0; k < 7; ++k)
      hn::StoreU(hn::ConcatEven(d, load(from, 2 * k + 1), load(from, 2 * k)), d, to + k * lanes);
    from += 14 * lanes;
    const V low = load(from, 0), high = hn::LoadU(d, from + lanes - 1);
    hn::StoreU(hn::ConcatUpperLower(d, hn::ConcatOdd(d, high, high), hn::ConcatEven(d, low, low)), d, to + 7 * lanes);
    auto same = [](V a, int) HWY_ATTR { return a; };
    MLX_NEXT_STEP(same);
  }
  static void reversed(MLX_STRIP) {
    const D d;
    const T* from = slot(at, step->first, -offset) - (lanes - 1);
    T* to = slot(at, step->second, offset);
    for (int k = 0; k < 8; ++k) hn::StoreU(hn::Reverse(d, load(from, -k)), d, to + k * lanes);
    auto same = [](V a, int) HWY_ATTR { return a; };
    MLX_NEXT_STEP(same);
  }
  static void fetch(MLX_STRIP) {
    fetch_lines(slot(at, step->first, offset), step->second * cache_line, 8 * lanes * sizeof(T));
    auto same = [](V a, int) HWY_ATTR { return a; };
    MLX_NEXT_STEP(same);
  }

  // Of rows that are a whole number of strips. A strip has two elements of each lane.
  template <class Op>
  static void fold(MLX_STRIP) {
    const D d;
    StripFold& to = *reinterpret_cast<StripFold*>(at[step->first]);
    T* sums = reinterpret_cast<T*>(to.lanes);
    static_assert(4 * lanes * sizeof(T) == StripFold::bytes);
    V v[] = {Op::vector(Op::vector(hn::Load(d, sums), a0), a4),
        Op::vector(Op::vector(hn::Load(d, sums + lanes), a1), a5),
        Op::vector(Op::vector(hn::Load(d, sums + 2 * lanes), a2), a6),
        Op::vector(Op::vector(hn::Load(d, sums + 3 * lanes), a3), a7)};
    const bool ends = to.end - offset <= 8 * lanes;
    for (int k = 0; k < 4; ++k) hn::Store(ends ? hn::Set(d, Op::template neutral<T>()) : v[k], d, sums + k * lanes);
    if (ends) give_fold<Op, T, T>(d, v, to);
    auto same = [](V a, int) HWY_ATTR { return a; };
    MLX_NEXT_STEP(same);
  }
  static void end(V, V, V, V, V, V, V, V, const StripStep*, char* const*, int64_t) {}

#undef MLX_STRIP
#undef MLX_NEXT_STEP

  static void run(const StripStep* steps, char** at, const StripLines& lines) {
    const V none = hn::Zero(D());
    for (StripWalk walk(lines, 8 * lanes, at); !walk.is_done(); walk.go_on()) {
      reinterpret_cast<Run>(steps->run)(none, none, none, none, none, none, none, none, steps, at, walk.offset());
    }
    asm volatile("vzeroupper" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"); // see strips.cpp
  }

  static StripFunction erased(Run f) { return reinterpret_cast<StripFunction>(f); }

  template <class Op>
  static StripFunction of_two(StripForm form) {
    switch (form) {
      case StripForm::memory: return erased(&binary<Op, StripForm::memory>);
      case StripForm::a_memory: return erased(&binary<Op, StripForm::a_memory>);
      case StripForm::memory_a: return erased(&binary<Op, StripForm::memory_a>);
      case StripForm::a_a: return erased(&binary<Op, StripForm::a_a>);
      default: return nullptr;
    }
  }
  template <class Op>
  static StripFunction of_one(StripForm form) {
    return form == StripForm::memory ? erased(&unary<Op, true>)
           : form == StripForm::a_a  ? erased(&unary<Op, false>)
                                     : nullptr;
  }
  template <class Op, bool comes_first>
  static StripFunction of_row(StripForm form) {
    return form == StripForm::memory ? erased(&with_row<Op, comes_first, true>)
           : form == StripForm::a_a  ? erased(&with_row<Op, comes_first, false>)
                                     : nullptr;
  }

  template <class F>
  static StripFunction with_two_operands(Body body, F f) {
    switch (body) {
      case Body::add: return f(Add());
      case Body::subtract: return f(Subtract());
      case Body::multiply: return f(Multiply());
      case Body::maximum: return f(Maximum());
      case Body::minimum: return f(Minimum());
      case Body::zero_times: return f(ZeroTimes());
      default: return nullptr;
    }
  }
  static StripFunction find(Body body, StripForm form) {
    switch (body) {
      case Body::negative: return of_one<Negative>(form);
      case Body::abs: return of_one<Abs>(form);
      case Body::square: return of_one<Square>(form);
      default: return with_two_operands(body, [=]<class Op>(Op) { return of_two<Op>(form); });
    }
  }
  static StripFunction find_row(Body body, bool comes_first, StripForm form) {
    return with_two_operands(
        body, [=]<class Op>(Op) { return comes_first ? of_row<Op, true>(form) : of_row<Op, false>(form); });
  }

  static StripFunction find_fold(Reduction op) {
    switch (op) {
      case Reduction::sum: return erased(&fold<cpu::HWY_NAMESPACE::Sum>);
      case Reduction::prod: return erased(&fold<cpu::HWY_NAMESPACE::Prod>);
      case Reduction::min: return erased(&fold<cpu::HWY_NAMESPACE::Extremum<false>>);
      case Reduction::max: return erased(&fold<cpu::HWY_NAMESPACE::Extremum<true>>);
      default: return nullptr;
    }
  }

  static const StripTable* table() {
    static const StripTable all{.elements = 8 * lanes,
        .find = &find,
        .find_row = &find_row,
        .store = erased(&store),
        .end = erased(&end),
        .find_fold = &find_fold,
        .every_other = erased(&every_other),
        .reversed = erased(&reversed),
        .run = &run,
        .fetch = erased(&fetch)};
    return &all;
  }
};

const StripTable* wide_strips_of(Dtype dtype) {
  return dtype == float32 ? WideStrip<float>::table() : dtype == float64 ? WideStrip<double>::table() : nullptr;
}

#else

const StripTable* wide_strips_of(Dtype) { return nullptr; }

#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies {
HWY_EXPORT(wide_strips_of);
static const StripTable* best_wide_strips(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(wide_strips_of)(dtype); }
} // namespace bodies

const StripTable* find_wide_strips(Dtype dtype) { return bodies::best_wide_strips(dtype); }

} // namespace mlx::core::cpu
#endif
