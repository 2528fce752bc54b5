// Scatters: in row-major order of the updates, so that duplicates combine the same way every time; threads share out
// what is written. Sums and products of 16-bit floats are carried in float32, and rounded once; so are sums of many
// float32 numbers in float64.
#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "mlx_core/cpu/combine_rows.h"
#include "mlx_core/cpu/scatter_combine.h"

namespace mlx::core::cpu {
namespace {

// Elements of a row, and of all by those of dst: the order of the places takes longer than shorter ones, and what comes
// to a place in order comes from all over.
constexpr int64_t worth_ordering = 8, worth_ordering_times = 2;

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
        dst_strides_(row_major(dst_shape)),
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
    if (shape.empty() && indices_.size() == 1 && update_step_ && is_in_line(index_shape_, indices_[0].strides)) {
      const auto& index = indices_[0];
      const auto axis = static_cast<size_t>(index.axis);
      const Bounds bounds{"scatter", index.axis, dst_shape_[axis], 1};
      const ElementSteps steps{.axis = dst_strides_[axis], .dst = 0, .index = 1, .update = *update_step_};
      InterruptPoll poll(looks_after);
      for (int64_t first = 0; first < positions; first += looks_after) {
        const int64_t n = std::min(looks_after, positions - first);
        poll(n);
        combine_elements<mode>(bounds, steps, dst, static_cast<const char*>(index.data) + first * index.dtype.size(),
            index.dtype, n, static_cast<const Update*>(updates_) + first * *update_step_);
      }
      return;
    }
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
        buffer, row_major(slice_shape_), slice_shape_, dtype_.size());
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
  void set_updates(const void* updates) { updates_ = updates; }

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

// Of n places from 0 up to `count`: the numbers 0 to n in the order of the places, those of one place in theirs.
std::vector<int64_t> ordered(const std::vector<int64_t>& places, int64_t count) {
  std::vector<int64_t> order(places.size());
  if (count / 4 > static_cast<int64_t>(places.size())) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
        [&](int64_t a, int64_t b) { return places[static_cast<size_t>(a)] < places[static_cast<size_t>(b)]; });
    return order;
  }
  std::vector<int64_t> next(static_cast<size_t>(count) + 1);
  for (int64_t place : places) ++next[static_cast<size_t>(place) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (size_t i = 0; i < places.size(); ++i) {
    order[static_cast<size_t>(next[static_cast<size_t>(places[i])]++)] = static_cast<int64_t>(i);
  }
  return order;
}

// Few updates of a large dst of `count` elements: those of one place, in order, are combined in a float32 copy of that
// place.
template <ScatterMode mode, typename Half>
void combine_by_place(Half* dst, int64_t count, Slices& slices, Dtype dtype) {
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(slices.positions));
  slices.each_run([&](const int64_t* some, int64_t n, const void*) { offsets.insert(offsets.end(), some, some + n); });
  const std::vector<int64_t> order = ordered(offsets, count);
  auto offset = [&](int64_t i) { return offsets[static_cast<size_t>(i)]; };
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
    std::vector<int64_t> packed = row_major(slices.shape);
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

// Of a row's elements one of `parts`, which begin with lines of the cache: the first one, and how many.
std::pair<int64_t, int64_t> columns_of(int64_t size, int64_t part, int64_t parts, int64_t line) {
  auto edge = [&](int64_t k) { return k == parts ? size : size * k / parts / line * line; };
  return {edge(part), edge(part + 1) - edge(part)};
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

template <ScatterMode mode, typename T>
void combine_lines(void* dst, const int64_t* to, const void* src, const int64_t* from, int64_t n, int64_t length) {
  for (int64_t i = 0; i < n; ++i) {
    combine_line<mode>(static_cast<T*>(dst) + to[i], static_cast<const T*>(src) + from[i], length);
  }
}

// Null for some that differ in their dtypes.
CombineRows combine_rows_for(ScatterMode mode, Dtype dst, Dtype src) {
  CombineRows found = find_combine_rows(mode, dst, src);
  if (!found && dst == src) {
    with_mode(mode, dst, [&](auto constant, auto t) { found = &combine_lines<constant.value, decltype(t)>; });
  }
  return found;
}

// Slices that are rows. Each thread has some of the places, or of long rows a part of every one; it combines what comes
// there in order, so that an element gets what it gets from one thread. False where it has not been done.
bool scatter_rows(ScatterMode mode, Dtype dst_dtype, void* dst, Dtype dtype, const Slices& slices) {
  constexpr int64_t long_bytes = 1 << 10, short_bytes = 128, line_bytes = 64, worth_threads = 1 << 16;
  const CombineRows combine_rows = slices.are_rows() ? combine_rows_for(mode, dst_dtype, dtype) : nullptr;
  if (!combine_rows) return false;
  const int64_t line = line_bytes / dtype.size(), bytes = slices.size * dst_dtype.size(), threads = thread_count();
  const bool apart = slices.disjoint() && bytes >= short_bytes && slices.positions * slices.size >= worth_threads;
  const int64_t columns = apart ? std::clamp<int64_t>(bytes / long_bytes, 1, threads) : 1;
  const int64_t places = apart && columns == 1 ? threads : 1;
  parallel_for(columns * places, [&](int64_t part) {
    const auto [begin, length] = columns_of(slices.size, part % columns, columns, line);
    auto* to = static_cast<char*>(dst) + begin * dst_dtype.size();
    auto* from = static_cast<const char*>(slices.updates()) + begin * dtype.size();
    slices.each_rows([&](int64_t* offsets, int64_t* sources, int64_t n) {
      if (places > 1) n = keep_rows(part, places, slices.size, offsets, sources, n);
      combine_rows(to, offsets, from, sources, n, length);
    });
  });
  return true;
}

// Slices that lie whole along some axes, which are outermost in the updates: scatters of smaller slices, one for each
// place on those axes, that have nothing in common.
struct Stack {
  std::vector<int64_t> extents, dst_strides, update_strides; // of those axes
  std::vector<int64_t> slice_shape;                          // of the smaller slices
  int64_t count = 1;

  Stack(Ints dst_shape, std::span<const IndexOperand> indices, Ints index_shape, Ints slices, Ints strides)
      : slice_shape(slices.begin(), slices.end()) {
    const std::vector<int64_t> dense = row_major(dst_shape);
    int64_t outside = 0;
    for (size_t i = 0; i < index_shape.size(); ++i) outside = std::max(outside, std::abs(strides[i]));
    for (size_t d = 0; d < slices.size(); ++d) {
      const bool indexed = std::any_of(
          indices.begin(), indices.end(), [&](const IndexOperand& i) { return i.axis == static_cast<int>(d); });
      const int64_t stride = strides[index_shape.size() + d];
      if (indexed || slices[d] != dst_shape[d] || slices[d] == 1 || std::abs(stride) <= outside) continue;
      extents.push_back(slices[d]), dst_strides.push_back(dense[d]), update_strides.push_back(stride);
      slice_shape[d] = 1;
      count *= slices[d];
    }
  }
  // Where scatter number i lies, in dst and in the updates.
  std::pair<int64_t, int64_t> at(int64_t i) const {
    int64_t to = 0, from = 0;
    for (size_t d = extents.size(); d-- > 1; i /= extents[d]) {
      to += i % extents[d] * dst_strides[d], from += i % extents[d] * update_strides[d];
    }
    return {to + i * dst_strides[0], from + i * update_strides[0]};
  }
};

// Slices that are rows, and the same or apart, of 16-bit floats: those of one place, in order, are combined with it in
// float32. Each thread has some of the places, or a part of every row.
void fold_by_place(FoldRows fold, Dtype dtype, void* dst, int64_t count, const Slices& slices) {
  constexpr int64_t long_row = 512, worth_threads = 1 << 15, line = 32;
  std::vector<int64_t> places, sources;
  places.reserve(static_cast<size_t>(slices.positions)), sources.reserve(places.capacity());
  slices.each_rows([&](const int64_t* offsets, const int64_t* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) places.push_back(offsets[i] / slices.size);
    sources.insert(sources.end(), from, from + n);
  });
  const std::vector<int64_t> order = ordered(places, count / slices.size);
  auto place = [&](int64_t i) { return places[static_cast<size_t>(order[static_cast<size_t>(i)])]; };
  std::vector<int64_t> from(order.size());
  for (size_t i = 0; i < order.size(); ++i) from[i] = sources[static_cast<size_t>(order[i])];

  const int64_t n = slices.positions, threads = n * slices.size >= worth_threads ? thread_count() : 1;
  const int64_t columns = std::clamp<int64_t>(slices.size / long_row, 1, threads), parts = columns == 1 ? threads : 1;
  auto first_of = [&](int64_t part) { // of its updates: those of one place are not parted
    int64_t i = n * part / parts;
    while (i > 0 && i < n && place(i) == place(i - 1)) ++i;
    return i;
  };
  parallel_for(columns * parts, [&](int64_t part) {
    const auto [begin, length] = columns_of(slices.size, part % columns, columns, line);
    const int64_t stop = first_of(part / columns + 1);
    InterruptPoll poll(looks_after);
    for (int64_t i = first_of(part / columns), end; i < stop; i = end) {
      for (end = i + 1; end < stop && place(end) == place(i); ++end) {}
      poll((end - i) * length);
      fold(static_cast<char*>(dst) + (place(i) * slices.size + begin) * dtype.size(),
          static_cast<const char*>(slices.updates()) + begin * dtype.size(), from.data() + i, end - i, length);
    }
  });
}

} // namespace

void scatter(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, std::span<const IndexOperand> indices,
    Ints index_shape, Ints slice_shape, const void* updates, Ints update_strides) {
  constexpr int64_t worth_stack = 1 << 13, worth_threads = 1 << 14; // elements
  Slices slices(dtype, dst_shape, indices, index_shape, slice_shape, updates, update_strides);
  if (slices.positions == 0 || slices.size == 0) return;
  const int64_t count = product(dst_shape), total = slices.positions * slices.size;
  if (slices.are_rows() && slices.disjoint() && slices.size >= worth_ordering &&
      total <= worth_ordering_times * count) {
    if (FoldRows fold = find_fold_rows(mode, dtype)) return fold_by_place(fold, dtype, dst, count, slices);
  }

  // All updates, of type Update, with what is dst, or a copy of it in a wider dtype.
  auto combine_all = [&]<typename T, typename Update>(
                         auto constant, Dtype dst_dtype, T* to, std::type_identity<Update>) {
    auto combine_one = [&](const Slices& some, T* at) {
      if (!scatter_rows(mode, dst_dtype, at, dtype, some)) some.template apply_all<constant.value, Update>(at);
    };
    if (slices.are_rows() || total < worth_stack) return combine_one(slices, to);
    const Stack stack(dst_shape, indices, index_shape, slice_shape, update_strides);
    if (stack.count == 1) return combine_one(slices, to);
    const int64_t parts = std::min<int64_t>(stack.count, total >= worth_threads ? thread_count() : 1);
    parallel_for(parts, [&](int64_t part) {
      Slices smaller(dtype, dst_shape, indices, index_shape, stack.slice_shape, updates, update_strides);
      for (int64_t i = stack.count * part / parts; i < stack.count * (part + 1) / parts; ++i) {
        const auto [dst_at, updates_at] = stack.at(i);
        smaller.set_updates(static_cast<const Update*>(updates) + updates_at);
        combine_one(smaller, to + dst_at);
      }
    });
  };

  if (slices.positions > 1 && carries_wide(mode, dtype)) {
    with_half(mode, dtype, [&](auto constant, auto t) {
      using T = decltype(t);
      if (slices.disjoint() && total < count / 4) {
        return combine_by_place<constant.value>(static_cast<T*>(dst), count, slices, dtype);
      }
      in_wide<float>(dtype, float32, dst, count,
          [&](float* wide) { combine_all(constant, float32, wide, std::type_identity<T>()); });
    });
    return;
  }
  if (sums_many(mode, dtype, total, count)) {
    return with_doubled(dtype, [&](auto t, auto w) {
      const Dtype doubled = dtype == float32 ? float64 : complex128;
      in_wide<decltype(w)>(dtype, doubled, dst, count, [&](auto* wide) {
        combine_all(
            std::integral_constant<ScatterMode, ScatterMode::add>(), doubled, wide, std::type_identity<decltype(t)>());
      });
    });
  }
  with_mode(mode, dtype, [&](auto constant, auto t) {
    using T = decltype(t);
    combine_all(constant, dtype, static_cast<T*>(dst), std::type_identity<T>());
  });
}

} // namespace mlx::core::cpu
