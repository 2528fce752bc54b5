// Scatters: in row-major order of the updates, so that duplicates combine the same way every time; threads share out
// what is written. Sums and products of 16-bit floats are carried in float32, and rounded once; so are sums of many
// float32 numbers in float64.
#include <algorithm>
#include <bit>
#include <complex>
#include <memory>
#include <numeric>
#include <optional>
#include <type_traits>
#include <vector>

#include "mlx_core/cpu/combine_rows.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gather.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/cpu/thread_pool.h"
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

// A NaN on either side is the result. Which one is better nobody can foretell, hence no branch; that it is no NaN, one
// can.
template <typename T>
inline T choose(T a, T b, bool b_is_better) {
  if (b != b) [[unlikely]]
    return a != a ? a : b;
  if constexpr (!std::is_arithmetic_v<T>) b_is_better = b_is_better && a == a; // a real one is never less than NaN
  return b_is_better ? b : a;
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

// f(mode as a constant, a value of the element type, or of one that this mode does the same with).
template <typename F>
void with_mode(ScatterMode mode, Dtype dtype, F f) {
  using enum ScatterMode;
  auto of = [&](auto constant) {
    auto body = [&]<typename T>(std::type_identity<T>) { f(constant, T{}); };
    if constexpr (constant == set) {
      with_item(dtype.size(), body);
    } else if constexpr (constant == add || constant == multiply) {
      with_wrapping_type(dtype, body);
    } else {
      with_type(dtype, body);
    }
  };
  switch (mode) {
    case set: return of(std::integral_constant<ScatterMode, set>{});
    case add: return of(std::integral_constant<ScatterMode, add>{});
    case multiply: return of(std::integral_constant<ScatterMode, multiply>{});
    case maximum: return of(std::integral_constant<ScatterMode, maximum>{});
    case minimum: return of(std::integral_constant<ScatterMode, minimum>{});
  }
}

// Without overlap, which lets the compiler take vectors.
template <ScatterMode mode, typename T, typename Update>
inline void combine_line(T* __restrict line, const Update* __restrict updates, int64_t n) {
  for (int64_t j = 0; j < n; ++j) line[j] = combine<mode>(line[j], static_cast<T>(updates[j]));
}

// Combines n slices of consecutive updates into dst, at the offsets; `shape` and `strides` are the slice's in dst.
template <ScatterMode mode, typename T, typename Update>
void apply(T* dst, const int64_t* offsets, int64_t n, Ints shape, Ints strides, int64_t size, const Update* updates) {
  if (shape.empty()) {
    for (int64_t i = 0; i < n; ++i) dst[offsets[i]] = combine<mode>(dst[offsets[i]], static_cast<T>(updates[i]));
    return;
  }
  int64_t run = shape.back(), step = strides.back();
  InterruptPoll poll(looks_after);
  if (run == size && step == 1) {
    for (int64_t i = 0; i < n; ++i, updates += run) {
      poll(run);
      combine_line<mode>(dst + offsets[i], updates, run);
    }
    return;
  }
  std::vector<int64_t> at(shape.size());
  for (int64_t i = 0; i < n; ++i) {
    T* row = dst + offsets[i];
    for (int64_t done = 0; done < size; done += run, updates += run) {
      poll(run);
      if (step == 1) {
        combine_line<mode>(row, updates, run);
      } else {
        for (int64_t j = 0; j < run; ++j) row[j * step] = combine<mode>(row[j * step], static_cast<T>(updates[j]));
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

// The same of single elements at indices of one axis, whose strides are `step`; updates are `update_step` apart.
template <ScatterMode mode, typename T, typename Index, typename Update>
void apply_elements(T* dst, const Bounds& bounds, int64_t step, const Index* index, int64_t n, const Update* updates,
    int64_t update_step) {
  const int64_t length = bounds.length;
  for (int64_t i = 0; i < n; ++i) {
    auto given = static_cast<int64_t>(index[i]);
    int64_t at = given < 0 ? given + length : given;
    if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(length)) [[unlikely]]
      throw_index(bounds, given);
    T& to = dst[at * step];
    to = combine<mode>(to, static_cast<T>(updates[i * update_step]));
  }
}

// The slices of a scatter: which they are in dst, and their updates in memory order.
class Slices {
 public:
  Slices(Dtype dtype, Ints dst_shape, std::span<const IndexOperand> indices, Ints index_shape, Ints slice_shape,
      const void* updates, Ints update_strides)
      : positions(product(index_shape)),
        size(product(slice_shape)),
        dtype_(dtype),
        dst_shape_(dst_shape),
        indices_(indices),
        index_shape_(index_shape),
        slice_shape_(slice_shape),
        updates_(updates),
        update_strides_(update_strides),
        dst_strides_(dense_strides(dst_shape)),
        shape(slice_shape.begin(), slice_shape.end()),
        strides(dst_strides_),
        update_shape_(index_shape.begin(), index_shape.end()) {
    int64_t* all[] = {strides.data()};
    auto ndim = static_cast<size_t>(collapse_axes(static_cast<int>(shape.size()), shape.data(), all));
    shape.resize(ndim), strides.resize(ndim);
    update_shape_.insert(update_shape_.end(), slice_shape.begin(), slice_shape.end());
    std::vector<int64_t> collapsed_shape = update_shape_, collapsed(update_strides.begin(), update_strides.end());
    int64_t* both[] = {collapsed.data()};
    int update_ndim = collapse_axes(static_cast<int>(update_shape_.size()), collapsed_shape.data(), both);
    if (update_ndim <= 1) update_step_ = update_ndim == 0 ? 1 : collapsed[0];
    consecutive_ = update_step_ == 1;
    rows_ = ndim == 1 && strides[0] == 1 && is_in_line(slice_shape, update_strides.subspan(index_shape.size()));
  }

  // body(offsets in dst of n slices, n, the first one), a few at a time.
  template <typename Body>
  void each_places(int64_t at_once, Body body) const {
    int64_t offsets[index_chunk];
    InterruptPoll poll(looks_after);
    for (int64_t first = 0; first < positions; first += at_once) {
      poll(at_once * size);
      int64_t n = std::min(at_once, positions - first);
      read_offsets("scatter", indices_, index_shape_, dst_shape_, dst_strides_, slice_shape_, first, n, offsets);
      body(offsets, n, first);
    }
  }
  // body(offsets in dst of n slices, n, their updates).
  template <typename Body>
  void each_run(Body body) const {
    int64_t at_once = std::clamp<int64_t>((16 << 10) / size, 1, index_chunk);
    auto buffer =
        std::make_unique_for_overwrite<char[]>(consecutive_ ? 0 : static_cast<size_t>(at_once * size * dtype_.size()));
    each_places(at_once,
        [&](const int64_t* offsets, int64_t n, int64_t first) { body(offsets, n, read(first, n, buffer.get())); });
  }
  // body(offsets in dst of n rows, those of their updates, n).
  template <typename Body>
  void each_rows(Body body) const {
    int64_t sources[index_chunk];
    each_places(
        std::clamp<int64_t>(looks_after / size, 1, index_chunk), [&](int64_t* offsets, int64_t n, int64_t first) {
          read_sources(first, n, sources);
          body(offsets, sources, n);
        });
  }
  // Combines all updates, which are of type Update, with dst.
  template <ScatterMode mode, typename Update, typename T>
  void apply_all(T* dst) const {
    bool elements =
        shape.empty() && indices_.size() == 1 && update_step_ && is_in_line(index_shape_, indices_[0].strides);
    auto each_element = [&]<typename Index>(std::type_identity<Index>) {
      auto axis = static_cast<size_t>(indices_[0].axis);
      const Bounds bounds{"scatter", indices_[0].axis, dst_shape_[axis], 1};
      InterruptPoll poll(looks_after);
      for (int64_t first = 0; first < positions; first += looks_after) {
        const int64_t n = std::min(looks_after, positions - first);
        poll(n);
        apply_elements<mode>(dst, bounds, dst_strides_[axis], static_cast<const Index*>(indices_[0].data) + first, n,
            static_cast<const Update*>(updates_) + first * *update_step_, *update_step_);
      }
    };
    const Dtype index = elements ? indices_[0].dtype : bool_;
    if (index == int32) return each_element(std::type_identity<int32_t>());
    if (index == int64) return each_element(std::type_identity<int64_t>());
    each_run([&](const int64_t* offsets, int64_t n, const void* from) {
      apply<mode>(dst, offsets, n, shape, strides, size, static_cast<const Update*>(from));
    });
  }
  // The updates of n slices; in `buffer` unless they are consecutive where they are.
  const void* read(int64_t first, int64_t n, void* buffer) const {
    if (consecutive_) {
      return static_cast<const char*>(updates_) + first * size * dtype_.size();
    }
    if (n > 1) {
      read_strided(updates_, update_shape_, update_strides_, dtype_.size(), first * size, n * size, buffer);
      return buffer;
    }
    // Perhaps a large slice: by all threads, and open to interrupts.
    int64_t at;
    read_sources(first, 1, &at);
    copy_strided(static_cast<const char*>(updates_) + at * dtype_.size(), update_strides_.subspan(index_shape_.size()),
        buffer, dense_strides(slice_shape_), slice_shape_, dtype_.size());
    return buffer;
  }
  // Where the updates of n slices begin.
  void read_sources(int64_t first, int64_t n, int64_t* sources) const {
    const size_t rank = index_shape_.size();
    const int64_t inner = rank == 0 ? 1 : index_shape_[rank - 1], step = rank == 0 ? 0 : update_strides_[rank - 1];
    for (int64_t done = 0, line; done < n; done += line) {
      int64_t at = 0;
      for (size_t d = rank, rest = static_cast<size_t>(first + done); d-- > 0;) {
        auto extent = static_cast<size_t>(index_shape_[d]);
        at += static_cast<int64_t>(rest % extent) * update_strides_[d];
        rest /= extent;
      }
      line = std::min(n - done, inner - (first + done) % inner);
      for (int64_t i = 0; i < line; ++i) sources[done + i] = at + i * step;
    }
  }
  // Whether two slices are the same or have no element in common: each is one element along an axis, or all.
  bool disjoint() const {
    for (size_t i = 0; i < slice_shape_.size(); ++i) {
      if (slice_shape_[i] != 1 && slice_shape_[i] != dst_shape_[i]) return false;
    }
    return true;
  }

  // Whether each is a row of consecutive elements of dst, and its update one of consecutive updates.
  bool are_rows() const { return rows_; }
  const void* updates() const { return updates_; }

  const int64_t positions, size; // of the slices, and of one

 private:
  Dtype dtype_;
  Ints dst_shape_;
  std::span<const IndexOperand> indices_;
  Ints index_shape_, slice_shape_;
  const void* updates_;
  Ints update_strides_;
  std::vector<int64_t> dst_strides_;

 public:
  std::vector<int64_t> shape, strides; // of a slice in dst, collapsed

 private:
  std::vector<int64_t> update_shape_;
  std::optional<int64_t> update_step_; // where all updates are as far apart
  bool consecutive_, rows_;
};

bool carries_wide(ScatterMode mode, Dtype dtype) {
  return (dtype == float16 || dtype == bfloat16) && (mode == ScatterMode::add || mode == ScatterMode::multiply);
}

// f(mode as a constant, a value of the 16-bit type), of the modes that are carried in float32.
template <typename F>
void with_half(ScatterMode mode, Dtype dtype, F f) {
  with_inexact_type(dtype, [&]<typename T>(std::type_identity<T>) {
    if constexpr (is_half<T>) {
      if (mode == ScatterMode::add) {
        f(std::integral_constant<ScatterMode, ScatterMode::add>{}, T{});
      } else {
        f(std::integral_constant<ScatterMode, ScatterMode::multiply>{}, T{});
      }
    }
  });
}

// All of dst in a wider dtype while body(that) runs.
template <typename W, typename Body>
void in_wide(Dtype dtype, Dtype wide_dtype, void* dst, int64_t count, Body body) {
  std::unique_ptr<W[]> wide(new W[static_cast<size_t>(count)]);
  const void* from = dst;
  find_cast(dtype, wide_dtype)(&from, wide.get(), count);
  body(wide.get());
  from = wide.get();
  find_cast(wide_dtype, dtype)(&from, dst, count);
}

// Whether this many updates of as many elements are worth twice the digits: a sum of n float32 numbers in a row is off
// by n roundings.
bool sums_many(ScatterMode mode, Dtype dtype, int64_t updates, int64_t elements) {
  return mode == ScatterMode::add && (dtype == float32 || dtype == complex64) && updates / 64 >= elements;
}

// f(a number of the dtype, one with twice its digits).
template <typename F>
void with_doubled(Dtype dtype, F f) {
  dtype == float32 ? f(float{}, double{}) : f(complex64_t{}, complex128_t{});
}

// Few updates of a large dst: those of one place, in order, are combined in a float32 copy of that place.
template <ScatterMode mode, typename Half>
void combine_by_place(Half* dst, Slices& slices, Dtype dtype) {
  std::vector<int64_t> offsets, order(static_cast<size_t>(slices.positions));
  offsets.reserve(order.size());
  slices.each_run([&](const int64_t* some, int64_t n, const void*) { offsets.insert(offsets.end(), some, some + n); });
  std::iota(order.begin(), order.end(), 0);
  auto offset = [&](int64_t i) { return offsets[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return offset(a) < offset(b); });
  std::vector<char> buffer(static_cast<size_t>(slices.size * dtype.size()));
  auto updates = [&](int64_t i) { return static_cast<const Half*>(slices.read(i, 1, buffer.data())); };
  std::vector<float> wide(static_cast<size_t>(slices.size));
  for (size_t at = 0, end; at < order.size(); at = end) {
    const int64_t place = offset(order[at]), start = 0;
    for (end = at + 1; end < order.size() && offset(order[end]) == place; ++end) {}
    if (end == at + 1) {
      apply<mode>(dst, &place, 1, slices.shape, slices.strides, slices.size, updates(order[at]));
      continue;
    }
    std::vector<int64_t> packed = dense_strides(slices.shape);
    std::vector<Half> elements(wide.size());
    read_strided(dst + place, slices.shape, slices.strides, dtype.size(), 0, slices.size, elements.data());
    for (size_t k = 0; k < wide.size(); ++k) wide[k] = static_cast<float>(elements[k]);
    for (size_t i = at; i < end; ++i) {
      apply<mode>(wide.data(), &start, 1, slices.shape, packed, slices.size, updates(order[i]));
    }
    for (size_t k = 0; k < wide.size(); ++k) elements[k] = Half(wide[k]);
    apply<ScatterMode::set>(dst, &place, 1, slices.shape, slices.strides, slices.size, elements.data());
  }
}

// Of n rows those whose places one of the threads has, in order: how many. Places next to each other have one thread,
// for their ends share a line of the cache.
int64_t keep_rows(int64_t part, int64_t parts, int64_t size, int64_t* offsets, int64_t* sources, int64_t n) {
  constexpr uint64_t rows = 8, mixed = 0x9e3779b97f4a7c15;
  const int shift = std::bit_width(rows * static_cast<uint64_t>(size));
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t number = (static_cast<uint64_t>(offsets[i]) >> shift) * mixed >> 32;
    offsets[kept] = offsets[i], sources[kept] = sources[i];
    kept += static_cast<int64_t>(number * static_cast<uint64_t>(parts) >> 32) == part;
  }
  return kept;
}

// Slices that are rows. Each thread has some of the places, or of long rows a part of every one; it combines what comes
// there in order, so that an element gets what it gets from one thread.
void scatter_rows(ScatterMode mode, Dtype dtype, void* dst, const Slices& slices) {
  constexpr int64_t long_bytes = 1 << 10, short_bytes = 128, line_bytes = 64, worth_threads = 1 << 16;
  const int64_t line = line_bytes / dtype.size(), bytes = slices.size * dtype.size(), threads = thread_count();
  const bool apart = slices.disjoint() && bytes >= short_bytes && slices.positions * slices.size >= worth_threads;
  const int64_t columns = apart ? std::clamp<int64_t>(bytes / long_bytes, 1, threads) : 1;
  const int64_t places = apart && columns == 1 ? threads : 1;
  const CombineRows by_vectors = find_combine_rows(mode, dtype);
  with_mode(mode, dtype, [&](auto constant, auto t) {
    using T = decltype(t);
    parallel_for(columns * places, [&](int64_t part) {
      auto edge = [&](int64_t k) { return k == columns ? slices.size : slices.size * k / columns / line * line; };
      const int64_t column = part % columns, begin = edge(column), length = edge(column + 1) - begin;
      auto* to = static_cast<T*>(dst) + begin;
      auto* from = static_cast<const T*>(slices.updates()) + begin;
      slices.each_rows([&](int64_t* offsets, int64_t* sources, int64_t n) {
        if (places > 1) n = keep_rows(part, places, slices.size, offsets, sources, n);
        if (by_vectors) return by_vectors(to, offsets, from, sources, n, length);
        for (int64_t i = 0; i < n; ++i) combine_line<constant.value>(to + offsets[i], from + sources[i], length);
      });
    });
  });
}

} // namespace

void scatter(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, std::span<const IndexOperand> indices,
    Ints index_shape, Ints slice_shape, const void* updates, Ints update_strides) {
  Slices slices(dtype, dst_shape, indices, index_shape, slice_shape, updates, update_strides);
  if (slices.positions == 0 || slices.size == 0) return;
  if (slices.positions > 1 && carries_wide(mode, dtype)) {
    const int64_t count = product(dst_shape);
    with_half(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      if (slices.disjoint() && slices.positions * slices.size < count / 4) {
        return combine_by_place<constant.value>(static_cast<T*>(dst), slices, dtype);
      }
      in_wide<float>(
          dtype, float32, dst, count, [&](float* wide) { slices.template apply_all<constant.value, T>(wide); });
    });
    return;
  }
  if (const int64_t count = product(dst_shape); sums_many(mode, dtype, slices.positions * slices.size, count)) {
    return with_doubled(dtype, [&](auto t, auto w) {
      using T = decltype(t);
      in_wide<decltype(w)>(dtype, dtype == float32 ? float64 : complex128, dst, count,
          [&](auto* wide) { slices.template apply_all<ScatterMode::add, T>(wide); });
    });
  }
  if (slices.are_rows()) return scatter_rows(mode, dtype, dst, slices);
  with_mode(mode, dtype, [&](auto constant, auto t) {
    using T = decltype(t);
    slices.template apply_all<constant.value, T>(static_cast<T*>(dst));
  });
}

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

} // namespace

void scatter_along_axis(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, int axis, const void* index,
    Dtype index_dtype, Ints index_strides, const void* updates, Ints update_strides, Ints shape) {
  int64_t total = product(shape);
  if (total == 0) return;
  std::vector<int64_t> dst_strides = dense_strides(dst_shape);
  AxisWalk walk(shape, axis, dst_strides, index_strides, update_strides);
  auto at_axis = static_cast<size_t>(axis);
  Bounds bounds{"put_along_axis", axis, dst_shape[at_axis], 1};
  int64_t axis_stride = dst_strides[at_axis], dst_step = walk.step(0), index_step = walk.step(1), step = walk.step(2);
  // body(offsets in dst of n elements, n, the offset of the first one's update); the next are `step` apart.
  auto each_run = [&](auto body) {
    int64_t values[index_chunk];
    InterruptPoll poll(looks_after);
    walk.runs(0, total, [&](int64_t, int64_t dst_at, int64_t index_at, int64_t update_at, int64_t n) {
      poll(n);
      read_indices(static_cast<const char*>(index) + index_at * index_dtype.size(), index_dtype, index_step, n, values);
      for (int64_t i = 0; i < n; ++i)
        values[i] = dst_at + i * dst_step + checked_index(bounds, values[i]) * axis_stride;
      body(values, n, update_at);
    });
  };
  if (carries_wide(mode, dtype)) {
    const int64_t count = product(dst_shape);
    with_half(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      auto* from = static_cast<const T*>(updates);
      if (total < count / 4) {
        std::vector<Pair> pairs;
        pairs.reserve(static_cast<size_t>(total));
        each_run([&](const int64_t* to, int64_t n, int64_t at) {
          for (int64_t i = 0; i < n; ++i) pairs.push_back({to[i], at + i * step});
        });
        return combine_pairs<constant.value>(static_cast<T*>(dst), from, pairs);
      }
      in_wide<float>(dtype, float32, dst, count, [&](float* wide) {
        each_run([&](const int64_t* to, int64_t n, int64_t at) {
          for (int64_t i = 0; i < n; ++i) {
            wide[to[i]] = combine<constant.value>(wide[to[i]], static_cast<float>(from[at + i * step]));
          }
        });
      });
    });
    return;
  }
  if (const int64_t count = product(dst_shape); sums_many(mode, dtype, total, count)) {
    return with_doubled(dtype, [&](auto t, auto w) {
      using W = decltype(w);
      auto* from = static_cast<const decltype(t)*>(updates);
      in_wide<W>(dtype, dtype == float32 ? float64 : complex128, dst, count, [&](W* wide) {
        each_run([&](const int64_t* to, int64_t n, int64_t at) {
          for (int64_t i = 0; i < n; ++i) wide[to[i]] += static_cast<W>(from[at + i * step]);
        });
      });
    });
  }
  each_run([&](const int64_t* to, int64_t n, int64_t at) {
    with_mode(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      auto* from = static_cast<const T*>(updates) + at;
      auto* into = static_cast<T*>(dst);
      for (int64_t i = 0; i < n; ++i) into[to[i]] = combine<constant.value>(into[to[i]], from[i * step]);
    });
  });
}

} // namespace mlx::core::cpu
