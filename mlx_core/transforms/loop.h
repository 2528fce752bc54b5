// What loops share: the state that must stay as it is in shape and dtype, and the random keys of their iterations.
#pragma once

#include "mlx_core/transforms/closed_body.h"

namespace mlx::core {

// Fails unless a body returned a state like the one it was given.
void check_state(const char* op, std::span<const Spec> before, std::span<const Spec> after);

// The states that a body passes on as they are: no loop has to carry, keep or differentiate them step by step.
class FixedStates {
 public:
  // Makes constants of them: takes them out of `state`, of the parameters of all bodies and of the outputs of `body`.
  FixedStates(ClosedBodies& closed, size_t body, std::vector<array>& state);
  // Puts them back where they were.
  void restore(std::vector<array>& state) const;

 private:
  std::vector<std::pair<size_t, array>> fixed_;
};

// Records functions of (state, further arguments) that draw implicit random keys: the key that an iteration starts from
// becomes one more array of the state, behind the others, when some function draws.
class KeyedRecorder {
 public:
  KeyedRecorder(const char* op, const std::vector<array>& init) : op_(op), recorder_(op), init_(init) {}
  // Returns the next state, then what else it likes.
  void record_body(const VectorFunction& fun, const Specs& further);
  // Returns something else; what it draws is independent of what a body draws.
  void record_reader(const VectorFunction& fun);
  ClosedBodies close();
  // init, and the first key if there is one.
  std::vector<array> initial_state() const;

 private:
  Specs parameters(const Specs& further) const;

  const char* op_;
  Recorder recorder_;
  const std::vector<array>& init_;
  bool draws_ = false;
};

} // namespace mlx::core
