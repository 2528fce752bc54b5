// The bytes by which recordings are found.
#pragma once

#include <cstring>
#include <string>

#include "mlx_core/array.h"

namespace mlx::core {

// How many recordings a compiled function keeps.
constexpr size_t recordings_per_function = 64;

template <typename T>
void append_bytes(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// with_sizes: false leaves only the dtype and the number of axes.
inline void append_spec(std::string& key, const array& a, bool with_sizes = true) {
  key.push_back(static_cast<char>(a.dtype().val));
  key.push_back(static_cast<char>(a.ndim()));
  if (with_sizes) {
    for (Dim length : a.shape()) {
      append_bytes(key, static_cast<int64_t>(length));
    }
  }
}

} // namespace mlx::core
