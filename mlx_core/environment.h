// Variables of the environment that the library reads. One that is set to nothing counts as not set.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mlx::core {

// Throws std::invalid_argument when one of them holds what it may not: naming it, its value, and what it may be. Called
// before the first evaluation, and when Python imports the library.
void check_environment();

// The value, or nothing when it is not set.
std::optional<std::string_view> environment_variable(const char* name);
// An integer between these, in decimal digits.
std::optional<int64_t> integer_from_environment(const char* name, int64_t least, int64_t most);

} // namespace mlx::core
