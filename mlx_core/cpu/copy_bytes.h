// Copies that are often of few bytes.
#pragma once

#include <cstring>

#include "mlx_core/cpu/copy_rows.h"

namespace mlx::core::cpu {

// What memcpy does; of the usual sizes of values in lists without a call.
inline void copy_bytes(char* to, const char* from, size_t bytes) {
  switch (bytes) {
    case 4: std::memcpy(to, from, 4); break;
    case 8: std::memcpy(to, from, 8); break;
    case 16: std::memcpy(to, from, 16); break;
    case 32: std::memcpy(to, from, 32); break;
    case 64: std::memcpy(to, from, 64); break;
    default: copy_contiguous(to, from, bytes);
  }
}

} // namespace mlx::core::cpu
