// Gathers: indices become offsets a chunk at a time, then each position's slice is copied.
#include "mlx_core/cpu/gather.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/gather_elements.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/small_vector.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_bytes = 64 << 10;
constexpr int64_t serial_bytes = 128 << 10;
constexpr int64_t large_bytes = 4 << 20;

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

  // Whether it is a few bytes, and those of every other slice that indices lead to are whole multiples away.
  bool is_one_element(std::span<const IndexOperand> indices, Ints src_strides) const {
    const int64_t bytes = size * item_size;
    return shape.size() == 1 && strides[0] == 1 && (bytes == 2 || bytes == 4 || bytes == 8) &&
           std::all_of(indices.begin(), indices.end(),
               [&](const IndexOperand& index) { return src_strides[static_cast<size_t>(index.axis)] % size == 0; });
  }

  void copy_all(const char* src, const int64_t* offsets, int64_t n, char* out) const {
    int64_t bytes = size * item_size;
    if (shape.empty()) {
      return with_item(item_size, [&]<class T>(std::type_identity<T>) {
        for (int64_t i = 0; i < n; ++i) {
          std::memcpy(out + i * item_size, reinterpret_cast<const T*>(src) + offsets[i], sizeof(T));
        }
      });
    }
    if (shape.size() == 1 && strides[0] == 1) return copy_rows_at(n, bytes, src, offsets, item_size, out);
    for (int64_t i = 0; i < n; ++i, out += bytes) {
      const char* from = src + offsets[i] * item_size;
      if (shape.size() == 1)
        copy_line(from, strides[0] * item_size, out, item_size, size, item_size);
      else
        read_strided(from, shape, strides, item_size, 0, size, out);
    }
  }
};

// What gather_along_axis reads and writes, apart from the walk; or a gather of single elements. The offsets of source
// and indices grow by a step from position to position, and by a line's from line to line.
struct Along {
  const void *src, *index;
  void* out;
  Dtype index_dtype;
  Bounds bounds;
  int64_t axis_stride, src_step, index_step, src_line, index_line;
};

// Lines of n positions: many are short, so that types and steps are known outside of them.
template <typename Index, typename T>
void gather_lines(const Along& along, int64_t flat, int64_t src_at, int64_t index_at, int64_t n, int64_t lines) {
  const auto* index = static_cast<const Index*>(along.index) + index_at;
  const T* src = static_cast<const T*>(along.src) + src_at;
  T* out = static_cast<T*>(along.out) + flat;
  const int64_t length = along.bounds.length, src_line = along.src_line, index_line = along.index_line;
  constexpr int64_t most = std::numeric_limits<int32_t>::max(), shortest = 16;
  const bool by_vectors = n >= shortest && along.index_step == 1 && along.src_step == 0 && length > 0 &&
                          length <= most && (length - 1) * std::abs(along.axis_stride) <= most;
  const GatherElements run = by_vectors ? find_gather_elements(sizeof(T)) : nullptr;
  auto all = [=, &along](auto index_step, auto src_step, auto axis_stride) {
    for (int64_t k = 0; k < lines; ++k) {
      const Index* at = index + k * index_line;
      const T* from = src + k * src_line;
      T* to = out + k * n;
      int64_t i = 0;
      if (run) {
        const ElementIndex by{
            at, dtype_of<Index>::val, static_cast<int32_t>(length), static_cast<int32_t>(along.axis_stride)};
        i = run(from, {&by, 1}, n, to);
      }
      for (; i < n; ++i) {
        auto given = static_cast<int64_t>(at[i * index_step]);
        int64_t place = given < 0 ? given + length : given;
        if (static_cast<uint64_t>(place) >= static_cast<uint64_t>(length)) [[unlikely]] {
          throw_index(along.bounds, given);
        }
        std::memcpy(to + i, from + i * src_step + place * axis_stride, sizeof(T)); // which may begin anywhere
      }
    }
  };
  bool along_last = along.index_step == 1 && along.src_step == 0 && along.axis_stride == 1;
  constexpr std::integral_constant<int64_t, 0> none{};
  constexpr std::integral_constant<int64_t, 1> one{};
  along_last ? all(one, none, one) : all(along.index_step, along.src_step, along.axis_stride);
}

// The same with indices of any type.
template <typename T>
void gather_any_lines(const Along& along, int64_t flat, int64_t src_at, int64_t index_at, int64_t n, int64_t lines) {
  int64_t values[index_chunk];
  Along read = along;
  read.index = values;
  read.index_step = 1;
  for (; lines > 0; --lines, flat += n, src_at += along.src_line, index_at += along.index_line) {
    const char* index = static_cast<const char*>(along.index) + index_at * along.index_dtype.size();
    read_indices(index, along.index_dtype, along.index_step, n, values);
    gather_lines<int64_t, T>(read, flat, src_at, 0, n, 1);
  }
}

// f with a gather of lines at indices of that type.
template <typename T, typename F>
void with_lines(Dtype index_dtype, F f) {
  switch (index_dtype.val) {
    case Dtype::Val::int32: return f([](const auto&... a) { gather_lines<int32_t, T>(a...); });
    case Dtype::Val::uint32: return f([](const auto&... a) { gather_lines<uint32_t, T>(a...); });
    case Dtype::Val::int64: return f([](const auto&... a) { gather_lines<int64_t, T>(a...); });
    default: return f([](const auto&... a) { gather_any_lines<T>(a...); });
  }
}

// Single elements at indices that lie one after the other.
void gather_along(const Along& along, int64_t positions, int item_size) {
  constexpr int64_t per_task = 16 * index_chunk;
  with_item(item_size, [&]<class T>(std::type_identity<T>) {
    with_lines<T>(along.index_dtype, [&](auto lines) {
      parallel_for((positions + per_task - 1) / per_task, [&](int64_t task) {
        for (int64_t first = task * per_task, end = std::min(positions, first + per_task); first < end;
            first += index_chunk) {
          lines(along, first, int64_t{0}, first, std::min(index_chunk, end - first), int64_t{1});
        }
      });
    });
  });
}

// Gathers of single elements by vectors, where these can take the indices.
class ByVectors {
 public:
  ByVectors(std::span<const IndexOperand> operands, Ints index_shape, Ints shape, Ints strides, int item_size)
      : operands_(operands), index_shape_(index_shape) {
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    int64_t farthest = 0;
    size_t apart = 0;
    for (const IndexOperand& operand : operands) {
      auto axis = static_cast<size_t>(operand.axis);
      const int64_t length = shape[axis], stride = length > 1 ? strides[axis] : 0;
      bool fits = length > 0 && length <= most && std::abs(stride) <= most;
      if (!fits || (operand.dtype != int32 && operand.dtype != uint32 && operand.dtype != int64)) return;
      farthest += (length - 1) * std::abs(stride);
      apart += is_in_line(index_shape, operand.strides) ? 0 : 1;
      indices_.push_back({operand.data, operand.dtype, static_cast<int32_t>(length), static_cast<int32_t>(stride)});
    }
    if (farthest <= most && apart <= most_apart) run_ = find_gather_elements(item_size);
  }

  bool can() const { return run_ != nullptr; }

  // Those of n positions from `first` on; false where one of them is out of bounds, or they are too few.
  bool run(const void* src, int64_t first, int64_t n, void* out) const {
    int64_t in_line[most_apart][index_chunk];
    auto indices = indices_;
    for (size_t k = 0, apart = 0; k < indices.size(); ++k) {
      const IndexOperand& operand = operands_[k];
      if (is_in_line(index_shape_, operand.strides)) {
        indices[k].data = static_cast<const char*>(operand.data) + first * operand.dtype.size();
      } else {
        read_strided(operand.data, index_shape_, operand.strides, operand.dtype.size(), first, n, in_line[apart]);
        indices[k].data = in_line[apart++];
      }
    }
    return run_(src, indices, n, out) == n;
  }

 private:
  static constexpr size_t most_apart = 3; // operands that are not in line, as of a grid's axes

  std::span<const IndexOperand> operands_;
  Ints index_shape_;
  SmallVector<ElementIndex, 4> indices_;
  GatherElements run_ = nullptr;
};

} // namespace

void gather(const void* src_data, Ints src_shape, Ints src_strides, int item_size,
    std::span<const IndexOperand> indices, Ints index_shape, Ints slice_shape, int64_t outer, void* out_data) {
  auto* src = static_cast<const char*>(src_data);
  auto* out = static_cast<char*>(out_data);
  auto inner = static_cast<size_t>(outer);
  Slice slice(slice_shape.subspan(inner), src_strides.subspan(inner), item_size);
  int64_t positions = product(index_shape), bytes = slice.size * item_size, blocks = product(slice_shape.first(inner));
  if (positions == 0 || bytes == 0 || blocks == 0) return;
  SmallVector<int64_t, 8> wide_strides;
  if (blocks == 1 && slice.is_one_element(indices, src_strides)) {
    for (int64_t stride : src_strides) wide_strides.push_back(stride / slice.size);
    src_strides = {wide_strides.data(), wide_strides.size()};
    item_size = static_cast<int>(bytes);
    slice = Slice({}, {}, item_size);
  }
  const bool of_elements = slice.shape.empty() && blocks == 1;
  std::optional<ByVectors> by_vectors;
  if (of_elements) by_vectors.emplace(indices, index_shape, src_shape, src_strides, item_size);
  if (of_elements && !by_vectors->can() && indices.size() == 1 && is_in_line(index_shape, indices[0].strides)) {
    auto axis = static_cast<size_t>(indices[0].axis);
    return gather_along({src, indices[0].data, out, indices[0].dtype, {"gather", indices[0].axis, src_shape[axis], 1},
                            src_strides[axis], 0, 1, 0, 0},
        positions, item_size);
  }
  bool large = (positions < 8 && bytes > serial_bytes) || bytes > large_bytes;
  if (blocks == 1 && large) { // each slice is copied by all threads
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
  // A task has some positions of some blocks, or all of one block or more.
  int64_t all = positions * bytes * blocks, some = std::max<int64_t>(1, std::min(task_bytes / bytes, 16 * index_chunk));
  bool serial = all <= serial_bytes && positions <= 16 * index_chunk;
  int64_t per_task = serial ? positions : std::min(positions, some), parts = (positions + per_task - 1) / per_task;
  int64_t blocks_per_task = serial ? blocks : std::clamp<int64_t>(some / positions, 1, blocks);
  parallel_for(parts * ((blocks + blocks_per_task - 1) / blocks_per_task), [&](int64_t task) {
    int64_t offsets[index_chunk], part = task % parts, block = task / parts * blocks_per_task;
    int64_t last_block = std::min(blocks, block + blocks_per_task), end = std::min(positions, (part + 1) * per_task);
    for (int64_t first = part * per_task; first < end; first += index_chunk) {
      int64_t n = std::min(index_chunk, end - first);
      if (of_elements && by_vectors->can() && by_vectors->run(src, first, n, out + first * bytes)) continue;
      read_offsets("gather", indices, index_shape, src_shape, src_strides, slice_shape, first, n, offsets);
      for (int64_t i = block; i < last_block; ++i) {
        int64_t from = 0;
        for (size_t d = inner, rest = static_cast<size_t>(i); d-- > 0; rest /= static_cast<size_t>(slice_shape[d])) {
          from += static_cast<int64_t>(rest % static_cast<size_t>(slice_shape[d])) * src_strides[d];
        }
        slice.copy_all(src + from * item_size, offsets, n, out + (i * positions + first) * bytes);
      }
    }
  });
}

void gather_along_axis(const void* src, Ints src_strides, int64_t src_length, int item_size, const void* index,
    Dtype index_dtype, Ints index_strides, Ints shape, int axis, void* out) {
  int64_t total = product(shape);
  if (total == 0) return;
  AxisWalk walk(shape, axis, src_strides, index_strides, {});
  Along along{src, index, out, index_dtype, {"take_along_axis", axis, src_length, 1},
      src_strides[static_cast<size_t>(axis)], walk.step(0), walk.step(1), walk.line(0), walk.line(1)};
  constexpr int64_t per_task = 4 * index_chunk; // each waits for memory, which is worth a thread's while early
  with_item(item_size, [&]<class T>(std::type_identity<T>) {
    auto in_tasks = [&](auto gather) {
      parallel_for((total + per_task - 1) / per_task, [&](int64_t task) {
        walk.blocks(task * per_task, std::min(total, (task + 1) * per_task),
            [&](int64_t flat, int64_t src_at, int64_t index_at, int64_t, int64_t n, int64_t lines) {
              gather(along, flat, src_at, index_at, n, lines);
            });
      });
    };
    with_lines<T>(index_dtype, in_tasks);
  });
}

} // namespace mlx::core::cpu
