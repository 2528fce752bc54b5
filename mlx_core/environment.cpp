// Reading and checking the environment.
#include "mlx_core/environment.h"

#include <charconv>
#include <cstdlib>

#include "mlx_core/cpu/instruction_set.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"

namespace mlx::core {

void check_environment() {
  cpu::instruction_set();
  cpu::thread_count();
  gpu::check_environment();
}

std::optional<std::string_view> environment_variable(const char* name) {
  const char* text = std::getenv(name);
  return text && *text ? std::optional<std::string_view>(text) : std::nullopt;
}

std::optional<int64_t> integer_from_environment(const char* name, int64_t least, int64_t most) {
  std::optional<std::string_view> text = environment_variable(name);
  if (!text) {
    return std::nullopt;
  }
  int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < least || value > most) {
    fail("environment", name, " is '", *text, "'; it should be a whole number from ", least, " to ", most,
        ", or not be set.");
  }
  return value;
}

} // namespace mlx::core
