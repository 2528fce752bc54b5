// compile: run a function once per structure of its arguments, keep what it did, and replay that.
#pragma once

#include "mlx_core/transforms.h"

namespace mlx::core {

// fun, recorded for every combination of shapes and dtypes that it is called with. The result is lazy, equal to the bit
// with that of fun, and transforms see through it. fun must not read values of its arguments. Arrays that it uses
// beside its arguments keep the values they have when it is recorded.
//
// shapeless: one recording serves arguments of other sizes, as far as fun does not look at a size (take it as a number,
// compare it); where it does, other sizes make another recording.
VectorFunction compile(VectorFunction fun, bool shapeless = false);

// What a compiled function has done so far.
struct CompileStats {
  size_t calls = 0;
  size_t traces = 0;    // how often it was recorded
  size_t cached = 0;    // recordings kept
  size_t evictions = 0; // those let go for newer ones
  // How many operations the last recording found, and how many it does.
  std::pair<size_t, size_t> operations = {0, 0};
  std::vector<std::string> reasons = {}; // why the last recordings were made, oldest first
};
// Of what compile returned. Throws std::invalid_argument for another function.
CompileStats compile_stats(const VectorFunction& compiled);

// While disabled, compiled functions run as they are. The environment variable MLX_DISABLE_COMPILE disables it from the
// beginning.
void disable_compile();
void enable_compile();
bool compile_is_enabled();

} // namespace mlx::core
