// A few elements brought to other places again and again, by a table that says where each comes from.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx_core/cpu/copy.h"

namespace mlx::core::cpu {

// Results are written in whole vectors: on to a multiple of so many elements.
inline constexpr int64_t rearranged_padding = 16;
// What may be read beyond the last element of the operand where vectors are looked up whole.
inline constexpr int64_t read_beyond = 256; // bytes

struct Rearrangement {
  void (*way)(const Rearrangement& self, const void* in, void* out);
  std::vector<uint32_t> from; // of each element of the result, with padding: counted from the lowest that is read
  int64_t lowest;             // bytes from where the operand begins

  void run(const void* in, void* out) const { way(*this, static_cast<const char*>(in) + lowest, out); }
};

// Where the elements of a layout are, in row-major order.
std::vector<int64_t> offsets_of(Ints shape, Ints strides);
// The elements at `from`, of item_size 1, 2, 4, 8 or 16 bytes. `whole`: the operand may be read on to read_beyond.
Rearrangement rearrangement(const std::vector<int64_t>& from, int item_size, bool whole);

} // namespace mlx::core::cpu
