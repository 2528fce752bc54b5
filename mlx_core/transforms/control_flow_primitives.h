// The primitives of control flow from what they are made of, as a file of exported functions has it. Operands are as
// the primitive takes them. Throws std::invalid_argument when the parts do not belong together.
#pragma once

#include "mlx_core/transforms/scan.h"

namespace mlx::core {

// Operands: pred, then the parameters of the branches.
std::vector<array> make_cond(
    const VectorFunction& true_fun, const VectorFunction& false_fun, const std::vector<array>& operands);
// Operands: the state, constants. Results: the last state, the number of iterations.
std::vector<array> make_while_loop(
    size_t states, const VectorFunction& condition, const VectorFunction& body, const std::vector<array>& operands);
// Operands: the carry, the xs, constants. If it saves, the body's last outputs are the carries that are not additive.
std::vector<array> make_scan_loop(
    const ScanLayout& layout, bool saves, const VectorFunction& body, const std::vector<array>& operands);
// The reverse mode of while_loop. Operands: the number of iterations, the states of the sweeps, constants. Body i
// returns the state of sweep i.
struct SweepBody {
  VectorFunction step;
  size_t state_size;
};
std::vector<array> make_sweeps(const std::vector<SweepBody>& bodies, const std::vector<array>& operands);

} // namespace mlx::core
