// Recording a function once, for arguments of given shapes and dtypes.
#pragma once

#include "mlx_core/program/record.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

class Shapeless;
struct CustomRules;

struct PlannedFunction {
  SharedProgram program;    // as the function did it: what other transforms see
  SharedProgram simplified; // what is evaluated
  // What the function used beside its arguments and without hiding it: constants.
  std::vector<array> constants;
  // It drew random numbers without a key. Then the last output is what the implicit sequence goes on from.
  bool draws = false;
  // Set instead of the programs when the recording serves any size.
  std::shared_ptr<const Shapeless> shapeless;
  // False when a constant belongs to a transform that is open around it: then it can serve this one call only.
  bool reusable = true;
  // Of the custom functions in it. Whoever takes them away has them kept (keep_rules) at each replay.
  std::vector<std::shared_ptr<const CustomRules>> rules;
};

// A function that is recorded. While it runs, hide(a) makes an array with the value of `a` that counts as a further
// argument, because another array may stand there at another call.
using Hide = std::function<array(const array&)>;
using RecordedFunction = std::function<std::vector<array>(const std::vector<array>& arguments, const Hide& hide)>;

// Runs `fun` on arguments without values. Throws when an argument, or an array computed from one, is kept after fun has
// returned; `release` is called before that is decided, to let go what fun's caller holds.
//
// With symbolic_sizes the sizes of the arguments are symbols, one for each size. Then std::invalid_argument says that
// some operation allows no such recording.
PlannedFunction record(
    const RecordedFunction& fun, std::span<const Spec> arguments, const std::function<void()>& release = [] {},
    bool symbolic_sizes = false);
// Simplifies what is recorded.
void finish(PlannedFunction& function);

// The outputs for these arguments, and for the arrays in the place of those that fun hid, in order. Draws go on with
// the implicit sequence.
std::vector<array> replay(
    const PlannedFunction& recording, std::span<const array> arguments, std::span<const array> hidden);
// Why it does not serve arguments of these shapes; empty when it does. Other than shapeless recordings do not say.
std::string misfit(const PlannedFunction& recording, std::span<const Spec> arguments);
// Whether replaying is not what calling the function is: it draws, and lanes of an open vmap draw each for itself.
bool must_run_itself(const PlannedFunction& recording);

} // namespace mlx::core
