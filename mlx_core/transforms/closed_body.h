// Bodies: the programs that branches and loops are made of.
#pragma once

#include "mlx_core/transforms/function.h"

namespace mlx::core {

// Programs whose last inputs are the same constants: what the recorded functions use from outside.
struct ClosedBodies {
  std::vector<SharedProgram> bodies;
  std::vector<array> constants;
};

// What becomes of operations that do not depend on the parameters: they are done once outside, as suits a loop, or stay
// part of the body, as a branch that is not taken must do nothing.
enum class Invariant : uint8_t { outside, inside };

// Records functions that belong to one primitive.
class Recorder {
 public:
  explicit Recorder(const char* op, Invariant invariant = Invariant::outside) : op_(op), invariant_(invariant) {}
  // Runs fun on arrays without values.
  void record(const VectorFunction& fun, const Specs& parameters);
  // Every function goes without this parameter, which reaches only the output of the same number, if there is one.
  void drop_state(size_t number);
  ClosedBodies close();

 private:
  const char* op_;
  Invariant invariant_;
  std::vector<Traced> recorded_;
};

// Which outputs depend on the parameters that are flagged; with `derivatives`, only through inexact arrays.
using Flags = std::vector<bool>;
Flags depends(const Program& body, const Flags& parameters, bool derivatives);
// The flags of a body's parameters once those of its first outputs, which are its parameters `first` on in the next
// run, are as set as they get.
Flags until_stable(const Program& body, Flags parameters, size_t first, size_t states, bool derivatives);

// The body over a batch: parameters have their lanes along `axes`, the flagged outputs have theirs in front, and the
// others are the same in every lane.
std::vector<array> run_batched(const Program& body, const std::vector<array>& operands, const MapAxes& axes,
    const Flags& mapped_outputs, Dim lanes);
// where(lane is flagged, a, b) of two batches with their lanes in front.
array select_lanes(const array& flags, const array& a, const array& b);

} // namespace mlx::core
