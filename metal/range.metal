// Evenly spaced numbers: start + i step, in 64-bit integers, which wrap, or in float64, then converted.
#include <metal_stdlib>

using namespace metal;

#include "soft_double.h"

struct Range {
  ulong start, step, size; // integers, or the bits of doubles
};

template <typename T>
kernel void range_integers(device T* out [[buffer(0)]], constant Range& range [[buffer(1)]],
    uint3 position [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  const ulong i = ulong(position.y) * grid.x + position.x;
  if (i < range.size) {
    out[i] = convert<T>(long(range.start + i * range.step));
  }
}

template <typename T>
kernel void range_doubles(device T* out [[buffer(0)]], constant Range& range [[buffer(1)]],
    uint3 position [[thread_position_in_grid]], uint3 grid [[threads_per_grid]]) {
  const ulong i = ulong(position.y) * grid.x + position.x;
  if (i < range.size) {
    out[i] = soft::FromDouble<T>::of(soft::plus(range.start, soft::times(range.step, i)));
  }
}

#define INSTANTIATE(name, type)                                                                                 \
  template [[host_name("range_integers_" #name)]] [[kernel]] decltype(range_integers<type>) range_integers<type>; \
  template [[host_name("range_doubles_" #name)]] [[kernel]] decltype(range_doubles<type>) range_doubles<type>;
INSTANTIATE(bool, bool)
INSTANTIATE(uint8, uchar)
INSTANTIATE(uint16, ushort)
INSTANTIATE(uint32, uint)
INSTANTIATE(uint64, ulong)
INSTANTIATE(int8, char)
INSTANTIATE(int16, short)
INSTANTIATE(int32, int)
INSTANTIATE(int64, long)
INSTANTIATE(float16, half)
INSTANTIATE(bfloat16, bfloat)
INSTANTIATE(float32, float)
INSTANTIATE(complex64, complex64_t)
