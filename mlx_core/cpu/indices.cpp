// Index operands of any integer dtype and layout, as checked element offsets.
#include "mlx_core/cpu/indices.h"

#include <limits>
#include <stdexcept>
#include <string>

#include "mlx_core/backend/index_error.h"

namespace mlx::core::cpu {
namespace {

template <typename T>
void convert(const void* data, int64_t stride, int64_t n, int64_t* out) {
  auto* p = static_cast<const T*>(data);
  for (int64_t i = 0; i < n; ++i) {
    T value = p[i * stride];
    if constexpr (std::is_same_v<T, uint64_t>) {
      constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      out[i] = static_cast<int64_t>(std::min(value, most));
    } else {
      out[i] = static_cast<int64_t>(value);
    }
  }
}

} // namespace

void read_indices(const void* data, Dtype dtype, int64_t stride, int64_t n, int64_t* out) {
  switch (dtype.val) {
    case Dtype::Val::bool_:
    case Dtype::Val::uint8: return convert<uint8_t>(data, stride, n, out);
    case Dtype::Val::uint16: return convert<uint16_t>(data, stride, n, out);
    case Dtype::Val::uint32: return convert<uint32_t>(data, stride, n, out);
    case Dtype::Val::uint64: return convert<uint64_t>(data, stride, n, out);
    case Dtype::Val::int8: return convert<int8_t>(data, stride, n, out);
    case Dtype::Val::int16: return convert<int16_t>(data, stride, n, out);
    case Dtype::Val::int32: return convert<int32_t>(data, stride, n, out);
    case Dtype::Val::int64: return convert<int64_t>(data, stride, n, out);
    default: throw std::invalid_argument("[gather] indices must have an integer dtype.");
  }
}

void throw_index(const Bounds& bounds, int64_t index) {
  throw std::out_of_range(index_error_text(bounds.op, index, bounds.axis, bounds.length, bounds.slice));
}

void read_offsets(const char* op, std::span<const IndexOperand> indices, Ints index_shape, Ints shape, Ints strides,
    Ints slice_shape, int64_t first, int64_t n, int64_t* offsets) {
  std::fill_n(offsets, n, int64_t{0});
  alignas(8) char raw[index_chunk * 8];
  int64_t values[index_chunk];
  for (const IndexOperand& operand : indices) {
    auto axis = static_cast<size_t>(operand.axis);
    Bounds bounds{op, operand.axis, shape[axis], slice_shape[axis]};
    int64_t stride = strides[axis];
    for (int64_t done = 0; done < n; done += index_chunk) {
      int64_t count = std::min(index_chunk, n - done);
      read_strided(operand.data, index_shape, operand.strides, operand.dtype.size(), first + done, count, raw);
      read_indices(raw, operand.dtype, 1, count, values);
      for (int64_t i = 0; i < count; ++i) offsets[done + i] += checked_index(bounds, values[i]) * stride;
    }
  }
}

} // namespace mlx::core::cpu
