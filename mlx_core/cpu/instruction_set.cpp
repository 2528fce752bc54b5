// The instruction set that kernels run on: the best of this CPU, or less when MLX_CPU_TARGETS says so.
#include "mlx_core/cpu/instruction_set.h"

#include <cstdlib>
#include <string_view>

#include "mlx_core/cpu/targets.h"

#include <hwy/highway.h>

namespace mlx::core::cpu {

namespace {

struct Level {
  std::string_view name;
  int64_t target;
};
// From least to most. Allowing a level allows those before it.
constexpr Level levels[] = {
    {"baseline", 0}, {"SSE4", HWY_SSE4}, {"NEON", HWY_NEON}, {"AVX2", HWY_AVX2}, {"AVX3", HWY_AVX3}};

// While the library is loaded: the first kernel looked up fixes the choice.
[[gnu::constructor]] void restrict_targets() {
  const char* wanted = std::getenv("MLX_CPU_TARGETS");
  if (!wanted) {
    return;
  }
  int64_t above = 0;
  bool found = false;
  for (const Level& level : levels) {
    above |= found ? level.target : 0;
    found = found || level.name == wanted;
  }
  hwy::DisableTargets(above);
}

} // namespace

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Level& level : levels) {
    if (level.target == 0 || (hwy::SupportedTargets() & HWY_TARGETS & level.target)) {
      names.emplace_back(level.name);
    }
  }
  return names;
}

std::string instruction_set() { return instruction_sets().back(); }

} // namespace mlx::core::cpu
