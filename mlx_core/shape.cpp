// Shape arithmetic and axis checks.
#include "mlx_core/shape.h"

#include <algorithm>

#include "mlx_core/error.h"

namespace mlx::core {

Dim size_of(const Shape& shape) {
  Dim size = 1;
  for (Dim d : shape) {
    size *= d;
  }
  return size;
}

Sizes sizes_of(const Shape& shape) { return Sizes(shape.begin(), shape.end()); }

bool is_known(const Shape& shape) {
  return std::none_of(shape.begin(), shape.end(), [](const Dim& length) { return length.is_symbolic(); });
}

Strides row_major_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step = checked_multiply(step, shape[i]);
  }
  return strides;
}

namespace {

template <typename V, typename F>
std::string parenthesised(const V& values, F&& text) {
  std::string out = "(";
  for (size_t i = 0; i < values.size(); ++i) {
    out += (i ? "," : "") + text(values[i]);
  }
  return out + (values.size() == 1 ? ",)" : ")");
}

} // namespace

std::string to_string(const Shape& shape) {
  return parenthesised(shape, [](Dim d) { return d.to_string(); });
}
std::string to_string(const Axes& axes) {
  return parenthesised(axes, [](int a) { return std::to_string(a); });
}

void check_shape(std::string_view op, const Shape& shape) {
  if (is_possible(shape)) [[likely]] {
    return;
  }
  for (Dim d : shape) {
    if (!d.is_symbolic() && d < 0) {
      throw SizeError(op, "shape " + to_string(shape) + " has a negative length.");
    }
  }
  throw SizeError(op, "shape " + to_string(shape) + " is too large: an array has at most " +
                          std::to_string(most_elements) + " elements (axes of length 0 do not count here).");
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  size_t shift = longer.size() - shorter.size();
  bool grows = false; // has more elements than `longer`
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim x = longer[shift + i], y = shorter[i];
    auto surely_one = [](Dim d) { return !d.is_symbolic() && d == 1; }; // needs no guard on the other
    if (surely_one(y)) {
      continue;
    }
    if (surely_one(x)) {
      out[shift + i] = y;
      grows = true;
    } else if (x == y || y == 1) {
      continue;
    } else if (x == 1) {
      out[shift + i] = y;
      grows = true;
    } else {
      fail(op, "Shapes ", a, " and ", b, " cannot be broadcast: axis lengths must be equal or 1.");
    }
  }
  if (grows) {
    check_shape(op, out);
  }
  return out;
}

int normalize_axis(const char* op, int axis, int ndim) {
  if (axis < -ndim || axis >= ndim) {
    if (ndim == 0) {
      fail<AxisError>(op, "axis ", axis, " is out of bounds: the array has no axes.");
    }
    fail<AxisError>(op, "axis ", axis, " is out of bounds for an array with ", ndim, " dimensions; it must be in [",
        -ndim, ", ", ndim - 1, "].");
  }
  return axis < 0 ? axis + ndim : axis;
}

Axes normalize_axes(const char* op, const Axes& axes, int ndim) {
  Axes out;
  for (int axis : axes) {
    out.push_back(normalize_axis(op, axis, ndim));
  }
  std::sort(out.begin(), out.end());
  for (size_t i = 1; i < out.size(); ++i) {
    if (out[i] == out[i - 1]) {
      fail(op, "axes ", axes, " name the same axis twice.");
    }
  }
  return out;
}

Axes all_axes(int ndim) {
  Axes axes(static_cast<size_t>(ndim));
  for (int i = 0; i < ndim; ++i) {
    axes[static_cast<size_t>(i)] = i;
  }
  return axes;
}

} // namespace mlx::core
