// The recordings of one function: finding the one that serves a call, making one where none does, and why.
#pragma once

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "mlx_core/compile/cache.h"
#include "python/src/compile/call_description.h"
#include "python/src/compile/compiled_trace.h"

namespace mlx::python {

class Recordings {
 public:
  // control_flow: without warnings; it keeps no array alive, so that all around it are read anew at each call.
  enum class Use : uint8_t { compile, control_flow };
  // explain: each recording is explained on standard error.
  explicit Recordings(Use use, bool shapeless = false, bool explain = false)
      : shapeless_(shapeless), explain_(explain), use_(use) {
    given_.all_arrays = use == Use::control_flow;
  }

  // The result of the call, recorded or replayed.
  nb::object call(const CompiledFunction& function, const CallArguments& arguments);
  core::CompileStats stats() const { return log_.stats(cache_); }
  // How many calls there were, and for how many of them a recording was made.
  std::pair<size_t, size_t> calls_and_traces() const { return {log_.calls(), log_.traces()}; }
  // Shows the collector what it owns.
  void traverse(Traversal& owned) const {
    cache_.try_each([&](const std::shared_ptr<const CompiledTrace>& trace) { trace->traverse(owned); });
  }

 private:
  // What is known of the numbers in calls that are alike but for their numbers.
  struct Numbers {
    std::string first;  // the key's bytes with the first values
    bool vary = false;  // given at each call
    bool fixed = false; // their values are needed while recording
  };
  using Trace = std::shared_ptr<const CompiledTrace>;

  std::vector<bool> runtime_numbers(CallKey& key);
  void fix_numbers(const CallKey& key, const std::vector<bool>& runtime, const std::vector<std::string>& ints_around);
  Surroundings look_around(const CompiledFunction& function, const CallKey& key) const;
  Trace find(const CompiledFunction& function, const CallKey& key, Surroundings::Found& found);
  Trace record(const CompiledFunction& function, const CallArguments& arguments, CallKey& key,
      std::vector<bool>& runtime, Surroundings::Found& found, std::vector<nb::object>& owned);
  std::shared_ptr<CompiledTrace> attempt(const CompiledFunction& function, const CallArguments& arguments, CallKey& key,
      const std::vector<bool>& runtime, Surroundings around);
  void note(const CompiledFunction& function, const std::string& reason);
  Trace explain(const CompiledFunction& function, const CallArguments& arguments, const CallKey& key);
  template <typename... Values>
  void warn(const char* format, Values... values) const;

  std::atomic<bool> shapeless_; // false once it turned out to be impossible
  const bool explain_;
  const Use use_;
  core::Cache<const CompiledTrace> cache_{core::recordings_per_function};
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::vector<Numbers>> numbers_;
  std::atomic<bool> numbers_vary_ = false; // any of them
  core::RecordingLog log_;
  std::atomic<bool> warned_of_places_ = false, warned_of_unseen_ = false;
  CallDescription last_;
  Surroundings::Given given_;                       // places that held something else at another call
  std::unordered_set<std::string> fixed_around_;    // numbers there whose values are needed
  std::unordered_map<std::string, size_t> misfits_; // of each place
};

} // namespace mlx::python
