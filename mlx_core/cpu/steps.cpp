// Steps on few elements, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/steps.cpp"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/native_loop.h"
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

HWY_INLINE void copy_in(const StepRow& row, int turn, const char* at) {
  const hn::ScalableTag<uint32_t> d;
  if (row.words) {
    auto* to = reinterpret_cast<uint32_t*>(row.place[turn]);
    const auto* from = reinterpret_cast<const uint32_t*>(at);
    hn::StoreU(hn::MaskedLoad(hn::FirstN(d, row.words), d, from), d, to);
  } else {
    copy_contiguous(row.place[turn], at, static_cast<size_t>(row.bytes));
  }
}
HWY_INLINE void copy_out(const StepRow& row, int turn) {
  const hn::ScalableTag<uint32_t> d;
  if (row.words) {
    auto* to = reinterpret_cast<uint32_t*>(row.at);
    const auto* from = reinterpret_cast<const uint32_t*>(row.place[turn]);
    hn::BlendedStore(hn::LoadU(d, from), hn::FirstN(d, row.words), d, to);
  } else {
    copy_contiguous(row.at, row.place[turn], static_cast<size_t>(row.bytes));
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
// operand, and a result that goes to a row is stored there from the register. Each goes on with the one behind it, with
// the last result in a register: what the compiler makes jumps of, and no deep recursion where it does not.
enum class From : uint8_t { memory, last, row };
struct Lean {
  void (*handler)() = nullptr; // a LeanHandler
  const char *a = nullptr, *b = nullptr;
  char* out = nullptr;
  int64_t apart = 0;  // bytes between this row and the one after the next
  uint32_t count = 0; // elements of a row
};
template <class D>
using LeanHandler = hn::Vec<D> (*)(Lean* step, hn::Vec<D> last);
constexpr size_t most_lean_steps = 256;

template <class D>
HWY_INLINE hn::Vec<D> go_on(Lean* step, hn::Vec<D> last) {
  return reinterpret_cast<LeanHandler<D>>(step[1].handler)(step + 1, last);
}

template <From from, class D, class V, class T = hn::TFromD<D>>
HWY_INLINE V operand(D d, const char* at, V last, uint32_t count) {
  if constexpr (from == From::last) {
    return last;
  } else if constexpr (from == From::row) {
    return hn::MaskedLoad(hn::FirstN(d, count), d, reinterpret_cast<const T*>(at));
  } else {
    return hn::LoadU(d, reinterpret_cast<const T*>(at));
  }
}

template <class D, class Op, From a, From b>
hn::Vec<D> lean_step(Lean* step, hn::Vec<D> last) {
  const D d;
  last = Op()(d, operand<a>(d, step->a, last, step->count), operand<b>(d, step->b, last, step->count));
  hn::StoreU(last, d, reinterpret_cast<hn::TFromD<D>*>(step->out));
  if constexpr (a == From::row) {
    step->a += step->apart;
  } else if constexpr (b == From::row) {
    step->b += step->apart;
  }
  return go_on<D>(step, last);
}

// The last result, to a row.
template <class D>
hn::Vec<D> lean_store(Lean* step, hn::Vec<D> last) {
  const D d;
  hn::BlendedStore(last, hn::FirstN(d, step->count), d, reinterpret_cast<hn::TFromD<D>*>(step->out));
  step->out += step->apart;
  return go_on<D>(step, last);
}

template <class D>
hn::Vec<D> lean_copy_in(Lean* step, hn::Vec<D> last) {
  const D d;
  using T = hn::TFromD<D>;
  hn::StoreU(hn::MaskedLoad(hn::FirstN(d, step->count), d, reinterpret_cast<const T*>(step->a)), d,
      reinterpret_cast<T*>(step->out));
  step->a += step->apart;
  return go_on<D>(step, last);
}

template <class D>
hn::Vec<D> lean_copy_out(Lean* step, hn::Vec<D> last) {
  const D d;
  using T = hn::TFromD<D>;
  hn::BlendedStore(hn::LoadU(d, reinterpret_cast<const T*>(step->a)), hn::FirstN(d, step->count), d,
      reinterpret_cast<T*>(step->out));
  step->out += step->apart;
  return go_on<D>(step, last);
}

template <class D>
hn::Vec<D> lean_end(Lean*, hn::Vec<D> last) {
  return last;
}

template <class D, class Op>
LeanHandler<D> lean_step_of(From a, From b) {
  using enum From;
  switch (a) {
    case memory:
      return b == memory ? lean_step<D, Op, memory, memory>
             : b == last ? lean_step<D, Op, memory, last>
                         : lean_step<D, Op, memory, row>;
    case last: return b == memory ? lean_step<D, Op, last, memory> : lean_step<D, Op, last, row>;
    case row: return b == memory ? lean_step<D, Op, row, memory> : lean_step<D, Op, row, last>;
  }
  return nullptr;
}

template <class D>
LeanHandler<D> lean_step_of(int number, From a, From b) {
  switch (number) {
#define MLX_LEAN_CASE(number, Op) \
  case number: return lean_step_of<D, Op>(a, b);
    MLX_STEP_BODIES(MLX_LEAN_CASE)
    default: return nullptr;
  }
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
  for (const StepRow& out : loop.rows_out) { // which may be this row itself
    if (overlaps(out.place[turn], row, turn)) {
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

// Whether all steps are of T and on the spot, on one vector each, and rows are vectors of T. *most: the longest of
// them.
template <class T>
bool is_lean(const StepLoop& loop, int64_t* most) {
  size_t steps = std::max(loop.turns[0].size(), loop.turns[1].size());
  if (!has_masks || loop.turns[0].empty() || loop.turns[1].empty() || steps > most_lean_steps) {
    return false;
  }
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      if (!row.words || row.bytes % static_cast<int64_t>(sizeof(T)) != 0) {
        return false;
      }
    }
  }
  for (const std::span<const Step>& steps : loop.turns) {
    for (const Step& step : steps) {
      *most = std::max(*most, step.count);
      if (!step.op || (step.op > 15) != (sizeof(T) == 8) ||
          step.count > static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()))) {
        return false;
      }
    }
  }
  return true;
}

// `ahead`: iterations until the first that this turn does.
template <class D>
void make_lean(const StepLoop& loop, int turn, int64_t ahead, LeanList& list) {
  constexpr int64_t item = sizeof(hn::TFromD<D>);
  std::span<const Step> steps = loop.turns[turn];
  SmallVector<const StepRow*, 24> reads(steps.size(), nullptr);
  auto add = [&](LeanHandler<D> handler, const char* a, const char* b, void* out, const StepRow* row) {
    list.push_back({reinterpret_cast<void (*)()>(handler), a, b, static_cast<char*>(out), row ? 2 * row->apart : 0,
        row ? static_cast<uint32_t>(row->bytes / item) : 0});
  };
  for (const StepRow& row : loop.rows_in) {
    int reader = only_reader(loop, row, turn);
    if (reader >= 0 && !reads[static_cast<size_t>(reader)]) {
      reads[static_cast<size_t>(reader)] = &row;
    } else {
      add(lean_copy_in<D>, row.at + ahead * row.apart, nullptr, row.place[turn], &row);
    }
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    int op = step.op - (item == 8 ? 16 : 1), which = op % 3;
    From from[2] = {which == 1 ? From::last : From::memory, which == 2 ? From::last : From::memory};
    const char* in[2] = {static_cast<const char*>(step.in[0]), static_cast<const char*>(step.in[1])};
    if (const StepRow* row = reads[i]) {
      size_t k = in[0] == row->place[turn] ? 0 : 1;
      from[k] = From::row;
      in[k] = row->at + ahead * row->apart;
    }
    add(lean_step_of<D>(op / 3, from[0], from[1]), in[0], in[1], step.out, reads[i]);
    for (const StepRow& row : loop.rows_out) {
      if (writer(loop, row, turn) == static_cast<int>(i)) {
        add(lean_store<D>, nullptr, nullptr, row.at + ahead * row.apart, &row);
      }
    }
  }
  for (const StepRow& row : loop.rows_out) {
    if (writer(loop, row, turn) < 0) {
      add(lean_copy_out<D>, row.place[turn], nullptr, row.at + ahead * row.apart, &row);
    }
  }
  add(lean_end<D>, nullptr, nullptr, nullptr, nullptr);
}

// With vectors no longer than needed, so that rows seldom lie across cache lines.
template <class D>
HWY_NOINLINE void run_lean(D d, const StepLoop& loop, int turn, int64_t iterations) {
  LeanList lists[2];
  make_lean<D>(loop, turn, 0, lists[0]);
  make_lean<D>(loop, turn ^ 1, 1, lists[1]);
  const std::span<const Step>& before = loop.turns[turn ^ 1];
  auto last = hn::LoadU(d, static_cast<const hn::TFromD<D>*>(before.back().out));
  for (int64_t i = 0; i < iterations; ++i) {
    Lean* first = lists[i & 1].begin();
    last = reinterpret_cast<LeanHandler<D>>(first->handler)(first, last);
  }
  // A row may be what a loop carries: the last of each turn is in its place when the loop is over.
  for (int64_t i = iterations - 2; i < iterations; ++i) {
    int its = turn ^ static_cast<int>(i & 1);
    for (const StepRow& row : loop.rows_in) {
      if (only_reader(loop, row, its) >= 0) {
        copy_in(row, its, row.at + i * row.apart);
      }
    }
  }
  for (std::span<StepRow> rows : {loop.rows_in, loop.rows_out}) {
    for (StepRow& row : rows) {
      row.at += iterations * row.apart;
    }
  }
}

template <class T>
bool run_if_lean(const StepLoop& loop, int turn, int64_t iterations) {
  int64_t most = 0;
  for (const std::span<StepRow>& rows : {loop.rows_in, loop.rows_out}) {
    for (const StepRow& row : rows) {
      most = std::max(most, row.bytes / static_cast<int64_t>(sizeof(T)));
    }
  }
  constexpr size_t shortest = 16 / sizeof(T);
  if (!is_lean<T>(loop, &most)) {
    return false;
  }
  if (most <= static_cast<int64_t>(shortest)) {
    run_lean(hn::CappedTag<T, shortest>(), loop, turn, iterations);
  } else if (most <= static_cast<int64_t>(2 * shortest)) {
    run_lean(hn::CappedTag<T, 2 * shortest>(), loop, turn, iterations);
  } else {
    run_lean(hn::ScalableTag<T>(), loop, turn, iterations);
  }
  return true;
}

int64_t run(const StepLoop& loop, int turn, int64_t iterations) {
  count_words(loop.rows_in);
  count_words(loop.rows_out);
  constexpr int64_t worth_it = 16; // iterations
  if (iterations >= worth_it && !loop.proceeds[0]) {
    if (run_if_lean<float>(loop, turn, iterations) || run_if_lean<double>(loop, turn, iterations)) {
      return iterations;
    }
  }
  const std::span<const Step>& before = loop.turns[turn ^ 1];
  const Step* end = before.empty() ? nullptr : &before.back();
  auto last32 = result_of<float>(end, false);
  auto last64 = result_of<double>(end, true);
  for (int64_t i = 0; i < iterations; ++i, turn ^= 1) {
    for (StepRow& row : loop.rows_in) {
      copy_in(row, turn, row.at);
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
          } else if (step.prepared) {
            step.prepared(step.plan, step.in, step.out);
          } else {
            loop.other(loop.context, step);
          }
      }
    }
    for (StepRow& row : loop.rows_out) {
      copy_out(row, turn);
      row.at += row.apart;
    }
    if (loop.proceeds[turn] && *loop.proceeds[turn] == 0) {
      return i + 1;
    }
  }
  return iterations;
}

int64_t lanes(bool is_double) {
  return static_cast<int64_t>(is_double ? hn::Lanes(hn::ScalableTag<double>()) : hn::Lanes(hn::ScalableTag<float>()));
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies { // where dispatch finds them, also if there is one instruction set to choose from
HWY_EXPORT(run);
HWY_EXPORT(lanes);
namespace {
int64_t run_chosen(const StepLoop& loop, int turn, int64_t iterations) {
  return HWY_DYNAMIC_DISPATCH(run)(loop, turn, iterations);
}
int64_t chosen_lanes(bool is_double) { return HWY_DYNAMIC_DISPATCH(lanes)(is_double); }
} // namespace
} // namespace bodies

// Machine code does pairs of iterations.
int64_t run_steps(const StepLoop& loop, int turn, int64_t iterations) {
  auto is_over = [&](int last) { return loop.proceeds[last] && *loop.proceeds[last] == 0; };
  int64_t done = 0;
  if (loop.native && iterations > 2) {
    if (turn == 1) {
      done = bodies::run_chosen(loop, turn, 1);
      if (is_over(1)) {
        return done;
      }
      turn = 0;
    }
    int64_t pairs = (iterations - done) / 2, natively = loop.native->run(loop, pairs);
    done += natively;
    if (natively < 2 * pairs || is_over(1)) {
      return done;
    }
  }
  return done + (done < iterations ? bodies::run_chosen(loop, turn, iterations - done) : 0);
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

int64_t step_lanes(uint8_t code) { return bodies::chosen_lanes(code > 15); }

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
