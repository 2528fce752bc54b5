// Gathers and scatters. Indices out of bounds are held within them on the device, and reported to the stream.
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/sort_rows.h"

namespace mlx::core::gpu {

namespace {

constexpr uint8_t zero = 0;

// Which integers, and where their slices start in an array.
arguments::Index argument(const Bound& index, std::span<const int64_t> shape, uint32_t op, int axis, int64_t length,
    int64_t slice, int64_t stride) {
  arguments::Index a{};
  a.layout = layout_of(shape, index.view.strides);
  a.from = index.first;
  a.type = static_cast<uint32_t>(index.view.dtype.val);
  a.op = op;
  a.axis = axis;
  a.length = length;
  a.slice = slice;
  a.stride = stride;
  return a;
}

bool indices_fit(std::span<const kernel::Index> indices, std::span<const int64_t> shape) {
  for (const kernel::Index& index : indices) {
    if (index.view.dtype.is_inexact() || !fits(shape, index.view.strides)) {
      return false;
    }
  }
  return View::size_of(shape) <= most_elements;
}

std::string by_size(const char* name, Dtype dtype) { return name + std::to_string(8 * dtype.size()); }

// Where no index is right, because slices are longer than the axis: that is all there is to report.
void only_report(Encoder& encoder, const Bound& index, const arguments::Index& i, int64_t count) {
  encoder.kernel("gather", "gather_offsets");
  encoder.read(0, index.view);
  encoder.write(1, encoder.scratch(int64, count));
  encoder.write(2, encoder.index_errors());
  encoder.value(3, i);
  encoder.dispatch_elements(static_cast<uint64_t>(count));
}

Sizes together(std::span<const int64_t> a, std::span<const int64_t> b) {
  Sizes both(a.begin(), a.end());
  for (int64_t size : b) {
    both.push_back(size);
  }
  return both;
}

} // namespace

bool supports(const kernel::Gather& k) {
  return k.out.size() <= most_elements && indices_fit(k.indices, k.index_shape) && fits(k.slice, k.x.strides);
}

void launch(Encoder& encoder, const kernel::Gather& k) {
  if (k.out.size() == 0) {
    return;
  }
  const int64_t positions = View::size_of(k.index_shape);
  Bound x = from_lowest(k.x);
  arguments::Gather a{};
  a.slice = layout_of(k.slice, k.x.strides);
  a.from = x.first;
  a.slice_size = static_cast<uint32_t>(View::size_of(k.slice));
  a.count = static_cast<uint32_t>(k.out.size());
  auto argument_of = [&](const kernel::Index& index, const Bound& bound) {
    auto axis = static_cast<size_t>(index.axis);
    return argument(bound, k.index_shape, arguments::index_of_gather, index.axis, k.x.sizes[axis], k.slice[axis],
        k.x.strides[axis]);
  };
  for (const kernel::Index& index : k.indices) {
    Bound bound = from_lowest(index.view, k.index_shape);
    arguments::Index i = argument_of(index, bound);
    if (i.length < i.slice) {
      return only_report(encoder, bound, i, positions);
    }
  }
  if (k.indices.size() <= 1) {
    Bound index;
    arguments::Index i{};
    if (k.indices.empty()) { // as if by zeros along an axis of length 1
      index.view.inline_value = &zero;
      index.view.dtype = uint8;
      i.type = static_cast<uint32_t>(uint8.val);
      i.length = i.slice = 1;
    } else {
      index = from_lowest(k.indices[0].view, k.index_shape);
      i = argument_of(k.indices[0], index);
    }
    encoder.kernel("gather", by_size("gather_by_one_", k.x.dtype));
    encoder.read(0, x.view);
    encoder.read(1, index.view);
    encoder.write(2, k.out);
    encoder.value(3, a);
    encoder.write(4, encoder.index_errors());
    encoder.value(5, i);
    encoder.dispatch_elements(a.count);
    return;
  }
  View offsets = encoder.scratch(int64, positions);
  for (size_t n = 0; n < k.indices.size(); ++n) {
    Bound index = from_lowest(k.indices[n].view, k.index_shape);
    arguments::Index i = argument_of(k.indices[n], index);
    i.more = n > 0;
    encoder.kernel("gather", "gather_offsets");
    encoder.read(0, index.view);
    encoder.write(1, offsets);
    encoder.write(2, encoder.index_errors());
    encoder.value(3, i);
    encoder.dispatch_elements(static_cast<uint64_t>(positions));
  }
  encoder.kernel("gather", by_size("gather_slices_", k.x.dtype));
  encoder.read(0, x.view);
  encoder.read(1, offsets);
  encoder.write(2, k.out);
  encoder.value(3, a);
  encoder.dispatch_elements(a.count);
}

bool supports(const kernel::GatherAlong& k) {
  return k.length <= most_elements && !k.index.dtype.is_inexact() && fits(k.out.sizes, k.x.strides) &&
         fits(k.out.sizes, k.index.strides);
}

void launch(Encoder& encoder, const kernel::GatherAlong& k) {
  if (k.out.size() == 0) {
    return;
  }
  auto axis = static_cast<size_t>(k.axis);
  Sizes sizes = k.out.sizes;
  sizes[axis] = k.length;
  Bound x = from_lowest(k.x, sizes), index = from_lowest(k.index, k.out.sizes);
  Strides held = k.x.strides;
  held[axis] = 0;
  arguments::Along a{layout_of(k.out.sizes, held), x.first};
  arguments::Index i =
      argument(index, k.out.sizes, arguments::index_of_take_along, k.axis, k.length, 1, k.x.strides[axis]);
  if (k.length == 0) {
    return only_report(encoder, index, i, k.out.size());
  }
  encoder.kernel("gather", by_size("gather_along_", k.x.dtype));
  encoder.read(0, x.view);
  encoder.read(1, index.view);
  encoder.write(2, k.out);
  encoder.value(3, a);
  encoder.write(4, encoder.index_errors());
  encoder.value(5, i);
  encoder.dispatch_elements(static_cast<uint64_t>(k.out.size()));
}

namespace {

bool can_combine(ScatterMode mode, Dtype dtype) { return mode == ScatterMode::set || has_shader_type(dtype); }

// bool is 0 or 1: a sum of them is their maximum, a product their minimum.
std::string combining_kernel(ScatterMode mode, Dtype dtype) {
  if (mode == ScatterMode::set) {
    return by_size("scatter_set_", dtype);
  }
  const bool truth = dtype.is_bool();
  switch (mode) {
    case ScatterMode::add: return kernel_name(truth ? "scatter_max" : "scatter_sum", unsigned_of(dtype));
    case ScatterMode::multiply: return kernel_name(truth ? "scatter_min" : "scatter_prod", unsigned_of(dtype));
    case ScatterMode::maximum: return kernel_name("scatter_max", truth ? uint8 : dtype);
    default: return kernel_name("scatter_min", truth ? uint8 : dtype);
  }
}

// Combines updates at places, of which there are a.count.
void combine_at(
    Encoder& encoder, ScatterMode mode, View places, const View& updates, const View& out, arguments::Scatter a) {
  View order = places; // not read unless there are several
  a.in_order = a.count == 1;
  if (!a.in_order) {
    SortedRows rows;
    rows.in = {places, 0};
    rows.length = a.count;
    View sorted = encoder.scratch(uint32, a.count);
    order = encoder.scratch(uint32, a.count);
    sort_rows(encoder, rows, &sorted, &order);
    places = sorted;
  }
  encoder.kernel("scatter", combining_kernel(mode, out.dtype));
  encoder.read(0, places);
  encoder.read(1, order);
  encoder.read(2, updates);
  encoder.write(3, out);
  encoder.value(4, a);
  encoder.dispatch_elements(uint64_t{a.count} * a.slice_size);
}

} // namespace

bool supports(const kernel::Scatter& k) {
  Sizes all = together(k.index_shape, k.slice);
  return can_combine(k.mode, k.out.dtype) && k.out.size() <= most_elements && indices_fit(k.indices, k.index_shape) &&
         fits(all, k.updates.strides) && fits(k.slice, row_major(k.out.sizes));
}

void launch(Encoder& encoder, const kernel::Scatter& k) {
  Sizes all = together(k.index_shape, k.slice);
  if (View::size_of(all) == 0) {
    return;
  }
  const Strides strides = row_major(k.out.sizes);
  const auto positions = static_cast<uint32_t>(View::size_of(k.index_shape));
  View places = encoder.scratch(uint32, positions);
  bool disjoint = true; // each slice is one element along an axis, or all: two are the same or have nothing in common
  for (size_t i = 0; i < k.slice.size(); ++i) {
    disjoint = disjoint && (k.slice[i] == 1 || k.slice[i] == k.out.sizes[i]);
  }
  for (size_t n = 0; n < k.indices.size(); ++n) {
    auto axis = static_cast<size_t>(k.indices[n].axis);
    Bound index = from_lowest(k.indices[n].view, k.index_shape);
    arguments::Index i = argument(index, k.index_shape, arguments::index_of_scatter, k.indices[n].axis,
        k.out.sizes[axis], k.slice[axis], strides[axis]);
    if (i.length < i.slice) {
      return only_report(encoder, index, i, positions);
    }
    i.more = n > 0;
    encoder.kernel("scatter", "scatter_places");
    encoder.read(0, index.view);
    encoder.write(1, places);
    encoder.write(2, encoder.index_errors());
    encoder.value(3, i);
    encoder.dispatch_elements(positions);
  }
  if (k.indices.empty()) {
    encoder.kernel("scatter", "scatter_origin");
    encoder.write(0, places);
    encoder.dispatch_elements(positions);
  }
  Bound updates = from_lowest(k.updates, all);
  std::span<const int64_t> update_strides = k.updates.strides;
  const size_t outer = k.index_shape.size();
  arguments::Scatter a{};
  a.slice = layout_of(k.slice, strides);
  a.from = updates.first;
  a.count = positions;
  a.slice_size = static_cast<uint32_t>(View::size_of(k.slice));
  if (positions == 1 || disjoint) {
    a.positions = layout_of(k.index_shape, update_strides.first(outer));
    a.updates = layout_of(k.slice, update_strides.subspan(outer));
  } else {
    View starts = places;
    places = encoder.scratch(uint32, View::size_of(all));
    encoder.kernel("scatter", "scatter_elements");
    encoder.read(0, starts);
    encoder.write(1, places);
    encoder.value(2, a);
    encoder.dispatch_elements(uint64_t{a.count} * a.slice_size);
    a.positions = layout_of(all, update_strides);
    a.slice = a.updates = {};
    a.count *= a.slice_size;
    a.slice_size = 1;
  }
  combine_at(encoder, k.mode, places, updates.view, k.out, a);
}

bool supports(const kernel::ScatterAlong& k) {
  return can_combine(k.mode, k.out.dtype) && k.out.size() <= most_elements && !k.index.dtype.is_inexact() &&
         fits(k.index) && fits(k.index.sizes, k.updates.strides) && fits(k.index.sizes, row_major(k.out.sizes));
}

void launch(Encoder& encoder, const kernel::ScatterAlong& k) {
  const int64_t count = k.index.size();
  if (count == 0) {
    return;
  }
  auto axis = static_cast<size_t>(k.axis);
  Strides held = row_major(k.out.sizes);
  const int64_t stride = held[axis];
  held[axis] = 0;
  Bound index = from_lowest(k.index), updates = from_lowest(k.updates, k.index.sizes);
  arguments::Index i =
      argument(index, k.index.sizes, arguments::index_of_put_along, k.axis, k.out.sizes[axis], 1, stride);
  if (i.length == 0) {
    return only_report(encoder, index, i, count);
  }
  View places = encoder.scratch(uint32, count);
  encoder.kernel("scatter", "scatter_along_places");
  encoder.read(0, index.view);
  encoder.write(1, places);
  encoder.write(2, encoder.index_errors());
  encoder.value(3, i);
  encoder.value(4, arguments::Along{layout_of(k.index.sizes, held), 0});
  encoder.dispatch_elements(static_cast<uint64_t>(count));
  arguments::Scatter a{};
  a.positions = layout_of(k.index.sizes, k.updates.strides);
  a.from = updates.first;
  a.count = static_cast<uint32_t>(count);
  a.slice_size = 1;
  combine_at(encoder, k.mode, places, updates.view, k.out, a);
}

} // namespace mlx::core::gpu
