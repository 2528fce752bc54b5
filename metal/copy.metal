// Copies between layouts, of elements by their size.
#include <metal_stdlib>

using namespace metal;

// layout: rank, the first elements of `from` and `to`; then the lengths, the strides of `from`, the strides of `to`,
// outermost axis first. The grid is (last axis, the one before, all others).
template <typename T>
kernel void copy_strided(device const T* from [[buffer(0)]], device T* to [[buffer(1)]],
    constant long* layout [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {
  const int rank = int(layout[0]);
  constant long* lengths = layout + 3;
  constant long* from_strides = lengths + rank;
  constant long* to_strides = from_strides + rank;
  long source = layout[1], target = layout[2];
  if (rank > 0) {
    source += long(position.x) * from_strides[rank - 1];
    target += long(position.x) * to_strides[rank - 1];
  }
  if (rank > 1) {
    source += long(position.y) * from_strides[rank - 2];
    target += long(position.y) * to_strides[rank - 2];
  }
  ulong rest = position.z;
  for (int axis = rank - 3; axis >= 0; --axis) {
    const long index = long(rest % ulong(lengths[axis]));
    rest /= ulong(lengths[axis]);
    source += index * from_strides[axis];
    target += index * to_strides[axis];
  }
  to[target] = from[source];
}

// Both consecutive, or one element for all: step is 1 or 0.
template <typename T>
kernel void copy_flat(device const T* from [[buffer(0)]], device T* to [[buffer(1)]], constant ulong& size [[buffer(2)]],
    constant uint& step [[buffer(3)]], uint3 position [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  const ulong i = ulong(position.y) * grid.x + position.x;
  if (i < size) {
    to[i] = from[i * step];
  }
}

// A matrix whose rows are `to`'s and whose columns are consecutive in `from`, by tiles, so that both sides are read and
// written along memory. layout: rows, columns, distance of `from`'s columns, distance of `to`'s rows, first elements;
// then the rank of the outer axes with their lengths and strides as above.
constant constexpr uint tile = 32, tile_rows = 8;
template <typename T>
kernel void copy_transposed(device const T* from [[buffer(0)]], device T* to [[buffer(1)]],
    constant long* layout [[buffer(2)]], uint3 group [[threadgroup_position_in_grid]],
    uint3 thread_position [[thread_position_in_threadgroup]]) {
  threadgroup T block[32][33];
  const long rows = layout[0], columns = layout[1], from_pitch = layout[2], to_pitch = layout[3];
  const int rank = int(layout[6]);
  constant long* lengths = layout + 7;
  long source = layout[4], target = layout[5];
  ulong rest = group.z;
  for (int axis = rank - 1; axis >= 0; --axis) {
    const long index = long(rest % ulong(lengths[axis]));
    rest /= ulong(lengths[axis]);
    source += index * lengths[rank + axis];
    target += index * lengths[2 * rank + axis];
  }
  // `from` runs along rows: element (row, column) is at row + column * from_pitch
  for (uint k = thread_position.y; k < tile; k += tile_rows) {
    const long row = long(group.y) * tile + thread_position.x, column = long(group.x) * tile + k;
    if (row < rows && column < columns) {
      block[k][thread_position.x] = from[source + row + column * from_pitch];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint k = thread_position.y; k < tile; k += tile_rows) {
    const long row = long(group.y) * tile + k, column = long(group.x) * tile + thread_position.x;
    if (row < rows && column < columns) {
      to[target + row * to_pitch + column] = block[thread_position.x][k];
    }
  }
}

#define INSTANTIATE(bytes, type)                                                                                     \
  template [[host_name("copy_strided_" #bytes)]] [[kernel]] decltype(copy_strided<type>) copy_strided<type>;         \
  template [[host_name("copy_flat_" #bytes)]] [[kernel]] decltype(copy_flat<type>) copy_flat<type>;                  \
  template [[host_name("copy_transposed_" #bytes)]] [[kernel]] decltype(copy_transposed<type>) copy_transposed<type>;
INSTANTIATE(1, uchar)
INSTANTIATE(2, ushort)
INSTANTIATE(4, uint)
INSTANTIATE(8, ulong)
INSTANTIATE(16, uint4)
