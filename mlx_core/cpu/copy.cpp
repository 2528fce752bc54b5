// Strided copies: bring a layout into few axes, then walk it in two-dimensional blocks.
#include "mlx_core/cpu/copy.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/odometer.h"
#include "mlx_core/cpu/past_caches.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t parallel_bytes = 256 << 10; // below this, one thread is quicker
constexpr int64_t task_bytes = 128 << 10;

// Room for three arrays of ndim integers, on the stack when ndim is usual.
class Scratch {
 public:
  explicit Scratch(size_t ndim) : ndim_(ndim) {
    if (3 * ndim > std::size(stack_)) heap_.resize(3 * ndim), data_ = heap_.data();
  }
  int64_t* operator[](int which) { return data_ + which * ndim_; }

 private:
  size_t ndim_;
  int64_t stack_[24];
  std::vector<int64_t> heap_;
  int64_t* data_ = stack_;
};

// Axes by descending destination stride, all of them positive: then reads and writes of a plain copy both advance.
void order_axes(
    int ndim, int64_t* shape, int64_t* src_strides, int64_t* dst_strides, const char*& src, char*& dst, int item_size) {
  for (int d = 0; d < ndim; ++d) {
    if (dst_strides[d] >= 0) continue;
    src += (shape[d] - 1) * src_strides[d] * item_size;
    dst += (shape[d] - 1) * dst_strides[d] * item_size;
    src_strides[d] = -src_strides[d];
    dst_strides[d] = -dst_strides[d];
  }
  for (int d = 1; d < ndim; ++d) {
    for (int e = d; e > 0 && dst_strides[e - 1] < dst_strides[e]; --e) {
      std::swap(dst_strides[e - 1], dst_strides[e]);
      std::swap(src_strides[e - 1], src_strides[e]);
      std::swap(shape[e - 1], shape[e]);
    }
  }
}

// The axis that reads go fastest along, or the last but one where that is the last: with the last one it forms the
// block to transpose.
int axis_of_rows(int ndim, const int64_t* src_strides) {
  const int last = ndim - 1;
  int best = ndim - 2;
  if (std::abs(src_strides[last]) <= 1) return best;
  for (int d = 0; d < ndim - 2; ++d) {
    if (src_strides[d] != 0 && std::abs(src_strides[d]) < std::abs(src_strides[best]) &&
        std::abs(src_strides[d]) < std::abs(src_strides[last])) {
      best = d;
    }
  }
  return best;
}

// Few rows to a block, as of repeated entries, make many blocks of it: then the axis before takes their place, or as
// much of it as leaves what is written in cache. Of (n, few, columns) that is (n / m, few, m, columns). The new number
// of axes; there is room for one more.
int lengthen_block(int ndim, int64_t* shape, int64_t* src_strides, int64_t* dst_strides, int item_size) {
  constexpr int64_t few = 8, in_cache = 32 << 10;
  int row = ndim - 2, before = ndim - 3;
  int64_t most = in_cache / (dst_strides[before] * item_size);
  bool runs = std::abs(src_strides[ndim - 1]) <= 1;
  if (!runs || shape[row] >= few || shape[before] <= shape[row] || most <= shape[row]) return ndim;
  int64_t together = std::min(shape[before], most);
  while (shape[before] % together != 0) --together;
  if (together <= shape[row]) return ndim;
  for (int64_t* values : {shape, src_strides, dst_strides}) {
    std::copy_backward(values + row, values + ndim, values + ndim + 1);
    values[row] = values[row + 1], values[row + 1] = values[before];
  }
  shape[before] /= together, shape[row + 1] = together;
  src_strides[before] *= together, dst_strides[before] *= together;
  return ndim + 1;
}

// Blocks of few elements are brought together by a table: a run of the destination's last axes, where each element is
// from, the same in every run.
struct TableOfRun {
  static constexpr int64_t few = 64, shortest = 64, longest = 1024, worth_it = 8192; // elements

  // How many of the last axes are a run; 0 where a table is not worth it or the destination has gaps.
  static int axes(int ndim, const int64_t* shape, const int64_t* src_strides, const int64_t* dst_strides, int64_t block,
      int64_t total) {
    if (total < worth_it || block > few || (src_strides[ndim - 1] == 1 && shape[ndim - 1] > 4)) return 0;
    int64_t run = 1, reach = 0;
    for (int d = ndim - 1; d >= 0 && dst_strides[d] == run && run * shape[d] <= longest; --d) {
      run *= shape[d], reach += (shape[d] - 1) * std::abs(src_strides[d]);
      if (run >= shortest && (d == 0 || run * shape[d - 1] > longest)) return reach <= INT32_MAX ? ndim - d : 0;
    }
    return 0;
  }

  TableOfRun(int axes, const int64_t* shape, const int64_t* src_strides) {
    for (int d = axes - 1; d >= 0; --d) {
      for (int64_t i = 1; i < shape[d]; ++i) {
        for (int64_t j = 0; j < length; ++j) {
          from[i * length + j] = from[j] + static_cast<int32_t>(i * src_strides[d]);
        }
      }
      length *= shape[d];
    }
  }

  template <typename T>
  void copy(const char* in, char* out) const {
    constexpr int64_t size = sizeof(T); // in bytes, as nothing says where an element begins
    for (int64_t i = 0; i < length; ++i) std::memcpy(out + i * size, in + from[i] * size, size);
  }

  int64_t length = 1;
  int32_t from[longest] = {0};
};

void copy_by_table(int ndim, int axes, const int64_t* shape, const int64_t* src_strides, const char* src,
    const int64_t* dst_strides, char* dst, int item_size, int64_t total) {
  const int outer = ndim - axes;
  const TableOfRun table(axes, shape + outer, src_strides + outer);
  const int64_t runs = total / table.length;
  const bool large = total * item_size >= parallel_bytes;
  const int64_t per_task = large ? std::max<int64_t>(1, task_bytes / (table.length * item_size)) : runs;
  parallel_for((runs + per_task - 1) / per_task, [&](int64_t task) {
    Scratch index(static_cast<size_t>(outer));
    const int64_t first = task * per_task, end = std::min(runs, first + per_task);
    Odometer at(outer, shape, src_strides, dst_strides, index[0], first, item_size);
    with_item(item_size, [&]<class T>(std::type_identity<T>) {
      for (int64_t r = first; r < end; ++r, at.next()) {
        table.copy<T>(src + at.a_offset, dst + at.b_offset);
      }
    });
  });
}

// Extents of one task's share of the (rows, columns) block. Whole cache lines along the tiles of one that `turns`.
struct Cut {
  int64_t rows, columns;
};

Cut cut_block(int64_t rows, int64_t columns, int item_size, bool turns) {
  if (columns * item_size >= 2 * task_bytes) {
    // A single row (a large contiguous copy) is cut along it; rows that are long anyway are also cut across.
    int64_t wide = task_bytes / item_size / std::min<int64_t>(rows, 64);
    wide = std::max<int64_t>(1024, wide);
    return {std::min<int64_t>(rows, 64), wide};
  }
  int64_t high = task_bytes / std::max<int64_t>(1, columns * item_size);
  high = !turns && high < 64 ? std::max<int64_t>(1, high) : std::max<int64_t>(64, high / 64 * 64);
  return {std::min(rows, high), columns};
}

} // namespace

int collapse_axes(int ndim, int64_t* shape, std::span<int64_t*> strides) {
  int kept = 0;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] == 1) continue;
    bool merges = kept > 0;
    for (int64_t* s : strides) merges = merges && s[kept - 1] == s[d] * shape[d];
    int to = merges ? kept - 1 : kept++;
    shape[to] = merges ? shape[to] * shape[d] : shape[d];
    for (int64_t* s : strides) s[to] = s[d];
  }
  return kept;
}

void read_strided(
    const void* src_data, Ints full_shape, Ints full_strides, int item_size, int64_t first, int64_t n, void* dst_data) {
  if (n <= 0) return;
  auto* src = static_cast<const char*>(src_data);
  auto* dst = static_cast<char*>(dst_data);
  Scratch scratch(full_shape.size());
  int64_t *shape = scratch[0], *strides = scratch[1];
  std::copy(full_shape.begin(), full_shape.end(), shape);
  std::copy(full_strides.begin(), full_strides.end(), strides);
  int64_t* all[] = {strides};
  int ndim = collapse_axes(static_cast<int>(full_shape.size()), shape, all);
  if (ndim == 0) return copy_line(src, item_size, dst, item_size, n, item_size);
  int64_t columns = shape[ndim - 1], step = strides[ndim - 1] * item_size;
  if (ndim == 1) return copy_line(src + first * step, step, dst, item_size, n, item_size);

  int64_t rows = shape[ndim - 2], row_step = strides[ndim - 2] * item_size;
  int64_t column = first % columns, row = first / columns % rows;
  Odometer plane(ndim - 2, shape, strides, nullptr, scratch[2], first / columns / rows, item_size);
  while (n > 0) {
    const char* from = src + plane.a_offset + row * row_step + column * step;
    if (column != 0 || n < columns) { // part of a row
      int64_t count = std::min(n, columns - column);
      copy_line(from, step, dst, item_size, count, item_size);
      n -= count, dst += count * item_size;
      column = 0, row += 1;
    } else {
      int64_t count = std::min(n / columns, rows - row);
      copy_block(from, row_step, step, dst, columns * item_size, item_size, count, columns, item_size);
      n -= count * columns, dst += count * columns * item_size;
      row += count;
    }
    if (row == rows) row = 0, plane.next();
  }
}

void copy_strided(const void* src_data, Ints full_src_strides, void* dst_data, Ints full_dst_strides, Ints full_shape,
    int item_size) {
  auto* src = static_cast<const char*>(src_data);
  auto* dst = static_cast<char*>(dst_data);
  Scratch scratch(full_shape.size() + 1);
  int64_t *shape = scratch[0], *src_strides = scratch[1], *dst_strides = scratch[2];
  std::copy(full_shape.begin(), full_shape.end(), shape);
  std::copy(full_src_strides.begin(), full_src_strides.end(), src_strides);
  std::copy(full_dst_strides.begin(), full_dst_strides.end(), dst_strides);
  int64_t total = 1;
  for (int64_t extent : full_shape) total *= extent;
  if (total == 0) return;
  int64_t* both[] = {src_strides, dst_strides};
  int ndim = collapse_axes(static_cast<int>(full_shape.size()), shape, both);
  if (ndim > 1 || (ndim == 1 && dst_strides[0] < 0)) {
    order_axes(ndim, shape, src_strides, dst_strides, src, dst, item_size);
    ndim = collapse_axes(ndim, shape, both);
  }
  if (ndim == 0) return copy_line(src, item_size, dst, item_size, 1, item_size);
  // Into parts of what is there already, as padding is, usual stores are as quick.
  const bool past_caches = is_past_caches(total * item_size) && dst_strides[0] * shape[0] == total;
  if (ndim > 2) {
    const int row = axis_of_rows(ndim, src_strides), last = ndim - 1;
    const int64_t block = shape[row] * shape[last];
    const int axes = past_caches ? 0 : TableOfRun::axes(ndim, shape, src_strides, dst_strides, block, total);
    if (axes > 0) return copy_by_table(ndim, axes, shape, src_strides, src, dst_strides, dst, item_size, total);
    for (int64_t* values : {shape, src_strides, dst_strides}) {
      std::rotate(values + row, values + row + 1, values + last);
    }
    ndim = lengthen_block(ndim, shape, src_strides, dst_strides, item_size);
  }

  int64_t columns = shape[ndim - 1], rows = ndim > 1 ? shape[ndim - 2] : 1;
  int64_t src_column = src_strides[ndim - 1] * item_size, dst_column = dst_strides[ndim - 1] * item_size;
  int64_t src_row = ndim > 1 ? src_strides[ndim - 2] * item_size : 0;
  int64_t dst_row = ndim > 1 ? dst_strides[ndim - 2] * item_size : 0;
  int outer_ndim = std::max(0, ndim - 2);
  int64_t outer = total / (rows * columns);
  bool large = total * item_size >= parallel_bytes;
  Cut cut = large ? cut_block(rows, columns, item_size, src_column != item_size) : Cut{rows, columns};
  int64_t down = (rows + cut.rows - 1) / cut.rows, across = (columns + cut.columns - 1) / cut.columns;

  auto copy_cut = [&](int64_t piece, int64_t src_offset, int64_t dst_offset) {
    int64_t r = piece / across * cut.rows, c = piece % across * cut.columns;
    copy_block(src + src_offset + r * src_row + c * src_column, src_row, src_column,
        dst + dst_offset + r * dst_row + c * dst_column, dst_row, dst_column, std::min(cut.rows, rows - r),
        std::min(cut.columns, columns - c), item_size, past_caches);
  };
  // Consecutive (outer index, piece) pairs until a task is worth a thread's while.
  int64_t pieces = down * across, jobs = outer * pieces;
  int64_t per_task = large ? std::max<int64_t>(1, task_bytes / (cut.rows * cut.columns * item_size)) : jobs;
  parallel_for((jobs + per_task - 1) / per_task, [&](int64_t task) {
    Scratch index(static_cast<size_t>(outer_ndim));
    int64_t job = task * per_task, end = std::min(jobs, job + per_task);
    Odometer at(outer_ndim, shape, src_strides, dst_strides, index[0], job / pieces, item_size);
    for (int64_t piece = job % pieces; job < end; ++job) {
      copy_cut(piece, at.a_offset, at.b_offset);
      if (++piece == pieces) piece = 0, at.next();
    }
    if (past_caches) flush_past_caches();
  });
}

void fill(void* dst, const void* value, int64_t n, int item_size) {
  int64_t per_task = task_bytes / item_size;
  if (n * item_size < parallel_bytes) return copy_line(value, 0, dst, item_size, n, item_size);
  parallel_for((n + per_task - 1) / per_task, [&](int64_t task) {
    int64_t first = task * per_task;
    copy_line(
        value, 0, static_cast<char*>(dst) + first * item_size, item_size, std::min(per_task, n - first), item_size);
  });
}

} // namespace mlx::core::cpu
