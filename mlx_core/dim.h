// Dim: one size-like number (an axis length, a slice bound). Usually an int64; inside a shapeless trace it may be a
// symbolic expression, so that a shape rule run once serves every size.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "mlx_core/size_arithmetic.h"

namespace mlx::core {

class SymbolTrace;

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
  // Rounded down, as Python's // does it; a - floor_divide(a, b) * b is what is left over.
  friend constexpr Dim floor_divide(Dim a, Dim b) {
    return plain(a, b) ? Dim(floor_quotient(a.value_, b.value_)) : combine('f', a, b);
  }
  friend constexpr Dim smaller_of(Dim a, Dim b) {
    return plain(a, b) ? Dim(a.value_ < b.value_ ? a.value_ : b.value_) : lesser(a, b);
  }
  friend constexpr Dim larger_of(Dim a, Dim b) {
    return plain(a, b) ? Dim(a.value_ < b.value_ ? b.value_ : a.value_) : a + b - lesser(a, b);
  }

  // Comparisons of sizes record a guard of their answer, unless every size gives the same one: the trace holds for all
  // sizes that compare alike.
  friend constexpr bool operator==(Dim a, Dim b) {
    return a.value_ == b.value_ || (!plain(a, b) && compare('=', a, b));
  }
  friend constexpr bool operator<(Dim a, Dim b) { return plain(a, b) ? a.value_ < b.value_ : compare('<', a, b); }
  friend constexpr bool operator>(Dim a, Dim b) { return b < a; }
  friend constexpr bool operator<=(Dim a, Dim b) { return !(b < a); }
  friend constexpr bool operator>=(Dim a, Dim b) { return !(a < b); }
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
  friend constexpr bool operator<(Dim a, T b) {
    return a < Dim(b);
  }
  template <std::integral T>
  friend constexpr bool operator<(T a, Dim b) {
    return Dim(a) < b;
  }
  template <std::integral T>
  friend constexpr bool operator>(Dim a, T b) {
    return a > Dim(b);
  }
  template <std::integral T>
  friend constexpr bool operator>(T a, Dim b) {
    return Dim(a) > b;
  }
  template <std::integral T>
  friend constexpr bool operator<=(Dim a, T b) {
    return a <= Dim(b);
  }
  template <std::integral T>
  friend constexpr bool operator<=(T a, Dim b) {
    return Dim(a) <= b;
  }
  template <std::integral T>
  friend constexpr bool operator>=(Dim a, T b) {
    return a >= Dim(b);
  }
  template <std::integral T>
  friend constexpr bool operator>=(T a, Dim b) {
    return Dim(a) >= b;
  }
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
  // Of such a value, the lower bits are the index, those above say whose it is.
  static constexpr int index_bits = 24;
  static constexpr Dim expression_at(uint64_t trace, size_t index) {
    Dim out;
    out.value_ = std::numeric_limits<int64_t>::min() +
                 static_cast<int64_t>((trace & 0xffff) << index_bits | static_cast<uint64_t>(index));
    return out;
  }
  constexpr uint64_t code() const {
    return static_cast<uint64_t>(value_) - static_cast<uint64_t>(std::numeric_limits<int64_t>::min());
  }

  static constexpr bool plain(Dim a, Dim b) { return !a.is_symbolic() && !b.is_symbolic(); }
  static Dim combine(char op, Dim a, Dim b);
  static Dim lesser(Dim a, Dim b);
  static bool compare(char op, Dim a, Dim b);
  static SymbolTrace& common_trace(Dim& a, Dim& b);
  int64_t concrete() const;

  int64_t value_;
};

// The expressions and guards of one shapeless trace. Traces on a thread are nested; a symbolic Dim means something
// while its own is open. Sizes of a trace and of one around it do not mix: the outer ones are numbers to the inner,
// which the outer notes.
class SymbolTrace {
 public:
  SymbolTrace();
  ~SymbolTrace();
  SymbolTrace(const SymbolTrace&) = delete;
  SymbolTrace& operator=(const SymbolTrace&) = delete;

  // Never that of another trace, as long as this process lives.
  uint64_t id() const { return id_; }
  static bool is_open(uint64_t id); // on this thread
  // The trace of a symbolic size, or null if it is not open on this thread.
  static SymbolTrace* of(Dim symbolic);
  bool owns(Dim d) const { return d.is_symbolic() && of(d) == this; }

  struct Guard {
    Dim expression;
    int64_t expected;
  };
  const std::vector<Guard>& guards() const { return guards_; }
  std::string to_string(Dim expression) const;

  struct Expression {
    char op;         // 's' for a symbol, + - * /, 'f' floor_divide, 'm' smaller_of; '<' and '=' are 1 or 0
    Dim left, right; // of a symbol, left is its ordinal
    int64_t hint;
  };
  // What a symbolic Dim of this trace is made of.
  const Expression& expression(Dim symbolic) const { return expressions_.at(place(symbolic)); }
  const std::vector<Expression>& expressions() const { return expressions_; } // parts come first
  // The place of a symbolic size among the expressions of its trace, and the size at a place, as one of no trace.
  static size_t place(Dim symbolic) { return symbolic.code() & ((uint64_t{1} << Dim::index_bits) - 1); }
  static Dim at_place(size_t place) { return Dim::expression_at(0, place); }
  // A number that tells expressions of a trace apart.
  static uint64_t code(Dim d) { return static_cast<uint64_t>(d.value_); }
  // What two numbers come to under the operator of an expression. Throws SizeError when there is no such number.
  static int64_t compute(char op, int64_t a, int64_t b);

 private:
  friend class Dim;
  struct Table;
  int64_t hint_of(Dim d) const { return d.is_symbolic() ? expression(d).hint : d.value_; }
  void guard(Dim expression, int64_t expected);

  uint64_t id_;
  std::vector<Expression> expressions_;
  std::vector<Guard> guards_;
  std::unique_ptr<Table> table_; // finds expressions
  SymbolTrace* outer_;
};

} // namespace mlx::core
