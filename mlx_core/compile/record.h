// Recording a function once, for arguments of given shapes and dtypes.
#pragma once

#include "mlx_core/program/record.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

class Prepared;
class Shapeless;
struct CustomRules;

// Rules that cannot be part of a recording: those that failed when they were to be recorded, and those of batching,
// which depend on which arguments are mapped. They may refer to placeholders of the recording, so that none is kept: a
// transform that might ask for them gets what the function itself does.
struct UnrecordedRules {
  bool derivatives = false, batching = false;
};

struct PlannedFunction {
  SharedProgram program;                    // as the function did it: what other transforms see
  SharedProgram simplified;                 // what is evaluated
  std::shared_ptr<const Prepared> prepared; // the same at once, where that can be
  // What the function used beside its arguments and without hiding it: constants.
  std::vector<array> constants;
  // It drew random numbers without a key. Then the last output is what the implicit sequence goes on from.
  bool draws = false;
  // Set instead of the programs when the recording serves any size.
  std::shared_ptr<const Shapeless> shapeless;
  // False when a constant belongs to a transform that is open around it: then it can serve this one call only.
  bool reusable = true;
  // Of the custom functions in it, as far as they are recorded, too.
  std::vector<std::shared_ptr<const CustomRules>> rules;
  UnrecordedRules unrecorded;
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
// Whether replaying is not what calling the function is: it draws, and lanes of an open vmap draw each for itself; or
// it has rules, which are not recorded, for a transform that is open.
bool must_run_itself(const PlannedFunction& recording);

} // namespace mlx::core
