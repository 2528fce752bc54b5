// One recording of a Python function: what it computes, where its other inputs come from, and what it leaves changed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mlx_core/compile/record.h"
#include "python/src/call_key.h"
#include "python/src/name_guards.h"
#include "python/src/state_places.h"
#include "python/src/traced_call.h"

namespace mlx::python {

// A function of Python, and the containers that it reads and changes beside its arguments (None for none).
struct CompiledFunction {
  const Transformation& transformation;
  nb::handle inputs, outputs;
};

class CompiledTrace {
 public:
  // Runs the function. runtime_numbers[i]: the i-th number of the call is given at each call; the others are what they
  // are. shapeless: std::invalid_argument says that it cannot be recorded so. Throws what the function throws, or
  // python_error _NeedsValue when it needs such a number.
  CompiledTrace(const CompiledFunction& function, const CallArguments& call, const CallKey& key,
      const std::vector<bool>& runtime_numbers, bool shapeless);

  // Whether it serves this call; the keys' bytes are equal.
  bool fits(const CallKey& key) const;
  // Why it does not, though the bytes are equal. Empty when it does.
  std::string misfit(const CallKey& key) const;
  // How many operations the function did, and how many are left.
  std::pair<size_t, size_t> operations() const {
    return {recording_.plan.steps().size(), recording_.simplified.steps().size()};
  }
  bool reusable() const { return recording_.reusable; }
  bool must_run_itself() const { return core::must_run_itself(recording_); }
  nb::object run(const CompiledFunction& function, const CallKey& key) const;
  // Shows the collector what it owns.
  void traverse(Traversal& owned) const;

 private:
  // A handle that the function read from around it; it is read again at each call.
  struct Surrounding {
    nb::object handle;
    core::Spec spec;
    std::optional<core::array> value; // if it was read while recording, which holds for this very array only
    bool fits(const core::array& now) const {
      return now.dtype() == spec.dtype && now.shape() == spec.shape && (!value || value->id() == now.id());
    }
  };
  class Recorder;

  static bool hold(const std::vector<Surrounding>& surroundings);

  std::vector<core::Spec> specs_of(const CallKey& key) const;

  core::PlannedFunction recording_;
  std::vector<bool> runtime_numbers_;
  std::vector<Surrounding> surroundings_;
  std::vector<Surrounding> watched_; // constants that are in handles around it
  std::vector<nb::object> objects_;  // of the key
  NameGuards names_;
  std::optional<ArrayTree> output_;
  std::vector<size_t> returned_sizes_; // leaves of it that are sizes left open: the last outputs of the recording
  // Outputs of the recording, in order: those of the function; then what is in these places afterwards.
  std::vector<size_t> changed_arguments_; // numbers among the key's arrays
  std::vector<nb::object> changed_handles_;
  std::vector<StatePlace> changed_state_;
  std::vector<nb::object> rules_; // of custom functions in it; see rules_object.h
};

} // namespace mlx::python
