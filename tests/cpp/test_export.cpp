// Graphs, files of functions and the observers of evaluation through the C++ API.
#include <cmath>
#include <cstdio>
#include <fstream>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {

std::string temporary(const char* name) {
  return std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/mlx_core_" + name;
}
std::vector<array> product(const std::vector<array>& in, const NamedArrays& named) {
  return {sum(in[0] * named.at("w")), in[0] + 1.0f};
}

} // namespace

TEST(a_graph_lists_operations_with_their_origins) {
  OriginScope scope(intern_origin({"train.cpp", "step", 12, "", {}}));
  Graph graph =
      trace([](const std::vector<array>& in) { return std::vector<array>{sin(in[0]) * 2.0f}; }, {array({1.0f, 2.0f})});
  CHECK_EQ(
      graph.to_string(), std::string("%0: float32 (2,) = input\n%1: float32 (2,) = Sin(%0)  # train.cpp:12 in step\n"
                                     "%3: float32 (2,) = Multiply(%1, 2)  # train.cpp:12 in step\nreturn %3"));
}

TEST(a_function_goes_through_a_file) {
  std::string file = temporary("function.mlxfn");
  array x({1.0f, 2.0f, 3.0f}), w({4.0f, 5.0f, 6.0f});
  export_function(file, product, {x}, {{"w", w}}, false, "text");
  ImportedFunction imported(file);
  CHECK_EQ(imported.metadata(), std::string("text"));
  CHECK_EQ(imported({x}, {{"w", w}})[0].item<float>(), 32.f);
  auto gradient = grad([&](const array& x) { return imported({x}, {{"w", w}})[0]; })(x);
  CHECK_EQ(slice(gradient, {2}, {3}).item<float>(), 6.f);
  CHECK_THROWS(std::invalid_argument, imported({x}));
  NamedArrays named{{"w", w}};
  std::vector<array> longer{array({1.0f})};
  CHECK_THROWS(std::invalid_argument, imported(longer, named));
  std::remove(file.c_str());
  CHECK_THROWS(std::runtime_error, ImportedFunction(file));
}

namespace {

// An operation from outside of the library: a * x.
class Scaled final : public Primitive {
 public:
  explicit Scaled(double factor) : factor_(factor) {}
  const char* name() const override { return "Scaled"; }
  void visit(ParamVisitor& v) const override { v("factor", factor_); }
  static std::vector<array> remake(const Parts& p) {
    Parts::require(p[0].dtype() == float32, "x is not float32.");
    return {applied(make_primitive<Scaled>(p.number("factor")), {contiguous(p[0])})};
  }
  Specs infer(Operands in) const override { return {{in[0].shape(), in[0].dtype()}}; }
  void eval_cpu(Operands in, std::span<array> out) const override {
    out[0].allocate();
    for (int64_t i = 0; i < static_cast<int64_t>(out[0].size()); ++i) {
      static_cast<float*>(out[0].mutable_data())[i] = static_cast<float>(factor_) * in[0].data<float>()[i];
    }
  }
  Tangents jvp(Operands, const Tangents& t, Operands) const override { return {scaled(t[0])}; }
  Tangents vjp(Operands, const Tangents& ct, Operands, std::span<const bool>) const override { return {scaled(ct[0])}; }
  Mapped vmap(Operands in, const MapAxes& axes) const override {
    return {{applied(self(*this), {contiguous(in[0])})}, {axes[0]}};
  }

 private:
  Tangent scaled(const Tangent& t) const { return t ? Tangent(applied(self(*this), {contiguous(*t)})) : std::nullopt; }
  double factor_;
};

std::vector<array> scaled_sine(const std::vector<array>& in, const NamedArrays&) {
  return {applied(make_primitive<Scaled>(2.5), {sin(in[0])})};
}

} // namespace

TEST(a_users_primitive_goes_through_a_file) {
  std::string file = temporary("scaled.mlxfn");
  array x({0.25f, 0.5f, 0.75f});
  CHECK_MESSAGE(std::invalid_argument, "add_remake", export_function(file, scaled_sine, {x}));
  add_remake({"Scaled", Scaled::remake});
  CHECK_MESSAGE(std::invalid_argument, "already", add_remake({"Scaled", Scaled::remake}));
  CHECK_MESSAGE(std::invalid_argument, "itself", add_remake({"Sort", Scaled::remake}));
  CHECK_MESSAGE(std::invalid_argument, "itself", add_remake({"Sin", Scaled::remake}));
  export_function(file, scaled_sine, {x}, {}, true);
  ImportedFunction imported(file);
  CHECK(array_equal(imported({x})[0], scaled_sine({x}, {})[0]).item<bool>());
  array y({0.5f, 1.0f});
  auto total = [&](auto&& f) { return grad([&](const array& a) { return sum(f({a}, {})[0]); })(y); };
  CHECK(array_equal(total(imported), total(scaled_sine)).item<bool>());
  CHECK_MESSAGE(std::invalid_argument, "no trace fits", imported({astype(x, float64)}));
  std::remove(file.c_str());

  // One recording for every size makes the operation again, too.
  int runs = 0;
  VectorFunction f = compile(
      [&](const std::vector<array>& in) {
        ++runs;
        return scaled_sine(in, {});
      },
      true);
  for (int n : {2, 3, 5}) {
    array z = ones({n});
    CHECK(array_equal(f({z})[0], scaled_sine({z}, {})[0]).item<bool>());
  }
  CHECK_EQ(runs, 1);
}

TEST(an_exporter_that_is_not_closed_writes_nothing) {
  std::string file = temporary("unwritten.mlxfn");
  {
    FunctionExporter exporter(file, true);
    exporter.trace(product, {array({1.0f})}, {{"w", array({1.0f})}});
  }
  CHECK(!std::ifstream(file).is_open());
}

TEST(the_first_nan_is_found) {
  {
    FiniteCheck check;
    CHECK_THROWS(NonFiniteError, eval(log(array(-1.0f)) * 2.0f));
  }
  CHECK(std::isnan(log(array(-1.0f)).item<float>()));
}

TEST(a_profile_has_fused_groups) {
  Profile profile;
  array y = exp(sin(array({1.0f, 2.0f})));
  profile.start();
  eval(y);
  profile.stop();
  CHECK_EQ(profile.events().size(), size_t{1});
  CHECK_EQ(profile.events()[0].name(), std::string("Sin + Exp"));
  CHECK_EQ(profile.events()[0].bytes, size_t{16});
}
