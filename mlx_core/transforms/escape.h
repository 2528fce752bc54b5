// Finding per-lane arrays that outlive the vmap they belong to.
#pragma once

#include "mlx_core/transforms/frame.h"

namespace mlx::core {

// Throws when somebody still refers to a lane of this frame, once the function and the replay are done.
void check_escapes(const Frame& frame);
// Called before deciding that a lane escaped: a language binding collects its garbage here. Null removes it.
void set_collect_garbage(void (*collect)());

} // namespace mlx::core
