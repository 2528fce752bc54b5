// Steps: short lists of kernel calls on few elements, run again and again. The commonest arithmetic is done on the
// spot, one vector at a time, and a result that the next step reads stays in a register, too.
#pragma once

#include <cstdint>
#include <span>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/spread.h"

namespace mlx::core::cpu {

// What an elementwise step does, and of which dtypes its last operand and its result are.
struct StepMap {
  Body body = Body::copy;
  Dtype from, to;
  uint8_t operands = 0; // none: it is no elementwise step
};

struct SmallProduct;

// One call. Memory goes on for 16 elements, rounded up.
struct Step {
  uint8_t code = 0; // of arithmetic that is done on the spot: see step_code; 0: another call
  uint8_t op = 0;   // code, or code + 1, + 2: operand 0, 1 is the result of the step before, which is on the spot, too
  uint8_t kind = 0; // the caller's, with what follows; 0: `kernel`
  int item_size = 0;
  uint32_t detail = 0;
  Kernel kernel = nullptr;
  Spread spread = nullptr;
  int64_t n = 0;     // elements; of a copy, bytes
  int64_t count = 0; // of these, what matters; of a copy, nothing
  StepMap map;
  bool copies = false;
  bool moves = false; // where it reads or writes changes from one use of the list to the next
  // What is done in place of all that, where it was found out before.
  void (*prepared)(const void* plan, const void* const* in, void* out) = nullptr;
  bool may_throw = false; // that does
  const void* plan = nullptr;
  const SmallProduct* product = nullptr; // that this is
  const void* in[4] = {};
  void* out = nullptr;
};

// What a body of operands of that type is as a code.
uint8_t step_code(Body body, Dtype dtype);
// How many elements a step with that code may have for its result to stay in a register.
int64_t step_lanes(uint8_t code);
// Sets `op`: which steps follow upon one another. What a list begins with follows upon the end of `before`.
void chain(std::span<Step> steps, std::span<const Step> before);

// A row of each iteration, which is copied to a place before it, or from there after it.
struct StepRow {
  char* at;
  int64_t apart; // bytes from an iteration to the next
  char* place[2];
  int64_t bytes;
  size_t words = 0; // of four bytes, if they are copied as a vector: run_steps sets that
};
class NativeLoop;
struct StepLoop {
  std::span<const Step> turns[2]; // that take turns; equal where there is one
  std::span<StepRow> rows_in, rows_out;
  using Other = void(void* context, const Step& step);
  Other* other; // does a step of another kind
  void* context;
  const NativeLoop* native = nullptr; // the same as machine code, if there is that
  const char* proceeds[2] = {}; // of each turn, where it leaves whether there is one more iteration, if it decides that
};
// At most so many iterations, the first with turn `turn`; returns how many. Rows move on.
int64_t run_steps(const StepLoop& loop, int turn, int64_t iterations);

} // namespace mlx::core::cpu
