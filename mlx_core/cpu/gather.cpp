// Gathers: indices become offsets a chunk at a time, then each position's slice is copied.
#include "mlx_core/cpu/gather.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_bytes = 64 << 10;
constexpr int64_t serial_bytes = 128 << 10;
constexpr int64_t large_bytes = 4 << 20;

struct Item16 {
  uint64_t low, high;
};

template <typename F>
void with_item(int item_size, F f) {
  switch (item_size) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    case 8: return f(uint64_t{});
    default: return f(Item16{});
  }
}

int64_t product(Ints shape) {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

// The slice taken at each position: a collapsed layout of the source.
struct Slice {
  std::vector<int64_t> shape, strides;
  int64_t size;
  int item_size;

  Slice(Ints slice_shape, Ints src_strides, int item)
      : shape(slice_shape.begin(), slice_shape.end()),
        strides(src_strides.begin(), src_strides.end()),
        size(product(slice_shape)),
        item_size(item) {
    int64_t* all[] = {strides.data()};
    auto n = static_cast<size_t>(collapse_axes(static_cast<int>(shape.size()), shape.data(), all));
    shape.resize(n), strides.resize(n);
  }

  void copy_all(const char* src, const int64_t* offsets, int64_t n, char* out) const {
    int64_t bytes = size * item_size;
    if (shape.empty()) {
      return with_item(item_size, [&](auto item) {
        using T = decltype(item);
        for (int64_t i = 0; i < n; ++i) {
          reinterpret_cast<T*>(out)[i] = reinterpret_cast<const T*>(src)[offsets[i]];
        }
      });
    }
    bool row = shape.size() == 1 && strides[0] == 1;
    for (int64_t i = 0; i < n; ++i, out += bytes) {
      const char* from = src + offsets[i] * item_size;
      if (row)
        std::memcpy(out, from, static_cast<size_t>(bytes));
      else if (shape.size() == 1)
        copy_line(from, strides[0] * item_size, out, item_size, size, item_size);
      else
        read_strided(from, shape, strides, item_size, 0, size, out);
    }
  }
};

} // namespace

void gather(const void* src_data, Ints src_shape, Ints src_strides, int item_size,
    std::span<const IndexOperand> indices, Ints index_shape, Ints slice_shape, void* out_data) {
  auto* src = static_cast<const char*>(src_data);
  auto* out = static_cast<char*>(out_data);
  Slice slice(slice_shape, src_strides, item_size);
  int64_t positions = product(index_shape), bytes = slice.size * item_size;
  if (positions == 0 || bytes == 0) return;
  if ((positions < 8 && bytes > serial_bytes) || bytes > large_bytes) { // large slices: each is copied by all threads
    std::vector<int64_t> dense(slice.shape.size());
    for (int64_t d = static_cast<int64_t>(dense.size()) - 1, stride = 1; d >= 0; --d) {
      dense[static_cast<size_t>(d)] = stride;
      stride *= slice.shape[static_cast<size_t>(d)];
    }
    for (int64_t i = 0; i < positions; ++i) {
      int64_t from;
      read_offsets("gather", indices, index_shape, src_shape, src_strides, slice_shape, i, 1, &from);
      copy_strided(src + from * item_size, slice.strides, out + i * bytes, dense, slice.shape, item_size);
    }
    return;
  }
  int64_t per_task = positions * bytes <= serial_bytes && positions <= 16 * index_chunk
                         ? positions
                         : std::max<int64_t>(1, std::min(task_bytes / bytes, 16 * index_chunk));
  parallel_for((positions + per_task - 1) / per_task, [&](int64_t task) {
    int64_t offsets[index_chunk];
    int64_t end = std::min(positions, (task + 1) * per_task);
    for (int64_t first = task * per_task; first < end; first += index_chunk) {
      int64_t n = std::min(index_chunk, end - first);
      read_offsets("gather", indices, index_shape, src_shape, src_strides, slice_shape, first, n, offsets);
      slice.copy_all(src, offsets, n, out + first * bytes);
    }
  });
}

void gather_along_axis(const void* src, Ints src_strides, int64_t src_length, int item_size, const void* index,
    Dtype index_dtype, Ints index_strides, Ints shape, int axis, void* out) {
  int64_t total = product(shape);
  if (total == 0) return;
  AxisWalk walk(shape, axis, src_strides, index_strides, {});
  Bounds bounds{"take_along_axis", axis, src_length, 1};
  int64_t axis_stride = src_strides[static_cast<size_t>(axis)], src_step = walk.step(0), index_step = walk.step(1);
  constexpr int64_t per_task = 16 * index_chunk;
  parallel_for((total + per_task - 1) / per_task, [&](int64_t task) {
    int64_t values[index_chunk];
    auto run = [&](int64_t flat, int64_t src_at, int64_t index_at, int64_t, int64_t n) {
      read_indices(static_cast<const char*>(index) + index_at * index_dtype.size(), index_dtype, index_step, n, values);
      for (int64_t i = 0; i < n; ++i)
        values[i] = src_at + i * src_step + checked_index(bounds, values[i]) * axis_stride;
      with_item(item_size, [&](auto item) {
        using T = decltype(item);
        for (int64_t i = 0; i < n; ++i) static_cast<T*>(out)[flat + i] = static_cast<const T*>(src)[values[i]];
      });
    };
    walk.runs(task * per_task, std::min(total, (task + 1) * per_task), run);
  });
}

} // namespace mlx::core::cpu
