// Recording: what a function did, kept open so that tangents and cotangents can be sent through it any number of times.
#pragma once

#include "mlx_core/transforms.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

class Recording {
 public:
  // Runs fun once. will_pull: cotangents will come, so that loops had better keep what these need.
  Recording(const VectorFunction& fun, const std::vector<array>& primals, bool will_pull = false);

  const std::vector<array>& primals() const { return primals_; }
  const std::vector<array>& outputs() const { return outputs_; }
  const Frame& frame() const { return frame_; }
  // Of the outputs with respect to the primals. Its first nodes stand for the primals.
  const Tape& tape() const { return tape_; }

  // jvp.cpp: tangents of the outputs, given those of the primals; nullopt is zero, on both sides.
  Tangents push(const Tangents& tangents) const;
  // vjp.cpp: cotangents of the primals, given those of the outputs.
  Tangents pull(const Tangents& cotangents) const;

 private:
  array transposed(size_t output, const Tangents& tangents) const;

  Frame frame_;
  std::vector<array> primals_;
  std::vector<array> outputs_;
  Tape tape_;
};

// jvp where nullopt is the tangent zero: it, or an array of zeros, is the only one that an integer or bool primal has.
std::pair<std::vector<array>, std::vector<array>> jvp_of_given(
    const VectorFunction& fun, const std::vector<array>& primals, const Tangents& tangents);
// Fails, naming `op`, for a tangent that primal i cannot have.
void check_tangent(const char* op, size_t i, const Spec& primal, const array& tangent);
// The zero tangent of an output; of one that is integer or bool in the dtype that tangents of the primals have.
array zero_tangent(const array& output, const std::vector<array>& primals);

} // namespace mlx::core
