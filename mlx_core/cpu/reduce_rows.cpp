// Rows of few elements are transposed first.
#include "mlx_core/cpu/reduce_rows.h"

#include <algorithm>

#include "mlx_core/cpu/copy_block.h"

namespace mlx::core::cpu {

namespace {

// Rows of few elements, transposed so that vectors run across rows. Each element is a lane of its own.
void short_rows(const ReduceKernels& k, int in_size, int out_size, const char* in, int64_t n, int64_t row_bytes,
    int64_t rows, char* out) {
  constexpr int64_t at_once = 128, most_bytes = short_row * 16; // of a row
  static_assert(short_row_of_halves * sizeof(float) <= most_bytes);
  alignas(64) char acc[at_once * most_bytes], turned[at_once * most_bytes];
  for (int64_t r = 0; r < rows; r += at_once) {
    int64_t count = std::min(at_once, rows - r);
    copy_block(in + r * row_bytes, in_size, row_bytes, turned, count * in_size, in_size, n, count, in_size);
    k.start(turned, n * count, acc);
    fold(k.combine, acc, n, count, k.partial_size);
    k.store(acc, count, out + r * out_size);
  }
}

} // namespace

void reduce_rows(const ReduceKernels& k, int in_size, int out_size, const void* in, int64_t n, int64_t row_bytes,
    int64_t rows, void* out) {
  if (is_short_rows(n, rows, in_size < k.partial_size)) {
    short_rows(k, in_size, out_size, static_cast<const char*>(in), n, row_bytes, rows, static_cast<char*>(out));
  } else {
    k.rows(in, n, row_bytes, rows, out);
  }
}

} // namespace mlx::core::cpu
