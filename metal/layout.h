// From the number of an element to its place.
#pragma once

#include "arguments.h"

inline long offset_of(constant mlx_arguments::Layout& layout, uint number) {
  long offset = 0;
  for (int axis = int(layout.axes) - 1; axis >= 0; --axis) {
    uint size = layout.sizes[axis];
    uint outer = number / size;
    offset += long(number - outer * size) * layout.strides[axis];
    number = outer;
  }
  return offset;
}
