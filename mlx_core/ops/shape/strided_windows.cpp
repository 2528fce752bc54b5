// Places along some axes are a part of a box where each stride is a multiple of the next one, with nothing shared: in a
// row-major array whose lengths are the quotients of the strides. Other axes say where such parts begin, which overlap.
// Boxes may lie in rows of another length, as images of odd sides do in a batch.
#include "mlx_core/ops/shape/strided_windows.h"

#include <algorithm>
#include <initializer_list>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/index/added_parts.h"

namespace mlx::core {

namespace {

constexpr int64_t most_parts = 256, few_parts = 16, large_part = 64; // elements

struct StridedAxis {
  int number; // of the values
  int64_t length, stride;
};
using StridedAxes = std::vector<StridedAxis>;

bool has_larger_stride(const StridedAxis& a, const StridedAxis& b) { return a.stride > b.stride; }

// Whether the axes, of descending strides, lead to a place of its own each, and strides are multiples of the next ones.
bool is_box(const StridedAxes& axes) {
  for (size_t i = 0; i + 1 < axes.size(); ++i) {
    const StridedAxis &outer = axes[i], &inner = axes[i + 1];
    if (outer.stride % inner.stride != 0 || inner.length > outer.stride / inner.stride) {
      return false;
    }
  }
  return true;
}

// Whether no place along the other axes reaches from one of these rows, whose axes are `left_out`, into the next one.
bool are_rows(const StridedAxes& axes, std::initializer_list<int> left_out, int64_t stride, int64_t offset) {
  int64_t reach = offset % stride;
  for (const StridedAxis& axis : axes) {
    bool is_other = std::find(left_out.begin(), left_out.end(), axis.number) == left_out.end();
    reach += is_other ? (axis.length - 1) * axis.stride : 0;
  }
  return reach < stride;
}

// The two axes of the largest strides become one, where rows follow one another along both: images of several channels.
bool join_rows(array& values, StridedAxes& axes, int64_t offset) {
  auto outer = std::min_element(axes.begin(), axes.end(), has_larger_stride);
  auto inner = std::find_if(axes.begin(), axes.end(),
      [&](const StridedAxis& axis) { return outer != axes.end() && axis.number == outer->number + 1; });
  if (inner == axes.end() || outer->stride != inner->length * inner->stride ||
      !are_rows(axes, {outer->number, inner->number}, inner->stride, offset)) {
    return false;
  }
  const int number = outer->number;
  values = flatten(values, number, number + 1);
  inner->length *= outer->length;
  axes.erase(outer);
  for (StridedAxis& axis : axes) {
    axis.number -= axis.number > number ? 1 : 0;
  }
  return true;
}

// A row: the axis of the largest stride, where no place of the others reaches into the next row.
StridedAxis take_rows(StridedAxes& axes, int64_t offset, int64_t size) {
  auto largest = std::min_element(axes.begin(), axes.end(), has_larger_stride);
  if (largest != axes.end()) {
    StridedAxis rows = *largest;
    if (are_rows(axes, {rows.number}, rows.stride, offset)) {
      axes.erase(largest);
      return rows;
    }
  }
  return {-1, 1, size};
}

// Parts of one array of rows, of which each is a box in row-major order; the box' axes come in descending strides.
class Windows {
 public:
  Windows(const array& values, StridedAxis rows, StridedAxes box, StridedAxes windows, int64_t offset, int64_t size)
      : values_(values), windows_(std::move(windows)), offset_(offset), size_(size) {
    if (box.empty() || box.back().stride != 1) {
      box.push_back({-1, 1, 1});
    }
    whole_ = {cpu::ceil_div(size, rows.stride), cpu::ceil_div(rows.stride, box[0].stride)};
    for (size_t i = 1; i < box.size(); ++i) {
      whole_.push_back(box[i - 1].stride / box[i].stride);
    }
    box_ = std::move(box);
    box_.insert(box_.begin(), rows);
  }

  // None where a part does not lie in the box, or there are too many.
  std::optional<array> sum() const {
    int64_t count = 1, elements = 1;
    for (const StridedAxis& axis : box_) {
      elements *= axis.length;
    }
    for (const StridedAxis& axis : windows_) {
      if (__builtin_mul_overflow(count, axis.length, &count) || count > most_parts) {
        return std::nullopt;
      }
    }
    if (count > few_parts && elements < large_part) {
      return std::nullopt;
    }
    std::vector<Window> found; // all, before anything is made of them
    for (int64_t number = 0; number < count; ++number) {
      std::optional<Window> window = window_of(number);
      if (!window) {
        return std::nullopt;
      }
      found.push_back(*std::move(window));
    }
    std::vector<AddedPart> parts;
    for (const Window& w : found) {
      parts.push_back({in_order(count == 1 ? values_ : slice(values_, w.start, w.stop)), w.first, std::nullopt});
    }
    array rows = reshape(add_parts(whole_, parts), {whole_[0], -1});
    if (int64_t length = box_[0].stride; rows.shape(1) != Dim(length)) {
      rows = slice(rows, {0, 0}, {whole_[0], length});
    }
    array flat = flatten(rows);
    return flat.shape(0) == Dim(size_) ? flat : slice(flat, {0}, {size_});
  }

 private:
  struct Window {
    Shape start, stop; // of the values
    Shape first;       // where it begins in the box
  };

  std::optional<Window> window_of(int64_t number) const {
    Window window{Shape(values_.shape().size(), 0), values_.shape(), {}};
    int64_t at = offset_;
    for (size_t i = windows_.size(); i-- > 0; number /= windows_[i].length) {
      auto d = static_cast<size_t>(windows_[i].number);
      int64_t index = number % windows_[i].length;
      window.start[d] = index;
      window.stop[d] = index + 1;
      at += index * windows_[i].stride;
    }
    for (size_t i = 0; i < box_.size(); ++i) {
      int64_t index = at / box_[i].stride, length = whole_[i];
      at %= box_[i].stride;
      if (index + box_[i].length > length) {
        return std::nullopt;
      }
      window.first.push_back(index);
    }
    return window;
  }

  // One of the box' axes after the other.
  array in_order(const array& part) const {
    Axes order;
    Shape shape;
    for (const StridedAxis& axis : box_) {
      shape.push_back(axis.length);
      if (axis.number >= 0) {
        order.push_back(axis.number);
      }
    }
    for (int d = 0; d < part.ndim(); ++d) { // of one element
      if (std::find(order.begin(), order.end(), d) == order.end()) {
        order.push_back(d);
      }
    }
    return reshape(transpose(part, order), shape);
  }

  array values_;
  StridedAxes box_, windows_; // the rows are the box' first axis
  int64_t offset_, size_;
  Shape whole_;
};

} // namespace

std::optional<array> sum_of_windows(const array& values, Strides strides, int64_t offset, int64_t size) {
  array terms = values;
  StridedAxes axes;
  for (int d = 0; d < values.ndim(); ++d) {
    int64_t length = values.shape(d), stride = strides[static_cast<size_t>(d)];
    if (length > 1 && stride < 0) {
      terms = flip(terms, d);
      offset += (length - 1) * stride;
      stride = -stride;
    } else if (length > 1 && stride == 0) {
      terms = sum(terms, d, true);
      length = 1;
    }
    if (length > 1) {
      axes.push_back({d, length, stride});
    }
  }
  while (join_rows(terms, axes, offset)) {}
  StridedAxis rows = take_rows(axes, offset, size);
  std::stable_sort(
      axes.begin(), axes.end(), [](const StridedAxis& a, const StridedAxis& b) { return a.length > b.length; });
  // As many axes as make a box, the longest first; then less, where parts of it reach beyond lines of the box.
  for (size_t most = axes.size() + 1; most-- > 0;) {
    StridedAxes box, windows;
    for (const StridedAxis& axis : axes) {
      StridedAxes more = box;
      more.insert(std::upper_bound(more.begin(), more.end(), axis, has_larger_stride), axis);
      if (box.size() < most && is_box(more)) {
        box = std::move(more);
      } else {
        windows.push_back(axis);
      }
    }
    most = box.size();
    if (auto sum = Windows(terms, rows, std::move(box), std::move(windows), offset, size).sum()) {
      return sum;
    }
  }
  return std::nullopt;
}

} // namespace mlx::core
