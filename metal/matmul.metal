// Matrix products, batched, of operands with any strides. Floating types: tiles through threadgroup memory, 8 x 8 matrices
// of a simdgroup, sums in float32 over k in order, by eights. Other types: tiles, one thread to an element. Products with a
// vector: the tree of lanes.h over k. Which kernel runs follows from the sizes, so bits do not depend on strides.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

#include "lanes.h"
#include "layout.h"

constant constexpr uint depth = 16; // of k at a time

// A threadgroup of four simdgroups makes a square tile of the result, each a quarter of it.
template <typename T, typename Out, int side>
[[kernel, max_total_threads_per_threadgroup(128)]] void product_tiles(device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]], device Out* out [[buffer(2)]], constant mlx_arguments::Product& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]], uint thread_number [[thread_index_in_threadgroup]],
    uint quarter [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  constexpr int blocks = side / 16; // 8 x 8 matrices along a side of a quarter
  constexpr int pitch_a = 20, pitch_b = side + 4;
  threadgroup float tile_a[side * pitch_a];
  threadgroup float tile_b[16 * pitch_b];
  threadgroup float patches[4 * 64];
  const uint first_row = group.y * side, first_column = group.x * side;
  device const T* from_a = a + p.from_a + offset_of(p.batch_a, group.z);
  device const T* from_b = b + p.from_b + offset_of(p.batch_b, group.z);
  const bool a_by_rows = p.column_a == 1, b_by_rows = p.column_b == 1;
  const uint row_in_tile = quarter / 2 * (side / 2), column_in_tile = quarter % 2 * (side / 2);

  simdgroup_float8x8 sums[blocks * blocks];
  for (int i = 0; i < blocks * blocks; ++i) {
    sums[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  for (uint k = 0; k < p.k; k += depth) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = thread_number; e < side * depth; e += 128) { // neighbours in memory are read by neighbours
      uint r = a_by_rows ? e / depth : e % side, c = a_by_rows ? e % depth : e / side;
      uint row = first_row + r, column = k + c;
      tile_a[r * pitch_a + c] =
          row < p.m && column < p.k ? float(from_a[long(row) * p.row_a + long(column) * p.column_a]) : 0.0f;
    }
    for (uint e = thread_number; e < side * depth; e += 128) {
      uint r = b_by_rows ? e / side : e % depth, c = b_by_rows ? e % side : e / depth;
      uint row = k + r, column = first_column + c;
      tile_b[r * pitch_b + c] =
          row < p.k && column < p.n ? float(from_b[long(row) * p.row_b + long(column) * p.column_b]) : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = 0; step < depth; step += 8) {
      simdgroup_float8x8 left[blocks];
      simdgroup_float8x8 right[blocks];
      for (int i = 0; i < blocks; ++i) {
        simdgroup_load(left[i], tile_a + (row_in_tile + 8 * i) * pitch_a + step, pitch_a);
        simdgroup_load(right[i], tile_b + step * pitch_b + column_in_tile + 8 * i, pitch_b);
      }
      for (int i = 0; i < blocks; ++i) {
        for (int j = 0; j < blocks; ++j) {
          simdgroup_multiply_accumulate(sums[i * blocks + j], left[i], right[j], sums[i * blocks + j]);
        }
      }
    }
  }
  device Out* to = out + ulong(group.z) * p.m * p.n;
  threadgroup float* patch = patches + quarter * 64;
  for (int i = 0; i < blocks; ++i) {
    for (int j = 0; j < blocks; ++j) {
      simdgroup_barrier(mem_flags::mem_threadgroup);
      simdgroup_store(sums[i * blocks + j], patch, 8);
      simdgroup_barrier(mem_flags::mem_threadgroup);
      for (uint e = lane; e < 64; e += 32) {
        uint row = first_row + row_in_tile + 8 * i + e / 8, column = first_column + column_in_tile + 8 * j + e % 8;
        if (row < p.m && column < p.n) {
          to[ulong(row) * p.n + column] = Out(patch[e]);
        }
      }
    }
  }
}

// A term of a sum, and the sum: integers wrap, of bools any pair counts.
template <typename T>
struct Terms {
  using C = Wide<T>;
  static C zero() { return reduction::sum::identity<C>(); }
  static C term(T a, T b) { return reduction::prod::apply(C(a), C(b)); }
  static C apply(C a, C b) { return reduction::sum::apply(a, b); }
};
struct AnyPair {};
template <>
struct Terms<AnyPair> {
  using C = uchar;
  static uchar zero() { return 0; }
  static uchar term(uchar a, uchar b) { return a & b; }
  static uchar apply(uchar a, uchar b) { return a | b; }
};

template <typename T, typename Kind>
[[kernel, max_total_threads_per_threadgroup(256)]] void product_elements(device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]], device T* out [[buffer(2)]], constant mlx_arguments::Product& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]], uint thread_number [[thread_index_in_threadgroup]]) {
  using C = typename Terms<Kind>::C;
  threadgroup T tile_a[16 * 17];
  threadgroup T tile_b[16 * 17];
  const uint r = thread_number / 16, c = thread_number % 16, row = group.y * 16 + r, column = group.x * 16 + c;
  device const T* from_a = a + p.from_a + offset_of(p.batch_a, group.z);
  device const T* from_b = b + p.from_b + offset_of(p.batch_b, group.z);
  C sum = Terms<Kind>::zero();
  for (uint k = 0; k < p.k; k += 16) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (row < p.m && k + c < p.k) {
      tile_a[r * 17 + c] = from_a[long(row) * p.row_a + long(k + c) * p.column_a];
    }
    if (k + r < p.k && column < p.n) {
      tile_b[r * 17 + c] = from_b[long(k + r) * p.row_b + long(column) * p.column_b];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (row < p.m && column < p.n) {
      for (uint l = 0; l < 16 && k + l < p.k; ++l) {
        sum = Terms<Kind>::apply(sum, Terms<Kind>::term(tile_a[r * 17 + l], tile_b[l * 17 + c]));
      }
    }
  }
  if (row < p.m && column < p.n) {
    out[(ulong(group.z) * p.m + row) * p.n + column] = T(sum);
  }
}

// Rows of a times a vector: n is 1 (the host swaps the operands where m is). A simdgroup for each row, or, where
// neighbours in memory belong to different rows, eight simdgroups for 32 of them.
template <typename T, typename Kind, typename Out>
[[kernel, max_total_threads_per_threadgroup(256)]] void product_vector_rows(device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]], device Out* out [[buffer(2)]], constant mlx_arguments::Product& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]], uint simdgroup_number [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  using C = typename Terms<Kind>::C;
  uint row = group.x * 8 + simdgroup_number;
  if (row >= p.m) {
    return;
  }
  device const T* from_a = a + p.from_a + offset_of(p.batch_a, group.z) + long(row) * p.row_a;
  device const T* from_b = b + p.from_b + offset_of(p.batch_b, group.z);
  C sum = Terms<Kind>::zero();
  for (uint k = lane; k < p.k; k += 32) {
    C term = Terms<Kind>::term(from_a[long(k) * p.column_a], from_b[long(k) * p.row_b]);
    sum = k == lane ? term : Terms<Kind>::apply(sum, term);
  }
  sum = reduction::fold_lanes<Terms<Kind>>(sum, lane, 32, min(p.k, 32u), lane);
  if (lane == 0) {
    out[ulong(group.z) * p.m + row] = Out(sum);
  }
}

template <typename T, typename Kind, typename Out>
[[kernel, max_total_threads_per_threadgroup(256)]] void product_vector_columns(device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]], device Out* out [[buffer(2)]], constant mlx_arguments::Product& p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]], uint slice [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  using C = typename Terms<Kind>::C;
  threadgroup C tile[256];
  uint row = group.x * 32 + lane, count = row < p.m ? p.k : 0;
  device const T* from_a = a + p.from_a + offset_of(p.batch_a, group.z) + (row < p.m ? long(row) * p.row_a : 0l);
  device const T* from_b = b + p.from_b + offset_of(p.batch_b, group.z);
  C sums[4];
  for (uint i = 0; i < 4; ++i) {
    uint begin = slice + 8 * i;
    sums[i] = Terms<Kind>::zero();
    for (uint k = begin; k < count; k += 32) {
      C term = Terms<Kind>::term(from_a[long(k) * p.column_a], from_b[long(k) * p.row_b]);
      sums[i] = k == begin ? term : Terms<Kind>::apply(sums[i], term);
    }
  }
  C sum = fold_slices<Terms<Kind>>(sums, tile, slice, lane, min(count, 32u));
  if (slice == 0 && row < p.m) {
    out[ulong(group.z) * p.m + row] = Out(sum);
  }
}

// In the chain rule 0 times anything is 0: a term of 0 and an infinity or NaN made its sum NaN, so elements that are NaN
// are computed again without terms that have a factor 0. In runs of 64, which keep what rounding loses small.
template <typename T>
[[kernel]] void product_without_zero_terms(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]], constant mlx_arguments::Product& p [[buffer(3)]],
    uint number [[thread_position_in_grid]]) {
  using C = Wide<T>;
  if (!is_nan(out[number])) {
    return;
  }
  uint column = number % p.n, row = number / p.n % p.m, batch = number / p.n / p.m;
  device const T* from_a = a + p.from_a + offset_of(p.batch_a, batch) + long(row) * p.row_a;
  device const T* from_b = b + p.from_b + offset_of(p.batch_b, batch) + long(column) * p.column_b;
  C sum = reduction::sum::identity<C>(), run = reduction::sum::identity<C>();
  for (uint k = 0; k < p.k; ++k) {
    T x = from_a[long(k) * p.column_a], y = from_b[long(k) * p.row_b];
    if (!is_zero(x) && !is_zero(y)) {
      run = run + C(x) * C(y);
    }
    if (k % 64 == 63) {
      sum = sum + run;
      run = reduction::sum::identity<C>();
    }
  }
  out[number] = T(sum + run);
}

// Of 16-bit floats in float32, too.
#define TILES(in, In, Out)                                   \
  template [[host_name("product_tiles_32_" #in)]] [[kernel]] \
  decltype(product_tiles<In, Out, 32>) product_tiles<In, Out, 32>; \
  template [[host_name("product_tiles_64_" #in)]] [[kernel]] \
  decltype(product_tiles<In, Out, 64>) product_tiles<In, Out, 64>;
TILES(float16, half, half)
TILES(bfloat16, bfloat, bfloat)
TILES(float32, float, float)
TILES(wide_float16, half, float)
TILES(wide_bfloat16, bfloat, float)

#define ONE(kernel_name, in, ...) \
  template [[host_name(#kernel_name "_" #in)]] [[kernel]] decltype(kernel_name<__VA_ARGS__>) kernel_name<__VA_ARGS__>;
#define VECTORS(in, In, Kind, Out)              \
  ONE(product_vector_rows, in, In, Kind, Out)   \
  ONE(product_vector_columns, in, In, Kind, Out)
#define ELEMENTS(in, In, Kind) ONE(product_elements, in, In, Kind) VECTORS(in, In, Kind, In)
VECTORS(float16, half, half, half)
VECTORS(bfloat16, bfloat, bfloat, bfloat)
VECTORS(float32, float, float, float)
VECTORS(wide_float16, half, half, float)
VECTORS(wide_bfloat16, bfloat, bfloat, float)
ELEMENTS(bool, uchar, AnyPair)
ELEMENTS(uint8, uchar, uchar)
ELEMENTS(uint16, ushort, ushort)
ELEMENTS(uint32, uint, uint)
ELEMENTS(uint64, ulong, ulong)
ELEMENTS(complex64, complex64_t, complex64_t)

#define ZERO_TERMS(in, In)                                                                         \
  template [[host_name("product_without_zero_terms_" #in)]] [[kernel]] decltype(product_without_zero_terms<In>) \
  product_without_zero_terms<In>;
ZERO_TERMS(float16, half)
ZERO_TERMS(bfloat16, bfloat)
ZERO_TERMS(float32, float)
ZERO_TERMS(complex64, complex64_t)
