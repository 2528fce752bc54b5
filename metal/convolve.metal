// Convolutions of one to three axes: as products of windows and weights, by tiles through threadgroup memory, 8 x 8
// matrices of a simdgroup, sums in float32; or one thread to an output, where there are few terms or outputs. A third
// kernel adds up again what became NaN by terms that are to be left out. Which kernel runs follows from the sizes, so
// bits do not depend on strides.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

#include "layout.h"
#include "numbers.h"

using Arguments = constant mlx_arguments::Convolve&;

// The place of the element that is `at` steps of the dilated input from the first one; -1 where there is none.
inline int place_of(int at, int dilation, int length) {
  if (at < 0) {
    return -1;
  }
  int place = dilation == 1 ? at : at / dilation;
  return place < length && place * dilation == at ? place : -1;
}

// Where the window of an output begins, along each axis, and its batch.
struct Window {
  int begin[3];
  uint batch;
};
inline Window window_of(Arguments p, uint row) {
  Window w;
  for (int axis = 2; axis >= 0; --axis) {
    uint outer = row / p.out[axis];
    w.begin[axis] = int(row - outer * p.out[axis]) * p.stride[axis] - p.low[axis];
    row = outer;
  }
  w.batch = row;
  return w;
}

// A tap and a channel, by the number of the term: channels are innermost.
struct Term {
  int tap[3];
  uint channel;
};
inline Term term_of(Arguments p, uint k) {
  Term t;
  uint rest = k / p.channels;
  t.channel = k - rest * p.channels;
  for (int axis = 2; axis > 0; --axis) {
    uint outer = rest / p.taps[axis];
    t.tap[axis] = int(rest - outer * p.taps[axis]);
    rest = outer;
  }
  t.tap[0] = int(rest);
  return t;
}

// Elements from the first one to the one that begin + tap meets, or -1: strides may be negative, hence the flag.
inline bool find(Arguments p, thread const int* begin, thread const int* tap, thread long& offset) {
  long at = 0;
  for (int axis = 0; axis < 3; ++axis) {
    int place = place_of(begin[axis] + tap[axis] * p.kernel_dilation[axis], p.input_dilation[axis], p.lengths[axis]);
    if (place < 0) {
      return false;
    }
    at += long(place) * p.axis_a[axis];
  }
  offset = at;
  return true;
}

// A threadgroup of four simdgroups makes 32 rows (windows) by 32 columns (outputs of a group).
template <typename T>
[[kernel, max_total_threads_per_threadgroup(128)]] void convolve_tiles(device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]], device T* out [[buffer(2)]], Arguments p [[buffer(3)]],
    uint3 group [[threadgroup_position_in_grid]], uint thread_number [[thread_index_in_threadgroup]],
    uint quarter [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
  constexpr uint side = 32, depth = 16;
  constexpr int pitch_a = 20, pitch_b = 36;
  threadgroup float tile_a[32 * 20];
  threadgroup float tile_b[16 * 36];
  threadgroup float patches[4 * 64];
  threadgroup int begins[32 * 3];
  threadgroup uint batches[32];
  threadgroup int taps[16 * 3];
  threadgroup uint channels[16];
  const uint first_row = group.y * side, first_column = group.x * side;
  device const T* from_a = a + p.from_a + long(group.z) * p.channels * p.channel_a;
  device const T* from_b = b + p.from_b + long(group.z) * p.outputs * p.output_b;
  if (thread_number < side) {
    Window w = window_of(p, min(first_row + thread_number, p.rows - 1));
    for (int axis = 0; axis < 3; ++axis) {
      begins[thread_number * 3 + axis] = w.begin[axis];
    }
    batches[thread_number] = w.batch;
  }
  const uint row_in_tile = quarter / 2 * (side / 2), column_in_tile = quarter % 2 * (side / 2);
  simdgroup_float8x8 sums[4];
  for (int i = 0; i < 4; ++i) {
    sums[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  for (uint k = 0; k < p.terms; k += depth) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (thread_number < depth) {
      Term t = term_of(p, min(k + thread_number, p.terms - 1));
      for (int axis = 0; axis < 3; ++axis) {
        taps[thread_number * 3 + axis] = t.tap[axis];
      }
      channels[thread_number] = t.channel;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = thread_number; e < side * depth; e += 128) { // channels are neighbours, for windows and weights alike
      const uint r = e / depth, c = e % depth;
      int begin[3];
      int tap[3];
      for (int axis = 0; axis < 3; ++axis) {
        begin[axis] = begins[r * 3 + axis];
        tap[axis] = taps[c * 3 + axis];
      }
      long at = 0;
      const bool inside = k + c < p.terms && first_row + r < p.rows && find(p, begin, tap, at);
      tile_a[r * pitch_a + c] =
          inside ? float(from_a[at + long(batches[r]) * p.batch_a + long(channels[c]) * p.channel_a]) : 0.0f;
      const uint column = first_column + r;
      long weight = long(column) * p.output_b + long(channels[c]) * p.channel_b;
      for (int axis = 0; axis < 3; ++axis) {
        weight += long(tap[axis]) * p.tap_b[axis];
      }
      tile_b[c * pitch_b + r] = k + c < p.terms && column < p.outputs ? float(from_b[weight]) : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = 0; step < depth; step += 8) {
      simdgroup_float8x8 left[2];
      simdgroup_float8x8 right[2];
      for (int i = 0; i < 2; ++i) {
        simdgroup_load(left[i], tile_a + (row_in_tile + 8 * i) * pitch_a + step, pitch_a);
        simdgroup_load(right[i], tile_b + step * pitch_b + column_in_tile + 8 * i, pitch_b);
      }
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) {
          simdgroup_multiply_accumulate(sums[i * 2 + j], left[i], right[j], sums[i * 2 + j]);
        }
      }
    }
  }
  threadgroup float* patch = patches + quarter * 64;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      simdgroup_barrier(mem_flags::mem_threadgroup);
      simdgroup_store(sums[i * 2 + j], patch, 8);
      simdgroup_barrier(mem_flags::mem_threadgroup);
      for (uint e = lane; e < 64; e += 32) {
        uint row = first_row + row_in_tile + 8 * i + e / 8, column = first_column + column_in_tile + 8 * j + e % 8;
        if (row < p.rows && column < p.outputs) {
          out[(ulong(row) * p.groups + group.z) * p.outputs + column] = T(patch[e]);
        }
      }
    }
  }
}

// One output; in runs of 64 terms, which keep what rounding loses small. Without zero terms: those with a factor 0 are
// left out, too.
template <typename T>
inline T output_of(device const T* a, device const T* b, Arguments p, uint number, bool without_zero_terms) {
  using C = Wide<T>;
  const uint all = p.groups * p.outputs, row = number / all, j = number - row * all;
  const Window w = window_of(p, row);
  device const T* from_a = a + p.from_a + long(w.batch) * p.batch_a + long(j / p.outputs) * p.channels * p.channel_a;
  device const T* from_b = b + p.from_b + long(j) * p.output_b;
  C sum = reduction::sum::identity<C>(), run = reduction::sum::identity<C>();
  uint terms = 0;
  int tap[3];
  for (tap[0] = 0; tap[0] < int(p.taps[0]); ++tap[0]) {
    for (tap[1] = 0; tap[1] < int(p.taps[1]); ++tap[1]) {
      for (tap[2] = 0; tap[2] < int(p.taps[2]); ++tap[2]) {
        long at = 0;
        if (!find(p, w.begin, tap, at)) {
          continue;
        }
        const long weight = long(tap[0]) * p.tap_b[0] + long(tap[1]) * p.tap_b[1] + long(tap[2]) * p.tap_b[2];
        for (uint c = 0; c < p.channels; ++c) {
          T x = from_a[at + long(c) * p.channel_a], y = from_b[weight + long(c) * p.channel_b];
          if (!without_zero_terms || (!is_zero(x) && !is_zero(y))) {
            run = run + C(x) * C(y);
          }
          if (++terms % 64 == 0) {
            sum = sum + run;
            run = reduction::sum::identity<C>();
          }
        }
      }
    }
  }
  return T(sum + run);
}

template <typename T>
[[kernel]] void convolve_elements(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]], Arguments p [[buffer(3)]], uint number [[thread_position_in_grid]]) {
  out[number] = output_of(a, b, p, number, false);
}

// Places that are none of the input's were zeros in a tile: times an infinity or NaN they made a sum NaN.
template <typename T>
[[kernel]] void convolve_again(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]], Arguments p [[buffer(3)]], uint number [[thread_position_in_grid]]) {
  if (is_nan(out[number])) {
    out[number] = output_of(a, b, p, number, p.zero_terms != 0);
  }
}

#define ONE(kernel_name, in, In) \
  template [[host_name(#kernel_name "_" #in)]] [[kernel]] decltype(kernel_name<In>) kernel_name<In>;
#define ALL(in, In)              \
  ONE(convolve_elements, in, In) \
  ONE(convolve_again, in, In)
ALL(float16, half)
ALL(bfloat16, bfloat)
ALL(float32, float)
ALL(complex64, complex64_t)
ONE(convolve_tiles, float16, half)
ONE(convolve_tiles, bfloat16, bfloat)
ONE(convolve_tiles, float32, float)
