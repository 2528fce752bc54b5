// Integers that select: read, counted from the end when negative, held within bounds; the first one that is not is
// reported.
#pragma once

#include "arguments.h"

// Element `place` of integers of the type that Dtype::Val numbers. Those beyond long become its maximum.
inline long read_index(device const uchar* data, long place, uint type) {
  switch (type) {
    case 0:
    case 1: return data[place];
    case 2: return reinterpret_cast<device const ushort*>(data)[place];
    case 3: return reinterpret_cast<device const uint*>(data)[place];
    case 4: {
      ulong value = reinterpret_cast<device const ulong*>(data)[place];
      return value >> 63 ? 0x7fffffffffffffffl : long(value);
    }
    case 5: return reinterpret_cast<device const char*>(data)[place];
    case 6: return reinterpret_cast<device const short*>(data)[place];
    case 7: return reinterpret_cast<device const int*>(data)[place];
    default: return reinterpret_cast<device const long*>(data)[place];
  }
}

// Where a slice starts on the axis.
inline long checked_index(long index, constant mlx_arguments::Index& a, device atomic_uint* errors) {
  long start = index < 0 ? index + a.length : index;
  long last = a.length - a.slice;
  if (start >= 0 && start <= last) {
    return start;
  }
  // Only who finds the place empty writes the rest; the host reads it when all is done.
  if (atomic_fetch_or_explicit(errors + mlx_arguments::error_found, 1u, memory_order_relaxed) == 0) {
    device atomic_uint* at = errors;
    atomic_store_explicit(at + mlx_arguments::error_op, a.op, memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_axis, uint(a.axis), memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_slice, uint(min(a.slice, 0xffffffffl)), memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_index, uint(ulong(index)), memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_index_high, uint(ulong(index) >> 32), memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_length, uint(ulong(a.length)), memory_order_relaxed);
    atomic_store_explicit(at + mlx_arguments::error_length_high, uint(ulong(a.length) >> 32), memory_order_relaxed);
  }
  return max(0l, min(start, last));
}
