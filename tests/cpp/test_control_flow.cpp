// Branches and loops through the C++ API.
#include <cmath>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

using Arrays = std::vector<array>;
using Unary1 = std::function<array(const array&)>;
bool near(double a, double b, double tolerance = 1e-9) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

array two_thirds_of_it(const array& x) { return x * array(2.0 / 3, x.dtype()); }

} // namespace

TEST(scan_stacks_and_carries) {
  auto f = [](const Arrays& carry, const Arrays& x) { return Scanned{{carry[0] + x[0]}, {carry[0] * x[0]}}; };
  Scanned out = scan(f, {array(0)}, {array({1, 2, 3})});
  CHECK_EQ(out.carry[0].item<int>(), 6);
  CHECK_EQ(slice(out.ys[0], {2}, {3}).item<int>(), 9);
  CHECK_EQ(scan(f, {array(0)}, {array({1, 2, 3})}, {}, true).carry[0].item<int>(), 6);
  CHECK_THROWS(std::invalid_argument, (scan(f, {array(0)}, {})));
  CHECK_THROWS(std::invalid_argument, (scan(f, {array(0)}, {array({1, 2, 3})}, 4)));
}

TEST(fori_loop_with_either_kind_of_bounds) {
  auto product = [](const array& i, const Arrays& state) { return Arrays{state[0] * i}; };
  CHECK_EQ(fori_loop(1, 6, product, {array(1)})[0].item<int>(), 120);
  CHECK_EQ(fori_loop(array(1), array(6), product, {array(1)})[0].item<int>(), 120);
  CHECK_EQ(fori_loop(6, 1, product, {array(1)})[0].item<int>(), 1);
}

TEST(while_loop_of_every_order) {
  // x -> (2/3)^n x until it is below 1, n = 6 for x = 10.
  Unary1 f = [](const array& x) {
    auto large = [](const Arrays& s) { return greater(s[0], array(1.0, float64)); };
    array y = while_loop(large, [](const Arrays& s) { return Arrays{two_thirds_of_it(s[0])}; }, {x})[0];
    return y * y * y;
  };
  array x(10.0, float64);
  double ratio = std::pow(2.0 / 3, 18);
  CHECK(near(f(x).item<double>(), ratio * 1000));
  CHECK(near(grad(f)(x).item<double>(), ratio * 300));
  CHECK(near(grad(grad(f))(x).item<double>(), ratio * 60));
  CHECK(near(grad(grad(grad(f)))(x).item<double>(), ratio * 6));
  CHECK(control_flow_statistics().body_evaluations > 0);
}

TEST(cond_takes_one_branch_and_only_it) {
  ControlFlowStatistics before = control_flow_statistics();
  auto f = [](const array& x) {
    auto root = [&](const Arrays&) { return Arrays{sqrt(x)}; };
    auto minus = [&](const Arrays&) { return Arrays{negative(x)}; };
    return cond(greater(x, array(0.0f)), root, minus)[0];
  };
  CHECK_EQ(f(array(4.0f)).item<float>(), 2.f);
  CHECK_EQ(control_flow_statistics().true_branches - before.true_branches, 1);
  CHECK_EQ(control_flow_statistics().false_branches - before.false_branches, 0);
  CHECK_EQ(grad(Unary1(f))(array(-4.0f)).item<float>(), -1.f);
  array lanes = vmap(Unary1(f))(array({4.0f, -3.0f}));
  CHECK_EQ(sum(lanes).item<float>(), 5.f);
  CHECK_THROWS(std::invalid_argument,
      (cond(array({true, false}), [](const Arrays&) { return Arrays{}; }, [](const Arrays&) { return Arrays{}; })));
}

TEST(states_keep_their_shape_and_dtype) {
  auto forever = [](const Arrays&) { return array(true); };
  CHECK_THROWS(std::invalid_argument,
      (while_loop(forever, [](const Arrays& s) { return Arrays{expand_dims(s[0], 0)}; }, {array(1.0f)})));
  CHECK_THROWS(
      std::invalid_argument, (while_loop(forever, [](const Arrays& s) { return Arrays{s[0], s[0]}; }, {array(1.0f)})));
  CHECK_THROWS(std::invalid_argument,
      (while_loop(forever, [](const Arrays& s) { return Arrays{astype(s[0], int32)}; }, {array(1.0f)})));
  CHECK_THROWS(std::invalid_argument, (while_loop(forever, [](const Arrays&) { return Arrays{}; }, {})));
}
