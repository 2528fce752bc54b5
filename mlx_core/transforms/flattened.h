// Programs without the programs inside of them.
#pragma once

#include "mlx_core/program/program.h"

namespace mlx::core {

// The branches of a Cond, which follow its predicate. Null pointers of other primitives. In cond.cpp.
struct Branches {
  const Program* if_true = nullptr;
  const Program* if_false = nullptr;
};
Branches branches_of(const Primitive& primitive);

// The iterations of a scan, which has carries, arrays that it goes along, and constants. A null pointer of other
// primitives. In scan.cpp.
struct Iterations {
  const Program* body = nullptr;
  size_t carries = 0, inputs = 0;
  Dim length = 0;
  bool reverse = false;
};
Iterations iterations_of(const Primitive& primitive);

// The same results to the bit: functions and scans of few steps are their steps, and of branches that
// are elementwise, reduce or arrange a few values both are computed and one is chosen, which is quicker than finding
// out which.
SharedProgram flattened(const Program& program);

} // namespace mlx::core
