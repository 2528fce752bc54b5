// Parts of an array that nobody else needs, computed over what was there: x[::2] += y. What the group reads of that
// memory is the part itself, element by element, or lies elsewhere in it.
#include <algorithm>
#include <utility>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

// Elements at equal steps along some axes, in bytes; all steps are forward ones.
struct Grid {
  Grid(const Shape& shape, const Strides& strides_in_elements, int64_t offset, int itemsize)
      : begin(offset), item(itemsize) {
    for (size_t d = 0; d < shape.size(); ++d) {
      int64_t last = static_cast<int64_t>(shape[d]) - 1, step = strides_in_elements[d] * itemsize;
      if (last > 0 && step != 0) {
        begin += std::min<int64_t>(last * step, 0);
        axes.emplace_back(std::abs(step), last);
      }
    }
  }
  // How far elements reach along the axes whose steps are no multiples of this; of all where it is 0.
  int64_t reach(int64_t modulus) const {
    int64_t bytes = item;
    for (auto [step, last] : axes) {
      bytes += modulus != 0 && step % modulus == 0 ? 0 : step * last;
    }
    return bytes;
  }
  int64_t begin, item;
  SmallVector<std::pair<int64_t, int64_t>, 8> axes; // the step, and how many there are of it
};

// One behind the other; or so in each turn of a modulus, as other rows or columns are.
bool are_apart(const Grid& a, const Grid& b) {
  const int64_t between = b.begin - a.begin;
  if (between >= a.reach(0) || -between >= b.reach(0)) {
    return true;
  }
  return std::any_of(a.axes.begin(), a.axes.end(), [&](const auto& axis) {
    const int64_t modulus = axis.first, at = (between % modulus + modulus) % modulus;
    return at >= a.reach(modulus) && at + b.reach(modulus) <= modulus;
  });
}

bool shares_memory(const Node* node, const Node* base) {
  return node->buffer && node->buffer.get() == base->buffer.get();
}

} // namespace

// Whether a source is of an array's memory.
bool Group::reads_memory_of(const Node* base) const {
  return std::any_of(
      sources_.begin(), sources_.end(), [=](const Source& source) { return shares_memory(source.node, base); });
}

// Whether a member that `whole` writes into its other operand, which is computed, can be computed over what is there.
bool Group::may_overwrite(const Node* whole, const Node* part) const {
  const Node* base = const_cast<Node*>(whole)->operands()[0].node();
  if (is_traced(*whole) || base->references.load(std::memory_order_acquire) != 1 || !base->buffer ||
      base->buffer->pinned || !base->row_contiguous || stages_ > 1 || columns_.any()) {
    return false;
  }
  const PartIn place(whole, part);
  const int size = part->dtype.size();
  const Grid written(part->shape, place.strides, base->offset + place.offset * size, size);
  for (const Source& source : sources_) {
    if (!shares_memory(source.node, base)) {
      continue;
    }
    const Node& read = *source.node;
    const bool same = read.shape == part->shape && read.strides == place.strides && read.dtype.size() == size &&
                      read.offset == base->offset + place.offset * size && !source.of_rows &&
                      source.last_step <= member_of(part)->step;
    if (source.is_read_again ||
        !(same || are_apart(written, Grid(read.shape, read.strides, read.offset, read.dtype.size())))) {
      return false;
    }
  }
  // Who else sees that memory: views that members alone read, and nobody.
  SmallVector<std::pair<const Node*, uint32_t>, 8> views;
  for (const Member& member : members_) {
    for (const array& operand : member.node->operands()) {
      const Node* node = operand.node();
      if (member_of(node) || !shares_memory(node, base)) {
        continue;
      }
      if (reads_apart(member.role) || is_traced(*member.node)) {
        return false;
      }
      auto known = std::find_if(views.begin(), views.end(), [=](const auto& view) { return view.first == node; });
      (known == views.end() ? views.emplace_back(node, 0u) : *known).second += 1;
    }
  }
  auto has_sources = [=](const View& view) { return view.buffer == base->buffer.get(); };
  return std::none_of(
             source_views_.begin() + static_cast<ptrdiff_t>(sources_.size()), source_views_.end(), has_sources) &&
         std::all_of(views.begin(), views.end(),
             [](const auto& view) { return view.first->references.load(std::memory_order_acquire) == view.second; }) &&
         base->buffer->references.load(std::memory_order_acquire) == 1 + views.size();
}

} // namespace mlx::core
