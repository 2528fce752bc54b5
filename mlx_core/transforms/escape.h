// Finding arrays of a function that outlive the transform they belong to.
#pragma once

#include "mlx_core/transforms/frame.h"

namespace mlx::core {

// Throws when somebody still refers to a placeholder of this frame, once its function has returned and everything
// that it led to is done. `remedy` ends the error.
void check_escapes(const Frame& frame, const char* op, const char* remedy);
// Whether some of these were computed from placeholders whose function has returned, and which no transform will
// replace.
bool outlive_their_transform(std::span<const array> arrays);
// Called before deciding that a lane escaped, in the place of wait_for_background, for what is being computed refers to
// its operands: a language binding waits as well, without its lock, and collects its garbage. Null removes it.
void set_collect_garbage(void (*collect)());

} // namespace mlx::core
