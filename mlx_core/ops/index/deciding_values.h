// Values that decide the shape of a result: read at once where they are known, and an error that names the way out
// where they are not, inside of vmap or of a function that is recorded.
#pragma once

#include "mlx_core/error.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

// What `read` returns, which reads values that depend on `of`, the argument called `name`.
template <typename Read>
auto deciding(const char* op, const char* name, const array& of, const char* way_out, Read read) {
  constexpr const char* decided = ", but they decide the shape of the result; ";
  if (of.node()->level != 0 && batched_view(of)) {
    fail(op, "inside vmap the values of ", name, " differ from lane to lane", decided, way_out);
  }
  try {
    return read();
  } catch (const NoValue&) {
    fail<NoValue>(op, "the values of ", name, " are not known while the function is recorded", decided, way_out);
  }
}

} // namespace mlx::core
