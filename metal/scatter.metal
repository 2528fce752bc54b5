// Writing at indices. Each position of the indices gets the place in the result where its slice starts; positions are
// sorted by place, stably; then the first of equal ones combines all of them, in order. So the result is that of
// combining one update after the other, floats included: 16-bit ones are carried in 32 bits and rounded once.
#include <metal_stdlib>
using namespace metal;

#include "numbers.h"
#include "indices.h"
#include "layout.h"

[[kernel]] void scatter_places(device const uchar* index [[buffer(0)]], device uint* places [[buffer(1)]],
    device atomic_uint* errors [[buffer(2)]], constant mlx_arguments::Index& a [[buffer(3)]],
    uint number [[thread_position_in_grid]]) {
  long value = read_index(index, a.from + offset_of(a.layout, number), a.type);
  uint place = uint(checked_index(value, a, errors) * a.stride);
  places[number] = a.more ? places[number] + place : place;
}

[[kernel]] void scatter_along_places(device const uchar* index [[buffer(0)]], device uint* places [[buffer(1)]],
    device atomic_uint* errors [[buffer(2)]], constant mlx_arguments::Index& i [[buffer(3)]],
    constant mlx_arguments::Along& a [[buffer(4)]], uint number [[thread_position_in_grid]]) {
  long value = read_index(index, i.from + offset_of(i.layout, number), i.type);
  places[number] = uint(checked_index(value, i, errors) * i.stride + offset_of(a.array, number));
}

// Without indices there is one place.
[[kernel]] void scatter_origin(device uint* places [[buffer(0)]], uint number [[thread_position_in_grid]]) {
  places[number] = 0;
}

// Where slices overlap in part, each element has a place of its own.
[[kernel]] void scatter_elements(device const uint* starts [[buffer(0)]], device uint* places [[buffer(1)]],
    constant mlx_arguments::Scatter& a [[buffer(2)]], uint number [[thread_position_in_grid]]) {
  uint position = number / a.slice_size;
  places[number] = starts[position] + uint(offset_of(a.slice, number - position * a.slice_size));
}

inline long update_at(constant mlx_arguments::Scatter& a, uint position, uint element) {
  return a.from + offset_of(a.positions, position) + offset_of(a.updates, element);
}

// The last of equal places wins.
template <typename T>
[[kernel]] void scatter_set(device const uint* places [[buffer(0)]], device const uint* order [[buffer(1)]],
    device const T* updates [[buffer(2)]], device T* out [[buffer(3)]], constant mlx_arguments::Scatter& a [[buffer(4)]],
    uint number [[thread_position_in_grid]]) {
  uint i = number / a.slice_size, element = number - i * a.slice_size;
  uint place = places[i];
  if (i + 1 < a.count && places[i + 1] == place) {
    return;
  }
  uint position = a.in_order ? i : order[i];
  out[place + offset_of(a.slice, element)] = updates[update_at(a, position, element)];
}

template <typename Op, typename T>
[[kernel]] void scatter_combine(device const uint* places [[buffer(0)]], device const uint* order [[buffer(1)]],
    device const T* updates [[buffer(2)]], device T* out [[buffer(3)]], constant mlx_arguments::Scatter& a [[buffer(4)]],
    uint number [[thread_position_in_grid]]) {
  using C = Wide<T>;
  uint i = number / a.slice_size, element = number - i * a.slice_size;
  uint place = places[i];
  if (i > 0 && places[i - 1] == place) {
    return;
  }
  device T* to = out + place + offset_of(a.slice, element);
  C value = C(*to);
  do {
    uint position = a.in_order ? i : order[i];
    value = Op::apply(value, C(updates[update_at(a, position, element)]));
    ++i;
  } while (i < a.count && places[i] == place);
  *to = T(value);
}

#define SET(bits, T) template [[host_name("scatter_set_" #bits)]] [[kernel]] decltype(scatter_set<T>) scatter_set<T>;
SET(8, uchar)
SET(16, ushort)
SET(32, uint)
SET(64, ulong)
SET(128, uint4)

#define ONE(op, Op, in, In) \
  template [[host_name("scatter_" #op "_" #in)]] [[kernel]] decltype(scatter_combine<Op, In>) scatter_combine<Op, In>;
#define UNSIGNED(op, Op)      \
  ONE(op, Op, uint8, uchar)   \
  ONE(op, Op, uint16, ushort) \
  ONE(op, Op, uint32, uint)   \
  ONE(op, Op, uint64, ulong)
#define SIGNED(op, Op)      \
  ONE(op, Op, int8, char)   \
  ONE(op, Op, int16, short) \
  ONE(op, Op, int32, int)   \
  ONE(op, Op, int64, long)
#define INEXACT(op, Op)         \
  ONE(op, Op, float16, half)    \
  ONE(op, Op, bfloat16, bfloat) \
  ONE(op, Op, float32, float)   \
  ONE(op, Op, complex64, complex64_t)
UNSIGNED(sum, reduction::sum)
INEXACT(sum, reduction::sum)
UNSIGNED(prod, reduction::prod)
INEXACT(prod, reduction::prod)
UNSIGNED(max, reduction::max)
SIGNED(max, reduction::max)
INEXACT(max, reduction::max)
UNSIGNED(min, reduction::min)
SIGNED(min, reduction::min)
INEXACT(min, reduction::min)
