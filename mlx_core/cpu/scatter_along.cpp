// Scatters along an axis. Threads have parts of another one, which have no element in common.
#include <algorithm>
#include <vector>

#include "mlx_core/cpu/scatter_combine.h"

namespace mlx::core::cpu {
namespace {

// An element of dst and where its update is.
struct Pair {
  int64_t to, from;
};

template <ScatterMode mode, typename Half>
void combine_pairs(Half* dst, const Half* updates, std::vector<Pair>& pairs) {
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.to < b.to; });
  for (size_t at = 0; at < pairs.size();) {
    const int64_t place = pairs[at].to;
    auto wide = static_cast<float>(dst[place]);
    for (; at < pairs.size() && pairs[at].to == place; ++at) {
      wide = combine<mode>(wide, static_cast<float>(updates[pairs[at].from]));
    }
    dst[place] = Half(wide);
  }
}

// The axis to part for threads: the outermost that has enough of them, or the longest; never that of the index.
size_t parted_axis(Ints shape, size_t axis, int64_t parts) {
  size_t found = axis;
  int64_t longest = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d == axis || shape[d] <= longest) continue;
    found = d, longest = shape[d];
    if (longest >= 4 * parts) break;
  }
  return found;
}

} // namespace

void scatter_along_axis(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, int axis, const void* index,
    Dtype index_dtype, Ints index_strides, const void* updates, Ints update_strides, Ints shape) {
  constexpr int64_t worth_threads = 1 << 14;
  const int64_t total = product(shape), count = product(dst_shape);
  if (total == 0) return;
  const std::vector<int64_t> dst_strides = row_major(dst_shape);
  const auto at_axis = static_cast<size_t>(axis);
  const Bounds bounds{"put_along_axis", axis, dst_shape[at_axis], 1};

  // All updates, of type Update, with what is dst, or a copy of it in a wider dtype.
  auto combine_all = [&]<typename T, typename Update>(auto constant, T* to, std::type_identity<Update>) {
    const int64_t threads = total >= worth_threads ? thread_count() : 1;
    const size_t cut = parted_axis(shape, at_axis, threads);
    const int64_t parts = cut == at_axis ? 1 : std::min(threads, shape[cut]);
    parallel_for(parts, [&](int64_t part) {
      const int64_t begin = parts == 1 ? 0 : shape[cut] * part / parts;
      std::vector<int64_t> part_shape(shape.begin(), shape.end());
      if (parts > 1) part_shape[cut] = shape[cut] * (part + 1) / parts - begin;
      T* const part_to = to + begin * dst_strides[cut];
      auto* part_index = static_cast<const char*>(index) + begin * index_strides[cut] * index_dtype.size();
      auto* part_from = static_cast<const Update*>(updates) + begin * update_strides[cut];
      const AxisWalk walk(part_shape, axis, dst_strides, index_strides, update_strides);
      const ElementSteps steps{
          .axis = dst_strides[at_axis], .dst = walk.step(0), .index = walk.step(1), .update = walk.step(2)};
      InterruptPoll poll(looks_after);
      walk.runs(0, product(part_shape), [&](int64_t, int64_t dst_at, int64_t index_at, int64_t update_at, int64_t n) {
        poll(n);
        combine_elements<constant.value>(bounds, steps, part_to + dst_at, part_index + index_at * index_dtype.size(),
            index_dtype, n, part_from + update_at);
      });
    });
  };

  if (carries_wide(mode, dtype)) {
    return with_half(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      if (total >= count / 4) {
        return in_wide<float>(
            dtype, float32, dst, count, [&](float* wide) { combine_all(constant, wide, std::type_identity<T>()); });
      }
      const AxisWalk walk(shape, axis, dst_strides, index_strides, update_strides);
      std::vector<Pair> pairs;
      pairs.reserve(static_cast<size_t>(total));
      int64_t values[index_chunk];
      InterruptPoll poll(looks_after);
      walk.runs(0, total, [&](int64_t, int64_t dst_at, int64_t index_at, int64_t update_at, int64_t n) {
        poll(n);
        read_indices(
            static_cast<const char*>(index) + index_at * index_dtype.size(), index_dtype, walk.step(1), n, values);
        for (int64_t i = 0; i < n; ++i) {
          const int64_t to = dst_at + i * walk.step(0) + checked_index(bounds, values[i]) * dst_strides[at_axis];
          pairs.push_back({to, update_at + i * walk.step(2)});
        }
      });
      combine_pairs<constant.value>(static_cast<T*>(dst), static_cast<const T*>(updates), pairs);
    });
  }
  if (sums_many(mode, dtype, total, count)) {
    return with_doubled(dtype, [&](auto t, auto w) {
      in_wide<decltype(w)>(dtype, dtype == float32 ? float64 : complex128, dst, count, [&](auto* wide) {
        combine_all(std::integral_constant<ScatterMode, ScatterMode::add>(), wide, std::type_identity<decltype(t)>());
      });
    });
  }
  with_mode(mode, dtype, [&](auto constant, auto t) {
    using T = decltype(t);
    combine_all(constant, static_cast<T*>(dst), std::type_identity<T>());
  });
}

} // namespace mlx::core::cpu
