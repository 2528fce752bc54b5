// What launch functions pass to kernels by value: read by both compilers, so each field has one size and place. It
// includes nothing: <cstdint> or <metal_stdlib> comes before.
#pragma once

namespace mlx_arguments {

enum { most_axes = 10 };

// Where the elements of a part of an array lie, by their row-major number: axes that could be merged are.
struct Layout {
  uint32_t axes;
  uint32_t sizes[most_axes];
  int64_t strides[most_axes]; // in elements
};

// Buffers are bound at the lowest element that is touched; `from` and `to` are the first one's number, counted from it.
struct Reduce {
  Layout kept, reduced;
  int64_t from;
  uint32_t outs, length; // results; elements of each
  uint32_t blocks;       // pieces of them
};

struct ArgReduce {
  Layout kept;
  int64_t from, step; // step: along the axis
  uint32_t outs, length, blocks;
  uint32_t from_axis; // elements are those of the axis, or else those that the candidates say
};

struct Scan {
  Layout in, out; // of lanes
  int64_t from, step_from, to, step_to;
  uint32_t lanes, length, blocks;
  uint32_t inclusive;
};

struct Recurrence {
  Layout a, b, out; // of lanes
  int64_t from_a, step_a, from_b, step_b, to, step_to;
  uint32_t lanes, length;
};

enum { most_passes = 11, most_fft = 2048, largest_fft_radix = 13 };

struct Fft {
  Layout in, out; // of lanes
  int64_t from, step_from, step_to;
  uint32_t lanes, length; // length: of the complex transform
  uint32_t given, wanted; // elements of a lane that are read, and written
  uint32_t inverse;       // exp(+...)
  float scale;
  uint32_t passes, radices[most_passes];
};

struct Sort {
  Layout in, out; // of rows
  int64_t from, step_from, step_to;
  uint32_t rows, length, tiles, tile; // tile: elements that a threadgroup sorts
  uint32_t run;                       // merging: elements of each sorted run
  uint32_t kind;                      // 0: unsigned integers, 1: signed, 2: floating; of elements that become keys
  uint32_t equal_zeros;               // whether -0 gets the key of 0
  uint32_t keys_in, keys_out;         // whether keys are read, and written, instead of elements
  uint32_t store_keys;
  uint64_t infinity; // floating: its bits
};

struct Search {
  Layout values, rows;
  int64_t from, value_from, step;
  uint32_t count, length, right;
};

// Indices of a gather or scatter that select along one axis.
struct Index {
  Layout layout;
  int64_t from;
  uint32_t type; // of Dtype::Val
  uint32_t op;   // for the error
  int32_t axis;
  uint32_t more; // whether they are added to offsets that are there
  int64_t length, slice, stride;
};

struct Gather {
  Layout slice;
  int64_t from;
  uint32_t slice_size, count; // of elements
};

struct Along {
  Layout array; // of what is indexed, the axis held still
  int64_t from;
};

struct Scatter {
  Layout slice, positions, updates; // of a slice in the result; of the updates: over positions, over a slice
  int64_t from;                     // of the updates
  uint32_t count, slice_size;       // count: of positions
  uint32_t in_order;                // whether the places are those of positions 0, 1, ...
};

struct Product {
  Layout batch_a, batch_b;
  int64_t from_a, row_a, column_a, from_b, row_b, column_b;
  uint32_t m, n, k, batch;
};

// Along three axes, of which those in front may have length 1. Strides of b are those of flipped taps, if they are.
struct Convolve {
  int64_t from_a, batch_a, axis_a[3], channel_a;
  int64_t from_b, output_b, tap_b[3], channel_b;
  int32_t lengths[3], stride[3], low[3], kernel_dilation[3], input_dilation[3];
  uint32_t out[3], taps[3];
  uint32_t rows, groups, outputs, channels; // rows: windows of the batch; of a group
  uint32_t terms, zero_terms;               // terms of a sum
};

// What a kernel found first: an index that is out of bounds. In 32-bit words, as atomics are; all 0: nothing.
enum { error_words = 8 };
enum { error_found, error_op, error_axis, error_slice, error_index, error_index_high, error_length, error_length_high };
enum { index_of_gather = 1, index_of_scatter, index_of_take_along, index_of_put_along };

} // namespace mlx_arguments
