// Reading a tile's lines as columns, and storing its rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/transpose_tiles.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

#include "mlx_core/cpu/lane_square-inl.h"
#include "mlx_core/cpu/transpose_tiles.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3
// T is as wide as an element; nothing but moves is done to it. Each line is stored as a whole, so that it does not
// matter how soon it leaves the cache.
template <typename T>
void transpose_tiles(const void* src_data, int64_t src_column, void* dst_data, int64_t dst_row, int64_t rows,
    int64_t columns, bool past_caches) {
  using Square = mlx::core::cpu::HWY_NAMESPACE::LaneSquare<T>;
  constexpr int64_t size = sizeof(T), side = Square::N;
  auto tile = [&](int64_t r, int64_t c, auto store) HWY_ATTR {
    typename Square::V v[side];
    const char* from = static_cast<const char*>(src_data) + r * size + c * src_column;
    Square::read_transposed(reinterpret_cast<const T*>(from), src_column / size, v);
    char* to = static_cast<char*>(dst_data) + r * dst_row + c * size;
#pragma GCC unroll 16
    for (int64_t i = 0; i < side; ++i) store(v[i], reinterpret_cast<T*>(to + i * dst_row));
  };
  const hn::ScalableTag<T> d;
  if (past_caches) {
    for (int64_t c = 0; c < columns; c += side) {
      for (int64_t r = 0; r < rows; r += side) tile(r, c, [&](auto v, T* to) HWY_ATTR { hn::Stream(v, d, to); });
    }
    return;
  }
  constexpr int64_t together = 4 * side; // columns: neighbouring lines of a row, one after another
  for (int64_t first = 0; first < columns; first += together) {
    const int64_t end = std::min(columns, first + together);
    for (int64_t r = 0; r < rows; r += side) {
      for (int64_t c = first; c < end; c += side) tile(r, c, [&](auto v, T* to) HWY_ATTR { hn::StoreU(v, d, to); });
    }
  }
}

TransposeTiles tiles_of(int item_size) {
  return item_size == 4 ? transpose_tiles<float> : item_size == 8 ? transpose_tiles<double> : nullptr;
}
#else
TransposeTiles tiles_of(int) { return nullptr; }
#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace bodies {
HWY_EXPORT(tiles_of);
namespace {
TransposeTiles chosen(int item_size) { return HWY_DYNAMIC_DISPATCH(tiles_of)(item_size); }
} // namespace
} // namespace bodies

TransposeTiles find_transpose_tiles(int item_size) { return bodies::chosen(item_size); }

} // namespace mlx::core::cpu
#endif
