// Index operands of any integer dtype and layout, as checked element offsets.
#include "mlx_core/cpu/indices.h"

#include <limits>
#include <stdexcept>

#include "mlx_core/backend/index_error.h"
#include "mlx_core/cpu/dispatch.h"

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
  if (dtype.is_inexact()) {
    throw std::invalid_argument("[gather] indices must have an integer dtype.");
  }
  with_integer_type(dtype, [&]<class T>(std::type_identity<T>) { convert<T>(data, stride, n, out); });
}

void throw_index(const Bounds& bounds, int64_t index) {
  throw std::out_of_range(index_error_text(bounds.op, index, bounds.axis, bounds.length, bounds.slice));
}

namespace {

// Adds the offsets of n indices to `offsets`, or with `begin` sets them. The check is apart from the loop, which has no
// way out of it.
template <typename T>
void add_offsets(const Bounds& bounds, const T* index, int64_t stride, int64_t n, bool begin, int64_t* offsets) {
  const int64_t length = bounds.length, most = length - bounds.slice;
  bool out_of_bounds = false;
  auto each = [&](auto before) {
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = static_cast<int64_t>(index[i]);
      at += at < 0 ? length : 0;
      out_of_bounds |= at < 0 || at > most;
      offsets[i] = before(i) + at * stride;
    }
  };
  begin ? each([](int64_t) { return int64_t{0}; }) : each([=](int64_t i) { return offsets[i]; });
  for (int64_t i = 0; out_of_bounds && i < n; ++i) checked_index(bounds, static_cast<int64_t>(index[i]));
}

} // namespace

bool is_in_line(Ints shape, Ints strides) {
  int64_t expected = 1;
  for (size_t d = shape.size(); d-- > 0; expected *= shape[d]) {
    if (shape[d] != 1 && strides[d] != expected) return false;
  }
  return true;
}

void read_offsets(const char* op, std::span<const IndexOperand> indices, Ints index_shape, Ints shape, Ints strides,
    Ints slice_shape, int64_t first, int64_t n, int64_t* offsets) {
  if (indices.empty()) std::fill_n(offsets, n, int64_t{0});
  alignas(8) char raw[index_chunk * 8];
  int64_t values[index_chunk];
  for (const IndexOperand& operand : indices) {
    auto axis = static_cast<size_t>(operand.axis);
    Bounds bounds{op, operand.axis, shape[axis], slice_shape[axis]};
    const bool begin = &operand == &indices.front(), in_line = is_in_line(index_shape, operand.strides);
    const int64_t size = operand.dtype.size();
    for (int64_t done = 0; done < n; done += index_chunk) {
      const int64_t count = std::min(index_chunk, n - done);
      const void* read = static_cast<const char*>(operand.data) + (first + done) * size;
      if (!in_line) {
        read_strided(operand.data, index_shape, operand.strides, operand.dtype.size(), first + done, count, raw);
        read = raw;
      }
      auto add = [&](auto* index) { add_offsets(bounds, index, strides[axis], count, begin, offsets + done); };
      switch (operand.dtype.val) {
        case Dtype::Val::int32: add(static_cast<const int32_t*>(read)); break;
        case Dtype::Val::uint32: add(static_cast<const uint32_t*>(read)); break;
        case Dtype::Val::int64: add(static_cast<const int64_t*>(read)); break;
        default: read_indices(read, operand.dtype, 1, count, values), add(values);
      }
    }
  }
}

} // namespace mlx::core::cpu
