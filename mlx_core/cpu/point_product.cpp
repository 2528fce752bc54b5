// A vector of rows at a time: one vector of each of their columns, which come apart when they are loaded and together
// when they are stored.
#include "mlx_core/cpu/point_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/point_product.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <int columns, class D, class V>
HWY_INLINE void load_columns(D d, const hn::TFromD<D>* from, V (&v)[4]) {
  if constexpr (columns == 2) hn::LoadInterleaved2(d, from, v[0], v[1]);
  if constexpr (columns == 3) hn::LoadInterleaved3(d, from, v[0], v[1], v[2]);
  if constexpr (columns == 4) hn::LoadInterleaved4(d, from, v[0], v[1], v[2], v[3]);
}
template <int columns, class D, class V>
HWY_INLINE void store_columns(D d, const V (&v)[4], hn::TFromD<D>* to) {
  if constexpr (columns == 2) hn::StoreInterleaved2(v[0], v[1], d, to);
  if constexpr (columns == 3) hn::StoreInterleaved3(v[0], v[1], v[2], d, to);
  if constexpr (columns == 4) hn::StoreInterleaved4(v[0], v[1], v[2], v[3], d, to);
}

template <class T, int K, int N>
void points(int64_t rows, const void* a_data, const Matrix& b_matrix, void* out_data) {
  const hn::ScalableTag<T> d;
  constexpr int64_t lanes = hn::MaxLanes(d);
  static_assert(lanes <= least_points);
  const T *a = static_cast<const T*>(a_data), *b = static_cast<const T*>(b_matrix.data);
  T* out = static_cast<T*>(out_data);
  hn::Vec<decltype(d)> factor[K][N];
  for (int k = 0; k < K; ++k) {
    for (int j = 0; j < N; ++j) factor[k][j] = hn::Set(d, b[k * b_matrix.row_stride + j * b_matrix.column_stride]);
  }
  for (int64_t i = 0; i < rows; i += lanes) {
    const int64_t row = std::min(i, rows - lanes); // the last ones may be done twice
    hn::Vec<decltype(d)> x[4], sum[4];
    load_columns<K>(d, a + row * K, x);
    for (int j = 0; j < N; ++j) {
      sum[j] = hn::Zero(d);
      for (int k = 0; k < K; ++k) sum[j] = hn::MulAdd(x[k], factor[k][j], sum[j]);
    }
    store_columns<N>(d, sum, out + row * N);
  }
}

template <class T>
PointProduct points_of(int64_t n, int64_t k) {
  static constexpr PointProduct all[3][3] = {{points<T, 2, 2>, points<T, 2, 3>, points<T, 2, 4>},
      {points<T, 3, 2>, points<T, 3, 3>, points<T, 3, 4>}, {points<T, 4, 2>, points<T, 4, 3>, points<T, 4, 4>}};
  return all[k - 2][n - 2];
}
PointProduct find_points(Dtype dtype, int64_t n, int64_t k) {
  return dtype == float32 ? points_of<float>(n, k) : points_of<double>(n, k);
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_points);

PointProduct point_product(Dtype dtype, int64_t m, int64_t n, int64_t k, const Matrix& a) {
  auto is_few = [](int64_t count) { return count >= 2 && count <= 4; };
  if ((dtype != float32 && dtype != float64) || m < least_points || !is_few(n) || !is_few(k) || a.column_stride != 1 ||
      a.row_stride != k) {
    return nullptr;
  }
  return HWY_DYNAMIC_DISPATCH(find_points)(dtype, n, k);
}

} // namespace mlx::core::cpu
#endif
