// Sums, products, extrema and truth over any axes. The elements of a result are cut into blocks of 1024, each reduced by
// the tree of lanes.h; the blocks' results are elements of the next pass. Which kernel runs is chosen by the layout alone.
#include <metal_stdlib>
using namespace metal;

#include "lanes.h"
#include "layout.h"

constant constexpr uint block_length = 1024;

// An element as what is carried; as its truth, where that is bool.
template <typename C>
struct Lifted {
  template <typename In>
  static C from(In x) {
    return C(x);
  }
};
template <>
struct Lifted<bool> {
  template <typename In>
  static bool from(In x) {
    return !is_zero(x);
  }
};

// A simdgroup for each block: lanes read neighbours along the reduced axes.
template <typename Op, typename In, typename C, typename Out>
[[kernel, max_total_threads_per_threadgroup(256)]] void reduce_rows(device const In* in [[buffer(0)]],
    device Out* out [[buffer(1)]], constant mlx_arguments::Reduce& a [[buffer(2)]],
    uint group [[threadgroup_position_in_grid]], uint simdgroup_number [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  uint unit = group * 8 + simdgroup_number;
  if (unit >= a.outs * a.blocks) {
    return;
  }
  uint result = unit / a.blocks, first = unit % a.blocks * block_length;
  uint count = min(block_length, a.length - first);
  device const In* row = in + a.from + offset_of(a.kept, result);
  C value = Op::template identity<C>();
  if (lane < count) {
    value = Lifted<C>::from(row[offset_of(a.reduced, first + lane)]);
  }
  for (uint e = lane + 32; e < count; e += 32) {
    value = Op::apply(value, Lifted<C>::from(row[offset_of(a.reduced, first + e)]));
  }
  value = reduction::fold_lanes<Op>(value, lane, 32, min(count, 32u), lane);
  if (lane == 0) {
    out[unit] = Out(value);
  }
}

// A threadgroup for a block of 32 results: lanes read neighbours along the kept axes.
template <typename Op, typename In, typename C, typename Out>
[[kernel, max_total_threads_per_threadgroup(256)]] void reduce_columns(device const In* in [[buffer(0)]],
    device Out* out [[buffer(1)]], constant mlx_arguments::Reduce& a [[buffer(2)]],
    uint group [[threadgroup_position_in_grid]], uint slice [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  threadgroup C tile[256];
  uint result = group / a.blocks * 32 + lane, block = group % a.blocks, first = block * block_length;
  uint count = result < a.outs ? min(block_length, a.length - first) : 0;
  C values[4];
  device const In* row = in + a.from + (count > 0 ? offset_of(a.kept, result) : 0);
  for (uint k = 0; k < 4; ++k) {
    uint e = slice + 8 * k;
    values[k] = Op::template identity<C>();
    if (e < count) {
      values[k] = Lifted<C>::from(row[offset_of(a.reduced, first + e)]);
    }
    for (e += 32; e < count; e += 32) {
      values[k] = Op::apply(values[k], Lifted<C>::from(row[offset_of(a.reduced, first + e)]));
    }
  }
  C value = fold_slices<Op>(values, tile, slice, lane, min(count, 32u));
  if (slice == 0 && result < a.outs) {
    out[result * a.blocks + block] = Out(value);
  }
}

// A thread for each result, of no more than 16 elements.
template <typename Op, typename In, typename C, typename Out>
[[kernel]] void reduce_few(device const In* in [[buffer(0)]], device Out* out [[buffer(1)]],
    constant mlx_arguments::Reduce& a [[buffer(2)]], uint result [[thread_position_in_grid]]) {
  device const In* row = in + a.from + offset_of(a.kept, result);
  C values[16];
  values[0] = Op::template identity<C>();
  for (uint e = 0; e < a.length; ++e) {
    values[e] = Lifted<C>::from(row[offset_of(a.reduced, e)]);
  }
  out[result] = Out(fold_few<Op>(values, a.length));
}

#define ONE(kernel_name, op, Op, in, In, C, out, Out)                                       \
  template [[host_name(#kernel_name "_" #op "_" #in "_" #out)]] [[kernel]] decltype(kernel_name<Op, In, C, Out>) \
  kernel_name<Op, In, C, Out>;
#define EACH(op, Op, in, In, C, out, Out)            \
  ONE(reduce_rows, op, Op, in, In, C, out, Out)      \
  ONE(reduce_columns, op, Op, in, In, C, out, Out)   \
  ONE(reduce_few, op, Op, in, In, C, out, Out)
#define SAME(op, Op, in, In) EACH(op, Op, in, In, In, in, In)
// 16-bit floats: in one pass, or from elements to what is carried, and from that to the result.
#define HALF(op, Op, in, In)                                  \
  EACH(op, Op, in, In, float, in, In)                         \
  ONE(reduce_rows, op, Op, in, In, float, float32, float)     \
  ONE(reduce_columns, op, Op, in, In, float, float32, float)  \
  ONE(reduce_rows, op, Op, float32, float, float, in, In)
#define INEXACT(op, Op)           \
  SAME(op, Op, float32, float)    \
  SAME(op, Op, complex64, complex64_t) \
  HALF(op, Op, float16, half)     \
  HALF(op, Op, bfloat16, bfloat)
#define UNSIGNED(op, Op)        \
  SAME(op, Op, uint8, uchar)    \
  SAME(op, Op, uint16, ushort)  \
  SAME(op, Op, uint32, uint)    \
  SAME(op, Op, uint64, ulong)
#define SIGNED(op, Op)        \
  SAME(op, Op, int8, char)    \
  SAME(op, Op, int16, short)  \
  SAME(op, Op, int32, int)    \
  SAME(op, Op, int64, long)
#define TRUTH_OF(op, Op, in, In) EACH(op, Op, in, In, bool, bool, uchar)
#define TRUTH(op, Op)                \
  TRUTH_OF(op, Op, uint8, uchar)     \
  TRUTH_OF(op, Op, uint16, ushort)   \
  TRUTH_OF(op, Op, uint32, uint)     \
  TRUTH_OF(op, Op, uint64, ulong)    \
  TRUTH_OF(op, Op, float16, half)    \
  TRUTH_OF(op, Op, bfloat16, bfloat) \
  TRUTH_OF(op, Op, float32, float)   \
  TRUTH_OF(op, Op, complex64, complex64_t)

UNSIGNED(sum, reduction::sum)
INEXACT(sum, reduction::sum)
UNSIGNED(prod, reduction::prod)
INEXACT(prod, reduction::prod)
UNSIGNED(min, reduction::min)
SIGNED(min, reduction::min)
INEXACT(min, reduction::min)
UNSIGNED(max, reduction::max)
SIGNED(max, reduction::max)
INEXACT(max, reduction::max)
TRUTH(all, reduction::all)
TRUTH(any, reduction::any)
