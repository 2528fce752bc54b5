// Reading at indices. Elements move by their size, whatever their type. With one index operand it is read where it is
// needed; with several, offsets are summed up first.
#include <metal_stdlib>
using namespace metal;

#include "indices.h"
#include "layout.h"

[[kernel]] void gather_offsets(device const uchar* index [[buffer(0)]], device long* offsets [[buffer(1)]],
    device atomic_uint* errors [[buffer(2)]], constant mlx_arguments::Index& a [[buffer(3)]],
    uint number [[thread_position_in_grid]]) {
  long value = read_index(index, a.from + offset_of(a.layout, number), a.type);
  long offset = checked_index(value, a, errors) * a.stride;
  offsets[number] = a.more ? offsets[number] + offset : offset;
}

template <typename T>
[[kernel]] void gather_slices(device const T* x [[buffer(0)]], device const long* offsets [[buffer(1)]],
    device T* out [[buffer(2)]], constant mlx_arguments::Gather& a [[buffer(3)]],
    uint number [[thread_position_in_grid]]) {
  uint position = number / a.slice_size;
  out[number] = x[a.from + offsets[position] + offset_of(a.slice, number - position * a.slice_size)];
}

template <typename T>
[[kernel]] void gather_by_one(device const T* x [[buffer(0)]], device const uchar* index [[buffer(1)]],
    device T* out [[buffer(2)]], constant mlx_arguments::Gather& a [[buffer(3)]],
    device atomic_uint* errors [[buffer(4)]], constant mlx_arguments::Index& i [[buffer(5)]],
    uint number [[thread_position_in_grid]]) {
  uint position = number / a.slice_size;
  long value = read_index(index, i.from + offset_of(i.layout, position), i.type);
  long offset = checked_index(value, i, errors) * i.stride;
  out[number] = x[a.from + offset + offset_of(a.slice, number - position * a.slice_size)];
}

template <typename T>
[[kernel]] void gather_along(device const T* x [[buffer(0)]], device const uchar* index [[buffer(1)]],
    device T* out [[buffer(2)]], constant mlx_arguments::Along& a [[buffer(3)]],
    device atomic_uint* errors [[buffer(4)]], constant mlx_arguments::Index& i [[buffer(5)]],
    uint number [[thread_position_in_grid]]) {
  long value = read_index(index, i.from + offset_of(i.layout, number), i.type);
  long offset = checked_index(value, i, errors) * i.stride;
  out[number] = x[a.from + offset + offset_of(a.array, number)];
}

#define SIZE(bits, T)                                                                                        \
  template [[host_name("gather_slices_" #bits)]] [[kernel]] decltype(gather_slices<T>) gather_slices<T>;       \
  template [[host_name("gather_by_one_" #bits)]] [[kernel]] decltype(gather_by_one<T>) gather_by_one<T>;       \
  template [[host_name("gather_along_" #bits)]] [[kernel]] decltype(gather_along<T>) gather_along<T>;
SIZE(8, uchar)
SIZE(16, ushort)
SIZE(32, uint)
SIZE(64, ulong)
SIZE(128, uint4)
