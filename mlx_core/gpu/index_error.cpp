// The record of an index out of bounds as the text of an IndexError.
#include "mlx_core/gpu/index_error.h"

#include "metal/arguments.h"
#include "mlx_core/backend/index_error.h"

namespace mlx::core::gpu {

std::string index_error(const uint32_t* words) {
  using namespace ::mlx_arguments;
  if (words[error_found] == 0) {
    return {};
  }
  auto whole = [&](int low, int high) { return static_cast<int64_t>(uint64_t{words[high]} << 32 | words[low]); };
  const char* names[] = {"gather", "gather", "scatter", "take_along_axis", "put_along_axis"};
  const uint32_t op = words[error_op];
  return index_error_text(names[op <= index_of_put_along ? op : 0], whole(error_index, error_index_high),
      words[error_axis], whole(error_length, error_length_high), words[error_slice]);
}

} // namespace mlx::core::gpu
