// Programs: what is recorded, how primitives are compared, and what passes over programs must keep.
#include <cmath>
#include <limits>

#include "check.h"
#include "mlx_core/mlx.h"
#include "mlx_core/params.h"
#include "mlx_core/transforms/function.h"

using namespace mlx::core;

namespace {

using Arrays = std::vector<array>;

// An operation with one parameter of every type.
struct Settings {
  bool flag = true;
  int64_t number = 3;
  Dim size = 4;
  double real = 0.5;
  std::string text = "a";
  Dtype dtype = float32;
  Shape shape = {2, 3};
  std::vector<int64_t> list = {1, 2};
  Axes axes = {0, 1};
  SharedProgram program = nullptr;
  uint64_t identity = 0;
};

class Setup final : public Primitive {
 public:
  explicit Setup(Settings settings) : s_(std::move(settings)) {}
  const char* name() const override { return "Setup"; }
  void visit(ParamVisitor& v) const override {
    v("flag", s_.flag), v("number", s_.number), v("size", s_.size), v("real", s_.real), v("text", s_.text);
    v("dtype", s_.dtype), v("shape", s_.shape), v("list", std::span<const int64_t>(s_.list)), v("axes", s_.axes);
    if (s_.program) {
      v("program", s_.program);
    }
  }
  uint64_t identity() const override { return s_.identity; }
  Specs infer(Operands in) const override { return {{in[0].shape(), in[0].dtype()}}; }
  void eval_cpu(Operands in, std::span<array> out) const override { out[0].share(in[0], in[0].strides()); }
  Tangents jvp(Operands, const Tangents& t, Operands) const override { return t; }
  Tangents vjp(Operands, const Tangents& ct, Operands, std::span<const bool>) const override { return ct; }
  Mapped vmap(Operands in, const MapAxes& axes) const override { return {{in[0]}, {axes[0]}}; }

 private:
  Settings s_;
};

bool same(const Settings& a, const Settings& b) {
  Setup p(a), q(b);
  bool equal = equivalent(p, q);
  CHECK(!equal || hash_of(p) == hash_of(q));
  return equal;
}

Traced recorded(const VectorFunction& fun, const Arrays& args) {
  return trace_function(fun, args, DerivativesOf::program);
}

} // namespace

TEST(parameters_are_compared_by_their_values) {
  CHECK(same({}, {}));
  CHECK(!same({}, {.flag = false}));
  CHECK(!same({}, {.number = 4}));
  CHECK(!same({}, {.size = 5}));
  CHECK(!same({}, {.text = "b"}));
  CHECK(!same({}, {.dtype = float16}));
  CHECK(!same({}, {.shape = {2}}));
  CHECK(!same({}, {.list = {1, 3}}));
  CHECK(!same({}, {.axes = {1, 0}}));
  CHECK(!same({}, {.identity = 7}));
  CHECK(same({.identity = 7}, {.identity = 7}));
  // By bits: what differs in its last digit, in its sign or in nothing at all.
  CHECK(!same({}, {.real = std::nextafter(0.5, 1)}));
  CHECK(!same({.real = 0.0}, {.real = -0.0}));
  double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(same({.real = nan}, {.real = nan}));
  // Text that looks like other parameters is only text.
  CHECK(!same({.text = "a', dtype=float32, shape=(2,3"}, {}));
}

TEST(functions_are_compared_by_what_they_do) {
  auto f = [](const Arrays& in) { return Arrays{sin(in[0]) * in[0]}; };
  auto g = [](const Arrays& in) { return Arrays{cos(in[0]) * in[0]}; };
  array x = ones({3}), wide = ones({4});
  SharedProgram a = recorded(f, {x}).program, b = recorded(f, {x}).program;
  CHECK(a != b);
  CHECK(same({.program = a}, {.program = b}));
  CHECK(!same({.program = a}, {.program = recorded(g, {x}).program}));
  CHECK(!same({.program = a}, {.program = recorded(f, {wide}).program}));
  CHECK(!same({.program = a}, {}));
}

TEST(no_parameter_is_an_address) {
  // Two functions made at different places in memory read alike.
  auto text = [](const VectorFunction& fun) {
    array x = ones({3});
    Arrays y = fun({x});
    const Primitive& p = y[0].has_primitive() && y[0].primitive().eval_kind() == EvalKind::project
                             ? y[0].operands()[0].primitive()
                             : y[0].primitive();
    return std::string(p.name()) + params_to_string(p);
  };
  auto body = [](const Arrays& in) { return Arrays{sin(in[0])}; };
  VectorFunction functions[] = {
      checkpoint(body),
      [&](const Arrays& in) { return cond(sum(in[0]) > array(0.0f), body, body, in); },
      [&](const Arrays& in) { return while_loop([](const Arrays& s) { return sum(s[0]) > array(100.0f); }, body, in); },
      [&](const Arrays& in) {
        auto step = [](const Arrays& carry, const Arrays&) { return Scanned{{sin(carry[0])}, {}}; };
        return scan(step, in, {}, 3).carry;
      },
  };
  for (const VectorFunction& fun : functions) {
    CHECK_EQ(text(fun), text(fun));
    CHECK(text(fun).find('@') == std::string::npos);
  }
}

TEST(a_recording_holds_no_array) {
  std::weak_ptr<int> watched;
  SharedProgram program = nullptr;
  {
    auto alive = std::make_shared<int>(1);
    watched = alive;
    static float values[] = {1, 2, 3};
    static std::shared_ptr<int> held;
    held = std::move(alive);
    array w(adopt(values, sizeof values, nullptr, [](void*) { held.reset(); }), 0, {3}, {1}, float32);
    Traced r = recorded([&](const Arrays& in) { return Arrays{in[0] * w + w}; }, {ones({3})});
    CHECK_EQ(r.captured.size(), size_t{1});
    CHECK_EQ(r.program->inputs().size(), size_t{2});
    program = r.program;
  }
  CHECK(watched.expired());
  CHECK_EQ(sum(replay(*program, Arrays{ones({3}), ones({3})})[0]).item<float>(), 6.0f);
}

TEST(a_program_serves_other_shapes_by_its_shape_rules) {
  Traced r = recorded([](const Arrays& in) { return Arrays{sum(sin(in[0]), 0), in[0]}; }, {ones({3, 2})});
  Arrays out = replay(*r.program, Arrays{ones({5, 4}, float64)});
  CHECK_EQ(to_string(out[0].shape()), "(4,)");
  CHECK(out[0].dtype() == float64);
  CHECK_EQ(sum(out[0]).item<double>(), sum(sin(ones({5, 4}, float64))).item<double>());
}

TEST(passes_keep_every_program_sound) {
  auto body = [](const Arrays& in) {
    array a = sin(in[0]) * in[1], b = sin(in[0]) * in[1]; // twice the same
    Arrays parts = divmod(a + b, in[1] + array(2.0f));
    return Arrays{
        parts[0] + parts[1], in[0], checkpoint([](const Arrays& x) { return Arrays{cos(x[0]), x[0]}; })({b})[0], in[0]};
  };
  Arrays args{array({1.0f, 2.0f}), array({3.0f, 5.0f})};
  Traced r = recorded(body, args);
  CHECK_EQ(fault_in(*r.program), "");
  SharedProgram simple = simplify(*r.program);
  CHECK_EQ(fault_in(*simple), "");
  CHECK(simple->steps().size() < r.program->steps().size());
  Arrays inputs(args);
  inputs.insert(inputs.end(), r.captured.begin(), r.captured.end());
  Arrays expected = body(args), plain = replay(*r.program, inputs), ran = run(*r.program, inputs);
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(array_equal(plain[i], expected[i]).item<bool>());
    CHECK(array_equal(ran[i], expected[i]).item<bool>());
  }
  // Another order of the inputs, and outputs of one's own.
  std::vector<Spec> specs(r.program->inputs().begin(), r.program->inputs().end());
  std::vector<int32_t> to(specs.size()), outputs{r.program->outputs()[2], 0};
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] = static_cast<int32_t>(to.size() - 1 - i);
  }
  std::reverse(specs.begin(), specs.end());
  SharedProgram other = rewired(*r.program, specs, to, outputs);
  CHECK_EQ(fault_in(*other), "");
  CHECK(other->steps().size() < r.program->steps().size()); // the first output's steps went
  std::reverse(inputs.begin(), inputs.end());
  CHECK(array_equal(replay(*other, inputs)[0], expected[2]).item<bool>());
  CHECK(array_equal(replay(*other, inputs)[1], args[0]).item<bool>());
}

TEST(a_run_takes_inputs_over_that_nobody_else_holds) {
  Traced r = recorded([](const Arrays& in) { return Arrays{in[0] * in[1] + in[1]}; }, {ones({1000}), ones({1000})});
  array x = contiguous(arange(0.0, 1000.0));
  eval(x);
  const void* memory = x.raw_data();
  Arrays inputs{std::move(x), ones({1000})};
  eval(inputs);
  array y = run(*r.program, std::move(inputs))[0];
  CHECK_EQ(y.raw_data(), memory);
  CHECK_EQ(y.data<float>()[999], 1000.0f);
}

TEST(a_compiled_function_tells_what_it_did) {
  VectorFunction f = compile([](const Arrays& in) { return Arrays{sin(in[0]) * 2.0f + sin(in[0]) * 2.0f}; });
  CHECK_EQ(compile_stats(f).calls, size_t{0});
  for (const array& x : {ones({2}), ones({2}), ones({3}), ones({3}, float64)}) {
    f({x});
  }
  CompileStats stats = compile_stats(f);
  CHECK_EQ(stats.calls, size_t{4});
  CHECK_EQ(stats.traces, size_t{3});
  CHECK_EQ(stats.cached, size_t{3});
  CHECK_EQ(stats.operations.first, size_t{5});
  CHECK_EQ(stats.operations.second, size_t{3});
  CHECK_EQ(stats.reasons[0], "the first call");
  CHECK_EQ(stats.reasons[1], "argument 0 was float32(2,), is float32(3,)");
  CHECK_EQ(stats.reasons[2], "argument 0 was float32(3,), is float64(3,)");

  VectorFunction g = compile(
      [](const Arrays& in) {
        return Arrays{sum(in[0]) + array(static_cast<float>(static_cast<int64_t>(in[0].shape(0))))};
      },
      true);
  g({ones({2})});
  g({ones({3})});
  CHECK_EQ(compile_stats(g).reasons[1], "it depends on a size that was 2 when it was traced and is 3");
  CHECK_THROWS(std::invalid_argument, compile_stats([](const Arrays& in) { return in; }));
}
