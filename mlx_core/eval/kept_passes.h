// What elementwise steps that are kept (kept_steps.h) become on given operands: one pass over their space. Among them
// may be one that puts what some give into a part of an array, an inset, for others to go on with: a stencil and its
// pad. As the array lies in memory an inset reaches from its first element to its last, with elements of the frame
// around it between its lines; all of these are one pass, in which the inset's steps are done on the frame's as well
// and given up again. What comes before and after are two short ones.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

struct Inset {
  // None where nothing is gained: the part is too little of the array, or its lines are too short.
  static std::optional<Inset> around(const Program::Step& step, const Spec& part);

  Shape space;
  Sizes part;             // lengths
  int64_t begin, end;     // elements of the space: the part's first, and behind its last
  std::vector<char> mask; // from there to there, which are the part's; empty: all
};

// Without an inset there is one, whose sources are the operands.
struct KeptPasses {
  struct Read { // of an operand
    size_t operand;
    bool of_part;                       // its element 0 is where the part's is
    std::optional<Strides> copied_with; // it does not lie as the space does: it is copied to memory that does
  };
  struct Source {
    static constexpr size_t of_mask = SIZE_MAX;
    size_t read;   // its number, or that
    int64_t first; // element
  };
  struct Pass {
    FusedPlan plan;
    std::vector<Source> sources;
    int64_t first; // element of the results
  };
  std::vector<Read> reads;
  std::vector<Pass> passes;
};

// Exponents of the body's powers that are known: see known_exponent.
using Exponents = SmallVector<double, 2>;
Exponents exponents_of(const Program& body, std::span<const Program::Step* const> powers,
    std::span<const array> operands, std::span<const View> views);

KeptPasses passes_of(
    const Program& body, const Inset* inset, std::span<const array> operands, std::span<const double> exponents);

// The memory of what passes read and write, and of copies that they need, which are made again at each refresh().
class PassMemory {
 public:
  PassMemory(const KeptPasses& passes, const Inset* inset, std::span<const View> operands);
  void refresh() const;
  std::vector<View> sources(const KeptPasses::Pass& pass) const;
  static std::vector<View> results(const KeptPasses::Pass& pass, std::span<const View> results);

 private:
  struct Copied {
    View from, to;
    BufferRef memory;
  };
  std::vector<View> reads_; // and the mask
  std::vector<Copied> copied_;
};

} // namespace mlx::core
