// Checked size arithmetic: what int64 cannot hold is an error, in Dim, in shapes, and where arrays are made.
#include <limits>

#include "check.h"
#include "mlx_core/mlx.h"
#include "mlx_core/program/open_sizes.h"
#include "mlx_core/size_arithmetic.h"

using namespace mlx::core;

namespace {

constexpr int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();

} // namespace

TEST(results_that_fit_are_numbers) {
  static_assert(checked_add(most - 1, 1) == most);
  static_assert(checked_subtract(least + 1, 1) == least);
  static_assert(checked_multiply(int64_t{1} << 31, int64_t{1} << 31) == int64_t{1} << 62);
  static_assert(checked_divide(-7, 2) == -3);
  CHECK_EQ(bytes_of(int64_t{1} << 59, 8), size_t{1} << 62);
  CHECK_EQ(saturating_multiply(size_t{1} << 33, size_t{1} << 33), std::numeric_limits<size_t>::max());
  CHECK_EQ(saturating_add(3, 4), size_t{7});
}

TEST(others_are_errors_that_show_the_terms) {
  CHECK_MESSAGE(SizeError, "9223372036854775807 + 1", checked_add(most, 1));
  CHECK_MESSAGE(SizeError, "-9223372036854775808 - 1", checked_subtract(least, 1));
  CHECK_MESSAGE(SizeError, "4294967296 * 4294967296", checked_multiply(int64_t{1} << 32, int64_t{1} << 32));
  CHECK_MESSAGE(SizeError, "3 / 0", checked_divide(3, 0));
  CHECK_MESSAGE(SizeError, "/ -1", checked_divide(least, -1));
  CHECK_MESSAGE(std::bad_alloc, "no memory", bytes_of(int64_t{1} << 62, 4));
}

TEST(dims_do_not_wrap) {
  Dim big = int64_t{1} << 62;
  CHECK_MESSAGE(SizeError, "4611686018427387904 * 2", big * 2);
  CHECK_MESSAGE(SizeError, "+", big + big);
  CHECK_THROWS(SizeError, Dim(0) - big - big - 2);
  CHECK_MESSAGE(SizeError, "/ 0", big / 0);
  CHECK_MESSAGE(SizeError, "9223372036854775808", Dim(uint64_t{1} << 63));
  CHECK_MESSAGE(SizeError, "out of range", Dim(least)); // where the symbols lie
  CHECK_EQ(static_cast<int64_t>(Dim(0) - big), -(int64_t{1} << 62));
  CHECK_EQ(static_cast<int64_t>(Dim(most)), most);
}

TEST(symbols_do_not_wrap) {
  SymbolTrace trace;
  Dim n = Dim::symbol(int64_t{1} << 40);
  CHECK_MESSAGE(SizeError, "1099511627776 * 1099511627776", n * n);
  Dim doubled = n * 2;
  OpenSizes sizes{trace.expressions(), {}, {}};
  CHECK_MESSAGE(SizeError, "cannot be computed", SizeValues(sizes, {int64_t{1} << 62})(doubled));
}

TEST(shapes_are_checked) {
  check_shape("op", {int64_t{1} << 31, int64_t{1} << 31});
  check_shape("op", {0, int64_t{1} << 62});
  CHECK_MESSAGE(
      SizeError, "[op] shape (4294967296,4294967296)", check_shape("op", {int64_t{1} << 32, int64_t{1} << 32}));
  CHECK_MESSAGE(SizeError, "too large", check_shape("op", {int64_t{1} << 32, 0, int64_t{1} << 32}));
  CHECK_MESSAGE(SizeError, "too large", check_shape("op", {most}));
  CHECK_MESSAGE(SizeError, "[op] shape (2,-1) has a negative length", check_shape("op", {2, -1}));
  CHECK_MESSAGE(SizeError, "*", row_major_strides({1, int64_t{1} << 32, int64_t{1} << 32}));
  CHECK_MESSAGE(std::invalid_argument, "[op]", broadcast_shapes("op", {int64_t{1} << 32, 1}, {int64_t{1} << 32}));
}

TEST(arrays_are_made_of_possible_shapes) {
  constexpr int64_t big = int64_t{1} << 32;
  CHECK_MESSAGE(std::invalid_argument, "[zeros]", zeros({big, big}));
  CHECK_MESSAGE(std::invalid_argument, "negative", array::uninitialized({-1}, float32));
  CHECK_MESSAGE(std::invalid_argument, "too large", array(static_cast<const float*>(nullptr), Shape{big, big}));
  CHECK_MESSAGE(std::bad_alloc, "no memory", array::uninitialized({big, big / 4}, float64));
  CHECK_MESSAGE(std::invalid_argument, "[multiply]", multiply(zeros({big, 1}), zeros({big})));
  CHECK_MESSAGE(std::invalid_argument, "[outer]", outer(zeros({big}), zeros({big})));
  CHECK_MESSAGE(std::invalid_argument, "[reshape]", reshape(zeros({1}), {most, most}));
  CHECK_MESSAGE(std::invalid_argument, "[tile]", tile(zeros({4}), {most / 2}));
  CHECK_MESSAGE(std::invalid_argument, "[", vmap([&](const array& x) { return x + zeros({big}); })(zeros({big})));
  array wide = zeros({big / 2, big / 2});
  CHECK_EQ(static_cast<int64_t>(wide.size()), int64_t{1} << 62);
  CHECK_MESSAGE(std::bad_alloc, "no memory", wide.nbytes());
  CHECK_MESSAGE(std::bad_alloc, "no memory", eval(wide + 1.0f));
}
