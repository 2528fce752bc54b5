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
std::shared_ptr<const FunctionBody> linear_map(const VectorFunction& fun, const std::vector<array>& primals,
    std::vector<array>& outputs, std::vector<std::shared_ptr<const CustomRules>>& rules) {
  Frame frame(Frame::Kind::trace);
  auto body = std::make_shared<FunctionBody>();
  Tangents tangents;
  for (const array& primal : primals) {
    body->parameters.push_back(frame.abstract(primal.shape(), primal.dtype()));
    tangents.push_back(body->parameters.back());
  }
  Recording recording(fun, primals);
  outputs = recording.outputs();
  Tangents pushed = recording.push(tangents);
  for (size_t i = 0; i < outputs.size(); ++i) {
    body->outputs.push_back(pushed[i] ? *pushed[i] : zero_tangent(outputs[i], primals));
  }
  body->captured = captured_by(frame, body->outputs);
  rules = rules_in(*body);
  return body;
}

// The transpose. Its parameters are the cotangents of the outputs.
std::shared_ptr<const FunctionBody> transposed_map(const VectorFunction& fun, const std::vector<array>& primals,
    std::vector<array>& outputs, std::vector<std::shared_ptr<const CustomRules>>& rules) {
  Frame frame(Frame::Kind::trace);
  auto body = std::make_shared<FunctionBody>();
  Recording recording(fun, primals, true);
  outputs = recording.outputs();
  Tangents cotangents;
  for (const array& output : outputs) {
    body->parameters.push_back(frame.abstract(output.shape(), output.dtype()));
    cotangents.push_back(output.dtype().is_inexact() ? Tangent(body->parameters.back()) : std::nullopt);
  }
  Tangents pulled = recording.pull(cotangents);
  for (size_t i = 0; i < primals.size(); ++i) {
    body->outputs.push_back(pulled[i] ? *pulled[i] : zeros_like(primals[i]));
  }
  body->captured = captured_by(frame, body->outputs);
  rules = rules_in(*body);
  return body;
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
  std::shared_ptr<const FunctionBody> body = transposed_map(fun, primals, outputs, rules);
  LinearFunction map = [body, rules = MapRules(std::move(rules))](const Tangents& cotangents) {
    rules.keep();
    if (cotangents.size() != body->parameters.size()) {
      fail("pullback", "the function has ", body->parameters.size(), " outputs but ", cotangents.size(),
          " cotangents were given.");
    }
    std::vector<array> given;
    for (size_t i = 0; i < cotangents.size(); ++i) {
      const array& output = body->parameters[i];
      if (cotangents[i] && !(cotangents[i]->shape() == output.shape())) {
        fail("pullback", "cotangent ", i, " has shape ", cotangents[i]->shape(), " but output ", i, " has shape ",
            output.shape(), ".");
      }
      given.push_back(cotangents[i] ? astype(*cotangents[i], output.dtype()) : zeros(output.shape(), output.dtype()));
    }
    return replay(*body, operands_of(*body, given));
  };
  return {std::move(outputs), std::move(map)};
}

std::pair<std::vector<array>, LinearFunction> linearize(const VectorFunction& fun, const std::vector<array>& primals) {
  std::vector<array> outputs;
  std::vector<std::shared_ptr<const CustomRules>> rules;
  std::shared_ptr<const FunctionBody> body = linear_map(fun, primals, outputs, rules);
  LinearFunction map = [body, rules = MapRules(std::move(rules))](const Tangents& tangents) {
    rules.keep();
    if (tangents.size() != body->parameters.size()) {
      fail("linearize", "there are ", body->parameters.size(), " primals but ", tangents.size(), " tangents.");
    }
    std::vector<array> given;
    for (size_t i = 0; i < tangents.size(); ++i) {
      const array& primal = body->parameters[i];
      if (tangents[i]) {
        check_tangent("linearize", i, primal, *tangents[i]);
      }
      given.push_back(tangents[i] ? astype(*tangents[i], primal.dtype()) : zeros(primal.shape(), primal.dtype()));
    }
    return replay(*body, operands_of(*body, given));
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
