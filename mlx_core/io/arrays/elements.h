// Elements of arrays in files: reading them when they are needed, and writing them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "mlx_core/io/arrays/source.h"

namespace mlx::core::io {

// What fills an array when it is evaluated.
class Content {
 public:
  virtual ~Content() = default;
  // `out` has its shape and dtype, and gets its memory here. `may_map`: the device computes on any memory.
  virtual void fill(array& out, bool may_map) const = 0;
  virtual std::string label() const = 0;
};

// A lazy array. To every transform, and to a function that is recorded, it is a constant.
array lazy(std::shared_ptr<const Content> content, Shape shape, Dtype dtype);

// How elements lie in a file.
struct Layout {
  int64_t begin = 0;
  bool column_major = false;
  bool swapped = false; // big-endian
  bool map = false;     // large arrays are mapped, where the source can and the elements are aligned
};
// Fails when the source does not hold all of them. `what` names the array, for errors.
array lazy_elements(SourceRef source, Layout layout, Shape shape, Dtype dtype, const std::string& what);

// Bytes of such an array; fails by the source's name when there cannot be that many.
int64_t bytes_in(const Source& source, const Shape& shape, Dtype dtype, const std::string& what);

// Every bool is 0 or 1, and bytes of a number are in the machine's order.
void make_sound(char* elements, int64_t bytes, Dtype dtype, bool swapped);

// The elements of an evaluated array in row-major order, piece by piece.
void for_each_piece(const array& a, const std::function<void(const char* from, size_t bytes)>& use);

} // namespace mlx::core::io
