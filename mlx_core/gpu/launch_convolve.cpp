// Convolutions: by tiles, or element by element where there is little to share. The sizes decide.
#include <algorithm>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

// Places along an axis are counted in 32 bits.
bool reaches_far(int64_t count, int64_t step) {
  constexpr int64_t most = int64_t{1} << 29;
  return step > most || (count > 1 && (count - 1) > most / std::max<int64_t>(step, 1));
}

} // namespace

bool supports(const kernel::Convolve& k) {
  auto is_one = [](Dtype dtype) { return dtype.is_inexact() && has_shader_type(dtype); };
  const size_t axes = k.stride.size();
  if (!is_one(k.out.dtype) || k.a.dtype != k.out.dtype || k.b.dtype != k.out.dtype || axes < 1 || axes > 3) {
    return false;
  }
  for (size_t i = 0; i < axes; ++i) {
    const int64_t length = k.a.sizes[i + 1], taps = k.b.sizes[i + 1], outputs = k.out.sizes[i + 1];
    if (reaches_far(outputs, k.stride[i]) || reaches_far(taps, k.kernel_dilation[i]) ||
        reaches_far(length, k.input_dilation[i]) || std::abs(k.low[i]) > (int64_t{1} << 29)) {
      return false;
    }
  }
  return k.out.size() <= most_elements && k.a.size() <= most_elements && k.b.size() <= most_elements;
}

void launch(Encoder& encoder, const kernel::Convolve& k) {
  if (k.out.size() == 0) {
    return;
  }
  const size_t axes = k.stride.size(), last = axes + 1, front = 3 - axes; // axes that are missing are in front
  Bound a = from_lowest(k.a), b = from_lowest(k.b);
  arguments::Convolve p{};
  p.from_a = a.first;
  p.from_b = b.first;
  p.batch_a = k.a.strides[0];
  p.channel_a = k.a.strides[last];
  p.output_b = k.b.strides[0];
  p.channel_b = k.b.strides[last];
  bool left_out = false;
  uint32_t taps = 1;
  for (size_t i = 0; i < 3; ++i) {
    p.lengths[i] = p.stride[i] = p.kernel_dilation[i] = p.input_dilation[i] = 1;
    p.out[i] = p.taps[i] = 1;
    if (i < front) {
      continue;
    }
    const size_t axis = i - front;
    const int64_t outputs = k.out.sizes[axis + 1], length = k.a.sizes[axis + 1], count = k.b.sizes[axis + 1];
    p.axis_a[i] = k.a.strides[axis + 1];
    p.tap_b[i] = k.b.strides[axis + 1];
    if (k.flip && count > 0) {
      p.from_b += (count - 1) * p.tap_b[i];
      p.tap_b[i] = -p.tap_b[i];
    }
    p.lengths[i] = static_cast<int32_t>(length);
    p.out[i] = static_cast<uint32_t>(outputs);
    p.taps[i] = static_cast<uint32_t>(count);
    p.stride[i] = static_cast<int32_t>(k.stride[axis]);
    p.low[i] = static_cast<int32_t>(k.low[axis]);
    p.kernel_dilation[i] = static_cast<int32_t>(k.kernel_dilation[axis]);
    p.input_dilation[i] = static_cast<int32_t>(k.input_dilation[axis]);
    const int64_t reach = (outputs - 1) * k.stride[axis] + (count - 1) * k.kernel_dilation[axis] - k.low[axis];
    left_out |= k.low[axis] > 0 || k.input_dilation[axis] != 1 || reach >= length;
    taps *= p.taps[i];
  }
  const int64_t all = k.out.sizes[last];
  p.groups = static_cast<uint32_t>(k.groups);
  p.channels = static_cast<uint32_t>(k.b.sizes[last]);
  p.outputs = static_cast<uint32_t>(all / k.groups);
  p.rows = static_cast<uint32_t>(k.out.size() / all);
  p.terms = taps * p.channels;
  p.zero_terms = k.zero_terms;
  auto begin = [&](const char* name) {
    encoder.kernel("convolve", kernel_name(name, k.out.dtype));
    encoder.read(0, memory_of(a, k.out));
    encoder.read(1, memory_of(b, k.out));
    encoder.write(2, k.out);
    encoder.value(3, p);
  };
  const bool tiles = k.out.dtype.is_floating() && p.outputs >= 8 && p.terms >= 8;
  if (tiles) {
    begin("convolve_tiles");
    encoder.dispatch_groups({pieces(p.outputs, 32), pieces(p.rows, 32), p.groups}, {128});
  } else {
    begin("convolve_elements");
    encoder.dispatch_elements(static_cast<uint64_t>(k.out.size()));
  }
  if (k.zero_terms || (tiles && left_out)) {
    begin("convolve_again");
    encoder.dispatch_elements(static_cast<uint64_t>(k.out.size()));
  }
}

} // namespace mlx::core::gpu
