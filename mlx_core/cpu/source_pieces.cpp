// Runs of sources that are put together of several arrays.
#include "mlx_core/cpu/source_pieces.h"

#include <algorithm>

#include "mlx_core/cpu/copy_block.h"

namespace mlx::core::cpu {

namespace {

using Piece = FusedPlan::Piece;

// One line of the space along its last axis.
struct Line {
  const FusedPlan::Source& source;
  std::span<const View> views;
  int item_size;
  int64_t number;

  // Whether the piece has elements in it; sets where in memory element `first` of its last axis is.
  bool meets(const Piece& piece, const char*& memory) const {
    int64_t offset = piece.offset, rest = number;
    for (size_t d = source.sizes.size() - 1; d-- > 0;) {
      int64_t at = (d == 0 ? rest : rest % source.sizes[d]) - piece.first[d], step = piece.steps[d];
      if (at < 0 || at > (piece.count[d] - 1) * step || (step != 1 && at % step != 0)) {
        return false;
      }
      offset += (step == 1 ? at : at / step) * piece.strides[d];
      rest = d == 0 ? 0 : rest / source.sizes[d];
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
    int64_t low = std::max<int64_t>((begin - first + step - 1) / step, 0);
    int64_t high = std::min((end - first + step - 1) / step, piece.count.back());
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

} // namespace

const char* read_pieces(
    const FusedPlan::Source& source, std::span<const View> views, int item_size, int64_t first, int64_t n, char* tile) {
  int64_t length = source.sizes.back();
  Line line{source, views, item_size, first / length};
  int64_t begin = first % length;
  if (begin + n <= length) {
    if (const char* there = line.find(begin, begin + n)) {
      return there;
    }
  }
  char* to = tile;
  for (int64_t count; n > 0; n -= count, begin = 0, ++line.number) {
    count = std::min(n, length - begin);
    line.read(source.pieces.size(), begin, begin + count, to);
    to += count * item_size;
  }
  return tile;
}

} // namespace mlx::core::cpu
