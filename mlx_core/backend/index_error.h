// The text of an IndexError that is found when indices are read, on any device.
#pragma once

#include <cstdint>
#include <string>

namespace mlx::core {

inline constexpr const char* index_way_out =
    ". If what is there is masked out, say mode=\"clip\" or mode=\"fill\": take, take_along_axis, put_along_axis and "
    "x.at[index] have it.";

inline std::string index_error_text(const std::string& op, int64_t index, int64_t axis, int64_t length, int64_t slice) {
  std::string text = "[" + op + "] index " + std::to_string(index) + " is out of bounds for axis " +
                     std::to_string(axis) + " of length " + std::to_string(length);
  if (slice > 1) {
    text += ", from which slices of " + std::to_string(slice) + " are taken";
  }
  return text + index_way_out;
}

} // namespace mlx::core
