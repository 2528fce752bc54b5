// The C++ face of compile: recordings by the shapes and dtypes of the arguments.
#include "mlx_core/compile.h"

#include <cstdlib>

#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/key.h"
#include "mlx_core/compile/record.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/closed_body.h"

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
    std::shared_ptr<const PlannedFunction> recording = find(args);
    return must_run_itself(*recording) ? fun_(args) : replay(*recording, args, {});
  }

 private:
  std::shared_ptr<const PlannedFunction> find(const std::vector<array>& args) {
    std::string key;
    for (const array& arg : args) {
      append_spec(key, arg, !shapeless_);
    }
    Specs operands = specs_of(args);
    std::span<const Spec> specs(operands.begin(), operands.size());
    for (size_t i = 0; std::shared_ptr<const PlannedFunction> known = recordings_.at(key, i); ++i) {
      if (misfit(*known, specs).empty()) {
        return known;
      }
    }
    auto run = [this](const std::vector<array>& in, const Hide&) { return fun_(in); };
    std::shared_ptr<const PlannedFunction> recording;
    try {
      recording = std::make_shared<PlannedFunction>(record(run, specs, [] {}, shapeless_));
    } catch (const std::invalid_argument&) {
      if (!shapeless_) {
        throw;
      }
      shapeless_ = false; // some operation does not allow it, or fun fails anyway
      return find(args);
    }
    if (recording->reusable) {
      recordings_.insert(key, recording);
    }
    return recording;
  }

  VectorFunction fun_;
  std::atomic<bool> shapeless_;
  Cache<const PlannedFunction> recordings_;
};

} // namespace

VectorFunction compile(VectorFunction fun, bool shapeless) {
  auto compiled = std::make_shared<Compiled>(std::move(fun), shapeless);
  return [compiled](const std::vector<array>& args) { return (*compiled)(args); };
}

} // namespace mlx::core
