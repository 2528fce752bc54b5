// Values that go from lane to lane of a simdgroup, of every type; and the tree in which 32 virtual lanes become one value.
#pragma once

#include "numbers.h"

inline uint shuffle_down(uint x, ushort by) { return simd_shuffle_down(x, by); }
inline float shuffle_down(float x, ushort by) { return simd_shuffle_down(x, by); }
inline uchar shuffle_down(uchar x, ushort by) { return uchar(simd_shuffle_down(uint(x), by)); }
inline ushort shuffle_down(ushort x, ushort by) { return ushort(simd_shuffle_down(uint(x), by)); }
inline char shuffle_down(char x, ushort by) { return char(simd_shuffle_down(int(x), by)); }
inline short shuffle_down(short x, ushort by) { return short(simd_shuffle_down(int(x), by)); }
inline int shuffle_down(int x, ushort by) { return simd_shuffle_down(x, by); }
inline ulong shuffle_down(ulong x, ushort by) { return as_type<ulong>(simd_shuffle_down(as_type<uint2>(x), by)); }
inline long shuffle_down(long x, ushort by) { return as_type<long>(simd_shuffle_down(as_type<uint2>(x), by)); }
inline Complex shuffle_down(Complex x, ushort by) {
  float2 parts = simd_shuffle_down(float2(x.re, x.im), by);
  return Complex{parts.x, parts.y};
}

inline uint value_of_lane(uint x, ushort lane) { return simd_shuffle(x, lane); }
inline float value_of_lane(float x, ushort lane) { return simd_shuffle(x, lane); }
inline uchar value_of_lane(uchar x, ushort lane) { return uchar(simd_shuffle(uint(x), lane)); }
inline ushort value_of_lane(ushort x, ushort lane) { return ushort(simd_shuffle(uint(x), lane)); }
inline char value_of_lane(char x, ushort lane) { return char(simd_shuffle(int(x), lane)); }
inline short value_of_lane(short x, ushort lane) { return short(simd_shuffle(int(x), lane)); }
inline int value_of_lane(int x, ushort lane) { return simd_shuffle(x, lane); }
inline ulong value_of_lane(ulong x, ushort lane) { return as_type<ulong>(simd_shuffle(as_type<uint2>(x), lane)); }
inline long value_of_lane(long x, ushort lane) { return as_type<long>(simd_shuffle(as_type<uint2>(x), lane)); }
inline Complex value_of_lane(Complex x, ushort lane) {
  float2 parts = simd_shuffle(float2(x.re, x.im), lane);
  return Complex{parts.x, parts.y};
}

// Element e of a piece goes to virtual lane e % 32, in order; then lane l takes lane l + 16, l + 8, ... where there is
// one. The tree is the same in every shape that follows, so bits do not depend on which of them ran.

// A lane of the simdgroup for each virtual lane, `live` of which have elements. Lane 0 gets the result.
template <typename Op, typename C>
inline C fold_lanes(C value, uint lane, uint live) {
  for (ushort half_of = 16; half_of > 0; half_of /= 2) {
    C other = shuffle_down(value, half_of);
    if (lane + half_of < live) {
      value = Op::combine(value, other);
    }
  }
  return value;
}

// A thread that has them all, no more than 16.
template <typename Op, typename C>
inline C fold_few(thread C* values, uint live) {
  for (uint half_of = 8; half_of > 0; half_of /= 2) {
    for (uint lane = 0; lane < half_of && lane + half_of < live; ++lane) {
      values[lane] = Op::combine(values[lane], values[lane + half_of]);
    }
  }
  return values[0];
}

// Eight threads (a simdgroup each, whose lanes are other columns) with four virtual lanes each: slice, slice + 8, ...
// Slice 0 gets the result. All threads of the threadgroup come here. tile: 8 x 32.
template <typename Op, typename C>
inline C fold_slices(thread C* values, threadgroup C* tile, uint slice, uint column, uint live) {
  if (slice + 16 < live) {
    values[0] = Op::combine(values[0], values[2]);
  }
  if (slice + 24 < live) {
    values[1] = Op::combine(values[1], values[3]);
  }
  if (slice + 8 < live) {
    values[0] = Op::combine(values[0], values[1]);
  }
  tile[slice * 32 + column] = values[0];
  for (uint half_of = 4; half_of > 0; half_of /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (slice < half_of && slice + half_of < live) {
      tile[slice * 32 + column] = Op::combine(tile[slice * 32 + column], tile[(slice + half_of) * 32 + column]);
    }
  }
  return tile[slice * 32 + column];
}
