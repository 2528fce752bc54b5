// Steps on few elements, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/steps.cpp"
#include "mlx_core/cpu/simd.h"

#include <cstring>

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/steps.h"
#include "mlx_core/small_vector.h"

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

// --- loops whose steps are all on the spot ---

// A step of such a loop, of one vector, or what stands for a row's copy. A row that one step reads is that step's
// operand, and a result that goes to a row is stored there from the register.
enum class From : uint8_t { memory, last, row };
struct Lean {
  uint8_t op = 0;       // lean_code, or one of the following
  uint32_t count = 0;   // elements of a row
  int64_t apart = 0;    // bytes between this row and the one after the next
  const char *a = nullptr, *b = nullptr;
  char* out = nullptr;
};
constexpr int lean_ways = 7; // of reading two operands, for each body
constexpr uint8_t lean_doubles = 5 * lean_ways, lean_copy = 2 * lean_doubles, lean_store = lean_copy + 1,
                  lean_store_double = lean_copy + 2;
constexpr uint8_t lean_code(int number, bool is_double, From a, From b) {
  int way = a == From::memory ? static_cast<int>(b) : a == From::last ? (b == From::memory ? 3 : 4)
                                                                     : (b == From::memory ? 5 : 6);
  return static_cast<uint8_t>((is_double ? lean_doubles : 0) + number * lean_ways + way);
}

template <class T, From from, class V>
HWY_INLINE V operand(const char* at, const V& last, uint32_t count) {
  const hn::ScalableTag<T> d;
  if constexpr (from == From::last) {
    return last;
  } else if constexpr (from == From::row) {
    return hn::MaskedLoad(hn::FirstN(d, count), d, reinterpret_cast<const T*>(at));
  } else {
    return hn::LoadU(d, reinterpret_cast<const T*>(at));
  }
}

template <class Op, class T, From a, From b, class V>
HWY_INLINE void lean_step(Lean& step, V& last) {
  const hn::ScalableTag<T> d;
  last = Op()(d, operand<T, a>(step.a, last, step.count), operand<T, b>(step.b, last, step.count));
  hn::StoreU(last, d, reinterpret_cast<T*>(step.out));
  if constexpr (a == From::row) {
    step.a += step.apart;
  } else if constexpr (b == From::row) {
    step.b += step.apart;
  }
}

template <class T, class V>
HWY_INLINE void lean_store_row(Lean& step, const V& last) {
  const hn::ScalableTag<T> d;
  hn::BlendedStore(last, hn::FirstN(d, step.count), d, reinterpret_cast<T*>(step.out));
  step.out += step.apart;
}

using LeanList = SmallVector<Lean, 24>;

bool overlaps(const void* vector, const StepRow& row, int turn) {
  auto at = reinterpret_cast<uintptr_t>(vector), place = reinterpret_cast<uintptr_t>(row.place[turn]);
  return at < place + 64 && place < at + 64;
}

// The step of a turn that alone reads a row's place, exactly; -1: there is none.
int only_reader(const StepLoop& loop, const StepRow& row, int turn) {
  int found = -1;
  std::span<const Step> steps = loop.turns[turn];
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const void* in : {steps[i].in[0], steps[i].in[1]}) {
      if (in && overlaps(in, row, turn)) {
        if (in != row.place[turn] || found >= 0) {
          return -1;
        }
        found = static_cast<int>(i);
      }
    }
    if (overlaps(steps[i].out, row, turn)) {
      return -1;
    }
  }
  if (row.place[turn] != row.place[turn ^ 1]) {
    for (const Step& step : loop.turns[turn ^ 1]) {
      if (overlaps(step.in[0], row, turn) || overlaps(step.in[1], row, turn) || overlaps(step.out, row, turn)) {
        return -1;
      }
    }
  }
  return found;
}

// The last step of a turn that writes a row's place; -1 where that is not seen.
int writer(const StepLoop& loop, const StepRow& row, int turn) {
  std::span<const Step> steps = loop.turns[turn];
  for (size_t i = steps.size(); i-- > 0;) {
    if (overlaps(steps[i].out, row, turn)) {
      return steps[i].out == row.place[turn] ? static_cast<int>(i) : -1;
    }
  }
  return -1;
}

bool is_lean(const StepLoop& loop) {
  if (!has_masks || loop.turns[0].empty() || loop.turns[1].empty()) {
    return false;
  }
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      if (!row.words) {
        return false;
      }
    }
  }
  for (const std::span<const Step>& steps : loop.turns) {
    for (const Step& step : steps) {
      bool is_double = step.op > 15;
      auto vector = static_cast<int64_t>(
          is_double ? hn::Lanes(hn::ScalableTag<double>()) : hn::Lanes(hn::ScalableTag<float>()));
      if (!step.op || step.count > vector) {
        return false;
      }
    }
  }
  return true;
}

// `ahead`: iterations until the first that this turn does.
void make_lean(const StepLoop& loop, int turn, int64_t ahead, LeanList& list) {
  std::span<const Step> steps = loop.turns[turn];
  SmallVector<const StepRow*, 24> reads(steps.size(), nullptr);
  auto copy = [&](const StepRow& row, const char* from, char* to) {
    list.push_back({lean_copy, static_cast<uint32_t>(row.words), 2 * row.apart, from, nullptr, to});
  };
  for (const StepRow& row : loop.rows_in) {
    int reader = only_reader(loop, row, turn);
    size_t item = reader >= 0 && steps[static_cast<size_t>(reader)].op > 15 ? 8 : 4;
    if (reader >= 0 && row.bytes % static_cast<int64_t>(item) == 0 && !reads[static_cast<size_t>(reader)]) {
      reads[static_cast<size_t>(reader)] = &row;
    } else {
      copy(row, row.at + ahead * row.apart, row.place[turn]);
    }
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    bool is_double = step.op > 15;
    int number = (step.op - (is_double ? 16 : 1)) / 3, which = (step.op - (is_double ? 16 : 1)) % 3;
    uint32_t item = is_double ? 8 : 4;
    Lean lean{0, 0, 0, static_cast<const char*>(step.in[0]), static_cast<const char*>(step.in[1]),
        static_cast<char*>(step.out)};
    From from[2] = {which == 1 ? From::last : From::memory, which == 2 ? From::last : From::memory};
    if (const StepRow* row = reads[i]) {
      int k = step.in[0] == row->place[turn] ? 0 : 1;
      from[k] = From::row;
      (k == 0 ? lean.a : lean.b) = row->at + ahead * row->apart;
      lean.count = static_cast<uint32_t>(row->bytes) / item;
      lean.apart = 2 * row->apart;
    }
    lean.op = lean_code(number, is_double, from[0], from[1]);
    list.push_back(lean);
    for (const StepRow& row : loop.rows_out) {
      if (writer(loop, row, turn) == static_cast<int>(i) && row.bytes % item == 0) {
        list.push_back({is_double ? lean_store_double : lean_store, static_cast<uint32_t>(row.bytes) / item,
            2 * row.apart, nullptr, nullptr, row.at + ahead * row.apart});
      }
    }
  }
  for (const StepRow& row : loop.rows_out) {
    int from = writer(loop, row, turn);
    if (from < 0 || row.bytes % (steps[static_cast<size_t>(from)].op > 15 ? 8 : 4) != 0) {
      copy(row, row.place[turn], row.at + ahead * row.apart);
      list.back().a = row.place[turn];
      list.back().b = row.place[turn]; // a row of results: `out` moves
    }
  }
}

template <class V32, class V64>
void run_lean(const StepLoop& loop, int turn, int64_t iterations, V32 last32, V64 last64) {
  LeanList lists[2];
  make_lean(loop, turn, 0, lists[0]);
  make_lean(loop, turn ^ 1, 1, lists[1]);
  for (int64_t i = 0; i < iterations; ++i) {
    LeanList& list = lists[i & 1];
    for (Lean *step = list.begin(), *end = list.end(); step != end; ++step) {
      switch (step->op) {
#define MLX_LEAN_CASE(number, Op, a, b)                                                                   \
  case lean_code(number, false, From::a, From::b):                                                        \
    lean_step<Op, float, From::a, From::b>(*step, last32);                                                \
    break;                                                                                                \
  case lean_code(number, true, From::a, From::b): lean_step<Op, double, From::a, From::b>(*step, last64); break;
#define MLX_LEAN_CASES(number, Op)            \
  MLX_LEAN_CASE(number, Op, memory, memory)   \
  MLX_LEAN_CASE(number, Op, memory, last)     \
  MLX_LEAN_CASE(number, Op, memory, row)      \
  MLX_LEAN_CASE(number, Op, last, memory)     \
  MLX_LEAN_CASE(number, Op, last, row)        \
  MLX_LEAN_CASE(number, Op, row, memory)      \
  MLX_LEAN_CASE(number, Op, row, last)
        MLX_STEP_BODIES(MLX_LEAN_CASES)
        case lean_store: lean_store_row<float>(*step, last32); break;
        case lean_store_double: lean_store_row<double>(*step, last64); break;
        default: {
          const hn::ScalableTag<uint32_t> d;
          const auto mask = hn::FirstN(d, step->count);
          const auto* from = reinterpret_cast<const uint32_t*>(step->a);
          if (step->b) { // a result
            hn::BlendedStore(hn::LoadU(d, from), mask, d, reinterpret_cast<uint32_t*>(step->out));
            step->out += step->apart;
          } else {
            hn::StoreU(hn::MaskedLoad(mask, d, from), d, reinterpret_cast<uint32_t*>(step->out));
            step->a += step->apart;
          }
        }
      }
    }
  }
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (StepRow& row : rows) {
      row.at += iterations * row.apart;
    }
  }
}

void run(const StepLoop& loop, int turn, int64_t iterations) {
  count_words(loop.rows_in);
  count_words(loop.rows_out);
  const std::span<const Step>& before = loop.turns[turn ^ 1];
  const Step* end = before.empty() ? nullptr : &before.back();
  auto last32 = result_of<float>(end, false);
  auto last64 = result_of<double>(end, true);
  constexpr int64_t worth_it = 16; // iterations
  if (iterations >= worth_it && is_lean(loop)) {
    run_lean(loop, turn, iterations, last32, last64);
    return;
  }
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
