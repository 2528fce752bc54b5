// Runs of bytes: one, or many short ones one after another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlx::core::cpu {

// What memcpy does. That of glibc copies some KB and more by one instruction, `rep movsb`, which some processors (AMD's
// Zen 4) carry out byte by byte where the destination is a few bytes further on in its page than the source: 3.6 GB/s
// where vectors copy 90, as of what is rolled, padded or joined.
void copy_contiguous(void* to, const void* from, size_t bytes);

// Rows of `bytes` bytes, `step` apart, to rows `pitch` apart; memory of its own, of any alignment.
void copy_rows(int64_t rows, int64_t bytes, const void* from, int64_t step, void* to, int64_t pitch);

// Rows that begin places[i] items of item_size bytes after `from`, to rows one after the other.
void copy_rows_at(int64_t rows, int64_t bytes, const void* from, const int64_t* places, int64_t item_size, void* to);

} // namespace mlx::core::cpu
