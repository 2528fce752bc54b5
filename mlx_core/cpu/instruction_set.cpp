// The instruction set that kernels run on: the best of this CPU, or less when MLX_CPU_TARGETS says so.
#include "mlx_core/cpu/instruction_set.h"

#include <algorithm>
#include <string_view>

#include "mlx_core/cpu/targets.h"
#include "mlx_core/environment.h"
#include "mlx_core/error.h"

#include <hwy/highway.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mlx::core::cpu {

namespace {

constexpr const char* variable = "MLX_CPU_TARGETS";

struct Level {
  std::string_view name;
  int64_t target;
};
// From least to most; `baseline` is whichever the build's least is. Allowing a level allows those before it.
constexpr Level levels[] = {
    {"baseline", 0}, {"SSE4", HWY_SSE4}, {"NEON", HWY_NEON}, {"AVX2", HWY_AVX2}, {"AVX3", HWY_AVX3}};

// Whether it names a level; the empty name, like none, restricts nothing.
bool is_level(std::string_view name) {
  return std::any_of(std::begin(levels), std::end(levels), [&](const Level& level) { return level.name == name; });
}

// While the library is loaded: the first kernel looked up fixes the choice. Nobody could catch an error here.
[[gnu::constructor]] void restrict_targets() {
  std::string_view wanted = environment_variable(variable).value_or("");
  if (!is_level(wanted)) {
    return;
  }
  int64_t above = 0;
  bool found = false;
  for (const Level& level : levels) {
    above |= found ? level.target : 0;
    found = found || level.name == wanted;
  }
  // Not DisableTargets: in Highway 1.0 whoever asks for the supported targets afterwards, as instruction_sets() does,
  // makes the next kernel run on the best of them all.
  hwy::SetSupportedTargetsForTest((hwy::SupportedTargets() & ~above) | HWY_STATIC_TARGET);
}

} // namespace

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Level& level : levels) {
    if ((hwy::SupportedTargets() | HWY_STATIC_TARGET) & HWY_TARGETS & level.target) names.emplace_back(level.name);
  }
  return names;
}

std::string instruction_set() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("sse4.2")) {
    fail<std::runtime_error>("environment",
        "this processor has no SSE4.2, which x86-64 processors have since 2009. Where it is "
        "emulated, or a virtual machine's, choose another model of CPU for it, such as x86-64-v2 or host.");
  }
#endif
  // As it was when the library was loaded.
  static const std::string malformed = [] {
    std::optional<std::string_view> wanted = environment_variable(variable);
    return std::string(wanted && !is_level(*wanted) ? *wanted : "");
  }();
  if (!malformed.empty()) {
    std::string known;
    for (const Level& level : levels) {
      known += (known.empty() ? "" : ", ") + std::string(level.name);
    }
    fail("environment", variable, " is '", malformed, "'; it should be the best instruction set to use, one of ", known,
        ", or not be set.");
  }
  return instruction_sets().back();
}

Extensions extensions() {
  Extensions found;
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (instruction_set() == "AVX3" && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    constexpr unsigned amx_bf16 = 1u << 22, avx512_fp16 = 1u << 23, amx_tile = 1u << 24;
    found.float16 = (edx & avx512_fp16) != 0;
    found.tiles = (edx & amx_bf16) != 0 && (edx & amx_tile) != 0;
    constexpr unsigned avx512_bf16 = 1u << 5; // of the leaf's second part
    found.bfloat16 = __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & avx512_bf16) != 0;
  }
#endif
  return found;
}

} // namespace mlx::core::cpu
