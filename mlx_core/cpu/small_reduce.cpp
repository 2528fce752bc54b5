// Reductions of a few elements, down columns.
#include "mlx_core/cpu/small_reduce.h"

#include <bit>

namespace mlx::core::cpu {

namespace {

constexpr int64_t most_bytes = 16 << 10; // of what is brought together, and of the accumulators: on the stack
constexpr int64_t fewest_results = 4;    // with so few, long rows are quicker

int64_t padded(int64_t n) { return (n + rearranged_padding - 1) / rearranged_padding * rearranged_padding; }

} // namespace

void SmallReduction::run(const void* in, void* out) const {
  alignas(64) char together[most_bytes], sums[most_bytes];
  if (first) {
    first->run(in, together);
    in = together;
  }
  kernels->columns(static_cast<const char*>(in), rows.data(), static_cast<int64_t>(rows.size()), kernels->lanes,
      columns, 1, 0, sums);
  kernels->store(sums, results, out);
}

std::optional<SmallReduction> small_reduction(
    Reduction op, Dtype dtype, Ints shape, Ints strides, Ints axes, bool whole) {
  std::vector<int64_t> kept_shape, kept_strides, reduced_shape, reduced_strides;
  int64_t kept = 1, reduced = 1;
  for (size_t i = 0, next = 0; i < shape.size(); ++i) {
    bool reduces = next < axes.size() && axes[next] == static_cast<int64_t>(i);
    next += reduces;
    (reduces ? reduced : kept) *= shape[i];
    (reduces ? reduced_shape : kept_shape).push_back(shape[i]);
    (reduces ? reduced_strides : kept_strides).push_back(strides[i]);
  }
  SmallReduction small{&find_reduce_kernels(op, dtype), {}, {}, padded(kept), kept};
  const int64_t item_size = dtype.size(), levels = std::bit_width(static_cast<uint64_t>(small.kernels->lanes)) + 1;
  if (kept == 0 || reduced == 0 || reduced > reduce_block || (kept < fewest_results && reduced > short_row) ||
      levels * small.columns * small.kernels->partial_size > most_bytes) {
    return {};
  }
  std::vector<int64_t> results = offsets_of(kept_shape, kept_strides),
                       rows = offsets_of(reduced_shape, reduced_strides);
  bool in_order = whole;
  for (int64_t i = 0; i < kept && in_order; ++i) in_order = results[static_cast<size_t>(i)] == i;
  if (in_order) {
    for (int64_t row : rows) small.rows.push_back(row * item_size);
    return small;
  }
  if (reduced * small.columns * item_size > most_bytes) {
    return {};
  }
  std::vector<int64_t> from;
  for (int64_t row : rows) {
    small.rows.push_back(static_cast<int64_t>(from.size()) * item_size);
    for (int64_t i = 0; i < small.columns; ++i)
      from.push_back(row + results[static_cast<size_t>(std::min(i, kept - 1))]);
  }
  small.first = rearrangement(from, static_cast<int>(item_size), whole);
  return small;
}

} // namespace mlx::core::cpu
