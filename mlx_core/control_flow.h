// Control flow as graph nodes: branches and loops that are decided when they are evaluated. Functions given to them are
// recorded once, on arrays without values; arrays that they use from outside are differentiated and batched like
// arguments. Everything works under every transform, to any order.
//
// Random numbers drawn without a key inside a loop differ between its iterations.
#pragma once

#include "mlx_core/transforms.h"

namespace mlx::core {

// true_fun(operands) if the scalar pred is nonzero, else false_fun(operands); only that one is evaluated. Both return
// arrays of the same shapes and dtypes. Where a vmap makes pred differ between lanes, both are evaluated unless all
// lanes agree, and a lane that does not take a branch computes what one that does computes: neither errors nor NaNs
// come from values that the branch was not meant for.
std::vector<array> cond(const array& pred, const VectorFunction& true_fun, const VectorFunction& false_fun,
    const std::vector<array>& operands = {});

// Repeats state = body_fun(state) while cond_fun(state), a scalar, is nonzero. Shapes and dtypes stay as in init. The
// reverse mode keeps O(log n) states of a loop of n iterations and runs the body O(n log n) times. Under vmap the loop
// ends with its last lane; the others keep the state they ended with.
std::vector<array> while_loop(const std::function<array(const std::vector<array>&)>& cond_fun,
    const VectorFunction& body_fun, const std::vector<array>& init);

// Repeats state = body_fun(i, state) for lower <= i < upper; i has dtype int32 if both fit, else int64. The reverse
// mode keeps the state of each iteration.
using ForBody = std::function<std::vector<array>(const array& i, const std::vector<array>& state)>;
std::vector<array> fori_loop(Dim lower, Dim upper, const ForBody& body_fun, const std::vector<array>& init);
// With bounds that are known when the loop runs: a while_loop. i has their common dtype.
std::vector<array> fori_loop(
    const array& lower, const array& upper, const ForBody& body_fun, const std::vector<array>& init);

// carry, y = f(carry, x) for each x along the first axis of xs, from the last one on if reverse. Returns the last carry
// and the ys, stacked along a new first axis in the order of xs. length is needed when xs is empty. The reverse mode
// keeps the carry of each iteration.
struct Scanned {
  std::vector<array> carry, ys;
};
using ScanBody = std::function<Scanned(const std::vector<array>& carry, const std::vector<array>& x)>;
Scanned scan(const ScanBody& f, const std::vector<array>& init, const std::vector<array>& xs,
    std::optional<Dim> length = {}, bool reverse = false);

// What tests of the promises above count.
struct ControlFlowStatistics {
  int64_t true_branches = 0; // evaluated in this process, by themselves
  int64_t false_branches = 0;
  int64_t called_iterations = 0; // of loops whose bodies were run as lists of kernel calls
  int64_t stored_carries = 0;    // of the last reverse pass through a while_loop: the most it kept at a time
  int64_t body_evaluations = 0;  // and how often it ran the body
};
ControlFlowStatistics control_flow_statistics();

} // namespace mlx::core
