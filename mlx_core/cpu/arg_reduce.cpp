// argmin and argmax: along rows the extremum's block is found first, by the reduction's own bodies, then its place in
// the block; down columns the best values and their indices are carried along.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/reduce_kernels.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_elements = 32 << 10;
constexpr int64_t serial_elements = 64 << 10;
constexpr int64_t strip = 256;           // columns at once
constexpr int64_t scan_limit = 16;       // shorter rows are scanned directly
constexpr int64_t looks_after = 1 << 18; // elements, for an interrupt

template <typename T>
inline auto value_of(T x) {
  if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>)
    return static_cast<float>(x);
  else
    return x;
}

template <typename P>
inline bool is_nan(P x) {
  return x != x;
}

template <bool max, typename P>
inline bool before(P a, P b) {
  if constexpr (std::is_arithmetic_v<P>)
    return max ? a > b : a < b;
  else
    return before<max>(a.real(), b.real()) || (a.real() == b.real() && before<max>(a.imag(), b.imag()));
}

template <bool max, typename P>
inline bool improves(P x, P best) {
  return (before<max>(x, best) | is_nan(x)) & !is_nan(best); // a complex NaN may have a part that compares
}

struct Layout {
  const char* in;
  int64_t length, stride; // of the axis
  std::vector<int64_t> kept_shape, kept_strides;
  int64_t kept = 1;
  const ReduceKernels* k;

  int64_t offset(int64_t unit) const {
    int64_t at = 0;
    for (size_t d = kept_shape.size(); d-- > 0; unit /= kept_shape[d]) at += unit % kept_shape[d] * kept_strides[d];
    return at;
  }
};

template <bool max, typename T>
uint32_t scan(const T* p, int64_t n) {
  auto best = value_of(p[0]);
  int64_t index = 0;
  for (int64_t i = 1; i < n; ++i) {
    auto x = value_of(p[i]);
    if (improves<max>(x, best)) best = x, index = i;
  }
  return static_cast<uint32_t>(index);
}

// The first of n elements that matches. There is one.
template <typename T, typename Matches>
int64_t find_match(const T* p, int64_t n, Matches matches) {
  constexpr int64_t group = 32;
  int64_t i = 0;
  for (; i + group <= n; i += group) { // no early exit inside a group, so that it vectorises
    int found = 0;
    for (int64_t j = 0; j < group; ++j) found |= matches(value_of(p[i + j]));
    if (found) break;
  }
  while (i + 1 < n && !matches(value_of(p[i]))) ++i;
  return i;
}

// The first equal to `value`, or NaN if that is NaN.
template <typename T, typename P>
int64_t find(const T* p, int64_t n, P value) {
  if (is_nan(value)) return find_match(p, n, [](P x) { return is_nan(x); });
  return find_match(p, n, [value](P x) { return x == value; });
}

template <bool max, typename T>
void arg_row(const Layout& layout, const T* row, T* buffer, uint32_t* out) {
  int64_t n = layout.length;
  auto block_at = [&](int64_t first) -> const T* {
    if (layout.stride == 1) return row + first;
    copy_line(row + first * layout.stride, layout.stride * static_cast<int64_t>(sizeof(T)), buffer, sizeof(T),
        std::min(reduce_block, n - first), sizeof(T));
    return buffer;
  };
  if (n <= scan_limit) {
    *out = scan<max>(block_at(0), n);
    return;
  }
  decltype(value_of(T())) best, candidate;
  int64_t best_first = 0;
  layout.k->block(block_at(0), std::min(reduce_block, n), &best);
  InterruptPoll poll(looks_after);
  for (int64_t first = reduce_block; first < n && !is_nan(best); first += reduce_block) {
    poll(reduce_block);
    layout.k->block(block_at(first), std::min(reduce_block, n - first), &candidate);
    if (improves<max>(candidate, best)) best = candidate, best_first = first;
  }
  int64_t count = std::min(reduce_block, n - best_first);
  *out = static_cast<uint32_t>(best_first + find(block_at(best_first), count, best));
}

// `width` consecutive columns.
template <bool max, typename T>
void arg_columns(const Layout& layout, const T* in, int64_t width, uint32_t* index) {
  decltype(value_of(T())) best[strip];
  for (int64_t j = 0; j < width; ++j) best[j] = value_of(in[j]), index[j] = 0;
  InterruptPoll poll(looks_after);
  for (int64_t r = 1; r < layout.length; ++r) {
    poll(width);
    const T* row = in + r * layout.stride;
    auto step = [&](int64_t j) {
      auto x = value_of(row[j]);
      bool better = improves<max>(x, best[j]);
      best[j] = better ? x : best[j];
      index[j] = better ? static_cast<uint32_t>(r) : index[j];
    };
    int64_t j = 0;
    for (; j + 8 <= width; j += 8) {
#pragma GCC unroll 8
      for (int64_t l = 0; l < 8; ++l) step(j + l);
    }
    for (; j < width; ++j) step(j);
  }
}

template <bool max, typename T>
void run(Layout& layout, uint32_t* out) {
  auto* in = reinterpret_cast<const T*>(layout.in);
  // Columns only where outputs are consecutive in memory too: the last kept axis.
  bool by_columns = !layout.kept_strides.empty() && layout.kept_strides.back() == 1 && std::abs(layout.stride) > 1;
  int64_t columns = by_columns ? layout.kept_shape.back() : 1;
  int64_t strips = (columns + strip - 1) / strip, width = std::min(columns, strip);
  int64_t units = layout.kept / columns * strips;
  int64_t per_task = layout.kept * layout.length < serial_elements
                         ? units
                         : std::max<int64_t>(1, task_elements / (layout.length * width));
  parallel_for((units + per_task - 1) / per_task, [&](int64_t task) {
    std::unique_ptr<T[]> buffer(layout.stride == 1 || by_columns ? nullptr : new T[reduce_block]);
    int64_t begin = task * per_task, end = std::min(units, begin + per_task);
    if (by_columns) {
      for (int64_t u = begin; u < end; ++u) {
        int64_t first = u / strips * columns + u % strips * strip;
        arg_columns<max>(layout, in + layout.offset(first), std::min(strip, columns - u % strips * strip), out + first);
      }
      return;
    }
    int64_t along = layout.kept_shape.empty() ? 1 : layout.kept_shape.back();
    int64_t step = layout.kept_shape.empty() ? 0 : layout.kept_strides.back();
    for (int64_t u = begin; u < end;) {
      const T* row = in + layout.offset(u);
      for (int64_t stop = std::min(end, u + along - u % along); u < stop; ++u, row += step) {
        arg_row<max>(layout, row, buffer.get(), out + u);
      }
    }
  });
}

} // namespace

void arg_reduce(bool max, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  Layout layout;
  layout.in = static_cast<const char*>(in);
  layout.length = shape[static_cast<size_t>(axis)];
  layout.stride = strides[static_cast<size_t>(axis)];
  for (size_t d = 0; d < shape.size(); ++d) {
    if (static_cast<int>(d) == axis) continue;
    layout.kept *= shape[d];
    layout.kept_shape.push_back(shape[d]);
    layout.kept_strides.push_back(strides[d]);
  }
  if (layout.kept == 0) return;
  int64_t* kept_strides[] = {layout.kept_strides.data()};
  auto n = static_cast<size_t>(
      collapse_axes(static_cast<int>(layout.kept_shape.size()), layout.kept_shape.data(), kept_strides));
  layout.kept_shape.resize(n), layout.kept_strides.resize(n);
  layout.k = &find_extremum_kernels(max ? Reduction::max : Reduction::min, dtype.is_bool() ? uint8 : dtype);
  auto* indices = static_cast<uint32_t*>(out);
  with_number_type(dtype,
      [&]<class T>(std::type_identity<T>) { max ? run<true, T>(layout, indices) : run<false, T>(layout, indices); });
}

} // namespace mlx::core::cpu
