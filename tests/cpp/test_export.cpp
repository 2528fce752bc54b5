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
