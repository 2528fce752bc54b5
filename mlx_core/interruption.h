// Which errors are interruptions: passed on by all that otherwise goes on without what failed, and by arrays, which
// keep others.
#pragma once

#include <exception>

namespace mlx::core {

// Interrupted (interrupt.h), and errors of the language of our callers that `kind` knows to be such.
bool is_interruption(const std::exception& error);
void set_interruption_kind(bool (*kind)(const std::exception&));

} // namespace mlx::core
