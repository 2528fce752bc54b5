// Scatters: serial, in row-major order of the updates, so that duplicates combine the same way every time.
#include <algorithm>
#include <complex>
#include <memory>
#include <type_traits>
#include <vector>

#include "mlx_core/cpu/gather.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

int64_t product(Ints shape) {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

std::vector<int64_t> dense_strides(Ints shape) {
  std::vector<int64_t> strides(shape.size());
  for (int64_t d = static_cast<int64_t>(shape.size()) - 1, stride = 1; d >= 0; --d) {
    strides[static_cast<size_t>(d)] = stride;
    stride *= shape[static_cast<size_t>(d)];
  }
  return strides;
}

template <typename T>
inline bool less(T a, T b) {
  if constexpr (std::is_arithmetic_v<T>)
    return a < b;
  else
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}

// A NaN on either side is the result.
template <typename T>
inline T choose(T a, T b, bool b_is_better) {
  return (b_is_better || b != b) && !(a != a) ? b : a;
}

template <ScatterMode mode, typename T>
inline T combine(T a, T b) {
  if constexpr (mode == ScatterMode::set) {
    return b;
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return T(combine<mode>(static_cast<float>(a), static_cast<float>(b)));
  } else if constexpr (mode == ScatterMode::maximum) {
    return choose(a, b, less(a, b));
  } else if constexpr (mode == ScatterMode::minimum) {
    return choose(a, b, less(b, a));
  } else if constexpr (std::is_same_v<T, bool>) {
    return mode == ScatterMode::add ? a || b : a && b;
  } else if constexpr (std::is_integral_v<T>) { // wraps
    auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<T>(mode == ScatterMode::add ? x + y : x * y);
  } else if constexpr (mode == ScatterMode::add) {
    return a + b;
  } else if constexpr (std::is_floating_point_v<T>) {
    return a * b;
  } else {
    return T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  }
}

template <typename F>
void with_type(Dtype dtype, F f) {
  switch (dtype.val) {
    case Dtype::Val::bool_: return f(bool{});
    case Dtype::Val::uint8: return f(uint8_t{});
    case Dtype::Val::uint16: return f(uint16_t{});
    case Dtype::Val::uint32: return f(uint32_t{});
    case Dtype::Val::uint64: return f(uint64_t{});
    case Dtype::Val::int8: return f(int8_t{});
    case Dtype::Val::int16: return f(int16_t{});
    case Dtype::Val::int32: return f(int32_t{});
    case Dtype::Val::int64: return f(int64_t{});
    case Dtype::Val::float16: return f(float16_t{});
    case Dtype::Val::bfloat16: return f(bfloat16_t{});
    case Dtype::Val::float32: return f(float{});
    case Dtype::Val::float64: return f(double{});
    case Dtype::Val::complex64: return f(complex64_t{});
    case Dtype::Val::complex128: return f(complex128_t{});
  }
}

// f(mode as a constant, a value of the element type).
template <typename F>
void with_mode(ScatterMode mode, Dtype dtype, F f) {
  using enum ScatterMode;
  switch (mode) {
    case set: return with_type(dtype, [&](auto t) { f(std::integral_constant<ScatterMode, set>{}, t); });
    case add: return with_type(dtype, [&](auto t) { f(std::integral_constant<ScatterMode, add>{}, t); });
    case multiply: return with_type(dtype, [&](auto t) { f(std::integral_constant<ScatterMode, multiply>{}, t); });
    case maximum: return with_type(dtype, [&](auto t) { f(std::integral_constant<ScatterMode, maximum>{}, t); });
    case minimum: return with_type(dtype, [&](auto t) { f(std::integral_constant<ScatterMode, minimum>{}, t); });
  }
}

// Combines n slices of consecutive updates into dst, at the offsets; `shape` and `strides` are the slice's in dst.
template <ScatterMode mode, typename T>
void apply(T* dst, const int64_t* offsets, int64_t n, Ints shape, Ints strides, int64_t size, const T* updates) {
  if (shape.empty()) {
    for (int64_t i = 0; i < n; ++i) dst[offsets[i]] = combine<mode>(dst[offsets[i]], updates[i]);
    return;
  }
  int64_t run = shape.back(), step = strides.back();
  std::vector<int64_t> at(shape.size());
  InterruptPoll poll(looks_after);
  for (int64_t i = 0; i < n; ++i) {
    T* row = dst + offsets[i];
    for (int64_t done = 0; done < size; done += run, updates += run) {
      poll(run);
      if (step == 1) {
        for (int64_t j = 0; j < run; ++j) row[j] = combine<mode>(row[j], updates[j]);
      } else {
        for (int64_t j = 0; j < run; ++j) row[j * step] = combine<mode>(row[j * step], updates[j]);
      }
      for (size_t d = shape.size() - 1; d-- > 0;) { // the next row of the slice, or back at the first
        row += strides[d];
        if (++at[d] < shape[d]) break;
        row -= shape[d] * strides[d];
        at[d] = 0;
      }
    }
  }
}

} // namespace

void scatter(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, std::span<const IndexOperand> indices,
    Ints index_shape, Ints slice_shape, const void* updates, Ints update_strides) {
  int64_t positions = product(index_shape), size = product(slice_shape);
  if (positions == 0 || size == 0) return;
  std::vector<int64_t> dst_strides = dense_strides(dst_shape);
  std::vector<int64_t> shape(slice_shape.begin(), slice_shape.end()), strides = dst_strides;
  int64_t* all[] = {strides.data()};
  auto ndim = static_cast<size_t>(collapse_axes(static_cast<int>(shape.size()), shape.data(), all));
  shape.resize(ndim), strides.resize(ndim);

  std::vector<int64_t> update_shape(index_shape.begin(), index_shape.end());
  update_shape.insert(update_shape.end(), slice_shape.begin(), slice_shape.end());
  std::vector<int64_t> collapsed_shape = update_shape, collapsed(update_strides.begin(), update_strides.end());
  int64_t* both[] = {collapsed.data()};
  int update_ndim = collapse_axes(static_cast<int>(update_shape.size()), collapsed_shape.data(), both);
  bool consecutive = update_ndim == 0 || (update_ndim == 1 && collapsed[0] == 1);

  int64_t at_once = std::clamp<int64_t>((16 << 10) / size, 1, index_chunk);
  auto buffer =
      std::make_unique_for_overwrite<char[]>(consecutive ? 0 : static_cast<size_t>(at_once * size * dtype.size()));
  int64_t offsets[index_chunk];
  InterruptPoll poll(looks_after);
  for (int64_t first = 0; first < positions; first += at_once) {
    poll(at_once * size);
    int64_t n = std::min(at_once, positions - first);
    read_offsets("scatter", indices, index_shape, dst_shape, dst_strides, slice_shape, first, n, offsets);
    auto* from = static_cast<const char*>(updates) + first * size * dtype.size();
    if (!consecutive) {
      if (at_once > 1) {
        read_strided(updates, update_shape, update_strides, dtype.size(), first * size, n * size, buffer.get());
      } else { // a large slice: by all threads, and open to interrupts
        int64_t at = 0;
        for (size_t d = index_shape.size(), rest = static_cast<size_t>(first); d-- > 0;) {
          auto extent = static_cast<size_t>(index_shape[d]);
          at += static_cast<int64_t>(rest % extent) * update_strides[d];
          rest /= extent;
        }
        copy_strided(static_cast<const char*>(updates) + at * dtype.size(), update_strides.subspan(index_shape.size()),
            buffer.get(), dense_strides(slice_shape), slice_shape, dtype.size());
      }
      from = buffer.get();
    }
    with_mode(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      apply<constant.value>(static_cast<T*>(dst), offsets, n, shape, strides, size, reinterpret_cast<const T*>(from));
    });
  }
}

void scatter_along_axis(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, int axis, const void* index,
    Dtype index_dtype, Ints index_strides, const void* updates, Ints update_strides, Ints shape) {
  int64_t total = product(shape);
  if (total == 0) return;
  std::vector<int64_t> dst_strides = dense_strides(dst_shape);
  AxisWalk walk(shape, axis, dst_strides, index_strides, update_strides);
  auto at_axis = static_cast<size_t>(axis);
  Bounds bounds{"put_along_axis", axis, dst_shape[at_axis], 1};
  int64_t axis_stride = dst_strides[at_axis], dst_step = walk.step(0), index_step = walk.step(1), step = walk.step(2);
  int64_t values[index_chunk];
  InterruptPoll poll(looks_after);
  walk.runs(0, total, [&](int64_t, int64_t dst_at, int64_t index_at, int64_t update_at, int64_t n) {
    poll(n);
    read_indices(static_cast<const char*>(index) + index_at * index_dtype.size(), index_dtype, index_step, n, values);
    for (int64_t i = 0; i < n; ++i) values[i] = dst_at + i * dst_step + checked_index(bounds, values[i]) * axis_stride;
    with_mode(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      auto* from = static_cast<const T*>(updates) + update_at;
      auto* to = static_cast<T*>(dst);
      for (int64_t i = 0; i < n; ++i) to[values[i]] = combine<constant.value>(to[values[i]], from[i * step]);
    });
  });
}

} // namespace mlx::core::cpu
