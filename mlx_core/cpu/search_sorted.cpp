// Searching sorted rows by bisection.
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/order.h"
#include "mlx_core/cpu/sort.h"

namespace mlx::core::cpu {

namespace {

// How many elements of the row come before the value; with right, how many do not come after it.
template <typename T>
uint32_t place(const T* row, int64_t length, int64_t step, T value, bool right) {
  int64_t first = 0;
  for (int64_t count = length; count > 0;) {
    int64_t half = count / 2;
    T element = row[(first + half) * step];
    bool further = right ? !before(value, element) : before(element, value);
    first = further ? first + half + 1 : first;
    count = further ? count - half - 1 : half;
  }
  return static_cast<uint32_t>(first);
}

} // namespace

void search_sorted(
    Dtype dtype, const void* sorted, int64_t length, int64_t step, Ints row_strides, const void* values, Ints value_strides,
    Ints shape, bool right, void* out) {
  constexpr int64_t piece = 1024; // values of one lane that a task takes at once
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<3> lanes(shape, static_cast<int>(shape.size()) - 1, false, {row_strides, value_strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  int64_t pieces = (lanes.length + piece - 1) / piece;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    parallel_items(lanes.outer * lanes.width * pieces, 8 * std::min(piece, lanes.length), [&](int64_t i) {
      int64_t lane = i / pieces, first = i % pieces * piece, end = std::min(lanes.length, first + piece);
      auto [row, value, to] = lanes.offsets(lane / lanes.width, lane % lanes.width);
      for (int64_t j = first; j < end; ++j) {
        static_cast<uint32_t*>(out)[to + j * lanes.step[2]] = place(
            static_cast<const T*>(sorted) + row + j * lanes.step[0], length, step,
            static_cast<const T*>(values)[value + j * lanes.step[1]], right);
      }
    });
  });
}

} // namespace mlx::core::cpu
