// The transforms through the C++ API, and functions as primitives.
#include <cmath>

#include "check.h"
#include "mlx_core/mlx.h"
#include "mlx_core/transforms/function.h"

using namespace mlx::core;

namespace {
using Unary1 = std::function<array(const array&)>;
bool near(double a, double b, double tolerance = 1e-6) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }
} // namespace

TEST(gradients_of_every_order) {
  Unary1 f = [](const array& x) { return sin(x) * x; };
  array x(0.7, float64);
  auto g = grad(f), h = grad(g), third = grad(h);
  CHECK(near(g(x).item<double>(), std::cos(0.7) * 0.7 + std::sin(0.7), 1e-12));
  CHECK(near(h(x).item<double>(), 2 * std::cos(0.7) - std::sin(0.7) * 0.7, 1e-12));
  CHECK(near(third(x).item<double>(), -3 * std::sin(0.7) - std::cos(0.7) * 0.7, 1e-12));
}

TEST(a_captured_primal_is_not_differentiated) {
  array x(3.0f);
  CHECK_EQ(grad(Unary1([&](const array& y) { return y * x; }))(x).item<float>(), 3.f);
}

TEST(reading_a_value_inside_a_trace_detaches_nothing) {
  auto f = [](const array& x) {
    array y = x * x;
    return y.item<float>() > 1 ? y * x : y;
  };
  CHECK_EQ(grad(Unary1(f))(array(2.0f)).item<float>(), 12.f);
}

TEST(an_array_read_in_a_trace_lets_its_graph_go_afterwards) {
  std::optional<array> kept;
  auto f = [&](const array& x) {
    kept = x * 2.0f;
    eval(*kept);
    return *kept * x;
  };
  grad(Unary1(f))(array(2.0f)).eval();
  CHECK(kept->has_primitive());
  kept->eval();
  CHECK(!kept->has_primitive());
}

TEST(forward_and_reverse_nest) {
  Unary1 f = [](const array& x) { return exp(sin(x)); };
  array x(0.3, float64), one(1.0, float64);
  double expected = grad(grad(f))(x).item<double>();
  CHECK(near(jvp(grad(f), x, one).second.item<double>(), expected, 1e-12));
  CHECK(near(grad(Unary1([&](const array& v) { return jvp(f, v, one).second; }))(x).item<double>(), expected, 1e-12));
}

TEST(vmap_maps_and_nests) {
  array x({1.f, 2.f, 3.f, 4.f, 5.f, 6.f});
  array m = reshape(x, {2, 3});
  array sums = vmap(Unary1([](const array& row) { return sum(row); }))(m);
  CHECK_EQ(sums.shape(), (Shape{2}));
  eval(sums);
  CHECK_EQ(sums.data<float>()[1], 15.f);
  array columns = vmap(Unary1([](const array& column) { return sum(column); }), 1)(m);
  CHECK_EQ(columns.shape(), (Shape{3}));
  array gradients = vmap(grad(Unary1([](const array& row) { return sum(row * row); })))(m);
  eval(gradients);
  CHECK_EQ(gradients.data<float>()[5], 12.f);
  array twice = vmap(vmap(Unary1([](const array& v) { return v * v; })))(m);
  CHECK_EQ(twice.shape(), (Shape{2, 3}));
}

TEST(a_lane_that_escapes_is_an_error) {
  std::optional<array> escaped;
  auto f = [&](const array& x) {
    escaped = x * 2.0f;
    return x;
  };
  CHECK_MESSAGE(std::invalid_argument, "still referenced", vmap(Unary1(f))(ones({3})));
  CHECK_MESSAGE(std::invalid_argument, "one lane", eval(*escaped));
}

TEST(draws_in_lanes_are_what_randomness_says) {
  auto drawn = [](Randomness randomness) {
    random::seed(3);
    auto draw = [](const std::vector<array>& in) { return std::vector<array>{in[0] + random::uniform(Shape{})}; };
    array draws = vmap(VectorFunction(draw), {0}, {0}, randomness)({zeros({4})})[0];
    return sum(equal(draws, slice(draws, {0}, {1}))).item<int>();
  };
  CHECK_EQ(drawn(Randomness::different), 1);
  CHECK_EQ(drawn(Randomness::same), 4);
  CHECK_MESSAGE(std::invalid_argument, "no key is given", drawn(Randomness::error));
}

TEST(vmap_errors_name_the_sizes) {
  auto f = vmap(std::function<array(const array&, const array&)>([](const array& a, const array& b) { return a + b; }));
  CHECK_MESSAGE(std::invalid_argument, "3 lanes", f(ones({3}), ones({4})));
}

TEST(derivatives_behind_a_mask_do_not_leak) {
  // sqrt has an infinite derivative at 0, where its value is not used.
  auto f = [](const array& x) { return sum(where(x > array(0.0f), sqrt(x), zeros_like(x))); };
  array g = grad(Unary1(f))(array({0.f, 4.f}));
  eval(g);
  CHECK_EQ(g.data<float>()[0], 0.f);
  CHECK_EQ(g.data<float>()[1], 0.25f);
}

TEST(functions_obey_every_transform) {
  array captured(2.0, float64);
  auto body = [&](const std::vector<array>& in) { return std::vector<array>{sin(in[0]) * captured, in[0] * in[1]}; };
  auto through_node = [&](const array& x) {
    std::vector<array> out = call_as_function(body, {x, x + 1.0});
    return out[0] + out[1];
  };
  Unary1 direct = [&](const array& x) { return sin(x) * captured + x * (x + 1.0); };
  array x(0.4, float64);
  CHECK(near(through_node(x).item<double>(), direct(x).item<double>(), 1e-14));
  CHECK(near(grad(Unary1(through_node))(x).item<double>(), grad(direct)(x).item<double>(), 1e-14));
  CHECK(near(grad(grad(Unary1(through_node)))(x).item<double>(), grad(grad(direct))(x).item<double>(), 1e-14));
  array one(1.0, float64);
  CHECK(
      near(jvp(Unary1(through_node), x, one).second.item<double>(), jvp(direct, x, one).second.item<double>(), 1e-14));
  array xs = array({0.1, 0.2, 0.3}, float64);
  CHECK(allclose(vmap(Unary1(through_node))(xs), direct(xs)).item<bool>());
  // With respect to what the body captured.
  auto of_capture = [&](const array& c) {
    return call_as_function([&](const std::vector<array>& in) { return std::vector<array>{in[0] * c}; }, {x})[0];
  };
  CHECK(near(grad(Unary1(of_capture))(captured).item<double>(), 0.4, 1e-14));
}

TEST(custom_functions_use_the_rules_they_have) {
  using Vector = std::vector<array>;
  auto fun = [](const Vector& in) { return Vector{sin(in[0]) * in[1]}; };
  VjpRule pull = [](const Vector& primals, const Vector& cts, const Vector&) {
    return Vector{cts[0] * cos(primals[0]) * 10.0f, cts[0] * 20.0f};
  };
  JvpRule push = [](const Vector& primals, const Vector& tangents, const std::vector<int>& argnums) {
    CHECK_EQ(argnums.size(), tangents.size());
    return Vector{tangents[0] * cos(primals[0]) * 100.0f};
  };
  VmapRule map = [](const Vector& inputs, const std::vector<int>& axes) {
    CHECK_EQ(axes[0], 0);
    CHECK_EQ(axes[1], -1);
    return std::pair<Vector, std::vector<int>>({inputs[0] + 1000.0f}, {0});
  };
  array x(0.0f), y(2.0f);
  auto all = custom_function(fun, pull, push, map);
  CHECK_EQ(grad(all, {0, 1})({x, y})[0].item<float>(), 10.f);
  CHECK_EQ(grad(all, {0, 1})({x, y})[1].item<float>(), 20.f);
  CHECK_EQ(jvp([&](const Vector& in) { return all({in[0], y}); }, {x}, {array(1.0f)}).second[0].item<float>(), 100.f);
  CHECK_EQ(sum(vmap(all, {0, std::nullopt})({zeros({3}), y})[0]).item<float>(), 3000.f);
  // Without a rule for jvp it is the transpose of the one for vjp; without one for vmap it follows from the function,
  // and the rule for vjp stays.
  auto some = custom_vjp(fun, pull);
  CHECK_EQ(jvp([&](const Vector& in) { return some({in[0], y}); }, {x}, {array(1.0f)}).second[0].item<float>(), 10.f);
  auto over_batch = [&](const Vector& in) { return Vector{sum(vmap(some, {0, std::nullopt})(in)[0])}; };
  CHECK_EQ(sum(grad(over_batch, {0})({zeros({3}), y})[0]).item<float>(), 30.f);
  CHECK_EQ(grad(over_batch, {1})({zeros({3}), y})[0].item<float>(), 60.f);
}

TEST(checkpoint_keeps_nothing_and_changes_nothing) {
  auto f = checkpoint([](const std::vector<array>& in) {
    array y = in[0].item<double>() > 0 ? sin(in[0]) : in[0]; // values can be read
    return std::vector<array>{y * in[0]};
  });
  Unary1 g = [&](const array& x) { return f({x})[0]; };
  array x(0.7, float64);
  CHECK(near(grad(g)(x).item<double>(), std::cos(0.7) * 0.7 + std::sin(0.7), 1e-12));
  CHECK(near(grad(grad(g))(x).item<double>(), 2 * std::cos(0.7) - std::sin(0.7) * 0.7, 1e-12));
}

TEST(integer_primals_are_refused_with_their_dtype) {
  CHECK_MESSAGE(TypeError, "int32", grad(Unary1([](const array& x) { return x; }))(array(1)));
}

TEST(a_compiled_function_runs_once_for_shapes_and_dtypes) {
  int runs = 0;
  VectorFunction f = compile([&](const std::vector<array>& in) {
    ++runs;
    return std::vector<array>{sin(in[0]) * in[1] + random::uniform({2}), in[1]};
  });
  array x({1.0f, 2.0f}), y(3.0f);
  random::seed(1);
  array expected = sin(x) * y + random::uniform({2});
  random::seed(1);
  std::vector<array> out = f({x, y});
  CHECK(array_equal(out[0], expected).item<bool>());
  CHECK_EQ(out[1].item<float>(), 3.f);
  f({x, y});
  CHECK_EQ(runs, 1);
  CHECK(!array_equal(f({x, y})[0], expected).item<bool>()); // draws go on
  f({ones({2, 2}), y});
  CHECK_EQ(runs, 2);
  Unary1 of_x = [&](const array& a) { return sum(f({a, y})[0]); };
  array gradient = grad(of_x)(x);
  eval(gradient);
  CHECK(near(gradient.data<float>()[1], std::cos(2.0) * 3));
  CHECK_MESSAGE(std::invalid_argument, "reads the value",
      compile([](const std::vector<array>& in) { return std::vector<array>{array(in[0].item<float>())}; })({y}));
}

TEST(a_shapeless_function_serves_other_sizes_and_sees_outer_arrays) {
  int runs = 0;
  auto body = [&](const std::vector<array>& in) {
    ++runs;
    return std::vector<array>{mean(sin(in[0]))};
  };
  VectorFunction f = compile(body, true);
  for (int n : {2, 3, 5}) {
    array x = full({n}, array(0.5f));
    CHECK(near(f({x})[0].item<float>(), std::sin(0.5)));
  }
  CHECK_EQ(runs, 1);
  // An array of a transform around the recording keeps its gradient.
  Unary1 outer = [](const array& x) {
    VectorFunction scaled =
        compile([&](const std::vector<array>& in) { return std::vector<array>{sum(in[0] * x)}; }, true);
    return scaled({array({1.0f, 2.0f})})[0];
  };
  CHECK_EQ(grad(outer)(array(3.0f)).item<float>(), 3.f);
}

TEST(a_compiled_function_is_part_of_the_recording_it_is_called_in) {
  array w({2.0f});
  auto body = [&](const std::vector<array>& in) { return std::vector<array>{in[0] * w + full(in[0].shape(), w)}; };
  for (bool inner_shapeless : {false, true}) {
    for (bool outer_shapeless : {false, true}) {
      VectorFunction inner = compile(body, inner_shapeless);
      VectorFunction outer = compile(
          [&](const std::vector<array>& in) {
            return std::vector<array>{sum(inner({concatenate({in[0], in[0]})})[0])};
          },
          outer_shapeless);
      for (int n : {2, 3}) {
        CHECK_EQ(outer({ones({n})})[0].item<float>(), 8.f * static_cast<float>(n));
        CHECK_EQ(sum(inner({ones({n})})[0]).item<float>(), 4.f * static_cast<float>(n));
      }
    }
  }
}

TEST(a_rule_of_batching_sees_the_arrays_of_each_call) {
  VectorFunction f = compile([](const std::vector<array>& in) {
    array w = in[1];
    VmapRule rule = [w](const std::vector<array>& inputs, const std::vector<int>& axes) {
      return std::pair(std::vector<array>{inputs[0] * w * 3.0f}, axes);
    };
    auto scaled = [w](const std::vector<array>& a) { return std::vector<array>{a[0] * w}; };
    return custom_function(scaled, std::nullopt, std::nullopt, rule)({in[0]});
  });
  CHECK_EQ(f({array(2.0f), array(5.0f)})[0].item<float>(), 10.f);
  for (float w : {5.0f, 7.0f}) {
    CHECK_EQ(sum(vmap(f, {0, std::nullopt})({ones({2}), array(w)})[0]).item<float>(), 6 * w);
  }
}
