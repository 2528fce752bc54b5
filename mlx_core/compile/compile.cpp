// The C++ face of compile: recordings by the shapes and dtypes of the arguments.
#include "mlx_core/compile.h"

#include <cstdlib>

#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/key.h"
#include "mlx_core/compile/record.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

std::atomic<bool>& enabled() {
  static std::atomic<bool> flag{std::getenv("MLX_DISABLE_COMPILE") == nullptr};
  return flag;
}

} // namespace

void disable_compile() { enabled() = false; }
void enable_compile() { enabled() = true; }
bool compile_is_enabled() { return enabled(); }

namespace {

class Compiled {
 public:
  Compiled(VectorFunction fun, bool shapeless)
      : fun_(std::move(fun)), shapeless_(shapeless), recordings_(recordings_per_function) {}

  std::vector<array> operator()(const std::vector<array>& args) {
    if (!compile_is_enabled() || RecordingScope::of_program()) {
      return fun_(args);
    }
    log_.count_call();
    std::shared_ptr<const PlannedFunction> recording = find(args);
    return must_run_itself(*recording) ? fun_(args) : replay(*recording, args, {});
  }
  CompileStats stats() const { return log_.stats(recordings_); }

 private:
  std::shared_ptr<const PlannedFunction> find(const std::vector<array>& args) {
    std::string key;
    for (const array& arg : args) {
      append_spec(key, arg, !shapeless_);
    }
    Specs operands = specs_of(args);
    std::span<const Spec> specs(operands.begin(), operands.size());
    std::shared_ptr<const PlannedFunction> recording =
        recordings_.find(key, [&](const PlannedFunction& known) { return misfit(known, specs).empty(); });
    if (recording) {
      return recording;
    }
    explain(key, operands);
    auto run = [this](const std::vector<array>& in, const Hide&) { return fun_(in); };
    try {
      recording = std::make_shared<PlannedFunction>(record(run, specs, [] {}, shapeless_));
    } catch (const std::invalid_argument& why) {
      if (!shapeless_) {
        throw;
      }
      log_.note(std::string("its sizes cannot be left open: ") + why.what());
      shapeless_ = false; // some operation does not allow it, or fun fails anyway
      return find(args);
    }
    if (recording->program) {
      log_.set_operations({recording->program->steps().size(), recording->simplified->steps().size()});
    }
    if (recording->reusable) {
      recordings_.insert(key, recording);
    }
    return recording;
  }

  // Notes why a call needs a recording of its own.
  void explain(const std::string& key, const Specs& now) {
    std::shared_ptr<const PlannedFunction> unfit = recordings_.at(key, 0);
    std::string reason = unfit ? misfit(*unfit, {now.begin(), now.size()}) : std::string();
    std::lock_guard lock(mutex_);
    if (log_.count_trace() == 1) {
      reason = "the first call";
    } else if (reason.empty()) {
      reason = difference(last_, now);
    }
    last_ = now;
    log_.note(std::move(reason));
  }
  static std::string difference(const Specs& before, const Specs& now) {
    if (before.size() != now.size()) {
      return "there were " + std::to_string(before.size()) + " arguments, there are " + std::to_string(now.size());
    }
    auto text = [](const Spec& spec) { return std::string(name_of(spec.dtype)) + to_string(spec.shape); };
    for (size_t i = 0; i < now.size(); ++i) {
      if (text(before[i]) != text(now[i])) {
        return "argument " + std::to_string(i) + " was " + text(before[i]) + ", is " + text(now[i]);
      }
    }
    return "the recording that served such calls is gone, or cannot serve another one";
  }

  VectorFunction fun_;
  std::atomic<bool> shapeless_;
  Cache<const PlannedFunction> recordings_;
  RecordingLog log_;
  std::mutex mutex_;
  Specs last_; // of the call that was recorded last
};

struct CompiledCall {
  std::shared_ptr<Compiled> compiled;
  std::vector<array> operator()(const std::vector<array>& args) const { return (*compiled)(args); }
};

} // namespace

VectorFunction compile(VectorFunction fun, bool shapeless) {
  return CompiledCall{std::make_shared<Compiled>(std::move(fun), shapeless)};
}

CompileStats compile_stats(const VectorFunction& compiled) {
  if (auto* call = compiled.target<CompiledCall>()) {
    return call->compiled->stats();
  }
  fail("compile_stats", "fun is not what compile returned.");
}

} // namespace mlx::core
