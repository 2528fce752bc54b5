// argmin and argmax: the first of the extreme elements; a NaN counts as the extreme. Blocks of 4096 elements give
// candidates, which are the elements of the next pass.
#include <metal_stdlib>
using namespace metal;

#include "layout.h"
#include "numbers.h"

constant constexpr uint arg_block_length = 4096;

struct MaxOrder {
  template <typename T>
  static bool better(T a, T b) {
    return !is_nan(b) && (is_nan(a) || is_less(b, a));
  }
};
struct MinOrder {
  template <typename T>
  static bool better(T a, T b) {
    return !is_nan(b) && (is_nan(a) || is_less(a, b));
  }
};

template <typename Order, typename T>
[[kernel, max_total_threads_per_threadgroup(256)]] void arg_rows(device const T* in [[buffer(0)]],
    device const uint* candidates [[buffer(1)]], device uint* out [[buffer(2)]],
    constant mlx_arguments::ArgReduce& a [[buffer(3)]], uint group [[threadgroup_position_in_grid]],
    uint simdgroup_number [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  uint unit = group * 8 + simdgroup_number;
  if (unit >= a.outs * a.blocks) {
    return;
  }
  uint result = unit / a.blocks, first = unit % a.blocks * arg_block_length;
  uint count = min(arg_block_length, a.length - first), live = min(count, 32u);
  device const T* row = in + a.from + offset_of(a.kept, result);
  uint best = 0;
  Wide<T> value = reduction::sum::identity<Wide<T>>();
  for (uint e = lane; e < count; e += 32) {
    uint index = a.from_axis ? first + e : candidates[result * a.length + first + e];
    Wide<T> x = Wide<T>(row[long(index) * a.step]);
    if (e == lane || Order::better(x, value)) {
      best = index;
      value = x;
    }
  }
  for (ushort by = 16; by > 0; by /= 2) {
    const bool takes = lane + by < live;
    const ushort from = ushort(takes ? lane + by : lane);
    Wide<T> other = reduction::from_lane(value, from);
    uint other_best = reduction::from_lane(best, from);
    if (takes && (Order::better(other, value) || (!Order::better(value, other) && other_best < best))) {
      best = other_best;
      value = other;
    }
  }
  if (lane == 0) {
    out[unit] = best;
  }
}

// A thread for each result, where neighbours lie along the kept axes.
template <typename Order, typename T>
[[kernel]] void arg_columns(device const T* in [[buffer(0)]], device uint* out [[buffer(2)]],
    constant mlx_arguments::ArgReduce& a [[buffer(3)]], uint result [[thread_position_in_grid]]) {
  device const T* row = in + a.from + offset_of(a.kept, result);
  uint best = 0;
  Wide<T> value = Wide<T>(row[0]);
  for (uint e = 1; e < a.length; ++e) {
    Wide<T> x = Wide<T>(row[long(e) * a.step]);
    if (Order::better(x, value)) {
      best = e;
      value = x;
    }
  }
  out[result] = best;
}

#define ONE(kernel_name, op, Order, in, In)                                                                      \
  template [[host_name(#kernel_name "_" #op "_" #in)]] [[kernel]] decltype(kernel_name<Order, In>) kernel_name<Order, In>;
#define TYPE(in, In)                      \
  ONE(arg_rows, min, MinOrder, in, In)    \
  ONE(arg_rows, max, MaxOrder, in, In)    \
  ONE(arg_columns, min, MinOrder, in, In) \
  ONE(arg_columns, max, MaxOrder, in, In)

TYPE(uint8, uchar)
TYPE(uint16, ushort)
TYPE(uint32, uint)
TYPE(uint64, ulong)
TYPE(int8, char)
TYPE(int16, short)
TYPE(int32, int)
TYPE(int64, long)
TYPE(float16, half)
TYPE(bfloat16, bfloat)
TYPE(float32, float)
TYPE(complex64, complex64_t)
