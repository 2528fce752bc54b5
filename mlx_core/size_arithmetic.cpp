// The errors of checked size arithmetic, which are rarely made.
#include "mlx_core/size_arithmetic.h"

#include <utility>

namespace mlx::core {

void size_overflow(char op, int64_t a, int64_t b) {
  std::string terms = std::to_string(a) + " " + op + " " + std::to_string(b);
  throw SizeError(
      SizeError::no_op, op == '/' ? "a size cannot be " + terms + "." : "the size " + terms + " does not fit int64.");
}

size_t bytes_of(int64_t count, int item_size) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(count, int64_t{item_size}, &bytes)) [[unlikely]] {
    std::string text("[allocate] There is no memory for ");
    text.append(std::to_string(count)).append(" elements of ").append(std::to_string(item_size)).append(" bytes.");
    throw MemoryError(std::move(text));
  }
  return static_cast<size_t>(bytes);
}

} // namespace mlx::core
