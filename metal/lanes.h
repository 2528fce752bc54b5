// The tree of every reduction (see reduction_ops.h) in its other shapes than a lane for each virtual lane. It is the
// same in all of them, so bits do not depend on which of them ran.
#pragma once

#include "numbers.h"

// A thread that has them all, no more than 16.
template <typename Op, typename C>
inline C fold_few(thread C* values, uint live) {
  for (uint half_of = 8; half_of > 0; half_of /= 2) {
    for (uint lane = 0; lane < half_of && lane + half_of < live; ++lane) {
      values[lane] = Op::apply(values[lane], values[lane + half_of]);
    }
  }
  return values[0];
}

// Eight threads (a simdgroup each, whose lanes are other columns) with four virtual lanes each: slice, slice + 8, ...
// Slice 0 gets the result. All threads of the threadgroup come here. tile: 8 x 32.
template <typename Op, typename C>
inline C fold_slices(thread C* values, threadgroup C* tile, uint slice, uint column, uint live) {
  if (slice + 16 < live) {
    values[0] = Op::apply(values[0], values[2]);
  }
  if (slice + 24 < live) {
    values[1] = Op::apply(values[1], values[3]);
  }
  if (slice + 8 < live) {
    values[0] = Op::apply(values[0], values[1]);
  }
  tile[slice * 32 + column] = values[0];
  for (uint half_of = 4; half_of > 0; half_of /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (slice < half_of && slice + half_of < live) {
      tile[slice * 32 + column] = Op::apply(tile[slice * 32 + column], tile[(slice + half_of) * 32 + column]);
    }
  }
  return tile[slice * 32 + column];
}
