// Parting lanes at an element: values travel with their indices, so that comparing them does not jump about in memory.
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/order.h"
#include "mlx_core/cpu/sort.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
struct Indexed {
  T value;
  uint32_t index;
};

// `count` neighbouring lanes from w on: what lies side by side in memory is read together.
template <typename T>
void part(const Lanes<2>& lanes, int64_t o, int64_t w, int64_t count, int64_t kth, const T* in, uint32_t* out) {
  auto [from, to] = lanes.offsets(o, w);
  const int64_t n = lanes.length;
  std::vector<Indexed<T>> items(static_cast<size_t>(n * count));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      items[static_cast<size_t>(k * n + i)] = {
          in[from + i * lanes.step[0] + k * lanes.pitch[0]], static_cast<uint32_t>(i)};
    }
  }
  auto less = [](const auto& a, const auto& b) { return before<T>(a.value, b.value); };
  for (int64_t k = 0; k < count; ++k) {
    auto first = items.begin() + k * n, middle = first + kth;
    std::nth_element(first, middle, first + n, less);
    if (kth > 0) {
      std::iter_swap(std::max_element(first, middle, less), middle - 1);
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      out[to + i * lanes.step[1] + k * lanes.pitch[1]] = items[static_cast<size_t>(k * n + i)].index;
    }
  }
}

} // namespace

void argpartition(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, int64_t kth, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  // Together as many lanes as a cache line has elements, and a cache elements.
  int64_t group = lanes.pitch[1] < lanes.step[1] ? std::clamp<int64_t>((64 << 10) / lanes.length, 1, 16) : 1;
  int64_t groups = (lanes.width + group - 1) / group;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    parallel_items(lanes.outer * groups, 4 * group * lanes.length, [&](int64_t i) {
      int64_t w = i % groups * group;
      part(lanes, i / groups, w, std::min(group, lanes.width - w), kth, static_cast<const T*>(in),
          static_cast<uint32_t*>(out));
    });
  });
}

} // namespace mlx::core::cpu
