// The C++ face of compile: recordings by the shapes and dtypes of the arguments.
#include "mlx_core/compile.h"

#include <cstdlib>

#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/key.h"
#include "mlx_core/compile/record.h"

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

VectorFunction compile(VectorFunction fun) {
  auto cache = std::make_shared<Cache<PlannedFunction>>(recordings_per_function);
  return [fun = std::move(fun), cache](const std::vector<array>& args) {
    if (!compile_is_enabled()) {
      return fun(args);
    }
    std::string key;
    for (const array& arg : args) {
      append_spec(key, arg);
    }
    std::shared_ptr<PlannedFunction> recording = cache->at(key, 0);
    if (!recording) {
      std::vector<Spec> specs;
      for (const array& arg : args) {
        specs.push_back({arg.shape(), arg.dtype()});
      }
      recording = std::make_shared<PlannedFunction>(
          record([&](const std::vector<array>& in, const Hide&) { return fun(in); }, specs));
      if (recording->reusable) {
        cache->insert(key, recording);
      }
    }
    return must_run_itself(*recording) ? fun(args) : replay(*recording, args, {});
  };
}

} // namespace mlx::core
