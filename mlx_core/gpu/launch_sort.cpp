// Sorts by merging, and searching in what is sorted.
#include <algorithm>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/sort_rows.h"

namespace mlx::core::gpu {

namespace {

constexpr uint32_t each = 4, most_threads = 256; // of sort.metal: elements of a thread

// How elements of a dtype become keys.
void set_kind(Dtype dtype, arguments::Sort& a) {
  a.kind = dtype.is_signed() ? 1 : dtype.is_floating() ? 2 : 0;
  a.infinity = dtype == float16 ? 0x7c00 : dtype == bfloat16 ? 0x7f80 : 0x7f800000;
}

Dtype key_dtype(Dtype dtype) {
  if (dtype.is_complex()) {
    return complex64;
  }
  switch (dtype.size()) {
    case 1: return uint8;
    case 2: return uint16;
    case 4: return uint32;
    default: return uint64;
  }
}

bool rows_fit(const View& in, int axis, const View& out) {
  Lanes lanes = lanes_of(in.sizes, in.strides, axis);
  return has_shader_type(in.dtype) && in.size() <= most_elements && out.size() <= most_elements &&
         fits(lanes.sizes, lanes.strides);
}

SortedRows rows_of(const View& in, int axis) {
  Lanes from = lanes_of(in.sizes, in.strides, axis), to = lanes_of(in.sizes, row_major(in.sizes), axis);
  SortedRows rows;
  rows.in = from_lowest(in);
  rows.in_rows = layout_of(from.sizes, from.strides);
  rows.out_rows = layout_of(to.sizes, to.strides);
  rows.step_from = from.step;
  rows.step_to = to.step;
  rows.rows = static_cast<uint32_t>(View::size_of(from.sizes));
  rows.length = static_cast<uint32_t>(from.length);
  rows.dtype = in.dtype;
  return rows;
}

void argsort(Encoder& encoder, const View& in, int axis, const View& out) {
  if (out.size() == 0) {
    return;
  }
  SortedRows rows = rows_of(in, axis);
  rows.equal_zeros = true;
  sort_rows(encoder, rows, nullptr, &out);
}

} // namespace

void sort_rows(Encoder& encoder, const SortedRows& sorted, const View* elements, const View* numbers) {
  const uint32_t length = sorted.length;
  const Dtype key = key_dtype(sorted.dtype);
  const std::string suffix = kernel_name("", key) + (numbers ? "_numbered" : "");
  arguments::Sort a{};
  set_kind(sorted.dtype, a);
  a.in = sorted.in_rows;
  a.from = sorted.in.first;
  a.step_from = sorted.step_from;
  a.rows = sorted.rows;
  a.length = length;
  const auto threads = static_cast<uint32_t>(
      std::clamp<uint64_t>(pieces(pieces(length, each), 32) * 32, 32, most_threads)); // of a threadgroup
  a.tile = threads * each;
  a.tiles = static_cast<uint32_t>(pieces(length, a.tile));
  a.equal_zeros = sorted.equal_zeros;

  const int64_t count = int64_t{sorted.rows} * length, rows = sorted.rows, pitch = length;
  View keys[2], places[2]; // of what goes from pass to pass
  int now = 0;
  auto room = [&](int i) {
    if (!keys[i].buffer) {
      keys[i] = encoder.scratch(key, count);
      if (numbers) {
        places[i] = encoder.scratch(uint32, count);
      }
    }
  };
  auto pass = [&](bool last) {
    if (last) {
      a.out = sorted.out_rows;
      a.step_to = sorted.step_to;
    } else {
      room(now);
      a.out = layout_of({&rows, 1}, {&pitch, 1});
      a.step_to = 1;
    }
    a.keys_out = !last;
    a.store_keys = !last || elements;
    if (a.store_keys) {
      encoder.write(1, last ? *elements : keys[now]);
    }
    if (numbers) {
      encoder.write(2, last ? *numbers : places[now]);
    }
    encoder.value(3, a);
    encoder.dispatch_groups({uint64_t{a.rows} * a.tiles}, {threads});
  };
  encoder.kernel("sort", "sort_tiles" + suffix);
  encoder.read(0, sorted.in.view);
  pass(a.tiles == 1);
  a.keys_in = 1;
  for (uint64_t run = a.tile; run < length; run *= 2) {
    a.run = static_cast<uint32_t>(run);
    encoder.kernel("sort", "merge_tiles" + suffix);
    encoder.read(0, keys[now]);
    if (numbers) {
      encoder.read(4, places[now]);
    }
    now = 1 - now;
    pass(run * 2 >= length);
  }
}

bool supports(const kernel::Sort& k) { return rows_fit(k.in, k.axis, k.out); }
bool supports(const kernel::ArgSort& k) { return rows_fit(k.in, k.axis, k.out); }
bool supports(const kernel::ArgPartition& k) { return rows_fit(k.in, k.axis, k.in); }

void launch(Encoder& encoder, const kernel::Sort& k) {
  if (k.out.size() > 0) {
    sort_rows(encoder, rows_of(k.in, k.axis), &k.out, nullptr);
  }
}
void launch(Encoder& encoder, const kernel::ArgSort& k) { argsort(encoder, k.in, k.axis, k.out); }
// What is sorted is parted at every element.
void launch(Encoder& encoder, const kernel::ArgPartition& k) {
  if (k.out.sizes == k.in.sizes) {
    return argsort(encoder, k.in, k.axis, k.out);
  }
  if (k.out.size() == 0) {
    return;
  }
  Strides strides = row_major(k.in.sizes);
  View all = encoder.scratch(uint32, k.in.size());
  argsort(encoder, k.in, k.axis, all.laid_out(k.in.sizes, strides));
  int64_t skipped = k.first * strides[static_cast<size_t>(k.axis)];
  launch(encoder, kernel::Copy{all.laid_out(k.out.sizes, strides, skipped), k.out});
}

bool supports(const kernel::SearchSorted& k) {
  return has_shader_type(k.values.dtype) && k.sorted.sizes.back() <= most_elements && fits(k.values) &&
         fits(k.values.sizes, k.row_strides);
}

void launch(Encoder& encoder, const kernel::SearchSorted& k) {
  if (k.out.size() == 0) {
    return;
  }
  Bound sorted = from_lowest(k.sorted), values = from_lowest(k.values);
  arguments::Search a{};
  a.values = layout_of(k.values.sizes, k.values.strides);
  a.rows = layout_of(k.values.sizes, k.row_strides);
  a.from = sorted.first;
  a.value_from = values.first;
  a.step = k.sorted.strides.back();
  a.count = static_cast<uint32_t>(k.out.size());
  a.length = static_cast<uint32_t>(k.sorted.sizes.back());
  a.right = k.right;
  encoder.kernel("sort", kernel_name("search_sorted", k.values.dtype.is_bool() ? uint8 : k.values.dtype));
  encoder.read(0, memory_of(sorted, k.out));
  encoder.read(1, values.view);
  encoder.write(2, k.out);
  encoder.value(3, a);
  encoder.dispatch_elements(a.count);
}

} // namespace mlx::core::gpu
