// Squares of rows and columns are turned in registers, so that each vector has one element of every row, and back.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/scan_rows.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/lane_square-inl.h"
#include "mlx_core/cpu/scan_rows.h"
#include "mlx_core/interrupt.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
// The first of equal ones, so of zeros of both signs; nothing is better than a NaN in a.
template <bool max>
struct FirstExtremum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    auto better = max ? hn::Gt(b, a) : hn::Lt(b, a);
    if constexpr (hwy::IsFloat<hn::TFromD<D>>()) better = hn::Or(better, hn::IsNaN(b));
    return hn::IfThenElse(better, b, a);
  }
};

template <class Step, class T>
class RowScan {
  using Square = mlx::core::cpu::HWY_NAMESPACE::LaneSquare<T>;
  using D = typename Square::D;
  using V = typename Square::V;
  static constexpr int64_t N = Square::N;
  static constexpr bool in_blocks = std::is_same_v<Step, Add> && hwy::IsFloat<T>();

 public:
  RowScan(const RowsToScan& rows, T identity) : rows_(rows), identity_(identity) {
    std::fill_n(before_, N, static_cast<double>(identity));
  }
  template <bool backwards>
  void run() {
    V local = hn::Set(D(), identity_), before = local;
    const T* in = static_cast<const T*>(rows_.in);
    T* out = static_cast<T*>(rows_.out);
    int64_t left_of_block = rows_.block;
    InterruptPoll poll(64 * 1024); // elements
    for (int64_t left = rows_.n; left > 0; left -= N) {
      poll(N * N);
      const int64_t n = std::min(left, N);
      V v[N];
      load<backwards>(in, n, v);
      Square::transpose(v);
      if (in_blocks && left_of_block < n) {
        across_blocks<backwards>(v, n, left_of_block, local, before);
      } else {
#pragma GCC unroll 16
        for (int64_t i = 0; i < N; ++i) {
          V& at = v[backwards ? N - 1 - i : i];
          local = Step()(D(), local, at);
          at = in_blocks ? hn::Add(before, local) : local;
        }
        left_of_block -= n;
      }
      Square::transpose(v);
      store<backwards>(v, n, out);
      in += backwards ? -N : N;
      out += backwards ? -N : N;
    }
  }

 private:
  // Fewer than N elements are the first of a vector in scan order: the others come behind them, whatever they are.
  template <bool backwards>
  static hn::Mask<D> those(int64_t n) {
    const D d;
    return backwards ? hn::Not(hn::FirstN(d, static_cast<size_t>(N - n))) : hn::FirstN(d, static_cast<size_t>(n));
  }
  template <bool backwards>
  HWY_INLINE void load(const T* in, int64_t n, V* v) const {
    const D d;
    in -= backwards ? N - 1 : 0;
    if (n == N) {
#pragma GCC unroll 16
      for (int64_t r = 0; r < N; ++r) v[r] = hn::LoadU(d, in + r * rows_.in_pitch);
    } else {
      const auto kept = those<backwards>(n);
#pragma GCC unroll 16
      for (int64_t r = 0; r < N; ++r) v[r] = hn::MaskedLoad(kept, d, in + r * rows_.in_pitch);
    }
  }
  template <bool backwards>
  HWY_INLINE void store(const V* v, int64_t n, T* out) const {
    const D d;
    out -= backwards ? N - 1 : 0;
    if (n == N) {
#pragma GCC unroll 16
      for (int64_t r = 0; r < N; ++r) hn::StoreU(v[r], d, out + r * rows_.out_pitch);
    } else {
      const auto kept = those<backwards>(n);
#pragma GCC unroll 16
      for (int64_t r = 0; r < N; ++r) hn::BlendedStore(v[r], kept, d, out + r * rows_.out_pitch);
    }
  }
  // The same for a square in which a block ends, in memory: of a block's length that is one in three or more.
  template <bool backwards>
  HWY_NOINLINE void across_blocks(V* v, int64_t n, int64_t& left_of_block, V& local_sums, V& before_sums) {
    const D d;
    V local = local_sums, before = before_sums;
    for (int64_t i = 0; i < n; ++i) {
      if (left_of_block == 0) {
        alignas(64) T sums[N];
        hn::Store(local, d, sums);
        for (int64_t k = 0; k < N; ++k) {
          before_[k] += static_cast<double>(sums[k]);
          sums[k] = static_cast<T>(before_[k]);
        }
        before = hn::Load(d, sums);
        local = hn::Set(d, identity_);
        left_of_block = rows_.block;
      }
      V& at = v[backwards ? N - 1 - i : i];
      local = Step()(d, local, at);
      at = hn::Add(before, local);
      --left_of_block;
    }
    local_sums = local, before_sums = before;
  }

  const RowsToScan& rows_;
  const T identity_;
  alignas(64) double before_[N];
};

template <class Step, class T>
void scan_rows(const RowsToScan& rows, const void* identity) {
  RowScan<Step, T> scan(rows, *static_cast<const T*>(identity));
  rows.backwards ? scan.template run<true>() : scan.template run<false>();
}

template <class T>
ScanRows rows_of(ScanOp op) {
  constexpr int64_t rows = mlx::core::cpu::HWY_NAMESPACE::LaneSquare<T>::N;
  switch (op) {
    case ScanOp::sum: return {rows, scan_rows<Add, T>};
    case ScanOp::max: return {rows, scan_rows<FirstExtremum<true>, T>};
    case ScanOp::min: return {rows, scan_rows<FirstExtremum<false>, T>};
    case ScanOp::prod:
      if constexpr (hwy::IsFloat<T>()) return {rows, scan_rows<Multiply, T>};
  }
  return {};
}
ScanRows choose_scan_rows(ScanOp op, Dtype dtype) {
  if (dtype == float32) return rows_of<float>(op);
  if (dtype == float64) return rows_of<double>(op);
  if (dtype == int32) return rows_of<int32_t>(op);
  if (dtype == int64) return rows_of<int64_t>(op);
  return {};
}
#else
ScanRows choose_scan_rows(ScanOp, Dtype) { return {}; }
#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace bodies {
HWY_EXPORT(choose_scan_rows);
namespace {
ScanRows chosen_scan_rows(ScanOp op, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(choose_scan_rows)(op, dtype); }
} // namespace
} // namespace bodies

ScanRows find_scan_rows(ScanOp op, Dtype dtype) { return bodies::chosen_scan_rows(op, dtype); }

} // namespace mlx::core::cpu
#endif
