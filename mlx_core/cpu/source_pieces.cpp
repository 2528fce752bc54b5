// Runs of sources that are put together of several arrays.
#include "mlx_core/cpu/source_pieces.h"

#include <algorithm>
#include <cstdint>

#include "mlx_core/cpu/copy_block.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/dispatch.h"

namespace mlx::core::cpu {

namespace {

using Piece = FusedPlan::Piece;

// One line of the space along its last axis.
struct Line {
  const FusedPlan::Source& source;
  std::span<const View> views;
  int item_size;
  Sizes index; // along the other axes

  Line(const FusedPlan::Source& from, std::span<const View> of, int size, int64_t number)
      : source(from), views(of), item_size(size), index(from.sizes.size() - 1, 0) {
    for (size_t d = index.size(); d-- > 0 && number > 0; number /= source.sizes[d]) {
      index[d] = number % source.sizes[d];
    }
  }
  void advance() {
    for (size_t d = index.size(); d-- > 0 && ++index[d] == source.sizes[d];) {
      index[d] = 0;
    }
  }

  // Whether the piece has elements in it; sets where in memory element `first` of its last axis is.
  bool meets(const Piece& piece, const char*& memory) const {
    int64_t offset = piece.offset;
    for (size_t d = 0; d < index.size(); ++d) {
      int64_t at = index[d] - piece.first[d], step = piece.steps[d];
      if (at < 0 || at > (piece.count[d] - 1) * step || (step != 1 && at % step != 0)) {
        return false;
      }
      offset += (step == 1 ? at : at / step) * piece.strides[d];
    }
    memory = views[piece.view].host<char>() + offset * item_size;
    return piece.count.back() > 0;
  }

  // Brings together the elements from `begin` to `end` that the first `count` pieces give.
  void read(size_t count, int64_t begin, int64_t end, char* to) const {
    const char* memory = nullptr;
    while (begin < end && count > 0 && !meets(source.pieces[count - 1], memory)) {
      --count;
    }
    if (begin >= end || count == 0) {
      return;
    }
    const Piece& piece = source.pieces[--count];
    int64_t first = piece.first.back(), step = piece.steps.back(), stride = piece.strides.back() * item_size;
    auto number = [step](int64_t apart) { return step == 1 ? apart : (apart + step - 1) / step; }; // at or behind it
    int64_t low = std::max<int64_t>(number(begin - first), 0), high = std::min(number(end - first), piece.count.back());
    if (begin >= first + (piece.count.back() - 1) * step + 1 || end <= first || low >= high) {
      return read(count, begin, end, to);
    }
    int64_t from = first + low * step, past = first + (high - 1) * step + 1;
    read(count, begin, step == 1 ? from : end, to);
    if (step == 1) {
      read(count, past, end, to + (past - begin) * item_size);
    }
    copy_line(memory + low * stride, stride, to + (from - begin) * item_size, step * item_size, high - low, item_size);
  }

  // Where the elements from `begin` to `end` lie, if one piece has them one after another; else null.
  const char* find(int64_t begin, int64_t end) const {
    for (size_t count = source.pieces.size(); count-- > 0;) {
      const Piece& piece = source.pieces[count];
      const char* memory = nullptr;
      int64_t first = piece.first.back(), last = first + (piece.count.back() - 1) * piece.steps.back();
      if (begin <= last && end > first && meets(piece, memory)) {
        bool whole = begin >= first && end <= last + 1 && piece.steps.back() == 1 && piece.strides.back() == 1;
        return whole ? memory + (begin - first) * item_size : nullptr;
      }
    }
    return nullptr;
  }
};

template <typename T>
void read_padded(Line line, int64_t begin, int64_t n, char* tile) {
  const Piece &around = line.source.pieces[0], &inside = line.source.pieces[1];
  T value = *(line.views[around.view].host<T>() + around.offset), *to = reinterpret_cast<T*>(tile);
  int64_t length = line.source.sizes.back(), first = inside.first.back(), last = first + inside.count.back();
  const char* memory = nullptr;
  for (int64_t count; n > 0; n -= count, begin = 0, to += count, line.advance()) {
    count = std::min(n, length - begin);
    int64_t low = std::clamp<int64_t>(first - begin, 0, count), high = std::clamp<int64_t>(last - begin, 0, count);
    if (low == high || !line.meets(inside, memory)) {
      std::fill_n(to, count, value);
      continue;
    }
    std::fill_n(to, low, value);
    if (inside.strides.back() == 0) {
      std::fill_n(to + low, high - low, *reinterpret_cast<const T*>(memory));
    } else {
      copy_contiguous(
          to + low, memory + (begin + low - first) * line.item_size, sizeof(T) * static_cast<size_t>(high - low));
    }
    std::fill_n(to + high, count - high, value);
  }
}

} // namespace

const char* read_pieces(
    const FusedPlan::Source& source, std::span<const View> views, int item_size, int64_t first, int64_t n, char* tile) {
  int64_t length = source.sizes.back();
  Line line(source, views, item_size, first / length);
  int64_t begin = first % length;
  if (begin + n <= length) {
    if (const char* there = line.find(begin, begin + n)) {
      return there;
    }
  }
  if (source.is_padded() && item_size <= 8) {
    with_bits(item_size, [&]<class T>(std::type_identity<T>) { read_padded<T>(line, begin, n, tile); });
    return tile;
  }
  char* to = tile;
  for (int64_t count; n > 0; n -= count, begin = 0, line.advance()) {
    count = std::min(n, length - begin);
    line.read(source.pieces.size(), begin, begin + count, to);
    to += count * item_size;
  }
  return tile;
}

} // namespace mlx::core::cpu
