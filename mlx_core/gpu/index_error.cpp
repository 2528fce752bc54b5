// The record of an index out of bounds as the text of an IndexError.
#include "mlx_core/gpu/index_error.h"

#include "metal/arguments.h"

namespace mlx::core::gpu {

std::string index_error(const uint32_t* words) {
  using namespace ::mlx_arguments;
  if (words[error_found] == 0) {
    return {};
  }
  auto whole = [&](int low, int high) {
    return std::to_string(static_cast<int64_t>(uint64_t{words[high]} << 32 | words[low]));
  };
  const char* names[] = {"gather", "gather", "scatter", "take_along_axis", "put_along_axis"};
  const uint32_t op = words[error_op];
  std::string text = std::string("[") + names[op <= index_of_put_along ? op : 0] + "] index " +
                     whole(error_index, error_index_high) + " is out of bounds for axis " +
                     std::to_string(words[error_axis]) + " of length " + whole(error_length, error_length_high);
  if (words[error_slice] > 1) {
    text += ", from which slices of " + std::to_string(words[error_slice]) + " are taken";
  }
  return text + ".";
}

} // namespace mlx::core::gpu
