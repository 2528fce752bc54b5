// Copies between layouts, ranges and random bits.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <vector>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

// A grid over `size` elements in one axis, or two where that is too long.
Grid grid_over(uint64_t size) {
  constexpr uint64_t longest = uint64_t{1} << 30;
  return size <= longest ? Grid{size, 1, 1} : Grid{longest, (size + longest - 1) / longest, 1};
}
uint64_t group_for(uint64_t size) { return std::clamp<uint64_t>((size + 31) / 32 * 32, 32, 256); }

// The axes of a copy, outermost first, without those of length 1, neighbours merged where both layouts allow it.
struct Axes {
  std::vector<int64_t> lengths, from, to;
  size_t rank() const { return lengths.size(); }
};

Axes axes_of(const kernel::Copy& k) {
  Axes axes;
  for (size_t d = 0; d < k.from.ndim(); ++d) {
    int64_t length = k.from.sizes[d];
    if (length == 1) {
      continue;
    }
    size_t last = axes.rank() - 1;
    if (axes.rank() > 0 && axes.from[last] == k.from.strides[d] * length && axes.to[last] == k.to.strides[d] * length) {
      axes.lengths[last] *= length;
      axes.from[last] = k.from.strides[d];
      axes.to[last] = k.to.strides[d];
    } else {
      axes.lengths.push_back(length);
      axes.from.push_back(k.from.strides[d]);
      axes.to.push_back(k.to.strides[d]);
    }
  }
  return axes;
}

std::string kernel_for(const char* name, int itemsize) { return name + ("_" + std::to_string(itemsize)); }

// Where `to` runs along its last axis and `from` along another: by tiles. That axis, or -1.
int transposed_axis(const Axes& axes) {
  size_t rank = axes.rank();
  constexpr int64_t worth_tiles = 16;
  if (rank < 2 || axes.to[rank - 1] != 1 || axes.lengths[rank - 1] < worth_tiles ||
      std::abs(axes.from[rank - 1]) == 1) {
    return -1;
  }
  for (size_t axis = 0; axis + 1 < rank; ++axis) {
    if (axes.from[axis] == 1 && axes.lengths[axis] >= worth_tiles) {
      return static_cast<int>(axis);
    }
  }
  return -1;
}

void copy_transposed(Encoder& encoder, const kernel::Copy& k, const Axes& axes, size_t row_axis) {
  size_t last = axes.rank() - 1;
  Bound from = from_lowest(k.from), to = from_lowest(k.to);
  std::vector<int64_t> layout{axes.lengths[row_axis], axes.lengths[last], axes.from[last], axes.to[row_axis],
      from.first, to.first, static_cast<int64_t>(axes.rank()) - 2};
  uint64_t outer = 1;
  for (const auto* list : {&axes.lengths, &axes.from, &axes.to}) {
    for (size_t axis = 0; axis < last; ++axis) {
      if (axis != row_axis) {
        layout.push_back((*list)[axis]);
        outer *= list == &axes.lengths ? static_cast<uint64_t>((*list)[axis]) : 1;
      }
    }
  }
  encoder.kernel("copy", kernel_for("copy_transposed", k.from.itemsize()));
  encoder.read(0, from.view);
  encoder.write(1, to.view);
  encoder.values(2, std::span<const int64_t>(layout));
  auto tiles = [](int64_t length) { return static_cast<uint64_t>((length + 31) / 32); };
  encoder.dispatch_groups({tiles(axes.lengths[last]), tiles(axes.lengths[row_axis]), outer}, {32, 8, 1});
}

void copy_strided(Encoder& encoder, const kernel::Copy& k, const Axes& axes) {
  Bound from = from_lowest(k.from), to = from_lowest(k.to);
  std::vector<int64_t> layout{static_cast<int64_t>(axes.rank()), from.first, to.first};
  for (const auto* list : {&axes.lengths, &axes.from, &axes.to}) {
    layout.insert(layout.end(), list->begin(), list->end());
  }
  size_t rank = axes.rank();
  Grid grid;
  grid.x = static_cast<uint64_t>(axes.lengths[rank - 1]);
  grid.y = rank > 1 ? static_cast<uint64_t>(axes.lengths[rank - 2]) : 1;
  for (size_t axis = 0; axis + 2 < rank; ++axis) {
    grid.z *= static_cast<uint64_t>(axes.lengths[axis]);
  }
  encoder.kernel("copy", kernel_for("copy_strided", k.from.itemsize()));
  encoder.read(0, from.view);
  encoder.write(1, to.view);
  encoder.values(2, std::span<const int64_t>(layout));
  uint64_t x = std::min<uint64_t>(std::bit_ceil(grid.x), 256), y = std::min<uint64_t>(std::bit_ceil(grid.y), 256 / x);
  encoder.dispatch_threads(grid, {x, y, 1});
}

} // namespace

bool supports(const kernel::Copy& k) {
  constexpr int64_t longest = int64_t{1} << 32; // of an axis of the grid
  Axes axes = axes_of(k);
  int64_t outer = 1;
  for (size_t axis = 0; axis + 2 < axes.rank(); ++axis) {
    outer *= axes.lengths[axis];
  }
  bool fits =
      axes.rank() < 2 || std::all_of(axes.lengths.begin(), axes.lengths.end(), [](int64_t n) { return n < longest; });
  return k.to.buffer && fits && outer < longest;
}

void launch(Encoder& encoder, const kernel::Copy& k) {
  if (k.to.size() == 0) {
    return;
  }
  Axes axes = axes_of(k);
  bool one = axes.rank() == 0;
  bool single = axes.rank() == 1 && axes.to[0] == 1 && (axes.from[0] == 0 || axes.from[0] == 1);
  if (one || single) {
    auto size = static_cast<uint64_t>(k.to.size());
    encoder.kernel("copy", kernel_for("copy_flat", k.from.itemsize()));
    encoder.read(0, k.from);
    encoder.write(1, k.to);
    encoder.value(2, size);
    encoder.value(3, static_cast<uint32_t>(one ? 0 : axes.from[0]));
    encoder.dispatch_threads(grid_over(size), {group_for(size), 1, 1});
  } else if (int axis = transposed_axis(axes); axis >= 0) {
    copy_transposed(encoder, k, axes, static_cast<size_t>(axis));
  } else {
    copy_strided(encoder, k, axes);
  }
}

bool supports(const kernel::Range& k) {
  return has_shader_type(k.out.dtype) && k.out.buffer && k.divisor == 1 && !k.last;
}

void launch(Encoder& encoder, const kernel::Range& k) {
  auto size = static_cast<uint64_t>(k.out.size());
  if (size == 0) {
    return;
  }
  struct {
    uint64_t start, step, size;
  } range{0, 0, size};
  if (k.whole) {
    range.start = static_cast<uint64_t>(k.whole_start);
    range.step = static_cast<uint64_t>(k.whole_step);
  } else {
    range.start = std::bit_cast<uint64_t>(k.start);
    range.step = std::bit_cast<uint64_t>(k.step);
  }
  encoder.kernel("range", (k.whole ? "range_integers_" : "range_doubles_") + std::string(name_of(k.out.dtype)));
  encoder.write(0, k.out);
  encoder.value(1, range);
  encoder.dispatch_threads(grid_over(size), {group_for(size), 1, 1});
}

bool supports(const kernel::RandomBits& k) {
  int64_t keys = k.keys.size() / 2, bytes = k.out.size() * k.out.itemsize();
  constexpr int64_t most = int64_t{1} << 32;
  return k.keys.buffer && k.out.buffer && keys < most && bytes < most * 4 * std::max<int64_t>(keys, 1);
}

void launch(Encoder& encoder, const kernel::RandomBits& k) {
  int64_t keys = k.keys.size() / 2, bytes = k.out.size() * k.out.itemsize();
  if (keys == 0 || bytes == 0) {
    return;
  }
  bytes /= keys;
  uint64_t words = static_cast<uint64_t>(bytes + 3) / 4, counters = (words + 1) / 2;
  struct {
    uint64_t counters, bytes;
  } sizes{counters, static_cast<uint64_t>(bytes)};
  encoder.kernel("random", bytes % 4 == 0 ? "random_words" : "random_bytes");
  encoder.read(0, k.keys);
  encoder.write(1, k.out);
  encoder.value(2, sizes);
  uint64_t x = std::min<uint64_t>(std::bit_ceil(counters), 256);
  uint64_t y = std::min<uint64_t>(std::bit_ceil(static_cast<uint64_t>(keys)), 256 / x);
  encoder.dispatch_threads({counters, static_cast<uint64_t>(keys), 1}, {x, y, 1});
}

} // namespace mlx::core::gpu
