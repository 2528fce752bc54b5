// Linear approximations: the map of tangents as a graph of its own, and Hessian-vector products.
#include "mlx_core/jacobian.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/recording.h"

namespace mlx::core {

namespace {

// The push-forward of fun at the primals. Its parameters are the tangents; everything computed from the primals is
// captured.
Recorded linear_map(const VectorFunction& fun, const std::vector<array>& primals, std::vector<array>& outputs) {
  Frame frame(Frame::Kind::trace);
  Tangents tangents;
  for (const array& primal : primals) {
    tangents.push_back(frame.abstract(primal.shape(), primal.dtype()));
  }
  Recording recording(fun, primals);
  outputs = recording.outputs();
  Tangents pushed = recording.push(tangents);
  std::vector<array> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    results.push_back(pushed[i] ? *pushed[i] : zero_tangent(outputs[i], primals));
  }
  return record_program(frame, results);
}

} // namespace

std::pair<std::vector<array>, LinearFunction> linearize(const VectorFunction& fun, const std::vector<array>& primals) {
  std::vector<array> outputs;
  Recorded recorded = linear_map(fun, primals, outputs);
  LinearFunction map = [recorded, rules = rules_in(*recorded.program), count = primals.size()](
                           const Tangents& tangents) {
    keep_rules(rules);
    if (tangents.size() != count) {
      fail("linearize", "there are ", count, " primals but ", tangents.size(), " tangents.");
    }
    std::vector<array> given;
    for (size_t i = 0; i < count; ++i) {
      const Spec& primal = recorded.program->inputs()[i];
      if (tangents[i]) {
        check_tangent("linearize", i, primal, *tangents[i]);
      }
      given.push_back(tangents[i] ? astype(*tangents[i], primal.dtype) : zeros(primal.shape, primal.dtype));
    }
    return replay(*recorded.program, joined(std::move(given), recorded.captured));
  };
  return {std::move(outputs), std::move(map)};
}

std::vector<array> hvp(
    const VectorFunction& fun, const std::vector<array>& primals, const std::vector<array>& tangents) {
  auto gradient = [&](const std::vector<array>& in) {
    return vjp(fun, in, [](const std::vector<array>& outputs) {
      if (outputs.size() != 1 || outputs[0].ndim() != 0) {
        fail("hvp", "the function must return one scalar; it returned ",
            outputs.size() == 1 ? "shape " + to_string(outputs[0].shape()) : std::to_string(outputs.size()) + " arrays",
            ". Reduce it, with mx.sum or mx.mean for example.");
      }
      check_gradient_of("hvp", outputs[0].dtype());
      return std::vector<array>{ones_like(outputs[0])};
    }).second;
  };
  return jvp(gradient, primals, tangents).second;
}

} // namespace mlx::core
