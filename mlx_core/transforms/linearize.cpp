// Linear approximations: the maps of tangents and of cotangents as graphs of their own, and Hessian-vector products.
#include "mlx_core/jacobian.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/function.h"
#include "mlx_core/transforms/recording.h"

namespace mlx::core {

namespace {

// The push-forward of fun at the primals. Its parameters are the tangents; everything computed from the primals is
// captured.
Traced linear_map(const VectorFunction& fun, const std::vector<array>& primals, std::vector<array>& outputs,
    std::vector<std::shared_ptr<const CustomRules>>& rules) {
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
  Traced traced = record_program(frame, results);
  rules = rules_in(*traced.program);
  return traced;
}

// The transpose. Its parameters are the cotangents of the outputs.
Traced transposed_map(const VectorFunction& fun, const std::vector<array>& primals, std::vector<array>& outputs,
    std::vector<std::shared_ptr<const CustomRules>>& rules) {
  Frame frame(Frame::Kind::trace);
  Recording recording(fun, primals, true);
  outputs = recording.outputs();
  Tangents cotangents;
  for (const array& output : outputs) {
    array cotangent = frame.abstract(output.shape(), output.dtype());
    cotangents.push_back(output.dtype().is_inexact() ? Tangent(cotangent) : std::nullopt);
  }
  Tangents pulled = recording.pull(cotangents);
  std::vector<array> results;
  for (size_t i = 0; i < primals.size(); ++i) {
    results.push_back(pulled[i] ? *pulled[i] : zeros_like(primals[i]));
  }
  Traced traced = record_program(frame, results);
  rules = rules_in(*traced.program);
  return traced;
}

// The outermost transform that is open on this thread; 0 when there is none.
uint64_t outermost_frame() { return Frame::open().empty() ? 0 : Frame::open().front()->id(); }

// The rules that a map needs, kept at each use of it.
class MapRules {
 public:
  explicit MapRules(std::vector<std::shared_ptr<const CustomRules>> rules) : rules_(std::move(rules)) {
    for (const std::shared_ptr<const CustomRules>& each : rules_) {
      each->used_again = true;
    }
  }
  void keep() const {
    if (made_in_ == 0 || made_in_ != outermost_frame()) { // there, nodes keep them, and they may refer to lanes
      keep_rules(rules_);
    }
  }

 private:
  std::vector<std::shared_ptr<const CustomRules>> rules_;
  uint64_t made_in_ = outermost_frame();
};

} // namespace

std::pair<std::vector<array>, LinearFunction> pullback(const VectorFunction& fun, const std::vector<array>& primals) {
  std::vector<array> outputs;
  std::vector<std::shared_ptr<const CustomRules>> rules;
  Traced traced = transposed_map(fun, primals, outputs, rules);
  LinearFunction map = [traced, rules = MapRules(std::move(rules)), count = outputs.size()](
                           const Tangents& cotangents) {
    rules.keep();
    if (cotangents.size() != count) {
      fail("pullback", "the function has ", count, " outputs but ", cotangents.size(), " cotangents were given.");
    }
    std::vector<array> given;
    for (size_t i = 0; i < count; ++i) {
      const Spec& output = traced.program->inputs()[i];
      if (cotangents[i] && !(cotangents[i]->shape() == output.shape)) {
        fail("pullback", "cotangent ", i, " has shape ", cotangents[i]->shape(), " but output ", i, " has shape ",
            output.shape, ".");
      }
      given.push_back(cotangents[i] ? astype(*cotangents[i], output.dtype) : zeros(output.shape, output.dtype));
    }
    return replay(*traced.program, joined(std::move(given), traced.captured));
  };
  return {std::move(outputs), std::move(map)};
}

std::pair<std::vector<array>, LinearFunction> linearize(const VectorFunction& fun, const std::vector<array>& primals) {
  std::vector<array> outputs;
  std::vector<std::shared_ptr<const CustomRules>> rules;
  Traced traced = linear_map(fun, primals, outputs, rules);
  LinearFunction map = [traced, rules = MapRules(std::move(rules)), count = primals.size()](const Tangents& tangents) {
    rules.keep();
    if (tangents.size() != count) {
      fail("linearize", "there are ", count, " primals but ", tangents.size(), " tangents.");
    }
    std::vector<array> given;
    for (size_t i = 0; i < count; ++i) {
      const Spec& primal = traced.program->inputs()[i];
      if (tangents[i]) {
        check_tangent("linearize", i, primal, *tangents[i]);
      }
      given.push_back(tangents[i] ? astype(*tangents[i], primal.dtype) : zeros(primal.shape, primal.dtype));
    }
    return replay(*traced.program, joined(std::move(given), traced.captured));
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
