// Foreign memory as others describe it, and whether the description can be true.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mlx_core/dtype.h"

namespace mlx::python {

// Elements somewhere in memory, strides in bytes, and what keeps them alive.
struct Foreign {
  const char* data;
  core::Dtype dtype;
  std::vector<int64_t> shape, strides;
  bool swapped = false;           // the other byte order
  std::shared_ptr<void> owner;    // released under the GIL
  bool described_by_user = false; // by a capsule, not through the buffer protocol

  int64_t size() const {
    int64_t n = 1;
    for (int64_t length : shape) {
      n *= length;
    }
    return n;
  }
  bool row_major() const;
  // Offsets from data in bytes: of the first element in memory, and of the byte after the last one.
  struct Span {
    int64_t low, high;
  };
  Span span() const;
};

// Throws std::invalid_argument unless sizes and strides are such that all arithmetic on them is exact, and the memory
// that they reach is there: `op` and the shape are in the error. What lies between mapped pages that belong to somebody
// else cannot be known.
void check_foreign(const char* op, const Foreign& foreign);

constexpr int most_foreign_axes = 1024;

// Whether all of [from, from + bytes) is mapped in this process and can be read, as far as that can be found out.
bool is_mapped(const void* from, size_t bytes);

} // namespace mlx::python
