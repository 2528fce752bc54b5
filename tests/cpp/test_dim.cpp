// Symbolic sizes: expressions, guards, re-evaluation.
#include "check.h"
#include "mlx_core/dim.h"

using namespace mlx::core;

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
  CHECK_EQ(trace.evaluate(area, {3, 5}), 16);
  CHECK_EQ(trace.evaluate(area, {7, 2}), 15);
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
  CHECK_EQ(trace.broken_guard({3}), std::string(""));
  CHECK_EQ(trace.broken_guard({4}), std::string("(s0 * 2) was 6, is 8"));
}

TEST(a_symbol_means_nothing_outside_its_trace) {
  Dim n;
  {
    SymbolTrace trace;
    n = Dim::symbol(3);
  }
  CHECK_THROWS(std::logic_error, static_cast<int64_t>(n));
}
