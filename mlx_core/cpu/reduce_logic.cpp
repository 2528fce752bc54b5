// all and any over every dtype. Partials are bytes, 0 or 1; bool under any other reduction is one of the two.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/reduce_logic.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <cstring>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/reduce_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// An element is true when one of its `words` words of type U, less the sign bits of floating types, is not zero.
template <bool all, typename U, U mask, int words = 1>
struct Logic {
  static constexpr int64_t lanes = 64;

  static HWY_INLINE uint8_t truth(const U* p) {
    U bits = static_cast<U>(p[0] & mask);
    if constexpr (words == 2) bits |= p[1] & mask;
    return bits != 0;
  }
  static HWY_INLINE uint8_t join(uint8_t a, uint8_t b) { return all ? a & b : a | b; }

  static void start(const void* in, int64_t n, void* acc) {
    for (int64_t i = 0; i < n; ++i) static_cast<uint8_t*>(acc)[i] = truth(static_cast<const U*>(in) + i * words);
  }
  static void accumulate(const void* in_data, int64_t n, void* acc_data) {
    auto* HWY_RESTRICT in = static_cast<const U*>(in_data);
    auto* HWY_RESTRICT acc = static_cast<uint8_t*>(acc_data);
    if constexpr (words == 1 && sizeof(U) == 1) return join_bytes(in, n, acc, true);
    for (int64_t i = 0; i < n; ++i) acc[i] = join(acc[i], truth(in + i * words));
  }
  static void combine(const void* more, int64_t n, void* acc) {
    join_bytes(static_cast<const uint8_t*>(more), n, static_cast<uint8_t*>(acc), false);
  }
  // Bytes that are not yet 0 or 1 are made so by min(byte, 1).
  static HWY_INLINE void join_bytes(const uint8_t* HWY_RESTRICT in, int64_t n, uint8_t* HWY_RESTRICT acc, bool raw) {
    const hn::ScalableTag<uint8_t> d;
    constexpr int64_t N = hn::MaxLanes(d);
    const auto one = hn::Set(d, 1);
    int64_t i = 0;
    for (; i + N <= n; i += N) {
      auto a = hn::LoadU(d, acc + i), b = hn::LoadU(d, in + i);
      if (raw) b = hn::Min(b, one);
      hn::StoreU(all ? hn::And(a, b) : hn::Or(a, b), d, acc + i);
    }
    for (; i < n; ++i) acc[i] = join(acc[i], in[i] != 0);
  }
  static void columns(const char* base, const int64_t* offsets, int64_t count, int64_t, int64_t n, int64_t lines,
      int64_t step, void* acc_data) {
    auto* acc = static_cast<uint8_t*>(acc_data);
    for (int64_t line = 0; line < lines; ++line, base += step, acc += n) {
      start(base + offsets[0], n, acc);
      for (int64_t r = 1; r < count; ++r) accumulate(base + offsets[r], n, acc); // any order gives the same
    }
  }
  static void groups(const void* in_data, int64_t rows, int64_t n, int64_t groups, void* acc_data) {
    auto* in = static_cast<const U*>(in_data);
    auto* acc = static_cast<uint8_t*>(acc_data);
    for (int64_t group = 0; group < groups; ++group, acc += n) {
      start(in, n, acc);
      in += n * words;
      for (int64_t r = 1; r < rows; ++r, in += n * words) accumulate(in, n, acc);
    }
  }
  static void store(const void* acc, int64_t n, void* out) { std::memcpy(out, acc, static_cast<size_t>(n)); }

  static HWY_INLINE uint8_t reduce_run(const U* HWY_RESTRICT in, int64_t n) {
    int64_t i = 0;
    if constexpr (words == 1) {
      const hn::ScalableTag<U> d;
      constexpr int64_t N = hn::MaxLanes(d);
      const auto significant = hn::Set(d, mask);
      const auto zero = hn::Zero(d);
      for (; i + 4 * N <= n; i += 4 * N) { // the verdict may be known early: look every four vectors
        auto a = hn::And(hn::LoadU(d, in + i), significant), b = hn::And(hn::LoadU(d, in + i + N), significant);
        auto c = hn::And(hn::LoadU(d, in + i + 2 * N), significant),
             e = hn::And(hn::LoadU(d, in + i + 3 * N), significant);
        if constexpr (all) {
          auto zeros = hn::Or(hn::Or(hn::Eq(a, zero), hn::Eq(b, zero)), hn::Or(hn::Eq(c, zero), hn::Eq(e, zero)));
          if (!hn::AllFalse(d, zeros)) return 0;
        } else {
          if (!hn::AllTrue(d, hn::Eq(hn::Or(hn::Or(a, b), hn::Or(c, e)), zero))) return 1;
        }
      }
    }
    for (; i < n; ++i) {
      if (truth(in + i * words) != all) return !all;
    }
    return all;
  }
  static void block(const void* in, int64_t n, void* partial) {
    *static_cast<uint8_t*>(partial) = reduce_run(static_cast<const U*>(in), n);
  }
  static void finish(void* partials, int64_t count, void* out) {
    auto* p = static_cast<const uint8_t*>(partials);
    uint8_t result = all;
    for (int64_t i = 0; i < count; ++i) result = join(result, p[i]);
    *static_cast<uint8_t*>(out) = result;
  }
  static void identity(void* out) { *static_cast<uint8_t*>(out) = all; }
  static void rows(const void* in, int64_t n, int64_t row_bytes, int64_t rows, void* out) {
    for (int64_t r = 0; r < rows; ++r) {
      static_cast<uint8_t*>(out)[r] =
          reduce_run(reinterpret_cast<const U*>(static_cast<const char*>(in) + r * row_bytes), n);
    }
  }
  static const ReduceKernels& kernels() {
    static constexpr ReduceKernels table{
        lanes, 1, &block, &finish, &identity, &rows, &start, &accumulate, &combine, &store, &columns, &groups};
    return table;
  }
};

template <bool all>
const ReduceKernels& by_dtype(Dtype dtype) {
  constexpr uint64_t low63 = ~uint64_t{0} >> 1, both_low31 = 0x7fffffff7fffffff;
  if (dtype.is_floating()) {
    if (dtype.size() == 2) return Logic<all, uint16_t, 0x7fff>::kernels();
    if (dtype.size() == 4) return Logic<all, uint32_t, 0x7fffffff>::kernels();
    return Logic<all, uint64_t, low63>::kernels();
  }
  if (dtype == complex64) return Logic<all, uint64_t, both_low31>::kernels();
  if (dtype == complex128) return Logic<all, uint64_t, low63, 2>::kernels();
  return with_bits(dtype.size(), []<class T>(std::type_identity<T>) -> const ReduceKernels& {
    return Logic<all, T, static_cast<T>(~T{0})>::kernels();
  });
}

const ReduceKernels& logic_kernels(Reduction op, Dtype dtype) {
  bool all = op == Reduction::all || op == Reduction::prod || op == Reduction::min;
  return all ? by_dtype<true>(dtype) : by_dtype<false>(dtype);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(logic_kernels);
const ReduceKernels& find_logic_kernels(Reduction op, Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(logic_kernels)(op, dtype);
}
} // namespace mlx::core::cpu
#endif
