// Ending background evaluation before the process does.
#pragma once

namespace mlx::core {

// Drops what async_eval has queued and waits for what is being computed. Called at exit; a language that is taken down
// earlier calls it before that. Arrays dropped stay lazy.
void finish_background();

} // namespace mlx::core
