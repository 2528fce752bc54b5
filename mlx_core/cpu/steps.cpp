// Steps on few elements, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/steps.cpp"
#include "mlx_core/cpu/simd.h"

#include <cstring>

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/steps.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// The codes: the number of the body, three times over for what is chained, and again for float64.
#define MLX_STEP_BODIES(X) \
  X(0, Add)                \
  X(1, Subtract)           \
  X(2, Multiply)           \
  X(3, ZeroTimes)          \
  X(4, Divide)

template <class Op, int which, class T, class V>
HWY_INLINE void on_the_spot(const Step& step, V& last) {
  const hn::ScalableTag<T> d;
  const T *a = static_cast<const T*>(step.in[0]), *b = static_cast<const T*>(step.in[1]);
  T* out = static_cast<T*>(step.out);
  if constexpr (which == 0) {
    int64_t i = 0;
    do {
      last = Op()(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i));
      hn::StoreU(last, d, out + i);
      i += static_cast<int64_t>(hn::Lanes(d));
    } while (i < step.count);
  } else {
    last = which == 1 ? Op()(d, last, hn::LoadU(d, b)) : Op()(d, hn::LoadU(d, a), last);
    hn::StoreU(last, d, out);
  }
}

// A whole vector is written where masks cost nothing, so that a load of one need not wait.
inline constexpr bool has_masks = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2;
HWY_INLINE void count_words(std::span<StepRow> rows) {
  for (StepRow& row : rows) {
    bool is_vector = has_masks && row.bytes % 4 == 0 &&
                     row.bytes <= static_cast<int64_t>(4 * hn::Lanes(hn::ScalableTag<uint32_t>()));
    row.words = is_vector ? static_cast<size_t>(row.bytes / 4) : 0;
  }
}

HWY_INLINE void copy_in(const StepRow& row, int turn) {
  const hn::ScalableTag<uint32_t> d;
  if (row.words) {
    auto* to = reinterpret_cast<uint32_t*>(row.place[turn]);
    const auto* from = reinterpret_cast<const uint32_t*>(row.at);
    hn::StoreU(hn::MaskedLoad(hn::FirstN(d, row.words), d, from), d, to);
  } else {
    std::memcpy(row.place[turn], row.at, static_cast<size_t>(row.bytes));
  }
}
HWY_INLINE void copy_out(const StepRow& row, int turn) {
  const hn::ScalableTag<uint32_t> d;
  if (row.words) {
    auto* to = reinterpret_cast<uint32_t*>(row.at);
    const auto* from = reinterpret_cast<const uint32_t*>(row.place[turn]);
    hn::BlendedStore(hn::LoadU(d, from), hn::FirstN(d, row.words), d, to);
  } else {
    std::memcpy(row.at, row.place[turn], static_cast<size_t>(row.bytes));
  }
}

// What the step before left in memory.
template <class T>
HWY_INLINE hn::Vec<hn::ScalableTag<T>> result_of(const Step* step, bool is_double) {
  const hn::ScalableTag<T> d;
  bool known = step && step->code && (step->code > 15) == is_double;
  return known ? hn::LoadU(d, static_cast<const T*>(step->out)) : hn::Zero(d);
}

void run(const StepLoop& loop, int turn, int64_t iterations) {
  count_words(loop.rows_in);
  count_words(loop.rows_out);
  const std::span<const Step>& before = loop.turns[turn ^ 1];
  const Step* end = before.empty() ? nullptr : &before.back();
  auto last32 = result_of<float>(end, false);
  auto last64 = result_of<double>(end, true);
  for (int64_t i = 0; i < iterations; ++i, turn ^= 1) {
    for (StepRow& row : loop.rows_in) {
      copy_in(row, turn);
      row.at += row.apart;
    }
    for (const Step& step : loop.turns[turn]) {
      switch (step.op) {
#define MLX_STEP_CASES(number, Op)                                       \
  case 3 * number + 1: on_the_spot<Op, 0, float>(step, last32); break;   \
  case 3 * number + 2: on_the_spot<Op, 1, float>(step, last32); break;   \
  case 3 * number + 3: on_the_spot<Op, 2, float>(step, last32); break;   \
  case 3 * number + 16: on_the_spot<Op, 0, double>(step, last64); break; \
  case 3 * number + 17: on_the_spot<Op, 1, double>(step, last64); break; \
  case 3 * number + 18: on_the_spot<Op, 2, double>(step, last64); break;
        MLX_STEP_BODIES(MLX_STEP_CASES)
        default:
          if (step.kind == 0) {
            step.kernel(step.in, step.out, step.n);
          } else {
            loop.other(loop.context, step);
          }
      }
    }
    for (StepRow& row : loop.rows_out) {
      copy_out(row, turn);
      row.at += row.apart;
    }
  }
}

int64_t lanes(bool is_double) {
  return static_cast<int64_t>(is_double ? hn::Lanes(hn::ScalableTag<double>()) : hn::Lanes(hn::ScalableTag<float>()));
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies {
HWY_EXPORT(run);
HWY_EXPORT(lanes);
} // namespace bodies

void run_steps(const StepLoop& loop, int turn, int64_t iterations) {
  using namespace bodies;
  HWY_DYNAMIC_DISPATCH(run)(loop, turn, iterations);
}

uint8_t step_code(Body body, Dtype dtype) {
  if (dtype != float32 && dtype != float64) {
    return 0;
  }
  int first = dtype == float64 ? 16 : 1;
  switch (body) {
    case Body::add: return static_cast<uint8_t>(first);
    case Body::subtract: return static_cast<uint8_t>(first + 3);
    case Body::multiply: return static_cast<uint8_t>(first + 6);
    case Body::zero_times: return static_cast<uint8_t>(first + 9);
    case Body::divide: return static_cast<uint8_t>(first + 12);
    default: return 0;
  }
}

int64_t step_lanes(uint8_t code) {
  using namespace bodies;
  return HWY_DYNAMIC_DISPATCH(lanes)(code > 15);
}

void chain(std::span<Step> steps, std::span<const Step> before) {
  const Step* last = before.empty() ? nullptr : &before.back();
  for (Step& step : steps) {
    step.op = step.code;
    if (last && last->code && step.code && (last->code > 15) == (step.code > 15) && last->out &&
        last->count == step.count && step.count <= step_lanes(step.code)) {
      step.op = static_cast<uint8_t>(step.code + (step.in[0] == last->out ? 1 : step.in[1] == last->out ? 2 : 0));
    }
    last = &step;
  }
}

} // namespace mlx::core::cpu
#endif
