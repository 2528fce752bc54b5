// One recording of a Python function: what it computes, where its other inputs come from, and what it leaves changed.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mlx_core/compile/record.h"
#include "python/src/compile/call_key.h"
#include "python/src/compile/state_places.h"
#include "python/src/compile/surroundings.h"
#include "python/src/transforms/traced_call.h"

namespace mlx::python {

// A function of Python, and the containers that it reads and changes beside its arguments (None for none).
struct CompiledFunction {
  const Transformation& transformation;
  nb::handle inputs, outputs;
};

// Where everything is found that a recording depends on: the function, and behind it the objects among the arguments,
// whose attributes it may read.
nb::object where_to_look(const CompiledFunction& function, const CallKey& key);

// Whether stand-ins for numbers are needed to record a call, of which these are given anew each time.
inline bool needs_stand_ins(const Surroundings& around, const std::vector<bool>& runtime_numbers) {
  return around.given_numbers() != 0 ||
         std::find(runtime_numbers.begin(), runtime_numbers.end(), true) != runtime_numbers.end();
}

class CompiledTrace {
 public:
  // Runs the function. runtime_numbers[i]: the i-th number of the call is given at each call; the others are what they
  // are. around: what is to be found around the function now. shapeless: std::invalid_argument says that it cannot be
  // recorded so. Throws what the function throws, or python_error _NeedsValue when it needs a number that is given.
  CompiledTrace(const CompiledFunction& function, const CallArguments& call, const CallKey& key,
      const std::vector<bool>& runtime_numbers, Surroundings around, bool shapeless);
  // A compiled function that is part of the innermost recording of this thread puts other arrays in these containers.
  static void note_outputs(nb::handle outputs);
  // What it found then in places that may hold something else; to be called once.
  std::vector<nb::object> take_found(Surroundings::Found& found);

  // Whether it serves this call; the keys' bytes are equal. What it found is borrowed: run() comes next.
  bool fits(const CompiledFunction& function, const CallKey& key, Surroundings::Found& found) const;
  // Why it does not, though the bytes are equal. Empty when it does.
  std::string misfit(const CompiledFunction& function, const CallKey& key) const;
  // The places around the function where something else is now.
  std::vector<Surroundings::Misfit> changed_places(const CompiledFunction& function, const CallKey& key) const {
    return around_.misfits(where_to_look(function, key));
  }
  // How many operations the function did, and how many are left.
  std::pair<size_t, size_t> operations() const {
    return recording_.program ? std::pair(recording_.program->steps().size(), recording_.simplified->steps().size())
                              : std::pair(size_t{0}, size_t{0});
  }
  // Whether it holds arrays that the function found around it.
  bool keeps_arrays() const {
    return !watched_.empty() || std::any_of(surroundings_.begin(), surroundings_.end(),
                                    [](const Surrounding& s) { return s.handle.is_valid() || s.value; });
  }
  bool is_cut_off() const { return around_.cut_off(); }
  // The name of something that it turned into an array, and that may be written to without being seen.
  const std::string& unseen() const { return unseen_; }
  bool reusable() const { return recording_.reusable && !holds_lanes_; }
  bool must_run_itself() const { return core::must_run_itself(recording_); }
  nb::object run(const CallKey& key, const Surroundings::Found& found) const;
  // Shows the collector what it owns.
  void traverse(Traversal& owned) const;

 private:
  // A handle that the function read from around it; it is read again at each call.
  struct Surrounding {
    nb::object handle; // null when it is the one found in a place
    size_t place;      // among Found::arrays
    core::Spec spec;
    std::optional<core::array> value; // if it was read while recording, which holds for this very array only
    bool fits(const core::array& now) const {
      return now.dtype() == spec.dtype && now.shape() == spec.shape && (!value || value->id() == now.id());
    }
    PyObject* in(const Surroundings::Found& found) const {
      return handle.is_valid() ? handle.ptr() : found.arrays[place];
    }
  };
  class Recorder;

  bool hold(const std::vector<Surrounding>& surroundings, const Surroundings::Found& found) const;
  void find_places(nb::handle root);

  std::vector<core::Spec> specs_of(const CallKey& key) const;

  core::PlannedFunction recording_;
  std::vector<bool> runtime_numbers_;
  std::vector<Surrounding> surroundings_;
  std::vector<Surrounding> watched_; // constants that are in handles around it
  bool holds_lanes_ = false;         // in the handles: kept beyond this call, they would outlive their vmap
  std::vector<nb::object> objects_;  // of the key
  Surroundings around_;
  std::string unseen_;
  std::vector<nb::object> found_arrays_, found_numbers_; // until they are taken
  std::optional<ArrayTree> output_;
  std::vector<size_t> returned_sizes_; // leaves of it that are sizes left open: the last outputs of the recording
  // Outputs of the recording, in order: those of the function; then what is in these places afterwards.
  std::vector<size_t> changed_arguments_;                        // numbers among the key's arrays
  std::vector<size_t> changed_handles_;                          // numbers among surroundings_
  std::vector<std::pair<nb::object, StatePlace>> changed_state_; // in these containers
};

} // namespace mlx::python
