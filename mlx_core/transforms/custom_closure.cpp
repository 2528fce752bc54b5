// Rules that use lanes of a vmap, or arrays of a recorded loop or branch, which will have ended when they run: they are
// recorded while these are there.
#include "mlx_core/ops.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/frame.h"
#include "mlx_core/transforms/function.h"

namespace mlx::core {

namespace {

// A recorded rule. Its parameters are what it was recorded with, then what it captured: `captured` arguments of the
// call from number `captured_at` on. It holds no lane itself.
struct RecordedRule {
  std::shared_ptr<const FunctionBody> body;
  size_t captured = 0;
  std::vector<bool> given; // results that are not zero
  size_t captured_at = 0;

  Tangents operator()(std::vector<array> operands, const std::vector<array>& arguments) const {
    auto from = arguments.begin() + static_cast<ptrdiff_t>(captured_at);
    operands.insert(operands.end(), from, from + static_cast<ptrdiff_t>(captured));
    std::vector<array> results = replay(*body, operands);
    Tangents out(given.size());
    for (size_t i = 0, next = 0; i < given.size(); ++i) {
      if (given[i]) {
        out[i] = std::move(results[next++]);
      }
    }
    return out;
  }
};

// rule(operands), recorded; its captured arrays are appended to args, and its body to bodies.
template <typename Rule>
RecordedRule record(Rule&& rule, const std::vector<array>& operands, std::vector<array>& args,
    std::vector<std::shared_ptr<const FunctionBody>>& bodies) {
  RecordedRule recorded;
  std::shared_ptr<const FunctionBody> body = trace_function(
      [&](const std::vector<array>& in) {
        std::vector<array> present;
        for (const Tangent& t : rule(in)) {
          recorded.given.push_back(t.has_value());
          if (t) {
            present.push_back(*t);
          }
        }
        return present;
      },
      operands);
  recorded.captured = body->captured.size();
  recorded.captured_at = args.size();
  args.insert(args.end(), body->captured.begin(), body->captured.end());
  Frame frame(Frame::Kind::trace);
  auto closed = std::make_shared<FunctionBody>();
  for (const array& a : operands_of(*body, body->parameters)) {
    closed->parameters.push_back(frame.abstract(a.shape(), a.dtype()));
  }
  closed->outputs = replay(*body, closed->parameters);
  recorded.body = std::move(closed);
  for (const std::shared_ptr<const CustomRules>& inner : rules_in(*recorded.body)) {
    inner->forget_batching(); // it may refer to what this rule was recorded with
  }
  bodies.push_back(recorded.body);
  return recorded;
}

std::vector<array> first(const std::vector<array>& arrays, size_t count) {
  return {arrays.begin(), arrays.begin() + static_cast<ptrdiff_t>(count)};
}

} // namespace

bool rules_outlive_lanes() {
  if (RecordingScope::op()) {
    return true;
  }
  bool outer = false;
  for (const Frame* frame : Frame::open()) {
    if (frame->kind() == Frame::Kind::vmap && outer) {
      return true;
    }
    outer = outer || frame->kind() != Frame::Kind::vmap;
  }
  return false;
}

ClosedCall close_rules(
    std::shared_ptr<const FunctionBody> body, const std::vector<array>& args, const CustomRules& rules) {
  ClosedCall call;
  call.args = args;
  auto closed = std::make_shared<CustomRules>(rules);
  size_t count = args.size();
  std::vector<array> outputs = replay(*body, operands_of(*body, args));
  // Cotangents and tangents are not known yet. Their values must not decide anything, so they have none.
  Frame frame(Frame::Kind::trace);
  if (rules.vjp && !rules.vjp_recorded) {
    std::vector<array> operands(args);
    size_t many = outputs.size() - rules.kept;
    for (size_t i = 0; i < many; ++i) {
      operands.push_back(frame.abstract(outputs[i].shape(), outputs[i].dtype()));
    }
    operands.insert(operands.end(), outputs.begin(), outputs.end());
    try {
      auto rule = [&](const std::vector<array>& in) {
        auto at = in.begin() + static_cast<ptrdiff_t>(count), middle = at + static_cast<ptrdiff_t>(many);
        return rules.vjp(first(in, count), {at, middle}, {middle, in.end()});
      };
      closed->vjp = [count, recorded = record(rule, operands, call.args, closed->bodies)](
                        const std::vector<array>& primals, const std::vector<array>& cotangents,
                        const std::vector<array>& results) {
        std::vector<array> in = first(primals, count);
        in.insert(in.end(), cotangents.begin(), cotangents.end());
        in.insert(in.end(), results.begin(), results.end());
        return recorded(std::move(in), primals);
      };
      closed->vjp_recorded = true;
      closed->vjp_objects.reset();    // which may refer to lanes
    } catch (const std::exception&) { // it runs again, and perhaps fails, if somebody asks for it
    }
  }
  if (rules.jvp && !rules.jvp_recorded) {
    std::vector<array> operands(args);
    for (size_t i = 0; i < rules.ruled; ++i) {
      operands.push_back(frame.abstract(args[i].shape(), args[i].dtype()));
    }
    try {
      auto rule = [&](const std::vector<array>& in) {
        Tangents tangents(count);
        for (size_t i = 0; i < rules.ruled; ++i) {
          if (args[i].dtype().is_inexact()) {
            tangents[i] = in[count + i];
          }
        }
        return rules.jvp(first(in, count), tangents);
      };
      closed->jvp = [count, ruled = rules.ruled, recorded = record(rule, operands, call.args, closed->bodies)](
                        const std::vector<array>& primals, const Tangents& tangents) {
        std::vector<array> in = first(primals, count);
        for (size_t i = 0; i < ruled; ++i) {
          in.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
        }
        return recorded(std::move(in), primals);
      };
      closed->jvp_recorded = true;
      closed->jvp_objects.reset();
    } catch (const std::exception&) { // likewise
    }
  }
  if (closed->recorded() && !closed->vmap) {
    closed->objects.reset();
  }
  call.rules = std::move(closed);
  // The arguments, those that only the rules use, and what the function captures: the latter again as captured arrays.
  call.fun = [body, count](
                 const std::vector<array>& in) { return replay(*body, operands_of(*body, first(in, count))); };
  return call;
}

} // namespace mlx::core
