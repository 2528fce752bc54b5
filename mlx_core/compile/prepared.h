// Prepared: a recorded program of many steps on few values as one operation that runs them as a list of calls; or, of
// values of middle size, with plans that are kept.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "mlx_core/program/program.h"

namespace mlx::core {

class Prepared {
 public:
  // Of a recording: the program as it is evaluated, whose last inputs are these constants.
  Prepared(SharedProgram program, std::span<const array> constants);

  // The outputs for these inputs, which end with the constants. Null where they are to be made step by step: at first,
  // where a transform might look at the steps, or where they are not calls on few values.
  using Inputs = std::span<const std::span<const array>>;
  std::optional<std::vector<array>> operator()(Inputs inputs) const;

 private:
  void make() const;

  SharedProgram program_;
  size_t constants_;
  bool may_be_ = true;
  mutable std::atomic<bool> was_run_{false};
  mutable std::once_flag once_;
  mutable PrimitiveRef calls_;       // null: step by step
  mutable SharedProgram kept_;       // the program whose steps these are, with kept plans; null: as it is
  mutable std::vector<size_t> read_; // the inputs that are its operands
  mutable bool reads_first_ = false; // the inputs that are read are the first ones
  mutable bool repeat_ = false;      // some result is several outputs
  mutable std::vector<int> outputs_; // by output: which result; ~k: input k
};

} // namespace mlx::core
