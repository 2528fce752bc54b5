// Dim: one size-like number (an axis length, a slice bound). Usually an int64; inside a shapeless trace it may be a
// symbolic expression, so that a shape rule run once serves every size.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "mlx_core/size_arithmetic.h"

namespace mlx::core {

class Dim {
 public:
  constexpr Dim() : value_(0) {}
  template <std::integral T>
  constexpr Dim(T value) : value_(static_cast<int64_t>(value)) {
    if constexpr (sizeof(T) == sizeof(int64_t)) {
      if (std::is_signed_v<T> ? value_ < symbolic_below : value_ < 0) [[unlikely]] {
        out_of_range(value_, std::is_signed_v<T>);
      }
    }
  }

  // A fresh symbol of the trace that is open on this thread, with the size seen while tracing as its hint.
  static Dim symbol(int64_t hint);

  constexpr bool is_symbolic() const { return value_ < symbolic_below; }
  // The number itself. Asking this of a symbolic Dim records a guard: the trace holds only while it equals its hint.
  constexpr operator int64_t() const { return is_symbolic() ? concrete() : value_; }
  std::string to_string() const;

  friend constexpr Dim operator+(Dim a, Dim b) {
    return plain(a, b) ? Dim(checked_add(a.value_, b.value_)) : combine('+', a, b);
  }
  friend constexpr Dim operator-(Dim a, Dim b) {
    return plain(a, b) ? Dim(checked_subtract(a.value_, b.value_)) : combine('-', a, b);
  }
  friend constexpr Dim operator*(Dim a, Dim b) {
    return plain(a, b) ? Dim(checked_multiply(a.value_, b.value_)) : combine('*', a, b);
  }
  // Rounds toward zero, as for int64.
  friend constexpr Dim operator/(Dim a, Dim b) {
    return plain(a, b) ? Dim(checked_divide(a.value_, b.value_)) : combine('/', a, b);
  }
  friend constexpr bool operator==(Dim a, Dim b) {
    // The same expression is equal without a guard.
    return a.value_ == b.value_ || (!plain(a, b) && static_cast<int64_t>(a) == static_cast<int64_t>(b));
  }
  template <std::integral T>
  friend constexpr Dim operator+(Dim a, T b) {
    return a + Dim(b);
  }
  template <std::integral T>
  friend constexpr Dim operator-(Dim a, T b) {
    return a - Dim(b);
  }
  template <std::integral T>
  friend constexpr Dim operator*(Dim a, T b) {
    return a * Dim(b);
  }
  template <std::integral T>
  friend constexpr Dim operator/(Dim a, T b) {
    return a / Dim(b);
  }
  template <std::integral T>
  friend constexpr Dim operator+(T a, Dim b) {
    return Dim(a) + b;
  }
  template <std::integral T>
  friend constexpr Dim operator-(T a, Dim b) {
    return Dim(a) - b;
  }
  template <std::integral T>
  friend constexpr Dim operator*(T a, Dim b) {
    return Dim(a) * b;
  }
  template <std::integral T>
  friend constexpr Dim operator/(T a, Dim b) {
    return Dim(a) / b;
  }
  template <std::integral T>
  friend constexpr bool operator==(Dim a, T b) {
    return a == Dim(b);
  }
  template <std::integral T>
  friend constexpr auto operator<=>(Dim a, T b) {
    return static_cast<int64_t>(a) <=> static_cast<int64_t>(b);
  }
  friend constexpr auto operator<=>(Dim a, Dim b) { return static_cast<int64_t>(a) <=> static_cast<int64_t>(b); }
  Dim& operator+=(Dim b) { return *this = *this + b; }
  Dim& operator-=(Dim b) { return *this = *this - b; }
  Dim& operator*=(Dim b) { return *this = *this * b; }
  Dim& operator/=(Dim b) { return *this = *this / b; }

 private:
  friend class SymbolTrace;
  // Values below this bound are the indices of expressions in the open trace: no real size is near it.
  static constexpr int64_t symbolic_below = std::numeric_limits<int64_t>::min() + (int64_t{1} << 40);
  // A number that is no size, as what it was before the conversion.
  [[noreturn]] static void out_of_range(int64_t value, bool is_signed);
  static constexpr Dim expression_at(size_t index) {
    Dim out;
    out.value_ = std::numeric_limits<int64_t>::min() + static_cast<int64_t>(index);
    return out;
  }

  static constexpr bool plain(Dim a, Dim b) { return !a.is_symbolic() && !b.is_symbolic(); }
  static Dim combine(char op, Dim a, Dim b);
  int64_t concrete() const;

  int64_t value_;
};

// The expressions and guards of one shapeless trace. At most one is open on a thread; symbolic Dims mean something only
// while theirs is.
class SymbolTrace {
 public:
  SymbolTrace();
  ~SymbolTrace();
  SymbolTrace(const SymbolTrace&) = delete;
  SymbolTrace& operator=(const SymbolTrace&) = delete;

  struct Guard {
    Dim expression;
    int64_t expected;
  };
  const std::vector<Guard>& guards() const { return guards_; }
  // The value of an expression when symbol k has value sizes[k] (symbols in the order they were made).
  int64_t evaluate(Dim expression, const std::vector<int64_t>& sizes) const;
  // The first guard that these sizes break, as text ("s0 * 2 was 6, is 8"); empty when all hold.
  std::string broken_guard(const std::vector<int64_t>& sizes) const;
  std::string to_string(Dim expression) const;

  struct Expression {
    char op;         // 's' for a symbol, else + - * /
    Dim left, right; // of a symbol, left is its ordinal
    int64_t hint;
  };
  // What a symbolic Dim of this trace is made of.
  const Expression& expression(Dim symbolic) const { return at(*this, symbolic); }

 private:
  friend class Dim;
  static const Expression& at(const SymbolTrace& trace, Dim d);
  Dim add(Expression expression);

  std::vector<Expression> expressions_;
  std::vector<int64_t> symbols_; // index of each symbol's expression
  std::vector<Guard> guards_;
  SymbolTrace* outer_;
};

} // namespace mlx::core
