// argmin and argmax: along rows the extremum's block is found first, by the reduction's own bodies, then its place in
// the block; down columns the best values and their indices are carried along (arg_kernels.cpp), also of short rows,
// many of which are turned into columns at a time.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "mlx_core/cpu/arg_kernels.h"
#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/reduce_kernels.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_elements = 32 << 10;
constexpr int64_t serial_elements = 64 << 10;
constexpr int64_t turned_length = 64;     // of rows that are turned into columns
constexpr int64_t fewest_turned = 16;     // of them
constexpr int64_t turned_elements = 2048; // at a time, or a block of a row
constexpr int64_t scan_limit = 16;        // shorter rows are scanned directly
constexpr int64_t looks_after = 1 << 18;  // elements, for an interrupt

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
  ArgKernels arg;

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
  *out = static_cast<uint32_t>(best_first + layout.arg.find(block_at(best_first), count, &best));
}

template <bool max, typename T>
void run(Layout& layout, uint32_t* out) {
  auto* in = reinterpret_cast<const T*>(layout.in);
  // Columns where outputs are consecutive in memory too, in the last kept axis; and short rows, turned into columns.
  int64_t along = layout.kept_shape.empty() ? 1 : layout.kept_shape.back();
  int64_t step = layout.kept_shape.empty() ? 0 : layout.kept_strides.back();
  bool in_memory = step == 1 && std::abs(layout.stride) > 1;
  bool turned = !in_memory && layout.length <= turned_length && along >= fewest_turned;
  bool by_columns = in_memory || turned;
  int64_t columns = by_columns ? along : 1;
  int64_t width =
      std::min(columns, turned ? std::min(arg_strip, turned_elements / layout.length / 16 * 16) : arg_strip);
  int64_t strips = (columns + width - 1) / width;
  int64_t units = layout.kept / columns * strips;
  int64_t per_task = layout.kept * layout.length < serial_elements
                         ? units
                         : std::max<int64_t>(1, task_elements / (layout.length * width));
  parallel_for((units + per_task - 1) / per_task, [&](int64_t task) {
    std::unique_ptr<T[]> buffer(in_memory || (!turned && layout.stride == 1) ? nullptr : new T[turned_elements]);
    int64_t begin = task * per_task, end = std::min(units, begin + per_task);
    if (by_columns) {
      constexpr auto size = static_cast<int64_t>(sizeof(T));
      for (int64_t u = begin; u < end; ++u) {
        int64_t in_row = u % strips * width, first = u / strips * columns + in_row;
        int64_t count = std::min(width, columns - in_row), stride = turned ? count : layout.stride;
        const T* from = in + layout.offset(first);
        if (turned) {
          copy_block(from, layout.stride * size, step * size, buffer.get(), count * size, size, layout.length, count,
              static_cast<int>(size));
          from = buffer.get();
        }
        layout.arg.columns(from, layout.length, stride, count, out + first);
      }
      return;
    }
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
  if (dtype.is_bool()) dtype = uint8;
  layout.k = &find_extremum_kernels(max ? Reduction::max : Reduction::min, dtype);
  layout.arg = find_arg_kernels(max, dtype);
  auto* indices = static_cast<uint32_t*>(out);
  with_number_type(dtype,
      [&]<class T>(std::type_identity<T>) { max ? run<true, T>(layout, indices) : run<false, T>(layout, indices); });
}

} // namespace mlx::core::cpu
