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

// While disabled, compiled functions run as they are. The environment variable MLX_DISABLE_COMPILE disables it from the
// beginning.
void disable_compile();
void enable_compile();
bool compile_is_enabled();

} // namespace mlx::core
