// Kernels that users wrote: their arguments as they expect them, and a dispatch for each place of a batch.
#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::gpu {

namespace {

constexpr const char* op = "metal_kernel";

// Where constant memory may begin, in bytes, on every GPU of a Mac.
constexpr int64_t constant_alignment = 32;

// An input for one place of the batch after another.
struct Input {
  View memory;   // of the first place
  Strides batch; // elements from one place to the next, for each axis of the batch
  Sizes sizes;   // of one place
  Strides strides;
};

Sizes of_one(const View& view, size_t batch_axes) { return Sizes(view.sizes.begin() + batch_axes, view.sizes.end()); }

// As it is where a kernel can take it, and else a row-major copy of each place that differs.
Input input_of(Encoder& encoder, const kernel::Custom& k, const View& view) {
  size_t axes = k.batch_axes;
  Input input{view, Strides(view.strides.begin(), view.strides.begin() + axes), of_one(view, axes),
      Strides(view.strides.begin() + axes, view.strides.end())};
  int64_t size = View::size_of(input.sizes);
  bool constant = CustomKernel::is_constant(size), row_major_already = is_row_major(input.sizes, input.strides);
  if (row_major_already) {
    input.strides = row_major(input.sizes);
  }
  auto backwards = [](int64_t stride) { return stride < 0; };
  auto misaligned = [&](int64_t elements) { return elements * view.itemsize() % constant_alignment != 0; };
  bool copied = k.kernel.ensure_row_contiguous && !row_major_already;
  copied |= std::any_of(input.strides.begin(), input.strides.end(), backwards);
  copied |= !view.buffer && view.size() > 1;
  copied |= constant && view.buffer &&
            (view.offset % constant_alignment != 0 || std::any_of(input.batch.begin(), input.batch.end(), misaligned));
  if (view.size() == 0) {
    input.memory = encoder.scratch(view.dtype, constant_alignment);
    return input;
  }
  if (!copied) {
    return input;
  }
  View from = view;
  Sizes places;
  for (size_t i = 0; i < axes; ++i) { // a place that is repeated is copied once
    if (input.batch[i] == 0) {
      from.sizes[i] = 1;
    }
    places.push_back(from.sizes[i]);
  }
  int64_t step = size;
  if (constant) { // each place where constant memory may begin
    int64_t unit = constant_alignment / view.itemsize();
    step = (size + unit - 1) / unit * unit;
  }
  View memory = encoder.scratch(view.dtype, View::size_of(places) * step);
  input.strides = row_major(input.sizes);
  Strides batch = row_major(places);
  for (size_t i = 0; i < axes; ++i) {
    batch[i] *= step;
    input.batch[i] = input.batch[i] == 0 ? 0 : batch[i];
  }
  Strides to = batch;
  for (int64_t stride : input.strides) {
    to.push_back(stride);
  }
  kernel::Copy copy{from, memory.laid_out(from.sizes, to)};
  if (!supports(copy)) {
    fail<std::runtime_error>(op, "An input of the kernel ", k.kernel.name,
        " has a layout that the GPU does not copy; make it row-major with mx.contiguous.");
  }
  launch(encoder, copy);
  input.memory = memory;
  return input;
}

int64_t at(const Strides& strides, const std::vector<int64_t>& place) {
  int64_t elements = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    elements += strides[i] * place[i];
  }
  return elements;
}

} // namespace

bool supports(const kernel::Custom& k) {
  auto has_type = [](const View& view) { return custom_type(view.dtype) != nullptr; };
  return std::all_of(k.inputs.begin(), k.inputs.end(), has_type) &&
         std::all_of(k.outputs.begin(), k.outputs.end(), has_type);
}

void launch(Encoder& encoder, const kernel::Custom& k) {
  std::vector<Input> inputs;
  std::vector<CustomKernel::Input> kinds;
  std::vector<CustomKernel::Asked> asked;
  std::vector<Dtype> outputs;
  for (const View& view : k.inputs) {
    Sizes sizes = of_one(view, k.batch_axes);
    kinds.push_back({view.dtype, static_cast<int>(sizes.size()), View::size_of(sizes)});
    asked.push_back(k.kernel.asked_of(asked.size(), kinds.back().ndim));
  }
  for (const View& view : k.outputs) {
    outputs.push_back(view.dtype);
  }
  Sizes batch;
  if (k.batch_axes > 0) {
    batch = Sizes(k.inputs[0].sizes.begin(), k.inputs[0].sizes.begin() + k.batch_axes);
  }
  auto [gx, gy, gz] = k.grid;
  if (View::size_of(batch) == 0 || gx == 0 || gy == 0 || gz == 0) {
    return;
  }
  for (const View& view : k.inputs) {
    inputs.push_back(input_of(encoder, k, view));
  }
  auto [tx, ty, tz] = k.threadgroup;
  Grid grid{static_cast<uint64_t>(gx), static_cast<uint64_t>(gy), static_cast<uint64_t>(gz)};
  Grid group{static_cast<uint64_t>(std::min(tx, gx)), static_cast<uint64_t>(std::min(ty, gy)),
      static_cast<uint64_t>(std::min(tz, gz))};
  std::string text = k.kernel.text(kinds, outputs), name = k.kernel.function_name();
  InterruptPoll poll(64);
  std::vector<int64_t> place(batch.size());
  for (int64_t number = 0, places = View::size_of(batch); number < places; ++number, poll()) {
    try {
      encoder.kernel_of_text(text, [&] { return text; }, name, k.kernel.math);
    } catch (const ShaderError& error) {
      fail<std::runtime_error>(op, "The kernel ", k.kernel.name, " does not compile:\n", error.messages());
    }
    if (group.count() > encoder.most_threads()) {
      fail(op, "The kernel ", k.kernel.name, " runs with at most ", encoder.most_threads(),
          " threads in a group; threadgroup=(", tx, ", ", ty, ", ", tz, ") asks for ", group.count(), ".");
    }
    for (int64_t rest = number, axis = static_cast<int64_t>(batch.size()) - 1; axis >= 0; --axis) {
      auto i = static_cast<size_t>(axis);
      place[i] = rest % batch[i];
      rest /= batch[i];
    }
    int slot = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Input& input = inputs[i];
      encoder.read(slot++, input.memory.laid_out(input.sizes, input.strides, at(input.batch, place)));
      if (asked[i].shape) {
        std::vector<int32_t> shape(input.sizes.begin(), input.sizes.end());
        encoder.values(slot++, std::span<const int32_t>(shape));
      }
      if (asked[i].strides) {
        encoder.values(slot++, std::span<const int64_t>(input.strides.data(), input.strides.size()));
      }
      if (asked[i].ndim) {
        encoder.value(slot++, static_cast<int32_t>(kinds[i].ndim));
      }
    }
    for (const View& output : k.outputs) {
      Sizes sizes = of_one(output, k.batch_axes);
      encoder.write(slot++, output.laid_out(sizes, row_major(sizes), number * View::size_of(sizes)));
    }
    encoder.dispatch_threads(grid, group);
  }
}

} // namespace mlx::core::gpu
