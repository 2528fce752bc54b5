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
  size_t axes = a.shape().size(), at = key.size();
  key.resize(at + 2 + (with_sizes ? axes * sizeof(int64_t) : 0)); // at once: a call has many of these
  key[at++] = static_cast<char>(a.dtype().val);
  key[at++] = static_cast<char>(axes);
  for (size_t i = 0; with_sizes && i < axes; ++i, at += sizeof(int64_t)) {
    int64_t length = a.shape()[i];
    std::memcpy(&key[at], &length, sizeof(length));
  }
}

} // namespace mlx::core
