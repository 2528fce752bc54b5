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
  const Shape& shape = a.shape();
  SmallVector<char, 64> bytes(2); // appended once: a call has many of these
  bytes[0] = static_cast<char>(a.dtype().val);
  bytes[1] = static_cast<char>(shape.size());
  if (with_sizes) {
    bytes.resize(2 + shape.size() * sizeof(int64_t));
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t length = shape[i];
      std::memcpy(&bytes[2 + i * sizeof(length)], &length, sizeof(length));
    }
  }
  key.append(bytes.data(), bytes.size());
}

} // namespace mlx::core
