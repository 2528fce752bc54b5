// Checked arithmetic of sizes, strides and bytes: what int64 cannot hold is an error, never another number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mlx::core {

// A size that cannot be. std::invalid_argument: ValueError in Python.
class SizeError : public std::invalid_argument {
 public:
  SizeError(std::string_view op, const std::string& text)
      : std::invalid_argument("[" + std::string(op) + "] " + text), text_(text) {}
  // The same error as one of `op`, for functions that are made of others.
  [[noreturn]] void rethrow_in(std::string_view op) const { throw SizeError(op, text_); }
  // Arithmetic itself does not know what it is done for.
  static constexpr std::string_view no_op = "size";
  bool names_op() const { return !std::string_view(what()).starts_with("[size]"); }

 private:
  std::string text_;
};

// Memory that no machine has: MemoryError in Python.
class MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// The most elements that an array can have. A little below what int64 holds: kernels round counts up to whole blocks.
constexpr int64_t most_elements = std::numeric_limits<int64_t>::max() - (int64_t{1} << 40);

// Throws the SizeError of `a op b`.
[[noreturn]] void size_overflow(char op, int64_t a, int64_t b);

constexpr int64_t checked_add(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) [[unlikely]] {
    size_overflow('+', a, b);
  }
  return out;
}
constexpr int64_t checked_subtract(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) [[unlikely]] {
    size_overflow('-', a, b);
  }
  return out;
}
constexpr int64_t checked_multiply(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) [[unlikely]] {
    size_overflow('*', a, b);
  }
  return out;
}
// Rounds toward zero.
constexpr int64_t checked_divide(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) [[unlikely]] {
    size_overflow('/', a, b);
  }
  return a / b;
}
// Rounds down.
constexpr int64_t floor_quotient(int64_t a, int64_t b) {
  int64_t out = checked_divide(a, b);
  return out - (out * b != a && (a < 0) != (b < 0) ? 1 : 0);
}

// Bytes of `count` elements. Throws MemoryError where int64 does not hold them.
size_t bytes_of(int64_t count, int item_size);

// For estimates: what is too large is the largest size_t.
constexpr size_t saturating_add(size_t a, size_t b) {
  size_t out = 0;
  return __builtin_add_overflow(a, b, &out) ? std::numeric_limits<size_t>::max() : out;
}
constexpr size_t saturating_multiply(size_t a, size_t b) {
  size_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? std::numeric_limits<size_t>::max() : out;
}

} // namespace mlx::core
