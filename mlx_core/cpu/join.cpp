// Arrays joined along an axis. An operand after another would go over all of the result's memory for each, to write but
// a part of every row; so that all of them write to some rows while these are in cache. Single elements that are not
// equally far apart, as those of a part of an array, are joined by vectors in each slice of the first axis.
#include "mlx_core/cpu/join.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/interleave.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t parallel_bytes = 256 << 10, block_bytes = 64 << 10;

// A row of the result is what follows one another from the axis on. Of an operand, in bytes and elements:
struct Runs {
  const char* from;
  int64_t apart, stride; // from row to row, and from element to element
  int64_t length;        // of its part of a row
};

// The distance of elements that go on with one stride over these axes, if they do.
std::optional<int64_t> one_stride(std::span<const int64_t> sizes, std::span<const int64_t> strides, int64_t none) {
  int64_t stride = none, expected = 0;
  bool any = false;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 1) {
      continue;
    }
    if (any && strides[i] != expected) {
      return std::nullopt;
    }
    stride = any ? stride : strides[i];
    expected = strides[i] * sizes[i];
    any = true;
  }
  return stride;
}

int64_t product_of(std::span<const int64_t> sizes) {
  int64_t count = 1;
  for (int64_t length : sizes) {
    count *= length;
  }
  return count;
}

// None where an operand is no such runs.
std::vector<Runs> runs_of(
    std::span<const Joined> operands, size_t axis, std::span<const int64_t> sizes, int item_size) {
  std::vector<Runs> runs;
  std::vector<int64_t> inner(sizes.begin() + static_cast<ptrdiff_t>(axis), sizes.end());
  for (const Joined& operand : operands) {
    inner[0] = operand.count;
    std::optional<int64_t> apart = one_stride(sizes.first(axis), operand.strides.first(axis), 0);
    std::optional<int64_t> stride = one_stride(inner, operand.strides.subspan(axis), 1);
    if (!apart || !stride) {
      return {};
    }
    runs.push_back(
        {static_cast<const char*>(operand.data), *apart * item_size, *stride * item_size, product_of(inner)});
  }
  return runs;
}

// Single elements of two to four operands that lie one after another, by vectors; how many rows that were.
int64_t interleaved(std::span<const Runs> runs, int64_t first, int64_t rows, char* to, int item_size) {
  constexpr size_t most = 4;
  const void* lines[most];
  bool fits = runs.size() >= 2 && runs.size() <= most;
  for (size_t k = 0; k < runs.size() && fits; ++k) {
    fits = runs[k].length == 1 && runs[k].apart == item_size;
    lines[k] = runs[k].from + first * item_size;
  }
  return fits ? interleave(static_cast<int64_t>(runs.size()), to, lines, rows, item_size) : 0;
}

} // namespace

void join(std::span<const Joined> operands, size_t axis, std::span<const int64_t> sizes, void* out, int item_size) {
  auto* to = static_cast<char*>(out);
  int64_t rows = product_of(sizes.first(axis)), inner = product_of(sizes.subspan(axis + 1));
  int64_t row_bytes = sizes[axis] * inner * item_size, bytes = rows * row_bytes;
  if (bytes == 0) {
    return;
  }
  int64_t block = std::max<int64_t>(block_bytes / row_bytes, 1), blocks = (rows + block - 1) / block;
  bool shares = blocks >= 4 * thread_count() || bytes < parallel_bytes;
  std::vector<Runs> runs = rows > 1 && shares ? runs_of(operands, axis, sizes, item_size) : std::vector<Runs>();
  constexpr int64_t worth_a_call = 1024; // bytes
  int64_t slices = axis >= 2 ? sizes[0] : 1;
  bool single = sizes[axis] * inner == static_cast<int64_t>(operands.size()); // elements, one of each operand
  if (runs.empty() && shares && single && slices > 1 && bytes >= slices * worth_a_call) {
    auto join_slice = [&](int64_t i) {
      std::vector<Joined> parts;
      for (const Joined& operand : operands) {
        const char* from = static_cast<const char*>(operand.data) + i * operand.strides[0] * item_size;
        parts.push_back({from, operand.count, operand.strides.subspan(1)});
      }
      join(parts, axis - 1, sizes.subspan(1), to + i * (bytes / slices), item_size);
    };
    if (bytes >= parallel_bytes) {
      return parallel_for(slices, join_slice);
    }
    for (int64_t i = 0; i < slices; ++i) {
      join_slice(i);
    }
    return;
  }
  if (runs.empty()) {
    std::vector<int64_t> part(sizes.begin(), sizes.end()), strides(sizes.size(), 1);
    for (size_t i = sizes.size(); i-- > 1;) {
      strides[i - 1] = strides[i] * sizes[i];
    }
    for (const Joined& operand : operands) {
      part[axis] = operand.count;
      copy_strided(operand.data, operand.strides, to, strides, part, item_size);
      to += operand.count * inner * item_size;
    }
    return;
  }
  const bool past_caches = is_past_caches(bytes);
  auto join_rows = [&](int64_t first, int64_t count) {
    int64_t done = interleaved(runs, first, count, to + first * row_bytes, item_size);
    first += done, count -= done;
    char* at = to + first * row_bytes;
    for (const Runs& run : runs) {
      if (count > 0 && run.length > 0) {
        copy_block(run.from + first * run.apart, run.apart, run.stride, at, row_bytes, item_size, count, run.length,
            item_size, past_caches);
      }
      at += run.length * item_size;
    }
  };
  if (bytes < parallel_bytes) {
    for (int64_t b = 0; b < blocks; ++b) {
      join_rows(b * block, std::min(block, rows - b * block));
    }
    return;
  }
  parallel_for(blocks, [&](int64_t b) {
    join_rows(b * block, std::min(block, rows - b * block));
    if (past_caches) {
      flush_past_caches();
    }
  });
}

} // namespace mlx::core::cpu
