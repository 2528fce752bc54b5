// Plan: what a function did, as a list of steps over numbered slots. Replaying it makes the nodes again around other
// inputs, without running the function and without the shape rules.
#pragma once

#include <vector>

#include "mlx_core/primitive.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

class Plan {
 public:
  // One application. Slots are numbered: the inputs, then the outputs of the steps in order.
  struct Step {
    PrimitiveRef primitive;
    Specs outputs;
    SmallVector<int32_t, 3> operands; // slots
    int32_t first = 0;                // slot of its first output
    uint32_t origin = 0;
  };

  Plan() = default;
  // Records what lies between the frame's placeholders and `outputs`. Arrays that are used but do not depend on the
  // placeholders are appended to `captured`; they are the inputs behind the placeholders.
  Plan(const Frame& frame, std::span<const array> outputs, std::vector<array>& captured);

  // The outputs, given the arrays in the place of the placeholders, then of what was captured.
  std::vector<array> replay(std::span<const array> inputs) const;

  // Removes what is computed twice and what does nothing. Never changes a bit of the result: it merges applications of
  // equal primitives to the same operands, and inputs that `same_input` maps to an earlier one (each to itself, if
  // not).
  void simplify(std::span<const int32_t> same_input);

  size_t input_count() const { return input_count_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<int32_t>& outputs() const { return outputs_; }

 private:
  size_t input_count_ = 0;
  int32_t slot_count_ = 0;
  std::vector<Step> steps_;
  std::vector<int32_t> outputs_; // slots
};

} // namespace mlx::core
