// Searching sorted rows by bisection.
#include "mlx_core/cpu/bisect.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/order.h"
#include "mlx_core/cpu/sort.h"

namespace mlx::core::cpu {

namespace {

// How many elements of each value's row come before it; with right, how many do not come after it. Every search takes
// the same number of steps, so several go side by side, and their cache misses overlap.
template <typename T, int count, bool right>
void places(
    const T* const (&rows)[count], int64_t length, int64_t step, const T (&values)[count], uint32_t (&out)[count]) {
  int64_t first[count] = {};
  int64_t left = length;
  auto further = [&](int k, int64_t at) {
    T element = rows[k][at * step];
    return right ? !before(values[k], element) : before(element, values[k]);
  };
  while (left > 1) {
    int64_t half = left / 2;
    for (int k = 0; k < count; ++k) { // without a branch: it would be guessed wrong half the time
      first[k] += half & -static_cast<int64_t>(further(k, first[k] + half - 1));
    }
    left -= half;
  }
  for (int k = 0; k < count; ++k) {
    out[k] = static_cast<uint32_t>(first[k] + (left == 1 && further(k, first[k]) ? 1 : 0));
  }
}

} // namespace

void search_sorted(Dtype dtype, const void* sorted, int64_t length, int64_t step, Ints row_strides, const void* values,
    Ints value_strides, Ints shape, bool right, void* out) {
  constexpr int64_t piece = 1024; // values of one lane that a task takes at once
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<3> lanes(shape, static_cast<int>(shape.size()) - 1, false, {row_strides, value_strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  int64_t pieces = (lanes.length + piece - 1) / piece;
  const bool in_order = step == 1 && lanes.step == std::array<int64_t, 3>{0, 1, 1} && length > 0 && length < 1 << 30;
  const Bisect bisect = in_order ? find_bisect(dtype, right) : nullptr;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    auto search = [&]<int count>(std::integral_constant<int, count>, std::array<int64_t, 3> at) {
      const T* rows[count];
      T targets[count];
      uint32_t found[count];
      for (int k = 0; k < count; ++k) {
        rows[k] = static_cast<const T*>(sorted) + at[0] + k * lanes.step[0];
        targets[k] = static_cast<const T*>(values)[at[1] + k * lanes.step[1]];
      }
      right ? places<T, count, true>(rows, length, step, targets, found)
            : places<T, count, false>(rows, length, step, targets, found);
      for (int k = 0; k < count; ++k) {
        static_cast<uint32_t*>(out)[at[2] + k * lanes.step[2]] = found[k];
      }
    };
    parallel_items(lanes.outer * lanes.width * pieces, 8 * std::min(piece, lanes.length), [&](int64_t i) {
      int64_t lane = i / pieces, j = i % pieces * piece, end = std::min(lanes.length, j + piece);
      auto start = lanes.offsets(lane / lanes.width, lane % lanes.width);
      auto at = [&] {
        return std::array{start[0] + j * lanes.step[0], start[1] + j * lanes.step[1], start[2] + j * lanes.step[2]};
      };
      if (bisect) {
        const auto [row, value, to] = at();
        return bisect(static_cast<const T*>(sorted) + row, length, static_cast<const T*>(values) + value, end - j,
            static_cast<uint32_t*>(out) + to);
      }
      for (; j + 8 <= end; j += 8) {
        search(std::integral_constant<int, 8>(), at());
      }
      for (; j < end; ++j) {
        search(std::integral_constant<int, 1>(), at());
      }
    });
  });
}

} // namespace mlx::core::cpu
