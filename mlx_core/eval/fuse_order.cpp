// Groups of permuted arrays, as of heads of attention before and after they are split, or of parts of them, as of
// stencils across: where all that is as large as the space lies in memory alike, it is gone through in that order, and
// results lie so, too. Then nothing is read with strides, and permuting the axes back leaves nothing to be copied.
#include <algorithm>
#include <cstdlib>

#include "mlx_core/eval/fuse.h"

namespace mlx::core {

namespace {

// The axes from the one that memory is gone through most slowly along.
Axes order_in_memory(const Shape& shape, const Strides& strides) {
  Axes axes;
  for (size_t i = 0; i < shape.size(); ++i) {
    axes.push_back(static_cast<int>(i));
  }
  auto stride = [&](int axis) { return strides[static_cast<size_t>(axis)]; };
  std::stable_sort(axes.begin(), axes.end(), [&](int a, int b) { return stride(a) > stride(b); });
  return axes;
}

// Whether a source has memory for each element of a space of so many; others are broadcast.
bool fills(const Node* node, int64_t size) {
  return size_of(node->shape) == size &&
         std::none_of(node->strides.begin(), node->strides.end(),
             [&, i = size_t{0}](int64_t stride) mutable { return node->shape[i++] != 1 && stride == 0; });
}

template <typename V>
V permuted(const V& from, const Axes& axes) {
  V out;
  for (int axis : axes) {
    out.push_back(from[static_cast<size_t>(axis)]);
  }
  return out;
}

// How elements lie in memory where axes are gone through in this order.
enum class Lie : uint8_t { without_gaps, in_lines, otherwise };

Lie lie_of(const Shape& shape, const Strides& strides, const Axes& order) {
  constexpr int64_t shortest_line = 32; // as shorter ones, elements with a step between them are read as well
  int64_t expected = 1, line = 0;
  bool gaps = false;
  for (size_t i = order.size(); i-- > 0;) {
    auto axis = static_cast<size_t>(order[i]);
    int64_t length = shape[axis];
    if (length == 1) {
      continue;
    }
    if (strides[axis] < expected) {
      return Lie::otherwise;
    }
    gaps = gaps || strides[axis] != expected;
    line = line || gaps ? line : length;
    expected = strides[axis] * length;
  }
  return !gaps ? Lie::without_gaps : line >= shortest_line ? Lie::in_lines : Lie::otherwise;
}

} // namespace

void Group::find_order(const Kernels& kernels) {
  order_.clear();
  if (row_length_ || columns_.any() || has_space_aliases_ || kernels.device() != Device::cpu ||
      std::any_of(members_.begin(), members_.end(), [](const Member& m) { return reads_apart(m.role); })) {
    return;
  }
  Axes order;
  for (const Source& source : sources_) {
    const Node* node = source.node;
    if (!fills(node, size_) || size_ == 1) {
      continue;
    }
    if (node->row_contiguous || node->shape != shape) {
      return;
    }
    if (order.empty()) {
      order = order_in_memory(shape, node->strides);
    }
    if (lie_of(shape, node->strides, order) == Lie::otherwise) {
      return;
    }
  }
  if (!std::is_sorted(order.begin(), order.end())) { // parts of arrays that are not permuted are read as they are
    order_ = order;
  }
}

FusedPlan::Source Group::source_in_order(const Node* node) const {
  if (fills(node, size_) && lie_of(node->shape, node->strides, order_) == Lie::without_gaps) {
    return {FusedPlan::Layout::flat, {}, {}, {}};
  }
  size_t missing = shape.size() - node->shape.size();
  Shape whole(missing, 1);
  Strides apart(missing, 0);
  std::copy(node->shape.begin(), node->shape.end(), std::back_inserter(whole));
  std::copy(node->strides.begin(), node->strides.end(), std::back_inserter(apart));
  return source_of(permuted(whole, order_), permuted(apart, order_), false, size_, permuted(shape, order_));
}

void Group::lay_out(Node* node) const {
  node->strides = row_major_strides(node->shape);
  if (order_.empty()) {
    return;
  }
  Strides in_order = row_major_strides(permuted(shape, order_));
  for (size_t i = 0; i < order_.size(); ++i) {
    node->strides[static_cast<size_t>(order_[i])] = in_order[i];
  }
  node->row_contiguous = false;
}

} // namespace mlx::core
