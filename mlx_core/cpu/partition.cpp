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

template <typename T>
void part(const Lanes<2>& lanes, int64_t lane, int64_t kth, const T* in, uint32_t* out) {
  auto [from, to] = lanes.offsets(lane / lanes.width, lane % lanes.width);
  std::vector<Indexed<T>> items(static_cast<size_t>(lanes.length));
  for (uint32_t i = 0; auto& item : items) {
    item = {in[from], i++};
    from += lanes.step[0];
  }
  std::nth_element(items.begin(), items.begin() + kth, items.end(), [](const auto& a, const auto& b) {
    return before<T>(a.value, b.value);
  });
  for (const auto& item : items) {
    out[to] = item.index;
    to += lanes.step[1];
  }
}

} // namespace

void argpartition(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, int64_t kth, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    parallel_items(lanes.outer * lanes.width, 4 * lanes.length, [&](int64_t lane) {
      part(lanes, lane, kth, static_cast<const T*>(in), static_cast<uint32_t*>(out));
    });
  });
}

} // namespace mlx::core::cpu
