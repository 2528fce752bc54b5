// fori_loop: a scan where the bounds are numbers, a while_loop where they are arrays.
#include <limits>

#include "mlx_core/control_flow.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

namespace {

// (i, state) -> (i + 1, next state); where nothing reads i, it stays what it is, which a scan need not carry.
std::vector<array> counted(const ForBody& body_fun, const std::vector<array>& in, bool must_count) {
  const std::atomic<uint32_t>& readers = in[0].node()->references;
  uint32_t before = readers;
  std::vector<array> out = body_fun(in[0], {in.begin() + 1, in.end()});
  out.insert(out.begin(), must_count || readers != before ? add(in[0], array(1, in[0].dtype())) : in[0]);
  return out;
}

std::vector<array> behind(const array& i, const std::vector<array>& state) {
  std::vector<array> all{i};
  all.insert(all.end(), state.begin(), state.end());
  return all;
}

} // namespace

std::vector<array> fori_loop(Dim lower, Dim upper, const ForBody& body_fun, const std::vector<array>& init) {
  auto fits = [](Dim n) {
    return n >= std::numeric_limits<int32_t>::min() && n <= std::numeric_limits<int32_t>::max();
  };
  Dtype dtype = fits(lower) && fits(upper) ? int32 : int64;
  auto step = [&](const std::vector<array>& carry, const std::vector<array>&) {
    return Scanned{counted(body_fun, carry, false), {}};
  };
  std::vector<array> out = scan(step, behind(size_number(lower, dtype), init), {}, larger_of(upper - lower, 0)).carry;
  out.erase(out.begin());
  return out;
}

std::vector<array> fori_loop(
    const array& lower, const array& upper, const ForBody& body_fun, const std::vector<array>& init) {
  for (const array* bound : {&lower, &upper}) {
    if (bound->ndim() != 0 || bound->dtype().is_inexact() || bound->dtype().is_bool()) {
      fail("fori_loop", bound == &lower ? "lower" : "upper", " has shape ", bound->shape(), " and dtype ",
          bound->dtype(), "; it should be an integer scalar.");
    }
  }
  Dtype dtype = promote_types(lower.dtype(), upper.dtype());
  array last = astype(upper, dtype);
  auto step = [&](const std::vector<array>& in) { return counted(body_fun, in, true); };
  auto below = [&](const std::vector<array>& in) { return less(in[0], last); };
  std::vector<array> out = while_loop(below, step, behind(astype(lower, dtype), init));
  out.erase(out.begin());
  return out;
}

} // namespace mlx::core
