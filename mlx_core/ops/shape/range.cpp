// arange and linspace. Whole numbers are counted in integers: a double holds them only up to 2^53.
#include "mlx_core/ops/shape/range.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/no_operands.h"

namespace mlx::core {

using detail::int128_t;

namespace {

std::string text(int128_t value) {
  bool negative = value < 0;
  std::string digits;
  do {
    int digit = static_cast<int>(value % 10);
    digits += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    value /= 10;
  } while (value != 0);
  if (negative) {
    digits += '-';
  }
  return {digits.rbegin(), digits.rend()};
}

// Bounds of a dtype; those of int64 for what is not an integer.
int128_t lowest_of(Dtype dtype) {
  return dtype.is_unsigned() ? 0 : -(int128_t{1} << (8 * (dtype.is_integer() ? dtype.size() : 8) - 1));
}
int128_t highest_of(Dtype dtype) {
  return (int128_t{1} << (8 * (dtype.is_integer() ? dtype.size() : 8) - (dtype.is_unsigned() ? 0 : 1))) - 1;
}

// Element i is start + i * step, rounded once.
class Arange final : public NoOperands {
 public:
  static constexpr OpInfo info{.name = "arange",
      .primitive = "Arange",
      .summary = "Evenly spaced numbers from start (0) up to, and without, stop.",
      .differentiable = Differentiable::no,
      .no_derivative = no_argument,
      .example = ">>> mx.arange(1, 7, 2)\narray([1, 3, 5], dtype=int32)",
      .details =
          "There are ceil((stop - start) / step) of them, at least 0. The dtype defaults to an integer one when "
          "every argument is an integer, else to float32. Integers are exact over all of int64 and uint64. Raises when "
          "an integer dtype cannot hold the numbers."};

  // Numbers that float64 counts in; and whole ones.
  Arange(double start, double step, Dim size, Dtype dtype) : start_(start), step_(step), size_(size), dtype_(dtype) {}
  Arange(int64_t start, int64_t step, Dim size, Dtype dtype)
      : whole_(true), whole_start_(start), whole_step_(step), size_(size), dtype_(dtype) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::elementwise; } // on nothing
  void visit(ParamVisitor& v) const override {
    if (whole_) {
      v("start", whole_start_);
      v("step", whole_step_);
    } else {
      v("start", start_);
      v("step", step_);
    }
    v("size", size_);
    v("dtype", dtype_);
  }
  Specs infer(Operands) const override { return {Spec{Shape{size_}, dtype_}}; }
  void eval(Operands, std::span<array> outputs, Kernels& kernels) const override {
    array& y = outputs[0];
    y.allocate();
    kernels.run(kernel::Range{whole_, whole_start_, whole_step_, start_, step_, y.view()});
  }

 private:
  bool whole_ = false;
  double start_ = 0, step_ = 0;
  int64_t whole_start_ = 0, whole_step_ = 0;
  Dim size_;
  Dtype dtype_;
};

array real_range(double start, double step, Dim size, Dtype dtype) {
  return applied(make_primitive<Arange>(start, step, size, dtype), std::span<const array>());
}

// How many numbers there are from start up to stop; both in the range of 64 bits.
int128_t count_of(int128_t start, int128_t stop, int128_t step) {
  int128_t length = step > 0 ? stop - start : start - stop, by = step > 0 ? step : -step;
  return length <= 0 ? 0 : (length - 1) / by + 1;
}

void check_length(
    double length, Dtype dtype, const std::string& start, const std::string& stop, const std::string& step) {
  if (length > 2147483647.0 && length * dtype.size() > 0x1p46) {
    fail("arange", "start ", start, ", stop ", stop, " and step ", step, " give ", length,
        " numbers, which is too many.");
  }
}

void check_dtype(Dtype dtype) {
  if (dtype.is_bool()) {
    fail("arange", "dtype bool has no range of numbers; pass a numeric dtype.");
  }
}

[[noreturn]] void fail_to_hold(const std::string& value, Dtype dtype) {
  fail("arange", "the numbers reach ", value, ", which dtype ", dtype, " cannot hold; pass a wider dtype.");
}

std::string text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void check_holds(double value, Dtype dtype) {
  double above = std::ldexp(1.0, 8 * dtype.size() - (dtype.is_signed() ? 1 : 0));
  if (value <= (dtype.is_signed() ? -above - 1 : -1.0) || value >= above) {
    fail_to_hold(text(value), dtype);
  }
}

// As bits, where they may be those of a uint64.
int64_t truncated(double value) {
  return value >= 0x1p63 ? static_cast<int64_t>(static_cast<uint64_t>(value)) : static_cast<int64_t>(value);
}

} // namespace

array whole_range(int64_t start, int64_t step, Dim size, Dtype dtype) {
  return applied(make_primitive<Arange>(start, step, size, dtype), std::span<const array>());
}

Dtype range_dtype(int128_t start, int128_t stop, int128_t step) {
  auto narrow = [](int128_t value) { return value >= lowest_of(int32) && value <= highest_of(int32); };
  if (narrow(start) && narrow(stop) && narrow(step)) {
    return int32;
  }
  int128_t count = step == 0 ? 0 : count_of(start, stop, step), last = start + (count - 1) * step;
  return count > 0 && std::max(start, last) > highest_of(int64) ? uint64 : int64;
}

namespace detail {

array arange(int128_t start, int128_t stop, int128_t step, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  check_dtype(dtype);
  if (step == 0) {
    fail("arange", "step must not be zero.");
  }
  int128_t count = count_of(start, stop, step), last = start + (count - 1) * step;
  check_length(static_cast<double>(count), dtype, text(start), text(stop), text(step));
  if (count > 0 && dtype.is_integer()) {
    for (int128_t end : {start, last}) {
      if (end < lowest_of(dtype) || end > highest_of(dtype)) {
        fail_to_hold(text(end), dtype);
      }
    }
  }
  bool in_int64 = std::min(start, last) >= lowest_of(int64) && std::max(start, last) <= highest_of(int64);
  if (count > 0 && !dtype.is_integer() && !in_int64) {
    return real_range(static_cast<double>(start), static_cast<double>(step), static_cast<int64_t>(count), dtype);
  }
  return whole_range(
      static_cast<int64_t>(start), count > 1 ? static_cast<int64_t>(step) : 0, static_cast<int64_t>(count), dtype);
}

} // namespace detail

array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  check_dtype(dtype);
  if (std::isnan(start) || std::isnan(stop) || std::isnan(step) || std::isinf(start) || std::isinf(stop)) {
    fail("arange", "start ", start, ", stop ", stop, " and step ", step, " do not give a length.");
  }
  if (step == 0) {
    fail("arange", "step must not be zero.");
  }
  double length =
      std::isinf(step) ? ((step > 0) == (stop > start) && stop != start ? 1 : 0) : std::ceil((stop - start) / step);
  check_length(length, dtype, text(start), text(stop), text(step));
  auto size = static_cast<int64_t>(std::max(length, 0.0));
  if (std::isinf(step)) {
    step = 0;
  }
  if (!dtype.is_integer()) {
    return real_range(start, step, size, dtype);
  }
  if (size == 0) {
    return whole_range(0, 1, 0, dtype);
  }
  // As MLX and NumPy have it: the first number and the difference to the second are cut to integers.
  check_holds(start, dtype);
  check_holds(start + static_cast<double>(size - 1) * step, dtype);
  auto first = static_cast<uint64_t>(truncated(start));
  auto difference = size > 1 ? static_cast<uint64_t>(truncated(start + step)) - first : 0;
  return whole_range(static_cast<int64_t>(first), static_cast<int64_t>(difference), size, dtype);
}
array arange(double start, double stop, StreamOrDevice s) { return arange(start, stop, 1.0, float32, s); }
array arange(int stop, StreamOrDevice s) { return arange(0, stop, 1, int32, s); }

const OpInfo& range_op() { return Arange::info; }

// --- linspace ---

namespace {

void check_count(int num) {
  if (num < 0) {
    fail("linspace", "num is ", num, "; the number of samples must not be negative.");
  }
}

class Linspace final : public NoOperands {
 public:
  static constexpr OpInfo info{.name = "linspace",
      .primitive = "Linspace",
      .summary = "num evenly spaced numbers from start to stop.",
      .differentiable = Differentiable::no,
      .no_derivative = no_argument,
      .example = ">>> mx.linspace(0, 1, 5)\narray([0, 0.25, 0.5, 0.75, 1], dtype=float32)",
      .details =
          "With endpoint the last is stop itself; without, the spacing is (stop - start) / num. An integer dtype cuts "
          "fractions off; between integers that is exact over all of int64 and uint64."};

  Linspace(double start, double stop, int64_t num, Dtype dtype, bool endpoint)
      : start_(start), stop_(stop), num_(num), dtype_(dtype), endpoint_(endpoint) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::elementwise; } // on nothing
  void visit(ParamVisitor& v) const override {
    v("start", start_);
    v("stop", stop_);
    v("num", num_);
    v("dtype", dtype_);
    v("endpoint", endpoint_);
  }
  Specs infer(Operands) const override { return {Spec{Shape{num_}, dtype_}}; }
  void eval(Operands, std::span<array> outputs, Kernels& kernels) const override {
    array& y = outputs[0];
    y.allocate();
    kernel::Range range{false, 0, 0, start_, 0, y.view()};
    if (const int64_t intervals = endpoint_ ? num_ - 1 : num_; intervals > 0) {
      range.step = stop_ - start_;
      range.divisor = static_cast<double>(intervals);
    }
    if (endpoint_ && num_ > 1) {
      range.last = stop_;
    }
    kernels.run(range);
  }

 private:
  double start_, stop_;
  int64_t num_;
  Dtype dtype_;
  bool endpoint_;
};

} // namespace

const OpInfo& linspace_op() { return Linspace::info; }

array linspace(double start, double stop, int num, Dtype dtype, bool endpoint, StreamOrDevice s) {
  StreamScope on(s);
  check_count(num);
  return applied(make_primitive<Linspace>(start, stop, num, dtype, endpoint), std::span<const array>());
}

namespace detail {

array linspace(int128_t start, int128_t stop, int num, Dtype dtype, bool endpoint, StreamOrDevice s) {
  constexpr int128_t exact = int128_t{1} << 53;
  auto small = [&](int128_t value) { return value >= -exact && value <= exact; };
  if (!dtype.is_integer() || (small(start) && small(stop))) {
    return core::linspace(static_cast<double>(start), static_cast<double>(stop), num, dtype, endpoint, s);
  }
  StreamScope on(s);
  check_count(num);
  for (int128_t end : {start, stop}) {
    if (num > 0 && (end < lowest_of(dtype) || end > highest_of(dtype))) {
      fail("linspace", "start is ", text(start), " and stop is ", text(stop), ", which dtype ", dtype,
          " cannot hold; pass a wider dtype.");
    }
  }
  // (start (n - i) + stop i) / n, cut towards 0. At most 64 + 31 bits.
  int128_t intervals = endpoint ? num - 1 : num;
  array y = array::uninitialized(Shape{num}, uint64);
  auto* out = static_cast<uint64_t*>(y.mutable_data());
  for (int128_t i = 0; i < num; ++i) {
    out[i] = static_cast<uint64_t>(intervals > 0 ? (start * (intervals - i) + stop * i) / intervals : start);
  }
  return astype(dtype.is_signed() ? view(y, int64) : y, dtype);
}

} // namespace detail
} // namespace mlx::core
