// Running sums, products and extrema along lanes, and the linear recurrence. A lane is cut into blocks of 1024 elements
// and these into groups of 32: an element is what comes before its block, then before its group in that block, then up to
// itself in that group. That order is the lane's own, whichever kernel runs. Products that round are one chain: those of a
// block may overflow where the whole does not.
#include <metal_stdlib>
using namespace metal;

#include "layout.h"
#include "numbers.h"

constant constexpr uint group_length = 32, block_length = 1024;

// An inclusive sum begins with -0, which leaves every number as it is; an exclusive one with 0, which it gives.
template <typename Op, typename C>
struct Start {
  static C value(uint) { return Op::template identity<C>(); }
};
template <>
struct Start<reduction::sum, float> {
  static float value(uint inclusive) { return inclusive ? -0.0f : 0.0f; }
};
template <>
struct Start<reduction::sum, complex64_t> {
  static complex64_t value(uint inclusive) { return inclusive ? make_complex64(-0.0f, -0.0f) : make_complex64(0.0f, 0.0f); }
};

// A thread for each lane. An exclusive scan is the inclusive one of all elements but the last, one place further on.
template <typename Op, typename T>
[[kernel]] void scan_columns(device const T* in [[buffer(0)]], device T* out [[buffer(1)]],
    constant mlx_arguments::Scan& a [[buffer(2)]], uint lane [[thread_position_in_grid]]) {
  using C = Wide<T>;
  device const T* from = in + a.from + offset_of(a.in, lane);
  device T* to = out + a.to + offset_of(a.out, lane);
  const C start = Start<Op, C>::value(a.inclusive);
  C before_block = start, before_group = start, local = start;
  uint length = a.length;
  if (!a.inclusive) {
    *to = T(start);
    to += a.step_to;
    --length;
  }
  for (uint i = 0; i < length; ++i) {
    if (i > 0 && i % group_length == 0) {
      before_group = Op::apply(before_group, local);
      local = start;
      if (i % block_length == 0) {
        before_block = Op::apply(before_block, before_group);
        before_group = start;
      }
    }
    local = Op::apply(local, C(*from));
    *to = T(Op::apply(before_block, Op::apply(before_group, local)));
    from += a.step_from;
    to += a.step_to;
  }
}

template <typename Op, typename T>
[[kernel]] void scan_chain(device const T* in [[buffer(0)]], device T* out [[buffer(1)]],
    constant mlx_arguments::Scan& a [[buffer(2)]], uint lane [[thread_position_in_grid]]) {
  using C = Wide<T>;
  device const T* from = in + a.from + offset_of(a.in, lane);
  device T* to = out + a.to + offset_of(a.out, lane);
  C value = Start<Op, C>::value(a.inclusive);
  for (uint i = 0; i < a.length; ++i) {
    if (!a.inclusive) {
      *to = T(value);
    }
    value = Op::apply(value, C(*from));
    if (a.inclusive) {
      *to = T(value);
    }
    from += a.step_from;
    to += a.step_to;
  }
}

// The part that scans of blocks, and their totals, share: a simdgroup reads a block, 33 places for 32 elements so that
// lanes use different banks; each lane scans a group in place. What comes before its group is the result.
template <typename Op, typename T, typename C>
inline C scan_groups(device const T* from, long step, threadgroup C* tile, uint count, uint lane, C start) {
  for (uint k = 0; k < 32; ++k) {
    uint e = k * 32 + lane;
    if (e < count) {
      tile[k * 33 + lane] = C(from[long(e) * step]);
    }
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  C local = start;
  for (uint j = 0; j < 32 && lane * 32 + j < count; ++j) {
    local = Op::apply(local, tile[lane * 33 + j]);
    tile[lane * 33 + j] = local;
  }
  C before = start;
  for (ushort k = 0; k < 31; ++k) {
    C total = reduction::from_lane(local, k);
    if (k < lane) {
      before = Op::apply(before, total);
    }
  }
  return before;
}

template <typename Op, typename T>
[[kernel, max_total_threads_per_threadgroup(64)]] void scan_totals(device const T* in [[buffer(0)]],
    device Wide<T>* totals [[buffer(1)]], constant mlx_arguments::Scan& a [[buffer(2)]],
    uint group [[threadgroup_position_in_grid]], uint simdgroup_number [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  using C = Wide<T>;
  threadgroup C tiles[2112];
  uint unit = group * 2 + simdgroup_number;
  if (unit >= a.lanes * a.blocks) {
    return;
  }
  uint first = unit % a.blocks * block_length, length = a.inclusive ? a.length : a.length - 1;
  uint count = min(block_length, length - first);
  const C start = Start<Op, C>::value(a.inclusive);
  device const T* from = in + a.from + offset_of(a.in, unit / a.blocks) + long(first) * a.step_from;
  threadgroup C* tile = tiles + simdgroup_number * 1056;
  C before = scan_groups<Op>(from, a.step_from, tile, count, lane, start);
  if (lane == 31) {
    // the last group may be empty
    totals[unit] = Op::apply(before, count > 31 * 32 ? tile[31 * 33 + count - 31 * 32 - 1] : start);
  }
}

// Totals of blocks become what comes before each.
template <typename Op, typename C>
[[kernel]] void scan_before(device C* totals [[buffer(0)]], constant mlx_arguments::Scan& a [[buffer(1)]],
    uint lane [[thread_position_in_grid]]) {
  C before = Start<Op, C>::value(a.inclusive);
  device C* row = totals + ulong(lane) * a.blocks;
  for (uint b = 0; b < a.blocks; ++b) {
    C total = row[b];
    row[b] = before;
    before = Op::apply(before, total);
  }
}

template <typename Op, typename T>
[[kernel, max_total_threads_per_threadgroup(64)]] void scan_blocks(device const T* in [[buffer(0)]],
    device T* out [[buffer(1)]], constant mlx_arguments::Scan& a [[buffer(2)]],
    device const Wide<T>* before_blocks [[buffer(3)]], uint group [[threadgroup_position_in_grid]],
    uint simdgroup_number [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  using C = Wide<T>;
  threadgroup C tiles[2112];
  uint unit = group * 2 + simdgroup_number;
  if (unit >= a.lanes * a.blocks) {
    return;
  }
  uint number = unit / a.blocks, first = unit % a.blocks * block_length;
  uint length = a.inclusive ? a.length : a.length - 1;
  uint count = min(block_length, length - first);
  const C start = Start<Op, C>::value(a.inclusive);
  device const T* from = in + a.from + offset_of(a.in, number) + long(first) * a.step_from;
  device T* to = out + a.to + offset_of(a.out, number) + long(first) * a.step_to;
  threadgroup C* tile = tiles + simdgroup_number * 1056;
  C before_group = scan_groups<Op>(from, a.step_from, tile, count, lane, start);
  C before_block = a.blocks > 1 ? before_blocks[unit] : start;
  for (uint j = 0; j < 32 && lane * 32 + j < count; ++j) {
    tile[lane * 33 + j] = Op::apply(before_block, Op::apply(before_group, tile[lane * 33 + j]));
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  if (!a.inclusive) {
    if (first == 0 && lane == 0) {
      *to = T(start);
    }
    to += a.step_to;
  }
  for (uint k = 0; k < 32; ++k) {
    uint e = k * 32 + lane;
    if (e < count) {
      to[long(e) * a.step_to] = T(tile[k * 33 + lane]);
    }
  }
}

// out_j = a_j out_{j-1} + b_j: one chain, for the products of the a_j might overflow where the result does not.
template <typename C>
inline C next_of(C a, C y, C b) {
  return (is_zero(a) || is_zero(y) ? reduction::sum::identity<C>() : a * y) + b;
}
template <>
inline complex64_t next_of<complex64_t>(complex64_t a, complex64_t y, complex64_t b) {
  if (is_zero(a) || is_zero(y)) {
    return b;
  }
  return make_complex64(a.re * y.re - a.im * y.im + b.re, a.re * y.im + a.im * y.re + b.im);
}

template <typename T>
[[kernel]] void recurrence(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device T* out [[buffer(2)]],
    constant mlx_arguments::Recurrence& r [[buffer(3)]], uint lane [[thread_position_in_grid]]) {
  using C = Wide<T>;
  device const T* at_a = a + r.from_a + offset_of(r.a, lane);
  device const T* at_b = b + r.from_b + offset_of(r.b, lane);
  device T* to = out + r.to + offset_of(r.out, lane);
  C y = reduction::sum::identity<C>();
  for (uint i = 0; i < r.length; ++i) {
    y = next_of(C(*at_a), y, C(*at_b));
    *to = T(y);
    at_a += r.step_a;
    at_b += r.step_b;
    to += r.step_to;
  }
}

#define ONE(kernel_name, op, Op, in, In) \
  template [[host_name(#kernel_name "_" #op "_" #in)]] [[kernel]] decltype(kernel_name<Op, In>) kernel_name<Op, In>;
#define PARTS(op, Op, in, In)      \
  ONE(scan_columns, op, Op, in, In) \
  ONE(scan_totals, op, Op, in, In)  \
  ONE(scan_blocks, op, Op, in, In)
#define TYPE(op, Op, in, In) PARTS(op, Op, in, In) ONE(scan_before, op, Op, in, In)
#define UNSIGNED(op, Op)       \
  TYPE(op, Op, uint8, uchar)   \
  TYPE(op, Op, uint16, ushort) \
  TYPE(op, Op, uint32, uint)   \
  TYPE(op, Op, uint64, ulong)
#define SIGNED(op, Op)       \
  TYPE(op, Op, int8, char)   \
  TYPE(op, Op, int16, short) \
  TYPE(op, Op, int32, int)   \
  TYPE(op, Op, int64, long)
#define INEXACT(op, Op)             \
  TYPE(op, Op, float32, float)      \
  TYPE(op, Op, complex64, complex64_t)  \
  PARTS(op, Op, float16, half)      \
  PARTS(op, Op, bfloat16, bfloat)

UNSIGNED(sum, reduction::sum)
INEXACT(sum, reduction::sum)
UNSIGNED(prod, reduction::prod)
ONE(scan_chain, prod, reduction::prod, float16, half)
ONE(scan_chain, prod, reduction::prod, bfloat16, bfloat)
ONE(scan_chain, prod, reduction::prod, float32, float)
ONE(scan_chain, prod, reduction::prod, complex64, complex64_t)
UNSIGNED(max, reduction::max)
SIGNED(max, reduction::max)
INEXACT(max, reduction::max)
UNSIGNED(min, reduction::min)
SIGNED(min, reduction::min)
INEXACT(min, reduction::min)

#define RECURRENCE(in, In) \
  template [[host_name("recurrence_" #in)]] [[kernel]] decltype(recurrence<In>) recurrence<In>;
RECURRENCE(float16, half)
RECURRENCE(bfloat16, bfloat)
RECURRENCE(float32, float)
RECURRENCE(complex64, complex64_t)
