// Symbolic sizes: expressions, guards, re-evaluation.
#include <algorithm>

#include "check.h"
#include "mlx_core/dim.h"
#include "mlx_core/program/open_sizes.h"

using namespace mlx::core;

namespace {

// The value of an expression when symbol k has value symbols[k], in the order they were made.
int64_t value(const SymbolTrace& trace, Dim size, const std::vector<int64_t>& symbols) {
  OpenSizes sizes{trace.expressions(), {}, {}};
  return SizeValues(sizes, symbols)(size);
}
// The first guard that these symbols break, as text; empty when all hold.
std::string broken(const SymbolTrace& trace, const std::vector<int64_t>& symbols) {
  for (const SymbolTrace::Guard& guard : trace.guards()) {
    int64_t now = value(trace, guard.expression, symbols);
    if (now != guard.expected) {
      return trace.to_string(guard.expression) + " was " + std::to_string(guard.expected) + ", is " +
             std::to_string(now);
    }
  }
  return "";
}

} // namespace

TEST(plain_dims_are_numbers) {
  Dim a = 6, b = 4;
  CHECK_EQ(static_cast<int64_t>(a * b + 2 - b / 2), 24);
  CHECK(a > b);
  CHECK(!(a == 4));
}

TEST(expressions_follow_their_symbols) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3), m = Dim::symbol(5);
  Dim area = n * m + 1;
  CHECK(area.is_symbolic());
  CHECK_EQ(value(trace, area, {3, 5}), 16);
  CHECK_EQ(value(trace, area, {7, 2}), 15);
  CHECK_EQ(area.to_string(), std::string("((s0 * s1) + 1)"));
  CHECK(trace.guards().empty());
}

TEST(equal_expressions_need_no_guard) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3);
  CHECK(n * 2 == n * 2);
  CHECK(trace.guards().empty());
}

TEST(reading_a_number_records_a_guard) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3);
  int64_t twice = n * 2;
  CHECK_EQ(twice, 6);
  CHECK_EQ(trace.guards().size(), size_t{1});
  CHECK_EQ(broken(trace, {3}), std::string(""));
  CHECK_EQ(broken(trace, {4}), std::string("(s0 * 2) was 6, is 8"));
}

TEST(a_symbol_means_nothing_outside_its_trace) {
  Dim n;
  {
    SymbolTrace trace;
    n = Dim::symbol(3);
  }
  CHECK_THROWS(std::logic_error, static_cast<int64_t>(n));
}

TEST(a_size_is_the_same_however_it_is_written) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3), m = Dim::symbol(5);
  CHECK((n + 1) * (m - 1) == n * m - n + m - 1);
  CHECK(n * 6 / 3 == n + n);
  CHECK(!(n - n).is_symbolic());
  CHECK(!(n + 1 == n));
  CHECK(n + 1 > 0 && n >= 0 && !(n < 0) && n * m + 2 > 1);
  CHECK(n - smaller_of(1, n) == larger_of(n - 1, 0));
  CHECK(smaller_of(1, n) + (n - smaller_of(1, n)) == n);
  CHECK(larger_of(n, n - 2) == n && smaller_of(n + m, n) == n);
  CHECK(n - floor_divide(n, 8) * 8 >= 0);
  CHECK(trace.guards().empty());
}

TEST(comparisons_hold_for_all_sizes_that_compare_alike) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3), m = Dim::symbol(5);
  CHECK(n > 2 && n < m && !(n == m) && n != 1);
  CHECK_EQ(broken(trace, {4, 9}), std::string(""));
  CHECK_EQ(broken(trace, {2, 9}), std::string("(2 < s0) was 1, is 0"));
  CHECK_EQ(broken(trace, {4, 4}), std::string("(s0 < s1) was 1, is 0"));
}

TEST(open_arithmetic_rounds_as_python_does) {
  SymbolTrace trace;
  Dim n = Dim::symbol(3);
  Dim half = floor_divide(n - 6, 2), part = smaller_of(larger_of(n - 2, 0), 4);
  CHECK_EQ(value(trace, half, {3}), -2);
  CHECK_EQ(value(trace, half, {9}), 1);
  CHECK_EQ(value(trace, (n - 6) / 2, {3}), -1);
  for (int64_t size : {0, 1, 2, 5, 6, 100}) {
    CHECK_EQ(value(trace, part, {size}), std::min<int64_t>(std::max<int64_t>(size - 2, 0), 4));
  }
  CHECK_EQ(floor_divide(Dim(-7), Dim(2)) == -4, true);
  CHECK(trace.guards().empty());
}

TEST(sizes_of_an_outer_trace_are_numbers_to_the_inner_one) {
  SymbolTrace outer;
  Dim n = Dim::symbol(3);
  {
    SymbolTrace inner;
    Dim m = Dim::symbol(5);
    CHECK_EQ(value(inner, n + m, {7}), 10);
    CHECK_EQ(value(outer, n + 1, {7}), 8);
    CHECK(inner.owns(m) && !inner.owns(n) && outer.owns(n));
    CHECK(inner.guards().empty());
  }
  CHECK_EQ(outer.guards().size(), size_t{1});
  CHECK_EQ(broken(outer, {4, 0}), std::string("s0 was 3, is 4"));
}
